"""A folder in which every command can run, and copies of it."""

from __future__ import annotations

import functools
import shutil
from pathlib import Path

from scenarios.scenario import Scenario


class Workplace(Scenario):
    """A scenario whose turns start in equal folders.

    Attributes
    ----------
    users, items, ratings : int
        The size of the data.
    stages : tuple of str
        The commands whose results the folder holds.
    """

    users, items, ratings = 200, 300, 10_000
    stages: tuple[str, ...] = (
        "split data.csv --valid 0.1",
        "train --epochs 5",
        "evaluate --ranking --out other.json",
        "evaluate --ranking",
        "plot history.json",
    )

    @functools.cached_property
    def base(self) -> Path:
        """The folder that is copied."""
        folder = self.folder / "base"
        folder.mkdir()
        self._write_inputs(folder)
        for words in self.stages:
            self.run(*words.split(), folder=folder)
        return folder

    def fresh(self) -> Path:
        """Return a new copy; it replaces the last one."""
        folder = self.folder / "copy"
        shutil.rmtree(folder, ignore_errors=True)
        shutil.copytree(self.base, folder)
        return folder

    def _write_inputs(self, folder: Path) -> None:
        rng, size = self.rng, range(self.ratings)
        pairs = sorted({(rng.randrange(self.users), rng.randrange(self.items)) for _ in size})
        values = [(rng.randrange(1, 11) / 2, rng.randrange(10**9, 15 * 10**8)) for _ in pairs]
        rows = (f"{u},i{i},{r},{t}\n" for (u, i), (r, t) in zip(pairs, values, strict=True))
        (folder / "data.csv").write_text("user,item,rating,timestamp\n" + "".join(rows))
        rows = (f"n{n // 20},i{n % self.items},{rng.randrange(1, 6)}\n" for n in size[::10])
        (folder / "new.csv").write_text("user,item,rating\n" + "".join(rows))
        (folder / "space.toml").write_text(
            'k = [2, 3, 4]\nlr = { low = 0.01, high = 0.1 }\nepochs = 5\noptimizer = "sgd"\n'
        )

"""Damage to the cache of compiled kernels."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any

from scenarios.damage import damaged
from scenarios.results import results
from scenarios.workplaces import Workplace

COMMANDS = ["train --epochs 5 --k 7", "train --optimizer gibbs --epochs 3 --k 3"]


class Caches(Workplace):
    """A damaged cache costs time, but changes no bits of a training.

    The cache is in the scenario's folder; that of the user stays as it is.
    """

    stages = ("split data.csv",)

    def __init__(self, *args: Any) -> None:
        super().__init__(*args)
        self._expected: dict[str, Any] = {}

    def turn(self) -> None:
        words = self.rng.choice(COMMANDS)
        if words not in self._expected:
            self._expected[words] = self._train(words)
        files = self._cached_files()
        if not files:
            self.lose("nothing is cached")
            return
        for file in self.rng.sample(files, self.rng.randint(1, len(files))):
            self._damage(file, files)
        if self._train(words) != self._expected[words]:
            self.lose(f"{words}: other weights")

    def _train(self, words: str) -> Any:
        folder = self.fresh()
        self.run(*words.split(), folder=folder, XDG_CACHE_HOME=self.folder / "cache")
        return results(folder)["model"]

    def _cached_files(self) -> list[Path]:
        return sorted(path for path in (self.folder / "cache/mfcli").rglob("*") if path.is_file())

    def _damage(self, file: Path, files: list[Path]) -> None:
        self.counts["damaged"] += 1
        if self.rng.random() < 0.2:
            other = self.rng.choice(files)
            if other != file:
                shutil.copyfile(other, file)
        elif data := file.read_bytes():
            file.write_bytes(damaged(data, self.rng))

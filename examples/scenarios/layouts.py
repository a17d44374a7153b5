"""Generated layouts of ratings files."""

from __future__ import annotations

import tempfile
from pathlib import Path

from input_layouts import Layouts as Generator, outcome

from scenarios.scenario import Scenario

_FILES = 25


class Layouts(Scenario):
    """Files in random layouts are read correctly, read with a warning, or refused."""

    def turn(self) -> None:
        for _ in range(_FILES):
            seed = self.rng.randrange(2**40)
            generator = Generator(seed)
            with tempfile.TemporaryDirectory(dir=self.folder) as folder:
                path, options, table = generator.write(Path(folder))
                try:
                    result, message = outcome(path, options, table)
                except Exception as error:
                    result, message = "crashed", repr(error)
            self.counts[result] += 1
            if result in ("misread", "crashed"):
                self.lose(f"Layouts({seed}) {result}: {message} {generator.chosen} {options}")

"""What scenarios have in common: a folder, random choices, commands of mfcli, and counts."""

from __future__ import annotations

import abc
import collections
import os
import random
import subprocess
import sys
from pathlib import Path

_TIMEOUT = 120  # seconds after which a command is considered hanging


class Scenario(abc.ABC):
    """A test that is repeated with other random choices; each repetition is a turn.

    Parameters
    ----------
    folder : Path
        An empty folder for this scenario.
    rng : random.Random
        Makes all choices.
    patience : float
        Seconds in which a command must end after a signal on an idle machine.

    Attributes
    ----------
    counts : Counter
        Numbers of what happened, among them `losses`.
    """

    def __init__(self, folder: Path, rng: random.Random, patience: float) -> None:
        self.folder, self.rng, self.patience = folder, rng, patience
        self.counts: collections.Counter[str] = collections.Counter(turns=0, losses=0)

    @abc.abstractmethod
    def turn(self) -> None:
        """Disturb mfcli once and check what it left."""

    def lose(self, what: str) -> None:
        """Report and count a loss."""
        self.counts["losses"] += 1
        name = type(self).__name__.lower()
        print(f"LOSS in {name}, turn {self.counts['turns']}: {what}", file=sys.stderr, flush=True)

    def start(
        self, *words: object, folder: Path | None = None, **variables: object
    ) -> subprocess.Popen[str]:
        """Start a command in a folder, with environment variables."""
        self.counts["commands"] += 1
        return subprocess.Popen(
            [sys.executable, "-m", "mfcli", *map(str, words)],
            cwd=folder or self.folder,
            env=os.environ | {name: str(value) for name, value in variables.items()},
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            encoding="utf-8",
            errors="replace",
        )

    def finish(self, process: subprocess.Popen[str]) -> tuple[int, str]:
        """Wait for a command that no signal stops; return its status and what it printed.

        Its status must be 0, or 1 with one line of error.
        """
        words = f"{process.args!r}"
        try:
            out, err = process.communicate(timeout=_TIMEOUT)
        except subprocess.TimeoutExpired:
            process.kill()
            process.communicate()
            self.lose(f"{words} hangs")
            return -1, ""
        errors = err.count("error: ")
        if "Traceback" in err or (process.returncode, errors) not in ((0, 0), (1, 1)):
            self.lose(f"{words} ended with {process.returncode}: {err}")
        return process.returncode, out

    def run(self, *words: object, folder: Path | None = None, **variables: object) -> str:
        """Run a command that must succeed; return what it printed."""
        process = self.start(*words, folder=folder, **variables)
        status, out = self.finish(process)
        if status == 1:
            self.lose(f"mfcli {' '.join(map(str, words))} failed")
        return out

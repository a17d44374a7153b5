"""What a run of the benchmark measures."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from benchmarks.processes import usage
from benchmarks.versions import Version


class Setup:
    """The versions, the ratings and the options of a run.

    Parameters
    ----------
    versions : sequence of Version
        This one, and perhaps a previous one.
    folder : Path
        For all files.
    data : Path, optional
        Ratings file.
    split : Path, optional
        Split of the ratings; made if it is None.
    ks : sequence of int
        Numbers of factors; empty for the default ones of each part.
    rounds : int
        Number of repetitions.
    libmf_binary : Path, optional
    """

    def __init__(
        self,
        versions: Sequence[Version],
        folder: Path,
        data: Path | None,
        split: Path | None,
        ks: Sequence[int],
        rounds: int,
        libmf_binary: Path | None,
    ) -> None:
        self.versions, self.folder, self.ks, self.rounds = versions, folder, ks, rounds
        self._data, self._split, self.libmf_binary = data, split, libmf_binary

    @property
    def data(self) -> Path:
        assert self._data, "checked by the command"
        return self._data

    @property
    def split(self) -> Path:
        """The split that all versions train on."""
        if not self._split:
            self._split = self.folder / "all"
            # Every version reads the splits of earlier ones.
            oldest = self.versions[-1]
            words = oldest.command("split", self.data, "--split", self._split, "--quiet")
            usage(words, self.folder, oldest.environment)
        return self._split

"""What training came to, epoch by epoch."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from mfcli.errors import ArtifactError
from mfcli.storage import check_format, check_seal, read_json, write_sealed

FORMAT = 1
HISTORY_FILE = "history.json"
MSE_NAMES = ("mse", "mean_squared_error")
"""What Keras may call the mean squared error in a history."""


@dataclass(frozen=True)
class Epoch:
    """What one epoch came to.

    Attributes
    ----------
    epoch : int
        From 1.
    loss, mse : float
        On the training ratings, each before its own step; loss includes the L2 penalty.
    val_loss, val_mse : float
        On the held-out ratings, after the epoch.
    seconds : float
        Of training and validation.
    """

    epoch: int
    loss: float
    mse: float
    val_loss: float
    val_mse: float
    seconds: float


_MOST = 1_000_000  # epochs
_HUGE = 1e30  # nothing that is drawn is larger
_LISTS = ("loss", "mse", "val_loss", "val_mse", "seconds")


@dataclass(frozen=True)
class History:
    """Lists with an entry an epoch, named as Keras names them.

    Attributes
    ----------
    lists : dict of lists of float
        `loss` at least, as in any `History.history` of Keras; `fit` gives `mse`, `val_loss`,
        `val_mse` and `seconds` too.
    """

    lists: dict[str, list[float]]

    @classmethod
    def of(cls, epochs: list[Epoch]) -> History:
        return cls({name: [getattr(epoch, name) for epoch in epochs] for name in _LISTS})

    def epochs(self) -> list[Epoch]:
        """Return the epochs of a history of `fit`."""
        columns = (self.lists[name] for name in _LISTS)
        return [Epoch(n, *values) for n, values in enumerate(zip(*columns, strict=True), start=1)]

    def __len__(self) -> int:
        return len(self.lists["loss"])

    def series(self, names: tuple[str, ...], prefix: str = "") -> list[float] | None:
        """Return the first list there is of these names."""
        return next((self.lists[prefix + n] for n in names if prefix + n in self.lists), None)

    def write(self, path: Path) -> None:
        """Write the history as JSON, replacing the file atomically."""
        write_sealed(path, {"format": FORMAT, **self.lists})

    @classmethod
    def read(cls, path: Path) -> History:
        """Read a history of mfcli, or a Keras `History.history` saved as JSON.

        Raises
        ------
        ArtifactError
            If the file is missing, damaged, of a newer format or no history.
        """
        value = read_json(path)
        if "format" in value:
            check_format(path, value["format"], FORMAT)
            check_seal(path, value)
            del value["format"]
        return cls.checked(path, value)

    @classmethod
    def checked(cls, path: Path, value: dict[str, Any]) -> History:
        """Take the lists of a history that stands in a file.

        Raises
        ------
        ArtifactError
            If it is no history.
        """
        length = len(value["loss"]) if isinstance(value.get("loss"), list) else 0
        if not length:
            raise ArtifactError(f"{path}: is no training history: it has no list 'loss'")
        if length > _MOST:
            raise ArtifactError(f"{path}: must have at most {_MOST:,} epochs, got {length:,}")
        for name, entries in value.items():
            if not _is_series(entries, length):
                raise ArtifactError(
                    f"{path}: {name!r} must be a list of {length} finite numbers, as 'loss' is"
                )
        return cls(value)


def _is_series(entries: Any, length: int) -> bool:
    return (
        isinstance(entries, list)
        and len(entries) == length
        and all(type(entry) in (int, float) and abs(entry) < _HUGE for entry in entries)
    )

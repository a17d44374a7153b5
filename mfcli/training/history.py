"""The history of a training: its losses and times, epoch by epoch."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from mfcli.arguments import path_of
from mfcli.errors import ArtifactError, warn
from mfcli.storage import (
    Record,
    Whole,
    read_json,
    record_values,
    replacing_file,
    to_record,
    write_record,
)
from mfcli.training.keras_history import HUGE, check_length, keras_lists

HISTORY_FILE = "history.json"
MSE_NAMES = ("mse", "mean_squared_error")
"""Names under which a history of Keras may hold the mean squared error."""

_UNSEALED = 1  # the format whose digest had other rules
_RANKINGS = ("val_ndcg", "val_recall", "val_map")
_ERRORS = ("val_loss", "val_mse")
_ON_CLUSTER = ("computing", "waiting")
TIMES = ("seconds", *_ON_CLUSTER)
"""Lists that are not losses."""

_LISTS = ("loss", "mse", *_ERRORS, *_RANKINGS, *TIMES)


@dataclass(frozen=True)
class Epoch:
    """Results of one epoch.

    Attributes
    ----------
    epoch : int
        From 1.
    loss, mse : float
        On the training ratings, each measured before its own step. The loss includes the L2
        penalty.
    val_loss, val_mse : float or None
        On the held-out ratings, after the epoch; None if there are none.
    seconds : float
        Time for training and validation.
    val_ndcg, val_recall, val_map : float or None
        Of rankings of the held-out ratings, after the epoch; only the measure that validation
        follows.
    computing, waiting : float or None
        The parts of `seconds` in which the workers of a cluster trained, and in which they waited
        for each other, for data, or for validation; None on one machine.
    """

    epoch: int
    loss: float
    mse: float
    val_loss: float | None
    val_mse: float | None
    seconds: float
    val_ndcg: float | None = None
    val_recall: float | None = None
    val_map: float | None = None
    computing: float | None = None
    waiting: float | None = None


class HistoryRecord(Record, omit_defaults=True):
    """The fields of `history.json`: lists with one entry per epoch.

    Attributes
    ----------
    loss, ..., seconds : list of float
        As `History.lists`.
    ranked_users : int
        As `History.ranked_users`.
    """

    FORMAT = 2

    loss: list[float]
    mse: list[float] | None = None
    val_loss: list[float] | None = None
    val_mse: list[float] | None = None
    val_ndcg: list[float] | None = None
    val_recall: list[float] | None = None
    val_map: list[float] | None = None
    seconds: list[float] | None = None
    computing: list[float] | None = None
    waiting: list[float] | None = None
    ranked_users: Whole | None = None


@dataclass(frozen=True)
class History:
    """Lists with one entry per epoch, named as in Keras.

    Attributes
    ----------
    lists : dict of lists of float
        At least `loss`, as in any `History.history` of Keras. Histories of `fit` also have `mse`
        and `seconds`, with held-out ratings `val_loss` and `val_mse`, and `val_ndcg`, `val_recall`
        or `val_map` if validation follows one of them; on a cluster `computing` and `waiting`.
        Other histories have NaN where an entry is missing or not finite.
    ranked_users : int or None
        Number of users whose rankings were validated: those with relevant held-out ratings, or a
        sample of them. None if validation follows the RMSE.
    """

    lists: dict[str, list[float]]
    ranked_users: int | None = None

    @classmethod
    def of(cls, epochs: list[Epoch], ranked_users: int | None = None) -> History:
        """Return the history of epochs."""
        lists = {name: [getattr(epoch, name) for epoch in epochs] for name in _LISTS}
        optional = (*_RANKINGS, *_ON_CLUSTER)
        for name in (*_ERRORS, *optional):
            if None in lists[name] or (name in optional and not epochs):  # not measured
                del lists[name]
        return cls(lists, ranked_users)

    def epochs(self) -> list[Epoch]:
        """Return the epochs of a history of `fit`."""
        lists = {name: self.lists[name] for name in _LISTS if name in self.lists}
        rows = zip(*lists.values(), strict=True)
        absent: dict[str, Any] = dict.fromkeys(_ERRORS)  # without held-out ratings
        return [
            Epoch(n, **(absent | dict(zip(lists, row, strict=True))))
            for n, row in enumerate(rows, start=1)
        ]

    def __repr__(self) -> str:
        return f"History({len(self)} epochs of {', '.join(self.lists)})"

    def __len__(self) -> int:
        return len(self.lists["loss"])

    def series(self, names: tuple[str, ...], prefix: str = "") -> list[float] | None:
        """Return the first list with one of these names and a finite entry, or None."""
        lists = (self.lists.get(prefix + name, []) for name in names)
        return next((entries for entries in lists if any(map(math.isfinite, entries))), None)

    def write(self, path: Path | str) -> None:
        """Write a history of `fit` as JSON, replacing the file atomically.

        Raises
        ------
        ArtifactError
            If the file cannot be written.
        """
        lists: dict[str, Any] = self.lists
        with replacing_file(path_of(path, "path"), HistoryRecord) as temporary:
            write_record(temporary, HistoryRecord(**lists, ranked_users=self.ranked_users))

    @classmethod
    def read(cls, path: Path | str) -> History:
        """Read `history.json`, or a `History.history` of Keras saved as JSON.

        Warns
        -----
        MfcliWarning
            If entries are missing or not finite, or an older mfcli wrote the file.

        Raises
        ------
        ArtifactError
            If the file is missing, damaged, of a newer format or not a history.
        """
        path = path_of(path, "path")
        value = read_json(path, remedy="train again", finite=False)
        if value.get("format") == _UNSEALED:
            warn(f"has format {_UNSEALED} of an older mfcli; its digest is not checked", place=path)
            value = {name: value[name] for name in _LISTS if name in value}
        if "format" not in value:
            return cls(keras_lists(path, value))
        values = record_values(to_record(path, value, HistoryRecord, remedy="train again"))
        lists = {n: values[n] for n in _LISTS if values.get(n) is not None}
        return replace(cls.checked(path, lists), ranked_users=values.get("ranked_users"))

    @classmethod
    def checked(cls, path: Path, lists: Mapping[str, Any]) -> History:
        """Return a history of lists that were read from a file.

        Raises
        ------
        ArtifactError
            If there is no list `loss`, or the lists do not have the same number of finite numbers.
        """
        length = len(lists["loss"]) if isinstance(lists.get("loss"), list) else 0
        if not length:
            raise ArtifactError("is not a training history: it has no list 'loss'", place=path)
        check_length(path, length)
        for name, entries in lists.items():
            if not _is_series(entries, length):
                rule = f"{name!r} must be a list of {length} finite numbers, like 'loss'"
                raise ArtifactError(rule, place=path)
        return cls(dict(lists))


def _is_series(entries: Any, length: int) -> bool:
    return (
        isinstance(entries, list)
        and len(entries) == length
        and all(type(entry) in (int, float) and abs(entry) < HUGE for entry in entries)
    )

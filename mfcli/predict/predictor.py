"""Predicts the ratings of pairs of raw ids."""

from __future__ import annotations

import functools
from collections.abc import Mapping
from threading import Lock
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from mfcli.data import (
    Vocabulary,
    found_as_text,
    plain_integers,
    positions,
    to_arrow,
    to_numpy,
)
from mfcli.model import Model
from mfcli.predict.uncertainty import NOTHING, Uncertainty
from mfcli.types import Floats, Rows

if TYPE_CHECKING:
    from mfcli.data import TextTable
    from mfcli.model import Posterior

_LARGE = 1 << 19  # a vocabulary of more ids is hashed only once
_SPARSE = 16  # most integers for each id of a vocabulary that are looked up in an array


class Predicted(NamedTuple):
    """Predicted ratings of pairs.

    Attributes
    ----------
    columns : mapping of Arrow arrays of float32, length n
        By the names in `Predictor.names`.
    user, item : int32 arrays, shape (n,)
        Rows of the model; -1 for unknown ids.
    """

    columns: Mapping[str, pa.Array]
    user: Rows
    item: Rows


class Predictor:
    """Predicts pairs of raw ids; can be called from several threads at once.

    Parameters
    ----------
    model : Model
    clip : bool
        Whether to clip ratings, and ends of intervals, to the rating scale.
    uncertainty : Uncertainty
        What to add to the ratings; nothing by default.

    Attributes
    ----------
    names : list of str
        Names of the columns: `prediction`, or `score`, and those of the uncertainty.

    Raises
    ------
    UsageError, ArtifactError
        If the model predicts scores, or has no samples, and uncertainty is asked for.
    """

    def __init__(self, model: Model, *, clip: bool, uncertainty: Uncertainty = NOTHING) -> None:
        self.model, self._clip, self._uncertainty = model, clip, uncertainty
        self.names = [model.prediction_name, *uncertainty.names]
        uncertainty.check(model)
        self._posterior = _posterior_of(model) if uncertainty.names else None
        # Built once, for all pieces of a file.
        self._users, self._items = _Finder(model.users), _Finder(model.items)

    def __reduce__(self) -> Any:
        # What is built from the model is built again.
        made = functools.partial(Predictor, clip=self._clip, uncertainty=self._uncertainty)
        return made, (self.model,)

    def __call__(self, user: pa.Array, item: pa.Array) -> Predicted:
        """Predict pairs.

        Parameters
        ----------
        user, item : Arrow arrays of int64 or string, length n
        """
        rows = self._users(user), self._items(item)
        if self._posterior is None:
            return Predicted(self._column(self.model.predict_rows(*rows)), *rows)
        found = self._posterior.ratings(*rows)
        added = self._uncertainty.columns(found, clip=self._clip)
        return Predicted(self._column(found.mean) | added, *rows)

    def _column(self, ratings: Floats) -> dict[str, pa.Array]:
        clipped = self.model.clipped(ratings) if self._clip else ratings
        return {self.model.prediction_name: to_arrow(clipped)}


def _posterior_of(model: Model) -> Posterior:
    # Imported here because it loads the compiler, which predictions alone do not need.
    from mfcli.model import Posterior

    return Posterior(model)


class _Finder:
    """Finds rows as `Vocabulary.rows` does, but repeatedly.

    Integers that are close together are looked up in an array. For other ids, Arrow hashes the
    vocabulary in every call, without Python's lock. That is cheap compared to the other work on a
    piece of a file, unless the vocabulary is large. Then it is hashed once, by compiled code.
    """

    def __init__(self, vocabulary: Vocabulary) -> None:
        self._vocabulary, self._places = vocabulary, _places(vocabulary)
        self._lock = Lock()

    def __call__(self, ids: pa.Array) -> Rows:
        numbers = None if self._places is None else _integers(ids)
        if self._places is not None and numbers is not None:
            # Places before the first and beyond the last number are the last entry, -1.
            return self._places[np.where(numbers < len(self._places), numbers, -1)]
        is_large = len(self._vocabulary) > _LARGE
        if ids.type == self._vocabulary.ids.type and not is_large:
            return positions(ids, self._vocabulary.ids)
        # As text, so that 42 finds "42", as in `Vocabulary.rows`.
        find = self._find_in_table if is_large else self._find
        return found_as_text(ids.cast(pa.string()), find, self._vocabulary)

    def _find(self, texts: pa.Array) -> Rows:
        return positions(texts, self._texts)

    def _find_in_table(self, texts: pa.Array) -> Rows:
        with self._lock:  # of the threads that need it first, one makes it
            table = self._table
        return table.found(texts)

    @functools.cached_property
    def _texts(self) -> pa.Array:
        return self._vocabulary.ids.cast(pa.string())

    @functools.cached_property
    def _table(self) -> TextTable:
        from mfcli.data import TextTable  # loads Numba, which few ids are not worth

        return TextTable(self._texts)


def _integers(ids: pa.Array) -> NDArray[np.int64] | None:
    """Return ids as integers from 0 if all of them are."""
    if ids.type == pa.string():
        return plain_integers(ids)
    numbers = to_numpy(ids)
    return numbers if len(numbers) and numbers.min() >= 0 else None


def _places(vocabulary: Vocabulary) -> Rows | None:
    """Return the row of each integer from 0; -1 for unknown ones and at the end.

    None if the ids are text, or integers that are negative or far apart.
    """
    if vocabulary.ids.type != pa.int64() or not len(vocabulary):
        return None
    numbers = to_numpy(vocabulary.ids)
    if numbers.min() < 0 or numbers.max() > _SPARSE * len(numbers):
        return None
    places = np.full(int(numbers.max()) + 2, -1, np.int32)
    places[numbers] = np.arange(len(numbers), dtype=np.int32)
    return places

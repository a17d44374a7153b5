"""What is predicted for a piece of a file of pairs, on any thread or machine."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, NamedTuple, Protocol

import numpy as np
import pyarrow as pa

from mfcli.data import PairPiece
from mfcli.predict.pair_counts import PairCounts
from mfcli.predict.predictor import Predicted, Predictor


class Format(Protocol):
    """Brings a piece and its predictions into the form that is written.

    Attributes
    ----------
    whole : bool
        Whether it needs all columns of a text.
    """

    @property
    def whole(self) -> bool: ...
    def __call__(self, piece: PairPiece, columns: Mapping[str, pa.Array]) -> Any: ...


@dataclass(frozen=True)
class TextFormat:
    """Appends fields to the lines of a text."""

    whole = False

    def __call__(self, piece: PairPiece, columns: Mapping[str, pa.Array]) -> list[Any]:
        """Return the bytes of the rows, in parts."""
        return piece.as_text(columns)


@dataclass(frozen=True)
class TableFormat:
    """Makes tables of a schema."""

    schema: pa.Schema
    whole = True

    def __call__(self, piece: PairPiece, columns: Mapping[str, pa.Array]) -> pa.Table:
        """Return the rows as a table."""
        return piece.as_table(columns).cast(self.schema)


class FirstPair(NamedTuple):
    """The raw ids of the first pair of a piece, and whether the model knows one of them."""

    ids: tuple[Any, Any]
    is_known: bool


class UnknownId(NamedTuple):
    """The first pair of a piece with an unknown id: its row, and that id."""

    row: int
    role: str
    id: Any


@dataclass(frozen=True)
class PredictedPiece:
    """A piece that is ready to be written.

    Attributes
    ----------
    formatted : object
        As the format returns it.
    counts : PairCounts
    first : FirstPair or None
        None if there is no pair.
    unknown : UnknownId or None
        Of a pair with two unknown ids, the user.
    """

    formatted: Any
    counts: PairCounts
    first: FirstPair | None
    unknown: UnknownId | None

    def __len__(self) -> int:
        return self.counts.pairs


@dataclass(frozen=True)
class PieceWork:
    """Predicts and formats pieces; can be called from several threads at once."""

    predict: Predictor
    format: Format

    def __call__(self, piece: PairPiece) -> PredictedPiece:
        """Predict the pairs of a piece."""
        # Formatting takes time, too, so the threads do it.
        predicted, counts = self.predict(piece.user, piece.item), PairCounts()
        counts.add(self.predict.model, predicted.user, predicted.item)
        return PredictedPiece(
            self.format(piece, predicted.columns),
            counts,
            _first(piece, predicted),
            _unknown(piece, predicted),
        )


def _first(piece: PairPiece, predicted: Predicted) -> FirstPair | None:
    if not len(predicted.user):
        return None
    is_known = bool(predicted.user[0] >= 0 or predicted.item[0] >= 0)
    return FirstPair((piece.user[0].as_py(), piece.item[0].as_py()), is_known)


def _unknown(piece: PairPiece, predicted: Predicted) -> UnknownId | None:
    # The first pair in the order of the file; of its ids, the user.
    is_user = predicted.user < 0
    unknown = is_user | (predicted.item < 0)
    if not unknown.any():
        return None
    row = int(np.argmax(unknown))
    role = "user" if is_user[row] else "item"
    return UnknownId(row, role, getattr(piece, role)[row].as_py())

"""Rows that are added to the users or the items of a model."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np

from mfcli.data import Vocabulary, united
from mfcli.model.model import Model
from mfcli.model.row_distribution import is_folded_in
from mfcli.types import Floats, Mask, Rows

_MARKS = {"user": "folded_in", "item": "folded_in_items"}


def enlarged(model: Model, side: str, new: Vocabulary) -> tuple[Model, Rows]:
    """Append rows of zeros for the ids that a side lacks, with a count of zero.

    If the ids of one are text and those of the other are integers, all become text.

    Parameters
    ----------
    model : Model
    side : {"user", "item"}
    new : Vocabulary

    Returns
    -------
    model : Model
    rows : int32 array, shape (n,)
        The rows of the ids of `new`. No old row moves.
    """
    old = model.side(side)
    vocabulary, rows = united(old, new)
    added = len(vocabulary) - len(old)
    if not added:
        return model, rows
    counts = np.append(old.counts, np.zeros(added, np.int64))
    changes: dict[str, Any] = {f"{side}s": Vocabulary(vocabulary.ids, counts)}
    for name in (f"{side}_factors", f"{side}_biases"):
        table = model.tables[name]
        changes[name] = np.concatenate([table, np.zeros((added, *table.shape[1:]), np.float32)])
    return replace(model, **changes), rows


def with_folded_in(
    model: Model, side: str, new: Vocabulary, factors: Floats, biases: Floats
) -> Model:
    """Set rows of a side, append those of ids that it lacks, and mark them as folded in.

    Parameters
    ----------
    model : Model
    side : {"user", "item"}
    new : Vocabulary
        The ids of the rows, and their counts.
    factors, biases : float32 arrays, shapes (n, k) and (n,)
    """
    if not len(new):
        return model
    model, rows = enlarged(model, side, new)
    old = model.side(side)
    values = {f"{side}_factors": factors, f"{side}_biases": biases}
    changes: dict[str, Any] = {name: model.tables[name].copy() for name in values}
    for name, table in changes.items():
        table[rows] = values[name]
    counts, mask = old.counts.copy(), is_folded_in(model, side)
    counts[rows], mask[rows] = new.counts, True
    changes |= {f"{side}s": Vocabulary(old.ids, counts), _MARKS[side]: _ranges(mask)}
    return replace(model, **changes)


def _ranges(mask: Mask) -> tuple[tuple[int, int], ...]:
    """Return the start and end of each run of true values."""
    # A run starts and ends where the mask changes: starts and ends alternate.
    edges = np.flatnonzero(np.diff(mask, prepend=False, append=False)).tolist()
    return tuple(zip(edges[::2], edges[1::2], strict=True))

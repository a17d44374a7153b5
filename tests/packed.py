"""Packed ratings for tests of kernels."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from mfcli.training.packing import PADDING
from mfcli.training.sgd.packed_ratings import Form, Packed
from mfcli.training.sgd.rows import WEIGHTED, Records

_MANY = 1 << 17  # rows that need four bytes


def packed_blocks(blocks: Sequence[Records], *, wide: bool = False) -> Packed:
    """Pack the ratings of blocks; all groups begin at place 0, and values are not coded."""
    row, weighted = "<u4" if wide else "<u2", blocks[0].dtype == WEIGHTED
    fields = [("user", row), ("item", row), ("rating", "<f4"), ("weight", "<f4")]
    dtype = np.dtype(fields[: 3 + weighted])
    parts, places = [np.zeros(0, np.uint8)], list[int]()
    for block in blocks:
        places.append(sum(map(len, parts)))
        parts += [block.astype(dtype).view(np.uint8), np.zeros(PADDING, np.uint8)]
    firsts = np.zeros((2, len(blocks)), np.int32)
    form, none = Form.of(_MANY if wide else 1, 4, 4 * weighted), np.empty(0, np.float32)
    return Packed(np.concatenate(parts), np.array(places), firsts, form, none, none)

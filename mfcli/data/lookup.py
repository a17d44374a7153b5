"""Finding the rows of raw ids, and what may have been meant by those that are not there."""

from __future__ import annotations

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from mfcli.data.ratings import Vocabulary
from mfcli.errors import UnknownIdError


def find_rows(vocabulary: Vocabulary, ids: pa.Array, what: str) -> NDArray[np.int32]:
    """Find the rows of raw ids.

    Raises
    ------
    UnknownIdError
        For the first one that is not in the vocabulary; ids that differ from it in case or blanks
        only are suggested.
    """
    rows = vocabulary.rows(ids)
    if (rows < 0).any():
        raise UnknownIdError(unknown_text(vocabulary, ids[int(np.argmax(rows < 0))].as_py(), what))
    return rows


def unknown_text(vocabulary: Vocabulary, unknown: object, what: str) -> str:
    """Say that an id is not in a vocabulary, and which one may have been meant."""
    return (
        f"{what} {unknown!r} is not among the model's {len(vocabulary):,} {what}s"
        f"{_suggestion(vocabulary, str(unknown))}"
    )


def _suggestion(vocabulary: Vocabulary, unknown: str) -> str:
    plain = pc.utf8_lower(pc.utf8_trim_whitespace(vocabulary.ids.cast(pa.string())))
    found = pc.index(plain, unknown.strip().lower()).as_py()
    return f"; did you mean {vocabulary.ids[found].as_py()!r}?" if found >= 0 else ""

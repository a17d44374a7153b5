"""The rows of ids: numbers in the order of their first appearance."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import pyarrow as pa

from mfcli.data.arrow_arrays import to_arrow, to_numpy, to_texts
from mfcli.data.sizes import MANY
from mfcli.types import Rows

if TYPE_CHECKING:
    from mfcli.data.id_tables import IdTable


class Numbering:
    """Numbers the distinct ids of a column, piece by piece, in the order of first appearance."""

    def __init__(self) -> None:
        self._rows: dict[Any, int] = {}
        self._table: IdTable | None = None  # in place of the dictionary, if there are many values
        self._type: pa.DataType | None = None
        self._values, self._many = 0, False

    def numbers(self, ids: pa.Array, share: float = 1.0) -> Rows:
        """Return the row of each id; new ids get the next rows.

        Parameters
        ----------
        ids : Arrow array of int64 or string, or a dictionary of strings, length n
            If types differ between pieces, all ids become text.
        share : float
            About which fraction of all ids has been given, this piece included.

        Returns
        -------
        int32 array, shape (n,)
        """
        self._values += len(ids)
        self._many |= self._values > MANY * (share or 1)
        if not self._many and not pa.types.is_dictionary(ids.type):
            ids = ids.dictionary_encode()  # Python looks up each distinct id once per piece
        if not pa.types.is_dictionary(ids.type):
            return self._found(ids)
        rows: Rows = self._found(ids.dictionary)[to_numpy(ids.indices)]
        return rows

    def _found(self, ids: pa.Array) -> Rows:
        ids = self._alike(ids)
        if self._many and self._table is None:
            self._table = _table_of(self.ids())
        if self._table is not None:
            return self._table.numbers(ids)
        rows = self._rows
        # A new id gets the number of ids so far.
        return np.array([rows.setdefault(raw, len(rows)) for raw in ids.to_pylist()], np.int32)

    def _alike(self, ids: pa.Array) -> pa.Array:
        """Bring new ids and those known to one type: text, if any are text."""
        if self._type is None:
            self._type = ids.type  # of the first piece
        if ids.type != self._type:
            ids = ids.cast(pa.string())
            if self._type != pa.string():
                self._become_text()
        return ids

    def _become_text(self) -> None:
        # All pieces so far had integers; as texts they keep their rows.
        known = self.ids().cast(pa.string())
        self._type = pa.string()
        if self._table is not None:
            self._table = _table_of(known)
        else:
            self._rows = {raw: row for row, raw in enumerate(known.to_pylist())}

    def ids(self) -> pa.Array:
        """Return the ids in the order of their rows, as int64 or string."""
        if self._table is not None:
            return self._table.ids()
        raw = list(self._rows)
        is_text = self._type == pa.string()
        return to_texts(raw) if is_text else to_arrow(np.array(raw, np.int64))


def _table_of(ids: pa.Array) -> IdTable:
    # Imported here because it loads Numba, which takes longer than to number few ids.
    from mfcli.data.id_tables import table_of

    return table_of(ids)

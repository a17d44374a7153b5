"""Texts that a spreadsheet would take for formulas (OWASP, "CSV Injection")."""

from __future__ import annotations

import pyarrow as pa
import pyarrow.compute as pc

_FIRST = ("=", "+", "-", "@", "\t", "\r")
_PATTERN = r"^[=+\-@\t\r]"


def guarded_text(text: str) -> str:
    """Put a quote before a text that begins as a formula does."""
    return f"'{text}" if text.startswith(_FIRST) else text


def guarded(table: pa.Table) -> pa.Table:
    """Put a quote before the texts of a table that begin as formulas do; numbers stay."""
    for place, name in enumerate(table.column_names):
        column = table.column(place)
        if column.type == pa.string():
            quoted = pc.binary_join_element_wise("'", column, "")
            begins = pc.match_substring_regex(column, _PATTERN)
            table = table.set_column(place, name, pc.if_else(begins, quoted, column))
    return table

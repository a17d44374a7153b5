"""Find the line of a row again, for messages.

Readers do not keep line numbers, which would take memory for each rating.
"""

from __future__ import annotations

from collections.abc import Sequence

from mfcli.data.checked_columns import table_columns
from mfcli.data.faults import Fault
from mfcli.data.formats.layout import Layout
from mfcli.data.formats.strict_text import text_line


def place_of(layout: Layout, row: int) -> str:
    """Return the file and line of a row, given its position among the rows without faults."""
    find = text_line if layout.format == "text" else _table_row
    return layout.place(find(layout, row))


def _table_row(layout: Layout, row: int) -> int:
    faulty: list[int] = []

    def on_fault(number: int, fault: Fault, fields: Sequence[str]) -> None:
        faulty.append(number)

    sound = 0
    for columns, _ in table_columns(layout, on_fault):
        sound += len(columns["user"])
        if sound > row:
            break
    number = row + 1
    # Each faulty row at or before the number moves it by one; they are in ascending order.
    for skipped in faulty:
        number += skipped <= number
    return number

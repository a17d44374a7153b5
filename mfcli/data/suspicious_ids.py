"""Warnings about text ids that another program has probably altered."""

from __future__ import annotations

import pyarrow as pa
import pyarrow.compute as pc

from mfcli.errors import warn

_MARK = "\N{ZERO WIDTH NO-BREAK SPACE}"  # the byte order mark, as a character
_ROUNDED = r"^[0-9](\.[0-9]+)?E\+[0-9]+$"
_COMMENTED_OUT = r"^(#|%|//)\s*[0-9]+$"  # words after a mark may be hashtags or titles


def warn_of_ids(place: object, role: str, ids: pa.Array, *, starts_lines: bool) -> None:
    """Warn of ids that are probably not as intended.

    Parameters
    ----------
    place : object
        The files, for messages.
    role : str
        "user" or "item".
    ids : Arrow array of int64 or string
        Distinct.
    starts_lines : bool
        Whether the ids are in the first column of a text.
    """
    if ids.type != pa.string():
        return  # a mark or a space would have made the ids text
    trimmed = pc.ascii_trim_whitespace(ids)
    # Spaces alone are ordinary in names; they matter if two ids become one without them.
    alike = len(ids) - pc.count_distinct(trimmed).as_py()
    _warn(
        place,
        ids.filter(pc.not_equal(ids, trimmed)) if alike else ids[:0],
        f"has {role} ids that differ from others only by spaces around them",
        "remove the spaces if they are the same",
    )
    _warn(
        place,
        ids.filter(pc.starts_with(ids, _MARK)),
        f"has {role} ids that begin with a byte order mark, probably from joined files",
        "remove the mark",
    )
    _warn(
        place,
        ids.filter(pc.match_substring_regex(ids, _ROUNDED)),
        f"has {role} ids that a spreadsheet has rounded, so that different ids became one",
        "export the ids as text, with all digits",
    )
    if starts_lines:
        _warn(
            place,
            ids.filter(pc.match_substring_regex(ids, _COMMENTED_OUT)),
            "has lines after the first row that look like comments, but are read as ratings",
            "remove them if they are comments",
        )


def _warn(place: object, ids: pa.Array, rule: str, remedy: str) -> None:
    if len(ids):
        number = "" if len(ids) == 1 else f" ({len(ids):,} of them)"
        warn(f"{rule}{number}", place=place, value=ids[0].as_py(), remedy=remedy)

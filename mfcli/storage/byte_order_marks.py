"""Byte order marks: first bytes of a text that identify its encoding."""

from __future__ import annotations

import codecs

_MARKS = {  # UTF-32 first, since its mark starts with that of UTF-16
    codecs.BOM_UTF32_LE: "utf-32",
    codecs.BOM_UTF32_BE: "utf-32",
    codecs.BOM_UTF8: "utf-8-sig",
    codecs.BOM_UTF16_LE: "utf-16",
    codecs.BOM_UTF16_BE: "utf-16",
}


def marked_encoding(head: bytes) -> str | None:
    """Return the encoding that a text declares with a byte order mark, if it has one.

    Returns
    -------
    str or None
        A name for `bytes.decode`, which then drops the mark.
    """
    return next((name for mark, name in _MARKS.items() if head.startswith(mark)), None)

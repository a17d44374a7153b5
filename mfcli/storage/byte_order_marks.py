"""Byte order marks: the first bytes of a text that tell its encoding for certain."""

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
    """Return the encoding that the byte order mark at the start of a text tells, if there is one.

    Returns
    -------
    str or None
        A name for `bytes.decode`, which then drops the mark.
    """
    return next((name for mark, name in _MARKS.items() if head.startswith(mark)), None)

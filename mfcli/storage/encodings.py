"""Encodings of text: their names, and the byte order marks that tell them for certain."""

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


def is_text_encoding(name: str) -> bool:
    """Return whether Python knows an encoding of text by this name."""
    try:
        b"".decode(name)
    except (LookupError, ValueError):  # unknown, not of text, or not a name
        return False
    return True

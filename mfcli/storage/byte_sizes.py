"""Numbers of bytes as text, such as 4GB."""

from __future__ import annotations

import re

BYTES_RULE = "a size above 0 such as 4GB or 500MB"
"""What `bytes_of` reads, in words that follow "must be"."""

_UNITS = ("", "k", "m", "g", "t")
_SIZE = re.compile(r"(\d+\.?\d*|\.\d+)\s*([kmgt]?)(i?)b?", re.IGNORECASE)


def bytes_of(size: str) -> int:
    """Return the bytes of a number with a unit.

    Units are B, KB, MB, GB and TB, powers of 1000; KiB, MiB, GiB and TiB are powers of 1024. The
    "B" may be omitted.

    Raises
    ------
    ValueError
        If it is not one, or not above 0.
    """
    found = _SIZE.fullmatch(size.strip())
    if found is None:
        raise ValueError(f"{size!r} is not a size")
    number, unit, binary = found.groups()
    count = int(float(number) * (1024 if binary else 1000) ** _UNITS.index(unit.lower()))
    if count < 1:
        raise ValueError(f"{size!r} is not above 0")
    return count


def exact_size(count: int) -> str:
    """Return the shortest text from which `bytes_of` reads a number of bytes."""
    for unit, size in (("TB", 10**12), ("GB", 10**9), ("MB", 10**6), ("KB", 10**3)):
        if count % size == 0:
            return f"{count // size}{unit}"
    return str(count)


def bytes_text(count: float) -> str:
    """Format a number of bytes, such as 1.5 GB."""
    for unit, size in (("GB", 1e9), ("MB", 1e6), ("kB", 1e3)):
        if count >= size:
            return f"{count / size:.1f} {unit}"
    return f"{count:.0f} bytes"

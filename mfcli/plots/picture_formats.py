"""The formats of picture files; matplotlib is not loaded for them."""

from __future__ import annotations

from pathlib import Path

from mfcli.errors import UsageError

SUFFIXES = (".png", ".svg", ".pdf")


def check_suffix(out: Path) -> None:
    """Check that a picture can be saved under a name.

    Raises
    ------
    UsageError
        If the suffix is not one of `SUFFIXES`.
    """
    if out.suffix.lower() not in SUFFIXES:
        raise UsageError(f"must end in {', '.join(SUFFIXES)}", place=out, value=out.suffix)

"""Errors of the system while a result is written."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from pathlib import Path

from mfcli.errors import ArtifactError
from mfcli.storage.limits import remedy_for


@contextlib.contextmanager
def writing(target: Path) -> Iterator[None]:
    """Convert errors of the system to an `ArtifactError` that names the target."""
    try:
        yield
    except OSError as error:
        # Arrow puts its own words before those of the system: "[Errno 28] No space left ..."
        reason = (error.strerror or str(error)).rpartition("] ")[2]
        rule = f"cannot be written: {reason}"
        remedy = remedy_for(error, "choose another place")
        raise ArtifactError(rule, place=target, remedy=remedy) from error

"""Digests of files, to detect damage."""

from __future__ import annotations

import hashlib
from collections.abc import Collection, Mapping
from pathlib import Path

from mfcli.errors import ArtifactError, Text


def sha256(path: Path) -> str:
    """Return the SHA-256 of a file as 64 hexadecimal digits."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def check_files(
    folder: Path, digests: Mapping[str, str], required: Collection[str], *, remedy: Text
) -> None:
    """Compare the files of a folder with their recorded digests.

    Parameters
    ----------
    folder : Path
    digests : mapping of str
        SHA-256 by file name. Only files directly in the folder are read, whatever the names say.
    required : collection of str
        Files that must be listed.
    remedy : Text
        How to obtain correct files, for the message.

    Raises
    ------
    ArtifactError
        If a required file is not listed, or a listed one is missing or different.
    """
    if not set(required) <= set(digests):
        raise ArtifactError("its record does not list its files", place=folder, remedy=remedy)
    for name, digest in digests.items():
        path = folder / Path(name).name
        try:
            found = sha256(path)
        except OSError as error:
            raise ArtifactError(f"cannot be read: {error.strerror}", place=path) from error
        except ValueError as error:  # no file can have such a name
            rule = f"its record lists a file {name!r}"
            raise ArtifactError(rule, place=folder, remedy=remedy) from error
        if found != digest:
            raise ArtifactError("is damaged (its digest is wrong)", place=path, remedy=remedy)

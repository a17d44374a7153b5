"""Temporary files that do not become results."""

from __future__ import annotations

import contextlib
import os
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import BinaryIO

from mfcli.errors import ArtifactError, Param, Text
from mfcli.storage.inspection import check_not_inspecting
from mfcli.storage.limits import remedy_for
from mfcli.storage.process_resources import current_resources, temporary_folder
from mfcli.storage.temporaries import registered, remove_tree

_OPEN_FILES = Path("/proc/self/fd")  # of Linux: opening an entry opens the file again


@contextlib.contextmanager
def scratch_folder(
    before_removal: Callable[[Path], object] = lambda folder: None,
) -> Iterator[Path]:
    """Yield a folder that exists within the block.

    Parameters
    ----------
    before_removal : callable
        Called with the folder before it is removed, perhaps from another thread and more than once.

    Raises
    ------
    ArtifactError
        If it cannot be created.
    """
    check_not_inspecting("a temporary folder")
    with scratch_errors():
        folder = Path(tempfile.mkdtemp(prefix="mfcli-", dir=temporary_folder()))

    def remove() -> None:
        before_removal(folder)
        remove_tree(folder)

    with registered(folder, remove):
        yield folder


@contextlib.contextmanager
def scratch_file() -> Iterator[tuple[BinaryIO, Path]]:
    """Yield a file to write, and a path at which it can be opened again, within the block.

    On Linux the file has no name, so that nothing remains if this process is killed.

    Raises
    ------
    ArtifactError
        If it cannot be created. Wrap writing and flushing in `scratch_errors`.
    """
    check_not_inspecting("a temporary file")
    with contextlib.ExitStack() as stack:
        if _OPEN_FILES.is_dir():
            with scratch_errors():
                file = stack.enter_context(tempfile.TemporaryFile(dir=temporary_folder()))
            path = _OPEN_FILES / str(file.fileno())
        else:
            path = stack.enter_context(scratch_folder()) / "file"
            with scratch_errors():
                file = stack.enter_context(path.open("w+b"))
        yield file, path


@contextlib.contextmanager
def scratch_errors() -> Iterator[None]:
    """Convert errors of the system to an `ArtifactError` that names the temporary folder."""
    try:
        yield
    except OSError as error:
        rule = f"temporary files cannot be written: {error.strerror}"
        raise ArtifactError(rule, place=_place(), remedy=_remedy(error)) from error


def _remedy(error: OSError) -> Text:
    variable = "TEMP" if os.name == "nt" else "TMPDIR"
    other: Text = (
        ["choose another folder with ", Param("temp")]
        if current_resources().temp
        else f"set {variable} to a folder with free space"
    )
    return remedy_for(error) or other


def _place() -> str | None:
    try:
        return str(temporary_folder())
    except OSError:  # the message of the error lists the folders that were tried
        return None

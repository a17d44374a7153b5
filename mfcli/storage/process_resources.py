"""What this process may use: memory, and a folder for temporary files."""

from __future__ import annotations

import contextlib
import tempfile
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from mfcli.arguments import check_functions, path_of
from mfcli.errors import UsageError
from mfcli.storage.byte_sizes import BYTES_RULE, bytes_of


@dataclass(frozen=True)
class Resources:
    """What `resources` sets.

    Attributes
    ----------
    memory : int, optional
        Bytes of memory that the process may have in use; what the system allows by default.
    temp : Path, optional
        Where temporary files go; the temporary folder of the system by default.
    room : int, optional
        As in `resources`.
    on_space : callable
        As in `resources`.
    """

    memory: int | None = None
    temp: Path | None = None
    room: int | None = None
    on_space: Callable[[int, Path], None] = lambda need, folder: None


_current = [Resources()]  # of the process, not of a thread: memory is shared


def current_resources() -> Resources:
    """Return the resources in force."""
    return _current[-1]


@contextlib.contextmanager
def resources(
    memory: int | str | None = None,
    temp: Path | str | None = None,
    *,
    room: int | None = None,
    on_space: Callable[[int, Path], None] = lambda need, folder: None,
) -> Iterator[None]:
    """Limit the memory of this process while the block runs, and choose where temporary files go.

    Ratings that do not fit are kept in temporary files. Results do not depend on the limit.

    Parameters
    ----------
    memory : int or str, optional
        Bytes, or a size such as "4GB": the most memory that may be in use, Python and its libraries
        included. By default, what the machine and its control groups allow.
    temp : path, optional
        Folder of temporary files; the temporary folder of the system by default.
    room : int, optional
        Bytes of ratings that may be in memory at a time, in place of what `memory` leaves. Small
        values make small data go through files, as in tests.
    on_space : callable, optional
        Called with a number of bytes and a folder before that many are used for temporary files.

    Raises
    ------
    UsageError
        If an argument breaks its rule.

    Examples
    --------
    >>> with resources(memory="4GB", temp="/scratch"):  # doctest: +SKIP
    ...     fitted = fit(read_split("split"))
    """
    check_functions(on_space=on_space)
    folder = None if temp is None else _folder(path_of(temp, "temp"))
    # Names of files must not depend on the working folder, which may change.
    _current.append(Resources(_bytes(memory), folder, room, on_space))
    try:
        yield
    finally:
        _current.pop()


def _folder(path: Path) -> Path:
    if not path.is_dir():
        raise UsageError("must be an existing folder", param="temp", value=str(path))
    return path.absolute()


def _bytes(memory: Any) -> int | None:
    if memory is None:
        return None
    try:
        return bytes_of(str(memory) if isinstance(memory, int) else memory)
    except (ValueError, AttributeError):
        rule = f"must be {BYTES_RULE}"
        raise UsageError(rule, param="memory", value=memory) from None


def temporary_folder() -> Path:
    """Return the folder of temporary files.

    Raises
    ------
    OSError
        If none was chosen and the system has none.
    """
    return current_resources().temp or Path(tempfile.gettempdir())


def is_limited() -> bool:
    """Return whether memory is limited, so that mapped pages should be released."""
    return current_resources().memory is not None or current_resources().room is not None

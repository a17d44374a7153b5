"""Options whose value is a local path or an address in an object store.

A command gets a local path in either case: that of a local copy for an address.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager, ExitStack, contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple, TypeAlias

from mfcli import model as models, splits, storage
from mfcli.errors import UsageError

if TYPE_CHECKING:
    from mfcli.types import Progress

_COLLAPSED = re.compile("[A-Za-z][A-Za-z0-9+.-]+:/")  # how `Path` spells the start of an address

Bar: TypeAlias = "Callable[[str], AbstractContextManager[Progress]]"


Copy: TypeAlias = "Callable[[str, Mapping[str, Any], Progress], AbstractContextManager[Path]]"
"""Given an address, the values of all options and what shows progress, yields a local copy."""


class Place(NamedTuple):
    """Marks an option whose value may be an address."""

    copy: Copy


def _split_copy(
    address: str, values: Mapping[str, Any], on_progress: Progress
) -> AbstractContextManager[Path]:
    return splits.split_folder(address, on_progress=on_progress)


def _model_copy(
    address: str, values: Mapping[str, Any], on_progress: Progress
) -> AbstractContextManager[Path]:
    return models.model_copy(address, on_progress=on_progress)


def _run_copy(
    address: str, values: Mapping[str, Any], on_progress: Progress
) -> AbstractContextManager[Path]:
    """Copy what a training needs of the older run: records and, to resume, the checkpoint."""
    resumes = bool(values.get("resume"))

    def wanted(name: str) -> bool:
        return name.endswith(".json") or (resumes and models.is_of_checkpoint(name))

    return storage.local_copy(address, wanted, writes=True, on_progress=on_progress)


@contextmanager
def _file_copy(address: str, values: Mapping[str, Any], on_progress: Progress) -> Iterator[Path]:
    """Yield the path of a file to write."""
    home, name = storage.parent_and_name(address)
    if not name:
        raise UsageError("must name a file", place=storage.without_options(address))
    with storage.local_copy(home, None, writes=True) as folder:
        yield folder / name


SPLIT, MODEL, RUN, FILE = map(Place, (_split_copy, _model_copy, _run_copy, _file_copy))


def as_paths(values: dict[str, Any], places: Mapping[str, Place]) -> None:
    """Convert the texts of options to paths, except addresses.

    Raises
    ------
    UsageError
        If an option has an address but takes only paths.
    """
    for name, value in values.items():
        if name in places and value is not None:
            values[name] = storage.as_local(value) or value
        elif isinstance(value, Path) and _COLLAPSED.match(str(value)) and not value.exists():
            rule = "must be a local path, not an address in an object store"
            raise UsageError(rule, param=name, value=str(value).replace(":/", "://", 1))


def copy_addresses(
    values: dict[str, Any], places: Mapping[str, Place], bar: Bar, stack: ExitStack
) -> None:
    """Replace addresses by the paths of local copies, which exist until `stack` ends.

    Parameters
    ----------
    values : dict
        The values of options by name, changed in place.
    places : mapping
        The options that may be addresses.
    bar : callable
        Shows the progress of work on bytes, given its name.
    stack : ExitStack

    Raises
    ------
    ArtifactError
        If a store cannot be read, or results cannot be written there.
    """
    found = {name: values[name] for name in places if isinstance(values[name], str)}
    if not found:
        return
    if values.get("dry_run"):  # a copy would be a temporary folder
        raise UsageError("--dry-run takes local paths, not addresses in an object store")
    stack.enter_context(storage.resources(temp=values.get("temp")))
    for name, address in found.items():
        with bar(f"fetching {storage.without_options(address)}") as on_progress:
            values[name] = stack.enter_context(places[name].copy(address, values, on_progress))

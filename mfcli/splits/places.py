"""Splits at a path or an address in an object store."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from mfcli.arguments import is_address
from mfcli.splits.folder import SPLIT_RECORD, split_hash
from mfcli.storage import local_copy, parent_and_name
from mfcli.types import Progress

_FOLD = re.compile("fold-[0-9]+")


@contextmanager
def split_folder(
    place: str,
    wanted: Callable[[str], bool] = lambda name: True,
    *,
    on_progress: Progress = lambda done, total: None,
) -> Iterator[Path]:
    """Yield the folder of a split: a path itself, or a local copy of what is at an address.

    With a fold, its k-fold split is copied, which has the ratings.

    Parameters
    ----------
    place : str
    wanted : callable, optional
        Given the name of a file of the split, tells whether it is copied.
    on_progress : callable, optional
        Called with the number of bytes that have been copied, and of all.

    Raises
    ------
    ArtifactError
        If the address is not valid, or the store cannot be read.
    """
    if not is_address(place):
        yield Path(place)
        return
    home, name = parent_and_name(place)
    is_fold = bool(_FOLD.fullmatch(name))
    with local_copy(home if is_fold else place, wanted, on_progress=on_progress) as folder:
        yield folder / name if is_fold else folder


def hash_at(place: str) -> str:
    """Return the hash of a split, or of a fold, at a path or an address, without its ratings.

    Raises
    ------
    ArtifactError
        If there is no split, its record is damaged, or it cannot be read.
    """
    with split_folder(place, lambda name: name.rpartition("/")[2] == SPLIT_RECORD) as folder:
        return split_hash(folder)

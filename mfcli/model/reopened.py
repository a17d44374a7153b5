"""Models and splits, read by the processes of a cluster from where the driver read them."""

from __future__ import annotations

import functools
from typing import Any

from mfcli.errors import ArtifactError
from mfcli.model.folder import StoredModel
from mfcli.model.places import model_copy
from mfcli.model.run_folders import MODEL_RECORD
from mfcli.splits import read_split, split_folder
from mfcli.storage import Origin, sha256, without_options

_KEPT = 2  # a split and a model


def reopened(origin: Origin) -> Any:
    """Return an object that another process has read; each folder is read once.

    Raises
    ------
    ArtifactError
        If this machine does not have the folder, it is damaged, or it was replaced.
    """
    return functools.reduce(getattr, origin.path, _read(origin._replace(path=())))


@functools.lru_cache(_KEPT)
def _read(origin: Origin) -> Any:
    """Read a model or a split, with the parts in train that it had.

    Its files stay mapped into memory after a local copy of them is removed.
    """
    is_model = issubclass(origin.kind, StoredModel)
    with (model_copy if is_model else split_folder)(origin.address) as place:
        if not place.exists():
            raise ArtifactError(
                "cannot be read by all nodes of the cluster",
                place=without_options(origin.address),
                remedy="use a folder that all nodes share, or an object store such as s3://bucket",
            )
        if is_model:
            model = origin.kind.load(place)
            _check_same(origin, sha256(place / MODEL_RECORD))
            return model
        split = read_split(place)
        _check_same(origin, split.hash)
        return split.union(*origin.parts)


def _check_same(origin: Origin, digest: str) -> None:
    if digest != origin.digest:
        rule = "was replaced while it was in use"
        place = without_options(origin.address)
        raise ArtifactError(rule, place=place, remedy="run the command again")

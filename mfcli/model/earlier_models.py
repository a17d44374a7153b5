"""Models that were trained on an earlier split."""

from __future__ import annotations

from collections.abc import Collection
from pathlib import Path

from mfcli.errors import ArtifactError
from mfcli.model.folder import read_model_record
from mfcli.model.run_folders import MODEL_FOLDER, MODEL_RECORD

_PLACES = (
    f"*/{MODEL_RECORD}",
    f"*/{MODEL_FOLDER}/{MODEL_RECORD}",
    f"*/*/{MODEL_FOLDER}/{MODEL_RECORD}",
    f"*/*/fold-*/{MODEL_FOLDER}/{MODEL_RECORD}",
)
"""As the commands write them: model, fold-1/model, runs/a/model, runs/a/fold-1/model."""


def models_trained_on(hashes: Collection[str], folder: Path) -> list[Path]:
    """Find the models in a folder, and in the runs in it, that were trained on one of some splits.

    Parameters
    ----------
    hashes : collection of str
        Of the splits.
    folder : Path

    Returns
    -------
    list of Path
        Model folders. Damaged ones are left out.
    """
    found = [record.parent for place in _PLACES for record in sorted(folder.glob(place))]
    return [path for path in dict.fromkeys(found) if _split_of(path) in hashes]


def _split_of(folder: Path) -> str | None:
    try:
        return read_model_record(folder).split
    except ArtifactError:
        return None

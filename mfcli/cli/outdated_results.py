"""Notes about results that no longer belong together, because a command has replaced one."""

from __future__ import annotations

from collections.abc import Collection, Iterable
from pathlib import Path

from mfcli import evaluation, model as models
from mfcli.cli.formatting import listed
from mfcli.cli.screen import Screen
from mfcli.errors import ArtifactError


def note_older_models(hashes: Collection[str], split: Path, screen: Screen) -> None:
    """Name the models that were trained on the splits with some hashes, which are gone.

    They are looked for in the working folder and beside the split.
    """
    if not hashes:
        return
    places = (Path(), split.parent)
    found = [model for place in places for model in models.models_trained_on(hashes, place)]
    # Both places may contain a model.
    found = list({model.resolve(): model for model in found}.values())
    if found:
        were = "was" if len(found) == 1 else "were"
        screen.note(f"{listed(found)} {were} trained on the split that was replaced; train again")


def weights_of(folders: Iterable[Path]) -> list[str]:
    """Return the digests of the weights of the models in some folders of runs."""
    found = []
    for folder in folders:
        try:
            found.append(models.read_model_record(folder / models.MODEL_FOLDER).weights)
        except ArtifactError:
            continue
    return found


def note_older_metrics(run: Path, screen: Screen) -> None:
    """Name the metrics in the folder of a run, whose models have been replaced."""
    found = evaluation.metrics_in(run)
    if found:
        were = "was" if len(found) == 1 else "were"
        screen.note(f"{listed(found)} {were} measured with another model; evaluate again")

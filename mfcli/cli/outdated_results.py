"""Notes about results that no longer belong together, because a command has replaced one."""

from __future__ import annotations

from collections.abc import Collection, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from mfcli import evaluation, model as models
from mfcli.cli.formatting import listed
from mfcli.cli.screen import Screen
from mfcli.errors import ArtifactError


def note_older_models(
    hashes: Collection[str], split: Path, screen: Screen, remedy: str = "train again"
) -> None:
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
        screen.note(f"{listed(found)} {were} trained on the split that was replaced; {remedy}")


@contextmanager
def older_metrics_noted(
    run: Path, folders: Collection[Path], screen: Screen, *, refit: bool = False
) -> Iterator[None]:
    """Name the metrics of a run if the block replaces a model that they may be measured with.

    Parameters
    ----------
    run : Path
    folders : collection of Path
        The run, or its folds.
    screen : Screen
    refit : bool
        Whether the new model cannot be measured on the parts of the split.
    """
    before = _weights(folders)
    try:
        yield
    finally:  # a training that diverges may write a model, too
        found = evaluation.metrics_in(run)
        if found and before and before != _weights(folders):
            were = "was" if len(found) == 1 else "were"
            other = "the model before the refit" if refit else "another model; evaluate again"
            screen.note(f"{listed(found)} {were} measured with {other}")


def _weights(folders: Collection[Path]) -> list[str]:
    """Return the digests of the weights of the models in folders; damaged ones are left out."""
    found = []
    for folder in folders:
        with suppress(ArtifactError):
            found.append(models.read_model_record(folder / models.MODEL_FOLDER).weights)
    return found

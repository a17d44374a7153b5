"""Examples of recommendations and of similar items."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from mfcli.errors import ArtifactError, Param
from mfcli.model import Model, check_same_split
from mfcli.reports.blocks import Block, Heading, Missing, Paragraph, Section
from mfcli.reports.examples import Names, TitleFile, similar_examples, user_examples
from mfcli.reports.runs import Run
from mfcli.reports.split_data import SplitData
from mfcli.spelling import command, spelled
from mfcli.types import Progress

_LEAD = (
    "What the models do, for a few users: what they rated highest in training, and what is"
    " recommended to them. Items that a user has rated in any part of the split are left out."
)
_SIMILAR = "Items whose factors point in the same direction; a cosine of 1 is the same direction."


def examples_section(
    runs: Sequence[Run],
    split: SplitData | None,
    titles: TitleFile | None,
    users: Sequence[str],
    on_progress: Progress,
) -> Section:
    """List examples of the runs whose models belong to the split.

    Raises
    ------
    ArtifactError
        If a model is damaged.
    DataError
        If the titles cannot be read.
    UnknownIdError
        If a user is unknown.
    """
    blocks, models = _models(runs, split)
    if models:
        columns = next(iter(models.values())).columns
        names = Names(titles, columns)
        blocks.append(Heading("Recommendations"))
        if split:
            blocks += user_examples(models, split.first, names, users, on_progress)
        else:
            text = "Recommendations to users need the split, which tells what they have rated."
            blocks.append(Missing(text, command("split", ["data.csv"])))
        blocks += [Heading("Similar items"), Paragraph(_SIMILAR), *similar_examples(models, names)]
        names.warn()
        if titles is None:
            text = "Items have no titles; name a file that has them."
            blocks.append(Missing(text, command("report", [Param("titles", "items.csv")])))
    return Section("examples", "Examples", _LEAD, blocks)


def _models(runs: Sequence[Run], split: SplitData | None) -> tuple[list[Block], dict[str, Model]]:
    """Load the models that belong to the split; of folds, the first one."""
    blocks: list[Block] = []
    models: dict[str, Model] = {}
    for run in runs:
        if run.model is None:
            text = f"{run.name} has no model."
            blocks.append(Missing(text, command("train", run.places("out"))))
            continue
        model = Model.load(run.model.folder)
        try:
            if split:
                place = split.place or Path("split")
                check_same_split(model, split.first, run.model.folder, place, ["name its split"])
            models[run.name] = model
        except ArtifactError as error:
            blocks.append(Missing(error.phrase(spelled)))
    return blocks, models

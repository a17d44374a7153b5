"""How the ratings were divided, and what was dropped."""

from __future__ import annotations

from collections.abc import Sequence

from mfcli.config import value_text
from mfcli.data import IMPLICIT
from mfcli.reports.blocks import Block, Facts, Missing, Notice, Row, Section, Table
from mfcli.reports.runs import Run
from mfcli.reports.split_data import SplitData
from mfcli.splits import Folds

_LEAD = (
    "Which ratings train the model, and which are held out to measure it. A model is measured only"
    " on ratings that it has not seen."
)
_STRATEGIES = {
    "random": "random ratings are held out",
    "per-user": "random ratings of each user are held out",
    "leave-last-out": "the last rating of each user is held out",
    "temporal": "the latest ratings are held out",
    "cold-user": "all ratings of some users are held out",
    "k-fold": "each fold is held out once, from a model trained on the others",
    "given": "the parts were given, as those of a published split",
}
_SETTINGS = {
    "test": "test fraction",
    "valid": "validation fraction",
    "cut": "from this date on",
    "folds": "folds",
    "min_user": "fewest ratings of a user",
    "min_item": "fewest ratings of an item",
    "seed": "random seed",
}
_USES = {
    "train": "trains the model",
    "valid": "chooses settings and the number of epochs",
    "test": "measures the final model",
}


def split_section(split: SplitData | None, runs: Sequence[Run]) -> Section:
    """Describe the split; None stands for a missing one."""
    if split is None:
        text = "There is no split beside the runs or in the working folder."
        blocks: list[Block] = [Missing(text, "mfcli split data.csv")]
    else:
        blocks = [
            Facts(_facts(split)),
            _parts(split, runs),
            *_notices(split, runs),
            *_updates(split),
        ]
    return Section("split", "Split", _LEAD, blocks)


def _facts(split: SplitData) -> list[tuple[str, str]]:
    strategy, source = split.strategy, split.source
    name = str(strategy["name"])
    about = _STRATEGIES.get(name)
    rows = [("strategy", f"{name}: {about}" if about else name)]
    rows += [
        (label, value_text(strategy[key]))
        for key, label in _SETTINGS.items()
        if strategy.get(key) is not None
    ]
    if source:
        rows += [("source", source.name), ("format", source.format)]
        rows.append(("rows read", f"{source.rows:,}"))
        if source.duplicates:
            rows.append(("repeated rows, merged", f"{source.duplicates:,}"))
        rows += [(f"rows skipped: {kind}", f"{n:,}") for kind, n in source.rejected.items()]
    rows += [(f"{side} dropped", f"{n:,}") for side, n in (strategy.get("removed") or {}).items()]
    return rows


def _parts(split: SplitData, runs: Sequence[Run]) -> Table:
    total, unseen = sum(split.parts.values()), split.unseen
    noun = "interactions" if split.feedback == IMPLICIT else "ratings"
    if isinstance(split.given, Folds):
        rows = [Row(name, [f"{n:,}", f"{n / total:.1%}"]) for name, n in split.parts.items()]
        return Table("Sizes of the folds", ["fold", noun, "share"], rows)
    rows = [
        Row(name, [f"{n:,}", f"{n / total:.1%}", f"{unseen[name]:,}" if name in unseen else "-"],
            note=_use(name, runs))
        for name, n in split.parts.items()
    ]  # fmt: skip
    columns = ["part", noun, "share", "user or item not in train"]
    return Table("Sizes of the parts", columns, rows)


def _use(part: str, runs: Sequence[Run]) -> str:
    """Say what a part is for; a refit trains on the held-out parts, too."""
    also = [run.name for run in runs if run.model and part in run.model.parts]
    if part == "train" or not also:
        return _USES[part]
    if len(also) < len(runs):
        return f"{_USES[part]}, and trains {', '.join(also)}"
    return "trains the model, too" if len(runs) == 1 else "trains the models, too"


def _notices(split: SplitData, runs: Sequence[Run]) -> list[Block]:
    found: list[Block] = [
        Notice(f"{run.name} was trained on another split ({run.split_hash[:12]}) than this one.")
        for run in runs
        if run.split_hash and split.hashes and run.split_hash not in split.hashes
    ]
    if not split.has_test:
        found.append(Notice("No ratings are held out for testing."))
    return found


def _updates(split: SplitData) -> list[Block]:
    if not split.updates:
        return []
    rows = [
        Row(f"update {number}", [
            ", ".join(file.name for file in one.files) or "-", f"{one.new:,}", f"{one.changed:,}",
            f"{one.users:,}", f"{one.items:,}", f"{one.removed_users:,}",
        ])
        for number, one in enumerate(split.updates, start=1)
    ]  # fmt: skip
    columns = ["", "files", "new", "rated again", "new users", "new items", "users removed"]
    return [Table("Updates since the split was made", columns, rows, texts=[0])]

"""How the training of each run went: errors or rankings by epoch, and times."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from mfcli.config import Config
from mfcli.evaluation import MEASURES, RANKING, measures_of
from mfcli.pages import Axis, Chart, Line, line_chart
from mfcli.reports.blocks import Block, Figures, Missing, Notice, Row, Section, Table
from mfcli.reports.runs import Run
from mfcli.reports.split_data import SplitData
from mfcli.spelling import command
from mfcli.training import MSE_NAMES, BestEpoch, History

_LEAD = (
    "How well the model did after each pass over the training ratings (epoch). The curve of the"
    " validation ratings matters most: if it gets worse while that of the training ratings gets"
    " better, the model memorizes (overfitting)."
)
_ON_TEST = (
    "Validation used the test ratings, because the split has no validation ratings. If settings or"
    " the number of epochs were chosen by these curves, the measures on test ratings are too good."
)
_VALIDATION = "val_"


@dataclass(frozen=True)
class _Curves:
    """The history of a run or a fold, and its color in all charts; no label if it is alone."""

    name: str
    label: str
    history: History
    config: Config | None
    predicts: str
    color: int

    @property
    def has_errors(self) -> bool:
        """Whether its mean squared errors are those of ratings."""
        return self.predicts == "ratings" and bool(self.history.series(MSE_NAMES))

    def values(self, names: tuple[str, ...], prefix: str, root: bool) -> list[float] | None:
        found = self.history.series(names, prefix)
        # Other programs may write an error of -0.0, or slightly below 0.
        return [math.sqrt(max(v, 0.0)) for v in found] if found and root else found

    @property
    def best(self) -> int | None:
        """The epoch with the best validation, as early stopping counts it; None without any."""
        if self.config is None or not self.history.series(("loss",), _VALIDATION):
            return None
        if not {"mse", "seconds", "val_mse"} <= self.history.lists.keys():
            return None  # a history of another program
        best = BestEpoch(self.config)
        for epoch in self.history.epochs():
            best.offer(epoch)
        return best.epoch or None


def training_section(runs: Sequence[Run], split: SplitData | None) -> Section:
    """Show the histories of all runs in the same charts."""
    curves = list(_curves(runs))
    blocks: list[Block] = [_missing(run) for run in runs if not run.histories]
    if split and any(_is_validated_on_test(run, split) for run in runs):
        blocks.append(Notice(_ON_TEST))
    if curves:
        blocks += [Figures(list(_charts(curves))), _table(curves)]
    return Section("training", "Training", _LEAD, blocks)


def _is_validated_on_test(run: Run, split: SplitData) -> bool:
    """Return whether a run followed the test ratings of the split, for want of others."""
    is_validated = any(one.series(("loss",), _VALIDATION) for one in run.histories.values())
    return is_validated and run.split_hash in split.hashes and not split.has_valid


def _missing(run: Run) -> Missing:
    text = f"{run.name} has no history.json, which holds the training curves; train it again."
    return Missing(text, command("train", run.places("out")))


def _curves(runs: Sequence[Run]) -> Iterator[_Curves]:
    number, alone = 0, len(runs) == 1 and len(runs[0].histories) == 1
    for run in runs:
        for fold, history in run.histories.items():
            names = [run.name] if len(runs) > 1 or not fold else []
            name = " ".join([*names, *([fold] if fold else [])])
            yield _Curves(name, "" if alone else name, history, run.config, run.predicts, number)
            number += 1


def _charts(curves: Sequence[_Curves]) -> Iterator[Chart]:
    errors = [one for one in curves if one.has_errors]
    if errors:
        unit = MEASURES["rmse"].unit
        yield _chart("RMSE by epoch", errors, MSE_NAMES, f"RMSE ({unit})", root=True)
    for name, measure in measures_of(RANKING).items():
        ranked = [one for one in curves if one.history.series((name,), _VALIDATION)]
        if ranked:
            yield _chart(f"{measure.label} by epoch", ranked, (name,), measure.label)
    others = [one for one in curves if not one.has_errors]
    if others:
        yield _chart("Loss by epoch", others, ("loss",), "Loss")
    if len(errors) > 1 and all(one.history.lists.get("seconds") for one in errors):
        yield _time_chart(errors)


def _chart(
    title: str, curves: Sequence[_Curves], names: tuple[str, ...], label: str, *, root: bool = False
) -> Chart:
    lines: list[Line] = []
    for one in curves:
        epochs = list(range(1, len(one.history) + 1))
        several, prefix = len(curves) > 1, f"{one.label}, " if one.label else ""
        training = one.values(names, "", root)
        validation = one.values(names, _VALIDATION, root)
        # Beside the validation of several runs, curves of training would be too many.
        if training and not (several and validation):
            name = one.name if several else f"{prefix}training"
            lines.append(Line(name, epochs, training, dashed=True, color=one.color))
        if validation:
            name = one.name if several else f"{prefix}validation"
            lines.append(Line(name, epochs, validation, color=one.color))
            if one.best:
                at = one.best - 1
                point = Line(
                    f"{prefix}best epoch", [one.best], [validation[at]], marks=True, color=one.color
                )
                lines.append(point)
    return line_chart(title, lines, Axis("Epoch"), Axis(label), column="epoch")


def _time_chart(curves: Sequence[_Curves]) -> Chart:
    lines = []
    for one in curves:
        values = one.values(MSE_NAMES, _VALIDATION, True) or one.values(MSE_NAMES, "", True)
        assert values  # it has errors
        lines.append(Line(one.name, _summed(one.history.lists["seconds"]), values, color=one.color))
    return line_chart(
        "RMSE by training time",
        lines,
        Axis("Training time (seconds)", log=True),
        Axis("RMSE"),
        note="Which training is better after the same time; times depend on the machine,"
        " and the first epoch may include the compilation of the program.",
        column="seconds",
    )


def _summed(times: Sequence[float]) -> list[float]:
    total, sums = 0.0, []
    for time in times:
        total += time
        sums.append(total)
    return sums


def _table(curves: Sequence[_Curves]) -> Table:
    columns = [
        "",
        "epochs",
        "best epoch",
        "best value",
        "last value",
        "measure",
        "time",
        "median epoch",
    ]
    return Table("Trainings", columns, list(map(_row, curves)), texts=[4])


def _row(one: _Curves) -> Row:
    label, values = _followed(one)
    best = one.best
    text = MEASURES["rmse"].text
    return Row(
        one.name,
        [
            f"{len(one.history):,}",
            f"{best:,}" if best else "-",
            text(values[best - 1]) if best else "-",
            text(values[-1]) if math.isfinite(values[-1]) else "-",
            label,
            *_times(one.history),
        ],
    )


def _followed(one: _Curves) -> tuple[str, list[float]]:
    """Return the measure that tells how the training went, and its values."""
    for name, measure in measures_of(RANKING).items():
        if ranked := one.values((name,), _VALIDATION, False):
            return f"validation {measure.label}", ranked
    for prefix, part in ((_VALIDATION, "validation"), ("", "training")):
        if one.has_errors and (errors := one.values(MSE_NAMES, prefix, True)):
            return f"{part} RMSE", errors
        if losses := one.values(("loss",), prefix, False):
            return f"{part} loss", losses
    return "training loss", one.history.lists["loss"]


def _times(history: History) -> tuple[str, str]:
    times = history.lists.get("seconds")
    if not times:
        return "-", "-"
    total, middle = math.fsum(times), sorted(times)[len(times) // 2]
    return f"{total:,.3g} s", f"{middle:,.3g} s"

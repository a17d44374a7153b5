"""`mfcli evaluate`."""

from __future__ import annotations

import functools
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from mfcli import data, evaluation, model as models, splits, storage
from mfcli.cli.cluster_options import on_cluster
from mfcli.cli.options import FILES, Given, SettingsGroup
from mfcli.cli.places import FILE
from mfcli.cli.reading_options import ReadingOptions
from mfcli.cli.resource_options import within_limits
from mfcli.cli.screen import Screen, ScreenOptions
from mfcli.cli.setting_options import Settings
from mfcli.cli.shared_options import ModelFolder, SplitFolder, Threads, refuse, refuse_clip
from mfcli.config import EVALUATION
from mfcli.errors import Param, UsageError

if TYPE_CHECKING:
    from mfcli.evaluation import FoldMetrics, Metrics

_PANEL = "Evaluation"


@within_limits()
@on_cluster()
def evaluate(
    *,
    on: Annotated[
        str,
        typer.Option(
            metavar="PART|FILE",
            help="Ratings to evaluate on: test, valid, train or a file.",
            rich_help_panel=_PANEL,
        ),
    ] = "test",
    ranking: Annotated[
        bool,
        typer.Option(
            "--ranking",
            help="Evaluate rankings of items too; models that predict scores have nothing else.",
            rich_help_panel=_PANEL,
        ),
    ] = False,
    settings: Annotated[Settings, SettingsGroup(EVALUATION)],
    any_split: Annotated[
        bool,
        typer.Option(
            "--any-split",
            help="Evaluate even if the model was trained on another split.",
            rich_help_panel=_PANEL,
        ),
    ] = False,
    reading: ReadingOptions,
    given: Given,
    screen: ScreenOptions,
    threads: Threads = None,
    split: SplitFolder = Path("split"),
    model: ModelFolder = Path("model"),
    out: Annotated[
        Path | None,
        typer.Option(
            "--out",
            metavar="FILE",
            help="Metrics file to write.",
            show_default="metrics.json next to the model; metrics-valid.json with --on valid",
            rich_help_panel=FILES,
        ),
        FILE,
    ] = None,
) -> None:
    """Evaluate a model, with confidence intervals, against simple baselines.

    With a k-fold split, each model is evaluated on its own fold.
    """
    _check_on(on)
    folds = splits.folds_of(split)
    run, folders = models.models_of_run(model, [fold.name for fold in folds])
    # Checked first: ranking all items for many users can take minutes.
    target = out or run / evaluation.metrics_name(on)
    storage.check_writable_file(target, evaluation.Metrics, evaluation.FoldMetrics)

    # Read once, even for several folds: standard input cannot be read again.
    read = functools.cache(lambda feedback: reading.like(feedback).read([on], screen))

    def measure(split: Path, folder: Path, fold: str) -> Metrics:
        parts, model = splits.read_split(split), models.Model.load(folder)
        if not any_split:
            anyway = ("use ", Param("any_split", True), " to evaluate anyway")
            models.check_same_split(model, parts, folder, split, anyway)
        if not ranking and not evaluation.ranks_only(model, parts):
            remedy = "omit it, or add --ranking"
            refuse(given, evaluation.RANKING_SETTINGS, "without --ranking", remedy)
        if parts.feedback == data.IMPLICIT:  # all held-out items are relevant; there are no errors
            refuse(given, ("relevant", "clip"), "for implicit feedback", "omit it")
        refuse_clip(given, model)
        # Read after the checks above, because a large file takes long.
        ratings = on if on in splits.PARTS else read(parts.feedback)
        with screen.stages(fold) as on_progress:
            return evaluation.evaluate(
                model,
                parts,
                settings.config,
                on=ratings,
                ranking=ranking,
                threads=threads,
                on_progress=on_progress,
            )

    names = [f"fold {number}/{len(folds)}: " for number in range(1, len(folds) + 1)] or [""]
    metrics = [measure(*one) for one in zip(folds or [split], folders, names, strict=True)]
    if folds:
        _write(evaluation.FoldMetrics.of(metrics), target, screen)
    else:
        _write(metrics[0], target, screen)


def _write(metrics: Metrics | FoldMetrics, target: Path, screen: Screen) -> None:
    """Write metrics to a file, and print them."""
    # Imported here, so that help does not load the tables.
    from mfcli.cli.metrics_tables import print_fold_metrics, print_metrics

    metrics.write(target)
    if isinstance(metrics, evaluation.FoldMetrics):
        screen.show(metrics.as_dict(), lambda: print_fold_metrics(metrics, target))
    else:
        screen.show(metrics.as_dict(), lambda: print_metrics(metrics, target))


def _check_on(on: str) -> None:
    """Refuse what is neither a part nor a file, such as "validation"."""
    if on not in (*splits.PARTS, "-") and not Path(on).suffix and not Path(on).exists():
        raise UsageError("must be test, valid, train or a file of ratings", param="on", value=on)

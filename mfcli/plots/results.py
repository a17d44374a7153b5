"""Pictures of any result: trainings, metrics or a search."""

from __future__ import annotations

import os
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any, TypeAlias

from mfcli.arguments import check_type, path_of
from mfcli.errors import Param, UsageError
from mfcli.evaluation import (
    METRICS_FILE,
    CrossValidation,
    FoldMetrics,
    Metrics,
    is_metrics,
    read_metrics,
    run_names,
)
from mfcli.plots.canvas import DPI, Size
from mfcli.plots.comparison import plot_comparison
from mfcli.plots.histories import plot_histories
from mfcli.plots.logs import with_trainings
from mfcli.plots.metrics import plot_metrics
from mfcli.plots.picture_formats import check_suffix
from mfcli.plots.search import plot_search
from mfcli.search import Tuned
from mfcli.training import HISTORY_FILE, Fit, History, ValidationMeasure

Result: TypeAlias = Fit | History | Metrics | Tuned | str | os.PathLike[str]
"""What `plot` draws; a path is that of a run folder, a history or metrics."""

Results: TypeAlias = Result | Mapping[str, Result] | Iterable[Result]


def plot(
    results: Results,
    out: str | os.PathLike[str] | None = None,
    *,
    rmse: bool = False,
    seconds: bool = False,
    title: str = "",
    size: tuple[float, float] | None = None,
    dpi: int = DPI,
) -> Path:
    """Draw training histories, the errors of models by groups of ratings, or a search.

    Parameters
    ----------
    results : result of `fit`, `evaluate` or `tune`, or path; or several trainings or metrics
        A mapping gives the name of each. A path is that of a run folder, which stands for its
        history, of a history, also one of Keras, of metrics, or of a log of events, which may hold
        several trainings.
    out : path, optional
        PNG, SVG or PDF by its suffix; by default `history.png`, `metrics.png` or `search.png` in
        the working folder. An older file is replaced atomically.
    rmse : bool
        Draw RMSE instead of MSE (histories).
    seconds : bool
        Draw the validation error against time instead of epochs (histories).
    title : str
    size : tuple of float, optional
        Width and height in inches; chosen for what is drawn by default.
    dpi : int
        Pixels per inch of a PNG file.

    Returns
    -------
    Path
        The picture.

    Raises
    ------
    UsageError
        If the results are none of the above, or the suffix is another one.
    ArtifactError
        If a file cannot be read or written.
    """
    named = {name: _read(result, name) for name, result in with_trainings(_named(results)).items()}
    first = next(iter(named.values()))
    target = _default(first) if out is None else path_of(out, "out")
    check_type(title, str, "title")
    check_suffix(target)
    look: dict[str, Any] = {"size": _size(size), "dpi": dpi}
    if isinstance(first, History):
        runs = _of_one_kind(named, History, "a training")
        plot_histories(runs, target, rmse=rmse, seconds=seconds, title=title, **look)
        return target
    for name, given in (("rmse", rmse), ("seconds", seconds)):
        if given:
            raise UsageError("is used only for histories", param=name, remedy="omit it")
    if isinstance(first, Tuned):
        if len(named) > 1:
            raise UsageError("must be one search, or several other results", param="results")
        about = title or f"{first.title}."
        measure = ValidationMeasure(first.metric, first.config.cutoffs[0])
        plot_search(first.attempts, first.importances, target, measure=measure, title=about, **look)
    elif len(named) > 1:
        metrics = _of_one_kind(named, Metrics | FoldMetrics, "metrics")
        plot_comparison(metrics, target, title=title, **look)
    else:
        plot_metrics(first, target, title=title, **look)
    return target


def _named(results: Any) -> dict[str, Any]:
    """Return one or several results by name."""
    if isinstance(results, Mapping):
        named = {str(name): result for name, result in results.items()}
    elif isinstance(results, Iterable) and not isinstance(results, str | os.PathLike):
        results = list(results)
        paths = {n: Path(r) for n, r in enumerate(results) if isinstance(r, str | os.PathLike)}
        names = {number: f"run {number + 1}" for number in range(len(results))}
        names |= dict(zip(paths, run_names([_file(p) for p in paths.values()]), strict=True))
        named = {names[number]: result for number, result in enumerate(results)}
    else:
        is_path = isinstance(results, str | os.PathLike)
        named = {run_names([_file(Path(results))])[0] if is_path else "model": results}
    if not named:
        raise UsageError("must be at least one result, got none", param="results")
    return named


def _file(path: Path) -> Path:
    return path / HISTORY_FILE if path.is_dir() else path


def _read(result: Any, name: str) -> History | Metrics | FoldMetrics | Tuned:
    """Return what is drawn of a result."""
    if isinstance(result, str | os.PathLike):
        file = _file(Path(result))
        return read_metrics(file) if is_metrics(file) else History.read(file)
    if isinstance(result, Fit):
        return result.history
    if isinstance(result, History | Metrics | Tuned):
        return result
    has_folds = isinstance(result, CrossValidation | FoldMetrics)
    raise UsageError(
        f"must be a result of fit, evaluate or tune, or a path, got {type(result).__name__}",
        param=Param("results") if name == "model" else Param(f"results.{name}"),
        remedy="draw the metrics of a fold, such as metrics.folds[0]" if has_folds else "",
    )


def _default(result: History | Metrics | FoldMetrics | Tuned) -> Path:
    if isinstance(result, Tuned):
        return Path("search.png")
    file = HISTORY_FILE if isinstance(result, History) else METRICS_FILE
    return Path(file).with_suffix(".png")


def _size(size: Any) -> Size | None:
    if size is None:
        return None
    try:
        width, height = map(float, size)
    except (TypeError, ValueError):
        rule = "must be a width and a height in inches"
        raise UsageError(rule, param="size", value=size) from None
    return Size(width, height)


def _of_one_kind(named: Mapping[str, Any], kind: Any, what: str) -> dict[str, Any]:
    for name, result in named.items():
        if not isinstance(result, kind):
            raise UsageError(f"must be {what}, like the first", param=Param(f"results.{name}"))
    return dict(named)

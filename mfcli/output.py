"""What the commands print: tables and results on stdout, progress on stderr."""

from __future__ import annotations

import shlex
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from rich.console import Console
from rich.markup import escape
from rich.progress import (
    BarColumn,
    DownloadColumn,
    MofNCompleteColumn,
    Progress,
    ProgressColumn,
    TextColumn,
    TimeRemainingColumn,
)
from rich.table import Table

from mfcli.config import Config
from mfcli.files import json_text

if TYPE_CHECKING:
    import pyarrow as pa

    from mfcli.checking import Report
    from mfcli.evaluation import FoldMetrics, Metrics
    from mfcli.fetching import Fetched
    from mfcli.split import Split
    from mfcli.training import Epoch, Fit


def show(result: dict[str, Any], as_json: bool, table: Callable[[], None]) -> None:
    """Print a result as JSON, or as its table."""
    if as_json:
        print(json_text(result), end="")
    else:
        table()


def note(text: str, quiet: bool) -> None:
    if not quiet:
        print(f"note: {text}", file=sys.stderr)


Advance = Callable[[int, int], None]
"""Told how much is done, and of how much."""


@contextmanager
def _bar(what: str, quiet: bool, *columns: ProgressColumn) -> Iterator[tuple[Console, Advance]]:
    """Show a bar if stderr is a terminal; yield where to print above it, and what moves it."""
    console = Console(stderr=True, highlight=False)
    if quiet or not sys.stderr.isatty():
        yield console, lambda done, total: None
        return
    name = TextColumn("{task.description}", markup=False)
    with Progress(name, BarColumn(), *columns, console=console, transient=True) as bar:
        task = bar.add_task(what, total=None)
        yield console, lambda done, total: bar.update(task, completed=done, total=total)


@contextmanager
def byte_bar(what: str, quiet: bool) -> Iterator[Advance]:
    """Show a bar in bytes while something is read; yield what moves it."""
    with _bar(what, quiet, DownloadColumn(), TimeRemainingColumn()) as (_, advance):
        yield advance


@contextmanager
def epoch_lines(
    parts: Split, settings: Config, quiet: bool
) -> Iterator[tuple[Callable[[Epoch], None], Advance]]:
    """Print a line an epoch on stderr, above a bar that follows the epoch under way."""
    columns = (MofNCompleteColumn(), TextColumn("ratings"))
    seconds: list[float] = []
    with _bar("this epoch", quiet, *columns) as (console, advance):

        def on_epoch(epoch: Epoch) -> None:
            seconds.append(epoch.seconds)
            left = (settings.epochs - epoch.epoch) * sum(seconds) / len(seconds)
            if not quiet:
                line = _epoch_line(epoch, settings.epochs, len(parts.train), left)
                console.print(line, soft_wrap=True)
            advance(0, len(parts.train))

        advance(0, len(parts.train))
        yield on_epoch, advance


def _epoch_line(epoch: Epoch, epochs: int, ratings: int, left: float) -> str:
    return (
        f"epoch {epoch.epoch:>{len(str(epochs))}}/{epochs}"
        f"  train RMSE {epoch.mse**0.5:.4f}"
        f"  validation RMSE {epoch.val_mse**0.5:.4f}"
        f"  {_duration(epoch.seconds)}"
        f"  {ratings / epoch.seconds:,.0f} ratings/s"
        f"  {_duration(round(left))} left"
    )


def _duration(seconds: float) -> str:
    whole = round(seconds)
    if whole < 60:
        return f"{seconds:.3g} s"
    if whole < 3600:
        return f"{whole // 60} min {whole % 60:02} s"
    return f"{whole // 3600} h {whole % 3600 // 60:02} min"


def count(things: Any, noun: str) -> str:
    return f"{len(things):,} {noun}{'s' if len(things) != 1 else ''}"


def _table(title: str, *columns: str) -> Table:
    table = Table(title=escape(title), title_justify="left", header_style="bold")
    for number, column in enumerate(columns):
        table.add_column(column, justify="right" if number else "left")
    return table


def split_table(manifest: dict[str, Any], folder: Path) -> None:
    source, ratings, scale = manifest["source"], manifest["ratings"], manifest["scale"]
    strategy = manifest["strategy"]
    step = f", step {scale['step']:g}" if scale["step"] else ""
    table = _table(f"{folder}: {source['name']}, strategy {strategy['name']}", "", "value")
    for name in ("users", "items"):
        table.add_row(name, f"{manifest[name]:,}")
    table.add_row("ratings", f"{ratings['all']:,}")
    if source["duplicates"]:
        table.add_row("duplicates merged", f"{source['duplicates']:,}")
    for kind, rows in source["rejected"].items():
        table.add_row(f"rows left out: {kind}", f"{rows:,}")
    for name, removed in strategy.get("removed", {}).items():
        table.add_row(f"{name} filtered out", f"{removed:,}")
    table.add_row("density", f"{manifest['density']:.4%}")
    mean = "mean" if "folds" in strategy else "mean of train"
    table.add_row(mean, f"{manifest['mean']:.4f}")
    table.add_row("scale", f"{scale['min']:g} to {scale['max']:g}{step}")
    for name in list(ratings)[1:]:
        table.add_row(name, f"{ratings[name]:,} ({ratings[name] / ratings['all']:.1%})")
    if "folds" in strategy:
        table.add_row("folds", f"{strategy['folds']}")
    for name, unseen in manifest.get("unseen", {}).items():
        table.add_row(f"{name} with a user or item not in train", f"{unseen:,}")
    _print(table)


_BAR = 40  # characters of the longest bar of a histogram


def report_tables(report: Report) -> None:
    """Say what `mfcli check` found, warnings last."""
    for table in (_facts(report), _activity(report), _histogram(report)):
        _print(table)
    for warning in report.warnings:
        print(f"warning: {warning}")
    if not report.warnings:
        print("no warnings")


def _facts(report: Report) -> Table:
    source, cost = report.source, report.cost
    title = f"{source.name}: {source.format}, {source.bytes / 1e6:,.1f} MB" if source else "Ratings"
    table = _table(title, "", "value")
    table.add_row("ratings", f"{report.ratings:,}")
    if report.duplicates:
        table.add_row("duplicates merged", f"{report.duplicates:,} ({report.duplicate_share:.1%})")
    for kind, rows in (source.rejected if source else {}).items():
        table.add_row(f"rows left out: {kind}", f"{rows:,}")
    table.add_row("density", f"{report.density:.4%}")
    for name, text in _value_facts(report).items():
        table.add_row(name, text)
    if cost:
        table.add_row(f"memory to train, k {cost.k}", f"{cost.memory['total'] / 1e9:.2f} GB")
        table.add_row("an epoch, about", _duration(cost.seconds))
        table.caption = cost.assumed
    return table


def _value_facts(report: Report) -> dict[str, str]:
    values, times = report.values, report.times
    step = f", step {values.step:g}" if values.step else ""
    facts = {
        "scale": f"{values.min:g} to {values.max:g}{step}",
        "mean": f"{values.mean:.4f}",
        "standard deviation": f"{values.standard_deviation:.4f}",
    }
    return facts | ({"times": f"{times.first} to {times.last}"} if times else {})


def _activity(report: Report) -> Table:
    quantiles = [f"{q}%" for q in report.users.quantiles]
    table = _table("Ratings of each", "", "count", "ids", *quantiles, "one only", "top 1%")
    for side in (report.users, report.items):
        counts = [f"{n:,}" for n in side.quantiles.values()]
        shares = (f"{side.single_share:.1%}", f"{side.top_share:.1%}")
        table.add_row(side.name, f"{side.count:,}", side.ids.type, *counts, *shares)
    return table


def _histogram(report: Report) -> Table:
    longest = max(bin.count for bin in report.values.histogram)
    table = _table("Histogram", "rating", "ratings", "share")
    table.add_column("")
    for bin in report.values.histogram:
        name = f"{bin.low:g}" if bin.low == bin.high else f"{bin.low:.4g} to {bin.high:.4g}"
        bar = "█" * round(_BAR * bin.count / longest)
        table.add_row(name, f"{bin.count:,}", f"{bin.count / report.ratings:.1%}", bar)
    return table


def fetched_lines(fetched: Fetched) -> None:
    """Say where the ratings are, on what terms, what to cite and what comes next."""
    print(f"{fetched.ratings}: the ratings ({fetched.bytes / 1e6:,.1f} MB packed)")
    print(f"\nTerms of use\n\n{fetched.terms}\n\nPlease cite\n\n{fetched.citation}\n")
    print(f"Next: mfcli split {shlex.quote(str(fetched.ratings))}")


def model_table(parts: Split, settings: Config) -> None:
    from mfcli.model import layers

    rows = layers(len(parts.train.users), len(parts.train.items), settings.k)
    table = _table("Model", "layer", "type", "output shape", "parameters")
    for name, kind, shape, parameters in rows:
        table.add_row(name, kind, str(shape), f"{parameters:,}")
    table.add_section()
    table.add_row("total", "", "", f"{sum(row[-1] for row in rows):,}")
    _print(table)


def training_summary(fitted: Fit, out: Path) -> dict[str, Any]:
    from mfcli.training import HISTORY_FILE, MODEL_FOLDER

    lists = fitted.history.lists
    return {
        "model": str(out / MODEL_FOLDER),
        "history": str(out / HISTORY_FILE),
        "epochs": len(fitted.history),
        "config": fitted.model.config.as_dict(),
        "seconds": sum(lists["seconds"]),
        **{name: lists[name][-1] for name in ("loss", "mse", "val_loss", "val_mse")},
    }


def training_line(fitted: Fit, parts: Split, out: Path) -> None:
    summary = training_summary(fitted, out)
    name, held_out = parts.held_out
    print(
        f"{summary['model']} and {summary['history']}:"
        f" validation RMSE {summary['val_mse'] ** 0.5:.4f} on {len(held_out):,} {name} ratings"
        f" after {count(range(summary['epochs']), 'epoch')} in {_duration(summary['seconds'])}"
    )


def metrics_table(metrics: Metrics, out: Path) -> None:
    protocol = metrics.protocol
    clipped = "clipped" if protocol["clip"] else "not clipped"
    title = f"{out}: {protocol['ratings']:,} {protocol['on']} ratings, predictions {clipped}"
    table = _table(title, "", "RMSE", "MSE", "MAE", "R2", "model's gain")
    biases = f"damped biases (damping {protocol['damping']:g})"
    rows = [("model", metrics.model), (biases, metrics.biases), ("training mean", metrics.mean)]
    gains = metrics.as_dict()["baselines"]
    shown = ["", f"{gains['biases']['gain']:.2%}", f"{gains['mean']['gain']:.2%}"]
    for (name, errors), gain in zip(rows, shown, strict=True):
        r2 = "-" if errors.r2 is None else f"{errors.r2:.4f}"
        numbers = (f"{value:.4f}" for value in (errors.rmse, errors.mse, errors.mae))
        table.add_row(name, *numbers, r2, gain)
    _print(table)
    groups = _table("The model by what train has seen", "", "ratings", "RMSE")
    for name, group in metrics.groups.items():
        rmse = "-" if group["rmse"] is None else f"{group['rmse']:.4f}"
        groups.add_row(name.replace("_", " "), f"{group['ratings']:,}", rmse)
    _print(groups)


def folds_table(over: FoldMetrics, out: Path) -> None:
    result = over.as_dict()
    title = f"{out}: {len(over.folds)} folds, each on its {over.folds[0].protocol['on']} ratings"
    table = _table(title, "", "RMSE", "MAE", "RMSE of damped biases")
    rows = [(f"fold {n}", fold) for n, fold in enumerate(over.folds, start=1)]
    for name, fold in rows:
        numbers = (fold.model.rmse, fold.model.mae, fold.biases.rmse)
        table.add_row(name, *(f"{number:.4f}" for number in numbers))
    table.add_section()
    for name in ("mean", "standard_deviation"):
        row = result[name]
        numbers = (row["rmse"], row["mae"], row["biases_rmse"])
        table.add_row(name.replace("_", " "), *(f"{number:.4f}" for number in numbers))
    _print(table)


def rows_table(rows: pa.Table) -> None:
    """Show a table as it is, numbers to four digits."""
    table = _table("", *rows.column_names)
    for row in rows.to_pylist():
        cells = (f"{cell:.4f}" if isinstance(cell, float) else str(cell) for cell in row.values())
        table.add_row(*map(escape, cells))
    _print(table)


def _print(table: Table) -> None:
    Console(highlight=False, width=None if sys.stdout.isatty() else 100).print(table)

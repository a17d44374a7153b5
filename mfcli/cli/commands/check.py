"""`mfcli check`."""

from __future__ import annotations

import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from functools import partial
from typing import TYPE_CHECKING, Annotated, Any

import typer

from mfcli import checks as checking
from mfcli.cli.feedback_words import merged_label, range_text, strength, words_for
from mfcli.cli.formatting import LEVELS, PLAIN_LEVELS, duration, size
from mfcli.cli.options import SettingsGroup
from mfcli.cli.reading_options import Reading, WeightedReadingOptions
from mfcli.cli.resource_options import within_limits
from mfcli.cli.screen import Screen, ScreenOptions
from mfcli.cli.setting_options import Settings
from mfcli.cli.spelling import spelled
from mfcli.cli.streams import print_line
from mfcli.cli.tables import Drawing, Table, print_table, table as make_table, value_table

if TYPE_CHECKING:
    from mfcli.checks import Report, ValueBin
    from mfcli.config import Config

_QUANTILES = {"0": "smallest", "50": "median", "100": "largest"}
_BAR = 40  # characters of the longest bar of a histogram


@within_limits()
def check(
    ratings: Annotated[
        list[str], typer.Argument(metavar="FILE", help="Files of ratings, as for mfcli split.")
    ],
    settings: Annotated[Settings, SettingsGroup("k", "reg", panel="Training cost estimate")],
    reading: WeightedReadingOptions,
    screen: ScreenOptions,
) -> None:
    """Check ratings before training: statistics, warnings and the cost of training."""
    with _noticed_warnings() as noticed:
        report = _report(ratings, settings.config, replace(reading, events=True), screen)
    implicit = report.implicit_reading
    command = reading.split_command(ratings, implicit) if implicit else None
    # Remedies name options in JSON too, since the command line is what was used.
    result = report.as_dict(spelled) | {"next": command}
    screen.show(result, lambda: _print(report, command, other=bool(noticed)))


def _report(names: list[str], config: Config, reading: Reading, screen: Screen) -> Report:
    with (
        reading.rejected() as rejected,
        reading.read_buckets(names, rejected, screen) as read,
        screen.bar("checking ratings"),
    ):
        return checking.check(read, config)


@contextmanager
def _noticed_warnings() -> Iterator[list[object]]:
    """Yield a list of the warnings that are shown, as usual, until the end."""
    noticed: list[object] = []
    shown = warnings.showwarning

    def show(message: Warning | str, *details: Any, **more: Any) -> None:
        noticed.append(message)
        shown(message, *details, **more)

    with warnings.catch_warnings():  # which restores the function at the end
        warnings.showwarning = show
        yield noticed


def _print(report: Report, command: str | None, *, other: bool) -> None:
    """Print a report; `other` tells whether reading has given warnings, on stderr."""
    tables = [_facts(report), _activity(report)]
    if not report.is_implicit or report.values.distinct > 1:
        tables.append(_histogram(report))
    for table in tables:
        print_table(table)
    for warning in report.warnings:
        print_line(f"warning: {warning.phrase(spelled)}")
    if not report.warnings:
        print_line("no other warnings" if other else "no warnings")
    if command:
        print_line(_next(report, command))


def _next(report: Report, command: str) -> str:
    if not report.is_implicit:
        return f"if these are events, not ratings, type: {command}"
    return f"to split these events, type: {command}"


def _facts(report: Report) -> Table:
    source, cost = report.source, report.cost
    title = f"{source.name}: {source.format}, {size(source.bytes)}" if source else "Ratings"
    facts = {report.noun: f"{report.ratings:,}"}
    if report.duplicates:
        merged = merged_label(report.feedback, vars(source) if source else None)
        facts[merged] = f"{report.duplicates:,} ({report.duplicate_share:.1%})"
    for kind, rows in (source.rejected if source else {}).items():
        facts[f"rows skipped: {kind}"] = f"{rows:,}"
    facts |= {"density": f"{report.density:.4%}"} | _value_facts(report)
    if cost:
        facts[f"memory to train, k {cost.k}"] = f"{cost.memory['total'] / 1e9:.2f} GB"
        facts["time per epoch, about"] = duration(cost.seconds)
    table = value_table(title, facts)
    table.caption = cost.assumed if cost else None
    return table


def _value_facts(report: Report) -> dict[str, str]:
    values, times, words = report.values, report.times, words_for(report.feedback)
    facts = {words.scale: range_text(report.feedback, values.min, values.max, values.step)}
    if not report.is_implicit or values.distinct > 1:
        facts[words.mean] = f"{values.mean:.4f}"
        if report.is_implicit:
            facts["median"] = strength(values.median)
        facts["standard deviation"] = f"{values.standard_deviation:.4f}"
    if report.weights:
        facts["weights"] = " to ".join(f"{end:.4g}" for end in report.weights)
    return facts | ({"times": f"{times.first} to {times.last}"} if times else {})


def _activity(report: Report) -> Table:
    sides, noun = (report.users, report.items), report.noun
    title = f"{noun.capitalize()} per user and per item"
    table = make_table(title, "", *(side.name for side in sides))
    table.add_row("count", *(f"{side.count:,}" for side in sides))
    table.add_row("type of ids", *(side.ids.type for side in sides))
    for quantile in report.users.quantiles:
        label = _QUANTILES.get(quantile, f"{quantile}% quantile")
        table.add_row(label, *(f"{side.quantiles[quantile]:,}" for side in sides))
    table.add_row(f"with one {noun[:-1]} only", *(f"{side.single_share:.1%}" for side in sides))
    table.add_row(f"{noun} of the top 1%", *(f"{side.top_share:.1%}" for side in sides))
    return table


def _histogram(report: Report) -> Table:
    longest = max(bin.count for bin in report.values.histogram)  # its bar has the full width
    words = words_for(report.feedback)
    table = make_table("Histogram", words.value, words.rows, "share")
    table.add_column("")
    for bin in report.values.histogram:
        name = _strengths_of(bin, report) if report.is_implicit else _ratings_of(bin)
        # Drawn when the table is, because only then the width and the encoding are known.
        bar = Drawing(partial(_bar, bin.count / longest), _BAR)
        table.add_row(name, f"{bin.count:,}", f"{bin.count / report.ratings:.1%}", bar)
    return table


def _ratings_of(bin: ValueBin) -> str:
    return f"{bin.low:g}" if bin.low == bin.high else f"{bin.low:.4g} to {bin.high:.4g}"


def _strengths_of(bin: ValueBin, report: Report) -> str:
    # Of whole numbers, a bin from 2 to below 4 holds 2 and 3.
    high = bin.high - 1 if report.values.whole and bin.low < bin.high else bin.high
    return strength(bin.low) if bin.low == high else f"{strength(bin.low)} to {strength(high)}"


def _bar(share: float, width: int, ascii_only: bool) -> str:
    return (PLAIN_LEVELS if ascii_only else LEVELS)[-1] * round(width * share)

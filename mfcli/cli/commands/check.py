"""`mfcli check`."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Annotated

import typer

from mfcli import checks as checking
from mfcli.cli.formatting import LEVELS, PLAIN_LEVELS, duration, scale, size
from mfcli.cli.options import SettingsGroup
from mfcli.cli.reading_options import ReadingOptions
from mfcli.cli.screen import ScreenOptions
from mfcli.cli.setting_options import Settings
from mfcli.cli.spelling import spelled
from mfcli.cli.streams import print_line
from mfcli.cli.tables import Drawing, Table, print_table, table as make_table, value_table

if TYPE_CHECKING:
    from mfcli.checks import Report

_QUANTILES = {"0": "smallest", "50": "median", "100": "largest"}
_BAR = 40  # characters of the longest bar of a histogram


def check(
    ratings: Annotated[
        list[str], typer.Argument(metavar="FILE", help="Files of ratings, as for mfcli split.")
    ],
    settings: Annotated[Settings, SettingsGroup("k", "reg", panel="Training cost estimate")],
    reading: ReadingOptions,
    screen: ScreenOptions,
) -> None:
    """Check ratings before training: statistics, warnings and the cost of training."""
    report = checking.check(reading.read(ratings, screen), settings.config)
    # Remedies name options in JSON too, since the command line is what was used.
    screen.show(report.as_dict(spelled), lambda: _print(report))


def _print(report: Report) -> None:
    for table in (_facts(report), _activity(report), _histogram(report)):
        print_table(table)
    for warning in report.warnings:
        print_line(f"warning: {warning.phrase(spelled)}")
    if not report.warnings:
        print_line("no warnings")


def _facts(report: Report) -> Table:
    source, cost = report.source, report.cost
    title = f"{source.name}: {source.format}, {size(source.bytes)}" if source else "Ratings"
    facts = {"ratings": f"{report.ratings:,}"}
    if report.duplicates:
        facts["duplicates merged"] = f"{report.duplicates:,} ({report.duplicate_share:.1%})"
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
    values, times = report.values, report.times
    facts = {
        "scale": scale(values.min, values.max, values.step),
        "mean": f"{values.mean:.4f}",
        "standard deviation": f"{values.standard_deviation:.4f}",
    }
    return facts | ({"times": f"{times.first} to {times.last}"} if times else {})


def _activity(report: Report) -> Table:
    sides = (report.users, report.items)
    table = make_table("Ratings per user and per item", "", *(side.name for side in sides))
    table.add_row("count", *(f"{side.count:,}" for side in sides))
    table.add_row("type of ids", *(side.ids.type for side in sides))
    for quantile in report.users.quantiles:
        label = _QUANTILES.get(quantile, f"{quantile}% quantile")
        table.add_row(label, *(f"{side.quantiles[quantile]:,}" for side in sides))
    table.add_row("with one rating only", *(f"{side.single_share:.1%}" for side in sides))
    table.add_row("ratings of the top 1%", *(f"{side.top_share:.1%}" for side in sides))
    return table


def _histogram(report: Report) -> Table:
    longest = max(bin.count for bin in report.values.histogram)  # its bar has the full width
    table = make_table("Histogram", "rating", "ratings", "share")
    table.add_column("")
    for bin in report.values.histogram:
        name = f"{bin.low:g}" if bin.low == bin.high else f"{bin.low:.4g} to {bin.high:.4g}"
        # Drawn when the table is, because only then the width and the encoding are known.
        bar = Drawing(partial(_bar, bin.count / longest), _BAR)
        table.add_row(name, f"{bin.count:,}", f"{bin.count / report.ratings:.1%}", bar)
    return table


def _bar(share: float, width: int, ascii_only: bool) -> str:
    return (PLAIN_LEVELS if ascii_only else LEVELS)[-1] * round(width * share)

"""`mfcli check`."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer
from rich.table import Table

from mfcli.cli import output
from mfcli.cli.inputs import columns_of, place_for_rejected, read_files
from mfcli.cli.options import (
    AsJson,
    ConfigFile,
    Decimal,
    Duplicates,
    ItemColumn,
    K,
    OnBadRow,
    Quiet,
    RatingColumn,
    Reg,
    TimeColumn,
    UserColumn,
    settings_of,
)
from mfcli.config import Config

if TYPE_CHECKING:
    from mfcli.check import Report


def check(
    ctx: typer.Context,
    ratings: Annotated[list[str], typer.Argument(help="Files of ratings, as for split.")],
    k: K = Config.k,
    reg: Reg = Config.reg,
    duplicates: Duplicates = Config.duplicates,
    on_bad_row: OnBadRow = Config.on_bad_row,
    user_col: UserColumn = None,
    item_col: ItemColumn = None,
    rating_col: RatingColumn = None,
    time_col: TimeColumn = None,
    decimal: Decimal = Config.decimal,
    config: ConfigFile = None,
    json: AsJson = False,
    quiet: Quiet = False,
) -> None:
    """Say what to look at in ratings before anything is trained on them."""
    from mfcli.check import check as check_ratings

    settings = settings_of(ctx)
    columns = columns_of(user_col, item_col, rating_col, time_col)
    with place_for_rejected(settings) as rejected:
        read = read_files(ratings, columns, settings, quiet, rejected)
    report = check_ratings(read, settings)
    output.show(report.as_dict(), json, lambda: _report_tables(report))


_BAR = 40  # characters of the longest bar of a histogram


def _report_tables(report: Report) -> None:
    """Say what `mfcli check` found, warnings last."""
    for table in (_facts(report), _activity(report), _histogram(report)):
        output.print_table(table)
    for warning in report.warnings:
        print(f"warning: {warning}")
    if not report.warnings:
        print("no warnings")


def _facts(report: Report) -> Table:
    source, cost = report.source, report.cost
    title = f"{source.name}: {source.format}, {output.size(source.bytes)}" if source else "Ratings"
    facts = {"ratings": f"{report.ratings:,}"}
    if report.duplicates:
        facts["duplicates merged"] = f"{report.duplicates:,} ({report.duplicate_share:.1%})"
    for kind, rows in (source.rejected if source else {}).items():
        facts[f"rows left out: {kind}"] = f"{rows:,}"
    facts |= {"density": f"{report.density:.4%}"} | _value_facts(report)
    if cost:
        facts[f"memory to train, k {cost.k}"] = f"{cost.memory['total'] / 1e9:.2f} GB"
        facts["an epoch, about"] = output.duration(cost.seconds)
    table = output.facts(title, facts)
    table.caption = cost.assumed if cost else None
    return table


def _value_facts(report: Report) -> dict[str, str]:
    values, times = report.values, report.times
    facts = {
        "scale": output.scale(values.min, values.max, values.step),
        "mean": f"{values.mean:.4f}",
        "standard deviation": f"{values.standard_deviation:.4f}",
    }
    return facts | ({"times": f"{times.first} to {times.last}"} if times else {})


def _activity(report: Report) -> Table:
    quantiles = [f"{q}%" for q in report.users.quantiles]
    table = output.table("Ratings of each", "", "count", "ids", *quantiles, "one only", "top 1%")
    for side in (report.users, report.items):
        counts = [f"{n:,}" for n in side.quantiles.values()]
        shares = (f"{side.single_share:.1%}", f"{side.top_share:.1%}")
        table.add_row(side.name, f"{side.count:,}", side.ids.type, *counts, *shares)
    return table


def _histogram(report: Report) -> Table:
    longest = max(bin.count for bin in report.values.histogram)
    table = output.table("Histogram", "rating", "ratings", "share")
    table.add_column("")
    for bin in report.values.histogram:
        name = f"{bin.low:g}" if bin.low == bin.high else f"{bin.low:.4g} to {bin.high:.4g}"
        bar = "█" * round(_BAR * bin.count / longest)
        table.add_row(name, f"{bin.count:,}", f"{bin.count / report.ratings:.1%}", bar)
    return table

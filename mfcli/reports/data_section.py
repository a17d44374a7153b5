"""What the ratings are: size, scale, activity, popularity and time."""

from __future__ import annotations

from mfcli.checks import Report, ValueBin
from mfcli.pages import Axis, Bars, Chart, Line, bar_chart, line_chart
from mfcli.reports.blocks import Block, Facts, Figures, Missing, Notice, Row, Section, Table
from mfcli.reports.curves import Curve, TimeCounts
from mfcli.reports.data_facts import DataFacts
from mfcli.spelling import spelled

_QUANTILES = {"0": "fewest", "50": "median", "100": "most"}
_LEAD = "What the model learns from and is measured on: all parts of the split together."


def data_section(facts: DataFacts | None) -> Section:
    """Describe the ratings; None stands for a missing split."""
    section = Section("data", "Data", _LEAD, [])
    if facts is None:
        text = "There is no split, which holds the ratings; name its folder, or make one."
        return Section("data", "Data", _LEAD, [Missing(text, "mfcli split data.csv")])
    return Section(section.anchor, section.title, section.lead, _blocks(facts))


def _blocks(facts: DataFacts) -> list[Block]:
    report = facts.report
    warnings = [Notice(_sentence(warning.phrase(spelled))) for warning in report.warnings]
    charts = [_ranks(facts), _shares(facts)]
    if report.values.distinct > 1:
        charts.insert(0, _values(report))
    if facts.times:
        charts.append(_times(facts.times, report.noun))
    return [Facts(_facts(report)), *warnings, Figures(charts), _activity(report)]


def _sentence(text: str) -> str:
    return text[:1].upper() + text[1:]


def _facts(report: Report) -> list[tuple[str, str]]:
    values, times = report.values, report.times
    rows = [
        (report.noun, f"{report.ratings:,}"),
        ("users", f"{report.users.count:,}"),
        ("items", f"{report.items.count:,}"),
        ("density", f"{report.density:.3%} of all pairs of a user and an item"),
        ("strengths" if report.is_implicit else "scale", _scale(report)),
    ]
    if values.distinct > 1:
        rows.append(("mean", f"{values.mean:.4f}"))
        rows.append(("standard deviation", f"{values.standard_deviation:.4f}"))
    if times:
        rows.append(("times", f"{times.first} to {times.last}"))
    if report.weights:
        rows.append(("weights", " to ".join(f"{end:.4g}" for end in report.weights)))
    return rows


def _scale(report: Report) -> str:
    values = report.values
    if values.distinct == 1:
        return f"all {values.min:g}"
    step = f", in steps of {values.step:g}" if values.step and not report.is_implicit else ""
    return f"{values.min:,g} to {values.max:,g}{step}"


def _values(report: Report) -> Chart:
    bins, value = report.values.histogram, "Strength" if report.is_implicit else "Rating"
    shares = [bin.count / report.ratings for bin in bins]
    return bar_chart(
        f"{report.noun.capitalize()} by value",
        list(map(_bin_text, bins)),
        [Bars(f"share of the {report.noun}", shares)],
        value,
        Axis(f"Share of the {report.noun}", percent=True),
        note=f"The most frequent value is {report.values.most.low:g}.",
    )


def _bin_text(bin: ValueBin) -> str:
    return f"{bin.low:g}" if bin.low == bin.high else f"{bin.low:.4g}\u2013{bin.high:.4g}"


def _ranks(facts: DataFacts) -> Chart:
    noun = facts.report.noun
    return line_chart(
        "Activity and popularity",
        [_line("users", facts.user_ranks), _line("items", facts.item_ranks)],
        Axis("Rank of the user or item, the most active or popular first", log=True),
        Axis(f"{noun.capitalize()} of the user or item", log=True),
        note=f"How many {noun} the user or item at each rank has. A curve that falls steeply means"
        " that most have far fewer than the first ones.",
        column="rank",
    )


def _shares(facts: DataFacts) -> Chart:
    report = facts.report
    top = f"The top 1% of the items have {report.items.top_share:.0%} of the {report.noun};"
    users = f" the most active 1% of the users gave {report.users.top_share:.0%}."
    return line_chart(
        f"Concentration of the {report.noun}",
        [_line("users", facts.user_shares), _line("items", facts.item_shares)],
        Axis("Fraction of the users or items, the most active or popular first", percent=True),
        Axis(f"Fraction of the {report.noun} that they have", percent=True),
        diagonal=True,
        note=f"{top}{users} On the diagonal, all would have equally many.",
        column="fraction of users or items",
    )


def _line(name: str, curve: Curve) -> Line:
    return Line(name, curve.x.tolist(), curve.y.tolist())


def _times(times: TimeCounts, noun: str) -> Chart:
    return line_chart(
        f"{noun.capitalize()} over time",
        [Line(noun, times.start.tolist(), times.ratings.tolist())],
        Axis(f"Beginning of the {times.period} (UTC)", time=True),
        Axis(f"{noun.capitalize()} per {times.period}"),
        column=times.period,
    )


def _activity(report: Report) -> Table:
    sides, noun = (report.users, report.items), report.noun
    rows = [
        Row(_QUANTILES.get(q, f"{q}% have at most"), [f"{s.quantiles[q]:,}" for s in sides])
        for q in report.users.quantiles
    ]
    rows.append(Row(f"with one {noun[:-1]} only", [f"{side.single_share:.1%}" for side in sides]))
    return Table(
        f"{noun.capitalize()} of a user and of an item", ["", "per user", "per item"], rows
    )

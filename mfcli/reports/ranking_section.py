"""How well the runs rank items, beside a list of the most popular ones."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence

from mfcli.evaluation import (
    BEYOND,
    MEASURES,
    RANKING,
    Measure,
    Metrics,
    RankedGroup,
    RankingBreakdown,
    at_cutoff,
    measures_of,
)
from mfcli.pages import Axis, Chart, Line, line_chart
from mfcli.reports.blocks import Block, Figures, Heading, Paragraph, Section
from mfcli.reports.breakdown_section import ends_of, middle_of, name_of
from mfcli.reports.measure_tables import measure_chart, measure_table, metrics_of
from mfcli.reports.measured import (
    Measured,
    drawn,
    left_out,
    measured_differently,
    measured_models,
    not_measured,
    without_rankings,
)
from mfcli.reports.runs import Run

_LEAD = (
    "For each user, the model ranks the items that the user has not rated in training; good"
    " rankings have the relevant held-out items at the top. A list of the most popular items is"
    " the same for everybody, and surprisingly hard to beat."
)
_SIMPLE = ("popular", "biases")
_NDCG = MEASURES["ndcg"]


def ranking_section(runs: Sequence[Run]) -> Section:
    """Show the rankings of the runs of which they were measured."""
    known = [run for run in runs if run.metrics and run.metrics.measures.get("ndcg") is not None]
    blocks: list[Block] = [
        without_rankings(run) if run.metrics else not_measured(run)
        for run in runs
        if run not in known
    ]
    if known:
        simple = [name for name in _SIMPLE if name in metrics_of(known[0]).baselines]
        note = "The whiskers are 95% intervals over users."
        label = f"{_NDCG.label}@{_cutoff(known[0])}"
        blocks += [
            Paragraph(_measured_on(known[0])),
            *measured_differently(known),
            *left_out(measured_models(known)),
            Figures([measure_chart(_NDCG, label, known, simple, note), *_breakdowns(known)]),
            measure_table("Accuracy of the rankings", known, measures_of(RANKING), simple),
            *_cutoffs(known),
            Heading("Beyond accuracy"),
            Paragraph(
                "What accuracy does not show: whether lists are varied, and whether they reach"
                " beyond the items that everybody knows. Neither more nor less is better by itself."
            ),
            measure_table("Variety and popularity", known, measures_of(BEYOND), simple),
        ]
    return Section("ranking", "Rankings", _LEAD, blocks)


def _cutoff(run: Run) -> int:
    return metrics_of(run).protocols[0].cutoffs[0]


def _measured_on(run: Run) -> str:
    metrics = metrics_of(run)
    protocol = metrics.protocols[0]
    relevant, share = protocol.settings.get("relevant"), protocol.relevant_share
    if isinstance(relevant, float | int) and share is not None:
        what = f"items rated {relevant:g} or more are relevant ({share:.1%} of the ratings)"
    elif protocol.settings.get("protocol") == "leave-last-out":
        what = "the last held-out item is relevant"
    else:
        what = "all held-out items are relevant"
    users = sum(one.ranked_users or 0 for one in metrics.protocols)
    return (
        f"Lists of {protocol.cutoffs[0]} items for {users:,} users, measured on {protocol.rows};"
        f" {what}."
    )


def _breakdowns(runs: Sequence[Run]) -> Iterator[Chart]:
    models = drawn([one for one in measured_models(runs) if one.metrics.ranking_breakdown])
    if models:
        yield _by_count(models, "NDCG by user activity", "user", "NDCG", lambda b: b.user_activity)
        yield _by_count(
            models, "Recall by item popularity", "item", "Recall", lambda b: b.item_popularity
        )


def _by_count(
    models: Sequence[Measured],
    title: str,
    whose: str,
    label: str,
    rows_of: Callable[[RankingBreakdown], Sequence[RankedGroup]],
) -> Chart:
    lines = []
    for one in models:
        assert one.metrics.ranking_breakdown  # others are left out
        rows = rows_of(one.metrics.ranking_breakdown)
        x, y = [middle_of(row) for row in rows], [row.value for row in rows]
        low, high = ends_of([row.interval for row in rows])
        lines.append(Line(name_of(one, models), x, y, low, high, marks=True, color=one.color))
    group = {"user": "users", "item": "relevant ratings"}[whose]
    return line_chart(
        title,
        lines,
        Axis(f"Training ratings of the {whose}", log=True),
        Axis(label),
        note=f"Each point is about a tenth of the {group}. The bands are 95% intervals.",
        column=f"training ratings of the {whose}, middle of the range",
    )


def _cutoffs(runs: Sequence[Run]) -> list[Block]:
    """Show measures at several cutoffs, if they were measured."""
    several = [one for one in measured_models(runs) if len(one.metrics.protocol.cutoffs) > 1]
    if not several:
        return []
    charts = [_cutoff_chart(drawn(several), MEASURES[name]) for name in ("ndcg", "recall")]
    return [Figures(charts)]


def _cutoff_chart(models: Sequence[Measured], measure: Measure) -> Chart:
    lines = [_by_cutoff(one, models, measure.name) for one in models]
    first = models[0].metrics
    popular = first.baselines["popular"].measures
    lines.append(_line("most popular", first, popular, measure.name, len(lines), dashed=True))
    label = f"{measure.label[:1].upper()}{measure.label[1:]}"
    x, y = Axis("Length of the list"), Axis(label)
    return line_chart(f"{label} by length of the list", lines, x, y, column="length")


def _by_cutoff(one: Measured, models: Sequence[Measured], name: str) -> Line:
    return _line(name_of(one, models), one.metrics, one.metrics.measures, name, one.color)


def _line(
    label: str,
    metrics: Metrics,
    values: dict[str, float | None],
    name: str,
    color: int,
    *,
    dashed: bool = False,
) -> Line:
    main, *_ = cutoffs = metrics.protocol.cutoffs
    ordered = sorted(cutoffs)
    heights = [values.get(at_cutoff(name, n, main)) for n in ordered]
    return Line(label, ordered, heights, marks=True, dashed=dashed, color=color)

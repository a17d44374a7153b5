"""Ratings as the kernels of gibbs and als read them."""

from __future__ import annotations

from planted import make_ratings

from mfcli.training.normal_equations.rated_pairs import RatedPairs
from mfcli.training.normal_equations.ratings_by_row import sort_ratings
from mfcli.training.normal_equations.records import Records
from mfcli.types import Floats, Rows


def records_by_row(
    rows: Rows, others: Rows, ratings: Floats, count: int, weights: Floats | None = None
) -> Records:
    """Return ratings sorted by the `count` rows of one side."""
    train = make_ratings(rows, others, ratings, users=count, items=int(others.max()) + 1)
    pairs = RatedPairs(
        train, weight=lambda piece: None if weights is None else weights[: len(piece)]
    )
    here = sort_ratings(pairs, 1, 1).here
    assert here is not None
    (only,) = here[0].read_ranges()
    return only.records

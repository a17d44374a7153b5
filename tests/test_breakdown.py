"""Every breakdown accounts for all ratings and for all of the error."""

from __future__ import annotations

import itertools
from dataclasses import replace

import numpy as np
import pytest
from planted import planted_split

from mfcli.config import Config
from mfcli.data import Scale
from mfcli.evaluation import Breakdown, evaluate
from mfcli.evaluation.breakdown import month_of, months_of
from mfcli.evaluation.group_intervals import rmse_interval
from mfcli.model import Model
from mfcli.splits import Split
from mfcli.training.loop import start

CONFIG = Config(resamples=0)


@pytest.fixture(scope="module")
def split() -> Split:
    """Ratings from 1 to 5 in steps of a half, with times over three years."""
    made = planted_split(Config(test=0.4), share=0.3, users=80)
    rng = np.random.default_rng(0)
    parts = {}
    for name, part in made.parts.items():
        rating = np.clip(np.round(part.rating * 2) / 2, 1, 5).astype(np.float32)
        seconds = rng.integers(1_300_000_000, 1_400_000_000, len(part))
        parts[name] = replace(part, rating=rating, timestamp=seconds)
    return replace(made, **parts, scale=Scale(1, 5, 0.5))


@pytest.fixture(scope="module")
def model(split: Split) -> Model:
    return start(split, Config(k=2))


@pytest.fixture(scope="module")
def breakdown(split: Split, model: Model) -> Breakdown:
    return evaluate(model, split, CONFIG).breakdown


def errors(model: Model, split: Split) -> np.ndarray:
    predicted = model.predict_rows(split.test.user, split.test.item).clip(1, 5)
    return predicted.astype(float) - split.test.rating


@pytest.mark.parametrize("name", ["user_activity", "item_popularity", "rating", "month"])
def test_parts_add_up(split: Split, model: Model, breakdown: Breakdown, name: str) -> None:
    rows = getattr(breakdown, name)
    assert sum(row.ratings for row in rows) == len(split.test)
    squared = sum(row.ratings * row.rmse**2 for row in rows)
    assert squared == pytest.approx(np.square(errors(model, split)).sum())


def test_tenths_are_ordered_by_training_ratings(
    split: Split, model: Model, breakdown: Breakdown
) -> None:
    counts = split.train.users.counts[split.test.user]
    rows = breakdown.user_activity
    assert 5 <= len(rows) <= 10
    assert all(row.low <= row.high for row in rows)
    assert all(a.high < b.low for a, b in itertools.pairwise(rows))
    assert max(row.ratings for row in rows) < len(split.test) / 4
    row = rows[3]
    own = (counts >= row.low) & (counts <= row.high)
    assert row.ids == len(np.unique(split.test.user[own]))
    assert row.rmse == pytest.approx(np.sqrt(np.square(errors(model, split)[own]).mean()))
    assert row.bias == pytest.approx(errors(model, split)[own].mean())


def test_each_rating_of_a_scale_has_a_row(split: Split, model: Model, breakdown: Breakdown) -> None:
    values = np.unique(split.test.rating)
    assert [row.rating for row in breakdown.rating] == values.tolist()
    own = split.test.rating == values[2]
    predicted = (errors(model, split) + split.test.rating)[own]
    assert breakdown.rating[2].prediction == pytest.approx(predicted.mean())


def test_calibration_is_by_prediction(split: Split, model: Model, breakdown: Breakdown) -> None:
    rows = breakdown.calibration
    assert sum(row.ratings for row in rows) == len(split.test)
    total = sum(row.ratings * row.rating for row in rows)
    assert total == pytest.approx(split.test.rating.sum(dtype=float))
    predicted = [row.prediction for row in rows]
    assert predicted == sorted(predicted)


def test_residuals_are_rating_minus_prediction(
    split: Split, model: Model, breakdown: Breakdown
) -> None:
    residuals = breakdown.residuals
    expected, _ = np.histogram(-errors(model, split), residuals.edges)
    assert residuals.ratings == expected.tolist()


def test_months_are_calendar_months(split: Split, model: Model, breakdown: Breakdown) -> None:
    dates = split.test.timestamp.astype("datetime64[s]").astype("datetime64[M]").astype(str)
    months, counts = np.unique(dates, return_counts=True)
    assert breakdown.month is not None
    assert [row.month for row in breakdown.month] == months.tolist()
    assert [row.ratings for row in breakdown.month] == counts.tolist()


def test_times_that_are_not_seconds_have_no_months(split: Split, model: Model) -> None:
    wild = replace(split.test, timestamp=split.test.timestamp * 1000)
    assert evaluate(model, split, CONFIG, on=wild).breakdown.month is None
    none = replace(split.test, timestamp=None)
    assert evaluate(model, split, CONFIG, on=none).breakdown.month is None
    assert months_of(np.array([0, 2_678_400])) == range(0, 2)
    assert month_of(np.array([-1])).tolist() == [-1]
    extreme = np.array([np.iinfo(np.int64).min, np.iinfo(np.int64).max])
    assert months_of(extreme) == range(0)


def test_ratings_without_steps_are_in_tenths(split: Split, model: Model) -> None:
    smooth = replace(split.test, rating=split.test.rating + np.float32(0.01))
    wide = replace(model, scale=Scale(1, 5, None))
    rows = evaluate(wide, split, CONFIG, on=smooth).breakdown.rating
    assert len(rows) <= 10
    assert sum(row.ratings for row in rows) == len(split.test)


def test_equal_ratings(split: Split, model: Model) -> None:
    same = replace(split.test, rating=np.full(len(split.test), 3, np.float32))
    flat = replace(model, scale=Scale(3, 3, None))
    metrics = evaluate(flat, split, CONFIG, on=same)
    assert metrics.measures["r2"] is None
    assert metrics.measures["rmse"] == 0
    assert metrics.breakdown.rating[0].ratings == len(split.test)


def test_timestamps_in_milliseconds_have_no_months(split: Split, model: Model) -> None:
    """They would be of the year 39996, which is not a month like 2001-09."""
    when = np.full(len(split.test), 1_200_000_000_000, np.int64)
    odd = replace(split.test, timestamp=when)
    assert evaluate(model, split, CONFIG, on=odd).breakdown.month is None


def test_intervals_are_over_the_users_items_or_ratings_of_a_group(
    split: Split, model: Model, breakdown: Breakdown
) -> None:
    squared = np.square(errors(model, split))

    def expected(own: np.ndarray, cluster: np.ndarray) -> list[float]:
        """The slow twin: the ratio of two sums over clusters, and its variance."""
        sums = [
            (squared[own & (cluster == c)].sum(), np.count_nonzero(own & (cluster == c)))
            for c in np.unique(cluster[own])
        ]
        mean, n = squared[own].mean(), len(sums)
        variance = n / (n - 1) * sum((s - mean * r) ** 2 for s, r in sums) / own.sum() ** 2
        return [np.sqrt(mean + sign * 1.959964 * np.sqrt(variance)) for sign in (-1, 1)]

    test = split.test
    for rows, counts, cluster in (
        (breakdown.user_activity, split.train.users.counts[test.user], test.user),
        (breakdown.item_popularity, split.train.items.counts[test.item], test.item),
    ):
        row = rows[2]
        own = (counts >= row.low) & (counts <= row.high)
        assert row.interval == pytest.approx(expected(own, cluster))
    row = breakdown.rating[2]
    own = test.rating == np.unique(test.rating)[2]
    assert row.interval == pytest.approx(expected(own, np.arange(len(own))))


def test_a_group_of_one_has_no_interval() -> None:
    assert rmse_interval(1, 5, 10, 100, 50, 25) is None
    assert rmse_interval(2, 4, 0, 0, 0, 8) == (0, 0)
    low, _ = rmse_interval(2, 2, 1, 1, 1, 2) or (None, None)
    assert low == 0  # an RMSE is not negative

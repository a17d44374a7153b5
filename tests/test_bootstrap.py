"""Draws of users against a simple implementation that joins the ratings of the drawn users."""

from __future__ import annotations

import math

import numpy as np
import pytest
from error_measures import errors_of, user_sums

from mfcli.evaluation.binned_sums import BinnedSums, Bins
from mfcli.evaluation.bootstrap import Bootstrap, interval
from mfcli.evaluation.compiled_draws import times_drawn
from mfcli.evaluation.rating_errors import measured_errors


def twin(seed: int, number: int, user: np.ndarray) -> np.ndarray:
    """Return the positions of the ratings of the drawn users, and a new number for each draw."""
    count = int(user.max()) + 1
    drawn = np.random.default_rng([seed, number]).integers(0, count, count, dtype=np.int32)
    return np.concatenate(
        [
            np.stack([rows, np.full(len(rows), n)])
            for n, rows in enumerate(np.flatnonzero(user == u) for u in drawn)
        ],
        axis=1,
    )


def test_a_draw_measures_the_drawn_users() -> None:
    rng = np.random.default_rng(1)
    user = np.concatenate([np.arange(12), rng.integers(0, 12, 80)])
    rating, error = rng.normal(3, 1, len(user)), rng.normal(0, 1, len(user))
    sums = user_sums(error, rating, user)
    measured = measured_errors(sums, {"model": ""}, Bootstrap(5, seed=7))["model"]
    for number in range(5):
        rows, new = twin(7, number, user)
        expected = errors_of(rating[rows] + error[rows], rating[rows], new)
        found = {name: draws[number] for name, draws in measured.draws.items()}
        assert found == pytest.approx(expected, abs=1e-9)


def test_threads_do_not_matter() -> None:
    rows = np.random.default_rng(0).random((3, 1000))
    one = Bootstrap(40, 3, threads=1).totals(rows)
    np.testing.assert_array_equal(one, Bootstrap(40, 3, threads=4).totals(rows))
    np.testing.assert_array_equal(one[:, :10], Bootstrap(10, 3).totals(rows))


@pytest.mark.parametrize("count", [2, 3, 7, 100, 3000, 70_001])
def test_compiled_draws_are_those_of_numpy(count: int) -> None:
    for number in range(5):
        generator = np.random.default_rng([count, number])
        times = times_drawn(generator, count)
        drawn = generator.integers(0, count, count, dtype=np.int32)
        np.testing.assert_array_equal(times, np.bincount(drawn, minlength=count))


@pytest.mark.parametrize("compiled", [False, True])
def test_totals_do_not_depend_on_the_order_of_additions(compiled: bool) -> None:
    """Nor on how many sums are computed together; and they are precise."""
    rng = np.random.default_rng(5)
    rows = rng.normal(size=(4, 3000)) * np.exp(rng.normal(0, 3, (4, 3000)))
    rows[3] = 0
    totals = Bootstrap(20, 1, compiled=compiled).totals(rows)
    np.testing.assert_array_equal(totals, Bootstrap(20, 1).totals(rows))
    np.testing.assert_array_equal(totals[1:2], Bootstrap(20, 1).totals(rows[1:2]))
    drawn = np.random.default_rng([1, 7]).integers(0, 3000, 3000, dtype=np.int32)
    exact = [math.fsum(row[drawn]) for row in rows]
    np.testing.assert_allclose(totals[:, 7], exact, rtol=0, atol=1e-11 * np.abs(rows).sum())


def test_totals_are_unbiased() -> None:
    rows = np.random.default_rng(0).random((1, 400))
    totals = Bootstrap(2000, 0).totals(rows)
    assert totals.mean() == pytest.approx(rows.sum(), rel=0.005)
    assert totals.std() == pytest.approx(rows.std() * 20, rel=0.05)


def test_intervals_are_percentiles() -> None:
    draws = np.random.default_rng(0).permutation(np.arange(1001.0))
    assert interval(draws) == pytest.approx([25.0, 975.0])
    assert interval(draws[:0]) is None
    assert interval(np.array([1.0, np.nan])) is None
    assert Bootstrap(10, 0).totals(np.ones((2, 1))).shape == (2, 0)


def test_sums_can_be_accumulated_in_pieces() -> None:
    rng = np.random.default_rng(2)
    index, value = rng.integers(0, 5, 100), rng.random(100)
    whole, first, second = (BinnedSums(6, "value") for _ in range(3))
    whole.add(index, value=value)
    first.add(index[:30], value=value[:30])
    second.add(index[30:], value=value[30:])
    first.merge(second)
    np.testing.assert_allclose(first["value"], whole["value"])
    np.testing.assert_array_equal(first.counts, np.bincount(index, minlength=6))
    assert first.mean("value")[2] == pytest.approx(value[index == 2].mean())
    assert np.isnan(first.mean("value")[5])


def test_outer_bins_hold_the_values_beyond_them() -> None:
    bins = Bins(0.5, 5.5, 10)
    assert bins.of(np.array([-1, 0.5, 0.99, 1.0, 5.4, 5.5, 9])).tolist() == [0, 0, 0, 1, 9, 9, 9]
    np.testing.assert_allclose(bins.edges(), np.arange(0.5, 5.6, 0.5))
    assert Bins(3, 3, 4).of(np.array([3.0])).tolist() == [0]

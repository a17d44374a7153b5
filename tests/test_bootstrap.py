"""Draws of users against a simple implementation that joins the ratings of the drawn users."""

from __future__ import annotations

import math

import numpy as np
import pytest
from error_measures import errors_of, user_sums

from mfcli.evaluation import binned_sums, bootstrap, compiled_draws
from mfcli.evaluation.binned_sums import BinnedSums, Bins
from mfcli.evaluation.bootstrap import Bootstrap, interval
from mfcli.evaluation.compiled_draws import times_drawn
from mfcli.evaluation.rating_errors import measured_errors
from mfcli.evaluation.user_sums import UserSums
from mfcli.storage import Scratch, scratch


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


def sums_of(rows: np.ndarray, space: Scratch | None = None) -> UserSums:
    """Return sums of users, shape (sums, users)."""
    sums = UserSums([str(n) for n in range(len(rows))], rows.shape[1], space)
    for name, row in zip(sums.names, rows, strict=True):
        sums.set(name, row)
    return sums


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
    one = Bootstrap(40, 3, threads=1).totals(sums_of(rows))
    np.testing.assert_array_equal(one, Bootstrap(40, 3, threads=4).totals(sums_of(rows)))
    np.testing.assert_array_equal(one[:, :10], Bootstrap(10, 3).totals(sums_of(rows)))


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
    totals = Bootstrap(20, 1, compiled=compiled).totals(sums_of(rows))
    np.testing.assert_array_equal(totals, Bootstrap(20, 1).totals(sums_of(rows)))
    np.testing.assert_array_equal(totals[1:2], Bootstrap(20, 1).totals(sums_of(rows[1:2])))
    drawn = np.random.default_rng([1, 7]).integers(0, 3000, 3000, dtype=np.int32)
    exact = [math.fsum(row[drawn]) for row in rows]
    np.testing.assert_allclose(totals[:, 7], exact, rtol=0, atol=1e-11 * np.abs(rows).sum())


def test_sums_in_temporary_space_have_the_same_totals(monkeypatch: pytest.MonkeyPatch) -> None:
    rows = np.random.default_rng(0).normal(size=(3, 500))
    whole = Bootstrap(40, 3).totals(sums_of(rows))
    for users, batch in ((500, 16), (7, 16), (64, 1)):
        monkeypatch.setattr(bootstrap, "_USERS", users)
        monkeypatch.setattr(bootstrap, "_BATCH", batch)
        monkeypatch.setattr(bootstrap, "_STORED_BATCH", 3 * batch)
        np.testing.assert_array_equal(Bootstrap(40, 3).totals(sums_of(rows)), whole)
        with scratch(1, "testing") as space:
            found = Bootstrap(40, 3, threads=2).totals(sums_of(rows, space))
        np.testing.assert_array_equal(found, whole)


def test_many_draws_are_compiled(monkeypatch: pytest.MonkeyPatch) -> None:
    """The compiler is loaded only for them."""
    calls: list[int] = []
    draw = compiled_draws.times_drawn
    monkeypatch.setattr(
        compiled_draws, "times_drawn", lambda rng, count: [calls.append(count), draw(rng, count)][1]
    )
    rows = np.ones((1, 50))
    Bootstrap(20, 0).totals(sums_of(rows))
    assert not calls
    monkeypatch.setattr(bootstrap, "_MANY", 999)
    Bootstrap(20, 0).totals(sums_of(rows))
    assert calls == [50] * 20


def test_totals_are_unbiased() -> None:
    rows = np.random.default_rng(0).random((1, 400))
    totals = Bootstrap(2000, 0).totals(sums_of(rows))
    assert totals.mean() == pytest.approx(rows.sum(), rel=0.005)
    assert totals.std() == pytest.approx(rows.std() * 20, rel=0.05)


def test_intervals_are_percentiles() -> None:
    draws = np.random.default_rng(0).permutation(np.arange(1001.0))
    assert interval(draws) == pytest.approx([25.0, 975.0])
    assert interval(draws[:0]) is None
    assert interval(np.array([1.0, np.nan])) is None
    assert Bootstrap(10, 0).totals(sums_of(np.ones((2, 1)))).shape == (2, 0)


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


def test_sums_of_many_bins_have_the_bits_of_few(monkeypatch: pytest.MonkeyPatch) -> None:
    """Compiled code adds them up; the order of additions is that of NumPy."""
    rng = np.random.default_rng(2)
    sums = [BinnedSums(50, "value", "flag")]
    monkeypatch.setattr(binned_sums, "_MANY", 49)
    sums.append(BinnedSums(50, "value", "flag"))
    for _ in range(3):
        index = rng.integers(0, 40, 300).astype(rng.choice([np.int32, np.int64]))
        columns = {"value": rng.normal(size=300), "flag": rng.random(300) < 0.5}
        for few, one in zip((500, 49), sums, strict=True):
            monkeypatch.setattr(binned_sums, "_MANY", few)
            one.add(index, **columns)
    sums[1].merge(sums[1])
    sums[0].merge(sums[0])
    for name in ("value", "flag"):
        np.testing.assert_array_equal(sums[0][name], sums[1][name])
    np.testing.assert_array_equal(sums[0].counts, sums[1].counts)

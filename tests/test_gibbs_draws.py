"""The draws of Gibbs sampling are those of their formulas, computed with NumPy in float64."""

from __future__ import annotations

import math
from typing import Any

import numba
import numpy as np
import pytest
from row_records import records_by_row
from scipy import stats

from mfcli.aligned import aligned, as_aligned, lanes_of
from mfcli.training.gibbs import normals as counted
from mfcli.training.gibbs.effect_draws import draw_effects
from mfcli.training.gibbs.noise import draw_gammas
from mfcli.training.gibbs.row_draws import draw_rows
from mfcli.types import Floats

KEY = np.array([11, 12], np.uint32)
TURN = 5


@numba.njit
def fill(first: int, count: int, turn: int, key: int, tweak: int, out: Floats) -> None:
    counted.normals(first, count, turn, key, tweak, out)


@numba.njit
def words(low: int, high: int, key: int, tweak: int) -> Any:
    return counted._philox(low, high, key, tweak)


def variates(first: int, count: int) -> Floats:
    """Return the variates of counters, in the order in which the kernels use them."""
    out = np.empty(4 * count, np.float32)
    fill(first, count, TURN, KEY[0], KEY[1], out)
    return out


def test_random_bits_are_those_of_philox() -> None:
    """The known answers are in the tests of Random123, the library of the authors."""
    ones, half = np.uint64(2**64 - 1), np.uint32(2**32 - 1)
    assert [hex(n) for n in words(0, 0, 0, 0)] == [
        "0x6627e8d5", "0xe169c58d", "0xbc57ac4c", "0x9b00dbd8"
    ]  # fmt: skip
    assert [hex(n) for n in words(ones, ones, half, half)] == [
        "0x408f276d", "0x41c83b0e", "0xa20bc7c6", "0x6d5451fd"
    ]  # fmt: skip


def test_variates_are_standard_normal_and_belong_to_their_counters() -> None:
    drawn = variates(0, 1 << 16)
    assert stats.kstest(drawn, "norm").pvalue > 0.01
    assert abs(np.corrcoef(drawn.reshape(4, -1)) - np.eye(4)).max() < 0.02
    alone = np.array([variates(n, 1) for n in (3, 70)])
    np.testing.assert_array_equal(alone, drawn.reshape(4, -1)[:, [3, 70]].T)


@numba.njit
def pair(a: int, b: int) -> Any:
    return counted._pair(np.uint32(a), np.uint32(b))


@pytest.mark.parametrize("a", [0, 1, 2**31, 2**32 - 1])
@pytest.mark.parametrize("b", [0, 2**29, 2**30 - 1, 2**31, 3 * 2**30 + 5, 2**32 - 1])
def test_pairs_are_those_of_box_and_muller(a: int, b: int) -> None:
    radius = math.sqrt(-2 * math.log(np.float32((a + 0.5) / 2**32)))
    angle = 2 * math.pi * b / 2**32
    expected = radius * math.cos(angle), radius * math.sin(angle)
    np.testing.assert_allclose(pair(a, b), expected, atol=1e-6)


@pytest.mark.parametrize("shape", [0.5, 1.0, 7.5, 400.0])
def test_gammas_have_their_distribution(shape: float) -> None:
    out = np.empty(20_000)
    draw_gammas(KEY, TURN, 0, np.full(len(out), shape), out)
    assert stats.kstest(out, "gamma", args=(shape,)).pvalue > 0.01
    some = np.empty(10)
    draw_gammas(KEY, TURN, 50, np.full(10, shape), some)
    np.testing.assert_array_equal(some, out[50:60])


@pytest.mark.parametrize(("k", "weighted"), [(1, True), (7, False), (15, True), (33, False)])
def test_rows_are_drawn_by_the_formula(k: int, weighted: bool) -> None:
    """The error is a small fraction of the posterior standard deviation, also of a long row."""
    rng = np.random.default_rng(k)
    n, m, d, width = 9, 700, k + 1, lanes_of(k + 1)
    pairs = rng.random((n, m)) < np.array([[0.6], [1], *[[0.02]] * 7])
    pairs[4] = False  # a user without ratings
    user, item = (a.astype(np.int32) for a in np.nonzero(pairs))
    rating = rng.normal(3, 1, len(user)).astype(np.float32)
    weights = (rng.uniform(0.2, 3, len(user)) if weighted else np.ones(len(user))).astype("f4")
    records = records_by_row(user, item, rating, n, weights if weighted else None)
    pad = ((0, 0), (0, width - d))
    theirs, sums = rng.normal(size=(m, d)), rng.normal(size=(n, d))
    root = rng.normal(size=(d, d))
    precision, mean, mu = root @ root.T + np.eye(d), rng.normal(size=d), 2.9
    alphas, roots = rng.uniform(0.5, 2, n), rng.uniform(0.5, 2, m)
    z = theirs.copy()
    z[:, 0] = 1
    rows, squares, whole = aligned((n, width)), np.zeros(n), np.eye(width)
    means = aligned((n, width))
    whole[:d, :d] = precision
    others = np.pad(z * roots[:, None], pad), roots * (mu + theirs[:, 0])
    prior = whole, np.pad(mean, pad[1]), np.pad(sums, pad)
    some = rng.normal(size=(d, d))
    extra, more = some @ some.T, rng.normal(size=d)  # of unrated pairs
    unrated = np.pad(np.vstack([extra, np.zeros((width - d, d)), more]), pad)
    given = [as_aligned(array) for array in (*others, unrated, alphas, *prior)]
    for first, last in ((0, 2), (2, n)):  # any division of the rows draws the same
        draw = draw_rows(width, weighted=weighted)
        draw(first, last, 0, d, records, *given, KEY, TURN, rows, means, squares)
    without = aligned((n, width))
    draw_rows(width, weighted=weighted)(
        0, n, 0, d, records, *given, KEY, TURN, without, aligned((0, width)), squares.copy()
    )
    assert (without == rows).all()  # means change nothing
    assert not rows[4].any()
    assert not means[4].any()
    assert not rows[:, d:].any()
    for u in {*range(n)} - {4}:
        own, c = z[item[user == u]], roots[item[user == u]] ** 2 * weights[user == u]
        targets = rating[user == u] - mu - theirs[item[user == u], 0]
        p = precision + alphas[u] * (own.T @ (c[:, None] * own) + extra)
        h = precision @ (mean + sums[u]) + alphas[u] * (own.T @ (c * targets) + more)
        upper = np.linalg.cholesky(p).T
        e = variates(u * width // 4, width // 4)[:d]
        expected, noise = np.linalg.solve(p, h), np.linalg.solve(upper, e)
        deviations = np.sqrt(np.linalg.inv(p).diagonal())
        assert np.abs((rows[u, :d] - expected - noise) / deviations).max() < 1e-4
        assert np.abs((means[u, :d] - expected) / deviations).max() < 1e-4
        errors = c * (targets - own @ rows[u, :d]) ** 2
        assert squares[u] == pytest.approx(errors.sum(), rel=1e-4, abs=1e-4)


def small_draw(theirs: Any, rating: Any, precision: Any, alpha: float) -> tuple[Any, float, Any]:
    """Draw the row of a single user; return it, its squared errors, and the rows it has rated."""
    m, d = theirs.shape
    width, other = lanes_of(d), np.arange(m, dtype=np.int32)
    records = records_by_row(np.zeros(m, np.int32), other, rating.astype(np.float32), 1)
    z, whole = theirs.copy(), np.eye(width)
    z[:, 0] = 1
    whole[:d, :d] = precision
    others = np.pad(z, ((0, 0), (0, width - d))), theirs[:, 0]
    none = np.zeros(width), np.zeros((1, width))
    unrated = np.zeros((width + 1, width))
    given = [as_aligned(array) for array in (*others, unrated, np.full(1, alpha), whole, *none)]
    rows, squares = aligned((1, width)), np.zeros(1)
    no_means = aligned((0, width))
    draw_rows(width)(0, 1, 0, d, records, *given, KEY, TURN, rows, no_means, squares)
    return rows[0, :d], float(squares[0]), z


def test_squared_errors_that_almost_vanish_are_exact() -> None:
    rng = np.random.default_rng(0)
    theirs = np.pad(rng.normal(size=(3000, 7)), ((0, 0), (1, 0)))
    rating = 50 + theirs @ rng.normal(size=8) + 1e-3 * rng.normal(size=3000)
    row, squares, z = small_draw(theirs, rating, np.eye(8), 1e6)
    errors = rating - z @ row
    assert squares == pytest.approx(float((errors**2).sum()), rel=0.02)


def test_rows_are_finite_if_their_precision_is_singular_up_to_rounding() -> None:
    rng = np.random.default_rng(1)
    theirs = np.zeros((400, 33))
    theirs[:, 1:] = rng.normal(size=(400, 2)) @ rng.normal(size=(2, 32))  # of rank 2
    for seed in range(20):
        rating = np.random.default_rng(seed).normal(size=400)
        row, squares, _ = small_draw(theirs, rating, np.eye(33), 1e9)
        assert np.isfinite(row).all()
        assert squares > 0


@pytest.mark.parametrize("lanes", [8, 16])
def test_effects_are_drawn_by_the_formula(lanes: int) -> None:
    """The formula is computed one effect after another."""
    rng = np.random.default_rng(3)
    users, items, counter = 30, 40, 1 << 40
    pairs = rng.random((users, items)) < 0.5
    pairs[:, 2] = False  # an item without ratings
    user, item = (a.astype(np.int32) for a in np.nonzero(pairs))
    records = records_by_row(item, user, np.ones(len(user), np.float32), items)
    effects, residuals = rng.normal(size=(items, lanes)), rng.normal(size=(users, lanes))
    precisions = rng.uniform(0.5, 5, lanes)
    drawn, left, own_precisions = map(as_aligned, (effects, residuals, precisions))
    for first, last in ((0, 5), (5, items)):  # any division of the effects draws the same
        draw_effects(lanes)(first, last, records, drawn, left, own_precisions, KEY, TURN, counter)
    for i in range(items):
        n = pairs[:, i].sum()
        if n:
            e = variates(counter + i * lanes // 4, lanes // 4)
            own = residuals[pairs[:, i]] + effects[i]
            precision = 1 + n * precisions
            new = precisions * own.sum(axis=0) / precision + e / np.sqrt(precision)
            residuals[pairs[:, i]] = own - new
            effects[i] = new
    np.testing.assert_allclose(drawn, effects, rtol=1e-5, atol=5e-6)
    np.testing.assert_allclose(left, residuals, rtol=1e-5, atol=2e-5)

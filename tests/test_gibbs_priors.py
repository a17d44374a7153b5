"""Priors and noise of Gibbs sampling: draws have the distributions of their formulas."""

from __future__ import annotations

import numpy as np
import pytest
from planted import make_ratings

from mfcli.training.gibbs.kernels import LANES, draw_effects
from mfcli.training.gibbs.noise import UserNoise, draw_freedom
from mfcli.training.gibbs.priors import Effects, draw_prior
from mfcli.training.gibbs.sides import BothSides, sort_ratings

USERS, ITEMS = 30, 6


def rated(seed: int) -> tuple[BothSides, np.ndarray]:
    """Return ratings of some pairs, and which pairs these are, shape (users, items)."""
    rng = np.random.default_rng(seed)
    pairs = rng.random((USERS, ITEMS)) < 0.5
    pairs[3], pairs[:, 2] = False, False  # a user and an item without ratings
    user, item = np.nonzero(pairs)
    ratings = make_ratings(user, item, rng.normal(size=len(user)), users=USERS, items=ITEMS)
    return sort_ratings(ratings, 4, threads=2), pairs


def test_columns_of_effects_are_drawn_by_the_formula() -> None:
    """The formula is computed with NumPy, one effect after another."""
    sides, pairs = rated(2)
    rng = np.random.default_rng(3)
    effects, normals = rng.normal(size=(2, ITEMS, LANES))
    residuals, precisions = rng.normal(size=(USERS, LANES)), rng.uniform(0.5, 5, LANES)
    drawn, left = effects.copy(), residuals.copy()
    starts, others, _ = sides.items.arrays
    draw_effects(starts, others, drawn, left, precisions, normals)
    for i in range(ITEMS):
        n = pairs[:, i].sum()
        own = residuals[pairs[:, i]] + effects[i]
        precision = 1 + n * precisions
        new = precisions * own.sum(axis=0) / precision + normals[i] / np.sqrt(precision)
        if n:
            residuals[pairs[:, i]] = own - new
            effects[i] = new
    np.testing.assert_allclose(drawn, effects, rtol=1e-10)
    np.testing.assert_allclose(left, residuals, rtol=1e-9, atol=1e-12)


def test_effects_have_the_distribution_of_a_regression() -> None:
    """Effects Y of rows ``X Y + noise`` have a Gaussian distribution that is known in full."""
    sides, pairs = rated(4)
    rng, d = np.random.default_rng(5), 5
    seen = sides.items.rated
    root = rng.normal(size=(d, d))
    precision, strengths = root @ root.T + np.eye(d), rng.uniform(1, 20, d)
    rows = rng.normal(size=(USERS, d))
    effects, draws = Effects(sides.users, sides.items, d), []
    for _ in range(3000):
        effects.strengths[:] = strengths
        effects.draw(rows, precision, rng)
        draws.append(effects.effects[seen].ravel())
    np.testing.assert_allclose(effects.sums, pairs @ effects.effects, rtol=1e-6, atol=1e-9)
    x = pairs[:, seen].astype(float)
    whole = np.kron(x.T @ x, precision) + np.kron(np.eye(seen.sum()), np.diag(strengths))
    mean = np.linalg.solve(whole, (x.T @ rows @ precision).ravel())
    spread = np.linalg.inv(whole)
    most = np.sqrt(spread.diagonal().max())
    np.testing.assert_allclose(np.mean(draws[100:], axis=0), mean, atol=0.1 * most)
    np.testing.assert_allclose(np.cov(np.array(draws[100:]).T), spread, atol=0.1 * most**2)
    assert not effects.effects[~seen].any()


def test_the_strengths_of_effects_are_recovered() -> None:
    rng = np.random.default_rng(6)
    user, item = (a.ravel() for a in np.indices((40, 300)))
    pairs = rng.random(len(user)) < 0.3
    ratings = make_ratings(user[pairs], item[pairs], pairs[pairs], users=40, items=300)
    sides = sort_ratings(ratings, 1, threads=1)
    planted = rng.normal(0, [0.05, 0.5], size=(40, 2))
    x = np.zeros((300, 40))
    x[item[pairs], user[pairs]] = 1
    rows = x @ planted + rng.normal(0, 0.1, (300, 2))
    effects, found = Effects(sides.items, sides.users, 2), []
    for epoch in range(400):
        effects.draw(rows, 100 * np.eye(2), rng)
        if epoch > 100:
            found.append(effects.strengths**-0.5)
    np.testing.assert_allclose(np.mean(found, axis=0), planted.std(axis=0), rtol=0.25)


@pytest.mark.parametrize("freedom", [2.0, 8.0, 100.0])
def test_degrees_of_freedom_are_recovered(freedom: float) -> None:
    rng = np.random.default_rng(7)
    weights = rng.gamma(freedom / 2, 2 / freedom, 2000)
    drawn = [draw_freedom(weights, rng) for _ in range(300)]
    assert np.exp(np.log(drawn).mean()) == pytest.approx(freedom, rel=0.15)


def test_the_noise_of_each_user_is_recovered() -> None:
    rng = np.random.default_rng(8)
    counts = rng.integers(20, 400, 300)
    counts[7] = 0
    scale = np.where(np.arange(300) < 100, 2.0, 0.5)
    squares = scale**2 * rng.chisquare(np.maximum(counts, 1)) * (counts > 0)
    own, shared = UserNoise(counts, per_user=True), UserNoise(counts, per_user=False)
    found = []
    for epoch in range(300):
        own.draw(squares, rng)
        shared.draw(squares, rng)
        if epoch > 50:
            found.append((own.precision * own.weights) ** -0.5)
    mean = np.mean(found, axis=0)
    assert np.delete(mean[:100], 7) == pytest.approx(2.0, rel=0.5)
    assert mean[:100].mean() == pytest.approx(2.0, rel=0.05)
    assert mean[100:].mean() == pytest.approx(0.5, rel=0.05)
    assert (shared.weights == 1).all()
    assert shared.precision[0] ** -0.5 == pytest.approx(
        (squares.sum() / counts.sum()) ** 0.5, rel=0.02
    )


def test_priors_are_drawn_from_the_normal_wishart_distribution() -> None:
    rng, d, n = np.random.default_rng(6), 3, 20
    rows = rng.normal([1.0, 0.0, -1.0], [0.5, 1.0, 2.0], size=(n, d))
    draws = [draw_prior(rows, rng) for _ in range(20_000)]
    precisions, means = (np.array(part) for part in zip(*draws, strict=True))
    mean, centred = rows.mean(axis=0), rows - rows.mean(axis=0)
    scatter = np.eye(d) + centred.T @ centred + 2 * n / (2 + n) * np.outer(mean, mean)
    expected = (d + n) * np.linalg.inv(scatter)
    np.testing.assert_allclose(precisions.mean(axis=0), expected, atol=0.02 * expected.max())
    np.testing.assert_allclose(means.mean(axis=0), n * mean / (n + 2), atol=0.02)
    spread = scatter / (n - 1) / (n + 2)  # E of the inverse of (n + 2) x precision
    np.testing.assert_allclose(np.cov(means.T), spread, atol=0.05 * spread.max())

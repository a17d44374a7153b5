"""Priors and noise of Gibbs sampling: draws have the distributions of their formulas."""

from __future__ import annotations

import numpy as np
import pytest
from planted import make_ratings

from mfcli.aligned import as_aligned
from mfcli.training.gibbs.effects import Effects, EffectsDraw, draw_blocks
from mfcli.training.gibbs.noise import UserNoise, draw_freedom
from mfcli.training.gibbs.normals import Turn
from mfcli.training.gibbs.priors import Prior, draw_prior
from mfcli.training.normal_equations.rated_pairs import RatedPairs, unit_of
from mfcli.training.normal_equations.ratings_by_row import BothSides, sort_ratings

USERS, ITEMS = 30, 6


def rated(seed: int) -> tuple[BothSides, np.ndarray]:
    """Return ratings of some pairs, and which pairs these are, shape (users, items)."""
    rng = np.random.default_rng(seed)
    pairs = rng.random((USERS, ITEMS)) < 0.5
    pairs[3], pairs[:, 2] = False, False  # a user and an item without ratings
    user, item = np.nonzero(pairs)
    ratings = make_ratings(user, item, rng.normal(size=len(user)), users=USERS, items=ITEMS)
    rated_pairs = RatedPairs(ratings)
    return sort_ratings(rated_pairs, 4, threads=2, unit=unit_of(rated_pairs)), pairs


def draw(
    effects: Effects, rows: np.ndarray, prior: Prior, turn: int, rng: np.random.Generator
) -> None:
    key = np.array([3, 4], np.uint32)
    one = EffectsDraw(effects, rows, as_aligned(rows - effects.sums), prior, Turn(key, turn))
    draw_blocks([one], threads=2)
    one.finish(rng)


def test_effects_have_the_distribution_of_a_regression() -> None:
    """Effects Y of rows ``X Y + noise`` have a Gaussian distribution that is known in full."""
    sides, pairs = rated(4)
    rng, d, width = np.random.default_rng(5), 5, 16
    seen = sides.items.rated
    root = rng.normal(size=(d, d))
    precision, strengths = root @ root.T + np.eye(d), rng.uniform(1, 20, d)
    rows = np.zeros((USERS, width), np.float32)
    rows[:, :d] = rng.normal(size=(USERS, d))
    prior = Prior(np.eye(width), np.zeros(width))
    prior.precision[:d, :d] = precision
    effects, draws = Effects(sides.users, sides.items, d - 1, width), []
    for turn in range(3000):
        effects.strengths[:] = strengths
        draw(effects, rows, prior, turn, rng)
        draws.append(effects.effects[seen, :d].ravel())
    # The sums follow the residuals, so their rounding errors grow with the number of draws.
    np.testing.assert_allclose(effects.sums, pairs @ effects.effects, atol=1e-3)
    assert not effects.effects[:, d:].any()
    x = pairs[:, seen].astype(float)
    whole = np.kron(x.T @ x, precision) + np.kron(np.eye(seen.sum()), np.diag(strengths))
    mean = np.linalg.solve(whole, (x.T @ rows[:, :d] @ precision).ravel())
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
    rated_pairs = RatedPairs(ratings)
    sides = sort_ratings(rated_pairs, 1, threads=1, unit=unit_of(rated_pairs))
    planted = rng.normal(0, [0.05, 0.5], size=(40, 2))
    x = np.zeros((300, 40))
    x[item[pairs], user[pairs]] = 1
    rows = np.zeros((300, 16), np.float32)
    rows[:, :2] = x @ planted + rng.normal(0, 0.1, (300, 2))
    prior = Prior(100 * np.eye(16), np.zeros(16))
    effects, found = Effects(sides.items, sides.users, 1, 16), []
    for epoch in range(400):
        draw(effects, rows, prior, epoch, rng)
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
        turn = Turn(np.array([1, 2], np.uint32), epoch)
        own.draw(squares, rng, turn)
        shared.draw(squares, rng, turn)
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
    wide = np.zeros((n, 16), np.float32)
    wide[:, :d] = rows
    draws = [draw_prior(wide, n, d, rng) for _ in range(20_000)]
    assert all((one.precision[d:] == np.eye(16)[d:]).all() for one in draws[:3])
    precisions = np.array([one.precision[:d, :d] for one in draws])
    means = np.array([one.mean[:d] for one in draws])
    mean, centred = rows.mean(axis=0), rows - rows.mean(axis=0)
    scatter = np.eye(d) + centred.T @ centred + 2 * n / (2 + n) * np.outer(mean, mean)
    expected = (d + n) * np.linalg.inv(scatter)
    np.testing.assert_allclose(precisions.mean(axis=0), expected, atol=0.02 * expected.max())
    np.testing.assert_allclose(means.mean(axis=0), n * mean / (n + 2), atol=0.02)
    spread = scatter / (n - 1) / (n + 2)  # E of the inverse of (n + 2) x precision
    np.testing.assert_allclose(np.cov(means.T), spread, atol=0.05 * spread.max())

"""The kernels of rankings against slow twins."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings, strategies as st

from mfcli.data import Ratings, Vocabulary, to_arrow
from mfcli.model import Rated, grouped
from mfcli.model.panels import LINE, lengths_of, make_panels
from mfcli.model.recommendations import _ranked
from mfcli.types import Floats, Rows

USERS, ITEMS = 70, 150


def ids(count: int) -> Vocabulary:
    return Vocabulary(to_arrow(np.arange(count)), np.ones(count, np.int64))


def table(rng: np.random.Generator, rows: int, k: int, spread: int) -> Floats:
    """Small whole numbers times powers of 2: products and sums are exact, and many are equal."""
    whole = rng.integers(-2, 3, (rows, k)) * 2.0 ** rng.integers(-spread, spread + 1, (rows, 1))
    return whole.astype(np.float32)


def slow(
    factors: Floats, queries: Rows, items: Floats, biases: Floats, allowed: Rows, n: int,
    rated: list[set[int]],
) -> tuple[list[list[int]], list[list[float]]]:  # fmt: skip
    """Score all items, sort them, and leave out those that are rated."""
    best, scores = [], []
    for query in queries.tolist():
        row = factors[query] if query >= 0 else np.zeros_like(factors[0])
        score = items @ row + biases
        left = set(allowed.tolist()) - (rated[query] if query >= 0 else set())
        ranked = sorted(left, key=lambda item: (-score[item], item))[:n]
        best.append(ranked + [-1] * (n - len(ranked)))
        scores.append([float(score[i]) for i in ranked] + [-np.inf] * (n - len(ranked)))
    return best, scores


@settings(max_examples=60, deadline=None)
@given(
    seed=st.integers(0, 10**6),
    k=st.integers(1, 20),
    n=st.integers(1, 12),
    spread=st.integers(0, 3),
    bias=st.integers(0, 6),
    share=st.sampled_from([0.02, 0.5, 0.97]),
    queries=st.integers(0, USERS),
    some=st.booleans(),
    threads=st.integers(1, 2),
)
def test_the_best_rows_equal_those_of_a_sort(
    seed: int, k: int, n: int, spread: int, bias: int, share: float, queries: int, some: bool,
    threads: int,
) -> None:  # fmt: skip
    """With large biases, most rows are never scored."""
    rng = np.random.default_rng(seed)
    factors, items = table(rng, USERS, k, spread), table(rng, ITEMS, k, spread)
    biases = (table(rng, ITEMS, 1, 1) * 2.0**bias).ravel()
    wanted = rng.integers(-1, USERS, queries).astype(np.int32)
    pairs = np.argwhere(rng.random((USERS, ITEMS)) < share).astype(np.int32)
    rated = [set(pairs[pairs[:, 0] == user, 1].tolist()) for user in range(USERS)]
    user, item = pairs.T.copy()
    ones = np.ones(len(user), np.float32)
    exclude = Rated.of(Ratings(user, item, ones, None, ids(USERS), ids(ITEMS)))
    allowed = np.arange(ITEMS, dtype=np.int32)[:: 3 if some else 1]
    found = _ranked(factors, wanted, (items, biases), allowed, n, exclude, threads)
    best, scores = slow(factors, wanted, items, biases, allowed, n, rated)
    assert (found.items.tolist(), found.scores.tolist()) == (best, scores)


@settings(max_examples=60, deadline=None)
@given(
    seed=st.integers(0, 10**6),
    k=st.integers(1, 70),
    scale=st.sampled_from([1e-20, 1e-3, 1.0, 1e6]),
    usual=st.sampled_from([0.0, 1e-6, 1.0, 1e6]),
)
def test_no_score_exceeds_the_bounds(seed: int, k: int, scale: float, usual: float) -> None:
    rng = np.random.default_rng(seed)
    spreads = scale * np.exp(rng.normal(0, 2, (90, 1)))
    factors = (rng.normal(size=(90, k)) * spreads).astype(np.float32)
    biases = (rng.normal(size=90) * scale).astype(np.float32)
    panels = make_panels(factors, biases, np.arange(90, dtype=np.int32), usual)
    # The direction of a row itself gives it the highest score, including one ulp of rounding.
    queries = np.concatenate([rng.normal(size=(20, k)) * scale, factors]).astype(np.float32)
    scores = queries @ factors.T + biases
    lengths = lengths_of(queries)
    for panel, (most, longest, shortest) in enumerate(panels.bounds):
        rows = panels.rows[panel * LINE :]
        highest = scores[:, rows[rows >= 0]].max(axis=1)
        excess = lengths - usual
        bound = most + excess * np.where(excess > 0, longest, shortest)
        assert (highest <= bound).all()


def test_rows_are_arranged_once_each() -> None:
    rng = np.random.default_rng(0)
    factors, biases = table(rng, 50, 3, 1), table(rng, 50, 1, 1).ravel()
    rows = np.arange(1, 50, 2, dtype=np.int32)
    panels = make_panels(factors, biases, rows, 1.0)
    assert sorted(panels.rows.tolist()) == [-1] * 7 + rows.tolist()
    flat = panels.values.transpose(0, 2, 1).reshape(-1, 4)
    np.testing.assert_array_equal(flat[:25], np.column_stack([factors, biases])[panels.rows[:25]])


def test_a_score_does_not_depend_on_the_other_queries() -> None:
    rng = np.random.default_rng(1)
    factors = rng.normal(size=(USERS, 9)).astype(np.float32)
    items, biases = factors[::-1].copy(), factors[:, 0].copy()
    nothing, rows = Rated.nothing(USERS), np.arange(USERS, dtype=np.int32)
    every = _ranked(factors, rows, (items, biases), rows, 5, nothing)
    for user in (0, 13, 69):
        one = _ranked(factors, rows[user : user + 1], (items, biases), rows, 5, nothing)
        assert one.scores.tobytes() == every.scores[user].tobytes()
        assert one.items.tolist() == [every.items[user].tolist()]


@pytest.mark.parametrize("parts", [1, 3])
def test_values_are_grouped_in_their_order(parts: int) -> None:
    rng = np.random.default_rng(parts)
    pairs = [rng.integers(-1, 9, (2, 40)).astype(np.int32) for _ in range(parts)]
    starts, values = grouped([(rows, found) for rows, found in pairs], 11)
    for row in range(11):
        own = [v for r, v in np.concatenate(pairs, axis=1).T.tolist() if r == row and v >= 0]
        assert values[starts[row] : starts[row + 1]].tolist() == own
    assert len(starts) == 12
    assert starts[-1] == len(values)

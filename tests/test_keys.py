"""Random keys: those of the published generator, uniform, and independent of rows and seeds."""

from __future__ import annotations

from itertools import combinations

import numpy as np
import pytest
from hypothesis import given, settings, strategies as st

from mfcli.splits import keys as keys_module, order_statistics
from mfcli.splits.keys import RATINGS, TRAINED, USERS, held_out_rows, keys
from mfcli.splits.keys_by_user import nth_keys
from mfcli.splits.order_statistics import nth_smallest
from mfcli.splits.philox import philox

SIZE = 100_000
ROWS = np.arange(SIZE, dtype=np.uint32)


# The known answers of Random123, the library of the authors.
@pytest.mark.parametrize(
    ("low", "high", "key", "answer"),
    [
        (0, 0, 0, 0xFF1DAE596CD10DF2),
        (0xFFFFFFFF, 0xFFFFFFFF, 0xFFFFFFFF, 0x2C3F628BAB4FD7AD),
        (0x243F6A88, 0x85A308D3, 0x13198A2E, 0xDD7CE038F62A4C12),
    ],
)
def test_keys_are_numbers_of_philox(low: int, high: int, key: int, answer: int) -> None:
    assert philox(np.array([low], np.uint32), key, high).tolist() == [answer]


@pytest.mark.parametrize("seed", [0, 7, 2**64, 10**30])
def test_compiled_keys_are_the_same(seed: int) -> None:
    rows = np.array([0, 1, 2**31, 2**32 - 1, *range(100, 500, 7)], np.uint32)
    for purpose in (RATINGS, USERS, TRAINED):
        drawn = keys(seed, rows, purpose)
        assert drawn.tolist() == keys(seed, rows, purpose, compiled=True).tolist()
        one_by_one = [keys(seed, rows[n : n + 1], purpose)[0] for n in range(len(rows))]
        assert drawn.tolist() == one_by_one


def test_keys_in_pieces_are_the_same(monkeypatch: pytest.MonkeyPatch) -> None:
    whole = keys(3, ROWS[:1000])
    monkeypatch.setattr(keys_module, "PIECE", 7)
    assert keys(3, ROWS[:1000]).tolist() == whole.tolist()
    assert len(keys(3, ROWS[:0])) == 0


def test_no_two_rows_have_the_same_key() -> None:
    assert len(np.unique(keys(0, ROWS))) == SIZE


def chi_squared(numbers: np.ndarray, bins: int) -> float:
    """Return how many standard deviations the statistic of uniform numbers is off."""
    counts = np.bincount(numbers.astype(np.int64), minlength=bins)
    expected = len(numbers) / bins
    statistic = ((counts - expected) ** 2 / expected).sum()
    return float((statistic - (bins - 1)) / np.sqrt(2 * (bins - 1)))


@pytest.mark.parametrize("seed", [0, 1, 2**40])
@pytest.mark.parametrize("purpose", [RATINGS, USERS, TRAINED])
def test_keys_are_uniform(seed: int, purpose: int) -> None:
    drawn = keys(seed, ROWS, purpose)
    for shift in (56, 28, 0):  # the highest byte, one in the middle, and the lowest
        assert abs(chi_squared(drawn >> np.uint64(shift) & np.uint64(255), 256)) < 5
    ones = np.unpackbits(drawn.view(np.uint8).reshape(SIZE, 8), axis=1).mean(axis=0)
    assert np.abs(ones - 0.5).max() < 5 * 0.5 / np.sqrt(SIZE)


def unit(drawn: np.ndarray) -> np.ndarray:
    """Return keys as numbers with mean 0 and variance 1."""
    return np.asarray((drawn.astype(np.float64) / 2**64 - 0.5) * np.sqrt(12))


def test_keys_do_not_depend_on_keys_of_near_rows() -> None:
    drawn = unit(keys(0, ROWS))
    for lag in (1, 2, 3, 4, 8, 64, 1000, 2**14):
        assert abs(np.mean(drawn[lag:] * drawn[:-lag])) < 5 / np.sqrt(SIZE - lag)
    # Pairs of neighbors fill the unit square.
    digits = keys(0, ROWS) >> np.uint64(60)
    assert abs(chi_squared(digits[::2] * np.uint64(16) + digits[1::2], 256)) < 5


def test_keys_of_other_seeds_and_purposes_are_independent() -> None:
    streams = [keys(seed, ROWS) for seed in (0, 1, 2, 2**32, 2**33)]
    streams += [keys(0, ROWS, USERS), keys(0, ROWS, TRAINED)]
    for one, two in combinations(streams, 2):
        assert abs(np.mean(unit(one) * unit(two))) < 5 / np.sqrt(SIZE)
        differing = np.unpackbits((one ^ two).view(np.uint8)).mean()
        assert abs(differing - 0.5) < 5 * 0.5 / np.sqrt(64 * SIZE)


def test_all_rows_are_equally_often_in_a_sample() -> None:
    chosen = sum(held_out_rows(50, 0.2, seed).astype(int) for seed in range(2000))
    expected, deviation = 400, np.sqrt(2000 * 0.2 * 0.8)
    assert np.abs(chosen - expected).max() < 4.5 * deviation
    assert chosen.sum() == 2000 * 10


@pytest.mark.parametrize("fraction", [0, 0.1, 0.999, 1])
def test_a_sample_has_the_smallest_keys(fraction: float) -> None:
    held = held_out_rows(1000, fraction, 5)
    order = np.argsort(keys(5, ROWS[:1000], TRAINED))
    assert sorted(order[: round(1000 * fraction)]) == np.flatnonzero(held).tolist()


NUMBERS = st.one_of(
    st.lists(st.integers(-(2**63), 2**63 - 1), min_size=1),
    st.lists(st.integers(-3, 3), min_size=1),
    st.lists(st.integers(10**9, 2 * 10**9), min_size=1),
)


@settings(max_examples=200, deadline=None)
@given(NUMBERS, st.integers(0, 10**6), st.sampled_from([0, 3, 1000]), st.integers(1, 9))
def test_the_nth_smallest_is_that_of_a_sort(
    numbers: list[int], n: int, few: int, size: int
) -> None:
    n %= len(numbers)
    values = np.array(numbers, np.int64)
    pieces = [values[m : m + size] for m in range(0, len(values), size)]
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(order_statistics, "_FEW", few)
        assert nth_smallest(lambda: pieces, n) == sorted(numbers)[n]


@pytest.mark.parametrize("few", [0, 1, 10**6])
def test_the_nth_smallest_key_is_that_of_a_sort(few: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(order_statistics, "_FEW", few)
    drawn = keys(1, ROWS[:5000])
    for n in (0, 1, 2500, 4999):
        assert nth_smallest(lambda: [drawn], n, (0, 2**64 - 1)) == np.sort(drawn)[n]
    ends = np.array([0, 2**64 - 1], np.uint64)
    assert [nth_smallest(lambda: [ends], n, (0, 2**64 - 1)) for n in (0, 1)] == ends.tolist()


def test_the_nth_key_of_each_user_is_that_of_a_sort() -> None:
    rng = np.random.default_rng(0)
    user = (40 * rng.random(3000) ** 4).astype(np.int32)  # some users have one rating, or none
    drawn = keys(0, ROWS[:3000])
    counts = np.bincount(user, minlength=42)
    for n in (counts - 1, np.zeros_like(counts), counts // 3):
        found = nth_keys(user, drawn, counts, n)
        for row in np.flatnonzero(counts):
            assert found[row] == np.sort(drawn[user == row])[n[row]]

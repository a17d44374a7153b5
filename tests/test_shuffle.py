"""The shuffle gives every order with the same probability, from the random numbers of NumPy."""

from __future__ import annotations

import numpy as np
import pytest
from packed import packed_blocks

from mfcli.training.sgd.generators import words_of
from mfcli.training.sgd.rows import RATING
from mfcli.training.sgd.shuffle import shuffle


@pytest.mark.parametrize("n", [0, 1, 2, 5, 50_001])
def test_shuffle_is_a_permutation(n: int) -> None:
    records = np.zeros(n, RATING)
    records["user"] = np.arange(n)
    out = np.zeros_like(records)
    shuffle(packed_blocks([records]), words_of(3), 0, out)
    assert (np.sort(out["user"]) == records["user"]).all()


def test_shuffle_is_uniform() -> None:
    records = np.zeros(4, RATING)
    records["user"] = np.arange(4)
    out, packed = np.zeros_like(records), packed_blocks([records])
    counts: dict[tuple[int, ...], int] = {}
    for seed in range(24_000):
        shuffle(packed, words_of(3, seed), 0, out)
        order = tuple(out["user"].tolist())
        counts[order] = counts.get(order, 0) + 1
    assert len(counts) == 24
    assert sum((c - 1000) ** 2 / 1000 for c in counts.values()) < 60


@pytest.mark.parametrize("seed", [(0,), (0, 1), (2**32 - 1, 2**32, 7), (2**70 + 5, 3), (2**200,)])
@pytest.mark.parametrize("number", [0, 1, 4095, 2**16])
def test_the_random_numbers_are_those_of_numpy(seed: tuple[int, ...], number: int) -> None:
    records = np.zeros(3000, RATING)
    records["user"] = np.arange(3000)
    out, expected = np.zeros_like(records), list[int]()
    packed = packed_blocks([records], wide=number == 1)
    # The places of other blocks are not read.
    places, firsts = np.zeros(number + 1, np.int64), np.zeros((2, 1), np.int32)
    shuffle(packed._replace(places=places, firsts=firsts), words_of(*seed), number, out)
    for i, u in enumerate(np.random.default_rng([*seed, number]).random(3000).tolist()):
        j = int(u * (i + 1))
        expected.append(i)
        expected[i], expected[j] = expected[j], i
    assert out["user"].tolist() == expected

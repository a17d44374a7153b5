"""The shuffle gives every order of the records with the same probability."""

from __future__ import annotations

import numpy as np
import pytest

from mfcli.training.sgd.rows import RATING
from mfcli.training.sgd.shuffle import shuffle


@pytest.mark.parametrize("n", [0, 1, 2, 5, 50_001])
def test_shuffle_is_a_permutation(n: int) -> None:
    records = np.zeros(n, RATING)
    records["user"] = np.arange(n)
    out = np.zeros_like(records)
    shuffle(records, out, np.random.default_rng(3))
    assert (np.sort(out["user"]) == records["user"]).all()


def test_shuffle_is_uniform() -> None:
    records = np.zeros(4, RATING)
    records["user"] = np.arange(4)
    rng, out = np.random.default_rng(3), np.zeros_like(records)
    counts: dict[tuple[int, ...], int] = {}
    for _ in range(24_000):
        shuffle(records, out, rng)
        order = tuple(out["user"].tolist())
        counts[order] = counts.get(order, 0) + 1
    assert len(counts) == 24
    assert sum((c - 1000) ** 2 / 1000 for c in counts.values()) < 60

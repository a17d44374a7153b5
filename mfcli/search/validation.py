"""The split that a search uses: with validation ratings, and without test ratings."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from mfcli.config import Config
from mfcli.splits import Split, assembled, at_random, check_parts

VALID = 0.1  # fraction of the training ratings to validate on if the split has no others


def with_validation(split: Split, config: Config) -> Split:
    """Return a split with validation ratings, cut from the training ratings if it has none.

    Validation ratings also replace the test ratings, so that no search can see these.

    Raises
    ------
    DataError
        If there are too few training ratings.
    """
    if split.valid is not None:
        return replace(split, test=split.valid)
    fraction = config.valid or VALID
    # From the seed: a resumed search must validate on the same ratings.
    held = at_random(split.train, fraction, np.random.default_rng(config.seed))
    valid = split.train.take(held)
    parts = {"train": split.train.take(~held), "valid": valid}
    check_parts(parts, len(split.train), {"name": "random", "valid": fraction})
    parts["test"] = valid  # after the check, which counts every rating once
    # The hash of the whole split tells a stored search which split it belongs to.
    return replace(assembled(parts, split.scale, split.strategy), hash=split.hash)

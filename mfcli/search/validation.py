"""The split that a search uses: with validation ratings, and without test ratings."""

from __future__ import annotations

from dataclasses import replace

from mfcli.config import Config
from mfcli.splits import Split, assembled, check_parts, held_out_rows

VALID = 0.1  # fraction of the training ratings to validate on if the split has no others


def with_validation(split: Split, config: Config) -> Split:
    """Return a split with validation ratings, cut from the training ratings if it has none.

    It has no test ratings, so that no search can see them.

    Raises
    ------
    DataError
        If there are too few training ratings.
    """
    if split.valid is not None:
        return replace(split, test=None)
    fraction = config.valid or VALID
    # From the seed: a resumed search must validate on the same ratings.
    held = held_out_rows(len(split.train), fraction, config.seed)
    parts = {"train": split.train.take(~held), "valid": split.train.take(held)}
    check_parts(parts, len(split.train), {"name": "random", "valid": fraction})
    # The hash of the whole split tells a stored search which split it belongs to.
    return replace(assembled(parts, split.scale, split.strategy), hash=split.hash)

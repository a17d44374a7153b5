"""Counts of predicted pairs, and of those whose user or item is unknown or unrated."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from mfcli.data import Vocabulary
from mfcli.model import Model
from mfcli.types import Rows


@dataclass
class PairCounts:
    """Numbers of predicted pairs.

    Attributes
    ----------
    pairs : int
    unknown_users, unknown_items : int
        Pairs whose user, or item, is not in the model.
    unrated_users, unrated_items : int
        Pairs whose user, or item, is in the model but has no training rating.
    """

    pairs: int = 0
    unknown_users: int = 0
    unknown_items: int = 0
    unrated_users: int = 0
    unrated_items: int = 0

    def add(self, model: Model, user: Rows, item: Rows) -> None:
        """Add pairs, given by their rows in the model; -1 for unknown ids."""
        self.pairs += len(user)
        self.unknown_users += int(np.count_nonzero(user < 0))
        self.unknown_items += int(np.count_nonzero(item < 0))
        self.unrated_users += _unrated(model.users, user)
        self.unrated_items += _unrated(model.items, item)

    def merge(self, other: PairCounts) -> None:
        """Add other pairs."""
        for name, count in vars(other).items():
            setattr(self, name, getattr(self, name) + count)

    def text(self, model: Model) -> str:
        """Describe the pairs with an unknown or unrated id; empty if there are none."""
        counts = {
            "an unknown user": self.unknown_users,
            "an unknown item": self.unknown_items,
            "a user without training ratings": self.unrated_users,
            "an item without training ratings": self.unrated_items,
        }
        found = [f"{count:,} {words}" for words, count in counts.items() if count]
        if not found:
            return ""
        # Only the first part names the pairs; the others follow as a list.
        first, _, words = found[0].partition(" ")
        verb = "has" if first == "1" else "have"
        found[0] = f"{first} of {self.pairs:,} pair{'s' * (self.pairs != 1)} {verb} {words}"
        biases = "only the mean and known biases count"
        rest = biases if model.config.biases else f"the score is {model.mu:g}"
        return f"{', '.join(found)}; for these, {rest}"


def _unrated(vocabulary: Vocabulary, rows: Rows) -> int:
    # Row -1 reads the last entry, which the second condition drops.
    return int(np.count_nonzero((vocabulary.counts == 0).take(rows) & (rows >= 0)))

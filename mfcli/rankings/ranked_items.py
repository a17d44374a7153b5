"""Properties of items, and what they say about rankings; see `beyond_accuracy.py`."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numba import types
from numpy.typing import NDArray

from mfcli.model import Rated, fractions_below
from mfcli.rankings.beyond_accuracy import LIST_TERMS
from mfcli.storage import array_type, kernel
from mfcli.types import Counts, Doubles, Floats, Rows

GROUPS = 3  # head, middle and tail
_ENDS = (0.2, 0.8)  # shares of the ratings that the head, and the head and the middle have

_READ_ROWS = array_type(types.int32, 1, readonly=True)
_READ_DOUBLES = array_type(types.float64, 1, readonly=True)
_READ_GROUPS = array_type(types.int8, 1, readonly=True)


@dataclass(frozen=True)
class ItemProperties:
    """What the measures beyond accuracy need to know about each item.

    Attributes
    ----------
    popularity : float64 array, shape (n_items,)
        Fraction of items with fewer training ratings; ties count half.
    information : float64 array, shape (n_items,)
        -log2 of the share of the training users who have rated the item, in bits; items without
        training ratings count as rated by one user.
    group : int8 array, shape (n_items,)
        0 for the head, 1 for the middle and 2 for the tail.
    directions : float32 array, shape (n_items, k)
        Factors divided by their length; zeros stay zeros.
    squares : float64 array, shape (n_items,)
        Squared lengths of the directions: 1 but for rounding, or 0.
    """

    popularity: Doubles
    information: Doubles
    group: NDArray[np.int8]
    directions: Floats
    squares: Doubles

    @classmethod
    def of(cls, counts: Counts, users: int, factors: Floats) -> ItemProperties:
        """Compute the properties.

        Parameters
        ----------
        counts : int64 array, shape (n_items,)
            Training ratings of each item.
        users : int
            Users with training ratings.
        factors : float32 array, shape (n_items, k)
        """
        lengths = np.linalg.norm(factors, axis=1, keepdims=True)
        zeros = np.zeros(factors.shape, np.float32)
        directions = np.divide(factors, lengths, out=zeros, where=lengths > 0)
        return cls(
            popularity=fractions_below(counts),
            information=np.log2(users / np.maximum(counts, 1)),
            group=_groups(counts),
            directions=directions,
            squares=np.einsum("nk,nk->n", directions, directions, dtype=np.float64),
        )

    def profiles(self, rated: Rated, users: Rows) -> Doubles:
        """Return the shares of the groups in the items that users have rated; zeros for none.

        Returns
        -------
        float64 array, shape (m, GROUPS)
        """
        shares = np.zeros((len(users), GROUPS))
        profile_shares(rated.starts, rated.items, users, self.group, shares)
        return shares

    def terms(self, items: Rows, profiles: Doubles) -> Doubles:
        """Return the `LIST_TERMS` of rankings.

        Parameters
        ----------
        items : int32 array, shape (m, n)
            -1 for none, at the end.
        profiles : float64 array, shape (m, GROUPS)
            Of the same users.

        Returns
        -------
        float64 array, shape (len(LIST_TERMS), m)
        """
        terms = np.zeros((len(items), len(LIST_TERMS)))
        list_terms(
            np.ascontiguousarray(items), self.popularity, self.information, self.group,
            self.directions, self.squares, profiles, np.empty(self.directions.shape[1]),
            np.empty(GROUPS), terms,
        )  # fmt: skip
        return terms.T


def _groups(counts: Counts) -> NDArray[np.int8]:
    """Divide items by popularity; items with equally many ratings stay together."""
    descending = np.sort(counts)[::-1]
    shares = np.cumsum(descending) / max(int(counts.sum()), 1)
    # The item that completes the share belongs to the more popular group.
    last = np.minimum(np.searchsorted(shares, np.array(_ENDS) - 1e-12), len(counts) - 1)
    groups: NDArray[np.int8] = (counts[:, None] < descending[last]).sum(axis=1).astype(np.int8)
    return groups


@kernel(array_type(types.int64, 1, readonly=True), _READ_ROWS, _READ_ROWS, _READ_GROUPS,
        array_type(types.float64, 2))  # fmt: skip
def profile_shares(starts: Any, rated: Any, users: Any, group: Any, shares: Any) -> None:
    """Compute the share of each group in the items that users have rated.

    Parameters
    ----------
    starts, rated : int64 and int32 arrays
        As in `Rated`; the range of the user -1 is empty.
    users : int32 array, shape (m,)
    group : int8 array, shape (n_items,)
    shares : float64 array, shape (m, groups)
        Filled with zeros; stays so for users without items.
    """
    for place in range(len(users)):
        first, end = starts[users[place]], starts[users[place] + 1]
        for at in range(first, end):
            shares[place, group[rated[at]]] += 1.0 / (end - first)


@kernel(array_type(types.int32, 2, readonly=True), _READ_DOUBLES, _READ_DOUBLES, _READ_GROUPS,
        array_type(types.float32, 2, readonly=True), _READ_DOUBLES,
        array_type(types.float64, 2, readonly=True), array_type(types.float64, 1),
        array_type(types.float64, 1), array_type(types.float64, 2))  # fmt: skip
def list_terms(
    items: Any, popularity: Any, information: Any, group: Any, directions: Any, squares: Any,
    profiles: Any, total: Any, shares: Any, terms: Any,
) -> None:  # fmt: skip
    """Compute the `LIST_TERMS` of each ranking.

    Of n directions d with the sum s, the mean cosine of two different ones is
    (s . s - sum d . d) / (n (n - 1)).

    Parameters
    ----------
    items : int32 array, shape (m, n)
        -1 for none, at the end.
    popularity, information, group, directions, squares
        As in `ItemProperties`.
    profiles : float64 array, shape (m, groups)
    total, shares : float64 arrays, shapes (k,) and (groups,)
        Scratch.
    terms : float64 array, shape (m, len(LIST_TERMS))
        Filled with zeros.
    """
    for place in range(items.shape[0]):
        total[:], shares[:] = 0, 0
        count, own = 0, 0.0
        for rank in range(items.shape[1]):
            item = items[place, rank]
            if item < 0:
                break
            count += 1
            terms[place, 1] += popularity[item]
            terms[place, 3] += information[item]
            shares[group[item]] += 1
            own += squares[item]
            for n in range(len(total)):
                total[n] += directions[item, n]
        if count == 0:
            continue
        terms[place, 0], terms[place, 2] = count, shares[len(shares) - 1]
        if count > 1:
            all_pairs = 0.0
            for n in range(len(total)):
                all_pairs += total[n] * total[n]
            terms[place, 4] = 1 - (all_pairs - own) / (count * (count - 1))
            terms[place, 5] = 1
        divergence, known = 0.0, 0.0
        for n in range(len(shares)):
            p, q = profiles[place, n], shares[n] / count
            known += p
            # Jensen and Shannon, with logarithms to the base 2; 0 log 0 = 0
            if p > 0:
                divergence += p * np.log2(2 * p / (p + q)) / 2
            if q > 0:
                divergence += q * np.log2(2 * q / (p + q)) / 2
        if known > 0:
            terms[place, 6], terms[place, 7] = max(divergence, 0.0), 1

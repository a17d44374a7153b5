"""Search for items by titles and ids, and for users by ids."""

from __future__ import annotations

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from mfcli.data import Vocabulary, to_arrow, to_numpy
from mfcli.types import Mask, Rows


def plain(texts: pa.Array) -> pa.Array:
    """Return texts without case and accents, and with single spaces between words."""
    apart = pc.utf8_normalize(texts, "NFKD")  # accents follow their letters
    bare = pc.replace_substring_regex(apart, r"\p{M}+", "")
    spaced = pc.replace_substring_regex(pc.utf8_lower(bare), r"[\s\x00]+", " ")
    return pc.utf8_trim_whitespace(spaced)


class ItemSearch:
    """Finds items whose title or id contains all words of a query.

    The best are the item with this id, titles that start with the query, then those with words that
    start with the words of the query; of equally good ones, the most popular.

    Parameters
    ----------
    items : Vocabulary
    titles : Arrow array of string, optional
        Of all items.
    """

    def __init__(self, items: Vocabulary, titles: pa.Array | None) -> None:
        self.order = _by_count(items)
        ids = items.ids.cast(pa.string())
        self._ids = ids.take(to_arrow(self.order))
        # Each word follows a space, and a title or an id also a line break.
        start = pa.scalar("\n ")
        parts = [plain(ids)] if titles is None else [plain(titles), start, plain(ids)]
        texts = pc.binary_join_element_wise(start, *parts, "")
        self._texts = texts.cast(pa.large_string()).take(to_arrow(self.order))

    def found(self, query: str, n: int) -> Rows:
        """Return the rows of at most n items, best first; without words, the most popular."""
        text = plain(pa.array([query], pa.string()))[0].as_py()
        if not text:
            return self.order[:n]
        words = text.split()
        classes = [
            _mask(pc.equal(self._ids, query.strip())),
            self._having(f"\n {text}"),
            np.logical_and.reduce([self._having(f" {word}") for word in words]),
            np.logical_and.reduce([self._having(word) for word in words]),
        ]
        places = np.concatenate([np.flatnonzero(mask) for mask in classes])
        _, first = np.unique(places, return_index=True)
        rows: Rows = self.order[places[np.sort(first)[:n]]]
        return rows

    def _having(self, text: str) -> Mask:
        return _mask(pc.match_substring(self._texts, text))


class UserSearch:
    """Finds users whose id starts with a text; the most active first.

    Parameters
    ----------
    users : Vocabulary
    """

    def __init__(self, users: Vocabulary) -> None:
        self._order = _by_count(users)
        self._ids = users.ids.cast(pa.string()).take(to_arrow(self._order))

    def found(self, query: str, n: int) -> Rows:
        """Return the rows of at most n users; that of the same id is the first one."""
        if not query:
            return self._order[:n]
        places = np.flatnonzero(_mask(pc.starts_with(self._ids, query)))
        same = np.flatnonzero(_mask(pc.equal(self._ids, query)))
        chosen = [*same.tolist(), *(place for place in places[: n + 1] if place not in same)]
        return self._order[chosen[:n]]


def _by_count(vocabulary: Vocabulary) -> Rows:
    """Return all rows, those with the most ratings first."""
    return np.argsort(-vocabulary.counts, kind="stable").astype(np.int32)


def _mask(found: pa.Array) -> Mask:
    mask: Mask = to_numpy(found.cast(pa.int8())) > 0
    return mask

"""A model with all that is needed to answer requests quickly."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from datetime import UTC, datetime
from functools import cached_property, lru_cache, partial

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from mfcli import __version__
from mfcli.data import to_arrow, to_numpy, to_texts
from mfcli.errors import UnknownIdError
from mfcli.model import (
    ArrangedItems,
    Explainer,
    Model,
    Newcomers,
    Similarity,
    fractions_below,
)
from mfcli.predict import IdFinder, candidates, with_title_columns
from mfcli.server.id_search import ItemSearch, UserSearch
from mfcli.server.user_ratings import OwnRatings, SplitRatings
from mfcli.splits import Split
from mfcli.storage import origin_of
from mfcli.types import Doubles, Rows

_KEPT = 4  # arrangements of items


class ServedModel:
    """A model that answers requests; it does not change.

    Parameters
    ----------
    model : Model
    split : Split, optional
    titles : Arrow array of string, optional
        Of all items; empty for none.

    Attributes
    ----------
    digest : str
        Of the model's record, which has the digests of everything else.
    tag : str
        Tells whether answers may differ from those of another served model.
    loaded : datetime
    ratings : SplitRatings, optional
    trained_on : tuple of str
        Parts of the split.
    """

    def __init__(
        self, model: Model, split: Split | None = None, titles: pa.Array | None = None
    ) -> None:
        origin = origin_of(model)
        self.model, self.titles = model, titles
        self.digest = origin.digest if origin else ""
        self.tag = _tag(self.digest, split, titles)
        self.loaded = datetime.now(UTC)
        self.ratings = SplitRatings(split, model) if split else None
        self.trained_on = ("train", *model.trained_on)
        self._finders = {
            "user": IdFinder(model.users, single=True),
            "item": IdFinder(model.items, single=True),
        }
        # For the few settings that requests have in common; functions of the model alone, so that
        # nothing keeps this object when another one takes its place.
        self.arranged = lru_cache(_KEPT)(partial(_arranged, model))
        self.similarity = lru_cache(_KEPT)(partial(_similarity, model))

    def rows(self, side: str, ids: Sequence[int | str]) -> Rows:
        """Return the rows of ids; -1 for unknown ones, shape (n,)."""
        return self._finders[side](to_texts([str(one) for one in ids]))

    def row(self, side: str, name: str) -> int:
        """Return the row of an id.

        Raises
        ------
        UnknownIdError
        """
        row = int(self.rows(side, [name])[0])
        if row < 0:
            # Without the search for a similar id, which takes long.
            raise UnknownIdError(f"the model does not know the {side} {name!r}")
        return row

    def ids_of(self, side: str, rows: Rows) -> list[int | str]:
        """Return the ids of rows."""
        found: list[int | str] = self.model.side(side).ids.take(to_arrow(rows)).to_pylist()
        return found

    def most_rated(self, side: str) -> int | str:
        """Return the id with the most training ratings."""
        row = int(self.model.side(side).counts.argmax())
        return self.ids_of(side, np.array([row], np.int32))[0]

    def titles_of(self, items: Rows) -> list[str]:
        """Return the titles of items; none if the server has no titles."""
        found: list[str] = self.titles.take(to_arrow(items)).to_pylist() if self.titles else []
        return found

    def titled(self, table: pa.Table) -> pa.Table:
        """Add titles to a table of items, as the commands do, if the server has titles."""
        return table if self.titles is None else with_title_columns(table, self._titles_in)

    def _titles_in(self, _: Sequence[str], columns: Sequence[pa.Array]) -> list[pa.Array]:
        return [self._titles_by_id(column) for column in columns]

    def _titles_by_id(self, items: pa.Array) -> pa.Array:
        known = to_numpy(pc.is_valid(items).cast(pa.int8())) > 0
        rows = np.where(known, self._finders["item"](items), np.int32(-1))
        assert self.titles is not None
        taken = self.titles.take(to_arrow(rows, rows >= 0))
        return pc.if_else(pc.is_valid(taken), taken, "")

    @cached_property
    def items(self) -> ItemSearch:
        """Finds items."""
        return ItemSearch(self.model.items, self.titles)

    @cached_property
    def users(self) -> UserSearch:
        """Finds users."""
        return UserSearch(self.model.users)

    @cached_property
    def popularity(self) -> Doubles:
        """The fraction of items with fewer ratings, of each item; ties count half."""
        return fractions_below(self.model.items.counts)

    @cached_property
    def item_means(self) -> Doubles:
        """The mean training rating of each item; NaN if unknown."""
        items = len(self.model.items)
        if self.ratings is None:
            return np.full(items, np.nan)
        return self.ratings.item_means(self.trained_on, items)

    @cached_property
    def explainer(self) -> Explainer:
        """Explains predictions; `Explainer.of` gives it the ratings of a user."""
        return Explainer(self.model, OwnRatings([]), 1)

    @cached_property
    def newcomers(self) -> Newcomers:
        """Estimates new users.

        Raises
        ------
        ArtifactError
            If the model cannot do so.
        """
        return Newcomers(self.model)


def _tag(digest: str, split: Split | None, titles: pa.Array | None) -> str:
    parts = [__version__, digest, split.hash if split else ""]
    found = hashlib.sha256("\n".join(parts).encode())
    for buffer in titles.buffers() if titles else ():
        if buffer:
            found.update(buffer)
    return found.hexdigest()[:20]


def _arranged(model: Model, min_count: int, max_popularity: float) -> ArrangedItems:
    return ArrangedItems.of(model, candidates(model.items, None, min_count, max_popularity))


def _similarity(model: Model, least: int) -> Similarity:
    return Similarity(model.item_factors, model.items.counts >= least)

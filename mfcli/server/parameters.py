"""What requests may ask for: each parameter once, with its type, limits, default and description.

Requests are decoded with these types, and the OpenAPI description shows them.
"""

from __future__ import annotations

from typing import Annotated, Literal

from msgspec import UNSET, Meta, Struct, UnsetType

_SHORT = 100  # rows of an answer that is made quickly

MOST_BYTES = 1 << 20
"""Bytes that a body may have."""

Id = int | Annotated[str, Meta(min_length=1, max_length=1000)]
"""A raw id of a user or an item; 42 and "42" are the same."""

Length = Annotated[int, Meta(ge=1, le=1000, description="Number of rows at most.")]
MinCount = Annotated[int, Meta(ge=0, le=2**53, description="Omit items with fewer ratings.")]
Text = Annotated[str, Meta(max_length=200, description="Text to search for; empty for all.")]
Fraction = Annotated[float, Meta(ge=0, le=1)]
Reasons = Annotated[
    int,
    Meta(ge=0, le=10, description="Number of rated items that explain each recommendation."),
]


class Parameters(Struct, forbid_unknown_fields=True, kw_only=True):
    """Parameters of a query, or a body; unknown ones are refused."""

    @property
    def is_quick(self) -> bool:
        """Whether the answer takes a few milliseconds at most."""
        return getattr(self, "n", 0) <= _SHORT

    @property
    def is_slow(self) -> bool:
        """Whether the answer may take a hundred milliseconds, for which others must not wait."""
        return False


class Nothing(Parameters, kw_only=True):
    """No parameters."""


class ItemQuery(Parameters, kw_only=True):
    """Which items to find."""

    q: Text = ""
    n: Length = 20

    @property
    def is_quick(self) -> bool:
        """As in `Parameters`: not if all texts are searched."""
        return super().is_quick and not self.q


class UserQuery(Parameters, kw_only=True):
    """Which users to find."""

    q: Text = ""
    n: Length = 20

    @property
    def is_quick(self) -> bool:
        """As in `Parameters`: not if all texts are searched."""
        return super().is_quick and not self.q


class SimilarItems(Parameters, kw_only=True):
    """Which similar items to list."""

    n: Length = 10
    min_count: MinCount = 0

    @property
    def is_quick(self) -> bool:
        """As in `Parameters`."""
        return super().is_quick and not self.min_count


class UserHistory(Parameters, kw_only=True):
    """Which ratings to list."""

    n: Length = 100


class Listing(Parameters, kw_only=True):
    """Which items to recommend."""

    n: Length = 10
    explain: Reasons = 0
    min_count: MinCount = 0
    max_popularity: Annotated[
        Fraction,
        Meta(description="Omit items more popular than this fraction of all items."),
    ] = 1.0
    diversity: Annotated[
        Fraction,
        Meta(description="From 0, the highest predictions, to 1, items that differ."),
    ] = 0.0

    @property
    def is_quick(self) -> bool:
        """As in `Parameters`."""
        is_usual = not (self.explain or self.min_count or self.diversity)
        return super().is_quick and is_usual and self.max_popularity == 1

    @property
    def is_slow(self) -> bool:
        """As in `Parameters`: long lists, if each row is explained or differs from all others."""
        return self.n > _SHORT and bool(self.explain or self.diversity)


class UserListing(Listing, kw_only=True):
    """Which items to recommend to a user of the model."""

    exclude: (
        Annotated[
            Literal["train", "split", "none"],
            Meta(
                description="Omit items that the user has rated in training (train), in all parts"
                " of the split (split), or none; by default, split if the server has one."
            ),
        ]
        | UnsetType
    ) = UNSET


class ItemMap(Parameters, kw_only=True):
    """How many items the map has."""

    n: Annotated[int, Meta(ge=1, le=10_000, description="Number of the most popular items.")] = 2000


class Pair(Parameters, kw_only=True):
    """A user and an item."""

    user: Id
    item: Id


class Pairs(Parameters, kw_only=True):
    """Pairs whose ratings are predicted."""

    pairs: Annotated[list[Pair], Meta(max_length=1000)]

    @property
    def is_quick(self) -> bool:
        """As in `Parameters`."""
        return len(self.pairs) <= _SHORT


class Rating(Parameters, kw_only=True):
    """A rating by a new user."""

    item: Id
    rating: Annotated[float, Meta(ge=-1e6, le=1e6)]


class NewUser(Listing, kw_only=True):
    """Ratings by a new user, and which items to recommend."""

    ratings: Annotated[list[Rating], Meta(max_length=1000)]

    @property
    def is_quick(self) -> bool:
        """As in `Parameters`."""
        return super().is_quick and len(self.ratings) <= _SHORT

"""What the server answers, for the OpenAPI description and its readers."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from msgspec import UNSET, Meta, Struct, UnsetType

from mfcli.server.parameters import Id

Count = Annotated[int, Meta(ge=0, description="Number of training ratings.")]
Title = Annotated[str, Meta(description="Only if the server has titles; empty if unknown.")]
Rank = Annotated[int, Meta(ge=1)]
_REASONS = Meta(
    description="Rated items that explain a prediction follow as because_1 (an item),"
    " because_1_title, because_1_rating, because_1_contribution, because_2, and so on."
)


class Problem(Struct, frozen=True):
    """An error (RFC 9457)."""

    type: str
    title: str
    status: Annotated[int, Meta(ge=400, le=599)]
    detail: Annotated[str, Meta(description="What is wrong with this request.")]
    instance: Annotated[str, Meta(description="Path of the request.")]


class Health(Struct):
    """Whether the server is ready."""

    status: Annotated[
        Literal["loading", "ok"],
        Meta(description="While the server is loading, other requests wait."),
    ]
    model: Annotated[str | None, Meta(description="Digest of the model; null while it is loading.")]
    uptime: Annotated[float, Meta(ge=0, description="Seconds.")]


class Scale(Struct):
    """The scale of the ratings."""

    min: float
    max: float
    step: float | None


class ModelFacts(Struct):
    """What the model is."""

    digest: str
    loaded: Annotated[str, Meta(extra_json_schema={"format": "date-time"})]
    users: int
    items: int
    k: int
    predicts: Literal["ratings", "scores"]
    feedback: Literal["explicit", "implicit"]
    scale: Scale
    mu: float
    trained_on: list[str]
    samples: Annotated[int, Meta(description="Number of samples that the model keeps.")]
    config: Annotated[dict[str, Any], Meta(description="The settings of the training.")]
    split: Annotated[bool, Meta(description="Whether the server knows the users' ratings.")]
    titles: bool
    mfcli: Annotated[str, Meta(description="Version of the server.")]


class FoundItem(Struct):
    """An item."""

    item: Id
    count: Count
    mean: Annotated[float | None, Meta(description="Mean training rating; null if unknown.")]
    title: Title | UnsetType = UNSET


class Items(Struct):
    """Items, best first."""

    items: list[FoundItem]


class Item(FoundItem, kw_only=True):
    """An item and what the model knows about it."""

    bias: float
    popularity: Annotated[
        float,
        Meta(ge=0, le=1, description="Fraction of items with fewer ratings; ties count half."),
    ]


class SimilarItem(Struct):
    """An item and its similarity."""

    rank: Rank
    item: Id
    cosine: Annotated[float, Meta(ge=-1.001, le=1)]
    title: Title | UnsetType = UNSET


class Similar(Struct):
    """Similar items, the most similar first."""

    similar: list[SimilarItem]


class FoundUser(Struct):
    """A user."""

    user: Id
    count: Count


class Users(Struct):
    """Users, the most active first."""

    users: list[FoundUser]


class User(FoundUser):
    """A user and what the model knows about them."""

    mean: float | None
    bias: float


class GivenRating(Struct):
    """A rating by the user."""

    item: Id
    rating: float
    title: Title | UnsetType = UNSET
    timestamp: Annotated[int, Meta(description="Seconds since 1970.")] | UnsetType = UNSET


class Ratings(Struct):
    """Ratings, the latest first, or the highest."""

    ratings: list[GivenRating]


class Recommendation(Struct):
    """A recommended item."""

    user: Annotated[Id | None, Meta(description="Null for a new user.")]
    rank: Rank
    item: Id
    title: Title | UnsetType = UNSET
    prediction: float | UnsetType = UNSET
    score: Annotated[float, Meta(description="In place of the prediction.")] | UnsetType = UNSET


class Recommendations(Struct):
    """Recommended items, best first."""

    recommendations: Annotated[list[Recommendation], _REASONS]


class NewRecommendations(Recommendations):
    """Recommended items, best first, and the rated items that the model does not know."""

    unknown_items: list[Id]


class Prediction(Struct):
    """A pair and its predicted rating."""

    user: Id
    item: Id
    prediction: float | UnsetType = UNSET
    score: Annotated[float, Meta(description="In place of the prediction.")] | UnsetType = UNSET


class Predictions(Struct):
    """Predictions in the order of the pairs."""

    predictions: list[Prediction]


class Map(Struct):
    """Items in a plane; all lists have the same length."""

    items: list[Id]
    x: list[float]
    y: list[float]
    count: list[Count]
    variance: Annotated[
        list[float],
        Meta(description="Fractions of the variance of the factors in both directions."),
    ]
    titles: list[Title] | UnsetType = UNSET

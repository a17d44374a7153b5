"""Answers about users of the model."""

from __future__ import annotations

from typing import Any

import numpy as np

from mfcli.model import alone
from mfcli.server.lines import lines_of
from mfcli.server.parameters import Nothing, UserHistory, UserListing, UserQuery
from mfcli.server.problems import ProblemError
from mfcli.server.recommended_to import recommended_to
from mfcli.server.served_model import ServedModel
from mfcli.server.user_ratings import SplitRatings

_COLUMNS = ("item", "rating", "timestamp")


def find_users(served: ServedModel, _: str, asked: UserQuery) -> dict[str, Any]:
    """Find users by the start of their ids; without one, list the most active ones."""
    rows = served.users.found(asked.q, asked.n)
    counts = served.model.users.counts[rows].tolist()
    return {"users": lines_of({"user": served.ids_of("user", rows), "count": counts})}


def show_user(served: ServedModel, name: str, _: Nothing) -> dict[str, Any]:
    """Show a user: the number and the mean of the training ratings, and the bias."""
    row, mean = served.row("user", name), None
    if served.ratings is not None:
        parts = served.ratings.of_user(row, served.trained_on).parts
        values = np.concatenate([np.empty(0, np.float32), *(part["rating"] for part in parts)])
        mean = float(values.mean(dtype=np.float64)) if len(values) else None
    return {
        "user": served.ids_of("user", np.array([row], np.int32))[0],
        "count": int(served.model.users.counts[row]),
        "mean": mean,
        "bias": float(served.model.user_biases[row]),
    }


def list_ratings(served: ServedModel, name: str, asked: UserHistory) -> dict[str, Any]:
    """List the ratings of a user in all parts of the split: the latest first, or the highest."""
    row = served.row("user", name)
    parts = _ratings_of(served).of_user(row).parts
    names = [name for name in _COLUMNS if all(name in part for part in parts)]
    columns = {name: np.concatenate([part[name] for part in parts]) for name in names}
    order = np.lexsort((-columns["rating"], -columns[names[-1]]))[: asked.n]
    items = columns.pop("item")[order]
    lists: dict[str, Any] = {"item": served.ids_of("item", items)}
    if served.titles:
        lists["title"] = served.titles_of(items)
    lists |= {name: column[order].tolist() for name, column in columns.items()}
    return {"ratings": lines_of(lists)}


def recommend(served: ServedModel, name: str, asked: UserListing) -> dict[str, Any]:
    """Recommend the items with the highest predicted ratings to a user."""
    row = served.row("user", name)
    excluded = asked.exclude or ("split" if served.ratings else "none")
    exclude = explainer = None
    if excluded != "none":
        parts = None if excluded == "split" else served.model.trained_on
        exclude = _ratings_of(served).of_user(row, parts)
    if asked.explain:
        ratings = _ratings_of(served).of_user(row, served.trained_on)
        explainer = served.explainer.of(ratings, asked.explain)
    table = recommended_to(alone(served.model, row), served, asked, exclude, explainer)
    return {"recommendations": table.to_pylist()}


def _ratings_of(served: ServedModel) -> SplitRatings:
    if served.ratings is None:
        raise ProblemError(404, "the server has no split, so it does not know the users' ratings")
    return served.ratings

"""The endpoints: where each is, what it takes, what it answers, and which function makes it.

Routes and the OpenAPI description come from this list.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

from mfcli.server import (
    answers,
    item_answers as items,
    model_answers as model,
    parameters as asked,
    prediction_answers as predictions,
    user_answers as users,
)


class Endpoint(NamedTuple):
    """An endpoint.

    Attributes
    ----------
    method : {"GET", "POST"}
    path : str
        With ``{id}`` for a raw id.
    takes : type of Parameters
        Of the query of GET, or the body of POST.
    gives : type
        What is answered.
    answer : callable
        Takes a ServedModel, the id (empty without one) and the parameters; returns what is sent as
        JSON. Its documentation describes the endpoint.
    """

    method: str
    path: str
    takes: type[asked.Parameters]
    gives: type
    answer: Callable[[Any, str, Any], dict[str, Any]]


ENDPOINTS = [
    Endpoint("GET", "/model", asked.Nothing, answers.ModelFacts, model.show_model),
    Endpoint("GET", "/items", asked.ItemQuery, answers.Items, items.find_items),
    Endpoint("GET", "/items/{id}", asked.Nothing, answers.Item, items.show_item),
    Endpoint("GET", "/items/{id}/similar", asked.SimilarItems, answers.Similar, items.list_similar),
    Endpoint("GET", "/users", asked.UserQuery, answers.Users, users.find_users),
    Endpoint("GET", "/users/{id}", asked.Nothing, answers.User, users.show_user),
    Endpoint("GET", "/users/{id}/ratings", asked.UserHistory, answers.Ratings, users.list_ratings),
    Endpoint(
        "GET",
        "/users/{id}/recommendations",
        asked.UserListing,
        answers.Recommendations,
        users.recommend,
    ),
    Endpoint("POST", "/predict", asked.Pairs, answers.Predictions, predictions.predict),
    Endpoint(
        "POST",
        "/recommendations",
        asked.NewUser,
        answers.NewRecommendations,
        predictions.recommend_to_new,
    ),
    Endpoint("GET", "/map", asked.ItemMap, answers.Map, items.show_map),
]

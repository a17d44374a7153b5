"""Answers to no one, so that the first requests are as fast as all others."""

from __future__ import annotations

import contextlib

from mfcli.errors import MfcliError
from mfcli.server import item_answers, parameters as asked, prediction_answers, user_answers
from mfcli.server.served_model import ServedModel


def warm(served: ServedModel) -> None:
    """Compile what requests need, and compute what many of them need."""
    if not (len(served.model.users) and len(served.model.items)):
        return
    item, user = (str(served.most_rated(side)) for side in ("item", "user"))
    item_answers.find_items(served, "", asked.ItemQuery(q=item))
    item_answers.show_item(served, item, asked.Nothing())
    user_answers.find_users(served, "", asked.UserQuery(q=user))
    explain = int(served.ratings is not None)
    listing = asked.UserListing(explain=explain)
    user_answers.recommend(served, user, listing)
    user_answers.recommend(served, user, asked.UserListing(diversity=0.1))
    ratings = [asked.Rating(item=item, rating=served.model.scale.max)]
    with contextlib.suppress(MfcliError):  # without training ratings, or a known error
        item_answers.list_similar(served, item, asked.SimilarItems())
        prediction_answers.recommend_to_new(served, "", asked.NewUser(ratings=ratings, explain=1))

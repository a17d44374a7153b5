"""Predictions for pairs, and recommendations to new users."""

from __future__ import annotations

from typing import Any

import numpy as np

from mfcli.data import IMPLICIT, to_arrow
from mfcli.model import RatedParts
from mfcli.server.lines import lines_of
from mfcli.server.parameters import NewUser, Pairs
from mfcli.server.problems import ProblemError
from mfcli.server.recommended_to import recommended_to
from mfcli.server.served_model import ServedModel


def predict(served: ServedModel, _: str, asked: Pairs) -> dict[str, Any]:
    """Predict the ratings of pairs; what is unknown about a pair contributes nothing."""
    model, rows, names = served.model, {}, {}
    for side in ("user", "item"):
        given = [getattr(pair, side) for pair in asked.pairs]
        rows[side] = served.rows(side, given)
        ids = model.side(side).ids.take(to_arrow(rows[side], rows[side] >= 0)).to_pylist()
        names[side] = [str(g) if one is None else one for g, one in zip(given, ids, strict=True)]
    predicted = model.clipped(model.predict_rows(rows["user"], rows["item"])).tolist()
    return {"predictions": lines_of({**names, model.prediction_name: predicted})}


def recommend_to_new(served: ServedModel, _: str, asked: NewUser) -> dict[str, Any]:
    """Recommend items to a new user with these ratings."""
    given = [str(one.item) for one in asked.ratings]
    rows = served.rows("item", given)
    known = rows >= 0
    values = np.array([one.rating for one in asked.ratings], np.float32)
    if served.model.feedback == IMPLICIT and not (values > 0).all():
        raise ProblemError(422, "ratings: the strengths of events must be above 0")
    newcomer, rated = served.newcomers.estimated(rows[known], values[known])
    own = RatedParts.of(rated)
    explainer = served.explainer.of(own, asked.explain) if asked.explain else None
    table = recommended_to(newcomer, served, asked, own, explainer)
    unknown = [one.item for one, row in zip(asked.ratings, rows.tolist(), strict=True) if row < 0]
    found = [{**line, "user": None} for line in table.to_pylist()]
    return {"recommendations": found, "unknown_items": unknown}

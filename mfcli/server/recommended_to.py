"""Recommendations to one user."""

from __future__ import annotations

import numpy as np
import pyarrow as pa

from mfcli.model import Explainer, Model, RatingPieces, recommended_now
from mfcli.server.parameters import Listing
from mfcli.server.served_model import ServedModel


def recommended_to(
    user: Model,
    served: ServedModel,
    asked: Listing,
    exclude: RatingPieces | None,
    explainer: Explainer | None,
) -> pa.Table:
    """Return the table of recommendations to one user.

    Parameters
    ----------
    user : Model
        With the items of the served model, and this user alone.
    served : ServedModel
    asked : Listing
    exclude : RatingPieces, optional
        What is not recommended.
    explainer : Explainer, optional
    """
    table = recommended_now(
        user,
        np.zeros(1, np.int32),
        asked.n,
        exclude=exclude,
        candidates=served.arranged(asked.min_count, asked.max_popularity),
        diversity=asked.diversity,
        explainer=explainer,
    )
    return served.titled(table)

"""Predicts the ratings of pairs of raw ids."""

from __future__ import annotations

import functools
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, NamedTuple

import pyarrow as pa

from mfcli.data import to_arrow
from mfcli.model import Model
from mfcli.predict.id_finder import IdFinder
from mfcli.predict.uncertainty import NOTHING, Uncertainty
from mfcli.types import Floats, Rows

if TYPE_CHECKING:
    from mfcli.model import Posterior


class Predicted(NamedTuple):
    """Predicted ratings of pairs.

    Attributes
    ----------
    columns : mapping of Arrow arrays of float32, length n
        By the names in `Predictor.names`.
    user, item : int32 arrays, shape (n,)
        Rows of the model; -1 for unknown ids.
    """

    columns: Mapping[str, pa.Array]
    user: Rows
    item: Rows


class Predictor:
    """Predicts pairs of raw ids; can be called from several threads at once.

    Parameters
    ----------
    model : Model
    clip : bool
        Whether to clip ratings, and ends of intervals, to the rating scale.
    uncertainty : Uncertainty
        What to add to the ratings; nothing by default.

    Attributes
    ----------
    names : list of str
        Names of the columns: `prediction`, or `score`, and those of the uncertainty.

    Raises
    ------
    UsageError, ArtifactError
        If the model predicts scores, or has no samples, and uncertainty is asked for.
    """

    def __init__(self, model: Model, *, clip: bool, uncertainty: Uncertainty = NOTHING) -> None:
        self.model, self._clip, self._uncertainty = model, clip, uncertainty
        self.names = [model.prediction_name, *uncertainty.names]
        uncertainty.check(model)
        self._posterior = _posterior_of(model) if uncertainty.names else None
        # Built once, for all pieces of a file.
        self._users, self._items = IdFinder(model.users), IdFinder(model.items)

    def __reduce__(self) -> Any:
        # What is built from the model is built again.
        made = functools.partial(Predictor, clip=self._clip, uncertainty=self._uncertainty)
        return made, (self.model,)

    def __call__(self, user: pa.Array, item: pa.Array) -> Predicted:
        """Predict pairs.

        Parameters
        ----------
        user, item : Arrow arrays of int64 or string, length n
        """
        rows = self._users(user), self._items(item)
        if self._posterior is None:
            return Predicted(self._column(self.model.predict_rows(*rows)), *rows)
        found = self._posterior.ratings(*rows)
        added = self._uncertainty.columns(found, clip=self._clip)
        return Predicted(self._column(found.mean) | added, *rows)

    def _column(self, ratings: Floats) -> dict[str, pa.Array]:
        clipped = self.model.clipped(ratings) if self._clip else ratings
        return {self.model.prediction_name: to_arrow(clipped)}


def _posterior_of(model: Model) -> Posterior:
    # Imported here because it loads the compiler, which predictions alone do not need.
    from mfcli.model import Posterior

    return Posterior(model)

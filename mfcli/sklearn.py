"""An estimator for scikit-learn: grid search, cross-validation and pipelines.

    from mfcli.sklearn import Recommender
    from sklearn.model_selection import GridSearchCV

    search = GridSearchCV(Recommender(epochs=20), {"k": [5, 10, 20]}, cv=3)
    search.fit(frame[["user", "item"]], frame["rating"])

scikit-learn is needed only here; it is not a dependency of mfcli.
"""

from __future__ import annotations

import inspect
from dataclasses import replace
from typing import Any, Self

import numpy as np
from sklearn.base import BaseEstimator, RegressorMixin
from sklearn.utils.validation import check_is_fitted

from mfcli.config import SETTINGS, TRAINING, Config, closest, meant_setting, settings_in
from mfcli.data import Ids, Ratings, as_pairs, as_ratings, is_table
from mfcli.errors import UsageError
from mfcli.predict import recommend
from mfcli.splits import Split, split
from mfcli.training import fit
from mfcli.types import Floats

_VALID = "valid"
_PARAMETERS = (*settings_in(TRAINING), _VALID)


class Recommender(RegressorMixin, BaseEstimator):  # type: ignore[misc]  # scikit-learn has no types
    """A biased matrix factorization as a regressor of ratings on pairs of a user and an item.

    Parameters
    ----------
    **settings
        The settings of training, such as `k`, `epochs` and `optimizer`, as in `mfcli.Config`, and
        `valid`, the fraction of the ratings to validate on, which `patience` requires.

    Raises
    ------
    UsageError
        If there is no such setting. Values are checked by `fit`, as scikit-learn requires.

    Attributes
    ----------
    model_ : Model
    history_ : History
        With `valid`, also of the validation errors.
    n_features_in_ : int
        2: a column of users and one of items.

    Examples
    --------
    >>> from sklearn.model_selection import cross_val_score
    >>> cross_val_score(Recommender(k=5, epochs=5), frame[["user", "item"]], frame["rating"])
    """

    def __init__(self, **settings: Any) -> None:
        for name in settings.keys() - set(_PARAMETERS):
            close = meant_setting(name) or closest(name, _PARAMETERS)
            remedy = f"did you mean {close!r}?" if close in _PARAMETERS else ""
            raise UsageError(f"Recommender has no parameter {name!r}", remedy=remedy)
        # scikit-learn requires that values are kept as they are; `fit` checks them.
        bound = inspect.signature(type(self)).bind(**settings)
        bound.apply_defaults()
        self.__dict__.update(bound.arguments)

    # scikit-learn finds the names of parameters here.
    __init__.__signature__ = inspect.Signature(  # type: ignore[attr-defined]
        [
            inspect.Parameter("self", inspect.Parameter.POSITIONAL_ONLY),
            *(
                inspect.Parameter(
                    name, inspect.Parameter.KEYWORD_ONLY, default=SETTINGS[name].default
                )
                for name in _PARAMETERS
            ),
        ]
    )

    def fit(self, X: Any, y: Any = None, sample_weight: Any = None) -> Self:
        """Train on ratings.

        Parameters
        ----------
        X : table or array, shape (n, 2)
            A data frame or an Arrow table with a column of users and one of items, or an array
            with the users in its first column and the items in the second one.
        y : array, shape (n,), optional
            The ratings; they may be a column of the table instead.
        sample_weight : array, shape (n,), optional
            How much each rating counts, 1 by default. Ratings with the weight 0 are omitted.

        Raises
        ------
        MfcliError
            As `mfcli.ratings_from`, `mfcli.Config` and `mfcli.fit`.
        """
        ratings = as_ratings(X, "X") if y is None and is_table(X) else _ratings(X, y)
        if sample_weight is not None:
            ratings = _weighted(ratings, sample_weight)
        config = Config(**self.get_params())
        fitted = fit(_training_split(ratings, config), config)
        self.model_, self.history_ = fitted.model, fitted.history
        self.n_features_in_ = 2
        return self

    def predict(self, X: Any) -> Floats:
        """Predict the ratings of pairs, clipped to the rating scale.

        Parameters
        ----------
        X : table or array, shape (n, 2)
            As for `fit`. Unknown users and items add nothing to a prediction.

        Returns
        -------
        float32 array, shape (n,)
        """
        check_is_fitted(self, "model_")
        return self.model_.predict(*_pairs(X))

    def score(self, X: Any, y: Any, sample_weight: Any = None) -> float:
        """Return the R2 of the predicted ratings.

        Raises
        ------
        UsageError
            If the model predicts scores, which have no R2.
        """
        check_is_fitted(self, "model_")
        if self.model_.predicts == "scores":
            remedy = "measure rankings with mfcli.evaluate, or give a scoring function"
            raise UsageError("the model predicts scores, which have no R2", remedy=remedy)
        return float(super().score(X, y, sample_weight))

    def recommend(self, users: Ids | None = None, n: int = 10, **options: Any) -> Any:
        """Recommend items to users; see `mfcli.recommend`."""
        check_is_fitted(self, "model_")
        return recommend(self.model_, users, n, **options)


def _pairs(X: Any) -> tuple[Any, Any]:
    """Return the users and the items of a table or an array."""
    if is_table(X):
        return as_pairs(X, "X")
    try:
        pairs = np.asarray(X)
    except ValueError:  # rows of different lengths
        pairs = np.empty(0)
    if pairs.ndim != 2 or pairs.shape[1] != 2:
        rule = "must be a table, or an array with a column of users and one of items, got shape"
        raise UsageError(f"{rule} {pairs.shape}", param="X")
    return _column(pairs[:, 0]), _column(pairs[:, 1])


def _column(ids: Any) -> Any:
    # A column of objects may hold integers or texts; a list keeps the types of its entries.
    return ids.tolist() if ids.dtype == object else ids


def _weighted(ratings: Ratings, sample_weight: Any) -> Ratings:
    """Return the ratings whose weight is above 0, with their weights."""
    if ratings.source and ratings.source.duplicates:
        rule = "must not repeat a pair of a user and an item if there are weights"
        raise UsageError(rule, param="X", remedy="merge the rows of each pair")
    weight = np.asarray(sample_weight, np.float32)
    if weight.shape != (len(ratings),):
        rule = f"must have as many entries as X, {len(ratings)}, got shape {weight.shape}"
        raise UsageError(rule, param="sample_weight")
    if not ((weight >= 0) & (weight < np.inf)).all() or not weight.any():
        rule = "must be finite and not negative, and some must be above 0"
        raise UsageError(rule, param="sample_weight")
    return replace(ratings, weight=weight).take(weight > 0).without_empty()


def _ratings(X: Any, y: Any) -> Ratings:
    if y is None:
        raise UsageError("is missing", param="y", remedy="give the ratings")
    user, item = _pairs(X)
    y = np.asarray(y)
    if y.ndim != 1:
        raise UsageError(f"must have one dimension, got shape {y.shape}", param="y")
    if len(y) != len(user):
        rule = f"must have as many entries as X, {len(user)}, got {len(y)}"
        raise UsageError(rule, param="y")
    return as_ratings((user, item, y), "X, y")


def _training_split(ratings: Ratings, config: Config) -> Split:
    """Return a split that trains on all ratings but those to validate on."""
    parts = split(ratings, Config(seed=config.seed, test=config.valid))
    return replace(parts, test=None, valid=parts.test)

"""The estimator for scikit-learn."""

from __future__ import annotations

import pickle
import subprocess
import sys
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest
from planted import planted_ratings
from sklearn.base import clone
from sklearn.exceptions import NotFittedError
from sklearn.model_selection import GridSearchCV, cross_val_score

import mfcli
from mfcli.config import TRAINING, settings_in
from mfcli.errors import UsageError
from mfcli.sklearn import Recommender


@pytest.fixture(scope="module")
def frame() -> pd.DataFrame:
    """Ratings of users 0, 1, ... and items "i0", "i1", ..., from a known model."""
    ratings, _ = planted_ratings(share=0.4)
    items = [f"i{item}" for item in ratings.item]
    return pd.DataFrame({"user": ratings.user, "item": items, "rating": ratings.rating})


SETTINGS: dict[str, Any] = {"k": 3, "epochs": 3}


def test_parameters_are_the_settings_of_training() -> None:
    estimator = Recommender(k=4)
    assert set(estimator.get_params()) == {*settings_in(TRAINING), "valid"}
    assert estimator.get_params()["k"] == 4
    assert estimator.get_params()["lr"] == mfcli.Config().lr
    assert estimator.set_params(lr=0.02).lr == 0.02
    copy = clone(estimator)
    assert copy is not estimator
    assert copy.get_params() == estimator.get_params()
    assert repr(copy) == "Recommender(k=4, lr=0.02)"
    with pytest.raises(ValueError, match="Invalid parameter 'factors'"):
        estimator.set_params(factors=3)
    with pytest.raises(mfcli.MfcliError, match="no parameter 'factors'; did you mean 'k'"):
        Recommender(factors=3)


def test_it_trains_on_all_ratings_as_mfcli_does(frame: pd.DataFrame) -> None:
    estimator = Recommender(**SETTINGS).fit(frame[["user", "item"]], frame["rating"])
    ratings = mfcli.ratings_from(frame)
    split = mfcli.Split(ratings, ratings, None, ratings.scale(), {"name": "none"})
    model = mfcli.fit(split, mfcli.Config(**SETTINGS)).model
    np.testing.assert_array_equal(estimator.predict(frame[["user", "item"]]), model.predict(frame))
    assert estimator.n_features_in_ == 2
    assert len(estimator.history_) == 3


@pytest.mark.parametrize(
    "pairs",
    [
        lambda frame: frame[["user", "item"]],
        lambda frame: frame[["item", "user"]],
        lambda frame: frame[["user", "item"]].to_numpy(),
        lambda frame: frame[["user", "item"]].to_numpy().tolist(),
        lambda frame: pa.table(frame[["user", "item"]]),
    ],
    ids=["frame", "columns by name", "array", "lists", "Arrow"],
)
def test_pairs_may_have_any_form(frame: pd.DataFrame, pairs: Any) -> None:
    expected = Recommender(**SETTINGS).fit(frame).predict(frame)
    estimator = Recommender(**SETTINGS).fit(pairs(frame), frame["rating"].tolist())
    np.testing.assert_array_equal(estimator.predict(pairs(frame)), expected)


def test_grid_search_finds_the_better_setting(frame: pd.DataFrame) -> None:
    pairs, ratings = frame[["user", "item"]], frame["rating"]
    search = GridSearchCV(Recommender(k=3), {"epochs": [1, 40]}, cv=2)
    assert search.fit(pairs, ratings).best_params_ == {"epochs": 40}
    assert search.predict(pairs.head(3)).shape == (3,)
    errors = cross_val_score(
        Recommender(**SETTINGS), pairs, ratings, cv=3, scoring="neg_root_mean_squared_error"
    )
    assert errors.shape == (3,)
    assert (errors < 0).all()


def test_validation_ratings_stop_training(frame: pd.DataFrame) -> None:
    estimator = Recommender(k=3, epochs=400, patience=2, valid=0.2, lr=0.5).fit(frame)
    assert len(estimator.history_) < 400
    assert estimator.model_.users.counts.sum() == len(frame) - round(0.2 * len(frame))


def test_a_fitted_estimator_is_copied_and_recommends(frame: pd.DataFrame) -> None:
    estimator = Recommender(**SETTINGS).fit(frame)
    copy = pickle.loads(pickle.dumps(estimator))
    np.testing.assert_array_equal(copy.predict(frame), estimator.predict(frame))
    assert copy.recommend(5, 3).num_rows == 3
    with pytest.raises(NotFittedError):
        Recommender().predict(frame)
    with pytest.raises(NotFittedError):
        Recommender().recommend(5)


@pytest.mark.parametrize(
    ("settings", "pairs", "ratings", "message"),
    [
        ({"k": 0}, [[1, 2]], [3], "k must be at least 1, got 0"),
        ({"patience": 2}, [[1, 2]], [3], "patience=2 requires validation ratings; "),
        ({}, [[1, 2]], None, "y is missing; give the ratings"),
        ({}, [[1, 2], [3, 4]], [3], "y must have as many entries as X, 2, got 1"),
        ({}, [1, 2], [3, 4], "X must be a table, or an array with a column of users and one of i"),
        ({}, [[1, 2], [1, 3]], [3, np.inf], "X, y: row 2: rating must be a finite number, got inf"),
        ({}, [[1, 2], [3]], [3, 4], "X must be a table, or an array with a column of users and "),
        ({}, [[1, 2]], 3, "y must have one dimension, got shape ()"),
        (
            {},
            {"user": [1], "movie": [2]},
            [3],
            "X: has no item column; its columns are user, movie; name "
            "its columns user and item; each holds integers or text",
        ),
    ],
)
def test_errors_name_the_argument(settings: Any, pairs: Any, ratings: Any, message: str) -> None:
    with pytest.raises(mfcli.MfcliError) as caught:
        Recommender(**settings).fit(pairs, ratings)
    assert str(caught.value).startswith(message)


def test_scores_have_no_r2(frame: pd.DataFrame) -> None:
    pairs = frame[["user", "item"]]
    settings = {"target": "rated", "unrated_weight": 0.1, "optimizer": "als", "k": 3, "epochs": 1}
    found = Recommender(**settings).fit(pairs, frame["rating"])
    with pytest.raises(mfcli.MfcliError, match="predicts scores, which have no R2; measure rank"):
        found.score(pairs, frame["rating"])


def test_scikit_learn_is_loaded_by_this_module_only() -> None:
    code = (
        "import sys, mfcli\n"
        "for name in mfcli.__all__: getattr(mfcli, name)\n"
        "assert 'sklearn' not in sys.modules\n"
        "import mfcli.sklearn\n"
        "assert 'sklearn' in sys.modules"
    )
    subprocess.run([sys.executable, "-c", code], check=True)


@pytest.mark.parametrize("optimizer", ["sgd", "als"])
def test_sample_weights_are_weights_of_ratings(frame: pd.DataFrame, optimizer: str) -> None:
    weight = np.random.default_rng(0).uniform(0.5, 2, len(frame))
    pairs, settings = frame[["user", "item"]], SETTINGS | {"optimizer": optimizer}
    ratings = mfcli.ratings_from(frame.assign(w=weight), columns={"weight": "w"})
    split = mfcli.Split(ratings, ratings, None, ratings.scale(), {"name": "none"})
    expected = mfcli.fit(split, mfcli.Config(**settings)).model.predict(frame)
    for given in ((pairs, frame["rating"]), (frame, None)):
        found = Recommender(**settings).fit(*given, sample_weight=weight)
        np.testing.assert_array_equal(found.predict(pairs), expected)


def test_ratings_with_the_weight_zero_are_omitted(frame: pd.DataFrame) -> None:
    weight = (frame["user"] > 3).astype(int)
    model = Recommender(**SETTINGS).fit(frame, sample_weight=weight).model_
    assert set(model.users.ids.to_pylist()) == {*frame["user"]} - {0, 1, 2, 3}
    assert model.users.counts.sum() == weight.sum()


@pytest.mark.parametrize(
    ("weight", "message"),
    [
        ([1.0], "sample_weight must have as many entries as X, "),
        ([-1.0], "sample_weight must be finite and not negative, and some must be above 0"),
        ([np.nan], "sample_weight must be finite and not negative, and some must be above 0"),
        ([0.0], "sample_weight must be finite and not negative, and some must be above 0"),
    ],
)
def test_invalid_sample_weights_are_refused(
    frame: pd.DataFrame, weight: list[float], message: str
) -> None:
    given = weight if weight == [1.0] else weight * len(frame)
    with pytest.raises(UsageError, match=f"^{message}"):
        Recommender().fit(frame, sample_weight=given)
    twice = pd.concat([frame, frame[:1]])
    with pytest.raises(UsageError, match=r"^X must not repeat a pair"):
        Recommender().fit(twice, sample_weight=np.ones(len(twice)))

"""Cross-validation: folds, measures, intervals over folds."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import scipy.stats
from planted import make_ratings, planted_ratings

import mfcli
from mfcli.evaluation.fold_intervals import fold_interval, student_quantile
from mfcli.types import Floats

CONFIG = mfcli.Config(k=3, epochs=2, resamples=20, relevant=3.5)


@pytest.fixture(scope="module")
def ratings() -> mfcli.Ratings:
    return planted_ratings(share=0.4)[0]


def bias(truth: Floats, prediction: Floats) -> float:
    return float((prediction - truth).mean())


@pytest.fixture(scope="module")
def result(ratings: mfcli.Ratings) -> mfcli.CrossValidation:
    def rmse(truth: Floats, prediction: Floats) -> float:
        return float(np.sqrt(np.mean((prediction.astype(float) - truth) ** 2)))

    measures = {"rmse": "rmse", "mine": rmse, "bias": bias, "ndcg": "ndcg"}
    return mfcli.cross_validate(ratings, CONFIG, measures=measures, folds=3)


def test_a_model_of_each_fold_is_measured_on_that_fold(
    ratings: mfcli.Ratings, result: mfcli.CrossValidation
) -> None:
    for number, fold in enumerate(mfcli.split(ratings, CONFIG, folds=3)):
        model = mfcli.fit(fold, CONFIG).model
        assert result.metrics.folds[number].measures == (
            mfcli.evaluate(model, fold, CONFIG, ranking=True).measures
        )
        clipped = model.predict_rows(fold.test.user, fold.test.item).clip(*model.scale[:2])
        assert result.values["bias"][number] == bias(fold.test.rating, clipped)
        assert result.values["rmse"][number] == pytest.approx(result.values["mine"][number])
    assert list(result.values) == ["rmse", "mine", "bias", "ndcg"]


def test_means_and_intervals_are_over_the_folds(result: mfcli.CrossValidation) -> None:
    for name, values in result.values.items():
        low, high = result.intervals[name]
        assert result.measures[name] == pytest.approx(np.mean(values))
        assert result.standard_deviations[name] == pytest.approx(np.std(values, ddof=1))
        # Of three folds, a half as many ratings are tested as trained on.
        margin = scipy.stats.t.ppf(0.975, 2) * np.std(values, ddof=1) * np.sqrt(1 / 3 + 1 / 2)
        assert (high - low) / 2 == pytest.approx(margin, rel=2e-3)
        assert (high + low) / 2 == pytest.approx(np.mean(values))


@pytest.mark.parametrize("freedom", [1, 2, 3, 4, 9, 99])
def test_quantiles_are_those_of_student(freedom: int) -> None:
    assert student_quantile(freedom) == pytest.approx(scipy.stats.t.ppf(0.975, freedom), rel=1e-6)


def test_equal_folds_have_no_width() -> None:
    assert fold_interval([0.5, 0.5, 0.5], 0.5) == (0.5, 0.5)


def test_results_are_tables(result: mfcli.CrossValidation) -> None:
    frame = result.to_pandas().set_index("measure")
    assert [*frame] == ["mean", "low", "high", "fold_1", "fold_2", "fold_3"]
    assert frame.loc["bias", "fold_2"] == result.values["bias"][1]
    low, high = result.intervals["rmse"]
    first = f"rmse: {result.measures['rmse']:.4f} ({low:.4f} to {high:.4f})"
    assert repr(result).splitlines()[0] == first


def test_given_splits_are_the_folds(ratings: mfcli.Ratings) -> None:
    """Published folds, such as u1 to u5; rankings only where they are wanted."""
    folds = [*mfcli.split(ratings, CONFIG, folds=2)]
    seen = []
    given = mfcli.cross_validate(folds, CONFIG, on_fold=lambda fold, fitted: seen.append(fold))
    assert seen == [1, 2]
    assert "ndcg" not in given.values
    whole = mfcli.cross_validate(ratings, CONFIG, folds=2)
    assert given.values == whole.values
    assert (
        mfcli.cross_validate(mfcli.split(ratings, CONFIG, folds=2), CONFIG).values == whole.values
    )
    assert mfcli.compare([given, whole]).difference("rmse", "run 2") is not None


def test_measures_may_be_listed(ratings: mfcli.Ratings) -> None:
    result = mfcli.cross_validate(ratings, CONFIG, measures=["mae", bias, np.dot], folds=2)
    assert list(result.measures) == ["mae", "bias", "dot"]
    assert list(mfcli.cross_validate(ratings, CONFIG, measures="r2", folds=2).measures) == ["r2"]


def test_an_undefined_measure_is_reported() -> None:
    """R2 of equal ratings is 0 / 0."""
    rng = np.random.default_rng(0)
    user, item = np.nonzero(rng.random((10, 10)) < 0.5)
    ratings = make_ratings(user, item, np.full(len(user), 3.0), users=10, items=10)
    with pytest.warns(mfcli.MfcliWarning, match="r2: undefined for a fold"):
        result = mfcli.cross_validate(ratings, CONFIG, measures=["rmse", "r2"], folds=2)
    assert list(result.measures) == ["rmse"]


WRONG: list[tuple[dict[str, Any], str]] = [
    ({"measures": ["rmsee"]}, "measures['rmsee'] must be a function of (truth, prediction), or on"),
    ({"measures": 7}, "measures must be functions or names, got 7"),
    ({"measures": [bias, bias]}, "measures has two measures with the name 'bias'; give a mapping"),
    ({"measures": {"x": lambda t, p: None}}, "measures['x'] must return a finite number, got None"),
    ({"folds": 1}, "folds must be at least 2 and at most 100, got 1"),
    ({"ratings": 7}, "ratings must be a data frame, an Arrow table, arrays (user, item, rating) o"),
    ({"config": {}}, "config must have the type Config, got dict"),
    ({"config": mfcli.Config(strategy="per-user")}, "strategy must be k-fold, got 'per-user'; us"),
]


@pytest.mark.parametrize(("arguments", "message"), WRONG)
def test_errors_name_the_argument(
    ratings: mfcli.Ratings, arguments: dict[str, Any], message: str
) -> None:
    given = {"ratings": ratings, "config": CONFIG, "folds": 2} | arguments
    with pytest.raises(mfcli.MfcliError) as caught:
        mfcli.cross_validate(**given)
    assert str(caught.value).startswith(message)


def test_one_split_is_not_cross_validated(ratings: mfcli.Ratings) -> None:
    one = mfcli.split(ratings)
    with pytest.raises(mfcli.MfcliError, match="ratings must be ratings or several splits, got on"):
        mfcli.cross_validate(one)
    with pytest.raises(mfcli.MfcliError, match="ratings must have at least two splits"):
        mfcli.cross_validate([one])
    with pytest.raises(mfcli.MfcliError, match=r"ratings\[1\] must have the type Split, got int"):
        mfcli.cross_validate([one, 3])
    with pytest.raises(mfcli.MfcliError, match="folds is not used with splits; omit it"):
        mfcli.cross_validate([one, one], folds=3)

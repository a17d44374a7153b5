"""Validation by rankings: the same values as evaluation, prepared once for many models."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from planted import planted_split

from mfcli import Config, Model, Split, evaluate
from mfcli.data import Ratings
from mfcli.errors import DataError
from mfcli.model import RatedParts
from mfcli.rankings import VALIDATION_MEASURES, RankedValidation, RelevantItems, validation
from mfcli.training.loop import start

AT, RELEVANT = 6, 3.5


@pytest.fixture(scope="module")
def split() -> Split:
    return planted_split(Config(test=0.4), share=0.3, users=50)


def random_model(split: Split, seed: int) -> Model:
    made, rng = start(split, Config(k=3)), np.random.default_rng(seed)
    return made.with_tables(
        {n: rng.normal(0, 1, t.shape).astype(np.float32) for n, t in made.tables.items()}
    )


def evaluated(model: Model, split: Split, on: Ratings, relevant: float) -> dict[str, float | None]:
    config = Config(at=AT, relevant=relevant, resamples=0)
    found = evaluate(model, replace(split, test=on), config, ranking=True).measures
    return {name: found[name] for name in VALIDATION_MEASURES}


def test_values_are_those_of_evaluation(split: Split, monkeypatch: pytest.MonkeyPatch) -> None:
    """Of several models, with any number of threads, in blocks of any size."""
    whole = RankedValidation(split.test, split.train, at=AT, relevant=RELEVANT)
    parallel = RankedValidation(split.test, split.train, at=AT, relevant=RELEVANT, threads=3)
    for seed in (1, 2):
        model = random_model(split, seed)
        expected = evaluated(model, split, split.test, RELEVANT)
        assert whole.measures(model) == pytest.approx(expected)
        monkeypatch.setattr(validation, "_BLOCK", 7)
        assert parallel.measures(model) == whole.measures(model)
        monkeypatch.undo()


def test_every_item_is_relevant_without_a_lowest_rating(split: Split) -> None:
    found = RankedValidation(split.test, split.train, at=AT).measures(random_model(split, 1))
    assert found == pytest.approx(evaluated(random_model(split, 1), split, split.test, -9))


def test_a_sample_of_users_is_drawn_once_from_the_seed(split: Split) -> None:
    model = random_model(split, 1)
    rated = RatedParts.of(split.train)
    liked = RelevantItems.of(split.test, rated, relevant=RELEVANT, remedy="")
    drawn = liked.sample(9, np.random.default_rng(4)).users
    some = RankedValidation(split.test, split.train, at=AT, relevant=RELEVANT, most_users=9, seed=4)
    own = split.test.take(np.isin(split.test.user, drawn))
    assert some.users == len(set(drawn.tolist())) == 9
    assert some.measures(model) == pytest.approx(evaluated(model, split, own, RELEVANT))
    everyone = RankedValidation(split.test, split.train, at=AT, relevant=RELEVANT, most_users=999)
    assert everyone.users == len(liked.users)


def test_no_relevant_rating_is_an_error(split: Split) -> None:
    with pytest.raises(DataError, match=r"is at least 9; lower relevant$"):
        RankedValidation(split.test, split.train, at=AT, relevant=9)
    with pytest.raises(DataError, match="no rating is of an item that its user did not rate"):
        RankedValidation(split.train, split.train, at=AT)

"""Known users are estimated from their ratings in the split and from new ones."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest
from conftest import Run
from contents import rows_of
from planted import make_ratings, planted_split

from mfcli.config import Config
from mfcli.data import Ratings, Vocabulary
from mfcli.errors import DataError, UsageError
from mfcli.model import Model, extended, fold_in
from mfcli.splits import Split, write_split
from mfcli.training import fit

ALS = Config(optimizer="als", k=3, epochs=3)


@pytest.fixture(scope="module")
def split() -> Split:
    """A split with times: rating n was given at the time 100 n."""
    made = planted_split(Config(valid=0.1), share=0.4)
    parts = {
        name: replace(part, timestamp=100 * np.arange(len(part)))
        for name, part in made.parts.items()
    }
    return replace(made, **parts)


@pytest.fixture(scope="module")
def model(split: Split) -> Model:
    return fit(split, ALS, threads=1).model


def rows_of_user(model: Model, user: int) -> np.ndarray:
    row = model.users.rows(pa.array([user]))[0]
    return np.append(model.user_factors[row], model.user_biases[row])


def one_rating(split: Split, n: int, rating: float, time: int | None) -> Ratings:
    """Return another rating of the pair that has the training rating n."""
    train = split.train
    made = make_ratings(
        train.user[n : n + 1], train.item[n : n + 1], np.array([rating]), users=60, items=40
    )
    return made if time is None else replace(made, timestamp=np.array([time]))


def rerated(split: Split, n: int, rating: float) -> Ratings:
    """Return all training ratings of a user as those of a new user, with one other value."""
    own = split.train.take(split.train.user == split.train.user[n])
    values = np.where(own.item == split.train.item[n], np.float32(rating), own.rating)
    ids = pa.array([f"new {user}" for user in own.users.ids.to_pylist()])
    return replace(own, rating=values, users=Vocabulary(ids, own.users.counts))


@pytest.mark.parametrize(
    ("time", "is_later"), [(100_000, True), (0, False), (700, True), (None, True)]
)
def test_the_later_rating_of_a_pair_counts(
    split: Split, model: Model, time: int | None, is_later: bool
) -> None:
    """Of two at the same time, and without times, the new one."""
    n, user = 7, int(split.train.user[7])
    found = fold_in(model, one_rating(split, n, 9.5, time), split=split)
    value = 9.5 if is_later else split.train.rating[n]
    expected = fold_in(model, rerated(split, n, float(value))).model
    assert (
        rows_of_user(found.model, user) == np.append(expected.user_factors, expected.user_biases)
    ).all()
    own = split.train.item[split.train.user == user]
    assert sorted(found.rated.item.tolist()) == sorted(own.tolist())
    assert found.replaced == 1
    assert found.model.users.counts.tolist() == [len(own)]


def test_ratings_of_events_are_added(split: Split) -> None:
    parts = {
        name: replace(part, rating=(1 + part.item % 3).astype(np.float32), feedback="implicit")
        for name, part in split.parts.items()
    }
    events = replace(split, **parts)
    config = Config(
        optimizer="als", k=3, epochs=2, target="rated", unrated_weight=0.1, rating_weight="linear"
    )
    model = fit(events, config, threads=1).model
    again = replace(one_rating(events, 7, 2, None), feedback="implicit")
    found = fold_in(model, again, split=events).model
    total = float(events.train.rating[7]) + 2
    expected = fold_in(model, rerated(events, 7, total)).model
    np.testing.assert_allclose(found.user_factors, expected.user_factors, rtol=1e-5, atol=1e-6)


def test_users_whose_earlier_ratings_are_missing_are_refused(split: Split, model: Model) -> None:
    new = one_rating(split, 7, 9.5, None)
    user = int(split.train.user[7])
    part = replace(split, train=split.train.take(np.arange(len(split.train)) != 7))
    own = int(np.count_nonzero(split.train.user == user))
    with pytest.raises(DataError) as caught:
        fold_in(model, new, split=part)
    assert str(caught.value) == (
        f"split: has {own - 1} ratings of user {user}, but the model was trained on {own}; give the"
        " split that the model was trained on"
    )
    other = Vocabulary(pa.array(np.arange(100, 140)), split.train.items.counts)
    with pytest.raises(DataError, match=f"split: has 0 ratings of user {user}, but"):
        fold_in(model, new, split=replace(split, train=replace(split.train, items=other)))
    made = extended(model, fold_in(model, new, split=split))
    with pytest.raises(DataError, match=f"user {user} was folded in, and the split lacks the"):
        fold_in(made, new, split=split)
    assert fold_in(made, new, replace=True).model.users.counts.tolist() == [1]
    with pytest.raises(UsageError, match=r"^split is not used with replace"):
        fold_in(model, new, split=split, replace=True)
    with pytest.raises(UsageError, match="split must have the type Split, got Ratings"):
        fold_in(model, new, split=split.train)  # type: ignore[arg-type]  # what is tested


def test_ratings_of_all_parts_count_if_the_model_was_trained_on_them(split: Split) -> None:
    model = fit(split.union(), ALS, threads=1).model
    assert model.trained_on == ("train", "valid", "test")
    again = one_rating(split, 7, float(split.train.rating[7]), None)
    for given in (split, split.union()):
        found = fold_in(model, again, split=given).model
        row = model.users.rows(found.users.ids)
        np.testing.assert_allclose(
            found.user_factors, model.user_factors[row], rtol=1e-4, atol=1e-5
        )
        assert found.users.counts.tolist() == model.users.counts[row].tolist()


def test_new_users_need_no_split(split: Split, model: Model) -> None:
    ratings = rerated(split, 7, 2)
    found = fold_in(model, ratings, split=split).model
    assert (found.user_factors == fold_in(model, ratings).model.user_factors).all()


@pytest.fixture
def folder(run: Run, split: Split, model: Model) -> Run:
    """A split and a model in the working folder, and a rating by user 3 in `new.csv`."""
    written = write_split(Path("split"), split)
    replace(model, split_hash=written["hash"]).save("model")
    Path("new.csv").write_text("user,item,rating\n3,2,4\n")
    return run


def test_known_users_get_recommendations_without_what_they_have_rated(
    folder: Run, split: Split
) -> None:
    done = folder("fold-in", "new.csv", "--n", 40, "--out", "-")
    assert (done.code, done.err) == (
        0,
        "note: for 1 user of the model, training ratings in split count, too\n",
    )
    rated = {2}
    for part in split.parts.values():
        rated |= {*part.item[part.user == 3].tolist()}
    assert {int(row["item"]) for row in rows_of(done.out)} == {*range(40)} - rated
    every = folder("fold-in", "new.csv", "--n", 40, "--exclude", "none", "--out", "-", "-q").out
    assert len(rows_of(every)) == 40
    Path("split").rename("other")
    moved = folder("fold-in", "new.csv", "--n", 40, "--split", "other", "--out", "-", "-q")
    assert moved.out == done.out
    refused = folder("fold-in", "new.csv")
    assert (refused.code, refused.err) == (
        1,
        "error: user 3 is in the model already; give the split that it was trained on with"
        " --split, or estimate such users from these ratings alone with --replace\n",
    )
    alone = folder("fold-in", "new.csv", "--n", 40, "--replace", "--out", "-")
    assert (len(rows_of(alone.out)), alone.err) == (39, "")


def test_ids_of_an_extended_model_may_be_text_and_those_of_the_split_integers(folder: Run) -> None:
    Path("anna.csv").write_text("user,item,rating\nanna,2,4\n5,new,3\n")
    assert folder("fold-in", "anna.csv", "--extend", "more", "-q").code == 0
    own = ["fold-in", "new.csv", "--n", 40, "--out", "-", "-q"]
    lists = (rows_of(folder(*own, "--model", name).out) for name in ("model", "more"))
    before, after = ({row["item"]: row["prediction"] for row in rows} for rows in lists)
    assert after.pop("new")
    assert after == before


def test_another_split_is_refused_unless_it_is_not_needed(folder: Run) -> None:
    write_split(Path("split"), planted_split(Config(seed=9), share=0.3))
    done = folder("fold-in", "new.csv")
    assert done.code == 1
    assert done.err.startswith("error: model: was trained on split ")
    assert done.err.endswith("; train again, or use the new ratings alone with --replace\n")
    Path("new.csv").write_text("user,item,rating\nanna,2,4\n")
    assert folder("fold-in", "new.csv").code == 0

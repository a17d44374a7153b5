"""New items get rows from ratings by known users, equal to those of a simple solution."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import msgspec
import numpy as np
import pyarrow as pa
import pytest
from conftest import Run
from contents import rows_of
from planted import make_ratings, planted_split
from test_new_users import random_model

from mfcli.config import Config
from mfcli.data import Ratings, Vocabulary, read_ratings
from mfcli.model import (
    Explainer,
    Model,
    RatedParts,
    extended,
    fold_in,
    read_model_record,
    top_items,
    with_estimated_rows,
)
from mfcli.model.added_rows import enlarged
from mfcli.model.folder import FoldedInSection
from mfcli.splits import Split, split as split_ratings, write_split
from mfcli.training import fit

KNOWN, NEW_USERS, NEW_ITEMS = 60, 5, 6  # the model has the users 0 to 59 and the items 0 to 39


def rows_of_items(model: Model) -> np.ndarray:
    return np.column_stack([model.item_factors, model.item_biases])


def mixed_ratings(seed: int = 0) -> Ratings:
    """Make ratings by known and new users of known and new items.

    The last new item has ratings by new users only.
    """
    rng = np.random.default_rng(seed)
    user, item = np.nonzero(rng.random((KNOWN + NEW_USERS, 40 + NEW_ITEMS)) < 0.3)
    kept = ((user >= KNOWN) | (item >= 40)) & ((user >= KNOWN) | (item < 45))
    user, item = user[kept], item[kept]
    user, item = np.append(user, KNOWN), np.append(item, 45)
    rating = rng.integers(1, 11, len(user)) / 2
    made = make_ratings(user, item, rating, users=KNOWN + NEW_USERS, items=40 + NEW_ITEMS)
    pairs, first = np.unique(np.column_stack([user, item]), axis=0, return_index=True)
    return made.take(np.random.default_rng(seed).permutation(first[: len(pairs)]))


def by_known(ratings: Ratings, model: Model, item: int) -> Ratings:
    counts = np.append(model.users.counts, np.zeros(NEW_USERS, int))
    return ratings.take((ratings.item == item) & (counts[ratings.user] > 0))


def obvious(model: Model, rated: Ratings, noise: float) -> np.ndarray:
    """Compute the formula for one item."""
    rows, weights = rows_of_items(model).astype(float), np.sqrt(model.items.counts)
    m = np.average(rows, axis=0, weights=weights)
    s = np.cov(rows.T, aweights=weights, bias=True)
    a = np.column_stack([model.user_factors[rated.user], np.ones(len(rated))]).astype(float)
    y = rated.rating - model.mu - model.user_biases[rated.user]
    precision = a.T @ a / noise + np.linalg.inv(s)
    return m + np.linalg.inv(precision) @ a.T @ (y - a @ m) / noise


@pytest.mark.parametrize("noise", [0.01, 0.7, 50.0])
@pytest.mark.parametrize("k", [1, 3, 12])
def test_items_match_the_formula(noise: float, k: int) -> None:
    model, ratings = random_model(k=k), mixed_ratings()
    found = fold_in(model, ratings, noise, replace=True)
    names = found.model.items.ids.to_pylist()
    assert names[:40] == list(range(40))
    # Item 39 is in the vocabulary, but has no training ratings.
    assert sorted(names[40:]) == [40, 41, 42, 43, 44]
    assert sorted(found.items.tolist()) == [40, 41, 42, 43, 44]
    for row, name in enumerate(names[40:], start=40):
        own = by_known(ratings, model, name)
        expected = obvious(model, own, noise)
        np.testing.assert_allclose(rows_of_items(found.model)[row], expected, rtol=1e-4, atol=1e-5)
        assert found.model.items.counts[row] == len(own)
    assert (rows_of_items(found.model)[:40] == rows_of_items(model)).all()
    of_others = np.isin(ratings.item, [39, 45])
    assert (found.unknown_items, found.unknown_ratings) == (2, of_others.sum())
    assert found.as_dict()["item_ratings"] == found.model.items.counts[40:].sum()


def test_an_item_of_the_vocabulary_without_ratings_gets_a_row() -> None:
    model = random_model()
    ratings = make_ratings(
        np.array([1, 2]), np.array([39, 39]), np.array([5, 4]), users=3, items=40
    )
    found = fold_in(model, ratings, 0.5, replace=True)
    assert found.items.tolist() == [39]
    assert rows_of_items(found.model)[39].all()
    made = extended(model, found)
    assert len(made.items) == 40
    assert made.folded_in_items == ((39, 40),)
    assert made.items.counts.tolist() == [*model.items.counts[:39], 2]


def test_ratings_of_new_items_count_for_new_users_who_do_not_change_the_items() -> None:
    model, ratings = random_model(), mixed_ratings()
    whole = fold_in(model, ratings, 0.5, replace=True)
    items = fold_in(model, ratings.take(ratings.user < KNOWN), 0.5, replace=True)
    rows = whole.model.items.rows(items.model.items.ids)
    assert (rows_of_items(whole.model)[rows] == rows_of_items(items.model)).all()
    new = ratings.take(ratings.user >= KNOWN)
    later = fold_in(items.basis, new, 0.5).model
    own = whole.model.users.rows(later.users.ids)
    np.testing.assert_array_equal(whole.model.user_factors[own], later.user_factors)
    without = fold_in(model, new, 0.5).model
    assert np.abs(without.user_factors - later.user_factors).max() > 0.01


def test_neither_order_nor_block_matters(monkeypatch: pytest.MonkeyPatch) -> None:
    model, ratings = random_model(), mixed_ratings()
    found = fold_in(model, ratings, 0.5, replace=True).model
    monkeypatch.setattr("mfcli.model.row_equations._BLOCK", 1)
    order = np.random.default_rng(3).permutation(len(ratings))
    mixed = fold_in(model, ratings.take(order), 0.5, replace=True).model
    assert (rows_of_items(mixed) == rows_of_items(found)).all()
    assert (mixed.user_factors == found.user_factors).all()


def test_estimates_in_the_rows_of_a_model_are_those_of_fold_in() -> None:
    model, ratings = random_model(), mixed_ratings()
    ratings = ratings.take(ratings.item != 45)
    made = extended(model, fold_in(model, ratings, 0.5, replace=True))
    larger, _ = enlarged(model, "user", made.users)
    larger, _ = enlarged(larger, "item", made.items)
    new = np.arange(len(made.users)) >= KNOWN
    found = with_estimated_rows(larger, ratings.within(made.users, made.items), new, 0.5)
    assert found.items.counts.tolist() == made.items.counts.tolist()
    assert (rows_of_items(found) == rows_of_items(made)).all()
    assert (found.user_factors[KNOWN:] == made.user_factors[KNOWN:]).all()
    assert (found.user_factors[:KNOWN] == model.user_factors).all()
    assert (found.users.counts[:KNOWN] == model.users.counts).all()


def test_items_that_were_folded_in_stay_or_are_replaced() -> None:
    model, ratings = random_model(), mixed_ratings()
    first = extended(model, fold_in(model, ratings, 0.5, replace=True))
    second = fold_in(first, mixed_ratings(seed=1), 0.5, replace=True)
    row = second.model.items.ids.to_pylist().index(41)
    assert row in second.items
    # All users are known by now.
    assert second.model.items.counts[row] == np.count_nonzero(mixed_ratings(seed=1).item == 41)
    assert not np.array_equal(rows_of_items(second.model)[row], rows_of_items(first)[row])
    more = make_ratings(np.array([0, 0]), np.array([0, 1]), np.array([3, 4]), users=1, items=2)
    more = replace(
        more,
        users=Vocabulary(pa.array([777]), more.users.counts),
        items=Vocabulary(pa.array([41, 1]), more.items.counts),
    )
    kept = fold_in(first, more, 0.5)
    assert not len(kept.items)
    assert kept.unknown_items == 0
    assert (rows_of_items(kept.model) == rows_of_items(first)).all()


def test_item_ids_that_are_text_and_records(tmp_path: Path) -> None:
    model = random_model()
    ratings = make_ratings(np.array([1, 2]), np.array([0, 1]), np.array([5, 4]), users=3, items=2)
    named = replace(ratings, items=Vocabulary(pa.array(["new", "7"]), ratings.items.counts))
    made = extended(model, fold_in(model, named, 0.5, replace=True))
    assert made.items.ids.to_pylist() == [*map(str, range(40)), "new"]
    made.save(tmp_path / "m")
    read = Model.load(tmp_path / "m")
    assert read.folded_in_items == made.folded_in_items == ((40, 41),)
    assert (rows_of_items(read) == rows_of_items(made)).all()
    record = read_model_record(tmp_path / "m").folded_in
    assert (record.users, record.items, record.item_rows) == (2, 1, ((40, 41),))
    earlier = msgspec.convert({"users": 1, "rows": [[0, 1]]}, FoldedInSection)
    assert (earlier.items, earlier.item_rows) == (0, ())  # as earlier versions wrote it


def test_weights_of_ratings_count_for_new_items() -> None:
    model = random_model()
    pair, values = np.zeros(2, int), np.array([5, 1])
    ratings = make_ratings(np.array([1, 2]), pair, values, users=3, items=1)
    ratings = replace(ratings, items=Vocabulary(pa.array(["x"]), ratings.items.counts))
    heavy = replace(ratings, weight=np.array([1, 1e6], np.float32))
    user, item = np.array([2], np.int32), np.array([40], np.int32)
    even, moved = (
        fold_in(model, given, 0.5, replace=True).basis.predict_rows(user, item)[0]
        for given in (ratings, heavy)
    )
    assert moved == pytest.approx(1, abs=0.01)
    assert even > 1.2


@pytest.fixture(scope="module")
def split() -> Split:
    return planted_split(Config(valid=0.1), share=0.4)


def test_contributions_add_up_with_new_items(split: Split) -> None:
    model = fit(split, Config(optimizer="als", k=3, epochs=3, unrated_weight=0.1)).model
    folded = fold_in(model, mixed_ratings(), split=split)
    users = np.array([3, KNOWN, KNOWN + 1], np.int32)
    rows = folded.model.users.rows(pa.array(users))
    ranking = top_items(folded.model, rows, 45)
    assert (ranking.items >= 40).any()
    found = Explainer(folded.basis, RatedParts.of(folded.rated), 100).explain(ranking)
    np.testing.assert_allclose(found.estimates, ranking.scores, rtol=1e-4, atol=1e-4)
    assert (found.items >= 40).any()


def test_new_items_of_real_ratings_are_predicted_better_than_by_biases(real_csv: Path) -> None:
    ratings = read_ratings(real_csv)
    rng = np.random.default_rng(0)
    is_new = (rng.random(len(ratings.items)) < 0.2)[ratings.item]
    config = Config(optimizer="gibbs", k=8, epochs=20)
    model = fit(split_ratings(ratings.take(~is_new), config), config).model
    shown = rng.random(len(ratings)) < 0.5
    given, hidden = ratings.take(is_new & shown), ratings.take(is_new & ~shown)
    folded = fold_in(model, given, model.losses["val_mse"], replace=True).basis
    items = len(folded.items)
    hidden = hidden.within(model.users, folded.items)
    hidden = hidden.take((hidden.item >= 0) & (hidden.user >= 0))
    given = given.within(model.users, folded.items)
    given = given.take((given.item >= 0) & (given.user >= 0))
    mean = model.predict_rows(given.user, np.full(len(given), -1, np.int32))
    sums = np.bincount(given.item, given.rating - mean, items)
    biases = (sums / (np.bincount(given.item, minlength=items) + 5)).astype(np.float32)
    flat = folded.with_tables(
        folded.tables | {"item_biases": biases, "item_factors": 0 * folded.item_factors}
    )
    rmse = [
        float(np.sqrt(np.mean(np.square(m.predict_rows(hidden.user, hidden.item) - hidden.rating))))
        for m in (folded, flat)
    ]
    assert rmse[0] < rmse[1] - 0.005


@pytest.fixture
def folder(run: Run, split: Split) -> Run:
    """A split and a model in the working folder, and ratings of new items in `new.csv`."""
    written = write_split(Path("split"), split)
    model = fit(split, Config(optimizer="als", k=3, epochs=3)).model
    replace(model, split_hash=written["hash"]).save("model")
    Path("new.csv").write_text("user,item,rating\n1,900,5\n2,900,4\nanna,900,5\nanna,3,4\nbo,x,1\n")
    return run


def test_new_items_are_recommended_and_written(folder: Run) -> None:
    done = folder("fold-in", "new.csv", "--n", 50, "--json")
    assert done.code == 0, done.err
    assert done.err == (
        "note: ignored 1 rating of 1 item that no user of the model has rated\n"
        "note: 1 user without usable ratings: predicting the mean and the items' biases\n"
        "note: estimated 1 new item from 2 ratings by users of the model\n"
        "note: for 2 users of the model, training ratings in split count, too\n"
    )
    result = json.loads(done.out)
    assert (result["folded_in"]["items"], result["folded_in"]["item_ratings"]) == (1, 2)
    lists = {
        name: [row["item"] for row in result["recommendations"] if str(row["user"]) == name]
        for name in ("1", "anna", "bo")
    }
    assert "900" not in map(str, lists["1"] + lists["anna"])
    assert "900" in map(str, lists["bo"])
    Path("items.txt").write_text("900\n4\n")
    few = folder("fold-in", "new.csv", "--items", "items.txt", "--out", "-", "-q").out
    assert {row["item"] for row in rows_of(few)} == {"900", "4"}
    done = folder("fold-in", "new.csv", "--extend", "more")
    assert done.out.startswith("more: 62 users, 4 of them from ")
    assert done.out.endswith(" ratings; 41 items, 1 of them from 2 ratings\n")
    shown = json.loads(folder("fold-in", "new.csv", "--extend", "more", "--json").out)
    assert (shown["users"], shown["items"]) == (62, 41)
    listed = folder("recommend", "--model", "more", "--user", "bo", "--n", 50, "--out", "-", "-q")
    assert "900" in {row["item"] for row in rows_of(listed.out)}

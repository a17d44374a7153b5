"""Recommendations sorted by bounds of expected ratings and by samples of the posterior."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow.csv
import pyarrow.parquet
import pytest
from conftest import Run
from planted import split_with_new_rows

from mfcli.config import Config
from mfcli.errors import ArtifactError, UsageError
from mfcli.model import Model, Order, Posterior, Rated, recommended
from mfcli.model.top_of_bounds import top_of_bounds
from mfcli.model.top_of_draws import top_of_draws
from mfcli.predict import recommend
from mfcli.splits import Split, write_split
from mfcli.training import fit
from mfcli.types import Rows

CONFIG = Config(k=3, epochs=6, optimizer="gibbs", average=1.0, keep_samples=5)
NEW_USERS, NEW_ITEMS = 5, 4  # the first ones, without training ratings


@pytest.fixture(scope="module")
def split() -> Split:
    return split_with_new_rows(CONFIG, NEW_USERS, NEW_ITEMS)


@pytest.fixture(scope="module")
def model(split: Split) -> Model:
    return fit(split, CONFIG).model


USERS = np.array([0, 69, -1, 3, *range(5, 45)], np.int32)


@pytest.mark.parametrize("deviations", [-1.6, 0.7])
@pytest.mark.parametrize("candidates", [None, np.arange(1, 40, 3, dtype=np.int32)])
def test_bounds_are_those_of_a_slow_sort(
    split: Split, model: Model, deviations: float, candidates: Rows | None
) -> None:
    rated = Rated.of(split.train)
    found = top_of_bounds(
        model, USERS, 45, deviations=deviations, exclude=rated, candidates=candidates
    )
    allowed = np.arange(50, dtype=np.int32) if candidates is None else candidates
    for user, items, scores in zip(USERS, found.items, found.scores, strict=True):
        own = split.train.item[split.train.user == user]
        left = np.setdiff1d(allowed, own).astype(np.int32)
        ratings = Posterior(model).ratings(np.full(len(left), user, np.int32), left)
        bounds = ratings.mean + deviations * np.sqrt(ratings.posterior)
        count = min(len(left), found.items.shape[1])
        assert {*items[:count].tolist()} <= {*left.tolist()}
        assert (items[count:] == -1).all()
        np.testing.assert_allclose(scores[:count], np.sort(bounds)[::-1][:count], rtol=1e-5)
        places = np.searchsorted(left, items[:count])
        np.testing.assert_allclose(bounds[places], scores[:count], rtol=1e-5)


def test_bounds_of_an_ensemble_use_the_samples_of_all_members(split: Split) -> None:
    """A sample has the factors of one member, the predictions those of all."""
    pooled = fit(split, replace(CONFIG, ensemble=2, keep_samples=4)).model
    assert pooled.k > CONFIG.k
    found = top_of_bounds(pooled, USERS, 5, deviations=1.0)
    user = np.repeat(USERS, 5)
    ratings = Posterior(pooled).ratings(user, found.items.ravel())
    bounds = ratings.mean + np.sqrt(ratings.posterior)
    np.testing.assert_allclose(found.scores.ravel(), bounds, rtol=1e-5)


@pytest.mark.parametrize("top", [top_of_bounds, top_of_draws])
def test_a_list_does_not_depend_on_the_other_users_or_threads(model: Model, top: Any) -> None:
    how = {"deviations": -1.0} if top is top_of_bounds else {"seed": 3}
    many = np.tile(USERS[USERS >= 0], 80)
    together = top(model, many, 7, **how, threads=2)
    for place in (0, 1, 5, len(many) - 1):
        alone = top(model, many[place : place + 1], 7, **how)
        np.testing.assert_array_equal(alone.items[0], together.items[place])
        np.testing.assert_array_equal(alone.scores[0], together.scores[place])


def test_a_draw_ranks_by_one_sample_for_each_user(split: Split, model: Model) -> None:
    posterior, rated = Posterior(model), Rated.of(split.train)
    known = np.arange(NEW_ITEMS, 50, dtype=np.int32)
    users = np.arange(NEW_USERS, 70, dtype=np.int32)
    found = top_of_draws(model, users, 6, seed=0, exclude=rated, candidates=known)
    used = set[int]()
    for user, items, scores in zip(users, found.items, found.scores, strict=True):
        rows = np.full(len(items), user, np.int32)
        predicted = [posterior.sample(s).predict_rows(rows, items) for s in range(5)]
        (sample,) = [s for s in range(5) if np.allclose(predicted[s], scores, rtol=1e-5)]
        left = np.setdiff1d(known, split.train.item[split.train.user == user]).astype(np.int32)
        every = posterior.sample(sample).predict_rows(np.full(len(left), user, np.int32), left)
        np.testing.assert_allclose(scores, np.sort(every)[::-1][:6], rtol=1e-5)
        used.add(sample)
    assert used == {0, 1, 2, 3, 4}


def test_seeds_draw_other_lists(model: Model) -> None:
    users = np.arange(70, dtype=np.int32)
    one, same, other = (top_of_draws(model, users, 10, seed=seed) for seed in (1, 1, 2))
    np.testing.assert_array_equal(one.items, same.items)
    changed = (one.items != other.items).any(axis=1)
    assert changed.mean() > 0.5


def test_rows_without_ratings_are_drawn_from_their_distribution(model: Model) -> None:
    """The scores of new items vary over seeds as their posterior variance says."""
    users = np.arange(NEW_USERS, 70, dtype=np.int32)
    new = np.array([1], np.int32)
    drawn = [
        top_of_draws(model, users, 1, seed=seed, candidates=new).scores[:, 0] for seed in range(60)
    ]
    found = Posterior(model).ratings(users, np.full(len(users), 1, np.int32))
    mean, variance = np.mean(drawn, axis=0), np.var(drawn, axis=0)
    assert np.abs(mean - found.mean).max() < 0.3
    assert np.mean(variance) == pytest.approx(float(np.mean(found.posterior)), rel=0.3)
    strangers = np.arange(NEW_USERS, dtype=np.int32)
    lists = top_of_draws(model, strangers, 5, seed=0).items
    assert len({tuple(row) for row in lists.tolist()}) > 1  # each has a taste


def test_tables_show_intervals_of_expected_ratings(split: Split, model: Model) -> None:
    users = np.arange(6, 20, dtype=np.int32)
    table = recommended(model, users, 5, order=Order("low"), clip=False)
    assert table.column_names == ["user", "rank", "item", "prediction", "low", "high"]
    low, mean, high = (table[name].to_numpy() for name in ("low", "prediction", "high"))
    user, item = (table[name].to_numpy().astype(np.int32) for name in ("user", "item"))
    found = Posterior(model).ratings(user, item)
    np.testing.assert_array_equal(mean, found.mean)
    half = 1.6448536 * np.sqrt(found.posterior)
    np.testing.assert_allclose(low, mean - half, rtol=1e-5)
    np.testing.assert_allclose(high, mean + half, rtol=1e-5)
    assert (np.diff(low.reshape(-1, 5)) <= 1e-5).all()
    narrow = recommended(model, users, 5, order=Order("high", 0.1), clip=False)
    assert (np.diff(narrow["high"].to_numpy().reshape(-1, 5)) <= 1e-5).all()
    clipped = recommended(model, users, 5, order=Order("high"))
    assert max(clipped["high"].to_pylist()) == model.scale.max


def test_intervals_do_not_change_the_order_by_mean(model: Model) -> None:
    users = np.arange(70, dtype=np.int32)
    plain = recommended(model, users, 5, order=Order("mean"))
    shown = recommended(model, users, 5, order=Order("mean", 0.8))
    assert plain.column_names == ["user", "rank", "item", "prediction"]
    assert shown.drop_columns(["low", "high"]) == plain


def test_draws_show_the_rating_in_the_sample(model: Model) -> None:
    table = recommended(model, USERS[:2], 5, order=Order("sample", 0.5, seed=1), clip=False)
    assert table.column_names[3:] == ["prediction", "low", "high", "sample"]
    assert (np.diff(table["sample"].to_numpy().reshape(-1, 5)) <= 0).all()


@pytest.mark.parametrize("sort", ["low", "high", "sample"])
def test_lists_can_be_diverse(model: Model, sort: str) -> None:
    users, calls = USERS[5:9], list[int]()
    alike = recommended(model, users, 5, order=Order(sort))
    diverse = recommended(
        model,
        users,
        5,
        order=Order(sort),
        diversity=0.9,
        on_progress=lambda done, total: calls.append(done),
    )
    assert alike["item"] != diverse["item"]
    assert calls[-1] == len(users)


@pytest.mark.parametrize(
    ("how", "message"),
    [
        ({"sort": "best"}, "sort must be mean, low, high or sample, got 'best'"),
        ({"interval": 1.0}, "interval must be above 0 and below 1"),
        ({"sort": "sample", "seed": -1}, "seed must be at least 0"),
    ],
)
def test_arguments_follow_their_rules(model: Model, how: dict[str, Any], message: str) -> None:
    for call in (lambda: recommend(model, 6, **how), lambda: model.recommend(6, **how)):
        with pytest.raises(UsageError, match=message):
            call()


@pytest.mark.parametrize("how", [{"sort": "low"}, {"sort": "sample"}, {"interval": 0.9}])
def test_models_without_samples_are_refused(model: Model, how: dict[str, Any]) -> None:
    plain = replace(model, samples=None)
    with pytest.raises(ArtifactError, match=r"the model has no samples .* keep_samples=20"):
        recommend(plain, 6, **how)


@pytest.fixture
def trained(run: Run, split: Split, model: Model, tmp_path: Path) -> Run:
    write_split(tmp_path / "split", split)
    model.save(tmp_path / "model")
    return run


@pytest.mark.parametrize("sort", ["low", "sample"])
def test_the_command_does_what_python_does(trained: Run, model: Model, sort: str) -> None:
    args = ("recommend", "--user", 9, "--n", 3, "--sort", sort, "--exclude", "none", "-q")
    seed = ("--seed", 7) if sort == "sample" else ()
    code, out, _ = trained(*args, *seed, "--json")
    assert code == 0
    seeds: dict[str, Any] = {"seed": 7} if sort == "sample" else {}
    expected = recommend(model, 9, 3, sort=sort, **seeds)
    assert json.loads(out)["recommendations"] == expected.to_pylist()
    assert model.recommend(9, 3, sort=sort, **seeds) == expected
    assert trained(*args, *seed, "--out", "some.csv").code == 0
    assert trained(*args, *seed, "--out", "some.parquet").code == 0
    assert pyarrow.csv.read_csv("some.csv").column_names == expected.column_names
    assert pyarrow.parquet.read_table("some.parquet") == expected


@pytest.mark.filterwarnings("ignore:explanations are inaccurate")
@pytest.mark.parametrize("sort", ["low", "high", "sample"])
def test_other_options_of_lists_work_with_all_orders(
    split: Split, model: Model, tmp_path: Path, sort: str
) -> None:
    (tmp_path / "titles.csv").write_text("item,title\n" + "".join(f"{n},T{n}\n" for n in range(50)))
    table = recommend(
        model,
        [9, 20],
        3,
        exclude=split,
        items=range(30),
        min_count=2,
        explain=1,
        titles=tmp_path / "titles.csv",
        sort=sort,
    )
    assert max(table["item"].to_pylist()) < 30
    assert min(model.items.counts[table["item"].to_numpy()]) >= 2
    assert table["title"].to_pylist() == [f"T{n}" for n in table["item"].to_pylist()]
    rated = {*zip(split.train.user.tolist(), split.train.item.tolist(), strict=True)}
    pairs = {*zip(table["user"].to_pylist(), table["item"].to_pylist(), strict=True)}
    assert not pairs & rated
    because = [*zip(table["user"].to_pylist(), table["because_1"].to_pylist(), strict=True)]
    assert {pair for pair in because if pair[1] is not None} <= rated


def test_options_that_do_nothing_are_refused(trained: Run) -> None:
    code, _, err = trained("recommend", "--user", 9, "--seed", 3, "--exclude", "none")
    assert (code, err) == (2, "error: --seed is not used without --sort sample; omit it\n")
    code, _, err = trained("recommend", "--user", 9, "--sort", "median")
    assert code == 2
    assert err == "error: --sort must be mean, low, high or sample, got 'median'\n"
    code, _, err = trained("recommend", "--user", 9, "--interval", 90, "--exclude", "none")
    assert (code, err) == (2, "error: --interval must be above 0 and below 1, got 90.0\n")


def test_folded_in_users_are_sorted_by_recommend(trained: Run) -> None:
    """Users of a model that fold-in writes have samples, too."""
    Path("new.csv").write_text("user,item,rating\n" + "".join(f"900,{n},5\n" for n in range(8, 30)))
    code, _, err = trained("fold-in", "new.csv", "--sort", "low")
    assert code == 2
    assert "No such option: --sort; write a model with --extend, and use it with" in err
    assert trained("fold-in", "new.csv", "--extend", "more").code == 0
    args = ("--model", "more", "--user", 900, "--exclude", "none", "--json", "-q")
    lists = [trained("recommend", *args, "--sort", sort) for sort in ("low", "high", "sample")]
    assert [made.code for made in lists] == [0, 0, 0]
    low = json.loads(lists[0].out)["recommendations"]
    assert all(row["low"] <= row["prediction"] <= row["high"] for row in low)


def test_users_without_ratings_are_reported(trained: Run) -> None:
    args = ("recommend", "--user", 1, "--exclude", "none", "--sort")
    assert "to them by the items' biases alone" in trained(*args, "high").err
    assert "to them with tastes drawn at random" in trained(*args, "sample").err

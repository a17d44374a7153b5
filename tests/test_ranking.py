"""Ranking measures against a simple implementation, scikit-learn and, if installed, ranx."""

from __future__ import annotations

import itertools
import math
from collections.abc import Iterable, Sequence
from dataclasses import replace

import numpy as np
import pyarrow as pa
import pytest
from planted import planted_split

from mfcli.config import Config
from mfcli.data import Ratings, Vocabulary, concatenated
from mfcli.errors import DataError, MfcliWarning
from mfcli.evaluation import ranked_blocks
from mfcli.evaluation.baselines import Baseline
from mfcli.evaluation.bootstrap import Bootstrap
from mfcli.evaluation.ranking import MeasuredRankings, measure_rankings
from mfcli.evaluation.ranking_tasks import RankingTask, ranking_task
from mfcli.model import Model, Rated, fold_in, top_of_order
from mfcli.rankings import USER_FORMULAS
from mfcli.splits import Split
from mfcli.storage import resources
from mfcli.training.loop import start

AT, RELEVANT = 6, 3.5


@pytest.fixture(scope="module")
def split() -> Split:
    return planted_split(Config(test=0.4), share=0.3, users=50)


@pytest.fixture(scope="module")
def model(split: Split) -> Model:
    made = start(split, Config(k=3))
    rng = np.random.default_rng(3)
    return made.with_tables(
        {n: rng.normal(0, 1, t.shape).astype(np.float32) for n, t in made.tables.items()}
    )


def measure(
    model: Model, split: Split, on: Ratings | None = None, cutoffs: Sequence[int] = (AT,)
) -> MeasuredRankings:
    baseline = Baseline.fit(split.train, 5.0)
    bootstrap = Bootstrap(20, 0)
    ratings = split.test if on is None else on
    task = ranking_task(model, ratings, split.train, Config(), RELEVANT)
    return measure_rankings(task, split.train, baseline, cutoffs=cutoffs, bootstrap=bootstrap)


def unrated(split: Split, user: int) -> list[int]:
    rated = set(split.train.item[split.train.user == user].tolist())
    return [item for item in range(len(split.train.items)) if item not in rated]


def liked(split: Split, user: int) -> set[int]:
    own = (split.test.user == user) & (split.test.rating >= RELEVANT)
    return set(split.test.item[own].tolist())


def users_of(split: Split) -> list[int]:
    return [user for user in range(len(split.train.users)) if liked(split, user)]


def scores_of(model: Model, split: Split, kind: str) -> np.ndarray:
    """Score every item for every user, shape (n_users, n_items)."""
    shape = (len(model.users), len(model.items))
    if kind == "popular":
        return np.broadcast_to(split.train.items.counts, shape).astype(float)
    if kind == "biases":
        return np.broadcast_to(Baseline.fit(split.train, 5.0).item_biases, shape)
    return model.user_factors @ model.item_factors.T + model.item_biases


def lists_of(model: Model, split: Split, kind: str, n: int) -> dict[int, list[int]]:
    """Rank the items of one user after another."""
    scores = scores_of(model, split, kind)
    return {
        user: sorted(unrated(split, user), key=lambda item: (-scores[user, item], item))[:n]
        for user in users_of(split)
    }


def accuracy_of(ranked: list[int], relevant: set[int], n: int) -> dict[str, float]:
    """Measure one ranking with loops."""
    hits = [item in relevant for item in ranked[:n]]
    gains = [hit / math.log2(place + 1) for place, hit in enumerate(hits, start=1)]
    ideal = [1 / math.log2(place + 1) for place in range(1, min(n, len(relevant)) + 1)]
    at_hits = [sum(hits[:n]) / n for n, hit in enumerate(hits, start=1) if hit]
    return {
        "ndcg": sum(gains) / sum(ideal),
        "recall": sum(hits) / len(relevant),
        "precision": sum(hits) / n,
        "map": sum(at_hits) / len(relevant),
        "mrr": next((1 / n for n, hit in enumerate(hits, start=1) if hit), 0),
        "hit_rate": any(hits),
    }


def twin(model: Model, split: Split, kind: str, n: int = AT) -> dict[str, float]:
    """Measure one user after another, with loops."""
    lists = lists_of(model, split, kind, n)
    rows = [accuracy_of(ranked, liked(split, user), n) for user, ranked in lists.items()]
    return {name: float(np.mean([row[name] for row in rows])) for name in rows[0]}


def groups_of(counts: np.ndarray) -> list[str]:
    """Return the group of each item: the head, the middle and the tail of the ratings."""
    names, group = {}, "head"
    order = sorted(range(len(counts)), key=lambda item: -counts[item])
    done = 0
    for place, item in enumerate(order):
        if place and counts[item] < counts[order[place - 1]]:
            group = "tail" if done >= 0.8 * counts.sum() else group
            group = "middle" if group == "head" and done >= 0.2 * counts.sum() else group
        names[item] = group
        done += counts[item]
    return [names[item] for item in range(len(counts))]


def shares_of(items: Iterable[int], groups: list[str]) -> list[float]:
    found = [groups[item] for item in items]
    return [found.count(name) / len(found) for name in ("head", "middle", "tail")]


def divergence(p: list[float], q: list[float]) -> float:
    middle = [(a + b) / 2 for a, b in zip(p, q, strict=True)]
    return sum(
        a * math.log2(a / m) / 2 for side in (p, q) for a, m in zip(side, middle, strict=True) if a
    )


def fraction_below(counts: np.ndarray, item: int) -> float:
    """Return the fraction of items with fewer ratings; ties count half."""
    return float(((counts < counts[item]).mean() + (counts <= counts[item]).mean()) / 2)


def cosine_distance(model: Model, one: int, other: int) -> float:
    p, q = model.item_factors[one].astype(float), model.item_factors[other].astype(float)
    return float(1 - p @ q / np.linalg.norm(p) / np.linalg.norm(q))


def beyond(model: Model, split: Split, kind: str) -> dict[str, float]:
    """Measure what accuracy does not show, with loops."""
    lists, counts = lists_of(model, split, kind, AT), split.train.items.counts
    everything = [item for ranked in lists.values() for item in ranked]
    groups, users = groups_of(counts), int((split.train.users.counts > 0).sum())
    rated = {user: split.train.item[split.train.user == user].tolist() for user in lists}
    median = np.median([len(items) for items in rated.values()])
    ndcg = {
        user: accuracy_of(ranked, liked(split, user), AT)["ndcg"] for user, ranked in lists.items()
    }
    active = [ndcg[user] for user, items in rated.items() if len(items) > median]
    others = [ndcg[user] for user, items in rated.items() if len(items) <= median]
    exposure = [everything.count(item) for item in range(len(counts))]
    pairs = [list(itertools.combinations(ranked, 2)) for ranked in lists.values()]
    return {
        "coverage": len(set(everything)) / len(counts),
        # Half the mean absolute difference of two items, divided by the mean.
        "gini": float(np.mean([abs(a - b) for a in exposure for b in exposure]))
        / (2 * float(np.mean(exposure))),
        "popularity": float(
            np.mean(
                [
                    ((counts < counts[i]).mean() + (counts <= counts[i]).mean()) / 2
                    for i in everything
                ]
            )
        ),
        "long_tail": float(np.mean([groups[item] == "tail" for item in everything])),
        "novelty": float(np.mean([-math.log2(max(counts[i], 1) / users) for i in everything])),
        "diversity": float(
            np.mean([np.mean([cosine_distance(model, *pair) for pair in own]) for own in pairs])
        ),
        "popularity_deviation": float(
            np.mean(
                [
                    divergence(shares_of(rated[user], groups), shares_of(ranked, groups))
                    for user, ranked in lists.items()
                ]
            )
        ),
        "ndcg_gap": float(np.mean(active) - np.mean(others)),
    }


@pytest.mark.parametrize("kind", ["model", "popular", "biases"])
def test_measures_equal_the_simple_implementation(split: Split, model: Model, kind: str) -> None:
    """Also at several cutoffs: the first one has plain names, and need not be the lowest."""
    cutoffs = (AT, 3, 9)
    found = measure(model, split, cutoffs=cutoffs).rankers[kind].values
    expected = twin(model, split, kind) | beyond(model, split, kind)
    for n in cutoffs[1:]:
        expected |= {f"{name}@{n}": value for name, value in twin(model, split, kind, n).items()}
    assert found == pytest.approx(expected)


def test_measures_do_not_depend_on_other_cutoffs(split: Split, model: Model) -> None:
    one, several = measure(model, split), measure(model, split, cutoffs=(AT, 50))
    for name, measured in one.rankers.items():
        for key, value in measured.values.items():
            assert several.rankers[name].values[key] == value, key
            if key in measured.draws:
                np.testing.assert_array_equal(several.rankers[name].draws[key], measured.draws[key])
    assert several.breakdown == one.breakdown


def test_the_breakdown_is_of_users_and_of_relevant_ratings(split: Split, model: Model) -> None:
    found, lists = measure(model, split), lists_of(model, split, "model", AT)
    rated, counts = split.train.users.counts, split.train.items.counts
    for group in found.breakdown.user_activity:
        users = [user for user in lists if group.low <= rated[user] <= group.high]
        values = [accuracy_of(lists[user], liked(split, user), AT)["ndcg"] for user in users]
        assert group.ids == len(users)
        assert group.value == pytest.approx(np.mean(values))
        if len(users) > 1:
            half = 1.96 * np.std(values, ddof=1) / math.sqrt(len(users))
            low, high = max(group.value - half, 0), min(group.value + half, 1)
            assert group.interval == pytest.approx((low, high), abs=1e-4)
    assert sum(group.ids for group in found.breakdown.user_activity) == found.users
    for group in found.breakdown.item_popularity:
        pairs = [
            (user, item)
            for user in lists
            for item in liked(split, user)
            if group.low <= counts[item] <= group.high
        ]
        assert group.ids == len({item for _, item in pairs})
        assert group.value == pytest.approx(np.mean([item in lists[user] for user, item in pairs]))


def test_blocks_of_users_do_not_matter(
    split: Split, model: Model, monkeypatch: pytest.MonkeyPatch
) -> None:
    whole = measure(model, split)
    monkeypatch.setattr(ranked_blocks, "_BLOCK", 7)
    blocks = measure(model, split)
    assert (blocks.users, blocks.relevant_share) == (whole.users, whole.relevant_share)
    for name, measured in whole.rankers.items():
        assert blocks.rankers[name].values == measured.values
        for one, draws in measured.draws.items():
            np.testing.assert_array_equal(blocks.rankers[name].draws[one], draws)


def test_ndcg_equals_that_of_scikit_learn(split: Split, model: Model) -> None:
    metrics = pytest.importorskip("sklearn.metrics")
    scores = scores_of(model, split, "model")
    values = []
    for user in users_of(split):
        items = unrated(split, user)
        truth = np.array([[item in liked(split, user) for item in items]], float)
        values.append(metrics.ndcg_score(truth, scores[user, items][None], k=AT))
    found = measure(model, split).rankers["model"].values["ndcg"]
    assert found == pytest.approx(np.mean(values))


def test_measures_equal_those_of_ranx(split: Split, model: Model) -> None:
    ranx = pytest.importorskip("ranx", reason="ranx is not installed")
    scores = scores_of(model, split, "model")
    truth = {str(u): {str(i): 1 for i in liked(split, u)} for u in users_of(split)}
    run = {
        str(u): {str(i): float(scores[u, i]) for i in unrated(split, u)} for u in users_of(split)
    }
    names = [f"{name}@{n}" for name in USER_FORMULAS for n in (AT, 3, 9)]
    values = ranx.evaluate(ranx.Qrels(truth), ranx.Run(run), names)
    found = measure(model, split, cutoffs=(AT, 3, 9)).rankers["model"].values
    for name in names:
        assert found[name.removesuffix(f"@{AT}")] == pytest.approx(values[name]), name


def test_draws_are_over_users(split: Split, model: Model) -> None:
    measured = measure(model, split).rankers["model"]
    assert set(measured.draws) == set(measured.values) - {"coverage", "gini"}
    spread = measured.draws["ndcg"].std()
    assert 0 < spread < 0.2
    assert measured.draws["ndcg"].mean() == pytest.approx(measured.values["ndcg"], abs=3 * spread)


def test_a_perfect_model_is_perfect(split: Split, model: Model) -> None:
    """The factors are indicators of what each user likes."""
    n_users = len(split.train.users)
    wanted = np.zeros((n_users, len(split.train.items)), np.float32)
    relevant = split.test.rating >= RELEVANT
    wanted[split.test.user[relevant], split.test.item[relevant]] = 1
    ideal = replace(
        model,
        user_factors=np.eye(n_users, dtype=np.float32),
        item_factors=np.ascontiguousarray(wanted.T),
        item_biases=np.zeros(len(split.train.items), np.float32),
    )
    found = measure(ideal, split).rankers["model"].values
    assert found["ndcg"] == found["mrr"] == found["hit_rate"] == 1


def test_a_cutoff_above_the_number_of_items(split: Split, model: Model) -> None:
    found = measure(model, split, cutoffs=[100]).rankers["model"].values
    assert found["recall"] == found["coverage"] == found["hit_rate"] == 1
    assert found["precision"] is not None
    assert found["precision"] < 1


def test_pairs_in_train_do_not_count(split: Split, model: Model) -> None:
    """Test ratings of pairs that are also in train count neither as hits nor as misses."""
    both = concatenated(split.test, split.train)
    found, expected = measure(model, split, both), measure(model, split)
    assert found.rankers["model"].values == expected.rankers["model"].values


def test_unknown_users_and_items_count(split: Split, model: Model) -> None:
    """An unknown user gets the items with the highest biases; an unknown item is never found."""
    test = split.test
    best = int(np.argmax(model.item_biases))
    ids = pa.array([str(best), "new item"])
    strange = Ratings(
        np.array([0, 0], np.int32),
        np.array([0, 1], np.int32),
        np.array([5, 5], np.float32),
        None,
        Vocabulary(pa.array(["new user"]), np.array([2])),
        Vocabulary(ids, np.array([1, 1])),
    )
    with pytest.warns(MfcliWarning, match="no ranked user has training ratings, so all get the"):
        found = measure(model, split, strange)
    assert found.users == 1
    assert found.rankers["model"].values["mrr"] == 1
    assert found.rankers["model"].values["recall"] == 0.5
    assert len(test) > 0


def test_unknown_users_are_ranked_in_any_memory(split: Split, model: Model) -> None:
    """They are in no range of users with training ratings."""
    test, count = split.test, len(split.test.users)
    ids = pa.array([f"new {n}" if n % 3 == 0 else str(n) for n in range(count)])
    mixed = replace(test, users=Vocabulary(ids, test.users.counts))
    whole = measure(model, split, mixed)
    with resources(room=1500):
        assert measure(model, split, mixed).breakdown == whole.breakdown


def test_one_order_for_all_users_leaves_out_rated_items(split: Split) -> None:
    rng = np.random.default_rng(0)
    order = rng.permutation(len(split.train.items)).astype(np.int32)
    users = np.array([4, -1, 0, 4], np.int32)
    for threads in (1, 3):
        found = top_of_order(order, users, 30, Rated.of(split.train), threads)
        for row, user in enumerate(users.tolist()):
            rated = set(split.train.item[split.train.user == user].tolist())
            left = [item for item in order.tolist() if item not in rated][:30]
            assert found[row].tolist() == left + [-1] * (30 - len(left))


def with_times(ratings: Ratings, seed: int) -> Ratings:
    times = np.random.default_rng(seed).integers(0, 40, len(ratings))
    return replace(ratings, timestamp=times)


def test_leave_last_out_finds_the_last_rating_among_items_not_rated_before(
    split: Split, model: Model
) -> None:
    test = with_times(split.test, 1)
    assert test.timestamp is not None
    task = ranking_task(model, test, split.train, Config(protocol="leave-last-out"), 99.0)
    baseline = Baseline.fit(split.train, 5.0)
    found = measure_rankings(task, split.train, baseline, cutoffs=[AT], bootstrap=Bootstrap(0, 0))
    scores = scores_of(model, split, "model")
    rows = []
    for user in np.unique(test.user).tolist():
        own = np.flatnonzero(test.user == user)
        last = max(own.tolist(), key=lambda row: (test.timestamp[row], row))
        earlier = set(test.item[own].tolist()) - {int(test.item[last])}
        left = [item for item in unrated(split, user) if item not in earlier]
        best = sorted(left, key=lambda item: (-scores[user, item], item))[:AT]
        rows.append(accuracy_of(best, {int(test.item[last])}, AT))
    assert found.users == len(rows)
    for name in ("ndcg", "recall", "mrr"):
        expected = np.mean([row[name] for row in rows])
        assert found.rankers["model"].values[name] == pytest.approx(expected), name
    with pytest.raises(DataError, match="the ratings have no timestamps"):
        ranking_task(model, split.test, split.train, Config(protocol="leave-last-out"), 4.0)


def known_of(task: RankingTask) -> Rated:
    """Return what all users of a task are known to have rated."""
    return Rated.by(np.arange(task.known.size, dtype=np.int32), task.known)


def test_strong_generalization_folds_in_a_fraction_of_each_new_user() -> None:
    """It ranks for folded-in users all items but the given ones, and measures the others."""
    cold = planted_split(Config(strategy="cold-user", test=0.3), share=0.3, users=60)
    model = start(cold, Config(k=3))
    model = replace(model, losses={"val_mse": 1.0})
    config = Config(protocol="strong-generalization", fold_in_fraction=0.6, seed=5)
    task = ranking_task(model, cold.test, cold.train, config, RELEVANT)
    ids, known = task.model.users.ids.to_pylist(), known_of(task)
    test, items = cold.test, cold.test.items
    given, rest = [], 0
    for row, user in enumerate(ids):
        own = test.item[test.user == test.users.ids.to_pylist().index(user)].tolist()
        folded = known.items[known.starts[row] : known.starts[row + 1]].tolist()
        assert len(folded) == round(0.6 * len(own))
        given += [(user, items.ids[item].as_py()) for item in folded]
        place = task.liked.users.tolist().index(row) if row in task.liked.users else None
        if place is not None:
            starts = task.liked.starts
            liked_items = task.liked.rows[starts[place] : starts[place + 1]].tolist()
            assert set(liked_items) <= set(own) - set(folded)
            rest += len(liked_items)
    relevant = int((test.rating >= RELEVANT).sum())
    assert 0 < rest < relevant
    rows = np.array([(u, i) in set(given) for u, i in zip(
        test.users.ids.take(pa.array(test.user)).to_pylist(),
        test.items.ids.take(pa.array(test.item)).to_pylist(), strict=True)])  # fmt: skip
    expected = fold_in(model, test.take(rows)).model
    np.testing.assert_array_equal(task.model.user_factors, expected.user_factors)
    other = ranking_task(model, cold.test, cold.train, replace(config, seed=6), RELEVANT)
    assert not np.array_equal(known_of(other).items, known.items)
    again = ranking_task(model, cold.test, cold.train, config, RELEVANT)
    np.testing.assert_array_equal(known_of(again).items, known.items)


def test_strong_generalization_needs_users_that_are_held_out(split: Split, model: Model) -> None:
    config = Config(protocol="strong-generalization")
    with pytest.raises(DataError, match="no user with at least two ratings is held out as a whole"):
        ranking_task(model, split.test, split.train, config, RELEVANT)

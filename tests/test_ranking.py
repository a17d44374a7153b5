"""Ranking measures against a simple implementation, scikit-learn and, if installed, ranx."""

from __future__ import annotations

import math
from dataclasses import replace

import numpy as np
import pyarrow as pa
import pytest
from planted import planted_split

from mfcli.config import Config
from mfcli.data import Ratings, Vocabulary, concatenated
from mfcli.evaluation import ranking
from mfcli.evaluation.baselines import Baseline
from mfcli.evaluation.bootstrap import Bootstrap
from mfcli.evaluation.ranking import MeasuredRankings, measure_rankings
from mfcli.model import Model, Rated, top_of_order
from mfcli.splits import Split
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
    model: Model, split: Split, on: Ratings | None = None, at: int = AT
) -> MeasuredRankings:
    baseline = Baseline.fit(split.train, 5.0)
    bootstrap = Bootstrap(20, 0)
    ratings = split.test if on is None else on
    return measure_rankings(
        model, ratings, split.train, baseline, at=at, relevant=RELEVANT, bootstrap=bootstrap
    )


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


def twin(model: Model, split: Split, kind: str) -> dict[str, float]:
    """Measure one user after another, with loops."""
    scores, everyone = scores_of(model, split, kind), users_of(split)
    sums = dict.fromkeys(("ndcg", "recall", "precision", "map", "mrr", "hit_rate"), 0.0)
    seen: set[int] = set()
    shares = []
    counts = split.train.items.counts
    for user in everyone:
        relevant = liked(split, user)
        best = sorted(unrated(split, user), key=lambda item: (-scores[user, item], item))[:AT]
        hits = [item in relevant for item in best]
        gains = [hit / math.log2(place + 1) for place, hit in enumerate(hits, start=1)]
        ideal = [1 / math.log2(place + 1) for place in range(1, min(AT, len(relevant)) + 1)]
        sums["ndcg"] += sum(gains) / sum(ideal)
        sums["recall"] += sum(hits) / len(relevant)
        sums["precision"] += sum(hits) / AT
        at_hits = [sum(hits[:n]) / n for n, hit in enumerate(hits, start=1) if hit]
        sums["map"] += sum(at_hits) / len(relevant)
        sums["mrr"] += next((1 / n for n, hit in enumerate(hits, start=1) if hit), 0)
        sums["hit_rate"] += any(hits)
        seen.update(best)
        for item in best:
            below, same = (counts < counts[item]).sum(), (counts == counts[item]).sum()
            shares.append((below + same / 2) / len(counts))
    means = {name: value / len(everyone) for name, value in sums.items()}
    return means | {"coverage": len(seen) / len(counts), "popularity": float(np.mean(shares))}


@pytest.mark.parametrize("kind", ["model", "popular", "biases"])
def test_measures_equal_the_simple_implementation(split: Split, model: Model, kind: str) -> None:
    found = measure(model, split).rankers[kind].values
    assert found == pytest.approx(twin(model, split, kind))


def test_blocks_of_users_do_not_matter(
    split: Split, model: Model, monkeypatch: pytest.MonkeyPatch
) -> None:
    whole = measure(model, split)
    monkeypatch.setattr(ranking, "_BLOCK", 7)
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
    ranx = pytest.importorskip("ranx")
    scores = scores_of(model, split, "model")
    truth = {str(u): {str(i): 1 for i in liked(split, u)} for u in users_of(split)}
    run = {
        str(u): {str(i): float(scores[u, i]) for i in unrated(split, u)} for u in users_of(split)
    }
    names = {"ndcg": "ndcg", "recall": "recall", "precision": "precision", "map": "map"}
    names |= {"mrr": "mrr", "hit_rate": "hit_rate"}
    values = ranx.evaluate(ranx.Qrels(truth), ranx.Run(run), [f"{n}@{AT}" for n in names.values()])
    found = measure(model, split).rankers["model"].values
    for own, theirs in names.items():
        assert found[own] == pytest.approx(values[f"{theirs}@{AT}"]), own


def test_draws_are_over_users(split: Split, model: Model) -> None:
    measured = measure(model, split).rankers["model"]
    assert set(measured.draws) == set(measured.values) - {"coverage"}
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
    found = measure(model, split, at=100).rankers["model"].values
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
    found = measure(model, split, strange)
    assert found.users == 1
    assert found.rankers["model"].values["mrr"] == 1
    assert found.rankers["model"].values["recall"] == 0.5
    assert len(test) > 0


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

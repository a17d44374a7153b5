"""Contributions of rated items add up to predictions; models of scores are used as such."""

from __future__ import annotations

import json
import math
import re
from dataclasses import replace
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest
from conftest import Run
from contents import rows_of
from planted import make_ratings, planted_split

from mfcli import recommend
from mfcli.config import Config
from mfcli.data import Ratings, Vocabulary
from mfcli.errors import DataError, MfcliWarning, UsageError
from mfcli.exports import export
from mfcli.model import Explainer, Model, Rated, RatedParts, fold_in, top_items
from mfcli.predict import Predictor, predict_named, ranking_quality
from mfcli.show import facts_of, find
from mfcli.splits import Split, write_split
from mfcli.training import Fit, fit

OBJECTIVES = {
    "ratings": Config(optimizer="als", k=3, epochs=3),
    "tables": Config(optimizer="als", k=3, epochs=3, reg=0.7, reg_scope="table", reg_user_bias=2),
    "scores": Config(
        optimizer="als", k=3, epochs=3, target="rated", unrated_weight=0.1, rating_weight="squared",
        biases=False, reg=0.02, reg_exponent=0.8,
    ),
    "zeros": Config(
        optimizer="als", k=3, epochs=3, unrated_weight=0.2, unrated_rating=1,
        rating_weight="confidence", alpha=2,
    ),
}  # fmt: skip
SCORES = OBJECTIVES["scores"]


@pytest.fixture(scope="module")
def split() -> Split:
    return planted_split(Config(valid=0.1), share=0.4)


@pytest.fixture(scope="module")
def fits(split: Split) -> dict[str, Fit]:
    return {name: fit(split, config, threads=1) for name, config in OBJECTIVES.items()}


def estimates(model: Model) -> np.ndarray:
    return np.column_stack([model.user_factors, model.user_biases])


def renamed(ratings: Ratings, side: str = "users") -> Ratings:
    """Return the ratings as those of new users, or of new items."""
    old = getattr(ratings, side)
    ids = pa.array([f"new {name}" for name in old.ids.to_pylist()])
    return replace(ratings, **{side: Vocabulary(ids, old.counts)})


@pytest.mark.parametrize("name", OBJECTIVES)
def test_a_new_user_gets_the_row_that_training_gives(
    split: Split, fits: dict[str, Fit], name: str
) -> None:
    model = fits[name].model
    found = fold_in(model, renamed(split.train)).model
    np.testing.assert_allclose(estimates(found), estimates(model), rtol=1e-4, atol=1e-5)
    with pytest.raises(UsageError, match="noise is not used for models trained with als"):
        fold_in(model, renamed(split.train), 0.5)


@pytest.mark.parametrize("name", OBJECTIVES)
def test_a_new_item_gets_the_row_that_training_gives(
    split: Split, fits: dict[str, Fit], name: str
) -> None:
    """An epoch solves for the items first, given the users of the epoch before."""
    model = fits[name].model
    found = fold_in(model, renamed(split.train, "items"), split=split).basis
    later = fit(split, replace(OBJECTIVES[name], epochs=4), threads=1).model
    for table in ("item_factors", "item_biases"):
        new = found.tables[table][len(model.items) :]
        np.testing.assert_allclose(new, later.tables[table], rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("name", OBJECTIVES)
def test_a_known_user_gets_the_row_that_training_gives(
    split: Split, fits: dict[str, Fit], name: str
) -> None:
    model = fits[name].model
    again = split.train.take(np.arange(len(split.train)) % 3 == 0)
    found = fold_in(model, again, split=split)
    rows = model.users.rows(found.model.users.ids)
    np.testing.assert_allclose(estimates(found.model), estimates(model)[rows], rtol=1e-4, atol=1e-5)
    assert found.replaced == len(rows)
    assert found.model.users.counts.tolist() == model.users.counts[rows].tolist()


def test_penalties_of_biases_are_not_needed_without_biases(split: Split) -> None:
    config = replace(SCORES, reg_user_bias=0.0, reg_item_bias=0.0, epochs=1)
    model = fit(split, config).model
    found = fold_in(model, renamed(split.train)).model
    np.testing.assert_allclose(estimates(found), estimates(model), rtol=1e-4, atol=1e-5)


def test_extreme_weights_of_new_users_are_refused(fits: dict[str, Fit]) -> None:
    """Beside weights of 3e38, penalties vanish in float64, too."""
    rated = make_ratings(np.zeros(2), np.arange(2), np.array([3, 4]), users=1, items=40)
    heavy = replace(renamed(rated), weight=np.array([3e38, 1], np.float32))
    model, rule = fits["ratings"].model, "the ratings of a user do not determine"
    with pytest.raises(DataError, match=f"^{rule}"):
        fold_in(model, heavy)
    own = replace(heavy, users=Vocabulary(pa.array(model.users.ids[:1]), rated.users.counts))
    ranking = top_items(model, np.zeros(1, np.int32), 3, exclude=Rated.of(rated))
    with pytest.raises(DataError, match=f"^{rule}"):
        Explainer(model, RatedParts.of(own), 1).explain(ranking)


def slow_row(model: Model, items: np.ndarray, ratings: np.ndarray, noise: float) -> np.ndarray:
    """Minimize the objective with the users' distribution as the prior, over all pairs, one user.

    Of the unrated pairs, weights are 0.3 and targets 0.
    """
    rows = estimates(model).astype(float)
    weights = np.sqrt(model.users.counts)
    mean = np.average(rows, axis=0, weights=weights)
    precision = noise * np.linalg.inv(np.cov(rows.T, aweights=weights, bias=True))
    right = precision @ mean
    pairs = [(item, 1.0, rating) for item, rating in zip(items, ratings, strict=True)]
    for item, weight, target in [*pairs, *((j, 0.3, 0.0) for j in range(len(model.items)))]:
        z = np.append(model.item_factors[item].astype(float), 1)
        precision += weight * np.outer(z, z)
        right += weight * z * (target - model.mu - float(model.item_biases[item]))
    return np.linalg.solve(precision, right)


def test_unrated_pairs_count_for_new_users_of_the_sampler(split: Split) -> None:
    model = fit(split, Config(optimizer="gibbs", k=2, epochs=4, unrated_weight=0.3)).model
    assert model.items.counts.all()
    found = estimates(fold_in(model, renamed(split.train)).model)
    for user in (0, 7, 30):
        own = split.train.user == user
        pairs = split.train.item[own], split.train.rating[own].astype(float)
        expected = slow_row(model, *pairs, model.losses["mse"])
        np.testing.assert_allclose(found[user], expected, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("name", [*OBJECTIVES, "sgd"])
def test_contributions_add_up_to_the_prediction(
    split: Split, fits: dict[str, Fit], name: str
) -> None:
    """For a new user of a model of descent, too."""
    model = fit(split, Config(k=3)).model if name == "sgd" else fits[name].model
    folded = fold_in(model, renamed(split.train))
    users = np.array([5, 2, 5], np.int32)
    ranking = top_items(folded.model, users, 4, exclude=Rated.of(folded.rated))
    found = Explainer(model, RatedParts.of(folded.rated), 100).explain(ranking)
    np.testing.assert_allclose(found.estimates, ranking.scores, rtol=1e-4, atol=1e-4)
    for n, user in enumerate(users.tolist()):
        own = folded.rated.user == user
        rated = dict(zip(folded.rated.item[own].tolist(), folded.rated.rating[own], strict=True))
        for place in range(4):
            items = [i for i in found.items[n, place].tolist() if i >= 0]
            assert set(items) <= set(rated)
            assert [rated[i] for i in items] == found.ratings[n, place, : len(items)].tolist()
            parts = found.contributions[n, place]
            assert (np.diff(parts[: len(items)]) <= 0).all()
            assert (parts[: len(items)] > 0).all()
            assert not parts[len(items) :].any()


def test_a_contribution_is_the_change_of_the_prediction(split: Split, fits: dict[str, Fit]) -> None:
    """It is proportional to how far the target of the rating is from its expectation."""
    model = fits["zeros"].model
    config = replace(model.config, rating_weight="none", alpha=1.0)
    model = replace(model, config=config)

    def prediction(ratings: Ratings) -> tuple[float, float]:
        folded = fold_in(model, ratings)
        ranking = top_items(folded.model, np.zeros(1, np.int32), 1, candidates=np.array([9], "i4"))
        found = Explainer(model, RatedParts.of(folded.rated), 40).explain(ranking)
        place = found.items[0, 0].tolist().index(4)
        return float(ranking.scores[0, 0]), float(found.contributions[0, 0, place])

    user, item = np.zeros(3), np.array([4, 6, 20])
    (one, part), (other, larger) = (
        prediction(renamed(make_ratings(user, item, np.array([r, 1, 2]), users=1, items=40)))
        for r in (4.0, 5.0)
    )
    assert other - one == pytest.approx(larger - part, rel=1e-3)


def test_threads_and_other_users_do_not_change_explanations(
    split: Split, fits: dict[str, Fit], monkeypatch: pytest.MonkeyPatch
) -> None:
    model = fits["scores"].model
    whole = recommend(model, n=5, exclude=split, explain=3, threads=1)
    monkeypatch.setattr("mfcli.model.row_equations._BLOCK", 1)
    parts = recommend(model, n=5, exclude=split, explain=3, threads=2)
    assert parts.equals(whole)
    one = recommend(model, [7], 5, exclude=split, explain=3)
    rows = whole.filter(pa.compute.equal(whole["user"], 7))
    assert one.to_pylist() == rows.to_pylist()


def test_what_explains_is_needed_and_may_be_given(split: Split, fits: dict[str, Fit]) -> None:
    model = fits["scores"].model
    assert recommend(model, [3], exclude=split).column_names[-1] == "score"
    with pytest.raises(UsageError, match="ratings is required by explain; give the split"):
        recommend(model, [3], explain=2)
    given = recommend(model, [3], exclude=split, ratings=split.train, explain=2)
    assert given.equals(recommend(model, [3], exclude=split, explain=2))
    with pytest.warns(MfcliWarning, match="no ratings explain the recommendations to 1 of 1 users"):
        nothing = recommend(model, [3], ratings=split.train.take(slice(0, 0)), explain=1)
    assert nothing["because_1"].null_count == nothing["because_1_rating"].null_count == 10


def test_events_do_not_explain_ratings(split: Split, fits: dict[str, Fit]) -> None:
    events = replace(split.train, feedback="implicit")
    for name, given in {"exclude": {"exclude": events}, "ratings": {"ratings": events}}.items():
        rule = f"^{name}: is implicit feedback, but the model is explicit; read both with the same"
        with pytest.raises(DataError, match=rule):
            recommend(fits["ratings"].model, [1], 2, explain=1, **given)


def test_inaccurate_explanations_are_reported(split: Split, fits: dict[str, Fit]) -> None:
    model = fits["ratings"].model
    other = model.with_tables(model.tables | {"user_factors": model.user_factors[::-1].copy()})
    with pytest.warns(MfcliWarning, match="explanations are inaccurate: .* differ by 0"):
        recommend(other, [3, 5], exclude=split, explain=2)


@pytest.fixture
def trained(run: Run, split: Split, fits: dict[str, Fit]) -> Run:
    """A split, and models of ratings and of scores in `ratings/` and `scores/`."""
    digest = write_split(Path("split"), split)["hash"]
    for name in ("ratings", "scores"):
        made = fits[name]
        replace(made, model=replace(made.model, split_hash=digest)).write(Path(name))
    titles = "".join(f'{n},"Film {n}, The"\n' for n in range(40))
    Path("titles.csv").write_text("movieId,title\n" + titles)
    return run


def test_explanations_are_columns_and_lines(trained: Run) -> None:
    options = ["recommend", "--model", "scores", "--user", 3, "--n", 2, "--explain"]
    done = trained(*options, "--out", "-")
    assert (done.code, done.err) == (0, "")
    rows = rows_of(done.out)
    names = [f"because_{n}{what}" for n in (1, 2, 3) for what in ("", "_rating", "_contribution")]
    assert list(rows[0]) == ["user", "rank", "item", "score", *names]
    found = json.loads(trained(*options, "--titles", "titles.csv", "--json").out)
    first = found["recommendations"][0]
    assert first["because_1_title"] == f"Film {first['because_1']}, The"
    assert first["title"] == f"Film {first['item']}, The"
    assert list(first)[3:7] == ["score", "title", "because_1", "because_1_title"]
    table = trained(*options, "--titles", "titles.csv").out
    lines = [[cell.strip() for cell in line.split("│")[1:-1]] for line in table.splitlines()]
    cells = [line for line in lines if line]
    assert len(cells) == 6
    assert cells[0][4:] == [
        first["title"],
        first["because_1_title"],
        f"{first['because_1_rating']:g}",
    ]
    assert cells[1][:5] == [""] * 5
    assert cells[1][5] == first["because_2_title"]


def test_the_file_explains_recommendations_to_new_users(trained: Run) -> None:
    Path("new.csv").write_text("user,item,rating\nanna,3,5\nanna,4,4\nbob,39,1\n")
    done = trained("fold-in", "new.csv", "--model", "ratings", "--explain", "--json", "-q")
    assert done.code == 0, done.err
    rows = json.loads(done.out)["recommendations"]
    own = {row["because_1"] for row in rows if row["user"] == "anna"}
    assert own <= {3, 4, None}
    assert own - {None}


def test_the_split_is_needed_to_explain(trained: Run) -> None:
    Path("split").rename("other")
    done = trained("recommend", "--model", "scores", "--user", 3, "--explain", "--exclude", "none")
    assert done.err == (
        "error: split: holds no split; make one with: mfcli split data.csv, or omit --explain and"
        " use --exclude none to recommend anyway\n"
    )


def test_scores_are_named_and_not_clipped(trained: Run) -> None:
    model = Model.load("scores")
    assert model.predicts == "scores"
    high = model.with_tables(model.tables | {"item_factors": 100 * model.item_factors})
    assert float(np.abs(high.predict([1], [2, 3])).max()) > model.scale.max
    table, _ = predict_named(Predictor(high, clip=True), ["1"], ["2", "3"])
    assert table["score"].to_pylist() == high.predict([1], [2, 3]).tolist()
    assert high.recommend([1])["score"].to_pylist()[0] > model.scale.max
    done = trained("predict", "--model", "scores", "--user", 1, "--item", 2, "--out", "-")
    assert done.out.startswith("user,item,score\n")
    assert done.err == "note: the model predicts scores, which rank items and are not ratings\n"
    lost = trained("predict", "--model", "scores", "--user", "new", "--item", 2).err
    assert lost.endswith("note: 1 of 1 pair has an unknown user; for these, the score is 0\n")
    Path("pairs.csv").write_text("user,item\n1,2\n")
    done = trained("predict", "pairs.csv", "--model", "scores", "-q")
    assert done.out.startswith("user,item,score\n")
    for words in (["predict", "pairs.csv"], ["recommend", "--user", "1"], ["fold-in", "pairs.csv"]):
        done = trained(*words, "--model", "scores", "--clip")
        assert done.err == ("error: --clip is not used for a model that predicts scores; omit it\n")
        assert done.code == 2


def test_records_say_what_is_predicted(trained: Run) -> None:
    for name in ("ratings", "scores"):
        model = Model.load(name)
        export(model, "csv", f"{name}/csv")
        assert json.loads(Path(name, "csv/export.json").read_text())["predicts"] == name
        export(model, "npz", f"{name}/m.npz")
        with np.load(f"{name}/m.npz") as arrays:
            assert arrays["predicts"] == name
        facts = [facts_of(one) for one in find(Path(name, "model"))]
        assert [one["predicts"] for one in facts] == [name]
        assert "metric" not in facts[0]["changed"]
    assert "scores, which rank items and have no unit" in trained("show", "scores").out


def test_a_model_that_ranks_worse_than_popularity_is_noted(trained: Run, split: Split) -> None:
    worse = Model.load("ratings")
    test = split.parts["test"]
    low = -np.bincount(test.item[test.rating >= 3], minlength=len(worse.items)).astype(np.float32)
    zeros = np.zeros_like(worse.item_factors)
    worse = worse.with_tables(worse.tables | {"item_factors": zeros, "item_biases": low})
    worse.save("worse")
    found = ranking_quality(worse, split, 3.0)
    assert found
    assert found.model < found.popular
    popularity = worse.items.counts.astype(np.float32)
    best = worse.with_tables(worse.tables | {"item_biases": popularity})
    quality = ranking_quality(best, split, 3.0)
    assert quality
    assert quality.model == quality.popular == found.popular
    assert ranking_quality(worse, split, math.inf) is None
    Path("mfcli.toml").write_text("relevant = 3.0\n")
    done = trained("recommend", "--user", 3, "--model", "worse")
    assert done.err == (
        f"note: on test ratings, this model ranks worse than popularity (NDCG {found.model:.3f} and"
        f" {found.popular:.3f}); for better lists: mfcli init --for ranking, then mfcli train\n"
    )
    best.save("best")
    for model, more in (("best", []), ("worse", ["-q"]), ("worse", ["--exclude", "none"])):
        assert not trained("recommend", "--user", 3, "--model", model, *more).err


def test_events_of_new_users_are_folded_in_and_explained(run: Run) -> None:
    rng = np.random.default_rng(2)
    pairs = np.unique(rng.integers(0, 20, (300, 2)), axis=0)  # each event once
    lines = [f"u{user},{item}\n" for user, item in pairs.tolist()]
    Path("data.csv").write_text("user,item\n" + "".join(lines))
    assert run("split", "data.csv", "--rating-col", "", "-q").code == 0
    objective = ["--optimizer", "als", "--target", "rated", "--unrated-weight", 0.1]
    assert run("train", "--k", 2, "--epochs", 2, *objective, "-q").code == 0
    model = Model.load("model")
    own = [line for line in lines if line.startswith("u3,")]
    Path("new.csv").write_text("user,item\n" + "".join(line.replace("u3", "x") for line in own))
    measured = run("evaluate", "--resamples", 5, "-q").out
    assert re.match(r"metrics.json: \d+ test interactions, rankings of ", measured)
    assert " test interactions │" in run("show", "metrics.json").out
    for option in (["--relevant", 3], ["--clip"]):
        assert run("evaluate", *option).err == (
            f"error: {option[0]} is not used for implicit feedback; omit it\n"
        )
    done = run("fold-in", "new.csv", "--explain", "--json")
    assert (done.code, done.err) == (0, "")
    row = json.loads(done.out)["recommendations"][0]
    assert row["because_1_rating"] == 1
    assert row["score"] < 1
    assert model.feedback == "implicit"
    assert "strength" not in run("fold-in", "new.csv", "--explain").out  # all are 1
    Path("new.csv").write_text("user,item\nx,3\nx,3\n")
    assert "┃ strength ┃" in run("fold-in", "new.csv", "--explain").out
    Path("explicit.csv").write_text("user,item,rating\ny,3,5\n")
    done = run("fold-in", "explicit.csv", "--feedback", "explicit")
    assert done.err == (
        "error: ratings: is explicit feedback, but the model is implicit; read both with the same"
        " --feedback\n"
    )


def test_weights_of_ratings_count_for_new_users_as_in_training(split: Split) -> None:
    weights = np.random.default_rng(0).uniform(0.1, 3, len(split.train)).astype(np.float32)
    weighted = replace(split, train=replace(split.train, weight=weights))
    model = fit(weighted, SCORES, threads=1).model
    found = estimates(fold_in(model, renamed(weighted.train)).model)
    np.testing.assert_allclose(found, estimates(model), rtol=1e-4, atol=1e-5)
    others = estimates(fold_in(model, renamed(split.train)).model)
    assert np.abs(others - found).max() > 0.01


def test_without_biases_users_without_ratings_get_the_most_popular_items(
    trained: Run, split: Split
) -> None:
    model = Model.load("scores")
    counts = model.items.counts
    order = np.argsort(-counts, kind="stable")
    even = np.arange(0, 40, 2, dtype=np.int32)
    found = top_items(model, np.array([-1, 3], np.int32), 5)
    assert found.items[0].tolist() == order[:5].tolist()
    assert found.scores[0].tolist() == [model.mu] * 5
    assert found.items[1].tolist() == top_items(model, np.array([3], np.int32), 5).items[0].tolist()
    some = top_items(model, np.array([-1], np.int32), 5, candidates=even)
    assert some.items[0].tolist() == [item for item in order if item % 2 == 0][:5]
    new = top_items(model, np.array([-1], np.int32), 40, exclude=Rated.of(split.train))
    assert new.items[0].tolist() == order.tolist()
    Path("new.csv").write_text("user,item,rating\nanna,none,5\n")
    done = trained("fold-in", "new.csv", "--model", "scores", "--n", 3, "--out", "-")
    assert [int(row["item"]) for row in rows_of(done.out)] == order[:3].tolist()
    assert "1 user without usable ratings: recommending the most popular items" in done.err

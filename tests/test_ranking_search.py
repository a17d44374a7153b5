"""Settings for rankings: recommended, searched by a measure of rankings, and kept apart."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from conftest import Outcome, Run
from planted import planted_split

import mfcli
from mfcli.cli.search_lines import print_search
from mfcli.config import Config, read_config
from mfcli.errors import ArtifactError, ConfigError, MfcliError, TrainingError, UsageError
from mfcli.plots import plot_search
from mfcli.search import (
    Attempt,
    Search,
    advise,
    found_candidate,
    plan_search,
    purpose_of,
    ranking_advice,
    recommended_candidate,
    recommended_config,
    settings_from,
    summary,
    title_of,
    tune,
    with_validation,
)
from mfcli.search.search import ROUND
from mfcli.search.spaces import Choice, Range, Space
from mfcli.splits import Split, read_split, write_split
from mfcli.training import Diverged, ValidationMeasure, fit

SCORES = Config(optimizer="als", target="rated", unrated_weight=0.1, biases=False)
SPACE: Space = {
    "optimizer": Choice(("als",)),
    "target": Choice(("rated",)),
    "unrated_weight": Range(0.01, 1.0, log=True),
    "reg": Range(0.001, 1.0, log=True),
    "k": Choice((2, 4, 6)),
    "epochs": Range(2, 5),
}
BASE = Config(relevant=3.5, at=5)


@pytest.fixture(scope="module")
def split() -> Split:
    return with_validation(planted_split(Config(valid=0.2)), Config())


@pytest.fixture(scope="module")
def search(split: Split) -> Search:
    made = Search(split, BASE, SPACE, threads=2, metric="ndcg")
    made.run(24)
    return made


@pytest.fixture
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    """Recommend settings that train fast."""
    monkeypatch.setattr(ranking_advice, "_FACTORS", 4)
    monkeypatch.setattr(ranking_advice, "_EPOCHS", 3)


# Recommended settings


def test_recommended_settings_rank_items(split: Split) -> None:
    config = recommended_config(split, Config(seed=3), purpose="ranking")
    assert (config.optimizer, config.predicts, config.seed) == ("als", "scores", 3)
    assert (config.followed, config.biases, config.k) == ("ndcg", False, 40)  # 40 items
    assert all(reason for *_, reason in advise(split, "ranking"))
    assert recommended_config(split).predicts == "ratings"
    assert recommended_config(split) == recommended_config(split, purpose="ratings")


def test_recommended_settings_rank_better_than_those_for_ratings(real_split: Path) -> None:
    parts = read_split(real_split)
    ranking, ratings = (recommended_config(parts, purpose=one) for one in ("ranking", "ratings"))
    ranked = fit(parts, replace(ranking, k=32, epochs=4))
    plain = fit(parts, replace(ratings, metric="ndcg", epochs=10))
    assert ranked.losses["val_ndcg"] > 2 * plain.losses["val_ndcg"]


def test_init_for_ranking_then_train(run: Run, split: Split, tmp_path: Path, quick: None) -> None:
    write_split(tmp_path / "split", split)
    done = run("init", "--for", "ranking", "--json")
    assert done.code == 0, done.err
    written = read_config(Path("mfcli.toml"))
    assert written == Config(**json.loads(done.out)["settings"])
    assert written == recommended_config(split, purpose="ranking")
    text = Path("mfcli.toml").read_text()
    assert text.startswith("# Recommended by mfcli init --for ranking for 730 training ratings by")
    assert max(map(len, text.splitlines())) <= 80
    trained = run("train")
    assert trained.code == 0, trained.err
    assert "validation NDCG@10 0." in trained.out
    assert run("init").code == 0  # replaces settings that were not edited
    assert read_config(Path("mfcli.toml")) == recommended_config(split)
    done = run("init", "--for", "rankings", "--out", "other.toml")
    assert (done.code, done.err) == (
        2, "error: --for must be ratings or ranking, got 'rankings'\n",
    )  # fmt: skip


def test_implicit_feedback_is_for_rankings(split: Split) -> None:
    train, valid = (replace(part, feedback="implicit") for part in (split.train, split.valid))
    events = replace(split, train=train, valid=valid, test=valid)
    assert purpose_of(events, Config()) == "ranking"
    config = recommended_config(events)
    assert (config.rating_weight, config.relevant) == ("log", Config().relevant)
    assert "training interactions by 60 users" in title_of(events, "ranking")
    with pytest.raises(ConfigError, match=r"^purpose must be ranking, because the split has impl"):
        recommended_config(events, purpose="ratings")
    mean = 1 + np.log1p(split.train.rating).mean()
    assert config.unrated_weight == pytest.approx(0.1 * mean, rel=0.05)
    equal = replace(events, scale=events.scale._replace(min=1.0, max=1.0))
    assert recommended_config(equal).rating_weight == "none"
    assert recommended_config(equal).unrated_weight == 0.1
    assert title_of(equal).endswith("(30.42% of all pairs), all with the strength 1.")
    for parts in (events, equal):
        plan = plan_search(parts)
        assert plan.metric == "ndcg"
        assert plan.first
        config = replace(plan.base, **plan.first)
        assert config == recommended_config(parts)
    ranked = fit(events, replace(config, k=2, epochs=2))
    assert ranked.history.ranked_users == len(np.unique(split.valid.user))  # all are relevant


# What a search is for


def test_the_purpose_follows_from_what_is_given(split: Split) -> None:
    assert purpose_of(split, Config()) == "ratings"
    assert purpose_of(split, SCORES) == "ranking"
    assert purpose_of(split, Config(metric="map")) == "ranking"
    assert purpose_of(split, SCORES, "ratings") == "ratings"
    assert purpose_of(split, Config(), metric="recall") == "ranking"
    assert purpose_of(split, Config(), space=SPACE) == "ranking"
    assert purpose_of(split, Config(), space={"k": Choice((2, 3))}) == "ratings"
    with pytest.raises(UsageError, match="purpose must be ratings or ranking, got 'both'"):
        purpose_of(split, Config(), "both")


def test_the_default_space_is_around_the_settings_of_init(split: Split) -> None:
    plan = plan_search(split, BASE, purpose="ranking")
    config = recommended_config(split, purpose="ranking")
    assert plan.first == {name: getattr(config, name) for name in plan.space}
    for end in ("low", "high"):
        values = {
            name: one.values[-1] if isinstance(one, Choice) else getattr(one, end)
            for name, one in plan.space.items()
        }
        one = replace(plan.base, **settings_from(values, plan.base))
        assert (one.optimizer, one.predicts, one.k <= 40) == ("als", "scores", True)
        assert one.unrated_weight != config.unrated_weight
        assert one.reg != config.reg
    assert (plan.metric, plan.base.relevant, plan.base.at) == ("ndcg", 3.5, 5)


@pytest.mark.parametrize("purpose", ["ratings", "ranking"])
def test_settings_for_the_other_purpose_do_not_disturb(split: Split, purpose: str) -> None:
    """As `mfcli init` may have written them before."""
    for other in ("ratings", "ranking"):
        base = recommended_config(split, purpose=other)
        plan = plan_search(split, base, purpose=purpose)
        assert plan.first
        config = replace(plan.base, **plan.first, metric=plan.metric)
        advised = recommended_config(split, purpose=purpose)
        assert (config.optimizer, config.predicts) == (advised.optimizer, advised.predicts)


def test_the_recommended_rating_is_relevant_unless_another_one_is_given(split: Split) -> None:
    advised = recommended_config(split, purpose="ranking").relevant
    assert advised != Config().relevant
    assert plan_search(split, purpose="ranking").base.relevant == advised
    assert plan_search(split, purpose="ranking", has_relevant=True).base.relevant == 4.0
    assert plan_search(split, Config(relevant=2.5), metric="map").base.relevant == 2.5
    assert plan_search(split).base.relevant == 4.0  # not used


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"purpose": "ratings", "metric": "map"}, "metric must be rmse with purpose='ratings'"),
        (
            {"purpose": "ranking", "metric": "rmse"},
            "metric must be ndcg, recall or map with purpose='ranking', got 'rmse'",
        ),
        ({"metric": "auc"}, "metric must be rmse, ndcg, recall or map, got 'auc'"),
        (
            {"purpose": "ranking", "optimizer": "gibbs"},
            "optimizer must be als to search without a space with purpose='ranking', got 'gibbs'",
        ),
        ({"space": {"at": [5, 10]}}, "space: at says what the search measures, so it cannot be"),
        ({"space": {"metric": ["map", "ndcg"]}}, "space: metric says what the search measures"),
    ],
    ids=str,
)
def test_contradictions_are_refused(split: Split, arguments: dict[str, Any], message: str) -> None:
    with pytest.raises(MfcliError) as caught:
        tune(split, **arguments)
    assert str(caught.value).startswith(message)


# The search


def test_the_best_trial_has_the_highest_value(split: Split, search: Search) -> None:
    complete = [one for one in search.attempts if one.is_complete]
    pruned = [one for one in search.attempts if not one.is_complete]
    assert search.best
    assert search.best.value == max(one.value for one in complete)
    assert pruned
    assert all(one.value < search.best.value for one in pruned)
    assert search.best.value > np.median([one.value for one in complete[:ROUND]])
    found = Config(**found_candidate(search).values)
    assert fit(split, found).losses["val_ndcg"] == search.best.value
    assert (found.metric, found.at, found.relevant) == (None, 5, 3.5)
    assert sum(search.importances().values()) == pytest.approx(1)


def test_later_trials_are_better_than_random_ones(search: Search) -> None:
    values = [one.value for one in search.attempts]
    assert np.median(values[2 * ROUND :]) > np.median(values[: 2 * ROUND])


def test_the_number_of_threads_does_not_change_the_search(split: Split, search: Search) -> None:
    alone = Search(split, BASE, SPACE, threads=1, metric="ndcg")
    alone.run(ROUND)
    assert alone.attempts == search.attempts[:ROUND]


def test_models_of_ratings_may_be_searched_by_rankings(split: Split) -> None:
    space: Space = {"optimizer": Choice(("sgd", "gibbs")), "k": Choice((2,))}
    found = Search(split, replace(BASE, epochs=2), space, metric="map")
    found.run(4)
    config = Config(**found_candidate(found).values)
    assert config.metric == "map"  # which these models do not follow by default
    assert fit(split, config).losses["val_map"] == found_candidate(found).value
    result = summary(found, found_candidate(found))
    assert (result["metric"], result["map"]) == ("map", result["trial_map"])
    assert "rmse" not in result


def test_models_of_scores_cannot_be_searched_by_the_rmse(split: Split) -> None:
    with pytest.raises(TrainingError, match="completed: metric must be ndcg, recall or map for a"):
        Search(split, BASE, SPACE, metric="rmse").run(1)


def test_a_diverged_trial_has_the_lowest_value(
    split: Split, monkeypatch: pytest.MonkeyPatch
) -> None:
    def diverge(*_: object, **__: object) -> None:
        raise Diverged("diverged", remedy="", best=None)

    found = Search(split, BASE, SPACE, metric="ndcg")
    monkeypatch.setattr("mfcli.search.trial_training.fit", diverge)
    with pytest.raises(TrainingError, match="all trials diverged"):
        found.run(1)
    assert [one.value for one in found.attempts] == [0.0]


def test_a_stored_search_keeps_to_its_measure(split: Split, search: Search, tmp_path: Path) -> None:
    path = tmp_path / "s.jsonl"
    with Search(split, BASE, SPACE, path, metric="ndcg") as some:
        some.run(2)
    with Search(split, BASE, SPACE, path, metric="ndcg") as again:
        assert again.attempts == search.attempts[:2]
    message = "a search that follows ndcg, not recall; choose another storage, or use metric='ndcg'"
    with pytest.raises(ArtifactError, match=message):
        Search(split, BASE, SPACE, path, metric="recall")
    several = replace(BASE, at=(5, 20))
    for _ in range(2):
        with Search(split, several, SPACE, tmp_path / "several.jsonl", metric="ndcg") as some:
            some.run(1)
    assert some.measure.label == "NDCG@5"
    for other in (replace(BASE, at=7), replace(BASE, relevant=2.0)):
        with pytest.raises(ArtifactError, match="with other settings outside of the space"):
            Search(split, other, SPACE, path, metric="ndcg")


def test_cutoffs_do_not_matter_without_rankings(split: Split, tmp_path: Path) -> None:
    space: Space = {"k": Choice((2, 3)), "epochs": Choice((1,))}
    for at in (5, 7):
        with Search(split, Config(at=at), space, tmp_path / "s.jsonl") as some:
            some.run(1)


def test_the_rival_is_measured_like_the_trials(split: Split, quick: None) -> None:
    plan = plan_search(split, replace(BASE, relevant=2.5), purpose="ranking", metric="recall")
    found = plan.search()
    found.run(1)
    rival = recommended_candidate(found)
    assert rival.value == found.attempts[0].value  # the first trial has the same settings
    assert rival.title.startswith("Settings of mfcli init --for ranking: validation recall@5 0.")
    config = Config(**rival.values)
    assert (config.metric, config.at, config.relevant) == ("recall", 5, 2.5)
    assert fit(split, config).losses["val_recall"] == rival.value


def test_tune_finds_settings_that_rank(split: Split, tmp_path: Path, quick: None) -> None:
    seen: list[Attempt] = []
    tuned = tune(split, BASE, trials=3, metric="ndcg", on_trial=seen.append)
    assert (tuned.metric, tuned.config.predicts, len(seen)) == ("ndcg", "scores", 3)
    assert tuned.value == max(one.value for one in seen)
    assert fit(split, tuned.config).losses["val_ndcg"] == tuned.value
    assert tuned == tune(split, BASE, trials=3, purpose="ranking")
    assert mfcli.plot(tuned, tmp_path / "search.svg").is_file()


def test_the_picture_shows_the_direction(
    search: Search, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    drawn: list[Any] = []
    monkeypatch.setattr(
        "mfcli.plots.search.set_figure_title", lambda figure, _: drawn.append(figure)
    )
    complete = [one for one in search.attempts if one.is_complete]
    measure = ValidationMeasure("ndcg", 5)
    plot_search(complete, {"reg": 1.0}, tmp_path / "s.svg", measure=measure, title="s")
    trials, importances, _ = drawn[0].axes
    assert trials.get_ylabel() == "Validation NDCG@5"
    assert importances.get_xlabel() == "Fraction of the variation in NDCG@5"
    points, best = trials.get_lines()
    assert best.get_ydata()[-1] == max(one.value for one in complete)
    # The few lowest values are drawn at the edge.
    heights = list(points.get_ydata())
    assert min(heights) == sorted(one.value for one in complete)[len(complete) // 20]


def test_better_recommended_settings_are_named(
    search: Search, capsys: pytest.CaptureFixture[str]
) -> None:
    found = found_candidate(search)
    result = summary(search, found) | {"file": "mfcli.toml", "picture": None}
    print_search(search, result, found._replace(value=2.0))
    line = "The settings of mfcli init --for ranking are better (validation NDCG@5 2.0000) and were"
    assert line in capsys.readouterr().out


# The command


@pytest.fixture
def tuning(run: Run, split: Split, tmp_path: Path, quick: None) -> Callable[..., Outcome]:
    """Run `mfcli tune` with a small split and fast settings."""
    write_split(tmp_path / "split", split)
    return lambda *words: run("tune", *words)


def test_tune_then_train(tuning: Callable[..., Outcome], run: Run) -> None:
    stored = ("--storage", "s.jsonl")
    done = tuning("--for", "ranking", "--trials", 2, "--plot", "s.png", *stored, "--json")
    assert done.code == 0, done.err
    assert "note: validation NDCG@10 with the settings of mfcli init --for ranking: 0." in done.err
    assert "1/2 trials, best validation NDCG@10 0." in done.err
    assert "RMSE" not in done.err
    result = json.loads(done.out)
    assert result["ndcg"] >= max(result["recommended_ndcg"], result["trial_ndcg"])
    assert read_config(Path("mfcli.toml")) == Config(**result["settings"])
    trained = json.loads(run("train", "--json").out)
    assert trained["val_ndcg"] == result["ndcg"]
    # The settings are for rankings, so a search is, too.
    done = tuning("--trials", 3, *stored)
    assert done.code == 0, done.err
    assert "the best of 3 (" in done.out
    assert "): validation NDCG@10 0." in done.out
    done = tuning("--metric", "recall", *stored)
    assert (done.code, done.err) == (
        1,
        "error: s.jsonl: belongs to a search that follows ndcg, not recall; choose another"
        " --storage, or use --metric ndcg\n",
    )


def test_a_search_for_ratings_ignores_settings_for_rankings(
    tuning: Callable[..., Outcome], run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(mfcli.search.recommended, "_EPOCHS", {"usual": 2})
    assert run("init", "--for", "ranking").code == 0
    done = tuning("--for", "ratings", "--trials", 1, "--json")
    assert done.code == 0, done.err
    result = json.loads(done.out)
    assert (result["metric"], result["settings"]["optimizer"]) == ("rmse", "gibbs")
    assert run("init").code == 1  # those of a search are kept
    Path("mfcli.toml").unlink()
    assert run("init").code == 0
    done = tuning("--for", "ranking", "--trials", 1, "--json")
    assert json.loads(done.out)["settings"]["optimizer"] == "als"


@pytest.mark.parametrize(
    ("words", "status", "message"),
    [
        (("--for", "rank"), 2, "--for must be ratings or ranking, got 'rank'"),
        (("--for", "ratings", "--metric", "map"), 1, "--metric must be rmse with --for ratings"),
        (("--at", 5), 2, "--at is not used without rankings; omit it, or use --for ranking"),
        (
            ("--for", "ranking", "--optimizer", "sgd"),
            1,
            "--optimizer must be als to search without a space with --for ranking, got 'sgd'",
        ),
        (("--metric", "ndcg", "--relevant", 99), 1, "no rating of an item that its user did not"),
    ],
)
def test_errors_of_the_command(
    tuning: Callable[..., Outcome], words: tuple[object, ...], status: int, message: str
) -> None:
    done = tuning("--trials", 1, *words)
    assert (done.code, done.out) == (status, "")
    assert done.err.splitlines()[-1].startswith(f"error: {message}"), done.err


def test_the_title_names_the_command(split: Split) -> None:
    assert title_of(split, "ranking").startswith("Recommended by mfcli init --for ranking for 730")
    assert title_of(split).startswith("Recommended by mfcli init for 730 training ratings")

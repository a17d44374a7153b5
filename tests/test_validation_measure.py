"""Validation, early stopping and output follow the measure that the settings name."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from conftest import Run
from planted import planted_ratings, planted_split

from mfcli.config import Config
from mfcli.errors import ArtifactError, ConfigError, DataError, MfcliWarning
from mfcli.rankings import RankedValidation
from mfcli.show import facts_of, find
from mfcli.sklearn import Recommender
from mfcli.splits import Split, write_split
from mfcli.training import (
    BestEpoch,
    Diverged,
    Epoch,
    Fit,
    History,
    Keeper,
    ValidationMeasure,
    fit,
    read_checkpoint,
    turning_points,
    validation_measure,
)
from mfcli.training.als.engine import AlsEngine
from mfcli.training.engine import Losses

SCORES = Config(
    optimizer="als", k=4, target="rated", unrated_weight=0.1, biases=False, epochs=4, relevant=3.5
)
RATED = Config(k=4, epochs=4, metric="ndcg", relevant=3.5, at=5)


@pytest.fixture(scope="module")
def split() -> Split:
    return planted_split(Config(valid=0.2))


def measured(split: Split, fitted: Fit) -> dict[str, float]:
    """Measure the rankings of a model without the training loop."""
    assert split.valid
    config = fitted.model.config
    at, relevant = config.cutoffs[0], config.relevant
    ranked = RankedValidation(split.valid, split.train, at=at, relevant=relevant)
    assert fitted.history.ranked_users == ranked.users
    return ranked.measures(fitted.model)


@pytest.mark.parametrize(
    "config",
    [
        SCORES,
        replace(SCORES, metric="recall", at=3),
        replace(SCORES, metric="map", ensemble=2, at=(5, 20)),
        replace(RATED, optimizer="gibbs"),
        replace(RATED, average=0.5),
        replace(RATED, ensemble=2, metric="map"),
    ],
    ids=str,
)
def test_the_history_holds_the_measure_that_is_followed(split: Split, config: Config) -> None:
    fitted = fit(split, config)
    name = f"val_{config.followed}"
    others = ["loss", "mse", "val_loss", "val_mse", "seconds"]
    assert sorted(fitted.history.lists) == sorted([*others, name])
    assert fitted.losses[name] == fitted.history.lists[name][-1]
    assert fitted.losses[name] == pytest.approx(measured(split, fitted)[config.followed])
    assert 0 < fitted.losses[name] < 1


def test_following_rankings_does_not_change_the_training(split: Split) -> None:
    ranked = fit(split, RATED)
    plain = fit(split, replace(RATED, metric=None))
    assert (ranked.model.user_factors == plain.model.user_factors).all()
    assert ranked.history.lists["val_mse"] == plain.history.lists["val_mse"]
    assert plain.history.ranked_users is None
    assert "val_ndcg" not in plain.history.lists


def test_the_number_of_threads_does_not_change_the_measure(split: Split) -> None:
    one, two = (fit(split, SCORES, threads=threads) for threads in (1, 2))
    assert one.history.lists["val_ndcg"] == two.history.lists["val_ndcg"]


def test_a_sample_of_the_users_is_the_same_for_all_models(
    split: Split, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(validation_measure, "MOST_RANKED", 7)
    fitted = fit(split, SCORES)
    assert fitted.history.ranked_users == 7
    assert split.valid
    for seed in (0, 1):
        fitted = fit(split, replace(SCORES, seed=seed))
        same = RankedValidation(split.valid, split.train, at=10, relevant=3.5, most_users=7)
        assert fitted.losses["val_ndcg"] == same.measures(fitted.model)["ndcg"]


def epoch(number: int, ndcg: float) -> Epoch:
    return Epoch(number, 1.0, 1.0, 1.0, 1.0, 0.1, val_ndcg=ndcg)


def test_higher_values_of_rankings_are_better() -> None:
    best = BestEpoch(replace(RATED, patience=2, min_delta=0.05))
    offered = [best.offer(epoch(n, value)) for n, value in enumerate([0.2, 0.24, 0.26, 0.1], 1)]
    assert offered == [True, False, True, False]
    assert (best.epoch, best.value, best.measure.label) == (3, 0.26, "NDCG@5")


def test_patience_keeps_the_epoch_with_the_best_rankings(split: Split) -> None:
    config = replace(RATED, epochs=40, lr=0.02, patience=3)
    fitted = fit(split, config)
    values = fitted.history.lists["val_ndcg"]
    assert fitted.epoch == int(np.argmax(values)) + 1 == len(values) - 3
    assert measured(split, fitted)["ndcg"] == max(values)
    assert fitted.epoch != int(np.argmin(fitted.history.lists["val_mse"])) + 1


def test_a_resumed_training_has_the_same_measures(split: Split, tmp_path: Path) -> None:
    config = replace(SCORES, epochs=6)
    whole = fit(split, config)

    def stop(epoch: Epoch) -> None:
        if epoch.epoch == 4:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        fit(split, config, keeper=Keeper(tmp_path / "checkpoint", 1), on_epoch=stop)
    checkpoint = read_checkpoint(tmp_path / "checkpoint")
    assert len(checkpoint.history) == 3
    again = fit(split, config, resume=checkpoint)
    assert again.history.lists["val_ndcg"] == whole.history.lists["val_ndcg"]
    assert again.history.ranked_users == whole.history.ranked_users
    with pytest.raises(ArtifactError, match="was trained with at=10, not 5; omit at to resume"):
        fit(split, replace(config, at=5), resume=checkpoint)


def test_a_history_is_read_as_it_was_written(split: Split, tmp_path: Path) -> None:
    path = tmp_path / "history.json"
    for config in (SCORES, replace(RATED, metric="map"), replace(RATED, metric="rmse")):
        history = fit(split, config).history
        history.write(path)
        assert History.read(path) == history
        assert History.read(path).epochs() == history.epochs()
        assert ("ranked_users" in json.loads(path.read_text())) == (config.followed != "rmse")


def test_records_have_the_settings_of_rankings_only_if_they_are_followed(split: Split) -> None:
    names = {"at", "relevant"}
    assert names <= fit(split, SCORES).model.config.used("training").keys()
    assert not names & replace(RATED, metric=None).used("training").keys()
    assert names <= Config().used("evaluation").keys()


def test_scores_have_no_rmse() -> None:
    with pytest.raises(ConfigError, match=r"must be ndcg, recall or map for a model that predicts"):
        replace(SCORES, metric="rmse")


def test_ratings_that_are_all_below_relevant_are_an_error(split: Split, tmp_path: Path) -> None:
    keeper = Keeper(tmp_path / "checkpoint")
    with pytest.raises(DataError, match=r"training is at least 99; lower relevant$"):
        fit(split, replace(RATED, relevant=99.0), keeper=keeper)
    assert not (tmp_path / "checkpoint").exists()


def test_labels_and_turning_points_name_the_measure() -> None:
    labels = {name: ValidationMeasure(name, 20).label for name in ("rmse", "ndcg", "recall", "map")}
    assert [*labels.values()] == ["RMSE", "NDCG@20", "recall@20", "MAP@20"]
    points = turning_points(replace(RATED, average=0.5))
    assert points == {3: "averaging starts, so validation NDCG@5 is now that of the average"}


@pytest.mark.parametrize(
    ("losses", "is_fine"), [(Losses(1e30, 1e30), True), (Losses(np.nan, np.nan), False)]
)
def test_als_diverges_only_if_a_number_is_not_finite(
    split: Split, monkeypatch: pytest.MonkeyPatch, losses: Losses, is_fine: bool
) -> None:
    monkeypatch.setattr(AlsEngine, "validate", lambda self: losses)
    if is_fine:
        assert len(fit(split, SCORES).history) == 4
        return
    message = (
        r"^training diverged at epoch 1 \(als\); no epoch before it can be kept; try a larger reg"
        r" or remove outliers from the ratings$"
    )
    with pytest.raises(Diverged, match=message):
        fit(split, SCORES)


def test_without_held_out_ratings_nothing_is_ranked() -> None:
    """The estimator trains on all ratings; the ranking of what was trained on means nothing."""
    ratings, _ = planted_ratings()
    pairs = np.stack([ratings.user, ratings.item], axis=1)
    settings: dict[str, Any] = {"optimizer": "als", "target": "rated", "unrated_weight": 0.1}
    found = Recommender(k=4, epochs=3, **settings).fit(pairs, ratings.rating)
    assert "val_ndcg" not in found.history_.lists
    assert len(found.recommend([1], n=3)) == 3
    found = Recommender(k=4, epochs=3, valid=0.2, **settings).fit(pairs, ratings.rating)
    assert len(found.history_.lists["val_ndcg"]) == 3


TRAIN = ("train", "--k", 4, "--epochs", 3, "--relevant", 3.5)
SCORED = ("--optimizer", "als", "--target", "rated", "--unrated-weight", 0.1, "--no-biases")


def test_train_shows_the_measure(run: Run, split: Split, tmp_path: Path) -> None:
    write_split(tmp_path / "split", split)
    done = run(*TRAIN, *SCORED, "--at", 5)
    assert done.code == 0, done.err
    lines = done.err.splitlines()
    values = json.loads(Path("history.json").read_text())["val_ndcg"]
    for number, line in enumerate(lines[1:4], 1):
        assert line.startswith(f"epoch {number}/3  train loss 0.")
        assert f"  validation NDCG@5 {values[number - 1]:.4f}" in line
    assert f": validation NDCG@5 {values[-1]:.4f} for 32 users after 3 epochs in " in done.out
    assert "RMSE" not in done.out + done.err
    done = run(*TRAIN, "--metric", "recall", "--json")
    assert "  train RMSE " in done.err
    assert "  validation recall@10 " in done.err
    assert "val_recall" in json.loads(done.out)


def test_show_judges_epochs_by_the_measure_that_is_followed(tmp_path: Path) -> None:
    epochs = [Epoch(n, 1.0, 1.0, 1.0, 1.0 / n, 0.1, val_ndcg=v) for n, v in ((1, 0.2), (2, 0.1))]
    History.of(epochs, 7).write(tmp_path / "history.json")
    facts = facts_of(find(tmp_path / "history.json")[0])
    curve = facts["curve"]
    assert (curve["what"], curve["best"], curve["best_epoch"]) == ("validation NDCG", 0.2, 1)
    assert facts["lists"]["val_ndcg"]["best_epoch"] == 1
    assert facts["lists"]["val_mse"]["best_epoch"] == 2


def test_rankings_of_users_without_training_ratings_compare_no_epochs() -> None:
    cold = planted_split(Config(strategy="cold-user", test=0.3))
    with pytest.warns(MfcliWarning, match="no held-out user has training ratings, so all get the"):
        values = fit(cold, SCORES).history.lists["val_ndcg"]
    assert len({*values}) == 1


def test_a_setting_that_contradicts_an_option_names_its_file(run: Run) -> None:
    Path("mfcli.toml").write_text('optimizer = "als"\nbiases = false\n')
    assert run("train", "--optimizer", "sgd").err == (
        "error: biases in mfcli.toml is not used with --optimizer sgd; omit it, or change"
        " --optimizer\n"
    )
    message = "error: --no-biases is not used with --optimizer sgd; "
    assert run("train", "--optimizer", "sgd", "--no-biases").err.startswith(message)


def test_train_names_the_epoch_with_the_highest_value(
    run: Run, split: Split, tmp_path: Path
) -> None:
    write_split(tmp_path / "split", split)
    done = run(*TRAIN, "--epochs", 30, "--metric", "ndcg")
    values = json.loads(Path("history.json").read_text())["val_ndcg"]
    best = int(np.argmax(values)) + 1
    assert best < 30
    note = f"note: validation NDCG@10 was highest after epoch {best}: {max(values):.4f}\n"
    assert done.err.endswith(note)


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (("--at", 5), "--at is not used without --metric; omit it, or set --metric"),
        (("--relevant", 3), "--relevant is not used without --metric; omit it, or set --metric"),
        (
            ("--at", 5, "--metric", "rmse"),
            "--at is not used with --metric rmse; omit it, or change --metric",
        ),
        (
            (*SCORED, "--metric", "rmse"),
            "--metric must be ndcg, recall or map for a model that predicts scores, got 'rmse'",
        ),
    ],
)
def test_options_without_effect_are_refused(
    run: Run, words: tuple[object, ...], message: str
) -> None:
    done = run("train", *words)
    assert (done.code, done.err) == (2, f"error: {message}\n")

"""Refitting: training on all parts of a split, for the epochs that were best in validation."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from conftest import Outcome, Run
from contents import triples
from planted import planted_ratings, planted_split

from mfcli.config import Config
from mfcli.data import Ratings
from mfcli.errors import ArtifactError, DataError, MfcliWarning
from mfcli.evaluation import compare, evaluate, metrics_in, read_metrics
from mfcli.model import Model, fold_in
from mfcli.predict import recommend
from mfcli.splits import Split, read_split, split as split_ratings, write_split
from mfcli.training import (
    History,
    fit,
    plan_refit,
    read_checkpoint,
    refit_config,
    run as runs,
)

ALL = ("train", "valid", "test")
SHAPE = {"users": 20, "items": 15}
# Overfits after a few epochs, so that the best one is not the last.
CONFIG = Config(k=6, epochs=25, batch_size=16, lr=0.3)
OPTIONS = ("--k", 6, "--batch-size", 16, "--lr", 0.3)


@pytest.fixture(scope="module")
def whole() -> Split:
    return planted_split(Config(valid=0.1), **SHAPE)


@pytest.fixture
def folder(run: Run, whole: Split) -> Split:
    """A split folder in the working folder."""
    write_split(Path("split"), whole)
    return read_split(Path("split"))


@pytest.fixture
def seen(whole: Split) -> Model:
    """A model that was trained on all parts."""
    return fit(whole.union(), replace(CONFIG, epochs=4)).model


@pytest.fixture
def stopped(run: Run, monkeypatch: pytest.MonkeyPatch) -> Callable[..., Outcome]:
    """Run a command and interrupt it in the third epoch."""

    def stopped(*args: object) -> Outcome:
        def next_epoch(self: Any, *args: Any) -> Any:
            if len(self._epochs) == 2:
                raise KeyboardInterrupt
            return run_epoch(self, *args)

        run_epoch = runs.Run.next
        with monkeypatch.context() as patch:
            patch.setattr(runs.Run, "next", next_epoch)
            return run(*args)

    return stopped


def same_weights(one: Model, other: Model) -> bool:
    return all(
        table.tobytes() == other.tables[name].tobytes() for name, table in one.tables.items()
    )


def best_epoch(history: History) -> int:
    return int(np.argmin(history.lists["val_mse"])) + 1


def note_of(outcome: Outcome) -> str:
    """Return where the number of epochs comes from."""
    return next(line for line in outcome.err.splitlines() if line.startswith("note: refit with"))


def test_a_refit_has_the_bits_of_a_training_on_the_union(run: Run, folder: Split) -> None:
    assert run("train", *OPTIONS, "--epochs", 25).code == 0
    history = History.read("history.json")
    best = best_epoch(history)
    assert best < 25
    done = run("train", *OPTIONS, "--refit")
    assert note_of(done) == (
        f"note: refit with {best} epochs, the best of 25 in history.json by validation RMSE"
    )
    total = sum(map(len, folder.parts.values()))
    line = done.out.splitlines()[-1]
    assert f" on {total:,} ratings of train, valid and test after {best} epochs in " in line
    assert line.endswith("not validated, because no ratings are held out")
    model = Model.load("model")
    expected = fit(folder.union(), replace(CONFIG, epochs=best)).model
    assert same_weights(model, expected)
    assert same_weights(model, fit(folder.union(), refit_config(CONFIG, history)).model)
    assert (model.trained_on, model.config.epochs) == (ALL, best)
    assert len(History.read("history.json")) == best
    assert read_checkpoint(Path("checkpoint")).trained_on == ALL
    # A second refit has the same epochs, although their history is gone.
    again = run("train", *OPTIONS, "--refit")
    assert note_of(again) == f"note: refit with {best} epochs, as in the refit before"
    assert same_weights(Model.load("model"), expected)
    summary = json.loads(run("train", *OPTIONS, "--refit", "--json", "--quiet").out)
    assert (summary["trained_on"], summary["epochs"]) == ([*ALL], best)


def test_epochs_on_the_command_line_win(run: Run, folder: Split) -> None:
    run("train", *OPTIONS, "--epochs", 25)
    done = run("train", *OPTIONS, "--refit", "--epochs", 3)
    assert "refit with" not in done.err
    assert Model.load("model").config.epochs == 3


@pytest.mark.parametrize(
    ("config", "epochs", "reason"),
    [
        ({"average": 0.5}, 25, "all 25 epochs, on whose number schedules and averages depend"),
        ({"optimizer": "gibbs", "epochs": 4}, 4,
         "all 4 epochs, on whose number schedules and averages depend"),
        ({"lr_schedule": "cosine", "patience": 1}, None,
         "{} epochs, the best of {} in {} by validation RMSE; schedules and averages span these"
         " epochs"),
        ({"patience": 3, "min_delta": 0.001}, None,
         "{} epochs, the best of {} in {} by validation RMSE"),
        ({"metric": "ndcg", "at": 5, "relevant": 3.0}, None,
         "{} epochs, the best of {} in {} by validation NDCG@5"),
        ({"warmup": 24, "lr": 0.7}, 25, "25 epochs, the fewest with a warm-up of 24"),
    ],
)  # fmt: skip
def test_epochs_are_those_that_validation_chose(
    whole: Split, tmp_path: Path, config: dict[str, Any], epochs: int | None, reason: str
) -> None:
    descent = {} if config.get("optimizer") else {"lr": 0.3, "batch_size": 16}
    trained = Config(**{"k": 6, "epochs": 25} | descent | config)
    fitted = fit(whole, trained)
    fitted.write(tmp_path)
    if epochs is None:
        values = fitted.history.lists.get("val_ndcg") or [
            -v for v in fitted.history.lists["val_mse"]
        ]
        epochs = int(np.argmax(values)) + 1
        if trained.patience:
            epochs = fitted.epoch
        assert epochs < 25
    # The options that only chose the epochs need not be given again.
    given = replace(trained, epochs=17 if trained.warmup < 17 else 25, patience=None, metric=None)
    plan = plan_refit(whole, given, tmp_path)
    place = tmp_path / "history.json"
    assert plan.reason == reason.format(epochs, len(fitted.history), place)
    assert (plan.config.epochs, plan.config.patience) == (epochs, None)
    assert (plan.config.engine, plan.config.blocks) == ("auto", None)  # as the union needs them


def test_epochs_stay_if_the_training_before_is_another(whole: Split, tmp_path: Path) -> None:
    fitted = fit(whole, CONFIG)
    fitted.write(tmp_path)
    model, history = tmp_path / "model", tmp_path / "history.json"

    def why(split: Split, config: Config, run: Path = tmp_path) -> str:
        plan = plan_refit(split, config, run)
        assert plan.config == replace(config, patience=None)
        begin, _, reason = plan.reason.partition(f"{config.epochs} epochs, as set, because ")
        assert not begin
        return reason

    assert why(whole, replace(CONFIG, k=5, lr=0.2, epochs=9)) == (
        f"{model} was trained with other settings (k, lr)"
    )
    assert why(whole, replace(CONFIG, blocks=2)).endswith("(blocks)")
    assert why(replace(whole, hash="other"), CONFIG) == f"{model} was trained on another split"
    assert why(whole, CONFIG, tmp_path / "none") == f"{tmp_path / 'none' / 'model'} holds no model"
    fit(whole, replace(CONFIG, seed=1)).history.write(history)
    assert why(whole, CONFIG) == f"{history} is not of {model}"
    history.unlink()
    assert why(whole, CONFIG).startswith(f"{history} cannot be read")


def test_epochs_of_updates_do_not_count(run: Run, folder: Split) -> None:
    """They continue a training, so their number says nothing about one from the start."""
    run("train", *OPTIONS, "--epochs", 5)
    best = best_epoch(History.read("history.json"))
    Path("new.csv").write_text("user,item,rating\n0,100,4\n")
    run("update", "new.csv", "--epochs", 3)
    assert len(History.read("history.json")) == 8
    assert note_of(run("train", *OPTIONS, "--refit")) == (
        f"note: refit with {best} epochs, the best of 5 in history.json by validation RMSE"
    )
    run("train", *OPTIONS, "--epochs", 5)
    shutil.rmtree("checkpoint")  # so that an update does not know the epochs before
    Path("new.csv").write_text("user,item,rating\n0,101,4\n")
    run("update", "new.csv", "--epochs", 3)
    done = run("train", *OPTIONS, "--refit")
    assert note_of(done) == (
        "note: refit with 15 epochs, as set, because history.json lacks epochs of the training"
    )


def test_a_split_of_training_ratings_may_be_refitted(run: Run) -> None:
    write_split(Path("split"), planted_split(Config(test=0), **SHAPE))
    run("train", *OPTIONS, "--epochs", 4)
    before = Model.load("model")
    done = run("train", *OPTIONS, "--refit")
    assert note_of(done) == (
        "note: refit with 4 epochs, as before, because no ratings were held out"
    )
    assert same_weights(Model.load("model"), before)
    assert run("train", "--refit", "--resume").code == 0


@pytest.mark.parametrize(
    "option",
    [("--patience", 3), ("--stop-on-test", "--patience", 3), ("--metric", "ndcg")],
)
def test_options_of_validation_are_refused(
    run: Run, folder: Split, option: tuple[object, ...]
) -> None:
    done = run("train", "--refit", *option)
    name = "--metric" if "--metric" in option else "--patience"
    assert (done.code, done.err) == (2, f"error: {name} is not used with --refit; omit it\n")


def test_early_stopping_in_a_settings_file_is_not_used(run: Run, folder: Split) -> None:
    Path("mfcli.toml").write_text("patience = 2\nk = 6\nlr = 0.3\nbatch_size = 16\nepochs = 25\n")
    run("train")
    best = best_epoch(History.read("history.json"))
    done = run("train", "--refit")
    assert f"refit with {best} epochs, the best of {best + 2} in history.json" in done.err
    assert "patience" not in Model.load("model").config.used("training")


def test_folds_are_not_refitted(run: Run, whole: Split) -> None:
    folds = split_ratings(whole.train, Config(strategy="k-fold", folds=3))
    write_split(Path("folds"), folds)
    done = run("train", "--split", "folds", "--refit")
    assert (done.code, done.err) == (
        2,
        "error: --refit is not used with a k-fold split, got folds; to train on all ratings, split"
        " again with --no-test\n",
    )


def test_an_interrupted_refit_resumes_as_a_refit(
    run: Run, stopped: Callable[..., Outcome], folder: Split
) -> None:
    run("train", *OPTIONS, "--epochs", 5)
    before = Model.load("model")
    done = stopped("train", *OPTIONS, "--refit", "--epochs", 5, "--checkpoint-every", 1)
    assert "resume: mfcli train --resume" in done.err
    assert same_weights(Model.load("model"), before)
    assert run("train", "--resume", "--patience", 1).err == (
        "error: --patience is not used with --refit; omit it\n"
    )
    done = run("train", "--resume")
    assert "resuming after epoch 2 of a refit, with the settings of the checkpoint\n" in done.err
    model = Model.load("model")
    assert model.trained_on == ALL
    assert same_weights(model, fit(folder.union(), replace(CONFIG, epochs=5)).model)
    assert run("train", "--resume", "--refit").code == 0


def test_a_training_is_not_resumed_as_a_refit(run: Run, folder: Split, whole: Split) -> None:
    run("train", *OPTIONS, "--epochs", 2)
    done = run("train", "--refit", "--resume")
    assert (done.code, done.err.splitlines()[-1]) == (
        1,
        "error: the checkpoint is of a training on train, not on train, valid, test; train without"
        " --resume",
    )
    with pytest.raises(ArtifactError, match="is of a training on train, not on train, valid, test"):
        fit(folder.union(), CONFIG, resume=read_checkpoint(Path("checkpoint")))


def test_a_model_is_not_measured_on_parts_that_it_has_seen(
    run: Run, folder: Split, seen: Model
) -> None:
    for part, rows in (("test", "test ratings"), ("valid", "validation ratings")):
        with pytest.raises(ArtifactError) as caught:
            evaluate(replace(seen, split_hash=folder.hash), folder, on=part)
        assert str(caught.value) == (
            f"the model was trained on the {rows}, so they cannot measure it; name other ratings"
            " with on='FILE', or evaluate a model that was trained without them"
        )
    run("train", *OPTIONS, "--refit")
    done = run("evaluate")
    assert (done.code, done.err) == (
        1,
        "error: the model was trained on the test ratings, so they cannot measure it; name other"
        " ratings with --on FILE, or evaluate a model that was trained without them\n",
    )
    assert not Path("metrics.json").exists()
    assert run("evaluate", "--on", "train", "--quiet").code == 0


def test_a_part_that_a_model_has_not_seen_measures_it(whole: Split) -> None:
    parts = whole.union("train", "valid")
    assert (parts.in_train, [*parts.parts]) == (("train", "valid"), ["train", "test"])
    assert triples(parts.train) == triples(whole.train) + triples(whole.valid)
    assert triples(parts.test) == triples(whole.test)
    assert whole.union("train") is whole
    model = fit(parts, CONFIG).model
    assert model.trained_on == ("train", "valid")
    measured = evaluate(model, whole)
    assert measured.measures == evaluate(model, parts).measures  # baselines and groups, too
    assert measured.baselines == evaluate(model, parts).baselines
    assert measured.protocol.strategy == whole.strategy
    with pytest.raises(ArtifactError, match="was trained on the validation ratings"):
        evaluate(model, whole, on="valid")


def test_other_ratings_are_compared_with_all_that_was_trained_on(whole: Split, seen: Model) -> None:
    others, _ = planted_ratings(**SHAPE, share=0.9, seed=4)
    others = replace(others, rating=others.rating.clip(2, 4))
    with pytest.warns(MfcliWarning, match="ratings were trained on"):
        measured = evaluate(seen, whole, on=others)
    pairs = {(user, item) for part in whole.parts.values() for user, item, _ in triples(part)}
    overlap = sum((user, item) in pairs for user, item, _ in triples(others))
    assert measured.overlap is not None
    assert measured.overlap.trained_on.ratings == overlap
    with pytest.warns(MfcliWarning):
        expected = evaluate(seen, whole.union(), on=others)
    assert measured.baselines == expected.baselines
    assert measured.protocol.trained_parts == ALL
    with pytest.warns(MfcliWarning):
        alone = evaluate(fit(whole, CONFIG).model, whole, on=others)
    assert alone.protocol.trained_parts == ("train",)
    compared = compare({"seen": measured, "alone": alone})
    assert compared.settings["trained_on"] == ["train, valid, test", "train"]


def test_older_metrics_are_those_of_the_model_before(run: Run, folder: Split) -> None:
    run("train", *OPTIONS, "--epochs", 4)
    run("evaluate", "--quiet")
    done = run("train", *OPTIONS, "--refit")
    assert "note: metrics.json was measured with the model before the refit\n" in done.err
    with pytest.warns(MfcliWarning, match="was measured before model was trained on all parts"):
        read_metrics(metrics_in(Path())[0])
    shown = run("show")
    assert "trained on" in shown.out
    assert "train, valid, test" in shown.out
    facts = {one["kind"]: one for one in json.loads(run("show", "--json").out)["artifacts"]}
    assert facts["model"]["trained_on"] == [*ALL]


def one_users(whole: Split, user: int) -> Ratings:
    """Return a new rating of a user of a split."""
    rated = {item for part in whole.parts.values() for u, item, _ in triples(part) if u == user}
    new = next(item for item in range(15) if item not in rated)
    one = whole.train.take(np.array([0]))
    return replace(one, user=np.array([user], np.int32), item=np.array([new], np.int32))


def test_known_users_keep_the_ratings_of_all_parts(whole: Split, seen: Model) -> None:
    user = int(whole.test.user[0])
    new = one_users(whole, user)
    found = fold_in(seen, new, split=whole)
    union = whole.union().train
    own = union.take(union.user == user)
    assert found.model.users.counts.tolist() == [len(own) + 1]
    same = fold_in(seen, new, split=whole.union())
    np.testing.assert_array_equal(found.model.user_factors, same.model.user_factors)
    # A model of train alone has seen fewer ratings.
    alone = fold_in(fit(whole, CONFIG).model, new, split=whole)
    assert alone.model.users.counts.tolist() == [int(whole.train.users.counts[user]) + 1]
    with pytest.raises(DataError, match="but the model was trained on"):
        fold_in(seen, new, split=replace(whole, test=None))


def test_reasons_are_ratings_of_all_parts(whole: Split, seen: Model) -> None:
    user = int(whole.test.user[0])
    tables = [
        recommend(seen, user, n=2, exclude=whole, explain=15, ratings=given)
        for given in (whole, whole.union())
    ]
    assert tables[0].equals(tables[1])
    tested = {item for u, item, _ in triples(whole.test) if u == user}
    names = [name for name in tables[0].column_names if name[8:].isdigit()]
    assert tested & {value for name in names for value in tables[0][name].to_pylist()}


def test_trained_items_are_those_of_all_parts(run: Run, folder: Split) -> None:
    run("train", *OPTIONS, "--refit")
    user = int(folder.test.user[0])
    listed = [
        run("recommend", "--user", user, "--n", 15, "--exclude", what, "--out", "-", "--quiet").out
        for what in ("train", "split", "none")
    ]
    assert listed[0] == listed[1] != listed[2]


def test_an_update_does_not_start_from_an_interrupted_refit(
    run: Run, stopped: Callable[..., Outcome], folder: Split
) -> None:
    """The checkpoint is that of the refit, but the model is of the training before."""
    run("train", *OPTIONS, "--epochs", 5)
    stopped("train", *OPTIONS, "--refit", "--epochs", 5, "--checkpoint-every", 1)
    Path("new.csv").write_text("user,item,rating\n0,100,4\n")
    assert run("update", "new.csv").code == 0
    assert Model.load("model").trained_on == ("train",)
    assert read_checkpoint(Path("checkpoint")).trained_on == ("train",)


def test_a_model_with_other_settings_is_not_replaced_silently(run: Run, folder: Split) -> None:
    assert run("train", "--k", 3, "--epochs", 2, "--quiet").code == 0
    done = run("train", "--refit", "--quiet")
    assert done.code == 0
    assert done.err == (
        "warning: refit with 15 epochs, as set, because model was trained with other settings (k);"
        " give its settings again, or choose another --out\n"
    )

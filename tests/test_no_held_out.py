"""Splits and trainings without held-out ratings, and the union of all parts of a split."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from conftest import Run
from contents import names, snapshot, triples
from planted import planted_ratings, planted_split

from mfcli.config import Config
from mfcli.errors import ArtifactError, ConfigError, UsageError
from mfcli.evaluation import cross_validate, evaluate
from mfcli.model import Model, fold_in
from mfcli.predict import ranking_quality
from mfcli.search import recommended_config, tune
from mfcli.splits import PARTS, Split, read_split, split, write_split
from mfcli.storage import resources
from mfcli.training import Diverged, Keeper, fit, read_checkpoint

SHORT = Config(k=3, epochs=3, batch_size=32)
CASES: list[dict[str, Any]] = [
    {},
    {"reg": 0.01, "blocks": 2},
    {"average": 0.5},
    {"ensemble": 2, "average": 0.5, "reg": 0.01, "reg_scope": "rating"},
    {"optimizer": "als"},
    {"optimizer": "als", "target": "rated", "unrated_weight": 0.1},
    {"optimizer": "gibbs", "ensemble": 2},
]


@pytest.fixture(scope="module")
def whole() -> Split:
    return planted_split(Config(valid=0.1))


@pytest.fixture
def folder(run: Run) -> Path:
    """A folder with ratings of 12 users and the split of them without test ratings."""
    ratings, _ = planted_ratings(users=12, items=9)
    lines = [f"{user},{item},{rating}" for user, item, rating in triples(ratings)]
    Path("data.csv").write_text("\n".join(["user,item,rating", *lines]))
    assert run("split", "data.csv", "--no-test").code == 0
    return Path()


def test_a_split_without_test_ratings_trains_on_all() -> None:
    ratings, _ = planted_ratings()
    made = split(ratings, Config(test=0))
    assert list(made.parts) == ["train"]
    assert made.held_out is None
    assert triples(made.train) == triples(ratings)
    with_valid = split(ratings, Config(test=0, valid=0.1))
    assert list(with_valid.parts) == ["train", "valid"]
    assert with_valid.held_out == ("valid", with_valid.valid)
    assert len(with_valid.valid) == round(0.1 * len(ratings))


@pytest.mark.parametrize("strategy", ["random", "per-user", "temporal", "cold-user"])
def test_validation_ratings_are_held_out_by_the_same_strategy(strategy: str) -> None:
    """Those of `valid` alone are those that `test` alone holds out."""
    ratings, _ = planted_ratings()
    ratings = replace(ratings, timestamp=np.arange(len(ratings))[::-1].copy())
    made = split(ratings, Config(strategy=strategy, test=0, valid=0.2))
    tested = split(ratings, Config(strategy=strategy, test=0.2))
    assert triples(made.valid) == triples(tested.test)


def test_strategies_that_always_test_refuse() -> None:
    for strategy in ("leave-last-out", "k-fold"):
        message = f"test is not used with strategy='{strategy}'; omit it, or change strategy"
        with pytest.raises(ConfigError, match=message):
            Config(strategy=strategy, test=0)
    with pytest.raises(ConfigError, match="test is not used with cut='2015-01-01'"):
        Config(strategy="temporal", cut="2015-01-01", test=0)


def test_a_folder_without_test_ratings_is_read_as_it_was_written(tmp_path: Path) -> None:
    ratings, _ = planted_ratings()
    for config in (Config(test=0), Config(test=0, valid=0.1)):
        made = split(ratings, config)
        write_split(tmp_path / "split", made)
        again = read_split(tmp_path / "split")
        assert list(again.parts) == list(made.parts)
        for name, part in made.parts.items():
            assert triples(again.parts[name]) == triples(part)
    assert not (tmp_path / "split" / "test.arrow").exists()
    (tmp_path / "split" / "valid.arrow").unlink()
    with pytest.raises(ArtifactError, match=r"valid\.arrow"):
        read_split(tmp_path / "split")


def test_parts_that_are_given_need_no_test_ratings(whole: Split) -> None:
    made = Split.of(whole.train)
    assert triples(made.train) == triples(whole.train)
    assert made.held_out is None
    assert list(Split.of(whole.train, valid=whole.valid).parts) == ["train", "valid"]


def test_no_test_is_a_fraction_of_zero(run: Run, folder: Path) -> None:
    made = json.loads((folder / "split" / "split.json").read_text())
    assert made["strategy"]["test"] == 0
    assert names(folder / "split") == ["items.arrow", "split.json", "train.arrow", "users.arrow"]
    before = snapshot(folder / "split")
    assert run("split", "data.csv", "--test", 0).code == 0
    assert snapshot(folder / "split") == before
    Path("mfcli.toml").write_text("test = 0")
    assert run("split", "data.csv").code == 0
    assert snapshot(folder / "split") == before


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["--test", 0.1], "--test is not used with --no-test; omit one of them"),
        (["--train", "a.csv"], "--train is not used with --no-test; omit one of them"),
        (
            ["--strategy", "k-fold"],
            "--no-test is not used with --strategy k-fold; omit it, or change --strategy",
        ),
    ],
)
def test_no_test_contradicts(run: Run, folder: Path, options: list[object], message: str) -> None:
    done = run("split", "data.csv", "--no-test", *options)
    assert (done.code, done.err) == (2, f"error: {message}\n")


@pytest.mark.parametrize("settings", CASES, ids=str)
def test_training_is_the_same_without_validation(whole: Split, settings: dict[str, Any]) -> None:
    config = replace(SHORT, **settings)
    validated = fit(whole, config)
    alone = fit(replace(whole, test=None, valid=None), config)
    for name, table in validated.model.tables.items():
        assert table.tobytes() == alone.model.tables[name].tobytes()
    assert sorted(alone.history.lists) == ["loss", "mse", "seconds"]
    assert alone.history.lists["mse"] == validated.history.lists["mse"]
    assert set(alone.losses) == {"loss", "mse"}


def test_keras_validates_nothing(whole: Split) -> None:
    config = replace(SHORT, engine="keras", batch_size=256, epochs=1)
    fitted = fit(whole.union(), config)
    assert sorted(fitted.history.lists) == ["loss", "mse", "seconds"]
    fast = fit(whole.union(), replace(config, engine="fast"))
    np.testing.assert_allclose(
        fitted.model.item_factors, fast.model.item_factors, rtol=0, atol=1e-5
    )


def test_a_training_without_validation_resumes_with_the_same_bits(tmp_path: Path) -> None:
    parts, config = planted_split(Config(test=0)), replace(SHORT, average=0.5)
    expected = fit(parts, config)

    def stop(epoch: Any) -> None:
        if epoch.epoch == 2:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        fit(parts, config, keeper=Keeper(tmp_path / "c", 1), on_epoch=stop)
    checkpoint = read_checkpoint(tmp_path / "c")
    assert sorted(checkpoint.history.lists) == ["loss", "mse", "seconds"]
    again = fit(parts, config, resume=checkpoint)
    for name, table in expected.model.tables.items():
        assert table.tobytes() == again.model.tables[name].tobytes()
    assert again.history.lists["mse"] == expected.history.lists["mse"]


def test_a_training_that_diverges_keeps_the_last_epoch() -> None:
    parts, config = planted_split(Config(test=0)), replace(SHORT, epochs=9, momentum=0.0)
    # The rate rises from epoch to epoch, so that not the first epoch diverges.
    with pytest.raises(Diverged, match=r"epoch \d, the last epoch before it, was kept") as caught:
        fit(parts, replace(config, lr=20.0, warmup=8))
    best = caught.value.best
    assert best.epoch == len(best.history) > 1


def test_early_stopping_needs_held_out_ratings(whole: Split) -> None:
    for allowed in (False, True):
        config = replace(SHORT, patience=2, stop_on_test=allowed)
        with pytest.raises(ConfigError) as caught:
            fit(whole.union(), config)
        assert str(caught.value) == ("patience=2 requires validation ratings; split with valid=0.1")


def test_commands_without_held_out_ratings(run: Run, folder: Path) -> None:
    done = run("train", "--k", 2, "--epochs", 2)
    line = done.out.splitlines()[-1]
    ratings = json.loads((folder / "split" / "split.json").read_text())["ratings"]["all"]
    assert line.startswith("model and history.json: train RMSE ")
    assert f" on {ratings} ratings after 2 epochs in " in line
    assert line.endswith("ratings/s); not validated, because no ratings are held out")
    assert "validation" not in done.err
    assert sorted(json.loads((folder / "history.json").read_text())) == [
        "digest", "format", "loss", "mfcli", "mse", "seconds"
    ]  # fmt: skip
    done = run("evaluate")
    assert (done.code, done.err) == (
        1,
        "error: the split has no test ratings; split again with --test 0.1, or name other ratings"
        " with --on FILE\n",
    )
    assert run("evaluate", "--on", "data.csv", "--quiet").code == 0
    assert run("recommend", "--user", 1, "--n", 2).code == 0
    assert run("plot", "history.json").code == 0
    shown = json.loads(run("show", "--json").out)
    kinds = {one["kind"]: one for one in shown["artifacts"]}
    assert kinds["history"]["curve"]["what"] == "training RMSE"
    assert set(kinds["model"]["losses"]) == {"loss", "mse"}
    assert run("init", "--force").code == 0


@pytest.mark.parametrize("option", ["--metric", "--at", "--relevant"])
def test_options_of_validation_are_refused(run: Run, folder: Path, option: str) -> None:
    value = {"--metric": "ndcg", "--at": 5, "--relevant": 2}[option]
    more = [] if option == "--metric" else ["--optimizer", "als", "--target", "rated",
                                            "--unrated-weight", 0.1]  # fmt: skip
    done = run("train", option, value, *more)
    assert (done.code, done.err) == (
        2, f"error: {option} is not used without held-out ratings; omit it\n"
    )  # fmt: skip


def test_scores_show_their_loss(run: Run, folder: Path) -> None:
    scored = ("--optimizer", "als", "--target", "rated", "--unrated-weight", 0.1)
    done = run("train", "--k", 2, "--epochs", 2, *scored)
    assert "epoch 1/2  train loss 0." in done.err
    assert "model and history.json: train loss 0." in done.out
    assert "NDCG" not in done.out + done.err


def test_averaging_is_announced_without_a_measure(run: Run, folder: Path) -> None:
    done = run("train", "--k", 2, "--epochs", 4, "--average", 0.5)
    assert "epoch 3: averaging starts\n" in done.err


def test_settings_are_searched_on_a_part_of_train() -> None:
    parts = planted_split(Config(test=0))
    assert recommended_config(parts).optimizer == "gibbs"
    space = {"optimizer": "sgd", "k": 2, "epochs": 2, "lr": [0.01, 0.1]}
    found = tune(parts, trials=2, space=space, threads=1)
    assert f" on {round(0.1 * len(parts.train))} ratings" in found.title


def test_new_users_are_folded_into_a_model_without_validation(whole: Split) -> None:
    """The noise is that of the training ratings, the only ones that are known."""
    model = fit(whole.union(), SHORT).model
    given = replace(whole.test, users=whole.test.users.counting(whole.test.user))
    folded = fold_in(model, given, replace=True)
    same = fold_in(model, given, replace=True, noise=model.losses["mse"])
    np.testing.assert_array_equal(folded.model.user_factors, same.model.user_factors)


def test_cross_validation_needs_test_ratings(whole: Split) -> None:
    with pytest.raises(UsageError, match=r"ratings\[1\] has no test ratings"):
        cross_validate([whole, whole.union()], SHORT)


def test_rankings_are_compared_on_ratings_that_a_model_has_not_seen(whole: Split) -> None:
    model = fit(whole, SHORT).model
    assert ranking_quality(model, whole, 3.0).part == "test"
    assert ranking_quality(model, replace(whole, test=None), 3.0).part == "valid"
    seen = replace(model, trained_on=("train", "test"))
    assert ranking_quality(seen, whole, 3.0).part == "valid"
    assert ranking_quality(fit(whole.union(), SHORT).model, whole, 3.0) is None


def test_a_union_trains_on_all_parts_in_order(whole: Split) -> None:
    union = whole.union()
    order = ("train", "valid", "test")
    assert triples(union.train) == [row for name in order for row in triples(whole.parts[name])]
    assert (union.test, union.valid, union.in_train) == (None, None, order)
    for side in ("users", "items"):
        ids, counted = getattr(union.train, side), getattr(whole.train, side)
        assert ids.ids.equals(counted.ids)  # rows stay
        rows = getattr(union.train, side[:-1])
        np.testing.assert_array_equal(ids.counts, np.bincount(rows, minlength=len(ids)))
    assert (union.scale, union.hash, union.source) == (whole.scale, whole.hash, whole.source)


def test_columns_of_a_union_stay_with_their_ratings(whole: Split) -> None:
    parts = {
        name: replace(
            part,
            timestamp=np.round(1000 * part.rating).astype(np.int64),
            weight=part.rating - part.rating.min() + np.float32(1),
        )
        for name, part in whole.parts.items()
    }
    union = replace(whole, **parts).union().train
    np.testing.assert_array_equal(union.timestamp, np.round(1000 * union.rating))
    lows = np.repeat([p.rating.min() for p in map(parts.get, ("train", "valid", "test"))],
                     [len(p) for p in map(parts.get, ("train", "valid", "test"))])  # fmt: skip
    np.testing.assert_allclose(union.weight, union.rating - lows + 1, rtol=1e-5)


def test_the_union_of_one_part_is_that_part() -> None:
    alone = planted_split(Config(test=0))
    union = alone.union()
    assert union.in_train == ("train",)
    assert triples(union.train) == triples(alone.train)
    one, two = fit(alone, SHORT).model, fit(union, SHORT).model
    assert one.user_factors.tobytes() == two.user_factors.tobytes()
    assert one.trained_on == two.trained_on == ("train",)


def test_a_union_that_does_not_fit_into_memory_is_in_temporary_space(
    whole: Split, tmp_path: Path
) -> None:
    """It is the same, and no file remains."""
    parts = {
        name: replace(part, timestamp=np.arange(len(part)), weight=part.rating**2 + np.float32(1))
        for name, part in whole.parts.items()
    }
    whole, spaces = replace(whole, **parts), list[tuple[int, Path]]()
    memory = whole.union()
    with resources(temp=tmp_path, room=1, on_space=lambda *space: spaces.append(space)):
        union = whole.union()
    assert spaces == [(len(memory.train) * (4 + 4 + 4 + 8 + 4), tmp_path)]
    for name in memory.train.types:
        stored, expected = getattr(union.train, name), getattr(memory.train, name)
        assert not stored.flags.owndata
        np.testing.assert_array_equal(stored, expected)
    assert triples(union.train) == triples(memory.train)
    np.testing.assert_array_equal(union.train.users.counts, memory.train.users.counts)
    assert not [*tmp_path.iterdir()]


def test_a_model_says_what_it_was_trained_on(whole: Split, tmp_path: Path) -> None:
    fit(whole, SHORT).write(tmp_path / "a")
    fit(whole.union(), SHORT).write(tmp_path / "b")
    assert Model.load(tmp_path / "a").trained_on == ("train",)
    again = Model.load(tmp_path / "b")
    assert again.trained_on == ("train", "valid", "test")
    record = json.loads((tmp_path / "b" / "model" / "model.json").read_text())
    assert record["trained_on"] == ["train", "valid", "test"]
    assert set(again.trained_on) == set(PARTS)


def test_a_part_that_does_not_exist_is_not_evaluated(whole: Split) -> None:
    parts = replace(whole, valid=None)
    with pytest.raises(ArtifactError) as caught:
        evaluate(fit(parts, SHORT).model, parts, on="valid")
    assert str(caught.value) == (
        "the split has no validation ratings; split again with valid=0.1, or name other ratings"
        " with on='FILE'"
    )

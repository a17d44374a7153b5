"""The Python API: what `import mfcli` offers."""

from __future__ import annotations

import ast
import pydoc
import subprocess
import sys
import textwrap
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest
from planted import planted_split

import mfcli
from mfcli.data import Vocabulary
from mfcli.search import outcome, search_plan, spaces as tuning_spaces
from mfcli.training.loop import start


@pytest.fixture(scope="module")
def split() -> mfcli.Split:
    return planted_split(mfcli.Config(), share=0.3)


@pytest.fixture(scope="module")
def model(split: mfcli.Split) -> mfcli.Model:
    """A model of users 100, 101, ... and items "i0", "i1", ..."""
    made = start(split, mfcli.Config(k=3))
    users = Vocabulary(pa.array(np.arange(100, 160)), made.users.counts)
    items = Vocabulary(pa.array([f"i{n}" for n in range(40)]), made.items.counts)
    return replace(made, users=users, items=items)


def test_importing_loads_nothing_until_it_is_used() -> None:
    code = (
        "import mfcli, sys; assert not {'numpy', 'pyarrow', 'typer'} & set(sys.modules);"
        "from mfcli import *; assert callable(split) and callable(fit)"
    )
    subprocess.run([sys.executable, "-c", code], check=True)
    assert set(mfcli.__all__) == set(dir(mfcli))
    for name in mfcli.__all__:
        assert getattr(mfcli, name) is not None
    with pytest.raises(AttributeError, match="mfcli attribute nonsense"):
        mfcli.nonsense  # noqa: B018


def test_the_package_is_marked_as_typed() -> None:
    assert (Path(mfcli.__file__).parent / "py.typed").is_file()


def test_type_checkers_see_the_same_names() -> None:
    stub = ast.parse(Path(mfcli.__file__).with_suffix(".pyi").read_text())
    names = {alias.name for node in stub.body if isinstance(node, ast.ImportFrom)
             for alias in node.names}  # fmt: skip
    assert names | {"__version__"} == set(mfcli.__all__)


def test_the_version_is_text() -> None:
    assert mfcli.__version__ == "0.1.0"


def test_predictions_are_by_raw_ids(model: mfcli.Model) -> None:
    expected = model.predict_rows(np.array([0, 5], np.int32), np.array([7, 7], np.int32))
    low, high = model.scale.min, model.scale.max
    np.testing.assert_array_equal(model.predict([100, 105], ["i7", "i7"], clip=False), expected)
    np.testing.assert_array_equal(model.predict([100, 105], "i7"), expected.clip(low, high))
    np.testing.assert_array_equal(model.predict("100", ["i7"]), expected[:1].clip(low, high))
    assert len(model.predict([], [])) == 0


@pytest.mark.parametrize("kind", [list, np.array, pd.Series, pa.array, tuple])
def test_ids_may_be_any_kind_of_sequence(model: mfcli.Model, kind: Callable[..., Any]) -> None:
    ids = [101, 102, 103]
    np.testing.assert_array_equal(
        model.predict(kind(ids), kind(["i1", "i2", "i3"])), model.predict(ids, ["i1", "i2", "i3"])
    )


def test_unknown_ids_add_nothing_to_a_prediction(model: mfcli.Model) -> None:
    unknown = model.predict([7, 101], ["i3", "nothing"], clip=False)
    assert unknown[0] == pytest.approx(model.mu + model.item_biases[3])
    assert unknown[1] == pytest.approx(model.mu + model.user_biases[1])


@pytest.mark.parametrize("ids", [1.5, [1.5], [None], [True], ["a", 3], [1, None], [[1]]])
def test_ids_of_other_types_are_refused(model: mfcli.Model, ids: Any) -> None:
    with pytest.raises(mfcli.MfcliError, match="ids must be integers or text, got "):
        model.predict(ids, "i1")


def test_lengths_must_agree(model: mfcli.Model) -> None:
    with pytest.raises(mfcli.MfcliError, match=r"must have the same length, or .* got 2 and 3"):
        model.predict([100, 101], ["i1", "i2", "i3"])


def test_recommendations(split: mfcli.Split, model: mfcli.Model) -> None:
    made = replace(model, items=split.train.items, users=split.train.users)
    table = made.recommend([3, 4], 5, exclude=split.train)
    assert table.column_names == ["user", "rank", "item", "prediction"]
    frame = table.to_pandas()
    assert frame["user"].tolist() == [3] * 5 + [4] * 5
    rated = set(split.train.item[split.train.user == 3].tolist())
    assert not rated & set(frame["item"][:5])
    np.testing.assert_allclose(
        frame["prediction"], made.predict(frame["user"], frame["item"], clip=False), rtol=1e-5
    )
    assert len(made.recommend(3, 100)) == 40
    with pytest.raises(mfcli.MfcliError, match="user 'x' is not among the model's 60 users"):
        made.recommend("x")


def test_a_model_is_saved_and_loaded(model: mfcli.Model, tmp_path: Path) -> None:
    model.save(tmp_path / "model")
    again = mfcli.Model.load(str(tmp_path / "model"))
    for name, table in model.tables.items():
        np.testing.assert_array_equal(again.tables[name], table)
    assert again.items.ids.equals(model.items.ids)


def test_ratings_from_tables_in_memory(tmp_path: Path) -> None:
    frame = pd.DataFrame({"user": ["a", "b", "a"], "item": [1, 2, 2], "rating": [3.0, 4, 5]})
    frame.to_csv(tmp_path / "r.csv", index=False)
    read = mfcli.read_ratings(tmp_path / "r.csv")
    for table in (frame, pa.Table.from_pandas(frame)):
        taken = mfcli.ratings_from(table)
        np.testing.assert_array_equal(taken.rating, read.rating)
        np.testing.assert_array_equal(taken.user, read.user)
        assert taken.users.ids.equals(read.users.ids)
    with pytest.raises(mfcli.MfcliError, match="table: has no rating column; its columns are"):
        mfcli.ratings_from(frame.drop(columns="rating"))
    with pytest.raises(mfcli.MfcliError, match="table: row 2: rating must be a finite number"):
        mfcli.ratings_from(frame.assign(rating=[1.0, float("inf"), 2.0]))
    renamed = frame.rename(columns={"user": "who"})
    assert len(mfcli.ratings_from(renamed, columns={"user": "who"})) == 3


def test_wrong_types_are_named(split: mfcli.Split, model: mfcli.Model) -> None:
    config: Any = {"k": 3}
    wrong: list[tuple[Callable[[], Any], str]] = [
        (lambda: mfcli.split(7), "ratings must be a data frame, an Arrow table, arrays (use"),
        (lambda: mfcli.fit(split.train), "split must have the type Split, got Ratings; make one "),
        (lambda: mfcli.fit(split, config), "config must have the type Config, got dict"),
        (lambda: mfcli.evaluate(model, split.train), "split must have the type Split, got Ratings; "
         "give a split, and these ratings as on"),
        (lambda: mfcli.evaluate("model", split), "model must have the type Model, got str; load o"),
        (lambda: mfcli.evaluate(model, split, on=7), "on must be a data frame, an Arrow table, ar"),
        (lambda: mfcli.evaluate(model, split, on="tset"), "on must be one of train, test, valid, "),
        (lambda: mfcli.split(split.train, config), "config must have the type Config, got dict"),
    ]  # fmt: skip
    for call, message in wrong:
        with pytest.raises(mfcli.MfcliError) as caught:
            call()
        assert str(caught.value).startswith(message)


# Splits


def test_a_split_of_given_parts(split: mfcli.Split) -> None:
    frame = pd.DataFrame({"user": [1, 1, 2, 3], "item": [1, 2, 1, 9], "rating": [3.0, 4, 5, 1]})
    made = mfcli.Split.of(frame[:2], (["b"], [1], [5.0]), frame[3:])
    assert {name: len(part) for name, part in made.parts.items()} == {
        "train": 2,
        "test": 1,
        "valid": 1,
    }
    assert made.train.users.ids.to_pylist() == ["1", "b", "3"]  # text in one part, so in all
    assert made.train.users.counts.tolist() == [2, 0, 0]
    assert made.scale == (1, 5, 1)
    assert repr(made) == "Split(train 2, test 1, valid 1; 3 users, 3 items)"
    again = mfcli.Split.of(split.train, split.test)
    np.testing.assert_array_equal(again.test.rating, split.test.rating)


@pytest.mark.parametrize(
    ("parts", "message"),
    [
        ({"test": ([1], [1], [2])}, "1 pairs of a user and an item are in train and in test; "),
        ({"valid": ([2], [2], [2])}, "1 pairs of a user and an item are in test and in valid; "),
        ({"test": 7}, "test must be a data frame, an Arrow table, arrays (user, item, rating) o"),
        ({"valid": ([1, 1], [8, 9], [5, None])}, "valid: row 2: rating is null"),
        ({"test": ([], [], [])}, "test: holds no rating"),
    ],
)
def test_given_parts_are_checked(parts: dict[str, Any], message: str) -> None:
    given: dict[str, Any] = {"train": ([1, 1], [1, 2], [3, 4]), "test": ([2], [2], [5])}
    with pytest.raises(mfcli.MfcliError) as caught:
        mfcli.Split.of(**given | parts)
    assert str(caught.value).startswith(message)


def test_a_written_split_of_given_parts_is_read(tmp_path: Path, split: mfcli.Split) -> None:
    mfcli.write_split(tmp_path / "split", mfcli.Split.of(split.train, split.test))
    again = mfcli.read_split(tmp_path / "split")
    assert again.strategy == {"name": "given"}
    np.testing.assert_array_equal(again.train.rating, split.train.rating)


def test_split_takes_anything_that_is_ratings_and_makes_folds() -> None:
    arrays = ([1, 1, 2, 3], [1, 2, 1, 9], [3.0, 4, 5, 1])
    folds = mfcli.split(arrays, folds=2)
    assert isinstance(folds, mfcli.Folds)
    assert [len(fold.test) for fold in folds] == [2, 2]
    by_config = mfcli.split(arrays, mfcli.Config(strategy="k-fold", folds=2))
    np.testing.assert_array_equal(folds[1].test.rating, by_config[1].test.rating)
    assert len(mfcli.split(arrays).train) == 3
    with pytest.raises(mfcli.MfcliError, match="strategy must be k-fold, got 'per-user'"):
        mfcli.split(arrays, mfcli.Config(strategy="per-user"), folds=2)
    with pytest.raises(mfcli.MfcliError, match="folds must be at least 2"):
        mfcli.split(arrays, folds=1)
    with pytest.raises(mfcli.MfcliError, match="got 2 folds; train on each of the folds, or use c"):
        mfcli.fit(folds)  # type: ignore[arg-type]  # the mistake that is tested


# Models


def test_users_and_items_are_tables(model: mfcli.Model) -> None:
    frame = model.items.to_pandas()
    assert [*frame] == ["id", "count", "bias", "factors"]
    assert frame["id"].tolist()[:2] == ["i0", "i1"]
    np.testing.assert_array_equal(frame["count"], model.items.counts)
    np.testing.assert_array_equal(frame["bias"], model.item_biases)
    np.testing.assert_array_equal(np.stack(frame["factors"].tolist()), model.item_factors)
    table = pa.table(model.users)  # by the protocol that polars and others use, too
    assert table.schema.names == [*frame]
    assert table["factors"].type == pa.list_(pa.float32(), 3)
    assert repr(model.users) == "Vocabulary(60 int64 ids; columns id, count, bias, factors)"
    assert repr(model) == "Model(k=3, 60 users, 40 items)"


def test_tables_of_a_changed_model_have_its_weights(model: mfcli.Model) -> None:
    changed = model.with_tables({"user_biases": np.full(60, 2, np.float32)})
    assert changed.users.to_pandas()["bias"].unique().tolist() == [2]
    # Vocabularies with other rows have no weights.
    assert model.users.counting(np.array([1], np.int32)).to_arrow().column_names == ["id", "count"]


def test_predictions_for_a_table_of_pairs(model: mfcli.Model) -> None:
    frame = pd.DataFrame({"movieId": ["i1", "i2", "x"], "userId": [100, 101, 102], "seen": 1})
    expected = model.predict(frame["userId"], frame["movieId"])
    for table in (frame, pa.table(frame), frame.to_dict("list")):
        np.testing.assert_array_equal(model.predict(table), expected)
    renamed = frame.rename(columns={"userId": "who"})
    np.testing.assert_array_equal(model.predict(renamed, columns={"user": "who"}), expected)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"users": 100}, "items is missing; give the items, or a table of users and items"),
        ({"users": {"user": [1]}}, "users: must have the columns user, item, got 'user'"),
        ({"users": {"who": [1], "item": [1]}}, "users: has no user column; its columns are who, "),
        ({"users": {"user": [None], "item": [1]}}, "users: row 1: user is null"),
        ({"users": {"user": [1], "item": [1]}, "items": 3}, "items is not used with a table of p"),
        ({"users": 1, "items": 3, "columns": {"user": "x"}}, "columns is used only with a table"),
        ({"users": 1.5, "items": 3}, "users: ids must be integers or text, got 1.5"),
        ({"users": 1, "items": None, "columns": {"usr": "x"}}, "items is missing"),
    ],
)
def test_errors_of_predictions_name_the_argument(
    model: mfcli.Model, arguments: dict[str, Any], message: str
) -> None:
    with pytest.raises(mfcli.MfcliError) as caught:
        model.predict(**arguments)
    assert str(caught.value).startswith(message)


# What the commands do


@pytest.fixture(scope="module")
def fitted(split: mfcli.Split) -> mfcli.Fit:
    return mfcli.fit(split, mfcli.Config(k=3, epochs=3))


@pytest.fixture(scope="module")
def metrics(fitted: mfcli.Fit, split: mfcli.Split) -> mfcli.Metrics:
    return mfcli.evaluate(fitted.model, split, mfcli.Config(resamples=20))


def test_the_help_of_fit_fits_on_a_screen() -> None:
    text = pydoc.plain(pydoc.render_doc(mfcli.fit, "%s"))
    lines = [line for long in text.strip().splitlines() for line in textwrap.wrap(long, 80) or [""]]
    assert len(lines) <= 24


def test_settings_are_shown_if_they_are_not_the_defaults() -> None:
    assert repr(mfcli.Config()) == "Config()"
    assert repr(mfcli.Config(k=3, optimizer="gibbs")) == "Config(k=3, optimizer='gibbs')"


def test_recommend_omits_what_is_excluded(fitted: mfcli.Fit, split: mfcli.Split) -> None:
    model = fitted.model
    rated = {
        (user, item)
        for part in split.parts.values()
        for user, item in zip(part.user.tolist(), part.item.tolist(), strict=True)
    }
    table = mfcli.recommend(model, [3, 4], 40, exclude=split).to_pandas()
    found = set(zip(table["user"], table["item"], strict=True))
    assert not found & rated
    assert len(found | {pair for pair in rated if pair[0] in (3, 4)}) == 80
    frame = pd.DataFrame({"user": [3, 3], "item": [5, 6], "rating": 4.0})
    assert len(mfcli.recommend(model, 3, 40, exclude=frame)) == 38
    everyone = mfcli.recommend(model, n=1)
    assert everyone["user"].to_pylist() == model.users.ids.to_pylist()


def test_recommendations_are_clipped_in_the_order_of_the_predictions(split: mfcli.Split) -> None:
    model = replace(start(split, mfcli.Config(k=3)), mu=split.scale.max)
    table = mfcli.recommend(model, 3, 40).to_pandas()
    raw = mfcli.recommend(model, 3, 40, clip=False).to_pandas()
    assert table["item"].tolist() == raw["item"].tolist()
    assert raw["prediction"].is_monotonic_decreasing
    np.testing.assert_array_equal(table["prediction"], raw["prediction"].clip(*split.scale[:2]))
    assert (table["prediction"] < raw["prediction"]).any()


def test_recommend_some_items(fitted: mfcli.Fit, tmp_path: Path) -> None:
    model = fitted.model
    (tmp_path / "titles.csv").write_text("item,title\n5,Heat\n6,Babe\n")
    with pytest.warns(mfcli.MfcliWarning, match="items: 1 of 3 items is not among the model's"):
        table = mfcli.recommend(model, 3, items=[5, 6, 77], titles=tmp_path / "titles.csv")
    assert set(zip(*(table[name].to_pylist() for name in ("item", "title")), strict=True)) == {
        (5, "Heat"),
        (6, "Babe"),
    }
    often = int(np.argmax(model.items.counts))
    least = int(model.items.counts.max())
    assert often in mfcli.recommend(model, 3, 40, min_count=least)["item"].to_pylist()
    with pytest.warns(mfcli.MfcliWarning, match="no item is left to recommend to 1 of 1 users"):
        assert len(mfcli.recommend(model, 3, 40, min_count=least + 1)) == 0


def test_similar_lists_items_and_users(fitted: mfcli.Fit, tmp_path: Path) -> None:
    model = fitted.model
    (tmp_path / "titles.csv").write_text("".join(f"{n},film {n}\n" for n in range(40)))
    table = mfcli.similar(model, 5, 3, titles=tmp_path / "titles.csv").to_pandas()
    assert [*table] == ["rank", "item", "cosine", "title"]
    q = model.item_factors
    nearest = np.argsort(-(q @ q[5]) / np.linalg.norm(q, axis=1))
    assert table["item"].tolist() == [n for n in nearest if n != 5][:3]
    assert table["title"].tolist() == [f"film {n}" for n in table["item"]]
    assert [*mfcli.similar(model, "5", users=True).to_pandas()] == ["rank", "user", "cosine"]


def test_fold_in_uses_the_validation_error(fitted: mfcli.Fit) -> None:
    new = (["anna", "anna"], [5, 6], [1.0, 5.0])
    folded = mfcli.fold_in(fitted.model, new)
    same = mfcli.fold_in(fitted.model, new, fitted.losses["val_mse"])
    np.testing.assert_array_equal(folded.model.user_factors, same.model.user_factors)
    assert folded.model.users.to_pandas()["count"].tolist() == [2]
    assert len(mfcli.extended(fitted.model, folded).users) == 61
    with pytest.raises(mfcli.MfcliError, match="the model has no validation error; train again"):
        mfcli.fold_in(replace(fitted.model, losses={}), new)


def test_export_returns_what_it_wrote(
    fitted: mfcli.Fit, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    done = mfcli.export(fitted.model, "npz")
    assert done.out == Path("export/model.npz")
    assert done.bytes == done.out.stat().st_size
    assert mfcli.export(fitted.model, "csv", "tables").out == Path("tables")


def test_compare_takes_metrics_and_paths(
    fitted: mfcli.Fit, metrics: mfcli.Metrics, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    for name in ("a", "b"):
        fitted.write(f"runs/{name}")
        metrics.write(f"runs/{name}/metrics.json")
    assert [*mfcli.compare(["runs/a", Path("runs/b/metrics.json")]).runs] == ["a", "b"]
    assert [*mfcli.compare(["runs/a", metrics]).runs] == ["a", "run 2"]
    compared = mfcli.compare({"one": metrics, "two": "runs/a"})
    assert [*compared.to_pandas()] == ["measure", "one", "two"]
    difference = compared.difference("rmse", "two")
    assert difference is not None
    assert difference.value == 0
    with pytest.raises(mfcli.MfcliError, match="run must be one of one, two, got 'three'"):
        compared.difference("rmse", "three")
    with pytest.raises(mfcli.MfcliError, match=r"measure must be one of rmse, mse, .*, got 'ndgc'"):
        compared.best("ndgc")
    table = mfcli.compare({"measure": metrics, "two": metrics}).to_arrow()
    assert table.column_names == ["measure", "measure", "two"]
    assert table[0].to_pylist() == list(compared.measures)


def test_plot_takes_results_and_paths(
    fitted: mfcli.Fit, metrics: mfcli.Metrics, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    fitted.write("run")
    metrics.write("run/metrics.json")
    assert mfcli.plot({"a": fitted, "b": fitted.history, "c": "run"}) == Path("history.png")
    assert mfcli.plot(iter([fitted, fitted])) == Path("history.png")
    assert mfcli.plot([fitted, "run"], "two.svg", rmse=True, title="Two") == Path("two.svg")
    assert mfcli.plot("run/metrics.json") == Path("metrics.png")
    direct, named = Path("direct.svg"), Path("named.svg")
    mfcli.plot(metrics, direct)
    mfcli.plot("run/metrics.json", named)
    assert direct.read_bytes() == named.read_bytes()
    assert Path("two.svg").read_bytes().startswith(b"<?xml")


def test_tune_finds_settings_to_fit(split: mfcli.Split, tmp_path: Path) -> None:
    seen: list[Any] = []
    space = {"k": {"low": 1, "high": 4}, "epochs": [1, 20], "reg": 0}
    tuned = mfcli.tune(
        split,
        mfcli.Config(seed=1, lr=0.05),
        trials=9,
        space=space,
        storage=tmp_path / "search.jsonl",
        on_trial=seen.append,
    )
    assert len(seen) == len(tuned.attempts) == 9
    assert tuned.config.epochs == 20
    assert (tuned.config.seed, tuned.config.lr) == (1, 0.05)
    assert tuned.value == min(one.value for one in tuned.attempts if one.is_complete)
    assert mfcli.plot(tuned, tmp_path / "search.png").is_file()
    (tmp_path / "space.toml").write_text("k = {low = 1, high = 4}\nepochs = [1, 20]\nreg = 0\n")
    resumed = mfcli.tune(
        split,
        mfcli.Config(seed=1, lr=0.05),
        trials=9,
        space=tmp_path / "space.toml",
        storage=str(tmp_path / "search.jsonl"),
    )
    assert resumed.config == tuned.config


@pytest.mark.parametrize("values", [(2, 3), range(2, 4), np.array([2, 3])])
def test_choices_may_be_any_sequence(values: Any) -> None:
    space = tuning_spaces.space_of({"k": values})
    assert space == {"k": tuning_spaces.Choice((2, 3))}


def test_tune_tries_the_recommended_settings(
    split: mfcli.Split, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Unless they take longer than the time that there is."""
    small = mfcli.Config(k=2, optimizer="gibbs", epochs=4)
    monkeypatch.setattr(search_plan, "space_for", lambda *_: {"k": tuning_spaces.Choice((2,))})
    monkeypatch.setattr(outcome, "recommended_config", lambda *_, **__: small)
    tuned = mfcli.tune(split, mfcli.Config(epochs=1, lr=1e-6), trials=1)
    assert tuned.config.optimizer == "gibbs"
    assert tuned.title.startswith("Settings of mfcli init")


def test_evaluate_takes_anything_that_is_ratings(
    fitted: mfcli.Fit, split: mfcli.Split, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    test, config = split.test, mfcli.Config(resamples=0)
    frame = pd.DataFrame({"user": test.user, "item": test.item, "rating": test.rating})
    frame.to_csv("new.csv", index=False)
    expected = mfcli.evaluate(fitted.model, split, config).measures["rmse"]
    for on in (test, frame, "new.csv", Path("new.csv")):
        measured = mfcli.evaluate(fitted.model, split, config, on=on).measures["rmse"]
        assert measured == pytest.approx(expected)


def test_results_describe_themselves(fitted: mfcli.Fit, metrics: mfcli.Metrics) -> None:
    """In a notebook, a result is shown in a few lines, without its arrays."""
    assert repr(fitted.history) == "History(3 epochs of loss, mse, val_loss, val_mse, seconds)"
    assert repr(fitted).startswith("Fit(Model(k=3, 60 users, 40 items); 3 epochs: loss 0.")
    assert repr(metrics).startswith("Metrics(rmse 0.")
    compared = mfcli.compare([metrics, metrics])
    rmse = f"{metrics.measures['rmse']:.4f}"
    assert repr(compared).splitlines()[:2] == [
        "Comparison of run 1, run 2",
        f"rmse: {rmse}, {rmse}",
    ]
    folds = mfcli.FoldMetrics.of([metrics, metrics])
    assert repr(folds).startswith(f"FoldMetrics(2 folds, means rmse {rmse}, mse ")


def calls(
    split: mfcli.Split, model: mfcli.Model, metrics: mfcli.Metrics
) -> list[tuple[Callable[[], Any], str]]:
    """Return calls with a wrong argument, and how their messages begin."""
    wrong: Any = 7
    return [
        (lambda: mfcli.recommend("m", 1), "model must have the type Model, got str; load one with"),
        (lambda: mfcli.recommend(model, "x"), "user 'x' is not among the model's 60 users"),
        (lambda: mfcli.recommend(model, 3, 0), "n must be at least 1, got 0"),
        (lambda: mfcli.recommend(model, 3, min_count=-1), "min_count must be at least 0, got -1"),
        (lambda: mfcli.recommend(model, 3, exclude=7), "exclude must be a data frame, an Arrow t"),
        (
            lambda: mfcli.recommend(model, 3, items=[777]),
            "items: item 777 is not among the mod",
        ),
        (lambda: mfcli.similar(model, "x"), "item 'x' is not among the model's 40 items"),
        (lambda: mfcli.similar(model, 3, n=wrong / 2), "n must be a whole number, got 3.5"),
        (lambda: mfcli.similar(model, 3, users=True, titles="t"), "titles are those of items; om"),
        (lambda: mfcli.fold_in(wrong, wrong), "model must have the type Model, got int; load one"),
        (lambda: mfcli.fold_in(model, 7), "ratings must be a data frame, an Arrow table, arrays "),
        (lambda: mfcli.export(wrong, "npz"), "model must have the type Model, got int; load one "),
        (lambda: mfcli.export(model, "x"), "format must be keras, savedmodel, npz, csv, parquet,"),
        (lambda: mfcli.compare({"a": metrics}), "runs must be at least two runs, got 1"),
        (lambda: mfcli.compare("runs/a"), "runs must be a mapping or a sequence, got 'runs/a'"),
        (lambda: mfcli.compare([metrics, wrong]), "runs['run 2'] must be metrics or a path, got "),
        (lambda: mfcli.plot(wrong), "results must be a result of fit, evaluate or tune, or a path"),
        (
            lambda: mfcli.plot(mfcli.FoldMetrics.of([metrics] * 2)),
            "results must be a result of fit,"
            " evaluate or tune, or a path, got FoldMetrics; draw the metrics of a fold, such as ",
        ),
        (lambda: mfcli.plot([]), "results must be at least one result, got none"),
        (lambda: mfcli.plot(metrics, rmse=True), "rmse is used only for histories; omit it"),
        (lambda: mfcli.tune(wrong), "split must have the type Split, got int; make one with spli"),
        (lambda: mfcli.tune(split, trials=0), "trials must be at least 1, got 0"),
        (lambda: mfcli.tune(split, minutes=0), "minutes must be a number above 0, got 0"),
        (lambda: mfcli.tune(split, space=wrong), "space must be a mapping or a path, got 7"),
        (lambda: mfcli.tune(split, space={"kk": 1}), "space: unknown setting 'kk'"),
        (lambda: mfcli.check(wrong), "ratings must be a data frame, an Arrow table, arrays (user"),
        (lambda: mfcli.check(split.train, wrong), "config must have the type Config, got int"),
        (lambda: mfcli.recommended_config(wrong), "split must have the type Split, got int; make"),
    ]


def calls_of_other_types(split: mfcli.Split, fitted: mfcli.Fit) -> list[tuple[Any, str]]:
    """Return calls with an argument of another type, and how their messages begin."""
    wrong: Any = None
    some: Any = True
    model = fitted.model
    return [
        (lambda: mfcli.Model.load(wrong), "folder must be a path, got NoneType"),
        (lambda: model.save(wrong), "folder must be a path, got NoneType"),
        (lambda: fitted.write(wrong), "folder must be a path, got NoneType"),
        (lambda: mfcli.History.read(wrong), "path must be a path, got NoneType"),
        (lambda: mfcli.read_split(wrong), "folder must be a path, got NoneType"),
        (lambda: mfcli.read_folds(wrong), "folder must be a path, got NoneType"),
        (lambda: mfcli.write_split("x", wrong), "split must have the type Split, got NoneType"),
        (lambda: mfcli.write_split(wrong, split), "folder must be a path, got NoneType"),
        (lambda: mfcli.read_ratings("x", on_progress=wrong), "on_progress must be a function, go"),
        (lambda: mfcli.Split.of(wrong, wrong), "train must be a data frame, an Arrow table, arr"),
        (lambda: mfcli.fit(split, on_epoch=wrong), "on_epoch must be a function, got None"),
        (lambda: mfcli.fit(split, threads=0), "threads must be at least 1, got 0"),
        (lambda: mfcli.fit(split, threads="2"), "threads must be a whole number, got '2'"),
        (lambda: mfcli.fit(split, k=3), "fit has no argument 'k'; give settings in a config: "),
        (lambda: mfcli.fit(split, resume=some), "resume must have the type Checkpoint, got bool"),
        (lambda: mfcli.fit(split, keeper=some), "keeper must have the type Keeper, got bool"),
        (lambda: mfcli.read_metrics(wrong), "path must be a path, got NoneType"),
        (lambda: mfcli.Config(learning_rate=1), "unknown key 'learning_rate'; did you mean 'lr'?"),
        (lambda: mfcli.evaluate(model, split, threads=1.5), "threads must be a whole number, got"),
        (lambda: mfcli.cross_validate(split.train, on_fold=wrong), "on_fold must be a function, g"),
        (lambda: mfcli.cross_validate(split.train, measures=[]), "measures must be at least one m"),
        (lambda: mfcli.tune(split, trials=True), "trials must be a whole number, got True"),
        (lambda: mfcli.tune(split, minutes="1"), "minutes must be a number above 0, got '1'"),
        (lambda: mfcli.tune(split, storage=7), "storage must be a path, got int"),
        (
            lambda: mfcli.tune(split, space={"k": [2, 3]}, optimizer="sgd"),
            "optimizer is not used w",
        ),
        (lambda: mfcli.plot(fitted, 7), "out must be a path, got int"),
        (lambda: mfcli.plot(fitted, title=7), "title must have the type str, got int"),
        (lambda: mfcli.plot(fitted, dpi="x"), "dpi must be a number, got 'x'"),
        (lambda: mfcli.recommend(model, 3, True), "n must be a whole number, got True"),
        (lambda: model.recommend(3, 0), "n must be at least 1, got 0"),
        (lambda: mfcli.recommend(model, 3, titles=7), "titles must be a path, got int"),
        (lambda: mfcli.recommend(model, pd.DataFrame({"user": [3]})), "users: ids must be integer"),
        (lambda: mfcli.fold_in(model, split.train, -1), "noise must be a number of at least 0, go"),
        (lambda: mfcli.fold_in(model, ("u", 1, 5)), "ratings must be a path or several paths, go"),
        (lambda: mfcli.extended(model, model), "folded must have the type FoldedIn, got Model"),
        (lambda: mfcli.export(model, ["npz"]), "format must have the type str, got list"),
        (lambda: mfcli.export(model, "npz", 7), "out must be a path, got int"),
        (lambda: mfcli.fetch_movielens(7), "name must have the type str, got int"),
        (lambda: mfcli.fetch_movielens("ml-1m", 7), "out must be a path, got int"),
        (lambda: mfcli.ratings_from({1, 2}, {1, 2}, {1, 2}), "table['user'] must be an array of o"),
    ]


def test_every_error_names_the_argument(
    split: mfcli.Split, fitted: mfcli.Fit, metrics: mfcli.Metrics
) -> None:
    wrong = calls(split, fitted.model, metrics) + calls_of_other_types(split, fitted)
    for call, message in wrong:
        with pytest.raises(mfcli.MfcliError) as caught:
            call()
        assert str(caught.value).startswith(message)

"""The Python API: what `import mfcli` offers."""

from __future__ import annotations

import ast
import subprocess
import sys
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

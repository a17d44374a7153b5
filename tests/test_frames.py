"""Ratings from tables in memory; errors name the row, the column and the argument."""

from __future__ import annotations

import tempfile
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest

import mfcli
from mfcli.data import Ratings, is_table

FRAME = pd.DataFrame(
    {"user": ["a", "b", "a"], "item": [1, 2, 2], "rating": [3.0, 4, 5], "ts": [7, 8, 9]}
)


def rows(ratings: Ratings) -> list[tuple[object, ...]]:
    users, items = ratings.users.ids.to_pylist(), ratings.items.ids.to_pylist()
    times = ratings.timestamp if ratings.timestamp is not None else [None] * len(ratings)
    columns = (ratings.user, ratings.item, ratings.rating, times)
    return [(users[u], items[i], float(r), t) for u, i, r, t in zip(*columns, strict=True)]


EXPECTED = [("a", 1, 3.0, 7), ("b", 2, 4.0, 8), ("a", 2, 5.0, 9)]


def test_no_temporary_file_is_written(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*args: object, **extra: object) -> None:
        raise AssertionError

    for name in ("TemporaryDirectory", "NamedTemporaryFile", "mkdtemp", "mkstemp"):
        monkeypatch.setattr(tempfile, name, refuse)
    assert rows(mfcli.ratings_from(FRAME)) == EXPECTED


class Exported:
    """A data frame of another library."""

    def __arrow_c_stream__(self, requested_schema: object = None) -> object:
        return pa.Table.from_pandas(FRAME).__arrow_c_stream__(requested_schema)


@pytest.mark.parametrize(
    "table",
    [
        pa.Table.from_pandas(FRAME),
        pa.Table.from_pandas(FRAME).to_batches()[0],
        pa.concat_tables([pa.Table.from_pandas(FRAME[:1]), pa.Table.from_pandas(FRAME[1:])]),
        Exported(),
        FRAME.set_index("user"),
        FRAME.set_index(["user", "item"]),
        FRAME.iloc[[0, 1, 2]].set_axis([5, 6, 7]),
        FRAME.astype({"user": "category", "item": "Int64", "rating": "float32"}),
        FRAME.astype({"item": "uint8", "ts": "float64"}),
        FRAME.assign(ts=pd.to_datetime(FRAME["ts"], unit="s")),
        FRAME.rename(columns=str.upper),
        FRAME.rename(columns={"ts": 0}).assign(ts=FRAME["ts"]),
        FRAME.to_dict("list"),
        FRAME.to_dict("series"),
        tuple(FRAME[name] for name in FRAME),
        tuple(FRAME[name].tolist() for name in FRAME),
        tuple(FRAME[name].to_numpy() for name in FRAME),
        tuple(pa.array(FRAME[name]) for name in FRAME),
        tuple(pa.chunked_array([FRAME[name]]) for name in FRAME),
    ],
    ids=lambda table: type(table).__name__,
)
def test_tables_of_all_kinds(table: Any) -> None:
    assert rows(mfcli.ratings_from(table)) == EXPECTED


class ExportedColumn(Exported):
    """A Series of another library, which exports itself as a table does."""

    dtype = "int64"

    def __arrow_c_stream__(self, requested_schema: object = None) -> object:
        return pa.chunked_array([FRAME["item"]]).__arrow_c_stream__(requested_schema)


def test_a_column_of_another_library_is_no_table() -> None:
    assert is_table(Exported())
    assert is_table(FRAME.rename(columns={"ts": "dtype"}))
    assert not is_table(ExportedColumn())
    assert not is_table(FRAME["item"])
    ratings = mfcli.ratings_from(FRAME["user"], ExportedColumn(), FRAME["rating"])
    assert ratings.items.ids.to_pylist() == [1, 2]


def test_columns_can_be_named() -> None:
    frame = FRAME.rename(columns={"user": "who", "rating": 5})
    columns = {"user": "who", "rating": "5", "timestamp": ""}
    ratings = mfcli.ratings_from(frame, columns=columns)
    assert rows(ratings) == [(*row[:3], None) for row in EXPECTED]
    source = ratings.source
    assert source is not None
    assert source.columns == {"user": "who", "item": "item", "rating": "5"}
    assert (source.name, source.files, source.rows, source.sha256) == ("table", 0, 3, "")
    assert source.settings == {"duplicates": "keep-last"}


def test_a_split_of_a_table_is_written(tmp_path: Path) -> None:
    made = mfcli.split(mfcli.ratings_from(FRAME), mfcli.Config(test=0.4))
    mfcli.write_split(tmp_path / "split", made)
    assert mfcli.read_split(tmp_path / "split").source == made.source


def test_duplicates_are_merged() -> None:
    frame = pd.concat([FRAME, FRAME.assign(rating=1.0)], ignore_index=True)
    ratings = mfcli.ratings_from(frame, duplicates="mean")
    assert [row[2] for row in rows(ratings)] == [2.0, 2.5, 3.0]
    assert ratings.source is not None
    assert ratings.source.duplicates == 3
    with pytest.raises(mfcli.MfcliError, match="table: row 4: user 'a' has rated item 1 before;"):
        mfcli.ratings_from(frame, duplicates="error")


FORMS = "must be a data frame, an Arrow table, arrays (user, item, rating) or a path"


class Broken:
    """A data frame of another library that cannot be read."""

    def __arrow_c_stream__(self, requested_schema: object = None) -> object:
        raise RuntimeError("lost the connection\nby peer")


WRONG = [
    (None, f"table {FORMS}, got NoneType; make a pandas DataFrame of it"),
    (7, f"table {FORMS}, got int; make a pandas DataFrame of it"),
    (
        {"user": [1], "item": [1, 2], "rating": [1.0]},
        "table must have columns of one length, got 1 for 'user' and 2 for 'item'",
    ),
    (
        {"user": [1], "item": [[1]], "rating": "3"},
        "table['rating'] must be an array of one dimension, got str",
    ),
    (
        ([1], [2]),
        "rating is missing; give arrays (user, item, rating); or, if each row is an event, use"
        " columns={'rating': ''}",
    ),
    (
        ([1], [2], np.ones((1, 1))),
        "table['rating'] must be an array of one dimension, got shape (1, 1)",
    ),
    (([1], [2], [3], [4], [5]), "table must have three or four arrays, got 5"),
    (
        ([1, "a"], [2, 2], [3, 4]),
        "table['user'] must be an array of numbers or texts of one type, got list",
    ),
    ((["a", ""], [2, 2], [3, 4]), "table: row 2: user id must not be empty"),
    (Broken(), f"table {FORMS}, got Broken (lost the connection); make a pandas DataFrame of it"),
    (
        FRAME.drop(columns="rating"),
        "table: has no rating column; its columns are user, item, ts;"
        " choose with columns['rating']; or, if each row is an event, use columns={'rating': ''}",
    ),
    (
        pd.concat([FRAME, FRAME[["rating"]]], axis=1),
        "table: has several columns 'rating'; choose with columns['rating']",
    ),
    (
        FRAME.assign(user=[9, "user_foo", 4]),
        "table: row 2: column 'user' must hold values of one type, got int and str;"
        " convert the column, as with table['user'].astype(str), or choose another with"
        " columns['user']",
    ),
    (
        FRAME.assign(item=[object(), object(), object()]),
        "table: column 'item' must hold values that Arrow can read;"
        " convert the column, as with table['item'].astype(str), or choose another with"
        " columns['item']",
    ),
    (
        FRAME.assign(user=[1.0, 2.5, 3.0]),
        "table: row 2: user id must be a whole number or text, got 2.5",
    ),
    (
        FRAME.assign(rating=["1", "2", "3"]),
        "table: column 'rating' must hold finite numbers, got string;"
        " write them as numbers, or choose another with columns['rating']",
    ),
    (
        FRAME.assign(ts=["1", "2", "soon"]),
        "table: row 3: timestamp (column 'ts') must be seconds or an ISO 8601 date, got 'soon';"
        " ignore times with columns={'timestamp': ''}",
    ),
    (
        FRAME.assign(ts=[True, False, True]),
        "table: column 'ts' must hold seconds or dates, got bool;"
        " ignore times with columns={'timestamp': ''}",
    ),
    (
        FRAME.assign(ts=[1, 2, None]),
        "table: row 3: timestamp (column 'ts') is null;"
        " ignore times with columns={'timestamp': ''}",
    ),
    (FRAME.assign(user=["a", None, "b"]), "table: row 2: user is null"),
    (FRAME.assign(user=[1.0, 2.0, np.nan]), "table: row 3: user is null"),
    (FRAME.assign(user=["a", " ", "b"]), "table: row 2: user id must not be blank"),
    (FRAME.assign(user=["a", "", "b"]), "table: row 2: user id must not be empty"),
    (
        FRAME.rename(columns={"rating": "score"}).assign(score=[1, 2, np.inf]),
        "table: row 3: rating (column 'score') must be a finite number, got inf",
    ),
    (FRAME.assign(rating=[1, 2, 1e40]), "table: row 3: rating must be a finite number, got 1e+40"),
    (FRAME.assign(rating=[1, None, 1]), "table: row 2: rating is null"),
    (FRAME[:0], "table: holds no rating"),
]


@pytest.mark.parametrize(("table", "message"), WRONG)
def test_errors_name_the_row_and_the_column(table: Any, message: str) -> None:
    with pytest.raises(mfcli.MfcliError) as caught:
        mfcli.ratings_from(table)
    assert str(caught.value).replace("large_string", "string") == message


def test_columns_that_are_chosen_must_be_one() -> None:
    frame = pd.concat([FRAME, FRAME[["rating"]]], axis=1)
    with pytest.raises(mfcli.MfcliError) as caught:
        mfcli.ratings_from(frame, columns={"rating": "rating"})
    assert str(caught.value) == (
        "table: has several columns 'rating'; rename them, or choose another with columns['rating']"
    )
    with pytest.raises(mfcli.MfcliError) as caught:
        mfcli.ratings_from(FRAME, columns={"item": "film"})
    assert str(caught.value) == (
        "table: has no column 'film'; its columns are user, item, rating, ts;"
        " choose with columns['item']"
    )


SOUND: dict[str, Any] = {"table": FRAME}


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"columns": {"usr": "user"}}, "columns has no key 'usr'; its keys are user, item, rating, "
         "timestamp, weight; did you mean 'user'?"),
        ({"columns": {"user": 5}}, "columns['user'] must be the name of a column, or its position "
         "as text, got 5; write it in quotes"),
        ({"columns": {"timestamp": None}}, "columns['timestamp'] must be the name of a column, or "
         "its position as text, got None"),
        ({"columns": ["user", "item"]}, "columns must be a mapping, got ['user', 'item']"),
        ({"duplicates": "x"}, "duplicates must be keep-last, mean, sum or error, got 'x'"),
        ({"duplicates": 1}, "duplicates must be text, got 1"),
        ({"table": "data.csv"}, "data.csv: cannot be read: No such file or directory"),
        ({"rating": [1]}, "item is missing; give arrays (user, item, rating)"),
        ({"table": [1, 2]}, f"table {FORMS}, got list; make a pandas DataFrame of it"),
        ({"table": iter(())}, f"table {FORMS}, got tuple_iterator; make a pandas DataFrame of it"),
        ({"table": FRAME["user"]}, f"table {FORMS}, got Series; make a pandas DataFrame of it"),
        ({"table": np.ones((3, 3))}, f"table {FORMS}, got ndarray; make a pandas DataFrame of it"),
        ({"table": pd.concat({"a": FRAME}, axis=1)}, "table: must have one level of column names, "
         "got 2; join the levels, as with table.columns.map('_'.join)"),
    ],
)  # fmt: skip
def test_arguments_of_tables_are_checked(arguments: dict[str, Any], message: str) -> None:
    with pytest.raises(mfcli.MfcliError) as caught:
        mfcli.ratings_from(**SOUND | arguments)
    assert str(caught.value) == message


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"names": None}, "names must be a path or several paths, got NoneType"),
        ({"names": []}, "names must be a path or several paths, got none"),
        ({"names": ["a.csv", 7]}, "names must be a path or several paths, got int"),
        ({"names": FRAME}, "names must be a path or several paths, got DataFrame; read a table in "
         "memory with ratings_from"),
        ({"names": {"user": [1]}}, "names must be a path or several paths, got dict; read a table "
         "in memory with ratings_from"),
        ({"decimal": "x"}, "decimal must be '.' or ',', got 'x'"),
        ({"duplicates": "x"}, "duplicates must be keep-last, mean, sum or error, got 'x'"),
        ({"on_bad_row": "x"}, "on_bad_row must be stop or skip, got 'x'"),
        ({"columns": {"itme": "a"}}, "columns has no key 'itme'; its keys are user, item, rating, "
         "timestamp, weight; did you mean 'item'?"),
    ],
)  # fmt: skip
def test_arguments_of_files_are_checked(arguments: dict[str, Any], message: str) -> None:
    with pytest.raises(mfcli.MfcliError) as caught:
        mfcli.read_ratings(**{"names": "none.csv"} | arguments)
    assert str(caught.value) == message


def test_an_index_does_not_hide_a_column() -> None:
    assert rows(mfcli.ratings_from(FRAME.set_index("user", drop=False))) == EXPECTED


def test_integers_of_any_size_are_text() -> None:
    ratings = mfcli.ratings_from(FRAME.assign(user=[2**70, 1, 2**70]))
    assert ratings.users.ids.to_pylist() == [str(2**70), "1"]


def test_three_arrays_are_ratings(tmp_path: Path) -> None:
    user, item, rating = FRAME["user"].tolist(), FRAME["item"].to_numpy(), FRAME["rating"]
    without_times = [(*row[:3], None) for row in EXPECTED]
    assert rows(mfcli.ratings_from(user, item, rating)) == without_times
    assert rows(mfcli.ratings_from((user, item, rating))) == without_times
    assert rows(mfcli.ratings_from(user, item, rating, FRAME["ts"])) == EXPECTED


def test_paths_are_ratings(tmp_path: Path) -> None:
    FRAME[:2].to_csv(tmp_path / "a.csv", index=False)
    FRAME[2:].to_csv(tmp_path / "b.csv", index=False)
    paths = [tmp_path / "a.csv", str(tmp_path / "b.csv")]
    assert rows(mfcli.ratings_from(paths)) == rows(mfcli.ratings_from(tuple(paths))) == EXPECTED
    assert rows(mfcli.ratings_from(paths[0])) == EXPECTED[:2]
    named = mfcli.ratings_from(paths[1], columns={"timestamp": ""}, duplicates="mean")
    assert rows(named) == [(*EXPECTED[2][:3], None)]


def test_ratings_describe_themselves() -> None:
    ratings = mfcli.ratings_from(FRAME)
    assert repr(ratings) == "Ratings(3 ratings by 2 users of 2 items)"
    assert repr(ratings.items) == "Vocabulary(2 int64 ids; columns id, count)"
    assert ratings.users.to_pandas().to_dict("list") == {"id": ["a", "b"], "count": [2, 1]}


def test_ratings_are_taken_as_they_are() -> None:
    ratings = mfcli.ratings_from([1, 2], [3, 4], [5, 1])
    assert mfcli.ratings_from(ratings) is ratings
    with pytest.raises(mfcli.MfcliError, match=r"table must be a data frame, .*, got Ratings"):
        mfcli.ratings_from(ratings, columns={"user": "who"})

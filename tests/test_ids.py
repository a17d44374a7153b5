"""One rule for raw ids, wherever they are read."""

from __future__ import annotations

import io
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from mfcli.data import Vocabulary, id_array, ratings_from, read_ids, read_ratings, read_titles
from mfcli.data.ids import id_column, integers_if_exact
from mfcli.errors import DataError
from mfcli.splits import split
from mfcli.training.loop import start

BIG = 2**63 + 5

COLUMNS = [
    *(pytest.param(pa.array([7, 8], kind), [7, 8], id=str(kind)) for kind in (
        pa.int8(), pa.int16(), pa.int32(), pa.int64(), pa.uint8(), pa.uint16(), pa.uint32(),
        pa.uint64(),
    )),
    pytest.param(pa.array([BIG, 7], pa.uint64()), [str(BIG), "7"], id="uint64-beyond-int64"),
    *(pytest.param(pa.array(["07", "é"], kind), ["07", "é"], id=str(kind)) for kind in (
        pa.string(), pa.large_string(), pa.string_view(),
    )),
    pytest.param(pa.array(["7", "8"]), ["7", "8"], id="digits"),
    pytest.param(pa.array(["a", "b"]).dictionary_encode(), ["a", "b"], id="dictionary"),
    pytest.param(
        pa.array(["a", "b"], pa.large_string()).dictionary_encode(), ["a", "b"], id="large-texts"
    ),
    pytest.param(pa.array([7, 8], pa.int16()).dictionary_encode(), [7, 8], id="integer-dictionary"),
]  # fmt: skip
REFUSED = [
    pa.array([1.0, 2.0]),
    pa.array([True, False]),
    pa.array([b"a", b"b"]),
    pa.array([[1], [2]]),
    pa.array([1, 2], pa.date32()),
]


def from_parquet(folder: Path, column: pa.Array) -> Any:
    table = pa.table({"user": column, "item": [1, 2], "rating": [1.0, 2.0]})
    pq.write_table(table, folder / "r.parquet")
    return read_ratings(folder / "r.parquet").users.ids


def from_table(folder: Path, column: pa.Array) -> Any:
    return ratings_from(pa.table({"user": column, "item": [1, 2], "rating": [1.0, 2.0]})).users.ids


def from_frame(folder: Path, column: pa.Array) -> Any:
    frame = pd.DataFrame({"user": column.to_pandas(), "item": [1, 2], "rating": [1.0, 2.0]})
    return ratings_from(frame).users.ids


def from_arguments(folder: Path, column: pa.Array) -> Any:
    return id_array(column)


READERS = [from_parquet, from_table, from_arguments]


@pytest.mark.parametrize("read", READERS)
@pytest.mark.parametrize(("column", "expected"), COLUMNS)
def test_every_reader_has_the_same_rule(
    tmp_path: Path,
    read: Callable[[Path, pa.Array], pa.Array],
    column: pa.Array,
    expected: list[object],
) -> None:
    ids = read(tmp_path, column)
    assert ids.type in (pa.int64(), pa.string())
    assert ids.to_pylist() == expected


@pytest.mark.parametrize(("column", "expected"), COLUMNS[:10] + COLUMNS[-3:-1])
def test_data_frames_have_it_too(tmp_path: Path, column: pa.Array, expected: list[object]) -> None:
    assert from_frame(tmp_path, column).to_pylist() == expected


@pytest.mark.parametrize("column", REFUSED, ids=lambda column: str(column.type))
def test_other_types_are_refused_by_every_reader(tmp_path: Path, column: pa.Array) -> None:
    for read in READERS:
        with pytest.raises(DataError, match=r"integer or text ids, got|ids must be integers or"):
            read(tmp_path, column)


@pytest.mark.parametrize("read", [from_parquet, from_table])
@pytest.mark.parametrize("kind", [pa.int64(), pa.uint64(), pa.string(), pa.null()])
def test_nulls_are_missing(
    tmp_path: Path, read: Callable[[Path, pa.Array], pa.Array], kind: pa.DataType
) -> None:
    column = pa.array([None, None], kind)
    with pytest.raises(DataError, match="row 1: user is missing"):
        read(tmp_path, column)
    assert id_column(column).null_count == 2


def test_python_integers_of_any_size() -> None:
    assert id_array([1, 2**70]).to_pylist() == ["1", str(2**70)]
    assert id_array(2**63 - 1).to_pylist() == [2**63 - 1]
    assert id_array(np.uint64(BIG)).to_pylist() == [str(BIG)]
    assert id_array(pa.chunked_array([["a"], ["b"]])).to_pylist() == ["a", "b"]
    assert id_array([]).type == pa.string()
    for wrong in ([2**70, "a"], [2**70, None], [2**70, 1.5]):
        with pytest.raises(DataError, match="ids must be integers or text, got "):
            id_array(wrong)


def test_text_becomes_integers_if_nothing_is_lost() -> None:
    for texts, exact in [
        (["7", "-8", str(2**63 - 1)], True),
        (["7", "007"], False),
        (["+7"], False),
        (["7.0"], False),
        (["7", "a"], False),
        ([str(2**63)], False),
        ([" 7"], False),
    ]:
        ids = integers_if_exact(pa.array(texts))
        assert ids.to_pylist() == ([int(text) for text in texts] if exact else texts)


def test_unsigned_ids_are_read_and_predicted_alike(tmp_path: Path) -> None:
    """What is trained on in Parquet is found in Parquet, in text and by name."""
    from mfcli.config import Config
    from mfcli.predict import Predictor, predict_file

    users = np.arange(40, dtype=np.uint64) + np.uint64(2**63)
    table = pa.table({"user": users, "item": np.arange(40) % 8, "rating": np.ones(40)})
    pq.write_table(table, tmp_path / "r.parquet")
    table.to_pandas().to_csv(tmp_path / "r.csv", index=False)
    ratings = read_ratings(tmp_path / "r.parquet")
    assert ratings.users.ids.to_pylist() == [str(user) for user in users.tolist()]
    assert read_ratings(tmp_path / "r.csv").users.ids.equals(ratings.users.ids)
    model = start(split(ratings, Config()), Config(k=2))
    results = []
    for name in ("r.parquet", "r.csv"):
        counts = predict_file(Predictor(model, clip=True), tmp_path / name, io.BytesIO())
        assert (counts.pairs, counts.unknown_users) == (40, 0)
        results.append(counts)
    assert results[0] == results[1]
    assert len(model.predict(users, 0)) == 40


def test_parts_with_different_types_become_text(tmp_path: Path) -> None:
    parts = [pa.array([5, 6]), pa.array(["6", "x"]), pa.array([5, 7], pa.int32())]
    for number, column in enumerate(parts):
        table = pa.table({"user": column, "item": [1, 2], "rating": [1.0, 2.0]})
        pq.write_table(table, tmp_path / f"part-{number}.parquet")
    ratings = read_ratings(tmp_path)
    assert ratings.users.ids.to_pylist() == ["5", "6", "x", "7"]
    assert ratings.items.ids.to_pylist() == [1, 2]
    numbered = [ratings.users.ids[int(user)].as_py() for user in ratings.user]
    assert sorted(numbered) == ["5", "6", "6", "7", "x"]  # 5 has rated 1 twice


def test_lists_and_titles_are_text(tmp_path: Path) -> None:
    (tmp_path / "ids.txt").write_text("007\n\n 8 \n", encoding="utf-8")
    assert read_ids(tmp_path / "ids.txt").to_pylist() == ["007", "8"]
    (tmp_path / "titles.csv").write_text("title,item\n0011,0011114\n1.50,8\n,9\n")
    titles = read_titles(tmp_path / "titles.csv")
    assert titles["id"].to_pylist() == ["0011114", "8", "9"]
    assert titles["title"].to_pylist() == ["0011", "1.50", ""]
    known = Vocabulary(pa.array([8, 9]), np.ones(2, np.int64))
    assert known.rows(titles["id"].combine_chunks()).tolist() == [-1, 0, 1]


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"item,year\n1,2\n", "t: has no title column; its columns are item, year"),
        (b"title,year\n1,2\n", "t: has no item column; its columns are title, year"),
        (b"", "t: cannot be read: Empty CSV file"),
        (b"item,title\n1,2,3\n", "t: cannot be read: CSV parse error"),
    ],
)
def test_titles_that_cannot_be_read(tmp_path: Path, content: bytes, message: str) -> None:
    (tmp_path / "t").write_bytes(content)
    with pytest.raises(DataError, match=message):
        read_titles(tmp_path / "t")


def test_lists_that_cannot_be_read(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="none: cannot be read: No such file"):
        read_ids(tmp_path / "none")
    (tmp_path / "latin").write_bytes(b"\xe9\n")
    with pytest.raises(DataError, match="latin: must be UTF-8 text with one id per line"):
        read_ids(tmp_path / "latin")

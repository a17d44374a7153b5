"""One rule for raw ids, wherever they are read."""

from __future__ import annotations

import io
import itertools
import uuid
from collections.abc import Callable
from decimal import Decimal
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given, strategies as st

from mfcli.data import Vocabulary, id_array, ratings_from, read_ratings
from mfcli.data.ids import empty_ids, id_column, integers_if_exact, plain_integers
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
    pytest.param(pa.array(["7", "x"]), ["7", "x"], id="digits-and-letters"),
    pytest.param(pa.array(["a", "b"]).dictionary_encode(), ["a", "b"], id="dictionary"),
    pytest.param(
        pa.array(["a", "b"], pa.large_string()).dictionary_encode(), ["a", "b"], id="large-texts"
    ),
    pytest.param(pa.array([7, 8], pa.int16()).dictionary_encode(), [7, 8], id="integer-dictionary"),
    *(pytest.param(pa.array([7, 8], pa.float64()).cast(kind), [7, 8], id=str(kind)) for kind in (
        pa.float16(), pa.float32(), pa.float64(), pa.decimal128(9, 2), pa.decimal256(50, 3),
    )),
    pytest.param(
        pa.array([Decimal(10**20), Decimal(7)]), [str(10**20), "7"], id="decimal-beyond-int64"
    ),
    *(pytest.param(pa.array([b"07", b"\xc3\xa9"], kind), ["07", "é"], id=str(kind)) for kind in (
        pa.binary(), pa.large_binary(), pa.binary(2),
    )),
    *(pytest.param(pa.DictionaryArray.from_arrays(
        pa.array([1, 3], kind), pa.array(["", "b", "c", "d", "b"], texts)
      ), ["b", "d"], id=f"dictionary-{kind}-{texts}") for kind, texts in itertools.product(
        (pa.int8(), pa.uint8(), pa.uint16(), pa.int64(), pa.uint32(), pa.uint64()),
        (pa.string(), pa.large_string()),
    )),
    pytest.param(
        pa.ExtensionArray.from_storage(pa.uuid(), pa.array([bytes(16), b"a" * 16], pa.binary(16))),
        [str(uuid.UUID(int=0)), "61616161-6161-6161-6161-616161616161"],
        id="uuid",
    ),
]  # fmt: skip
REFUSED = [
    pa.array([True, False]),
    pa.array([[1], [2]]),
    pa.array([1, 2], pa.date32()),
    pa.array([1, 2], pa.timestamp("s")),
    pa.array([1, 2], pa.duration("s")),
]
VIEWS = pa.array(["a", "b"], pa.string_view())
NOT_IDS = [
    (pa.array([1, 1.5]), "user id must be a whole number or text, got 1.5"),
    (pa.array([1, float("nan")]), "user is null"),
    (pa.array([1, None], pa.float64()), "user is null"),
    (pa.array([1, float("inf")]), "user id must be a whole number or text, got inf"),
    (
        pa.array([1, 2.0**53 + 2]),
        "user id must be stored as an integer or text, since large floats",
    ),
    (pa.array([1, 2.0**24], pa.float32()), "user id must be stored as an integer or text, since"),
    (pa.array([Decimal(1), Decimal("1.5")]), r"user id must be a whole .*, got Decimal\('1.5'\)"),
    (pa.array([b"a", b"\xff"]), "user id must be UTF-8 text, got "),
    (pa.array(["a", ""], pa.string_view()), "user id must not be empty"),
    (pa.array(["é", " \t\u3000"]), "user id must not be blank"),
]


def from_parquet(folder: Path, column: pa.Array) -> Any:
    table = pa.table({"user": column, "item": [1, 2], "rating": [1.0, 2.0]})
    try:
        pq.write_table(table, folder / "r.parquet")
    except pa.ArrowNotImplementedError:
        pytest.skip(f"this version of pyarrow cannot write {column.type} to Parquet")
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


@pytest.mark.parametrize(("column", "expected"), COLUMNS[:10] + COLUMNS[13:15])
def test_data_frames_have_it_too(tmp_path: Path, column: pa.Array, expected: list[object]) -> None:
    assert from_frame(tmp_path, column).to_pylist() == expected


@pytest.mark.parametrize("column", REFUSED, ids=lambda column: str(column.type))
def test_other_types_are_refused_by_every_reader(tmp_path: Path, column: pa.Array) -> None:
    for read in READERS:
        with pytest.raises(DataError, match=r"integer or text ids, got|ids must be integers or"):
            read(tmp_path, column)


@pytest.mark.parametrize(("column", "message"), NOT_IDS)
def test_values_that_are_not_ids_are_named_with_their_row(
    tmp_path: Path, column: pa.Array, message: str
) -> None:
    for read in (from_parquet, from_table):
        with pytest.raises(DataError, match=f"row 2: {message}"):
            read(tmp_path, column)
    if column.type != pa.string() and column.type != pa.string_view():
        with pytest.raises(DataError, match=r"ids must be .* text, got .* \(number 2 of 2\)"):
            id_array(column)


def test_dictionaries_that_parquet_cannot_hold(tmp_path: Path) -> None:
    views = pa.DictionaryArray.from_arrays(pa.array([0, 1], pa.uint8()), VIEWS)
    assert from_table(tmp_path, views).to_pylist() == ["a", "b"]
    nulls = pa.DictionaryArray.from_arrays(pa.array([0, 1], pa.uint8()), ["a", None])
    with pytest.raises(DataError, match="row 2: user is null"):
        from_table(tmp_path, nulls)


SAME = [
    (["7", "8"], [7, 8]),
    ([7, 8], [7, 8]),
    ([7.0, 8.0], [7, 8]),
    (["007", "8"], ["007", "8"]),
    (["7", "7.0"], ["7", "7.0"]),
    (["7", "a"], ["7", "a"]),
    ([BIG, 7], [str(BIG), "7"]),
    (["-7", "0"], [-7, 0]),
]


@pytest.mark.parametrize(("values", "expected"), SAME)
def test_the_format_of_a_file_does_not_change_ids(
    tmp_path: Path, values: list[object], expected: list[object]
) -> None:
    frame = pd.DataFrame({"user": values, "item": [1, 2], "rating": [1.0, 2.0]})
    frame.to_csv(tmp_path / "r.csv", index=False)
    frame.to_parquet(tmp_path / "r.parquet")
    found = [read_ratings(tmp_path / name) for name in ("r.csv", "r.parquet")]
    for ratings in [*found, ratings_from(frame), ratings_from(pa.Table.from_pandas(frame))]:
        assert ratings.users.ids.to_pylist() == expected


def test_ids_are_found_however_they_are_stored() -> None:
    numbers = Vocabulary(pa.array([7, -8, 0]), np.ones(3, np.int64))
    for ids in ([7, -8, 0, 9], ["7", "-8", "0", "07"], ["7.0", "-8.0", "0.0", "7.5"]):
        assert numbers.rows(id_array(ids)).tolist() == [0, 1, 2, -1]
    assert numbers.rows(id_array([7.0, -8.0, 0.0])).tolist() == [0, 1, 2]
    texts = Vocabulary(pa.array(["7", "007"]), np.ones(2, np.int64))
    for ids in ([7], ["7"], 7.0, np.float32(7), b"7", np.array([7], np.uint64)):
        assert texts.rows(id_array(ids)).tolist() == [0]
    assert texts.rows(id_array(["7.0"])).tolist() == [-1]


@pytest.mark.parametrize("number", range(0x110000 >> 12))
def test_blanks_are_those_of_python(number: int) -> None:
    codes = range(number << 12, (number + 1) << 12)
    texts = [chr(code) for code in codes if not 0xD800 <= code < 0xE000]
    if texts:
        assert empty_ids(pa.array(texts)).tolist() == [text.isspace() for text in texts]


@pytest.mark.parametrize("read", [from_parquet, from_table])
@pytest.mark.parametrize("kind", [pa.int64(), pa.uint64(), pa.string(), pa.null()])
def test_nulls_are_missing(
    tmp_path: Path, read: Callable[[Path, pa.Array], pa.Array], kind: pa.DataType
) -> None:
    column = pa.array([None, None], kind)
    with pytest.raises(DataError, match="row 1: user is null"):
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
        (["7", "7.0"], False),
        (["7.00"], False),
        (["07.0"], False),
        (["7", "a"], False),
        ([str(2**63)], False),
        ([" 7"], False),
    ]:
        ids = integers_if_exact(pa.array(texts))
        assert ids.to_pylist() == ([int(text) for text in texts] if exact else texts)
    assert integers_if_exact(pa.array(["7.0", "-8.0"])).to_pylist() == [7, -8]


@given(st.lists(st.from_regex(r"[-+ ]?0?x?[0-9A-F]{1,8}(\.0)?", fullmatch=True), max_size=4))
def test_plain_integers_are_written_as_integers_are(texts: list[str]) -> None:
    found = plain_integers(pa.array(texts, pa.string()))
    plain = bool(texts) and all(t.isdigit() and str(int(t)) == t for t in texts)
    assert (found is not None) == plain
    assert found is None or found.tolist() == [int(text) for text in texts]


@pytest.mark.parametrize("text", ["0xFFFFF", "007", "+7", " 7", "7.0", "-7", "9" * 19, "", "x"])
def test_other_texts_are_not_plain_integers(text: str) -> None:
    assert plain_integers(pa.array(["12", text])) is None


@pytest.mark.parametrize("known", [[5, 0, 17], [5, -3, 17], [5, 10**15, 17], ["5", "007", "x"]])
@pytest.mark.parametrize(
    "ids", [[17, 5, 6, 18], [-3, 5], [10**15, 10**12], ["17", "5"], ["007", "5.0", "17"], []]
)
def test_predictions_find_the_rows_of_a_vocabulary(
    known: list[int | str], ids: list[int | str]
) -> None:
    from mfcli.predict import IdFinder

    vocabulary = Vocabulary(pa.array(known), np.ones(len(known), np.int64))
    wanted = pa.array(ids, None if ids else pa.string())
    assert IdFinder(vocabulary)(wanted).tolist() == vocabulary.rows(wanted).tolist()


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

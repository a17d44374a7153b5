"""Every layout gives the same ratings; every fault names its line."""

from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from contents import gzipped, triples
from hypothesis import given, settings, strategies as st

from mfcli.data import read_ratings
from mfcli.errors import DataError, MfcliWarning

ROWS = [("7", "10", 3.5, 100), ("7", "20", 4.0, 101), ("8", "10", 0.5, 102)]
HEADER = "userId,movieId,rating,timestamp"


def text(separator: str, header: str = "", end: str = "\n") -> str:
    lines = [separator.join(map(str, row)) for row in ROWS]
    return end.join(([header.replace(",", separator)] if header else []) + lines) + end


def write(folder: Path, content: str | bytes, name: str = "data.csv") -> Path:
    path = folder / name
    path.write_bytes(content.encode() if isinstance(content, str) else content)
    return path


EXPECTED = [(7, 10, 3.5), (7, 20, 4.0), (8, 10, 0.5)]


@pytest.mark.parametrize(
    "content",
    [
        pytest.param(text(",", HEADER), id="csv"),
        pytest.param(text(",", HEADER, end="\r\n"), id="crlf"),
        pytest.param("\ufeff" + text(",", HEADER), id="bom"),
        pytest.param(text(","), id="csv-no-header"),
        pytest.param("\ufeff" + text(","), id="bom-no-header"),
        pytest.param(text(",", HEADER, end="\r"), id="cr"),
        pytest.param(text("\t", HEADER), id="tsv"),
        pytest.param(text("\t"), id="u.data"),
        pytest.param(text("::"), id="ratings.dat"),
        pytest.param(text(";", HEADER), id="semicolon"),
        pytest.param(gzipped(text("::").encode()), id="gzip"),
        pytest.param(gzipped(text(",", HEADER).encode()), id="gzip-csv"),
        pytest.param("\n" + text(",", HEADER).replace("\n", "\n\n"), id="blank-lines"),
        pytest.param(text(",", HEADER).rstrip("\n"), id="no-final-newline"),
        pytest.param(text(",", '"userId","movieId","rating","timestamp"'), id="quoted"),
        pytest.param(text(",", "UID,MOVIE_IDX,SCORE,TS"), id="other-names"),
    ],
)
def test_every_layout_gives_the_same_ratings(tmp_path: Path, content: str | bytes) -> None:
    ratings = read_ratings(write(tmp_path, content))
    assert triples(ratings) == EXPECTED
    assert ratings.timestamp is not None
    assert ratings.timestamp.tolist() == [100, 101, 102]
    assert ratings.users.counts.tolist() == [2, 1]


@pytest.mark.parametrize("dtype", ["int32", "int64", "uint8"])
def test_parquet(tmp_path: Path, dtype: str) -> None:
    frame = pd.DataFrame(ROWS, columns=HEADER.split(","))
    frame = frame.astype({"userId": dtype, "movieId": dtype, "rating": "float64"})
    frame["extra"] = "x"
    frame.to_parquet(tmp_path / "data.parquet")
    ratings = read_ratings(tmp_path / "data.parquet")
    assert triples(ratings) == EXPECTED
    assert ratings.timestamp is not None


def test_parquet_text_and_times(tmp_path: Path) -> None:
    frame = pd.DataFrame(
        {
            "user": ["a", "b"],
            "item": pd.Categorical(["x", "y"]),
            "rating": [1, 2],
            "timestamp": pd.to_datetime(["1970-01-01 00:01:40", "1970-01-02 00:00:00"]),
        }
    )
    frame.to_parquet(tmp_path / "data.parquet")
    ratings = read_ratings(tmp_path / "data.parquet")
    assert triples(ratings) == [("a", "x", 1.0), ("b", "y", 2.0)]
    assert ratings.timestamp is not None
    assert ratings.timestamp.tolist() == [100, 86400]


def test_ids_are_kept_as_they_are(tmp_path: Path) -> None:
    ratings = read_ratings(write(tmp_path, "user,item,rating\n007,1,3\n7,01,4\n"))
    assert triples(ratings) == [("007", "1", 3.0), ("7", "01", 4.0)]
    ratings = read_ratings(write(tmp_path, "user,item,rating\n-7,x y,3\nanna,é,4\n"))
    assert triples(ratings) == [("-7", "x y", 3.0), ("anna", "é", 4.0)]


def test_movie_idx_is_preferred_to_movie_id(tmp_path: Path) -> None:
    ratings = read_ratings(write(tmp_path, "movieId,movie_idx,user_id,rating\n900,1,2,3\n"))
    assert triples(ratings) == [(2, 1, 3.0)]
    assert ratings.source is not None
    assert ratings.source.columns == {"user": "user_id", "item": "movie_idx", "rating": "rating"}


def test_columns_can_be_named_or_numbered(tmp_path: Path) -> None:
    path = write(tmp_path, "when,stars,who,what\n5,3,1,2\n")
    columns = {"user": "who", "item": "WHAT", "rating": "stars", "timestamp": "when"}
    assert triples(read_ratings(path, columns=columns)) == [(1, 2, 3.0)]
    path = write(tmp_path, "3,1,2\n")
    columns = {"user": "2", "item": "3", "rating": "1"}
    assert triples(read_ratings(path, columns=columns)) == [(1, 2, 3.0)]


@pytest.mark.parametrize(
    ("time", "seconds"),
    [("1.5e2", 150), ("100.9", 100), ("1970-01-01 00:01:40", 100), ("1970-01-02", 86400)],
)
def test_times(tmp_path: Path, time: str, seconds: int) -> None:
    ratings = read_ratings(write(tmp_path, f"user,item,rating,ts\n1,2,3,{time}\n"))
    assert ratings.timestamp is not None
    assert ratings.timestamp.tolist() == [seconds]


def test_times_can_be_ignored(tmp_path: Path) -> None:
    path = write(tmp_path, "user,item,rating,ts\n1,2,3,soon\n")
    assert read_ratings(path, columns={"timestamp": ""}).timestamp is None


def test_quoted_fields_may_hold_separators_and_newlines(tmp_path: Path) -> None:
    path = write(tmp_path, 'user,title,item,rating\n1,"a, b\nc",2,3\n4,d,5,1\n')
    with pytest.warns(MfcliWarning, match="data.csv:2: the row spans 2 lines, since a quoted"):
        assert triples(read_ratings(path)) == [(1, 2, 3.0), (4, 5, 1.0)]


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("", ": is empty"),
        ("\n\n", ": is empty"),
        (HEADER + "\n", ": holds no rating, only a header"),
        (
            "who,what,stars\n1,2,3\n",
            ": has no user column; its columns are who, what, stars; choose with columns['user']",
        ),
        ("user,item\n1,2\n", ": has no rating column; its columns are user, item"),
        ("1,2\n", ":1: must have 3 fields (user, item, rating), got 2"),
        ("user,item,rating\n1,2,3\n1,2\n", ":3: must have 3 fields like the first line, got 2"),
        ("user,item,rating\n1,2,3,4\n", ":2: must have 3 fields like the first line, got 4"),
        ("1::2::3\n1::2::3::4\n", ":2: must have 3 fields like the first line, got 4"),
        ("user,item,rating\n1,2,x\n", ":2: rating must be a finite number, got 'x'"),
        ("user,item,rating\n1,2,3\n4,5,NaN\n", ":3: rating must be a finite number, got 'NaN'"),
        ("user,item,rating\n1,2,inf\n", ":2: rating must be a finite number, got 'inf'"),
        ("user,item,rating\n1,2,1e40\n", ":2: rating must be a finite number, got '1e40'"),
        ("user,item,rating\n1,2,\n", ":2: rating must be a finite number, got ''"),
        ("user,item,rating\n,2,3\n", ":2: user id must not be empty"),
        ("user,item,rating\n1,,3\n", ":2: item id must not be empty"),
        ("user,item,rating,ts\n1,2,3,soon\n", ":2: timestamp must be seconds or an ISO 8601"),
        ("user,item,rating,ts\n1,2,3,4\n1,3,3,\n", ":3: timestamp must be seconds or an ISO"),
        (b"\x89PNG\r\n\x1a\n\0\0\0", ": is not a text file of ratings"),
        (b"\xff\xfe1\0,\0", ":1: must have 3 fields (user, item, rating), got 2"),
        (b"\xff\xfe1\0,\0\0", ":1: is not utf-16 text (byte 0x00: truncated data)"),
        (b"user,item,rating\n1,2,3\n\xe9,2,3\n", ":3: user must be UTF-8 text"),
        (b"us\xe9r,item,rating\n", ":1: must be UTF-8 text"),
        (gzipped(text(",", HEADER).encode())[:-9], ": its gzip data is truncated"),
        (gzipped(text(",", HEADER).encode() * 9999)[:99], ": its gzip data is truncated"),
        (b"\x1f\x8bnot really gzip", ": its gzip data is truncated or damaged"),
        (b"PAR1not really parquet", ": is a damaged Parquet file"),
    ],
)
def test_faults_name_their_line(tmp_path: Path, content: str | bytes, message: str) -> None:
    path = write(tmp_path, content)
    with pytest.raises(DataError) as caught:
        read_ratings(path)
    assert str(caught.value).startswith(f"{path}{message}")
    assert "\n" not in str(caught.value)


def test_missing_file_and_directory(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="cannot be read: No such file"):
        read_ratings(tmp_path / "none.csv")
    with pytest.raises(DataError, match="is a folder without part files"):
        read_ratings(tmp_path)


@pytest.mark.parametrize(
    ("frame", "message"),
    [
        ({"user": [True], "item": [1], "rating": [1]}, "column 'user' must hold integer or text"),
        ({"user": [1.5], "item": [1], "rating": [1]}, "row 1: user id must be a whole number"),
        (
            {"user": [1], "item": [1], "rating": ["5"]},
            "column 'rating' must hold finite numbers, got .*; write them as numbers, or choose",
        ),
        ({"user": [1], "item": ["a"], "rating": [None]}, "column 'rating' must hold finite"),
        (
            {"user": [1], "item": [""], "rating": [1.0]},
            "row 1: item id must not be empty",
        ),
        (
            {"user": [1], "item": [1], "rating": [np.nan]},
            "row 1: rating is null",
        ),
    ],
)
def test_parquet_faults(tmp_path: Path, frame: dict[str, list[object]], message: str) -> None:
    path = tmp_path / "data.parquet"
    pd.DataFrame(frame).to_parquet(path)
    with pytest.raises(DataError, match=message):
        read_ratings(path)


def test_places_of_parquet_count_the_rows_that_are_skipped(tmp_path: Path) -> None:
    table = pd.DataFrame({"user": [1, 1, 2, 1, 1], "item": [1] * 5, "rating": [1.0] * 5})
    table.loc[[0, 2], "rating"] = np.inf
    table.to_parquet(tmp_path / "data")
    with pytest.raises(DataError, match="data: row 4: user 1 has rated item 1 before"):
        read_ratings(tmp_path / "data", on_bad_row="skip", duplicates="error")


DUPLICATES = "user,item,rating,ts\n1,2,3,1\n9,9,1,1\n1,2,4,2\n1,2,2,3\n"


def test_the_last_duplicate_is_kept(tmp_path: Path) -> None:
    ratings = read_ratings(write(tmp_path, DUPLICATES))
    assert triples(ratings) == [(9, 9, 1.0), (1, 2, 2.0)]
    assert ratings.users.counts.tolist() == [1, 1]
    assert ratings.source is not None
    assert (ratings.source.rows, ratings.source.duplicates) == (4, 2)


def test_duplicates_can_be_averaged(tmp_path: Path) -> None:
    ratings = read_ratings(write(tmp_path, DUPLICATES), duplicates="mean")
    assert triples(ratings) == [(9, 9, 1.0), (1, 2, 3.0)]


def test_duplicates_can_be_an_error(tmp_path: Path) -> None:
    path = write(tmp_path, DUPLICATES)
    with pytest.raises(DataError) as caught:
        read_ratings(path, duplicates="error")
    assert str(caught.value) == (
        f"{path}:4: user 1 has rated item 2 before; choose with duplicates"
    )


def test_a_file_can_have_many_blocks(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("mfcli.data.formats.text._BLOCK", 100)
    rng = np.random.default_rng(0)
    frame = pd.DataFrame({"user": rng.integers(0, 50, 900), "item": np.arange(900), "rating": 1.0})
    path = tmp_path / "data.csv"
    frame.to_csv(path, index=False)
    read = triples(read_ratings(path))
    assert read == list(frame.itertuples(index=False, name=None))


def test_quotes_after_many_plain_rows(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("mfcli.data.formats.text._BLOCK", 50)
    plain = [f"{n},x,{n % 9},{n % 5}" for n in range(200)]
    quoted = [f'{n},"a, b\nc ""d""",{n % 9},{n % 5}' for n in range(200, 400)]
    path = write(tmp_path, "\n".join(["user,title,item,rating", *plain, *quoted]) + "\n")
    with pytest.warns(MfcliWarning, match="data.csv:202: the row .* and 199 more rows span lines;"):
        read = triples(read_ratings(path))
    assert read == [(n, n % 9, float(n % 5)) for n in range(400)]


IDS = st.text(st.characters(codec="utf-8", exclude_characters='\r\n\0"'), min_size=1, max_size=8)
IDS = IDS.filter(lambda text: not text.isspace() and not text.endswith(".0"))


@pytest.mark.filterwarnings("ignore::mfcli.errors.MfcliWarning")  # ids may be odd
@settings(max_examples=60, deadline=None)
@given(st.lists(st.tuples(IDS, IDS, st.floats(-1e6, 1e6, width=32)), min_size=1, max_size=30))
def test_what_is_written_is_what_is_read(
    tmp_path_factory: pytest.TempPathFactory, rows: list[tuple[str, str, float]]
) -> None:
    frame = pd.DataFrame(rows, columns=["user", "item", "rating"])
    path = tmp_path_factory.mktemp("h") / "data.csv"
    frame.to_csv(path, index=False)
    expected = {(user, item): rating for user, item, rating in rows}
    read = {(str(u), str(i)): r for u, i, r in triples(read_ratings(path))}
    assert read == expected


@pytest.mark.parametrize(
    ("columns", "roles"),
    [
        ({"item": "4", "rating": "4"}, "item and rating"),
        ({"user": "2"}, "user and item"),
        ({"timestamp": "3"}, "rating and timestamp"),
    ],
)
def test_a_column_has_one_role(tmp_path: Path, columns: dict[str, str], roles: str) -> None:
    (tmp_path / "data").write_text("1,7,3.5,900\n2,8,4.0,901\n")
    with pytest.raises(DataError, match=rf"column '\d' cannot be both {roles}; choose with "):
        read_ratings(tmp_path / "data", columns=columns)


def test_a_column_that_has_another_role_is_not_the_timestamp(tmp_path: Path) -> None:
    (tmp_path / "data").write_text("7,3.5,1,900\n8,4.0,2,901\n")
    read = read_ratings(tmp_path / "data", columns={"user": "1", "item": "4", "rating": "2"})
    assert read.timestamp is None
    assert read.rating.tolist() == [3.5, 4.0]

"""Ratings from several files, folders, standard input and compressed files."""

from __future__ import annotations

import bz2
import csv
import importlib.util
import io
import lzma
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from contents import gzipped, triples
from hypothesis import given, settings, strategies as st

from mfcli.data import read_ratings
from mfcli.errors import DataError, MfcliError, MfcliWarning

TEXT = b"user,item,rating,ts\n1,2,3.5,7\n1,3,4,8\n9,2,1,9\n"
EXPECTED = [(1, 2, 3.5), (1, 3, 4.0), (9, 2, 1.0)]


PACK: dict[str, Callable[[bytes], bytes]] = {
    "gzip": gzipped,
    "bz2": bz2.compress,
    "xz": lzma.compress,
    "zstd": lambda data: pa.Codec("zstd").compress(data, asbytes=True),
}


@pytest.mark.parametrize("name", PACK)
def test_compressed_files(tmp_path: Path, name: str) -> None:
    path = tmp_path / "data"
    path.write_bytes(PACK[name](TEXT))
    ratings = read_ratings(path)
    assert triples(ratings) == EXPECTED
    assert ratings.source is not None
    assert ratings.source.format.startswith(f"{name} text")


@pytest.mark.parametrize("name", PACK)
def test_damaged_compressed_files_are_refused(tmp_path: Path, name: str) -> None:
    path = tmp_path / "data"
    packed = PACK[name](TEXT + b"5,%d,3,1\n" * 20_000)
    for damaged in (packed[:-6], packed[: len(packed) // 2]):
        path.write_bytes(damaged)
        with pytest.raises(DataError, match=f"its {name} data is truncated or damaged"):
            read_ratings(path)


@pytest.mark.parametrize("name", PACK)
def test_faults_in_compressed_files_name_their_line(tmp_path: Path, name: str) -> None:
    path = tmp_path / "data"
    path.write_bytes(PACK[name](TEXT + b"4,4,x,1\n"))
    with pytest.raises(DataError, match=":5: rating must be a finite number, got 'x'"):
        read_ratings(path)


def test_several_files_and_folders_share_their_ids(tmp_path: Path) -> None:
    folder = tmp_path / "parts"
    folder.mkdir()
    (folder / "part-1.csv").write_bytes(TEXT)
    (folder / "part-2.csv.gz").write_bytes(gzipped(b"user,item,rating,ts\n9,3,2,1\n"))
    (folder / "_SUCCESS").write_bytes(b"")
    (folder / "notes.md").write_text("{}")
    (tmp_path / "more.tsv").write_text("ts\trating\titem\tuser\n1\t5\t8\t7\n")
    with pytest.warns(MfcliWarning, match=r"parts: is read without notes\.md; if ratings"):
        ratings = read_ratings([folder, tmp_path / "more.tsv"])
    assert triples(ratings) == [*EXPECTED, (9, 3, 2.0), (7, 8, 5.0)]
    assert ratings.source is not None
    assert (ratings.source.files, ratings.source.rows) == (3, 5)
    assert ratings.source.name == "parts, more.tsv"


def test_faults_name_their_file(tmp_path: Path) -> None:
    (tmp_path / "a.csv").write_bytes(TEXT)
    (tmp_path / "b.csv").write_bytes(TEXT.replace(b"\n9,2,", b"\n9,,"))
    with pytest.raises(DataError, match=r"b\.csv:4: item id must not be empty"):
        read_ratings([tmp_path / "a.csv", tmp_path / "b.csv"])
    with pytest.raises(DataError, match=r"a\.csv:2: user 1 has rated item 2 before"):
        read_ratings([tmp_path / "a.csv"] * 2, duplicates="error")


def test_parts_must_be_alike(tmp_path: Path) -> None:
    (tmp_path / "a.csv").write_bytes(TEXT)
    (tmp_path / "b.csv").write_text("user,item,rating\n1,2,3\n")
    with pytest.raises(DataError, match=r"b\.csv: has no timestamps, but .*a\.csv has; ignore"):
        read_ratings([tmp_path / "a.csv", tmp_path / "b.csv"])
    pd.DataFrame({"user": [1], "item": [2], "rating": [3.0]}).to_parquet(tmp_path / "c.parquet")
    with pytest.raises(DataError, match="is parquet, but"):
        read_ratings([tmp_path / "a.csv", tmp_path / "c.parquet"])


def test_a_folder_of_parquet_files(tmp_path: Path) -> None:
    for n in range(3):
        frame = pd.DataFrame({"user": [n, 5], "item": [n, n], "rating": [n, 1.0]})
        frame.to_parquet(tmp_path / f"part-{n}.parquet")
    assert triples(read_ratings(tmp_path))[-2:] == [(2, 2, 2.0), (5, 2, 1.0)]


def test_standard_input(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(TEXT)))
    ratings = read_ratings("-")
    assert triples(ratings) == EXPECTED
    assert ratings.source is not None
    assert ratings.source.name == "<stdin>"
    monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(TEXT + b"1\n")))
    with pytest.raises(DataError, match=r"^<stdin>:5: must have 4 fields"):
        read_ratings("-")


def test_decimal_commas(tmp_path: Path) -> None:
    path = tmp_path / "data.csv"
    path.write_text("user;item;rating\n1;2;3,5\n1;3;4\n")
    assert triples(read_ratings(path, decimal=",")) == [(1, 2, 3.5), (1, 3, 4.0)]
    with pytest.raises(
        DataError, match="got '3,5'; use decimal=',' if the comma is a decimal mark"
    ):
        read_ratings(path)
    path.write_text("1;2;3,5\n")
    assert triples(read_ratings(path, decimal=",")) == [(1, 2, 3.5)]


BAD = (
    b"user,item,rating,ts\n1,2,3.5,7\n1,3\n,5,1,1\n4,,1,1\n1,3,4,8\n5,5,NaN,1\n\xff,1,1,1\n"
    b"9,2,1,9\n6,6,5,soon\n"
)


@pytest.mark.parametrize("pack", [bytes, gzipped])
def test_invalid_rows_can_be_skipped_and_are_listed(
    tmp_path: Path, pack: Callable[[bytes], bytes]
) -> None:
    path, rejected = tmp_path / "data.csv", tmp_path / "rejected.csv"
    path.write_bytes(pack(BAD))
    ratings = read_ratings(path, rejected=rejected)
    assert triples(ratings) == EXPECTED
    assert ratings.source is not None
    assert ratings.source.rejected == {
        "encoding": 1,
        "fields": 1,
        "item": 1,
        "rating": 1,
        "timestamp": 1,
        "user": 1,
    }
    rows = list(csv.DictReader(io.StringIO(rejected.read_text(encoding="utf-8"))))
    assert [int(row["line"]) for row in rows] == [3, 4, 5, 7, 8, 10]
    assert rows[0]["reason"] == "must have 4 fields like the first line, got 2"
    assert rows[3]["row"] == "5,5,NaN,1"


def test_no_list_is_written_if_all_rows_are_valid(tmp_path: Path) -> None:
    (tmp_path / "data.csv").write_bytes(TEXT)
    read_ratings(tmp_path / "data.csv", rejected=tmp_path / "rejected.csv")
    assert not (tmp_path / "rejected.csv").exists()


def test_one_invalid_file_of_several(tmp_path: Path) -> None:
    (tmp_path / "a.csv").write_bytes(TEXT)
    (tmp_path / "b.csv").write_bytes(b"user,item,rating,ts\nx,y,1,1\n7,7,z,1\n7,8,2,1\n")
    ratings = read_ratings([tmp_path / "a.csv", tmp_path / "b.csv"], rejected=tmp_path / "r.csv")
    assert [str(t) for t in triples(ratings)][-2:] == ["('x', 'y', 1.0)", "('7', '8', 2.0)"]


def test_invalid_rows_of_parquet(tmp_path: Path) -> None:
    frame = pd.DataFrame({"user": [1, 2, 3], "item": ["a", "", "c"], "rating": [1.0, 2, np.inf]})
    frame.to_parquet(tmp_path / "data.parquet")
    ratings = read_ratings(tmp_path / "data.parquet", rejected=tmp_path / "r.csv")
    assert triples(ratings) == [(1, "a", 1.0)]
    assert ratings.source is not None
    assert ratings.source.rejected == {"item": 1, "rating": 1}


def test_only_invalid_rows(tmp_path: Path) -> None:
    (tmp_path / "data.csv").write_text("user,item,rating\n1,2,x\n")
    with pytest.raises(DataError, match="holds no valid rating"):
        read_ratings(tmp_path / "data.csv", rejected=tmp_path / "r.csv")


@pytest.mark.filterwarnings("ignore::mfcli.errors.MfcliWarning")  # ids may be odd
@settings(max_examples=300, deadline=None)
@given(st.data())
def test_any_bytes_are_ratings_or_one_clear_error(
    tmp_path_factory: pytest.TempPathFactory, data: st.DataObject
) -> None:
    """Read mutated ratings files and random bytes."""
    whole = bytearray(data.draw(st.sampled_from([TEXT, BAD, *(p(TEXT) for p in PACK.values())])))
    for _ in range(data.draw(st.integers(0, 4))):
        place = data.draw(st.integers(0, len(whole)))
        size = data.draw(st.integers(0, 6))
        whole[place : place + size] = data.draw(st.binary(max_size=6))
    if data.draw(st.booleans()):
        whole = bytearray(data.draw(st.binary(max_size=200)))
    folder = tmp_path_factory.mktemp("fuzz")
    (folder / "data").write_bytes(bytes(whole))
    rejected = folder / "rejected.csv" if data.draw(st.booleans()) else None
    try:
        ratings = read_ratings(folder / "data", rejected=rejected)
    except MfcliError as error:
        assert "\n" not in str(error)
    else:
        assert len(ratings)
        assert np.isfinite(ratings.rating).all()
        assert ratings.user.max() < len(ratings.users)


ODD = [
    ("1,2,3\n   \n1,3,4\n", {}, [(1, 2, 3.0), (1, 3, 4.0)]),
    ("1;2;3,5\n1;3;4.5\n", {"decimal": ","}, [(1, 2, 3.5), (1, 3, 4.5)]),
    ("1,2,\u0663\n", {}, [(1, 2, 3.0)]),
    ("a:b::c::3\nd::e::4\n", {}, [("a:b", "c", 3.0), ("d", "e", 4.0)]),
    ("user,item,rating,ts\n1,2,3,5\n1,3,4,1970-01-02\n", {}, [(1, 2, 3.0), (1, 3, 4.0)]),
]


@pytest.mark.parametrize(("text", "options", "expected"), ODD)
def test_the_strict_reader_accepts_more_than_the_fast_one(
    tmp_path: Path, text: str, options: dict[str, str], expected: list[object]
) -> None:
    (tmp_path / "data").write_text(text, encoding="utf-8")
    assert triples(read_ratings(tmp_path / "data", **options)) == expected  # type: ignore[arg-type]
    rejected = tmp_path / "r.csv"
    read = read_ratings(tmp_path / "data", rejected=rejected, **options)  # type: ignore[arg-type]
    assert triples(read) == expected
    assert not rejected.exists()


@pytest.mark.parametrize("time", ["1_0", "1e30", "true", "soon"])
def test_invalid_times(tmp_path: Path, time: str) -> None:
    (tmp_path / "data").write_text(f"user,item,rating,ts\n1,2,3,{time}\n")
    with pytest.raises(DataError, match=":2: timestamp must be seconds or an ISO 8601 date"):
        read_ratings(tmp_path / "data")


def test_lines_are_counted_in_the_original_file(tmp_path: Path) -> None:
    (tmp_path / "data").write_text("user,item,rating\n1,1,x\n2,1,5\n2,2,1\n2,2,4\n3,1,2\n")
    with pytest.raises(DataError, match=":5: user 2 has rated item 2 before"):
        read_ratings(tmp_path / "data", duplicates="error", rejected=tmp_path / "r.csv")


def test_parquet_ids_beyond_int64_become_text(tmp_path: Path) -> None:
    frame = pd.DataFrame({"user": np.array([2**63 + 5], np.uint64), "item": [1], "rating": [1.0]})
    frame.to_parquet(tmp_path / "data.parquet")
    assert triples(read_ratings(tmp_path / "data.parquet")) == [(str(2**63 + 5), 1, 1.0)]


def test_damaged_pages_of_parquet(tmp_path: Path) -> None:
    path = tmp_path / "data.parquet"
    rng = np.random.default_rng(0)
    columns = {name: rng.integers(0, 9999, 9999) for name in ("user", "item", "rating")}
    pd.DataFrame(columns).to_parquet(path)
    content = bytearray(path.read_bytes())
    content[5000:5100] = bytes(100)
    path.write_bytes(content)
    with pytest.raises(DataError, match="is a damaged Parquet file"):
        read_ratings(path)


def test_columns_named_twice_must_be_chosen(tmp_path: Path) -> None:
    (tmp_path / "data").write_text("user,item,rating,Rating\n1,2,3,4\n")
    with pytest.raises(
        DataError, match="has several columns 'rating'; choose with columns\\['rating'\\]"
    ):
        read_ratings(tmp_path / "data")
    assert triples(read_ratings(tmp_path / "data", columns={"rating": "Rating"})) == [(1, 2, 4.0)]


@pytest.mark.skipif(importlib.util.find_spec("atheris") is None, reason="needs atheris")
def test_inputs_guided_by_coverage(tmp_path: Path) -> None:
    (tmp_path / "text").write_bytes(b"a" + TEXT)
    (tmp_path / "bad").write_bytes(b"\xa0" + BAD)
    script = Path(__file__).parent / "fuzz_reading.py"
    command = [sys.executable, str(script), "-max_total_time=5", "-max_len=300"]
    command += ["-rss_limit_mb=0", str(tmp_path)]  # a peak may be that of the process around it
    done = subprocess.run(command, capture_output=True, text=True, cwd=tmp_path)
    assert done.returncode == 0, done.stderr[-2000:]


def test_closed_standard_input(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "stdin", None)
    with pytest.raises(DataError, match="<stdin>: is closed; name a file"):
        read_ratings("-")


def test_blank_lines_at_the_start(tmp_path: Path) -> None:
    (tmp_path / "data").write_bytes(b"\n" * 50 + TEXT)
    assert triples(read_ratings(tmp_path / "data")) == EXPECTED
    (tmp_path / "data").write_bytes(b"\n" * 50)
    with pytest.raises(DataError, match="is empty; provide one line per rating"):
        read_ratings(tmp_path / "data")


def test_fields_of_any_length_are_read_or_refused(tmp_path: Path) -> None:
    long = "x" * 200_000  # more than Python's csv module takes
    (tmp_path / "data").write_text(f"user,item,rating,title\n1,2,3,{long}\n1,3,4,{long}\n")
    assert triples(read_ratings(tmp_path / "data")) == [(1, 2, 3.0), (1, 3, 4.0)]
    (tmp_path / "data").write_text(f"user,item,rating,title\n1,2,x,{long}\n")
    with pytest.raises(DataError, match=":2: must have 4 fields like the first line, got 1"):
        read_ratings(tmp_path / "data")


@pytest.mark.parametrize(
    ("times", "message"),
    [
        ([1.5, float("nan")], r"data: row 2: timestamp \(column 'ts'\) is null; ignore times"),
        ([True, False], "data: column 'ts' must hold seconds or dates, got bool; ignore times"),
        (["1970-01-01", "soon"], "row 2: .* must be seconds or an ISO 8601 date, got 'soon'"),
    ],
)
def test_invalid_times_of_parquet(tmp_path: Path, times: list[object], message: str) -> None:
    table = pa.table({"user": [1, 2], "item": [1, 2], "rating": [1.0, 2.0], "ts": times})
    pq.write_table(table, tmp_path / "data")
    with pytest.raises(DataError, match=message):
        read_ratings(tmp_path / "data")


def test_parquet_columns_with_the_same_name_are_refused(tmp_path: Path) -> None:
    table = pa.table([[1], [2], [3.0], [4.0]], ["user", "item", "rating", "rating"])
    pq.write_table(table, tmp_path / "data")
    with pytest.raises(DataError, match=r"several columns 'rating'; choose with columns"):
        read_ratings(tmp_path / "data")
    with pytest.raises(DataError, match="data: has several columns 'rating'; rename them"):
        read_ratings(tmp_path / "data", columns={"rating": "rating"})


def test_settings_that_were_used_are_recorded(tmp_path: Path) -> None:
    (tmp_path / "a.csv").write_bytes(TEXT)
    source = read_ratings(tmp_path / "a.csv", duplicates="mean").source
    assert source is not None
    assert source.settings == {
        "decimal": ".", "encoding": "utf-8", "duplicates": "mean", "on_bad_row": "stop"
    }  # fmt: skip
    pq.write_table(pa.table({"user": [1], "item": [2], "rating": [3.0]}), tmp_path / "b")
    source = read_ratings(tmp_path / "b", on_bad_row="skip").source
    assert source is not None
    assert source.settings == {"duplicates": "keep-last", "on_bad_row": "skip"}


def write_part(path: Path, user: int) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    pq.write_table(pa.table({"user": [user], "item": [2], "rating": [3.0]}), path)


def test_partitions_are_read_like_one_folder(tmp_path: Path) -> None:
    write_part(tmp_path / "day=0" / "part-0.parquet", 1)
    write_part(tmp_path / "day=1" / "country=IT" / "part-0.parquet", 2)
    write_part(tmp_path / "day=1" / "country=__HIVE_DEFAULT_PARTITION__" / "part-0.parquet", 3)
    write_part(tmp_path / "day=1" / "_temporary" / "part-0.parquet", 4)
    write_part(tmp_path / "other" / "part-0.parquet", 5)
    for name in ("_SUCCESS", "_metadata", "_common_metadata", "day=0/.part-0.parquet.crc"):
        (tmp_path / name).write_bytes(b"x")
    with pytest.warns(MfcliWarning, match="is read without other; if ratings are missing"):
        ratings = read_ratings(tmp_path)
    assert triples(ratings) == [(1, 2, 3.0), (2, 2, 3.0), (3, 2, 3.0)]


def test_parts_may_be_json_and_have_capital_letters(tmp_path: Path) -> None:
    (tmp_path / "A.JSON").write_text('{"user": 1, "item": 2, "rating": 3}\n')
    (tmp_path / "b.jsonl.GZ").write_bytes(gzipped(b'{"user": 2, "item": 2, "rating": 3}\n'))
    assert triples(read_ratings(tmp_path)) == [(1, 2, 3.0), (2, 2, 3.0)]


def test_what_a_folder_holds_besides_its_parts_is_named(tmp_path: Path) -> None:
    (tmp_path / "a.csv").write_bytes(TEXT)
    (tmp_path / "b.xlsx").write_bytes(b"x")
    (tmp_path / "more").mkdir()
    with pytest.warns(MfcliWarning, match=r"is read without b\.xlsx and 1 more; if ratings"):
        read_ratings(tmp_path)


def test_other_nested_folders_are_refused(tmp_path: Path) -> None:
    write_part(tmp_path / "2015" / "part-0.parquet", 1)
    with pytest.raises(DataError, match=r"folder of folders, which are not named like partitions"):
        read_ratings(tmp_path)
    write_part(tmp_path / "table" / "part-0.parquet", 1)
    (tmp_path / "table" / "_delta_log").mkdir()
    with pytest.raises(DataError, match="table: is a Delta table; export it as Parquet or CSV"):
        read_ratings(tmp_path / "table")

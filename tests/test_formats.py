"""Layouts and formats that people have: read, or named with a remedy."""

from __future__ import annotations

import io
import json
import os
import pickle
import shutil
import sqlite3
import subprocess
import sys
import tarfile
import threading
import zipfile
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.feather as feather
import pytest
from contents import triples
from hypothesis import given, settings, strategies as st

from mfcli.data import read_ratings
from mfcli.errors import DataError, MfcliError, MfcliWarning

EXPECTED = [(1, 2, 3.5), (1, 3, 4.0), (9, 2, 1.0)]
MATRIX = "%%MatrixMarket matrix coordinate real general\n% made by hand\n9 3 3\n"
SPACED = "1 2 3.5\n1 3 4\n9 2 1\n"


def archive(method: int = zipfile.ZIP_DEFLATED, **members: str | bytes) -> bytes:
    """Return a zip archive; in names, "__" stands for "/" and "_" for "."."""
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w", method) as file:
        for name, content in members.items():
            file.writestr(name.replace("__", "/").replace("_", "."), content)
    return out.getvalue()


def columns(text: str, separator: str) -> str:
    return text.replace(" ", separator)


TEXTS = {
    "comment and header": "# exported\n\n#\nuser,item,rating\n" + columns(SPACED, ","),
    "comment": "# exported, by me\n" + columns(SPACED, ","),
    "percent": "% exported\n" + columns(SPACED, "\t"),
    "slashes": "// exported\n" + columns(SPACED, "::"),
    "header in a comment": "# exported\n#item,user,rating\n2,1,3.5\n3,1,4\n2,9,1\n",
    "words in a comment": "# item user rating\n2,1,3.5\n3,1,4\n2,9,1\n",
    "comment and mark": "# exported\r\n\ufeffuser,item,rating\r\n" + columns(SPACED, ","),
    "konect": "% bip weighted\n% 3 2 3\n1 2 3.5 978300007\n1 3 4 978300008\n9 2 1 978300009\n",
    "konect with tabs": "% bip weighted\n1 2\t3.5\t97830000\n1 3\t4\t97830001\n9 2\t1\t97830002\n",
    "matrix market": MATRIX + SPACED,
    "sep": "sep=;\nitem;user;rating\n2;1;3.5\n3;1;4\n2;9;1\n",
    "sep comma": "\ufeffsep=,\r\nuser,item,rating\r\n" + columns(SPACED, ","),
    "sep tab": "sep=\t\nuser\titem\trating\n" + columns(SPACED, "\t"),
    "sep space": "sep= \nuser item rating\n" + SPACED,
    "quoted sep": '"sep=|"\nuser|item|rating\n' + columns(SPACED, "|"),
    "pipes": columns("user item rating ts\n" + SPACED.replace("\n", " 7\n"), "|"),
    "pipes without header": columns(SPACED, "|"),
    "pipes and titles": "user|item|rating|title\n1|2|3.5|a, b, c, d, e\n1|3|4|f\n9|2|1|g;h;i;j\n",
    "spaces": SPACED,
    "spaces with header": "user item rating\n" + SPACED,
    "several spaces": "  1   2 3.5\n 1   3   4 \n\n9 2\t\t1\r\n",
    "quotes and spaces": '"user" "item"  "rating"\n"1" "2" 3.5\n"1"  "3" 4\n"9" "2" 1\n',
    "comma and space": columns("user item rating\n" + SPACED, ", "),
    "comma and space after a header": "user,item,rating\n" + columns(SPACED, ", "),
    "comma and spaces": columns(SPACED, ",   "),
    "comma, space, quotes": 'user, item, t, rating\n1, "2", "a, b", 3.5\n1, 3, c, 4\n9, 2, d, 1\n',
    "spaces around colons": columns(SPACED, " :: "),
    "semicolon and space": columns(SPACED, "; "),
    "one line": "1 2 3.5",
}  # fmt: skip


@pytest.mark.parametrize("name", TEXTS)
@pytest.mark.parametrize("end", ["\n", "\r\n", "\r"])
def test_texts(tmp_path: Path, name: str, end: str) -> None:
    text = TEXTS[name].replace("\r\n", "\n").replace("\n", end)
    (tmp_path / "data").write_bytes(text.encode())
    assert triples(read_ratings(tmp_path / "data")) == EXPECTED[: 1 if name == "one line" else 3]


@pytest.mark.parametrize(
    "text",
    [
        "user,item,rating\nJohn Smith,Toy Story,3\nAnn Lee,The Thing,4\n",
        "John Smith,Toy Story,3\nAnn Lee,The Thing,4\n",
        "John Smith;Toy Story;3\nAnn Lee;The Thing;4\n",
        "John Smith\tToy Story\t3\nAnn Lee\tThe Thing\t4\n",
        "John Smith|Toy Story|3\nAnn Lee|The Thing|4\n",
        "John Smith::Toy Story::3\nAnn Lee::The Thing::4\n",
        "# John Smith wrote this\nJohn Smith,Toy Story,3\nAnn Lee,The Thing,4\n",
    ],
)
def test_names_with_spaces_stay_whole(tmp_path: Path, text: str) -> None:
    (tmp_path / "data").write_text(text)
    read = triples(read_ratings(tmp_path / "data"))
    assert read == [("John Smith", "Toy Story", 3.0), ("Ann Lee", "The Thing", 4.0)]


def test_many_blank_lines_are_skipped_quickly(tmp_path: Path) -> None:
    (tmp_path / "data").write_text("\n" * 9000 + "--\n" * 900 + " \n" * 900)
    with pytest.raises(DataError):
        read_ratings(tmp_path / "data")


def test_an_invalid_row_does_not_change_the_separator(tmp_path: Path) -> None:
    (tmp_path / "data").write_text("u 1,a b,3\nu 2,c d\nu 3,e f,4\n")
    with pytest.raises(DataError, match=":2: must have 3 fields like the first line, got 2"):
        read_ratings(tmp_path / "data")


def test_positions_override_a_header_in_a_comment(tmp_path: Path) -> None:
    (tmp_path / "data").write_text("# item user rating\n1,2,3.5\n")
    read = read_ratings(tmp_path / "data", columns={"user": "1", "item": "2"})
    assert triples(read) == [(1, 2, 3.5)]


LIBSVM = "5 1:1 7:1\n3 2:1 9:1\n"
NETFLIX = "1:\n1488844,3,2005-09-06\n822109,5,2005-05-13\n2:\n885013,4,2005-10-19\n"


def sqlite_database() -> bytes:
    connection = sqlite3.connect(":memory:")
    connection.execute("create table ratings (user, item, rating)")
    return connection.serialize()


def tar(text: str) -> bytes:
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w") as file:
        member = tarfile.TarInfo("ratings.csv")
        member.size = len(text)
        file.addfile(member, io.BytesIO(text.encode()))
    return out.getvalue()


def numpy_arrays(**arrays: object) -> bytes:
    out = io.BytesIO()
    np.savez(out, **arrays)  # type: ignore[arg-type]
    return out.getvalue()


REFUSED: dict[str, tuple[str | bytes, str]] = {
    "xls": (b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1" + bytes(9), "an Excel 97 workbook (.xls); save it"),
    "xlsx": (archive(xl__workbook_xml="x", y="z"), "an Excel workbook (.xlsx); save it as CSV"),
    "ods": (archive(content_xml="x"), "an OpenDocument file; save it as CSV"),
    "npz": (numpy_arrays(a=[1]), "an archive of NumPy arrays (.npz); load it in Python and"),
    "npy": (b"\x93NUMPY\x01\0", "a NumPy array (.npy); load it in Python and write it with Data"),
    "pickle": (pickle.dumps([1.5]), "a Python pickle, which mfcli does not open; load it"),
    "sqlite": (sqlite_database(), "an SQLite database; export a table, as with: sqlite3 -header"),
    "hdf5": (b"\x89HDF\r\n\x1a\n", "an HDF5 file; load it in Python"),
    "mat": (b"MATLAB 5.0 MAT-file" + bytes(9), "a MATLAB file (.mat); write it as CSV"),
    "orc": (b"ORC\x11\0\0", "an ORC file; write it as Parquet"),
    "avro": (b"Obj\x01\x04", "an Avro file; write it as Parquet"),
    "rds": (b"X\n\0\0\0\x03", "an R object (.rds); load it in R"),
    "7z": (b"7z\xbc\xaf\x27\x1c", "a 7-Zip archive; extract it"),
    "tar": (tar(SPACED), "a tar archive; extract it with: tar -xf FILE"),
    "html": ("\n<!DOCTYPE html>\n<html></html>", "a web page (HTML), not the data itself; downl"),
    "xml": ('<?xml version="1.0"?><a/>', "an XML document; save it as CSV"),
    "pdf": ("%PDF-1.7\n", "a PDF document; save it as CSV"),
    "lfs": ("version https://git-lfs.github.com/spec/v1\n", "a Git LFS pointer, not the"),
    "libsvm": (LIBSVM, "in libsvm or libFM format; write one line per user, item and rating"),
    "netflix": (NETFLIX, "a Netflix Prize file, in which each item has a separate line;"),
    "sql": ("-- dump\n\nINSERT INTO r VALUES (1, 2, 3);\n", "an SQL dump; export the table as CSV"),
    "arff": ("% c\n@RELATION ratings\n", "an ARFF file; save it as CSV"),
    "zip of several": (archive(a_csv="1", b_csv="2"), "a zip archive of 2 files: a.csv, b.csv; u"),
    "zip of nothing": (archive(ab="1").replace(b"ab", b"\0b"), "a zip archive of 0 files; un"),
    "zip of many": (archive(**{f"f{n}": "1" for n in range(9)}), "a zip archive of 9 files: f0, "),
    "symmetric": (MATRIX.replace("general", "symmetric"), "not a list of ratings, but a matrix"),
    "dense": (MATRIX.replace("coordinate", "array"), "not a list of ratings, but a matrix of the"),
}  # fmt: skip


@pytest.mark.parametrize("name", REFUSED)
def test_other_formats_are_named(tmp_path: Path, name: str) -> None:
    content, message = REFUSED[name]
    path = tmp_path / "data.csv"
    path.write_bytes(content.encode() if isinstance(content, str) else content)
    with pytest.raises(DataError) as caught:
        read_ratings(path)
    assert str(caught.value).startswith(f"{path}: is {message}")


@pytest.mark.skipif(not shutil.which("awk"), reason="needs awk")
def test_the_remedy_for_the_netflix_prize_works(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    Path("FILE").write_text(NETFLIX)
    with pytest.raises(DataError) as caught:
        read_ratings("FILE")
    command = str(caught.value.remedy).partition("as with: ")[2]
    subprocess.run(["sh", "-c", command], check=True)
    read = triples(read_ratings("ratings.csv"))
    assert read == [(1488844, 1, 3.0), (822109, 1, 5.0), (885013, 2, 4.0)]


@pytest.mark.parametrize(
    "text", ["ORC1,2,3\n", "PARE,2,3\n", "FEA1,2,3\n", "MATLAB,2,3\n", "sep=,2,3\n", "7z,2,3\n"]
)
def test_ids_that_look_like_formats(tmp_path: Path, text: str) -> None:
    (tmp_path / "data").write_text(text)
    assert triples(read_ratings(tmp_path / "data")) == [(text.split(",")[0], 2, 3.0)]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("# a\n# b\n", ": holds only comments; if they are ratings, write a line with the column"),
        ("#1,2,3\n1,3,4\n", ":1: may be a comment or a rating; remove the line, or write a line"),
        ("# 1 2 3\n1 3 4\n", ":1: may be a comment or a rating; remove the line, or write a line"),
        ("1,2,3\n# a\n1,3,4\n", ":2: must have 3 fields like the first line, got 1; comments may"),
        (MATRIX.replace("9 3 3", "9 3"), ": must give the number of rows, columns and entries of"),
        (MATRIX.replace("9 3 3", "9 3 ²"), ": must give the number of rows, columns and entries"),
    ],
)
def test_comments_that_are_refused(tmp_path: Path, text: str, message: str) -> None:
    path = tmp_path / "data"
    path.write_text(text)
    with pytest.raises(DataError) as caught:
        read_ratings(path)
    assert str(caught.value).startswith(f"{path}{message}")


@pytest.mark.parametrize("rows", [SPACED[:8], SPACED + "9 3 1\n"])
def test_matrices_state_how_many_entries_follow(tmp_path: Path, rows: str) -> None:
    (tmp_path / "data").write_text(MATRIX + rows)
    rule = f"data:3: states 3 entries, but {len(rows.splitlines())} follow; get the file again if"
    with pytest.raises(DataError, match=rule):
        read_ratings(tmp_path / "data")
    with pytest.raises(DataError, match=rule):
        read_ratings(tmp_path / "data", on_bad_row="skip")


def test_skipped_rows_are_entries_of_a_matrix_too(tmp_path: Path) -> None:
    (tmp_path / "data").write_text(MATRIX + SPACED.replace("3.5", "x"))
    assert len(read_ratings(tmp_path / "data", on_bad_row="skip")) == 2


def test_comments_among_rows_that_look_like_ratings(tmp_path: Path) -> None:
    (tmp_path / "data").write_text("1,2,3\n#1,4,5\n1,3,4\n")
    with pytest.warns(MfcliWarning, match="has lines after the first row that look like comments"):
        read_ratings(tmp_path / "data")


@pytest.mark.parametrize("method", [zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED, zipfile.ZIP_LZMA])
@pytest.mark.parametrize("encoding", ["utf-8", "utf-16"])
def test_zip_archives_of_one_file(tmp_path: Path, method: int, encoding: str) -> None:
    with zipfile.ZipFile(tmp_path / "data", "w", method) as file:
        file.writestr("ml/", "")
        file.writestr("ml/ratings.csv", SPACED.encode(encoding))
        file.writestr("__MACOSX/ml/._ratings.csv", "x")
        file.writestr("ml/.DS_Store", "x")
    read = read_ratings(tmp_path / "data")
    assert triples(read) == EXPECTED
    assert read.source is not None
    assert read.source.format.startswith("zip ")


def test_damaged_and_encrypted_zip_archives(tmp_path: Path) -> None:
    path = tmp_path / "data"
    whole = archive(a_csv=SPACED * 9000)
    for damaged in (whole[:-9], whole[:200] + b"xyz" + whole[203:]):
        path.write_bytes(damaged)
        with pytest.raises(DataError, match="its zip data is truncated or damaged"):
            read_ratings(path)
    workbook = archive(docProps__app_xml="x", xl__workbook_xml="x" * 999)
    path.write_bytes(workbook[:-30])
    with pytest.raises(DataError, match="is a damaged Excel workbook or another Office file; get"):
        read_ratings(path)
    encrypted = bytearray(whole)
    encrypted[whole.index(b"PK\1\2") + 8] |= 1  # the flag in the directory
    path.write_bytes(encrypted)
    with pytest.raises(DataError, match="is an encrypted zip archive; unzip it"):
        read_ratings(path)


@pytest.mark.parametrize("compression", ["uncompressed", "lz4", "zstd"])
def test_feather(tmp_path: Path, compression: str) -> None:
    table = pa.table({"user": [1, 1, 9], "item": [2, 3, 2], "rating": [3.5, 4, 1]})
    path = tmp_path / "data"
    feather.write_feather(table, path, compression, chunksize=2)
    read = read_ratings(path)
    assert triples(read) == EXPECTED
    assert read.source is not None
    assert read.source.format == "arrow"
    path.write_bytes(path.read_bytes()[:-60])
    with pytest.raises(DataError, match="is a damaged Arrow file"):
        read_ratings(path)


def test_columnar_files_within_compressed_data(tmp_path: Path) -> None:
    table = pa.table({"user": [1], "item": [2], "rating": [3.5]})
    feather.write_feather(table, tmp_path / "data")
    content = (tmp_path / "data").read_bytes()
    (tmp_path / "data").write_bytes(archive(a=content))
    with pytest.raises(DataError, match="is a columnar file within zip data; decompress it first"):
        read_ratings(tmp_path / "data")


@pytest.mark.parametrize(
    ("name", "remedy"),
    [
        ("https://x.org/a.csv", "download it first, as with: curl -LO https://x.org/a.csv"),
        ("https://x.org/a?b=1&c", "download it first, as with: curl -LO 'https://x.org/a?b=1&c'"),
        (Path("https://x.org/a.csv"), "download it first, as with: curl -LO https://x.org/a.csv"),
        ("s3://bucket/a.csv", "copy it to a local file first"),
        ("file:///tmp/a.csv", "name the path, such as /tmp/a.csv"),
    ],
)
def test_addresses(name: str | Path, remedy: str) -> None:
    with pytest.raises(DataError, match="is an address, not a local file") as caught:
        read_ratings(name)
    assert caught.value.remedy == remedy


@pytest.mark.skipif(sys.platform == "win32", reason="named pipes are of POSIX")
def test_named_pipes(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    writer = threading.Thread(target=(tmp_path / "pipe").write_text, args=(SPACED,))
    writer.start()
    assert triples(read_ratings(tmp_path / "pipe")) == EXPECTED
    writer.join()


def arrow_file() -> bytes:
    sink = io.BytesIO()
    table = pa.table({"user": [1, 1, 9], "item": ["a", "b", "a"], "rating": [3.5, 4, 1]})
    with pa.ipc.new_file(sink, table.schema) as writer:
        writer.write_table(table)
    return sink.getvalue()


SEEDS = [
    archive(a=SPACED),
    archive(zipfile.ZIP_STORED, a=SPACED),
    SPACED.encode("utf-16"),
    (MATRIX + SPACED).encode(),
    b'{"user": 1, "item": "b", "rating": 3.5}\n{"user": 2, "item": "c", "rating": 4}\n',
    json.dumps({"user": "é", "item": "b", "rating": 3.5}, ensure_ascii=False).encode("utf-16"),
    arrow_file(),
    b'# user item rating\n"1" 2  3.5\n 1 "3" 4\n',
    b'user, item, rating\n1, "2", 3.5\n',
]


@settings(max_examples=300, deadline=None)
@given(st.data())
def test_any_bytes_are_ratings_or_one_clear_error(
    tmp_path_factory: pytest.TempPathFactory, data: st.DataObject
) -> None:
    whole = bytearray(data.draw(st.sampled_from(SEEDS)))
    for _ in range(data.draw(st.integers(0, 4))):
        place = data.draw(st.integers(0, len(whole)))
        size = data.draw(st.integers(0, 6))
        whole[place : place + size] = data.draw(st.binary(max_size=6))
    path = tmp_path_factory.mktemp("fuzz") / "data"
    path.write_bytes(bytes(whole))
    try:
        ratings = read_ratings(path)
    except (MfcliError, MfcliWarning) as error:
        assert "\n" not in str(error)
    else:
        assert np.isfinite(ratings.rating).all()

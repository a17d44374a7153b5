"""Predictions for pairs in files of all kinds, and for named pairs."""

from __future__ import annotations

import bz2
import csv
import io
import json
import lzma
import re
import subprocess
import sys
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from unittest import mock

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from conftest import Run
from contents import gzipped
from hypothesis import assume, given, settings, strategies as st
from planted import planted_split

from mfcli.config import Config
from mfcli.data import Layout, Vocabulary
from mfcli.data.formats import parquet, strict_text as strict, text as text_reader
from mfcli.data.formats.text import TextPiece
from mfcli.data.pair_files import _TextPairs
from mfcli.data.sources import File
from mfcli.errors import DataError
from mfcli.model import Model
from mfcli.predict import (
    id_finder as finders,
    predicted_files as predicting,
    predictor as predictors,
)
from mfcli.training.loop import start


@pytest.fixture(scope="module")
def model() -> Model:
    """With users 100, 101, ... and items "i0", "i 1", "007", ..."""
    made = start(planted_split(Config(), share=0.3), Config(k=3))
    names = ["i0", "i 1", "007", "é", *(f"i{n}" for n in range(4, 40))]
    users = Vocabulary(pa.array(np.arange(100, 160)), made.users.counts)
    rng = np.random.default_rng(0)
    tables = {n: rng.normal(0, 1, t.shape).astype("f4") for n, t in made.tables.items()}
    items = Vocabulary(pa.array(names), made.items.counts)
    return replace(made.with_tables(tables), users=users, items=items)


@pytest.fixture
def ready(run: Run, model: Model) -> Run:
    replace(model, losses={"loss": 1.0, "mse": 1.0, "val_loss": 1.0, "val_mse": 1.0}).save(
        Path("model")
    )
    return run


USERS = [100, 101, 7, 159, 100]
ITEMS = ["i0", "007", "i5", "nothing", "i 1"]


def expected(model: Model) -> list[str]:
    values = pa.array(model.predict(USERS, ITEMS))
    return values.cast(pa.string()).to_pylist()


def lines(separator: str = ",", header: str = "user,item,note") -> str:
    first = header.replace(",", separator) + "\n" if header else ""
    rows = (
        separator.join([str(u), i, f"3.5{n}0"])
        for n, (u, i) in enumerate(zip(USERS, ITEMS, strict=True))
    )
    return first + "".join(row + "\n" for row in rows)


@pytest.mark.parametrize("separator", [",", "\t", ";", "::"])
@pytest.mark.parametrize("header", ["user,item,note", ""])
def test_texts_get_another_field(ready: Run, model: Model, separator: str, header: str) -> None:
    text = lines(separator, header)
    Path("pairs.csv").write_text(text, encoding="utf-8")
    done = ready("predict", "pairs.csv")
    assert done.code == 0, done.err
    given = text.splitlines()
    own = given[1:] if header else given
    first = [f"{given[0]}{separator}prediction"] if header else []
    assert done.out.splitlines() == first + [
        f"{line}{separator}{value}" for line, value in zip(own, expected(model), strict=True)
    ]
    assert done.err == (
        "note: 1 of 5 pairs has an unknown user, 1 an unknown item; for these, only the mean and"
        " known biases count\n"
    )


@pytest.mark.parametrize(
    "change",
    [
        lambda text: text.replace("\n", "\r\n"),
        lambda text: text.rstrip("\n"),
        lambda text: "\ufeff" + text,
        lambda text: text.replace("\n", "\n\n"),
        lambda text: text.replace("i5,", '"i5",'),
        lambda text: "\n" + text,
        lambda text: text.replace("\n", "\r"),
        lambda text: text.replace("i5,", 'i5,x"y'),
        lambda text: text.replace("\n", "\n   \n"),
    ],
)
def test_other_ways_to_write_the_same(
    ready: Run, model: Model, change: Callable[[str], str]
) -> None:
    Path("pairs.csv").write_bytes(change(lines()).encode())
    done = ready("predict", "pairs.csv", "-q")
    assert [row[3] for row in csv.reader(io.StringIO(done.out))][1:] == expected(model)


def test_odd_text_passes_through(ready: Run) -> None:
    text = 'item,"a ""b""",user\n"i0","x, y\nz",100\n007,=1+1,101\ni5,,\t102\n'
    Path("pairs.csv").write_text(text)
    done = ready("predict", "pairs.csv", "-q")
    rows = list(csv.reader(io.StringIO(done.out)))
    assert [row[:3] for row in rows] == list(csv.reader(io.StringIO(text)))
    assert rows[0][3] == "prediction"


ODD = st.text(st.sampled_from('a ,;"\t\r\né'), max_size=5)
ROW = st.tuples(st.sampled_from(["100", "7", "101"]), st.sampled_from(["i 1", "é", ","]), ODD)


@pytest.mark.filterwarnings("ignore:.* the row spans:mfcli.errors.MfcliWarning")
@settings(max_examples=150, deadline=None)
@given(
    rows=st.lists(ROW, max_size=12),
    separator=st.sampled_from(",;\t"),
    quoting=st.sampled_from([csv.QUOTE_MINIMAL, csv.QUOTE_ALL, csv.QUOTE_NONE]),
    end=st.sampled_from(["\n", "\r\n"]),
    block=st.integers(1, 60),
)
def test_rows_are_those_that_python_reads(
    model: Model, tmp_path_factory: pytest.TempPathFactory, rows: list[tuple[str, str, str]],
    separator: str, quoting: int, end: str, block: int,
) -> None:  # fmt: skip
    text = io.StringIO()
    if quoting == csv.QUOTE_NONE:  # not always valid
        # A quote that opens a field would be text here, but not for Python.
        text.write("".join(separator.join(row) + end for row in rows).replace('"', "'"))
    else:
        csv.writer(text, delimiter=separator, quoting=quoting, lineterminator=end).writerows(rows)
    path = tmp_path_factory.mktemp("odd") / "pairs.csv"
    head = separator.join(["user", "item", "note"]) + end
    path.write_bytes((head + text.getvalue()).encode())
    read = csv.reader(io.StringIO(text.getvalue(), newline=""), delimiter=separator)
    given_rows = [row for row in read if len(row) > 1 or "".join(row).strip()]
    predictor, out = predictors.Predictor(model, clip=True), io.BytesIO()
    short = mock.patch.multiple(text_reader, _BLOCK=block, LONGEST=block)
    with short, mock.patch.object(strict, "_ROWS", 3):
        if any(len(row) != 3 or not row[0] or not row[1] for row in given_rows):
            with pytest.raises(DataError, match=r"pairs.csv:\d+: "):
                predicting.predict_file(predictor, path, out)
            return
        predicting.predict_file(predictor, path, out, threads=2)
    shown = io.StringIO(out.getvalue().decode(), newline="")
    found = list(csv.reader(shown, delimiter=separator))
    assert [row[:3] for row in found[1:]] == given_rows
    users, items = [row[0] for row in given_rows], [row[1] for row in given_rows]
    values = np.array([row[3] for row in found[1:]], np.float32)
    np.testing.assert_array_equal(values, model.predict(users, items))


def test_line_ends_quotes_and_a_byte_order_mark_stay(ready: Run) -> None:
    text = '\ufeff"user", item ,x\r\n"100",i0,""\r\n\r\n100,i0,"a\r\nb"\r\n'
    Path("pairs.csv").write_bytes(text.encode())
    assert ready("predict", "pairs.csv", "--out", "p.csv").code == 0
    made = Path("p.csv").read_bytes().decode()
    value = made.split("\r\n")[1].rpartition(",")[2]
    assert made == (
        f'\ufeff"user", item ,x,prediction\r\n"100",i0,"",{value}\r\n100,i0,"a\r\nb",{value}\r\n'
    )


def test_bytes_of_other_columns_pass_through(ready: Run) -> None:
    Path("pairs.csv").write_bytes(b"user,item,x\n100,i0,\xff\xfe\n")
    done = subprocess.run(
        [sys.executable, "-m", "mfcli", "predict", "pairs.csv"], capture_output=True
    )
    assert done.stdout.startswith(b"user,item,x,prediction\n100,i0,\xff\xfe,")


def test_compressed_texts_and_standard_input(ready: Run, model: Model) -> None:
    Path("pairs.csv").write_text(lines())
    packed = ready("predict", "pairs.csv", "-q").out
    for pack in (gzipped, bz2.compress, lzma.compress):
        Path("pairs.packed").write_bytes(pack(lines().encode()))
        assert ready("predict", "pairs.packed", "-q").out == packed
    done = subprocess.run(
        [sys.executable, "-m", "mfcli", "predict", "-", "-q"],
        input=lines(), capture_output=True, text=True,
    )  # fmt: skip
    assert done.stdout == packed


def test_files_of_all_kinds(ready: Run, model: Model) -> None:
    Path("pairs.csv").write_text(lines())
    assert ready("predict", "pairs.csv", "--out", "p.csv").out == "p.csv: 5 pairs\n"
    assert ready("predict", "pairs.csv", "--out", "p.parquet").code == 0
    frame = pd.read_parquet("p.parquet")
    assert frame["note"].tolist() == [f"3.5{n}0" for n in range(5)]
    np.testing.assert_array_equal(frame["prediction"], model.predict(USERS, ITEMS))
    table = pa.table(
        {
            "x": [1.5, None, 2, 3, 4],
            "item": pa.array(ITEMS).dictionary_encode(),
            "user": pa.array(USERS, pa.int32()),
        }
    )
    pq.write_table(table, "q.parquet")
    result = json.loads(ready("predict", "q.parquet", "--out", "r.parquet", "--json", "-q").out)
    assert result == {
        "out": "r.parquet",
        "pairs": 5,
        "unknown_users": 1,
        "unknown_items": 1,
        "unrated_users": 0,
        "unrated_items": 0,
    }
    made = pq.read_table("r.parquet")
    assert made.column_names == ["x", "item", "user", "prediction"]
    assert made["user"].type == pa.int32()
    assert made["x"].to_pylist() == table["x"].to_pylist()
    np.testing.assert_array_equal(made["prediction"], model.predict(USERS, ITEMS))
    assert ready("predict", "q.parquet", "--out", "r.csv", "-q").code == 0
    np.testing.assert_allclose(
        pd.read_csv("r.csv")["prediction"], model.predict(USERS, ITEMS), rtol=1e-6
    )


@pytest.mark.parametrize("kind", ["csv", "parquet"])
def test_pieces_and_threads_do_not_matter(
    ready: Run, monkeypatch: pytest.MonkeyPatch, kind: str
) -> None:
    rng = np.random.default_rng(0)
    frame = pd.DataFrame(
        {
            "user": rng.integers(90, 160, 5000),
            "item": "i" + pd.Series(rng.integers(0, 50, 5000)).astype(str),
        }
    )
    write = frame.to_csv if kind == "csv" else frame.to_parquet
    write(f"pairs.{kind}", index=False)
    one = ready("predict", f"pairs.{kind}", "--threads", 1)
    monkeypatch.setattr(text_reader, "_BLOCK", 700)
    monkeypatch.setattr(parquet, "_ROWS", 37)
    monkeypatch.setattr(strict, "_ROWS", 37)
    monkeypatch.setattr(finders, "_LARGE", 0)
    many = ready("predict", f"pairs.{kind}", "--threads", 4)
    assert (many.out, many.err) == (one.out, one.err)
    assert many.out.count("\n") == 5001
    if kind == "csv":
        half = "\n".join(many.out.splitlines()[:2501]) + "\n"
        Path("half.csv").write_text(
            "\n".join(Path("pairs.csv").read_text().splitlines()[:2501]) + "\n"
        )
        assert ready("predict", "half.csv", "-q").out == half
        quoted = Path("pairs.csv").read_text().replace("\n100,", '\n"100",')
        Path("quoted.csv").write_text(quoted)
        shown = ready("predict", "quoted.csv", "-q").out
        assert shown.replace('\n"100",', "\n100,") == one.out


def test_nothing_to_predict_is_an_empty_result(ready: Run) -> None:
    Path("none.csv").write_text("user,item,x\n")
    assert ready("predict", "none.csv").out == "user,item,x,prediction\n"
    pq.write_table(
        pa.table({"user": pa.array([], pa.int64()), "item": pa.array([], pa.string())}), "n.parquet"
    )
    for name in ("none.csv", "n.parquet"):
        assert ready("predict", name, "--out", "o.parquet").code == 0
        made = pq.read_table("o.parquet")
        assert (made.num_rows, made.column_names[-1]) == (0, "prediction")
    assert ready("predict", "n.parquet").out.strip() == "user,item,prediction"


def test_named_pairs(ready: Run, model: Model) -> None:
    done = ready("predict", "--user", 100, "--user", 7, "--item", "i0", "--item", "007", "--json")
    result = json.loads(done.out)
    assert result["unknown_users"] == 2
    values = [row["prediction"] for row in result["predictions"]]
    np.testing.assert_allclose(
        values, model.predict([100, 100, 7, 7], ["i0", "007"] * 2), rtol=1e-6
    )
    assert "prediction" in ready("predict", "--user", 100, "--item", "i0").out


def test_clipping_is_a_setting(ready: Run, model: Model) -> None:
    Path("pairs.csv").write_text(lines())
    raw = ready("predict", "pairs.csv", "--no-clip", "-q").out
    values = [float(line.rpartition(",")[2]) for line in raw.splitlines()[1:]]
    np.testing.assert_allclose(values, model.predict(USERS, ITEMS, clip=False), rtol=1e-6)
    assert max(values) > model.scale.max or min(values) < model.scale.min
    Path("mfcli.toml").write_text("clip = false\n")
    assert ready("predict", "pairs.csv", "-q").out == raw


def test_users_and_items_without_training_ratings_are_counted(ready: Run, model: Model) -> None:
    counts = model.users.counts.copy()
    counts[1] = 0
    unrated = replace(model, users=Vocabulary(model.users.ids, counts))
    unrated.save(Path("other"))
    Path("pairs.csv").write_text(lines())
    done = ready("predict", "pairs.csv", "--model", "other", "--out", "p.csv", "--json")
    assert json.loads(done.out)["unrated_users"] == 1
    assert "1 an unknown item, 1 a user without training ratings; for these" in done.err
    quiet = ready("predict", "pairs.csv", "--model", "other", "--out", "p.csv", "-q")
    assert (quiet.out, quiet.err) == ("p.csv: 5 pairs\n", "")


def test_parquet_keeps_its_columns(ready: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(parquet, "_ROWS", 2)
    frame = pd.DataFrame(
        {"user": [100, 101, 102], "item": pd.Categorical(["i0", "i5", "i0"])},
        index=pd.Index(["k", "l", "m"], name="key"),
    )
    frame.to_parquet("pairs.parquet")
    assert ready("predict", "pairs.parquet", "--out", "p.parquet").code == 0
    made = pd.read_parquet("p.parquet")
    pd.testing.assert_frame_equal(made.drop(columns="prediction"), frame)
    assert made["prediction"].dtype == np.float32
    assert pq.ParquetFile("p.parquet").num_row_groups == 1


def test_many_rows_become_several_row_groups(ready: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(parquet, "_ROWS", 2)
    monkeypatch.setattr(predicting, "_GROUP_ROWS", 4)
    pq.write_table(pa.table({"user": [100] * 9, "item": ["i0"] * 9}), "pairs.parquet")
    assert ready("predict", "pairs.parquet", "--out", "p.parquet").code == 0
    file = pq.ParquetFile("p.parquet").metadata
    assert [file.row_group(n).num_rows for n in range(file.num_row_groups)] == [4, 4, 1]


def test_strict_writes_all_or_nothing(ready: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(text_reader, "_BLOCK", 40)
    text = "user,item\n" + "100,i0\n" * 50
    Path("pairs.csv").write_text(text)
    assert ready("predict", "pairs.csv", "--strict").out == ready("predict", "pairs.csv").out
    Path("pairs.csv").write_text(text + "100, I0\n")
    done = ready("predict", "pairs.csv", "--strict")
    assert (done.code, done.out) == (1, "")
    assert done.err == (
        "error: pairs.csv:52: item ' I0' is not among the model's 40 items; did you mean 'i0'?\n"
    )


def test_a_late_fault_leaves_the_older_file(ready: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(text_reader, "_BLOCK", 40)
    Path("pairs.csv").write_text("user,item\n" + "100,i0\n" * 50 + "100\n")
    for name in ("p.csv", "p.parquet"):
        Path(name).write_text("old")
        done = ready("predict", "pairs.csv", "--out", name)
        assert done.err.startswith("error: pairs.csv:52: must have 2 fields")
        assert Path(name).read_text() == "old"
    assert {path.name for path in Path().iterdir()} == {"model", "pairs.csv", "p.csv", "p.parquet"}


@pytest.mark.parametrize(
    ("content", "options", "start"),
    [
        ("user,item\r\n100,é\r\n".encode("utf-16"), [], "user,item,prediction\n100,é,"),
        ("user,item\n100,é\n".encode("latin-1"), ["--encoding", "latin-1"], "user,item,pred"),
        ("user item\n 100   é\n".encode(), [], "user item prediction\n 100   é "),
        ("100 é\n".encode(), [], "100 é "),
        ("# pairs\n100|é\n".encode(), [], "100|é|"),
        ("# user item\n100, é\n".encode(), [], "100, é,"),
        ("sep=;\nitem;user\né;100\n".encode(), [], "item;user;prediction\né;100;"),
        ('{"item": "é", "user": 100}\n'.encode(), [], 'item,user,prediction\n"é",100,'),
    ],
)
def test_other_formats(
    ready: Run, model: Model, content: bytes, options: list[str], start: str
) -> None:
    Path("pairs").write_bytes(content)
    done = ready("predict", "pairs", *options)
    assert done.code == 0, done.err
    assert done.out.startswith(start)
    value = pa.array(model.predict([100], ["é"])).cast(pa.string())[0].as_py()
    assert done.out.rstrip().endswith(value)


def test_positions_mean_that_there_is_no_header(ready: Run, model: Model) -> None:
    Path("pairs.csv").write_text("x1,nobody\ni0,100\n")
    assert ready("predict", "pairs.csv").code == 1
    done = ready("predict", "pairs.csv", "--user-col", 2, "--item-col", 1)
    value = pa.array(model.predict(["nobody", "100"], ["x1", "i0"])).cast(pa.string()).to_pylist()
    assert done.out == f"x1,nobody,{value[0]}\ni0,100,{value[1]}\n"


REFUSED = [
    (["none.csv"], 1, "none.csv: cannot be read: No such file or directory"),
    (["bad.csv"], 1, "bad.csv:3: must have 2 fields like the first line, got 3; correct the line"),
    (["empty.csv"], 1, "empty.csv:2: item id must not be empty; correct the line"),
    (["quoted.csv"], 1, "quoted.csv:3: must have 2 fields like the first line, got 1; correct the"),
    (["latin.csv"], 1, "latin.csv:2: item must be UTF-8 text (byte 0xFF); if it is Latin-1 text, "),
    (["one.csv"], 1, "one.csv:1: must have 2 fields (user, item), got 1"),
    (["twice.csv"], 1, "twice.csv: has a column 'prediction' already; rename or remove it"),
    (["named.csv", "--user-col", "x"], 1, "named.csv: has no column 'x'; its columns are user, i"),
    (["null.parquet"], 1, "null.parquet: row 2: item is null; correct the row"),
    (["blank.parquet"], 1, "blank.parquet: row 1: item id must not be empty; correct"),
    (["who.csv"], 1, "who.csv:1: names no known user or item, got 'who', 'what'; if these are nam"),
    (["list.parquet", "--out", "o.csv"], 1, "list.parquet: cannot be written as CSV (Unsupporte"),
    (["twins.csv", "--out", "o.parquet"], 1, "twins.csv: has several columns 'x', which Parquet "),
    (["bytes.csv", "--out", "o.parquet"], 1, "bytes.csv:3: must be UTF-8 text to become Parquet;"),
    (["unit.dat"], 1, "unit.dat: cannot be split into rows of 2 fields; convert it to CSV"),
    ([".", "--user-col", "x"], 1, ".: holds "),
    (["float.parquet"], 1, "float.parquet: row 2: user id must be a whole number or text, got 2."),
    (["bool.parquet"], 1, "bool.parquet: column 'user' must hold integer or text ids, got bool; c"),
    (["strict.csv", "--strict"], 1, "strict.csv:3: item 'I5' is not among the model's 40 items; "),
    (["strict.parquet", "--strict"], 1, "strict.parquet: row 2: item 'I5' is not among the model"),
    (["--user", "100", "--item", "x", "--strict"], 1, "item 'x' is not among the model's 40 items"),
    ([], 2, "name a file of pairs, or users with --user and items with --item"),
    (["--user", "1"], 2, "name a file of pairs, or users with --user and items with --item"),
    (["named.csv", "--user", "1"], 2, "--user is not used with the file named.csv; omit one of"),
    (["named.csv", "--json"], 2, "--json requires --out FILE, because the pairs are printed"),
    (
        ["named.csv", "--json", "--out", "-"],
        2,
        "--json cannot be used with --out -, which prints CSV",
    ),
    (["named.csv", "--out", "x.txt"], 2, "x.txt: must end in .csv or .parquet, or be -"),
    (["named.csv", "--model", "none"], 1, "none: holds no model; train one with: mfcli train"),
]


@pytest.mark.parametrize(("args", "code", "message"), REFUSED, ids=lambda a: str(a)[:40])
def test_refusals(ready: Run, args: list[str], code: int, message: str) -> None:
    Path("bad.csv").write_text("user,item\n100,i0\n1,2,3\n")
    Path("empty.csv").write_text("user,item\n100,\n")
    Path("quoted.csv").write_text('user,item\n"100",i0\n"1"\n')
    Path("latin.csv").write_bytes(b"user,item\n100,\xff\n")
    Path("one.csv").write_text("100\n")
    Path("twice.csv").write_text("user,item,prediction\n100,i0,3\n")
    Path("named.csv").write_text("user,item\n100,i0\n")
    Path("strict.csv").write_text("user,item\n100,i0\n100,I5\n")  # not i5
    pq.write_table(pa.table({"user": [1, 2], "item": ["a", None]}), "null.parquet")
    pq.write_table(pa.table({"user": [1.0, 2.5], "item": ["a", "b"]}), "float.parquet")
    pq.write_table(pa.table({"user": [True, False], "item": ["a", "b"]}), "bool.parquet")
    pq.write_table(pa.table({"user": [100, 101], "item": ["i0", "I5"]}), "strict.parquet")
    pq.write_table(pa.table({"user": [100], "item": [""]}), "blank.parquet")
    pq.write_table(pa.table({"user": [100], "item": ["i0"], "x": [[1]]}), "list.parquet")
    Path("who.csv").write_text("who,what\n100,i0\n")
    Path("twins.csv").write_text("user,item,x,x\n100,i0,1,2\n")
    Path("bytes.csv").write_bytes(b"user,item,x\n100,i0,y\n100,i0,\xff\n")
    Path("unit.dat").write_text("100::i:\x1f0\n")
    Path("old.csv").write_text("old")
    own = code == 1 and "--user" not in args and "--out" not in args
    for extra in ([], ["--out", "old.csv"]) if own else ([],):
        done = ready("predict", *args, *extra)
        assert done.code == code
        warned, error = done.err.rpartition("error: ")[::2]
        assert error.startswith(message), done.err
        assert error.count("\n") == 1
        # The folder "." also holds a model.
        assert warned.count("\n") == (args[:1] == ["."]), done.err
        assert Path("old.csv").read_text() == "old"


def test_a_closed_pipe_ends_it_quietly(ready: Run) -> None:
    Path("pairs.csv").write_text("user,item\n" + "100,i0\n" * 400_000)
    done = subprocess.run(
        ["bash", "-c", f"{sys.executable} -m mfcli predict pairs.csv | head -1"],
        capture_output=True, text=True,
    )  # fmt: skip
    assert done.stdout == "user,item,prediction\n"
    assert "Traceback" not in done.stderr


def pairs_of(data: bytes, separator: str = ",") -> _TextPairs:
    file = File(Path("pairs"), "pairs", "")
    columns = {"user": 0, "item": 1}
    layout = Layout(file, "text", separator, ".", False, 0, ["1", "2"], columns)
    return _TextPairs(TextPiece(layout, data), whole=False)


def test_blank_lines_are_not_pairs() -> None:
    pairs = pairs_of(b"a,b\n\nc,d\n")
    assert (pairs.user.to_pylist(), pairs.item.to_pylist()) == (["a", "c"], ["b", "d"])


LETTERS = ["a", "b", ",", ",", '"', "\r", "\n", "\n", "\ufeff", "\0", " ", ":", "::", "\x1f"]


@settings(max_examples=500, deadline=None)
@given(st.lists(st.sampled_from(LETTERS), max_size=14), st.sampled_from([",", "::"]))
def test_every_line_gets_one_value(letters: list[str], separator: str) -> None:
    """A prediction must never be written to another line."""
    data = ("".join(letters) + "\n").encode()
    if separator == "," and b'"' in data:
        assume(text_reader._end_of_rows(data, ",") == len(data))  # as in every piece
    try:
        pairs = pairs_of(data, separator)
    except text_reader.Refused:
        return
    values = pa.array(range(1000, 1000 + len(pairs.user)))
    made = b"".join(bytes(part) for part in pairs.as_text({"one": values, "two": values}))
    twice = [value for value in values.to_pylist() for _ in range(2)]
    assert re.findall(rb"\d+", made) == [b"%d" % value for value in twice]

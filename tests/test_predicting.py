"""Predictions of pairs in files of all kinds, piece by piece."""

from __future__ import annotations

import csv
import gzip
import io
import json
import subprocess
import sys
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from conftest import Outcome
from planted import planted_split

from mfcli import predicting
from mfcli.config import Config
from mfcli.model import Model, write_model
from mfcli.ratings import Vocabulary
from mfcli.training import start

Run = Callable[..., Outcome]


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
    write_model(Path("model"), model, {"loss": 1.0, "mse": 1.0, "val_loss": 1.0, "val_mse": 1.0})
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
def test_texts_get_one_field_more(ready: Run, model: Model, separator: str, header: str) -> None:
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
        "note: of 5 pairs, 1 have an unknown user and 1 an unknown item, which add nothing to the"
        " mean\n"
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


def test_bytes_of_other_columns_pass_through(ready: Run) -> None:
    Path("pairs.csv").write_bytes(b"user,item,x\n100,i0,\xff\xfe\n")
    done = subprocess.run(
        [sys.executable, "-m", "mfcli", "predict", "pairs.csv"], capture_output=True
    )
    assert done.stdout.startswith(b"user,item,x,prediction\n100,i0,\xff\xfe,")


def test_packed_texts_and_the_standard_input(ready: Run, model: Model) -> None:
    Path("pairs.csv.gz").write_bytes(gzip.compress(lines().encode()))
    packed = ready("predict", "pairs.csv.gz", "-q").out
    Path("pairs.csv").write_text(lines())
    assert packed == ready("predict", "pairs.csv", "-q").out
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
    assert result == {"out": "r.parquet", "pairs": 5, "unknown_users": 1, "unknown_items": 1}
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
    monkeypatch.setattr(predicting, "_BLOCK", 700)
    monkeypatch.setattr(predicting, "_ROWS", 37)
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
        assert ready("predict", "quoted.csv", "-q").out == one.out


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


REFUSED = [
    (["none.csv"], 1, "none.csv: cannot be read: No such file or directory"),
    (["bad.csv"], 1, "bad.csv:3: must have 2 fields like the first line, got 3; mend the line"),
    (["empty.csv"], 1, "empty.csv:2: item id must not be empty; mend the line"),
    (["quoted.csv"], 1, "quoted.csv:3: must have 2 fields like the first line, got 1; mend the"),
    (["latin.csv"], 1, "latin.csv:2: item must be UTF-8 text; convert the file, as with iconv; m"),
    (["one.csv"], 1, "one.csv:1: must have 2 fields (user, item), got 1"),
    (["twice.csv"], 1, "twice.csv: has a column 'prediction' already; rename it"),
    (["named.csv", "--user-col", "x"], 1, "named.csv: has no column 'x'; its columns are user, i"),
    (["null.parquet"], 1, "null.parquet: row 2: item id must not be empty; mend the line"),
    (["float.parquet"], 1, "float.parquet: column 'user' must hold integer or text ids, got doub"),
    (["strict.csv", "--strict"], 1, "strict.csv:3: item 'I5' is not among the model's 40 items; "),
    (["strict.parquet", "--strict"], 1, "strict.parquet: row 2: item 'I5' is not among the model"),
    (["--user", "100", "--item", "x", "--strict"], 1, "item 'x' is not among the model's 40 items"),
    ([], 2, "name a file of pairs, or users with --user and items with --item"),
    (["--user", "1"], 2, "name a file of pairs, or users with --user and items with --item"),
    (["named.csv", "--user", "1"], 2, "--user does not go with the file named.csv; leave it out"),
    (["named.csv", "--json"], 2, "--json goes with --out FILE; without it the pairs are on stdout"),
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
    Path("strict.csv").write_text("user,item\n100,i0\n100,I5\n")
    pq.write_table(pa.table({"user": [1, 2], "item": ["a", None]}), "null.parquet")
    pq.write_table(pa.table({"user": [1.0, 2.0], "item": ["a", "b"]}), "float.parquet")
    pq.write_table(pa.table({"user": [100, 101], "item": ["i0", "I5"]}), "strict.parquet")
    Path("old.csv").write_text("old")
    for extra in ([], ["--out", "old.csv"]) if code == 1 and "--user" not in args else ([],):
        done = ready("predict", *args, *extra)
        assert done.code == code
        assert done.err.startswith(f"error: {message}"), done.err
        assert done.err.count("\n") == 1
        assert Path("old.csv").read_text() == "old"


def test_a_reader_that_goes_away_ends_it_quietly(ready: Run) -> None:
    Path("pairs.csv").write_text("user,item\n" + "100,i0\n" * 400_000)
    done = subprocess.run(
        ["bash", "-c", f"{sys.executable} -m mfcli predict pairs.csv | head -1"],
        capture_output=True, text=True,
    )  # fmt: skip
    assert done.stdout == "user,item,prediction\n"
    assert "Traceback" not in done.stderr

"""Malicious files are refused or shown safely, in bounded memory."""

from __future__ import annotations

import json
import zipfile
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from conftest import Run
from planted import planted_split

from mfcli.cli.formatting import printable
from mfcli.cli.tables import print_table, value_table
from mfcli.config import Config
from mfcli.data import guarded, read_vocabulary
from mfcli.data.table_files import guarded_text
from mfcli.errors import ArtifactError
from mfcli.splits import read_split, write_split
from mfcli.splits.records import hash_of
from mfcli.storage import records, sha256
from mfcli.training import Epoch, Fit, History
from mfcli.training.loop import start

ESCAPE = "\x1b]0;owned\x07\x1b[2J\x1b[31m"


@pytest.fixture
def trained(run: Run) -> Run:
    write_split(Path("split"), planted_split(Config()))
    model = start(read_split(Path("split")), Config(k=3))
    Fit(model, History.of([Epoch(1, 1.0, 1.0, 1.0, 1.0, 1.0)])).write(Path())
    return run


def resealed(folder: Path, name: str) -> None:
    """Write the record of a folder again, with the right digests."""
    path = folder / name
    manifest = json.loads(path.read_text())
    del manifest["digest"]
    for file in manifest["files"]:
        manifest["files"][file] = sha256(folder / file)
    if "hash" in manifest:
        manifest["hash"] = hash_of(manifest["files"])
    path.write_text(records.sealed_text(manifest))


def test_control_characters_do_not_reach_the_terminal(capsys: pytest.CaptureFixture[str]) -> None:
    assert printable(f"a{ESCAPE}b") == r"a\x1b]0;owned\x07\x1b[2J\x1b[31mb"
    assert printable("\u202egpj.exe") == r"\u202egpj.exe"  # text from right to left
    assert printable("naïve 漢字 ☃") == "naïve 漢字 ☃"
    texts = {"[bold]x[/bold]": f"user:100:1 {ESCAPE}", ":smiley:": "[red]", "[/nonsense": ""}
    print_table(value_table(f":+1: [b]{ESCAPE}", texts))
    shown = capsys.readouterr().out
    assert shown.startswith(f":+1: [b]{printable(ESCAPE)}\n")
    for name, value in texts.items():
        assert f" {name} " in shown
        assert printable(value) in shown


def test_titles_are_shown_safely(trained: Run) -> None:
    rows = "".join(f'{n},"[link=file:///etc]{ESCAPE}{n}[/nonsense"\n' for n in range(40))
    Path("titles.csv").write_text("item,title\n" + rows)
    done = trained("recommend", "--user", 3, "--titles", "titles.csv")
    assert done.code == 0
    assert "\x1b" not in done.out + done.err
    assert r"\x1b" in done.out
    assert "[link=file" in done.out


def test_column_names_are_shown_safely(trained: Run) -> None:
    Path("bad.csv").write_text(f"{ESCAPE}a,[red]b,c\n1,2,3\n")
    done = trained("split", "bad.csv")
    assert done.code == 1
    assert "\x1b" not in done.err
    assert r"its columns are \x1b]0;owned" in done.err
    named = trained("split", f"no{ESCAPE}such.csv")
    assert "\x1b" not in named.err


def test_formulas_are_quoted() -> None:
    texts = ["=1+1", "+x", "-x", "@x", "\tx", "\rx", "x=1", "", "5"]
    expected = ["'=1+1", "'+x", "'-x", "'@x", "'\tx", "'\rx", "x=1", "", "5"]
    assert list(map(guarded_text, texts)) == expected
    table = pa.table({"t": texts, "n": np.arange(-4, 5), "f": np.linspace(-1, 1, 9)})
    made = guarded(table)
    assert made["t"].to_pylist() == expected
    assert made.drop_columns("t").equals(table.drop_columns("t"))


def test_tables_have_no_formulas(trained: Run) -> None:
    rows = "".join(f'{n},"=HYPERLINK(""http://x"",{n})"\n' for n in range(40))
    Path("titles.csv").write_text("item,title\n" + rows)
    options = ["--user", 3, "--titles", "titles.csv", "--out"]
    for out in ("r.csv", "-"):
        done = trained("recommend", *options, out)
        text = done.out if out == "-" else Path(out).read_text()
        assert text.count("\"'=HYPERLINK") == 10
        assert ",=" not in text
    assert trained("recommend", *options, "r.parquet").code == 0
    assert pq.read_table("r.parquet")["title"][0].as_py().startswith("=HYPERLINK")
    Path("bad.csv").write_text("user,item,rating\n=cmd,2,x\n" + "1,2,3\n1,3,4\n2,2,2\n")
    assert trained("split", "bad.csv", "--on-bad-row", "skip", "--test", "0.5").code == 0
    assert ',"\'=cmd,2,x"' in Path("split/rejected.csv").read_text()


def test_a_history_of_millions_of_epochs_is_refused(trained: Run) -> None:
    Path("long.json").write_text('{"loss": [' + "1," * 1_000_000 + "1]}")
    done = trained("plot", "long.json")
    assert (done.code, done.err) == (
        1,
        "error: long.json: must have at most 1,000,000 epochs, got 1,000,001\n",
    )


def test_json_of_any_size_is_not_read(trained: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(records, "_MOST_BYTES", 1 << 20)
    with Path("huge.json").open("wb") as file:
        file.truncate(1 << 40)  # a sparse file
    done = trained("plot", "huge.json")
    assert done.err == "error: huge.json: is larger than 1 MB; create it again\n"
    Path("deep.json").write_text("[" * 100_000)
    assert trained("plot", "deep.json").err.startswith("error: deep.json: is not valid JSON")


def arrow_file(path: Path, length: int) -> None:
    """Write a vocabulary that declares more rows than its buffers hold."""
    values = pa.py_buffer(np.arange(4, dtype=np.int64))
    column = pa.Array.from_buffers(pa.int64(), length, [None, values])
    table = pa.table({"id": column, "count": column})
    with pa.OSFile(str(path), "wb") as sink, pa.ipc.new_file(sink, table.schema) as writer:
        writer.write_table(table)


@pytest.mark.parametrize("length", [5, 1 << 40])
def test_arrow_files_that_declare_too_much(tmp_path: Path, length: int) -> None:
    arrow_file(tmp_path / "sound.arrow", 4)
    assert len(read_vocabulary(tmp_path / "sound.arrow")) == 4
    data = (tmp_path / "sound.arrow").read_bytes()
    four, more = (4).to_bytes(8, "little"), length.to_bytes(8, "little")
    assert data.count(four) >= 3
    places = [n for n in range(0, len(data) - 8) if data[n : n + 8] == four]
    for place in places:
        bad = data[:place] + more + data[place + 8 :]
        (tmp_path / "bad.arrow").write_bytes(bad)
        try:
            ids = read_vocabulary(tmp_path / "bad.arrow").ids.to_pylist()
        except ArtifactError:
            continue
        assert ids == [0, 1, 2, 3]


def test_rows_outside_the_vocabulary_are_refused(trained: Run) -> None:
    path = Path("split/train.arrow")
    table = pa.ipc.open_file(pa.OSFile(str(path))).read_all()
    for wild in (-1, 60, 2**31 - 1):
        user = np.array(table["user"]).copy()
        user[5] = wild
        bad = table.set_column(0, "user", pa.array(user, pa.int32()))
        with pa.OSFile(str(path), "wb") as sink, pa.ipc.new_file(sink, bad.schema) as writer:
            writer.write_table(bad)
        resealed(Path("split"), "split.json")
        done = trained("train", "-q")
        assert done.code == 1
        assert "split/train.arrow: user rows must be from 0 to 59" in done.err


def test_names_in_a_record_do_not_leave_its_folder(trained: Run) -> None:
    path = Path("split/split.json")
    manifest = json.loads(path.read_text())
    del manifest["digest"]
    Path("secret").write_text("mine")
    manifest["files"]["../secret"] = sha256(Path("secret"))
    manifest["hash"] = hash_of(manifest["files"])
    path.write_text(records.sealed_text(manifest))
    done = trained("train", "-q")
    assert done.err == "error: split/secret: cannot be read: No such file or directory\n"


def test_a_keras_file_is_data_and_never_code(trained: Run) -> None:
    """Only the weights are read: no lambda, no other class, no member with a path."""
    path = Path("model/model.keras")
    with zipfile.ZipFile(path) as archive:
        weights = archive.read("model.weights.h5")
    evil = {
        "module": "builtins",
        "class_name": "eval",
        "config": {"function": {"class_name": "__lambda__", "config": {"code": "4wEAAAA="}}},
    }
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("config.json", json.dumps(evil))
        archive.writestr("metadata.json", "{}")
        archive.writestr("../../escaped.py", "print('owned')")
        archive.writestr("model.weights.h5", weights)
    assert trained("recommend", "--user", 3, "--json").code == 0
    assert not list(Path("..").glob("escaped.py"))


def test_a_checkpoint_holds_no_pickles(trained: Run) -> None:
    assert trained("train", "--epochs", 1, "-q").code == 0
    state = Path("checkpoint/state.npz")
    with np.load(state) as file:
        arrays = dict(file)
    arrays["users"] = np.array([print], dtype=object)
    np.savez(state, **arrays)  # type: ignore[arg-type]
    resealed(Path("checkpoint"), "checkpoint.json")
    done = trained("train", "--resume", "--epochs", 2, "-q")
    assert done.code == 1
    assert "error: checkpoint/checkpoint.json: is damaged (ValueError(" in done.err
    assert done.err.count("\n") == 1

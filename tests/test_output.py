"""Output on streams of any encoding and width, closed, full, broken or not blocking."""

from __future__ import annotations

import errno
import io
import json
import os
import re
import subprocess
import sys
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeAlias

import pytest
import typer.testing
from conftest import ROOT, Outcome, Run

from mfcli.cli import app, streams
from mfcli.cli.formatting import printable
from mfcli.cli.tables import print_table, table, value_table
from mfcli.errors import MfcliError

ALL = ["--exclude", "none"]
LONG = "0123456789abcdef" * 4
EMOJI = "user:100:1"
Stream: TypeAlias = "Bytes | None"


class Bytes(io.RawIOBase):
    """Bytes in memory that may be a terminal, or fail."""

    def __init__(self, *, is_terminal: bool = False, fault: int = 0) -> None:
        self.content, self._is_terminal, self._fault = b"", is_terminal, fault

    def writable(self) -> bool:
        return True

    def isatty(self) -> bool:
        return self._is_terminal

    def write(self, data: Any) -> int:
        if self._fault:
            raise OSError(self._fault, os.strerror(self._fault))
        self.content += bytes(data)
        return len(data)


@pytest.fixture
def call(monkeypatch: pytest.MonkeyPatch) -> Callable[..., int]:
    """Run a command on given streams, in this process; return its status."""

    def call(*args: object, out: Stream, err: Stream, encoding: str = "utf-8") -> int:
        with monkeypatch.context() as patch:
            for name, raw in {"stdout": out, "stderr": err}.items():
                text = None
                if raw is not None:
                    buffer = io.BufferedWriter(raw)
                    text = io.TextIOWrapper(buffer, encoding, line_buffering=raw.isatty())
                patch.setattr(sys, name, text)
            with pytest.raises(SystemExit) as stopped:
                typer.testing._get_command(app).main([str(arg) for arg in args])
            for stream in (sys.stdout, sys.stderr):
                stream.flush()
            return int(stopped.value.code or 0)

    return call


IDS = ["анна", "漢字", "naïve", EMOJI, "[red]x[/red]", LONG, "a\x1b[2Jb"]


@pytest.fixture
def ready(run: Run) -> Run:
    """A folder with a trained model whose ids are hard to print."""
    pairs = [(n, user, item) for n, user in enumerate(IDS) for item in range(9)]
    rows = [f'"{user}",{item},{1 + (n + item) % 5}' for n, user, item in pairs]
    Path("data.csv").write_text("user,item,rating\n" + "\n".join(rows) + "\n", encoding="utf-8")
    assert run("split", "data.csv", "--quiet").code == 0
    assert run("train", "--epochs", 2, "--quiet").code == 0
    return run


@pytest.mark.parametrize("encoding", ["ascii", "latin-1", "cp1252", "utf-8"])
def test_every_encoding_shows_every_id(ready: Run, call: Callable[..., int], encoding: str) -> None:
    users = [*ALL, *(word for name in IDS for word in ("--user", name))]
    out, err = Bytes(), Bytes()
    assert call("recommend", *users, "--n", 1, out=out, err=err, encoding=encoding) == 0
    text = out.content.decode(encoding)
    for name in IDS:
        assert printable(name).encode(encoding, "backslashreplace").decode(encoding) in text
    assert ("│" in text) == (encoding == "utf-8")
    assert err.content == b""
    for options in (["--json"], ["--out", "-"]):
        out = Bytes()
        assert call("recommend", *users, *options, out=out, err=err, encoding=encoding) == 0
        assert "漢字" in out.content.decode("utf-8")


@pytest.mark.parametrize("args", [["check", "data.csv"], ["show"], ["check", "--help"]])
def test_plain_characters_replace_others(
    ready: Run, call: Callable[..., int], args: list[str]
) -> None:
    out = Bytes()
    assert call(*args, out=out, err=Bytes(), encoding="ascii") == 0
    assert b"\\u25" not in out.content  # borders and bars
    assert (b"####" in out.content) == (args == ["check", "data.csv"])


COMMANDS = [
    ["show"],
    ["check", "data.csv"],
    ["evaluate"],
    ["recommend", "--user", EMOJI],
    ["similar", "3"],
    ["predict", "--user", EMOJI, "--item", "3"],
    ["plot", "history.json"],
    ["train", "--epochs", "1"],
    ["--version"],
    ["--help"],
]


@pytest.mark.parametrize("args", COMMANDS, ids=" ".join)
def test_closed_and_full_streams(ready: Run, call: Callable[..., int], args: list[str]) -> None:
    err = Bytes()
    assert call(*args, out=None, err=err) == 0
    assert b"Traceback" not in err.content
    assert call(*args, out=None, err=None) == 0
    out = Bytes()
    assert call(*args, out=out, err=None) == 0
    assert b"note: " not in out.content
    assert call(*args, out=Bytes(), err=Bytes(fault=errno.ENOSPC)) == 0
    for fault, status in ((errno.ENOSPC, 1), (errno.EIO, 1), (errno.EPIPE, 141)):
        err = Bytes()
        assert call(*args, out=Bytes(fault=fault), err=err) == status
        said = f"error: standard output: cannot be written: {os.strerror(fault)}\n"
        errors = [line for line in err.content.decode().splitlines(True) if line[:6] == "error:"]
        assert errors == ([] if fault == errno.EPIPE else [said])


@pytest.mark.parametrize(
    "args",
    [
        ["show", "--json"],
        ["predict", "data.csv"],
        ["predict", "data.csv", "--out", "-", "--strict"],
        ["recommend", "--user", EMOJI, *ALL, "--out", "-"],
    ],
    ids=" ".join,
)
def test_data_needs_standard_output(ready: Run, call: Callable[..., int], args: list[str]) -> None:
    err = Bytes()
    assert call(*args, out=None, err=err) == 1
    assert err.content == b"error: standard output: cannot be written: it is closed\n"


def test_other_faults_name_their_file(
    ready: Run, call: Callable[..., int], monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*args: Any, **more: Any) -> None:
        raise OSError(errno.EIO, "Input/output error", "some/file")

    monkeypatch.setattr("mfcli.show.find", fail)
    err = Bytes()
    assert call("show", out=Bytes(), err=err) == 1
    assert err.content == b"error: some/file: Input/output error\n"


def test_nothing_is_cut_in_a_pipe(ready: Run, call: Callable[..., int]) -> None:
    out = Bytes()
    assert call("recommend", "--user", LONG, *ALL, "--n", 1, out=out, err=Bytes()) == 0
    lines = out.content.decode().splitlines()
    assert f"│ {LONG} │" in lines[3]
    assert len({len(line) for line in lines}) == 1


@pytest.mark.parametrize("width", [20, 40, 80, 300])
def test_a_terminal_shows_whole_words(
    ready: Run, call: Callable[..., int], width: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("COLUMNS", str(width))
    monkeypatch.setenv("NO_COLOR", "1")
    monkeypatch.setenv("TERM", "xterm")
    out = Bytes(is_terminal=True)
    assert call("recommend", "--user", LONG, *ALL, "--n", 2, out=out, err=Bytes()) == 0
    text = re.sub(r"\x1b\[[\d;]*m", "", out.content.decode())
    assert "…" not in text
    column = "".join(line.split("│")[1].strip() for line in text.splitlines() if "│" in line)
    assert column == LONG * 2
    assert len(re.findall(r"\d\.\d{4}", text)) == 2
    out = Bytes(is_terminal=True)
    assert call("check", "data.csv", out=out, err=Bytes()) == 0
    for word in ("standard", "deviation", "100.0000%", "text"):
        assert word in out.content.decode()


def test_cells_are_shown_as_they_are(capsys: pytest.CaptureFixture[str]) -> None:
    made = table(":smile: [b]", ":one:", "[two]")
    made.add_row(EMOJI, "[/x] :+1:")
    made.add_row("\x1b[31m", 3)
    made.caption = "[link=x]y :heart:"
    print_table(made)
    print_table(value_table("t", {EMOJI: "[red]"}))
    shown = capsys.readouterr().out
    for text in (":smile: [b]\n", ":one:", "[two]", EMOJI, "[/x] :+1:", r"\x1b[31m", "[red]"):
        assert text in shown
    assert "[link=x]y :heart:\n" in shown


def test_result_lines_do_not_control_a_terminal(ready: Run) -> None:
    evil = "a\x1b]0;x\x07\u202e"
    Path(evil).mkdir()
    lines: list[Outcome] = [
        ready("plot", "history.json", "--out", f"{evil}/p.png"),
        ready("train", "--epochs", 1, "--out", evil),
        ready("export", "--format", "npz", "--out", f"{evil}/m.npz"),
        ready("predict", "data.csv", "--out", f"{evil}/p.csv"),
        ready("recommend", "--user", EMOJI, "--out", f"{evil}/r.csv"),
        ready("init", "--out", f"{evil}/s.toml"),
        ready("split", "data.csv", "--out", f"{evil}/split"),
    ]
    for done in lines:
        assert done.code == 0, done.err
        assert printable(evil) in done.out
        assert "\x1b" not in done.out + done.err
        assert "\u202e" not in done.out + done.err


def test_names_that_are_not_utf8(ready: Run) -> None:
    name = os.fsdecode(b"n\xff")
    try:
        Path(f"{name}.csv").write_bytes(Path("data.csv").read_bytes())
    except OSError:
        pytest.skip("this system has only names that are valid text")
    for args in (
        ("split", f"{name}.csv", "--split", name),
        ("train", "--split", name, "--epochs", 1, "--out", f"r{name}"),
        ("predict", f"{name}.csv", "--model", f"r{name}/model", "--out", f"p{name}.csv"),
        ("plot", f"r{name}/history.json"),
        ("show", f"r{name}"),
    ):
        done = ready(*args)
        assert done.code == 0, done.err
        assert r"n\udcff" in done.out


def test_a_program_that_prints_uses_one_function() -> None:
    sources = [path for path in (ROOT / "mfcli/cli").rglob("*.py") if path.name != "streams.py"]
    prints = re.compile(r"(?<![\w.])(?<!def )(print|Console)\(")
    assert [path.name for path in sources if prints.search(path.read_text())] == []


def test_a_full_pipe_that_does_not_block_is_waited_for() -> None:
    reader, writer = os.pipe()
    os.set_blocking(writer, False)
    received: list[bytes] = []

    def read() -> None:
        with os.fdopen(reader, "rb") as file:
            received.append(file.read())

    thread = threading.Thread(target=read)
    stream = io.TextIOWrapper(os.fdopen(writer, "wb"))
    guarded = streams._guarded(stream, must_write=True)
    thread.start()
    guarded.write("x" * 1_000_000)
    guarded.flush()
    stream.close()
    thread.join()
    assert received == [b"x" * 1_000_000]


def test_a_failed_stream_fails_once() -> None:
    stream = io.TextIOWrapper(io.BufferedWriter(Bytes(fault=errno.ENOSPC)))
    guarded = streams._guarded(stream, must_write=True)
    guarded.write("x")
    with pytest.raises(MfcliError, match="standard output: cannot be written: No space left"):
        guarded.flush()
    guarded.write("y")
    guarded.flush()


@pytest.mark.skipif(os.name != "posix", reason="needs a shell")
@pytest.mark.parametrize(
    ("command", "status", "said"),
    [
        ("check data.csv >&-", 0, ""),
        ("show --json >&-", 1, "error: standard output: cannot be written: it is closed\n"),
        ("check data.csv | head -1", 141, ""),
    ],
)
def test_streams_of_a_shell(ready: Run, command: str, status: int, said: str) -> None:
    shell = f"set -o pipefail; {sys.executable} -m mfcli {command}"
    done = subprocess.run(
        ["bash", "-c", shell], capture_output=True, text=True,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
    )  # fmt: skip
    assert (done.returncode, done.stderr) == (status, said)


def test_a_broken_encoding_does_not_change_json(ready: Run, call: Callable[..., int]) -> None:
    out = Bytes()
    assert call("check", "data.csv", "--json", out=out, err=Bytes(), encoding="cp1252") == 0
    assert json.loads(out.content)["ratings"] == 63

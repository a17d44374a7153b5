"""Quotas, read-only folders and removed folders: errors of one line, and the old results stay."""

from __future__ import annotations

import contextlib
import json
import os
import resource
import shutil
import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
from conftest import ROOT
from contents import snapshot
from typer.testing import CliRunner

from mfcli.cli import app
from mfcli.errors import ArtifactError
from mfcli.storage import replacing_file, replacing_folder


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory, real_split: Path) -> Path:
    """A folder in which all stages have run, in this process because that is faster."""
    folder = tmp_path_factory.mktemp("made")
    shutil.copytree(real_split, folder / "split")
    with contextlib.chdir(folder):
        for words in COMMANDS:
            done = CliRunner().invoke(app, words.split())
            assert done.exit_code == 0, done.stderr
    return folder


COMMANDS = {
    "train --epochs 2 --k 20 -q": "model",
    "evaluate -q": "metrics.json",
    "plot history.json --json": "history.png",
    "recommend --all --quiet --out top.csv": "top.csv",
    "recommend --all --quiet --out top.parquet": "top.parquet",
    "export --format npz -q": "export/model.npz",
    "export --format csv -q": "export/csv",
}
"""Commands, and what each writes."""


def mfcli(
    folder: Path, words: str, limit: Callable[[], None] | None = None
) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "mfcli", *words.split()]
    return subprocess.run(
        command, cwd=folder, preexec_fn=limit, capture_output=True, text=True, timeout=60
    )


@pytest.mark.parametrize("words", COMMANDS)
def test_a_quota_leaves_the_old_results(made: Path, words: str) -> None:
    before = snapshot(made)

    def limit() -> None:
        resource.setrlimit(resource.RLIMIT_FSIZE, (1000, 1000))
        signal.signal(signal.SIGXFSZ, signal.SIG_IGN)

    done = mfcli(made, words, limit)
    assert done.returncode == 1, done.stdout
    place = "checkpoint" if words.startswith("train") else COMMANDS[words]
    assert done.stderr == (
        f"error: {place}: cannot be written: File too large; choose another place\n"
    )
    assert snapshot(made) == before


@pytest.mark.skipif(os.geteuid() == 0, reason="root may write anywhere")
@pytest.mark.parametrize("words", COMMANDS)
def test_a_read_only_folder_keeps_the_old_results(made: Path, words: str) -> None:
    before = snapshot(made)
    folders = [made, *(path for path in made.rglob("*") if path.is_dir())]
    for path in folders:
        path.chmod(0o555)
    try:
        done = mfcli(made, words)
    finally:
        for path in folders:
            path.chmod(0o755)
    assert done.returncode == 1
    assert done.stderr.startswith("error: ")
    assert "cannot be written: Permission denied; choose another place\n" in done.stderr
    assert snapshot(made) == before


def test_a_folder_that_is_removed_during_a_write(tmp_path: Path) -> None:
    target = tmp_path / "a" / "b.json"
    gone = "cannot be written: No such file"
    with pytest.raises(ArtifactError, match=f"b.json: {gone}"), replacing_file(target) as temporary:
        temporary.write_text("{}")
        shutil.rmtree(tmp_path / "a")
    folder = tmp_path / "a" / "c"
    with pytest.raises(ArtifactError, match=f"c: {gone}"), replacing_folder(folder, "x") as made:
        (made / "x").write_text("x")
        shutil.rmtree(tmp_path / "a")
    assert not list(tmp_path.iterdir())


def test_files_are_flushed_before_the_rename(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The folder is flushed after the rename, because it holds the names."""
    events: list[str] = []
    fsync, rename = os.fsync, Path.replace

    def flush(handle: int) -> None:
        events.append("flush " + Path(f"/proc/self/fd/{handle}").resolve().name)
        fsync(handle)

    def move(self: Path, target: Path) -> Path:
        events.append(f"rename {target.name}")
        return rename(self, target)

    monkeypatch.setattr(os, "fsync", flush)
    monkeypatch.setattr(Path, "replace", move)
    with replacing_file(tmp_path / "a.json") as temporary:
        temporary.write_text("{}")
    assert [event.split()[0] for event in events] == ["flush", "rename", "flush"]
    assert events[1:] == ["rename a.json", f"flush {tmp_path.name}"]


def test_a_short_soak_has_no_losses(tmp_path: Path) -> None:
    only = ["--only", "pipeline", "--only", "layouts"]
    done = subprocess.run(
        [sys.executable, str(ROOT / "examples/soak.py"), *only, "--turns", "1", "--seed", "2"],
        cwd=tmp_path,
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stderr
    counts = json.loads(done.stdout)
    assert counts.pop("losses") == 0
    assert {name: scenario["turns"] for name, scenario in counts.items()} == {
        "pipeline": 1,
        "layouts": 1,
    }

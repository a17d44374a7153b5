"""Locks between processes."""

from __future__ import annotations

import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from contents import names

from mfcli.errors import ArtifactError
from mfcli.storage import locked

HOLD = """
import sys, time
from pathlib import Path
from mfcli.storage import locked
with locked(Path(sys.argv[1])):
    print("locked", flush=True)
    time.sleep(60)
"""


def test_a_lock_excludes_other_processes_and_dies_with_its_own(tmp_path: Path) -> None:
    folder = tmp_path / "out"
    command = [sys.executable, "-c", HOLD, str(folder)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as holder:
        assert holder.stdout
        assert holder.stdout.readline() == "locked\n"
        with pytest.raises(ArtifactError) as caught, locked(folder):
            pass
        holder.kill()
    assert str(caught.value) == (
        f"{folder}: another process is writing to this folder; wait until it ends, or choose"
        " another folder"
    )
    with locked(folder):
        (folder / "a").write_text("a")
    assert names(folder) == ["a"]


def test_a_lock_leaves_nothing(tmp_path: Path) -> None:
    for _ in range(2):
        with locked(tmp_path / "new" / "out"):
            assert (tmp_path / "new" / "out").is_dir()
            with (
                pytest.raises(ArtifactError, match="another process"),
                locked(tmp_path / "new/out"),
            ):
                pass
    assert names(tmp_path / "new") == []
    (tmp_path / "old").mkdir()
    with pytest.raises(RuntimeError), locked(tmp_path / "old"):
        raise RuntimeError
    assert names(tmp_path / "old") == []


def test_a_folder_may_be_removed_while_it_is_locked(tmp_path: Path) -> None:
    with locked(tmp_path / "out"):
        shutil.rmtree(tmp_path / "out")
    assert names(tmp_path) == []


def test_a_folder_that_cannot_be_locked(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with (
        pytest.raises(ArtifactError, match="file/out: cannot be written: "),
        locked(tmp_path / "file" / "out"),
    ):
        pass

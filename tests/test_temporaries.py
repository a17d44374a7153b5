"""Temporary folders belong to a living process, or are removed by the next one."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest
from contents import names

from mfcli.errors import ArtifactError
from mfcli.storage import remove_temporaries, replacing_file, replacing_folder, temporaries

WRITE = """
import sys, time
from pathlib import Path
from mfcli.storage import replacing_folder
with replacing_folder(Path(sys.argv[1]), ["a"]) as folder:
    (folder / "a").write_text("half")
    print("writing", flush=True)
    time.sleep(60)
"""


def test_temporaries_of_killed_processes_are_removed(tmp_path: Path) -> None:
    target = tmp_path / "split"
    command = [sys.executable, "-c", WRITE, str(target)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as writer:
        assert writer.stdout
        assert writer.stdout.readline() == "writing\n"
        with replacing_folder(target, ["a"]) as folder:
            (folder / "a").write_text("first")
        assert [name[:7] for name in names(tmp_path)] == [".split.", "split"]
        writer.kill()
    with replacing_folder(target, ["a"]) as folder:
        (folder / "a").write_text("second")
    assert names(tmp_path) == ["split"]


def test_similar_names_are_kept(tmp_path: Path) -> None:
    for name in (".a.20240101", ".a.2024.old", ".a.0123abcd.mfcli-tmp", ".a.x.mfcli-tmp"):
        (tmp_path / name).mkdir()
        (tmp_path / name / "mine").write_text("mine")
    before = names(tmp_path)
    with replacing_file(tmp_path / "a"):
        pass
    assert names(tmp_path) == sorted(["a", *before])


def test_all_temporaries_can_be_removed_at_once(tmp_path: Path) -> None:
    with (
        pytest.raises(ArtifactError, match="No such file"),
        replacing_folder(tmp_path / "a", ["x"]) as folder,
        replacing_file(tmp_path / "b") as file,
    ):
        assert temporaries() == [folder.parent, file.parent]
        remove_temporaries()
        remove_temporaries()
        assert names(tmp_path) == []
        (folder / "x").write_text("too late")
    assert names(tmp_path) == []
    assert temporaries() == []


def test_removing_temporaries_keeps_what_took_its_place(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def flush_and_remove(path: Path) -> None:
        if path == tmp_path:
            remove_temporaries()

    with replacing_folder(tmp_path / "a", ["x"]) as folder:
        (folder / "x").write_text("old")
    monkeypatch.setattr("mfcli.storage.atomic._flush", flush_and_remove)
    with replacing_folder(tmp_path / "a", ["x"]) as folder:
        (folder / "x").write_text("new")
    assert (tmp_path / "a" / "x").read_text() == "new"
    assert names(tmp_path) == ["a"]

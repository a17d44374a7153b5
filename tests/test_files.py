"""Files and folders are replaced completely or not at all; locks; digests."""

import os
import subprocess
import sys
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from mfcli.errors import ArtifactError
from mfcli.storage import (
    check_files,
    json_text,
    locked,
    read_json,
    replacing_file,
    replacing_folder,
    sha256,
)


def names(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


def write_json(target: Path, value: dict[str, Any]) -> None:
    with replacing_file(target) as temporary:
        temporary.write_text(json_text(value), encoding="utf-8")


def test_a_failed_write_leaves_the_old_file_and_nothing_else(tmp_path: Path) -> None:
    target = tmp_path / "a.json"
    write_json(target, {"a": 1})
    with pytest.raises(RuntimeError), replacing_file(target) as temporary:
        temporary.write_text("half")
        raise RuntimeError
    assert read_json(target) == {"a": 1}
    assert names(tmp_path) == ["a.json"]


def test_a_folder_is_replaced_whole(tmp_path: Path) -> None:
    target = tmp_path / "split"
    for files in (["a", "b"], ["b"]):
        with replacing_folder(target, ["a", "b"]) as temporary:
            for name in files:
                (temporary / name).write_text(name)
    assert names(target) == ["b"]
    assert names(tmp_path) == ["split"]


def test_a_failed_write_leaves_the_old_folder(tmp_path: Path) -> None:
    target = tmp_path / "split"
    with replacing_folder(target, ["a"]) as temporary:
        (temporary / "a").write_text("old")
    with pytest.raises(RuntimeError), replacing_folder(target, ["a"]) as temporary:
        (temporary / "a").write_text("new")
        raise RuntimeError
    assert (target / "a").read_text() == "old"
    assert names(tmp_path) == ["split"]


def test_what_killed_processes_left_is_removed(tmp_path: Path) -> None:
    ended = subprocess.Popen([sys.executable, "-c", ""])
    ended.wait()
    stale = tmp_path / f".split.{ended.pid}.abc"
    stale.mkdir()
    (stale / "a").write_text("half")
    (tmp_path / f".h.json.{ended.pid}.abc.json").write_text("half")
    running = tmp_path / f".split.{os.getppid()}.abc"
    running.mkdir()
    with replacing_folder(tmp_path / "split", ["a"]):
        pass
    write_json(tmp_path / "h.json", {})
    assert names(tmp_path) == sorted([running.name, "split", "h.json"])


def test_the_fallback_without_an_exchange_of_names(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("mfcli.storage.atomic._swapped", lambda folder, target: False)
    target = tmp_path / "split"
    for text in ("old", "new"):
        with replacing_folder(target, ["a"]) as temporary:
            (temporary / "a").write_text(text)
    assert (target / "a").read_text() == "new"
    assert names(tmp_path) == ["split"]


def test_folders_with_files_of_others_are_not_replaced(tmp_path: Path) -> None:
    (tmp_path / "thesis.tex").write_text("years of work")
    with (
        pytest.raises(ArtifactError, match="holds files that mfcli did not write"),
        replacing_folder(tmp_path, ["a"]),
    ):
        pass
    assert names(tmp_path) == ["thesis.tex"]


def test_a_file_in_the_place_of_a_folder_is_not_replaced(tmp_path: Path) -> None:
    target = tmp_path / "split"
    target.write_text("mine")
    with pytest.raises(ArtifactError, match="must be a folder"), replacing_folder(target, ["a"]):
        pass
    assert target.read_text() == "mine"


check = partial(check_files, remedy="do it again")


def test_a_changed_or_missing_file_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "a"
    path.write_text("a")
    digests = {"a": sha256(path)}
    check(tmp_path, digests, ["a"])
    path.write_text("b")
    with pytest.raises(ArtifactError, match=r"is damaged \(its digest is wrong\); do it again"):
        check(tmp_path, digests, ["a"])
    path.unlink()
    with pytest.raises(ArtifactError, match="cannot be read"):
        check(tmp_path, digests, ["a"])
    with pytest.raises(ArtifactError, match="does not list its files"):
        check(tmp_path, {}, ["a"])
    for name in ("a\0b", "\ud800"):
        with pytest.raises(ArtifactError, match="lists a file"):
            check(tmp_path, {name: ""}, [])


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


def test_a_folder_that_cannot_be_locked(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with (
        pytest.raises(ArtifactError, match="file/out: cannot be written: "),
        locked(tmp_path / "file" / "out"),
    ):
        pass

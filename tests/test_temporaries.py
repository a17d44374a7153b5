"""Temporary folders belong to a living process, or are removed by the next one."""

from __future__ import annotations

import errno
import os
import subprocess
import sys
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest
from contents import RECORD, names, snapshot, write_folder

from mfcli.errors import ArtifactError
from mfcli.storage import (
    check_replaceable,
    exchange,
    read_json,
    remove_temporaries,
    replacing_file,
    replacing_folder,
    temporaries,
    whole,
)
from mfcli.storage.temporaries import temporary_paths

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
        write_folder(target, "first")
        assert [name[:7] for name in names(tmp_path)] == [".split.", "split"]
        writer.kill()
    write_folder(target, "second")
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
        assert temporary_paths() == [folder.parent, file.parent]
        remove_temporaries()
        remove_temporaries()
        assert names(tmp_path) == []
        (folder / "x").write_text("too late")
    assert names(tmp_path) == []
    assert temporary_paths() == []


def test_removing_temporaries_keeps_what_took_its_place(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def flush_and_remove(path: Path) -> None:
        if path == tmp_path:
            remove_temporaries()

    write_folder(tmp_path / "a", "old")
    monkeypatch.setattr("mfcli.storage.atomic._flush", flush_and_remove)
    write_folder(tmp_path / "a", "new")
    assert read_json(tmp_path / "a" / RECORD)["text"] == "new"
    assert names(tmp_path) == ["a"]


STEPS = ("mkdir", "open", "rename", "replace", "unlink", "rmdir", "fsync", "chmod")
"""The calls of the system that change files, as functions of `os`."""


@pytest.mark.skipif(not hasattr(os, "fork"), reason="kills a copy of this process")
@pytest.mark.parametrize("system", ["swaps", "renames", "moves files"])
def test_a_kill_at_any_step_leaves_the_old_or_the_new_result(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, system: str
) -> None:
    """Kill a replacement at its first, second, ... step, and read and write after each."""
    files = ["b", "sub/d"]
    if system != "swaps":
        monkeypatch.setattr(exchange, "_swapped", lambda one, other: False)
    if system == "moves files":
        refuse_to_rename_old_folders(monkeypatch)
    found = set()
    for step in range(1, 200):
        target = tmp_path / str(step) / "result"
        write_folder(target, "old", files)
        if not killed_at(step, lambda target=target: write_folder(target, "new", files)):
            break
        text = whole([target / RECORD], lambda target=target: read_json(target / RECORD)["text"])
        assert text in ("old", "new"), step
        assert snapshot(target) == {
            str(target / RECORD): (target / RECORD).read_bytes(),
            **{str(target / name): text.encode() for name in files},
        }
        found.add(text)
        write_folder(target, "next", files)
        assert names(target.parent) == ["result"], step
    assert found == {"old", "new"}
    assert step > 15


def killed_at(step: int, work: Callable[[], None]) -> bool:
    """Do work in a copy of this process that ends before some step; return whether it did."""
    child = os.fork()
    if child:
        return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 9
    try:
        left = [step]
        for name in STEPS:
            setattr(os, name, counted(getattr(os, name), left))
        work()
    finally:
        os._exit(0)


def counted(call: Callable[..., Any], left: list[int]) -> Callable[..., Any]:
    def count_and_call(*arguments: Any, **more: Any) -> Any:
        left[0] -= 1
        if not left[0]:
            os._exit(9)
        return call(*arguments, **more)

    return count_and_call


def refuse_to_rename_old_folders(monkeypatch: pytest.MonkeyPatch) -> None:
    """Behave as the file systems of containers do for folders of a lower layer."""
    rename = os.rename

    def move(one: Path, other: Path) -> None:
        if one.is_dir() and "mfcli-tmp" in str(other) and "mfcli-tmp" not in str(one):
            raise OSError(errno.EXDEV, os.strerror(errno.EXDEV))
        rename(one, other)

    monkeypatch.setattr(os, "rename", move)


def test_replacing_in_containers(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Where folders of a lower layer cannot be renamed, files are moved."""
    target = tmp_path / "result"
    write_folder(target, "old", ["b", "sub/d"])
    refuse_to_rename_old_folders(monkeypatch)
    monkeypatch.setattr(exchange, "_swapped", lambda one, other: False)
    check_replaceable(target, [RECORD, "b", "c", "sub", "d"])
    write_folder(target, "new", ["c"])
    assert names(target) == [RECORD, "c"]
    assert names(tmp_path) == ["result"]


@pytest.mark.parametrize("number", [errno.EBUSY, errno.EACCES])
def test_a_folder_that_cannot_be_renamed_is_found_before_the_work(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, number: int
) -> None:
    """A mount point, for instance, is busy."""

    def refuse(one: Path, other: Path) -> None:
        raise OSError(number, os.strerror(number))

    target = tmp_path / "result"
    write_folder(target, "old")
    monkeypatch.setattr(os, "rename", refuse)
    with pytest.raises(ArtifactError, match=f"result: cannot be written: {os.strerror(number)}"):
        check_replaceable(target, [RECORD])
    assert names(tmp_path) == ["result"]


def test_readers_wait_while_a_living_process_replaces_a_folder(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    target = tmp_path / "result"
    write_folder(target, "old")
    monkeypatch.setattr(exchange, "_swapped", lambda one, other: False)
    rename, read = os.rename, []

    def move(one: Path, other: Path) -> None:
        if other == target:
            assert not target.exists()
            read.append(pool.submit(lambda: whole([record], lambda: read_json(record)["text"])))
            time.sleep(0.1)
        rename(one, other)

    record = target / RECORD
    with ThreadPoolExecutor(1) as pool:
        monkeypatch.setattr(os, "rename", move)
        write_folder(target, "new")
        assert [one.result() for one in read] == ["new"]


def test_a_temporary_folder_that_another_process_removes_is_made_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def interrupted(lock: Any) -> bool:
        Path(lock.lock_file).parent.rmdir()
        return bool(taken(lock))

    taken = temporaries.taken
    monkeypatch.setattr(temporaries, "taken", interrupted)
    with temporaries.temporary_beside(tmp_path / "model") as path:
        path.write_text("new")
    assert names(tmp_path) == []

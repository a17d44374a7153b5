"""Cached files are read only if nobody else can have written them."""

from __future__ import annotations

import os
import threading
from pathlib import Path

import pytest

from mfcli.storage.private_files import cache_folder, read_private, write_private
from mfcli.storage.temporaries import temporary_paths

POSIX = pytest.mark.skipif(os.name == "nt", reason="Windows has no owners and modes")


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A folder with one file, "code"."""
    write_private(tmp_path / "a" / "b", "code", b"right")
    return tmp_path / "a" / "b"


def test_a_file_is_replaced_and_nothing_else_stays(folder: Path) -> None:
    write_private(folder, "code", b"new")
    assert read_private(folder, "code") == b"new"
    assert list(folder.iterdir()) == [folder / "code"]
    assert temporary_paths() == []


@POSIX
def test_nobody_else_may_enter_the_folder(folder: Path) -> None:
    assert folder.stat().st_mode & 0o777 == 0o700
    assert (folder / "code").stat().st_mode & 0o777 == 0o600
    for mode in (0o777, 0o720, 0o701):
        folder.chmod(mode)
        with pytest.raises(PermissionError, match="of this user alone"):
            read_private(folder, "code")
        with pytest.raises(PermissionError, match="of this user alone"):
            write_private(folder, "code", b"wrong")
    assert (folder / "code").read_bytes() == b"right"


@POSIX
def test_a_folder_of_another_user_is_not_used(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    other = os.geteuid() + 1
    monkeypatch.setattr(os, "geteuid", lambda: other)
    with pytest.raises(PermissionError):
        read_private(folder, "code")
    with pytest.raises(PermissionError):
        write_private(folder, "code", b"wrong")


@POSIX
def test_links_and_files_that_others_can_write_are_not_read(folder: Path) -> None:
    (folder / "link").symlink_to("code")
    with pytest.raises(OSError, match="symbolic links"):
        read_private(folder, "link")
    (folder.parent / "linked").symlink_to(folder)
    with pytest.raises(OSError):  # noqa: PT011 - systems differ: not a folder, or too many links
        read_private(folder.parent / "linked", "code")
    (folder / "code").chmod(0o622)
    with pytest.raises(PermissionError):
        read_private(folder, "code")


@POSIX
def test_a_named_pipe_is_refused_at_once(folder: Path) -> None:
    os.mkfifo(folder / "pipe", 0o600)
    timer = threading.Timer(5, lambda: os.close(os.open(folder / "pipe", os.O_RDWR)))
    timer.start()
    with pytest.raises(PermissionError):
        read_private(folder, "pipe")
    assert timer.is_alive()
    timer.cancel()


@POSIX
@pytest.mark.parametrize("given", ["", "relative/path", "."])
def test_the_place_is_never_relative(monkeypatch: pytest.MonkeyPatch, given: str) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", given)
    assert cache_folder("x").is_absolute()
    monkeypatch.setenv("HOME", given or "relative")
    with pytest.raises(FileNotFoundError):
        cache_folder("x")

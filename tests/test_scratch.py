"""Temporary files leave nothing, and their errors name the temporary folder."""

from __future__ import annotations

import errno
import io
import os
import sys
import tempfile
from pathlib import Path

import pytest
from contents import names

from mfcli.data import read_ratings
from mfcli.errors import ArtifactError, DataError
from mfcli.storage import scratch_file, scratch_files, scratch_folder
from mfcli.storage.temporaries import temporary_paths


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    return tmp_path


class StandardInput(io.BytesIO):
    @property
    def buffer(self) -> io.BytesIO:
        return self


@pytest.mark.parametrize("has_open_files", [True, False])
def test_files_are_opened_again_and_leave_nothing(
    folder: Path, monkeypatch: pytest.MonkeyPatch, has_open_files: bool
) -> None:
    if not has_open_files:
        monkeypatch.setattr(scratch_files, "_OPEN_FILES", folder / "none")
    elif not scratch_files._OPEN_FILES.is_dir():
        pytest.skip("this system does not list the open files of a process")
    with scratch_file() as (file, path):
        file.write(b"text")
        file.flush()
        assert path.read_bytes() == b"text"
        assert len(names(folder)) == (0 if has_open_files else 1)
        assert len(temporary_paths()) == (0 if has_open_files else 1)
    assert names(folder) == []


def test_folders_are_listed_and_removed(folder: Path) -> None:
    with scratch_folder() as made:
        (made / "a").write_text("a")
        assert temporary_paths() == [made]
    assert names(folder) == []


def test_standard_input_leaves_no_copy(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "stdin", StandardInput(b"user,item,rating\n1,2,3\n"))
    assert len(read_ratings(["-"])) == 1
    assert names(folder) == []


def test_a_full_temporary_folder_is_named(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "stdin", StandardInput(b"user,item,rating\n1,2,3\n"))
    full = Path("/dev/full")
    if not full.exists():
        pytest.skip("needs a device that is always full")
    monkeypatch.setattr(tempfile, "TemporaryFile", lambda dir: full.open("r+b", buffering=0))
    name = "TEMP" if os.name == "nt" else "TMPDIR"
    message = (
        f"{folder}: temporary files cannot be written: {os.strerror(errno.ENOSPC)}; set {name} to"
        " a folder with free space"
    )
    with pytest.raises(ArtifactError) as caught:
        read_ratings(["-"])
    assert str(caught.value) == message


def test_a_missing_temporary_folder_is_named(folder: Path) -> None:
    folder.rmdir()
    with pytest.raises(ArtifactError, match=f"{folder}: temporary files .* No such file"):
        scratch_folder().__enter__()


def test_standard_input_that_cannot_be_read(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    class Broken(StandardInput):
        def read(self, size: int | None = -1) -> bytes:
            raise OSError(errno.EIO, os.strerror(errno.EIO))

    monkeypatch.setattr(sys, "stdin", Broken())
    with pytest.raises(DataError, match=f"<stdin>: cannot be read: {os.strerror(errno.EIO)}"):
        read_ratings(["-"])

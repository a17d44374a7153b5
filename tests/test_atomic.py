"""Files and folders are replaced completely or not at all."""

import errno
from pathlib import Path
from typing import Any

import pytest
from contents import names

from mfcli.errors import ArtifactError
from mfcli.storage import (
    check_replaceable,
    check_writable_file,
    json_text,
    read_json,
    replacing_file,
    replacing_folder,
)


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


def test_a_folder_is_replaced_completely(tmp_path: Path) -> None:
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


def test_replacement_on_systems_that_cannot_swap_names(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("mfcli.storage.atomic._swapped", lambda folder, target: False)
    target = tmp_path / "split"
    for text in ("old", "new"):
        with replacing_folder(target, ["a"]) as temporary:
            (temporary / "a").write_text(text)
    assert (target / "a").read_text() == "new"
    assert names(tmp_path) == ["split"]


def test_folders_with_other_files_are_not_replaced(tmp_path: Path) -> None:
    (tmp_path / "thesis.tex").write_text("years of work")
    with (
        pytest.raises(ArtifactError, match="holds files that mfcli did not write"),
        replacing_folder(tmp_path, ["a"]),
    ):
        pass
    assert names(tmp_path) == ["thesis.tex"]


def test_a_file_is_not_replaced_by_a_folder(tmp_path: Path) -> None:
    target = tmp_path / "split"
    target.write_text("mine")
    with pytest.raises(ArtifactError, match="must be a folder"), replacing_folder(target, ["a"]):
        pass
    assert target.read_text() == "mine"


def test_a_failed_swap_restores_the_old_folder(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("mfcli.storage.atomic.sys.platform", "darwin")
    target = tmp_path / "split"
    with replacing_folder(target, ["a"]) as temporary:
        (temporary / "a").write_text("old")
    rename = Path.rename

    def fail_for_new(self: Path, to: Path) -> Path:
        if to == target and self.name != "old":
            raise OSError(errno.EACCES, "Permission denied")
        return rename(self, to)

    monkeypatch.setattr(Path, "rename", fail_for_new)
    with (
        pytest.raises(ArtifactError, match="split: cannot be written: Permission denied"),
        replacing_folder(target, ["a"]) as temporary,
    ):
        (temporary / "a").write_text("new")
    assert (target / "a").read_text() == "old"
    assert names(tmp_path) == ["split"]


def test_targets_are_checked_before_long_work(tmp_path: Path) -> None:
    check_writable_file(tmp_path / "a.json")
    check_replaceable(tmp_path / "split", ["a"])
    assert names(tmp_path) == []
    with pytest.raises(ArtifactError, match="cannot be written: is a directory; choose another"):
        check_writable_file(tmp_path)
    (tmp_path / "b").write_text("")
    with pytest.raises(ArtifactError, match=r"holds files that mfcli did not write \('b'\)"):
        check_replaceable(tmp_path, ["a"])

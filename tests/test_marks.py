"""Only results of mfcli are replaced, and files that the user named."""

from __future__ import annotations

import json
import os
import shutil
import stat
from pathlib import Path

import pytest
from conftest import Run
from contents import RECORD, names, snapshot, write_folder

from mfcli.errors import ArtifactError
from mfcli.storage import check_replaceable, check_writable_file, replacing_file, replacing_folder
from mfcli.storage.records import Record, write_record


class Losses(Record):
    FORMAT = 1

    loss: list[float]


class Errors(Record):
    FORMAT = 1

    protocol: str


def write_losses(path: Path) -> None:
    with replacing_file(path, Losses) as temporary:
        write_record(temporary, Losses(loss=[1.0]))


def refused(path: Path, rule: str, *kinds: type[Record]) -> None:
    """Check that a file is not replaced, and that this is known before the work."""
    before = path.read_bytes()
    rule = f"{path.name}: {rule}; choose another place or move it"
    with pytest.raises(ArtifactError, match=rule):
        check_writable_file(path, *kinds)
    with pytest.raises(ArtifactError, match=rule), replacing_file(path, *kinds):
        pytest.fail("starts the work")
    assert path.read_bytes() == before


@pytest.mark.parametrize(
    "content", ["{}", '{"loss": [1, 2]}', "", "loss", json.dumps({"loss": [1]}, indent=2)]
)
def test_records_of_others_are_not_replaced(tmp_path: Path, content: str) -> None:
    path = tmp_path / "history.json"
    path.write_text(content)
    refused(path, "was not written by mfcli", Losses)


def test_damaged_records_are_replaced(tmp_path: Path) -> None:
    path = tmp_path / "history.json"
    write_losses(path)
    sound = path.read_bytes()
    for damaged in (
        sound[:-20],
        sound.replace(b"1.0", b"2.0"),
        sound.replace(b"format", b"fxrmat"),
    ):
        path.write_bytes(damaged)
        write_losses(path)
        assert path.read_bytes() == sound


def test_records_of_another_kind_are_not_replaced(tmp_path: Path) -> None:
    write_losses(tmp_path / "history.json")
    refused(tmp_path / "history.json", "is another kind of file", Errors)


def test_results_are_not_replaced_by_tables(tmp_path: Path) -> None:
    write_losses(tmp_path / "history.csv")
    refused(tmp_path / "history.csv", "is a result of mfcli")
    folder = tmp_path / "split"
    write_folder(folder, "text", ["b"])
    with replacing_file(folder / "c"):
        pass
    record = {"format": 1, "mfcli": "1", "files": {"b": "digest"}}
    (folder / RECORD).write_text(json.dumps(record, indent=2))
    refused(folder / "b", f"belongs to the result that .*{RECORD} describes")


def test_files_that_the_user_named_are_replaced(tmp_path: Path) -> None:
    (tmp_path / "other.json").write_text(json.dumps({"files": 1, "format": 2}, indent=2))
    (tmp_path / "top.csv").write_text("mine")
    with replacing_file(tmp_path / "top.csv") as temporary:
        temporary.write_text("new")
    assert (tmp_path / "top.csv").read_text() == "new"


@pytest.mark.parametrize("content", ["", "{}", json.dumps({"loss": [1]}, indent=2)])
def test_folders_of_others_are_not_replaced(tmp_path: Path, content: str) -> None:
    """A notebook may save model/model.keras, too."""
    folder = tmp_path / "model"
    folder.mkdir()
    (folder / "b").write_text("mine")
    if content:
        (folder / RECORD).write_text(content)
    before = snapshot(folder)
    rule = rf"model: was not written by mfcli \(it has no {RECORD} of mfcli\); choose another place"
    with pytest.raises(ArtifactError, match=rule):
        check_replaceable(folder, [RECORD, "b"])
    with pytest.raises(ArtifactError, match=rule), replacing_folder(folder, [RECORD, "b"]):
        pytest.fail("starts the work")
    assert snapshot(folder) == before
    assert names(tmp_path) == ["model"]


@pytest.mark.skipif(os.name == "nt", reason="Windows has no such modes")
def test_modes_stay(tmp_path: Path) -> None:
    folder, file = tmp_path / "model", tmp_path / "top.csv"
    for _ in range(2):
        write_folder(folder, "text", ["b", "sub/d"])
        with replacing_file(file):
            pass
    assert stat.S_IMODE(folder.stat().st_mode) == 0o777 & ~umask()
    assert stat.S_IMODE(file.stat().st_mode) == 0o666 & ~umask()
    modes = {folder: 0o2710, folder / RECORD: 0o600, folder / "sub": 0o700, file: 0o640}
    for path, mode in modes.items():
        path.chmod(mode)
    write_folder(folder, "new", ["b", "c", "sub/d"])
    with replacing_file(file):
        pass
    assert {path: stat.S_IMODE(path.stat().st_mode) for path in modes} == modes


def umask() -> int:
    mask = os.umask(0)
    os.umask(mask)
    return mask


@pytest.mark.skipif(os.name == "nt" or os.geteuid() != 0, reason="only root may give files away")
def test_owners_stay(tmp_path: Path) -> None:
    write_folder(tmp_path / "model", "text", ["b"])
    for path in (tmp_path / "model", tmp_path / "model" / "b"):
        os.chown(path, 1234, 4321)
    write_folder(tmp_path / "model", "new", ["b"])
    for path in (tmp_path / "model", tmp_path / "model" / "b"):
        assert (path.stat().st_uid, path.stat().st_gid) == (1234, 4321)


def test_links_stay_and_what_they_point_to_is_replaced(tmp_path: Path) -> None:
    (tmp_path / "disk").mkdir()
    (tmp_path / "model").symlink_to("disk/model")
    (tmp_path / "top.csv").symlink_to("disk/top.csv")
    for text in ("old", "new"):
        check_replaceable(tmp_path / "model", [RECORD])
        check_writable_file(tmp_path / "top.csv")
        write_folder(tmp_path / "model", text)
        with replacing_file(tmp_path / "top.csv") as temporary:
            temporary.write_text(text)
    assert names(tmp_path) == ["disk", "model", "top.csv"]
    assert names(tmp_path / "disk") == ["model", "top.csv"]
    assert (tmp_path / "model").is_symlink()
    assert (tmp_path / "disk/top.csv").read_text() == "new"


def test_devices_are_not_replaced(tmp_path: Path) -> None:
    path = tmp_path / "null"
    path.symlink_to(os.devnull)
    for target in (path, Path(os.devnull)):
        with (
            pytest.raises(ArtifactError, match="null: must be a regular file to be replaced"),
            replacing_file(target),
        ):
            pytest.fail("starts the work")


@pytest.fixture
def trained(tmp_path: Path, run: Run) -> Path:
    Path("few.csv").write_text("user,item,rating\n1,2,3\n1,3,4\n2,2,5\n2,3,1\n3,2,4\n3,3,2\n")
    assert run("split", "few.csv").code == 0
    assert run("train", "--epochs", 1, "--quiet").code == 0
    return tmp_path


COMMANDS: dict[str, str] = {
    "evaluate --out model/model.json": "model/model.json: is another kind of file",
    "evaluate --out split/train.arrow": "split/train.arrow: was not written by mfcli",
    "evaluate --on few.csv --out few.csv": "few.csv: is read by this command",
    "predict few.csv --out few.csv": "few.csv: is read by this command",
    "predict few.csv --out ./again/../few.csv": "few.csv: is read by this command",
    "recommend --user 1 --titles few.csv --out few.csv": "few.csv: is read by this command",
    "recommend --user 1 --exclude none --out history.csv": "history.csv: is a result of mfcli",
    "plot history.json --out link.png": "link.png: is a result of mfcli",
    "init --force --out split/split.json": "split/split.json: is a result of mfcli",
    "train --epochs 1 --out notebook": "notebook/model: was not written by mfcli",
    "train --epochs 1 --out keras": "keras/history.json: was not written by mfcli",
}
"""Commands that would replace what they must not, and their errors."""


def test_commands_replace_nothing_else(trained: Path, run: Run) -> None:
    for folder in ("again", "notebook/model", "keras"):
        Path(folder).mkdir(parents=True)
    Path("notebook/model/model.keras").write_text("mine")
    Path("keras/history.json").write_text('{\n  "loss": [1.0]\n}')
    shutil.copy("history.json", "history.csv")
    Path("link.png").symlink_to("split/split.json")
    before = snapshot(trained)
    for words, message in COMMANDS.items():
        done = run(*words.split())
        assert done.code in (1, 2), words
        assert message in done.err, words
        assert done.err.count("\n") == 1, words
    assert snapshot(trained) == before

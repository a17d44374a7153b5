"""What is read is one version of a folder, whatever happens to the folder in the meantime."""

from __future__ import annotations

import errno
import os
import re
import shutil
import signal
import subprocess
import sys
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
from conftest import Run
from planted import planted_split

from mfcli.config import Config
from mfcli.errors import ArtifactError
from mfcli.model import Model
from mfcli.splits import Split, describe_split, read_folds, read_split, split, write_split
from mfcli.storage import MappedFile, files, read_json, snapshots
from mfcli.training import Checkpoint, History, read_checkpoint
from mfcli.training.checkpoints import write_checkpoint
from mfcli.training.loop import start

MADE = [planted_split(Config(seed=seed), users=60 + seed) for seed in (1, 2)]
MODELS = [start(made, Config(seed=n)) for n, made in enumerate(MADE)]


def split_bits(made: Split) -> bytes:
    parts = [made.train, made.test]
    return b"".join(c.tobytes() for part in parts for c in (part.user, part.item, part.rating))


def model_bits(model: Model) -> bytes:
    return b"".join(table.tobytes() for table in model.tables.values())


def checkpoint(n: int) -> Checkpoint:
    state: dict[str, Any] = {"rows": np.full(1000, n)}
    lists = {name: [float(n)] for name in ("loss", "mse", "val_loss", "val_mse", "seconds")}
    return Checkpoint(Config(seed=n), str(n), History(lists), state, {})


def folds(n: int) -> Any:
    return split(MADE[n].train, Config(strategy="k-fold", folds=3 + n))


KINDS: dict[str, tuple[Callable[[Path, int], Any], Callable[[Path], Any]]] = {
    "split": (
        lambda folder, n: write_split(folder, MADE[n]),
        lambda folder: split_bits(read_split(folder)),
    ),
    "folds": (
        lambda folder, n: write_split(folder, folds(n)),
        lambda folder: split_bits(read_folds(folder)[0]),
    ),
    "fold": (
        lambda folder, n: write_split(folder, folds(n)),
        lambda folder: split_bits(read_split(folder / "fold-1")),
    ),
    "described": (
        lambda folder, n: write_split(folder, folds(n)),
        describe_split,
    ),
    "model": (
        lambda folder, n: MODELS[n].save(folder),
        lambda folder: model_bits(Model.load(folder)),
    ),
    "checkpoint": (
        lambda folder, n: write_checkpoint(folder, checkpoint(n)),
        lambda folder: read_checkpoint(folder).state["rows"].tobytes(),
    ),
}


@pytest.mark.parametrize("moment", range(4))
@pytest.mark.parametrize("kind", KINDS)
def test_a_folder_that_is_replaced_while_it_is_read(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, kind: str, moment: int
) -> None:
    """The folder is replaced before its first, second, ... file is opened, after its record."""
    write, read = KINDS[kind]
    folder = tmp_path / "artifact"
    versions = []
    for n in (1, 0):
        write(folder, n)
        versions.append(read(folder))
    opened = 0

    def replace_first(path: Path, remedy: object = "") -> MappedFile:
        nonlocal opened
        opened += 1
        if opened == moment + 1:
            write(folder, 1)
        return MappedFile(path)

    monkeypatch.setattr(snapshots, "MappedFile", replace_first)
    assert read(folder) in versions
    assert read(folder) == versions[0] or opened <= moment
    assert versions[0] != versions[1]


def test_mapped_content_stays_when_files_are_replaced_or_removed(tmp_path: Path) -> None:
    write_split(tmp_path / "split", MADE[0])
    made = read_split(tmp_path / "split")
    before = split_bits(made)
    write_split(tmp_path / "split", MADE[1])
    shutil.rmtree(tmp_path / "split")
    assert split_bits(made) == before


def test_damage_is_reported_at_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write_split(tmp_path / "split", MADE[0])
    (tmp_path / "split/test.arrow").write_bytes(b"x")
    monkeypatch.setattr(snapshots.time, "sleep", lambda seconds: pytest.fail("waits"))
    with pytest.raises(ArtifactError, match=r"test.arrow: is damaged \(its digest is wrong\)"):
        read_split(tmp_path / "split")


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="no named pipes on this system")
@pytest.mark.parametrize("name", ["split.json", "users.arrow", "train.arrow"])
def test_only_regular_files_are_artifacts(tmp_path: Path, name: str) -> None:
    write_split(tmp_path / "split", MADE[0])
    path = tmp_path / "split" / name
    shutil.copy(path, tmp_path / "copy")
    for make in (os.mkfifo, lambda path: path.symlink_to("/dev/zero")):
        path.unlink()
        make(path)
        with pytest.raises(ArtifactError, match=f"{name}: must be a regular file; split again"):
            read_split(tmp_path / "split")
    path.unlink()
    path.symlink_to(tmp_path / "copy")
    assert split_bits(read_split(tmp_path / "split")) == split_bits(MADE[0])


def test_only_regular_files_are_records(tmp_path: Path) -> None:
    with pytest.raises(ArtifactError, match="null: must be a regular file; create it again"):
        read_json(Path(os.devnull))


LOST = """
import sys
from pathlib import Path
from threading import Thread
import numpy as np
from mfcli.cli.main import _stop_at_once
from mfcli.storage import MappedFile, on_lost_mapping
on_lost_mapping(_stop_at_once)
path = Path(sys.argv[1])
other, file = MappedFile(path.with_name("other")), MappedFile(path)
path.open("r+b").truncate(100)
reading = {
    "bytes": lambda: bytes(file.content),
    "digest": file.sha256,
    "thread": lambda: (thread := Thread(target=file.sha256)).start() or thread.join(),
    "numpy": lambda: np.frombuffer(file.content, np.uint8).sum(),
}
reading[sys.argv[2]]()
print("continues")
"""


@pytest.mark.skipif(not hasattr(signal, "SIGBUS"), reason="no such signal on this system")
@pytest.mark.parametrize("reading", ["bytes", "digest", "thread", "numpy"])
def test_a_file_that_is_truncated_while_it_is_mapped(tmp_path: Path, reading: str) -> None:
    path = tmp_path / "train.arrow"
    for file in (path, tmp_path / "other"):
        file.write_bytes(bytes(1 << 20))
    command = [sys.executable, "-c", LOST, str(path), reading]
    done = subprocess.run(command, capture_output=True, text=True, timeout=60)
    message = f"error: {path}: was truncated while it was read; create it again\n"
    assert (done.returncode, done.stdout, done.stderr) == (1, "", message)


@pytest.mark.parametrize("number", [errno.EMFILE, errno.ENOMEM, errno.EIO, errno.EACCES])
def test_limits_are_not_called_damage(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, number: int
) -> None:
    def refuse(*arguments: object, **more: object) -> None:
        raise OSError(number, os.strerror(number))

    remedies = {
        errno.EMFILE: "; raise the limit on open files (see ulimit -n)",
        errno.ENOMEM: "; free some memory, or raise its limit (see ulimit -v)",
    }
    message = f"cannot be read: {os.strerror(number)}{remedies.get(number, '')}"
    message = f"{re.escape(message)}$"
    MODELS[0].save(tmp_path / "model")
    write_split(tmp_path / "split", MADE[0])
    write_checkpoint(tmp_path / "checkpoint", checkpoint(0))
    reads = {"model": Model.load, "split": read_split, "checkpoint": read_checkpoint}
    for module, name in ((os, "open"), (files.mmap, "mmap")):
        with monkeypatch.context() as patch:
            patch.setattr(module, name, refuse)
            for kind, read in reads.items():
                with pytest.raises(ArtifactError, match=message):
                    read(tmp_path / kind)


def test_memory_that_arrow_lacks_is_not_damage(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*arguments: object) -> None:
        raise pa.ArrowMemoryError("malloc of size 64 failed")

    write_split(tmp_path / "split", MADE[0])
    monkeypatch.setattr(pa.ipc, "open_file", refuse)
    with pytest.raises(MemoryError):
        read_split(tmp_path / "split")


def test_threads_that_the_system_refuses(monkeypatch: pytest.MonkeyPatch, run: Run) -> None:
    def refuse(self: threading.Thread) -> None:
        raise RuntimeError("can't start new thread")

    Path("data.csv").write_text("user,item,rating\n1,2,3\n")
    monkeypatch.setattr(threading.Thread, "start", refuse)
    done = run("split", "data.csv")
    assert done.code == 1
    assert done.err == (
        "error: the system allows no more threads; raise the limit (see ulimit -u)\n"
    )

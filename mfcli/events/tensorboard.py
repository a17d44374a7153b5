"""Files of events for TensorBoard, without TensorFlow."""

from __future__ import annotations

import math
import os
import re
import time
from pathlib import Path

from mfcli.arguments import path_of
from mfcli.errors import ArtifactError
from mfcli.events import summaries
from mfcli.events.event import Event
from mfcli.events.tfrecords import record
from mfcli.events.writer import EventWriter
from mfcli.storage import GrowingFile, check_not_result, check_writable_file

TAGS = {
    "loss": "loss/train",
    "mse": "mse/train",
    "val_loss": "loss/validation",
    "val_mse": "mse/validation",
    "val_ndcg": "ndcg/validation",
    "val_recall": "recall/validation",
    "val_map": "map/validation",
    "seconds": "seconds/epoch",
    "computing": "seconds/computing",
    "waiting": "seconds/waiting",
}
"""The tag of each list in a history."""

_LONGEST = 40  # characters of a name


class TensorBoard(EventWriter):
    """Writes what TensorBoard shows: scalars by epoch, and settings (the tab HPARAMS).

    Each run has a folder, named after that of its results and its time, and in it each fold has
    one. A training that is resumed continues in its folder. If a file cannot be written later, a
    warning says so once, and the training goes on.

    Parameters
    ----------
    folder : path
        What `tensorboard --logdir` gets.

    Raises
    ------
    ArtifactError
        If it is not a folder, belongs to a result of mfcli, or cannot be written.
    """

    def __init__(self, folder: str | os.PathLike[str]) -> None:
        self._folder = path_of(folder, "folder")
        self._file: GrowingFile | None = None
        if self._folder.exists() and not self._folder.is_dir():
            raise ArtifactError("must be a folder", place=self._folder, remedy="choose another")
        file = self._folder / "events"
        check_not_result(file)
        check_writable_file(file)

    def _write(self, event: Event) -> None:
        kind = event["event"]
        if kind == "plan":
            self._open(event)
        elif kind == "epoch":
            self._append(summaries.scalars_event(event["epoch"], _scalars(event)))
        elif kind in ("result", "error"):
            self._append(summaries.end_event(failed=kind == "error"))
            self.close()

    def _append(self, message: bytes) -> None:
        if self._file:  # it could not be opened if the disk is full
            self._file.append(record(message))

    def _open(self, plan: Event) -> None:
        """Begin a file."""
        self.close()
        folder = self._run_folder(plan)
        if "fold" in plan:
            folder /= f"fold-{plan['fold']}"
        self._file = GrowingFile(folder / _new_name(folder))
        self._append(summaries.version_event())
        # Epochs after the checkpoint of an earlier file were lost, and are trained again.
        self._append(summaries.start_event(plan["resumed"] + 1))
        self._append(summaries.settings_event(plan["settings"], plan["run"]))

    def _run_folder(self, plan: Event) -> Path:
        """Return the folder of a run: that of its other folds and earlier epochs, or a new one."""
        found = sorted(self._folder.glob(f"*_{plan['run']}"))
        if found:
            return found[-1]
        out = Path(plan["out"] or "")
        name = re.sub(r"[^\w.-]+", "-", (out.parent if "fold" in plan else out).name)[:_LONGEST]
        parts = (name, time.strftime("%Y-%m-%d_%H-%M-%S"), plan["run"])
        return self._folder / "_".join(filter(None, parts))

    def close(self) -> None:
        if self._file:
            self._file.close()
        self._file = None


def _scalars(epoch: Event) -> dict[str, float]:
    values = {tag: epoch[name] for name, tag in TAGS.items() if name in epoch}
    return {tag: value for tag, value in values.items() if math.isfinite(value)}


def _new_name(folder: Path) -> str:
    """Return the name of a new file, after those in the folder: readers sort them."""
    number = len(list(folder.glob("events.out.tfevents.*")))
    return f"events.out.tfevents.{int(time.time()):010d}.{number:06d}.mfcli"

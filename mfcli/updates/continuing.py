"""Training that continues with other ratings."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

from mfcli.data import Ratings
from mfcli.model import Model
from mfcli.splits import Split
from mfcli.storage import scratch_folder
from mfcli.training import Checkpoint, Epoch, Fit, Keeper, fit, read_checkpoint
from mfcli.types import Progress


def update_epochs(epochs: int, new: int, ratings: int) -> int:
    """Return how many epochs an update takes."""
    return min(max(2 * epochs * new // ratings, 1), epochs)


def continued(
    split: Split,
    model: Model,
    checkpoint: Checkpoint | None,
    new: Ratings,
    *,
    epochs: int | None = None,
    threads: int | None = None,
    on_epoch: Callable[[Epoch], None] = lambda epoch: None,
    on_progress: Progress = lambda done, total: None,
) -> tuple[Fit, Checkpoint]:
    """Train a model on the split that an update made."""
    count = epochs or update_epochs(model.config.epochs, len(new), len(split.train))
    config = replace(model.config, epochs=count)
    with scratch_folder() as folder:
        keeper = Keeper(folder / "checkpoint")
        fitted = fit(split, config, threads=threads, keeper=keeper, on_epoch=on_epoch,
                     on_progress=on_progress)  # fmt: skip
        return fitted, read_checkpoint(folder / "checkpoint")

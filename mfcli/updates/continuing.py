"""Training that continues with other ratings."""

from __future__ import annotations

from dataclasses import replace
from typing import Unpack

from mfcli.model import Model
from mfcli.splits import Split
from mfcli.training import Checkpoint, Fit, Hooks, fit


def continued(
    split: Split,
    model: Model,
    checkpoint: Checkpoint | None,
    epochs: int | None,
    *,
    threads: int | None = None,
    **hooks: Unpack[Hooks],
) -> Fit:
    """Train a model on the split that an update made."""
    config = model.config if epochs is None else replace(model.config, epochs=epochs)
    return fit(split, config, threads=threads, **hooks)

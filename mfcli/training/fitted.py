"""What a training gives: a model and the history of its training."""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass
from pathlib import Path

from mfcli.arguments import path_of
from mfcli.errors import Text, TrainingError
from mfcli.model import MODEL_FOLDER, Model
from mfcli.training.history import HISTORY_FILE, TIMES, History


@dataclass(frozen=True)
class Fit:
    """A trained model and the history of its training.

    Attributes
    ----------
    model : Model
    history : History
    epoch : int
        Epoch of the model, counted from 1; 0 for the last one.
    """

    model: Model
    history: History
    epoch: int = 0

    def __post_init__(self) -> None:
        if self.history.lists.get("loss"):
            # A frozen class has no other way to set an attribute.
            model = dataclasses.replace(self.model, losses=self.losses)
            object.__setattr__(self, "model", model)

    def __repr__(self) -> str:
        losses = ", ".join(f"{name} {value:.4f}" for name, value in self.losses.items())
        return f"Fit({self.model}; {len(self.history)} epochs: {losses})"

    @property
    def losses(self) -> dict[str, float]:
        """The losses of the model's epoch."""
        names = [name for name in self.history.lists if name not in TIMES]
        return {name: self.history.lists[name][self.epoch - 1] for name in names}

    def write(self, folder: Path | str) -> None:
        """Write `model/` and `history.json` into a folder.

        Raises
        ------
        ArtifactError
            If they cannot be written.
        """
        folder = path_of(folder, "folder")
        self.model.save(folder / MODEL_FOLDER)
        self.history.write(folder / HISTORY_FILE)


class Diverged(TrainingError):
    """The error is larger than the scale of the ratings allows, or is no longer finite.

    Attributes
    ----------
    best : Fit or None
        The model of the best epoch, and the history up to it; None if the first epoch diverged.
    """

    def __init__(self, rule: Text, *, remedy: Text, best: Fit | None) -> None:
        super().__init__(rule, remedy=remedy)
        self.best = best

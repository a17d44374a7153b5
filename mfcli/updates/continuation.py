"""What an update trains on, and how long."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import Self

from mfcli.data import Ratings
from mfcli.model import Model
from mfcli.splits import Revision, Split
from mfcli.training import Checkpoint, Epoch, Fit, continued, update_epochs
from mfcli.types import Progress


@dataclass(frozen=True)
class Continuation:
    """How the training of a model continues.

    Attributes
    ----------
    threads : int or None
    epochs : int or None
        None for as few as are needed.
    on_start : callable
        Called with the number of epochs before the work begins.
    on_epoch, on_progress : callable
        As for `fit`; epochs are numbered from 1.
    """

    threads: int | None = None
    epochs: int | None = None
    on_start: Callable[[int], None] = lambda epochs: None
    on_epoch: Callable[[Epoch], None] = lambda epoch: None
    on_progress: Progress = lambda done, total: None

    def train(
        self, split: Split, model: Model, checkpoint: Checkpoint | None, new: Ratings
    ) -> tuple[Fit, Checkpoint]:
        """Train a model on a split that was updated; one of all parts stays one of all parts.

        Parameters
        ----------
        split : Split
        model : Model
            Of the split before the update.
        checkpoint : Checkpoint or None
        new : Ratings
            Those that the model was not trained on.
        """
        return continued(
            split.union() if _is_of_all(model) else split,
            model,
            checkpoint,
            new,
            epochs=self.epochs,
            threads=self.threads,
            on_epoch=self.on_epoch,
            on_progress=self.on_progress,
        )

    def start(self, model: Model, new: int, sizes: Mapping[str, int]) -> None:
        """Call `on_start` with the number of epochs.

        Parameters
        ----------
        model : Model
        new : int
            Number of ratings that the model was not trained on.
        sizes : mapping of int
            Number of ratings of each part.
        """
        self.on_start(self._epochs(model, new, sizes))

    def covering(self, model: Model, new: int, sizes: Mapping[str, int]) -> Self:
        """Return a continuation whose epochs have all ratings, if it is not known which are new.

        Parameters
        ----------
        model, new, sizes
            As for `start`.
        """
        return replace(self, epochs=self._epochs(model, new, sizes))

    def _epochs(self, model: Model, new: int, sizes: Mapping[str, int]) -> int:
        if self.epochs is not None:
            return self.epochs
        ratings = sum(sizes.values()) if _is_of_all(model) else sizes["train"]
        return update_epochs(model.config, new, ratings)


def _is_of_all(model: Model) -> bool:
    """Return whether a model was trained on all parts."""
    return len(model.trained_on) > 1


def new_ratings(revision: Revision, model: Model) -> Ratings:
    """Return the ratings of a revision that a model was not trained on: new and changed ones."""
    return revision.given([*revision.parts] if _is_of_all(model) else ["train"])


def last_ratings(split: Split) -> Ratings:
    """Return the training ratings that the last update of a split appended."""
    return split.train.take(slice(len(split.train) - split.updates[-1].new, None))

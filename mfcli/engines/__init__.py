"""Engines train the model; whoever runs them need not know which one it is.

Both start from the same weights and see the same batches in the same order for the same seed.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple, Protocol

from mfcli.model import Model
from mfcli.ratings import Ratings

Progress = Callable[[int, int], None]
"""Told the ratings trained on so far in this epoch, and all of them."""


class Losses(NamedTuple):
    """Of an epoch, as Keras reports them: means over its ratings, each before its own step.

    Attributes
    ----------
    loss : float
        Mean squared error plus the L2 penalty of all tables.
    mse : float
    """

    loss: float
    mse: float


class Engine(Protocol):
    """Trains a model in place, an epoch at a time."""

    def run_epoch(self, epoch: int, on_progress: Progress) -> Losses:
        """Go through the training ratings once, in the order of this epoch (from 1)."""

    def model(self) -> Model:
        """Return the model as it is now."""


def make_engine(start: Model, train: Ratings) -> Engine:
    """Make the engine that the model's config names.

    Parameters
    ----------
    start : Model
        With the weights to start from; left as it is.
    train : Ratings
    """
    from mfcli.engines.keras import KerasEngine

    return KerasEngine(start, train)

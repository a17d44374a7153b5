"""What every engine offers, and what engines share.

An engine holds the weights and changes them, one epoch at a time. The epoch loop (`loop.py`) does
not know which engine it runs. For the same seed, all SGD engines start from the same weights and
see the same batches in the same order.
"""

from __future__ import annotations

from typing import Any, NamedTuple, Protocol, TypeAlias

import numpy as np

from mfcli.errors import ArtifactError
from mfcli.model import Model
from mfcli.storage import PermutedRows
from mfcli.types import Doubles, Mask, Progress

State: TypeAlias = dict[str, Any]
"""The arrays that training depends on between two epochs, by name; some are `PermutedRows`."""


class Losses(NamedTuple):
    """The losses of an epoch, as Keras reports them.

    Training losses are means over the ratings, each predicted before the step that uses it.

    Attributes
    ----------
    loss : float
        Mean squared error plus the L2 penalty. In gradient descent, squared errors of training are
        multiplied by the weights of the ratings, if they have any, as in Keras.
    mse : float
        Mean squared error.
    """

    loss: float
    mse: float


class Update(NamedTuple):
    """How a training goes on when ratings were added to those it was trained on.

    Attributes
    ----------
    known : tuple of bool arrays, shapes (users,) and (items,)
        Which users and items it was trained on.
    kept : tuple of float64 arrays, shapes (users,) and (items,)
        How much of what was learned about them still counts in averages: 1 if nothing is new.
    first : int
        First epoch from which on models are averaged.
    unit : float, optional
        By which Gibbs sampling divides ratings.
    """

    known: tuple[Mask, Mask]
    kept: tuple[Doubles, Doubles]
    first: int
    unit: float | None = None


class Engine(Protocol):
    """Trains a model in place, one epoch at a time."""

    def run_epoch(self, epoch: int, on_progress: Progress) -> Losses:
        """Train on all ratings once, in the order of this epoch (counted from 1).

        `on_progress` is called with the number of ratings done in this epoch and of all ratings.
        """

    def validate(self) -> Losses | None:
        """Return the losses of the current model on the held-out ratings; None without them."""

    def model(self) -> Model:
        """Return the current model."""

    def state(self) -> State:
        """Return the state; arrays are not always copied."""

    def sides(self) -> dict[str, str]:
        """Return which arrays of the state have a row for each user, or for each item.

        By name, "users" or "items"; other arrays are left out.
        """

    def restore(self, state: State) -> None:
        """Continue from a state.

        Raises
        ------
        ArtifactError
            If it is not a state of this engine with this model.
        """


def copy_state(state: State, target: State) -> None:
    """Copy the arrays of a state to those of an engine.

    Raises
    ------
    ArtifactError
        If names, types or shapes differ.
    """
    # Compare everything before the first copy, so that an error leaves the engine unchanged.
    if set(target) != set(state) or any(
        state[name].shape != array.shape or state[name].dtype != array.dtype
        for name, array in target.items()
    ):
        raise ArtifactError("the checkpoint does not fit this model", remedy="start training again")
    for name, array in target.items():
        if isinstance(array, PermutedRows):
            array.fill(state[name])
        else:
            np.copyto(array, state[name])

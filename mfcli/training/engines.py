"""Engines train the model; whoever runs them need not know which one it is.

Both start from the same weights and see the same batches in the same order for the same seed.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any, NamedTuple, Protocol

import numpy as np
from numpy.typing import NDArray

from mfcli.config import Config
from mfcli.data import Ratings
from mfcli.errors import ArtifactError, ConfigError
from mfcli.model import Model

if TYPE_CHECKING:
    from mfcli.training.sgd.blocks import Blocks

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

    def validate(self) -> Losses:
        """Return the losses on the held-out ratings as they are now."""

    def model(self) -> Model:
        """Return the model as it is now."""

    def state(self) -> dict[str, NDArray[Any]]:
        """Return all that training depends on between two epochs, by name; not copied."""

    def restore(self, state: dict[str, NDArray[Any]]) -> None:
        """Take over a state.

        Raises
        ------
        ArtifactError
            If it is not one of this engine with this model.
        """


def take_over(own: dict[str, NDArray[Any]], state: dict[str, NDArray[Any]]) -> None:
    """Copy arrays of a state into those of an engine.

    Raises
    ------
    ArtifactError
        If names, types or shapes differ.
    """
    if set(own) != set(state) or any(
        state[name].shape != array.shape or state[name].dtype != array.dtype
        for name, array in own.items()
    ):
        raise ArtifactError("the checkpoint is not one of this model; train anew without --resume")
    for name, array in own.items():
        np.copyto(array, state[name])


class Plan(NamedTuple):
    """How a model is going to be trained.

    Attributes
    ----------
    engine : str
        "fast" or "keras".
    groups : int
        Groups of users and of items: the blocks are groups x groups.
    reason : str
        Why so, in words.
    """

    engine: str
    groups: int
    reason: str


def make_plan(train: Ratings, config: Config) -> Plan:
    """Choose the engine and the blocks, from the data and the config alone.

    Raises
    ------
    ConfigError
        If the config asks the fast engine for what it cannot do.
    """
    from mfcli.training.sgd.blocks import default_groups
    from mfcli.training.sgd.kernels import kind_of

    if config.optimizer == "gibbs":
        return Plan("fast", 1, "sampling from the posterior (gibbs), a sample an epoch")
    obstacle = _obstacle(config)
    if obstacle and config.engine == "fast":
        raise ConfigError(f"engine fast cannot train this: {obstacle}; or use engine keras")
    engine = {"auto": "keras" if obstacle else "fast"}.get(config.engine, config.engine)
    why = {
        "fast": "it makes Keras's own updates",
        "keras": "as asked" if config.engine == "keras" else obstacle,
    }[engine]
    row_bytes = 4 * kind_of(config).stride
    groups = config.blocks or default_groups(train, row_bytes, config.batch_size)
    size = (len(train.users) + len(train.items)) * row_bytes / 1e6
    blocks = "as asked" if config.blocks else f"for tables of {size:.1f} MB"
    return Plan(engine, groups, f"engine {engine} ({why}), blocks {groups} ({blocks})")


def _obstacle(config: Config) -> str:
    """Say why the fast engine cannot train with a config; nothing if it can."""
    if config.optimizer != "sgd":
        return "adam has no closed form"
    if len(set(config.table_regs.values())) > 1:
        return "whole tables have different penalties; --reg-scope rating is fast with any"
    if config.lr_every == "step" and any(config.table_regs.values()):
        return (
            "a rate that changes every step has no closed form with a penalty of whole tables;"
            " --reg-scope rating and --lr-every epoch are fast"
        )
    return ""


def training_memory(plan: Plan, n_ratings: int, n_rows: int, config: Config) -> dict[str, int]:
    """Estimate the memory that an engine takes beside the split, in bytes.

    Parameters
    ----------
    plan : Plan
    n_ratings : int
        To train on.
    n_rows : int
        Users and items.
    config : Config

    Returns
    -------
    dict of int
        `records` of all ratings and `shuffle` in which they are put in order, `tables` of users and
        items with all that is kept beside them.
    """
    from mfcli.training.sgd.kernels import RATING, kind_of

    if config.optimizer == "gibbs":
        records = 2 * n_ratings * (RATING.itemsize - 4)  # in the order of users, and of items
        width = (_GIBBS_KEPT * config.ensemble + _GIBBS_USED) * config.k
        return {"records": records, "shuffle": 0, "tables": n_rows * width * 8}
    stride = kind_of(config).stride
    width = stride if plan.engine == "fast" else _KERAS_COPIES * (config.k + 1)
    records = n_ratings * RATING.itemsize
    shuffle = records // plan.groups if plan.engine == "fast" else records
    tables = n_rows * width * 4 * config.ensemble
    if config.averaged:
        tables += n_rows * (config.k + 1) * 8 * config.ensemble
    return {"records": records, "shuffle": shuffle, "tables": tables}


_GIBBS_KEPT, _GIBBS_USED = 5, 7  # times k doubles of a row: of each chain, and while one is drawn
_KERAS_COPIES = 6  # weights, gradients, velocities, and what comes and goes


def make_engine(
    plan: Plan, starts: Sequence[Model], train: Ratings, held_out: Ratings, threads: int
) -> Engine:
    """Make the engine of a plan: one for each model to start from, together an ensemble.

    Parameters
    ----------
    plan : Plan
    starts : sequence of Model
        With the weights to start from, alike but for their seeds; left as they are.
    train, held_out : Ratings
        To train and to validate on.
    threads : int
        For the fast engine; the result does not depend on it.
    """
    own = threads if len(starts) == 1 else 1
    if starts[0].config.optimizer == "gibbs":
        engines = _make_chains(starts, train, held_out, own)
    else:
        engines = _make_descents(plan, starts, train, held_out, own)
    if len(engines) == 1:
        return engines[0]
    from mfcli.training.ensemble import Ensemble

    config = dataclasses.replace(starts[0].config, ensemble=len(starts))
    return Ensemble(engines, config, held_out, threads if plan.engine == "fast" else 1)


def _make_chains(
    starts: Sequence[Model], train: Ratings, held_out: Ratings, threads: int
) -> list[Engine]:
    from mfcli.training.gibbs.engine import GibbsEngine
    from mfcli.training.gibbs.sides import make_halves

    halves = make_halves(train, starts[0].k, threads)
    return [GibbsEngine(start, halves, held_out) for start in starts]


def _make_descents(
    plan: Plan, starts: Sequence[Model], train: Ratings, held_out: Ratings, threads: int
) -> list[Engine]:
    from mfcli.training.averaging import Averaging
    from mfcli.training.sgd.blocks import make_blocks

    config = starts[0].config
    blocks = make_blocks(train, plan.groups, config.batch_size)
    engines = [_make_descent(plan, start, blocks, held_out, threads) for start in starts]
    if not config.averaged:
        return engines
    return [Averaging(engine, config.first_averaged, held_out) for engine in engines]


def _make_descent(
    plan: Plan, start: Model, blocks: Blocks, held_out: Ratings, threads: int
) -> Engine:
    if plan.engine == "fast":
        from mfcli.training.sgd.engine import FastEngine

        return FastEngine(start, blocks, held_out, threads)
    from mfcli.training.keras import KerasEngine

    return KerasEngine(start, blocks, held_out)

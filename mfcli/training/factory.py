"""Builds the engine of a plan.

Engines are imported inside functions, because TensorFlow takes seconds to load and only the Keras
engine needs it.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence

from mfcli.data import Ratings
from mfcli.model import Model, pair_targets, pair_weights
from mfcli.training.averaging import Averaging
from mfcli.training.engine import Engine
from mfcli.training.ensemble import Ensemble
from mfcli.training.plan import Plan
from mfcli.types import Floats


def make_engine(
    plan: Plan, starts: Sequence[Model], train: Ratings, held_out: Ratings, threads: int
) -> Engine:
    """Build the engine of a plan. Several initial models give an ensemble.

    Parameters
    ----------
    plan : Plan
    starts : sequence of Model
        Initial models, which differ in their seeds and weights only; not changed.
    train, held_out : Ratings
        To train and to validate on.
    threads : int
        Not used by Keras; does not change the result.
    """
    config = starts[0].config
    builders = {"gibbs": _gibbs_engines, "als": _als_engines}
    build = builders.get(config.optimizer, _descent_engines)
    # Members of an ensemble are trained at the same time, so each gets one thread.
    engines = build(plan, starts, train, held_out, threads if len(starts) == 1 else 1)
    if len(engines) == 1:
        return engines[0]
    config = dataclasses.replace(config, ensemble=len(engines))
    # Keras uses all cores for one model.
    return Ensemble(engines, config, held_out, threads if plan.engine == "fast" else 1)


def _gibbs_engines(
    plan: Plan, starts: Sequence[Model], train: Ratings, held_out: Ratings, threads: int
) -> list[Engine]:
    from mfcli.training.gibbs.engine import GibbsEngine
    from mfcli.training.normal_equations.ratings_by_row import sort_ratings, unit_of

    targets, weights = _objective(starts[0], train)
    # In units of the standard deviation, one prior suits ratings of any scale. All chains read the
    # same sorted ratings.
    unit = unit_of(targets)
    ratings = sort_ratings(targets, starts[0].k, threads, weights=weights, unit=unit)
    return [GibbsEngine(start, ratings, held_out) for start in starts]


def _als_engines(
    plan: Plan, starts: Sequence[Model], train: Ratings, held_out: Ratings, threads: int
) -> list[Engine]:
    from mfcli.training.als.engine import AlsEngine
    from mfcli.training.normal_equations.ratings_by_row import sort_ratings

    targets, weights = _objective(starts[0], train)
    ratings = sort_ratings(targets, starts[0].k, threads, weights=weights)
    return [AlsEngine(start, ratings, held_out) for start in starts]


def _objective(start: Model, train: Ratings) -> tuple[Ratings, Floats | None]:
    """Return the rated pairs with their targets, and their weights."""
    config = start.config
    targets = dataclasses.replace(train, rating=pair_targets(train.rating, config))
    return targets, pair_weights(train, start.scale, config)


def _descent_engines(
    plan: Plan, starts: Sequence[Model], train: Ratings, held_out: Ratings, threads: int
) -> list[Engine]:
    from mfcli.training.sgd.blocks import make_blocks

    config = starts[0].config
    batch_size = min(config.batch_size, len(train))  # larger numbers may not fit into 64 bits
    blocks = make_blocks(train, plan.groups, batch_size)
    engines: list[Engine]
    if plan.engine == "fast":
        from mfcli.training.sgd.engine import FastEngine

        engines = [FastEngine(start, blocks, held_out, threads) for start in starts]
    else:
        from mfcli.training.keras import KerasEngine

        engines = [KerasEngine(start, blocks, held_out) for start in starts]
    if not config.averaged:
        return engines
    return [Averaging(engine, config.first_averaged, held_out, threads) for engine in engines]

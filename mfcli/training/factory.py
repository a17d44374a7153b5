"""Builds the engine of a plan.

Engines are imported inside functions, because TensorFlow takes seconds to load and only the Keras
engine needs it.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence

from mfcli.config import Config
from mfcli.data import Ratings
from mfcli.model import Model, pair_targets, pair_weights
from mfcli.storage import Scratch, lasting_scratch
from mfcli.training.averaging import Averaging
from mfcli.training.engine import Engine, Update
from mfcli.training.ensemble import Ensemble
from mfcli.training.plan import Plan
from mfcli.training.weights import WeightedRatings


def make_engine(
    plan: Plan,
    starts: Sequence[Model],
    train: Ratings,
    held_out: Ratings | None,
    threads: int,
    update: Update | None = None,
) -> Engine:
    """Build the engine of a plan. Several initial models give an ensemble.

    Parameters
    ----------
    plan : Plan
    starts : sequence of Model
        Initial models, which differ in their seeds and weights only; not changed.
    train : Ratings
        The ratings themselves: their weights are those of `training_weights`.
    held_out : Ratings or None
        To validate on; not weighted.
    threads : int
        Not used by Keras; does not change the result.
    update : Update, optional
        How the engine goes on after it is restored.
    """
    config = starts[0].config
    # Members of an ensemble are trained at the same time, so each gets one thread.
    own_threads = threads if len(starts) == 1 else 1
    if config.by_steps:
        engines = _step_engines(plan, starts, train, held_out, own_threads, update)
    else:
        # What is predicted is also what is validated, by each engine and by an ensemble of them.
        held_out = None if held_out is None else _with_targets(held_out, config)
        engines = _row_engines(plan, starts, train, held_out, own_threads, update)
    if len(engines) == 1:
        return engines[0]
    kept = sum(start.config.keep_samples for start in starts)
    config = dataclasses.replace(config, ensemble=len(engines), keep_samples=kept)
    # Keras uses all cores for one model.
    return Ensemble(engines, config, held_out, threads if plan.engine == "fast" else 1)


def _with_targets(pairs: Ratings, config: Config) -> Ratings:
    return dataclasses.replace(pairs, rating=pair_targets(pairs.rating, config))


def _row_engines(
    plan: Plan,
    starts: Sequence[Model],
    train: Ratings,
    held_out: Ratings | None,
    threads: int,
    update: Update | None,
) -> list[Engine]:
    """Build the engines that find each row as a whole; all read the same sorted ratings."""
    from mfcli.training.als.engine import AlsEngine
    from mfcli.training.gibbs.engine import GibbsEngine
    from mfcli.training.normal_equations.rated_pairs import RatedPairs, unit_of
    from mfcli.training.normal_equations.ratings_by_row import sort_ratings

    config = starts[0].config
    is_sampled = config.optimizer == "gibbs"
    scale = starts[0].scale
    pairs = RatedPairs(
        WeightedRatings(train, config),
        target=lambda ratings: pair_targets(ratings, config),
        weight=lambda ratings: pair_weights(ratings, scale, config),
    )
    # In units of the standard deviation, one prior suits ratings of any scale.
    unit = unit_of(pairs) if is_sampled else 1.0
    if update and update.unit:
        unit = update.unit
    ratings = sort_ratings(pairs, config.k, threads, unit=unit, space=_space(plan))
    if is_sampled:
        return [GibbsEngine(start, ratings, held_out, update) for start in starts]
    return [AlsEngine(start, ratings, held_out) for start in starts]


def _space(plan: Plan) -> Scratch | None:
    return lasting_scratch(plan.on_disk, "training", in_order=True) if plan.on_disk else None


def _step_engines(
    plan: Plan,
    starts: Sequence[Model],
    train: Ratings,
    held_out: Ratings | None,
    threads: int,
    update: Update | None,
) -> list[Engine]:
    from mfcli.training.sgd.blocks import make_blocks

    config = starts[0].config
    batch_size = min(config.batch_size, len(train))  # larger numbers may not fit into 64 bits
    train_weighted = WeightedRatings(train, config)
    blocks = make_blocks(train_weighted, plan.groups, batch_size, _space(plan))
    engines: list[Engine]
    if plan.engine == "fast":
        from mfcli.training.sgd.engine import FastEngine

        engines = [FastEngine(start, blocks, held_out, threads) for start in starts]
    else:
        from mfcli.training.keras import KerasEngine

        engines = [KerasEngine(start, blocks, held_out) for start in starts]
    if not config.averaged:
        return engines
    first = config.first_averaged
    return [Averaging(engine, first, held_out, threads, update) for engine in engines]

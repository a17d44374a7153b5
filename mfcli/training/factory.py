"""Builds the engine of a plan.

Engines are imported inside functions, because TensorFlow takes seconds to load and only the Keras
engine needs it.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence

from mfcli.clusters import Cluster, current_cluster
from mfcli.config import Config
from mfcli.data import Ratings
from mfcli.model import Model, pair_targets
from mfcli.splits import Split
from mfcli.storage import Scratch, lasting_scratch
from mfcli.training.averaging import Averaging
from mfcli.training.engine import Engine, Update
from mfcli.training.ensemble import Ensemble
from mfcli.training.plan import Plan, has_effects
from mfcli.training.weights import WeightedRatings


def make_engine(
    plan: Plan,
    starts: Sequence[Model],
    train: Ratings,
    held_out: Ratings | None,
    threads: int,
    update: Update | None = None,
    split: Split | None = None,
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
    split : Split, optional
        Of the ratings: where the workers of a cluster read them. Without it, this process trains.
    """
    config = starts[0].config
    # Members of an ensemble are trained at the same time, so each gets one thread.
    own_threads = threads if len(starts) == 1 else 1
    cluster = current_cluster() if split else None
    if config.by_steps and cluster and split:
        engines = _distributed_step_engines(cluster, split, plan, starts, train, held_out)
        engines = _averaged(engines, config, held_out, threads)
    elif config.by_steps:
        engines = _step_engines(plan, starts, train, held_out, own_threads)
        engines = _averaged(engines, config, held_out, own_threads, update)
    else:
        # What is predicted is also what is validated, by each engine and by an ensemble of them.
        held_out = None if held_out is None else _with_targets(held_out, config)
        own_threads = threads if cluster else own_threads  # a cluster trains one at a time
        engines = _row_engines(plan, starts, train, held_out, own_threads, update, split)
    if len(engines) == 1:
        return engines[0]
    kept = sum(start.config.keep_samples for start in starts)
    config = dataclasses.replace(config, ensemble=len(engines), keep_samples=kept)
    # Keras uses all cores for one model, and so does a cluster.
    at_once = threads if plan.engine == "fast" and not cluster else 1
    return Ensemble(engines, config, held_out, at_once)


def _with_targets(pairs: Ratings, config: Config) -> Ratings:
    return dataclasses.replace(pairs, rating=pair_targets(pairs.rating, config))


def _row_engines(
    plan: Plan,
    starts: Sequence[Model],
    train: Ratings,
    held_out: Ratings | None,
    threads: int,
    update: Update | None,
    split: Split | None,
) -> list[Engine]:
    """Build the engines that find each row as a whole; all read the same sorted ratings."""
    from mfcli.training.als.engine import AlsEngine
    from mfcli.training.gibbs.engine import GibbsEngine
    from mfcli.training.normal_equations.rated_pairs import pairs_of, unit_of
    from mfcli.training.normal_equations.ratings_by_row import sort_ratings

    config, cluster = starts[0].config, current_cluster()
    is_sampled = config.optimizer == "gibbs"
    pairs = pairs_of(WeightedRatings(train, config), starts[0].scale, config)
    # In units of the standard deviation, one prior suits ratings of any scale.
    unit = unit_of(pairs) if is_sampled else 1.0
    if update and update.unit:
        unit = update.unit
    ratings = None
    # Effects depend on each other, so they are drawn in this process.
    if not (cluster and split) or has_effects(config):
        ratings = sort_ratings(pairs, config.k, threads, unit=unit, space=_space(plan))
    if cluster and split:
        from mfcli.training.distributed.row_ratings import load_ratings

        ratings = load_ratings(
            cluster, split, train, starts[0], pairs, threads, unit=unit, here=ratings,
            with_values=any(start.config.keep_samples for start in starts),
        )  # fmt: skip
    assert ratings is not None
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
) -> list[Engine]:
    from mfcli.training.sgd.blocks import make_blocks

    config = starts[0].config
    batch_size = min(config.batch_size, len(train))  # larger numbers may not fit into 64 bits
    train_weighted = WeightedRatings(train, config)
    blocks = make_blocks(train_weighted, plan.groups, batch_size, _space(plan))
    if plan.engine == "fast":
        from mfcli.training.sgd.engine import FastEngine

        return [FastEngine(start, blocks, held_out, threads) for start in starts]
    from mfcli.training.keras import KerasEngine

    return [KerasEngine(start, blocks, held_out) for start in starts]


def _distributed_step_engines(
    cluster: Cluster,
    split: Split,
    plan: Plan,
    starts: Sequence[Model],
    train: Ratings,
    held_out: Ratings | None,
) -> list[Engine]:
    from mfcli.training.distributed.descent_cluster import DescentCluster
    from mfcli.training.distributed.descent_engine import DistributedDescent
    from mfcli.training.distributed.plans import route_of
    from mfcli.training.distributed.sources import held_out_source, training_source
    from mfcli.training.sgd.blocks import Groups

    counts = train.users.counts, train.items.counts
    source = training_source(split, train, starts[0].config)
    validated = None if held_out is None else held_out_source(split, held_out)
    groups = Groups.of(counts, plan.groups)
    route = route_of(cluster, plan.groups, len(train.items), starts[0].config)
    workers = DescentCluster(cluster, groups, route, counts, source, validated, starts)
    workers.load()
    return [DistributedDescent(start, workers, n) for n, start in enumerate(starts)]


def _averaged(
    engines: list[Engine],
    config: Config,
    held_out: Ratings | None,
    threads: int,
    update: Update | None = None,
) -> list[Engine]:
    if not config.averaged:
        return engines
    first = config.first_averaged
    return [Averaging(engine, first, held_out, threads, update) for engine in engines]

"""Plans of trainings on a cluster: blocks, what each worker holds, and what travels."""

from __future__ import annotations

from collections.abc import Sized
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from mfcli.config import Config
from mfcli.errors import ConfigError, LimitError, Param
from mfcli.splits import Split
from mfcli.storage import bytes_text
from mfcli.training.distributed.routes import Route
from mfcli.training.distributed.row_plans import texts_of_rows
from mfcli.training.plan import Plan, record_size, variant_of
from mfcli.training.sgd.blocks import Groups

if TYPE_CHECKING:
    from mfcli.clusters import Cluster

_PER_THREAD = 4  # user groups, so that the threads of a worker seldom wait for each other
_LEAST_BATCHES = 32  # per block, on average
_CHUNK = 1 << 23  # bytes of item rows, about, that are worth a message
_MOST_CHUNKS = 256  # that come to a worker in an epoch, about; each takes a millisecond
_HELD_OUT = 12  # bytes of a held-out rating


class Shares(NamedTuple):
    """Bytes of the largest share of a worker, and bytes that travel.

    Attributes
    ----------
    ratings : int
        Number of training ratings.
    packed, users, items : int
        Training ratings, rows of its users, and rows of the item groups that are with it.
    validation : int
        Held-out ratings, and weights of all items; 0 without held-out ratings.
    hops, weights : int
        What workers send to each other in an epoch, all together: rows of items from one worker to
        the next, and weights of items for validation.
    """

    ratings: int
    packed: int
    users: int
    items: int
    validation: int
    hops: int
    weights: int


def plan_on(cluster: Cluster, plan: Plan, split: Split, config: Config) -> Plan:
    """Return the plan of a training on a cluster.

    Blocks that the config does not choose depend on the number of workers and their threads.

    Parameters
    ----------
    cluster : Cluster
    plan : Plan
        Of the training on one machine.
    split : Split
    config : Config

    Raises
    ------
    ConfigError
        If the training cannot be distributed, or there are fewer blocks than workers.
    LimitError
        If a worker needs more memory than its node has.
    """
    if plan.engine != "fast":
        # Without the engine in the config, its other settings need Keras.
        needs = "" if config.engine == "keras" else f" ({plan.reason.split(', blocks ')[0]})"
        raise ConfigError(f"Keras trains on one machine{needs}", remedy="train without a cluster")
    team = f"{_count(len(cluster.nodes), 'node')}, {_workers(cluster.threads)}"
    if not config.by_steps:
        return plan._replace(on_cluster=(team, *texts_of_rows(cluster, split, config)))
    if not config.blocks:
        groups = groups_on(cluster, plan.groups, split.train, config)
        reason = plan.reason.split(", blocks ")[0]
        reason = f"{reason}, blocks {groups} (for {_workers(cluster.threads)})"
        plan = plan._replace(groups=groups, reason=reason)
    if plan.groups < len(cluster):
        raise ConfigError(
            f"must be at least the number of workers ({len(cluster)})",
            param="blocks",
            value=plan.groups,
            remedy=["use fewer ", Param("workers"), " or more ", Param("blocks")],
        )
    shares = shares_of(cluster, plan.groups, split, config)
    _check_memory(cluster, shares)
    return plan._replace(on_cluster=(team, *_texts(cluster, shares)))


def route_of(cluster: Cluster, groups: int, items: int, config: Config) -> Route:
    """Return how item groups travel in a cluster, given the number of items."""
    home = items * 4 * variant_of(config).stride // len(cluster)
    # One chunk travels while a worker trains on others. With several threads, it needs item groups
    # as soon as the next worker can spare them.
    wanted = max(-(-home // _CHUNK), max(cluster.threads))
    return Route.of(groups, len(cluster), min(wanted, max(_MOST_CHUNKS // len(cluster), 1)))


def groups_on(cluster: Cluster, least: int, train: Sized, config: Config) -> int:
    """Return the number of groups that a training on a cluster has by default.

    Parameters
    ----------
    cluster : Cluster
    least : int
        Groups on one machine.
    train : Sized
        The training ratings.
    config : Config
    """
    workers, threads = len(cluster), sum(cluster.threads)
    wanted = _PER_THREAD * threads
    most = int((len(train) / (_LEAST_BATCHES * config.batch_size)) ** 0.5)
    groups = max(least, threads, min(wanted, most))
    return -(-groups // workers) * workers


def shares_of(cluster: Cluster, groups: int, split: Split, config: Config) -> Shares:
    """Return what workers hold and send."""
    train, held_out = split.train, split.held_out
    counts = train.users.counts, train.items.counts
    made = Groups.of(counts, groups)
    route = route_of(cluster, groups, len(train.items), config)
    variant, owner = variant_of(config), route.owners(made.of_row[0])
    of_row, of_weights = 4 * variant.stride, 4 * variant.width
    ratings = int(np.bincount(owner, weights=counts[0]).max())
    users = int(np.bincount(owner).max())
    group = int(np.diff(made.firsts[1]).max())
    slots = max(route.slots(worker) for worker in range(len(cluster)))
    weighted = train.weight is not None or config.half_life is not None
    rows, items = len(train.users) + len(train.items), len(train.items)
    size = record_size(groups, rows, split.scale, weighted=weighted)
    share = len(held_out[1]) // len(cluster) if held_out else 0
    several = len(cluster) > 1
    return Shares(
        ratings=ratings,
        packed=ratings * size,
        users=users * of_row,
        items=slots * group * of_row,
        validation=share * _HELD_OUT + items * of_weights if held_out else 0,
        hops=len(cluster) * items * of_row * several,
        weights=(len(cluster) - 1) * items * of_weights if held_out else 0,
    )


def _check_memory(cluster: Cluster, shares: Shares) -> None:
    """Refuse rows that do not fit; ratings go to the disk of a worker if they do not fit."""
    need = shares.users + shares.items + shares.validation
    on_node = -(-len(cluster) // len(cluster.nodes))
    least = min(node.memory for node in cluster.nodes)
    if need * on_node > least:
        raise LimitError(
            f"a worker needs about {bytes_text(need)} for its rows, and a node has"
            f" {bytes_text(least)} for {_count(on_node, 'worker')}",
            remedy=["use more nodes or a smaller ", Param("k")],
        )


def _texts(cluster: Cluster, shares: Shares) -> list[str]:
    size = bytes_text
    validation = f", {size(shares.validation)} for validation" if shares.validation else ""
    weights = f" and {size(shares.weights)} for validation" if shares.weights else ""
    store = min(node.store for node in cluster.nodes)
    return [
        f"each worker holds up to {shares.ratings:,} ratings ({size(shares.packed)} packed),"
        f" {size(shares.users)} of user rows, {size(shares.items)} of item rows{validation}",
        f"each epoch moves {size(shares.hops)} of item rows between workers{weights}; the object"
        f" store of a node has {size(store)}",
    ]


def _workers(threads: tuple[int, ...]) -> str:
    low, high = min(threads), max(threads)
    each = _count(high, "thread") if low == high else f"{low} to {high} threads"
    return f"{_count(len(threads), 'worker')} with {each}{' each' if len(threads) > 1 else ''}"


def _count(number: int, noun: str) -> str:
    return f"{number} {noun}{'' if number == 1 else 's'}"

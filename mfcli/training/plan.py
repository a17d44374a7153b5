"""How a model will be trained: its engine, blocks and memory, from data and settings alone."""

from __future__ import annotations

from collections.abc import Sized
from typing import NamedTuple, Protocol

from mfcli.aligned import lanes_of
from mfcli.config import Config
from mfcli.errors import ConfigError, Param, Text
from mfcli.training.sgd.rows import RATING, WEIGHTED, Variant, make_variant

_CACHE = 1 << 21  # bytes of rows that a block should touch: a common second-level cache
_MOST_GROUPS = 64
_LEAST_BATCHES = 32  # per block, on average

_GIBBS_KEPT = 6  # rows in each chain for each user and item: the sample, effects and their sums
_GIBBS_USED = 3  # rows while a chain is drawn: effects in another basis, and packed rows
_SQUARES = 10  # matrices of products of all factors (als, gibbs): of threads, and of their sums
_SUMMED_ROWS = 1 << 13  # rows whose products are summed apart from others (`products.py`)
_GIBBS_MODELS = 4  # models, of k factors, while one is made from the mean
_ALS_KEPT = 3  # rows of each user and item: as they are, as the other side reads them, and a model
_KERAS_COPIES = 6  # copies of the tables: weights, gradients, velocities and temporaries


class Plan(NamedTuple):
    """How a model will be trained.

    Attributes
    ----------
    engine : str
        "fast" or "keras".
    groups : int
        Number of user groups and of item groups: there are groups x groups blocks.
    reason : str
        The choice and its reason, in words.
    """

    engine: str
    groups: int
    reason: str


class Sizes(Protocol):
    """The numbers of ratings, users and items."""

    @property
    def users(self) -> Sized: ...
    @property
    def items(self) -> Sized: ...
    def __len__(self) -> int: ...


def make_plan(train: Sizes, config: Config) -> Plan:
    """Choose the engine and the blocks.

    Raises
    ------
    ConfigError
        If the config asks for the fast engine, which cannot train with the other settings.
    """
    if config.optimizer == "gibbs":
        # Rows are drawn whole, so there are no batches and no blocks.
        return Plan("fast", 1, "sampling from the posterior (gibbs), one sample per epoch")
    if config.optimizer == "als":
        return Plan("fast", 1, "alternating least squares (als), all rows twice per epoch")
    obstacle, remedy = _obstacle(config)
    if obstacle and config.engine == "fast":
        raise ConfigError(f"engine fast cannot train this: {obstacle}", remedy=remedy)
    if config.engine == "keras":
        engine, why = "keras", "as requested"
    elif obstacle:
        engine, why = "keras", obstacle
    else:
        engine, why = "fast", "the same updates as Keras"
    # Keras uses the same blocks, so that both engines see the same batches. With momentum or
    # without, the blocks are the same, so that results can be compared.
    row_bytes = 4 * make_variant(config.k, nesterov=config.nesterov).stride
    groups = config.blocks or default_groups(train, row_bytes, config.batch_size)
    size = (len(train.users) + len(train.items)) * row_bytes / 1e6
    blocks = "as requested" if config.blocks else f"for tables of {size:.1f} MB"
    return Plan(engine, groups, f"engine {engine} ({why}), blocks {groups} ({blocks})")


def variant_of(config: Config, *, weighted: bool = False) -> Variant:
    """Return the variant of the SGD kernels for a config, for ratings with or without weights."""
    return make_variant(
        config.k,
        momentum=config.momentum > 0,
        table_reg=any(config.table_regs.values()),
        nesterov=config.nesterov,
        rating_reg=any(config.rating_regs.values()),
        weighted=weighted,
    )


def row_size(config: Config) -> int:
    """Return the number of float32 values in a row of the SGD kernels."""
    return variant_of(config).stride


def default_groups(train: Sizes, row_bytes: int, batch_size: int) -> int:
    """Choose the number of groups from the data alone.

    It is the least power of two with which the rows of a block fit in the cache. A block should
    have at least 32 batches.

    Parameters
    ----------
    train : Sizes
    row_bytes : int
        Size of a row with everything that the engine stores next to the weights.
    batch_size : int
    """
    tables = (len(train.users) + len(train.items)) * row_bytes
    groups = 1
    while (
        # A block touches one of the groups on each side: tables / groups bytes.
        groups * _CACHE < tables
        and groups < _MOST_GROUPS
        # Twice the groups, so four times the blocks, must still leave enough batches to each.
        and len(train) >= (2 * groups) ** 2 * _LEAST_BATCHES * batch_size
    ):
        groups *= 2
    return groups


def training_memory(
    plan: Plan, n_ratings: int, n_rows: int, config: Config, *, weighted: bool = False
) -> dict[str, int]:
    """Estimate the memory that an engine needs in addition to the split, in bytes.

    Parameters
    ----------
    plan : Plan
    n_ratings : int
        Number of training ratings.
    n_rows : int
        Number of users and items.
    config : Config
    weighted : bool
        Whether the ratings have a column of weights.

    Returns
    -------
    dict of int
        `records` for the ratings, `shuffle` for the ratings in random order, and `tables` for the
        rows of users and items with everything that is stored next to them.
    """
    weighted = weighted or config.half_life is not None
    # Sorted by user and by item: the other side's row, the rating, and the weight, if there is one.
    has_weights = weighted or config.rating_weight != "none"
    by_row = 2 * n_ratings * 4 * (3 if has_weights else 2)
    # Each thread sums products of rows, in float64 as well.
    squares = 8 * (_SQUARES + n_rows // _SUMMED_ROWS)
    if config.optimizer == "als":
        width = lanes_of(config.k + 1)
        tables = n_rows * (_ALS_KEPT * width * config.ensemble) * 4
        return {"records": by_row, "shuffle": 0, "tables": tables + squares * width**2}
    if config.optimizer == "gibbs":
        mean = lanes_of(2 * config.k) + lanes_of(config.k + 1)
        chain = _GIBBS_KEPT * lanes_of(config.k + 1) + mean
        used = _GIBBS_USED * lanes_of(config.k + 1) + _GIBBS_MODELS * (config.k + 1)
        # The bias, the factors and the noise; copied once if an ensemble joins its samples.
        kept = config.keep_samples * (config.k + 2) * (2 if config.ensemble > 1 else 1)
        tables = n_rows * (config.ensemble * chain + used + kept) * 4
        return {"records": by_row, "shuffle": 0, "tables": tables + squares * mean**2}
    width = row_size(config) if plan.engine == "fast" else _KERAS_COPIES * (config.k + 1)
    records = n_ratings * (WEIGHTED if weighted else RATING).itemsize
    shuffle = records // plan.groups if plan.engine == "fast" else records
    tables = n_rows * width * 4 * config.ensemble
    if plan.engine == "fast" and not variant_of(config).velocity:
        # `Repeats.sums`: one slot for each rating of a batch, at most.
        tables += min(n_rows, n_ratings, config.batch_size) * width * 4 * config.ensemble
    if config.averaged:
        # The sums of `Averaging` are float64.
        tables += n_rows * (config.k + 1) * 8 * config.ensemble
    return {"records": records, "shuffle": shuffle, "tables": tables}


def _obstacle(config: Config) -> tuple[str, Text]:
    """Return why the fast engine cannot train with a config, and what to do; empty if it can."""
    keras, per_rating = Param("engine", "keras"), Param("reg_scope", "rating")
    if config.optimizer != "sgd":
        return f"{config.optimizer} has no closed form for rows without ratings", ["use ", keras]
    if len(set(config.table_regs.values())) > 1:
        return (
            "whole tables have different penalties (penalties per rating may differ)",
            ["use ", per_rating, " or ", keras],
        )
    if config.lr_every == "step" and any(config.table_regs.values()):
        return (
            "a learning rate that changes at every step has no closed form with a penalty on whole"
            " tables (a penalty per rating has)",
            ["use ", per_rating, ", ", Param("lr_every", "epoch"), " or ", keras],
        )
    return "", ""

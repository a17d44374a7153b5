"""How a model will be trained: its engine, blocks and memory, from data and settings alone."""

from __future__ import annotations

from collections.abc import Sized
from typing import NamedTuple, Protocol

from mfcli.aligned import LINE, lanes_of
from mfcli.config import Config
from mfcli.data import Scale
from mfcli.errors import ConfigError, Param, Text
from mfcli.storage import bytes_text, room
from mfcli.training.number_widths import ROW, width_of
from mfcli.training.sgd.rows import RATING, WEIGHTED, Variant, make_variant, row_bytes

_CACHE = 1 << 21  # bytes of rows that a block should touch: a common second-level cache
_MOST_GROUPS = 64
_LEAST_BATCHES = 32  # per block, on average

_SQUARES = 10  # matrices of products of all factors (als, gibbs): of threads, and of their sums
_SUMMED_ROWS = 1 << 13  # rows whose products are summed apart from others (`products.py`)
_ROWS_KEPT = 2  # rows of each user and item (als, gibbs): as they are, and as kernels read them
_EFFECTS_KEPT = 2  # more rows of each chain with effects: these, and their sums
_ROW_NUMBERS = 112  # bytes for each user and item: where its ratings are, weights, sums, precisions
_READ = 1 << 27  # bytes that hold sorted ratings for a while, as they are read or sorted
_NUMBERS = 32  # bytes for each user and item: its place, its group, and what they are found with
_STEP = 96  # bytes for each step of an epoch: its number, size, rate, costs and losses
_CODES = 256  # values of ratings that fit in one byte
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
    on_disk : int
        Bytes of temporary space for the blocks; 0 if they are in memory.
    on_cluster : tuple of str
        On a cluster, in words: what workers hold, and what travels.
    memory : int
        Bytes of memory that this process needs besides the split; 0 if not estimated yet.
    """

    engine: str
    groups: int
    reason: str
    on_disk: int = 0
    on_cluster: tuple[str, ...] = ()
    memory: int = 0


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


def variant_of(config: Config, *, weighted: bool = False, wide: bool = False) -> Variant:
    """Return the variant of the SGD kernels for a config and for ratings, see `Variant`."""
    return make_variant(
        config.k,
        momentum=config.momentum > 0,
        table_reg=any(config.table_regs.values()),
        nesterov=config.nesterov,
        rating_reg=any(config.rating_regs.values()),
        weighted=weighted,
        wide=wide,
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
    plan: Plan,
    n_ratings: int,
    n_rows: int,
    config: Config,
    *,
    weighted: bool = False,
    scale: Scale | None = None,
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
    scale : Scale, optional
        Of the ratings, if it is known: ratings on a scale with steps need less memory.

    Returns
    -------
    dict of int
        `records` for the ratings, which may be on disk instead, `shuffle` for ratings in random
        order or in ranges that are being read, and `tables` for the rows of users and items with
        everything that is stored next to them.
    """
    weighted = weighted or config.half_life is not None
    if not config.by_steps:
        return _memory_of_rows(n_ratings, n_rows, config, scale, weighted=weighted)
    return _memory_of_steps(plan, n_ratings, n_rows, config, scale, weighted=weighted)


def has_effects(config: Config) -> bool:
    """Return whether Gibbs sampling draws effects, for which one process has all ratings."""
    return config.optimizer == "gibbs" and config.prior == "implicit"


def _memory_of_rows(
    n_ratings: int, n_rows: int, config: Config, scale: Scale | None, *, weighted: bool
) -> dict[str, int]:
    """Estimate the memory of engines that find rows as a whole, see `training_memory`."""
    size = 1 if config.target == "rated" else _rating_size(scale)
    # Weights that depend on the ratings are as few as these.
    root = 4 if weighted else size * (config.rating_weight != "none")
    # Sorted by user and by item: the other side's row, the rating, and the weight, if there is one.
    records = 2 * n_ratings * (width_of(n_rows) + size + root)
    width = lanes_of(config.k + 1)
    lanes, widest = _ROWS_KEPT * width, width
    if config.optimizer == "gibbs":
        widest = lanes_of(2 * config.k) + width  # the mean, and beside it a sample
        lanes += widest
        if has_effects(config):
            # Several blocks of columns are transformed into others.
            lanes += _EFFECTS_KEPT * width * (2 if width > LINE else 1)
    # The bias, the factors and the noise; copied once if an ensemble joins its samples.
    kept = config.keep_samples * (config.k + 2) * (2 if config.ensemble > 1 else 1)
    # An ensemble averages the models of its members.
    lanes += (config.k + 1) * (config.ensemble > 1)
    # Each thread sums products of rows, in float64 as well.
    squares = 8 * (_SQUARES + n_rows // _SUMMED_ROWS) * widest**2
    tables = n_rows * (4 * (config.ensemble * lanes + kept) + config.ensemble * _ROW_NUMBERS)
    return {"records": records, "shuffle": min(_READ, records), "tables": tables + squares}


def _memory_of_steps(
    plan: Plan, n_ratings: int, n_rows: int, config: Config, scale: Scale | None, *, weighted: bool
) -> dict[str, int]:
    """Estimate the memory of gradient descent, see `training_memory`."""
    records = n_ratings * record_size(plan.groups, n_rows, scale, weighted=weighted)
    is_fast = plan.engine == "fast"
    shuffle = (
        n_ratings * (WEIGHTED if weighted else RATING).itemsize // (plan.groups if is_fast else 1)
    )
    width = row_size(config) if is_fast else _KERAS_COPIES * (config.k + 1)
    tables = n_rows * (width * 4 * config.ensemble + _NUMBERS)
    tables += (n_ratings // config.batch_size + plan.groups**2) * _STEP * config.ensemble
    if is_fast and not variant_of(config).velocity:
        # `Repeats.sums`: one slot for each rating of a batch, at most.
        tables += min(n_rows, n_ratings, config.batch_size) * width * 4 * config.ensemble
    if config.averaged:
        # The sums of `Averaging` are float64. Its mean is a model, of which validation has a copy.
        tables += n_rows * (config.k + 1) * 8 * config.ensemble
        tables += n_rows * (config.k + 1 + lanes_of(config.k + 1)) * 4
    return {"records": records, "shuffle": shuffle, "tables": tables}


def record_size(groups: int, n_rows: int, scale: Scale | None, *, weighted: bool) -> int:
    """Return the bytes of a packed rating of gradient descent."""
    # Rows are numbered within a group. Weights are hardly ever few different ones.
    return 2 * row_bytes(n_rows // groups + 1) + _rating_size(scale) + 4 * weighted


def _rating_size(scale: Scale | None) -> int:
    """Return the bytes of a packed rating on a scale: one if it has few steps."""
    is_short = scale and scale.step and (scale.max - scale.min) / scale.step < _CODES
    return 1 if is_short else 4


def stored(plan: Plan, records: int, fixed: float, sorting: int = 0) -> Plan:
    """Return the plan with its ratings on disk, unless they fit in memory.

    Parameters
    ----------
    plan : Plan
        Of the fast engine.
    records : int
        Bytes of the packed ratings.
    fixed : float
        Bytes that training needs in any case.
    sorting : int
        Bytes of temporary space that are needed besides the ratings.
    """
    if records <= room(fixed):
        return plan
    reason = f"{plan.reason}, {bytes_text(records)} on disk"
    return plan._replace(on_disk=records + sorting, reason=reason)


def sorting_space(n_ratings: int, config: Config) -> int:
    """Return the bytes of temporary space in which ratings on disk are sorted."""
    return 0 if config.by_steps else 2 * n_ratings * ROW


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

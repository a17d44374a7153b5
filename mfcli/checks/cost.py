"""An estimate of the memory and time that training needs."""

from __future__ import annotations

from dataclasses import dataclass

from mfcli.checks.facts import Facts
from mfcli.checks.speeds import nanoseconds
from mfcli.config import Config
from mfcli.data import Buckets, Scale, Vocabulary
from mfcli.training import make_plan, row_size, training_memory

_PROCESS = 200_000_000  # bytes of the interpreter and the compiled kernels
_ASSUMED = (
    "fast engine on one core of a 2025 server: {ns:.0f} ns a rating for rows of {stride} float32"
    " values, interpolated between 13 (32 values), 15 (64) and 60 (224)"
)


@dataclass(frozen=True)
class Cost:
    """What `mfcli train` needs with the fast engine, as an estimate.

    Attributes
    ----------
    k : int
    memory : dict of int
        Bytes: `columns` mapped from the split, `records` of all ratings, `shuffle` in which they
        are put in order, `tables` of users and items, `process`, and the `total`.
    seconds : float
        Time of an epoch, in which training and validation together visit all ratings.
    assumed : str
        What the time is based on.
    """

    k: int
    memory: dict[str, int]
    seconds: float
    assumed: str


def cost_of(facts: Facts, buckets: Buckets, config: Config) -> Cost | None:
    """Estimate what training needs; None if it would use the Keras engine, or for events."""
    if facts.is_implicit:  # the estimate is of gradient descent, which needs ratings
        return None
    ratings = _Sizes(buckets.users, buckets.items, facts.ratings)
    plan = make_plan(ratings, config)
    if plan.engine != "fast":
        return None
    rows, weighted = len(buckets.users) + len(buckets.items), "weight" in buckets.types
    values, stride = facts.values, row_size(config)
    scale = Scale(values.min, values.max, values.step)
    memory = {
        # int32 user and item, float32 rating, and perhaps an int64 timestamp and a float32 weight
        "columns": len(ratings) * sum(kind.itemsize for kind in buckets.types.values()),
        **training_memory(plan, len(ratings), rows, config, weighted=weighted, scale=scale),
        "process": _PROCESS,
    }
    memory["total"] = sum(memory.values())
    ns = nanoseconds(stride)
    assumed = _ASSUMED.format(ns=ns, stride=stride)
    return Cost(config.k, memory, len(ratings) * ns / 1e9, assumed)


@dataclass(frozen=True)
class _Sizes:
    """What the plan of a training depends on."""

    users: Vocabulary
    items: Vocabulary
    ratings: int

    def __len__(self) -> int:
        return self.ratings

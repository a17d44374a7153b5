"""The rows that the SGD kernels work on: their layout, packing and unpacking.

A row holds the state of one user or item in a contiguous, aligned stretch of float32 values. It
consists of up to three planes of equal width:

    w   the weights
    s   the pending velocity (see `kernels.py`), except in long rows with momentum 0 and no
        penalty on whole tables (see `repeats.py`)
    x   with Nesterov momentum only, the weights less momentum times velocity

The lanes of `w` are ``(1, b_u, p_u...)`` for a user and ``(b_i, 1, q_i...)`` for an item, so that
one dot product gives ``b_u + b_i + p_u . q_i``, the prediction less `mu`. The lane of the constant
one needs no velocity. In the plane `s`, it holds the bits of an int32: the step of the epoch up to
which the row is current.

Between two epochs, ``s = b v - a w`` and ``x = w - b v``. Code that adds to `w` there must subtract
`a` times as much from `s`, and add as much to `x`.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import NamedTuple, TypeAlias

import numpy as np
from numpy.typing import NDArray

from mfcli.aligned import LINE, aligned
from mfcli.types import Doubles, Floats

Records: TypeAlias = NDArray[np.void]
"""An array of `RATING` or `WEIGHTED`."""

RATING = np.dtype([("user", "<i4"), ("item", "<i4"), ("rating", "<f4")])
WEIGHTED = np.dtype([*RATING.descr, ("weight", "<f4")])
USER_ONE = 0  # the lane of a user's row that is always one
ITEM_ONE = 1  # the lane of an item's row that is always one
NARROW, WIDE = 2, 4  # bytes of a row in packed ratings
NOWHERE = -1  # in place of a lane: the constant one is in another vector of the row

_FACTORS = 2  # the lane of the first factor
_SHORT = 16  # rows with up to this many lanes have velocities even if these are zero
_UNROLLED = 32  # planes of up to this many lanes are kept in registers
_PART = 1 << 16  # rows that are changed at a time, because expressions copy them


class Sgd(NamedTuple):
    """Parameters of stochastic gradient descent in one epoch.

    Attributes
    ----------
    lr : float
        Learning rate.
    momentum : float
        In [0, 1).
    reg : float
        Weight, in the loss, of the sum of all squared weights of the tables.
    nesterov : bool
        Whether the momentum is Nesterov's.
    """

    lr: float
    momentum: float
    reg: float
    nesterov: bool

    @property
    def decay(self) -> float:
        """The decrease of a weight in one step because of the penalty, as a fraction: ``a``."""
        return 2.0 * self.lr * self.reg


class Variant(NamedTuple):
    """What the kernels are compiled for; see `make_variant`.

    Attributes
    ----------
    width : int
        Lanes in a plane of a row, including padding.
    lanes : int
        Lanes processed at once; divides `width`.
    stride : int
        Lanes in a row.
    velocity : bool
        Whether rows have velocities.
    table_reg : bool
        Whether whole tables are penalized at every step.
    nesterov : bool
        Whether the momentum is Nesterov's.
    rating_reg : bool
        Whether each rating penalizes the rows that it updates.
    weighted : bool
        Whether ratings have weights.
    wide : bool
        Whether the users and items of packed ratings have four bytes, not two.
    """

    width: int
    lanes: int
    stride: int
    velocity: bool
    table_reg: bool
    nesterov: bool
    rating_reg: bool
    weighted: bool
    wide: bool


def make_variant(
    k: int,
    *,
    momentum: bool = True,
    table_reg: bool = False,
    nesterov: bool = False,
    rating_reg: bool = False,
    weighted: bool = False,
    wide: bool = False,
) -> Variant:
    """Choose the layout of rows with `k` factors.

    A plane that fits 8, 16 or 32 lanes is one vector. A longer one consists of vectors of 16 lanes.
    Without momentum, only a penalty on whole tables moves idle rows. Without either, long
    rows have no velocities, and Nesterov momentum makes no difference.
    """
    # A short plane is a single vector, so that the kernels keep the row in registers.
    used = k + _FACTORS
    lanes = next((n for n in (8, 16, 32) if used <= n <= _UNROLLED), LINE)
    # Padding lanes are zero in every row, so they add nothing to any product.
    width = -(-used // lanes) * lanes
    # To find the repeated rows of a batch costs more than to move the velocities of short rows.
    velocity = momentum or table_reg or used <= _SHORT
    nesterov = nesterov and velocity
    planes = 1 + velocity + nesterov
    stride = planes * width
    flags = velocity, table_reg, nesterov, rating_reg, weighted, wide
    return Variant(width, lanes, stride, *flags)


def row_bytes(rows: int) -> int:
    """Return the bytes of a row in packed ratings, for groups of some number of rows."""
    # Kernels are compiled for each of the two, because a mask that is not a constant takes time.
    return NARROW if rows <= 1 << 8 * NARROW else WIDE


def pack(
    factors: Floats,
    biases: Floats,
    order: NDArray[np.int32],
    one: int,
    sgd: Sgd,
    variant: Variant,
) -> Floats:
    """Lay out the tables of one side as rows with velocity zero.

    Parameters
    ----------
    factors : float32 array, shape (n, k)
    biases : float32 array, shape (n,)
    order : int32 array, shape (n,)
        The user or item of each row.
    one : int
        `USER_ONE` or `ITEM_ONE`.
    sgd : Sgd
    variant : Variant

    Returns
    -------
    float32 array, shape (n, 1 to 3, width)
    """
    count, k = factors.shape
    rows = aligned((count, variant.stride // variant.width, variant.width))
    rows[:, 0, one] = 1.0
    rows[:, 0, _bias(one)] = biases[order]
    for start in range(0, count, _PART):  # indexing copies
        part = slice(start, start + _PART)
        rows[part, 0, _FACTORS : _FACTORS + k] = factors[order[part]]
    if variant.velocity:  # s = b v - a w with v = 0
        np.multiply(np.float32(-sgd.decay), rows[:, 0], out=rows[:, 1])
        rows[:, 1, one] = 0.0  # the bits of step zero
    rows[:, 2:] = rows[:, :1]  # x = w - b v with v = 0
    return rows


def unpack(rows: Floats, places: NDArray[np.int32], k: int, one: int) -> tuple[Floats, Floats]:
    """Return copies of the factors and the biases of one side, by the place of each row."""
    factors = rows[:, 0, _FACTORS : _FACTORS + k]
    return factors[places], rows[places, 0, _bias(one)]


def pack_regs(regs: Mapping[str, float], variant: Variant) -> Floats:
    """Lay out the penalties per rating like the weights of a row.

    Parameters
    ----------
    regs : mapping of str to float
        Penalties of user_factors, item_factors, user_biases and item_biases.
    variant : Variant

    Returns
    -------
    float32 array, shape (2, width)
        For users and for items; zero in the lane of the constant one.
    """
    rows = aligned((2, variant.width))
    for row, side, one in ((0, "user", USER_ONE), (1, "item", ITEM_ONE)):
        # This includes the padding, where all weights are zero.
        rows[row, _FACTORS:] = regs[f"{side}_factors"]
        rows[row, _bias(one)] = regs[f"{side}_biases"]
    return rows


def penalties_of(rows: Floats, regs: Floats) -> Doubles:
    """Return the penalty per rating of each row, float64 of shape (n,).

    Parameters
    ----------
    rows : float32 array, shape (n, 1 to 3, width)
    regs : float32 array, shape (width,)
        Of `pack_regs`, so that the constant one has no penalty.
    """
    penalties = np.empty(len(rows))
    for start in range(0, len(rows), _PART):
        part = slice(start, start + _PART)
        # reg w.w
        penalties[part] = np.square(rows[part, 0], dtype=np.float64) @ regs.astype(float)
    return penalties


def change_rates(rows: Floats, one: int, before: Sgd, after: Sgd) -> None:
    """Adapt rows at the end of an epoch to the learning rate and momentum of the next one.

    The weights w and velocities v stay the same; what is stored is ``s = b v - a w``, and a and b
    change. So ``s' = (b' / b) (s + a w) - a' w``.

    Parameters
    ----------
    rows : float32 array, shape (n, 2 or 3, width)
        Changed in place.
    one : int
        `USER_ONE` or `ITEM_ONE`.
    before, after : Sgd
        They differ in learning rate and momentum only.
    """
    # With b = 0, s = -a w tells nothing about v, and v had no effect.
    ratio = after.momentum / before.momentum if before.momentum else 0.0
    for start in range(0, len(rows), _PART):
        part = rows[start : start + _PART]
        w = part[:, 0]
        # s + a w = b v, times b' / b
        velocity = np.float32(ratio) * (part[:, 1] + np.float32(before.decay) * w)  # b' v
        part[:, 1] = velocity - np.float32(after.decay) * w
        part[:, 1, one] = 0.0  # the bits of step zero
        if after.nesterov:  # x = w - b v, where b v = s + a w
            part[:, 2] = w - (part[:, 1] + np.float32(after.decay) * w)
            part[:, 2, one] = 1.0


def _bias(one: int) -> int:
    """Return the lane of the bias: the constant one and the bias are lanes 0 and 1."""
    return USER_ONE + ITEM_ONE - one

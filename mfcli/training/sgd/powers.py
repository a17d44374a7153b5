"""How idle rows move, and what penalty they add: powers of a linear map and quadratic forms.

A row that no rating of a batch updates still moves, by the linear map C of `kernels.py`. After n
idle steps its state is ``C^n (x, s)``. Without a penalty the velocity decays to nothing, and a few
hundred powers are enough. With a penalty, one eigenvalue of C is close to 1 and does not settle
within an epoch, so powers are products of entries of two tables: ``C^n = (C^NEAR)^i C^j`` with
``n = NEAR i + j``. The tables are computed in double precision and rounded once.

Penalty
-------
Suppose that a row is idle after step t. Add up its squared weights at each of the later steps, each
multiplied by the size of that step's batch. The sum is a quadratic form ``F_t(x, s)``, the same for
all rows, where ``(x, s)`` is the state at step t. It follows from the form of the next step, at
which the weights are ``x + d s`` and the state is ``C (x, s)``::

    F_{t-1}  =  C^T F_t C + size_t (1, d)^T (1, d)

A rating that adds m to s changes the sum by::

    F_t(x, s + m) - F_t(x, s)  =  m (2 F_t[0, 1] x + F_t[1, 1] (s + (s + m)))

So the penalty of an epoch is what it would be if all rows were idle, plus these changes.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
from numba import types
from numpy.typing import NDArray

from mfcli.errors import ConfigError, Param, Text
from mfcli.storage import array_type, inlined, kernel
from mfcli.training.sgd.rows import Sgd
from mfcli.types import Doubles, Floats
from mfcli.vectors import fma, pointer

NEAR = 4096  # number of powers in the first table

_STOPPED = 1e-12  # a velocity that has decayed to this fraction moves nothing
_TINY = 1e-30  # smaller coefficients are set to zero: denormal numbers are slow
_SINGULAR = 1e-3  # least distance of 2 lr reg from 1 with Nesterov momentum

_MATRIX = array_type(types.float64, 2)
_DOUBLES = array_type(types.float64, 1)


class Powers(NamedTuple):
    """The movement of idle rows; see `make_powers`.

    Attributes
    ----------
    near : float32 array, shape (n, 4)
        ``C^0, C^1, ...``, each as its entries row by row.
    far : float32 array, shape (n, 4)
        The powers of ``C^NEAR``.
    limit : int
        Power from which on all powers are equal.
    gain : float32
        ``1 / (1 - a)`` with Nesterov momentum, otherwise 1.
    """

    near: Floats
    far: Floats
    limit: int
    gain: np.float32


class Costs(NamedTuple):
    """The future penalty of idle rows; see `make_costs`.

    Attributes
    ----------
    slopes : float32 array, shape (steps, 2)
        ``2 F_t[0, 1]`` and ``F_t[1, 1]`` for each step.
    start : float64 array, shape (4,)
        Weights of ``w.w``, ``x.x``, ``x.s`` and ``s.s`` in the penalty of a row that is idle for
        the whole epoch; see `quadratic`.
    """

    slopes: Floats
    start: Doubles


def make_powers(sgd: Sgd, steps: int) -> Powers:
    """Make the tables that move rows forward by up to `steps` steps.

    Raises
    ------
    ConfigError
        If momentum is Nesterov's and ``2 lr reg`` is 1 or very close to it: weights are
        ``(x + s) / (1 - 2 lr reg)``.
    """
    rest = 1.0 - sgd.decay
    if sgd.nesterov and abs(rest) < _SINGULAR:
        keras = Param("engine", "keras")
        remedy: Text = ["change ", Param("lr"), " or ", Param("reg"), " slightly, or use ", keras]
        raise ConfigError("2 lr reg must not be 1 with Nesterov momentum", remedy=remedy)
    step, _ = _one_step(sgd)
    limit = _last_power(sgd, steps)
    # The last entry of `near` is C^NEAR, whose powers are `far`.
    near, far = np.empty((NEAR + 1, 4)), np.empty((limit // NEAR + 1, 4))
    _fill_powers(step, near)
    _fill_powers(near[NEAR].reshape(2, 2), far)
    gain = np.float32(1.0 / rest if sgd.nesterov else 1.0)
    return Powers(_coefficients(near[:NEAR]), _coefficients(far), limit, gain)


def make_costs(sgd: Sgd, sizes: NDArray[Any]) -> Costs:
    """Make the tables of the penalty from the batch size of each step.

    The penalty of an epoch, weighted as in Keras, is reg times the sum of two parts:
    `quadratic` with `Costs.start` over the rows of both sides before the epoch, and the second
    column of the `losses` of `Kernels.run_batches`.
    """
    step, d = _one_step(sgd)
    forms = np.empty((len(sizes), 3))
    _fill_costs(step, d, sizes.astype(np.float64), forms)
    # To add m to s costs m (2 F[0, 1] x + F[1, 1] (2 s + m)).
    slopes = np.stack([2.0 * forms[:, 1], forms[:, 2]], axis=1).astype(np.float32)
    # size_0 w.w + F_0(x, s)  =  size_0 w.w + f x.x + 2 g x.s + h s.s
    f, g, h = forms[0]
    return Costs(slopes, np.array([float(sizes[0]), f, 2.0 * g, h]))


def _one_step(sgd: Sgd) -> tuple[Doubles, float]:
    """Return the map ``C`` of one idle step, and ``d`` of ``w' = x + d s``."""
    a, d = sgd.decay, 1.0 + sgd.momentum * sgd.nesterov
    return np.array([[1.0, 1.0], [-a, sgd.momentum - a * d]]), d


def _last_power(sgd: Sgd, steps: int) -> int:
    """Return the number of idle steps after which a row does not move, or `steps`."""
    # One eigenvalue of C is close to 1, so no power can be dropped.
    if sgd.reg > 0.0:
        return steps
    # Zero has no logarithm, and one step is enough.
    if sgd.momentum < _STOPPED:
        return 1
    # b^n < _STOPPED  if  n > log(_STOPPED) / log(b)
    return min(steps, 1 + int(np.log(_STOPPED) / np.log(sgd.momentum)))


@np.errstate(all="ignore")  # powers overflow if training diverges, which is detected later
def _coefficients(powers: Doubles) -> Floats:
    return np.where(np.abs(powers) < _TINY, 0.0, powers).astype(np.float32)


@kernel(_MATRIX, _MATRIX)
def _fill_powers(step: Any, out: Any) -> None:
    """Set ``out[n]`` to the entries of the n-th power of a 2 x 2 matrix."""
    a, b, c, d = 1.0, 0.0, 0.0, 1.0
    p, q, r, s = step[0, 0], step[0, 1], step[1, 0], step[1, 1]
    for n in range(len(out)):
        out[n, 0], out[n, 1], out[n, 2], out[n, 3] = a, b, c, d
        # C^(n+1) = C C^n, with C = (p q; r s) and C^n = (a b; c d)
        a, b, c, d = p * a + q * c, p * b + q * d, r * a + s * c, r * b + s * d


@kernel(_MATRIX, types.float64, _DOUBLES, _MATRIX)
def _fill_costs(step: Any, weight: Any, sizes: Any, out: Any) -> None:
    """Set ``out[t]`` to the entries ``[0, 0]``, ``[0, 1]`` and ``[1, 1]`` of ``F_t``.

    `step` is C, and `weight` is d.
    """
    c, d = step[1, 0], step[1, 1]  # the other two entries are ones
    f, g, h = 0.0, 0.0, 0.0  # nothing comes after the last step
    for t in range(len(sizes) - 1, -1, -1):
        out[t, 0], out[t, 1], out[t, 2] = f, g, h
        # C^T F_t C
        f, g, h = (
            f + 2.0 * g * c + h * c * c,
            f + g * (c + d) + h * c * d,
            f + 2.0 * g * d + h * d * d,
        )
        # size_t (1, d)^T (1, d)
        f, g, h = f + sizes[t], g + sizes[t] * weight, h + sizes[t] * weight * weight


@kernel(array_type(types.float32, 3), types.intp, _DOUBLES, _DOUBLES)
def quadratic(rows: Any, one: Any, weights: Any, sums: Any) -> None:
    """Set ``sums[row]`` (float64) to a quadratic form of each row.

    It is the sum over all lanes, except the lane of the constant one, of ``w w``, ``x x``, ``x s``
    and ``s s``, times the four `weights` (float64). The weights (1, 0, 0, 0) give the sum of the
    squared weights; `Costs.start` gives the penalty of an idle row, not yet multiplied by reg.
    """
    _, planes, width = rows.shape
    for row in range(len(rows)):
        total = 0.0
        for lane in range(width):
            if lane != one:
                # In float32, the sum over a table of millions of squares would lose most of its
                # digits.
                w = np.float64(rows[row, 0, lane])
                s = np.float64(rows[row, 1, lane])
                x = np.float64(rows[row, 2, lane]) if planes == 3 else w
                total += weights[0] * w * w + weights[1] * x * x
                total += weights[2] * x * s + weights[3] * s * s
        sums[row] = total


@inlined
def power(powers: Any, n: Any) -> Any:
    """Return the four entries of ``C^n``, row by row."""
    # Most gaps are short and need one table; a gap of n = NEAR i + j is a product of two entries.
    near, far = pointer(powers.near), pointer(powers.far)
    if n < NEAR:
        j = 4 * n
        return near[j], near[j + 1], near[j + 2], near[j + 3]
    # (a b; c d) (e f; g h), where the left factor is a power of C^NEAR
    i, j = 4 * (n // NEAR), 4 * (n % NEAR)
    a, b, c, d = far[i], far[i + 1], far[i + 2], far[i + 3]
    e, f, g, h = near[j], near[j + 1], near[j + 2], near[j + 3]
    return fma(a, e, b * g), fma(a, f, b * h), fma(c, e, d * g), fma(c, f, d * h)

"""Compiled kernels: lazy momentum descent on a biased matrix factorization.

The model is ``mu + b_u + b_i + p_u . q_i``.  A step of the optimiser takes the
gradient ``g`` of the mean squared error of a batch plus ``reg`` times the sum
of all squared weights, and moves every weight ``w``::

    v' = b v - rate g,      w' = w + v'                 (plain)
                            w' = w + b v' - rate g      (Nesterov)

Most rows take no part in a batch.  A row at rest moves by a fixed linear map,
so it is left alone until it is needed and then brought forward by a power of
that map.

Pending state
-------------
Let ``a = 2 rate reg``.  A row is kept as ``(x, s)``, where ``s`` is the
velocity ``v_{t+1}`` as far as it is known: ``b v_t - a w_t``, plus what the
ratings of batch ``t`` seen so far have added.  The weights of step ``t`` stay
as they are until the row is needed in a later step, so one pass over a batch is
enough, and a batch may hold a row any number of times.

Plain momentum has ``x = w``; one step is ``x' = x + s``, ``s' = b s - a x'``.
For Nesterov momentum let ``x = w - b v``.  Then ``x' = x + s`` as before, while
``w' = x' + b s`` and ``s' = b s - a w'``, hence ``w' = (x' + s') / (1 - a)``.
With ``d = 1`` (plain) or ``d = 1 + b`` (Nesterov) both are::

    C = [[1, 1], [-a, b - a d]],        w' = x + d s

Penalty
-------
Were a row left at rest from step ``t`` on, the squares of its weights in the
steps after ``t``, each times the size of that step's batch, would add up to
``F_t(x, s)``, a quadratic form that is the same for all rows and follows from
``F_{t+1}``.  A rating that moves ``s`` by ``m`` changes that sum by::

    F_t(x, s + m) - F_t(x, s) = m (2 F_t[0, 1] x + F_t[1, 1] (s + (s + m)))

The penalty of an epoch is therefore what it would be with all rows at rest,
plus these changes.

A penalty of ratings, not of tables, leaves rows at rest alone: a rating that
touches ``w`` in a batch of B adds ``reg w w / B`` to the loss, and so
``-2 rate reg w / B`` to ``s``.

Rows
----
A row is one aligned stretch of float32 in two or three planes of equal width:
the weights ``w``, the pending velocity ``s`` and, for Nesterov momentum, ``x``.
The lanes of ``w`` are ``(1, b_u, p_u...)`` for a user and ``(b_i, 1, q_i...)``
for an item, so one dot product is the prediction less ``mu``.  The lane of the
constant one needs no velocity; in the plane ``s`` it holds the bits of an
int32, the step to which the row was last brought.
"""

import functools
from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

import numba
import numpy as np
import numpy.typing as npt
from llvmlite import ir
from numba import types
from numba.core.datamodel import models
from numba.extending import intrinsic, register_model

from mfcli.config import Config

Floats = npt.NDArray[np.float32]
Doubles = npt.NDArray[np.float64]
Records = npt.NDArray[np.void]

RATING = np.dtype([("user", "<i4"), ("item", "<i4"), ("rating", "<f4")])
USER_ONE = 0  # the lane of a user row that is always one
ITEM_ONE = 1  # the lane of an item row that is always one
CHUNK = 65536  # ratings to one partial sum of `squared_errors`

_FACTORS = 2  # the lane of the first factor
_LINE = 16  # float32 values in a cache line
_UNROLLED = 32  # a plane of up to so many lanes is held in registers
_NEAR = 4096  # lower powers are read from one table, others are products
_AHEAD = 1024  # values of one side prefetched ahead of their use
_STOPPED = 1e-12  # a velocity that has decayed to this share moves nothing
_TINY = 1e-30  # smaller coefficients are taken for zero: denormals are slow
_DRAWS = 65536  # random numbers drawn at a time


class Descent(NamedTuple):
    """The optimiser.

    Attributes
    ----------
    rate : float
        Learning rate.
    momentum : float
        In [0, 1).
    reg : float
        Weight of the sum of all squared weights in the loss.
    nesterov : bool
        Whether the momentum is Nesterov's.
    """

    rate: float
    momentum: float
    reg: float
    nesterov: bool


class Powers(NamedTuple):
    """The movement of rows at rest; see `make_powers`.

    Attributes
    ----------
    near : ndarray of float32, shape (n, 4)
        ``C ** n``, its entries in the order of rows.
    far : ndarray of float32, shape (n, 4)
        The powers of ``C ** _NEAR``.
    limit : int
        Power from which on all are alike.
    gain : float32
        ``1 / (1 - a)`` for Nesterov momentum, otherwise one.
    """

    near: Floats
    far: Floats
    limit: int
    gain: np.float32


class Costs(NamedTuple):
    """The penalty to come of rows at rest; see `make_costs`.

    Attributes
    ----------
    slopes : ndarray of float32, shape (steps, 2)
        ``2 F_t[0, 1]`` and ``F_t[1, 1]`` for every step.
    start : ndarray of float64, shape (4,)
        Weights of ``w.w``, ``x.x``, ``x.s`` and ``s.s`` in the penalty of a row
        that rests for the whole epoch.
    """

    slopes: Floats
    start: Doubles


class Kind(NamedTuple):
    """What a kernel is compiled for; see `row_kind`.

    Attributes
    ----------
    width : int
        Lanes in a plane of a row, padding included.
    lanes : int
        Lanes handled at once; divides `width`.
    stride : int
        Lanes in a row.
    penalised : bool
        Whether ``reg > 0``.
    nesterov : bool
        Whether the momentum is Nesterov's.
    rated : bool
        Whether ratings penalise the rows that they touch.
    """

    width: int
    lanes: int
    stride: int
    penalised: bool
    nesterov: bool
    rated: bool


def row_kind(k: int, penalised: bool, nesterov: bool, rated: bool = False) -> Kind:
    """Choose the layout of rows with `k` factors."""
    used = k + _FACTORS
    lanes = next((n for n in (8, 16, 32) if used <= n <= _UNROLLED), _LINE)
    width = -(-used // lanes) * lanes
    return Kind(width, lanes, (2 + nesterov) * width, penalised, nesterov, rated)


def kind_of(config: Config) -> Kind:
    """Choose the layout of rows for a config."""
    tables, ratings = any(config.table_regs.values()), any(config.rating_regs.values())
    return row_kind(config.k, tables, config.nesterov, ratings)


# ---------------------------------------------------------------------------
# Vectors of float32 inside compiled code
#
# Rows are read and written as whole vectors by explicit instructions.  The
# order of every sum and each fused multiply-add is then part of the program,
# so results are the same bits whatever the width of a machine's registers, and
# nothing depends on the compiler seeing that two rows do not overlap.


class _Vector(types.Type):
    """The type, inside compiled code, of `lanes` float32 values."""

    def __init__(self, lanes: int) -> None:
        self.lanes = lanes
        super().__init__(name=f"Vector({lanes})")


class _VectorModel(models.PrimitiveModel):
    def __init__(self, manager: Any, vector: _Vector) -> None:
        super().__init__(manager, vector, _llvm(vector))  # type: ignore[no-untyped-call]


register_model(_Vector)(_VectorModel)

_POINTER = types.CPointer(types.float32)  # type: ignore[no-untyped-call]
_I32 = ir.IntType(32)
_F32 = ir.FloatType()


def _operation(define: Callable[..., Any]) -> Any:
    """Make the decorated function an operation of compiled code.

    It takes the types of the operands and returns the signature and a function
    that emits the instructions.
    """
    return intrinsic(prefer_literal=True)(define)


def inlined(function: Callable[..., Any]) -> Any:
    """Compile the decorated function into its callers, where flags are constants."""
    return numba.njit(forceinline=True)(function)


def _llvm(vector: _Vector) -> ir.VectorType:
    return ir.VectorType(_F32, vector.lanes)


def _alignment(vector: _Vector) -> int:
    return min(64, 4 * vector.lanes)


def _at(builder: Any, base: Any, offset: Any, kind: Any) -> Any:
    """Address, as of a `kind`, of the value at an offset from a float32 address."""
    return builder.bitcast(builder.gep(base, [offset], source_etype=_F32), kind.as_pointer())


def _splat(builder: Any, scalar: Any, lanes: int) -> Any:
    """Broadcast an LLVM scalar over a vector."""
    nothing = ir.Constant(ir.VectorType(scalar.type, 1), ir.Undefined)
    seed = builder.insert_element(nothing, scalar, _I32(0))
    zeros = ir.Constant(ir.VectorType(_I32, lanes), [0] * lanes)
    return builder.shuffle_vector(seed, nothing, zeros)


def _widest(*kinds: Any) -> Any:
    """Return the type of a result of operands some of which may be scalars."""
    return next((kind for kind in kinds if isinstance(kind, _Vector)), types.float32)


def _alike(builder: Any, signature: Any, values: Any) -> list[Any]:
    """Broadcast the scalars among the operands if the result is a vector."""
    result = signature.return_type
    return [
        _splat(builder, value, result.lanes) if kind != result else value
        for kind, value in zip(signature.args, values, strict=True)
    ]


def _call(builder: Any, name: str, result: Any, values: list[Any]) -> Any:
    """Call an intrinsic function of LLVM."""
    kind = ir.FunctionType(result, [value.type for value in values])
    function = builder.module.globals.get(name) or ir.Function(builder.module, kind, name)
    return builder.call(function, values)


@_operation
def _pointer(typing: Any, array: Any) -> Any:
    """Address of the first value of an array, taken for float32."""

    def emit(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        data = context.make_array(array)(context, builder, args[0]).data
        return builder.bitcast(data, _F32.as_pointer())

    return _POINTER(array), emit


@_operation
def _load(typing: Any, base: Any, offset: Any, like: Any) -> Any:
    """Read a vector as long as `like`, at a multiple of its length."""

    def emit(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        place = _at(builder, args[0], args[1], _llvm(like))
        return builder.load(place, align=_alignment(like), typ=_llvm(like))

    return like(base, types.intp, like), emit


@_operation
def _store(typing: Any, base: Any, offset: Any, vector: Any) -> Any:
    """Write a vector at a multiple of its length."""

    def emit(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        place = _at(builder, args[0], args[1], _llvm(vector))
        builder.store(args[2], place, align=_alignment(vector))
        return context.get_dummy_value()

    return types.void(base, types.intp, vector), emit


@_operation
def _load_int(typing: Any, base: Any, offset: Any) -> Any:
    """Read an int32 kept among float32 values."""

    def emit(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        return builder.load(_at(builder, args[0], args[1], _I32), align=4, typ=_I32)

    return types.int32(base, types.intp), emit


@_operation
def _bits(typing: Any, integer: Any) -> Any:
    """Reinterpret an int32 as float32, to be kept among float32 values."""

    def emit(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        return builder.bitcast(args[0], _F32)

    return types.float32(types.int32), emit


@_operation
def _copy(typing: Any, target: Any, to: Any, source: Any, at: Any) -> Any:
    """Copy record number `at` of `source` to number `to` of `target`."""
    record = ir.IntType(8 * RATING.itemsize)

    def emit(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        values = args[1].type(RATING.itemsize // 4)
        to, at = builder.mul(args[1], values), builder.mul(args[3], values)
        value = builder.load(_at(builder, args[2], at, record), align=4, typ=record)
        builder.store(value, _at(builder, args[0], to, record), align=4)
        return context.get_dummy_value()

    return types.void(target, types.intp, source, types.intp), emit


@_operation
def _prefetch(typing: Any, base: Any, offset: Any) -> Any:
    """Ask for the cache line of a value that is going to be written."""

    def emit(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        place = _at(builder, args[0], args[1], ir.IntType(8))
        to_write, keep, data = _I32(1), _I32(3), _I32(1)
        name = f"llvm.prefetch.{place.type.intrinsic_name}"
        _call(builder, name, ir.VoidType(), [place, to_write, keep, data])
        return context.get_dummy_value()

    return types.void(base, types.intp), emit


@_operation
def _fma(typing: Any, x: Any, y: Any, z: Any) -> Any:
    """``x * y + z``, rounded once; scalars are broadcast."""
    result = _widest(x, y, z)
    shape = f"v{result.lanes}f32" if isinstance(result, _Vector) else "f32"

    def emit(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        values = _alike(builder, signature, args)
        return _call(builder, f"llvm.fma.{shape}", values[0].type, values)

    return result(x, y, z), emit


@_operation
def _mul(typing: Any, x: Any, y: Any) -> Any:
    """``x * y``; scalars are broadcast."""

    def emit(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        return builder.fmul(*_alike(builder, signature, args))

    return _widest(x, y)(x, y), emit


@_operation
def _add(typing: Any, x: Any, y: Any) -> Any:
    """``x + y``; scalars are broadcast."""

    def emit(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        return builder.fadd(*_alike(builder, signature, args))

    return _widest(x, y)(x, y), emit


@_operation
def _zeros(typing: Any, lanes: Any) -> Any:
    """Return a vector of zeros; `lanes` must be a constant."""
    vector = _Vector(lanes.literal_value)

    def emit(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        return ir.Constant(_llvm(vector), [0.0] * vector.lanes)

    return vector(lanes), emit


@_operation
def _choose(typing: Any, condition: Any, x: Any, y: Any) -> Any:
    """Return the vector `x` where a scalar condition holds, otherwise `y`."""

    def emit(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        return builder.select(*args)

    return x(types.boolean, x, y), emit


@_operation
def _replace(typing: Any, vector: Any, lane: Any, scalar: Any) -> Any:
    """Put a scalar into one lane of a vector, if it has that lane."""
    lanes = vector.lanes
    numbers = ir.Constant(ir.VectorType(_I32, lanes), list(range(lanes)))

    def emit(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        here = builder.icmp_signed("==", numbers, _splat(builder, args[1], lanes))
        return builder.select(here, _splat(builder, args[2], lanes), args[0])

    return vector(vector, types.int32, types.float32), emit


@_operation
def _sum(typing: Any, vector: Any) -> Any:
    """Sum of the lanes: the upper half is added to the lower, and so on."""

    def part(builder: Any, value: Any, start: int, stop: int) -> Any:
        pick = ir.Constant(ir.VectorType(_I32, stop - start), list(range(start, stop)))
        return builder.shuffle_vector(value, ir.Constant(value.type, ir.Undefined), pick)

    def emit(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        value, lanes = args[0], vector.lanes
        while lanes > 1:
            low, high = part(builder, value, 0, lanes // 2), part(builder, value, lanes // 2, lanes)
            value, lanes = builder.fadd(low, high), lanes // 2
        return builder.extract_element(value, _I32(0))

    return types.float32(vector), emit


# ---------------------------------------------------------------------------
# Parts of the kernels
#
# `base` is the address of a side's rows, `place` the offset of a row or of the
# part of one in hand, `one` the lane of the constant counted from there.


@inlined
def _power(powers: Any, n: Any) -> Any:
    """Four entries of ``C ** n``, in the order of rows."""
    near, far = _pointer(powers.near), _pointer(powers.far)
    if n < _NEAR:
        j = 4 * n
        return near[j], near[j + 1], near[j + 2], near[j + 3]
    i, j = 4 * (n // _NEAR), 4 * (n % _NEAR)
    a, b, c, d = far[i], far[i + 1], far[i + 2], far[i + 3]
    e, f, g, h = near[j], near[j + 1], near[j + 2], near[j + 3]
    return _fma(a, e, b * g), _fma(a, f, b * h), _fma(c, e, d * g), _fma(c, f, d * h)


@inlined
def _read(base: Any, place: Any, like: Any, kind: Any) -> Any:
    """Load ``(w, s, x)``."""
    w = _load(base, place, like)
    s = _load(base, place + kind.width, like)
    x = _load(base, place + 2 * kind.width, like) if kind.nesterov else w
    return w, s, x


@inlined
def _bring(
    base: Any, place: Any, one: Any, n: Any, power: Any, gain: Any, like: Any, kind: Any
) -> Any:
    """Bring part of a row `n` steps forward and store all but ``s``.

    The power zero is the identity, so a row already there does not change.
    """
    w, s, x = _read(base, place, like, kind)
    s = _replace(s, one, 0.0)
    if kind.penalised:
        x, s = _fma(power[1], s, _mul(power[0], x)), _fma(power[3], s, _mul(power[2], x))
        x = _replace(x, one, 1.0)
    else:
        x, s = _fma(power[1], s, x), _mul(power[3], s)
    if kind.nesterov:
        w = _choose(n == 0, w, _replace(_mul(gain, _add(x, s)), one, 1.0))
        _store(base, place + 2 * kind.width, x)
    else:
        w = x
    _store(base, place, w)
    return w, s, x


@inlined
def _push(
    base: Any, place: Any, one: Any, push: Any, other: Any, w: Any, s: Any, x: Any,
    cost: Any, charge: Any, step: Any, shrink: Any, regs: Any, kind: Any,
) -> Any:  # fmt: skip
    """Add `push` times the other side to ``s`` and store it with the step.

    Return `charge` with the change of the penalty, or a rating's penalty, added lane by lane.
    """
    moved = _fma(push, other, s)
    if kind.rated:
        part = _mul(regs, w)
        moved = _fma(shrink, part, moved)
        charge = _fma(part, w, charge)
    if kind.penalised:
        move = _mul(push, _replace(other, one, 0.0))
        slope = _fma(cost[0], x, _mul(cost[1], _add(s, moved)))
        charge = _fma(move, slope, charge)
    _store(base, place + kind.width, _replace(moved, one, _bits(step)))
    return charge


@inlined
def _places(data: Any, at: Any, kind: Any) -> Any:
    """Offsets of the user's and the item's row of record number `at`."""
    user, item = _load_int(data, 3 * at), _load_int(data, 3 * at + 1)
    return np.intp(user) * kind.stride, np.intp(item) * kind.stride


@inlined
def _fetch(data: Any, at: Any, users: Any, items: Any, kind: Any) -> None:
    """Prefetch the rows of a record."""
    user, item = _places(data, at, kind)
    for line in range(0, kind.stride, _LINE):
        _prefetch(users, user + line)
        _prefetch(items, item + line)


@inlined
def _gap(base: Any, place: Any, step: Any, powers: Any) -> Any:
    """Return how far a row is behind; `place` is that of its step."""
    return min(step - _load_int(base, place), powers.limit)


@inlined
def _learn(
    data: Any, at: Any, users: Any, items: Any, powers: Any, cost: Any, charge: Any,
    push: Any, mu: Any, step: Any, user_regs: Any, item_regs: Any, like: Any, kind: Any,
) -> Any:  # fmt: skip
    """Learn from one record; return its error and the charge."""
    shrink = push
    user, item = _places(data, at, kind)
    user_gap = _gap(users, user + kind.width + USER_ONE, step, powers)
    item_gap = _gap(items, item + kind.width + ITEM_ONE, step, powers)
    user_power, item_power = _power(powers, user_gap), _power(powers, item_gap)
    products, long, gain = like, kind.width > kind.lanes, powers.gain
    for i in range(0, kind.width, kind.lanes):
        wu, su, xu = _bring(
            users, user + i, USER_ONE - i, user_gap, user_power, gain, like, kind
        )  # fmt: skip
        wi, si, xi = _bring(
            items, item + i, ITEM_ONE - i, item_gap, item_power, gain, like, kind
        )  # fmt: skip
        products = _fma(wu, wi, products)
        if long:
            _store(users, user + i + kind.width, su)
            _store(items, item + i + kind.width, si)
    error = _sum(products) + (mu - data[3 * at + 2])
    push *= error
    for i in range(0, kind.width, kind.lanes):
        if long:
            wu, su, xu = _read(users, user + i, like, kind)
            wi, si, xi = _read(items, item + i, like, kind)
        ru, ri = _load(user_regs, i, like), _load(item_regs, i, like)
        charge = _push(
            users, user + i, USER_ONE - i, push, wi, wu, su, xu, cost, charge, step,
            shrink, ru, kind,
        )  # fmt: skip
        charge = _push(
            items, item + i, ITEM_ONE - i, push, wu, wi, si, xi, cost, charge, step,
            shrink, ri, kind,
        )  # fmt: skip
    return np.float64(error), charge


@inlined
def _predict(data: Any, at: Any, users: Any, items: Any, like: Any, kind: Any) -> Any:
    """Return the prediction for a record, less ``mu``."""
    user, item = _places(data, at, kind)
    products = like
    for i in range(0, kind.width, kind.lanes):
        w = _load(users, user + i, like)
        products = _fma(w, _load(items, item + i, like), products)
    return _sum(products)


# ---------------------------------------------------------------------------
# Kernels for one kind of rows
#
# The flags and sizes in `kind` and `lanes` are constants of the compiled code.
# Only such plain values may be closed over: they are the key of the cache.


def _make_run_batches(kind: Kind) -> Callable[..., None]:
    lanes = kind.lanes
    lookahead = max(4, _AHEAD // kind.stride)

    def run_batches(
        records: Any, first: Any, last: Any, steps: Any, bounds: Any, user_rows: Any,
        item_rows: Any, powers: Any, slopes: Any, rates: Any, mu: Any, regs: Any, losses: Any,
    ) -> None:  # fmt: skip
        data, users, items = _pointer(records), _pointer(user_rows), _pointer(item_rows)
        user_regs, item_regs = _pointer(regs[0]), _pointer(regs[1])
        zeros, count = _zeros(lanes), len(records)
        for batch in range(first, last):
            step = steps[batch]
            start, stop = bounds[batch], bounds[batch + 1]
            push = np.float32(-2.0 * rates[step] / (stop - start))
            cost = slopes[step, 0], slopes[step, 1]
            squares, charge = 0.0, zeros
            for at in range(start, stop):
                _fetch(data, min(at + lookahead, count - 1), users, items, kind)
                error, charge = _learn(
                    data, at, users, items, powers, cost, charge, push, mu, step,
                    user_regs, item_regs, zeros, kind,
                )  # fmt: skip
                squares += error * error
            losses[step, 0], losses[step, 1] = squares, np.float64(_sum(charge))

    return run_batches


def _make_finish_epoch(kind: Kind) -> Callable[..., None]:
    lanes = kind.lanes

    def finish_epoch(rows: Any, first: Any, last: Any, one: Any, steps: Any, powers: Any) -> None:
        base, zeros = _pointer(rows), _zeros(lanes)
        for row in range(first, last):
            place = row * kind.stride
            n = _gap(base, place + kind.width + one, steps, powers)
            power = _power(powers, n)
            for i in range(0, kind.width, lanes):
                _, s, _ = _bring(base, place + i, one - i, n, power, powers.gain, zeros, kind)
                _store(base, place + i + kind.width, _replace(s, one - i, _bits(0)))

    return finish_epoch


def _make_squared_errors(kind: Kind) -> Callable[..., None]:
    lanes = kind.lanes

    def squared_errors(
        records: Any, first: Any, last: Any, user_rows: Any, item_rows: Any, mu: Any, sums: Any
    ) -> None:
        data, users, items = _pointer(records), _pointer(user_rows), _pointer(item_rows)
        zeros = _zeros(lanes)
        for chunk in range(first, last):
            total = 0.0
            for at in range(chunk * CHUNK, min((chunk + 1) * CHUNK, len(records))):
                product = _predict(data, at, users, items, zeros, kind)
                error = np.float64(product + (mu - data[3 * at + 2]))
                total += error * error
            sums[chunk] = total

    return squared_errors


# ---------------------------------------------------------------------------
# Kernels for all kinds


def _penalty_at_rest(rows: Any, one: Any, weights: Any, sums: Any) -> None:
    _, planes, width = rows.shape
    for row in range(len(rows)):
        total = 0.0
        for lane in range(width):
            if lane != one:
                w = np.float64(rows[row, 0, lane])
                s = np.float64(rows[row, 1, lane])
                x = np.float64(rows[row, 2, lane]) if planes == 3 else w
                total += weights[0] * w * w + weights[1] * x * x
                total += weights[2] * x * s + weights[3] * s * s
        sums[row] = total


def _shuffle(records: Any, out: Any, start: Any, draws: Any) -> None:
    source, target = _pointer(records), _pointer(out)
    for i in range(len(draws)):
        place = start + i
        other = np.intp(draws[i] * np.float64(place + 1))
        _copy(target, place, target, other)
        _copy(target, other, source, place)


def _count_blocks(user: Any, item: Any, user_group: Any, item_group: Any, counts: Any) -> None:
    groups = counts.shape[0]
    for n in range(len(user)):
        g = user_group[user[n]]
        counts[(item_group[item[n]] - g) % groups, g] += 1


def _fill_blocks(
    user: Any, item: Any, rating: Any, user_group: Any, item_group: Any, places: Any, out: Any
) -> None:
    groups = places.shape[0]
    for n in range(len(user)):
        g = user_group[user[n]]
        stratum = (item_group[item[n]] - g) % groups
        place = places[stratum, g]
        places[stratum, g] = place + 1
        out[place].user, out[place].item, out[place].rating = user[n], item[n], rating[n]


def _select_top(scores: Any, items: Any, best: Any) -> None:
    n = items.shape[1]
    for row in range(scores.shape[0]):
        for item in range(scores.shape[1]):
            score = scores[row, item]
            if n == 0 or not score > best[row, n - 1]:
                continue
            place = n - 1
            while place > 0 and score > best[row, place - 1]:
                best[row, place], items[row, place] = best[row, place - 1], items[row, place - 1]
                place -= 1
            best[row, place], items[row, place] = score, item


def _first_unrated(order: Any, starts: Any, rated: Any, users: Any, seen: Any, items: Any) -> None:
    for place in range(len(users)):
        user = users[place]
        for at in range(starts[user], starts[user + 1]):  # none for the user -1: from the end to 0
            seen[rated[at]] = place
        count = 0
        for item in order:
            if count == items.shape[1]:
                break
            if seen[item] != place:
                items[place, count] = item
                count += 1


def _fill_powers(step: Any, out: Any) -> None:
    a, b, c, d = 1.0, 0.0, 0.0, 1.0
    p, q, r, s = step[0, 0], step[0, 1], step[1, 0], step[1, 1]
    for n in range(len(out)):
        out[n, 0], out[n, 1], out[n, 2], out[n, 3] = a, b, c, d
        a, b, c, d = p * a + q * c, p * b + q * d, r * a + s * c, r * b + s * d


def _fill_costs(step: Any, weight: Any, sizes: Any, out: Any) -> None:
    c, d = step[1, 0], step[1, 1]  # the other two entries are ones
    f, g, h = 0.0, 0.0, 0.0
    for t in range(len(sizes) - 1, -1, -1):
        out[t, 0], out[t, 1], out[t, 2] = f, g, h
        # F_{t-1} = size_t (1, d)^T (1, d) + C^T F_t C
        f, g, h = (
            f + 2.0 * g * c + h * c * c,
            f + g * (c + d) + h * c * d,
            f + 2.0 * g * d + h * d * d,
        )
        f, g, h = f + sizes[t], g + sizes[t] * weight, h + sizes[t] * weight * weight


# ---------------------------------------------------------------------------
# Compilation

_INT = types.intp
_RECORDS = types.Array(numba.from_dtype(RATING), 1, "C")
_ROWS = types.Array(types.float32, 3, "C")
_TABLE = types.Array(types.float32, 2, "C")
_STEPS = types.Array(types.int32, 1, "C")
_LONGS = types.Array(types.int64, 1, "C")
_COUNTS = types.Array(types.int64, 2, "C")
_COLUMN = types.Array(types.int32, 1, "C", readonly=True)
_RATINGS = types.Array(types.float32, 1, "C", readonly=True)
_STARTS = types.Array(types.int64, 1, "C", readonly=True)
_DOUBLES = types.Array(types.float64, 1, "C")
_RANKS = types.Array(types.int32, 2, "C")
_MATRIX = types.Array(types.float64, 2, "C")
_POWERS = types.NamedTuple([_TABLE, _TABLE, _INT, types.float32], Powers)  # type: ignore[no-untyped-call]


class Kernels(NamedTuple):
    """Compiled functions for one kind of rows; all release the GIL.

    Row numbers are not checked, and rows are read as aligned vectors: they must
    be what `pack` returned.  Threads may run `run_batches` at the same time on
    records that share no users and no items.

    Attributes
    ----------
    run_batches : callable
        ``(records, first, last, steps, bounds, user_rows, item_rows,
        powers, slopes, rates, mu, regs, losses)``: train on the batches
        ``first`` to ``last - 1`` of `records`, an array of `RATING`.  Batch number
        ``n`` is ``records[bounds[n]:bounds[n + 1]]`` (int64) and step ``steps[n]``
        (int32, ascending) of the epoch, with the learning rate ``rates[steps[n]]``
        (float64); where tables have a penalty, all rates are the one that `powers`
        and `slopes` were made for.  The rows change.  ``losses[steps[n]]``
        (float64, shape (steps, 2)) is set to the sum of the squared errors
        before the step and the change of the penalty, to be multiplied by reg.
    finish_epoch : callable
        ``(rows, first, last, one, steps, powers)``: bring the rows ``first`` to
        ``last - 1`` to the end of an epoch of `steps` steps, which is step zero
        of the next.
    squared_errors : callable
        ``(records, first, last, user_rows, item_rows, mu, sums)``: for the
        chunks ``first`` to ``last - 1``, of `CHUNK` records each, set
        ``sums[chunk]`` (float64) to the sum of the squared errors.
    """

    run_batches: Callable[..., None]
    finish_epoch: Callable[..., None]
    squared_errors: Callable[..., None]


class SharedKernels(NamedTuple):
    """Compiled functions that do not depend on the kind of rows.

    Attributes
    ----------
    penalty_at_rest : callable
        ``(rows, one, weights, sums)``: set ``sums[row]`` (float64) to the
        quadratic form with the `weights` of `Costs.start`, not yet multiplied
        by reg.  The weights (1, 0, 0, 0) give the squares of the weights.
    shuffle : callable
        See `shuffle`.
    count_blocks : callable
        ``(user, item, user_group, item_group, counts)``: add up the ratings of
        every block in ``counts[stratum, user group]`` (int64); the item group
        of stratum ``s`` and user group ``g`` is ``(g + s) % groups``.  The
        columns and the groups of the rows (int32) may be read-only.
    fill_blocks : callable
        ``(user, item, rating, user_group, item_group, places, out)``: put the
        ratings of every block one after another into `out` from
        ``places[stratum, user group]`` (int64) on, which moves to its end.
    select_top : callable
        ``(scores, items, best)``: put the highest scores of each row (float32,
        descending, of equal ones the first) into the row of `best`, which comes
        filled with -infinity, and their columns into `items` (int32).
    first_unrated : callable
        ``(order, starts, rated, users, seen, items)``: put the first of `order`
        that a user has not rated into the row of `items` (int32), which comes
        filled with -1.  User ``u`` has rated ``rated[starts[u]:starts[u + 1]]``;
        `seen` is scratch, int32 for each item, and comes filled with -1.
    fill_powers, fill_costs : callable
        See `make_powers` and `make_costs`.
    """

    penalty_at_rest: Callable[..., None]
    shuffle: Callable[..., None]
    count_blocks: Callable[..., None]
    fill_blocks: Callable[..., None]
    select_top: Callable[..., None]
    first_unrated: Callable[..., None]
    fill_powers: Callable[..., None]
    fill_costs: Callable[..., None]


def compiled(function: Callable[..., None], *arguments: Any) -> Callable[..., None]:
    """Compile for the given types, or load from the cache on disk.

    Without a folder to write to Numba raises RuntimeError, on trouble with the
    files OSError, and a damaged file may raise anything when it is unpickled.
    The cache may only save time, so whatever it was, try again without; an
    error in the function itself comes up again.
    """
    signature = types.void(*arguments)
    made: Callable[..., None]
    try:
        made = numba.njit(signature, nogil=True, cache=True)(function)
    except Exception:
        made = numba.njit(signature, nogil=True)(function)
    return made


@functools.cache
def kernels_for(k: int, penalised: bool, nesterov: bool, rated: bool = False) -> Kernels:
    """Compile the kernels for `k` factors and one sort of descent."""
    kind = row_kind(k, penalised, nesterov, rated)
    run_batches = compiled(
        _make_run_batches(kind), _RECORDS, _INT, _INT, _STEPS, _LONGS, _ROWS, _ROWS,
        _POWERS, _TABLE, _DOUBLES, types.float32, _TABLE, _MATRIX,
    )  # fmt: skip
    finish_epoch = compiled(_make_finish_epoch(kind), _ROWS, _INT, _INT, _INT, _INT, _POWERS)
    squared_errors = compiled(
        _make_squared_errors(kind), _RECORDS, _INT, _INT, _ROWS, _ROWS, types.float32, _DOUBLES
    )
    return Kernels(run_batches, finish_epoch, squared_errors)


@functools.cache
def shared_kernels() -> SharedKernels:
    """Compile the kernels that do not depend on the kind of rows."""
    return SharedKernels(
        compiled(_penalty_at_rest, _ROWS, _INT, _DOUBLES, _DOUBLES),
        compiled(_shuffle, _RECORDS, _RECORDS, _INT, _DOUBLES),
        compiled(_count_blocks, _COLUMN, _COLUMN, _COLUMN, _COLUMN, _COUNTS),
        compiled(_fill_blocks, _COLUMN, _COLUMN, _RATINGS, _COLUMN, _COLUMN, _COUNTS, _RECORDS),
        compiled(_select_top, _TABLE, _RANKS, _TABLE),
        compiled(_first_unrated, _COLUMN, _STARTS, _COLUMN, _COLUMN, _STEPS, _RANKS),
        compiled(_fill_powers, _MATRIX, _MATRIX),
        compiled(_fill_costs, _MATRIX, types.float64, _DOUBLES, _MATRIX),
    )


# ---------------------------------------------------------------------------
# Tables


def _one_step(descent: Descent) -> tuple[Doubles, float]:
    """Return the map ``C`` of a row at rest, and ``d`` of ``w' = x + d s``."""
    a, d = 2.0 * descent.rate * descent.reg, 1.0 + descent.momentum * descent.nesterov
    return np.array([[1.0, 1.0], [-a, descent.momentum - a * d]]), d


def _last_power(descent: Descent, steps: int) -> int:
    """Return the power from which on a row stays where it is, or `steps`."""
    if descent.reg > 0.0:
        return steps
    if descent.momentum < _STOPPED:
        return 1
    return min(steps, 1 + int(np.log(_STOPPED) / np.log(descent.momentum)))


@np.errstate(all="ignore")  # what overflows here diverges there, and is told there
def _coefficients(powers: Doubles) -> Floats:
    return np.where(np.abs(powers) < _TINY, 0.0, powers).astype(np.float32)


def make_powers(descent: Descent, steps: int) -> Powers:
    """Make the tables that bring rows forward by up to `steps` steps.

    Raises
    ------
    ValueError
        If momentum is Nesterov's and ``2 rate reg`` is one, or all but.
    """
    rest = 1.0 - 2.0 * descent.rate * descent.reg
    if descent.nesterov and abs(rest) < 1e-3:
        raise ValueError("With Nesterov momentum, 2 x rate x reg must not be 1.")
    step, _ = _one_step(descent)
    limit = _last_power(descent, steps)
    near, far = np.empty((_NEAR + 1, 4)), np.empty((limit // _NEAR + 1, 4))
    shared_kernels().fill_powers(step, near)
    shared_kernels().fill_powers(near[_NEAR].reshape(2, 2), far)
    gain = np.float32(1.0 / rest if descent.nesterov else 1.0)
    return Powers(_coefficients(near[:_NEAR]), _coefficients(far), limit, gain)


def make_costs(descent: Descent, sizes: npt.NDArray[Any]) -> Costs:
    """Make the tables of the penalty from the size of every step's batch.

    The penalty of an epoch, as Keras weighs it, is reg times the sum of
    `penalty_at_rest` over the rows of both sides, taken with `Costs.start`
    before the epoch, and of the second column of `losses`.
    """
    step, d = _one_step(descent)
    forms = np.empty((len(sizes), 3))
    shared_kernels().fill_costs(step, d, sizes.astype(np.float64), forms)
    slopes = np.stack([2.0 * forms[:, 1], forms[:, 2]], axis=1).astype(np.float32)
    f, g, h = forms[0]
    return Costs(slopes, np.array([float(sizes[0]), f, 2.0 * g, h]))


# ---------------------------------------------------------------------------
# Rows and records


def pack(factors: Floats, biases: Floats, one: int, descent: Descent) -> Floats:
    """Lay out the tables of a side as rows that have not moved yet.

    Parameters
    ----------
    factors : ndarray of float32, shape (n, k)
    biases : ndarray of float32, shape (n,)
    one : int
        `USER_ONE` or `ITEM_ONE`.
    descent : Descent

    Returns
    -------
    ndarray of float32, shape (n, 2 or 3, width)
    """
    count, k = factors.shape
    kind = row_kind(k, descent.reg > 0.0, descent.nesterov)
    rows = _aligned((count, kind.stride // kind.width, kind.width))
    rows[:, 0, one] = 1.0
    rows[:, 0, USER_ONE + ITEM_ONE - one] = biases
    rows[:, 0, _FACTORS : _FACTORS + k] = factors
    rows[:, 1] = np.float32(-2.0 * descent.rate * descent.reg) * rows[:, 0]
    rows[:, 1, one] = 0.0  # the bits of step zero
    rows[:, 2:] = rows[:, :1]
    return rows


def pack_regs(regs: Mapping[str, float], kind: Kind) -> Floats:
    """Lay out the penalties for each rating as rows are.

    Parameters
    ----------
    regs : mapping of float
        Of user_factors, item_factors, user_biases and item_biases.
    kind : Kind

    Returns
    -------
    ndarray of float32, shape (2, width)
        Of users and of items; zero in the lane of the one.
    """
    rows = _aligned((2, kind.width))
    for row, side, one in ((0, "user", USER_ONE), (1, "item", ITEM_ONE)):
        rows[row, _FACTORS:] = regs[f"{side}_factors"]
        rows[row, USER_ONE + ITEM_ONE - one] = regs[f"{side}_biases"]
    return rows


def change_pace(rows: Floats, one: int, before: Descent, after: Descent) -> None:
    """Make rows at the end of an epoch go on with another rate and momentum.

    The velocity v of ``s = b v - a w`` stays what it is, and so do the weights.

    Parameters
    ----------
    rows : ndarray of float32, shape (n, 2 or 3, width)
        Changed in place.
    one : int
    before, after : Descent
        Alike but for rate and momentum.
    """
    old, new = 2.0 * before.rate * before.reg, 2.0 * after.rate * after.reg
    ratio = after.momentum / before.momentum if before.momentum else 0.0
    w = rows[:, 0]
    rows[:, 1] = np.float32(ratio) * (rows[:, 1] + np.float32(old) * w) - np.float32(new) * w
    rows[:, 1, one] = 0.0  # the bits of step zero
    if after.nesterov:  # x = w - b v, and b v = s + a w
        rows[:, 2] = w - (rows[:, 1] + np.float32(new) * w)
        rows[:, 2, one] = 1.0


def unpack(rows: Floats, k: int, one: int) -> tuple[Floats, Floats]:
    """Return copies of the factors and the biases of a side; see `pack`."""
    factors = rows[:, 0, _FACTORS : _FACTORS + k].copy()
    return factors, rows[:, 0, USER_ONE + ITEM_ONE - one].copy()


def _aligned(shape: tuple[int, ...]) -> Floats:
    """Return zeros that begin with a cache line."""
    size = int(np.prod(shape))
    memory = np.zeros(size + _LINE, dtype=np.float32)
    skip = -memory.ctypes.data % 64 // 4
    return memory[skip : skip + size].reshape(shape)


def shuffle(records: Records, out: Records, rng: np.random.Generator) -> None:
    """Fill `out` with `records` in random order, by an inside-out Fisher-Yates."""
    kernel, draws = shared_kernels().shuffle, np.empty(_DRAWS)
    for start in range(0, len(records), _DRAWS):
        some = draws[: len(records) - start]
        rng.random(out=some)
        kernel(records, out, start, some)

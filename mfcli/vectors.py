"""Vectors of float32 values, and other operations of the processor, inside compiled code.

Rows are read and written as whole vectors by explicit instructions. The order of every sum and each
fused multiply-add is then part of the program. Results are therefore the same bits on machines with
registers of any width, and speed does not depend on whether the compiler can prove that two rows do
not overlap.

Addresses are pointers to float32 values, and offsets count float32 values.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from llvmlite import binding, ir
from numba import types
from numba.core import cgutils
from numba.core.datamodel import models
from numba.extending import intrinsic, register_model

from mfcli.aligned import LINE


def host_processor() -> tuple[str, str]:
    """Return the name and the features, separated by commas, of the processor, as of LLVM."""
    return binding.get_host_cpu_name(), binding.get_host_cpu_features().flatten()


class _Vector(types.Type):
    """The type, inside compiled code, of a vector of `lanes` float32 values."""

    def __init__(self, lanes: int) -> None:
        self.lanes = lanes
        super().__init__(name=f"Vector({lanes})")


class _VectorModel(models.PrimitiveModel):
    """How Numba represents a vector in LLVM."""

    def __init__(self, manager: Any, vector: _Vector) -> None:
        super().__init__(manager, vector, _llvm(vector))  # type: ignore[no-untyped-call]


register_model(_Vector)(_VectorModel)

_POINTER = types.CPointer(types.float32)  # type: ignore[no-untyped-call]
_I32, _I64, _I128 = ir.IntType(32), ir.IntType(64), ir.IntType(128)
_F32 = ir.FloatType()


def _operation(define: Callable[..., Any]) -> Any:
    """Make the decorated function an operation of compiled code.

    The function takes the types of the operands. It returns the signature of the operation and a
    function that emits its instructions. Operands that are constants have literal types.
    """
    # Literal types carry values, such as a number of lanes, on which the type of a result depends.
    return intrinsic(prefer_literal=True)(define)


# ---------------------------------------------------------------------------
# Parts of the operations


def _llvm(vector: _Vector) -> ir.VectorType:
    return ir.VectorType(_F32, vector.lanes)


def _alignment(vector: _Vector) -> int:
    """Return the alignment of a vector in memory: rows begin at a multiple of a cache line."""
    return 4 * min(LINE, vector.lanes)


def _address(builder: Any, base: Any, offset: Any, kind: Any) -> Any:
    """Return the address of a value of LLVM type `kind` at an offset from a base address."""
    return builder.bitcast(builder.gep(base, [offset], source_etype=_F32), kind.as_pointer())


def _splat(builder: Any, scalar: Any, lanes: int) -> Any:
    """Broadcast an LLVM scalar over a vector."""
    # LLVM has no instruction for this, but it compiles a shuffle of lane 0 to a broadcast.
    undefined = ir.Constant(ir.VectorType(scalar.type, 1), ir.Undefined)
    single = builder.insert_element(undefined, scalar, _I32(0))
    zeros = ir.Constant(ir.VectorType(_I32, lanes), [0] * lanes)
    return builder.shuffle_vector(single, undefined, zeros)


def _result(*operands: Any) -> Any:
    """Return the type of a result: a vector if any operand is one."""
    return next((kind for kind in operands if isinstance(kind, _Vector)), types.float32)


def _broadcast(builder: Any, signature: Any, values: Any) -> list[Any]:
    """Broadcast the scalars among the operands if the result is a vector."""
    result = signature.return_type
    return [
        _splat(builder, value, result.lanes) if kind != result else value
        for kind, value in zip(signature.args, values, strict=True)
    ]


def _call(builder: Any, name: str, result: Any, values: list[Any]) -> Any:
    """Call an intrinsic function of LLVM."""
    kind = ir.FunctionType(result, [value.type for value in values])
    # A module may declare a function only once.
    function = builder.module.globals.get(name) or ir.Function(builder.module, kind, name)
    return builder.call(function, values)


# ---------------------------------------------------------------------------
# Memory


@_operation
def pointer(typing: Any, array: Any) -> Any:
    """Return the address of the first value of an array, whatever its type, as float32."""

    def emit(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        data = context.make_array(array)(context, builder, args[0]).data
        return builder.bitcast(data, _F32.as_pointer())

    return _POINTER(array), emit


@_operation
def advanced(typing: Any, base: Any, offset: Any) -> Any:
    """Return the address of the value at an offset."""

    def emit(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        return builder.gep(args[0], [args[1]], source_etype=_F32)

    return _POINTER(base, types.intp), emit


@_operation
def load(typing: Any, base: Any, offset: Any, like: Any) -> Any:
    """Read a vector as long as `like`; the offset is a multiple of its length."""

    def emit(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        address = _address(builder, args[0], args[1], _llvm(like))
        return builder.load(address, align=_alignment(like), typ=_llvm(like))

    return like(base, types.intp, like), emit


@_operation
def store(typing: Any, base: Any, offset: Any, vector: Any) -> Any:
    """Write a vector; the offset is a multiple of its length."""

    def emit(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        address = _address(builder, args[0], args[1], _llvm(vector))
        builder.store(args[2], address, align=_alignment(vector))
        return context.get_dummy_value()

    return types.void(base, types.intp, vector), emit


@_operation
def load_int(typing: Any, base: Any, offset: Any) -> Any:
    """Read an int32 that is stored among float32 values."""

    def emit(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        return builder.load(_address(builder, args[0], args[1], _I32), align=4, typ=_I32)

    return types.int32(base, types.intp), emit


@_operation
def store_int(typing: Any, base: Any, offset: Any, integer: Any) -> Any:
    """Write an int32 among float32 values."""

    def emit(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        builder.store(args[2], _address(builder, args[0], args[1], _I32), align=4)
        return context.get_dummy_value()

    return types.void(base, types.intp, types.int32), emit


@_operation
def float_of_bits(typing: Any, integer: Any) -> Any:
    """Return the float32 with the bits of an int32, to store the integer among float32 values."""

    def emit(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        return builder.bitcast(args[0], _F32)

    return types.float32(types.int32), emit


@_operation
def prefetch(typing: Any, base: Any, offset: Any) -> Any:
    """Prefetch the cache line of a value that will be written soon."""

    def emit(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        _prefetch(builder, _address(builder, args[0], args[1], ir.IntType(8)), to_write=True)
        return context.get_dummy_value()

    return types.void(base, types.intp), emit


def _prefetch(builder: Any, address: Any, *, to_write: bool) -> None:
    # 3 is the highest locality: keep the line in all levels of the cache.
    writing, keep, data = _I32(int(to_write)), _I32(3), _I32(1)
    name = f"llvm.prefetch.{address.type.intrinsic_name}"
    _call(builder, name, ir.VoidType(), [address, writing, keep, data])


@_operation
def prefetch_value(typing: Any, values: Any, at: Any) -> Any:
    """Prefetch the value of an array of any type at a position."""

    def emit(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        data = context.make_array(values)(context, builder, args[0]).data
        kind = context.get_data_type(values.dtype)
        address = builder.gep(data, [args[1]], source_etype=kind)
        _prefetch(builder, builder.bitcast(address, ir.IntType(8).as_pointer()), to_write=False)
        return context.get_dummy_value()

    return types.void(values, at), emit


@_operation
def load_word(typing: Any, data: Any, at: Any) -> Any:
    """Return the eight bytes of an array of bytes at a position, which need not be aligned."""

    def emit(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        base = context.make_array(data)(context, builder, args[0]).data
        place = builder.gep(base, [args[1]], source_etype=ir.IntType(8))
        return builder.load(builder.bitcast(place, _I64.as_pointer()), align=1, typ=_I64)

    return types.uint64(data, at), emit


@_operation
def store_word(typing: Any, data: Any, at: Any, word: Any) -> Any:
    """Write a uint64 to eight bytes of an array of bytes; the position need not be aligned."""

    def emit(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        base = context.make_array(data)(context, builder, args[0]).data
        place = builder.gep(base, [args[1]], source_etype=ir.IntType(8))
        builder.store(args[2], builder.bitcast(place, _I64.as_pointer()), align=1)
        return context.get_dummy_value()

    return types.void(data, types.intp, types.uint64), emit


@_operation
def trailing_zeros(typing: Any, word: Any) -> Any:
    """Return how many of the lowest bits of a uint64 are 0; 64 if all are."""

    def emit(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        return builder.cttz(args[0], ir.Constant(ir.IntType(1), 0))

    return types.uint64(word), emit


# ---------------------------------------------------------------------------
# Integers that threads share


@_operation
def load_shared(typing: Any, array: Any, at: Any) -> Any:
    """Read an int64 of an array, and see all that was written before `store_shared` wrote it."""

    def emit(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        address = _integer(context, builder, array, args)
        return builder.load_atomic(address, "acquire", 8, typ=_I64)

    return types.int64(array, types.intp), emit


@_operation
def store_shared(typing: Any, array: Any, at: Any, integer: Any) -> Any:
    """Write an int64 of an array after everything that this thread has written before."""

    def emit(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        builder.store_atomic(args[2], _integer(context, builder, array, args), "release", 8)
        return context.get_dummy_value()

    return types.void(array, types.intp, types.int64), emit


@_operation
def exchange_shared(typing: Any, array: Any, at: Any, integer: Any) -> Any:
    """Read an int64 of an array and write another, so that no thread can do so in between."""

    def emit(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        address = _integer(context, builder, array, args)
        return builder.atomic_rmw("xchg", address, args[2], "acq_rel")

    return types.int64(array, types.intp, types.int64), emit


def _integer(context: Any, builder: Any, array: Any, args: Any) -> Any:
    """Return the address of the int64 in an array, the first of the arguments, at the second."""
    data = context.make_array(array)(context, builder, args[0]).data
    return builder.gep(data, [args[1]], source_etype=_I64)


# ---------------------------------------------------------------------------
# Arithmetic


@_operation
def multiply_add_128(typing: Any, x: Any, y: Any, z: Any) -> Any:
    """Return ``x * y + z`` modulo 2^128; integers are pairs of uint64, the high half first."""

    def emit(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        x, y, z = (_join(builder, pair) for pair in args)
        result = builder.add(builder.mul(x, y), z)
        halves = [builder.lshr(result, _I128(64)), result]
        words = [builder.trunc(half, _I64) for half in halves]
        return context.make_tuple(builder, signature.return_type, words)

    pair = types.UniTuple(types.uint64, 2)  # type: ignore[no-untyped-call]
    return pair(pair, pair, pair), emit


def _join(builder: Any, pair: Any) -> Any:
    """Return the integer of 128 bits that a pair of LLVM integers of 64 bits stands for."""
    high, low = (builder.zext(builder.extract_value(pair, half), _I128) for half in (0, 1))
    return builder.or_(builder.shl(high, _I128(64)), low)


@_operation
def fma(typing: Any, x: Any, y: Any, z: Any) -> Any:
    """Return ``x * y + z``, rounded once; scalars are broadcast."""
    result = _result(x, y, z)
    shape = f"v{result.lanes}f32" if isinstance(result, _Vector) else "f32"

    def emit(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        values = _broadcast(builder, signature, args)
        return _call(builder, f"llvm.fma.{shape}", values[0].type, values)

    return result(x, y, z), emit


@_operation
def mul(typing: Any, x: Any, y: Any) -> Any:
    """Return ``x * y``; scalars are broadcast."""

    def emit(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        return builder.fmul(*_broadcast(builder, signature, args))

    return _result(x, y)(x, y), emit


@_operation
def add(typing: Any, x: Any, y: Any) -> Any:
    """Return ``x + y``; scalars are broadcast."""

    def emit(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        return builder.fadd(*_broadcast(builder, signature, args))

    return _result(x, y)(x, y), emit


@_operation
def sqrt(typing: Any, vector: Any) -> Any:
    """Return the square root of each lane."""

    def emit(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        return _call(builder, f"llvm.sqrt.v{vector.lanes}f32", args[0].type, list(args))

    return vector(vector), emit


@_operation
def zeros(typing: Any, lanes: Any) -> Any:
    """Return a vector of zeros; `lanes` must be a constant."""
    vector = _Vector(lanes.literal_value)

    def emit(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        return ir.Constant(_llvm(vector), [0.0] * vector.lanes)

    return vector(lanes), emit


@_operation
def choose(typing: Any, condition: Any, x: Any, y: Any) -> Any:
    """Return the vector `x` if a scalar condition holds, otherwise `y`."""

    def emit(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        return builder.select(*args)

    return x(types.boolean, x, y), emit


@_operation
def replace(typing: Any, vector: Any, lane: Any, scalar: Any) -> Any:
    """Set one lane of a vector to a scalar; without such a lane, change nothing."""
    lanes = vector.lanes
    numbers = ir.Constant(ir.VectorType(_I32, lanes), list(range(lanes)))

    def emit(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        # Compare with the numbers of the lanes: no branch, and a lane outside matches nothing.
        here = builder.icmp_signed("==", numbers, _splat(builder, args[1], lanes))
        return builder.select(here, _splat(builder, args[2], lanes), args[0])

    return vector(vector, types.int32, types.float32), emit


@_operation
def total(typing: Any, vector: Any) -> Any:
    """Return the sum of the lanes: add the upper half to the lower until one lane is left."""

    def part(builder: Any, value: Any, start: int, stop: int) -> Any:
        pick = ir.Constant(ir.VectorType(_I32, stop - start), list(range(start, stop)))
        return builder.shuffle_vector(value, ir.Constant(value.type, ir.Undefined), pick)

    def emit(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        # The order of the additions is spelled out; LLVM may choose another one for a reduction.
        value, lanes = args[0], vector.lanes
        while lanes > 1:
            low, high = part(builder, value, 0, lanes // 2), part(builder, value, lanes // 2, lanes)
            value, lanes = builder.fadd(low, high), lanes // 2
        return builder.extract_element(value, _I32(0))

    return types.float32(vector), emit


@_operation
def any_at_least(typing: Any, base: Any, offset: Any, like: Any, bound: Any) -> Any:
    """Return whether any value of the vector at an offset is at least a scalar; NaN is not."""

    def emit(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        vector = _read(builder, args[0], args[1], _llvm(like), _alignment(like))
        high = builder.fcmp_ordered(">=", vector, _splat(builder, args[3], like.lanes))
        mask = builder.bitcast(high, ir.IntType(like.lanes))
        return builder.icmp_unsigned("!=", mask, mask.type(0))

    return types.boolean(base, types.intp, like, types.float32), emit


# ---------------------------------------------------------------------------
# Products of matrices


def _product_operation(change: str) -> Any:
    """Make an operation on a tile of `height` rows, each a vector as long as `like`.

    Row r of the tile is at ``at + r out_row``. With n from 0 to ``count - 1``, the operation forms,
    in registers and from zero, the sum of ``left[left_at + r left_row + n left_step]``, a scalar,
    times the vector at ``right_at + n right_step``, in the order of n. It changes the tile by the
    sum with an instruction, or replaces the tile if `change` is empty. `height` must be a constant.
    """

    def products(
        typing: Any, out: Any, at: Any, out_row: Any, left: Any, left_at: Any, left_row: Any,
        left_step: Any, right: Any, right_at: Any, right_step: Any, count: Any, height: Any,
        like: Any,
    ) -> Any:  # fmt: skip
        return _products(height, like), _emit_products(height.literal_value, like, change)

    return _operation(products)


add_products = _product_operation("fadd")
"""Add a product of two matrices to a tile, see `_product_operation`."""

subtract_products = _product_operation("fsub")
"""Subtract a product of two matrices from a tile."""

set_products = _product_operation("")
"""Set a tile to a product of two matrices."""


def _products(height: Any, like: Any) -> Any:
    i, p = types.intp, _POINTER
    return types.void(p, i, i, p, i, i, i, p, i, i, i, height, like)


def _emit_products(height: int, like: Any, change: str) -> Callable[..., Any]:
    """Emit a product that changes a tile by an instruction, or replaces it if there is none."""
    kind, name = _llvm(like), f"llvm.fma.v{like.lanes}f32"

    def emit(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        out, at, out_row, left, left_at, left_row, left_step, *rest = args
        right, right_at, right_step, count = rest[:4]
        rows = [builder.mul(out_row.type(r), left_row) for r in range(height)]
        # LLVM turns these slots into registers.
        sums = [_slot(builder, kind(None)) for _ in range(height)]
        with cgutils.for_range(builder, count) as loop:
            place = builder.add(right_at, builder.mul(loop.index, right_step))
            vector = _read(builder, right, place, kind, _alignment(like))
            first = builder.add(left_at, builder.mul(loop.index, left_step))
            for row, slot in zip(rows, sums, strict=True):
                scalar = _read(builder, left, builder.add(first, row), _F32, 4)
                share = _splat(builder, scalar, like.lanes)
                builder.store(_call(builder, name, kind, [share, vector, builder.load(slot)]), slot)
        for r, slot in enumerate(sums):
            place = builder.add(at, builder.mul(out_row, out_row.type(r)))
            address = _address(builder, out, place, kind)
            value = builder.load(slot)
            if change:
                before = builder.load(address, align=_alignment(like), typ=kind)
                value = getattr(builder, change)(before, value)
            builder.store(value, address, align=_alignment(like))
        return context.get_dummy_value()

    return emit


def _slot(builder: Any, value: Any) -> Any:
    """Return the address of a local variable with an initial value."""
    return cgutils.alloca_once_value(builder, value)  # type: ignore[no-untyped-call]


def _read(builder: Any, base: Any, offset: Any, kind: Any, align: int) -> Any:
    return builder.load(_address(builder, base, offset, kind), align=align, typ=kind)

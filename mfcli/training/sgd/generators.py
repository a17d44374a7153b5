"""NumPy's default generator of random numbers inside compiled code.

`seeded` gives the numbers of ``np.random.default_rng([*numbers, number])`` in less than a
microsecond, where NumPy takes 20. It hashes the seed as `SeedSequence` does (after M. E. O'Neill's
``seed_seq_fe``) and draws with PCG64 (M. E. O'Neill, "PCG: A family of simple fast space-efficient
statistically good algorithms for random number generation", 2014; the variant XSL RR 128/64).

A generator is its state and its increment: two integers of 128 bits, each a pair of uint64.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from mfcli.storage import inlined
from mfcli.vectors import multiply_add_128

POOL = 4
"""Number of words that a seed is hashed to."""

_BITS, _LOW = np.uint64(32), np.uint64(0xFFFFFFFF)  # of the words of a seed
_HASH_START, _HASH_FACTOR = np.uint64(0x43B0D7E5), np.uint64(0x931E8875)
_OUT_START, _OUT_FACTOR = np.uint64(0x8B51F9DD), np.uint64(0x58F38DED)
_MIX_LEFT, _MIX_RIGHT = np.uint64(0xCA01F9DD), np.uint64(0x4973F715)
_MULTIPLIER = np.uint64(0x2360ED051FC65DA4), np.uint64(0x4385DF649FCCF645)  # of PCG64
_ZERO, _ONE = np.uint64(0), np.uint64(1)
_HALF, _WORD = np.uint64(16), np.uint64(64)
_TOP, _TURN, _SPARE = np.uint64(63), np.uint64(58), np.uint64(11)
_UNIT = 2.0**-53  # the distance of two random numbers


def words_of(*numbers: int) -> NDArray[np.uint64]:
    """Return the words of 32 bits, the lowest first, of numbers that are at least 0."""
    words = []
    for number in numbers:
        count = max(1, -(-number.bit_length() // int(_BITS)))
        words += [number >> int(_BITS) * n & int(_LOW) for n in range(count)]
    return np.array(words, np.uint64)


@inlined
def seeded(words: Any, number: Any, pool: Any) -> Any:
    """Return the generator for a seed: `words` (uint64) and a last number below 2^32.

    `pool` is memory for `POOL` uint64.
    """
    _fill(pool, words, np.uint64(number))
    state_high, factor = _output(pool, 0, _OUT_START)
    state_low, factor = _output(pool, 2, factor)
    high, factor = _output(pool, 0, factor)
    low, factor = _output(pool, 2, factor)
    # The increment is odd. From state 0, one step gives the increment, to which the state is added.
    increment = (high << _ONE) | (low >> _TOP), (low << _ONE) | _ONE
    start = multiply_add_128((_ZERO, _ONE), (state_high, state_low), increment)
    return multiply_add_128(start, _MULTIPLIER, increment), increment


@inlined
def draw(generator: Any) -> Any:
    """Return a random number in [0, 1), and the generator of the next one."""
    state, increment = generator
    high, low = multiply_add_128(state, _MULTIPLIER, increment)
    x, turn = high ^ low, high >> _TURN
    x = (x >> turn) | (x << ((_WORD - turn) & _TOP))
    return np.float64(x >> _SPARE) * _UNIT, ((high, low), increment)


@inlined
def _fill(pool: Any, words: Any, number: Any) -> None:
    """Hash a seed to the words of the pool."""
    last, factor = len(words), _HASH_START
    for i in range(POOL):
        word = words[i] if i < last else (number if i == last else _ZERO)
        pool[i], factor = _hash(word, factor, _HASH_FACTOR)
    for source in range(POOL):
        for i in range(POOL):
            if i != source:
                word, factor = _hash(pool[source], factor, _HASH_FACTOR)
                pool[i] = _mix(pool[i], word)
    for source in range(POOL, last + 1):
        for i in range(POOL):
            word = words[source] if source < last else number
            word, factor = _hash(word, factor, _HASH_FACTOR)
            pool[i] = _mix(pool[i], word)


@inlined
def _output(pool: Any, at: Any, factor: Any) -> Any:
    """Return 64 bits made of two words of the pool, and the next factor."""
    low, factor = _hash(pool[at], factor, _OUT_FACTOR)
    high, factor = _hash(pool[at + 1], factor, _OUT_FACTOR)
    return (high << _BITS) | low, factor


@inlined
def _hash(word: Any, factor: Any, change: Any) -> Any:
    """Return the hash of a word, and the next factor."""
    changed = (factor * change) & _LOW
    word = ((word ^ factor) * changed) & _LOW
    return word ^ (word >> _HALF), changed


@inlined
def _mix(left: Any, right: Any) -> Any:
    word = (_MIX_LEFT * left - _MIX_RIGHT * right) & _LOW
    return word ^ (word >> _HALF)

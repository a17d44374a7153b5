"""Standard normal variates that are a function of a seed and of where they are used.

Random bits come from the counter-based generator Philox4x32-10 (J. K. Salmon et al., "Parallel
random numbers: as easy as 1, 2, 3", SC 2011): the counter names the variate, so that any division
of the rows among threads or machines draws the same. Pairs of uniform variates become pairs of
normal variates by the transformation of G. E. P. Box and M. E. Muller (1958)::

    r = sqrt(-2 log u),    x = r cos(2 pi v),    y = r sin(2 pi v)

Logarithm, sine and cosine are polynomials in float32 with fixed operations, because those of a
system's library may round differently on another system.
"""

from __future__ import annotations

import math
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from mfcli.storage import inlined

PER_COUNTER = 4
"""Number of variates that one counter gives."""


class Turn(NamedTuple):
    """What variates are drawn for: all draws of one kind in one epoch.

    Attributes
    ----------
    key : uint32 array, shape (2,)
        From the seed.
    number : int
        The upper half of the counters.
    """

    key: NDArray[np.uint32]
    number: int


_ROUNDS = 10
_MULTIPLIERS = np.uint64(0xD2511F53), np.uint64(0xCD9E8D57)
_WEYL = np.uint32(0x9E3779B9), np.uint32(0xBB67AE85)
_LOW = np.uint64(0xFFFFFFFF)
_HALF = np.uint64(32)

_MANTISSA, _ONE, _BIAS, _FRACTION = (
    np.int32(0x7FFFFF),
    np.int32(0x3F800000),
    np.int32(127),
    np.int32(23),
)
_ROOT2 = np.float32(math.sqrt(2))
_LN2_HIGH, _LN2_LOW = np.float32(0.693359375), np.float32(-2.12194440e-4)


@inlined
def normals(first: Any, count: Any, high: Any, key: Any, tweak: Any, out: Any) -> None:
    """Set `out` to the variates of the counters `first` to ``first + count - 1``.

    Counter number n gives ``out[n - first::count]``. `high` are the upper 64 bits of the counters,
    `key` and `tweak` the two halves of the key.
    """
    for n in range(count):
        a, b, c, d = _philox(first + n, high, key, tweak)
        out[n], out[count + n] = _pair(a, b)
        out[2 * count + n], out[3 * count + n] = _pair(c, d)


@inlined
def normal(counter: Any, high: Any, key: Any) -> Any:
    """Return the first variate of a counter."""
    a, b, _, _ = _philox(counter, high, key[0], key[1])
    return _pair(a, b)[0]


@inlined
def uniform(counter: Any, high: Any, key: Any) -> Any:
    """Return a float64 from the uniform distribution over (0, 1)."""
    a, b, _, _ = _philox(counter, high, key[0], key[1])
    # 53 bits, and half a unit more, so that it is not 0
    high_bits, low_bits = np.float64(a >> np.uint32(5)), np.float64(b >> np.uint32(6))
    return (high_bits * 2.0**26 + low_bits + 0.5) * 2.0**-53


@inlined
def _philox(low: Any, high: Any, key: Any, tweak: Any) -> Any:
    """Return four random uint32 for a counter of 128 bits and a key of 64."""
    low, high = np.uint64(low), np.uint64(high)
    a, b = np.uint32(low & _LOW), np.uint32(low >> _HALF)
    c, d = np.uint32(high & _LOW), np.uint32(high >> _HALF)
    k, t = np.uint32(key), np.uint32(tweak)
    for _ in range(_ROUNDS):
        p, q = _MULTIPLIERS[0] * np.uint64(a), _MULTIPLIERS[1] * np.uint64(c)
        a, b, c, d = (
            np.uint32(np.uint32(q >> _HALF) ^ b ^ k), np.uint32(q & _LOW),
            np.uint32(np.uint32(p >> _HALF) ^ d ^ t), np.uint32(p & _LOW),
        )  # fmt: skip
        k, t = np.uint32(k + _WEYL[0]), np.uint32(t + _WEYL[1])
    return a, b, c, d


@inlined
def _pair(a: Any, b: Any) -> Any:
    """Return two normal variates for two random uint32."""
    # (a + 1/2) / 2^32 is in (0, 1], and rounded only where it is not small.
    u = (np.float32(a) + np.float32(0.5)) * np.float32(2.0**-32)
    radius = np.float32(math.sqrt(np.float32(-2.0) * _log(u)))
    cosine, sine = _turn(b)
    return radius * cosine, radius * sine


@inlined
def _log(x: Any) -> Any:
    """Return the natural logarithm of a float32 in (0, 1]."""
    # x = 2^e m with m in [sqrt(1/2), sqrt(2)): log x = e log 2 + log(1 + f), f = m - 1
    bits = np.float32(x).view(np.int32)
    e = np.float32((bits >> _FRACTION) - _BIAS)
    m = np.int32((bits & _MANTISSA) | _ONE).view(np.float32)
    big = m > _ROOT2
    m = m * np.float32(0.5) if big else m
    e = e + np.float32(1.0) if big else e
    f = m - np.float32(1.0)
    z = f * f
    y = np.float32(7.0376836292e-2)
    y = y * f + np.float32(-1.1514610310e-1)
    y = y * f + np.float32(1.1676998740e-1)
    y = y * f + np.float32(-1.2420140846e-1)
    y = y * f + np.float32(1.4249322787e-1)
    y = y * f + np.float32(-1.6668057665e-1)
    y = y * f + np.float32(2.0000714765e-1)
    y = y * f + np.float32(-2.4999993993e-1)
    y = y * f + np.float32(3.3333331174e-1)
    y = y * f * z + e * _LN2_LOW - np.float32(0.5) * z
    return f + y + e * _LN2_HIGH


@inlined
def _turn(b: Any) -> Any:
    """Return the cosine and the sine of ``2 pi b / 2^32`` for a uint32."""
    # b = q 2^30 + r with r in [-2^29, 2^29): a quadrant, and an angle of at most pi/4.
    q = np.uint32(b + np.uint32(1 << 29)) >> np.uint32(30)
    r = np.uint32(b - np.uint32(q << np.uint32(30))).view(np.int32)
    x = np.float32(r) * np.float32(2 * math.pi / 2**32)
    z = x * x
    s = np.float32(-1.9515295891e-4)
    s = s * z + np.float32(8.3321608736e-3)
    s = s * z + np.float32(-1.6666654611e-1)
    s = s * z * x + x
    c = np.float32(2.443315711809948e-5)
    c = c * z + np.float32(-1.388731625493765e-3)
    c = c * z + np.float32(4.166664568298827e-2)
    c = c * z * z - np.float32(0.5) * z + np.float32(1.0)
    odd, cosine_sign, sine_sign = (
        q & np.uint32(1),
        (q + np.uint32(1)) & np.uint32(2),
        q & np.uint32(2),
    )
    cosine = s if odd else c
    sine = c if odd else s
    return (-cosine if cosine_sign else cosine), (-sine if sine_sign else sine)

"""Random damage to bytes."""

from __future__ import annotations

import random


def damaged(data: bytes, rng: random.Random) -> bytes:
    """Return bytes with some that are changed, removed, repeated or replaced."""
    made, size = bytearray(data), len(data)
    start = rng.randrange(size)
    end = min(size, start + rng.choice([1, 1, 30, size]))
    kind = rng.choice(["bit", "bytes", "digit", "cut", "remove", "repeat", "zeros", "empty"])
    if kind == "bit":
        made[start] ^= 1 << rng.randrange(8)
    elif kind == "bytes":
        made[start:end] = rng.randbytes(end - start)
    elif kind == "digit":
        digits = [n for n, byte in enumerate(data) if chr(byte) in "0123456789"]
        made[rng.choice(digits or [start])] = rng.choice(b"0123456789")
    elif kind == "cut":
        del made[start:]
    elif kind == "remove":
        del made[start:end]
    elif kind == "repeat":
        made[start:start] = made[start:end]
    elif kind == "zeros":
        made[start:end] = bytes(end - start)
    else:
        made.clear()
    return bytes(made)

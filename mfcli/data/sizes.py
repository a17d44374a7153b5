"""Sizes of ratings that decide how they are processed."""

MANY = 1 << 21
"""Number of ratings above which compiled code is worth the time to load Numba."""

LARGE = 1 << 26
"""Bytes of a file from which on compiled code is worth the time to load Numba."""

MOST_VALUES = 1000
"""A scale with more distinct values than this has no steps."""

_SORTED = 108  # bytes per rating while a bucket of at most `MANY` ratings is merged and divided
_COUNTED = 64  # the same for more ratings, which are searched for duplicates in parts ...
_PART = 1 << 27  # ... that take this many bytes


def ratings_within(memory: float) -> int:
    """Return how many ratings of a bucket can be merged and divided within some bytes."""
    return int(max((memory - _PART) / _COUNTED, memory / _SORTED, 0))

"""Sizes of ratings that decide how they are processed."""

MANY = 1 << 21
"""Number of ratings above which compiled code is worth the time to load Numba."""

LARGE = 1 << 26
"""Bytes of a file from which on compiled code is worth the time to load Numba."""

MOST_VALUES = 1000
"""A scale with more distinct values than this has no steps."""

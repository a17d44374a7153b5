"""Sizes of ratings that decide how they are processed."""

MANY = 1 << 21
"""Number of ratings above which compiled code is worth the time to load Numba."""

LARGE = 1 << 26
"""Bytes of a file from which on compiled code is worth the time to load Numba."""

MOST_VALUES = 1000
"""A scale with more distinct values than this has no steps."""

BUCKET_BYTES = 64
"""Memory per rating of a bucket while duplicates are merged and parts are chosen."""

BUCKET_MEMORY = 1 << 27
"""Memory for the same work, whatever the number of ratings."""

"""From which size on compiled code is worth the time to load Numba."""

MANY = 1 << 21  # ratings
LARGE = 1 << 26  # bytes of a file

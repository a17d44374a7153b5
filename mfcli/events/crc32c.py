"""The checksum CRC-32C (Castagnoli), as RFC 3720 defines it in appendix B.4."""

from __future__ import annotations

_POLYNOMIAL = 0x82F63B78  # with its bits reversed
_ONES = 0xFFFFFFFF


def _entry(byte: int) -> int:
    """Return the remainder of a byte."""
    for _ in range(8):
        byte = byte >> 1 ^ (_POLYNOMIAL if byte & 1 else 0)
    return byte


_TABLE = tuple(map(_entry, range(256)))


def crc32c(data: bytes) -> int:
    """Return the checksum of data, a whole number of 32 bits.

    Python has no such function: `zlib.crc32` uses another polynomial.
    """
    crc = _ONES
    for byte in data:
        crc = _TABLE[(crc ^ byte) & 0xFF] ^ crc >> 8
    return crc ^ _ONES

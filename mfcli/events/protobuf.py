"""Messages in the wire format of Protocol Buffers (https://protobuf.dev/programming-guides/encoding).

A message is the concatenation of its fields, in any order.
"""

from __future__ import annotations

import struct

_VARINT, _FIXED64, _BYTES, _FIXED32 = 0, 1, 2, 5  # wire types


def integer(number: int, value: int) -> bytes:
    """Return a field of type bool, int32, int64 or of an enumeration; not below 0."""
    return _key(number, _VARINT) + _varint(value)


def double(number: int, value: float) -> bytes:
    """Return a field of type double."""
    return _key(number, _FIXED64) + struct.pack("<d", value)


def single(number: int, value: float) -> bytes:
    """Return a field of type float."""
    return _key(number, _FIXED32) + struct.pack("<f", value)


def message(number: int, *fields: bytes) -> bytes:
    """Return a field that is a message, or bytes."""
    content = b"".join(fields)
    return _key(number, _BYTES) + _varint(len(content)) + content


def text(number: int, value: str) -> bytes:
    """Return a field of type string, which is UTF-8."""
    return message(number, value.encode("utf-8", "replace"))


def _key(number: int, wire_type: int) -> bytes:
    return _varint(number << 3 | wire_type)


def _varint(value: int) -> bytes:
    """Return a whole number in groups of seven bits, the lowest first."""
    groups = bytearray()
    while value > 0x7F:
        groups.append(value & 0x7F | 0x80)
        value >>= 7
    groups.append(value)
    return bytes(groups)

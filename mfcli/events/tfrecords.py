"""Records of TFRecord files.

The format is described at https://www.tensorflow.org/tutorials/load_data/tfrecord.
"""

from __future__ import annotations

import struct

from mfcli.events.crc32c import crc32c

_MASK = 0xA282EAD8
_ONES = 0xFFFFFFFF


def record(data: bytes) -> bytes:
    """Return a record: the length of the data, its checksum, the data, and their checksum."""
    length = struct.pack("<Q", len(data))
    return length + _checksum(length) + data + _checksum(data)


def _checksum(data: bytes) -> bytes:
    # Masked, because checksums of data that contain checksums are weak.
    crc = crc32c(data)
    return struct.pack("<I", ((crc >> 15 | crc << 17) + _MASK) & _ONES)

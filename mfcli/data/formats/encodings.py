"""Encodings of texts other than UTF-8, and streams that convert them to UTF-8."""

from __future__ import annotations

import codecs
import io
from typing import Any, BinaryIO

from mfcli.config import checked
from mfcli.errors import DataError, Param, Text
from mfcli.storage import marked_encoding

UTF8 = "utf-8"

_BLOCK = 1 << 18  # bytes that are converted at once
_ZEROS = 0.2  # smallest fraction of zero bytes in UTF-16: digits and separators have one each
_OTHER_ZEROS = 0.1  # largest number of zero bytes in the other places, relative to those


def known_encoding(name: str) -> str:
    """Return the standard name of an encoding; all names of UTF-8 become `UTF8`.

    Raises
    ------
    ConfigError
        If Python does not know it, or it is not an encoding of text.
    """
    standard = codecs.lookup(checked("encoding", name)).name
    return UTF8 if standard == "utf-8-sig" else standard


def find_encoding(head: bytes, chosen: str) -> str:
    """Return the encoding of a text: by its byte order mark, as UTF-16 without one, or as chosen.

    Parameters
    ----------
    head : bytes
        The first bytes of the text.
    chosen : str
        As `known_encoding` returns it.
    """
    marked = marked_encoding(head)
    if marked is not None:
        return UTF8 if marked == "utf-8-sig" else marked
    if chosen.startswith(("utf-16", "utf-32")):
        return chosen
    return _utf16_without_mark(head) or chosen


def _utf16_without_mark(head: bytes) -> str | None:
    """Return the variant of UTF-16 by its zero bytes, which are in even or in odd places.

    Only few characters, such as U+4E00, have a zero byte in the other place.
    """
    even, odd = head[::2].count(0), head[1::2].count(0)
    if max(even, odd) < _ZEROS * len(head) or min(even, odd) > _OTHER_ZEROS * max(even, odd):
        return None
    return "utf-16-be" if even > odd else "utf-16-le"


def is_utf8(head: bytes) -> bool:
    """Return whether the first bytes of a text are UTF-8 and not only ASCII."""
    try:
        # The last character may be cut off.
        return not codecs.getincrementaldecoder(UTF8)().decode(head).isascii()
    except UnicodeDecodeError:
        return False


def guess_remedy(content: bytes) -> Text:
    """Return a remedy for bytes that are not UTF-8."""
    # Bytes from 0x80 to 0x9F are letters in Windows-1252, but control characters in Latin-1.
    windows = any(0x80 <= byte <= 0x9F for byte in content)
    name, shown = ("cp1252", "Windows-1252") if windows else ("latin-1", "Latin-1")
    return [f"if it is {shown} text, read it with ", Param("encoding", name)]


def as_utf8(stream: BinaryIO, encoding: str, place: object) -> BinaryIO:
    """Return a text as a stream of UTF-8.

    Parameters
    ----------
    stream : binary file
    encoding : str
    place : object
        The file, for messages. Reading raises a `DataError` for bytes that the encoding lacks.
    """
    return io.BufferedReader(_Converted(stream, encoding, place), _BLOCK)


class _Converted(io.RawIOBase):
    """A text in UTF-8, converted while it is read."""

    def __init__(self, stream: BinaryIO, encoding: str, place: object) -> None:
        self._stream, self._encoding, self._place = stream, encoding, place
        self._decoder = codecs.getincrementaldecoder(encoding)()
        self._pending = b""
        self._lines, self._ended = 1, False

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int:
        while not self._pending and not self._ended:
            self._convert()
        # The caller may ask for less than a block.
        data, self._pending = self._pending[: len(buffer)], self._pending[len(buffer) :]
        buffer[: len(data)] = data
        return len(data)

    def _convert(self) -> None:
        block = self._stream.read(_BLOCK)
        self._ended = not block
        try:
            self._pending = self._decoder.decode(block, self._ended).encode()
        except UnicodeError as error:
            raise self._invalid(error) from error
        self._lines += self._pending.count(b"\n")

    def _invalid(self, error: UnicodeError) -> DataError:
        line, shown = self._lines, ""
        if isinstance(error, UnicodeDecodeError):
            before = error.object[: error.start].decode(self._encoding, errors="replace")
            line += before.count("\n")  # of the block; `_lines` counts those before it
            shown = f" (byte 0x{error.object[error.start]:02X}: {error.reason})"
        return DataError(
            f"is not {self._encoding} text{shown}",
            place=f"{self._place}:{line}",
            remedy=["choose another ", Param("encoding")],
        )

"""What messages call the local copies of what is in object stores."""

from __future__ import annotations

from pathlib import Path

from mfcli.storage.addresses import without_options

_shown: dict[str, str] = {}  # for the process: messages may be printed after a copy is gone


def show_as(folder: Path, address: str) -> None:
    """Let messages show an address in place of a folder."""
    _shown[str(folder)] = without_options(address)


def with_addresses(text: str) -> str:
    """Return a text in which the paths of local copies are replaced by addresses."""
    for folder, address in _shown.items():
        text = text.replace(folder, address)
    return text

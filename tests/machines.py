"""Copies of the folders in which Linux reports its memory and processors; limits of memory."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from mfcli.storage import memory
from mfcli.storage.process_resources import current_resources


def machine(root: Path, files: dict[str, str]) -> Path:
    """Write files, given by path relative to `root`, and return `root`."""
    for name, text in files.items():
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    return root


def limit_room(monkeypatch: pytest.MonkeyPatch, room: int) -> None:
    """Limit the ratings in memory also in commands, which choose their resources themselves."""
    monkeypatch.setattr(
        memory, "current_resources", lambda: replace(current_resources(), room=room)
    )

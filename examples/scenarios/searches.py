"""Damage to the storages of searches."""

from __future__ import annotations

import json
from typing import Any

from scenarios.damage import damaged
from scenarios.workplaces import Workplace

_TRIALS = 10


class Searches(Workplace):
    """A damaged storage is refused, or its intact first trials lead to the same result."""

    users, items, ratings = 40, 30, 400
    stages = ("split data.csv --valid 0.1",)

    def __init__(self, *args: Any) -> None:
        super().__init__(*args)
        self._stored = b""
        self._expected: list[Any] = []  # the best trial and the settings file

    def turn(self) -> None:
        storage = self.base / "search.jsonl"
        if not self._stored:
            status, *self._expected = self._tune()
            self._stored = storage.read_bytes()
        data = damaged(self._stored, self.rng)
        storage.write_bytes(data)
        status, *found = self._tune()
        self.counts["damaged"] += 1
        self.counts["refused"] += status
        if status == 1 and storage.read_bytes() != data:
            self.lose("a refused storage was changed")
        if status == 0 and found != self._expected:
            self.lose(f"another result: {found} instead of {self._expected}")

    def _tune(self) -> tuple[int, Any, bytes]:
        """Return the status, the best trial and the settings file of a search."""
        words = "tune --space space.toml --storage search.jsonl --force --json --trials"
        out = self.base / "mfcli.toml"
        out.unlink(missing_ok=True)
        status, text = self.finish(self.start(*words.split(), _TRIALS, folder=self.base))
        return status, text and json.loads(text), out.read_bytes() if status == 0 else b""

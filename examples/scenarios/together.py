"""Two commands at once in one folder."""

from __future__ import annotations

import time
from pathlib import Path
from typing import Any

from scenarios.results import results, temporaries
from scenarios.workplaces import Workplace

_TUNE = "tune --trials 3 --space space.toml --storage search.jsonl --force"
PAIRS = [
    ("split data.csv --valid 0.1 --seed 1", "split data.csv --valid 0.1 --seed 2"),
    ("split data.csv --valid 0.1 --seed 1", "train --epochs 6 --seed 1"),
    ("train --epochs 6 --seed 1", "train --epochs 6 --seed 2"),
    ("train --epochs 6 --seed 1", "evaluate"),
    ("split data.csv --valid 0.1 --seed 1", "evaluate"),
    (_TUNE, _TUNE),
    ("evaluate", "evaluate --ranking"),
    ("recommend --all --out top.csv", "train --epochs 6 --seed 1"),
    ("plot history.json", "train --epochs 6 --seed 1"),
    ("split data.csv --valid 0.1 --seed 1", "recommend --all --out top.csv"),
]


class Together(Workplace):
    """Two commands at once must leave what they leave one after the other, in one of both orders.

    Either may also refuse to run beside the other, with one line.
    """

    def __init__(self, *args: Any) -> None:
        super().__init__(*args)
        self._known: dict[tuple[str, str], dict[str, list[Any]]] = {}
        self._seconds: dict[str, float] = {}

    def turn(self) -> None:
        pair = PAIRS[self.counts["turns"] % len(PAIRS)]
        known = self._known.get(pair) or self._one_after_the_other(pair)
        folder = self.fresh()
        first, second = self.rng.sample(pair, 2)
        one = self.start(*first.split(), folder=folder)
        time.sleep(self.rng.uniform(0, self._seconds[first]))
        other = self.start(*second.split(), folder=folder)
        self.counts["refused"] += self.finish(one)[0] + self.finish(other)[0]
        self.counts["pairs"] += 1
        if left := temporaries(folder):
            self.lose(f"{first} beside {second} left {left}")
        for name, content in _results(folder).items():
            if content not in known.get(name, []):
                self.lose(f"{first} beside {second}: {name} belongs to neither order")

    def _one_after_the_other(self, pair: tuple[str, str]) -> dict[str, list[Any]]:
        """Return what is left by each command alone and after the other, by name."""
        known: dict[str, list[Any]] = {}
        for order in (pair, pair[::-1]):
            folder = self.fresh()
            self._keep(known, folder)
            for words in order:
                begin = time.monotonic()
                self.finish(self.start(*words.split(), folder=folder))
                self._seconds[words] = time.monotonic() - begin
                self._keep(known, folder)
        self._known[pair] = known
        return known

    def _keep(self, known: dict[str, list[Any]], folder: Path) -> None:
        for name, content in _results(folder).items():
            known.setdefault(name, []).append(content)


def _results(folder: Path) -> dict[str, Any]:
    """Return the results in a folder; a model and its history belong together."""
    found = results(folder)
    return found | {"model and history": (found["model"], found["history.json"])}

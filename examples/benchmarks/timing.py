"""Clocks, repetitions and medians."""

from __future__ import annotations

import collections
import statistics
import time
from collections.abc import Callable, Mapping

Samples = dict[str, list[float]]
Repeat = Callable[[], Samples]


def timed(task: Callable[[], object], clock: Callable[[], float] = time.perf_counter) -> float:
    """Return the seconds that a task takes."""
    begin = clock()
    task()
    return clock() - begin


def alternate(repeats: Mapping[str, Repeat], rounds: int) -> dict[str, dict[str, float]]:
    """Run one repetition of each program, then the next of each; return the medians of each.

    A machine that becomes slower or faster meanwhile then changes all programs alike.
    """
    samples: dict[str, Samples] = {name: collections.defaultdict(list) for name in repeats}
    for _ in range(rounds):
        for name, repeat in repeats.items():
            for measure, numbers in repeat().items():
                samples[name][measure] += numbers
    return {name: medians(found) for name, found in samples.items()}


def medians(samples: Samples) -> dict[str, float]:
    return {measure: statistics.median(numbers) for measure, numbers in samples.items()}


def between(fit: Callable[[int], object], few: int, many: int) -> float:
    """Return the seconds an iteration, from the difference of two numbers of iterations.

    What is done once, such as preparing the data, is in both and cancels.
    """
    once = timed(lambda: fit(few))
    return (timed(lambda: fit(many)) - once) / (many - few)

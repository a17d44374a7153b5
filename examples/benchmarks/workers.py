"""Processes that repeat a measurement whenever they are asked to.

A measurement is a generator in one of these modules that yields the samples of one repetition. It
runs in a process of its own, which keeps engines and data in memory between repetitions, so that
several versions of mfcli can be measured alternately. Questions and answers are lines.
"""

from __future__ import annotations

import contextlib
import importlib
import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Sequence

from benchmarks.timing import Samples, alternate
from benchmarks.versions import Version


class Missing(Exception):
    """A package that a measurement needs is not installed."""


class Worker:
    """A process with a measurement.

    Parameters
    ----------
    version : Version
    task : str
        Module and generator function, such as "descent.epochs".
    **arguments
        Of the function; JSON values.
    """

    def __init__(self, version: Version, task: str, **arguments: object) -> None:
        self._version, self._task = version, task
        words = [version.python, "-m", "benchmarks.workers", task, json.dumps(arguments)]
        # Python also imports from the folder where it starts, so start where there is no mfcli.
        self._process = subprocess.Popen(
            words, stdin=subprocess.PIPE, stdout=subprocess.PIPE, env=version.environment,
            cwd=tempfile.gettempdir(), text=True, encoding="utf-8",
        )  # fmt: skip

    def repeat(self) -> Samples:
        """Run one repetition.

        Raises
        ------
        Missing
        """
        assert self._process.stdin
        assert self._process.stdout
        print(file=self._process.stdin, flush=True)
        line = self._process.stdout.readline()
        if not line:
            raise SystemExit(f"error: the process of {self._version.name} for {self._task} failed")
        answer = json.loads(line)
        if "missing" in answer:
            raise Missing(f"{answer['missing']} is not installed")
        samples: Samples = answer
        return samples

    def close(self) -> None:
        """End the process; it ends when nothing can ask it any more."""
        assert self._process.stdin
        self._process.stdin.close()
        self._process.wait()


def measured(
    task: str, versions: Sequence[Version], rounds: int, **arguments: object
) -> dict[str, dict[str, float]]:
    """Repeat a measurement alternately with several versions; return the medians of each.

    Raises
    ------
    Missing
    """
    shown = ", ".join(f"{name} {value}" for name, value in arguments.items() if name != "split")
    print(f"{task}: {shown}", file=sys.stderr)
    with contextlib.ExitStack() as stack:
        repeats = {}
        for version in versions:
            worker = Worker(version, task, **arguments)
            stack.callback(worker.close)
            repeats[version.name] = worker.repeat
        return alternate(repeats, rounds)


def _repetitions(task: str, arguments: str) -> Iterator[Samples]:
    module, _, function = task.partition(".")
    generate = getattr(importlib.import_module(f"benchmarks.{module}"), function)
    yield from generate(**json.loads(arguments))


def _answer(task: str, arguments: str) -> None:
    """Run a repetition for each line of the input, and write its samples."""
    # Libraries print, also in C, to what is stdout; answers go to a copy of it.
    answers = os.fdopen(os.dup(1), "w", encoding="utf-8")
    os.dup2(2, 1)
    repetitions = _repetitions(task, arguments)
    for _ in sys.stdin:
        try:
            answer: object = next(repetitions)
        except ModuleNotFoundError as error:
            answer = {"missing": error.name}
        print(json.dumps(answer), file=answers, flush=True)


if __name__ == "__main__":
    _answer(*sys.argv[1:])

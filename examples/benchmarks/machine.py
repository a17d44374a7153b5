"""The machine: its processor, and the most that it can compute and read."""

from __future__ import annotations

import importlib.metadata
import os
import platform
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from benchmarks.records import THREADS, Found, Record
from benchmarks.run_setup import Setup
from benchmarks.timing import Samples, timed
from benchmarks.workers import measured
from mfcli.storage import each

_VECTORS = 12  # of the kernel for multiply-adds, 10 of which are sums
_TURNS = 10_000_000
_REPETITIONS = 10  # of which the fastest counts
_CACHE, _MEMORY = 1 << 16, 1 << 26  # float32 values of a thread: 256 KB and 256 MB
_READ = 2  # times the larger array

PEAKS = (
    ("multiply-adds", "multiply-adds in registers", "GFLOP/s"),
    ("cache", "reads, 256 KB per thread (second-level cache)", "GB/s"),
    ("memory", "reads, 256 MB per thread (memory)", "GB/s"),
)


def description() -> dict[str, Any]:
    """Describe the processor and the versions of what is measured."""
    names = ("mfcli", "numba", "numpy", "keras", "tensorflow")
    return {
        "processor": processor(),
        "cores": os.cpu_count(),
        "python": platform.python_version(),
        **{name: importlib.metadata.version(name) for name in names},
    }


def processor() -> str:
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
    except OSError:
        return platform.processor()
    return next((line.split(": ")[1] for line in lines if line.startswith("model name")), "")


def records(setup: Setup, found: Found) -> list[Record]:
    """Measure the peaks with one thread and with two."""
    rates = measured("machine.peaks", setup.versions[:1], 1)["mfcli"]
    return [
        {
            "measure": text,
            "one": rates[f"{name}, 1"],
            "two": rates[f"{name}, {THREADS}"],
            "unit": unit,
            "peak": name,
        }
        for name, text, unit in PEAKS
    ]


def peaks() -> Iterator[Samples]:
    """Yield float32 operations, and bytes read from cache and from memory, in 1e9 per second."""
    samples: Samples = {}
    for threads in (1, THREADS):
        # Registers of some machines have 8 lanes, of others 16.
        operations = max(_multiply_adds(lanes, threads) for lanes in (8, 16))
        samples[f"multiply-adds, {threads}"] = [operations]
        samples[f"cache, {threads}"] = [_reads(_CACHE, _READ * _MEMORY // _CACHE, threads)]
        samples[f"memory, {threads}"] = [_reads(_MEMORY, _READ, threads)]
    yield samples


def _multiply_adds(lanes: int, threads: int) -> float:
    from benchmarks.kernels import multiply_adds
    from mfcli.aligned import aligned

    values = [aligned((_VECTORS * lanes,)) for _ in range(threads)]
    for number, array in enumerate(values):
        # Different values: the compiler must not find that some sums are equal.
        array[:] = [0.5 + 0.01 * n + number for n in range(len(array))]
        array[-2 * lanes :] = 0.5  # all sums converge to 1
    kernel = multiply_adds(lanes)
    operations = _TURNS * 10 * lanes * 2
    return _rate(lambda n: kernel(_TURNS, values[n]), operations, threads)


def _reads(size: int, turns: int, threads: int) -> float:
    from benchmarks.kernels import reads
    from mfcli.aligned import aligned

    values = [aligned((size,)) for _ in range(threads)]
    for array in values:
        array[:] = 1.0  # pages that were never written are all the same one
    kernel = reads()
    return _rate(lambda n: kernel(turns, values[n]), 4 * size * turns, threads)


def _rate(task: Callable[[int], None], amount: float, threads: int) -> float:
    """Return the highest rate of all threads together, in 1e9 per second."""
    task(0)  # compiles
    best = min(timed(lambda: each(task, threads, threads)) for _ in range(_REPETITIONS))
    return threads * amount / best / 1e9

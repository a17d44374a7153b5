"""Measure the speed of mfcli beside Keras and LIBMF in one run on one machine.

    python examples/make_ratings.py ratings.csv
    mfcli split ratings.csv
    pip install libmf                                    # optional
    python examples/benchmark.py --data ratings.csv --out benchmark.json

Machines differ and are noisy, so compare ratios rather than seconds. CPU times are per rating and
thread. Keras is timed over a few hundred steps of `Model.fit` and scaled to an epoch.
"""

from __future__ import annotations

import contextlib
import importlib.metadata
import importlib.util
import json
import os
import platform
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Annotated, Any

import numpy as np
import typer
from rich.console import Console
from rich.table import Table

from mfcli.config import Config
from mfcli.model import Model
from mfcli.splits import Split, read_split
from mfcli.training import Plan, make_plan
from mfcli.training.loop import start
from mfcli.training.sgd.blocks import Blocks, make_blocks
from mfcli.training.sgd.engine import FastEngine
from mfcli.training.sgd.rows import RATING

Row = tuple[str, float, str]
EPOCHS = 7  # per measurement, of which the median is reported


def main(
    split: Annotated[Path, typer.Option(help="Split to train on.")] = Path("split"),
    out: Annotated[Path, typer.Option(help="JSON file to write.")] = Path("benchmark.json"),
    k: Annotated[int, typer.Option(help="Factors.")] = Config.k,
    steps: Annotated[int, typer.Option(help="Steps of Keras to time; 0 for none.")] = 300,
    libmf: Annotated[bool, typer.Option(help="Measure LIBMF if it is installed.")] = True,
    data: Annotated[
        Path | None, typer.Option(help="CSV file for timing `mfcli split` and pandas.")
    ] = None,
) -> None:
    """Measure the speed of mfcli beside Keras and LIBMF."""
    parts, config = read_split(split), Config(k=k)
    plan = make_plan(parts.train, config)
    blocks = make_blocks(parts.train, plan.groups, config.batch_size)
    model = start(parts, config)
    rows = mfcli_rows(parts, model, blocks)
    epoch = {threads: value(rows, epoch_name(threads)) for threads in (1, 2)}
    rows += train_rows(split, config)
    if data:
        rows += split_rows(data)
    if libmf and importlib.util.find_spec("libmf"):
        rows += libmf_rows(parts, config, epoch)
    if steps:
        rows += keras_rows(parts, model, config, steps, epoch[2])
    show(rows, parts, plan)
    out.write_text(json.dumps({"machine": machine(), "rows": rows}, indent=2) + "\n")


def epoch_name(threads: int) -> str:
    return f"epoch, {threads} thread{'s' * (threads > 1)}"


def value(rows: list[Row], name: str) -> float:
    return next(number for row, number, _ in rows if row == name)


def timed(task: Callable[[], object], clock: Callable[[], float] = time.perf_counter) -> float:
    begin = clock()
    task()
    return clock() - begin


def median(task: Callable[[], object], clock: Callable[[], float] = time.perf_counter) -> float:
    return statistics.median(timed(task, clock) for _ in range(EPOCHS))


def mfcli_rows(parts: Split, model: Model, blocks: Blocks) -> list[Row]:
    """Time epochs, validation, shuffle and kernel of the fast engine."""
    rows: list[Row] = []
    ratings = blocks.ratings
    seconds, cpu = {}, {}
    for threads in (1, 2):
        engine = FastEngine(model, blocks, parts.test, threads)

        def epoch(engine: FastEngine = engine) -> None:
            engine.run_epoch(1, lambda done, total: None)

        epoch()
        seconds[threads] = median(epoch)
        cpu[threads] = median(epoch, time.process_time) / ratings
        rows.append((epoch_name(threads), seconds[threads], "s"))
    rows.append(("scaling from 1 to 2 threads", seconds[1] / seconds[2], "times"))
    validation = median(engine.validate)
    rows.append(("validation, 2 threads", validation, "s"))
    rows.append(("validation, share of the epoch", validation / seconds[2], ""))
    shuffle = shuffle_seconds(blocks) / ratings
    rows.append(("CPU a rating, epoch with shuffle, 1 thread", cpu[1] * 1e9, "ns"))
    rows.append(("CPU a rating, epoch with shuffle, 2 threads", cpu[2] * 1e9, "ns"))
    rows.append(("CPU a rating, shuffle alone", shuffle * 1e9, "ns"))
    rows.append(("CPU a rating, epoch less shuffle, 1 thread", (cpu[1] - shuffle) * 1e9, "ns"))
    return rows


def shuffle_seconds(blocks: Blocks) -> float:
    buffer = np.empty(blocks.longest, RATING)

    def shuffle() -> None:
        for block in blocks.blocks:
            block.shuffle(buffer, 0, 1)

    return median(shuffle, time.process_time)


def process(*args: str) -> tuple[float, float]:
    """Run a command three times; return its shortest time in seconds and its peak memory in GB."""
    runs = []
    for _ in range(3):
        begin = time.perf_counter()
        child = subprocess.Popen(args, stdout=subprocess.DEVNULL)
        _, status, usage = os.wait4(child.pid, 0)
        child.returncode = os.waitstatus_to_exitcode(status)
        if child.returncode:
            raise subprocess.CalledProcessError(child.returncode, args)
        runs.append((time.perf_counter() - begin, usage.ru_maxrss * 1024 / 1e9))
    return min(seconds for seconds, _ in runs), max(peak for _, peak in runs)


def train_rows(split: Path, config: Config) -> list[Row]:
    """Measure time and memory of `mfcli train` as a whole process."""
    with tempfile.TemporaryDirectory() as folder:
        options = ["--quiet", "--k", str(config.k), "--split", str(split), "--out", folder]
        seconds, peak = process(sys.executable, "-m", "mfcli", "train", *options)
        history = json.loads((Path(folder) / "history.json").read_text())
    return [
        ("mfcli train, 15 epochs, whole process", seconds, "s"),
        ("of which outside epochs and validation", seconds - sum(history["seconds"]), "s"),
        ("mfcli train, peak memory", peak, "GB"),
    ]


def split_rows(data: Path) -> list[Row]:
    """Measure `mfcli split` as a whole process, and pandas as it reads the same file."""
    with tempfile.TemporaryDirectory() as folder:
        options = ["--quiet", "--split", f"{folder}/split"]
        seconds, peak = process(sys.executable, "-m", "mfcli", "split", str(data), *options)
    read = f"import pandas; pandas.read_csv({str(data)!r})"
    pandas_seconds, pandas_peak = process(sys.executable, "-c", read)
    return [
        ("mfcli split, whole process", seconds, "s"),
        ("mfcli split, peak memory", peak, "GB"),
        ("pandas.read_csv of the same file, whole process", pandas_seconds, "s"),
        ("pandas.read_csv, peak memory", pandas_peak, "GB"),
        ("mfcli split, times pandas.read_csv", seconds / pandas_seconds, "times"),
    ]


def libmf_rows(parts: Split, config: Config, epoch: dict[int, float]) -> list[Row]:
    """Time LIBMF by the difference between 1 and 16 iterations; its PyPI package sets the build."""
    rows: list[Row] = []
    train = parts.train
    ratings = np.stack([train.user, train.item, train.rating], axis=1).astype(np.float32)
    for threads in (1, 2):
        seconds = {n: timed(partial(fit_libmf, ratings, config.k, threads, n)) for n in (1, 16)}
        each = (seconds[16] - seconds[1]) / 15
        rows.append((f"LIBMF {epoch_name(threads)}", each, "s"))
        rows.append((f"LIBMF, times mfcli's {epoch_name(threads)}", each / epoch[threads], "times"))
    return rows


def fit_libmf(ratings: np.ndarray, k: int, threads: int, iterations: int) -> Any:
    """Train with LIBMF in this process, without its messages on stdout."""
    with contextlib.redirect_stdout(None):
        from libmf import mf

    engine = mf.MF(k=k, nr_threads=threads, nr_iters=iterations, nr_bins=20, quiet=True)
    engine.fit(ratings)
    return engine


def keras_rows(parts: Split, model: Model, config: Config, steps: int, epoch: float) -> list[Row]:
    """Time steps of `fit` in Keras after a warm-up, and scale them to an epoch."""
    from mfcli.training.keras import build, optimizer

    network = build(model)
    network.compile(optimizer=optimizer(config), loss="mse")
    order = np.random.default_rng(0).permutation(len(parts.train))[: steps * config.batch_size]
    some = parts.train.take(order)

    def fit(count: int) -> None:
        rows = slice(0, count * config.batch_size)
        network.fit(
            [some.user[rows], some.item[rows]],
            some.rating[rows],
            batch_size=config.batch_size,
            shuffle=False,
            verbose=0,
        )

    fit(20)
    step = timed(lambda: fit(steps)) / steps
    whole = step * -(-len(parts.train) // config.batch_size)
    return [
        ("Keras, a step of fit", step * 1e3, "ms"),
        ("Keras, epoch (scaled)", whole, "s"),
        ("Keras, times mfcli's epoch, 2 threads", whole / epoch, "times"),
    ]


def machine() -> dict[str, Any]:
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


def show(rows: list[Row], parts: Split, plan: Plan) -> None:
    title = f"{len(parts.train):,} training ratings; {plan.reason}; {processor()}"
    table = Table(title=title, title_justify="left")
    table.add_column("measure")
    table.add_column("", justify="right")
    for name, number, unit in rows:
        table.add_row(name, f"{number:,.4g} {unit}")
    Console(width=100).print(table)


if __name__ == "__main__":
    typer.run(main)

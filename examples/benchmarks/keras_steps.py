"""Steps of `fit` in Keras, scaled to an epoch."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import numpy as np

from benchmarks.records import Found, Record, epoch_of_descent, ratio
from benchmarks.run_setup import Setup
from benchmarks.timing import Samples, timed
from benchmarks.workers import measured
from mfcli.config import Config
from mfcli.splits import read_split
from mfcli.training.loop import start

_WARM_UP, _STEPS = 20, 300


def records(setup: Setup, found: Found) -> list[Record]:
    """Measure the default number of factors once."""
    k, split = Config.k, str(setup.split)
    medians = measured("keras_steps.steps", setup.versions[:1], 1, split=split, k=k)["mfcli"]
    times = ratio(medians["seconds"], epoch_of_descent(found, k, momentum=True))
    return [{"k": k} | medians | {"times": times}]


def steps(split: str, k: int) -> Iterator[Samples]:
    """Yield the milliseconds of a step, and the seconds of an epoch of as long steps."""
    from mfcli.training.keras import build, optimizer

    parts, config = read_split(Path(split)), Config(k=k)
    network = build(start(parts, config))
    network.compile(optimizer=optimizer(config), loss="mse")
    order = np.random.default_rng(0).permutation(len(parts.train))[: _STEPS * config.batch_size]
    some = parts.train.take(order)
    count = -(-len(some) // config.batch_size)  # less than 300 if there are few ratings

    def fit(most: int) -> None:
        rows = slice(0, most * config.batch_size)
        network.fit(
            [some.user[rows], some.item[rows]], some.rating[rows], batch_size=config.batch_size,
            shuffle=False, verbose=0,
        )  # fmt: skip

    fit(_WARM_UP)
    while True:
        step = timed(lambda: fit(_STEPS)) / count
        epoch = step * -(-len(parts.train) // config.batch_size)
        yield {"steps": [count], "step": [step * 1e3], "seconds": [epoch]}

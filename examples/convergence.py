"""Train with mfcli, Keras, LIBMF and Surprise on one split, and draw error against time.

    python examples/make_ratings.py ratings.csv && mfcli split ratings.csv
    pip install libmf scikit-surprise
    python examples/convergence.py --minutes 10        # then: mfcli plot convergence/*.json ...

The history of each method is written to a file that `mfcli plot` reads; existing files are kept.
Errors are on the test ratings, or on a sample of them where prediction is slow. The seconds exclude
validation.
"""

from __future__ import annotations

import itertools
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Annotated, Any

import numpy as np
import typer
from benchmark import fit_libmf
from numpy.typing import NDArray

from mfcli.config import Config
from mfcli.data import Ratings
from mfcli.plots import plot_histories
from mfcli.splits import Split, read_split
from mfcli.training import History, make_plan
from mfcli.training.factory import make_engine
from mfcli.training.loop import start

Point = tuple[float, float, float]  # seconds since the last point, training MSE, validation MSE
SAMPLE = 400_000  # ratings to estimate an error where prediction is slow


def main(
    split: Annotated[Path, typer.Option(help="Split to train on.")] = Path("split"),
    out: Annotated[Path, typer.Option(help="Folder of the histories.")] = Path("convergence"),
    minutes: Annotated[float, typer.Option(help="Time limit of each method.")] = 10,
    surprise_ratings: Annotated[
        int, typer.Option(help="Training ratings for Surprise.")
    ] = 1_000_000,
) -> None:
    """Draw error against time for mfcli, Keras, LIBMF and Surprise."""
    parts = read_split(split)
    methods: dict[str, Callable[[], Iterator[Point]]] = {
        "mfcli": lambda: mfcli(parts, Config(epochs=15)),
        "Keras, batch 128": lambda: keras(parts, Config()),
        "Keras, batch 8192": lambda: keras(parts, Config(batch_size=8192)),
        "LIBMF": lambda: libmf(parts),
        f"Surprise SVD, {surprise_ratings:,} ratings": lambda: surprise(parts, surprise_ratings),
    }
    histories = {}
    for name, method in methods.items():
        path = out / f"{name}.json"
        try:
            if not path.exists():
                record(name, method(), 60 * minutes).write(path)
        except ImportError as error:
            print(f"{name}: {error.name} is not installed")
            continue
        histories[name] = History.read(path)
    plot_histories(histories, out / "convergence.png", rmse=True, seconds=True)


def record(name: str, points: Iterator[Point], limit: float) -> History:
    """Collect the points of a method until the time limit (seconds)."""
    found: list[Point] = []
    for point in points:
        found.append(point)
        seconds = sum(p[0] for p in found)
        print(f"{name}: {seconds:.2f} s, validation RMSE {point[2] ** 0.5:.4f}", flush=True)
        if seconds > limit:
            break
    seconds_list, mse, val_mse = (list(column) for column in zip(*found, strict=True))
    return History({"loss": mse, "mse": mse, "val_mse": val_mse, "seconds": seconds_list})


def mfcli(parts: Split, config: Config) -> Iterator[Point]:
    begin = time.perf_counter()
    plan = make_plan(parts.train, config)
    engine = make_engine(plan, [start(parts, config)], parts.train, parts.test, threads=2)
    for epoch in range(1, config.epochs + 1):
        losses = engine.run_epoch(epoch, lambda done, total: None)
        yield time.perf_counter() - begin, losses.mse, engine.validate().mse
        begin = time.perf_counter()


def keras(parts: Split, config: Config) -> Iterator[Point]:
    """Fit fractions of an epoch, so that the first points come early."""
    from mfcli.training.keras import build, optimizer

    network = build(start(parts, config))
    network.compile(optimizer=optimizer(config), loss="mse")
    rng = np.random.default_rng(0)
    test = sample(parts.test)
    for order in (rng.permutation(len(parts.train)) for _ in itertools.count()):
        for rows in np.array_split(order, 20):
            train = parts.train.take(rows)
            begin = time.perf_counter()
            fitted = network.fit(
                [train.user, train.item],
                train.rating,
                batch_size=config.batch_size,
                shuffle=False,
                verbose=0,
            )
            seconds = time.perf_counter() - begin
            predicted = network.predict([test.user, test.item], batch_size=1 << 16, verbose=0)
            yield seconds, fitted.history["loss"][0], mean_square(predicted[:, 0], test)


def libmf(parts: Split) -> Iterator[Point]:
    """Train from scratch with 1, 2, 4, ... iterations; the seconds are those of the longest run."""
    train = parts.train
    ratings = np.stack([train.user, train.item, train.rating], axis=1).astype(np.float32)
    spent, some = 0.0, sample(train)
    for iterations in (1, 2, 4, 8, 15):
        begin = time.perf_counter()
        model = fit_libmf(ratings, Config.k, 2, iterations).model
        seconds = time.perf_counter() - begin
        p = np.ctypeslib.as_array(model.P, (model.m, model.k))
        q = np.ctypeslib.as_array(model.Q, (model.n, model.k))
        errors = [
            mean_square(predict_libmf(p, q, model.b, part), part)
            for part in (some, within(parts.test, model.m, model.n))
        ]
        yield max(seconds - spent, 0.0), errors[0], errors[1]
        spent = max(seconds, spent)


def predict_libmf(
    p: NDArray[np.float32], q: NDArray[np.float32], mean: float, ratings: Ratings
) -> NDArray[np.float32]:
    """Predict as LIBMF does: rows without ratings are NaN and get the mean."""
    predicted = np.einsum("nk,nk->n", p[ratings.user], q[ratings.item])
    return np.where(np.isnan(predicted), np.float32(mean), predicted)


def within(ratings: Ratings, users: int, items: int) -> Ratings:
    """Drop ratings outside the tables of LIBMF, which end with the largest training id."""
    return ratings.take((ratings.user < users) & (ratings.item < items))


def surprise(parts: Split, count: int) -> Iterator[Point]:
    """Train from scratch with 1, 2, 4, ... epochs on a sample of the ratings."""
    import pandas as pd
    from surprise import SVD, Dataset, Reader

    train, test = sample(parts.train, count), sample(parts.test, 100_000)
    frame = pd.DataFrame({"user": train.user, "item": train.item, "rating": train.rating})
    reader = Reader(rating_scale=(parts.scale.min, parts.scale.max))
    made = Dataset.load_from_df(frame, reader).build_full_trainset()
    spent, some = 0.0, sample(train, 100_000)
    for epochs in (1, 2, 4, 8, 16):
        begin = time.perf_counter()
        model = SVD(n_factors=Config.k, n_epochs=epochs, random_state=0).fit(made)
        seconds = time.perf_counter() - begin
        errors = [mean_square(predict_surprise(model, part), part) for part in (some, test)]
        yield max(seconds - spent, 0.0), errors[0], errors[1]
        spent = max(seconds, spent)


def predict_surprise(model: Any, ratings: Ratings) -> NDArray[np.float32]:
    pairs = zip(ratings.user.tolist(), ratings.item.tolist(), strict=True)
    return np.array([model.predict(user, item).est for user, item in pairs], np.float32)


def sample(ratings: Ratings, count: int = SAMPLE) -> Ratings:
    rng = np.random.default_rng(0)
    return ratings.take(rng.choice(len(ratings), min(count, len(ratings)), replace=False))


def mean_square(predicted: NDArray[np.float32], ratings: Ratings) -> float:
    return float(np.mean(np.square(predicted - ratings.rating), dtype=np.float64))


if __name__ == "__main__":
    typer.run(main)

"""Measure updates on your ratings files, which need times: accuracy, time, and many small ones.

    python examples/recipes/updates.py ml-latest-small/ratings.csv data.csv

The ratings are in the order of time, and the last fifth is for testing. A model is trained on the
first 95% of the others, and updated with the last 5% of them. Its RMSE on the test ratings is
compared with that of training from scratch on both. Then, the last 10,000 ratings before the test
ratings arrive in one update, or in 100 updates of 100 ratings each. Seconds are those of the
epochs; all figures are medians over the seeds.
"""

from __future__ import annotations

import dataclasses
import itertools
import tempfile
from collections.abc import Iterable
from pathlib import Path
from statistics import median
from typing import Annotated, NamedTuple

import numpy as np
import typer
from rich.console import Console
from rich.table import Table

from mfcli import update
from mfcli.config import Config
from mfcli.data import Ratings, read_ratings
from mfcli.model import Model
from mfcli.search import recommended_config
from mfcli.splits import Split
from mfcli.training import Checkpoint, Keeper, fit, read_checkpoint

TEST, NEW = 0.2, 0.05  # fractions of all ratings, and of those before the test ratings
MANY, FEW = 10_000, 100  # ratings that arrive, at once and in each of many updates


class State(NamedTuple):
    """A model, and what it goes on from; seconds are those of its last epochs."""

    split: Split
    model: Model
    checkpoint: Checkpoint
    seconds: float


def main(
    data: Annotated[list[Path], typer.Argument(exists=True, help="Ratings files with times.")],
    seeds: Annotated[int, typer.Option(min=1, help="Number of seeds.")] = 3,
    threads: Annotated[int | None, typer.Option(min=1, help="All cores by default.")] = None,
) -> None:
    """Print the errors and times of updates, beside those of training from scratch."""
    console = Console(width=None if Console().is_terminal else 100)
    for path in data:
        ratings = in_order_of_time(read_ratings(path), path)
        console.print(f"\n{path}: {len(ratings):,} ratings", highlight=False)
        configs = {"mfcli init": recommended_config(Split.of(ratings))}
        configs |= {f"--optimizer {name}": Config(optimizer=name) for name in ("als", "sgd")}
        console.print(at_once(ratings, configs, seeds, threads))
        console.print(in_steps(ratings, configs, seeds, threads))


def in_order_of_time(ratings: Ratings, path: Path) -> Ratings:
    """Return ratings in the order of their times; equal times stay in the order of the file."""
    if ratings.timestamp is None:
        raise typer.BadParameter(f"{path} has no times")
    return ratings.take(np.argsort(ratings.timestamp, kind="stable"))


def at_once(ratings: Ratings, configs: dict[str, Config], seeds: int, threads: int | None) -> Table:
    """Measure an update with the last 5% of the ratings before the test ratings."""
    end = len(ratings) - round(TEST * len(ratings))
    begin, test = end - round(NEW * end), ratings.take(slice(end, None))
    columns = ["before", "updated", "scratch", "difference", "s", "scratch, s", "ratio"]
    table = titled(f"RMSE and seconds of an update with {end - begin:,} ratings", columns)
    for name, config in configs.items():
        found = []
        for one in seeded(config, seeds):
            before = trained(ratings.take(slice(begin)), one, threads)
            after = updated(before, ratings.take(slice(begin, end)), threads)
            scratch = trained(ratings.take(slice(end)), one, threads)
            errors = [rmse(state.model, test) for state in (before, after, scratch)]
            found.append((*errors, after.seconds, scratch.seconds))
        old, new, whole, seconds, most = map(median, zip(*found, strict=True))
        times = f"{seconds:.3g}", f"{most:.3g}", f"{seconds / most:.2f}"
        table.add_row(
            name, f"{old:.4f}", f"{new:.4f}", f"{whole:.4f}", f"{new - whole:+.4f}", *times
        )
    return table


def in_steps(
    ratings: Ratings, configs: dict[str, Config], seeds: int, threads: int | None
) -> Table:
    """Measure many small updates beside a single one."""
    end = len(ratings) - round(TEST * len(ratings))
    begin, test = max(end - MANY, end // 2), ratings.take(slice(end, None))
    count = -(-(end - begin) // FEW)
    columns = ["before", "one update", f"{count} updates", "difference", "scratch"]
    table = titled(f"RMSE after {end - begin:,} ratings in one or {count} updates", columns)
    for name, config in configs.items():
        found = []
        for one in seeded(config, seeds):
            before = trained(ratings.take(slice(begin)), one, threads)
            single = updated(before, ratings.take(slice(begin, end)), threads)
            many = before
            for start, stop in itertools.pairwise([*range(begin, end, FEW), end]):
                many = updated(many, ratings.take(slice(start, stop)), threads)
            scratch = trained(ratings.take(slice(end)), one, threads)
            found.append([rmse(state.model, test) for state in (before, single, many, scratch)])
        old, one_step, steps, whole = map(median, zip(*found, strict=True))
        shown = [old, one_step, steps]
        table.add_row(
            name, *(f"{value:.4f}" for value in shown), f"{steps - one_step:+.4f}", f"{whole:.4f}"
        )
    return table


def seeded(config: Config, seeds: int) -> Iterable[Config]:
    return (dataclasses.replace(config, seed=seed) for seed in range(seeds))


def trained(ratings: Ratings, config: Config, threads: int | None) -> State:
    """Train on all of some ratings."""
    split = Split.of(ratings.without_empty())
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, "checkpoint")
        fitted = fit(split, config, threads=threads, keeper=Keeper(path))
        checkpoint = read_checkpoint(path)
    return State(split, fitted.model, checkpoint, sum(fitted.history.lists["seconds"]))


def updated(state: State, ratings: Ratings, threads: int | None) -> State:
    """Take new ratings in."""
    seconds: list[float] = []
    done = update(
        state.model,
        state.split,
        ratings.without_empty(),
        checkpoint=state.checkpoint,
        threads=threads,
        on_epoch=lambda epoch: seconds.append(epoch.seconds),
    )
    assert done.checkpoint
    return State(done.split, done.model, done.checkpoint, sum(seconds))


def rmse(model: Model, test: Ratings) -> float:
    """Return the root mean squared error on test ratings, some of which are of unknown ids."""
    user, item = model.users.rows(test.users.ids)[test.user], model.items.rows(test.items.ids)
    predicted = model.clipped(model.predict_rows(user, item[test.item]))
    return float(np.sqrt(np.mean(np.square(predicted - test.rating, dtype=np.float64))))


def titled(title: str, columns: list[str]) -> Table:
    table = Table("settings", title=title, title_justify="left")
    for column in columns:
        table.add_column(column, justify="right")
    return table


if __name__ == "__main__":
    typer.run(main)

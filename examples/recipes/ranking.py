"""Measure rankings on your ratings files, beside other programs.

    python examples/recipes/ranking.py ml-latest-small/ratings.csv data.csv --against
    python examples/recipes/ranking.py ml-1m/ratings.dat --against --strong

Protocols: a random fifth of the ratings is held out; the last rating of each user is held out; and
with `--strong`, a fifth of the users are new: the model is not trained on them, and is to rank a
fifth of the ratings of each, given the others. All items are ranked that are not among the ratings
that are given. mfcli has the settings of `mfcli init --for ranking`; none is chosen by a search.

`--against` also trains EASE, which is in `rankers.py`, and ALS of implicit (`pip install
implicit`). Their settings are those of a grid that have the best NDCG on validation ratings, which
are cut from the training ratings by the same protocol. Then they are trained on all training
ratings. All programs are measured on the same splits by the same code.
"""

from __future__ import annotations

import importlib.util
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Annotated, Any, NamedTuple

import numpy as np
import typer
from numpy.typing import NDArray
from rankers import GRIDS, Case, Scores, Settings, combinations, mfcli, popular
from rich.console import Console
from rich.table import Table

from mfcli.config import Config
from mfcli.data import Ratings, read_ratings
from mfcli.model import Rated, RatedParts
from mfcli.rankings import USER_FORMULAS, RankedHits, RelevantItems
from mfcli.search import recommended_config
from mfcli.splits import split

PROTOCOLS = {"random": "random 80/20", "leave-last-out": "last rating", "cold-user": "new users"}
MEASURES = ("ndcg", "recall")
CUTOFF = 10
BLOCK = 1 << 10  # users ranked at a time


class Found(NamedTuple):
    """What was measured of a program; seconds are of training with the settings used."""

    ndcg: float
    recall: float
    seconds: float
    settings: Settings


def main(
    data: Annotated[list[Path], typer.Argument(exists=True, help="Ratings files.")],
    against: Annotated[
        bool, typer.Option("--against", help="Also train EASE and implicit's ALS.")
    ] = False,
    strong: Annotated[bool, typer.Option("--strong", help="Also rank for new users.")] = False,
    relevant: Annotated[
        float | None,
        typer.Option(help="Smallest rating of a relevant item; by default as in mfcli init."),
    ] = None,
    seed: Annotated[int, typer.Option(help="Seed of splits and models.")] = 0,
) -> None:
    """Print NDCG@10, recall@10 and seconds of training by protocol and program."""
    if against and not importlib.util.find_spec("implicit"):
        print("error: --against needs implicit; install it: pip install implicit", file=sys.stderr)
        raise typer.Exit(1)
    for file in data:
        ratings = read_ratings(file)
        found = {
            PROTOCOLS[strategy]: measured(ratings, strategy, against, relevant, seed)
            for strategy in PROTOCOLS
            if strong or strategy != "cold-user"
        }
        show(f"{file}: {len(ratings):,} ratings", found)


def measured(
    ratings: Ratings, strategy: str, against: bool, relevant: float | None, seed: int
) -> dict[str, Found]:
    """Train and measure every program by a protocol."""
    case = case_of(ratings, Config(strategy=strategy, seed=seed), "test")
    config = recommended_config(case.split, Config(seed=seed), purpose="ranking")
    relevant = config.relevant if relevant is None else relevant
    found = {
        "mfcli": tested(case, relevant, mfcli, {"config": config}),
        "most popular": tested(case, relevant, popular, {}),
    }
    if against:
        choosing = case_of(ratings, Config(strategy=strategy, seed=seed, valid=0.1), "valid")
        for name, (program, grid) in GRIDS.items():
            print(f"{strategy}: choosing settings of {name}", file=sys.stderr)
            best = max(
                combinations(grid),
                key=lambda some: measures(program(choosing, **some), choosing, relevant)[0],
            )
            found[name] = tested(case, relevant, program, best)
    return found


def case_of(ratings: Ratings, config: Config, part: str) -> Case:
    """Split ratings by a protocol, with the test or the validation ratings held out."""
    parts = split(ratings, config)
    held_out = parts.parts[part]
    if config.strategy != "cold-user":
        return Case(parts, parts.train, held_out)
    new = split(held_out, Config(strategy="per-user", seed=config.seed))
    return Case(parts, new.train, new.test)


def tested(
    case: Case, relevant: float, program: Callable[..., Scores], settings: Settings
) -> Found:
    """Train a program and measure its rankings."""
    begin = time.perf_counter()
    scores = program(case, **settings)
    seconds = time.perf_counter() - begin
    return Found(*measures(scores, case, relevant), seconds, settings)


def measures(scores: Scores, case: Case, relevant: float) -> tuple[float, float]:
    """Return the mean NDCG and the mean recall over the users with relevant items."""
    given = case.given
    rated = Rated.of(given)
    liked = RelevantItems.of(
        case.held_out,
        RatedParts.of(given),
        relevant=relevant,
        remedy="",
    )
    values = []
    for start in range(0, len(liked.users), BLOCK):
        block = slice(start, start + BLOCK)
        items = top_items(scores(liked.users[block]), liked.users[block], rated)
        ranked = RankedHits(liked.hits(start, items), liked.counts[block], CUTOFF)
        values.append([USER_FORMULAS[name](ranked) for name in MEASURES])
    ndcg, recall = np.concatenate(values, axis=1).mean(axis=1)
    return float(ndcg), float(recall)


def top_items(scores: NDArray[Any], users: NDArray[np.int32], rated: Rated) -> NDArray[np.int32]:
    """Return the items with the highest scores that each user has not rated, best first."""
    scores = scores.copy()
    for row, user in zip(scores, users, strict=True):
        row[rated.items[rated.starts[user] : rated.starts[user + 1]]] = -np.inf
    top = np.argpartition(-scores, CUTOFF, axis=1)[:, :CUTOFF]
    top.sort(axis=1)  # ties go to the lower row
    kept = np.take_along_axis(scores, top, axis=1)
    order = np.argsort(-kept, axis=1, kind="stable")
    top, kept = (np.take_along_axis(each, order, axis=1) for each in (top, kept))
    return np.where(np.isfinite(kept), top, -1).astype(np.int32)


def show(title: str, found: dict[str, dict[str, Found]]) -> None:
    """Print the measures by protocol and program, and the settings chosen for other programs."""
    table = Table("", title=title)
    for protocol in found:
        for name in (f"{protocol}: NDCG@{CUTOFF}", f"recall@{CUTOFF}", "s"):
            table.add_column(name, justify="right")
    for program in next(iter(found.values())):
        rows = [programs[program] for programs in found.values()]
        cells = (f"{row.ndcg:.4f} {row.recall:.4f} {row.seconds:.1f}".split() for row in rows)
        table.add_row(program, *(cell for three in cells for cell in three))
    Console(width=140).print(table)
    for protocol, programs in found.items():
        for program, row in programs.items():
            if program in GRIDS:
                chosen = ", ".join(f"{name} {value:g}" for name, value in row.settings.items())
                print(f"{program}, {protocol}: {chosen}")


if __name__ == "__main__":
    typer.run(main)

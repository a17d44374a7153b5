"""Measure predictions for new items and new users, beside biases and a training with all ratings.

    python examples/movielens.py data.csv
    python examples/new_items.py data.csv

15% of the items and 15% of the users are held out, and a model is trained on the ratings that are
left. Half of the ratings of the held-out items and users are given, and the other half is
predicted, if its item has a given rating. "One more pass" estimates the new items again, from the
ratings of new users, too, and then the users.
"""

from __future__ import annotations

from collections import defaultdict
from dataclasses import replace
from typing import Annotated

import numpy as np
import typer

from mfcli.config import Config
from mfcli.data import Ratings, Vocabulary, concatenated, read_ratings
from mfcli.model import Model, extended, fold_in, with_estimated_rows
from mfcli.splits import Split
from mfcli.training import fit
from mfcli.types import Floats, Mask

MODELS = {
    "gibbs, `--k 15 --epochs 100`": Config(optimizer="gibbs", k=15, epochs=100),
    "als": Config(optimizer="als"),
    "sgd": Config(),
}
HELD_OUT = 0.15
DAMPING = 5
GROUPS = ("known users, new items", "new users, known items", "new users, new items")

Squares = dict[str, dict[str, list[Floats]]]


def main(
    ratings: Annotated[str, typer.Argument(help="Ratings file.")] = "data.csv",
    seeds: Annotated[int, typer.Option(help="Number of divisions to average over.")] = 3,
) -> None:
    """Print a table of root mean squared errors for each model."""
    read = read_ratings(ratings)
    for name, config in MODELS.items():
        errors: Squares = defaultdict(lambda: defaultdict(list))
        for seed in range(seeds):
            measure(read, config, seed, errors)
        print(f"\n| {name} | " + " | ".join(GROUPS) + " |")
        print("| --- |" + " --- |" * len(GROUPS))
        for way, groups in errors.items():
            cells = (np.sqrt(np.concatenate(groups[group]).mean()) for group in GROUPS)
            print(f"| {way} | {' | '.join(f'{cell:.4f}' for cell in cells)} |")


def measure(ratings: Ratings, config: Config, seed: int, errors: Squares) -> None:
    """Train twice and add the squared errors of every method."""
    rng = np.random.default_rng(seed)
    user = (rng.random(len(ratings.users)) < HELD_OUT)[ratings.user]
    item = (rng.random(len(ratings.items)) < HELD_OUT)[ratings.item]
    is_new, shown = user | item, rng.random(len(ratings)) < 0.5
    old, given = ratings.take(~is_new), ratings.take(is_new & shown)
    is_valid = rng.random(len(old)) < 0.1
    train, valid = old.take(~is_valid), old.take(is_valid).without_empty()
    parts = Split.of(train.without_empty(), valid)
    model = fit(parts, config).model
    once = extended(model, fold_in(model, given, split=parts))
    again = fit(Split.of(concatenated(train, given).without_empty(), valid), config).model
    is_given = np.bincount(given.item, minlength=len(ratings.items)) > 0
    hidden = is_new & ~shown & (is_given[ratings.item] | ~item)
    chosen = dict(zip(GROUPS, (hidden & item & ~user, hidden & user & ~item, hidden & user & item),
                      strict=True))  # fmt: skip
    models = {"not folded in": model, "damped biases": with_biases(model, once, given),
              "fold-in": once, "one more pass": twice(model, once, given),
              "trained again": again}  # fmt: skip
    for way, one in models.items():
        add(errors[way], one, ratings, chosen)


def add(
    groups: dict[str, list[Floats]], model: Model, ratings: Ratings, chosen: dict[str, Mask]
) -> None:
    """Add the squared errors of a model in each group of ratings."""
    for group, mask in chosen.items():
        rows = ratings.take(mask).within(model.users, model.items)
        predicted = model.clipped(model.predict_rows(rows.user, rows.item))
        groups[group].append(np.square(predicted - rows.rating))


def twice(model: Model, once: Model, given: Ratings) -> Model:
    """Estimate the new items again, and then the new users."""
    counts = np.where(known(model, once, "item"), once.items.counts, 0)
    blank = replace(once, items=Vocabulary(once.items.ids, counts))
    return with_estimated_rows(blank, in_rows(given, once), ~known(model, once, "user"))


def known(model: Model, larger: Model, side: str) -> Mask:
    """Return which rows of a larger model have training ratings in a model."""
    counts = model.side(side).counts
    return np.append(counts, np.zeros(len(larger.side(side)) - len(counts), np.int64)) > 0


def in_rows(ratings: Ratings, model: Model) -> Ratings:
    """Return the ratings of items of a model, in its rows."""
    rows = ratings.within(model.users, model.items)
    return rows.take(rows.item >= 0)


def with_biases(model: Model, once: Model, given: Ratings) -> Model:
    """Replace the estimates of new rows by damped biases, items first."""
    rows, tables = in_rows(given, once), dict(once.tables)
    for side in ("item", "user"):
        is_old = known(model, once, side)
        tables[f"{side}_factors"] = np.where(is_old[:, None], tables[f"{side}_factors"], 0)
        tables[f"{side}_biases"] = np.where(is_old, tables[f"{side}_biases"], 0)
        base = once.with_tables(tables)
        rest = rows.rating - base.predict_rows(rows.user, rows.item)
        own = getattr(rows, side)
        sums = np.bincount(own, rest, len(is_old))
        biases = sums / (np.bincount(own, minlength=len(is_old)) + DAMPING)
        tables[f"{side}_biases"] = np.where(is_old, tables[f"{side}_biases"], biases).astype("f4")
    return once.with_tables(tables)


if __name__ == "__main__":
    typer.run(main)

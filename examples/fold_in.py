"""Measure predictions for new users from a few of their ratings, beside simpler methods.

    python examples/movielens.py data.csv
    python examples/fold_in.py data.csv

A fifth of the users is held out (`mfcli split --strategy cold-user`), and a model is trained on the
others, for three splits. Half of the ratings of each held-out user are predicted, and 1, 3, 10, 30
or all of the other half are given. Ridge regression (penalty lambda |x|^2) and ALS-WR (penalty
lambda n |x|^2 for n given ratings; Y. Zhou et al., 2008) get the penalty with the lowest error on
these predictions, which is not known in practice. Fold-in has no penalty to choose.
"""

from __future__ import annotations

from collections import defaultdict
from dataclasses import replace
from typing import Annotated

import numpy as np
import typer
from numpy.typing import NDArray

from mfcli.config import Config
from mfcli.data import Ratings, read_ratings
from mfcli.model import Model, fold_in
from mfcli.splits import split
from mfcli.training import fit

GIVEN = {"1": 1, "3": 3, "10": 10, "30": 30, "half": None}
MODELS = {
    "defaults": Config(),
    "`--k 40`": Config(k=40),
    "`--reg 1e-4 --epochs 20`": Config(reg=1e-4, epochs=20),
    "`--epochs 60` (overfits)": Config(epochs=60),
}
PENALTIES = {"ridge": (0.1, 0.3, 1, 2, 3, 5, 10, 30), "ALS-WR": (0.01, 0.03, 0.1, 0.3, 1)}
DAMPING = 5

Squares = dict[str, list[NDArray[np.float32]]]


def main(
    ratings: Annotated[str, typer.Argument(help="Ratings file.")] = "data.csv",
    seeds: Annotated[int, typer.Option(help="Number of splits to average over.")] = 3,
) -> None:
    """Print a table of root mean squared errors for each model."""
    read = read_ratings(ratings)
    for name, config in MODELS.items():
        errors: dict[str, Squares] = {given: defaultdict(list) for given in GIVEN}
        for seed in range(seeds):
            measure(read, config, seed, errors)
        print(f"\n| {name}, given | " + " | ".join(GIVEN) + " |")
        print("| --- |" + " --- |" * len(GIVEN))
        for row in ("mu + b_i", "damped bias", "ridge", "ALS-WR", "fold-in"):
            cells = (f"{best(errors[given], row):.4f}" for given in GIVEN)
            print(f"| {row} | {' | '.join(cells)} |")


def best(squares: Squares, row: str) -> float:
    """Return the RMSE of a method, with its best penalty if it has several."""
    ways = [way for way in squares if way.startswith(row)]
    return min(float(np.sqrt(np.concatenate(squares[way]).mean())) for way in ways)


def measure(ratings: Ratings, config: Config, seed: int, errors: dict[str, Squares]) -> None:
    """Train once and add the squared errors of every method."""
    config = replace(config, strategy="cold-user", seed=seed)
    parts = split(ratings, config)
    fitted = fit(parts, config)
    noise = fitted.history.lists["val_mse"][-1]
    known = parts.test.take(parts.test.items.counts[parts.test.item] > 0)
    rank, count = ranks(known.user, np.random.default_rng(seed))
    half = count // 2
    for name, given in GIVEN.items():
        enough = half >= (given or 1)
        shown = known.take(enough & (rank < (half if given is None else given)))
        hidden = known.take(enough & (rank >= half))
        new = fold_in(fitted.model, shown, noise).model
        rows = hidden.within(new.users, new.items)
        predicted = {"fold-in": new.predict_rows(rows.user, rows.item)}
        predicted |= simpler(fitted.model, shown, hidden)
        for way, values in predicted.items():
            clipped = values.clip(parts.scale.min, parts.scale.max)
            errors[name][way].append(np.square(clipped - hidden.rating))


def ranks(user: NDArray[np.int32], rng: np.random.Generator) -> tuple[NDArray[np.int64], ...]:
    """Number the ratings of each user from 0 in random order; return also the number of ratings."""
    order = np.lexsort((rng.random(len(user)), user))
    counts = np.bincount(user)
    rank = np.empty(len(user), np.int64)
    rank[order] = np.arange(len(user)) - np.repeat(np.cumsum(counts) - counts, counts)
    return rank, counts[user]


def simpler(model: Model, shown: Ratings, hidden: Ratings) -> dict[str, NDArray[np.float32]]:
    """Predict without the user, with a damped bias, and with ridge regressions for each user."""
    base = model.mu + model.item_biases[hidden.item]
    rest = shown.rating - model.mu - model.item_biases[shown.item]
    sums = np.bincount(shown.user, rest, len(model.users))
    counts = np.bincount(shown.user, minlength=len(model.users))
    found = {"mu + b_i": base, "damped bias": base + (sums / (counts + DAMPING))[hidden.user]}
    design = np.column_stack([model.item_factors, np.ones(len(model.items))])
    for user in np.unique(hidden.user):
        a, y = design[shown.item[shown.user == user]], rest[shown.user == user]
        for kind, penalties in PENALTIES.items():
            for penalty in penalties:
                weight = penalty * (len(a) if kind == "ALS-WR" else 1)
                x = np.linalg.solve(a.T @ a + weight * np.eye(a.shape[1]), a.T @ y)
                rows = hidden.user == user
                values = found.setdefault(f"{kind} {penalty}", base.copy())
                values[rows] += design[hidden.item[rows]] @ x
    return found


if __name__ == "__main__":
    typer.run(main)

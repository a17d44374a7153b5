"""Run a recipe on your copy of a data set, beside other programs.

    python examples/recipes/run.py movielens-latest-small ml-latest-small/ratings.csv --against
    python examples/recipes/run.py movielens-100k ml-100k
    python examples/recipes/run.py movielens-1m ml-1m/ratings.dat

A recipe is a settings file (TOML) beside this script. The script prints and runs the mfcli commands
that split, train and evaluate each fold, for one model and for an ensemble. `--against` also trains
SVD of Surprise, ALS of cmfrec and myFM (`pip install scikit-surprise cmfrec myfm scikit-learn`) on
the same folds with their defaults. `--choose` measures no test ratings: it compares several numbers
of factors on validation ratings, a tenth of all ratings, cut from the training ratings.

`--settings FILE` trains with other settings. `mfcli tune --split recipe/split/fold-1 --trials 200
--out sgd.toml` found those in sgd.toml on latest-small.
"""

from __future__ import annotations

import json
import subprocess
import sys
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Annotated, Any

import numpy as np
import typer
from numpy.typing import NDArray
from rich.console import Console
from rich.table import Table

from mfcli.data import Ratings, Scale
from mfcli.splits import read_split

HERE = Path(__file__).parent
CHOICES = (7, 15, 31, 63)
FOLDS = range(1, 6)

MYMEDIALITE = "MyMediaLite's example experiments, mymedialite.net"
PUBLISHED = {
    "movielens-100k": {
        "SVD++": (0.9065, MYMEDIALITE),
        "biased matrix factorization": (0.9076, MYMEDIALITE),
        "SVD, other folds": (0.9355, "Surprise's README, pypi.org/project/scikit-surprise"),
    },
    "movielens-1m": {"biased matrix factorization": (0.852, MYMEDIALITE)},
    "movielens-latest-small": {},
}

Rated = NDArray[np.float64]
Method = Callable[[Ratings, Ratings, Scale], Rated]


def main(
    recipe: Annotated[str, typer.Argument(help=", ".join(PUBLISHED))],
    data: Annotated[Path, typer.Argument(help="Ratings file; for 100K the folder with u1.base.")],
    out: Annotated[Path, typer.Option(help="Folder for splits and models.")] = Path("recipe"),
    settings: Annotated[
        Path | None, typer.Option(help="Settings file; the recipe by default.")
    ] = None,
    ensemble: Annotated[int, typer.Option(help="Models in the ensemble; 1 for none.")] = 4,
    against: Annotated[bool, typer.Option("--against", help="Also train other programs.")] = False,
    choose: Annotated[bool, typer.Option("--choose", help="Compare several k instead.")] = False,
) -> None:
    """Print the RMSE of every fold."""
    if recipe not in PUBLISHED:
        raise typer.BadParameter(f"no recipe {recipe}; the recipes are {', '.join(PUBLISHED)}")
    protocol = HERE / f"{recipe}.toml"
    folds = split_folds(recipe, data, protocol, out, "0.1" if choose else "0")
    settings = settings or protocol
    rows = Table("RMSE", *(f"fold {fold}" for fold in FOLDS), "mean", "s per fold")
    if choose:
        for k in CHOICES:
            add_row(rows, f"validation, k {k}", folds, partial(validated, settings, k, out))
    else:
        add_row(rows, "mfcli, one model", folds, partial(tested, settings, 1, out))
        if ensemble > 1:
            name = f"mfcli, ensemble of {ensemble}"
            add_row(rows, name, folds, partial(tested, settings, ensemble, out))
        for name, method in (METHODS if against else {}).items():
            add_row(rows, name, folds, partial(rmse_of, method))
        for name, (value, source) in PUBLISHED[recipe].items():
            rows.add_row(f"{name} ({source})", *[""] * len(FOLDS), f"{value:.4f}", "")
    Console(width=140).print(rows)


def split_folds(recipe: str, data: Path, settings: Path, out: Path, valid: str) -> list[Path]:
    """Split the data by the protocol of the recipe; return the folder of each fold."""
    folders = [out / "split" / f"fold-{fold}" for fold in FOLDS]
    options = ["--config", settings, "--valid", valid]
    if recipe == "movielens-100k":
        for fold, folder in zip(FOLDS, folders, strict=True):
            parts = ["--train", data / f"u{fold}.base", "--test", data / f"u{fold}.test"]
            run("split", *parts, "--split", folder, *options)
    else:
        run("split", data, "--split", out / "split", *options)
    return folders


def tested(settings: Path, models: int, out: Path, fold: Path) -> float:
    """Train on a fold and return the RMSE on its test ratings."""
    target = out / f"{models}" / fold.name
    options = ["--config", settings, "--ensemble", models, "--out", target]
    run("train", "--split", fold, *options)
    scores = run("evaluate", "--split", fold, "--model", target / "model", "--resamples", "0")
    return float(scores["measures"]["rmse"])


def validated(settings: Path, k: int, out: Path, fold: Path) -> float:
    """Train on a fold and return the RMSE on its validation ratings."""
    target = out / f"k-{k}" / fold.name
    done = run("train", "--split", fold, "--config", settings, "--k", k, "--out", target)
    return float(done["val_mse"]) ** 0.5


def run(*words: object) -> Any:
    """Run an mfcli command, and return its result."""
    command = [str(word) for word in words]
    print("$ mfcli", *command, file=sys.stderr)
    whole = [sys.executable, "-m", "mfcli", *command, "--json", "--quiet"]
    done = subprocess.run(whole, stdout=subprocess.PIPE, text=True)
    if done.returncode:
        raise typer.Exit(done.returncode)
    return json.loads(done.stdout)


def add_row(table: Table, name: str, folds: list[Path], measure: Callable[[Path], float]) -> None:
    """Measure every fold, or report that the program is not installed."""
    begin = time.perf_counter()
    try:
        errors = [measure(fold) for fold in folds]
    except ImportError as error:
        table.add_row(f"{name}: {error.name} is not installed")
        return
    seconds = (time.perf_counter() - begin) / len(folds)
    cells = [f"{error:.4f}" for error in (*errors, float(np.mean(errors)))]
    table.add_row(name, *cells, f"{seconds:.1f}")


def rmse_of(method: Method, fold: Path) -> float:
    """Return the RMSE of another program on the test ratings, with clipped predictions."""
    split = read_split(fold)
    predicted = method(split.train, split.test, split.scale)
    clipped = np.clip(predicted, split.scale.min, split.scale.max)
    return float(np.sqrt(np.mean(np.square(clipped - split.test.rating))))


def surprise_svd(train: Ratings, test: Ratings, scale: Scale) -> Rated:
    import pandas as pd
    from surprise import SVD, Dataset, Reader

    table = pd.DataFrame({"user": train.user, "item": train.item, "rating": train.rating})
    data = Dataset.load_from_df(table, Reader(rating_scale=(scale.min, scale.max)))
    model = SVD(random_state=0).fit(data.build_full_trainset())
    return np.array([model.predict(u, i).est for u, i in zip(test.user, test.item, strict=True)])


def cmfrec_als(train: Ratings, test: Ratings, scale: Scale) -> Rated:
    import pandas as pd
    from cmfrec import CMF

    columns = {"UserId": train.user, "ItemId": train.item, "Rating": train.rating}
    model = CMF(verbose=False).fit(pd.DataFrame(columns))
    predicted = model.predict(test.user, test.item)
    return np.where(np.isnan(predicted), train.mean, predicted)  # NaN for unseen items


def myfm_gibbs(train: Ratings, test: Ratings, scale: Scale) -> Rated:
    import myfm
    from sklearn.preprocessing import OneHotEncoder

    encoder = OneHotEncoder(handle_unknown="ignore")
    rows = encoder.fit_transform(np.stack([train.user, train.item], axis=1))
    groups = [side for side, ids in enumerate(encoder.categories_) for _ in ids]
    model = myfm.MyFMRegressor(rank=10, random_seed=0)
    model.fit(rows, train.rating, n_iter=200, n_kept_samples=200, grouping=groups)
    return np.asarray(model.predict(encoder.transform(np.stack([test.user, test.item], axis=1))))


METHODS = {
    "Surprise SVD": surprise_svd,
    "cmfrec ALS": cmfrec_als,
    "myFM, rank 10, 200 samples": myfm_gibbs,
}

if __name__ == "__main__":
    typer.run(main)

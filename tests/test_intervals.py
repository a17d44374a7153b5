"""`mfcli predict` with intervals and probabilities, and the same in Python."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow.parquet as pq
import pytest
from conftest import Run
from planted import planted_split

from mfcli.config import Config
from mfcli.errors import ArtifactError, UsageError
from mfcli.model import Model
from mfcli.splits import Split
from mfcli.training import fit

CONFIG = Config(k=2, epochs=5, optimizer="gibbs", keep_samples=4)
SCORES = Config(
    k=2, epochs=5, optimizer="gibbs", keep_samples=4, target="rated", unrated_weight=0.1
)
USERS, ITEMS = [3, 4, 999, 3], [1, 2, 1, 888]  # 999 and 888 are unknown


@pytest.fixture(scope="module")
def split() -> Split:
    return planted_split(Config(), users=30, items=20)


@pytest.fixture(scope="module")
def model(split: Split) -> Model:
    return fit(split, CONFIG).model


@pytest.fixture
def ready(run: Run, model: Model) -> Run:
    model.save("model")
    pairs = pd.DataFrame({"user": USERS, "item": ITEMS})
    pairs.to_csv("pairs.csv", index=False)
    pairs.to_parquet("pairs.parquet")
    return run


def expected(model: Model, coverage: float, rating: float, *, clip: bool = True) -> np.ndarray:
    found = model.predict_distribution(USERS, ITEMS)
    mean = model.clipped(found.mean) if clip else found.mean
    columns = mean, *found.interval(coverage, clip=clip), found.at_least(rating)
    return np.column_stack(columns).astype(np.float32)


COLUMNS = ["prediction", "low", "high", "probability"]
BOTH = ("--interval", "0.9", "--probability", "4")
READERS: dict[str, Callable[[], pd.DataFrame]] = {
    "out.csv": lambda: pd.read_csv("out.csv"),
    "out.parquet": lambda: pq.read_table("out.parquet").to_pandas(),
}


@pytest.mark.parametrize("source", ["pairs.csv", "pairs.parquet"])
@pytest.mark.parametrize("out", READERS)
def test_files_get_columns(ready: Run, model: Model, source: str, out: str) -> None:
    assert ready("predict", source, *BOTH, "--out", out).code == 0
    made = READERS[out]()
    assert [*made.columns] == ["user", "item", *COLUMNS]
    values = made[COLUMNS].to_numpy(np.float32)
    np.testing.assert_allclose(values, expected(model, 0.9, 4), rtol=1e-6)


def test_each_option_adds_its_columns_alone(ready: Run) -> None:
    one = ready("predict", "pairs.csv", "--interval", "0.5", "-q").out.splitlines()
    assert one[0] == "user,item,prediction,low,high"
    other = ready("predict", "pairs.csv", "--probability", "4", "-q").out.splitlines()
    assert other[0] == "user,item,prediction,probability"
    plain = ready("predict", "pairs.csv", "-q").out.splitlines()
    for with_ends, with_chance, line in zip(one, other, plain, strict=True):
        assert with_ends.startswith(f"{line},")
        assert with_chance.startswith(f"{line},")


def test_ends_of_intervals_are_clipped_like_predictions(ready: Run, model: Model) -> None:
    ready("predict", "pairs.csv", *BOTH, "--no-clip", "--out", "out.csv")
    values = READERS["out.csv"]()[COLUMNS].to_numpy(np.float32)
    np.testing.assert_allclose(values, expected(model, 0.9, 4, clip=False), rtol=1e-6)
    low, high = model.predict_distribution(USERS, ITEMS).interval(0.999999)
    assert low.min() == np.float32(model.scale.min)
    assert high.max() == np.float32(model.scale.max)


def test_named_pairs_have_the_same_columns(ready: Run, model: Model) -> None:
    made = json.loads(ready("predict", "--user", 3, "--item", 1, *BOTH, "--json").out)
    (row,) = made["predictions"]
    assert [*row] == ["user", "item", *COLUMNS]
    assert [row[name] for name in COLUMNS] == pytest.approx(
        expected(model, 0.9, 4)[0].tolist(), rel=1e-6
    )


def test_threads_do_not_change_intervals(ready: Run) -> None:
    made = [ready("predict", "pairs.csv", *BOTH, "-q", "--threads", n).out for n in (1, 2)]
    assert made[0] == made[1]


def test_existing_columns_are_refused(ready: Run) -> None:
    pd.DataFrame({"user": [3], "item": [1], "high": [2]}).to_csv("pairs.csv", index=False)
    made = ready("predict", "pairs.csv", *BOTH)
    assert (made.code, made.out) == (1, "")
    assert "pairs.csv: has a column 'high' already; rename or remove it" in made.err


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["--interval", "1"], "--interval must be above 0 and below 1, got 1.0"),
        (["--interval", "nan"], "--interval must be above 0 and below 1, got nan"),
        (["--probability", "inf"], "--probability must be finite, got inf"),
    ],
)
def test_invalid_values_are_refused(ready: Run, options: list[str], message: str) -> None:
    made = ready("predict", "pairs.csv", *options)
    assert (made.code, made.err) == (2, f"error: {message}\n")


def test_models_without_samples_are_refused(run: Run, split: Split, model: Model) -> None:
    replace(model, samples=None).save("model")
    Path("pairs.csv").write_text("user,item\n3,1\n")
    made = run("predict", "pairs.csv", "--interval", "0.9", "--out", "out.csv")
    assert (made.code, made.err) == (
        1,
        "error: the model has no samples to tell how certain a prediction is; train with"
        " --optimizer gibbs and --keep-samples 20\n",
    )
    assert not Path("out.csv").exists()
    with pytest.raises(ArtifactError, match="the model has no samples"):
        replace(model, samples=None).predict_distribution(3, 1)


def test_scores_have_no_intervals(run: Run, split: Split) -> None:
    scores = fit(split, SCORES).model
    scores.save("model")
    for option, name in (("--interval", "0.9"), ("--probability", "4")):
        made = run("predict", "--user", 3, "--item", 1, option, name)
        assert (made.code, made.err) == (
            2,
            f"error: {option} is not available for a model that predicts scores; omit it\n",
        )
    with pytest.raises(UsageError, match="scores, which have no distribution of ratings"):
        scores.predict_distribution(3, 1)


def test_distributions_are_by_raw_ids(model: Model) -> None:
    found = model.predict_distribution([3, 4, 999], [1, 2, 1], threads=1)
    np.testing.assert_array_equal(found.mean, model.predict([3, 4, 999], [1, 2, 1], clip=False))
    table = {"user": [3, 4, 999], "item": [1, 2, 1]}
    np.testing.assert_array_equal(model.predict_distribution(table).sd, found.sd)
    one = model.predict_distribution("3", [1, 2])
    assert (len(one), one.sd[0]) == (2, found.sd[0])
    # Less is known about an unknown user.
    assert found.sd[2] > found.sd[0]


def test_commands_keep_and_show_samples(run: Run, split: Split) -> None:
    rows = zip(split.train.user, split.train.item, split.train.rating, strict=True)
    text = "".join(f"{u},{i},{r:.1f}\n" for u, i, r in rows)
    Path("data.csv").write_text(f"user,item,rating\n{text}")
    assert run("split", "data.csv", "-q").code == 0
    options = ("--optimizer", "gibbs", "--k", 2, "--epochs", 5, "-q")
    made = run("train", *options, "--keep-samples", 6)
    assert (made.code, made.err) == (
        1,
        "error: --keep-samples must be at most 5, the number of averaged epochs, got 6; use more"
        " --epochs or keep fewer samples\n",
    )
    assert not Path("model").exists()
    assert run("train", *options, "--keep-samples", 4).code == 0
    assert re.search("samples +│ +4 ", run("show", "model").out)
    note = "note: the export has no samples for intervals; they are in model/*_samples.npy\n"
    assert note in run("export", "--format", "npz").err
    # Without samples, an older model leaves no files of samples behind.
    assert run("train", *options).code == 0
    assert not [*Path("model").glob("*samples*")]
    assert "samples" not in run("show", "model").out
    assert run("export", "--format", "npz").err == ""

"""Pictures of histories and metrics."""

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import matplotlib.image
import numpy as np
import pytest
from planted import planted_split

from mfcli.config import Config
from mfcli.errors import ArtifactError, UsageError
from mfcli.evaluation import FoldMetrics, Metrics, evaluate
from mfcli.plots import drawing, plot_histories, plot_metrics
from mfcli.training import Epoch, History
from mfcli.training.loop import start

KERAS = {"loss": [1.5, 1.0, 0.9], "val_loss": [1.4, 1.1, 1.2]}
OURS = History.of([Epoch(n, 1 / n, 0.9 / n, 1.1 / n, 1.0 / n, 0.1) for n in range(1, 6)])
MAGIC = {".png": b"\x89PNG", ".svg": b"<?xml", ".pdf": b"%PDF"}


@pytest.mark.parametrize("suffix", MAGIC)
@pytest.mark.parametrize("rmse", [False, True])
def test_kinds_of_picture(tmp_path: Path, suffix: str, rmse: bool) -> None:
    out = tmp_path / f"picture{suffix}"
    plot_histories({"ours": OURS, "keras": History(KERAS)}, out, rmse=rmse)
    assert out.read_bytes().startswith(MAGIC[suffix])
    assert [path.name for path in tmp_path.iterdir()] == [out.name]


@pytest.mark.parametrize("suffix", MAGIC)
def test_same_history_same_bytes(tmp_path: Path, suffix: str) -> None:
    pictures = [tmp_path / f"{name}{suffix}" for name in "ab"]
    for picture in pictures:
        plot_histories({"ours": OURS}, picture)
    assert pictures[0].read_bytes() == pictures[1].read_bytes()


@pytest.fixture
def readable(monkeypatch: pytest.MonkeyPatch) -> None:
    """Write texts to SVG as texts, not as outlines."""
    monkeypatch.setitem(drawing.STYLE, "svg.fonttype", "none")


@pytest.mark.usefixtures("readable")
def test_titles_and_labels_of_histories(tmp_path: Path) -> None:
    plot_histories({"a": OURS, "b": OURS}, tmp_path / "p.svg", rmse=True, title="Two runs")
    text = (tmp_path / "p.svg").read_text()
    for words in ("a training", "b validation", "Epoch", "RMSE", "Loss", "Two runs", "0.4472"):
        assert words in text


@pytest.mark.usefixtures("readable")
def test_validation_errors_against_seconds(tmp_path: Path) -> None:
    plot_histories({"a": OURS}, tmp_path / "p.svg", seconds=True)
    text = (tmp_path / "p.svg").read_text()
    assert "Training time (seconds)" in text
    assert "Epoch" not in text
    with pytest.raises(UsageError, match="keras: has no list 'seconds'; omit seconds"):
        plot_histories({"keras": History(KERAS)}, tmp_path / "p.svg", seconds=True)


def test_a_history_without_mse_has_one_panel(tmp_path: Path) -> None:
    for name, history in (("one", History(KERAS)), ("two", OURS)):
        plot_histories({name: history}, tmp_path / f"{name}.png")
    one, two = (matplotlib.image.imread(tmp_path / f"{name}.png") for name in ("one", "two"))
    assert two.shape[1] == 2 * one.shape[1]


def test_dollar_signs_do_not_start_formulas(tmp_path: Path) -> None:
    plot_histories({r"p$\frac$": OURS, "b": OURS}, tmp_path / "p.png", title=r"$\foo$")
    assert (tmp_path / "p.png").is_file()


def test_other_suffixes_are_refused(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match=r"must end in \.png, \.svg, \.pdf, got '\.jpeg'"):
        plot_histories({"ours": OURS}, tmp_path / "p.jpeg")


def test_histories_of_keras_are_read(tmp_path: Path) -> None:
    path = tmp_path / "keras.json"
    path.write_text(json.dumps(KERAS))
    assert History.read(path).lists == KERAS


def test_histories_are_written_as_keras_names_them(tmp_path: Path) -> None:
    path = tmp_path / "history.json"
    OURS.write(path)
    assert list(json.loads(path.read_text())) == [
        "format",
        "mfcli",
        "loss",
        "mse",
        "val_loss",
        "val_mse",
        "seconds",
        "digest",
    ]
    assert History.read(path) == OURS


@pytest.mark.parametrize(
    ("value", "message"),
    [
        ({}, "has no list 'loss'"),
        ({"loss": []}, "has no list 'loss'"),
        ({"loss": 3}, "has no list 'loss'"),
        ({"loss": [1], "mse": ["x", 2]}, "'mse' must be a list of numbers"),
        ({"loss": ["x"]}, "'loss' must be a list of numbers"),
        ({"loss": [True]}, "'loss' must be a list of numbers"),
        ({"loss": [[1]]}, "'loss' must be a list of numbers"),
        ({"loss": [10**400]}, "'loss' has no finite number"),
        ({"loss": [float("nan")]}, "'loss' has no finite number"),
        ({"history": 3}, "has no list 'loss'"),
        ({"loss": [1], "format": 9}, "has format 9, but this mfcli reads format 2; upgrade"),
    ],
)
def test_other_files_are_refused(tmp_path: Path, value: object, message: str) -> None:
    path = tmp_path / "h.json"
    path.write_text(json.dumps(value))
    with pytest.raises(ArtifactError, match=message):
        History.read(path)


@pytest.fixture(scope="module")
def metrics() -> Metrics:
    """Metrics with errors by month."""
    split = planted_split(Config())
    seconds = np.linspace(1e9, 1.1e9, len(split.test)).astype(np.int64)
    split = replace(split, test=replace(split.test, timestamp=seconds))
    return evaluate(start(split, Config(k=2)), split, Config(resamples=0))


def changed(record: Any, **fields: Any) -> Any:
    """Copy a record with other values in some fields."""
    values = {name: getattr(record, name) for name in record.__struct_fields__}
    return type(record)(**(values | fields))


@pytest.mark.parametrize("suffix", MAGIC)
def test_the_picture_of_metrics(tmp_path: Path, metrics: Metrics, suffix: str) -> None:
    pictures = [tmp_path / f"{name}{suffix}" for name in "ab"]
    for picture in pictures:
        panels = plot_metrics(metrics, picture)
    assert len(panels) == 6
    assert pictures[0].read_bytes().startswith(MAGIC[suffix])
    assert pictures[0].read_bytes() == pictures[1].read_bytes()


@pytest.mark.usefixtures("readable")
def test_titles_and_labels_of_metrics(tmp_path: Path, metrics: Metrics) -> None:
    bare = changed(metrics, breakdown=changed(metrics.breakdown, month=None))
    plot_metrics(metrics, tmp_path / "p.svg")
    assert len(plot_metrics(bare, tmp_path / "q.svg", title="Mine $x$")) == 5
    text = (tmp_path / "p.svg").read_text()
    rmse = f"RMSE {metrics.measures['rmse']:.4f} on "
    words = (
        *("Training ratings of the item", "Training ratings of the user", "RMSE (rating units)"),
        *("Calibration", "Residuals", "Month"),
    )
    for word in (rmse, *words):
        assert word in text
    other = (tmp_path / "q.svg").read_text()
    assert "Mine $x$" in other
    assert "Month" not in other


def test_folds_have_no_picture(tmp_path: Path, metrics: Metrics) -> None:
    folds = FoldMetrics.of([metrics, metrics])
    with pytest.raises(ArtifactError, match="several folds have no picture; evaluate one fold"):
        plot_metrics(folds, tmp_path / "p.png")

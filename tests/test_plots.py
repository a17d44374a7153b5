"""Pictures of histories."""

import json
from pathlib import Path

import matplotlib.image
import pytest

from mfcli.errors import ArtifactError, UsageError
from mfcli.plots import plot_histories
from mfcli.training import Epoch, History

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


def test_the_svg_says_what_it_shows(tmp_path: Path) -> None:
    import matplotlib

    with matplotlib.rc_context({"svg.fonttype": "none"}):
        plot_histories({"a": OURS, "b": OURS}, tmp_path / "p.svg", rmse=True, title="Two runs")
    text = (tmp_path / "p.svg").read_text()
    for words in ("a training", "b validation", "Epoch", "RMSE", "Loss", "Two runs", "0.4472"):
        assert words in text


def test_seconds_in_place_of_epochs(tmp_path: Path) -> None:
    import matplotlib

    with matplotlib.rc_context({"svg.fonttype": "none"}):
        plot_histories({"a": OURS}, tmp_path / "p.svg", seconds=True)
    text = (tmp_path / "p.svg").read_text()
    assert "Seconds of training" in text
    assert "Epoch" not in text
    with pytest.raises(UsageError, match="keras: has no list 'seconds'; leave out --seconds"):
        plot_histories({"keras": History(KERAS)}, tmp_path / "p.svg", seconds=True)


def test_a_history_without_mse_has_one_panel(tmp_path: Path) -> None:
    for name, history in (("one", History(KERAS)), ("two", OURS)):
        plot_histories({name: history}, tmp_path / f"{name}.png")
    one, two = (matplotlib.image.imread(tmp_path / f"{name}.png") for name in ("one", "two"))
    assert two.shape[1] == 2 * one.shape[1]


def test_names_are_no_mathematics(tmp_path: Path) -> None:
    plot_histories({r"p$\frac$": OURS, "b": OURS}, tmp_path / "p.png", title=r"$\foo$")
    assert (tmp_path / "p.png").is_file()


def test_other_suffixes_are_wrong_usage(tmp_path: Path) -> None:
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
        "loss",
        "mse",
        "val_loss",
        "val_mse",
        "seconds",
    ]
    assert History.read(path) == OURS


@pytest.mark.parametrize(
    ("value", "message"),
    [
        ({}, "has no list 'loss'"),
        ({"loss": []}, "has no list 'loss'"),
        ({"loss": 3}, "has no list 'loss'"),
        ({"loss": [1], "mse": [1, 2]}, "'mse' must be a list of 1 finite numbers"),
        ({"loss": ["x"]}, "'loss' must be a list of 1 finite numbers"),
        ({"loss": [True]}, "'loss' must be a list of 1 finite numbers"),
        ({"loss": [10**400]}, "'loss' must be a list of 1 finite numbers"),
        ({"loss": [float("nan")]}, "'loss' must be a list of 1 finite numbers"),
        ({"loss": [1], "format": 9}, "has format 9; this mfcli reads format 1"),
    ],
)
def test_other_files_are_no_history(tmp_path: Path, value: object, message: str) -> None:
    path = tmp_path / "h.json"
    path.write_text(json.dumps(value))
    with pytest.raises(ArtifactError, match=message):
        History.read(path)

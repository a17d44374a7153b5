"""Histories of Keras, as people save them."""

from __future__ import annotations

import json
import math
import warnings
from pathlib import Path
from typing import Any

import pytest
from conftest import Run

from mfcli.errors import ArtifactError, MfcliWarning
from mfcli.training import Epoch, History
from mfcli.training.keras_history import looks_like_history

NAN = math.nan


def read(tmp_path: Path, value: object, *messages: str) -> dict[str, list[float]]:
    """Read a history, and check its warnings."""
    path = tmp_path / "h.json"
    path.write_text(json.dumps(value))
    with warnings.catch_warnings(record=True) as found:
        warnings.simplefilter("always")
        lists = History.read(path).lists
    assert [str(one.message).removeprefix(f"{path}: ") for one in found] == list(messages)
    return lists


def test_what_is_not_finite_is_left_out_and_reported(tmp_path: Path) -> None:
    value = {"loss": [1.0, NAN, math.inf], "val_loss": [1, 2, None], "lr": [0.1, 0.1, 0.1]}
    lists = read(
        tmp_path,
        value,
        "numbers that are not finite are left out: 'loss' at epoch 2 and 1 more, 'val_loss' at"
        " epoch 3",
    )
    expected = {"loss": [1.0, NAN, NAN], "val_loss": [1.0, 2.0, NAN], "lr": [0.1, 0.1, 0.1]}
    assert json.dumps(lists) == json.dumps(expected)
    huge = "numbers that are not finite are left out: 'loss' at epoch 1"
    assert read(tmp_path, {"loss": [1e31, 1]}, huge)["loss"][1] == 1


@pytest.mark.parametrize(
    ("epochs", "entries", "taken", "places"),
    [
        (10, 5, "every 2 epochs", [2, 4, 6, 8, 10]),
        (10, 3, "every 3 epochs", [3, 6, 9]),
        (10, 9, "epochs 1 to 9", [1, 2, 3, 4, 5, 6, 7, 8, 9]),
        (10, 4, "epochs 1 to 4", [1, 2, 3, 4]),
    ],
)
def test_shorter_lists_are_placed(
    tmp_path: Path, epochs: int, entries: int, taken: str, places: list[int]
) -> None:
    value = {"loss": [1.0] * epochs, "val_loss": [2.0] * entries}
    message = f"'val_loss' has {entries} entries for {epochs} epochs, taken as those of {taken}"
    found = read(tmp_path, value, message)["val_loss"]
    assert [n for n, entry in enumerate(found, start=1) if entry == 2] == places


@pytest.mark.parametrize(
    "value",
    [
        {"loss": ["1.5", "2"], "params": {"epochs": 2}, "optimizer": "adam", "names": ["a", "b"]},
        {"history": {"loss": [1.5, 2]}, "epoch": [0, 1], "params": {}},
        {"loss": {"0": 1.5, "1": 2}},
    ],
    ids=["texts", "attributes", "frame"],
)
def test_forms_of_histories(tmp_path: Path, value: dict[str, Any]) -> None:
    assert looks_like_history(value)
    assert read(tmp_path, value)["loss"] == [1.5, 2.0]


def test_an_older_format_is_read_and_named(tmp_path: Path) -> None:
    value = {"format": 1, "loss": [2.0, 1.0], "seconds": [1, 1], "digest": "of other rules"}
    message = "has format 1 of an older mfcli; its digest is not checked"
    assert read(tmp_path, value, message) == {"loss": [2.0, 1.0], "seconds": [1.0, 1.0]}


def test_our_own_files_are_still_checked(tmp_path: Path) -> None:
    path = tmp_path / "history.json"
    History.of([Epoch(1, 1.0, 1.0, 1.0, 1.0, 1.0)]).write(path)
    path.write_text(path.read_text().replace('"loss": [1.0]', '"loss": [1.5]'))
    with pytest.raises(ArtifactError, match="is damaged"):
        History.read(path)


def test_show_and_plot_read_the_same_histories(run: Run) -> None:
    Path("h.json").write_text('{"loss": [3.0, NaN, 1.0, NaN], "val_loss": [NaN, 2.0]}')
    shown = run("show", "h.json")
    assert shown.code == 0
    assert "warning: h.json: numbers that are not finite" in shown.err
    assert "│ val_loss        │      - │ 2.0000 │        4 │ 2.0000 │" in shown.out
    facts = json.loads(run("show", "h.json", "--json").out)["artifacts"][0]
    assert facts["curve"]["values"] == [None, None, None, 2.0]
    drawn = run("plot", "h.json")
    assert (drawn.code, drawn.out) == (0, "h.png: 1 run\n")
    assert drawn.err.count("warning: h.json: ") == 2


def test_a_warning_is_an_mfcli_warning(tmp_path: Path) -> None:
    path = tmp_path / "h.json"
    path.write_text('{"loss": [1, NaN]}')
    with pytest.warns(MfcliWarning, match="'loss' at epoch 2"):
        History.read(path)

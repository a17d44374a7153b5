"""Recommended settings can be trained with, and do well on real ratings."""

from __future__ import annotations

import json
import re
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from conftest import Run
from planted import planted_ratings, planted_split

from mfcli.config import Config, read_config
from mfcli.search import advise, recommended
from mfcli.splits import Split, read_split, split
from mfcli.training import fit


def advised(parts: Split) -> dict[str, object]:
    return {name: value for name, value, _ in advise(parts)}


def test_it_fits_small_data() -> None:
    parts = planted_split(Config(), users=5, items=40)
    settings = advised(parts)
    assert settings["k"] == 5
    assert all(reason for *_, reason in advise(parts))
    fit(parts, replace(Config(**settings), epochs=3))  # type: ignore[arg-type]


def test_large_data_needs_fewer_epochs(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(recommended, "_LARGE", 100)
    epochs = next(one for one in advise(planted_split(Config())) if one.name == "epochs")
    assert epochs.value == 100
    assert epochs.reason.endswith("an epoch takes seconds.")


@pytest.mark.parametrize(("step", "least"), [(1.0, 0.0), (20.0, -10.0)])
def test_at_most_half_of_the_ratings_are_relevant(step: float, least: float) -> None:
    ratings, _ = planted_ratings()
    values = least + step * np.round(ratings.rating)
    parts = split(replace(ratings, rating=values.astype(np.float32)))
    relevant = advised(parts)["relevant"]
    assert 0 < np.mean(parts.train.rating >= relevant) <= 0.5
    assert np.mean(parts.train.rating >= relevant - step) > 0.5  # type: ignore[operator]


def test_if_all_ratings_are_equal_all_are_relevant() -> None:
    ratings, _ = planted_ratings()
    parts = split(replace(ratings, rating=np.full(len(ratings), 7, np.float32)))
    assert advised(parts)["relevant"] == 7
    model = fit(parts, replace(Config(**advised(parts)), epochs=50)).model  # type: ignore[arg-type]
    np.testing.assert_allclose(model.predict_rows(parts.test.user, parts.test.item), 7, atol=0.3)


def test_init_then_train(run: Run, real_split: Path) -> None:
    """It is better than SGD with a schedule, penalties per rating and many factors."""
    done = run("init", "--split", real_split)
    assert done.code == 0
    assert done.out.endswith("wrote mfcli.toml; next: mfcli train\n")
    trained = run("train", "--split", real_split, "--epochs", 40, "--k", 8, "--json")
    careful = Config(k=30, epochs=30, batch_size=32, lr=0.05, lr_schedule="cosine", reg=0.1)
    other = fit(read_split(real_split), replace(careful, reg_scope="rating"))
    assert json.loads(trained.out)["val_mse"] < other.losses["val_mse"] - 0.01


def test_an_existing_file_is_kept(run: Run, real_split: Path) -> None:
    Path("mfcli.toml").write_text("k = 3\n", encoding="utf-8")
    done = run("init", "--split", real_split)
    assert (done.code, done.err) == (
        1,
        "error: mfcli.toml: already exists, with settings that mfcli did not write; choose another"
        " --out, or overwrite it with --force\n",
    )
    assert Path("mfcli.toml").read_text(encoding="utf-8") == "k = 3\n"
    assert run("init", "--split", real_split, "--out", "other.toml").out.endswith(
        "wrote other.toml; next: mfcli train --config other.toml\n"
    )
    assert run("init", "--split", real_split, "--force").code == 0
    assert read_config(Path("mfcli.toml")).optimizer == "gibbs"


def test_its_own_file_is_replaced_until_it_is_edited(run: Run, real_split: Path) -> None:
    file = Path("mfcli.toml")
    for _ in range(2):
        assert run("init", "--split", real_split).code == 0
    written = file.read_text(encoding="utf-8")
    assert re.search(
        r"\n\n# Written by mfcli init; replaced unless edited \(\w{16}\)\.\n$", written
    )
    for edited in (written.replace("k = 15", "k = 17"), written + "at = 5\n", f"\n{written}"):
        file.write_text(edited, encoding="utf-8")
        assert run("init", "--split", real_split).code == 1
        assert file.read_text(encoding="utf-8") == edited
    Path("large.toml").write_bytes(b"#" * 2_000_000 + written.encode())
    assert run("init", "--split", real_split, "--out", "large.toml").code == 1
    file.write_bytes(written.replace("\n", "\r\n").encode())  # as some programs copy texts
    assert run("init", "--split", real_split).code == 0

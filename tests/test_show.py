"""`mfcli show`: what it finds and shows; no damaged or hostile file makes it fail."""

from __future__ import annotations

import copy
import json
import re
import shutil
import subprocess
import sys
import zipfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any
from unicodedata import category

import h5py
import numpy as np
import pytest
from conftest import Outcome, Run
from hypothesis import HealthCheck, given, settings, strategies as st
from typer.testing import CliRunner

from mfcli import __version__
from mfcli.cli import app, formatting
from mfcli.config import SETTINGS, Config
from mfcli.data import read_ratings
from mfcli.evaluation import FoldMetrics, Metrics, evaluate
from mfcli.model import Model
from mfcli.show import changed, facts_of, find, versions
from mfcli.show.installed import LIBRARIES
from mfcli.splits import read_split, split, split_hash, write_split
from mfcli.storage import json_text, records
from mfcli.storage.records import seal
from mfcli.training import Epoch, Fit, History
from mfcli.training.loop import start

USERS, ITEMS = 5, 4
CONFIG = Config(k=2, reg=0.01, epochs=3, valid=0.1)


def write_data(path: Path) -> None:
    """Write 18 ratings of 5 users and 4 items; one pair is rated twice, and one row is faulty."""
    pairs = [(u, i) for u in range(USERS) for i in range(ITEMS) if (u + i) % 7]
    rows = [f"u{u},{i},{1 + (u * i) % 5},{100 + u}" for u, i in pairs]
    lines = ["user,item,rating,timestamp", *rows, "u0,1,5,900", "u0,2,x,0"]
    path.write_text("\n".join(lines) + "\n")


def write_run(folder: Path, parts: Path, config: Config) -> Metrics:
    """Write a model with known weights and a history of three epochs."""
    made = read_split(parts)
    model = start(made, config)
    tables = {name: np.round(np.full_like(t, 0.25), 2) for name, t in model.tables.items()}
    tables["user_factors"][1] = 0
    tables["item_biases"][2] = -1.5
    epochs = [(1, 1.44, 0.5), (2, 1.0, 0.25), (3, 1.21, 0.25)]
    history = [Epoch(n, m + 0.5, m + 0.2, m + 0.3, m, s) for n, m, s in epochs]
    Fit(model.with_tables(tables), History.of(history)).write(folder)
    trained: Model = model.with_tables(tables)
    return evaluate(trained, made)


@pytest.fixture(scope="module")
def planted(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A working folder; `folds` is another one with a k-fold split."""
    folder = tmp_path_factory.mktemp("planted")
    with pytest.MonkeyPatch.context() as patch:
        metadata = {"keras_version": "3.0", "date_saved": "2026-01-02@03:04:05"}
        patch.setattr("mfcli.model.keras_file._metadata", lambda: metadata)
        _write_all(folder)
    return folder


def _write_all(folder: Path) -> None:
    write_data(folder / "data.csv")
    ratings = read_ratings(folder / "data.csv", rejected=folder / "rejected.csv")
    (folder / "mfcli.toml").write_text("k = 2\nlr = 0.08\n")
    write_split(folder / "split", split(ratings, CONFIG), folder / "rejected.csv")
    write_run(folder, folder / "split", CONFIG).write(folder / "metrics.json")
    write_run(folder / "runs" / "a", folder / "split", CONFIG)
    folds = folder / "folds"
    write_split(folds / "split", split(ratings, Config(strategy="k-fold", folds=2, seed=3)))
    FoldMetrics.of(
        [write_run(folds / f"fold-{n}", folds / "split" / f"fold-{n}", Config(k=3)) for n in (1, 2)]
    ).write(folds / "metrics.json")


@pytest.fixture
def work(planted: Path, run: Run) -> Run:
    """Run commands in a copy of the planted working folder."""
    shutil.copytree(planted, Path(), dirs_exist_ok=True)
    return run


def page(outcome: Outcome) -> str:
    """Return what follows the versions, without the blanks at the ends of lines."""
    after = outcome.out.split("┘\n", 1)[1]
    return "".join(f"{line.rstrip()}\n" for line in after.splitlines())


PAGE = """\
mfcli.toml: settings
┏━━━━┳━━━━━━━┳━━━━━━━━━━┓
┃    ┃ value ┃  default ┃
┡━━━━╇━━━━━━━╇━━━━━━━━━━┩
│ k  │     2 │       10 │
│ lr │  0.08 │ the same │
└────┴───────┴──────────┘
split: split
┏━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━┳━━━━━━━━━━━━━━━━━━━━━━━━━━━━━┓
┃                                        ┃                       value ┃
┡━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━╇━━━━━━━━━━━━━━━━━━━━━━━━━━━━━┩
│ source                                 │            data.csv, 0.2 kB │
│ sha256 of the source                   │                965acda8e91d │
│ format                                 │ text, separator ',', header │
│ column of user                         │                        user │
│ column of item                         │                        item │
│ column of rating                       │                      rating │
│ column of timestamp                    │                   timestamp │
│ rows read                              │                          19 │
│ rows skipped                           │                           1 │
│ duplicates merged                      │                           1 │
│ strategy                               │                      random │
│ strategy: test                         │                         0.2 │
│ strategy: valid                        │                         0.1 │
│ seed                                   │                           0 │
│ users                                  │                           5 │
│ items                                  │                           4 │
│ ratings                                │                          18 │
│ rows skipped: rating                   │                           1 │
│ density                                │                    90.0000% │
│ mean of train                          │                      2.7500 │
│ scale                                  │              1 to 5, step 1 │
│ train                                  │                  12 (66.7%) │
│ test                                   │                   4 (22.2%) │
│ valid                                  │                   2 (11.1%) │
│ test with a user or item not in train  │                           0 │
│ valid with a user or item not in train │                           0 │
│ hash                                   │                HASH-OF-IT-- │
│ written by                             │                 mfcli V.V.V │
└────────────────────────────────────────┴─────────────────────────────┘
model: model
┏━━━━━━━━━━━━━━━┳━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━┓
┃               ┃                                             value ┃
┡━━━━━━━━━━━━━━━╇━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━┩
│ k             │                                    2 (default 10) │
│ reg           │                    0.01 (default 0; 0.1 with als) │
│ epochs        │                                    3 (default 15) │
│ users         │                   5 (0 without a training rating) │
│ items         │                   4 (0 without a training rating) │
│ predicts      │                                           ratings │
│ mu            │                                            2.7500 │
│ scale         │                                    1 to 5, step 1 │
│ parameters    │                                                27 │
│ size on disk  │                                           SIZE-IT │
│ trained on    │                                             train │
│ split         │                      HASH-OF-IT-- (same as split) │
│ last loss     │                                            1.7100 │
│ last mse      │                                            1.4100 │
│ last val_loss │                                            1.5100 │
│ last val_mse  │                                            1.2100 │
│ written by    │ mfcli V.V.V, keras 3.0, saved 2026-01-02@03:04:05 │
└───────────────┴───────────────────────────────────────────────────┘
default settings: optimizer sgd, ensemble 1, lr 0.08, batch_size 128, momentum 0.9, nesterov false,\
 reg_scope table, lr_schedule constant, warmup 0, momentum_schedule constant, engine auto, seed 0
model: weights
┏━━━━━━━━━━━━━━┳━━━━━━━┳━━━━━━━━━┳━━━━━━━━━━━━━━━━━━┳━━━━━━━━━━━┓
┃              ┃ shape ┃ largest ┃ root mean square ┃ zero rows ┃
┡━━━━━━━━━━━━━━╇━━━━━━━╇━━━━━━━━━╇━━━━━━━━━━━━━━━━━━╇━━━━━━━━━━━┩
│ user_factors │ 5 x 2 │  0.2500 │           0.2236 │ 1 (20.0%) │
│ item_factors │ 4 x 2 │  0.2500 │           0.2500 │  0 (0.0%) │
│ user_biases  │ 5 x 1 │  0.2500 │           0.2500 │  0 (0.0%) │
│ item_biases  │ 4 x 1 │  1.5000 │           0.7806 │  0 (0.0%) │
└──────────────┴───────┴─────────┴──────────────────┴───────────┘
history.json: history
┏━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━┳━━━━━━━━━┓
┃                                ┃   value ┃
┡━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━╇━━━━━━━━━┩
│ epochs                         │       3 │
│ time                           │     1 s │
│ time per epoch                 │ 0.333 s │
│ best epoch, by validation RMSE │       2 │
│ validation RMSE by epoch       │     █▁▅ │
└────────────────────────────────┴─────────┘
history.json: lists
┏━━━━━━━━━━━━━━━━━┳━━━━━━━━┳━━━━━━━━┳━━━━━━━━━━┳━━━━━━━━┓
┃                 ┃  first ┃   best ┃ at epoch ┃   last ┃
┡━━━━━━━━━━━━━━━━━╇━━━━━━━━╇━━━━━━━━╇━━━━━━━━━━╇━━━━━━━━┩
│ validation RMSE │ 1.2000 │ 1.0000 │        2 │ 1.1000 │
│ loss            │ 1.9400 │ 1.5000 │        2 │ 1.7100 │
│ mse             │ 1.6400 │ 1.2000 │        2 │ 1.4100 │
│ val_loss        │ 1.7400 │ 1.3000 │        2 │ 1.5100 │
│ val_mse         │ 1.4400 │ 1.0000 │        2 │ 1.2100 │
│ seconds         │ 0.5000 │      - │        - │ 0.2500 │
└─────────────────┴────────┴────────┴──────────┴────────┘
metrics.json: metrics
┏━━━━━━━━━━━━━━━━━━━━━━━━━━━━┳━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━┓
┃                            ┃                          value ┃
┡━━━━━━━━━━━━━━━━━━━━━━━━━━━━╇━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━┩
│ measured on                │        4 test ratings, clipped │
│ RMSE                       │                         1.9152 │
│ MAE                        │                         1.7188 │
│ R2                         │                        -0.4672 │
│ RMSE of damped biases      │          1.5694 (gain -22.03%) │
│ RMSE of the training mean  │          1.6008 (gain -19.64%) │
│ RMSE, warm                 │             1.9152 (4 ratings) │
│ RMSE, unseen user          │                  - (0 ratings) │
│ RMSE, unseen item          │                  - (0 ratings) │
│ RMSE, unseen user and item │                  - (0 ratings) │
│ split                      │   HASH-OF-IT-- (same as split) │
│ k                          │                 2 (default 10) │
│ reg                        │ 0.01 (default 0; 0.1 with als) │
│ epochs                     │                 3 (default 15) │
│ written by                 │                    mfcli V.V.V │
└────────────────────────────┴────────────────────────────────┘
"""

FOLDS = """\
split: split
┏━━━━━━━━━━━━━━━━━━━━━━┳━━━━━━━━━━━━━━━━━━━━━━━━━━━━━┓
┃                      ┃                       value ┃
┡━━━━━━━━━━━━━━━━━━━━━━╇━━━━━━━━━━━━━━━━━━━━━━━━━━━━━┩
│ source               │            data.csv, 0.2 kB │
│ sha256 of the source │                965acda8e91d │
│ format               │ text, separator ',', header │
│ column of user       │                        user │
│ column of item       │                        item │
│ column of rating     │                      rating │
│ column of timestamp  │                   timestamp │
│ rows read            │                          19 │
│ rows skipped         │                           1 │
│ duplicates merged    │                           1 │
│ strategy             │                      k-fold │
│ strategy: valid      │                           0 │
│ seed                 │                           3 │
│ users                │                           5 │
│ items                │                           4 │
│ ratings              │                          18 │
│ rows skipped: rating │                           1 │
│ density              │                    90.0000% │
│ mean                 │                      2.7778 │
│ scale                │              1 to 5, step 1 │
│ folds                │                           2 │
│ hash                 │                HASH-OF-IT-- │
│ written by           │                 mfcli V.V.V │
└──────────────────────┴─────────────────────────────┘
metrics.json: metrics
┏━━━━━━━━━━━━━━━━━━━━━━━┳━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━┓
┃                       ┃                                                  value ┃
┡━━━━━━━━━━━━━━━━━━━━━━━╇━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━┩
│ folds                 │                                                      2 │
│ RMSE                  │                      1.8041, standard deviation 0.1148 │
│ MAE                   │                      1.5586, standard deviation 0.0295 │
│ R2                    │                     -0.3406, standard deviation 0.4175 │
│ RMSE of damped biases │                      1.5930, standard deviation 0.1353 │
│ fold 1                │ RMSE 1.8853, split HASH-FOLD-1- (same as split/fold-1) │
│ fold 2                │ RMSE 1.7229, split HASH-FOLD-2- (same as split/fold-2) │
│ k                     │                                         3 (default 10) │
│ written by            │                                            mfcli V.V.V │
└───────────────────────┴────────────────────────────────────────────────────────┘
.: 2 folds, validation RMSE
┏━━━━━━┳━━━━━━━━┳━━━━━━━━┳━━━━━━━━┳━━━━━━━━━━┳━━━━━━━━┳━━━━━━┳━━━━━━━━━━━━━━━━┳━━━━━━━━━━━━━━┓
┃ fold ┃ epochs ┃  first ┃   best ┃ at epoch ┃   last ┃ time ┃ largest weight ┃        split ┃
┡━━━━━━╇━━━━━━━━╇━━━━━━━━╇━━━━━━━━╇━━━━━━━━━━╇━━━━━━━━╇━━━━━━╇━━━━━━━━━━━━━━━━╇━━━━━━━━━━━━━━┩
│ 1    │      3 │ 1.2000 │ 1.0000 │        2 │ 1.1000 │  1 s │         1.5000 │ split/fold-1 │
│ 2    │      3 │ 1.2000 │ 1.0000 │        2 │ 1.1000 │  1 s │         1.5000 │ split/fold-2 │
└──────┴────────┴────────┴────────┴──────────┴────────┴──────┴────────────────┴──────────────┘
changed settings: k 3
"""


def test_the_page_of_a_working_folder(work: Run) -> None:
    size = formatting.size(sum(path.stat().st_size for path in Path("model").iterdir()))
    expected = PAGE.replace("HASH-OF-IT--", split_hash(Path("split"))[:12])
    expected = expected.replace("V.V.V", __version__)
    done = work("show")
    assert (done.code, done.err) == (0, "")
    assert page(done) == expected.replace("SIZE-IT", f"{size:>7}")
    listed = re.search(r"^default settings:(.*?)^model: w", page(done), re.DOTALL | re.MULTILINE)
    assert listed
    shown = {text.split()[0] for text in listed[1].replace("\n", " ").split(",")}
    assert shown | {"k", "reg", "epochs"} == set(CONFIG.used("training"))


def test_a_setting_that_stands_for_a_known_value_is_not_changed() -> None:
    used = Config(optimizer="gibbs", k=3).used("training")
    assert used["average"] == 0.9
    assert changed(used) == ["k", "optimizer"]
    scores = Config(optimizer="als", target="rated", unrated_weight=0.1).used("training")
    assert scores["metric"] == "ndcg"
    assert changed(scores) == ["optimizer", "target", "unrated_weight"]
    assert changed({"optimizer": "of a later version", "k": 10, "new": 1}) == ["optimizer", "new"]


def test_errors_spell_parameters_as_asked(planted: Path, tmp_path: Path) -> None:
    (tmp_path / "mfcli.toml").write_text("k = 0")
    facts = facts_of(find(tmp_path)[0], lambda param: f"--{param.name}")
    assert facts["error"] == f"{tmp_path / 'mfcli.toml'}: k must be at least 1, got 0"


def test_the_page_of_a_k_fold_training(work: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir("folds")
    expected = FOLDS.replace("HASH-OF-IT--", split_hash(Path("split"))[:12])
    expected = expected.replace("V.V.V", __version__)
    for fold in (1, 2):
        hash = split_hash(Path(f"split/fold-{fold}"))
        assert hash == read_split(Path(f"split/fold-{fold}")).hash
        expected = expected.replace(f"HASH-FOLD-{fold}-", hash[:12])
    done = work("show")
    assert (done.code, done.err) == (0, "")
    assert page(done) == expected


def test_versions_come_first_and_name_missing_libraries(
    work: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert set(LIBRARIES) <= set(versions())
    monkeypatch.setattr("mfcli.show.installed.LIBRARIES", ("numpy", "no-such-library"))
    lines = work("show", "mfcli.toml").out.splitlines()
    assert lines[0].rstrip() == "Versions"
    assert any("numpy" in line and np.__version__ in line for line in lines)
    assert any("no-such-library │" in line and "not installed │" in line for line in lines)


PLACES = [
    (".", ["settings", "split", "model", "history", "metrics"]),
    ("split", ["split"]),
    ("split/split.json", ["split"]),
    ("model", ["model"]),
    ("model/model.json", ["model"]),
    ("model/model.keras", ["keras"]),
    ("mfcli.toml", ["settings"]),
    ("history.json", ["history"]),
    ("metrics.json", ["metrics"]),
    ("runs/a", ["model", "history"]),
    ("folds", ["split", "metrics", "model", "history", "model", "history"]),
    ("folds/split", ["split"]),
    ("folds/split/fold-2", ["split"]),
    ("folds/fold-1", ["model", "history"]),
    ("folds/metrics.json", ["metrics"]),
]


@pytest.mark.parametrize(("place", "kinds"), PLACES, ids=[place for place, _ in PLACES])
def test_every_kind_of_path(work: Run, place: str, kinds: list[str]) -> None:
    done = work("show", place, "--json")
    assert (done.code, done.err) == (0, "")
    artifacts = json.loads(done.out)["artifacts"]
    assert [artifact["kind"] for artifact in artifacts] == kinds
    assert work("show", place).code == 0


def test_several_paths_without_repetition(work: Run) -> None:
    done = work("show", "history.json", ".", "folds/fold-1/history.json", "--json")
    paths = [artifact["path"] for artifact in json.loads(done.out)["artifacts"]]
    assert paths[0] == "history.json"
    assert len(paths) == len(set(paths)) == 6


def test_files_are_recognized_by_their_content(work: Run) -> None:
    Path("history.json").rename("run-7.json")
    Path("metrics.json").rename("best.json")
    artifacts = json.loads(work("show", "run-7.json", "best.json", "--json").out)["artifacts"]
    assert [artifact["kind"] for artifact in artifacts] == ["history", "metrics"]


def test_json_has_the_facts_of_the_page(work: Run) -> None:
    done = work("show", "--json")
    result = json.loads(done.out)
    split_, model, history, metrics = result["artifacts"][1:]
    manifest = json.loads(Path("split/split.json").read_text())
    shared = {"strategy", "source", "users", "items", "ratings", "density", "mean", "scale", "hash"}
    assert {name: split_[name] for name in shared} == {name: manifest[name] for name in shared}
    assert split_["unseen"] == manifest["unseen"]
    record = json.loads(Path("model/model.json").read_text())
    assert {name: model[name] for name in ("mu", "scale", "split", "losses")} == {
        name: record[name] for name in ("mu", "scale", "split", "losses")
    }
    assert model["config"] == record["settings"]
    assert model["changed"] == ["k", "reg", "epochs"]
    beside = {"path": "split", "hash": manifest["hash"], "parent": "", "same": True}
    assert model["split_beside"] == beside
    assert history["curve"]["values"] == pytest.approx([1.2, 1.0, 1.1])
    written = json.loads(Path("metrics.json").read_text())
    assert all(metrics[name] == written[name] for name in ("measures", "groups"))
    assert metrics["config"] == written["training"]


def test_a_fold_is_described_without_being_written(work: Run) -> None:
    fold = Path("folds/split/fold-2")
    shown = json.loads(work("show", fold, "--json").out)["artifacts"][0]
    made = read_split(fold)
    assert shown["ratings"] == {"all": 18, "train": len(made.train), "test": len(made.test)}
    assert shown["mean"] == made.train.mean
    assert shown["strategy"]["fold"] == 2


def test_a_model_of_another_split_is_marked(work: Run, planted: Path) -> None:
    ratings = read_ratings(planted / "data.csv", rejected=Path("rejected.csv"))
    other = write_split(Path("split"), split(ratings, Config(seed=9)))["hash"][:12]
    own = json.loads(Path("model/model.json").read_text())["split"][:12]
    done = work("show", "model", "metrics.json", "runs/a")
    assert done.code == 0
    assert done.out.count(f"{own} (not split, which is {other})") == 3
    shutil.rmtree("split")
    assert f" {own} │" in work("show", "model").out
    Path("runs/split").mkdir()
    (Path("runs/split") / "split.json").write_text("damaged")
    assert work("show", "runs/a").code == 0


def test_a_history_of_keras(work: Run) -> None:
    lists = {
        "accuracy": [0.5, 0.75],
        "loss": [2, 1.5],
        "val_loss": [3.0, 1e-5],
        "learning_rate": [0.1, 0.05],
    }
    Path("keras.json").write_text(json.dumps(lists))
    done = work("show", "keras.json")
    assert done.code == 0
    assert "│ best epoch, by validation loss │     2 │" in done.out
    assert "│ validation loss by epoch       │    █▁ │" in done.out
    assert "│ accuracy        │ 0.5000 │      - │        - │ 0.7500 │" in done.out
    assert "│ val_loss        │ 3.0000 │  1e-05 │        2 │  1e-05 │" in done.out
    assert "time" not in done.out.split("keras.json", 1)[1]


KINDS = {
    "mfcli.toml": "settings",
    "split": "split",
    "model": "model",
    "history.json": "history",
    "metrics.json": "metrics",
}
DAMAGES = [
    ("mfcli.toml", b"k = 0", "mfcli.toml: k must be at least 1, got 0"),
    ("split/split.json", b"{", "split/split.json: is not valid JSON"),
    ("split/split.json", None, "split: holds no split; make one with"),
    ("split/train.arrow", b"", "split/train.arrow: is damaged (its digest is wrong)"),
    ("split/test.arrow", None, "split/test.arrow: cannot be read: No such file"),
    ("split/rejected.csv", b"", "split/rejected.csv: is damaged (its digest is wrong)"),
    ("model/model.json", b"{}", "model/model.json: has no format number, got None"),
    ("model/model.json", None, "model: holds no model; train one with: mfcli train"),
    ("model/model.keras", b"", "model/model.keras: is damaged (File is not a zip file)"),
    ("model/model.keras", None, "model/model.keras: is missing; train again"),
    ("model/users.arrow", b"", "model/users.arrow: is damaged (its digest is wrong)"),
    ("history.json", b"[]", "history.json: must hold a JSON object, got list"),
    ("history.json", b'{"loss": [NaN, null]}', "history.json: 'loss' has no finite number"),
    ("metrics.json", b"", "metrics.json: is not valid JSON"),
    ("metrics.json", b"{}", "metrics.json: contains no metrics; create them with: mfcli evaluate"),
    ("metrics.json", b'{"folds": [], "format": 1}', "metrics.json: has format 1, but this mfcli"),
    ("metrics.json", b'{"folds": [], "format": 3}', "metrics.json: has format 3, but this mfcli"),
]


@pytest.mark.parametrize(("name", "content", "message"), DAMAGES)
def test_damage_is_reported_in_its_place(
    work: Run, name: str, content: bytes | None, message: str
) -> None:
    Path(name).unlink()
    if content is not None:
        Path(name).write_bytes(content)
    done = work("show")
    assert (done.code, done.err) == (1, "")
    errors = [line for line in done.out.splitlines() if line.startswith("error: ")]
    assert len(errors) == 1
    assert errors[0].startswith(f"error: {message}")
    damaged = name.partition("/")[0]
    for place, kind in KINDS.items():
        assert (f"\n{place}: {kind}\n" in done.out) != (place == damaged)
    result = json.loads(work("show", "--json").out)
    assert [a["kind"] for a in result["artifacts"] if "error" in a] == [KINDS[damaged]]


def test_unreadable_files_are_reported_in_their_place(
    work: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    def guarded(method: Callable[[Path], Any]) -> Callable[[Path], Any]:
        def call(path: Path) -> Any:
            if path.parts[:1] == ("model",):
                raise PermissionError(13, "Permission denied")
            return method(path)

        return call

    for name in ("exists", "is_file", "iterdir"):
        monkeypatch.setattr(Path, name, guarded(getattr(Path, name)))
    done = work("show")
    assert (done.code, done.err) == (1, "")
    assert done.out.count("error: ") == 1
    assert (
        "\nerror: model/model.json: cannot be read: Permission denied\nhistory.json: history"
        in done.out
    )


def test_damage_in_folds(work: Run) -> None:
    Path("folds/fold-2/model/model.json").write_text("{")
    Path("folds/fold-1/history.json").write_text("{}")
    Path("folds/split/fold-2/split.json").unlink()
    done = work("show", "folds")
    assert done.code == 1
    assert [line.partition(" is ")[0] for line in done.out.splitlines() if "error:" in line] == [
        "error: folds/split/fold-2: holds no split; make one with: mfcli split data.csv",
        "error: folds/fold-1/history.json:",
        "error: folds/fold-2/model/model.json:",
    ]
    rows = [line.split("│")[1:-1] for line in done.out.splitlines() if line[2:4] in ("1 ", "2 ")]
    assert [[cell.strip() for cell in row[-2:]] for row in rows] == [
        ["1.5000", "folds/split/fold-1"],
        ["-", "-"],
    ]
    assert [row[2].strip() for row in rows] == ["-", "1.2000"]


def test_folds_with_different_settings_are_listed(work: Run) -> None:
    write_run(Path("folds/fold-2"), Path("folds/split/fold-2"), Config(k=2, lr=0.1))
    lines = work("show", "folds").out.splitlines()
    assert [line.rstrip() for line in lines[-2:]] == [
        "fold 1, changed settings: k 3",
        "fold 2, changed settings: k 2, lr 0.1",
    ]


def test_weights_that_are_not_finite_name_their_table(work: Run) -> None:
    with zipfile.ZipFile("model/model.keras") as archive:
        members = {name: archive.read(name) for name in archive.namelist()}
    Path("w.h5").write_bytes(members["model.weights.h5"])
    with h5py.File("w.h5", "r+") as file:
        file["layers/embedding_1/vars/0"][:2, 1] = [np.nan, np.inf]
    members["model.weights.h5"] = Path("w.h5").read_bytes()
    write_zip(Path("model/model.keras"), members)
    for path in ("model", "model/model.keras"):
        done = work("show", path)
        assert done.code == 1
        assert (
            "error: model/model.keras: is damaged (item_factors holds 2 of 8 numbers that are not"
            " finite); train again\n"
        ) in done.out


def write_zip(path: Path, members: dict[str, bytes]) -> None:
    with zipfile.ZipFile(path, "w") as archive:
        for name, content in members.items():
            archive.writestr(name, content)


NOTHING = (
    ": contains nothing that mfcli can show; name a split, a model, history.json, metrics.json,"
    " model.keras, mfcli.toml or a folder that contains some of them\n"
)
REFUSED = [
    ("empty", f"empty{NOTHING}"),
    ("data.csv", f"data.csv{NOTHING}"),
    ("other.json", f"other.json{NOTHING}"),
    ("split/train.arrow", f"split/train.arrow{NOTHING}"),
    ("broken.json", "broken.json: is not valid JSON: Expecting"),
    ("a\x1b[2J\u202e", "a\\x1b[2J\\u202e: cannot be read: No such file or directory\n"),
    ("none", "none: cannot be read: No such file or directory\n"),
    ("data.csv/x", "data.csv/x: cannot be read: Not a directory\n"),
    ("x" * 300, f"{'x' * 300}: cannot be read: File name too long\n"),
]


@pytest.mark.parametrize(("place", "message"), REFUSED, ids=[place[:20] for place, _ in REFUSED])
def test_a_path_without_artifacts_is_an_error(work: Run, place: str, message: str) -> None:
    Path("empty").mkdir()
    Path("other.json").write_text('{"a": 1}')
    Path("broken.json").write_text("{")
    for paths in ([place], [".", place]):
        done = work("show", *paths)
        assert (done.code, done.out) == (1, "")
        assert done.err.startswith(f"error: {message}")
        assert done.err.count("\n") == 1


def test_text_from_files_is_harmless(work: Run, capfd: pytest.CaptureFixture[str]) -> None:
    evil = "[red]x[/red]\x1b[2J\x9b1m\r\u202e\ud800\n"
    manifest = json.loads(Path("split/split.json").read_text())
    manifest["source"] |= {"name": evil, "columns": {evil: evil}}
    del manifest["digest"]
    Path("split/split.json").write_text(records.sealed_text(manifest))
    Path("history.json").write_text(json_text({"loss": [1], evil: [1]}))
    Path("metrics.json").write_text(json.dumps({"folds": evil, "format": 1, "mfcli": evil}))
    Path("mfcli.toml").write_text('cut = "[b]\\u001b"\nstrategy = "temporal"\n')
    done = work("show")
    assert done.code == 1
    shown = r"[red]x[/red]\x1b[2J\x9b1m\r\u202e\ud800\n"
    assert done.out.count(shown) == 4
    machine = work("show", "--json").out
    assert is_harmless(done.out)
    assert is_harmless(machine)
    artifacts = {artifact["kind"]: artifact for artifact in json.loads(machine)["artifacts"]}
    assert artifacts["split"]["source"]["name"] == evil
    assert evil in artifacts["history"]["lists"]


@given(st.lists(st.floats(-1e30, 1e30), min_size=1, max_size=200), st.integers(1, 60))
def test_a_sparkline_follows_the_values(values: list[float], width: int) -> None:
    line = formatting.sparkline(values, width)
    assert len(line) == min(len(values), width)
    assert line[0] == "▁" or len(set(values)) > 1
    if len(values) <= width and len(set(values)) > 1:
        heights = [ord(c) for c in line]
        assert min(heights) == ord("▁")
        assert max(heights) == ord("█")
        order = sorted(range(len(values)), key=values.__getitem__)
        assert [heights[place] for place in order] == sorted(heights)


@given(st.text())
def test_printable_text_is_unchanged(text: str) -> None:
    shown = formatting.printable(text)
    assert formatting.printable(shown) == shown
    assert shown == text or not text.isprintable()


# The tests below search for JSON, TOML and Keras files that make `show` fail.

ODD = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(),
    st.sampled_from([-1, 0, 1, 2**31, 2**63, 10**400, 1e308, 1e-320]),
    st.floats(),
    st.text(max_size=5),
    st.sampled_from(["", "..", "/", "\x00", "\ud800", "[red]", "a\nb", "\x1b[2J", "nan", "fold-1"]),
)
VALUES = st.recursive(
    ODD,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=3), inner),
    max_leaves=6,
)


def places(value: Any) -> Iterator[tuple[Any, Any]]:
    """Yield every place in a JSON value: its container, and its key or index there."""
    names = list(value) if isinstance(value, dict) else range(len(value))
    for name in names:
        yield value, name
        if isinstance(value[name], dict | list):
            yield from places(value[name])


@st.composite
def mutated(draw: st.DrawFn, value: dict[str, Any]) -> dict[str, Any]:
    """Replace, remove, add or exchange values in a JSON object."""
    value = copy.deepcopy(value)
    for _ in range(draw(st.integers(1, 3))):
        there = list(places(value))
        if not there:
            break
        holder, name = draw(st.sampled_from(there))
        what = draw(st.sampled_from(["replace", "replace", "remove", "add", "exchange"]))
        if what == "replace":
            holder[name] = draw(VALUES)
        elif what == "remove":
            del holder[name]
        elif what == "add" and isinstance(holder, dict):
            holder[draw(st.text(max_size=5))] = draw(VALUES)
        elif what == "add":
            holder.insert(name, draw(VALUES))
        else:
            other, place = draw(st.sampled_from(there))
            if place in (other if isinstance(other, dict) else range(len(other))):
                holder[name] = copy.deepcopy(other[place])
    return value


def shows_or_refuses(data: st.DataObject, folder: Path, *places: str) -> None:
    """Show a damaged artifact as a page or as JSON: the result is that or an error of one line."""
    path = folder / data.draw(st.sampled_from(places))
    options = data.draw(st.sampled_from([[], ["--json"]]))
    done = CliRunner().invoke(app, ["show", str(path), *options])
    if done.exception and not isinstance(done.exception, SystemExit):
        raise done.exception
    assert done.exit_code in (0, 1), done.stderr
    assert is_harmless(done.output)
    errors = [line for line in done.stderr.splitlines() if not line.startswith("warning: ")]
    if errors:
        assert (done.exit_code, done.stdout, len(errors)) == (1, "", 1)
        assert errors[0].startswith(f"error: {path}"), done.stderr
    elif options:
        artifacts = json.loads(done.stdout)["artifacts"]
        assert any("error" in artifact for artifact in artifacts) == done.exit_code
    else:
        assert ("\nerror: " in done.stdout) == done.exit_code


def is_harmless(text: str) -> bool:
    """Return whether a terminal shows a text unchanged, from left to right."""
    steering = set(map(chr, [*range(0x2028, 0x202F), *range(0x2066, 0x206A)]))
    return all(category(c) not in ("Cc", "Cs") or c == "\n" for c in text) and (
        steering.isdisjoint(text)
    )


FILES = {
    "split/split.json": (".", "split", "model", "metrics.json"),
    "model/model.json": (".", "model"),
    "history.json": (".", "history.json"),
    "metrics.json": (".", "metrics.json"),
    "folds/metrics.json": ("folds", "folds/metrics.json"),
    "folds/split/split.json": ("folds", "folds/split", "folds/split/fold-1", "folds/fold-1"),
    "folds/split/fold-1/split.json": ("folds/split", "folds/split/fold-1", "folds/fold-1"),
    "folds/fold-2/model/model.json": ("folds",),
    "folds/fold-2/history.json": ("folds",),
}
FUZZED = settings(
    max_examples=15, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)


@pytest.fixture
def fuzzed(planted: Path, tmp_path: Path) -> Path:
    shutil.copytree(planted, tmp_path, dirs_exist_ok=True)
    return tmp_path


@pytest.mark.parametrize("name", FILES)
@FUZZED
@given(data=st.data())
def test_no_json_makes_it_fail(fuzzed: Path, name: str, data: st.DataObject) -> None:
    path = fuzzed / name
    content = path.read_bytes()
    value = json.loads(content)
    sealed = value.pop("digest", None) is not None
    try:
        value = data.draw(mutated(value))
        if sealed and data.draw(st.integers(0, 9)):
            value.pop("digest", None)
            _write_sealed(path, value)
        else:
            path.write_text(json.dumps(value))
        shows_or_refuses(data, fuzzed, *FILES[name])
    finally:
        path.write_bytes(content)


def _write_sealed(path: Path, value: dict[str, Any]) -> None:
    """Write a record with a correct digest, whatever it says, even with NaN."""
    path.write_text(json.dumps(value | {"digest": seal(value)}))


ENDLESS = "0x" + "f" * 5000  # Python reads it but cannot write it
TOML = [f"k = {'[' * 5000}", f"k = {ENDLESS}", f"k = [{ENDLESS}]", f"lr = 1{'0' * 400}", "k = 1e"]


@FUZZED
@given(
    text=st.text()
    | st.sampled_from(TOML)
    | st.builds("{} = {}\n".format, st.sampled_from(list(SETTINGS)), VALUES.map(json.dumps)),
    data=st.data(),
)
def test_no_toml_makes_it_fail(fuzzed: Path, text: str, data: st.DataObject) -> None:
    (fuzzed / "mfcli.toml").write_text(text, encoding="utf-8", errors="ignore")
    shows_or_refuses(data, fuzzed, "mfcli.toml")


@FUZZED
@given(data=st.data())
def test_no_keras_file_makes_it_fail(fuzzed: Path, data: st.DataObject) -> None:
    path = fuzzed / "model" / "model.keras"
    content = path.read_bytes()
    with zipfile.ZipFile(path) as archive:
        members = {name: archive.read(name) for name in archive.namelist()}
    try:
        name = data.draw(st.sampled_from(["config.json", "metadata.json"]))
        members[name] = json.dumps(data.draw(mutated(json.loads(members[name])))).encode()
        write_zip(path, members)
        shows_or_refuses(data, fuzzed, "model", "model/model.keras")
        damaged = bytearray(content)
        for _ in range(data.draw(st.integers(1, 4))):
            damaged[data.draw(st.integers(0, len(content) - 1))] = data.draw(st.integers(0, 255))
        path.write_bytes(damaged)
        shows_or_refuses(data, fuzzed, "model", "model/model.keras")
    finally:
        path.write_bytes(content)


DEEP = [b"[" * 100_000, b'{"loss": ' + b"9" * 5000 + b"}"] + [
    b'{"format": 1, "a": ' + b"[" * depth + b"]" * depth + b"}" for depth in (900, 990, 9000)
]


@FUZZED
@given(
    name=st.sampled_from(sorted(FILES)),
    content=st.binary() | st.text().map(str.encode) | st.sampled_from(DEEP),
    data=st.data(),
)
def test_no_bytes_make_it_fail(
    fuzzed: Path, name: str, content: bytes, data: st.DataObject
) -> None:
    path = fuzzed / name
    before = path.read_bytes()
    try:
        path.write_bytes(content)
        shows_or_refuses(data, fuzzed, *FILES[name])
    finally:
        path.write_bytes(before)


def test_find_returns_the_folds(planted: Path) -> None:
    found = find(planted / "folds")
    assert [artifact.fold for artifact in found] == [None, None, 1, 1, 2, 2]


def settings_of(run: Run, *args: str) -> dict[str, dict[str, Any]]:
    outcome = run("show", "--settings", "--json", *args)
    assert outcome.code == 0, outcome.err
    return {one["name"]: one for one in json.loads(outcome.out)["settings"]}


def test_settings_in_an_empty_folder(run: Run) -> None:
    found = settings_of(run)
    assert [*found] == [*SETTINGS]
    assert {one["from"] for one in found.values()} == {"default"}
    assert not any(one["changed"] for one in found.values())
    assert list(Path().iterdir()) == []
    lines = run("show", "--settings").out.splitlines()
    assert lines[:2] == ["settings file: none", "all settings have their defaults"]


def test_settings_say_where_they_come_from(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    Path("mfcli.toml").write_text("k = 16\nepochs = 30\nlr = 0.08\n")
    Path("other.toml").write_text("k = 5\n")
    monkeypatch.setenv("MFCLI_K", "20")
    monkeypatch.setenv("MFCLI_REG", "")
    found = settings_of(run)
    origins = {name: one["from"] for name, one in found.items() if one["from"] != "default"}
    assert origins == {"k": "MFCLI_K", "epochs": "mfcli.toml", "lr": "mfcli.toml"}
    assert [name for name, one in found.items() if one["changed"]] == ["k", "epochs"]
    assert (found["k"]["value"], found["k"]["default"]) == (20, 10)
    outcome = run("show", "--settings", "--config", "other.toml")
    assert "Changed settings" in outcome.out
    changed = outcome.out.partition("Data settings")[0]
    assert re.search(r"│ k +│ +20 │ MFCLI_K +│ +10 │", changed)
    assert "epochs" not in changed


def test_settings_say_what_they_stand_for(run: Run) -> None:
    Path("mfcli.toml").write_text('optimizer = "als"\nreg = 0.3\nreg_item = 0.1\n')
    found = settings_of(run)
    effective = {name: found[name]["effective"] for name in found if found[name]["value"] is None}
    assert (effective["reg_user"], effective["reg_scope"]) == (0.3, "rating")
    assert (effective["metric"], effective["patience"]) == ("rmse", None)
    assert found["reg_user"]["unset"] == "same as reg"
    assert found["reg_item"]["unset"] == ""
    assert found["lr"]["unused_because"] == {"optimizer": "als"}
    assert found["biases"]["unused_because"] is None
    assert found["seed"]["stages"] == ["split", "training", "evaluation"]


@pytest.mark.parametrize("name", SETTINGS)
def test_the_effective_value_is_one_of_the_setting(name: str) -> None:
    for config in (Config(), Config(optimizer="als"), Config(optimizer="gibbs")):
        value = config.effective(name)
        assert value is None or SETTINGS[name].checked(value) == value


def test_wrong_settings_are_one_line(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    missing = "error: no.toml: cannot be read: No such file or directory\n"
    assert run("show", "--settings", "--config", "no.toml") == (1, "", missing)
    Path("mfcli.toml").write_text("k = 0\n")
    assert run("show", "--settings").err == "error: mfcli.toml: k must be at least 1, got 0\n"
    Path("mfcli.toml").unlink()
    monkeypatch.setenv("MFCLI_KEEP_SAMPLES", "5")
    outcome = run("show", "--settings")
    assert outcome.code == 1
    assert outcome.err.startswith("error: MFCLI_KEEP_SAMPLES is not used with --optimizer sgd")
    monkeypatch.setenv("MFCLI_EPOCH", "5")
    assert run("show", "--settings").err.endswith("; did you mean MFCLI_EPOCHS?\n")


def test_settings_take_no_path(run: Run) -> None:
    assert run("show", "--settings", "split").code == 2
    assert run("show", "--config", "mfcli.toml").code == 2


def test_settings_load_nothing_heavy(tmp_path: Path) -> None:
    code = (
        "import sys; from mfcli.cli import app\n"
        "try: app(['show', '--settings'])\n"
        "except SystemExit: print(sorted({'numpy', 'pyarrow', 'numba', 'h5py'} & {*sys.modules}))"
    )
    command = [sys.executable, "-c", code]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=True)
    assert done.stdout.endswith("[]\n")

"""`mfcli update`: new ratings in a split and its model, both or none of them, and users removed."""

from __future__ import annotations

import bisect
import contextlib
import errno
import gzip
import json
import os
import shutil
from pathlib import Path

import numpy as np
import pyarrow.csv
import pyarrow.parquet
import pytest
from conftest import Outcome, Run
from contents import names, snapshot, triples
from test_temporaries import killed_at
from typer.testing import CliRunner

import mfcli
from mfcli import updates
from mfcli.cli import app
from mfcli.config import Config
from mfcli.data import Ratings, read_ratings
from mfcli.model import Model
from mfcli.splits import Split, read_split
from mfcli.storage import exchange, locked
from mfcli.training import Checkpoint, Fit, History, read_checkpoint

USERS = [f"reader-{n:02}" for n in range(12)]
HEADER = "who,what,stars,when"
START = 1_600_000_000


def lines(first: int, last: int) -> list[str]:
    """Return rows by readers of books, in order of time."""
    rng = np.random.default_rng(1)
    pairs = rng.permutation(len(USERS) * 15)
    rows = enumerate(pairs[first:last], start=first)
    return [f"{USERS[p % 12]},{p // 12 + 100},{1 + p % 5},{START + 60 * n}" for n, p in rows]


def csv(rows: list[str]) -> str:
    return "\n".join([HEADER, *rows]) + "\n"


COLUMNS = ["--user-col", "who", "--item-col", "what", "--rating-col", "stars", "--time-col", "when"]
NEW = [*lines(120, 130), "visitor,1,5,1700000000", f"{USERS[0]},1,2,1700000000"]
"""Ten new pairs, and two ratings of a new item, one of them by a new user."""


def call(*words: object) -> Outcome:
    result = CliRunner().invoke(app, [str(word) for word in words])
    if result.exception and not isinstance(result.exception, SystemExit):
        raise result.exception
    return Outcome(result.exit_code, result.stdout, result.stderr)


@pytest.fixture(scope="module")
def base(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with ratings whose columns have unusual names, a split and a model."""
    folder = tmp_path_factory.mktemp("base")
    (folder / "old.csv").write_text(csv(lines(0, 120)))
    with contextlib.chdir(folder):
        assert call("split", "old.csv", "--valid", "0.1", *COLUMNS).code == 0
        assert call("train", "--k", 2, "--epochs", 2, "-q").code == 0
    return folder


@pytest.fixture
def made(base: Path, tmp_path: Path, run: Run) -> Path:
    """A copy of `base`, which is the working folder, with new ratings in new.csv."""
    shutil.copytree(base, tmp_path, dirs_exist_ok=True)
    (tmp_path / "new.csv").write_text(csv(NEW))
    return tmp_path


def update(*words: object) -> Outcome:
    done = call("update", *words, "--epochs", 1, "-q")
    assert done.code == 0, done.err
    return done


def error(*words: object) -> str:
    done = call("update", *words)
    assert (done.code, done.out) == (1, "")
    return done.err.removeprefix("error: ").rstrip("\n")


def split_and_model(folder: Path = Path()) -> dict[str, bytes]:
    """Return the files of a split and a model, except for the time within `model.keras`."""
    return {
        str(Path(name).relative_to(folder)): content
        for part in ("split", "model")
        for name, content in snapshot(folder / part).items()
        if not name.endswith(".keras")
    }


def test_an_update_prints_what_changed_and_twice_changes_nothing(made: Path) -> None:
    test = read_split("split").test
    user, item = (side.ids[row].as_py() for side, row in
                  ((test.users, test.user[0]), (test.items, test.item[0])))  # fmt: skip
    again = [f"{user},{item},4.5,1700000000", lines(0, 1)[0], lines(1, 2)[0].replace("16", "15", 1)]
    (made / "new.csv").write_text(csv([*NEW, *again]))
    done = update("new.csv")
    before, after = done.out.splitlines()
    assert before == (
        "split: 12 new ratings, 1 changed, 1 already there, 1 older than there, 1 new user,"
        " 1 new item"
    ) or before.startswith("split: 12 new ratings, ")
    assert after.startswith("model: validation RMSE ")
    assert " (before: " in after
    assert after.split(" after ")[1].startswith("1 epoch in ")
    files = snapshot()
    assert call("update", "new.csv") == (
        0, "split: nothing to do\n", "note: skipped new.csv, which the split has taken in before\n"
    )  # fmt: skip
    assert call("update").out == "split: nothing to do\n"
    assert snapshot() == files


def test_ids_keep_their_rows_and_the_new_split_names_its_parent(made: Path) -> None:
    old, model = read_split("split"), Model.load("model")
    update("new.csv")
    new, updated = read_split("split"), Model.load("model")
    assert new.parent == old.hash
    assert (updated.split_hash, read_checkpoint(Path("checkpoint")).split_hash) == (new.hash,) * 2
    assert updated.users.ids.to_pylist() == [*model.users.ids.to_pylist(), "visitor"]
    assert updated.items.ids.to_pylist() == [*model.items.ids.to_pylist(), 1]
    assert names(made) == ["checkpoint", "history.json", "model", "new.csv", "old.csv", "split"]
    shown = call("show", "split", "--json")
    facts = json.loads(shown.out)["artifacts"][0]
    assert facts["parent"] == old.hash
    assert facts["updates"][0]["files"][0]["name"] == "new.csv"
    assert "1 (12 new ratings)" in call("show", "split").out


def test_out_leaves_the_split_and_the_model(made: Path) -> None:
    before = snapshot()
    done = update("new.csv", "--out", "next", "--json")
    facts = json.loads(done.out)
    assert (facts["split"], facts["model"]) == ("next/split", "next/model")
    assert (facts["new"], facts["users"], facts["items"], facts["epochs"]) == (12, 1, 1, 1)
    assert {name: c for name, c in snapshot().items() if not name.startswith("next")} == before
    assert names(made / "next") == ["checkpoint", "history.json", "model", "split"]
    there = snapshot(made / "next")
    assert call("update", "new.csv", "--split", "next/split", "--model", "next").code == 0
    assert snapshot(made / "next") == there
    update("new.csv")
    assert split_and_model() == split_and_model(made / "next")


@pytest.mark.parametrize("kind", ["parquet", "gzip", "json lines", "stdin", "other names"])
def test_new_ratings_are_read_like_the_older_ones(made: Path, kind: str) -> None:
    update("new.csv", "--out", "expected")
    expected = snapshot(made / "expected" / "split")
    table = pyarrow.csv.read_csv("new.csv")
    if kind == "parquet":
        pyarrow.parquet.write_table(table.select(["when", "stars", "what", "who"]), "new")
    elif kind == "gzip":
        Path("new").write_bytes(gzip.compress(Path("new.csv").read_bytes()))
    elif kind == "json lines":
        Path("new").write_text("\n".join(map(json.dumps, table.to_pylist())))
    elif kind == "other names":
        Path("new").write_text(csv(NEW).replace(HEADER, "userId,itemId,rating,timestamp"))
    if kind == "stdin":
        words = ["update", "-", "-q", "--out", "found"]
        assert CliRunner().invoke(app, words, input=csv(NEW)).exit_code == 0
    else:
        update("new", "--out", "found")
    found = snapshot(made / "found" / "split")
    assert [c for n, c in found.items() if n.endswith("arrow")] == [
        c for n, c in expected.items() if n.endswith("arrow")
    ]


def test_columns_by_position_are_those_of_the_older_file(run: Run) -> None:
    Path("old.csv").write_text("".join(f"4,{n % 5},{n % 4},{n % 7}\n" for n in range(20)))
    columns = ["--user-col", "2", "--item-col", "4", "--rating-col", "1"]
    assert run("split", "old.csv", *columns).code == 0
    assert run("train", "--k", 1, "--epochs", 1, "-q").code == 0
    Path("new.csv").write_text("2,77,0,88\n")
    update("new.csv")
    train = read_split("split").train
    assert [train.users.ids[-1].as_py(), train.items.ids[-1].as_py(), train.rating[-1]] == [
        77,
        88,
        2,
    ]


def test_events_are_added_once_per_file(run: Run) -> None:
    Path("old.csv").write_text("user,item\n" + "".join(f"{n % 6},{n % 5}\n" for n in range(30)))
    assert run("split", "old.csv", "--rating-col", "").code == 0
    words = "--optimizer als --target rated --unrated-weight 0.1 --k 2 --epochs 1 -q"
    assert run("train", *words.split()).code == 0
    train = read_split("split").train
    pair = [side.ids[row[0]].as_py() for side, row in
            ((train.users, train.user), (train.items, train.item))]  # fmt: skip
    Path("new.csv").write_text("user,item\n{},{}\n".format(*pair) * 1 + "{},{}\n".format(*pair))
    done = update("new.csv", "old.csv")
    assert done.out.startswith("split: 1 changed\n")
    assert read_split("split").train.rating.tolist() == [3, *[1] * (len(train) - 1)]
    before = snapshot()
    update("new.csv", "old.csv")
    assert snapshot() == before


def test_python_gives_the_same_split_and_model(made: Path) -> None:
    split, model = read_split("split"), Model.load("model")
    columns = {"user": "who", "item": "what", "rating": "stars", "timestamp": "when"}
    given = read_ratings("new.csv", columns=columns)
    checkpoint = read_checkpoint(Path("checkpoint"))
    made_here = mfcli.update(model, split, given, epochs=1, checkpoint=checkpoint)
    assert made_here.changes.new == 12
    assert repr(made_here).endswith("12 new, 0 changed, 0 removed users)")
    made_here.write("here")
    update("new.csv")
    assert split_and_model(made / "here") == split_and_model()
    again = mfcli.update(made_here.model, made_here.split, given)
    assert (again.model, again.split, again.history) == (made_here.model, made_here.split, None)
    assert again.changes.skipped == ("new.csv",)
    with pytest.raises(mfcli.MfcliError, match="the model was trained on another split; give the"):
        mfcli.update(model, read_split("split"), given)


def test_a_model_of_all_parts_stays_one(made: Path) -> None:
    split = read_split("split")
    fitted = mfcli.fit(split.union(), Config(k=2, epochs=2))
    fitted.write("all")
    test = split.test
    assert test is not None
    (user, item, _), *_ = triples(test)
    Path("new.csv").write_text(csv([f"{user},{item},1,1700000000", *NEW]))
    done = update("new.csv", "--model", "all", "--out", "next")
    assert done.out.splitlines()[0].startswith("next/split: 12 new ratings, 1 changed, ")
    assert done.out.splitlines()[1].startswith("next/model: 1 epoch in ")
    model, new = Model.load("next"), read_split("next/split")
    assert model.trained_on == fitted.model.trained_on == ("train", "valid", "test")
    assert model.users.counts.sum() == sum(map(len, new.parts.values()))


# Interruptions


def quick_training(self: object, split: Split, model: Model, *_: object) -> tuple[Fit, Checkpoint]:
    """Train nothing, so that a test can do it a hundred times."""
    config = Config(k=model.k, epochs=1)
    tables = {
        f"{side}_{table}": np.full((len(getattr(split.train, f"{side}s")), *shape), 0.5, np.float32)
        for side in ("user", "item")
        for table, shape in (("factors", (model.k,)), ("biases", ()))
    }
    new = Model(split.train.mean, users=split.train.users, items=split.train.items,
                scale=split.scale, config=config, split_hash=split.hash, **tables)  # fmt: skip
    lists = {name: [0.5] for name in ("loss", "mse", "val_loss", "val_mse", "seconds")}
    history = History(lists)
    state = {"a": np.zeros(3)}
    return Fit(new, history, 1), Checkpoint(config, split.hash, history, state, tables)


def update_here(given: list[Ratings]) -> None:
    places = updates.places_of(Path("split"), Path("model"), None)
    with updates.locked_places(places):
        updates.UpdatableRun(places).update(given)


@pytest.mark.skipif(not hasattr(os, "fork"), reason="kills a copy of this process")
@pytest.mark.parametrize("system", ["swaps", "renames"])
def test_a_kill_at_any_step_loses_nothing(
    made: Path, monkeypatch: pytest.MonkeyPatch, system: str
) -> None:
    monkeypatch.setattr(updates.Continuation, "train", quick_training)
    if system == "renames":
        monkeypatch.setattr(exchange, "_swapped", lambda one, other: False)
    roles = ("user", "item", "rating", "timestamp")
    columns = dict(zip(roles, HEADER.split(","), strict=True))
    given = [read_ratings("new.csv", columns=columns)]
    old = split_and_model()
    shutil.copytree(made, made / "whole")
    with contextlib.chdir(made / "whole"):
        update_here(given)
        new = split_and_model()

    def state(step: int) -> str:
        """Kill an update at a step, complete it if needed, and return what the kill left."""
        folder = made / f"{step}"
        for part in ("split", "model"):
            shutil.copytree(made / part, folder / part)
        with contextlib.chdir(folder):
            if not killed_at(step, lambda: update_here(given)):
                return "done"
            # Reading puts back what was set aside.
            split, model = read_split("split"), Model.load("model")
            left = split_and_model()
            if left not in (old, new):
                assert (split.parent, split.updates[0].new) == (model.split_hash, 12)
            if left == new:  # its checkpoint is there, perhaps in the second place
                places = updates.places_of(Path("split"), Path("model"), None)
                found = updates.UpdatableRun(places).checkpoint
                assert found is not None
                assert found.split_hash == model.split_hash
            update_here([] if left != old else given)
            assert split_and_model() == new
        shutil.rmtree(folder)
        return "old" if left == old else "new" if left == new else "between"

    # Nothing is replaced before this step; all steps after it are tried.
    first = bisect.bisect_left(range(1000), True, lo=1, key=lambda step: state(step) != "old")
    found = [state(step) for step in range(first + 1, first + 12)]
    assert first > 30
    assert found == sorted(found, key=["between", "new", "done"].index)
    assert "new" in found
    assert system == "swaps" or "between" in found


@pytest.fixture
def interrupted(made: Path) -> Path:
    """The state after a kill between the replacements of the split and of the model."""
    update("new.csv", "--out", "next")
    shutil.rmtree("split")
    shutil.copytree("next/split", "split")
    return made


@pytest.mark.parametrize("words", ["evaluate", "recommend --all --out r.csv", "train --resume"])
def test_commands_name_an_interrupted_update(interrupted: Path, words: str) -> None:
    done = call(*words.split())
    assert done.code == 1
    assert done.err.startswith(
        "error: model: was trained on split before its last update; run: mfcli update --model model"
        " --split split\n"
        if "--resume" not in words
        else "error: the checkpoint is of split "
    )


@pytest.mark.parametrize("words", ["", "new.csv", "--model model --split split"])
def test_an_interrupted_update_is_completed(interrupted: Path, words: str) -> None:
    done = call("update", *words.split(), "--epochs", 1)
    assert "note: completing the update that was interrupted\n" in done.err
    assert done.out.startswith("split: 12 new ratings, 1 new user, 1 new item\nmodel: ")
    assert split_and_model() == split_and_model(interrupted / "next")


def test_an_interrupted_update_is_completed_before_more_ratings(interrupted: Path) -> None:
    Path("more.csv").write_text(csv(lines(130, 135)))
    update("more.csv")
    assert [len(one.files) for one in read_split("split").updates] == [1, 1]
    assert Model.load("model").split_hash == read_split("split").hash
    assert error("more.csv", "--out", "x", "--model", "next").startswith(
        "next/model: was trained on"
    )


def test_an_interrupted_update_is_completed_in_place_first(interrupted: Path) -> None:
    assert error("new.csv", "--out", "x") == (
        "model: was trained on split before its last update; run: mfcli update --model model"
        " --split split"
    )


def test_a_completed_update_has_learned_changed_ratings(made: Path) -> None:
    """Which ratings were changed is not known after a kill, so that epochs have all of them."""
    Path("new.csv").write_text(csv([rated_again(read_split("split").train)]))
    update("new.csv", "--out", "next")
    shutil.rmtree("split")
    shutil.copytree("next/split", "split")
    before = Model.load("model")
    done = call("update", "--json")
    assert [json.loads(done.out)[name] for name in ("new", "changed", "epochs")] == [0, 1, 1]
    assert not np.array_equal(Model.load("model").user_factors, before.user_factors)


def test_a_completed_removal_says_what_remains(made: Path) -> None:
    Path("gone.txt").write_text(f"{USERS[3]}\n")
    update("--remove", "gone.txt", "--out", "next")
    shutil.rmtree("split")
    shutil.copytree("next/split", "split")
    done = call("update")
    assert "1 user with " in done.out
    assert "the factors of items still contain what was learned from removed users" in done.err


def rated_again(part: Ratings) -> str:
    """Return a row with another rating of the first pair of a part."""
    assert part.users is not None
    pair = part.users.ids[part.user[0]], part.items.ids[part.item[0]]
    return f"{pair[0]},{pair[1]},{6 - part.rating[0]:g},1700000000"


@pytest.mark.parametrize("words", ["", "new.csv"])
def test_a_kill_before_the_checkpoint_is_replaced_is_completed(made: Path, words: str) -> None:
    update("new.csv", "--out", "next")
    for part in ("split", "model"):
        shutil.rmtree(part)
        shutil.copytree(f"next/{part}", part)
    shutil.copytree("next/checkpoint", ".checkpoint.update")
    assert call("update", *words.split()).out == "split: nothing to do\n"
    assert not Path(".checkpoint.update").exists()
    made_of, expected = (read_checkpoint(Path(f)) for f in ("checkpoint", "next/checkpoint"))
    assert made_of.split_hash == expected.split_hash == read_split("split").hash
    assert all(np.array_equal(made_of.state[name], array) for name, array in expected.state.items())
    assert Path("history.json").read_bytes() == Path("next/history.json").read_bytes()


def test_a_checkpoint_of_an_update_that_was_killed_earlier_is_removed(made: Path) -> None:
    update("new.csv", "--out", "next")
    before = snapshot()
    shutil.copytree("next/checkpoint", ".checkpoint.update")
    assert call("update").out == "split: nothing to do\n"
    assert snapshot() == before


def test_standard_input_is_one_file(made: Path) -> None:
    done = call("update", "-", "--remove", "-")
    assert done.code == 2
    assert done.err == (
        "error: standard input cannot be both new ratings and users to remove; provide one of them"
        " as a file\n"
    )


def test_ratings_outside_the_scale_are_noted(made: Path) -> None:
    Path("new.csv").write_text(csv([f"{USERS[0]},1,50,1700000000"]))
    done = call("update", "new.csv", "--epochs", 1)
    assert "note: ratings are from 1 to 50 now; before: 1 to 5\n" in done.err
    Path("new.csv").write_text(csv([f"{USERS[1]},1,3,1700000000"]))
    assert "before" not in call("update", "new.csv", "--epochs", 1).err


def test_metrics_from_before_an_update_are_to_be_measured_again(made: Path) -> None:
    assert call("evaluate", "-q").code == 0
    update("new.csv")
    text = " ".join(call("show").out.replace("│", " ").split())
    assert "(the parent of split; evaluate again)" in text
    assert "run mfcli update" not in text


@pytest.mark.parametrize("stop", [KeyboardInterrupt(), OSError(errno.ENOSPC, "No space left")])
@pytest.mark.parametrize("at", ["write_split", "write_checkpoint", "Model.save"])
def test_a_failure_leaves_everything(
    made: Path, monkeypatch: pytest.MonkeyPatch, stop: BaseException, at: str
) -> None:
    def fail(*_: object, **__: object) -> None:
        raise stop

    monkeypatch.setattr(f"mfcli.updates.run.{at}", fail)
    before = snapshot()
    if isinstance(stop, KeyboardInterrupt):
        with contextlib.suppress(KeyboardInterrupt):
            assert (
                "stopped; the split and the model were not changed" in call("update", "new.csv").err
            )
    else:
        assert "cannot be written: No space left" in error("new.csv", "-q")
    assert snapshot() == before
    assert names(made) == names(made)


def test_a_full_disk_is_reported_for_the_split(made: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(*_: object) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    before = snapshot()
    monkeypatch.setattr("mfcli.splits.folder.write_ratings", fail)
    assert error("new.csv", "-q").startswith("split: cannot be written: No space left on device")
    monkeypatch.undo()
    monkeypatch.setattr("mfcli.model.folder.write_vocabulary", fail)
    os.chdir(made)
    assert error("new.csv", "-q").startswith("model: cannot be written: No space left on device")
    assert snapshot() == before


# Errors


def test_splits_and_models_must_belong_together(made: Path) -> None:
    call("split", "old.csv", *COLUMNS, "--seed", 1, "--split", "other")
    before = snapshot()
    assert error("new.csv", "--split", "other").startswith("model: was trained on split ")
    call("split", "old.csv", *COLUMNS, "--strategy", "k-fold", "--folds", 2, "--split", "folds")
    for name in ("folds", "folds/fold-1"):
        assert error("new.csv", "--split", name) == (
            f"{name}: a k-fold split cannot be updated; split all ratings together"
        )
    shutil.copytree("model", "precious")
    done = call("update", "new.csv", "--model", "precious")
    assert (done.code, done.err) == (
        2, "error: precious: is not the model of a run, such as RUN/model, so it is not replaced;"
        " choose a folder with --out\n"
    )  # fmt: skip
    assert error("new.csv", "--model", "nowhere").startswith("nowhere: holds no model")
    assert {name: content for name, content in snapshot().items() if name in before} == before


@pytest.mark.parametrize("name", ["split/train.arrow", "split/split.json", "model/users.arrow"])
def test_a_damaged_split_or_model_is_named(made: Path, name: str) -> None:
    content = bytearray(Path(name).read_bytes())
    content[len(content) // 2] ^= 1
    Path(name).write_bytes(content)
    before = snapshot()
    assert error("new.csv").startswith((f"{name}: ", f"{Path(name).parent}: "))
    assert snapshot() == before


def test_without_a_sound_checkpoint_training_continues_from_the_model(made: Path) -> None:
    Path("checkpoint/state.npz").write_bytes(b"damaged")
    done = call("update", "new.csv")
    assert done.err.startswith("warning: ")
    assert "checkpoint/state.npz: is damaged (its digest is wrong); training continues" in done.err
    assert read_checkpoint(Path("checkpoint")).split_hash == read_split("split").hash


def test_nobody_else_writes_meanwhile(made: Path) -> None:
    with locked(made):
        assert "another process is writing to this folder" in error("new.csv")


def test_notes_name_what_no_longer_belongs(made: Path) -> None:
    shutil.copytree("model", "runs/a/model")
    assert call("evaluate", "-q").code == 0
    done = call("update", "new.csv")
    assert "note: metrics.json was measured with another model; evaluate again\n" in done.err
    assert (
        "note: runs/a/model was trained on the split that was replaced; name each in: mfcli update"
        " --model\n"
    ) in done.err
    # The other model can follow.
    assert call("update", "--model", "runs/a").code == 0
    assert Model.load("runs/a").split_hash == read_split("split").hash


def test_skipped_rows_are_listed_in_the_split(made: Path) -> None:
    for n in (1, 2):
        Path(f"bad{n}.csv").write_text(csv([f"{USERS[n]},1,?,5", f"{USERS[n]},1,2,1700000000"]))
    assert error("bad1.csv").endswith("got '?'; skip invalid rows with --on-bad-row skip")
    for n in (1, 2):
        done = call("update", f"bad{n}.csv", "--on-bad-row", "skip")
        assert "note: skipped 1 row: invalid stars\n" in done.err or "skipped 1 row" in done.err
    update("new.csv")
    listed = Path("split/rejected.csv").read_text().splitlines()
    assert [line.split(",")[0] for line in listed] == ["file", "bad1.csv", "bad2.csv"]


# Removal


def holders(text: str) -> set[str]:
    """Return the files of a run that contain a text."""
    folders = ("split", "model", "checkpoint")
    files = [Path("history.json"), *(path for name in folders for path in Path(name).rglob("*"))]
    return {str(path) for path in files if path.is_file() and text.encode() in path.read_bytes()}


def test_removed_users_are_in_no_file(made: Path) -> None:
    Path("bad.csv").write_text(csv([f"{USERS[4]},1,?,5", f"{USERS[5]},1,2,1700000000"]))
    assert call("update", "bad.csv", "--on-bad-row", "skip").code == 0
    assert holders(USERS[4]) == {"split/users.arrow", "split/rejected.csv", "model/users.arrow"}
    ratings = sum(line.startswith((USERS[4], USERS[7])) for line in lines(0, 120))
    new = sum(line.startswith((USERS[4], USERS[7])) for line in NEW)
    Path("gone.csv").write_text(f"{USERS[4]}\n{USERS[7]}\nnobody\n")
    done = call("update", "new.csv", "--remove", "gone.csv")
    assert f"2 users with {ratings} ratings removed, {new} new ratings of removed users" in done.out
    assert "note: 1 user to remove: not in the split\n" in done.err
    assert "train again to forget it" in done.err
    assert holders(USERS[4]) == holders(USERS[7]) == holders("nobody") == set()
    left = [name for name in USERS if name not in (USERS[4], USERS[7])]
    model = Model.load("model")
    assert sorted(model.users.ids.to_pylist()) == [*left, "visitor"]
    assert len(model.user_factors) == len(left) + 1
    before = snapshot()
    assert update("--remove", "gone.csv").out == "split: nothing to do\n"
    assert snapshot() == before


def test_users_can_be_removed_by_a_table_with_the_columns_of_the_ratings(made: Path) -> None:
    Path("gone.csv").write_text(csv(lines(0, 3)))
    removed = {line.split(",")[0] for line in lines(0, 3)}
    update("--remove", "gone.csv")
    assert removed.isdisjoint(read_split("split").train.users.ids.to_pylist())
    assert (
        error("--remove", "missing.csv") == "missing.csv: cannot be read: No such file or directory"
    )


def test_users_who_were_folded_in_are_removed_from_the_model(made: Path) -> None:
    Path("guest.csv").write_text(csv([f"guest,{n},5,1700000000" for n in (100, 101, 102)]))
    words = ["--user-col", "who", "--item-col", "what", "--rating-col", "stars"]
    assert call("fold-in", "guest.csv", *words, "--extend", "more/model").code == 0
    assert call("update", "new.csv", "--model", "more", "--out", "next").err.endswith(
        "note: 1 user of the older model: not in the new one, because they were folded in\n"
    )
    shutil.rmtree("model")
    shutil.copytree("more/model", "model")
    assert holders("guest") == {"model/users.arrow"}
    Path("gone").write_text("guest\n")
    hash_before = read_split("split").hash
    update("--remove", "gone")
    assert holders("guest") == set()
    assert read_split("split").hash == hash_before

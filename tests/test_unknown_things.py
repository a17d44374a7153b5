"""Users and items that a model does not know, and those without training ratings."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest
from conftest import Run
from planted import planted_split

from mfcli.config import Config
from mfcli.data import Vocabulary
from mfcli.errors import MfcliWarning, UnknownIdError
from mfcli.model import Model, similar
from mfcli.predict import listed_rows, trained_row
from mfcli.splits import Split, read_split, write_split
from mfcli.training import Epoch, Fit, History
from mfcli.training.loop import start

NAMES = Vocabulary(pa.array(["a", "b", "c"]), np.array([1, 0, 2]))


@pytest.fixture(scope="module")
def parts() -> Split:
    """A split in which user 0 and item 0 have no training ratings."""
    split = planted_split(Config())
    return replace(split, train=split.train.take((split.train.user > 0) & (split.train.item > 0)))


@pytest.fixture
def work(run: Run, parts: Split) -> Run:
    train = parts.train
    users, items = train.users.counting(train.user), train.items.counting(train.item)
    counted = {name: part.over(users, items) for name, part in parts.parts.items()}
    write_split(Path("split"), replace(parts, **counted))
    model = start(read_split(Path("split")), Config(k=3))
    Fit(model, History.of([Epoch(1, 1.0, 1.0, 1.0, 1.0, 1.0)])).write(Path())
    return run


def first_ids(folder: Path) -> tuple[str, str]:
    model = Model.load(folder)
    return str(model.users.ids[0]), str(model.items.ids[0])


@pytest.mark.parametrize("side", ["user", "item"])
def test_nothing_is_similar_to_what_was_not_trained(work: Run, side: str) -> None:
    user, item = first_ids(Path("model"))
    name = user if side == "user" else item
    done = work("similar", name, *(["--users"] if side == "user" else []))
    assert (done.code, done.out) == (1, "")
    rule = f"{side} {name!r} has no training ratings, so its factors are unknown"
    assert done.err == f"error: {rule}\n"


def test_what_was_not_trained_is_similar_to_nothing(work: Run) -> None:
    _, item = first_ids(Path("model"))
    model = Model.load(Path("model"))
    model.item_factors[0] = 1  # as engines that draw rows from a prior leave it
    model.save(Path("model"))
    listed = work("similar", str(model.items.ids[1]), "--n", 1000, "--json").out
    assert f'"item": {item},' not in listed


def test_a_row_of_zeros_has_no_ranking() -> None:
    factors = np.array([[0, 0], [1, 0], [1, 1]], np.float32)
    assert similar(factors, np.array([0], np.int32), 2).items.tolist() == [[-1, -1]]


def test_users_without_training_ratings_get_a_note(work: Run) -> None:
    user, _ = first_ids(Path("model"))
    other = str(Model.load(Path("model")).users.ids[1])
    done = work("recommend", "--user", user, "--user", other, "--n", 1, "-q")
    assert done.code == 0
    assert done.err == (
        "warning: 1 of 2 users have no training ratings; items are recommended to them by the"
        " items' biases alone\n"
    )
    assert work("recommend", "--user", other, "-q").err == ""
    with pytest.warns(MfcliWarning, match="1 of 1 users have no training ratings"):
        Model.load(Path("model")).recommend(int(user), 3)


def test_unknown_users_in_a_file_are_skipped(work: Run) -> None:
    known = str(Model.load(Path("model")).users.ids[1])
    Path("users.txt").write_text(f"nobody\n{known}\nno one\n")
    done = work("recommend", "--users", "users.txt", "--n", 1, "--out", "-")
    assert done.code == 0
    assert done.out.splitlines()[1].startswith(f"{known},1,")
    assert len(done.out.splitlines()) == 2
    assert "warning: users.txt: 2 of 3 users are not among the model's" in done.err
    assert "are skipped; the first is 'nobody'\n" in done.err
    assert work("recommend", "--user", "nobody", "--users", "users.txt").code == 1


def test_a_file_of_unknown_ids_is_an_error(tmp_path: Path) -> None:
    file = tmp_path / "ids.txt"
    file.write_text("x\ny\n")
    with pytest.raises(
        UnknownIdError,
        match=r"ids.txt: 2 of 2 items are not among the model's 3 items, such as 'x'",
    ):
        listed_rows(NAMES, "item", (), file)
    file.write_text("c\ny\n")
    with pytest.warns(MfcliWarning, match="1 of 2 items is not among .* and is skipped"):
        assert listed_rows(NAMES, "item", ["a"], file).tolist() == [0, 2]


def test_trained_rows() -> None:
    assert trained_row(NAMES, "item", "c").tolist() == [2]
    with pytest.raises(UnknownIdError, match="item 'b' has no training ratings"):
        trained_row(NAMES, "item", "b")
    with pytest.raises(UnknownIdError, match="item 'x' is not among"):
        trained_row(NAMES, "item", "x")


def test_titles_in_another_encoding(work: Run) -> None:
    model = Model.load(Path("model"))
    user, item = str(model.users.ids[1]), str(model.items.ids[1])
    lines = [f"{each}|Été {each}||" for each in model.items.ids.to_pylist()]
    Path("u.item").write_text("\n".join(lines), encoding="latin-1")
    for command in (["recommend", "--user", user, "-q"], ["similar", item, "--n", 1]):
        for options in ([], ["--encoding", "latin-1"]):
            done = work(*command, "--titles", "u.item", *options)
            assert (done.code, done.err) == (0, "")
            assert "Été" in done.out
        assert "--encoding is not used without" in work(*command, "--encoding", "latin-1").err

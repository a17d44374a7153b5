"""Revised splits: new ratings, pairs that are rated again, new ids, and users who are removed."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given, settings, strategies as st

from mfcli.config import Config
from mfcli.data import Ratings, ratings_from
from mfcli.errors import DataError
from mfcli.splits import (
    Changes,
    Split,
    describe_split,
    read_folds,
    read_split,
    revised,
    split,
    write_split,
)

Row = tuple[Any, Any, float, int]
"""A user, an item, a rating and its time."""

ROWS = st.lists(
    st.tuples(
        st.integers(0, 5), st.integers(0, 4), st.sampled_from([1.0, 2.0, 3.5]), st.integers(1, 4)
    ),
    max_size=30,
)


def ratings(rows: Sequence[Row], *, timed: bool = True, feedback: str = "explicit") -> Ratings:
    """Return ratings with times in seconds of a plausible year."""
    user, item, rating, time = zip(*rows, strict=True)
    columns = {"user": user, "item": item, "rating": np.array(rating, np.float32)}
    if timed:
        columns["timestamp"] = np.array(time, np.int64) + 1_500_000_000
    return ratings_from(columns, feedback=feedback)


def rows_of(part: Ratings) -> list[Row]:
    """Return the rows of a part, in order, as `ratings` takes them."""
    users, items = part.users.ids.to_pylist(), part.items.ids.to_pylist()
    times = np.full(len(part), 0) if part.timestamp is None else part.timestamp - 1_500_000_000
    columns = (part.user.tolist(), part.item.tolist(), part.rating.tolist(), times.tolist())
    return [(users[u], items[i], r, t) for u, i, r, t in zip(*columns, strict=True)]


def divided(rows: Sequence[Row], **how: Any) -> Split:
    made: Split = split(ratings(rows, **how), Config(test=0.2, valid=0.2))
    return made


def update(old: Split, *new: Ratings, removed: list[Any] | None = None) -> tuple[Split, Changes]:
    """Return the revised split, or the old one if nothing changes."""
    revision, changes = revised(old, new, None if removed is None else pa.array(removed))
    return (revision.split() if revision else old), changes


OLD = [(u, i, float(1 + (u + i) % 5), 1) for u in range(6) for i in range(5) if u != 5 or i]


def pair_of(part: Ratings, number: int = 0) -> tuple[Any, Any]:
    return rows_of(part)[number][:2]


@settings(max_examples=25, deadline=None)
@given(rows=ROWS, timed=st.booleans(), implicit=st.booleans())
def test_updates_equal_those_of_a_slow_twin(rows: list[Row], timed: bool, implicit: bool) -> None:
    how: dict[str, Any] = {"timed": timed, "feedback": "implicit" if implicit else "explicit"}
    old = divided(OLD[3:], **how)
    rows = [(u, i + 3, r, t) for u, i, r, t in rows] or [(0, 9, 1.0, 1)]
    # Each pair of the new rows once, as they are read.
    given = rows_of(ratings(rows, **how))
    parts = {name: {row[:2]: row for row in rows_of(part)} for name, part in old.parts.items()}
    for row in given:
        part = next((part for part in parts.values() if row[:2] in part), parts["train"])
        before = part.get(row[:2])
        if before and implicit:
            part[row[:2]] = (*row[:2], before[2] + row[2], max(before[3], row[3]))
        elif not before or row[3] >= before[3]:
            part[row[:2]] = row
    new, changes = update(old, ratings(rows, **how))
    assert {name: rows_of(part) for name, part in new.parts.items()} == {
        name: [*part.values()] for name, part in parts.items()
    }
    for old_side, side, at in (
        (old.train.users, new.train.users, 0),
        (old.train.items, new.train.items, 1),
    ):
        known = old_side.ids.to_pylist()
        more = [row[at] for row in rows if row[at] not in known]
        assert side.ids.to_pylist() == known + list(dict.fromkeys(more))
        trained = [row[at] for row in parts["train"].values()]
        assert side.counts.tolist() == [trained.count(one) for one in side.ids.to_pylist()]
    values = [row[2] for part in parts.values() for row in part.values()]
    assert (new.scale.min, new.scale.max) == (min(values), max(values))
    assert changes.new + changes.changed + changes.same + changes.older == len(given)


def test_a_pair_stays_in_its_part_and_the_later_rating_counts() -> None:
    old = divided(OLD)
    test, valid, train = (pair_of(part) for part in (old.test, old.valid, old.train))
    given = [(*test, 5.5, 2), (*valid, 5.5, 0), (*train, rows_of(old.train)[0][2], 1)]
    new, changes = update(old, ratings(given))
    assert changes == Changes(changed=1, older=1, same=1)
    assert rows_of(new.test)[0] == (*test, 5.5, 2)
    assert rows_of(new.valid) == rows_of(old.valid)
    assert rows_of(new.train) == rows_of(old.train)
    assert new.scale.max == 5.5


def test_without_times_the_given_rating_counts() -> None:
    old = divided(OLD, timed=False)
    new, changes = update(old, ratings([(*pair_of(old.train), 5.5, 0)], timed=False))
    assert changes == Changes(changed=1)
    assert rows_of(new.train)[0][2] == 5.5


def test_times_are_needed_if_the_split_has_them_and_ignored_otherwise() -> None:
    with pytest.raises(DataError) as caught:
        revised(divided(OLD), [ratings([(0, 9, 1, 1)], timed=False)])
    assert str(caught.value) == (
        "table: has no timestamps, but the ratings of the split have; add a column of"
        " times, or name it with columns['timestamp']"
    )
    new, _ = update(divided(OLD, timed=False), ratings([(0, 9, 1, 1)]))
    assert new.train.timestamp is None


def test_of_several_ratings_of_a_pair_the_latest_counts() -> None:
    new, changes = update(divided(OLD), ratings([(0, 9, 5, 3)]), ratings([(0, 9, 2, 2)]))
    assert changes == Changes(new=1, items=1)
    assert rows_of(new.train)[-1] == (0, 9, 5, 3)


def test_nothing_new_gives_no_revision() -> None:
    old = divided(OLD)
    revision, changes = revised(old, [ratings(rows_of(old.train)[:3])], pa.array([77]))
    assert revision is None
    assert changes == Changes(same=3, unknown=1)


def test_ids_become_text_if_new_ones_are() -> None:
    new, _ = update(divided(OLD), ratings([("x", 0, 1, 1), ("3", 9, 1, 1)]))
    assert new.train.users.ids.to_pylist() == [
        *map(str, divided(OLD).train.users.ids.to_pylist()),
        "x",
    ]
    assert new.train.items.ids.type == pa.int64()


def test_texts_that_are_the_same_id_are_one_pair() -> None:
    new, changes = update(divided(OLD), ratings([("3", 9, 1, 1), ("3.0", 9, 2, 2), ("x", 9, 1, 1)]))
    assert changes.new == 2
    assert [row for row in rows_of(new.train) if row[1] == 9] == [("3", 9, 2, 2), ("x", 9, 1, 1)]


@pytest.mark.parametrize("is_weighted", ["the split", "the file"])
def test_a_missing_weight_is_one(is_weighted: str) -> None:
    old = {"user": [0, 0, 1, 1, 2], "item": [0, 1, 0, 1, 0], "rating": [1.0, 2, 3, 4, 5]}
    more = {"user": [0, 3], "item": [0, 0], "rating": [1.0, 2]}
    one, other = (
        ({"weight": [0.5] * 5}, {}) if is_weighted == "the split" else ({}, {"weight": [0.5, 2]})
    )
    names = {"weight": "weight"}
    parts = Split.of(
        ratings_from(old | one, columns=names if one else None),
        {"user": [4], "item": [0], "rating": [1]},
    )
    new, _ = update(parts, ratings_from(more | other, columns=names if other else None))
    assert new.train.weight is not None
    assert new.train.weight.tolist() == ([1, *[0.5] * 4, 1] if one else [0.5, *[1] * 4, 2])


def test_strengths_add_up_and_must_fit() -> None:
    old = divided(OLD, feedback="implicit")
    pair, value = pair_of(old.train), rows_of(old.train)[0][2]
    new, changes = update(old, ratings([(*pair, 2.5, 0)], feedback="implicit"))
    assert changes == Changes(changed=1)
    assert rows_of(new.train)[0] == (*pair, value + 2.5, 1)
    with pytest.raises(DataError, match="add up to more than float32 can hold"):
        update(update(old, ratings([(*pair, 3e38, 0)], feedback="implicit"))[0],
               ratings([(*pair, 3e38, 0)], feedback="implicit"))  # fmt: skip
    with pytest.raises(DataError, match="is explicit feedback, but the split is implicit"):
        revised(old, [ratings([(0, 9, 1, 1)])])


def test_removed_users_leave_no_rows_and_no_ids() -> None:
    old = divided(OLD)
    given = ratings([(2, 0, 5, 3), (7, 0, 5, 3), (0, 9, 5, 3)])
    new, changes = update(old, given, removed=[2, 7, 99])
    assert changes == Changes(
        new=1, items=1, removed_users=1, removed_ratings=5, omitted=2, unknown=2
    )
    assert new.train.users.ids.to_pylist() == [u for u in old.train.users.ids.to_pylist() if u != 2]
    for name, part in new.parts.items():
        kept = [row for row in rows_of(old.parts[name]) if row[0] != 2]
        assert rows_of(part) == kept + ([(0, 9, 5.0, 3)] if name == "train" else [])
    assert new.train.items.counts.tolist() == np.bincount(new.train.item).tolist()


def test_a_training_part_remains() -> None:
    with pytest.raises(DataError, match="no training rating is left without these users"):
        revised(divided(OLD), [], pa.array(range(6)))


def test_a_revision_on_disk_is_the_one_in_memory(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("mfcli.splits.revisions._PIECE", 4)
    monkeypatch.setattr("mfcli.splits.updating._PIECE", 4)
    write_split(tmp_path / "a", divided(OLD))
    old = read_split(tmp_path / "a")
    given = ratings([(*row[:2], 4.5, 2) for row in OLD[::3]] + [(8, 8, 1, 1)])
    revision, changes = revised(old, [given])
    assert revision
    written = write_split(tmp_path / "b", revision)
    assert written["hash"] == write_split(tmp_path / "c", revision.split())["hash"]
    new = read_split(tmp_path / "b")
    assert (new.parent, new.updates) == (old.hash, (changes,))
    assert new.scale == revision.split().scale
    described = describe_split(tmp_path / "b")
    assert {name: written[name] for name in described if name != "mfcli"} == {
        name: value for name, value in described.items() if name != "mfcli"
    }
    # The order of the vocabularies and a second update
    again, _ = revised(new, [ratings([(9, 9, 1, 1)])])
    assert again
    assert [len(again.updates), again.parent] == [2, new.hash]


def test_folds_are_refused(tmp_path: Path) -> None:
    write_split(tmp_path / "s", split(ratings(OLD), Config(folds=3), folds=3))
    with pytest.raises(DataError) as caught:
        revised(read_folds(tmp_path / "s")[0], [ratings([(0, 9, 1, 1)])])
    assert str(caught.value) == ("a k-fold split cannot be updated; split all ratings together")

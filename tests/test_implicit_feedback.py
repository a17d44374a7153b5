"""Events without ratings, strengths of events, and weights: from any input to the split."""

from __future__ import annotations

import io
import json
import shlex
import sys
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from conftest import Run
from contents import gzipped, snapshot, triples
from planted import make_ratings
from test_compiled_reading import CHANGED

import mfcli
from mfcli.checks import check, serious_warnings
from mfcli.cli.reading_options import Reading
from mfcli.config import Config
from mfcli.data import (
    Buckets,
    Ratings,
    Vocabulary,
    buckets,
    concatenated,
    ratings_from,
    read_ratings,
)
from mfcli.data.duplicates import merge_duplicates
from mfcli.data.formats import text
from mfcli.errors import ArtifactError, ConfigError, DataError, MfcliWarning, UsageError
from mfcli.model import fold_in
from mfcli.splits import Split, divide, read_folds, read_split, split, split_given, write_split
from mfcli.storage import json_text
from mfcli.training import fit
from mfcli.training.loop import start

EVENTS = {"rating": ""}
RANDOM = np.random.default_rng(3)
FRAME = pd.DataFrame(
    {
        "user": RANDOM.integers(0, 20, 400),
        "item": RANDOM.integers(0, 15, 400) + 100,
        "ts": RANDOM.integers(1_000_000_000, 1_100_000_000, 400),
    }
)
"""Events, most of which repeat."""
RATED = FRAME.drop_duplicates(["user", "item"]).assign(
    rating=lambda frame: np.arange(len(frame)) % 5 + 1.0,
    w=lambda frame: (np.arange(len(frame)) % 7 + 1) / 8,
)
"""Ratings with weights."""


def texts_of(frame: pd.DataFrame) -> dict[str, bytes]:
    """Return a table as files of all formats, by name; those ending in .txt have no header."""
    csv = frame.to_csv(index=False).encode()
    rows = frame.astype(str).values.tolist()
    parquet = pa.BufferOutputStream()
    pq.write_table(pa.table(frame), parquet)
    arrow = pa.BufferOutputStream()
    with pa.ipc.new_file(arrow, pa.table(frame).schema) as writer:
        writer.write_table(pa.table(frame))
    return {
        "events.csv": csv,
        "events.csv.gz": gzipped(csv),
        "utf16.csv": csv.decode().encode("utf-16"),
        "quoted.csv": frame.to_csv(index=False, quoting=1).encode(),
        "blank.csv": csv.replace(b"\n", b"\r\n\r\n"),
        "events.tsv": frame.to_csv(index=False, sep="\t").encode(),
        "events.jsonl": frame.to_json(orient="records", lines=True).encode(),
        "events.parquet": parquet.getvalue().to_pybytes(),
        "events.arrow": arrow.getvalue().to_pybytes(),
        "semicolons.txt": "".join(";".join(row) + "\n" for row in rows).encode(),
        "colons.txt": "".join("::".join(row) + "\n" for row in rows).encode(),
        "spaces.txt": "".join("   ".join(row) + "\n" for row in rows).encode(),
    }


def written(ratings: Ratings, folder: Path) -> dict[str, str]:
    """Return the digests of the files of a split."""
    files: dict[str, str] = write_split(folder, divide(Buckets.of(ratings), Config(valid=0.1)))[
        "files"
    ]
    return files


@pytest.fixture
def compiled(monkeypatch: pytest.MonkeyPatch) -> None:
    """Use compiled code for all ratings, in small pieces."""
    for name in CHANGED:
        monkeypatch.setattr(name, 1)
    monkeypatch.setattr(buckets, "_WINDOW", 50)
    monkeypatch.setattr(text, "_BLOCK", 300)


# ---------------------------------------------------------------------------
# Events


def test_events_add_up_to_strengths() -> None:
    ratings = ratings_from(FRAME, columns=EVENTS)
    counts = Counter(zip(FRAME["user"], FRAME["item"], strict=True))
    assert {(user, item): n for user, item, n in triples(ratings)} == counts
    assert ratings.feedback == "implicit"
    assert repr(ratings) == f"Ratings({len(counts)} interactions by 20 users of 15 items)"
    assert ratings.source is not None
    assert ratings.source.settings == {"duplicates": "sum"}
    assert ratings.source.columns == {"user": "user", "item": "item", "timestamp": "ts"}
    assert (ratings.source.rows, ratings.source.duplicates) == (400, 400 - len(counts))
    assert ratings.source.conflicts == 0
    # The last event stays in its place.
    assert ratings.timestamp is not None
    last = FRAME.groupby(["user", "item"])["ts"].max()
    pairs = [(user, item) for user, item, _ in triples(ratings)]
    assert ratings.timestamp.tolist() == [last[pair] for pair in pairs]


@pytest.mark.parametrize("rule", ["keep-last", "mean"])
def test_events_can_count_once(rule: str) -> None:
    ratings = ratings_from(FRAME, columns=EVENTS, duplicates=rule)
    assert {n for *_, n in triples(ratings)} == {1}
    with pytest.raises(DataError, match="has rated item"):
        ratings_from(FRAME, columns=EVENTS, duplicates="error")


def test_the_same_events_in_all_formats_give_the_same_split(tmp_path: Path) -> None:
    expected = written(ratings_from(FRAME, columns=EVENTS), tmp_path / "split")
    for name, content in texts_of(FRAME).items():
        (tmp_path / name).write_bytes(content)
        read = read_ratings(tmp_path / name, columns=EVENTS)
        assert written(read, tmp_path / "split") == expected, name
    arrays = tuple(FRAME[name].to_numpy() for name in ("user", "item"))
    times = FRAME["ts"].to_numpy()
    for read in (
        ratings_from((*arrays, None, times), columns=EVENTS),
        ratings_from(*arrays, timestamp=times, columns=EVENTS),
        ratings_from(pa.table(FRAME), columns=EVENTS),
    ):
        assert written(read, tmp_path / "split") == expected


def test_several_files_of_events_are_read_together(tmp_path: Path) -> None:
    half = len(FRAME) // 2
    FRAME[:half].to_csv(tmp_path / "a.csv", index=False)
    FRAME[half:][["ts", "item", "user"]].to_csv(tmp_path / "b.csv", index=False, sep=";")
    read = read_ratings([tmp_path / "a.csv", tmp_path / "b.csv"], columns=EVENTS)
    assert triples(read) == triples(ratings_from(FRAME, columns=EVENTS))


def test_compiled_code_reads_events(tmp_path: Path, compiled: None) -> None:
    expected = triples(ratings_from(FRAME, columns=EVENTS))
    for name in ("events.csv", "blank.csv", "semicolons.txt", "colons.txt", "events.parquet"):
        (tmp_path / name).write_bytes(texts_of(FRAME)[name])
        assert triples(read_ratings(tmp_path / name, columns=EVENTS)) == expected, name


@pytest.mark.parametrize(
    ("line", "roles"),
    [
        ("1\t2\n", {"user": "1", "item": "2"}),
        ("1\t2\t3\n", {"user": "1", "item": "2"}),
        ("1\t2\t978300760\n", {"user": "1", "item": "2", "timestamp": "3"}),
        ("1\t2\t2015-01-31\n", {"user": "1", "item": "2", "timestamp": "3"}),
        ("1\t2\tplay\n", {"user": "1", "item": "2"}),
        ("1\t2\t3\t978300760\n", {"user": "1", "item": "2", "timestamp": "4"}),
        ("u1\ti1\t2015-01-31\n", {"user": "1", "item": "2", "timestamp": "3"}),
    ],
)
def test_columns_of_events_without_a_header(
    tmp_path: Path, line: str, roles: dict[str, str]
) -> None:
    (tmp_path / "e.txt").write_text(line)
    source = read_ratings(tmp_path / "e.txt", columns=EVENTS).source
    assert source is not None
    assert source.columns == roles


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (
            "ann,dune\nben,alien\n",
            "e.csv:1: may be an event or a header; if it is an event, choose columns by position,"
            " as with columns={'user': '1'} columns={'item': '2'}; if it is a header, by name, as"
            " with columns={'user': 'ann'} columns={'item': 'dune'}",
        ),
        (
            "who,what\n1,2\n",
            "e.csv: has no user column; its columns are who, what; choose with columns['user']",
        ),
        (
            "who,what,when\na,b,2015-01-31\n",
            "e.csv: has no user column; its columns are who, what, when;"
            " choose with columns['user']",
        ),
        ("user\n1\n", "e.csv: has only one column, 'user'; separate columns with commas, tabs,"),
        ("user,item\n1,2\n,3\n", "e.csv:3: user id must not be empty; skip invalid rows with"),
        ("user,item\n1,2\n1\n", "e.csv:3: must have 2 fields like the first line, got 1"),
    ],
)
def test_events_that_cannot_be_read(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, content: str, message: str
) -> None:
    monkeypatch.chdir(tmp_path)
    Path("e.csv").write_text(content)
    with pytest.raises(DataError) as caught:
        read_ratings("e.csv", columns=EVENTS)
    assert str(caught.value).startswith(message)


def test_a_header_of_events_may_have_chosen_names(tmp_path: Path) -> None:
    (tmp_path / "e.csv").write_text("who,what\nann,dune\nann,dune\n")
    columns = {"user": "who", "item": "what", **EVENTS}
    assert triples(read_ratings(tmp_path / "e.csv", columns=columns)) == [("ann", "dune", 2)]


@pytest.mark.parametrize("name", ["events.csv", "semicolons.txt", "events.parquet"])
def test_files_without_ratings_are_refused_unless_they_are_events(
    tmp_path: Path, name: str
) -> None:
    content = texts_of(FRAME[["user", "item"]])[name]
    (tmp_path / name).write_bytes(content)
    remedy = "; or, if each row is an event, use columns={'rating': ''}"
    for arguments in ({}, {"feedback": "implicit"}, {"events": True, "feedback": "explicit"}):
        with pytest.raises(DataError) as caught:
            read_ratings(tmp_path / name, **arguments)  # type: ignore[arg-type]
        assert str(caught.value).endswith(remedy)
    events = read_ratings(tmp_path / name, events=True)
    assert triples(events) == triples(read_ratings(tmp_path / name, columns=EVENTS))


def test_columns_that_may_hold_strengths_are_named(tmp_path: Path) -> None:
    (tmp_path / "e.csv").write_text("user,item,plays\n1,2,3\n")
    with pytest.warns(MfcliWarning, match=r"unused columns: plays; if it holds ratings, use col"):
        read_ratings(tmp_path / "e.csv", events=True)
    assert len(read_ratings(tmp_path / "e.csv", columns=EVENTS)) == 1


def test_events_are_not_explicit() -> None:
    with pytest.raises(UsageError, match="feedback must be implicit without a rating column"):
        ratings_from(FRAME, columns=EVENTS, feedback="explicit")


def test_columns_of_arrays_are_a_mapping() -> None:
    for given in ((FRAME["user"], FRAME["item"]), ((FRAME["user"], FRAME["item"]),)):
        with pytest.raises(UsageError, match="columns must be a mapping, got 5"):
            ratings_from(*given, columns=5)  # type: ignore[arg-type]  # what is tested


def test_ratings_that_are_missing_are_a_data_error(tmp_path: Path) -> None:
    table = FRAME[["user", "item"]]
    table.to_csv(tmp_path / "e.csv", index=False)
    for given in (table, tmp_path / "e.csv"):
        with pytest.raises(DataError) as caught:
            ratings_from(given)
        assert type(caught.value) is DataError


# ---------------------------------------------------------------------------
# Strengths


def test_strengths_add_up_by_default(tmp_path: Path) -> None:
    frame = FRAME.assign(plays=np.arange(400) % 9 + 0.5)
    frame.to_csv(tmp_path / "p.csv", index=False)
    arguments: Any = {"columns": {"rating": "plays"}, "feedback": "implicit"}
    expected = frame.groupby(["user", "item"])["plays"].sum().to_dict()
    for read in (read_ratings(tmp_path / "p.csv", **arguments), ratings_from(frame, **arguments)):
        assert {(user, item): n for user, item, n in triples(read)} == expected
        assert read.feedback == "implicit"
    kept = ratings_from(frame, **arguments, duplicates="keep-last")
    last = frame.sort_values("ts").groupby(["user", "item"])["plays"].last().to_dict()
    assert {(user, item): n for user, item, n in triples(kept)} == last
    assert ratings_from(frame, columns={"rating": "plays"}).feedback == "explicit"


@pytest.mark.parametrize("value", [0.0, -1.0, 1e-60])
@pytest.mark.parametrize("role", ["rating", "weight"])
def test_strengths_and_weights_must_be_positive(tmp_path: Path, value: float, role: str) -> None:
    frame = pd.DataFrame(
        {"user": [1, 2, 3], "item": [1, 2, 3], "n": [2.0, value, 1], "rating": [1.0, 2, 3]}
    )
    noun = "strength" if role == "rating" else "weight"
    arguments: Any = {"columns": {role: "n"}}
    if role == "rating":
        arguments["feedback"] = "implicit"
    rule = rf"[235]: {noun} \(column 'n'\) must be a positive number, got "
    for name, content in texts_of(frame).items():
        if name.endswith(".txt"):
            continue  # without names
        (tmp_path / name).write_bytes(content)
        with pytest.raises(DataError, match=rule):
            read_ratings(tmp_path / name, **arguments)
        read = read_ratings(tmp_path / name, **arguments, on_bad_row="skip")
        assert read.users.ids.to_pylist() == [1, 3], name
        assert read.source is not None
        assert read.source.rejected == {role: 1}
    with pytest.raises(DataError, match=f"table: row {rule}"):  # row 2
        ratings_from(frame, **arguments)


def test_texts_that_are_no_numbers_are_not_called_negative(tmp_path: Path) -> None:
    rows = [{"user": 1, "item": n, "rating": text} for n, text in enumerate(["4", "1_0"])]
    (tmp_path / "r.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    for feedback in ("explicit", "implicit"):
        with pytest.raises(DataError, match="must be a finite number, got '1_0'"):
            read_ratings(tmp_path / "r.jsonl", feedback=feedback)


def test_compiled_code_refuses_strengths_of_zero(tmp_path: Path, compiled: None) -> None:
    (tmp_path / "p.csv").write_text("user,item,n\n" + "1,1,3\n" * 5 + "1,2,0\n")
    arguments: Any = {"columns": {"rating": "n"}}
    assert len(read_ratings(tmp_path / "p.csv", **arguments)) == 2
    with pytest.raises(DataError, match=r"p.csv:7: strength \(column 'n'\) must be a positive"):
        read_ratings(tmp_path / "p.csv", **arguments, feedback="implicit")


def test_sums_stay_finite() -> None:
    table = {"user": [1, 1], "item": [1, 1], "rating": [3e38, 3e38]}
    with pytest.raises(DataError, match=r"table: row 2: the ratings of a user and an item add up"):
        ratings_from(table, feedback="implicit")
    assert ratings_from(table, duplicates="mean").rating.tolist() == [np.float32(3e38)]


# ---------------------------------------------------------------------------
# Weights


@pytest.mark.parametrize("code", ["compiled", "plain"])
def test_weights_are_read_from_all_formats(
    tmp_path: Path, code: str, request: pytest.FixtureRequest
) -> None:
    expected = dict(zip(zip(RATED["user"], RATED["item"], strict=True), RATED["w"], strict=True))
    if code == "compiled":
        request.getfixturevalue("compiled")
    frame = RATED[["user", "item", "rating", "ts", "w"]]
    for name, content in texts_of(frame).items():
        (tmp_path / name).write_bytes(content)
        columns = dict(zip(("user", "item", "rating", "timestamp", "weight"), "12345", strict=True))
        if not name.endswith(".txt"):
            columns = {"weight": "w"}
        read = read_ratings(tmp_path / name, columns=columns)
        assert weights_of(read) == expected, name
        assert read.weight is not None
        assert read.weight.dtype == np.float32
    arrays = [frame[name].to_numpy() for name in ("user", "item", "rating", "ts")]
    assert weights_of(ratings_from(*arrays, weight=frame["w"])) == expected
    assert weights_of(ratings_from(frame, columns={"weight": "w"})) == expected


def weights_of(ratings: Ratings) -> dict[tuple[object, object], float]:
    assert ratings.weight is not None
    pairs = [(user, item) for user, item, _ in triples(ratings)]
    return dict(zip(pairs, ratings.weight.tolist(), strict=True))


def test_no_weight_is_read_unless_it_is_named() -> None:
    assert ratings_from(RATED.rename(columns={"w": "weight"})).weight is None
    assert ratings_from(RATED, columns={"weight": ""}).weight is None
    with pytest.raises(DataError, match="table: has no column 'v'; its columns are user, item"):
        ratings_from(RATED, columns={"weight": "v"})


@pytest.mark.parametrize(
    ("rule", "rating", "weight"),
    [("keep-last", 4, 0.5), ("sum", 9, 2.5), ("mean", 4.5, 1.25)],
)
def test_repeated_pairs_keep_their_weight(rule: str, rating: float, weight: float) -> None:
    table = {"user": [1, 1], "item": [2, 2], "rating": [5, 4], "w": [2, 0.5]}
    merged = ratings_from(table, columns={"weight": "w"}, duplicates=rule)
    assert merged.weight is not None
    assert (merged.rating.tolist(), merged.weight.tolist()) == ([rating], [weight])


def weighted() -> Ratings:
    return ratings_from(RATED, columns={"weight": "w"})


def strengths() -> Ratings:
    return ratings_from(RATED, columns={"weight": "w"}, feedback="implicit")


MAKERS: dict[str, Callable[[Ratings], Any]] = {
    "random": lambda r: split(r, Config(valid=0.1)),
    "per-user": lambda r: split(r, Config(strategy="per-user")),
    "filtered": lambda r: split(r, Config(min_user=3, min_item=3, valid=0.1)),
    "k-fold": lambda r: split(r, Config(valid=0.1), folds=3),
    "divided": lambda r: divide(Buckets.of(r), Config(valid=0.1)),
    "given": lambda r: split_given(r.take(slice(40)), r.take(slice(40, None)), Config(valid=0.1)),
    "of": lambda r: Split.of(r.take(slice(40)), r.take(slice(40, 60)), r.take(slice(60, None))),
}


@pytest.mark.parametrize("name", MAKERS)
def test_weights_and_feedback_stay_with_their_ratings(tmp_path: Path, name: str) -> None:
    ratings = strengths()
    expected = dict(zip(triples(ratings), weights_of(ratings).values(), strict=True))
    made = MAKERS[name](ratings)
    folder = tmp_path / "split"
    record = write_split(folder, made)
    assert json.loads((folder / "split.json").read_text())["feedback"] == "implicit"
    assert record["feedback"] == made.feedback == "implicit"
    read = [*read_folds(folder)] if name == "k-fold" else [read_split(folder)]
    for one in [*read, *([] if name == "divided" else made if name == "k-fold" else [made])]:
        assert one.feedback == "implicit"
        for part in one.parts.values():
            found = zip(triples(part), weights_of(part).values(), strict=True)
            assert all(expected[row] == weight for row, weight in found)
            assert part.feedback == "implicit"


def reversed_ids(vocabulary: Vocabulary) -> Vocabulary:
    order = np.arange(len(vocabulary))[::-1]
    return Vocabulary(vocabulary.ids.take(pa.array(order)), vocabulary.counts[order])


CHANGES: dict[str, Callable[[Ratings], Ratings]] = {
    "take": lambda r: r.take(slice(None, None, 2)),
    "take by mask": lambda r: r.take(r.rating > 2),
    "without empty": lambda r: r.take(slice(5)).without_empty(),
    "over": lambda r: r.over(r.users.counting(r.user), r.items),
    "within the same": lambda r: r.within(r.users, r.items),
    "within others": lambda r: r.within(reversed_ids(r.users), reversed_ids(r.items)),
    "concatenated": lambda r: concatenated(r.take(slice(9)), r.take(slice(9, None))),
    "divided": lambda r: divide(Buckets.of(r, 3), Config(min_user=2)).split().train,
    "merged": lambda r: merge_duplicates(concatenated(r, r), "keep-last", str).ratings,
}


@pytest.mark.parametrize("name", CHANGES)
def test_changes_keep_the_feedback_and_all_columns(name: str) -> None:
    ratings = strengths()
    expected = set(rows_with_all_columns(ratings))
    changed = CHANGES[name](ratings)
    assert len(changed)
    assert changed.feedback == "implicit"
    assert set(rows_with_all_columns(changed)) <= expected


def rows_with_all_columns(ratings: Ratings) -> Iterator[tuple[object, ...]]:
    assert ratings.timestamp is not None
    assert ratings.weight is not None
    more = ratings.timestamp.tolist(), ratings.weight.tolist()
    return zip(triples(ratings), *more, strict=True)


def test_files_without_weights_have_the_same_columns_as_before(tmp_path: Path) -> None:
    write_split(tmp_path / "split", split(ratings_from(RATED)))
    schema = pa.ipc.open_file((tmp_path / "split/train.arrow").read_bytes()).schema
    assert schema.names == ["user", "item", "rating", "timestamp"]
    record = json.loads((tmp_path / "split/split.json").read_text())
    assert "feedback" not in record
    assert read_split(tmp_path / "split").feedback == "explicit"
    write_split(tmp_path / "split", split(weighted()))
    table = pa.ipc.open_file((tmp_path / "split/train.arrow").read_bytes()).read_all()
    assert table.schema.names == [*schema.names, "weight"]
    assert table.schema.field("weight").type == pa.float32()


def test_damaged_weights_and_strengths_are_refused(tmp_path: Path) -> None:
    ratings = strengths()
    for column, rule in (("weight", "weights must be positive"), ("rating", "ratings must be pos")):
        values = np.zeros(len(ratings), np.float32)
        wrong = mfcli.split(Ratings(**vars(ratings) | {column: values}))
        write_split(tmp_path / "split", wrong)
        with pytest.raises(ArtifactError, match=rule):
            read_split(tmp_path / "split")


def test_an_unknown_feedback_is_refused(tmp_path: Path) -> None:
    write_split(tmp_path / "split", split(strengths()))
    path = tmp_path / "split/split.json"
    record = json.loads(path.read_text()) | {"feedback": "both"}
    del record["digest"]
    path.write_text(json_text(record))
    with pytest.raises(ArtifactError):
        read_split(tmp_path / "split")


def test_parts_of_different_feedback_are_refused() -> None:
    parts = strengths(), weighted()
    with pytest.raises(DataError, match=r"^test: is explicit feedback, but train is implicit;"):
        Split.of(parts[0].take(slice(40)), parts[1].take(slice(40, None)))
    with pytest.raises(DataError, match="second: is explicit feedback, but first is implicit"):
        concatenated(*parts)


def test_ratings_without_weights_count_as_one() -> None:
    both = concatenated(weighted().take(slice(2)), ratings_from(RATED).take(slice(2, 4)))
    assert both.weight is not None
    assert both.weight.tolist() == [1 / 8, 2 / 8, 1, 1]


# ---------------------------------------------------------------------------
# Training


def test_events_are_not_trained_on_as_ratings() -> None:
    events = split(ratings_from(FRAME, columns=EVENTS))
    for config in (Config(), Config(optimizer="gibbs"), Config(target="rated")):
        with pytest.raises(ConfigError) as caught:
            fit(events, config)
        assert str(caught.value) == (
            "the split holds events, not ratings to predict; write settings for them with mfcli"
            " init, or use target='rated', unrated_weight=0.1 and optimizer='als'"
        )
    config = Config(target="rated", unrated_weight=0.1, optimizer="als", epochs=1, k=3)
    assert fit(events, config).model.feedback == "implicit"


def test_a_model_remembers_its_feedback(tmp_path: Path) -> None:
    for ratings, feedback in ((ratings_from(RATED), "explicit"), (strengths(), "implicit")):
        model = start(split(ratings), Config(k=2))
        assert model.feedback == feedback
        model.save(tmp_path / "model")
        assert mfcli.Model.load(tmp_path / "model").feedback == feedback


def test_ratings_that_go_with_a_model_of_events_are_events(tmp_path: Path) -> None:
    model = fit(
        split(ratings_from(FRAME, columns=EVENTS)),
        Config(target="rated", unrated_weight=0.1, optimizer="als", epochs=1, k=3),
    ).model
    table = pd.DataFrame({"user": ["new", "new"], "item": FRAME["item"][:2].tolist()})
    expected = fold_in(model, ratings_from(table, columns=EVENTS)).model.user_factors
    for given in (table, (table["user"], table["item"]), table.assign(rating=1)):
        np.testing.assert_array_equal(fold_in(model, given).model.user_factors, expected)
    table.assign(plays=7).to_csv(tmp_path / "new.csv", index=False)
    with pytest.warns(MfcliWarning, match="each row is an event; unused columns: plays"):
        folded = fold_in(model, tmp_path / "new.csv")  # as on the command line
    np.testing.assert_array_equal(folded.model.user_factors, expected)
    table.assign(user=0).to_csv(tmp_path / "known.csv", index=False)
    rest = model.recommend([0], 15, exclude=tmp_path / "known.csv")["item"].to_pylist()
    assert len(rest) == 15 - table["item"].nunique()
    assert not {*rest} & {*table["item"]}
    with pytest.raises(DataError, match="has no rating column"):
        fold_in(start(split(ratings_from(RATED)), Config(k=2)), table)


# ---------------------------------------------------------------------------
# Commands


def write_plays(n: int = 2000) -> None:
    """Write files of events and of counts, and ratings with many repeated rows."""
    rng = np.random.default_rng(1)
    user, item = rng.integers(0, 60, n), (100 * rng.random(n) ** 3).astype(int)
    times = rng.integers(1_000_000_000, 1_100_000_000, n)
    events = pd.DataFrame({"user": user, "item": item, "ts": times})
    events.to_csv("events.csv", index=False)
    events[["user", "item"]].to_csv("pairs.txt", index=False, header=False, sep="\t")
    counts = events.groupby(["user", "item"]).size().rename("plays").reset_index()
    counts["plays"] *= rng.choice([1, 1, 2, 40], len(counts))
    counts.to_csv("counts.csv", index=False)
    counts.assign(plays=counts["plays"] - 1).to_csv("zeros.csv", index=False)
    counts.assign(plays=1).rename(columns={"plays": "rating"}).to_csv("ones.csv", index=False)


@pytest.mark.parametrize(
    ("words", "command"),
    [
        (["events.csv"], "mfcli split events.csv --rating-col ''"),
        (["pairs.txt"], "mfcli split pairs.txt --rating-col ''"),
        (["ones.csv"], "mfcli split ones.csv --rating-col ''"),
        (
            ["counts.csv", "--rating-col", "plays"],
            "mfcli split counts.csv --rating-col plays --feedback implicit",
        ),
        (
            ["counts.csv", "--rating-col", "plays", "--feedback", "implicit", "--time-col", ""],
            "mfcli split counts.csv --rating-col plays --time-col '' --feedback implicit",
        ),
        (
            ["zeros.csv", "--rating-col", "plays", "--user-col", "USER"],
            "mfcli split zeros.csv --user-col USER --rating-col plays --feedback implicit"
            " --on-bad-row skip",
        ),
        (
            ["pairs.txt", "--user-col", "2", "--item-col", "1", "--duplicates", "keep-last"],
            "mfcli split pairs.txt --user-col 2 --item-col 1 --duplicates keep-last"
            " --rating-col ''",
        ),
    ],
)
def test_check_says_how_to_split_events(run: Run, words: list[str], command: str) -> None:
    write_plays()
    code, out, err = run("check", *words)
    assert (code, err) == (0, "")
    assert out.splitlines()[-1].endswith(f", type: {command}")
    found = json.loads(run("check", *words, "--json").out)
    assert found["next"] == command
    code, out, err = run(*shlex.split(command)[1:])
    assert code == 0
    assert "interactions" in out
    assert err == ""
    assert read_split("split").feedback == "implicit"


def test_check_describes_events(run: Run) -> None:
    write_plays()
    out = run("check", "events.csv").out
    assert "Interactions per user and per item" in out
    assert "repeated rows added up" in out
    assert "time per epoch" not in out
    assert "step" not in out
    assert json.loads(run("check", "events.csv", "--json").out)["feedback"] == "implicit"
    words = ("counts.csv", "--rating-col", "plays", "--feedback", "implicit")
    out = run("check", *words).out
    assert [line for line in out.splitlines() if line.startswith("│ 4 to 7 ")]
    out = run("check", "ones.csv", "--rating-col", "").out
    assert "all 1" in out
    assert "Histogram" not in out


def test_check_counts_warnings_of_reading(run: Run) -> None:
    write_plays()
    assert "\nno warnings\n" in run("check", "events.csv").out
    pd.read_csv("events.csv").assign(device="tv").to_csv("more.csv", index=False)
    _, out, err = run("check", "more.csv")
    assert "unused columns: device" in err
    assert "\nno other warnings\n" in out


def test_check_of_ratings_suggests_no_command(run: Run) -> None:
    RATED.to_csv("data.csv", index=False)
    assert json.loads(run("check", "data.csv", "--json").out)["next"] is None
    out = run("check", "data.csv", "--weight-col", "w").out
    assert "mfcli split" not in out
    assert "0.125 to 0.875" in out


def test_split_warns_of_counts_that_are_read_as_ratings(run: Run) -> None:
    write_plays()
    assert run("split", "counts.csv", "--rating-col", "plays").err.startswith(
        "warning: counts.csv: ratings look like numbers of events: whole numbers from 1 to "
    )


def test_warnings_about_ratings_are_not_given_for_events() -> None:
    rng = np.random.default_rng(2)
    values = np.floor(rng.pareto(0.7, 3000)) + 1
    rows = np.arange(3000)
    ratings = make_ratings(rows % 100, rows // 100, values, users=100, items=30)
    assert [w.what for w in serious_warnings(Buckets.of(ratings))] == [
        "ratings look like numbers of events"
    ]
    implicit = Ratings(**vars(ratings) | {"feedback": "implicit"})
    assert not serious_warnings(Buckets.of(implicit))
    report = check(implicit)
    assert not report.warnings
    assert report.cost is None
    assert sum(bin.count for bin in report.values.histogram) == 3000
    assert len(report.values.histogram) <= 21
    lows = [bin.low for bin in report.values.histogram]
    assert lows[1] / lows[0] == lows[2] / lows[1]


def test_scales_are_not_taken_for_counts() -> None:
    for values in (np.arange(3000) % 100 + 1, np.arange(3000) % 21 / 2, np.arange(3000) % 10):
        rows = np.arange(3000)
        ratings = make_ratings(rows % 100, rows // 100, values, users=100, items=30)
        assert not check(ratings, Config(k=2)).values.counts


def test_split_prints_events_and_shows_the_columns(run: Run) -> None:
    write_plays()
    out = run("split", "events.csv", "--rating-col", "").out
    assert "mean strength of train" in out
    assert "scale" not in out
    shown = run("show", "split").out
    assert "│ feedback " in shown
    assert "duplicates merged" not in shown
    RATED.to_csv("data.csv", index=False)
    assert "column w" in run("split", "data.csv", "--weight-col", "w").out


def test_given_parts_may_be_events(run: Run) -> None:
    FRAME[:200].to_csv("a.csv", index=False)
    known = set(zip(FRAME["user"][:200], FRAME["item"][:200], strict=True))
    others = [pair not in known for pair in zip(FRAME["user"], FRAME["item"], strict=True)]
    FRAME[others].to_csv("b.csv", index=False)
    words = ("split", "--train", "a.csv", "--test", "b.csv", "--rating-col", "")
    assert run(*words).code == 0
    assert read_split("split").feedback == "implicit"


def test_standard_input_may_hold_events(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    content = texts_of(FRAME)["events.csv"]
    monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(content)))
    read = read_ratings("-", columns=EVENTS)
    assert triples(read) == triples(ratings_from(FRAME, columns=EVENTS))


def test_settings_may_be_in_the_settings_file(run: Run) -> None:
    write_plays()
    Path("mfcli.toml").write_text('feedback = "implicit"\nduplicates = "sum"\n')
    assert run("split", "counts.csv", "--rating-col", "plays").err == ""
    assert read_split("split").feedback == "implicit"
    first = snapshot(Path("split"))
    Path("mfcli.toml").unlink()
    run("split", "counts.csv", "--rating-col", "plays", "--feedback", "implicit")
    assert snapshot(Path("split")) == first


def test_ratings_that_go_with_events_are_read_as_events() -> None:
    reading = Reading()
    assert reading.like("explicit") is reading
    like = reading.like("implicit")
    assert (like.config.feedback, like.events) == ("implicit", True)
    chosen = Reading(config=Config(feedback="explicit"))
    assert chosen.like("implicit") is chosen


def test_matrices_of_pairs_are_events(tmp_path: Path) -> None:
    path = tmp_path / "pairs.mtx"
    path.write_text("%%MatrixMarket matrix coordinate pattern general\n3 2 3\n1 1\n2 2\n3 1\n")
    ratings = read_ratings(path, columns={"rating": ""})
    assert (ratings.feedback, ratings.rating.tolist()) == ("implicit", [1, 1, 1])
    assert ratings.users.ids.to_pylist() == [1, 2, 3]

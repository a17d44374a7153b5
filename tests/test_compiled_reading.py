"""Compiled code, which reads and splits many ratings, gives the same as the code for few."""

from __future__ import annotations

import inspect
import random
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
from contents import snapshot
from hypothesis import given, settings, strategies as st

from mfcli.config import Config
from mfcli.data import (
    Buckets,
    Ratings,
    Vocabulary,
    buckets,
    duplicates,
    find_layout,
    id_tables,
    numbering,
    parsed_ratings,
    ratings_from,
    read_ratings,
)
from mfcli.data.compression import compressed, selected_counts
from mfcli.data.duplicates import merge_duplicates
from mfcli.data.formats import text
from mfcli.data.formats.layout import Layout
from mfcli.data.formats.plain_numbers import plain_columns
from mfcli.data.formats.text import TextPiece
from mfcli.data.growing_arrays import GrowingArray
from mfcli.data.id_tables import table_of
from mfcli.data.numbering import Numbering
from mfcli.data.selections import selecting
from mfcli.data.sources import open_sources
from mfcli.data.value_counts import value_counts
from mfcli.splits import divide, split, write_split

CHANGED = (
    "mfcli.checks.distinct_values.MANY",
    "mfcli.data.duplicates.MANY",
    "mfcli.data.numbering.MANY",
    "mfcli.data.scales.MANY",
    "mfcli.data.selections.MANY",
    "mfcli.splits.pool.MANY",
    "mfcli.splits.strategies.MANY",
    "mfcli.data.parsed_ratings.LARGE",
)
"""The sizes from which on compiled code is used."""


@pytest.fixture
def compiled(monkeypatch: pytest.MonkeyPatch) -> pytest.MonkeyPatch:
    """Use compiled code for all ratings, in small pieces."""
    for name in CHANGED:
        monkeypatch.setattr(name, 1)
    monkeypatch.setattr(buckets, "_WINDOW", 50)
    monkeypatch.setattr(text, "_BLOCK", 300)
    return monkeypatch


# ---------------------------------------------------------------------------
# Plain numbers


@pytest.fixture(scope="module")
def layouts(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Layout]:
    found = {}
    for separator in (",", "\t", "::"):
        path = tmp_path_factory.mktemp("layout") / "r.csv"
        fields = ["1", "2", "3.5", "1200000000"]
        path.write_text("".join(separator.join(fields) + "\n" for _ in range(3)))
        with open_sources([path]) as files:
            found[separator] = find_layout(files[0])
    return found


WHOLE = st.one_of(
    st.integers(0, 99).map(str),
    st.integers(-(2**63), 2**63 - 1).map(str),
    st.integers(0, 10**20).map(str),
    st.sampled_from(["-0", "007", "+1", "1.0", "u1", "", " 1", "1 ", "9" * 18, "9" * 19, "-", "é"]),
)
DECIMAL = st.one_of(
    st.integers(0, 10).map(lambda n: str(n / 2)),
    st.integers(-5, 5).map(str),
    st.floats(-1e7, 1e7, width=32).map(lambda x: f"{x:.6f}"),
    st.decimals(-20, 20, places=7, allow_nan=False).map(str),
    st.sampled_from(
        ["5.", ".5", "05.5", "1e3", "nan", "-0", "-0.0", "16777217", "1.123456789", "x"]
    ),
)
ROW = st.tuples(WHOLE, WHOLE, DECIMAL, WHOLE)


def all_plain(values: tuple[str, str, str, str]) -> bool:
    """Return whether all fields of a row certainly are plain numbers."""
    whole = [v for n, v in enumerate(values) if n != 2]
    fits = all(v.lstrip("-").isdigit() and str(int(v)) == v and len(v) < 18 for v in whole)
    return fits and values[2] in {str(n / 2) for n in range(11)}


@settings(max_examples=120, deadline=None)
@given(st.lists(ROW, min_size=1, max_size=5), st.sampled_from([",", "\t", "::"]), st.data())
def test_plain_numbers_are_what_arrow_reads(
    layouts: dict[str, Layout],
    rows: list[tuple[str, str, str, str]],
    separator: str,
    data: st.DataObject,
) -> None:
    end = data.draw(st.sampled_from(["\n", "\r\n", "\n\n"]))
    content = "".join(separator.join(row) + end for row in rows).encode()
    piece = TextPiece(layouts[separator], content)
    plain = plain_columns(piece)
    if plain is None:
        assert not all(map(all_plain, rows))
        return
    expected = parsed_ratings._with_arrow(piece)
    for ids, column in ((plain.user, expected.user), (plain.item, expected.item)):
        assert list(map(str, ids.tolist())) == column.dictionary_decode().to_pylist()
    np.testing.assert_array_equal(plain.rating.view(np.int32), expected.rating.view(np.int32))
    assert plain.timestamp is not None
    assert expected.timestamp is not None
    np.testing.assert_array_equal(plain.timestamp, expected.timestamp)
    assert expected.timestamp.dtype == np.int64


@settings(max_examples=150, deadline=None)
@given(st.binary(max_size=60))
def test_any_bytes_are_read_as_arrow_reads_them_or_left_to_it(
    layouts: dict[str, Layout], noise: bytes
) -> None:
    piece = TextPiece(layouts[","], b"1,2,3.5,4\n" + noise + b"\n")
    plain = plain_columns(piece)
    if plain is not None:
        expected = parsed_ratings._with_arrow(piece)
        assert len(plain.user) == len(expected)
        np.testing.assert_array_equal(plain.rating, expected.rating)


@pytest.mark.parametrize("digits", [*range(1, 19)])
def test_whole_numbers_of_any_length(layouts: dict[str, Layout], digits: int) -> None:
    number = int("1234567890123456789"[:digits])
    line = f"{number},{-number},1,{number}\n".encode()
    for count in (1, 3):  # the last words of a piece are read byte by byte
        plain = plain_columns(TextPiece(layouts[","], line * count))
        assert plain is not None
        assert plain.user.tolist() == [number] * count
        assert plain.item.tolist() == [-number] * count


# ---------------------------------------------------------------------------
# Ids


def numbered(ids: list[Any]) -> tuple[list[int], list[Any]]:
    """Number ids with a dictionary."""
    rows: dict[Any, int] = {}
    return [rows.setdefault(raw, len(rows)) for raw in ids], list(rows)


INTEGERS = st.one_of(
    st.integers(-3, 40), st.integers(2**22 - 2, 2**22 + 2), st.integers(-(2**63), 2**63 - 1)
)
TEXTS = st.one_of(
    st.integers(0, 30).map(str),
    st.text(min_size=1, max_size=3),
    st.integers(1, 40).map("a".__mul__),
)


@settings(max_examples=100, deadline=None)
@given(st.one_of(st.lists(st.lists(INTEGERS)), st.lists(st.lists(TEXTS))))
def test_ids_get_the_numbers_of_a_dictionary(pieces: list[list[Any]]) -> None:
    flat = [raw for piece in pieces for raw in piece]
    kind = pa.string() if flat and isinstance(flat[0], str) else pa.int64()
    table = table_of(pa.array([], kind))
    found = [n for piece in pieces for n in table.numbers(pa.array(piece, kind)).tolist()]
    assert (found, table.ids().to_pylist()) == numbered(flat)


@pytest.mark.parametrize("kind", ["small", "large", "text", "long"])
def test_a_table_grows(kind: str) -> None:
    values = np.random.default_rng(0).integers(0, 9000, 18_000)
    large = {"small": values, "large": values * 10**12 - 5}
    texts = {"text": "u", "long": "u" * 50}
    column = (
        pa.array([f"{texts[kind]}{n}" for n in values]) if kind in texts else pa.array(large[kind])
    )
    table = table_of(column[:0])
    found = np.concatenate([table.numbers(column[:7000]), table.numbers(column[7000:])])
    assert (found.tolist(), table.ids().to_pylist()) == numbered(column.to_pylist())


def test_colliding_integers_stay_apart() -> None:
    table = table_of(pa.array([], pa.int64()))
    # Of many ids, those that begin at the same slot of the first table.
    keys = np.arange(1 << 23, 10_000_000, dtype=np.uint64)
    mixed = keys ^ np.uint64(table._seed)
    for shift, factor in ((30, id_tables._FIRST), (27, id_tables._SECOND)):
        mixed = (mixed ^ (mixed >> np.uint64(shift))) * factor
    mixed ^= mixed >> np.uint64(31)
    slots = np.uint64(len(table._slots) // 2 - 1)
    alike = keys[(mixed & slots) == (mixed[0] & slots)].astype(np.int64)[:300].tolist()
    assert len(alike) == 300
    ids = pa.array(alike + alike[::-1])
    assert (table.numbers(ids).tolist(), table.ids().to_pylist()) == numbered(ids.to_pylist())


def test_texts_with_equal_hashes_stay_apart(monkeypatch: pytest.MonkeyPatch) -> None:
    def equal(one: Any, at: int, two: Any, begin: int, length: int) -> bool:
        return bytes(one[at : at + length]) == bytes(two[begin : begin + length])

    monkeypatch.setattr(id_tables, "_hash", lambda text, start, length, seed: np.int64(5))
    monkeypatch.setattr(id_tables, "_first_place", lambda key, seed, slots: np.uint64(6))
    monkeypatch.setattr(id_tables, "_next_place", id_tables._next_place.py_func)
    monkeypatch.setattr(id_tables, "_known_text", id_tables._known_text.py_func)
    monkeypatch.setattr(id_tables, "_equal", equal)
    monkeypatch.setattr(id_tables, "prefetch_value", lambda values, at: None)
    # As Python runs it, since compiled code would contain the other functions.
    number = inspect.unwrap(id_tables._number_texts)
    monkeypatch.setattr(id_tables, "_number_texts", number)
    texts = ["a", "b", "ab", "a", "ba", "abcdefgh", "abcdefghi", "abcdefgh", "b"]
    table = table_of(pa.array([], pa.string()))
    assert (table.numbers(pa.array(texts)).tolist(), table.ids().to_pylist()) == numbered(texts)
    monkeypatch.setattr(id_tables, "_find_texts", inspect.unwrap(id_tables._find_texts))
    others = ["abcdefghj", "b", "c", "abcdefghi", "", "a"]
    assert table.found(pa.array(others)).tolist() == [-1, 1, -1, 5, -1, 0]


def test_texts_are_found_without_being_added() -> None:
    known = [f"{n * 7919 % 5003:x}" for n in range(3000)]
    table = id_tables.TextTable(pa.array(known))
    asked = [f"{n:x}" for n in range(5003)] + ["", "a much longer text than the others", known[0]]
    rows = {text: row for row, text in enumerate(known)}
    for ids in (pa.array(asked), pa.array(asked)[2500:], pa.array([], pa.string())):
        expected = [rows.get(text, -1) for text in ids.to_pylist()]
        assert table.found(ids).tolist() == expected
    assert table.ids().to_pylist() == known


@pytest.mark.parametrize("many", [0, 4, 100])
def test_integers_become_text_when_text_follows(many: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(numbering, "MANY", many)
    ids = Numbering()
    pieces = [pa.array([7, 5, 7]), pa.array(["5", "x"]).dictionary_encode(), pa.array([9, 7])]
    found = [ids.numbers(piece).tolist() for piece in pieces]
    assert found == [[0, 1, 0], [1, 2], [3, 0]]
    assert ids.ids().to_pylist() == ["7", "5", "x", "9"]


def test_arrays_grow_also_if_the_share_is_wrong() -> None:
    for share in (0.0, 1e-12, 0.5, 1.0, 2.0):
        array = GrowingArray(np.int32)
        for n in range(50):
            array.append(np.full(n, n), share)
        np.testing.assert_array_equal(array.values(), np.repeat(np.arange(50), np.arange(50)))


# ---------------------------------------------------------------------------
# Duplicates, selections, samples


def random_ratings(rng: np.random.Generator) -> Ratings:
    n, users, items = (int(rng.integers(1, most)) for most in (200, 20, 30))
    user, item = rng.integers(0, users, n).astype(np.int32), rng.integers(0, items, n)
    rating = rng.integers(1, 6, n).astype(np.float32)
    names = [Vocabulary(pa.array(range(m)), np.zeros(m, np.int64)) for m in (users, items)]
    times = rng.integers(0, 4, n) if n % 2 else None
    return Ratings(user, item.astype(np.int32), rating, times, *names)


@pytest.mark.parametrize("rule", ["keep-last", "mean"])
def test_buckets_of_users_give_the_same_duplicates(
    rule: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    rng = np.random.default_rng(1)
    for trial in range(60):
        ratings = random_ratings(rng)
        expected = merge_duplicates(ratings, rule, str)
        with monkeypatch.context() as patch:
            patch.setattr(duplicates, "MANY", 1 + trial % 40)
            found = merge_duplicates(ratings, rule, str)
        assert (found.duplicates, found.conflicts) == (expected.duplicates, expected.conflicts)
        assert (found.kept is None) == (expected.kept is None)
        if found.kept is not None and expected.kept is not None:
            np.testing.assert_array_equal(found.kept, expected.kept)
        for name in ratings.types:
            one, two = (getattr(merged.ratings, name) for merged in (found, expected))
            np.testing.assert_array_equal(one, two)


def test_the_first_repetition_is_the_error_in_any_bucket(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(duplicates, "MANY", 1)
    table = {"user": [1, 2, 3, 3, 2, 1], "item": [1, 1, 1, 1, 1, 1], "rating": [1.0] * 6}
    with pytest.raises(duplicates.DataError, match="row 4: user 3 has rated item 1 before"):
        ratings_from(table, duplicates="error")


def test_a_selection_is_what_a_mask_takes(compiled: pytest.MonkeyPatch) -> None:
    rng = np.random.default_rng(2)
    for fraction in (0, 0.1, 0.9, 1):
        ratings = random_ratings(rng)
        mask = rng.random(len(ratings)) < fraction
        taken = ratings.take(mask)
        for name in ratings.types:
            column = getattr(ratings, name)
            select, memory = selecting(len(ratings)), np.empty(51, column.dtype)
            parts = [slice(start, start + 50) for start in range(0, len(ratings), 50)]
            pieces = [select(column[one], mask[one], memory).copy() for one in parts]
            np.testing.assert_array_equal(np.concatenate(pieces), getattr(taken, name))
        counts = ratings.users.counting(taken.user).counts
        np.testing.assert_array_equal(selected_counts(ratings.user, mask, len(counts)), counts)
    assert compressed(np.arange(3), np.ones(3, np.bool_), np.empty(4, np.int64)).tolist() == [
        0,
        1,
        2,
    ]


def test_values_are_counted_unless_there_are_many() -> None:
    rng = np.random.default_rng(4)
    values = rng.normal(size=990).astype(np.float32)
    rating = values[rng.integers(0, 990, 20_000)]
    counted = value_counts(rating)
    assert counted is not None
    for found, expected in zip(counted, np.unique(rating, return_counts=True), strict=True):
        np.testing.assert_array_equal(found, expected)
    assert value_counts(rng.random(5000, np.float32)) is None
    assert value_counts(np.array([1, -0.0, 0], np.float32)) is None


# ---------------------------------------------------------------------------
# Whole splits


def written(path: Path, ids: str, rng: random.Random) -> Path:
    """Write a file of random ratings, some of them twice."""
    form = {"integers": "{}", "texts": "u{}", "mixed": "{}" if rng.random() < 0.5 else "{}x"}[ids]
    lines = ["user,item,rating,timestamp"]
    for n in range(rng.choice([30, 200])):
        name = form if ids != "mixed" or n > 20 else "{}"
        user, item = name.format(rng.randrange(30)), rng.randrange(10) * 10**9
        lines.append(f"{user},{item},{rng.randrange(1, 11) / 2},{rng.randrange(10**9, 2 * 10**9)}")
    path.write_text("\n".join(lines))
    return path


@pytest.mark.parametrize("ids", ["integers", "texts", "mixed"])
@pytest.mark.parametrize(
    "config",
    [
        Config(),
        Config(valid=0.1, seed=3),
        Config(strategy="per-user", valid=0.2),
        Config(strategy="temporal", test=0.3, min_user=3),
        Config(strategy="cold-user"),
        Config(strategy="k-fold", folds=3),
    ],
    ids=lambda config: f"{config.strategy} {config.valid}",
)
def test_a_split_has_the_same_bytes_with_compiled_code(
    tmp_path: Path, ids: str, config: Config, compiled: pytest.MonkeyPatch
) -> None:
    file, folder = written(tmp_path / "r.csv", ids, random.Random(config.valid)), tmp_path / "split"
    write_split(folder, divide(Buckets.of(read_ratings(file)), config))
    files = snapshot(folder)
    compiled.undo()
    write_split(folder, split(read_ratings(file), config))
    assert snapshot(folder) == files


def test_pieces_that_are_not_plain_are_read_by_arrow(
    tmp_path: Path, compiled: pytest.MonkeyPatch
) -> None:
    lines = [f"{n % 7},{n},{n % 5 + 1}" for n in range(100)]
    lines[50] = "x,1e3,2.5e0"
    (tmp_path / "r.csv").write_text("\n".join(lines))
    ratings = read_ratings(tmp_path / "r.csv")
    assert ratings.users.ids.to_pylist() == [*map(str, range(7)), "x"]
    assert ratings.items.ids[50].as_py() == "1e3"
    assert float(ratings.rating[50]) == 2.5


def test_small_files_do_not_load_numba(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for module in ("plain_numbers", "id_tables", "repeated_pairs", "compression", "value_counts"):
        place = "mfcli.data.formats." if module == "plain_numbers" else "mfcli.data."
        monkeypatch.setitem(sys.modules, f"{place}{module}", None)
    for module in ("compiled_philox", "keys_by_user"):
        monkeypatch.setitem(sys.modules, f"mfcli.splits.{module}", None)
    file = written(tmp_path / "r.csv", "integers", random.Random(0))
    write_split(tmp_path / "split", divide(Buckets.of(read_ratings(file))))


def test_copies_that_arrow_makes_of_columns_are_no_fault(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    ratings = ratings_from([1, 2, 3, 4], [1, 2, 1, 2], [1.0, 2.0, 3.0, 4.0])
    made = divide(Buckets.of(ratings), Config(test=0.5))
    expected = write_split(tmp_path / "split", made)
    # Copies of the columns have other addresses.
    monkeypatch.setattr("mfcli.data.arrow_files.to_arrow", lambda values: pa.array(values.copy()))
    assert write_split(tmp_path / "other", made) == expected

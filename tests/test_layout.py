"""Files are never misread because of their layout: read correctly, warned about, or refused."""

from __future__ import annotations

import itertools
import random
import re
import warnings
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from contents import gzipped, triples
from hypothesis import given, settings, strategies as st

from mfcli.data import PAIRS, Layout, find_layout, open_sources, ratings_from, read_ratings
from mfcli.data.formats import text
from mfcli.data.formats.columns import find_columns
from mfcli.errors import DataError, MfcliWarning, Param

USERS = [(7 * n) % 12 + 1 for n in range(30)]
ROWS = [(user, n % 11 + 100, n % 5 + 1, 978300000 + n) for n, user in enumerate(USERS)]
TRIPLES = [(user, item, float(rating)) for user, item, rating, _ in ROWS]


def lines(*columns: str, header: str = "") -> str:
    """Write rows with the columns index, user, item, rating, time or a fixed text, by name."""
    rows = []
    for n, (user, item, rating, time) in enumerate(ROWS):
        known = {"index": n, "user": user, "item": item, "rating": rating, "time": time}
        rows.append(",".join(str(known.get(name, name)) for name in columns))
    return "\n".join([header] * bool(header) + rows) + "\n"


def write(folder: Path, content: str | bytes, name: str = "data.csv") -> Path:
    path = folder / name
    path.parent.mkdir(exist_ok=True)
    path.write_bytes(content.encode() if isinstance(content, str) else content)
    return path


def layout_of(path: Path, columns: dict[str, str] | None = None) -> Layout:
    with open_sources([path]) as files:
        return find_layout(files[0], columns, needed=PAIRS)


@pytest.mark.parametrize(
    ("line", "positions"),
    [
        ("7\t\t19\t\t-4.979", [0, 2, 4]),  # Jester
        ("7,,19,,2.5,,1500000000", [0, 2, 4, 6]),
        ("7\t\t19", [0, 2]),
    ],
)
def test_doubled_separators_add_no_columns(tmp_path: Path, line: str, positions: list[int]) -> None:
    path = write(tmp_path, f"{line}\n" * 3)
    if len(positions) == len(PAIRS):
        assert list(layout_of(path).columns.values())[-2:] == positions
        return
    ratings = read_ratings(path, duplicates="mean")
    assert (ratings.users.ids[0].as_py(), ratings.items.ids[0].as_py()) == (7, 19)
    assert ratings.rating.tolist() == pytest.approx([float(line.split(line[1])[4])])
    assert (ratings.timestamp is not None) == (len(positions) == 4)
    path.write_text(f"{line}\n" * 3 + line.replace(line[1] * 2, f"{line[1]}x{line[1]}", 1) + "\n")
    with pytest.raises(DataError, match="columns without names"):
        read_ratings(path)


def suggested(message: DataError | MfcliWarning) -> list[dict[str, str]]:
    """Return the columns that a remedy suggests; a new choice starts when a role repeats."""
    found: list[dict[str, str]] = [{}]
    for param in flat(message.remedy):
        role = param.name.removeprefix("columns.")
        if role in found[-1]:
            found.append({})
        found[-1][role] = param.value
    return found


def flat(remedy: object) -> list[Param]:
    if isinstance(remedy, Param):
        return [remedy] if remedy.has_value and remedy.name.startswith("columns.") else []
    return [] if isinstance(remedy, str) else list(itertools.chain(*map(flat, remedy)))  # type: ignore[call-overload]


P123 = {"user": "1", "item": "2", "rating": "3"}
P234 = {"user": "2", "item": "3", "rating": "4"}
MATRIX = "\n".join(
    ",".join([str(u), *("99" if (u * i) % 3 else "2.5" for i in range(20))]) for u in range(9)
)
STEAM = lines("user", '"Game, 1"', "play", "rating", "0")

READ = [
    pytest.param(lines("user", "item", "rating"), {}, id="three"),
    pytest.param(lines("user", "item", "rating", "time"), {}, id="four"),
    pytest.param(lines("user", "item", "rating", "time", "x"), P123, id="five-by-position"),
    pytest.param(lines("user", "x", "rating", "item"), {"item": "4"}, id="item-fourth"),
    pytest.param(lines("index", "user", "item", "rating"), P234, id="index-by-position"),
    pytest.param(lines("item", "user", "rating"), {"user": "2", "item": "1"}, id="swapped"),
    pytest.param(
        lines("user", "item", "play", "rating"), {**P123, "rating": "4"}, id="third-is-text"
    ),
    pytest.param(lines("user", "item", "rating", header="user,item,score"), {}, id="score"),
    pytest.param(
        lines("index", "user", "item", "rating", header=",userId,movieId,rating"), {}, id="index"
    ),
    pytest.param(
        lines("user", "item", "rating", header="user_id:token,item_id:token,rating:float"),
        {},
        id="recbole",
    ),
    pytest.param(lines("user", "item", "rating", header="User-ID,ISBN,Book-Rating"), {}, id="bx"),
    pytest.param(
        lines("item", "user", "rating", "time", header="asin,reviewerID,overall,unixReviewTime"),
        {},
        id="amazon",
    ),
    pytest.param(
        lines("user", "item", "rating", header="user_id,business_id,stars"), {}, id="yelp"
    ),
    pytest.param(
        lines("item", "user", "rating", header="product/productId,review/userId,review/score"),
        {},
        id="snap",
    ),
    pytest.param(
        lines("index", "user", "item", "rating", header=",0,1,2"),
        {"user": "0", "item": "1", "rating": "2"},
        id="pandas-numbers",
    ),
    pytest.param(
        lines("user", "item", "rating", header="0,1,2"),
        {"user": "0", "item": "1", "rating": "2"},
        id="numbers-as-names",
    ),
    pytest.param(
        lines("user", "item", "rating", header="user,item,9"), {"rating": "9"}, id="digit"
    ),
    pytest.param(
        lines("index", "user", "item", "rating", header=",user,item,rating"),
        {"timestamp": ""},
        id="index-without-times",
    ),
    pytest.param("\n  \n" + lines("user", "item", "rating"), {}, id="blank-lines"),
    pytest.param(lines("user", "item", "rating").replace(",", "::"), {}, id="colons"),
    pytest.param(lines("user", "item", "rating", "Re::Zero"), {"timestamp": ""}, id="colons-title"),
]


@pytest.mark.parametrize(("content", "columns"), READ)
def test_it_is_read(tmp_path: Path, content: str, columns: dict[str, str]) -> None:
    assert triples(read_ratings(write(tmp_path, content), columns=columns)) == unique(TRIPLES)


def unique(rows: list[tuple[int, int, float]]) -> list[tuple[int, int, float]]:
    """Keep the last rating of each user and item."""
    last = {row[:2]: n for n, row in enumerate(rows)}
    return [row for n, row in enumerate(rows) if last[row[:2]] == n]


REFUSED = [
    (lines("user", "item", "rating", "time", "x"), {}, ": has 5 columns without names; choose"),
    (lines("user", "item", "rating", "time", "x"), {"user": "1"}, ": has 5 columns without names"),
    (STEAM, {}, ":1: is not a header with known names, and its third field is not a rating, got"),
    (
        lines("index", "user", "item", "rating"),
        {},
        ": the first column is read as users, but counts up: 0, 1, 2, ...; if it is an index, use ",
    ),
    (
        lines("index", "user", "item", "rating", "time"),
        {},
        ": has 5 columns without names; choose columns by position, as with columns={'user': '2'}",
    ),
    (lines("user", "item", "rating", header="0,1,2"), {}, ":1: 0,1,2 looks like the column numb"),
    (lines("index", "user", "item", "rating", header=",0,1,2"), {}, ":1: ,0,1,2 looks like the"),
    (
        lines("index", "user", "item", "rating", header="Unnamed: 0,0,1,2"),
        {},
        ":1: Unnamed: 0,0,1,2 looks like the column numbers that pandas writes as a header; remove",
    ),
    (lines("user", "item", "rating", "time", header="0,1,2,3"), P123, ":1: 0,1,2,3 looks like"),
    (MATRIX, {}, ": has 21 columns without names and looks like a matrix of ratings; convert a "),
    (
        "user," + ",".join(f"Toy Story {n}" for n in range(20)) + "\n" + MATRIX,
        {},
        ": has no item column, and its 21 columns look like a matrix of ratings; convert a matrix",
    ),
    (
        "userId," + ",".join(map(str, range(100, 106))) + "\n1,,3,4,,,1\n2,1,,,5,1,2\n",
        {},
        ": has no item column, and its 7 columns look like a matrix of ratings; convert a matrix",
    ),
    (
        lines("user", "item", "rating", header="userId,movieId,rating"),
        P123,
        ":1: names the columns (userId, movieId, rating), but they are chosen by position; choose"
        " them by name, as with columns={'user': 'userId'} ",
    ),
    (
        lines("user", "item", "rating"),
        {"user": "userId"},
        ": has no header, so it has no column 'userId'; choose by position, as with columns={'use",
    ),
    (
        lines("index", "user", "item", "rating", header="user,item,rating"),
        {},
        ":1: has 3 names in the header, but 4 fields in each row; if the first field is an index",
    ),
    (
        lines("user", "item", "rating", "", header="user,item,rating"),
        {},
        ":1: has 3 names in the header, but 4 fields in each row; remove the separator at the end",
    ),
    (
        lines("user", "item", "x", "rating", header="user_id,asin,parent_asin,rating"),
        {},
        ": has several columns that may be the items: 'asin' and 'parent_asin'; choose with ",
    ),
    (lines("user", "item", "rating"), {"user": "2"}, ": column '2' cannot be both user and item"),
    (lines("user", "item", "rating"), {"rating": "4"}, ": has no column '4'; its columns are 1,"),
    (
        lines("user", "item", "rating", "x", header="user,item,rating,rating"),
        {"rating": "rating"},
        ": has several columns 'rating'; rename them, or choose another with columns['rating']",
    ),
    ("1.2.3\n4.5.6\n", {"user": "1"}, ":1: must have 3 fields (user, item, rating), got 1; "),
]  # fmt: skip


@pytest.mark.parametrize(("content", "columns", "message"), REFUSED)
def test_it_is_refused(tmp_path: Path, content: str, columns: dict[str, str], message: str) -> None:
    path = write(tmp_path, content)
    with pytest.raises(DataError) as caught:
        read_ratings(path, columns=columns)
    assert str(caught.value).startswith(f"{path}{message}")
    assert "\n" not in str(caught.value)


REMEDIES = [
    (lines("user", "item", "rating", "time", "x"), 0),
    (lines("index", "user", "item", "rating", "time"), 0),
    (lines("index", "user", "item", "rating"), 0),
    (lines("user", "item", "rating", header="0,1,2"), 0),
    (lines("index", "user", "item", "rating", header=",0,1,2").replace("index", ""), 0),
    (lines("user", "item", "play", "rating"), 0),
]


@pytest.mark.parametrize(("content", "number"), REMEDIES)
def test_the_suggested_columns_work(tmp_path: Path, content: str, number: int) -> None:
    path = write(tmp_path, content)
    with pytest.raises(DataError) as caught:
        read_ratings(path)
    columns = suggested(caught.value)[number]
    if ",0,1,2" in content:
        columns = {"user": "0", "item": "1", "rating": "2"}
    assert triples(read_ratings(path, columns=columns)) == unique(TRIPLES)


def test_suggested_names_replace_positions(tmp_path: Path) -> None:
    path = write(tmp_path, lines("user", "item", "rating", header="userId,movieId,rating"))
    with pytest.raises(DataError) as caught:
        read_ratings(path, columns=P123)
    assert triples(read_ratings(path, columns=suggested(caught.value)[0])) == unique(TRIPLES)


def test_zero_one_two_may_be_a_rating(tmp_path: Path) -> None:
    path = write(tmp_path, "0,1,2\n3,4,5\n")
    with pytest.raises(DataError) as caught:
        read_ratings(path)
    names, positions = suggested(caught.value)
    assert triples(read_ratings(path, columns=names)) == [(3, 4, 5.0)]
    assert triples(read_ratings(path, columns=positions)) == [(0, 1, 2.0), (3, 4, 5.0)]


def test_users_that_count_up_by_intention(tmp_path: Path) -> None:
    path = write(tmp_path, lines("index", "item", "rating", "time"))  # leave-one-out test ratings
    with pytest.warns(
        MfcliWarning, match="the first column is read as users, but counts up: 0, 1, 2"
    ):
        read_ratings(path)
    ratings = read_ratings(path, columns={"user": "1"})
    assert ratings.timestamp is not None
    assert ratings.users.ids.to_pylist() == list(range(30))


@pytest.mark.parametrize("change", [lambda n: n // 2, lambda n: 2 * n, lambda n: 30 - n])
def test_users_in_order_are_no_index(tmp_path: Path, change: object) -> None:
    rows = [f"{change(n)},{n % 7},{n % 5}" for n in range(40)]  # type: ignore[operator]
    assert len(read_ratings(write(tmp_path, "\n".join(rows)))) == 40


def test_few_users_in_order_are_no_index(tmp_path: Path) -> None:
    assert len(read_ratings(write(tmp_path, "1,5,3\n2,5,4\n3,6,1\n"))) == 3


def test_times_like_ratings_are_doubtful(tmp_path: Path) -> None:
    path = write(tmp_path, lines("user", "item", "7", "rating"))
    with pytest.warns(
        MfcliWarning, match="the fourth column is read as timestamps, but holds 1, 2"
    ):
        read_ratings(path)
    ratings = read_ratings(path, columns={"rating": "4"})
    assert (triples(ratings), ratings.timestamp) == (unique(TRIPLES), None)
    assert read_ratings(path, columns={"timestamp": ""}).timestamp is None
    assert read_ratings(path, columns={"timestamp": "4"}).timestamp is not None


def test_columns_of_pairs(tmp_path: Path) -> None:
    two = write(tmp_path, lines("index", "item"), "two.csv")
    assert layout_of(two).columns == {"user": 0, "item": 1}
    with pytest.warns(MfcliWarning, match="the first column is read as users, but counts up: "):
        layout_of(write(tmp_path, lines("index", "user", "item")))
    with pytest.raises(DataError, match="has 5 columns without names"):
        layout_of(write(tmp_path, lines("user", "item", "a", "b", "c")))
    steam = write(tmp_path, STEAM)
    assert layout_of(steam, {"user": "1", "item": "2"}).header is False
    named = write(tmp_path, "user,item\n1,2\n")
    with pytest.raises(DataError, match=r"data.csv:1: names the columns \(user, item\), but"):
        layout_of(named, {"user": "1", "item": "2"})
    with pytest.raises(DataError, match="cannot be both user and item"):
        layout_of(two, {"user": "2"})


def test_a_column_of_a_table_has_one_role(tmp_path: Path) -> None:
    frame = pd.DataFrame({"user": [1], "item": [2], "rating": [3.0]})
    with pytest.raises(DataError, match="table: column 'item' cannot be both user and item"):
        ratings_from(frame, columns={"user": "item"})
    frame.to_parquet(tmp_path / "data")
    with pytest.raises(DataError, match="data: column 'user' cannot be both user and rating"):
        read_ratings(tmp_path / "data", columns={"rating": "user"})


def test_tables_that_are_matrices(tmp_path: Path) -> None:
    matrix = pd.DataFrame(np.ones((3, 20)), columns=[f"title {n}" for n in range(20)])
    matrix.insert(0, "user", [1, 2, 3])
    matrix.to_parquet(tmp_path / "data")
    with pytest.raises(DataError, match="data: has no item column, and its 21 columns look like"):
        read_ratings(tmp_path / "data")
    pivot = pd.DataFrame(np.ones((3, 6)), columns=range(100, 106)).rename_axis("user")
    with pytest.raises(DataError, match="table: has no item column, and its 7 columns"):
        ratings_from(pivot)


def test_known_names_have_one_meaning() -> None:
    names = ["Customer ID", "product_id", "star_rating", "review_headline"]
    assert find_columns("x", names, {}) == {"user": 0, "item": 1, "rating": 2}
    assert find_columns("x", ["username", "anime_id", "rating", "user_id"], {})["user"] == 3


PARTS = {
    "one-header": (
        [("item,user,rating", "item,user,rating"), ("", "item,user,rating")],
        "part-1: has no header, but .*part-0 has a header; give each file a header, or join all",
    ),
    "late-header": (
        [("", "user,item,rating"), ("user,item,rating", "user,item,rating")],
        "part-1: has a header, but .*part-0 has no header",
    ),
    "widths": (
        [("", "user,item,rating"), ("", "user,item,rating,time")],
        "part-1: has 4 columns, but .*part-0 has 3",
    ),
    "names": (
        [
            ("user,movieId,rating", "user,item,rating"),
            ("user,movie_idx,rating", "user,item,rating"),
        ],
        "part-1: has the item column 'movie_idx', but .*part-0 has 'movieId'",
    ),
    "times": (
        [
            ("user,item,rating,ts", "user,item,rating,time"),
            ("user,item,rating", "user,item,rating"),
        ],
        "part-1: has no timestamps, but .*part-0 has; ignore them",
    ),
    "index-in-the-second": (
        [("", "user,item,rating,time"), ("", "index,user,item,rating")],
        "part-1: the first column is read as users, but counts up: ",
    ),
}


@pytest.mark.parametrize(("parts", "message"), PARTS.values(), ids=PARTS)
@pytest.mark.parametrize("folder", [True, False])
def test_parts_that_differ_are_refused(
    tmp_path: Path, parts: list[tuple[str, str]], message: str, folder: bool
) -> None:
    paths = [
        write(tmp_path, lines(*columns.split(","), header=header), f"part-{n}")
        for n, (header, columns) in enumerate(parts)
    ]
    with pytest.raises(DataError, match=message):
        read_ratings(tmp_path if folder else paths)


def test_separators_and_formats_of_parts(tmp_path: Path) -> None:
    first = write(tmp_path, lines("user", "item", "rating"), "a.csv")
    other = write(tmp_path, lines("user", "item", "rating").replace(",", "\t"), "b.csv")
    with pytest.raises(
        DataError, match=r"b.csv: has fields separated by '\\t', but .*a.csv by ','"
    ):
        read_ratings([first, other])
    pd.DataFrame({"user": [1], "item": [1], "rating": [1.0]}).to_parquet(tmp_path / "c")
    with pytest.raises(DataError, match=r"c: is parquet, but .*a.csv is text; convert one of them"):
        read_ratings([first, tmp_path / "c"])


def test_columns_by_name_may_have_another_order(tmp_path: Path) -> None:
    write(tmp_path, "user,item,rating\n1,2,3\n", "part-0")
    write(tmp_path, "rating,note,Item,user\n5,x,8,7\n", "part-1")
    assert triples(read_ratings(tmp_path)) == [(1, 2, 3.0), (7, 8, 5.0)]


@pytest.mark.parametrize("empty", [b"", b"\n\n", gzipped(b""), b"user,item,rating\n"])
def test_empty_parts_are_left_out(tmp_path: Path, empty: bytes) -> None:
    write(tmp_path, empty, "part-0")
    write(tmp_path, "user,item,rating\n1,2,3\n", "part-1")
    write(tmp_path, empty, "part-2")
    assert triples(read_ratings(tmp_path)) == [(1, 2, 3.0)]


@pytest.mark.parametrize("empty", [b"", b"\n\n", gzipped(b"")])
def test_empty_files_and_folders_are_errors(tmp_path: Path, empty: bytes) -> None:
    write(tmp_path, empty, "parts/part-0")
    write(tmp_path, empty, "parts/part-1")
    filled = write(tmp_path, "user,item,rating\n1,2,3\n")
    for names in (tmp_path / "parts", [filled, tmp_path / "parts/part-0"]):
        with pytest.raises(DataError, match=r"part-[01]: is empty; provide one line per rating"):
            read_ratings(names)


HEADER = "user,item,rating,title"


def quoted(titles: dict[int, str], separator: str = ",", count: int = 30) -> str:
    """Write rows with some titles."""
    rows = [f"{n},{n % 7},{n % 5},{titles.get(n, 'x')}" for n in range(count)]
    return "\n".join([HEADER, *rows]).replace(",", separator) + "\n"


ALL = [(n, n % 7, float(n % 5)) for n in range(30)]
UNBALANCED = {
    "two-lone": {3: '"Best', 20: '"Must'},
    "opens-and-closes": {3: '"Best', 20: 'Must"'},
    "neighbors": {3: '"Best', 4: 'Must"'},
    "one": {3: '"Best'},
    "last": {29: '"Best'},
    "three": {3: '"', 9: '"a', 20: '"b'},
    "beside-quoted": {1: '"a b"', 3: '"Best', 20: '"Must'},
    "beside-doubled": {1: '"a ""b"""', 3: '"Best "', 20: '"Must'},
    "beside-separators": {1: '"a, b"', 3: '"Best', 20: '"Must'},
}


@pytest.mark.parametrize("titles", UNBALANCED.values(), ids=UNBALANCED)
@pytest.mark.parametrize("separator", [",", "\t"])
@pytest.mark.parametrize("block", [64, 1 << 23])
@pytest.mark.parametrize("end", ["\n", "\r\n", "\r"])
def test_a_quote_that_stays_open_on_its_row_is_text(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    titles: dict[int, str],
    separator: str,
    block: int,
    end: str,
) -> None:
    monkeypatch.setattr(text, "_BLOCK", block)
    path = write(tmp_path, quoted(titles, separator).replace("\n", end))
    assert triples(read_ratings(path)) == ALL


def test_a_quote_may_open_before_other_columns(tmp_path: Path) -> None:
    path = write(tmp_path, 'user,title,rating,item\n1,"Foo,4,7\n2,Bar,3,8\n3,"Baz,2,9\n')
    assert triples(read_ratings(path)) == [(1, 7, 4.0), (2, 8, 3.0), (3, 9, 2.0)]


def test_an_open_quote_on_a_row_with_too_few_fields_is_a_fault(tmp_path: Path) -> None:
    content = quoted({}).replace("\n3,3,3,x", '\n3,3,"x').replace("\n20,6,0,x", '\n20,6,0,"x')
    path = write(tmp_path, content)
    message = "data.csv:5: must have 4 fields like the first line, got 3; close the quotation mark"
    with pytest.raises(DataError, match=message):
        read_ratings(path)
    assert triples(read_ratings(path, on_bad_row="skip")) == [row for row in ALL if row[0] != 3]


def test_rows_that_span_lines_are_reported(tmp_path: Path) -> None:
    path = write(tmp_path, quoted({3: '"a\n\nb, c"', 8: '"x\ny"'}))
    message = (
        r"data.csv:5: the row spans 3 lines, since a quoted field contains line breaks, and 1 more"
        r" rows span lines; check that its quotation marks close where they should"
    )
    with pytest.warns(MfcliWarning, match=message):
        assert triples(read_ratings(path)) == ALL


def test_both_kinds_of_quotes_in_one_file(tmp_path: Path) -> None:
    path = write(tmp_path, quoted({3: '"a\nb"', 8: '"Best', 20: '"Must'}))
    with pytest.warns(
        MfcliWarning, match="data.csv:5: the row spans 2 lines, since a quoted field"
    ):
        assert triples(read_ratings(path)) == ALL


TITLES = st.lists(st.text(st.sampled_from('a" ,'), max_size=5), min_size=12, max_size=12)


@settings(max_examples=100, deadline=None)
@given(TITLES, st.integers(1, 90))
def test_no_row_is_lost_to_quotes(
    tmp_path_factory: pytest.TempPathFactory, titles: list[str], block: int
) -> None:
    """Rows are read, or refused because a title has separators outside quotes."""
    content = quoted(dict(enumerate(titles)), count=12)
    path = write(tmp_path_factory.mktemp("quotes"), content)
    with pytest.MonkeyPatch.context() as patch, warnings.catch_warnings():
        warnings.simplefilter("error")
        patch.setattr(text, "_BLOCK", block)
        try:
            assert triples(read_ratings(path)) == ALL[:12]
        except MfcliWarning as warning:
            assert " the row spans " in str(warning)
            assert "," in "".join(titles)
        except DataError as error:
            found = re.search(r":(\d+): must have 4 fields", str(error))
            assert found
            assert "," in titles[int(found[1]) - 2]


def test_index_detection_needs_all_rows(tmp_path: Path) -> None:
    rows = [f"{n},{random.Random(n).randrange(9)},{n % 5}" for n in range(500)]
    rows[400] = "7,3,1"
    assert len(read_ratings(write(tmp_path, "\n".join(rows)))) >= 499


@pytest.mark.parametrize("separator", ["^", "~"])
def test_unknown_separators_are_named_as_the_fault(tmp_path: Path, separator: str) -> None:
    path = tmp_path / "data.txt"
    path.write_text("user,item,rating\n1,2,3\n2,2,4\n".replace(",", separator))
    with pytest.raises(DataError, match=r"has only one column, 'user.item.rating'; separate col"):
        read_ratings(path)


def test_rows_with_unquoted_decimal_commas_are_explained(tmp_path: Path) -> None:
    path = tmp_path / "data.csv"
    path.write_text("user,item,rating\n1,2,3,5\n2,2,4,0\n")
    with pytest.raises(DataError, match="if numbers have decimal commas, put them in quotes"):
        read_ratings(path)
    path.write_text('user,item,rating\n1,2,"3,5"\n2,2,"4,0"\n')
    assert read_ratings(path, decimal=",").rating.tolist() == [3.5, 4.0]

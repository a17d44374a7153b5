"""JSON lines, as in the published reviews of Amazon, Yelp and Goodreads."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest
from contents import gzipped, triples

from mfcli.data import read_ratings
from mfcli.data.formats import json_lines
from mfcli.errors import DataError

AMAZON_2014 = {
    "reviewerID": "A2SU", "asin": "0001", "helpful": [0, 1], "reviewText": 'so "good", {so} far',
    "overall": 5.0, "unixReviewTime": 1203638400, "reviewTime": "02 22, 2008",
}  # fmt: skip
AMAZON_2018 = {
    "overall": 5.0, "verified": True, "reviewerID": "A2SU", "asin": "0001",
    "style": {"Format:": " Kindle"}, "unixReviewTime": 1203638400,
}  # fmt: skip
YELP = {"review_id": "x", "user_id": "A2SU", "business_id": "0001", "stars": 5.0, "useful": 0}
GOODREADS = {"user_id": "A2SU", "book_id": "0001", "review_id": "x", "rating": 5}
AMAZON_2023 = {
    "rating": 5, "title": "t", "images": [], "asin": "0002", "parent_asin": "0001",
    "user_id": "A2SU",
}  # fmt: skip


GOOD = '{"user": 1, "item": 2, "rating": 3}'


def write(folder: Path, *rows: object, name: str = "data.jsonl") -> Path:
    path = folder / name
    lines = [row if isinstance(row, str) else json.dumps(row, ensure_ascii=False) for row in rows]
    path.write_text("\n".join(lines) + "\n", encoding="utf-8")
    return path


@pytest.mark.parametrize("row", [AMAZON_2014, AMAZON_2018, YELP, GOODREADS, AMAZON_2023])
def test_published_reviews(tmp_path: Path, row: dict[str, object]) -> None:
    other = {name: "B7" if value == "A2SU" else value for name, value in row.items()}
    ratings = read_ratings(write(tmp_path, row, other))
    assert triples(ratings)[0][0] == "A2SU"
    assert [rating for *_, rating in triples(ratings)] == [5.0, 5.0]
    assert len(ratings.users) == 2
    assert len(ratings.items) == 1
    if "unixReviewTime" in row:
        assert ratings.timestamp is not None
        assert ratings.timestamp.tolist() == [1203638400] * 2


@pytest.mark.parametrize(
    "change",
    [
        lambda text: text.encode(),
        lambda text: text.encode("utf-8-sig"),
        lambda text: text.encode("utf-16"),
        lambda text: gzipped(text.encode()),
        lambda text: text.replace("\n", "\r\n").encode(),
        lambda text: ("\n" + text).replace("\n", "\n\n").encode(),
        lambda text: text.rstrip("\n").encode(),
    ],
)
@pytest.mark.parametrize("block", [16, 1 << 23])
def test_layouts(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, change: object, block: int
) -> None:
    monkeypatch.setattr(json_lines, "_BLOCK", block)
    text = "".join(f'{{"user": "é{n}", "item": {n}, "rating": {n % 5}}}\n' for n in range(40))
    (tmp_path / "data").write_bytes(change(text))  # type: ignore[operator]
    expected = [(f"é{n}", n, float(n % 5)) for n in range(40)]
    ratings = read_ratings(tmp_path / "data")
    assert triples(ratings) == expected
    assert ratings.source is not None
    assert ratings.source.format.endswith("json")


def test_values_of_several_types(tmp_path: Path) -> None:
    rows = [{"user": n, "item": "i", "rating": n} for n in range(3)]
    rows += [{"user": "x", "item": "i", "rating": 2.5}, {"user": 2**70, "item": "i", "rating": 1}]
    read = triples(read_ratings(write(tmp_path, *rows)))
    assert [str(user) for user, *_ in read] == ["0", "1", "2", "x", str(2**70)]
    assert [rating for *_, rating in read] == [0.0, 1.0, 2.0, 2.5, 1.0]


@pytest.mark.parametrize("ratings", [[5, 4.5, 3], [4.5, 5, 3]])
def test_ratings_that_are_partly_integers_are_read_by_blocks(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, ratings: list[float]
) -> None:
    monkeypatch.delattr(json_lines, "_column")  # for blocks that are parsed line by line
    rows = [{"user": n, "item": 1, "rating": rating} for n, rating in enumerate(ratings)]
    assert read_ratings(write(tmp_path, *rows)).rating.tolist() == ratings


def test_columns_can_be_named(tmp_path: Path) -> None:
    path = write(tmp_path, {"who": "a", "asin": "b", "stars": 4, "rating": 1})
    columns = {"user": "who", "rating": "stars"}
    assert triples(read_ratings(path, columns=columns)) == [("a", "b", 4.0)]
    with pytest.raises(DataError, match="has no user column; its columns are who, asin, stars"):
        read_ratings(path)


@pytest.mark.parametrize(
    ("rows", "message"),
    [
        ([GOOD, '{"user": 1, "it'], ": row 2: is not a JSON obj"),
        ([GOOD, "[1]"], ": row 2: is not a JSON object"),
        (["{", '"user": 1, "item": 2, "rating": 3}'], ": is JSON, but its first line is not one"),
        (["{}", "{}"], ": holds no JSON object with values"),
        ([GOOD, '{"user": 1, "item": null, "rating": 3}'], ": row 2: item is "),
        ([GOOD, '{"user": 1, "item": [1], "rating": 3}'], ": row 2: item is "),
        ([GOOD, '{"user": 1, "item": 4}'], ": row 2: rating is "),
        (['{"user": 1, "item": 2, "rating": NaN}'], ": row 1: rating "),
    ],
)
def test_faults_name_their_row(tmp_path: Path, rows: list[str], message: str) -> None:
    path = write(tmp_path, *rows)
    with pytest.raises(DataError) as caught:
        read_ratings(path)
    assert str(caught.value).startswith(f"{path}{message}")


def test_faulty_rows_can_be_skipped(tmp_path: Path) -> None:
    path = write(tmp_path, {"user": 1, "item": 2, "rating": 3}, {"user": 1, "item": 3})
    read = read_ratings(path, on_bad_row="skip")
    assert triples(read) == [(1, 2, 3.0)]
    assert read.source is not None
    assert read.source.rejected == {"rating": 1}


@pytest.mark.skipif(sys.platform == "win32", reason="the remedy is a command of POSIX shells")
@pytest.mark.parametrize("packed", [False, True])
@pytest.mark.parametrize("kind", ["array", "Python"])
def test_remedies_for_other_json_work(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, kind: str, packed: bool
) -> None:
    monkeypatch.chdir(tmp_path)
    rows = [AMAZON_2014, AMAZON_2014 | {"reviewerID": "it's"}]
    text = json.dumps(rows, indent=1) if kind == "array" else "".join(f"{r}\n" for r in rows)
    path = Path("some data.json")
    path.write_bytes(gzipped(text.encode()) if packed else text.encode())
    with pytest.raises(DataError) as caught:
        read_ratings(path)
    rule = "is a JSON array" if kind == "array" else "holds Python dictionaries"
    assert rule in str(caught.value)
    command = str(caught.value.remedy).partition("convert it, as with: ")[2]
    subprocess.run(["sh", "-c", command], check=True)
    assert [user for user, *_ in triples(read_ratings("ratings.jsonl"))] == ["A2SU", "it's"]


@pytest.mark.parametrize("line", ['{"user": 1, "it', "[1]", "\udce9"])
def test_lines_that_are_no_objects_can_be_skipped(tmp_path: Path, line: str) -> None:
    path, rejected = tmp_path / "data.jsonl", tmp_path / "rejected.csv"
    text = f'{GOOD}\n{line}\n{{"user": 2, "item": 2}}\n{{"user": 3, "item": 2, "rating": 1}}\n'
    path.write_text(text, encoding="utf-8", errors="surrogateescape")
    read = read_ratings(path, rejected=rejected)
    assert triples(read) == [(1, 2, 3.0), (3, 2, 1.0)]
    assert read.source is not None
    assert read.source.rejected == {"json": 1, "rating": 1}
    listed = rejected.read_text(encoding="utf-8").splitlines()
    assert [row.split(",")[1:3] for row in listed[1:]] == [
        ["2", "is not a JSON object"],
        ["3", "rating is null"],
    ]


def test_ratings_in_quotes_are_numbers(tmp_path: Path) -> None:
    rows: list[object] = [{"user": n, "item": 1, "rating": f"{n}.5"} for n in range(2)]
    rows += [{"user": 2, "item": 1, "rating": 4}]
    assert [rating for *_, rating in triples(read_ratings(write(tmp_path, *rows)))] == [0.5, 1.5, 4]
    rows += [{"user": 3, "item": 1, "rating": "good"}]
    with pytest.raises(DataError, match="row 4: rating must be a finite number, got 'good'"):
        read_ratings(write(tmp_path, *rows))
    with pytest.raises(DataError, match="column 'rating' must hold finite numbers, got string"):
        read_ratings(write(tmp_path, rows[-1]))

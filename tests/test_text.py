"""The fast reader of text: where rows end, and what it leaves to the strict reader."""

from __future__ import annotations

import csv
import io
from collections.abc import Callable, Iterator
from pathlib import Path
from unittest import mock

import numpy as np
import pytest
from contents import triples
from hypothesis import given, settings, strategies as st

from mfcli.data import read_ratings
from mfcli.data.formats import strict_text as strict, text
from mfcli.data.formats.parts import find_layout
from mfcli.data.formats.text import Quotes, text_pieces
from mfcli.data.sources import open_sources
from mfcli.errors import DataError, MfcliWarning


@pytest.fixture
def fast(monkeypatch: pytest.MonkeyPatch) -> None:
    """Fail if the strict reader takes over."""

    def refuse(*args: object) -> Iterator[object]:
        raise AssertionError("the strict reader took over")

    monkeypatch.setattr(strict, "text_rows", refuse)


HEADER = "user,item,rating,title\n"
PLAIN = "".join(f"{n},{n % 7},{n % 5},t\n" for n in range(300))
EXPECTED = [(n, n % 7, float(n % 5)) for n in range(300)]


SPANNING = "ignore:.* the row spans:mfcli.errors.MfcliWarning"


@pytest.mark.usefixtures("fast")
@pytest.mark.filterwarnings(SPANNING)
@pytest.mark.parametrize(
    "change",
    [
        lambda text: text,
        lambda text: text.replace(",t\n", ',"a, ""b""\nc"\n'),
        lambda text: text.replace(",t\n", ',5" disc\n'),
        lambda text: text.replace("3,t\n", '3,5" disc\n'),
        lambda text: text.replace("3,t\n", '3,"x" y "z\n'),
        lambda text: text.replace("2,t\n", '2,"a\nb"\n').replace("3,t\n", '3,5" disc\n'),
        lambda text: text.replace("\n", "\r\n"),
        lambda text: text.replace("\n", "\n\n"),
        lambda text: text.replace("\n", "\r"),
        lambda text: text.replace("\n", "\r") + "\r\r",
        lambda text: "\ufeff" + text,
        lambda text: text.rstrip("\n"),
        lambda text: text.replace(",", "::"),
        lambda text: text.replace(",", "::").replace("3::t", "3::a:b"),
        lambda text: text.replace(",", "::").replace("3::t", "3::\x1f"),
        lambda text: "\n" * 200 + text,
    ],
)
@pytest.mark.parametrize("block", [64, 1 << 23])
def test_it_reads_alone(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, change: Callable[[str], str], block: int
) -> None:
    monkeypatch.setattr(text, "_BLOCK", block)
    (tmp_path / "data").write_bytes(change(HEADER + PLAIN).encode())
    assert triples(read_ratings(tmp_path / "data")) == EXPECTED


@pytest.mark.parametrize(
    ("change", "row"),
    [
        (lambda text: text.replace("\n200,", '\n"200" ,'), 200),
        (lambda text: text.replace("\n", "\r").replace("200,", '"200",'), 200),
        (lambda text: text.replace("\n200,", "\n \n200,"), 200),
        (lambda text: text.replace("\n200,4,0,", "\n200,4,\u0660,"), 200),
        (lambda text: text.replace("\n200,4,0,t", "\n200,4,0,\r"), 200),
        (lambda text: text.replace(",", "::").replace("\n200::4", "\n200:\x1f::4"), 200),
    ],
)
def test_the_strict_reader_takes_over_where_it_stopped(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, change: Callable[[str], str], row: int
) -> None:
    starts = []
    original = strict._sound_rows

    def sound_rows(layout: object, first: int, on_fault: object) -> object:
        starts.append(first)
        return original(layout, first, on_fault)  # type: ignore[arg-type]

    monkeypatch.setattr(text, "_BLOCK", 64)
    monkeypatch.setattr(strict, "_sound_rows", sound_rows)
    (tmp_path / "data").write_bytes(change(HEADER + PLAIN).encode())
    read = triples(read_ratings(tmp_path / "data"))
    assert [(float(rating)) for _, _, rating in read] == [rating for _, _, rating in EXPECTED]
    assert len(starts) <= 1
    is_old = b"\n" not in (tmp_path / "data").read_bytes()  # read ahead, to convert its line ends
    assert all(is_old or 0 < start <= row for start in starts)


def test_faults_are_skipped_after_the_rows_that_are_read(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(text, "_BLOCK", 64)
    (tmp_path / "data").write_text(HEADER + PLAIN.replace("\n200,4,0,", "\n200,4,x,"))
    read = read_ratings(tmp_path / "data", on_bad_row="skip")
    assert triples(read) == EXPECTED[:200] + EXPECTED[201:]
    assert read.source is not None
    assert read.source.rejected == {"rating": 1}
    assert read.source.settings == {
        "decimal": ".", "encoding": "utf-8", "duplicates": "keep-last", "on_bad_row": "skip"
    }  # fmt: skip
    with pytest.raises(DataError) as caught:
        read_ratings(tmp_path / "data")
    assert str(caught.value) == (
        f"{tmp_path / 'data'}:202: rating must be a finite number, got 'x';"
        " skip invalid rows with on_bad_row='skip'"
    )


@pytest.mark.usefixtures("fast")
@pytest.mark.parametrize("separator", [",", "::"])
def test_a_byte_order_mark_within_a_text_is_part_of_an_id(tmp_path: Path, separator: str) -> None:
    """Even at the start of a piece, where Arrow would skip it."""
    lines = ["user,item,rating", "\ufeff7,1,3", "8,1,4", "\ufeff7,2,5"]
    text = "".join(line.replace(",", separator) + "\n" for line in lines)
    (tmp_path / "data").write_text(text, encoding="utf-8")
    with pytest.warns(MfcliWarning, match="has user ids that begin with a byte order mark"):
        read = triples(read_ratings(tmp_path / "data"))
    assert read == [("\ufeff7", 1, 3.0), ("8", 1, 4.0), ("\ufeff7", 2, 5.0)]


def test_a_byte_order_mark_alone_is_a_fault(tmp_path: Path) -> None:
    (tmp_path / "data").write_text("user,item,rating\n\ufeff\n8,1,4\n", encoding="utf-8")
    with pytest.raises(DataError, match="data:2: must have 3 fields like the first line, got 1"):
        read_ratings(tmp_path / "data")


def test_single_colons_do_not_separate(tmp_path: Path) -> None:
    (tmp_path / "data").write_text("1::2::3\n1:x:2::3\n")
    with pytest.raises(DataError, match="data:2: must have 3 fields like the first line, got 2"):
        read_ratings(tmp_path / "data")


@pytest.mark.filterwarnings(SPANNING)
@pytest.mark.parametrize("end", ["", '"\n'])
def test_a_row_without_end_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, end: str
) -> None:
    monkeypatch.setattr(text, "_BLOCK", 64)
    monkeypatch.setattr(text, "LONGEST", 256)
    (tmp_path / "data").write_text('user,item,rating,title\n1,2,3,"' + "a\n" * 400 + end)
    if end:
        assert triples(read_ratings(tmp_path / "data")) == [(1, 2, 3.0)]
    with open_sources([tmp_path / "data"]) as files, pytest.raises(text.Refused):
        list(text_pieces(find_layout(files[0])))


def open_by_rule(data: bytes, separator: str) -> list[bool]:
    """Return which quotes open a field, letter by letter."""
    opens, inside, closed = [], False, -2
    for place, letter in enumerate(data):
        if letter != ord('"'):
            continue
        before = data[place - 1 : place]
        if inside:
            inside, closed = False, place
        else:
            at_start = before in (b"", separator.encode(), b"\n", b"\r")
            inside = at_start or closed == place - 1
        opens.append(inside)
    return opens


@settings(max_examples=300, deadline=None)
@given(st.text(st.sampled_from('a",\n\r'), max_size=40))
def test_quotes_are_followed_exactly(content: str) -> None:
    data = content.encode()
    quotes = Quotes(data, ",")
    opens = open_by_rule(data, ",")
    assert quotes._is_open[1:].tolist() == opens
    places = np.arange(len(data))
    before = [data[:place].count(b'"') for place in range(len(data))]
    outside = [place for place, n in enumerate(before) if not n or not opens[n - 1]]
    assert quotes.outside(places).tolist() == outside
    for place in range(len(data)):
        opening = quotes.opening(place)
        assert (opening is None) == (place in outside)
        assert opening is None or (data[opening] == ord('"') and opening < place)


ID = st.text(st.sampled_from('a7 "\r\né'), min_size=1, max_size=4).filter(str.strip)
TITLE = st.text(st.sampled_from('a ,"\r\n'), max_size=6)


@pytest.mark.filterwarnings("ignore::mfcli.errors.MfcliWarning")  # ids may be odd
@settings(max_examples=200, deadline=None)
@given(
    rows=st.lists(st.tuples(ID, ID, st.integers(0, 5), TITLE), min_size=1, max_size=15),
    quoting=st.sampled_from([csv.QUOTE_MINIMAL, csv.QUOTE_ALL, csv.QUOTE_NONNUMERIC]),
    end=st.sampled_from(["\n", "\r\n", "\r"]),
    block=st.integers(1, 60),
)
def test_it_reads_what_python_reads(
    tmp_path_factory: pytest.TempPathFactory,
    rows: list[tuple[str, str, int, str]],
    quoting: int,
    end: str,
    block: int,
) -> None:
    out = io.StringIO()
    # Python would not quote a lone carriage return or line feed that does not end its lines.
    special = {'"', ",", "\r", "\n"}
    quoting = csv.QUOTE_ALL if any(special & {*"".join(map(str, r))} for r in rows) else quoting
    csv.writer(out, quoting=quoting, lineterminator=end).writerows(rows)
    path = tmp_path_factory.mktemp("text") / "data.csv"
    path.write_bytes((f"user,item,rating,title{end}" + out.getvalue()).encode())
    with mock.patch.object(text, "_BLOCK", block), mock.patch.object(strict, "_ROWS", 3):
        read = read_ratings(path)
    expected = {(user, item): float(rating) for user, item, rating, _ in rows}
    assert {(str(u), str(i)): r for u, i, r in triples(read)} == expected

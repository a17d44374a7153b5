"""Ratings in other notations, and ids that another program has changed."""

from __future__ import annotations

from pathlib import Path

import pytest
from contents import triples

from mfcli.data import read_ratings, thousands
from mfcli.data.formats import text
from mfcli.errors import DataError, MfcliWarning

HEADER = "user;item;rating\n"


@pytest.mark.parametrize(
    ("content", "expected"),
    [
        (HEADER + "1;2;2,5\n1;3;3\n", [2.5, 3.0]),
        ("1;2;2,5\n1;3;3\n", [2.5, 3.0]),
        ('"user","item","rating"\n"1","2","2,5"\n"1","3","3,0"\n', [2.5, 3.0]),
        ('1,2,"2,5"\n1,3,"3"\n', [2.5, 3.0]),
        ('1,2,"0,5"\n1,3,3\n', [0.5, 3.0]),
        ("1 2 2,5\n1 3 3,0\n", [2.5, 3.0]),
        ("1\t2\t2,5\n1\t3\t3,0\n", [2.5, 3.0]),
        ("1|2|2,5\n1|3|3,0\n", [2.5, 3.0]),
        ("1::2::2,5\n1::3::3,0\n", [2.5, 3.0]),
        ("user,item,rating\n1,2,2\n1,3,3\n", [2.0, 3.0]),
        (HEADER + "1;2;0,125\n1;3;1,250\n1;4;2\n", [0.125, 1.25, 2.0]),
        (HEADER + "1;2;1,250\n1;3;1,5\n1;4;2\n", [1.25, 1.5, 2.0]),
        (HEADER + "1;2;1,250\n1;3;2,500\n", [1.25, 2.5]),
    ],
)
def test_decimal_commas(tmp_path: Path, content: str, expected: list[float]) -> None:
    """If a comma could be read as a decimal mark, the error advises it, and the advice works."""
    (tmp_path / "data").write_text(content)
    try:
        read = read_ratings(tmp_path / "data")
    except DataError as error:
        assert "decimal" in str(error)
        read = read_ratings(tmp_path / "data", decimal=",")
    assert [rating for *_, rating in triples(read)] == expected
    again = read_ratings(tmp_path / "data", decimal=",")
    assert [rating for *_, rating in triples(again)] == expected


@pytest.mark.parametrize(
    ("rating", "decimal", "hint"),
    [
        ("2,5", ".", "use decimal=',' if the comma is a decimal mark"),
        ("1,234", ".", "write it without commas if it is 1234, or with a decimal point if not"),
        ("1,234,567", ".", "write it without thousands separators"),
        ("1.234,5", ".", "write it without thousands separators, and read it with decimal=','"),
        ("1.234,5", ",", "write it without thousands separators, and read it with decimal=','"),
        ("1.234.567", ".", "write it without thousands separators"),
        ("1,234.5", ".", "write it without thousands separators"),
        ("1 234", ".", "write it without thousands separators"),
        ("1\u00a0234,5", ",", "write it without thousands separators"),
        ("1'234", ".", "write it without thousands separators"),
        ("1.234", ",", "write it without thousands separators"),
        ("50%", ".", "write ratings without a unit"),
        ("50 %", ".", "write ratings without a unit"),
        ("$5", ".", "write ratings without a unit"),
        ("5,20 €", ",", "write ratings without a unit"),
        ("soon", ".", "skip invalid rows with on_bad_row='skip'"),
    ],
)
@pytest.mark.parametrize("header", [HEADER, ""])
def test_other_notations(tmp_path: Path, rating: str, decimal: str, hint: str, header: str) -> None:
    path = tmp_path / "data"
    path.write_text(f"{header or '1;1;1'}\n1;2;{rating}\n", encoding="utf-8")
    with pytest.raises(DataError, match=r"rating must be a finite number, got ") as caught:
        read_ratings(path, decimal=decimal)
    assert f"; {hint}" in str(caught.value)


@pytest.mark.parametrize("rating", ["2,5", "1 234", "50%", "1,234", "$5"])
def test_a_number_in_another_notation_is_not_a_header(tmp_path: Path, rating: str) -> None:
    path = tmp_path / "data"
    path.write_text(f"1;2;{rating}\n1;3;{rating}\n")
    with pytest.raises(DataError, match=":1: rating must be a finite number"):
        read_ratings(path)


def test_commas_cannot_separate_fields_and_decimals(tmp_path: Path) -> None:
    (tmp_path / "data").write_text("1,2,3,5\n1,3,4,5\n")
    with pytest.raises(DataError, match="has commas between its fields, so they cannot be decimal"):
        read_ratings(tmp_path / "data", decimal=",")


THOUSANDS = HEADER + "1;31;1,234\n2;31;56\n3;31;12,345\n"


@pytest.mark.parametrize("block", [8, 1 << 23])
@pytest.mark.parametrize("strict", [False, True])
def test_thousands_are_told_from_decimals(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, block: int, strict: bool
) -> None:
    monkeypatch.setattr(text, "_BLOCK", block)
    monkeypatch.setattr(thousands, "_SLICE", 2)
    path = tmp_path / "data"
    path.write_text(THOUSANDS + (" \n4;1;5\n" if strict else ""))
    with pytest.raises(DataError) as caught:
        read_ratings(path, decimal=",")
    assert str(caught.value) == (
        f"{path}: has three digits after every comma in the ratings, which may separate"
        " thousands, got '1,234'; write thousands without commas (sed 's/,//g'), or decimals with"
        " a point (sed 's/,/./g')"
    )
    path.write_text(THOUSANDS.replace(",", "."))
    with pytest.warns(MfcliWarning, match="has three digits after every point in the ratings"):
        read = read_ratings(path)
    assert read.rating.tolist() == pytest.approx([1.234, 56, 12.345])
    for decimal in ",.":
        path.write_text(THOUSANDS.replace(",", decimal) + f"3;32;12{decimal}3\n")
        assert len(read_ratings(path, decimal=decimal)) == 4


@pytest.mark.parametrize(
    ("ids", "message"),
    [
        (["12", " 12"], "has item ids that differ from others only by spaces around them, got ' "),
        (["9.78E+12", "5"], "has item ids that a spreadsheet has rounded, so that different ids b"),
        (["x", "\ufeff7"], "has item ids that begin with a byte order mark, probably from joined"),
    ],
)  # fmt: skip
def test_ids_that_were_changed(tmp_path: Path, ids: list[str], message: str) -> None:
    rows = "".join(f"1,{item},3\n" for item in ids)
    (tmp_path / "data").write_text("user,item,rating\n" + rows, encoding="utf-8")
    with pytest.warns(MfcliWarning, match=message):
        read = read_ratings(tmp_path / "data")
    assert read.items.ids.to_pylist() == ids


@pytest.mark.parametrize("ids", [["a b", "c d"], ["#fun", "#1 hit"], ["1E5", "E+10"], ["007", "7"]])
def test_ids_that_are_as_they_should_be(tmp_path: Path, ids: list[str]) -> None:
    rows = "".join(f"1,{item},3\n" for item in ids)
    (tmp_path / "data").write_text("user,item,rating\n" + rows)
    assert read_ratings(tmp_path / "data").items.ids.to_pylist() == ids

"""Lists of ids and files of titles: the same readers as for ratings, and all of it is text."""

from __future__ import annotations

import lzma
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from conftest import Run
from contents import gzipped
from planted import planted_split

from mfcli.config import Config
from mfcli.data import Vocabulary, read_ids, read_titles
from mfcli.errors import DataError, MfcliWarning, UnknownIdError
from mfcli.predict import listed_rows, with_titles
from mfcli.training.loop import start


def test_lists_and_titles_are_text(tmp_path: Path) -> None:
    (tmp_path / "ids.txt").write_text("007\n\n 8 \n", encoding="utf-8")
    assert read_ids(tmp_path / "ids.txt", "user").to_pylist() == ["007", "8"]
    (tmp_path / "titles.csv").write_text("title,item\n0011,0011114\n1.50,8\n,9\n")
    titles = read_titles(tmp_path / "titles.csv")
    assert titles["id"].to_pylist() == ["0011114", "8", "9"]
    assert titles["title"].to_pylist() == ["0011", "1.50", ""]
    known = Vocabulary(pa.array([8, 9]), np.ones(2, np.int64))
    assert known.rows(titles["id"].combine_chunks()).tolist() == [-1, 0, 1]


LISTS = [
    b"7\n007\na b\n",
    b"\xef\xbb\xbf7\r\n\r\n007\r\na b\r\n",
    b"7\r007\ra b\r",
    b'"7"\n"007"\n"a b"\n',
    b"userId\n7\n007\na b\n",
    b"id\n7\n007\na b\n",
    b'age,user_id,name\n1,7,x\n2,007,"y, z"\n3,a b,\n',
    b"\n\nUser\tage\n7\t1\n007\t2\na b\t3\n",
    b'user;title\n7;"x\ny"\n007;y\na b;z\n',
    gzipped(b"7\n007\na b\n"),
    lzma.compress(b"user,x\n7,1\n007,1\na b,1\n"),
]


@pytest.mark.filterwarnings("ignore:.* the row spans:mfcli.errors.MfcliWarning")
@pytest.mark.parametrize("content", LISTS)
def test_lists_of_ids_in_all_layouts(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "ids").write_bytes(content)
    assert read_ids(tmp_path / "ids", "user").to_pylist() == ["7", "007", "a b"]


def test_a_line_of_a_plain_list_is_one_id(tmp_path: Path) -> None:
    (tmp_path / "ids").write_text('Heat, The\n"Alien"s\n5;6\n')
    assert read_ids(tmp_path / "ids", "item").to_pylist() == ["Heat, The", '"Alien"s', "5;6"]


@pytest.mark.parametrize("kind", [pa.int64(), pa.float64(), pa.uint8()])
def test_lists_in_parquet(tmp_path: Path, kind: pa.DataType) -> None:
    table = pa.table({"x": ["a", "b"], "item_id": pa.array([7, 8], pa.int64()).cast(kind)})
    pq.write_table(table, tmp_path / "ids")
    assert read_ids(tmp_path / "ids", "item").to_pylist() == ["7", "8"]
    pq.write_table(table.set_column(1, "id", pa.array([7.5, 8])), tmp_path / "ids")
    with pytest.raises(DataError, match=r"ids: row 1: item .* must be a whole number or text, got"):
        read_ids(tmp_path / "ids", "item")


def test_repeated_ids_are_used_once_and_reported(tmp_path: Path) -> None:
    (tmp_path / "ids").write_text("7\n8\n7\n7\n")
    with pytest.warns(MfcliWarning, match="ids: repeats 2 of 4 users; each is used once"):
        assert read_ids(tmp_path / "ids", "user").to_pylist() == ["7", "8"]


def test_lists_have_the_line_ends_of_texts(tmp_path: Path) -> None:
    ids = ["a\u2028b", "c\x1cd", "e\x85f", "g\vh"]
    for end in ("\n", "\r\n", "\r"):
        (tmp_path / "ids").write_text(end.join(ids), encoding="utf-8", newline="")
        assert read_ids(tmp_path / "ids", "user").to_pylist() == ids


@pytest.mark.parametrize("content", [b"", b"\n  \n\n", gzipped(b"\n")])
def test_a_list_without_ids_is_empty(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "ids").write_bytes(content)
    assert read_ids(tmp_path / "ids", "user").to_pylist() == []
    parts = tmp_path / "parts"
    parts.mkdir()
    for name, part in (("a", b"7\n"), ("b", content), ("c", b"8\n")):
        (parts / name).write_bytes(part)
    assert read_ids(parts, "user").to_pylist() == ["7", "8"]


TITLES = [
    b"item,title\n0011,0011\n2,1.50\n3,\n",
    b"\xef\xbb\xbfmovieId,title,genres\r\n0011,0011,x\r\n2,1.50,x\r\n3,,x\r\n",
    b'year\tname\tid\n1\t"0011"\t0011\n2\t1.50\t2\n3\t""\t3\n',
    b"0011::0011::Drama\n2::1.50::Drama\n3::::Drama\n",
    b"0011,0011\n2,1.50\n3,\n",
    gzipped(b"title;itemId\n0011;0011\n1.50;2\n;3\n"),
]


@pytest.mark.parametrize("content", TITLES)
def test_titles_in_all_layouts(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "titles").write_bytes(content)
    titles = read_titles(tmp_path / "titles")
    assert titles["id"].to_pylist() == ["0011", "2", "3"]
    assert titles["title"].to_pylist() == ["0011", "1.50", ""]


@pytest.mark.filterwarnings("ignore:.* the row spans:mfcli.errors.MfcliWarning")
def test_titles_with_line_breaks_and_quotes(tmp_path: Path) -> None:
    (tmp_path / "titles").write_bytes(b'item,title\n1,"a ""b""\nc"\n2,"d, e"\n3,NA\n4,null\n')
    assert read_titles(tmp_path / "titles")["title"].to_pylist() == [
        'a "b"\nc',
        "d, e",
        "NA",
        "null",
    ]


@pytest.mark.parametrize(
    "title", [pa.array(["a", None]), pa.array(["a", None]).dictionary_encode(),
              pa.array(["a", None], pa.large_string()), pa.array(["a", None], pa.string_view())],
)  # fmt: skip
def test_titles_in_parquet(tmp_path: Path, title: pa.Array) -> None:
    table = pa.table({"item": pa.array([7, 8], pa.uint64()), "name": title})
    try:
        pq.write_table(table, tmp_path / "titles")
    except pa.ArrowNotImplementedError:
        pytest.skip(f"this version of pyarrow cannot write {title.type} to Parquet")
    assert read_titles(tmp_path / "titles").to_pylist() == [
        {"title": "a", "id": "7"}, {"title": "", "id": "8"},
    ]  # fmt: skip


def test_titles_in_json_lines(tmp_path: Path) -> None:
    (tmp_path / "titles").write_text('{"parent_asin": "B1", "title": "a"}\n')
    assert read_titles(tmp_path / "titles").to_pylist() == [{"title": "a", "id": "B1"}]


def test_the_first_of_several_titles_is_used(tmp_path: Path) -> None:
    (tmp_path / "titles").write_text("item,title\n1,a\n2,b\n1,c\n2,b\n")
    with pytest.warns(MfcliWarning, match="several titles for 1 items; .* used, got '1'"):
        titles = read_titles(tmp_path / "titles")
    assert titles.to_pylist() == [{"title": "a", "id": "1"}, {"title": "b", "id": "2"}]


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"item,year\n1,2\n", "t: has no title column; its columns are item, year"),
        (b"title,year\n1,2\n", "t: has no item column; its columns are title, year"),
        (b"", "t: is empty"),
        (b"item,title\n1,2,3\n", "t:2: must have 2 fields like the first line, got 3"),
        (b"item,title\n,b\n", "t:2: item id must not be empty"),
        (b"1\n2\n", "t:1: must have 2 fields"),
    ],
)
def test_titles_that_cannot_be_read(tmp_path: Path, content: bytes, message: str) -> None:
    (tmp_path / "t").write_bytes(content)
    with pytest.raises(DataError, match=message):
        read_titles(tmp_path / "t")


def test_latin_lists_are_read_as_the_errors_say(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    Path("ids").write_text("a\né\n", encoding="latin-1")
    with pytest.raises(DataError, match="read it with encoding='latin-1'"):
        read_ids(Path("ids"), "item")
    assert read_ids(Path("ids"), "item", "latin-1").to_pylist() == ["a", "é"]


def test_columns_of_titles_are_chosen(tmp_path: Path) -> None:
    path = tmp_path / "t"
    path.write_text("item,film,key\n1,a,7\n")
    rule = r"has no title column; .* item, film, key; choose with title_columns\['title'\]"
    with pytest.raises(DataError, match=rule):
        read_titles(path)
    titles = read_titles(path, title_columns={"title": "film", "item": "Key"})
    assert titles.to_pylist() == [{"title": "a", "id": "7"}]
    path.write_text("x|a|7\n")
    titles = read_titles(path, title_columns={"item": "3"})
    assert titles.to_pylist() == [{"title": "a", "id": "7"}]
    rule = r"no column 'film'; choose by position, as with title_columns=\{'title': '2'\}"
    with pytest.raises(DataError, match=rule):
        read_titles(path, title_columns={"title": "film"})
    with pytest.raises(
        DataError, match=r"both item and title; choose with title_columns\['item'\]"
    ):
        read_titles(path, title_columns={"title": "1"})
    path.write_text("item,title\n1,a\n")
    rule = r"chosen by position; .* by name, as with title_columns=\{'title': 'title'\}"
    with pytest.raises(DataError, match=rule):
        read_titles(path, title_columns={"title": "2"})


def test_titles_are_found_by_the_names_of_the_ratings(tmp_path: Path) -> None:
    path = tmp_path / "t"
    path.write_text("id,isbn,book_id,title\n1,2,3,a\n")
    with pytest.raises(DataError, match=r"several columns that may be the items.*title_columns"):
        read_titles(path)
    for name, item in (("book_id", "3"), ("ISBN", "2"), ("id", "1")):
        assert read_titles(path, names={"item": name})["id"].to_pylist() == [item]
    path.write_text("id,isbn,title\n1,2,a\n")
    assert read_titles(path)["id"].to_pylist() == ["2"]  # "id" is probably an index


def test_lists_that_cannot_be_read(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="none: cannot be read: No such file"):
        read_ids(tmp_path / "none", "user")
    (tmp_path / "latin").write_bytes(b"a\n\xe9\n")
    with pytest.raises(DataError, match="latin: must be UTF-8 text with one id per line"):
        read_ids(tmp_path / "latin", "user")
    (tmp_path / "items").write_bytes(b"movieId\n1\n")
    with pytest.raises(DataError, match="items: has no user column; its columns are movieId"):
        read_ids(tmp_path / "items", "user")


def known(ids: list[int] | list[str]) -> Vocabulary:
    return Vocabulary(pa.array(ids), np.ones(len(ids), np.int64))


def test_unknown_ids_of_a_list_are_counted(tmp_path: Path) -> None:
    path = tmp_path / "ids"
    path.write_text("1\n7\n2.0\n")
    assert listed_rows(known([7, 1, 2]), "user", ["2"], path).tolist() == [2, 1, 0]
    path.write_text("1\nx\n01\n")
    rule = "ids: 2 of 3 users are not among the model's 3 users"
    with pytest.warns(MfcliWarning, match=f"{rule} and are skipped; the first is 'x'"):
        assert listed_rows(known([7, 1, 2]), "user", [], path).tolist() == [1]
    path.write_text("y\nx\n01\n")
    rule = "ids: 3 of 3 users are not among the model's 3 users, such as 'y'; if they are in ano"
    with pytest.raises(UnknownIdError, match=rule):
        listed_rows(known([7, 1, 2]), "user", [], path)
    path.write_text("X\n")
    with pytest.raises(UnknownIdError, match=r"ids: user 'X' is not among .*; did you mean 'x'"):
        listed_rows(known(["1", "x"]), "user", [], path)


@pytest.mark.parametrize(
    ("ids", "items"),
    [
        ("0011114,8", ["0011114", "8"]),
        ("11,8", [11, 8]),
        ("11.0,8.0", [11, 8]),
        ("x,y", ["x", "y"]),
    ],
)
def test_titles_are_found_by_ids_as_text(tmp_path: Path, ids: str, items: list[object]) -> None:
    first, second = ids.split(",")
    (tmp_path / "titles").write_text(f"item,title\n{second},b\n5,c\n{first},a\n")
    table = pa.table({"item": [*items, items[0]]})
    assert with_titles(table, tmp_path / "titles")["title"].to_pylist() == ["a", "b", "a"]


@pytest.mark.parametrize(
    ("content", "titles", "message"),
    [
        ("item,title\n7,a\n5,b\n", ["a", "", ""], "for 2 of 3 listed items, such as 8$"),
        ("item,title\n007,a\n", ["", "", ""], "for 3 of 3 .*; check that its ids are those of the"),
        ("item,title\n", ["", "", ""], "titles: has no title for 3 of 3 listed items"),
    ],
)
def test_missing_titles_are_counted(
    tmp_path: Path, content: str, titles: list[str], message: str
) -> None:
    (tmp_path / "titles").write_text(content)
    with pytest.warns(MfcliWarning, match=message):
        table = with_titles(pa.table({"item": [7, 8, 9]}), tmp_path / "titles")
    assert table["title"].to_pylist() == titles


@pytest.fixture
def ready(run: Run) -> Callable[..., str]:
    """Run a command with a model of users 0 to 59 and items 0 to 39."""
    start(planted_split(Config(), share=0.3), Config(k=2)).save("model")

    def command(*args: object) -> str:
        done = run(*args)
        assert done.code == 0, done.err
        return done.out + done.err

    return command


def test_commands_report_missing_titles(ready: Callable[..., str]) -> None:
    Path("titles").write_text("item,title\n7,Alien\n")
    shown = ready("similar", 3, "--n", 39, "--titles", "titles")
    assert "Alien" in shown
    assert "warning: titles: has no title for 38 of 39 listed items, such as" in shown


def test_titles_of_movielens_100k(tmp_path: Path) -> None:
    item = tmp_path / "u.item"
    rows = ["1|Toy Story (1995)|01-Jan-1995||http://x|0|0", "2|Les Misérables|01-Jan-1995|||0|1"]
    item.write_bytes("\n".join(rows).encode("latin-1"))
    for encoding in ("utf-8", "latin-1"):
        assert read_titles(item, encoding).to_pylist() == [
            {"title": "Toy Story (1995)", "id": "1"},
            {"title": "Les Misérables", "id": "2"},
        ]


def test_titles_that_are_not_utf8_are_read_as_western_with_a_warning(tmp_path: Path) -> None:
    file = tmp_path / "BX-Books.csv"
    file.write_bytes('"ISBN";"Book-Title";"Author"\n"01X";"Café € Ägypten";"x"\n'.encode("cp1252"))
    rule = "is not UTF-8 text, so its titles are read as cp1252; if .* use another encoding"
    with pytest.warns(MfcliWarning, match=rule):
        titles = read_titles(file)
    assert titles.to_pylist() == [{"title": "Café € Ägypten", "id": "01X"}]
    file.write_bytes(b"ISBN;title\n1;\x81\n")
    with pytest.raises(DataError, match=r"BX-Books.csv:2: is not cp1252 text .*choose another enc"):
        read_titles(file)


def test_invalid_rows_of_titles_are_skipped_and_counted(tmp_path: Path) -> None:
    file = tmp_path / "t"
    file.write_text("item,title\n1,a\n2,b,c\n,d\n3,e\n")
    rule = r"t:3: the row is skipped \(must have 2 fields .*, got 3\), and 1 more are skipped"
    with pytest.warns(MfcliWarning, match=rule):
        assert read_titles(file)["title"].to_pylist() == ["a", "e"]
    pq.write_table(pa.table({"item": [1, None, 3], "title": ["a", "b", "c"]}), file)
    with pytest.warns(MfcliWarning, match=r"t: row 2: the row is skipped \(item is null\)"):
        assert read_titles(file).to_pylist() == [
            {"title": "a", "id": "1"}, {"title": "c", "id": "3"},
        ]  # fmt: skip


MOVIELENS = {
    "ml-100k": (
        "u.item",
        "latin-1",
        "1|Cité|01-Jan-1995||x" + "|0" * 19 + "\n2|8 1/2|||" + "|0" * 19,
    ),
    "ml-1m": ("movies.dat", "latin-1", "1::Cité::Drama|War\n2::8 1/2::Comedy"),
    "ml-10m": ("movies.dat", "utf-8", '1::Cité::Drama\n2::8 1/2::Comedy\n3::"A" B::Drama'),
    "ml-20m": ("movies.csv", "utf-8", "movieId,title,genres\n1,Cité,Drama|War\n2,8 1/2,x"),
    "ml-25m": ("movies.csv", "utf-8", 'movieId,title,genres\r\n1,"Cité",x\r\n2,8 1/2,x'),
}


@pytest.mark.parametrize("name", MOVIELENS)
def test_titles_and_items_of_movielens_need_no_options(tmp_path: Path, name: str) -> None:
    """The layouts of the archives that `mfcli fetch` downloads."""
    file, encoding, text = MOVIELENS[name]
    path = tmp_path / file
    path.write_bytes(text.encode(encoding) + b"\n")
    titles = read_titles(path)
    assert titles["title"].to_pylist()[:2] == ["Cité", "8 1/2"]
    assert titles["id"].to_pylist()[:2] == ["1", "2"]
    assert listed_rows(known([3, 2, 1]), "item", [], path).tolist()[:2] == [2, 1]


def test_titles_with_commas_but_without_quotes_are_reported(tmp_path: Path) -> None:
    file = tmp_path / "titles"
    file.write_text("7,Heat, The\n8,Thing, The\n")
    with pytest.warns(MfcliWarning, match="the second of 3 columns is read as the titles"):
        assert read_titles(file)["title"].to_pylist() == ["Heat", "Thing"]
    file.write_text('7,"Heat, The"\n8,"Thing, The"\n')
    assert read_titles(file)["title"].to_pylist() == ["Heat, The", "Thing, The"]

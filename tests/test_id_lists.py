"""Lists of ids are read whatever their columns are; unknown ids are counted or refused."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from conftest import Run
from contents import rows_of
from planted import planted_split

from mfcli.config import Config
from mfcli.data import Vocabulary, read_ids
from mfcli.errors import DataError, MfcliWarning, UnknownIdError
from mfcli.model import Model
from mfcli.predict import ListReading, listed_rows, predict_named, rated_pairs
from mfcli.predict.predictor import Predictor
from mfcli.splits import write_split
from mfcli.training import Epoch, Fit, History
from mfcli.training.loop import start


def known(ids: list[int] | list[str]) -> Vocabulary:
    return Vocabulary(pa.array(ids), np.ones(len(ids), np.int64))


NUMBERS, NAMES = known([7, 8, 9]), known(["a,b", "c", "d"])
COLUMNS = [
    "7,x\n9,y\n",
    "7|24|M|technician\n9|53|F|other\n",  # u.user of MovieLens 100K
    "7::F::1\n9::M::56\n",  # users.dat of MovieLens 1M
    "7\t1\t5\t881250949\n7\t2\t5\t881250949\n9\t1\t3\t881250949\n",  # u.data
    "customer,since\n7,2020\n9,2021\n",  # an unknown name above numbers
    "customer\n7\n9\n",
    "id;user_id\n1;7\n2;9\n",
    "7\n9\n",
]


@pytest.mark.parametrize("content", COLUMNS)
def test_lists_may_have_a_header_and_extra_columns(tmp_path: Path, content: str) -> None:
    path = tmp_path / "users"
    path.write_text(content)
    assert listed_rows(NUMBERS, "user", [], path).tolist() == [0, 2]


def test_a_line_without_names_is_one_id_if_any_line_is(tmp_path: Path) -> None:
    path = tmp_path / "ids"
    path.write_text("a,b\nc,x\n")
    with pytest.warns(MfcliWarning, match="1 of 2 items .* is skipped; the first is 'c,x'"):
        assert listed_rows(NAMES, "item", [], path).tolist() == [0]
    path.write_text("u1,c,5\nu2,d,4\n")  # ratings: the second column has known items
    assert listed_rows(NAMES, "item", [], path).tolist() == [1, 2]


def test_an_uncertain_column_is_to_be_chosen(tmp_path: Path) -> None:
    path = tmp_path / "ids"
    path.write_text("7,8,5\n9,8,4\n")
    rule = r"two of them may be the items; choose with columns=\{'item': '1'\} or columns="
    with pytest.raises(DataError, match=rule):
        listed_rows(NUMBERS, "item", [], path)
    reading = ListReading(columns={"item": "2"})
    assert listed_rows(NUMBERS, "item", [], path, reading).tolist() == [1]
    path.write_text("customer,x\n7,1\n")
    reading = ListReading(columns={"user": "Customer"})
    assert listed_rows(NUMBERS, "user", [], path, reading).tolist() == [0]
    with pytest.raises(DataError, match=r"no column 'y'.* choose by position, as with columns="):
        listed_rows(NUMBERS, "user", [], path, ListReading(columns={"user": "y"}))


def test_the_names_of_the_ratings_are_found_first(tmp_path: Path) -> None:
    path = tmp_path / "ids"
    path.write_text("klient,user\n7,8\n9,8\n")
    reading = ListReading(names={"user": "Klient"})
    assert listed_rows(NUMBERS, "user", [], path, reading).tolist() == [0, 2]
    assert listed_rows(NUMBERS, "user", [], path).tolist() == [1]
    path.write_text("7\n9\n")  # such a name is not required
    assert listed_rows(NUMBERS, "user", [], path, reading).tolist() == [0, 2]


def test_one_column_of_a_table_may_have_any_name(tmp_path: Path) -> None:
    path = tmp_path / "ids"
    pq.write_table(pa.table({"x": [9, 7]}), path)
    assert read_ids(path, "user").to_pylist() == ["9", "7"]
    pq.write_table(pa.table({"item": [9, 7]}), path)
    with pytest.raises(DataError, match=r"no user column; its columns are item; choose with col"):
        read_ids(path, "user")
    pq.write_table(pa.table({"x": [9, 7, 9], "y": [1, 2, 3]}), path)
    # A user may have several rows of a table, which is not worth a warning.
    assert read_ids(path, "user", columns={"user": "x"}).to_pylist() == ["9", "7"]


def test_other_columns_need_not_be_utf8(tmp_path: Path) -> None:
    path = tmp_path / "movies.dat"
    path.write_bytes("7::Été::x\n8::Café::x\n".encode("latin-1"))
    assert listed_rows(NUMBERS, "item", [], path).tolist() == [0, 1]


def test_no_id_is_used_twice(tmp_path: Path) -> None:
    path = tmp_path / "ids"
    path.write_text("9\n9.0\n7\n")
    assert listed_rows(NUMBERS, "user", ["7", "7.0", "8"], path).tolist() == [0, 1, 2]
    model = start(planted_split(Config()), Config(k=2))
    table, counts = predict_named(Predictor(model, clip=True), ["1", "2", "1"], ["3", "3"])
    assert (table["user"].to_pylist(), counts.pairs) == ([1, 2], 2)


def test_unknown_ids_are_refused_if_strict(tmp_path: Path) -> None:
    path = tmp_path / "ids"
    path.write_text("7\nx\ny\n")
    rule = "2 of 3 users are not among .*, such as 'x'; correct the list, or omit strict to skip"
    with pytest.raises(UnknownIdError, match=rule):
        listed_rows(NUMBERS, "user", [], path, ListReading(strict=True))
    path.write_text("7\n")
    assert listed_rows(NUMBERS, "user", [], path, ListReading(strict=True)).tolist() == [0]


@pytest.fixture(scope="module")
def model() -> Model:
    """A model of users 0 to 59 and items 0 to 39."""
    return start(planted_split(Config(), share=0.3), Config(k=2))


RATED = [
    "3,5\n4,6\n",
    "3,5,4.5,881250949\n4,6,1.0,881250949\n",
    "rating;movieId;userId;x\n;5;3;a\n;6;4;b\n",
    "3::5::4::881250949\n4::6::1::881250949\n",
]


@pytest.mark.parametrize("content", RATED)
def test_rated_pairs_need_no_ratings(tmp_path: Path, model: Model, content: str) -> None:
    path = tmp_path / "rated"
    path.write_text(content)
    pairs = rated_pairs(model, [path, path])
    assert pairs.user.tolist() == [3, 4, 3, 4]
    assert pairs.item.tolist() == [5, 6, 5, 6]


def test_rated_pairs_in_parquet_and_empty_files(tmp_path: Path, model: Model) -> None:
    path, empty = tmp_path / "rated", tmp_path / "empty"
    empty.write_text("")
    pq.write_table(pa.table({"klient": [3], "x": [1.5], "thing": ["5"]}), path)
    reading = ListReading(columns={"user": "klient"}, names={"item": "thing"})
    pairs = rated_pairs(model, [empty, path], reading)
    assert (pairs.user.tolist(), pairs.item.tolist()) == ([3], [5])


def test_unknown_pairs_are_counted_or_refused(tmp_path: Path, model: Model) -> None:
    path = tmp_path / "rated"
    path.write_text("user,item\n3,5\n77,6\n3,x\n")
    rule = "2 of 3 pairs have a user or an item that .*; the first is user '77', item '6'"
    with pytest.warns(MfcliWarning, match=rule):
        assert rated_pairs(model, [path]).item.tolist() == [5]
    with pytest.raises(UnknownIdError, match="rated:3: user '77' is not among the model's 60"):
        rated_pairs(model, [path], ListReading(strict=True))


@pytest.fixture
def trained(run: Run) -> Run:
    parts = planted_split(Config(), share=0.3)
    manifest = write_split(Path("split"), parts)
    made = start(parts, Config(k=2))
    columns = {"user": "klient", "item": "produkt"}
    made = Model(**{**vars(made), "split_hash": manifest["hash"], "columns": columns})
    Fit(made, History.of([Epoch(1, 1.0, 1.0, 1.0, 1.0, 1.0)])).write(Path())
    # No rating is relevant, so there are no notes on the rankings of this model, which are random.
    Path("mfcli.toml").write_text("relevant = 99.0\n")
    return run


def test_a_model_knows_the_names_of_the_columns(trained: Run) -> None:
    """Lists, titles and pairs may have the names of the ratings, without options."""
    assert Model.load(Path("model")).columns == {"user": "klient", "item": "produkt"}
    Path("users.csv").write_text("a,klient\n1,3\n2,4\n")
    lines = "".join(f"x,{item},Film {item}\n" for item in range(40))
    Path("items.csv").write_text(f"b,produkt,title\n{lines}")
    Path("rated.csv").write_text("produkt,klient\n7,3\n")
    words = ("--users", "users.csv", "--items", "items.csv", "--titles", "items.csv", "--n", 40)
    done = trained("recommend", *words, "--rated", "rated.csv", "--out", "-")
    assert (done.code, done.err) == (0, "")
    rows = rows_of(done.out)
    assert {row["user"] for row in rows} == {"3", "4"}
    assert all(row["title"] == f"Film {row['item']}" for row in rows)
    assert ("3", "7") not in {(row["user"], row["item"]) for row in rows}
    assert trained("similar", 3, "--titles", "items.csv").code == 0
    predicted = trained("predict", "rated.csv").out.splitlines()
    assert predicted[0] == "produkt,klient,prediction"


def test_options_choose_columns_and_strictness(trained: Run) -> None:
    Path("users.csv").write_text("kunde,x\n3,1\n88,1\n3,2\n")
    Path("titles.csv").write_text("code,text\n" + "".join(f"{n},T{n}\n" for n in range(40)))
    Path("rated.csv").write_text("kunde,ding\n3,1\n")
    words = ("recommend", "--users", "users.csv", "--user-col", "kunde", "--n", 2)
    titled = ("--titles", "titles.csv", "--title-id-col", "code", "--title-col", "text")
    done = trained(*words, *titled, "--json")
    assert done.err == (
        "warning: users.csv: 1 of 2 users is not among the model's 60 users and is skipped; the"
        " first is '88'\n"
    )
    rows = json.loads(done.out)["recommendations"]
    assert [row["title"] for row in rows] == [f"T{row['item']}" for row in rows]
    done = trained(*words, "--strict")
    assert (done.code, done.err) == (
        1,
        "error: users.csv: 1 of 2 users is not among the model's 60 users, such as '88'; correct"
        " the list, or omit --strict to skip them\n",
    )
    # With --rated, the options name its columns, and lists may have other names.
    Path("users.csv").write_text("user,x\n3,1\n")
    done = trained(*words, "--rated", "rated.csv", "--item-col", "ding")
    assert (done.code, done.err) == (0, "")
    assert trained("similar", 3, *titled).code == 0


REFUSED = [
    (["recommend", "--user", 3, "--strict"], "--strict is not used without --users or --items or"),
    (["recommend", "--user", 3, "--user-col", "x"], "--user-col is not used without --users or"),
    (["recommend", "--user", 3, "--item-col", "x"], "--item-col is not used without --items or"),
    (["recommend", "--user", 3, "--title-col", "x"], "--title-col is not used without --titles"),
    (["similar", 3, "--title-id-col", "x"], "--title-id-col is not used without --titles"),
    (["similar", 3, "--users", "--titles", "x"], "--titles is not used with --users, because"),
    (["fold-in", "x", "--strict"], "--strict is not used without --items"),
]


@pytest.mark.parametrize(("args", "message"), REFUSED)
def test_options_without_effect_are_refused(run: Run, args: list[object], message: str) -> None:
    done = run(*args)
    assert (done.code, done.err.startswith(f"error: {message}")) == (2, True), done.err


def test_missing_columns_of_titles_name_the_options(trained: Run) -> None:
    Path("t.csv").write_text("movieId,film\n1,a\n")
    done = trained("recommend", "--user", 3, "--titles", "t.csv")
    assert (done.code, done.err) == (
        1,
        "error: t.csv: has no title column; its columns are movieId, film; choose with"
        " --title-col\n",
    )


def test_training_records_the_names_of_the_columns(run: Run) -> None:
    rows = "".join(f"{n % 7},{n % 5},{n % 3}\n" for n in range(35))
    Path("data.csv").write_text(f"Klient,produkt,rating\n{rows}")
    assert run("split", "data.csv", "--user-col", "klient", "--item-col", "produkt").code == 0
    assert run("train", "--epochs", 1, "--k", 2).code == 0
    assert Model.load(Path("model")).columns == {"user": "Klient", "item": "produkt"}
    Path("users.csv").write_text("year,KLIENT\n5,6\n")
    rows_of_6 = rows_of(run("recommend", "--users", "users.csv", "--out", "-").out)
    assert {row["user"] for row in rows_of_6} <= {"6"}

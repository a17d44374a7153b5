"""Fold-in: estimates equal those of a simple solution user by user, and obey some laws."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest
from conftest import ROOT, Run
from contents import rows_of
from hypothesis import given, settings, strategies as st
from planted import make_ratings, planted_ratings, planted_split

from mfcli.config import Config
from mfcli.data import Ratings, Scale, Vocabulary, read_ratings
from mfcli.errors import DataError
from mfcli.model import Model, extended, fold_in, read_model_record
from mfcli.model.row_distribution import RowDistribution
from mfcli.splits import split as split_ratings, write_split
from mfcli.training import Epoch, Fit, History, fit
from mfcli.training.loop import start


def rmse_of(predicted: np.ndarray, ratings: Ratings) -> float:
    return float(np.sqrt(np.mean(np.square(predicted.astype(np.float64) - ratings.rating))))


LOSSES = {"loss": 0.4, "mse": 0.4, "val_loss": 0.5, "val_mse": 0.5}


def random_model(users: int = 60, items: int = 40, k: int = 3) -> Model:
    """Make a model with ids 0, 1, ...; the last item and every tenth user have no ratings."""
    rng = np.random.default_rng(5)
    counts = [rng.integers(1, 30, n) for n in (users, items)]
    counts[0][::10] = counts[1][-1] = 0
    sides = [Vocabulary(pa.array(np.arange(len(n))), n) for n in counts]
    tables = {
        "user_factors": rng.normal(0.2, 0.5, (users, k)),
        "item_factors": rng.normal(0, 0.7, (items, k)),
        "user_biases": rng.normal(0.1, 0.4, users),
        "item_biases": rng.normal(0, 0.4, items),
    }
    rows = {n: t.astype(np.float32) for n, t in tables.items()}
    for name, table in rows.items():
        table[counts[0 if name.startswith("user") else 1] == 0] = 0
    return Model(3.5, **rows, users=sides[0], items=sides[1], scale=Scale(0.5, 5, 0.5),
                 config=Config(k=k), split_hash="")  # fmt: skip


def new_ratings(
    users: int, items: int, seed: int = 0, share: float = 0.3, first: int = 1000
) -> Ratings:
    """Make ratings by new users 1000, 1001, ... in random order, at least one rating each."""
    rng = np.random.default_rng(seed)
    rated = rng.random((users, items)) < share * rng.random((users, 1)) * 2
    rated[np.arange(users), rng.integers(0, items, users)] = True
    user, item = np.nonzero(rated)
    order = rng.permutation(len(user))
    made = make_ratings(
        user[order], item[order], rng.integers(1, 11, len(user)) / 2, users=users, items=items
    )
    ids = pa.array(np.arange(first, first + users))
    return replace(made, users=Vocabulary(ids, made.users.counts))


def obvious_prior(model: Model) -> tuple[np.ndarray, np.ndarray]:
    rows = np.column_stack([model.user_factors, model.user_biases]).astype(float)
    weights = np.sqrt(model.users.counts)
    mean = np.average(rows, axis=0, weights=weights)
    return mean, np.cov(rows.T, aweights=weights, bias=True)


def obvious(model: Model, ratings: Ratings, user: int, noise: float) -> np.ndarray:
    """Compute the formula for one user."""
    m, s = obvious_prior(model)
    pairs = [
        (model.items.ids.index(ratings.items.ids[int(i)]).as_py(), float(r))
        for u, i, r in zip(ratings.user, ratings.item, ratings.rating, strict=True)
        if u == user
    ]
    pairs = [(i, r) for i, r in pairs if i >= 0 and model.items.counts[i] > 0]
    if not pairs:
        return np.zeros(len(m))
    a = np.array([[*model.item_factors[i].tolist(), 1.0] for i, _ in pairs])
    y = np.array([r - model.mu - float(model.item_biases[i]) for i, r in pairs])
    precision = a.T @ a / noise + np.linalg.inv(s)
    return m + np.linalg.inv(precision) @ a.T @ (y - a @ m) / noise


def estimates(model: Model) -> np.ndarray:
    return np.column_stack([model.user_factors, model.user_biases])


@pytest.mark.parametrize("noise", [0.01, 0.7, 50.0])
@pytest.mark.parametrize("k", [1, 3, 12])
def test_estimates_match_the_formula(noise: float, k: int) -> None:
    model, ratings = random_model(k=k), new_ratings(25, 45)  # items 40 to 44 are unknown
    found = fold_in(model, ratings, noise)
    expected = [obvious(model, ratings, user, noise) for user in range(25)]
    np.testing.assert_allclose(estimates(found.model), expected, rtol=1e-5, atol=1e-6)
    assert found.model.users.ids.equals(ratings.users.ids)
    known = ratings.item < 39
    assert found.model.users.counts.tolist() == np.bincount(ratings.user[known]).tolist()
    assert found.unknown_items == len(set(ratings.item[~known].tolist())) == 6
    assert found.unknown_ratings == (~known).sum() > 6


def test_estimates_do_not_depend_on_blocks(monkeypatch: pytest.MonkeyPatch) -> None:
    model, ratings = random_model(), new_ratings(200, 40)
    whole = fold_in(model, ratings, 0.5).model
    monkeypatch.setattr("mfcli.model.row_equations._BLOCK", 1)
    assert (estimates(fold_in(model, ratings, 0.5).model) == estimates(whole)).all()


@settings(max_examples=25, deadline=None)
@given(seed=st.integers(0, 1000), alone=st.integers(0, 19))
def test_neither_order_nor_other_users_matter(seed: int, alone: int) -> None:
    model, ratings = random_model(), new_ratings(20, 40, seed)
    found = estimates(fold_in(model, ratings, 0.5).model)
    mixed = ratings.take(np.random.default_rng(seed).permutation(len(ratings)))
    assert (estimates(fold_in(model, mixed, 0.5).model) == found).all()
    one = fold_in(model, ratings.take(ratings.user == alone), 0.5).model
    assert one.users.ids.to_pylist() == [1000 + alone]
    assert (estimates(one) == found[alone]).all()


def test_users_without_noise_are_recovered() -> None:
    ratings, _ = planted_ratings(users=60, items=40, k=3, share=0.6, seed=4)
    model = random_model()
    truth = np.random.default_rng(1).normal(0.3, 0.6, (60, 4)).astype(np.float32)
    exact = replace(
        model,
        user_factors=truth[:, :3],
        user_biases=truth[:, 3],
        items=replace(model.items, counts=model.items.counts + 1),
    ).predict_rows(ratings.user, ratings.item)
    users = Vocabulary(pa.array([f"u{n}" for n in range(60)]), ratings.users.counts)
    ratings = replace(ratings, rating=exact, users=users)
    whole = replace(model, items=replace(model.items, counts=model.items.counts + 1))
    np.testing.assert_allclose(estimates(fold_in(whole, ratings, 1e-9).model), truth, atol=1e-4)
    assert np.isfinite(estimates(fold_in(whole, ratings, 0.0).model)).all()


def test_the_covariance_may_be_singular_or_zero() -> None:
    model, ratings = random_model(users=3, k=12), new_ratings(9, 40)
    assert np.isfinite(estimates(fold_in(model, ratings, 0.0).model)).all()
    same = replace(model, user_factors=np.full_like(model.user_factors, 0.25))
    same = replace(same, user_biases=np.full_like(model.user_biases, 0.5))
    expected = [*[0.25] * 12, 0.5]
    assert (estimates(fold_in(same, ratings, 0.7).model) == expected).all()
    none = replace(model, users=replace(model.users, counts=0 * model.users.counts))
    assert not estimates(fold_in(none, ratings, 0.7).model).any()


def test_users_without_known_items_have_zero_rows() -> None:
    ratings = make_ratings(np.array([0, 1]), np.array([39, 3]), np.ones(2), users=2, items=40)
    ratings = replace(ratings, users=Vocabulary(pa.array(["a", "b"]), ratings.users.counts))
    found = fold_in(random_model(), ratings, 0.5)
    assert not estimates(found.model)[0].any()
    assert estimates(found.model)[1].all()
    assert found.as_dict() == {
        "users": 2,
        "replaced": 0,
        "without_known_items": 1,
        "ratings": 1,
        "items": 0,
        "item_ratings": 0,
        "unknown_ratings": 1,
        "unknown_items": 1,
    }


def test_fold_in_improves_predictions_for_real_users(real_csv: Path) -> None:
    parts = split_ratings(read_ratings(real_csv), Config(strategy="cold-user"))
    for config in (Config(), Config(k=40, epochs=60)):  # the second one overfits
        fitted = fit(parts, config, threads=1)
        shown = np.arange(len(parts.test)) % 2 == 0
        noise = fitted.history.lists["val_mse"][-1]
        new = fold_in(fitted.model, parts.test.take(shown), noise).model
        hidden = parts.test.take(~shown)
        rows = hidden.within(new.users, new.items)
        biases = replace(new, user_factors=0 * new.user_factors)
        rmse = [rmse_of(model.predict_rows(rows.user, rows.item), rows) for model in (biases, new)]
        without = fitted.model.predict_rows(hidden.user, hidden.item)  # rows of zeros
        assert rmse_of(without, hidden) > rmse[1] + 0.06
        assert rmse[0] > rmse[1]


def test_an_extended_model_has_old_and_new_users() -> None:
    model, ratings = random_model(), new_ratings(7, 40)
    found = fold_in(model, ratings, 0.5)
    made = extended(model, found)
    assert made.users.ids.to_pylist() == [*range(60), *range(1000, 1007)]
    assert made.users.counts.tolist() == [*model.users.counts, *found.model.users.counts]
    assert (estimates(made)[:60] == estimates(model)).all()
    assert (estimates(made)[60:] == estimates(found.model)).all()
    assert made.folded_in == ((60, 67),)
    assert made.item_factors is model.item_factors


def test_users_may_be_added_at_once_or_one_after_another() -> None:
    model = random_model()
    first, second = new_ratings(7, 40, 1), new_ratings(5, 40, 2, first=2000)
    third = replace(
        first, users=Vocabulary(pa.array([0, 10, 20, 30, 40, 50, 3000]), first.users.counts)
    )
    steps = model
    for ratings in (first, second, third):
        steps = extended(steps, fold_in(steps, ratings, 0.5))
    for ratings in (first, second, third):  # 0, 10, ... are in the vocabulary without ratings
        rows = steps.users.rows(ratings.users.ids)
        assert (estimates(steps)[rows] == estimates(fold_in(model, ratings, 0.5).model)).all()
    assert steps.folded_in == (*((n, n + 1) for n in range(0, 60, 10)), (60, 73))
    assert np.allclose(
        RowDistribution.of(steps, "user").mean, RowDistribution.of(model, "user").mean, rtol=1e-12
    )


def test_users_of_the_model_are_refused_or_replaced() -> None:
    model, ratings = random_model(), new_ratings(4, 40)
    ratings = replace(ratings, users=Vocabulary(pa.array([1000, 10, 42, 7]), ratings.users.counts))
    with pytest.raises(DataError) as caught:
        fold_in(model, ratings, 0.5)
    assert str(caught.value) == (
        "user 42 is in the model already; give the split that it was trained on with split, or"
        " estimate such users from these ratings alone with replace=True"
    )
    found = fold_in(model, ratings, 0.5, replace=True)
    assert found.replaced == 2
    made = extended(model, found)
    assert (estimates(made)[[60, 10, 42, 7]] == estimates(found.model)).all()
    assert made.users.counts[[60, 10, 42, 7]].tolist() == found.model.users.counts.tolist()
    others = np.delete(np.arange(60), [10, 42, 7])
    assert (estimates(made)[others] == estimates(model)[others]).all()
    again = extended(made, fold_in(made, ratings, 0.5, replace=True))
    assert len(again.users) == 61
    assert again.folded_in == made.folded_in == ((7, 8), (10, 11), (42, 43), (60, 61))


@pytest.mark.parametrize(
    ("own", "new", "ids"),
    [
        ([1, 2], ["anna", "02"], ["1", "2", "anna", "02"]),
        (["1", "x"], [2, 3], ["1", "x", "2", "3"]),
        ([1, 2], [4, 3], [1, 2, 4, 3]),
    ],
)
def test_ids_of_two_types_become_text(own: list, new: list, ids: list) -> None:
    model, ratings = random_model(users=2), new_ratings(2, 40)
    model = replace(model, users=Vocabulary(pa.array(own), np.array([5, 6])))
    ratings = replace(ratings, users=Vocabulary(pa.array(new), ratings.users.counts))
    made = extended(model, fold_in(model, ratings, 0.5))
    assert made.users.ids.to_pylist() == ids
    mixed = replace(ratings, users=Vocabulary(pa.array([own[0], own[1]]).cast("str"), [1, 1]))
    with pytest.raises(DataError, match="user '1' is in the model already"):
        fold_in(model, mixed, 0.5)


def test_an_extended_model_is_written_and_read(tmp_path: Path) -> None:
    model = random_model()
    made = extended(model, fold_in(model, new_ratings(7, 40), 0.5))
    replace(made, losses=LOSSES).save(tmp_path / "m")
    read = Model.load(tmp_path / "m")
    assert (estimates(read) == estimates(made)).all()
    assert read.folded_in == ((60, 67),)
    assert Model.load(tmp_path / "m").losses == LOSSES
    record = read_model_record(tmp_path / "m")
    assert (record.folded_in.users, record.folded_in.rows) == (7, ((60, 67),))


@pytest.fixture(scope="module")
def ready(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with a split and an untrained model."""
    folder = tmp_path_factory.mktemp("ready")
    made = planted_split(Config(), share=0.3)
    manifest = write_split(folder / "split", made)
    model = replace(start(made, Config(k=5)), split_hash=manifest["hash"])
    Fit(model, History.of([Epoch(1, 0.5, 0.5, 0.5, 0.5, 1.0)])).write(folder)
    (folder / "titles.csv").write_text(
        "movieId,title\n" + "".join(f'{n},"Film, {n} [x]"\n' for n in range(40))
    )
    (folder / "new.csv").write_text(
        "user,item,rating\nanna,3,5\nanna,7,4.5\nanna,x,1\nbob,9,2\nzoe,y,3\n"
    )
    return folder


@pytest.fixture
def folder(ready: Path, run: Run, tmp_path: Path) -> Run:
    shutil.copytree(ready, tmp_path, dirs_exist_ok=True)
    return run


NOTES = (
    "note: ignored 2 ratings of 2 items that no user of the model has rated\n"
    "note: 1 user without usable ratings: predicting the mean and the items' biases\n"
)


def test_new_users_are_recommended_to(folder: Run) -> None:
    done = folder("fold-in", "new.csv", "--n", 4, "--titles", "titles.csv")
    assert (done.code, done.err) == (0, NOTES)
    assert done.out.count("[x]") == 12
    rows = rows_of(folder("fold-in", "new.csv", "--n", 40, "--out", "-", "-q").out)
    assert list(rows[0]) == ["user", "rank", "item", "prediction"]
    items = {
        user: [r["item"] for r in rows if r["user"] == user] for user in ("anna", "bob", "zoe")
    }
    assert [len(own) for own in items.values()] == [38, 39, 40]
    assert not {"3", "7"} & set(items["anna"])
    assert "9" not in items["bob"]
    every = folder("fold-in", "new.csv", "--n", 40, "--out", "-", "-q", "--exclude", "none").out
    assert len(rows_of(every)) == 120
    model = Model.load(Path("model"))
    best = rows_of(every)[80]  # of zoe, who has rated no known item
    assert float(best["prediction"]) == pytest.approx(model.mu + model.item_biases.max())
    result = json.loads(folder("fold-in", "new.csv", "--n", 2, "--json").out)
    assert result["folded_in"] == {
        "users": 3,
        "replaced": 0,
        "without_known_items": 1,
        "ratings": 3,
        "items": 0,
        "item_ratings": 0,
        "unknown_ratings": 2,
        "unknown_items": 2,
    }
    assert [row["rank"] for row in result["recommendations"]] == [1, 2] * 3


def test_candidates_can_be_limited_and_results_written(folder: Run) -> None:
    Path("items.txt").write_text("7\n8\n30\n")
    options = ["--items", "items.txt", "--threads", 1]
    assert folder("fold-in", "new.csv", *options, "--out", "r.csv").out == "r.csv: 8 rows\n"
    assert {row["item"] for row in rows_of(Path("r.csv").read_text())} == {"7", "8", "30"}
    shown = folder("fold-in", "new.csv", *options, "--out", "r.parquet", "--json").out
    assert json.loads(shown)["rows"] == 8
    counts = Model.load(Path("model")).items.counts
    few = folder("fold-in", "new.csv", "--n", 40, "--min-count", 14, "--out", "-", "-q").out
    assert {int(row["item"]) for row in rows_of(few)} == set(np.flatnonzero(counts >= 14).tolist())


def test_many_users_need_an_output_file(folder: Run) -> None:
    lines = "".join(f"u{n},3,4\n" for n in range(1001))
    Path("many.csv").write_text("user,item,rating\n" + lines)
    done = folder("fold-in", "many.csv")
    assert (done.code, done.out) == (2, "")
    assert done.err == (
        "error: 1,001 users are too many for a table; write the recommendations with --out"
        " FILE, or --out - for CSV on stdout\n"
    )
    assert folder("fold-in", "many.csv", "--out", "r.csv").out == "r.csv: 10,010 rows\n"


def test_every_command_accepts_an_extended_model(folder: Run) -> None:
    done = folder("fold-in", "new.csv", "--extend", "more")
    assert done.out == "more: 63 users, 3 of them from 3 ratings\n"
    text = "note: more: user ids are text now, because some new ids are\n"
    assert done.err == NOTES + text
    before, after = Model.load(Path("model")), Model.load(Path("more"))
    assert (after.config, after.split_hash) == (before.config, before.split_hash)
    assert Model.load(Path("more")).losses == Model.load(Path("model")).losses
    for name in ("user_factors", "user_biases", "item_factors", "item_biases"):
        assert (after.tables[name][: len(before.tables[name])] == before.tables[name]).all()

    def metrics(model: str) -> dict:
        return json.loads(folder("evaluate", "--model", model, "--json").out)

    assert metrics("model") == metrics("more")
    own = ["recommend", "--user", 3, "--user", 5, "--n", 40, "--out", "-"]
    assert rows_of(folder(*own, "--model", "more").out) == rows_of(folder(*own).out)
    anna = ["recommend", "--model", "more", "--user", "anna", "--n", 40, "--out", "-"]
    assert len(rows_of(folder(*anna).out)) == 40
    direct = [
        row
        for row in rows_of(folder("fold-in", "new.csv", "--n", 40, "--out", "-", "-q").out)
        if row["user"] == "anna"
    ]
    assert rows_of(folder(*anna, "--rated", "new.csv").out) == direct
    assert folder("similar", "anna", "--users", "--model", "more").code == 0
    Path("later.csv").write_text("user,item,rating\nanna,20,4\nbob,21,1\n")
    on = folder("evaluate", "--model", "more", "--on", "later.csv", "--json")
    assert json.loads(on.out)["groups"]["warm"]["ratings"] == 2
    refused = folder("fold-in", "later.csv", "--model", "more")
    assert (refused.code, refused.out) == (1, "")
    assert refused.err == (
        "error: user 'anna' was folded in, and the split lacks the earlier ratings; estimate such"
        " users from all of their ratings with --replace\n"
    )
    done = folder(
        "fold-in", "later.csv", "--model", "more", "--extend", "more", "--replace", "--json"
    )
    assert json.loads(done.out)["folded_in"]["replaced"] == 2
    assert Model.load(Path("more")).folded_in == ((60, 63),)


def test_recommend_excludes_pairs_in_rated_files(folder: Run) -> None:
    Path("a.csv").write_text("who;item;rating\n3;8;3,5\n3;30;x\n4;9;1\nnobody;9;1\n3;what;1\n3;9\n")
    Path("b.csv").write_text("who;item;rating\n3;31;2\n")
    Path("mfcli.toml").write_text("relevant = 99.0\n")  # so rankings of this model are not judged
    user = ["recommend", "--user", 3, "--n", 40, "--out", "-"]
    before = {row["item"] for row in rows_of(folder(*user).out)}
    reading = ["--user-col", "who", "--on-bad-row", "skip"]
    files = ["--rated", "a.csv", "--rated", "b.csv"]
    done = folder(*user, *files, *reading)
    assert done.code == 0, done.err
    # A pair is rated whatever its rating is.
    assert {row["item"] for row in rows_of(done.out)} == before - {"8", "30", "31"}
    assert done.err.splitlines() == [
        "warning: a.csv:7: the row is skipped (must have 3 fields like the first line, got 2)",
        "warning: a.csv: 2 of 5 pairs have a user or an item that the model does not know, and are"
        " skipped; the first is user 'nobody', item '9'",
    ]
    shutil.rmtree("split")  # not needed with --exclude none
    done = folder(*user, "--exclude", "none", *files, *reading)
    assert len(rows_of(done.out)) == 37
    refused = folder(*user, "--exclude", "none", "--on-bad-row", "skip")
    assert (refused.code, refused.err) == (
        2,
        "error: --on-bad-row is not used without --rated; omit it\n",
    )


def test_reading_options_apply(folder: Run) -> None:
    Path("odd.csv").write_text("who;item;rating\nanna;3;4,5\nanna;3;1,5\nbob;3;x\nbob;4;20\n")
    options = ["--user-col", "who", "--decimal", ",", "--json", "--n", 1]
    done = folder("fold-in", "odd.csv", *options)
    assert (done.code, done.out) == (1, "")
    assert done.err.startswith("error: odd.csv:4: rating must be a finite number, got 'x'")
    done = folder("fold-in", "odd.csv", *options, "--on-bad-row", "skip")
    assert json.loads(done.out)["folded_in"]["ratings"] == 2
    scale = Model.load(Path("model")).scale
    assert done.err == (
        "note: skipped 1 row: invalid rating\n"
        "note: ratings range from 1.5 to 20; the model was trained on"
        f" {scale.min:g} to {scale.max:g}\n"
    )
    assert folder("fold-in", "odd.csv", *options, "--on-bad-row", "skip", "-q").err == ""
    Path("odd.csv").write_text("user,item,rating\nanna,3,4\nanna,3,2\n")
    done = folder("fold-in", "odd.csv", "--duplicates", "error")
    assert done.err.startswith("error: odd.csv:3: user 'anna' has rated item 3 before")


FAULTS = [
    (["empty.csv"], 1, "empty.csv: is empty; provide one line per rating"),
    (["header.csv"], 1, "header.csv: holds no rating, only a header"),
    (["none.csv"], 1, "none.csv: cannot be read: No such file or directory"),
    (["bad.csv"], 1, "bad.csv:2: rating must be a finite number, got 'good'"),
    (["known.csv", "--split", "none"], 1, "none: holds no split; make one with: mfcli split"),
    (["known.csv", "--split", "none", "--replace"], 2, "--split is not used with --replace"),
    (["new.csv", "--model", "none"], 1, "none: holds no model; train one with: mfcli train"),
    (["new.csv", "--extend", "full"], 1, "full: holds files that mfcli did not write"),
    (["new.csv", "--out", "r.txt"], 2, "r.txt: must end in .csv or .parquet"),
    (["new.csv", "--n", "0"], 2, "--n must be at least 1, got 0"),
    (["new.csv", "--items", "none.txt"], 1, "none.txt: cannot be read: No such file"),
    ([], 2, "Missing argument 'FILE'"),
    *(
        (["new.csv", "--extend", "e", *option], 2, f"{option[0]} is not used with --extend")
        for option in (
            ["--n", "3"],
            ["--items", "items.txt"],
            ["--min-count", "3"],
            ["--titles", "titles.csv"],
            ["--exclude", "none"],
            ["--threads", "1"],
            ["--out", "r.csv"],
        )
    ),
]


@pytest.mark.parametrize(("args", "code", "message"), FAULTS, ids=[" ".join(f[0]) for f in FAULTS])
def test_faults_are_one_line(folder: Run, args: list[str], code: int, message: str) -> None:
    Path("empty.csv").write_text("")
    Path("header.csv").write_text("user,item,rating\n")
    Path("bad.csv").write_text("user,item,rating\nanna,2,good\n")
    Path("known.csv").write_text("user,item,rating\n3,2,4\n")
    Path("full").mkdir()
    Path("full/mine.txt").write_text("mine")
    before = {path: path.read_bytes() for path in Path().rglob("*") if path.is_file()}
    done = folder("fold-in", *args)
    assert (done.code, done.out) == (code, "")
    *notes, error = done.err.splitlines()
    assert error.startswith(f"error: {message}"), done.err
    assert all(line.startswith("note: ") for line in notes)
    assert {path: path.read_bytes() for path in Path().rglob("*") if path.is_file()} == before


def test_fold_in_beats_biases_in_the_example(tmp_path: Path, real_csv: Path) -> None:
    command = [sys.executable, ROOT / "examples" / "fold_in.py", real_csv, "--seeds", "1"]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    table = [line.strip("| ").split(" | ") for line in done.stdout.splitlines()[1:8]]
    errors = {row[0]: [float(cell) for cell in row[1:]] for row in table[2:]}
    assert len(errors["fold-in"]) == 5
    for own, bias, item in zip(
        *(errors[n] for n in ("fold-in", "damped bias", "mu + b_i")), strict=True
    ):
        assert own < bias < item


def test_a_model_without_a_recorded_error_is_refused(run: Run, ready: Path) -> None:
    model = Model.load(ready / "model")
    replace(model, losses={}).save(Path("bare"))
    done = run("fold-in", ready / "new.csv", "--model", "bare")
    assert (done.code, done.err) == (
        1,
        "error: the model has no validation error; train again\n",
    )

"""Rankings equal those of a slow way: score all items, remove rated ones, sort."""

from __future__ import annotations

import json
import shutil
from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest
from conftest import Run
from contents import rows_of
from hypothesis import given, settings, strategies as st
from planted import planted_split

from mfcli.config import Config
from mfcli.data import Vocabulary, find_rows
from mfcli.errors import UnknownIdError, UsageError
from mfcli.model import Model, Rated, recommendations, similar, top_items
from mfcli.predict import recommend
from mfcli.splits import Split, write_split
from mfcli.training import Epoch, Fit, History
from mfcli.training.loop import start


@pytest.fixture(scope="module")
def split() -> Split:
    return planted_split(Config(), share=0.3)


@pytest.fixture(scope="module")
def model(split: Split) -> Model:
    made = start(split, Config(k=5))
    rounded = {name: np.round(table * 100) / 100 for name, table in made.tables.items()}
    return made.with_tables(rounded)  # so that there are equal scores


@settings(max_examples=60, deadline=None)
@given(
    users=st.lists(st.integers(0, 59), max_size=8),
    n=st.integers(0, 45),
    some=st.booleans(),
    rated=st.booleans(),
    threads=st.integers(1, 3),
)
def test_top_items_are_the_best_that_are_left(
    split: Split, model: Model, users: list[int], n: int, some: bool, rated: bool, threads: int
) -> None:
    candidates = np.arange(3, 40, 2, dtype=np.int32) if some else None
    exclude = Rated.of(split.train) if rated else None
    rows = np.array(users, np.int32)
    found = top_items(model, rows, n, exclude=exclude, candidates=candidates, threads=threads)
    everything = np.arange(len(model.items), dtype=np.int32)
    allowed = everything if candidates is None else candidates
    assert found.items.shape == (len(users), min(n, len(allowed)))
    for row, user in enumerate(users):
        own = set(split.train.item[split.train.user == user].tolist()) if rated else set()
        left = [i for i in allowed.tolist() if i not in own]
        scores = model.predict_rows(np.full(len(left), user, np.int32), np.array(left, np.int32))
        best = sorted(scores.tolist(), reverse=True)[:n]
        items = [i for i in found.items[row].tolist() if i >= 0]
        assert len(items) == len(best)
        assert set(items) <= set(left)
        np.testing.assert_allclose(found.scores[row, : len(best)], best, atol=1e-5)
        again = model.predict_rows(np.full(len(items), user, np.int32), np.array(items, np.int32))
        np.testing.assert_allclose(again, best, atol=1e-5)


@pytest.mark.parametrize("threads", [1, 2])
def test_ranking_reports_its_progress(
    model: Model, threads: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(recommendations, "_BLOCK", 150)
    users, calls = np.arange(400, dtype=np.int32) % len(model.users), []
    top_items(model, users, 3, threads=threads, on_progress=lambda *done: calls.append(done))
    assert sorted(calls) == [(150, 400), (300, 400), (400, 400)]


def test_equal_scores_go_to_the_lower_row(model: Model) -> None:
    same = model.with_tables({name: np.ones_like(t) for name, t in model.tables.items()})
    assert top_items(same, np.array([4], np.int32), 5).items.tolist() == [[0, 1, 2, 3, 4]]


def test_similar_is_the_cosine() -> None:
    factors = np.random.default_rng(0).normal(size=(20, 4)).astype(np.float32)
    factors[7] = 0
    found = similar(factors, np.array([3], np.int32), 30)
    unit = factors / np.maximum(np.linalg.norm(factors, axis=1, keepdims=True), 1e-30)
    cosines = unit @ unit[3]
    order = [i for i in np.argsort(-cosines) if i not in (3, 7)]
    assert [i for i in found.items[0].tolist() if i >= 0] == order
    np.testing.assert_allclose(found.scores[0, :18], cosines[order], atol=1e-6)
    odd = np.arange(20) % 2 == 1
    some = similar(factors, np.array([3], np.int32), 30, odd)
    assert [i for i in some.items[0].tolist() if i >= 0] == [i for i in order if i % 2]


def test_unknown_ids_are_named_and_near_ones_suggested() -> None:
    names = Vocabulary(pa.array(["Anna", "bob"]), np.ones(2, np.int64))
    assert find_rows(names, pa.array(["bob"]), "user").tolist() == [1]
    with pytest.raises(UnknownIdError) as caught:
        find_rows(names, pa.array(["bob", " anna"]), "user")
    assert str(caught.value) == (
        "user ' anna' is not among the model's 2 users; did you mean 'Anna'?"
    )


@pytest.fixture
def trained(run: Run, split: Split, model: Model) -> Run:
    manifest = write_split(Path("split"), split)
    Fit(
        Model(**{**vars(model), "split_hash": manifest["hash"]}),
        History.of([Epoch(1, 1.0, 1.0, 1.0, 1.0, 1.0)]),
    ).write(Path())
    Path("titles.csv").write_text(
        "movieId,title,genres\n" + "".join(f'{n},"Film, {n} [x]",g\n' for n in range(40))
    )
    return run


def test_recommend_shows_a_table_with_titles(trained: Run) -> None:
    done = trained("recommend", "--user", 3, "--user", 5, "--n", 4, "--titles", "titles.csv")
    assert done.code == 0, done.err
    assert done.out.count("[x]") == 8
    first = trained("recommend", "--user", 3, "--n", 4, "--json").out
    assert [row["rank"] for row in json.loads(first)["recommendations"]] == [1, 2, 3, 4]


def test_recommend_writes_csv_and_parquet(trained: Run) -> None:
    assert trained("recommend", "--all", "--n", 3, "--out", "r.csv").code == 0
    assert trained("recommend", "--all", "--n", 3, "--out", "r.parquet").code == 0
    rows = rows_of(Path("r.csv").read_text())
    assert len(rows) == 60 * 3
    assert list(rows[0]) == ["user", "rank", "item", "prediction"]
    frame = pd.read_parquet("r.parquet")
    assert frame["item"].tolist() == [int(row["item"]) for row in rows]
    shown = trained("recommend", "--user", 0, "--n", 3, "--out", "-").out
    assert rows_of(shown) == rows[:3]


def test_recommend_narrows_the_choice(trained: Run, split: Split) -> None:
    Path("items.txt").write_text("7\n9\n30\n")
    Path("users.txt").write_text("3\n4\n")
    options = ["--users", "users.txt", "--out", "-", "--exclude", "none"]
    rows = rows_of(trained("recommend", *options, "--items", "items.txt").out)
    assert {row["user"] for row in rows} == {"3", "4"}
    assert {row["item"] for row in rows} == {"7", "9", "30"}
    rows = rows_of(trained("recommend", *options, "--n", 40, "--min-count", 14).out)
    counts = split.train.items.counts
    assert {int(row["item"]) for row in rows} == set(np.flatnonzero(counts >= 14).tolist())
    rated = set(split.train.item[split.train.user == 3].tolist())
    rows = rows_of(trained("recommend", "--user", 3, "--n", 40, "--out", "-").out)
    assert not rated & {int(row["item"]) for row in rows}


def test_everything_in_the_split_is_omitted_unless_less_is_chosen(
    trained: Run, split: Split
) -> None:
    def items(*options: object) -> set[int]:
        done = trained("recommend", "--user", 5, "--n", 40, "--out", "-", *options)
        return {int(row["item"]) for row in rows_of(done.out)}

    rated = {name: set(part.item[part.user == 5].tolist()) for name, part in split.parts.items()}
    everything = set(range(40))
    assert rated["train"]
    assert rated["test"]
    assert items() == items("--exclude", "split") == everything - rated["train"] - rated["test"]
    assert items("--exclude", "train") == everything - rated["train"]
    assert items("--exclude", "none") == items("--include-rated") == everything
    assert items("--exclude", "none", "--include-rated") == everything
    done = trained("recommend", "--user", 5, "--exclude", "train", "--include-rated")
    assert (done.code, done.err) == (
        2,
        "error: --include-rated contradicts --exclude train; omit one\n",
    )
    Path("more.csv").write_text("user,item,rating\n5,0,1\n5,1,1\n")
    assert items("--exclude", "none", "--rated", "more.csv") == everything - {0, 1}


def test_python_omits_what_is_in_a_split_or_in_ratings(split: Split, model: Model) -> None:
    whole = model.recommend([3], 40, exclude=split)
    train = model.recommend([3], 40, exclude=split.train)
    test = set(split.test.item[split.test.user == 3].tolist())
    pairs = pa.table({"user": split.train.user, "item": split.train.item})
    assert model.recommend([3], 40, exclude=pairs).equals(train)
    others = pa.table({"user": [3, -3], "item": [-1, 3]})
    assert model.recommend([3], 40, exclude=others).equals(model.recommend([3], 40))
    assert set(train["item"].to_pylist()) - set(whole["item"].to_pylist()) == test
    with pytest.raises(UsageError, match="exclude must be a split or ratings, got 'split'"):
        model.recommend([3], exclude="split")  # type: ignore[arg-type]  # what is tested


def test_another_split_is_refused_only_where_it_is_used(trained: Run, split: Split) -> None:
    write_split(Path("split"), replace(split, train=split.train.take(slice(1, None))))
    refused = trained("recommend", "--user", 3)
    assert refused.code == 1
    assert refused.err.endswith("train again, or use --exclude none to recommend anyway\n")
    assert trained("recommend", "--user", 3, "--exclude", "none").code == 0
    shutil.rmtree("split")  # a model is complete without it
    assert trained("recommend", "--user", 3).err == (
        "error: split: holds no split; make one with: mfcli split data.csv, or use --exclude none"
        " to recommend anyway\n"
    )


def test_diverse_lists_are_those_of_a_slow_twin(split: Split, model: Model) -> None:
    users = np.array([3, -1, 7, 3, 11], np.int32)
    rated = Rated.of(split.train)
    unit = model.item_factors / np.linalg.norm(model.item_factors, axis=1, keepdims=True)
    pool = top_items(model, users, 100, exclude=rated)
    for weight in (0.2, 0.7, 1.0):
        found = [
            top_items(model, users, 6, exclude=rated, diversity=weight, threads=threads)
            for threads in (1, 2)
        ]
        assert (found[0].items == found[1].items).all()
        for row, items in enumerate(found[0].items.tolist()):
            left = [item for item in pool.items[row].tolist() if item >= 0]
            scores = dict(zip(left, pool.scores[row].tolist(), strict=False))
            low, high = scores[left[-1]], scores[left[0]]
            listed: list[int] = []
            for chosen in items:
                values = {
                    item: (1 - weight) * (scores[item] - low) / (high - low)
                    - weight * max((float(unit[item] @ unit[j]) for j in listed), default=0)
                    for item in left
                }
                # Rounding decides between equal values.
                assert values[chosen] > max(values.values()) - 1e-5
                assert found[0].scores[row, len(listed)] == np.float32(scores[chosen])
                listed.append(chosen)
                left.remove(chosen)
            assert listed[0] == pool.items[row, 0]
            assert len(set(listed)) == 6


def test_the_pool_of_a_diverse_list_is_ten_times_as_long(
    model: Model, monkeypatch: pytest.MonkeyPatch
) -> None:
    far = model.item_factors.copy()
    far[:39] = far[0]  # only the last item differs
    far[39] = -far[0]
    biases = np.linspace(1, 0, 40, dtype=np.float32) * 1e3
    made = model.with_tables(model.tables | {"item_factors": far, "item_biases": biases})
    assert made.recommend([3], 2, diversity=0.9)["item"].to_pylist() == [0, 39]
    monkeypatch.setattr("mfcli.model.diversity._LEAST", 0)  # 100 is all items
    assert made.recommend([3], 2, diversity=0.9)["item"].to_pylist() == [0, 1]
    assert made.recommend([3], 4, diversity=0.9)["item"].to_pylist()[1] == 39


def test_a_small_pool_gives_a_short_list(split: Split, model: Model) -> None:
    some = np.array([4, 9], np.int32)
    found = top_items(model, np.array([3], np.int32), 5, candidates=some, diversity=0.5)
    assert sorted(found.items[0].tolist()) == [4, 9]
    none = top_items(model, np.array([3], np.int32), 5, candidates=some[:0], diversity=0.5)
    assert none.items.shape == (1, 0)


def test_diversity_and_popularity_are_options_and_arguments(trained: Run, split: Split) -> None:
    model = Model.load(Path("model"))
    options = ["recommend", "--user", 3, "--exclude", "none", "--out", "-"]

    def items(*more: object) -> list[int]:
        return [int(row["item"]) for row in rows_of(trained(*options, *more).out)]

    diverse = recommend(model, [3], 10, diversity=0.5)["item"].to_pylist()
    assert items("--diversity", 0.5) == diverse != items()
    assert items("--diversity", 0) == items()
    counts = split.train.items.counts
    share = np.array([(counts < n).sum() + (counts == n).sum() / 2 for n in counts]) / len(counts)
    allowed = set(np.flatnonzero((share <= 0.6) & (counts >= 8)).tolist())
    limits = ["--n", 40, "--max-popularity", 0.6, "--min-count", 8]
    assert set(items(*limits)) == allowed
    few = recommend(model, [3], 40, max_popularity=0.6, min_count=8)["item"].to_pylist()
    assert few == items(*limits)
    assert len(items("--n", 40, "--max-popularity", 1)) == 40
    with pytest.raises(UsageError, match=r"diversity must be a number from 0 to 1, got 1\.5"):
        recommend(model, [3], diversity=1.5)
    with pytest.raises(UsageError, match="max_popularity must be a number from 0 to 1, got '1'"):
        recommend(model, [3], max_popularity="1")  # type: ignore[arg-type]  # what is tested


def test_users_for_whom_no_item_is_left_are_reported(trained: Run, split: Split) -> None:
    rated = split.train.item[split.train.user == 3]
    Path("items.txt").write_text("".join(f"{item}\n" for item in rated.tolist()))
    # Without notes on the quality of this model, which is not trained.
    done = trained("recommend", "--user", 3, "--items", "items.txt", "--out", "-", "--quiet")
    assert done.out == "user,rank,item,prediction\n"
    assert done.err == "warning: no item is left to recommend to 1 of 1 users\n"


def test_predictions_are_clipped_and_keep_the_order_of_the_raw_ones(trained: Run) -> None:
    """By every command, with the same numbers."""
    model = Model.load(Path("model"))
    high = model.scale.max
    # All predictions are above the scale, and differ.
    biases = high + 1 + np.arange(40, dtype=np.float32)[::-1] / 8
    model.with_tables(model.tables | {"item_biases": biases}).save(Path("model"))
    Path("new.csv").write_text("user,item,rating\nanna,3,4\n")

    def rows(*words: object) -> list[dict[str, str]]:
        return rows_of(trained(*words, "--out", "-").out)

    listed = rows("recommend", "--user", 3, "--exclude", "none")
    raw = rows("recommend", "--user", 3, "--exclude", "none", "--no-clip")
    assert {row["prediction"] for row in listed} == {str(np.float32(high))}
    assert [row["item"] for row in listed] == [row["item"] for row in raw]
    values = [float(row["prediction"]) for row in raw]
    assert min(values) > high
    assert values == sorted(values, reverse=True)
    pairs = [word for row in raw for word in ("--item", row["item"])]
    for option, expected in (("--clip", listed), ("--no-clip", raw)):
        predicted = rows("predict", "--user", 3, *pairs, option)
        assert [float(row["prediction"]) for row in predicted] == pytest.approx(
            [float(row["prediction"]) for row in expected]
        )
    folded = rows("fold-in", "new.csv", "-q")
    assert {row["prediction"] for row in folded} == {str(np.float32(high))}
    unclipped = rows("fold-in", "new.csv", "-q", "--no-clip")
    assert [row["item"] for row in folded] == [row["item"] for row in unclipped]
    table = Model.load(Path("model")).recommend([3], 10)
    assert table["item"].to_pylist() == [int(row["item"]) for row in listed]
    assert table["prediction"].to_pylist() == pytest.approx([high] * 10)
    Path("mfcli.toml").write_text("clip = false\n")
    assert rows("recommend", "--user", 3, "--exclude", "none") == raw


def test_no_cosine_is_above_1() -> None:
    same = np.tile(np.array([[0.1, 0.7, 0.3]], np.float32), (50, 1)) * np.arange(1, 51)[:, None]
    assert similar(same.astype(np.float32), np.arange(50, dtype=np.int32), 5).scores.max() <= 1


def test_an_empty_request_is_an_empty_result(trained: Run) -> None:
    Path("users.txt").write_text("")
    done = trained("recommend", "--users", "users.txt", "--out", "-")
    assert (done.code, done.out) == (0, "user,rank,item,prediction\n")


def test_similar_items_and_users(trained: Run) -> None:
    done = trained("similar", 7, "--n", 3, "--titles", "titles.csv")
    assert done.code == 0, done.err
    assert done.out.count("[x]") == 3
    rows = json.loads(trained("similar", 7, "--users", "--n", 3, "--json").out)["similar"]
    assert len(rows) == 3
    assert rows[0]["cosine"] >= rows[1]["cosine"]


REFUSED = [
    (["recommend"], 2, "name users with --user, --users FILE or --all"),
    (["recommend", "--all"], 2, "--all requires --out FILE"),
    (["recommend", "--user", "x1"], 1, "user 'x1' is not among the model's 60 users"),
    (["recommend", "--user", "1", "--exclude", "x"], 2, "--exclude must be train, split or none"),
    (["fold-in", "bad.csv", "--exclude", "train"], 2, "--exclude must be file or none, got 'tra"),
    (["recommend", "--user", "1", "--n", "0"], 2, "--n must be at least 1, got 0"),
    (["recommend", "--user", "1", "--diversity", "2"], 2, "--diversity must be a number from 0 to"),
    (["fold-in", "bad.csv", "--max-popularity", "-1"], 2, "--max-popularity must be a number from"),
    (["recommend", "--user", "1", "--out", "r.txt"], 2, "r.txt: must end in .csv or .parquet"),
    (["recommend", "--users", "none.txt"], 1, "none.txt: cannot be read: No such file"),
    (["recommend", "--user", "1", "--titles", "bad.csv"], 1, "bad.csv: has no title column"),
    (["similar", "99"], 1, "item '99' is not among the model's 40 items"),
]


@pytest.mark.parametrize(("args", "code", "message"), REFUSED)
def test_refusals(trained: Run, args: list[str], code: int, message: str) -> None:
    Path("bad.csv").write_text("movieId,genres\n1,2\n")
    done = trained(*args)
    assert done.code == code
    assert done.err.startswith(f"error: {message}"), done.err
    assert done.err.count("\n") == 1

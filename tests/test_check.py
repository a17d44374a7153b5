"""Exact facts of small data; each warning for data that has its fault, and no other."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest
from conftest import Run
from machines import limit_room
from planted import make_ratings, planted_ratings

from mfcli.checks import Report, check, distinct_values, serious_warnings
from mfcli.checks.activity import IdExamples
from mfcli.checks.rating_values import ValueBin
from mfcli.config import Config
from mfcli.data import Buckets, Ratings, Source, Vocabulary, read_ratings
from mfcli.errors import LimitError, Param
from mfcli.storage import resources
from mfcli.training.sgd.rows import make_variant

NOW = 1_700_000_000.0  # 2023-11-14
SOUND = Config(k=2)


def plain(values: np.ndarray | list[float], users: int = 50) -> Ratings:
    """Make ratings of these values, assigned to users and items in turn."""
    rows = np.arange(len(values))
    items = -(-len(rows) // users)
    return make_ratings(rows % users, rows // users, np.array(values), users=users, items=items)


def steps(n: int = 2000) -> np.ndarray:
    """Return n ratings from 1 to 5, equally many of each."""
    return np.arange(n) % 5 + 1.0


def warned(ratings: Ratings, config: Config = SOUND) -> dict[str, str]:
    """Return the warnings as text, by kind."""
    return {w.what: str(w) for w in check(ratings, config, now=NOW).warnings}


def with_ids(ids: list[str]) -> Ratings:
    """Make ratings whose users have these ids."""
    made = plain(steps(), users=len(ids))
    return replace(made, users=Vocabulary(pa.array(ids), made.users.counts))


def with_times(times: list[int]) -> Ratings:
    """Make ratings with these times in turn."""
    return replace(plain(steps()), timestamp=np.resize(np.array(times, np.int64), 2000))


def with_source(rows: int, duplicates: int, conflicts: int = 0) -> Ratings:
    source = Source(
        "data.csv", 1, 10, "", "text", {"user": "u"}, rows, duplicates, {}, conflicts=conflicts
    )
    return replace(plain(steps(rows - duplicates)), source=source)


def test_facts_of_a_small_set() -> None:
    ratings = make_ratings(
        np.array([0, 0, 0, 1, 1, 2]),
        np.array([0, 1, 2, 0, 1, 0]),
        np.array([1, 2, 2, 4, 0.5, 2]),
        users=3,
        items=3,
    )
    report = check(ratings, SOUND)
    assert (report.rows, report.ratings, report.duplicates) == (6, 6, 0)
    assert report.density == pytest.approx(6 / 9)
    assert report.source is report.times is None
    values = report.values
    assert (values.min, values.max, values.step, values.distinct) == (0.5, 4, 0.5, 4)
    assert values.mean == pytest.approx(11.5 / 6)
    assert values.standard_deviation == pytest.approx(np.std([1, 2, 2, 4, 0.5, 2]))
    assert values.histogram == [
        ValueBin(0.5, 0.5, 1),
        ValueBin(1, 1, 1),
        ValueBin(2, 2, 3),
        ValueBin(4, 4, 1),
    ]
    assert values.most == ValueBin(2, 2, 3)


def test_facts_of_users() -> None:
    user = np.repeat(np.arange(200), np.arange(1, 201))
    item = np.concatenate([np.arange(n) for n in range(1, 201)])
    ratings = make_ratings(user, item, np.ones(len(user)), users=200, items=200)
    users = check(ratings, SOUND).users
    assert (users.name, users.count, users.ids.type) == ("users", 200, "integer")
    assert users.quantiles == {
        "0": 1, "25": 50, "50": 100, "75": 150, "90": 180, "99": 198, "100": 200,
    }  # fmt: skip
    assert (users.single, users.single_share) == (1, 1 / 200)
    assert users.top_share == pytest.approx((199 + 200) / 20100)
    assert (users.most, users.most_share) == ("199", 200 / 20100)


@pytest.mark.parametrize(("distinct", "bins"), [(21, 21), (22, 20), (3000, 20)])
def test_histogram_is_complete(distinct: int, bins: int) -> None:
    values = np.arange(6000) % distinct
    histogram = check(plain(values), SOUND).values.histogram
    assert len(histogram) == bins
    assert sum(bin.count for bin in histogram) == 6000
    assert (histogram[0].low, histogram[-1].high) == (0, distinct - 1)
    if bins == 20:
        assert [bin.count for bin in histogram] == np.histogram(values, 20)[0].tolist()


def test_values_are_shown_as_written() -> None:
    report = check(plain(steps() / 10), SOUND)
    assert [bin.low for bin in report.values.histogram] == [0.1, 0.2, 0.3, 0.4, 0.5]
    assert report.values.max == 0.5


def test_sound_ratings_give_no_warning() -> None:
    assert not warned(plain(steps()))
    assert not warned(with_times([1_000_000_000, 1_100_000_000]))
    assert not warned(with_source(2000, 10))
    assert not warned(with_ids([f"user {n}" for n in range(50)]))


def test_real_ratings_warn_only_of_rare_items(real_csv: Path) -> None:
    ratings = read_ratings(real_csv)
    report = check(ratings, Config())
    assert [w.what for w in report.warnings] == ["items with a single rating"]
    assert report.source == ratings.source
    assert report.rows == len(ratings)
    assert report.values.mean == pytest.approx(ratings.mean)
    assert report.values.step == 0.5
    assert report.times is not None
    assert report.times.unit == "seconds"
    assert report.times.first[:3] == "199"


CASES: dict[str, Callable[[], tuple[Ratings, str]]] = {
    "few ratings": lambda: (plain(steps(999)), "999; "),
    "duplicates, an item rated again by the same user": lambda: (
        with_source(2000, 21),
        "21 of 2,000 rows (1.1%); ",
    ),
    "all ratings are equal": lambda: (plain(np.ones(2000)), "1; "),
    "most ratings have one value": lambda: (
        plain(np.concatenate([np.full(1500, 4.0), steps(500)])),
        "4 in 1,600 of 2,000 ratings (80.0%); ",
    ),
    "rating scale without steps": lambda: (
        plain(np.linspace(1, 5, 2000)),
        "2,000 distinct values from 1 to 5; ",
    ),
    "ratings far from all others": lambda: (
        plain(np.append(steps(1999), 50)),
        "50 (1x); ",
    ),
    "zero may mean 'not rated'": lambda: (
        plain(np.concatenate([np.zeros(900), np.arange(1100) % 10 + 1])),
        "900 ratings of 0; ",
    ),
    "negative ratings": lambda: (
        plain(np.concatenate([np.full(100, -1.0), steps(1900)])),
        "100 from -1; ",
    ),
    "ratings look like times": lambda: (
        plain(steps() * 1e6 + 1e9),
        "from 1.001e+09 to 1.005e+09; ",
    ),
    "duplicates with different ratings, and no times that tell the latest": lambda: (
        with_source(2000, 10, conflicts=3),
        "3 of 2,000 rows (0.1%); ",
    ),
    "times are not dates": lambda: (with_times([1, 5]), "from 1 to 5 seconds after 1970 began; "),
    "user ids look like placeholders for unknown users": lambda: (
        with_ids(["NULL", "N/A", *(f"c{n}" for n in range(48))]),
        "2, such as 'NULL'; ",
    ),
    "times are not in seconds": lambda: (
        with_times([1_000_000_000_000, 1_100_000_000_000]),
        "they look like milliseconds; divide them by 1,000, ",
    ),
    "times before 1990": lambda: (
        with_times([0, 1_100_000_000]),
        "1,000 ratings, the first of 1970-01-01; ",
    ),
    "times in the future": lambda: (
        with_times([1_100_000_000, 1_800_000_000]),
        "1,000 ratings, the last of 2027-01-15; ",
    ),
    "all times are the same": lambda: (with_times([1_100_000_000]), "2004-11-09; "),
    "more factors than ratings of a typical user": lambda: (
        plain(steps(), users=1900),
        "k 2, the median user has 1; ",
    ),
    "users with a single rating": lambda: (
        plain(steps(), users=1500),
        "1,000 of 1,500 users (66.7%); ",
    ),
    "items with a single rating": lambda: (
        plain(steps(), users=2),
        "",
    ),
    "one user has a large part of the ratings": lambda: (
        make_ratings(
            np.concatenate([np.zeros(200), np.arange(1800) % 99 + 1]),
            np.arange(2000) % 200,
            steps(),
            users=100,
            items=200,
        ),
        "0 has 10.0%; ",
    ),
    "user ids look like padded numbers": lambda: (
        with_ids(["007", *(str(n) for n in range(10, 59))]),
        "1, such as '007'; ",
    ),
    "user ids start or end with a blank": lambda: (
        with_ids([" a", "b ", *(f"c{n}" for n in range(48))]),
        "2, such as ' a'; ",
    ),
    "user ids differ only by case, blanks or zeros": lambda: (
        with_ids(["Bob Ray", "x", "bobray", *(f"c{n}" for n in range(47))]),
        "1, such as 'Bob Ray' and 'bobray'; ",
    ),
    "a few user ids are not whole numbers": lambda: (
        with_ids(["nan", *(str(n) for n in range(49))]),
        "1, such as 'nan'; ",
    ),
}


def single_items() -> Ratings:
    """Make ratings in which a third of the items have only one."""
    item = np.concatenate([np.arange(1900) % 190, np.arange(190, 290)])
    return make_ratings(np.arange(2000) % 50, item, steps(), users=50, items=290)


CASES["items with a single rating"] = lambda: (single_items(), "100 of 290 items (34.5%); ")


@pytest.mark.parametrize("what", CASES)
def test_each_warning_is_given_alone(what: str) -> None:
    ratings, value = CASES[what]()
    found = warned(ratings)
    assert found.pop(what).startswith(f"{what}: {value}")
    assert set(found) <= ALSO.get(what, set())


ALSO = {
    "one user has a large part of the ratings": {
        "user ids look like placeholders for unknown users"
    },
    "a few user ids are not whole numbers": {"user ids look like placeholders for unknown users"},
    "more factors than ratings of a typical user": {"users with a single rating"},
    "users with a single rating": {"more factors than ratings of a typical user"},
}
"""Warnings that another one implies."""


@pytest.mark.parametrize(
    "sound",
    [
        lambda: plain(steps(1000)),
        lambda: with_source(2000, 20),
        lambda: plain(np.arange(2000) % 5 < 3),
        lambda: plain(np.concatenate([steps(1000), np.full(600, 5.0)])),
        lambda: plain(np.arange(2000) % 400 / 100),
        lambda: plain(np.arange(2000) % 20 - 9.0),
        lambda: plain(np.arange(2000) % 2 * 2 - 1.0),
        lambda: plain(np.arange(2000) % 6),
        lambda: plain(steps(), users=10),
        lambda: with_times([631_152_000, int(NOW) + 86_400]),
        lambda: with_ids([f"{n:03}" for n in range(50)]),
        lambda: with_ids([*"abc", *(str(n) for n in range(47))]),
    ],
)
def test_limits_give_no_warning(sound: Callable[[], Ratings]) -> None:
    assert not warned(sound())


def test_regularization_or_fewer_factors_avoid_the_warning_about_k() -> None:
    ratings, what = plain(steps(), users=500), "more factors than ratings of a typical user"
    assert what in warned(ratings, Config(k=5))
    assert what not in warned(ratings, Config(k=4))
    assert what not in warned(ratings, Config(k=5, reg=1e-5))


@pytest.mark.parametrize(
    ("values", "far"),
    [
        ([steps(1999), [-400]], [-400]),
        ([steps(19900), [400] * 10, [-400] * 10], [-400, 400]),
        ([steps(1000), [99] * 1000], [99]),
        ([steps(1000), [-99] * 1000], [-99]),
        ([[4] * 19000, steps(500), [0.5]], []),
        ([steps(19990), [10.5, 11, 200]], [10.5, 11, 200]),
        ([[1, 2] * 999, [4]], [4]),
        ([[1, 2] * 500, [4] * 999], []),
        ([np.random.default_rng(1).normal(3, 1, 5000)], []),
        ([np.tile([30, 31, 32, 33, 34], 1000), np.arange(0, 30), [55]], [0, 1, 2, 3, 4, 55]),
        ([steps(50), [400]], []),
    ],
)
def test_values_far_from_all_others(values: list[np.ndarray], far: list[float]) -> None:
    found = check(plain(np.concatenate(values)), SOUND).values.far
    assert [bin.low for bin in found] == far


def test_only_the_first_far_values_are_listed() -> None:
    values = np.concatenate([steps(19990), np.arange(100, 110)])
    shown = warned(plain(values))["ratings far from all others"]
    assert "100 (1x), 101 (1x), 102 (1x), 103 (1x), 104 (1x) and 5 more;" in shown


@pytest.mark.parametrize(
    ("values", "count"),
    [
        (np.arange(2000) % 6, 0),
        (np.append(steps(1999) / 2 + 0.5, 0), 1),
        (np.concatenate([np.zeros(10), steps(1990)]), 0),
        (np.concatenate([np.zeros(600), steps(1500)]), 0),
        (np.concatenate([np.zeros(601), steps(1500)]), 601),
        (np.arange(2000) % 2, 0),
        (np.arange(2000) % 3 - 1, 0),
    ],
)
def test_zero_may_be_part_of_the_scale(values: np.ndarray, count: int) -> None:
    assert check(plain(values), SOUND).values.not_rated == count


@pytest.mark.parametrize(
    ("unit", "second"), [("seconds", 1), ("milliseconds", 10**3), ("nanoseconds", 10**9)]
)
def test_times_are_dates_in_any_unit(unit: str, second: int) -> None:
    times = check(with_times([10**9 * second, 11 * 10**8 * second]), SOUND, now=NOW).times
    assert times is not None
    assert (times.unit, times.first, times.last) == (unit, "2001-09-09", "2004-11-09")
    assert (times.early, times.future, times.same) == (0, 0, False)


def test_a_single_time_gives_no_warning() -> None:
    ratings = replace(plain([3.0], users=1), timestamp=np.array([10**9]))
    times = check(ratings, SOUND, now=NOW).times
    assert times is not None
    assert not times.same


def test_padded_ids_of_one_length_give_no_warning() -> None:
    ids = check(with_ids([f"{n:03}" for n in range(50)]), SOUND).users.ids
    assert ids.padded == IdExamples(50, "'000'")
    assert not ids.uneven


@pytest.mark.parametrize("pair", [("7", "007"), ("7", "7.0"), ("É", "é"), ("a b", "a\u00a0b")])
def test_ids_that_are_probably_the_same(pair: tuple[str, str]) -> None:
    ids = check(with_ids([*pair, *(f"c{n}" for n in range(48))]), SOUND).users.ids
    assert ids.alike == IdExamples(1, f"{pair[0]!r} and {pair[1]!r}")


def test_blanks_around_ids_are_one_warning() -> None:
    blanks = with_ids([" 7", "7", *(str(n) for n in range(10, 58))])
    assert set(warned(blanks)) == {"user ids start or end with a blank"}
    both = with_ids([" bob", "Bob", *(f"c{n}" for n in range(48))])
    assert set(warned(both)) == {
        "user ids start or end with a blank", "user ids differ only by case, blanks or zeros",
    }  # fmt: skip


@pytest.mark.parametrize(("k", "ns"), [(2, 13), (10, 13), (12, 13), (20, 15), (110, 60)])
def test_cost_follows_the_rows_of_the_kernels(k: int, ns: float) -> None:
    ratings = with_times([10**9])
    cost = check(ratings, Config(k=k)).cost
    assert cost is not None
    stride = make_variant(k).stride
    # Each row and each of 16 steps also takes some bytes in numbers.
    numbers = cost.memory["tables"] - (50 + 40) * stride * 4
    assert 0 < numbers < 64 * (50 + 40) + 128 * 16
    assert cost.memory["columns"] == 2000 * 20
    assert cost.memory["records"] == 2000 * 5  # two rows of two bytes, and a code of the rating
    assert cost.memory["shuffle"] == 2000 * 12
    assert cost.memory["total"] == sum(cost.memory.values()) / 2
    assert cost.seconds == pytest.approx(2000 * ns / 1e9)
    assert f"{ns} ns a rating for rows of {stride} float32" in cost.assumed


def test_blocks_are_shuffled_one_at_a_time() -> None:
    cost = check(plain(steps()), Config(blocks=4)).cost
    assert cost is not None
    assert cost.memory["shuffle"] == 2000 * 12 / 4
    assert cost.memory["columns"] == 2000 * 12


@pytest.mark.parametrize(
    ("ids", "counts", "example"),
    [
        ([-1, 5, 6], [1, 1, 1], "-1"),
        ([-1, -5, 6], [1, 1, 1], ""),
        ([0, 5, 6], [30, 2, 2], "0"),
        ([0, 5, 6], [20, 2, 2], ""),
        ([0, 5, 6], [1, 2, 2], ""),
        ([7, 5, 6], [30, 2, 2], ""),
    ],
)
def test_placeholders_among_integers(ids: list[int], counts: list[int], example: str) -> None:
    rows = np.repeat(np.arange(3), counts)
    made = make_ratings(rows, np.arange(len(rows)), np.ones(len(rows)), users=3, items=len(rows))
    users = replace(made, users=Vocabulary(pa.array(ids), made.users.counts))
    assert check(users, SOUND).users.ids.placeholders.example == example


SERIOUS = {
    "all ratings are equal",
    "duplicates with different ratings, and no times that tell the latest",
    "duplicates, an item rated again by the same user",
    "ratings far from all others",
    "ratings look like times",
    "zero may mean 'not rated'",
    "negative ratings",
    "times are not in seconds",
    "times are not dates",
    "times before 1990",
    "times in the future",
    "one user has a large part of the ratings",
    "user ids look like padded numbers",
    "user ids start or end with a blank",
    "user ids differ only by case, blanks or zeros",
    "a few user ids are not whole numbers",
    "user ids look like placeholders for unknown users",
}


@pytest.mark.parametrize("what", CASES)
def test_some_warnings_are_serious(what: str) -> None:
    ratings, _ = CASES[what]()
    found = {warning.what for warning in serious_warnings(Buckets.of(ratings), now=NOW)}
    assert (what in found) == (what in SERIOUS)
    assert found <= set(warned(ratings))


def test_real_ratings_have_no_serious_warning(real_csv: Path) -> None:
    assert serious_warnings(Buckets.of(read_ratings(real_csv))) == []


def test_split_shows_serious_warnings(run: Run) -> None:
    rows = [f"{n % 40},{n // 40},{n % 5 + 1}" for n in range(2000)]
    Path("data.csv").write_text("\n".join(["user,item,rating", *rows, "1,7,99", "NA,3,2"]) + "\n")
    done = run("split", "data.csv", "--json", "--quiet")
    assert done.code == 0
    found = {warning["what"]: warning for warning in json.loads(done.out)["warnings"]}
    assert set(found) == {
        "duplicates with different ratings, and no times that tell the latest",
        "ratings far from all others",
        "a few user ids are not whole numbers",
        "user ids look like placeholders for unknown users",
    }
    assert found["ratings far from all others"]["remedy"].endswith("without a smaller --lr")
    lines = done.err.splitlines()
    assert len(lines) == 4
    assert any(
        line.startswith("warning: data.csv: ratings far from all others: 99 (1x); correct them")
        for line in lines
    )
    checked = json.loads(run("check", "data.csv", "--json").out)["warnings"]
    assert all(warning in checked for warning in found.values())
    rows = [f"{n % 40},{n // 40},{n % 5 + 1}" for n in range(2000)]
    Path("data.csv").write_text("\n".join(["user,item,rating", *rows]) + "\n")
    assert run("split", "data.csv").err == ""


def test_the_cost_of_the_keras_engine_is_not_estimated() -> None:
    assert check(plain(steps()), Config(optimizer="adam")).cost is None
    assert check(plain(steps()), Config(engine="keras")).cost is None


def reports(real_csv: Path) -> list[Report]:
    ratings = [case()[0] for case in CASES.values()]
    ratings += [read_ratings(real_csv), planted_ratings()[0], plain([3.0], users=1)]
    return [check(each, SOUND) for each in ratings]


def test_reports_are_json(real_csv: Path) -> None:
    for report in reports(real_csv):
        value = json.loads(json.dumps(report.as_dict(), allow_nan=False))
        assert value == report.as_dict()
        assert len(value["warnings"]) == len(report.warnings)
        assert all(set(w) == {"what", "value", "remedy"} for w in value["warnings"])


def test_every_warning_is_one_line_that_names_a_remedy(real_csv: Path) -> None:
    for report in reports(real_csv):
        for warning in report.warnings:
            assert "\n" not in str(warning)
            assert warning.value
            remedy = str(warning).removeprefix(f"{warning.what}: {warning.value}; ")
            named = [piece for piece in warning.remedy if isinstance(piece, Param)]
            assert named or any(w in remedy for w in ("in the file", "from the file", "none"))
            assert "--" not in str(warning)
            spelled = warning.phrase(lambda param: f"--{param.name}")
            assert all(f"--{param.name}" in spelled for param in named)


@pytest.mark.parametrize("what", CASES)
def test_facts_do_not_depend_on_buckets(what: str) -> None:
    ratings, _ = CASES[what]()
    expected = check(ratings, SOUND, now=NOW)
    for count in (2, 7):
        buckets = Buckets.of(ratings, count)
        assert check(buckets, SOUND, now=NOW) == expected
        parts = np.full(len(buckets.positions(0)), 255, np.uint8)
        buckets.assign(0, parts)  # as a split does in the meantime
        serious = [warning for warning in expected.warnings if warning.serious]
        assert serious_warnings(buckets, now=NOW) == serious


def test_weights_and_times_of_all_buckets_count() -> None:
    ratings = replace(
        with_times([*range(1_000_000_000, 1_000_000_040), 5, int(NOW) + 10**6]),
        weight=np.linspace(0.5, 7, 2000, dtype=np.float32),
    )
    for count in (1, 3):
        report = check(Buckets.of(ratings, count), SOUND, now=NOW)
        assert report.weights == [0.5, 7]
        assert report.times
        assert (report.times.early, report.times.future) == (47, 47)


@pytest.mark.parametrize("least", [1, 1 << 20])
def test_distinct_values_are_counted_in_pieces(least: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(distinct_values, "_PIECE", 100)
    monkeypatch.setattr(distinct_values, "_LEAST", least)
    rng = np.random.default_rng(1)
    columns = [rng.normal(size=n).round(2).astype(np.float32) for n in (1500, 0, 700)]
    whole = np.concatenate(columns)
    for many in (0, 10**6):  # compiled code, NumPy
        monkeypatch.setattr(distinct_values, "MANY", many)
        values, counts = distinct_values.distinct_values(columns, len(whole))
        expected = np.unique(whole, return_counts=True)
        assert values.tolist() == expected[0].tolist()
        assert counts.tolist() == expected[1].tolist()
        zeros, _ = distinct_values.distinct_values([np.array([-0.0, 1, 0], np.float32)], 3)
        assert [str(value) for value in zeros.tolist()] == ["0.0", "1.0"]


def test_too_many_distinct_values_are_refused() -> None:
    values = np.arange(10_000, dtype=np.float32)
    rule = "^counting distinct ratings needs about"
    with resources(memory="1MB"), pytest.raises(LimitError, match=rule):
        check(plain(values))


def test_the_command_gives_the_same_report_with_any_memory(
    run: Run, real_csv: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    args = ("check", real_csv, "--json", "--memory", "64GB")
    expected = run(*args, "-q")
    limit_room(monkeypatch, 200_000)
    assert run(*args, "-q") == expected
    assert "of temporary space in" in run(*args).err

"""Times in all units and forms become seconds since 1970; other units are reported."""

from __future__ import annotations

import datetime
import itertools
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from conftest import Run

from mfcli.data import ratings_from, read_ratings
from mfcli.data.time_units import TimeUnit
from mfcli.data.times import time_column
from mfcli.errors import DataError, MfcliWarning

SECONDS = [1_200_000_001, 1_200_000_000, 1_700_000_000, 978_300_760]
UNITS = {"milliseconds": 10**3, "microseconds": 10**6, "nanoseconds": 10**9}


def frame_of(times: Any) -> pd.DataFrame:
    n = len(times)
    return pd.DataFrame({"user": range(n), "item": 1, "rating": 3.0, "ts": times})


def from_csv(folder: Path, times: Any) -> list[int]:
    frame_of(times).to_csv(folder / "r.csv", index=False)
    return timestamps(read_ratings(folder / "r.csv"))


def from_parquet(folder: Path, times: Any) -> list[int]:
    frame_of(times).to_parquet(folder / "r.parquet")
    return timestamps(read_ratings(folder / "r.parquet"))


def from_frame(folder: Path, times: Any) -> list[int]:
    return timestamps(ratings_from(frame_of(times)))


def timestamps(ratings: Any) -> list[int]:
    assert ratings.timestamp.dtype == np.int64
    return list(ratings.timestamp.tolist())


InSeconds = Callable[..., "np.ndarray[Any, Any]"]


@pytest.fixture(params=[1, 2, 1000])
def in_seconds(request: pytest.FixtureRequest) -> InSeconds:
    """Convert times that are added in pieces of some size, and in another order."""

    def convert(times: np.ndarray, dates: np.ndarray | None = None) -> np.ndarray:
        dates = np.zeros(len(times), np.bool_) if dates is None else dates
        unit, size = TimeUnit(), request.param
        for is_date, group in itertools.groupby(range(len(times)), lambda n: dates[n]):
            rows = list(group)
            for start in range(0, len(rows), size):
                unit.add(times[rows[start : start + size]], dates=bool(is_date))
        conversion = unit.conversion("x", lambda row: f"x:{row + 1}")
        whole = conversion.seconds(times.copy())
        positions = np.flatnonzero(np.arange(len(times)) % 2).astype(np.uint32)
        assert np.array_equal(conversion.seconds(times[positions], positions), whole[positions])
        return whole

    return convert


Read = Callable[[Path, Any], list[int]]
READERS = [from_csv, from_parquet, from_frame]


@pytest.mark.parametrize("read", READERS)
@pytest.mark.parametrize(("unit", "second"), UNITS.items())
def test_units_are_found_and_reported(tmp_path: Path, read: Read, unit: str, second: int) -> None:
    times = np.array(SECONDS) * second + second // 2
    with pytest.warns(MfcliWarning, match=f"times are read as {unit}, from 2000-12-31 to 2023-11-"):
        assert read(tmp_path, times) == SECONDS
    with pytest.warns(MfcliWarning, match=r"; if they are something else, ignore times with"):
        assert read(tmp_path, -times) == [-s - 1 for s in SECONDS]


@pytest.mark.parametrize("read", READERS)
@pytest.mark.parametrize(
    "times",
    [
        np.array(SECONDS),
        np.array(SECONDS) + 0.75,
        [f"{s:.9e}" for s in SECONDS],
        [str(np.datetime64(s, "s")) for s in SECONDS],
        [f"{np.datetime64(s, 's')}Z" for s in SECONDS],
        [f"{np.datetime64(s, 's')}.25" for s in SECONDS],
        [f"{np.datetime64(s, 's')}.123456789Z" for s in SECONDS],
        [f"{np.datetime64(s + 7200, 's')}+02:00" for s in SECONDS],
        [str(np.datetime64(s, "s")).replace("T", " ") + " UTC" for s in SECONDS],
        [str(np.datetime64(SECONDS[0], "s")), *(f"{np.datetime64(s, 's')}Z" for s in SECONDS[1:])],
        pd.to_datetime(SECONDS, unit="s"),
        pd.to_datetime(SECONDS, unit="s", utc=True).tz_convert("Asia/Tokyo"),
        [datetime.datetime.fromtimestamp(s, datetime.UTC) for s in SECONDS],
    ],
    ids=lambda times: str(times[0]),
)
def test_seconds_and_dates_are_read_without_report(tmp_path: Path, read: Read, times: Any) -> None:
    assert read(tmp_path, times) == SECONDS


@pytest.mark.parametrize("zone", [None, "UTC", "America/New_York"])
@pytest.mark.parametrize("unit", ["s", "ms", "us", "ns"])
def test_timestamps_of_arrow_are_rounded_down(unit: str, zone: str | None) -> None:
    second = {"s": 1, "ms": 10**3, "us": 10**6, "ns": 10**9}[unit]
    for sign in (1, -1):
        numbers = [None, *(sign * (s * second + second // 2) for s in SECONDS)]
        found = time_column(pa.array(numbers, pa.timestamp(unit, zone)))
        assert found.type == pa.timestamp("s")
        expected = [None, *(n // second for n in numbers[1:] if n is not None)]
        assert found.cast(pa.int64()).to_pylist() == expected


def test_dates_of_any_year() -> None:
    for kind in (pa.date32(), pa.date64()):
        days = pa.array([datetime.date(1, 1, 1), datetime.date(9999, 12, 31)], kind)
        assert time_column(days).cast(pa.int64()).to_pylist() == [-62135596800, 253402214400]
    far = pa.array(["0001-01-01", "9999-12-31T00:00:00", None])
    assert time_column(far).cast(pa.int64()).to_pylist() == [-62135596800, 253402214400, None]


def test_dates_after_5138_are_not_milliseconds(tmp_path: Path) -> None:
    for read in (from_csv, from_parquet):
        assert read(tmp_path, ["9000-01-01", "2020-01-01"]) == [221845392000, 1577836800]


CALENDAR = [
    ([20150131, 19991231], "YYYYMMDD", ["2015-01-31", "1999-12-31"]),
    ([2015, 1999], "years", ["2015-01-01", "1999-01-01"]),
    ([201501, 199912], "YYYYMM", ["2015-01-01", "1999-12-01"]),
    ([20150131123059, 20160229000000], "YYYYMMDDhhmmss", ["2015-01-31T12:30:59", "2016-02-29"]),
    ([201501311230, 201602292359], "YYYYMMDDhhmm", ["2015-01-31T12:30", "2016-02-29T23:59"]),
    ([20150131.0, 19991231.0], "YYYYMMDD", ["2015-01-31", "1999-12-31"]),
]


@pytest.mark.parametrize("read", READERS)
@pytest.mark.parametrize(("times", "form", "dates"), CALENDAR)
def test_dates_written_as_numbers(
    tmp_path: Path, read: Read, times: list[int], form: str, dates: list[str]
) -> None:
    with pytest.warns(MfcliWarning, match=f"times are read as {form}, from "):
        found = read(tmp_path, times)
    assert found == np.array(dates, "datetime64[s]").view(np.int64).tolist()


@pytest.mark.parametrize(
    "numbers",
    [[20150132, 20150101], [20151301, 20150101], [20150229, 20150101], [20150131, 5], [1899, 2000],
     [2015, 2101], [1, 2, 3], [0, 20150131], [20150100, 20150101], [2015013112, 2015013113]],
)  # fmt: skip
def test_other_numbers_are_seconds(in_seconds: InSeconds, numbers: list[int]) -> None:
    assert in_seconds(np.array(numbers)).tolist() == numbers


def test_the_unit_is_that_of_most_times(in_seconds: InSeconds) -> None:
    milliseconds = np.array(SECONDS) * 1000
    with pytest.warns(MfcliWarning, match="read as milliseconds"):
        found = in_seconds(np.append(milliseconds, 0))
    assert found.tolist() == [*SECONDS, 0]
    far = np.array([*SECONDS, 10**14])
    assert in_seconds(far).tolist() == far.tolist()


@pytest.mark.parametrize(
    ("numbers", "message"),
    [
        ([10**12, 2 * 10**12, 1_200_000_000], ":3: timestamp is in seconds, but most .* millis"),
        (
            [10**9, 1_200_000_000_000, 10**9],
            ":2: timestamp is in milliseconds, but .* in seconds, ",
        ),
        ([10**18, 10**18, 10**15, 10**18], ":3: timestamp is in microseconds, but most .* nano"),
    ],
)
def test_a_column_has_one_unit(in_seconds: InSeconds, numbers: list[int], message: str) -> None:
    with pytest.raises(DataError, match=message):
        in_seconds(np.array(numbers))
    times = np.array([SECONDS[0], 10**12, 10**12, 10**9])
    dates = np.array([True, False, False, False])
    with pytest.raises(DataError, match="x:4"):
        in_seconds(times, dates)


def test_dates_among_numbers_stay(in_seconds: InSeconds) -> None:
    times = np.array([*SECONDS, SECONDS[0] * 1000, SECONDS[1], SECONDS[2] * 1000])
    dates = np.array([True] * 4 + [False, True, False])
    with pytest.warns(MfcliWarning, match="read as milliseconds, from 2008-01-10 to 2023-11-14"):
        assert in_seconds(times, dates).tolist() == [*SECONDS, *SECONDS[:3]]


@pytest.mark.parametrize("seed", range(20))
def test_the_unit_does_not_depend_on_pieces(seed: int) -> None:
    rng = np.random.default_rng(seed)
    scales = rng.choice([10**2, 10**8, 10**9, 10**11, 10**12, 10**14, 10**17], 9)
    times = scales * rng.integers(-9, 9, 9)

    def outcome(size: int) -> object:
        unit = TimeUnit()
        for start in range(0, len(times), size):
            unit.add(times[start : start + size], dates=False)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            try:
                return unit.conversion("x", str).seconds(times.copy()).tolist()
            except DataError as error:
                return str(error)

    assert outcome(1) == outcome(2) == outcome(4) == outcome(9)


def test_the_place_of_another_unit_is_named(tmp_path: Path) -> None:
    times = [1_200_000_000_000, 1_200_000_000_001, 1_200_000_000]
    for read, place in ((from_csv, "r.csv:4"), (from_parquet, "r.parquet: row 3")):
        with pytest.raises(
            DataError, match=f"{place}: timestamp is in seconds, but .*ignore times"
        ):
            read(tmp_path, times)


def test_numbers_and_dates_in_one_file(tmp_path: Path) -> None:
    day = np.datetime64(SECONDS[1], "s")
    assert from_csv(tmp_path, [SECONDS[0], str(day), SECONDS[2], f"{day}Z"]) == [
        SECONDS[0], SECONDS[1], SECONDS[2], SECONDS[1],
    ]  # fmt: skip
    with pytest.warns(MfcliWarning, match="read as milliseconds"):
        assert from_csv(tmp_path, [SECONDS[0] * 1000, str(day)]) == SECONDS[:2]


def test_parts_have_one_unit(tmp_path: Path) -> None:
    for number, times in enumerate(np.array(SECONDS).reshape(2, 2) * 1000):
        frame_of(times).to_csv(tmp_path / f"part-{number}.csv", index=False)
    with pytest.warns(MfcliWarning, match="part-0.csv: times are read as milliseconds") as caught:
        assert len(read_ratings(tmp_path)) == 2
    assert len(caught) == 1


@pytest.mark.parametrize(
    ("times", "message"),
    [
        (pa.array([1.5, float("nan")]), "row 2: timestamp .* is null"),
        (pa.array([1, None]), "row 2: timestamp .* is null"),
        (pa.array([1.5, float("inf")]), "row 2: timestamp .* must be seconds or an .*, got inf"),
        (pa.array([1, 2**63], pa.uint64()), "row 2: timestamp .*, got 9223372036854775808"),
        (pa.array(["1", "soon"]), "row 2: timestamp .*, got 'soon'"),
        (pa.array(["2020-01-01", "7"]), "row 2: timestamp .*, got '7'"),
        (
            pa.array([1, 2], pa.duration("s")),
            r"must hold seconds or dates, got duration\[s\]; igno",
        ),
        (pa.array([1, 2], pa.time32("s")), r"must hold seconds or dates, got time32\[ms\]; ignore"),
    ],
)
def test_values_that_are_not_times(tmp_path: Path, times: pa.Array, message: str) -> None:
    table = pa.table({"user": [1, 2], "item": [1, 2], "rating": [1.0, 2.0], "when": times})
    pq.write_table(table.rename_columns(["user", "item", "rating", "ts"]), tmp_path / "r")
    with pytest.raises(DataError, match=message):
        read_ratings(tmp_path / "r")


@pytest.mark.parametrize("times", ["1995-12-31", "0001-01-01", "9999-12-31", "-0500-01-01"])
def test_commands_read_what_evaluate_writes(run: Run, times: str) -> None:
    start = int(np.datetime64(times, "s").astype(np.int64))
    rng = np.random.default_rng(0)
    pairs = [(u, i) for u in range(20) for i in range(10)]
    rows = [f"{u},{i},{rng.integers(1, 6)},{start + 7 * n}" for n, (u, i) in enumerate(pairs)]
    Path("data.csv").write_text("\n".join(["user,item,rating,timestamp", *rows]) + "\n")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", MfcliWarning)
        for command in ("split data.csv", "train --k 2 --epochs 2", "evaluate", "plot metrics.json",
                        "show metrics.json", "show split", "check data.csv"):  # fmt: skip
            done = run(*command.split())
            assert done.code == 0, (command, done.err)

"""Ratings that go through temporary files are those that are read in memory."""

from __future__ import annotations

import errno
import gzip
import itertools
import json
import os
import random
import shutil
import signal
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from mfcli.data import (
    Buckets,
    Ratings,
    bucket_files,
    buckets,
    merged_buckets,
    numbering,
    overflow,
    rating_pieces,
    read_buckets,
    read_ratings,
)
from mfcli.data.formats import arrow_ipc, parquet, strict_text, text
from mfcli.data.sizes import ratings_within
from mfcli.errors import MfcliError
from mfcli.storage import memory, resources
from mfcli.storage.scratch_space import Scratch

Rows = list[tuple[Any, ...]]
NAMES = ("user", "item", "rating", "timestamp", "weight")


def rows_of(n: int, seed: int = 0, users: int = 40) -> Rows:
    """Return rows of which some rate the same pair, at times that are not in order."""
    rng = random.Random(seed)
    return [
        (
            int(users * rng.random() ** 2),
            rng.randrange(25),
            rng.randrange(1, 11) / 2,
            1_200_000_000 + rng.randrange(1000),
            rng.randrange(1, 9) / 8,
        )
        for _ in range(n)
    ]


def write_csv(path: Path, rows: Rows) -> Path:
    lines = [NAMES, *rows]
    path.write_text("".join(",".join(map(str, row)) + "\n" for row in lines))
    return path


def write_gzip(path: Path, rows: Rows) -> Path:
    path.write_bytes(gzip.compress(write_csv(path, rows).read_bytes()))
    return path


def write_json(path: Path, rows: Rows) -> Path:
    lines = [json.dumps(dict(zip(NAMES, row, strict=True))) for row in rows]
    path.write_text("\n".join(lines))
    return path


def table_of(rows: Rows) -> pa.Table:
    return pa.table(dict(zip(NAMES, zip(*rows, strict=True), strict=True)))


def write_parquet(path: Path, rows: Rows) -> Path:
    pq.write_table(table_of(rows), path)  # type: ignore[no-untyped-call]  # of Arrow
    return path


def write_arrow(path: Path, rows: Rows) -> Path:
    table = table_of(rows)
    with pa.OSFile(str(path), "wb") as sink, pa.ipc.new_file(sink, table.schema) as writer:
        writer.write_table(table)
    return path


WRITERS = {
    "csv": write_csv,
    "gzip": write_gzip,
    "json": write_json,
    "parquet": write_parquet,
    "arrow": write_arrow,
}


@pytest.fixture(autouse=True)
def small_pieces(monkeypatch: pytest.MonkeyPatch) -> None:
    """Read, move and merge few ratings at a time."""
    monkeypatch.setattr(text, "_BLOCK", 700)
    monkeypatch.setattr(parquet, "_ROWS", 30)
    monkeypatch.setattr(arrow_ipc, "_ROWS", 30)
    monkeypatch.setattr(strict_text, "_ROWS", 30)
    monkeypatch.setattr(overflow, "_CHECKED", 20)
    monkeypatch.setattr(overflow, "_MOVED", 64)
    monkeypatch.setattr(bucket_files, "_DIVIDED", 50)
    monkeypatch.setattr(merged_buckets, "_LEAST", 1)
    monkeypatch.setattr(buckets, "_WINDOW", 100)
    monkeypatch.setattr(buckets, "_LEAST", 2)


@contextmanager
def in_buckets(path: Any, room: int, **how: Any) -> Iterator[Buckets]:
    with resources(room=room), read_buckets(path, **how) as found:
        yield found


def assert_same(found: Buckets, expected: Ratings) -> None:
    """Check that buckets hold the given ratings, in order."""
    assert found.types == expected.types
    assert (found.source, found.feedback) == (expected.source, expected.feedback)
    for part in (found.users, expected.users), (found.items, expected.items):
        assert part[0].ids.equals(part[1].ids)
        assert np.array_equal(part[0].counts, part[1].counts)
    assert found.size(0) == len(expected)
    for name in expected.types:
        column = np.concatenate([piece.copy() for piece in found.pieces(name, 0)])
        assert np.array_equal(column, getattr(expected, name))
    users = [set(found.columns(bucket, "user")[0].tolist()) for bucket in range(len(found))]
    assert sum(map(len, users)) == len(set().union(*users))  # no user is in two buckets
    for bucket in range(len(found)):
        positions = found.positions(bucket).astype(np.int64)
        assert (np.diff(positions) > 0).all()
        assert found.source is not None
        assert positions[-1] < found.rows == found.source.rows


@pytest.mark.parametrize("form", WRITERS)
@pytest.mark.parametrize("room", [1, 2000, 20_000])
def test_all_formats(tmp_path: Path, form: str, room: int) -> None:
    path = WRITERS[form](tmp_path / "ratings", rows_of(700))
    how = {"columns": {"weight": "weight"}}
    with in_buckets(path, room, **how) as found:
        assert len(found) > 1
        assert_same(found, read_ratings(path, **how))


def test_one_bucket_if_all_fit(tmp_path: Path) -> None:
    path = write_csv(tmp_path / "ratings", rows_of(700))
    with in_buckets(path, 10**6) as found:
        assert len(found) == 1
        assert_same(found, read_ratings(path))


def test_fewer_bytes_of_memory_make_more_buckets(tmp_path: Path) -> None:
    path = write_csv(tmp_path / "ratings", rows_of(2000, users=300))
    counts = []
    for room in (250_000, 50_000, 10_000, 1):
        with in_buckets(path, room) as found:
            counts.append(len(found))
            sizes = [len(found.positions(n)) for n in range(len(found))]
            several = [n for n in range(len(found)) if len(set(found.columns(n, "user")[0])) > 1]
            assert all(sizes[n] <= ratings_within(room) for n in several)
    assert counts[0] == 1
    assert counts[1] < counts[2] < counts[3]


@pytest.mark.parametrize("rule", ["keep-last", "mean", "sum"])
@pytest.mark.parametrize("columns", [{}, {"timestamp": ""}, {"weight": "weight"}])
def test_duplicates_are_merged_as_in_memory(
    tmp_path: Path, rule: str, columns: dict[str, str]
) -> None:
    path = write_csv(tmp_path / "ratings", rows_of(900, seed=1))
    how: dict[str, Any] = {"columns": columns, "duplicates": rule}
    expected = read_ratings(path, **how)
    assert expected.source is not None
    assert expected.source.duplicates > 100
    with in_buckets(path, 1000, **how) as found:
        assert_same(found, expected)


def outcome(read: Callable[[], Any]) -> str:
    with pytest.raises(MfcliError) as error:
        read()
    return str(error.value)


def enter(context: AbstractContextManager[Any]) -> None:
    with context:
        pass


def read_all(path: Any, room: int, **how: Any) -> None:
    enter(in_buckets(path, room, **how))


@pytest.mark.parametrize("seed", range(5))
def test_the_first_duplicate_in_the_file_is_named(tmp_path: Path, seed: int) -> None:
    path = write_csv(tmp_path / "ratings", rows_of(300, seed))
    expected = outcome(lambda: read_ratings(path, duplicates="error"))
    assert "has rated item" in expected
    assert outcome(lambda: read_all(path, 1000, duplicates="error")) == expected


def test_the_first_sum_that_is_too_large_is_named(tmp_path: Path) -> None:
    rows = rows_of(300)
    for n in (100, 101, 200, 201):  # pairs of different users
        rows[n] = (f"u{n // 100}", 1, "3e38", 1, 1)
    path = write_csv(tmp_path / "ratings", rows)
    how = {"duplicates": "sum"}
    expected = outcome(lambda: read_ratings(path, **how))
    assert ":103: the ratings of a user and an item add up to more" in expected
    assert outcome(lambda: read_all(path, 1000, **how)) == expected


def test_several_files_texts_and_other_units(tmp_path: Path) -> None:
    rows = [(f"u{user}", item, r, 1000 * t, w) for user, item, r, t, w in rows_of(900)]
    files = [write_csv(tmp_path / f"{n}.csv", rows[n::3]) for n in range(3)]
    with pytest.warns(match="read as milliseconds"):
        expected = read_ratings(files)
    with pytest.warns(match="read as milliseconds"), in_buckets(files, 1000) as found:
        assert_same(found, expected)


def test_dates_among_numbers(tmp_path: Path) -> None:
    rows = rows_of(400)
    dates = [
        (u, i, r, str(np.datetime64(t, "s")) if n % 7 < 3 else 1000 * t, w)
        for n, (u, i, r, t, w) in enumerate(rows)
    ]
    path, plain = write_csv(tmp_path / "a", dates), write_csv(tmp_path / "b", rows)
    with pytest.warns(match="read as milliseconds"), in_buckets(path, 1000) as found:
        times = np.concatenate([piece.copy() for piece in found.pieces("timestamp", 0)])
    assert np.array_equal(times, read_ratings(plain).timestamp)


def test_invalid_rows_are_listed(tmp_path: Path) -> None:
    rows = rows_of(300)
    for n in (5, 77, 200):
        rows[n] = (*rows[n][:2], "many", *rows[n][3:])
    path = write_csv(tmp_path / "ratings", rows)
    assert outcome(lambda: read_all(path, 1000)) == outcome(lambda: read_ratings(path))
    for name in ("memory", "disk"):
        rejected = tmp_path / name
        if name == "memory":
            expected = read_ratings(path, rejected=rejected)
            continue
        with in_buckets(path, 1000, rejected=rejected) as found:
            assert_same(found, expected)
    assert (tmp_path / "disk").read_text() == (tmp_path / "memory").read_text()


def test_events_and_implicit_feedback(tmp_path: Path) -> None:
    path = write_csv(tmp_path / "ratings", rows_of(500))
    how = {"columns": {"rating": ""}}
    with in_buckets(path, 1000, **how) as found:
        assert found.feedback == "implicit"
        assert_same(found, read_ratings(path, **how))


def test_thousands_are_checked(tmp_path: Path) -> None:
    rows = [(n % 20, n, "1.500" if n % 2 else "3", 10**9, 1) for n in range(200)]
    path = write_csv(tmp_path / "ratings", rows)
    with pytest.warns(match="may separate thousands"):
        read_all(path, 1000)


def test_space_is_announced_and_disappears(tmp_path: Path) -> None:
    path = write_parquet(tmp_path / "ratings", rows_of(700))
    temp = tmp_path / "temp"
    temp.mkdir()
    told: list[tuple[int, Path]] = []
    merged: list[tuple[int, int]] = []
    with (
        resources(room=1000, temp=temp, on_space=lambda *space: told.append(space)),
        read_buckets(path, on_merging=lambda *progress: merged.append(progress)) as found,
    ):
        assert len(found) > 1
    ((need, folder),) = told
    assert folder == temp
    assert 0.8 < need / (700 * 25) < 1.2  # 20 bytes of columns, a position and a part
    assert merged[-1] == (700, 700)
    assert len(merged) == len(found)
    assert not list(temp.iterdir())


def test_too_little_space_is_refused_before_it_is_used(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = write_parquet(tmp_path / "ratings", rows_of(700))
    usage = shutil.disk_usage(tmp_path)._replace(free=5000)
    monkeypatch.setattr(shutil, "disk_usage", lambda folder: usage)
    assert outcome(lambda: read_all(path, 1000)) == (
        f"{tempfile.gettempdir()}: reading {path} needs about 17.5 kB of temporary space,"
        " 5.0 kB are free; name a folder with more space with temp"
    )


@pytest.mark.parametrize("writes", [0, 3, 60, 130])
def test_a_disk_that_becomes_full_is_an_error_of_one_line(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, writes: int
) -> None:
    path = write_csv(tmp_path / "ratings", rows_of(700))
    temp = tmp_path / "temp"
    temp.mkdir()
    write, done = Scratch._write, itertools.count()

    def fail(self: Scratch, offset: int, data: memoryview) -> int:
        if next(done) >= writes:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        return write(self, offset, data)

    monkeypatch.setattr(Scratch, "_write", fail)
    with resources(room=1000, temp=temp):
        found = outcome(lambda: enter(read_buckets(path, duplicates="mean")))
    assert found.startswith(f"{temp}: temporary files cannot be written: No space left on device;")
    assert not list(temp.iterdir())


@pytest.mark.skipif(not Path("/proc/self/fd").exists(), reason="files without names need Linux")
def test_a_kill_leaves_nothing(tmp_path: Path) -> None:
    path = write_csv(tmp_path / "ratings", rows_of(700))
    temp = tmp_path / "temp"
    temp.mkdir()
    code = f"""
import os, signal
from mfcli.data import read_buckets
from mfcli.storage import memory, resources
from mfcli.storage.scratch_space import Scratch
def kill(done, total): os.kill(os.getpid(), signal.SIGKILL)
with resources(room=1000, temp={str(temp)!r}), read_buckets({str(path)!r}, on_merging=kill): pass
"""
    done = subprocess.run([sys.executable, "-c", code], timeout=60)
    assert done.returncode == -signal.SIGKILL
    assert not list(temp.iterdir())


def test_ids_that_do_not_fit_are_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(numbering, "MANY", 1)
    monkeypatch.setattr(memory, "available_memory", lambda: 100_000)
    rows = [(f"u{n}", n, 1, 1, 1) for n in range(3000)]
    path = write_csv(tmp_path / "ratings", rows)
    with resources(memory="100GB"):
        found = outcome(lambda: enter(read_buckets(path)))
    assert found == (
        "numbering 2,048 ids needs about 196.6 kB of memory, 100.0 kB are free; read fewer ratings"
    )


def test_nothing_goes_to_disk_if_all_fit(tmp_path: Path) -> None:
    path = write_csv(tmp_path / "ratings", rows_of(50))
    told: list[object] = []
    with resources(room=10**6, on_space=lambda *space: told.append(space)), read_buckets(path):
        assert not told


def test_read_ratings_stays_in_memory(tmp_path: Path) -> None:
    path = write_csv(tmp_path / "ratings", rows_of(300))
    with resources(room=1000):
        limited = read_ratings(path)
    assert np.array_equal(limited.user, read_ratings(path).user)


def test_too_many_rows_for_their_positions(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(rating_pieces, "MOST_ROWS", 100)
    path = write_csv(tmp_path / "ratings", rows_of(101))
    assert outcome(lambda: read_ratings(path)) == "more than 100 ratings cannot be read together"


@pytest.mark.parametrize("seed", range(12))
def test_any_room_gives_the_same(tmp_path: Path, seed: int) -> None:
    rng = random.Random(seed)
    path = write_csv(
        tmp_path / "ratings", rows_of(rng.randrange(1, 1200), seed, rng.randrange(1, 90))
    )
    how = {"duplicates": rng.choice(["keep-last", "mean", "sum"])}
    with in_buckets(path, int(10 ** rng.uniform(0, 5)), **how) as found:
        assert_same(found, read_ratings(path, **how))

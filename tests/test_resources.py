"""A limit of memory, temporary space, and data that go through it."""

from __future__ import annotations

import errno
import os
import shutil
import tempfile
import threading
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from conftest import Run

from mfcli.cli.resource_options import within_limits
from mfcli.cli.screen import Screen
from mfcli.data import Ratings, Vocabulary, read_buckets, to_arrow
from mfcli.errors import ArtifactError, LimitError, UsageError
from mfcli.storage import (
    MappedFile,
    Segments,
    bytes_of,
    bytes_text,
    check_memory,
    exact_size,
    is_limited,
    read_ahead,
    release,
    resources,
    room,
    scratch,
)
from mfcli.storage.memory import available_memory
from mfcli.storage.process_resources import current_resources

GB = 10**9


@pytest.mark.parametrize(
    ("text", "count"),
    [
        ("4GB", 4 * GB),
        ("1.5 gb", 3 * GB // 2),
        ("500M", 500 * 10**6),
        ("2GiB", 2 << 30),
        ("64k", 64_000),
        ("123", 123),
        ("123B", 123),
        (".5T", 500 * GB),
    ],
)
def test_sizes(text: str, count: int) -> None:
    assert bytes_of(text) == count


@pytest.mark.parametrize("text", ["", "0", "GB", "4XB", "-1GB", "1e9", "0.1", "4 G B", "nan"])
def test_texts_that_are_not_sizes(text: str) -> None:
    with pytest.raises(ValueError, match="is not"):
        bytes_of(text)


@pytest.mark.parametrize("count", [1, 999, 1001, 450 * 10**6, 90 * GB, 2 << 30])
def test_exact_sizes_are_read_again(count: int) -> None:
    assert bytes_of(exact_size(count)) == count


def test_sizes_as_text() -> None:
    assert [bytes_text(n) for n in (999, 1500, 2_340_000, 12 * GB)] == [
        "999 bytes",
        "1.5 kB",
        "2.3 MB",
        "12.0 GB",
    ]


def test_a_limit_counts_what_is_in_use() -> None:
    assert not is_limited()
    with resources(memory="100GB"):
        free = available_memory()
        assert is_limited()
    used = in_use()
    with resources(memory=used + GB):
        left = available_memory()
        assert left is not None
        assert 0 < left < GB - (1 << 20)  # pages of files, such as libraries, take some of it
        assert room(fixed=left) <= 8 << 20
        held = np.ones(10_000_000)  # 80 MB
        now = available_memory()
        assert now is not None
        assert left - now > 60 << 20 or not Path("/proc/self/status").exists()
        assert len(held) > 0
    assert free is None or free > 0
    assert not is_limited()


def test_work_beyond_the_limit_is_refused_with_its_remedy() -> None:
    with (
        resources(memory="1GB"),
        pytest.raises(LimitError, match=r"^this needs about 5\.0 GB .* at least memory='\d+MB'$"),
    ):
        check_memory(5 * GB, "this", "do that")


@pytest.mark.parametrize("memory", [1, "250MB"])
def test_the_limit_that_an_error_names_is_enough(memory: int | str) -> None:
    need = 300 << 20
    with resources(memory=memory), pytest.raises(LimitError) as caught:
        check_memory(need, "this", "do that")
    enough = str(caught.value).partition("memory='")[2].rstrip("'")
    with resources(memory=enough):
        check_memory(need, "this", "do that")
    with resources(memory=bytes_of(enough) - (16 << 20)), pytest.raises(LimitError):
        check_memory(need, "this", "do that")


def test_room_can_be_chosen() -> None:
    with resources(room=4096):
        assert room() == room(fixed=10**15) == 4096
        with resources(memory="100GB"):  # the innermost block counts
            assert room() > 4096


@pytest.mark.parametrize("memory", ["", "lots", 0, -5, 1.5, True])
def test_arguments_that_are_not_sizes(memory: object) -> None:
    with (
        pytest.raises(UsageError, match="memory must be a size above 0"),
        resources(memory=memory),  # type: ignore[arg-type]  # what is tested
    ):
        pass


def test_a_missing_temporary_folder(tmp_path: Path) -> None:
    with (
        pytest.raises(UsageError, match="temp must be an existing folder"),
        resources(temp=tmp_path / "missing"),
    ):
        pass


def test_space_is_announced_and_leaves_nothing(tmp_path: Path) -> None:
    told: list[tuple[int, Path]] = []
    with (
        resources(temp=tmp_path, on_space=lambda *need: told.append(need)),
        scratch(1000, "this") as space,
    ):
        offsets = [space.reserve(8) for _ in range(3)]
        assert offsets == [0, 8, 16]
        for number, offset in reversed(list(enumerate(offsets))):
            space.write(offset, np.array([number]))
        out = np.empty(3, np.int64)
        space.read(0, out)
        assert out.tolist() == [0, 1, 2]
    assert told == [(1000, tmp_path)]
    assert list(tmp_path.iterdir()) == []


def test_space_that_is_not_there_is_refused_at_once(tmp_path: Path) -> None:
    free = shutil.disk_usage(tmp_path).free
    with (
        resources(temp=tmp_path),
        pytest.raises(LimitError, match=r"^.*: this needs about .* are free; name a folder"),
        scratch(2 * free, "this"),
    ):
        pass


def test_a_full_disk_is_one_line(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(*_: object) -> int:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    with resources(temp=tmp_path), scratch(10, "this") as space:
        monkeypatch.setattr(os, "pwrite", full)
        with pytest.raises(ArtifactError, match="temporary files cannot be written: No space"):
            space.write(0, np.zeros(1))


def test_the_temporary_folder_of_the_system_is_the_default() -> None:
    told: list[Path] = []
    with resources(on_space=lambda _, folder: told.append(folder)), scratch(1, "this"):
        pass
    assert told == [Path(tempfile.gettempdir())]


def test_lists_grow_in_segments() -> None:
    rng = np.random.default_rng(0)
    pieces = [(str(rng.integers(3)), rng.integers(0, 99, rng.integers(0, 9))) for _ in range(200)]
    with scratch(1, "this") as space:
        lists = Segments(space)
        for key, values in pieces:
            lists.append(key, values)
        for key in ("0", "1", "2"):
            whole = np.concatenate([values for other, values in pieces if other == key])
            assert lists.length(key) == whole.nbytes
            assert np.array_equal(lists.read(key, np.int64), whole)
            parts = list(lists.pieces(key, np.int64, 7))
            assert np.array_equal(np.concatenate(parts), whole)
            assert {len(part) for part in parts[:-1]} == {7}
        lists.drop("0")
        assert lists.length("0") == 0
        assert len(lists.read("none", np.int64)) == 0


def test_items_are_read_ahead_in_order() -> None:
    asked = []

    def items() -> Iterator[int]:
        for n in range(6):
            asked.append((n, threading.current_thread() is threading.main_thread()))
            yield n

    assert [*read_ahead(items(), 2)] == [0, 1, 2, 3, 4, 5]
    assert [n for n, _ in asked] == [0, 1, 2, 3, 4, 5]
    assert not any(main for _, main in asked)


def test_an_error_is_raised_at_its_turn() -> None:
    def items() -> Iterator[int]:
        yield 1
        raise KeyError("two")

    ahead = read_ahead(items(), 3)
    assert next(ahead) == 1
    with pytest.raises(KeyError, match="two"):
        next(ahead)
    read_ahead(items()).close()  # type: ignore[attr-defined]  # an iterator that was not started


@pytest.mark.skipif(not Path("/proc/self/smaps").exists(), reason="needs /proc")
def test_pages_of_mapped_files_are_released(tmp_path: Path) -> None:
    path = tmp_path / "values"
    np.arange(1 << 20).tofile(path)
    with resources(memory="100GB"):
        file = MappedFile(path)
        values = np.frombuffer(file.content, np.int64)
        file.sha256()
        assert resident(path) < 1 << 20
        assert values.sum() == (1 << 20) * ((1 << 20) - 1) // 2
        assert resident(path) > 7 << 20
        release(values[: 1 << 19])
        assert 3 << 20 < resident(path) < 6 << 20
        assert values[0] == 0
        release(values)
        assert values[-1] == (1 << 20) - 1
        release(np.zeros(3))  # not mapped


def test_ratings_in_pieces_have_the_same_mean() -> None:
    rating = np.random.default_rng(0).random((1 << 20) + 70_001, np.float32)
    rows = np.zeros(len(rating), np.int32)
    one = Vocabulary(to_arrow(np.array([1])), np.array([len(rating)]))
    ratings = Ratings(rows, rows, rating, None, one, one)
    assert np.array_equal(np.concatenate([*ratings.pieces("rating")]), rating)
    assert ratings.mean == float(rating.mean(dtype=np.float64))


def in_use() -> int:
    """Return the bytes of this process that are not those of files, as far as they are known."""
    status = Path("/proc/self/status")
    lines = status.read_text().splitlines() if status.exists() else []
    return sum(1024 * int(line.split()[1]) for line in lines if line.startswith("RssAnon"))


def resident(path: Path) -> int:
    """Return the bytes of a mapped file that are in memory."""
    text = Path("/proc/self/smaps").read_text().split(str(path))[1]
    return 1024 * int(text.split("Rss:")[1].split()[0])


def test_commands_limit_memory_while_they_run(
    run: Run, real_csv: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    found = []

    def read(*args: object, **settings: object) -> object:
        found.append(current_resources())
        return read_buckets(*args, **settings)  # type: ignore[arg-type]  # passed on

    monkeypatch.setattr("mfcli.data.read_buckets", read)
    assert run("check", real_csv, "--memory", "90GB").code == 0
    assert (found[0].memory, found[0].temp) == (90 * GB, None)
    assert not is_limited()


def test_temporary_files_go_next_to_the_result(tmp_path: Path) -> None:
    asked: list[Path | None] = []

    def work(*, out: Path | None = None, screen: Screen) -> None:
        asked.append(current_resources().temp)

    for inside in (False, True):
        limited = within_limits(inside=inside)(work)
        for out in (tmp_path / "new" / "split", tmp_path, Path("-"), None):
            limited(memory=None, temp=None, out=out, screen=Screen())
    limited(memory=None, temp=tmp_path, out=tmp_path / "split", screen=Screen())
    assert asked[:4] == [tmp_path, tmp_path.parent, None, None]
    assert asked[4:] == [tmp_path, tmp_path, None, None, tmp_path]


def test_temporary_space_is_noted(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    def work(*, screen: Screen) -> None:
        with scratch(2_500_000, "this"):
            pass

    for quiet in (False, True):
        screen = Screen(quiet=quiet)
        within_limits()(work)(memory=None, temp=tmp_path, screen=screen)
    assert capsys.readouterr().err == f"note: using about 2.5 MB of temporary space in {tmp_path}\n"


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["--memory", "much"], "--memory must be a size above 0 such as 4GB or 500MB, got 'much'"),
        (["--temp", "/missing"], "--temp must be an existing folder, got '/missing'"),
    ],
)
def test_wrong_limits_are_wrong_usage(
    run: Run, real_csv: Path, options: list[str], message: str
) -> None:
    done = run("check", real_csv, *options)
    assert done.code == 2
    assert done.err == f"error: {message}\n"


@pytest.mark.parametrize("count", [0, 1, 4, 5, 9, 20])
def test_lists_are_replaced_in_their_space(count: int) -> None:
    with scratch(100, "testing") as space:
        segments = Segments(space)
        for n in range(3):
            segments.append("one", np.arange(3) + n)
            segments.append("other", np.arange(2) + n)
        segments.replace("one", np.arange(count) * 7)
        assert segments.read("one", np.int64).tolist() == list(range(0, 7 * count, 7))
        assert segments.read("other", np.int64).tolist() == [0, 1, 1, 2, 2, 3]
        assert space.reserve(0) == 8 * (15 + max(count - 9, 0))

"""The file that keeps a search: no damage changes which trial is the best."""

from __future__ import annotations

import errno
import json
import os
import random
import sqlite3
from collections.abc import Callable
from pathlib import Path

import pytest
from planted import planted_split
from test_corruption import damaged

from mfcli.config import Config
from mfcli.errors import ArtifactError
from mfcli.search import Attempt, Search, with_validation
from mfcli.search.search import ROUND
from mfcli.search.spaces import Choice, Range, Space
from mfcli.splits import Split
from mfcli.storage.records import seal

SPACE: Space = {"k": Choice((2, 3, 4)), "lr": Range(0.01, 0.1), "warmup": Choice((0, 0, 99))}
TRIALS = 12
TIMES = 1000


@pytest.fixture(scope="module")
def split() -> Split:
    return with_validation(planted_split(Config(), users=20, items=15), Config())


def opened(split: Split, path: Path) -> Search:
    return Search(split, Config(epochs=2), SPACE, path)


@pytest.fixture(scope="module")
def stored(split: Split, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A search of 12 trials, some of which failed."""
    path = tmp_path_factory.mktemp("search") / "search.jsonl"
    with opened(split, path) as search:
        search.run(TRIALS)
        assert search.failures
    return path


@pytest.fixture
def path(stored: Path, tmp_path: Path) -> Path:
    """A copy of it."""
    copy = tmp_path / "search.jsonl"
    copy.write_bytes(stored.read_bytes())
    return copy


def attempts(split: Split, path: Path) -> list[Attempt]:
    with opened(split, path) as search:
        return list(search.attempts)


def refusal(split: Split, path: Path) -> str:
    """Return the message of a storage that is refused and left as it is."""
    before = path.read_bytes()
    with pytest.raises(ArtifactError) as caught:
        opened(split, path)
    assert path.read_bytes() == before
    message = str(caught.value).replace(str(path), path.name)
    assert "\n" not in message
    return message


def test_random_damage_is_an_error_or_leaves_the_first_trials(split: Split, path: Path) -> None:
    data, sound, rng = path.read_bytes(), attempts(split, path), random.Random(0)
    refused = 0
    for _ in range(TIMES):
        path.write_bytes(damaged(data, rng))
        try:
            found = attempts(split, path)
            assert found == sound[: len(found)]
        except ArtifactError as error:
            assert len(str(error).splitlines()) == 1
            refused += 1
    assert refused > TIMES / 3


def test_one_changed_digit_is_noticed(split: Split, path: Path) -> None:
    lines = path.read_text().splitlines(keepends=True)
    worst = max(range(1, len(lines)), key=lambda n: json.loads(lines[n])["curve"][-1:])
    rmse = repr(json.loads(lines[worst])["curve"][-1])
    lines[worst] = lines[worst].replace(rmse, "0.1")
    path.write_text("".join(lines))
    assert refusal(split, path) == (
        f"search.jsonl:{worst + 1}: is damaged (its digest is wrong); remove line {worst + 1} and"
        " all lines after it, or choose another storage"
    )
    path.write_text("".join(lines[:worst]))  # the remedy
    assert len(attempts(split, path)) < TRIALS


@pytest.mark.parametrize("change", ["removed", "repeated", "moved", "sealed alone"])
def test_the_lines_belong_together(split: Split, path: Path, change: str) -> None:
    lines = path.read_text().splitlines(keepends=True)
    if change == "removed":
        del lines[3]
    elif change == "repeated":
        lines.insert(3, lines[3])
    elif change == "moved":
        lines[3], lines[4] = lines[4], lines[3]
    else:
        trial = json.loads(lines[3])
        lines[3] = json.dumps(trial | {"digest": seal(trial)}) + "\n"
    path.write_text("".join(lines))
    assert ": is damaged (its digest is wrong); remove line" in refusal(split, path)


@pytest.mark.parametrize(
    "values",
    [
        {"trial": 1},
        {"trial": 0},
        {"state": "complete", "curve": [1.0]},
        {"settings": {"k": 2}},
        {"settings": {"k": 5, "lr": 0.05, "warmup": 0}},
        {"settings": {"k": [2], "lr": 0.05, "warmup": 0}},
        {"settings": {"k": 2, "lr": "x", "warmup": 0}},
        {"trial": "x"},
        {"curve": [None]},
        {"state": "lost"},
    ],
    ids=str,
)
def test_invalid_trials_with_correct_digests_are_refused(
    split: Split, path: Path, values: dict[str, object]
) -> None:
    trial = {
        "trial": TRIALS + 1,
        "state": "pruned",
        "settings": {"k": 2, "lr": 0.05, "warmup": 0},
        "curve": [1.0],
        "reason": "",
    }
    last = json.loads(path.read_text().splitlines()[-1])["digest"]
    line = trial | values
    with path.open("a") as file:
        file.write(json.dumps(line | {"digest": seal(line, last)}) + "\n")
    refusal(split, path)


def test_a_line_that_was_not_finished_is_written_again(
    split: Split, stored: Path, path: Path
) -> None:
    data = stored.read_bytes()
    last = data[:-1].rindex(b"\n") + 1
    for end in (last + 1, len(data) - 1):
        path.write_bytes(data[:end])
        with opened(split, path) as search:
            search.run(TRIALS)
        assert path.read_bytes() == data


@pytest.mark.parametrize(
    "content",
    [b"{}\n", b"some text", b"\n", b"\0" * 4096, b"[" * 100_000, b'{"kind": "search"}\n', None],
    ids=lambda content: repr(content)[:20],
)
def test_other_files_are_refused_and_left_as_they_are(
    split: Split, tmp_path: Path, content: bytes | None
) -> None:
    path = tmp_path / "other.db"
    if content is None:
        connection = sqlite3.connect(path)
        connection.execute("create table mine (a)")
        connection.commit()
        connection.close()
    else:
        path.write_bytes(content)
    message = refusal(split, path)
    assert message.endswith("; choose another storage")
    assert [*tmp_path.iterdir()] == [path]
    if content is None:
        assert message.startswith(
            "other.db: is not a search of mfcli tune, or its first line is damaged;"
        )


def test_an_empty_file_starts_a_search(split: Split, stored: Path, tmp_path: Path) -> None:
    path = tmp_path / "empty"
    path.touch()
    with opened(split, path) as search:
        assert path.read_bytes() == b""
        search.run(TRIALS)
    assert path.read_bytes() == stored.read_bytes()


@pytest.mark.parametrize("name", [":memory:", "sqlite:///x.db", "postgresql://a@b/c", "file:x"])
def test_addresses_of_databases_are_refused(
    split: Split, name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    with pytest.raises(ArtifactError, match="is the address of a database, not a file; choose"):
        opened(split, Path(name))
    assert not [*tmp_path.iterdir()]


def test_only_regular_files_are_used(split: Split, tmp_path: Path) -> None:
    places = [tmp_path, Path(os.devnull)]
    if hasattr(os, "mkfifo"):
        os.mkfifo(tmp_path / "fifo")
        places.append(tmp_path / "fifo")
    for place in places:
        with pytest.raises(ArtifactError, match="must be a regular file; choose another storage"):
            opened(split, place)


def test_a_storage_without_a_folder_is_refused(split: Split, tmp_path: Path) -> None:
    with pytest.raises(ArtifactError, match="cannot be written: its folder does not exist"):
        opened(split, tmp_path / "none" / "s.jsonl")


def test_two_searches_cannot_use_one_file(split: Split, path: Path) -> None:
    with opened(split, path):
        link = path.with_name("link")
        link.symlink_to(path)
        for name in (path, link):
            with pytest.raises(ArtifactError, match="another process is writing to this file"):
                opened(split, name)
    assert attempts(split, link) == attempts(split, path)


def test_a_file_that_another_program_changes_is_not_overwritten(split: Split, path: Path) -> None:
    with opened(split, path) as search:
        path.write_text("mine\n")
        with pytest.raises(ArtifactError, match="was changed by another program"):
            search.run(TRIALS + 1)
    assert path.read_text() == "mine\n"


def test_a_line_that_could_not_be_written_is_written_again(
    split: Split, path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(handle: int) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    with opened(split, path) as search:
        monkeypatch.setattr(os, "fsync", fail)
        with pytest.raises(ArtifactError, match="cannot be written: No space left"):
            search.advised_value({"k": 3}, lambda: 0.5)
        monkeypatch.undo()
        assert search.advised_value({"k": 3}, lambda: 0.5) == 0.5
    with opened(split, path) as search:
        assert search.advised_value({"k": 3}, lambda: pytest.fail("trained again")) == 0.5


def test_lines_of_older_versions_about_written_files_are_skipped(split: Split, path: Path) -> None:
    before = attempts(split, path)
    line = {"wrote": "0" * 64}
    last = json.loads(path.read_text().splitlines()[-1])["digest"]
    with path.open("a") as file:
        file.write(json.dumps(line | {"digest": seal(line, last)}) + "\n")
    assert attempts(split, path) == before


def with_head(content: bytes, change: Callable[[dict[str, object]], object]) -> bytes:
    """Return the content of a storage with another first line, and correct digests."""
    lines, last = [json.loads(line) for line in content.splitlines()], ""
    change(lines[0])
    for line in lines:
        line["digest"] = last = seal(line, last)
    return "".join(json.dumps(line) + "\n" for line in lines).encode()


def test_searches_of_older_versions_have_the_same_rounds(split: Split, path: Path) -> None:
    sound = attempts(split, path)
    path.write_bytes(with_head(path.read_bytes(), lambda head: head.pop("parallel")))
    with opened(split, path) as search:
        assert (search.round, search.attempts) == (ROUND, sound)


def test_a_round_has_a_trial(split: Split, path: Path) -> None:
    path.write_bytes(with_head(path.read_bytes(), lambda head: head.update(parallel=0)))
    assert refusal(split, path) == (
        "search.jsonl: parallel must be at least 1, got 0; choose another storage"
    )


def test_a_newer_format_is_refused(split: Split, path: Path) -> None:
    first, rest = path.read_text().split("\n", 1)
    head = json.loads(first) | {"format": 2}
    path.write_text(json.dumps(head | {"digest": seal(head)}) + "\n" + rest)
    assert refusal(split, path) == (
        "search.jsonl: has format 2, but this mfcli reads format 1; upgrade mfcli"
    )


def test_large_seeds_are_kept(split: Split, tmp_path: Path) -> None:
    path, base = tmp_path / "s.jsonl", Config(epochs=2, seed=2**127)
    with Search(split, base, SPACE, path) as search:
        search.run(1)
    with Search(split, base, SPACE, path) as again:
        assert again.attempts == search.attempts

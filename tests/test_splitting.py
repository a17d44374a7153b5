"""The laws of a split, and its folder."""

import json
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given, settings, strategies as st
from planted import make_ratings, planted_ratings

from mfcli.config import Config
from mfcli.data import Ratings, read_ratings, read_vocabulary
from mfcli.errors import ArtifactError, DataError
from mfcli.splits import read_split, split, write_split
from mfcli.storage.records import sealed_text


def rows(ratings: Ratings) -> list[tuple[int, int, float]]:
    return list(
        zip(
            *(column.tolist() for column in (ratings.user, ratings.item, ratings.rating)),
            strict=True,
        )
    )


@settings(deadline=None)
@given(
    n=st.integers(10, 300),
    test=st.floats(0.05, 0.5),
    valid=st.floats(0.05, 0.4),
    seed=st.integers(0, 2**64),
)
def test_parts_are_disjoint_and_complete(n: int, test: float, valid: float, seed: int) -> None:
    rng = np.random.default_rng(3)
    ratings = make_ratings(rng.integers(0, 9, n), np.arange(n), rng.random(n), users=9, items=n)
    config = Config(test=test, valid=valid, seed=seed)
    if not round(n * test) or not round(n * valid):
        with pytest.raises(DataError, match="leaves no"):
            split(ratings, config)
        return
    parts = split(ratings, config).parts
    assert sorted(row for part in parts.values() for row in rows(part)) == sorted(rows(ratings))
    assert len(parts["test"]) == round(n * test)
    assert abs(len(parts["valid"]) - n * valid) <= 0.5 + 1e-9


def test_vocabularies_hold_all_ids_and_count_train_only() -> None:
    ratings, _ = planted_ratings(share=0.05)
    made = split(ratings, Config(test=0.4))
    assert len(made.train.users) == len(ratings.users)
    assert (
        made.train.users.counts.tolist()
        == np.bincount(made.train.user, minlength=len(ratings.users)).tolist()
    )
    unseen = [
        u not in made.train.user or i not in made.train.item
        for u, i in zip(made.test.user, made.test.item, strict=True)
    ]
    assert made.unseen(made.test) == sum(unseen) > 0


def test_the_seed_determines_the_split() -> None:
    ratings, _ = planted_ratings()
    same = [rows(split(ratings, Config(seed=1)).test) for _ in range(2)]
    other = rows(split(ratings, Config(seed=2)).test)
    assert same[0] == same[1] != other


@pytest.mark.parametrize(
    ("n", "test", "name"), [(2, 0.2, "no test rating"), (3, 0.9, "no train rating")]
)
def test_empty_parts_are_refused(n: int, test: float, name: str) -> None:
    ratings = make_ratings(np.arange(n), np.arange(n), np.ones(n), users=n, items=n)
    with pytest.raises(DataError, match=name):
        split(ratings, Config(test=test))


def test_writing_and_reading_is_exact(tmp_path: Path, real_csv: Path) -> None:
    made = split(read_ratings(real_csv), Config(valid=0.1))
    manifest = write_split(tmp_path / "split", made)
    read = read_split(tmp_path / "split")
    assert read.hash == manifest["hash"]
    assert read.scale == made.scale
    assert read.source == made.source
    for name, part in made.parts.items():
        assert rows(read.parts[name]) == rows(part)
        assert (read.parts[name].timestamp == part.timestamp).all()  # type: ignore[union-attr]
    assert read.train.users.ids.equals(made.train.users.ids)
    assert (read.train.items.counts == made.train.items.counts).all()


def test_the_real_ratings_are_described(real_csv: Path, tmp_path: Path) -> None:
    manifest = write_split(tmp_path / "split", split(read_ratings(real_csv), Config()))
    ratings = manifest["ratings"]
    assert ratings["train"] + ratings["test"] == ratings["all"] > 100_000
    assert ratings["test"] == round(0.2 * ratings["all"])
    assert manifest["scale"] == {"min": 0.5, "max": 5.0, "step": 0.5}
    assert 3.4 < manifest["mean"] < 3.6


def test_same_seed_same_bytes(tmp_path: Path, real_csv: Path) -> None:
    for name in ("a", "b"):
        write_split(tmp_path / name, split(read_ratings(real_csv), Config()))
    files = sorted(path.name for path in (tmp_path / "a").iterdir())
    assert files == ["items.arrow", "split.json", "test.arrow", "train.arrow", "users.arrow"]
    for name in files:
        assert (tmp_path / "a" / name).read_bytes() == (tmp_path / "b" / name).read_bytes()


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    write_split(tmp_path / "split", split(planted_ratings()[0], Config()))
    return tmp_path / "split"


@pytest.mark.parametrize(
    "name", ["split.json", "train.arrow", "test.arrow", "users.arrow", "items.arrow"]
)
@pytest.mark.parametrize("damage", ["missing", "empty", "truncated", "flipped"])
def test_damage_is_an_error(folder: Path, name: str, damage: str) -> None:
    path, content = folder / name, bytearray((folder / name).read_bytes())
    content[len(content) // 2] ^= 1
    pieces = {"empty": b"", "truncated": content[: len(content) // 2], "flipped": content}
    if damage == "missing":
        path.unlink()
    else:
        path.write_bytes(pieces[damage])
    with pytest.raises(ArtifactError, match=r"split"):
        read_split(folder)


def test_a_newer_format_is_refused(folder: Path) -> None:
    manifest = json.loads((folder / "split.json").read_text()) | {"format": 3}
    del manifest["digest"]
    (folder / "split.json").write_text(sealed_text(manifest))
    with pytest.raises(ArtifactError, match="has format 3, but this mfcli reads format 2; upgrade"):
        read_split(folder)


def test_an_older_split_survives_a_failure(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    before = read_split(folder).hash

    def full(*args: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("mfcli.splits.folder.write_ratings", full)
    with pytest.raises(ArtifactError, match="cannot be written: No space left on device"):
        write_split(folder, split(planted_ratings(seed=9)[0], Config()))
    assert read_split(folder).hash == before
    assert [path.name for path in folder.parent.iterdir()] == ["split"]


@pytest.mark.parametrize(
    ("strategy", "path", "name"),
    [("random", "split", "test"), ("k-fold", "split/fold-1", "ratings")],
)
def test_the_number_of_ratings_is_checked(
    tmp_path: Path, strategy: str, path: str, name: str
) -> None:
    ratings, _ = planted_ratings()
    manifest = write_split(tmp_path / "split", split(ratings, Config(strategy=strategy)))
    manifest["ratings"]["test"] = 1
    if "ends" in manifest:
        manifest["ends"][-1] += 1
    (tmp_path / "split" / "split.json").write_text(sealed_text(manifest))
    with pytest.raises(ArtifactError, match=f"split: {name}.arrow does not have the number"):
        read_split(tmp_path / path)


@pytest.mark.parametrize(
    ("columns", "message"),
    [
        ({"id": pa.array([1, 1]), "count": pa.array([1, 1])}, "ids must be distinct"),
        ({"id": pa.array([1.5]), "count": pa.array([1])}, "column 'id' has the wrong type, double"),
        ({"id": pa.array([1])}, "must have one column 'count', got ['id']"),
    ],
)
def test_vocabularies_are_checked(
    tmp_path: Path, columns: dict[str, pa.Array], message: str
) -> None:
    table = pa.table(columns)
    with pa.OSFile(str(tmp_path / "v"), "wb") as sink, pa.ipc.new_file(sink, table.schema) as out:
        out.write_table(table)
    with pytest.raises(ArtifactError) as caught:
        read_vocabulary(tmp_path / "v")
    assert str(caught.value) == f"{tmp_path / 'v'}: {message}; create it again"

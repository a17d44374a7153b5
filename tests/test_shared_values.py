"""Values that tasks of a cluster share: what is read again, and what is sent."""

from __future__ import annotations

import gc
import pickle
from dataclasses import replace
from pathlib import Path
from types import MappingProxyType
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
from planted import planted_split

from mfcli.config import Config
from mfcli.model import Model, RatedParts, even_parts
from mfcli.model.shared_values import _pack, _unpack
from mfcli.predict import Predictor, Uncertainty
from mfcli.splits import Split, read_split, write_split
from mfcli.storage import Origin, origin_of, set_origin
from mfcli.training import fit


@pytest.fixture
def split(tmp_path: Path) -> Split:
    write_split(tmp_path / "split", planted_split(Config(valid=0.1), users=30, items=20))
    return read_split(tmp_path / "split")


@pytest.fixture
def model(split: Split, tmp_path: Path) -> Model:
    fit(split, Config(k=2, epochs=1)).model.save(tmp_path / "model")
    return Model.load(tmp_path / "model")


def sent(value: Any, pieces: int = 3) -> Any:
    """Return what another process would get."""
    packed = _pack(value)
    return _unpack(packed.head, [*packed.cut(pieces)])


def size(value: Any) -> int:
    packed = _pack(value)
    return len(packed.head) + packed.nbytes


def test_models_and_ratings_are_read_where_they_were_read(split: Split, model: Model) -> None:
    parts = RatedParts([split.train, split.valid], model.users, model.items)
    assert size((model, parts)) < 2000
    again, same = sent((model, parts))
    assert same.users is again.users
    for name, table in model.tables.items():
        np.testing.assert_array_equal(getattr(again, name), table)
    for one, other in zip(same.parts, parts.parts, strict=True):
        np.testing.assert_array_equal(one.rating, other.rating)
    assert same.parts[0].users.ids.equals(split.train.users.ids)


def test_a_union_of_parts_is_joined_again(split: Split) -> None:
    whole = split.union("train", "valid").train
    assert size(whole) < 1000
    np.testing.assert_array_equal(sent(whole).item, whole.item)


def test_changed_copies_are_sent(split: Split, model: Model) -> None:
    fewer = split.train.take(slice(5, 50))
    assert origin_of(fewer) is None
    np.testing.assert_array_equal(sent(fewer).rating, split.train.rating[5:50])
    other = replace(model, mu=7.0)
    assert other.address == ""
    assert origin_of(other) is None
    assert sent(other).mu == 7
    # The tables of both are the same arrays, which are read again.
    assert sent(other).item_factors is sent(model).item_factors


def test_predictors_are_made_again(model: Model) -> None:
    predictor = sent(Predictor(model, clip=False, uncertainty=Uncertainty()))
    pairs = model.users.ids.slice(0, 5), model.items.ids.slice(0, 5)
    found = predictor(*pairs).columns["prediction"].to_numpy()
    np.testing.assert_array_equal(found, model.predict(*pairs, clip=False))


def test_an_origin_ends_with_its_object() -> None:
    origin = Origin(Split, "folder", "digest").of("train")
    values = [np.zeros(3) for _ in range(50)]
    for value in values:
        set_origin(value, origin)
    assert origin_of(values[0]) == origin
    assert origin.path == ("train",)
    assert origin_of(np.zeros(3)) is None
    del values, value
    gc.collect()
    # New objects may be where the others were.
    assert [origin_of(value) for value in [np.zeros(3) for _ in range(50)]] == [None] * 50


@pytest.mark.parametrize("pieces", [1, 2, 7, 400])
def test_values_are_the_same_in_any_number_of_pieces(pieces: int) -> None:
    table = pa.table({"id": [str(n) for n in range(100)], "n": range(100)})
    value = {
        "odd": np.arange(7, dtype=np.uint8),
        "double": np.linspace(0, 1, 33),
        "none": np.zeros((0, 3), np.float32),
        "fortran": np.asfortranarray(np.arange(12.0).reshape(3, 4)),
        "table": table.slice(10, 3),
        "bytes": memoryview(b"abc"),
        "mapping": MappingProxyType({1: "a"}),
    }
    found = sent(value, pieces)
    for name in ("odd", "double", "none", "fortran"):
        np.testing.assert_array_equal(found[name], value[name])
        assert found[name].flags.aligned
        assert found[name].flags.writeable
    assert found["table"].equals(value["table"])
    assert bytes(found["bytes"]) == b"abc"
    assert found["mapping"] == {1: "a"}


def test_a_slice_of_a_table_is_sent_alone() -> None:
    table = pa.table({"n": np.arange(1_000_000)})
    assert size(table.slice(0, 10)) < 5000 < len(pickle.dumps(table.slice(0, 10)))


@pytest.mark.parametrize("count", [0, 1, 5, 1000])
def test_parts_are_consecutive_and_complete(count: int) -> None:
    class Two:
        def __len__(self) -> int:
            return 2

    parts = even_parts(count, 8, Two())  # type: ignore[arg-type]  # its length is enough
    assert [n for part in parts for n in range(count)[part]] == [*range(count)]
    assert len(parts) == max(1, min(count, 8))
    large = even_parts(1000, 1 << 24, Two())  # type: ignore[arg-type]
    assert max(part.stop - part.start for part in large) <= 16

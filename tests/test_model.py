"""Prediction, the model folder and the Keras file."""

import importlib.metadata
import json
import zipfile
from dataclasses import replace
from pathlib import Path

import h5py
import numpy as np
import pyarrow as pa
import pytest
from planted import planted_split

from mfcli.config import Config
from mfcli.data import Vocabulary
from mfcli.errors import ArtifactError
from mfcli.model import TABLES, Model, read_model_record, read_outline
from mfcli.storage.records import sealed_text
from mfcli.training.loop import start


@pytest.fixture(scope="module")
def model() -> Model:
    config = Config(k=4, reg=0.01)
    return start(planted_split(config, share=0.05), config)


def obvious(model: Model, u: int, i: int) -> float:
    rating = model.mu
    if u >= 0:
        rating += float(model.user_biases[u])
    if i >= 0:
        rating += float(model.item_biases[i])
    if u >= 0 and i >= 0:
        rating += sum(map(float, model.user_factors[u] * model.item_factors[i]))
    return rating


def test_predictions_match_the_formula(model: Model) -> None:
    user, item = np.meshgrid(np.arange(-1, 5), np.arange(-1, 6))
    user, item = user.ravel().astype(np.int32), item.ravel().astype(np.int32)
    expected = [obvious(model, u, i) for u, i in zip(user, item, strict=True)]
    np.testing.assert_allclose(model.predict_rows(user, item), expected, rtol=1e-6)


def test_predictions_do_not_depend_on_chunks(model: Model, monkeypatch: pytest.MonkeyPatch) -> None:
    rng = np.random.default_rng(0)
    user, item = rng.integers(-1, 40, (2, 1000)).astype(np.int32)
    whole = model.predict_rows(user, item)
    monkeypatch.setattr("mfcli.model.factorization._CHUNK", 7)
    assert (model.predict_rows(user, item) == whole).all()
    assert len(model.predict_rows(user[:0], item[:0])) == 0


def test_initial_weights_are_those_of_keras_but_zero_without_ratings(model: Model) -> None:
    for name, table in model.tables.items():
        counts = (model.users if name.startswith("user") else model.items).counts
        assert not table[counts == 0].any()
        seen = table[counts > 0]
        assert seen.all()
        assert -0.05 < seen.min() < seen.max() < 0.05
    assert (model.items.counts == 0).any()


def test_ids_of_the_other_type_are_found_by_their_text() -> None:
    numbers = Vocabulary(pa.array([5, 42]), np.ones(2, np.int64))
    assert numbers.rows(pa.array([42, 7])).tolist() == [1, -1]
    assert numbers.rows(pa.array(["42", "042", "x"])).tolist() == [1, -1, -1]
    words = Vocabulary(pa.array(["5", "x"]), np.ones(2, np.int64))
    assert words.rows(pa.array([5, 6])).tolist() == [0, -1]


def test_saving_and_loading_is_exact(model: Model, tmp_path: Path) -> None:
    model.save(tmp_path / "model")
    read = Model.load(tmp_path / "model")
    for name in TABLES:
        assert (read.tables[name] == model.tables[name]).all()
    assert (read.mu, read.scale) == (model.mu, model.scale)
    assert read.config.used("training") == model.config.used("training")
    assert read.split_hash == model.split_hash
    assert read.users.ids.equals(model.users.ids)
    assert (read.items.counts == model.items.counts).all()


@pytest.mark.parametrize("name", ["model.json", "model.keras", "users.arrow", "items.arrow"])
@pytest.mark.parametrize("damage", ["missing", "empty", "truncated", "flipped"])
def test_damage_is_detected(model: Model, tmp_path: Path, name: str, damage: str) -> None:
    folder = tmp_path / "model"
    model.save(folder)
    path, content = folder / name, bytearray((folder / name).read_bytes())
    content[len(content) * 3 // 4] ^= 1
    pieces = {"empty": b"", "truncated": content[: len(content) // 2], "flipped": content}
    if damage == "missing":
        path.unlink()
    else:
        path.write_bytes(pieces[damage])
    if damage == "flipped" and name == "model.keras" and not _in_tables(path):
        return
    with pytest.raises(ArtifactError, match="model"):
        Model.load(folder)


@pytest.mark.parametrize(("number", "remedy"), [(1, "train again"), (3, "upgrade mfcli")])
def test_other_formats_are_refused(model: Model, tmp_path: Path, number: int, remedy: str) -> None:
    model.save(tmp_path / "model")
    path = tmp_path / "model" / "model.json"
    path.write_text(sealed_text(json.loads(path.read_text()) | {"format": number}))
    with pytest.raises(ArtifactError) as caught:
        Model.load(tmp_path / "model")
    assert str(caught.value) == (
        f"{path}: has format {number}, but this mfcli reads format 2; {remedy}"
    )


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"settings": {"k": 4, "speed": 1}}, "is damaged (unknown key 'speed'; did"),
        ({"settings": {"k": 0}}, "is damaged (k must be at least 1, got 0)"),
        ({"settings": {"k": []}}, "is damaged (k must be a whole number, got [])"),
        ({"settings": {"k": 5}}, "model.keras: is damaged (user_factors must be float32"),
        ({"settings": []}, "settings must be an object, got []"),
        ({"scale": {"min": 1, "step": None}}, "has no scale.max"),
        ({"folded_in": {"users": 1, "rows": [[0]]}}, "folded_in.rows[0] must be a list of length"),
        ({"losses": {"mse": "x"}}, "losses['mse'] must be a number, got 'x'"),
        ({"files": {}}, "its record does not list its files"),
        ({"weights": "0"}, "is damaged (the digest of its weights is wrong)"),
    ],
)
def test_an_incorrect_record_is_refused(
    model: Model, tmp_path: Path, change: dict[str, object], message: str
) -> None:
    model.save(tmp_path / "model")
    path = tmp_path / "model" / "model.json"
    path.write_text(sealed_text(json.loads(path.read_text()) | change))
    with pytest.raises(ArtifactError) as caught:
        Model.load(tmp_path / "model")
    assert message in str(caught.value)
    assert str(caught.value).endswith("; train again")


def test_the_record_holds_the_settings_of_training_only(model: Model, tmp_path: Path) -> None:
    changed = replace(model, config=replace(model.config, test=0.5, at=5))
    changed.save(tmp_path / "model")
    settings = read_model_record(tmp_path / "model").settings
    assert settings == model.config.used("training")
    assert not {"test", "valid", "at", "clip", "decimal"} & set(settings)


def test_a_model_of_gibbs_sampling_has_its_average_after_reading(
    model: Model, tmp_path: Path
) -> None:
    sampled = replace(model, config=Config(k=4, optimizer="gibbs"))
    sampled.save(tmp_path / "model")
    read = Model.load(tmp_path / "model")
    assert read.config.used("training") == sampled.config.used("training")


def _in_tables(path: Path) -> bool:
    """Return whether the flipped byte is in the weights, the only part that is read."""
    try:
        with zipfile.ZipFile(path) as archive:
            return archive.testzip() == "model.weights.h5"
    except zipfile.BadZipFile:
        return True


def _rewrite(path: Path, change: object) -> None:
    """Replace the weights in a Keras file; the result is a valid zip archive."""
    with zipfile.ZipFile(path) as archive:
        members = {name: archive.read(name) for name in archive.namelist()}
    weights = path.with_name("w.h5")
    weights.write_bytes(members["model.weights.h5"])
    with h5py.File(weights, "r+") as file:
        change(file)  # type: ignore[operator]
    members["model.weights.h5"] = weights.read_bytes()
    weights.unlink()
    with zipfile.ZipFile(path, "w") as archive:
        for name, content in members.items():
            archive.writestr(name, content)


def _other_shape(file: h5py.File) -> None:
    del file["layers/embedding/vars/0"]
    file["layers/embedding/vars/0"] = np.zeros((1, 4), np.float32)


def _no_matrix(file: h5py.File) -> None:
    del file["layers/embedding/vars/0"]
    file["layers/embedding/vars/0"] = np.zeros(240, np.float32)


def _other_type(file: h5py.File) -> None:
    del file["layers/embedding/vars/0"]
    file["layers/embedding/vars/0"] = np.zeros((60, 4), np.int32)


def _group_for_table(file: h5py.File) -> None:
    del file["layers/embedding/vars/0"]
    file.create_group("layers/embedding/vars/0")


def _external_data(file: h5py.File) -> None:
    del file["layers/embedding/vars/0"]
    file["layers/embedding/vars"].create_dataset(
        "0", (60, 4), np.float32, external=[("/etc/passwd", 0, 960)]
    )


def _external_link(file: h5py.File) -> None:
    del file["layers/embedding/vars/0"]
    file["layers/embedding/vars/0"] = h5py.ExternalLink("/etc/passwd", "x")


def _not_finite(file: h5py.File) -> None:
    file["layers/embedding/vars/0"][0, 0] = np.nan


def _other_number(file: h5py.File) -> None:
    file["layers/embedding/vars/0"][0, 0] += 1


def _huge(file: h5py.File) -> None:
    file["bomb"] = np.zeros(1 << 20, np.float32)


def _no_numpy_type(file: h5py.File) -> None:
    del file["layers/embedding/vars/0"]
    space = h5py.h5s.create_simple((60, 4))
    h5py.h5d.create(file["layers/embedding/vars"].id, b"0", h5py.h5t.UNIX_D32LE, space)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (_no_numpy_type, "No NumPy equivalent"),
        (_other_shape, "must be float32"),
        (_no_matrix, "must be a float32 matrix"),
        (_other_type, "must be a float32 matrix"),
        (_group_for_table, "is not a table"),
        (_external_data, "is not a table"),
        (_external_link, "missing or a link"),
        (_not_finite, "not finite"),
        (_other_number, "the digest of its weights is wrong"),
        (_huge, "more than the"),
    ],
)
def test_hostile_weights_are_refused(
    model: Model, tmp_path: Path, change: object, message: str
) -> None:
    model.save(tmp_path / "model")
    _rewrite(tmp_path / "model" / "model.keras", change)
    with pytest.raises(ArtifactError, match=message):
        Model.load(tmp_path / "model")


def test_damaged_lzma_is_refused(model: Model, tmp_path: Path) -> None:
    model.save(tmp_path / "model")
    path = tmp_path / "model" / "model.keras"
    with zipfile.ZipFile(path) as archive:
        weights = archive.read("model.weights.h5")
    with zipfile.ZipFile(path, "w", zipfile.ZIP_LZMA) as archive:
        archive.writestr("model.weights.h5", weights)
    content = bytearray(path.read_bytes())
    start = content.index(b"model.weights.h5") + len("model.weights.h5")
    content[start + 20 : start + 400] = bytes(380)
    path.write_bytes(content)
    with pytest.raises(ArtifactError, match="is damaged"):
        Model.load(tmp_path / "model")


def test_the_outline_describes_what_was_written(model: Model, tmp_path: Path) -> None:
    model.save(tmp_path / "model")
    path = tmp_path / "model" / "model.keras"
    outline = read_outline(path)
    assert outline[:4] == (60, 40, 4, model.mu)
    assert outline.keras == importlib.metadata.version("keras")
    with zipfile.ZipFile(path) as archive:
        members = {name: archive.read(name) for name in archive.namelist()}
    sound = members["config.json"]
    for old, new, message in (
        (b'"offset"', b'"other"', "has no offset; train again"),
        (b'"name": "rating"', b'"name": "other"', "has no layer 'rating'; train again"),
        (b'"offset": ', b'"offset": NaN, "x": ', "numbers must be finite"),
        (b'"layers"', b'"other"', "has no config.layers; train again"),
    ):
        members["config.json"] = sound.replace(old, new)
        with zipfile.ZipFile(path, "w") as archive:
            for name, content in members.items():
                archive.writestr(name, content)
        with pytest.raises(ArtifactError, match=message):
            read_outline(path)

"""Exports in each format are read with the library that their users use."""

from __future__ import annotations

import ctypes
import inspect
import json
import re
import warnings
import zipfile
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from conftest import ROOT, Run
from keras_files import keras_twin, layout, plain

from mfcli.cli.commands.export import export as command
from mfcli.config import Config
from mfcli.data import Scale, Vocabulary
from mfcli.exports import FORMATS, export
from mfcli.exports.vectors import rating_vectors
from mfcli.model import Model

INTEGERS = [-1, 0, 1, 42, 7, 858, 50, 2**53 + 1, 2**63 - 1, -(2**63), *range(100, 120)]
TEXTS = [
    *(
        "[UNK]",
        "",
        "0",
        "-1",
        "1",
        "007",
        "7",
        "a,b",
        'say "so"',
        "two\nlines",
        "cr\rlf\r\n",
        " x ",
    ),
    *("é", "e\N{COMBINING ACUTE ACCENT}", "日本", "None", "nan", "NA", "Dense", "float32"),
]
KINDS = [(INTEGERS, INTEGERS), (TEXTS, TEXTS), (INTEGERS, TEXTS)]
UNKNOWN = {"int64": 31337, "string": "nobody"}
EXACT = 1e-5  # ratings up to 15 in float32, summed in any order
kinds = pytest.mark.parametrize(("users", "items"), KINDS, ids=["integers", "texts", "mixed"])


def make_model(users: list[Any], items: list[Any], k: int = 4, seed: int = 3) -> Model:
    """Make a model with random weights; one user and the last item have no ratings."""
    rng = np.random.default_rng(seed)
    sides = {"user": users, "item": items}
    tables = {f"{side}_factors": rng.normal(size=(len(ids), k)) for side, ids in sides.items()}
    tables |= {f"{side}_biases": rng.normal(size=len(ids)) for side, ids in sides.items()}
    counts = {side: rng.integers(1, 99, len(ids)) for side, ids in sides.items()}
    for side, row in (("user", len(users) // 2), ("item", -1)):
        counts[side][row] = 0
        tables[f"{side}_factors"][row] = tables[f"{side}_biases"][row] = 0
    return Model(
        mu=3.5123456789,
        users=Vocabulary(pa.array(users), counts["user"]),
        items=Vocabulary(pa.array(items), counts["item"]),
        scale=Scale(0.5, 5.0, 0.5),
        config=Config(k=k, reg=1e-3),
        split_hash="0" * 64,
        **{name: table.astype(np.float32) for name, table in tables.items()},
    )


def all_pairs(model: Model) -> tuple[np.ndarray, np.ndarray]:
    """Pair every user with every item; -1 is an unknown user or item."""
    n, m = len(model.users) + 1, len(model.items) + 1
    user, item = np.divmod(np.arange(n * m, dtype=np.int32), np.int32(m))
    return user - 1, item - 1


def ids_of(vocabulary: Vocabulary, rows: np.ndarray) -> list[Any]:
    ids = vocabulary.ids.to_pylist()
    return [ids[row] if row >= 0 else UNKNOWN[str(vocabulary.ids.type)] for row in rows]


@pytest.fixture(scope="module")
def tf() -> Any:
    """TensorFlow by way of the exporter, which hides its messages."""
    from mfcli.exports import saved_model as serving

    return serving.tf


def member(path: Path, name: str) -> bytes:
    with zipfile.ZipFile(path) as archive:
        return archive.read(name)


def test_a_keras_file_of_rows_equals_that_of_the_model(tmp_path: Path) -> None:
    model = make_model(INTEGERS, TEXTS)
    model.save(tmp_path / "model")
    export(model, "keras", tmp_path / "m.keras")
    for name in ("config.json", "model.weights.h5"):
        own = member(tmp_path / "model" / "model.keras", name)
        assert member(tmp_path / "m.keras", name) == own


@kinds
def test_a_keras_file_of_ids(tmp_path: Path, tf: Any, users: list[Any], items: list[Any]) -> None:
    import keras

    model = make_model(users, items)
    export(model, "keras", tmp_path / "m.keras", raw_ids=True)
    network = keras.saving.load_model(tmp_path / "m.keras")
    user, item = all_pairs(model)
    given = [
        tf.constant(ids_of(vocabulary, rows), str(vocabulary.ids.type))[:, None]
        for vocabulary, rows in ((model.users, user), (model.items, item))
    ]
    ratings = network.predict(given, batch_size=1024, verbose=0)
    assert ratings.shape == (len(user), 1)
    np.testing.assert_allclose(ratings[:, 0], model.predict_rows(user, item), atol=EXACT, rtol=0)


@kinds
def test_a_keras_file_of_ids_is_the_one_keras_writes(
    tmp_path: Path, tf: Any, users: list[Any], items: list[Any]
) -> None:
    model = make_model(users, items)
    export(model, "keras", tmp_path / "ours.keras", raw_ids=True)
    keras_twin(model, raw_ids=True).save(tmp_path / "keras.keras")
    configs = [
        json.loads(member(tmp_path / f"{name}.keras", "config.json")) for name in ("ours", "keras")
    ]
    assert plain(configs[0]) == plain(configs[1])
    assert layout(tmp_path / "ours.keras") == layout(tmp_path / "keras.keras")
    names = set(re.findall(r'"(\w+)":', json.dumps(configs[0])))
    assert not names & {"optional", "quantization_config", "oov_method", "salt"}  # not in Keras 3.8


@kinds
def test_a_saved_model_of_ids_is_served(
    tmp_path: Path, tf: Any, users: list[Any], items: list[Any]
) -> None:
    model = make_model(users, items)
    export(model, "savedmodel", tmp_path / "1", raw_ids=True)
    served = tf.saved_model.load(str(tmp_path / "1")).signatures["serving_default"]
    dtypes = {"user": str(model.users.ids.type), "item": str(model.items.ids.type)}
    assert served.structured_input_signature == (
        (),
        {name: tf.TensorSpec([None], dtype, name) for name, dtype in dtypes.items()},
    )
    user, item = all_pairs(model)
    for batch in (slice(0, 1), slice(None)):
        ratings = served(
            user=tf.constant(ids_of(model.users, user[batch]), dtypes["user"]),
            item=tf.constant(ids_of(model.items, item[batch]), dtypes["item"]),
        )["rating"].numpy()
        expected = model.predict_rows(user, item)[batch]
        np.testing.assert_allclose(ratings, expected, atol=EXACT, rtol=0)


def test_a_saved_model_of_rows_is_served(tmp_path: Path, tf: Any) -> None:
    model = make_model(INTEGERS, TEXTS)
    export(model, "savedmodel", tmp_path / "1")
    served = tf.saved_model.load(str(tmp_path / "1")).signatures["serving_default"]
    user, item = all_pairs(model)
    expected = model.predict_rows(user, item)
    for outside in (-1, -7, 2**31 - 1, 1000):
        given = (np.where(rows < 0, outside, rows) for rows in (user, item))
        ratings = served(**dict(zip(("user", "item"), map(tf.constant, given), strict=True)))
        np.testing.assert_allclose(ratings["rating"], expected, atol=EXACT, rtol=0)


@kinds
def test_npz(tmp_path: Path, users: list[Any], items: list[Any]) -> None:
    model = make_model(users, items)
    export(model, "npz", tmp_path / "m.npz")
    with np.load(tmp_path / "m.npz", allow_pickle=False) as arrays:
        assert set(arrays) == {*model.tables, "mu", "users", "items", "scale", "predicts"}
        for name, table in model.tables.items():
            assert arrays[name].dtype == np.float32
            np.testing.assert_array_equal(arrays[name], table)
        assert (arrays["users"].tolist(), arrays["items"].tolist()) == (users, items)
        assert arrays["mu"] == model.mu
        assert arrays["scale"].tolist() == [0.5, 5.0, 0.5]


def read_frames(folder: Path, name: str, model: Model) -> dict[str, pd.DataFrame]:
    if name == "parquet":
        return {side: pd.read_parquet(folder / f"{side}.parquet") for side in ("users", "items")}
    types = json.loads((folder / "export.json").read_text())["ids"]
    return {
        side: pd.read_csv(
            folder / f"{side}.csv",
            dtype={"id": {"int64": "int64", "string": str}[types[side]]},
            keep_default_na=False,
        )
        for side in ("users", "items")
    }


@kinds
@pytest.mark.parametrize("name", ["csv", "parquet"])
def test_tables(tmp_path: Path, name: str, users: list[Any], items: list[Any]) -> None:
    model = make_model(users, items)
    export(model, name, tmp_path / "out")
    for side, frame in read_frames(tmp_path / "out", name, model).items():
        factors = [f"factor_{f}" for f in range(1, 5)]
        assert list(frame) == ["id", "count", "bias", *factors]
        vocabulary = getattr(model, side)
        assert frame["id"].tolist() == vocabulary.ids.to_pylist()
        assert frame["count"].tolist() == vocabulary.counts.tolist()
        tables = {"bias": f"{side[:-1]}_biases", tuple(factors): f"{side[:-1]}_factors"}
        for columns, table in tables.items():
            read = frame[list(columns) if isinstance(columns, tuple) else columns]
            np.testing.assert_array_equal(read.to_numpy(np.float32), model.tables[table])
    written = json.loads((tmp_path / "out" / "export.json").read_text())
    assert written["mu"] == model.mu
    assert written["scale"] == {"min": 0.5, "max": 5.0, "step": 0.5}


def libmf_model(path: Path) -> Any:
    """Load a file with LIBMF's loader, which its Python package does not export."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", SyntaxWarning)
        package = pytest.importorskip("libmf.mf")
    load = package.mf.mf_load_model
    load.restype, load.argtypes = ctypes.POINTER(package.MFModel), [ctypes.c_char_p]
    found = package.MF()
    found.model = load(str(path).encode()).contents
    return found


@kinds
def test_libmf_predicts_the_same(tmp_path: Path, users: list[Any], items: list[Any]) -> None:
    model = make_model(users, items)
    export(model, "libmf", tmp_path / "out")
    loaded = libmf_model(tmp_path / "out" / "model.txt")
    header = tuple(getattr(loaded.model, name) for name in "mnk")
    assert header == (len(users) + 1, len(items) + 1, 6)
    assert (loaded.model.fun, loaded.model.b) == (0, np.float32(model.mu))
    numbers = {}
    for side, vocabulary in (("users", model.users), ("items", model.items)):
        kind = {"int64": "int64", "string": str}[str(vocabulary.ids.type)]
        path = tmp_path / "out" / f"{side}.csv"
        frame = pd.read_csv(path, dtype={"id": kind}, keep_default_na=False)
        numbers[side] = dict(zip(frame["id"], frame["row"], strict=True))
    user, item = all_pairs(model)
    pairs = [
        [numbers["users"].get(name, len(users)) for name in ids_of(model.users, user)],
        [numbers["items"].get(name, len(items)) for name in ids_of(model.items, item)],
    ]
    ratings = loaded.predict(np.array(pairs).T)  # one column per field, as LIBMF expects
    np.testing.assert_allclose(ratings, model.predict_rows(user, item), atol=EXACT, rtol=0)


def test_the_lines_of_a_libmf_file(tmp_path: Path) -> None:
    model = make_model([5], [6], k=1)
    tables = {"user_factors": [[0.1]], "item_factors": [[-2]], "user_biases": [1e-9]}
    tables |= {"item_biases": [0.25]}
    export(
        model.with_tables({name: np.array(t, np.float32) for name, t in tables.items()}),
        "libmf",
        tmp_path / "out",
    )
    assert (tmp_path / "out" / "model.txt").read_text() == (
        "f 0\nm 2\nn 2\nk 3\nb 3.51234568\n"
        "p0 T 0.100000001 3.51234579 1\np1 T 0 3.51234579 1\n"
        "q0 T -2 1 0.25\nq1 T 0 1 0\n"
    )
    assert (tmp_path / "out" / "users.csv").read_text() == "row,id\n0,5\n"


def test_decimal_numbers_are_exact(tmp_path: Path) -> None:
    """Float32 numbers of all sizes survive readers that parse doubles."""
    bits = np.random.default_rng(0).integers(0, 2**32, 40_000).astype(np.uint32)
    numbers = bits.view(np.float32)
    limits = np.finfo(np.float32)
    numbers[:4] = limits.max, limits.smallest_subnormal, -limits.tiny, -0.0
    numbers = numbers[np.isfinite(numbers)]
    model = make_model(list(range(len(numbers))), [1], k=1)
    model = model.with_tables(model.tables | {"user_factors": numbers[:, None]})
    export(model, "csv", tmp_path / "csv")
    frame = pd.read_csv(tmp_path / "csv" / "users.csv")
    assert frame["factor_1"].to_numpy(np.float32).tobytes() == numbers.tobytes()
    export(model, "libmf", tmp_path / "libmf")
    text = (tmp_path / "libmf" / "model.txt").read_text()
    usual = re.findall(r"^p\d+ T -?([\d.]+) ", text, flags=re.MULTILINE)
    assert max(len(digits.replace(".", "").strip("0")) for digits in usual) == 9
    loaded = libmf_model(tmp_path / "libmf" / "model.txt").p_factors()
    assert loaded[:-1, 0].tobytes() == numbers.tobytes()


@kinds
def test_vectors(tmp_path: Path, users: list[Any], items: list[Any]) -> None:
    model = make_model(users, items)
    export(model, "vectors", tmp_path / "out")
    read = []
    for side, ids in (("users", users), ("items", items)):
        table = pq.read_table(tmp_path / "out" / f"{side}.parquet")
        assert table.schema.field("vector").type == pa.list_(pa.float32(), 6)
        assert table["id"].to_pylist() == ids
        read.append(np.array(table["vector"].to_pylist(), np.float32))
    user, item = (grid.ravel() for grid in np.indices((len(users), len(items)), np.int32))
    ratings = (read[0] @ read[1].T).ravel()
    np.testing.assert_allclose(ratings, model.predict_rows(user, item), atol=EXACT, rtol=0)
    user, item = all_pairs(model)
    left, right = rating_vectors(model)
    np.testing.assert_allclose(
        np.sum(left[user] * right[item], axis=1), model.predict_rows(user, item), atol=EXACT, rtol=0
    )


def contents(path: Path) -> dict[str, bytes]:
    """Read an export without what differs at each run: times, and random names of TensorFlow."""
    if path.is_file():
        with zipfile.ZipFile(path) as archive:
            return {n: archive.read(n) for n in archive.namelist() if n != "metadata.json"}
    numbered = {"fingerprint.pb", "saved_model.pb"}
    files = (p for p in sorted(path.rglob("*")) if p.is_file() and p.name not in numbered)
    return {str(file.relative_to(path)): file.read_bytes() for file in files}


@pytest.fixture
def trained(run: Run) -> Run:
    """A folder with a model, some other files, and places that are not exports."""
    make_model(INTEGERS, TEXTS).save(Path("model"))
    make_model(INTEGERS, ["a", "b\0"]).save(Path("zero"))
    Path("mine").mkdir()
    Path("mine/notes.txt").write_text("mine")
    Path("tables").mkdir()
    Path("tables/users.csv").write_text("mine")
    Path("mine.npz").write_text("mine")
    with zipfile.ZipFile("mine.keras", "w") as archive:
        archive.writestr("config.json", "{}")
    return run


@pytest.mark.parametrize("name", FORMATS)
def test_the_command_writes_and_replaces_an_export(trained: Run, tf: Any, name: str) -> None:
    target = FORMATS[name].out
    done = trained("export", "--format", name)
    size = sum(p.stat().st_size for p in (target, *target.rglob("*")) if p.is_file())
    assert done.out == f"{target}: 30 users, 20 items, k 4, {size:,} bytes\n"
    rows = (
        "note: the model takes row numbers, the positions of ids in model/users.arrow and"
        " items.arrow"
    )
    assert done.err == (f"{rows}; see --raw-ids\n" if FORMATS[name].write_for_ids else "")
    first = contents(target)
    again = trained("export", "--format", name, "--json", "--quiet")
    assert again.err == ""
    assert json.loads(again.out) == {
        "out": str(target),
        "format": name,
        "users": 30,
        "items": 20,
        "k": 4,
        "bytes": pytest.approx(size, abs=100),  # the size of the compressed files varies
    }
    assert contents(target) == first
    make_model(TEXTS, INTEGERS, k=2).save(Path("model"))
    assert trained("export", "--format", name, "-q").code == 0
    assert contents(target) != first
    assert sorted(p.name for p in target.parent.iterdir()) == [target.name]


def test_raw_ids_need_no_note_on_rows(trained: Run) -> None:
    done = trained("export", "--format", "keras", "--raw-ids", "--out", "new/ids.keras")
    assert (done.code, done.err) == (0, "")
    assert b"IntegerLookup" in member(Path("new/ids.keras"), "config.json")


def test_a_folder_may_change_its_format(trained: Run) -> None:
    for name in ("csv", "libmf", "parquet"):
        assert trained("export", "--format", name, "--out", "out").code == 0
    assert sorted(p.name for p in Path("out").iterdir()) == [
        "export.json",
        "items.parquet",
        "users.parquet",
    ]


def test_other_files_are_left_alone(trained: Run) -> None:
    Path("model.weights.h5").write_text("mine")
    assert trained("export", "--format", "keras", "--out", "m.keras").code == 0
    assert Path("model.weights.h5").read_text() == "mine"


REFUSED = [
    (["--format", "pickle"], 2, "--format must be keras, savedmodel, npz, csv, parquet, libmf"),
    ([], 2, "Missing option '--format'."),
    (["--format", "csv", "--raw-ids"], 2, "--raw-ids is not available with --format csv; omit it"),
    (["--format", "keras", "--out", "m.h5"], 2, "m.h5: must end in .keras"),
    (["--format", "npz", "--out", "m"], 2, "m: must end in .npz"),
    (
        ["--format", "savedmodel", "--out", "served"],
        2,
        "served: must end in a version number, which TensorFlow Serving requires; use served/1",
    ),
    (
        ["--format", "npz", "--model", "none"],
        1,
        "none: holds no model; train one with: mfcli train",
    ),
    (
        ["--format", "npz", "--out", "mine.npz"],
        1,
        "mine.npz: was not written by mfcli export; choose another place or move it",
    ),
    (["--format", "keras", "--out", "mine.keras"], 1, "mine.keras: was not written by mfcli"),
    (
        ["--format", "keras", "--out", "model/model.keras"],
        1,
        "model/model.keras: was not written by mfcli export; choose another place or move it",
    ),
    (
        ["--format", "csv", "--out", "mine"],
        1,
        "mine: holds files that mfcli did not write ('notes.txt'); choose another place or move",
    ),
    (
        ["--format", "csv", "--out", "tables"],
        1,
        "tables: was not written by mfcli (it has no export.json of mfcli); choose another",
    ),
    (["--format", "vectors", "--out", "mine.npz"], 1, "mine.npz: must be a folder to be replaced"),
    (["--format", "npz", "--out", "mine.npz/m.npz"], 1, "mine.npz/m.npz: cannot be written: "),
    (["--format", "csv", "--out", "mine.npz/csv"], 1, "mine.npz/csv: cannot be written: "),
    (
        ["--format", "npz", "--model", "zero"],
        1,
        "the id 'b\\x00' ends in a zero byte, which NumPy would drop; choose another format",
    ),
    (
        ["--format", "keras", "--model", "zero", "--raw-ids"],
        1,
        "the id 'b\\x00' ends in a zero byte, which Keras would drop; choose another format",
    ),
]


@pytest.mark.parametrize(
    ("args", "code", "message"), REFUSED, ids=[" ".join(r[0]) for r in REFUSED]
)
def test_refusals(trained: Run, args: list[str], code: int, message: str) -> None:
    assert trained("export", "--format", "npz", "-q").code == 0
    before = contents(Path())
    done = trained("export", *args)
    assert (done.code, done.out) == (code, "")
    assert done.err.startswith(f"error: {message}"), done.err
    assert done.err.count("\n") == 1
    assert contents(Path()) == before


@pytest.mark.parametrize("name", FORMATS)
def test_a_full_disk_leaves_the_previous_export(trained: Run, tf: Any, name: str) -> None:
    resource = pytest.importorskip("resource")
    assert trained("export", "--format", name, "-q").code == 0
    make_model(TEXTS, INTEGERS, k=40).save(Path("model"))
    before = contents(Path())
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (4096, limits[1]))
    try:
        done = trained("export", "--format", name, "-q")
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)
    assert (done.code, done.out) == (1, "")
    assert done.err.startswith(f"error: {FORMATS[name].out}: cannot be written: "), done.err
    assert done.err.count("\n") == 1
    assert contents(Path()) == before


def test_formats_for_ids_that_end_in_a_zero_byte(tmp_path: Path, tf: Any) -> None:
    users = ["a", "a\0", "a\0b"]
    model = make_model(users, [1, 2])
    for name in ("parquet", "vectors"):
        export(model, name, tmp_path / name)
        assert pq.read_table(tmp_path / name / "users.parquet")["id"].to_pylist()[:2] == [
            "a",
            "a\0",
        ]
    export(model, "savedmodel", tmp_path / "1", raw_ids=True)
    served = tf.saved_model.load(str(tmp_path / "1")).signatures["serving_default"]
    ratings = served(user=tf.constant(["a", "a\0"]), item=tf.constant([1, 1], tf.int64))
    expected = model.predict_rows(np.array([0, 1], np.int32), np.zeros(2, np.int32))
    np.testing.assert_allclose(ratings["rating"], expected, atol=EXACT)


def test_the_help_names_formats_and_places() -> None:
    found = inspect.signature(command, eval_str=True).parameters
    info = {name: found[name].annotation.__metadata__[0] for name in ("format", "out")}
    *names, last = FORMATS
    assert info["format"].help == f"{', '.join(names)} or {last}."
    assert info["format"].autocompletion() == list(FORMATS)
    *places, last = (str(kind.out) for kind in FORMATS.values())
    assert info["out"].show_default == f"{', '.join(places)} or {last}"


def test_the_documented_exports_are_read_as_shown(
    trained: Run, tf: Any, capsys: pytest.CaptureFixture[str]
) -> None:
    text = (ROOT / "examples" / "README.md").read_text(encoding="utf-8")
    section = text.partition("\n## Exports\n")[2].partition("\n## ")[0]
    blocks = re.findall(r"```(sh|py)\n(.*?)```", section, flags=re.DOTALL)
    model = make_model(INTEGERS, INTEGERS)
    model.save(Path("model"))
    for language, block in blocks:
        if language == "sh":
            for line in re.findall(r"^mfcli (export .*?)(?:  #.*)?$", block, flags=re.MULTILINE):
                assert trained(*line.split()).code == 0, line
        else:
            exec(compile(block, "examples/README.md", "exec"), {})
            shown = [float(number) for number in re.findall(r"-?\d+\.\d+", capsys.readouterr().out)]
            row = INTEGERS.index(42)
            items = np.arange(len(INTEGERS), dtype=np.int32)
            ratings = model.predict_rows(np.full(len(items), row, np.int32), items)
            assert len(shown) >= 2
            for number in shown:
                assert np.abs(ratings - number).min() < 1e-3
            if "argsort" in block:
                assert shown == pytest.approx(np.sort(ratings)[: -len(shown) - 1 : -1], abs=1e-3)
                assert len(shown) == 10
    assert [language for language, _ in blocks].count("py") == 2
    for version in (1, 2):
        assert Path(f"export/savedmodel/{version}/saved_model.pb").is_file()

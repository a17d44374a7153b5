"""Splits and results in an object store give and hold the same as local folders."""

from __future__ import annotations

import _thread
import dataclasses
import json
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
from clusters import Machines
from conftest import Run

from mfcli import data, storage
from mfcli.config import Config
from mfcli.errors import ArtifactError, UsageError
from mfcli.splits import read_split, split_folder
from mfcli.storage import local_copies, object_stores
from mfcli.training import read_checkpoint
from mfcli.training.distributed.sources import (
    RowSource,
    held_out_source,
    read_rows,
    training_source,
)

BUCKET = "ratings"
FOLDS = ("--strategy", "k-fold", "--folds", 2)
CLOSED = "http://127.0.0.1:9"  # no server listens on the port of the discard protocol


@pytest.fixture(scope="session")
def server() -> Iterator[str]:
    """The URL of an S3 server of this process."""
    moto = pytest.importorskip("moto.server", reason="moto is not installed")
    server = moto.ThreadedMotoServer("127.0.0.1", 0, verbose=False)
    server.start()
    host, port = server.get_host_and_port()
    yield f"http://{host}:{port}"
    server.stop()


class Bucket:
    """An empty bucket."""

    def __init__(self, server: str) -> None:
        import boto3

        keys = {"aws_access_key_id": "id", "aws_secret_access_key": "secret"}
        self._client: Any = boto3.client("s3", "us-east-1", endpoint_url=server, **keys)
        self._client.create_bucket(Bucket=BUCKET)
        for name in self.names():
            self.delete(name)

    def names(self) -> list[str]:
        found = self._client.list_objects_v2(Bucket=BUCKET).get("Contents", [])
        return [one["Key"] for one in found if not one["Key"].endswith("/")]

    def read(self, name: str) -> bytes:
        content: bytes = self._client.get_object(Bucket=BUCKET, Key=name)["Body"].read()
        return content

    def write(self, name: str, content: bytes) -> None:
        self._client.put_object(Bucket=BUCKET, Key=name, Body=content)

    def delete(self, name: str) -> None:
        self._client.delete_object(Bucket=BUCKET, Key=name)


@pytest.fixture
def bucket(server: str, monkeypatch: pytest.MonkeyPatch) -> Bucket:
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "id")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "secret")
    monkeypatch.setenv("AWS_ENDPOINT_URL", server)
    monkeypatch.setenv("AWS_EC2_METADATA_DISABLED", "true")  # no request to another host
    return Bucket(server)


@pytest.fixture
def ratings(tmp_path: Path) -> Path:
    random = np.random.default_rng(0)
    path = tmp_path / "ratings.csv"
    pairs = random.choice(40 * 30, 800, replace=False)
    rows = (f"u{pair // 30},i{pair % 30},{random.integers(1, 6)}\n" for pair in pairs)
    path.write_text("user,item,rating\n" + "".join(rows))
    return path


def weights(record: bytes) -> str:
    digest: str = json.loads(record)["weights"]
    return digest


def test_train_evaluate_and_use(run: Run, bucket: Bucket, ratings: Path, tmp_path: Path) -> None:
    (tmp_path / "temp").mkdir()
    for split, out, lists, more in (
        ("split", ".", "top.csv", ()),
        ("s3://ratings/a/split", "s3://ratings/b/run", "s3://ratings/top.csv", ("--temp", "temp")),
    ):
        model = "model" if out == "." else out
        assert run("split", ratings, "--valid", 0.1, "--out", split, *more).code == 0
        assert run("train", "--split", split, "--out", out, "--epochs", 2, *more).code == 0
        found = run("evaluate", "--split", split, "--model", model, *more)
        assert found.code == 0
        where = ("--split", split, "--model", model)
        found = run("recommend", "--all", *where, "--out", lists, *more)
        assert found.code == 0
    assert "s3://ratings/top.csv: 358 rows" in found.out
    for name in ("split.json", "train.arrow", "test.arrow", "valid.arrow", "users.arrow"):
        assert bucket.read(f"a/split/{name}") == Path("split", name).read_bytes(), name
    for name in ("model/model.json", "model/items.arrow", "metrics.json"):
        assert bucket.read(f"b/run/{name}") == Path(name).read_bytes(), name
    assert bucket.read("top.csv") == Path("top.csv").read_bytes()
    files = {
        f"{one}" for one in map(str, Path().rglob("*.*"))
        if Path(one).parts[0] in ("model", "checkpoint", "history.json", "metrics.json")
    }  # fmt: skip
    assert {name for name in bucket.names() if name[0] == "b"} == {f"b/run/{one}" for one in files}
    assert not [*Path("temp").iterdir()]


def test_folds(run: Run, bucket: Bucket, ratings: Path) -> None:
    assert run("split", ratings, *FOLDS, "--out", "s3://ratings/split").code == 0
    assert run("split", ratings, *FOLDS).code == 0
    found = run("train", "--split", "s3://ratings/split", "--out", "s3://ratings", "--epochs", 1)
    assert found.code == 0
    assert run("train", "--split", "s3://ratings/split/fold-2", "--epochs", 1).code == 0
    assert weights(bucket.read("fold-2/model/model.json")) == weights(
        Path("model/model.json").read_bytes()
    )
    assert run("evaluate", "--split", "s3://ratings/split", "--model", "s3://ratings").code == 0
    assert "metrics.json" in bucket.names()


def test_options_in_the_address(
    run: Run, bucket: Bucket, server: str, ratings: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("AWS_ENDPOINT_URL")
    monkeypatch.delenv("AWS_SECRET_ACCESS_KEY")
    host = server.removeprefix("http://")
    options = f"scheme=http&endpoint_override={host}"
    split = f"s3://id:sesame@ratings/split?{options}"
    assert run("split", ratings, "--out", split).code == 0
    found = run("train", "--split", split, "--out", f"s3://id:sesame@ratings/run?{options}")
    assert found.code == 0
    assert "s3://ratings/run/model and s3://ratings/run/history.json" in found.out
    assert "sesame" not in found.out + found.err
    assert "endpoint" not in found.out + found.err
    assert "run/model/model.json" in bucket.names()


def test_resume(run: Run, bucket: Bucket, ratings: Path) -> None:
    run("split", ratings, "--out", "s3://ratings/split")
    places = ("--split", "s3://ratings/split", "--out")
    assert run("train", *places, ".", "--epochs", 4).code == 0
    assert run("train", *places, "s3://ratings/run", "--epochs", 2).code == 0
    found = run("train", *places, "s3://ratings/run", "--epochs", 4, "--resume")
    assert found.code == 0
    assert "resuming after epoch 2" in found.err
    assert weights(bucket.read("run/model/model.json")) == weights(
        Path("model/model.json").read_bytes()
    )


class Lost(Exception):
    """The process died."""


def dies_at(
    monkeypatch: pytest.MonkeyPatch, end: str, times: int, how: type[BaseException] = Lost
) -> None:
    """Let uploads of files whose names end so fail after some."""
    upload, left = object_stores.ObjectStore.upload, [times]

    def dying(self: Any, name: str, source: Any) -> None:
        if name.endswith(end):
            left[0] -= 1
            if left[0] < 0:
                raise how
        upload(self, name, source)

    monkeypatch.setattr(object_stores.ObjectStore, "upload", dying)


@pytest.mark.parametrize(("end", "kept"), [("state.npz", 1), ("checkpoint.json", 2)])
def test_interrupted_checkpoint(
    run: Run, bucket: Bucket, ratings: Path, monkeypatch: pytest.MonkeyPatch, end: str, kept: int
) -> None:
    run("split", ratings)
    train = ("train", "--out", "s3://ratings/run", "--checkpoint-every", 1, "--epochs", 3)
    with monkeypatch.context() as patch:
        # The first upload of a record is that of the checkpoint before the first epoch.
        dies_at(patch, end, kept if end == "checkpoint.json" else 1)
        with pytest.raises(Lost):
            run(*train)
    assert run("train", "--epochs", 3).code == 0
    found = run("train", "--out", "s3://ratings/run", "--resume")
    assert found.code == 0
    assert f"resuming after epoch {kept}" in found.err
    assert weights(bucket.read("run/model/model.json")) == weights(
        Path("model/model.json").read_bytes()
    )
    assert not [name for name in bucket.names() if ".mfcli" in name]


def test_stopped_training_names_the_addresses(
    run: Run, bucket: Bucket, server: str, ratings: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    run("split", ratings, "--out", "s3://ratings/split")
    out = f"s3://id:sesame@ratings/run?endpoint_override={server}"
    places = ("--split", "s3://ratings/split", "--out", out)
    with monkeypatch.context() as patch:
        dies_at(patch, "state.npz", 1, KeyboardInterrupt)
        found = run("train", *places, "--checkpoint-every", 1)
    resume = f"--split s3://ratings/split --out 's3://ratings/run?endpoint_override={server}'"
    assert f"after epoch 1; resume: mfcli train --resume {resume}\n" in found.err


def test_failed_training_keeps_the_older_checkpoint(
    run: Run, bucket: Bucket, ratings: Path, tmp_path: Path
) -> None:
    run("split", ratings)
    assert run("train", "--out", "s3://ratings/run", "--epochs", 2).code == 0
    before = {name: bucket.read(name) for name in bucket.names()}
    found = run("train", "--out", "s3://ratings/run", "--lr", 1e5, "--optimizer", "sgd")
    assert found.code == 1
    assert {name: bucket.read(name) for name in bucket.names()} == before
    with storage.local_copy("s3://ratings/run/checkpoint") as folder:
        assert len(read_checkpoint(folder).history) == 2


def test_failed_training_without_an_older_checkpoint(
    run: Run, bucket: Bucket, ratings: Path
) -> None:
    run("split", ratings)
    found = run("train", "--out", "s3://ratings/run", "--lr", 1e5, "--optimizer", "sgd")
    assert found.code == 1
    assert not bucket.names()


def test_files_of_older_results(bucket: Bucket) -> None:
    """Those that are no longer listed go; files of others stay."""
    bucket.write("model/notes.txt", b"of others")
    names = ("model.json", "one.bin", "two.bin")
    bucket.write("model/model.json", b'{\n  "format": 2,\n  "mfcli": "1"\n}\n')
    with storage.local_copy("s3://ratings/model", lambda name: name != "notes.txt") as folder:
        for files in (["one.bin", "two.bin"], ["one.bin"]):
            with storage.replacing_folder(folder, names) as temporary:
                for name in files:
                    (temporary / name).write_text(str(files))
                record = local_copies.PendingRecord(files=dict.fromkeys(files, ""), records={})
                storage.write_record(temporary / "model.json", record)
            assert bucket.names() == sorted(
                [*(f"model/{name}" for name in files), "model/model.json", "model/notes.txt"]
            )
    assert bucket.read("model/one.bin") == b"['one.bin']"


def test_other_files_are_not_replaced(run: Run, bucket: Bucket, ratings: Path) -> None:
    run("split", ratings)
    bucket.write("run/model/thesis.txt", b"years of work")
    found = run("train", "--out", "s3://ratings/run")
    assert found.code == 1
    assert "s3://ratings/run/model: holds files that mfcli did not write" in found.err
    assert bucket.names() == ["run/model/thesis.txt"]


def test_ctrl_c_waits_for_an_upload(
    bucket: Bucket, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    pieces = object_stores._pieces

    def interrupted(path: Path) -> Iterator[bytes]:
        for piece in pieces(path):
            yield piece[:1000]
            _thread.interrupt_main()
            time.sleep(0.05)  # the main thread raises
            yield piece[1000:]

    monkeypatch.setattr(object_stores, "_pieces", interrupted)
    (tmp_path / "file").write_bytes(bytes(5000))
    with pytest.raises(KeyboardInterrupt):
        object_stores.ObjectStore("s3://ratings").upload("file", tmp_path / "file")
    assert bucket.read("file") == bytes(5000)


def test_fetching_in_parts(bucket: Bucket, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    content = np.random.default_rng(0).bytes(10_001)
    bucket.write("folder/large", content)
    bucket.write("folder/in/empty", b"")
    monkeypatch.setattr(object_stores, "_PART", 1000)
    progress: list[tuple[int, int]] = []
    add = lambda done, total: progress.append((done, total))  # noqa: E731
    with storage.local_copy("s3://ratings/folder", on_progress=add) as folder:
        assert (folder / "large").read_bytes() == content
        assert (folder / "in/empty").read_bytes() == b""
    assert len(progress) == 11
    assert max(progress) == (10_001, 10_001)
    assert not folder.exists()


def test_a_folder_that_changes_is_fetched_again(
    bucket: Bucket, monkeypatch: pytest.MonkeyPatch
) -> None:
    bucket.write("folder/file", b"old")
    fetch = object_stores.ObjectStore.fetch
    changes = [b"newer", b"newest"]

    def changing(self: Any, *args: Any) -> None:
        fetch(self, *args)
        if changes:
            bucket.write("folder/file", changes.pop(0))

    monkeypatch.setattr(object_stores.ObjectStore, "fetch", changing)
    with storage.local_copy("s3://ratings/folder") as folder:
        assert (folder / "file").read_bytes() == b"newest"


def test_ranges_of_columns(
    run: Run, bucket: Bucket, ratings: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    run("split", ratings, "--out", "s3://ratings/split")
    run("split", ratings)
    train = read_split("split").train
    transferred: list[int] = []
    read = object_stores.Ranges.read

    def counted(self: Any, start: int, stop: int) -> bytes:
        transferred.append(stop - start)
        return read(self, start, stop)

    monkeypatch.setattr(object_stores.Ranges, "read", counted)
    monkeypatch.setattr("mfcli.data.arrow_ranges._ENDS", 2000)
    for place in ("split/train.arrow", "s3://ratings/split/train.arrow"):
        transferred.clear()
        found = data.read_columns(place, 100, 150, ["item", "rating"])
        assert np.array_equal(found["item"], train.item[100:150])
        assert np.array_equal(found["rating"], train.rating[100:150])
        assert found["item"].dtype == np.int32
        assert found["rating"].dtype == np.float32
    assert sum(transferred) == 2 * 2000 + 2 * 4 * 50
    assert not len(data.read_columns("split/train.arrow", 7, 7, ["user"])["user"])


def test_ranges_in_parts(
    run: Run, bucket: Bucket, ratings: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    run("split", ratings, "--out", "s3://ratings/split")
    monkeypatch.setattr("mfcli.data.arrow_ranges._PART", 100)
    place = "s3://ratings/split/test.arrow"
    found = data.read_columns(place, 3, 153, ["user"])
    with storage.local_copy("s3://ratings/split") as folder:
        test = read_split(folder).test
    assert test is not None
    assert np.array_equal(found["user"], test.user[3:153])


def test_damaged_columns(run: Run, ratings: Path) -> None:
    run("split", ratings)
    content = bytearray(Path("split/train.arrow").read_bytes())
    with pytest.raises(ArtifactError, match="has 640 rows in column 'user', not rows 0 to 641"):
        data.read_columns("split/train.arrow", 0, 641, ["user"])
    with pytest.raises(ArtifactError, match="no column 'timestamp'"):
        data.read_columns("split/train.arrow", 0, 1, ["timestamp"])
    with pytest.raises(ArtifactError, match=r"missing\.arrow: cannot be read"):
        data.read_columns("missing.arrow", 0, 1, ["user"])
    random = np.random.default_rng(0)
    for end in (bytes(content[:-20]), b"", *(_changed(content, random) for _ in range(50))):
        Path("damaged.arrow").write_bytes(end)
        try:
            data.read_columns("damaged.arrow", 0, 640, ["user", "rating"])
        except ArtifactError as error:
            assert str(error).count("\n") == 0
    column = pa.table({"user": pa.array([1, 2], pa.int32())})
    with pa.OSFile("batches.arrow", "wb") as sink, pa.ipc.new_file(sink, column.schema) as writer:
        writer.write_table(column)
        writer.write_table(column)
    with pytest.raises(ArtifactError, match="not in one piece"):
        data.read_columns("batches.arrow", 0, 1, ["user"])


def _changed(content: bytearray, random: np.random.Generator) -> bytes:
    """Return the content of a file with one byte of its description changed."""
    changed = bytearray(content)
    at = random.integers(0, 400)
    changed[at if random.integers(2) else -1 - at] = random.integers(256)
    return bytes(changed)


@pytest.mark.parametrize("fold", ["", "/fold-2"])
def test_rows_for_workers(run: Run, bucket: Bucket, ratings: Path, fold: str) -> None:
    """Workers read the ratings of a part, or of several, from the store."""
    run("split", ratings, "--out", "s3://ratings/split", *(FOLDS if fold else ()), "--valid", 0.1)
    address = f"s3://ratings/split{fold}"
    with split_folder(address) as folder:
        split = read_split(folder).union("valid")
    test = split.test
    assert test is not None
    assert split.address == address
    for source, part in (
        (training_source(split, split.train, Config()), split.train),
        (held_out_source(split, test), test),
    ):
        assert isinstance(source, RowSource)
        found = read_rows(source, 0, len(part))
        for name, values in found.items():
            assert np.array_equal(values, getattr(part, name)), name
        assert np.array_equal(read_rows(source, 7, 90)["item"], part.item[7:90])


def test_another_split_at_the_address(run: Run, bucket: Bucket, ratings: Path) -> None:
    run("split", ratings, "--out", "s3://ratings/split")
    with split_folder("s3://ratings/split") as folder:
        split = read_split(folder)
    source = training_source(split, split.train, Config())
    assert isinstance(source, RowSource)
    run("split", ratings, "--out", "s3://ratings/split", "--seed", 2)
    with pytest.raises(ArtifactError, match="s3://ratings/split: holds another split"):
        read_rows(source, 0, 1)
    with pytest.raises(ArtifactError, match="s3://ratings/other: cannot be read on every node"):
        read_rows(dataclasses.replace(source, address="s3://ratings/other"), 0, 1)


def test_on_a_cluster(
    run: Run, bucket: Bucket, server: str, ratings: Path, machines: Machines
) -> None:
    """Workers, which need the keys, read from the store; the results are those of one machine."""
    options = f"endpoint_override={server}"
    split, out = (f"s3://id:sesame@ratings/{name}?{options}" for name in ("split", "run"))
    assert run("split", ratings, "--out", split).code == 0
    for places, more in (
        (("--split", split, "--model", out), ("--cluster", "auto", "--workers", 2)),
        (("--split", "split", "--model", "model"), ()),
    ):
        run("split", ratings)
        where = (*places[:2], "--out", places[3] if more else ".")
        found = run("train", *where, "--epochs", 2, "--blocks", 4, *more)
        assert found.code == 0, found.err
        assert "sesame" not in found.out + found.err
        assert run("evaluate", *places, *more).code == 0
    for name in ("model/items.arrow", "metrics.json"):
        assert bucket.read(f"run/{name}") == Path(name).read_bytes()
    assert weights(bucket.read("run/model/model.json")) == weights(
        Path("model/model.json").read_bytes()
    )


@pytest.mark.parametrize(
    ("args", "message"),
    [
        (("--split", "s3://nothing/split"), "s3://nothing/split: cannot be read: the bucket does"
         " not exist; create it, or choose another"),
        (("--split", "s3://ratings/none"), "s3://ratings/none: holds no split; make one with:"
         " mfcli split data.csv"),
        (("--out", "s3://nothing/run"), "s3://nothing/run: cannot be read: the bucket does not"
         " exist; create it, or choose another"),
        (("--split", "xyz://bucket/split"), "xyz://bucket/split: unknown scheme xyz://; use a local"
         " path, or s3://, gs:// or abfs://"),
        (("--split", "s3://"), "s3://: names no bucket; use s3://bucket/folder"),
        (("--split", "s3://id:sesame@ratings/split?what=1"), "s3://ratings/split: cannot be opened:"
         " Unexpected query parameter in S3 URI: 'what'"),
        (("--config", "s3://ratings/c"), "--config must be a local path, not an address in an"
         " object store, got 's3://ratings/c'"),
        (("--split", "s3://ratings/x", "--out", "s3://ratings/x/"), "--out s3://ratings/x is the"
         " split folder; choose another"),
    ],
)  # fmt: skip
def test_errors(run: Run, bucket: Bucket, args: tuple[str, ...], message: str) -> None:
    found = run("train", *args)
    assert (found.err, found.out) == (f"error: {message}\n", "")


def test_refused_connection(run: Run, bucket: Bucket, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AWS_ENDPOINT_URL", CLOSED)
    found = run("train", "--split", "s3://ratings/split")
    assert found.err == (
        "error: s3://ratings/split: cannot be read: Could not connect to server; check the network"
        " and the address of the store (endpoint_override)\n"
    )


def test_a_store_that_cannot_be_written(
    run: Run, bucket: Bucket, ratings: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    run("split", ratings)

    def denied(self: Any, name: str, source: Any) -> None:
        with self._errors("written", name):
            raise OSError("AWS Error ACCESS_DENIED during PutObject operation: Access Denied (Req")

    monkeypatch.setattr(object_stores.ObjectStore, "_upload", denied)
    found = run("train", "--out", "s3://ratings/run")
    assert "cannot be written: Access Denied; set credentials with access" in found.err
    assert found.code == 1


def test_addresses(tmp_path: Path) -> None:
    assert storage.joined("s3://b/x/fold-1?region=a", "../r.arrow") == "s3://b/x/r.arrow?region=a"
    assert storage.joined("s3://b", "x", "y") == "s3://b/x/y"
    assert storage.joined("/x/fold-1", "../r.arrow") == "/x/r.arrow"
    assert storage.parent_and_name("s3://b/x/y/?q=1") == ("s3://b/x?q=1", "y")
    assert storage.parent_and_name("s3://b/") == ("s3://b", "")
    assert storage.as_local("file:///a%20b/c") == Path("/a b/c")
    assert storage.as_local("C:/split") == Path("C:/split")
    assert storage.as_local("gs://b/x") is None
    shown = storage.without_secrets("s3://key:word@b/x?secret_key=1&endpoint_override=http://h:1")
    assert shown == "s3://b/x?endpoint_override=http://h:1"
    assert storage.address_of(tmp_path / "split") == str(tmp_path / "split")
    assert storage.address_of(Path("split")) == str(Path("split").absolute())


def test_addresses_of_copies(bucket: Bucket) -> None:
    bucket.write("run/model/model.json", b"{}")
    with storage.local_copy("s3://ratings/run?region=x") as folder:
        place = folder / "model"
        assert storage.address_of(place) == "s3://ratings/run/model?region=x"
        assert storage.address_of(folder.parent / "other") == "s3://ratings/other?region=x"
    assert storage.with_addresses(f"see {place}") == "see s3://ratings/run/model"


def test_python_names_the_way(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match=r"folder must be a local path, got 's3://b/x'; copy it"):
        read_split("s3://b/x")
    with storage.local_copy(str(tmp_path)) as folder:
        assert folder == tmp_path


def test_local_addresses(run: Run, ratings: Path, tmp_path: Path) -> None:
    assert run("split", ratings, "--out", f"file://{tmp_path}/split").code == 0
    assert run("train", "--split", f"file://{tmp_path}/split", "--epochs", 1).code == 0
    assert Path("model/model.json").exists()

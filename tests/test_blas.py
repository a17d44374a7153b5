"""Results have the same bits for any number of threads, of mfcli and of BLAS."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator

import numpy as np
import pyarrow as pa
import pytest

from mfcli.config import Config
from mfcli.data import Ratings, ratings_from
from mfcli.model import Model, fold_in, top_items
from mfcli.splits import split
from mfcli.storage import one_blas_thread
from mfcli.storage.blas import blas_calls
from mfcli.training import fit

USERS, ITEMS = 3000, 900


def random_ratings(first_user: int, users: int, count: int) -> Ratings:
    rng = np.random.default_rng(users)
    columns = {
        "user": first_user + rng.integers(0, users, count),
        "item": rng.integers(0, ITEMS, count),
        "rating": rng.integers(1, 6, count).astype(float),
    }
    return ratings_from(pa.table(columns))


NEW = random_ratings(10**6, 50, 30_000)


def trained(threads: int = 1) -> Model:
    config = Config(optimizer="gibbs", k=20, epochs=4)
    return fit(split(random_ratings(0, USERS, 60_000), config), config, threads=threads).model


@pytest.fixture(scope="module")
def model() -> Model:
    return trained()


@pytest.fixture(scope="module")
def folded(model: Model) -> bytes:
    return tables(fold_in(model, NEW, 0.8).model)


threads_of_blas, set_blas_threads = blas_calls()


@pytest.fixture(params=[1, 2, 4])
def blas_threads(request: pytest.FixtureRequest) -> Iterator[int]:
    """BLAS with several numbers of threads, as if NumPy was imported before mfcli."""
    before = threads_of_blas()
    set_blas_threads(request.param)
    if threads_of_blas() != request.param:
        pytest.skip("the number of threads of this BLAS cannot be set")
    yield request.param
    set_blas_threads(before)


def tables(model: Model) -> bytes:
    return b"".join(table.tobytes() for table in model.tables.values())


@pytest.mark.usefixtures("blas_threads")
def test_gibbs_sampling(model: Model) -> None:
    assert tables(trained(threads=3)) == tables(model)


@pytest.mark.parametrize("threads", [1, 2, 3, 7])
@pytest.mark.usefixtures("blas_threads")
def test_recommendations(model: Model, threads: int) -> None:
    users = np.arange(-1, USERS, 7, dtype=np.int32)
    found = top_items(model, users, 10, threads=threads)
    expected = top_items(model, users, 10)
    assert found.items.tobytes() == expected.items.tobytes()
    assert found.scores.tobytes() == expected.scores.tobytes()


@pytest.mark.usefixtures("blas_threads")
def test_fold_in(model: Model, folded: bytes) -> None:
    assert tables(fold_in(model, NEW, 0.8).model) == folded


def in_thread(work: Callable[[], None]) -> threading.Thread:
    thread = threading.Thread(target=work)
    thread.start()
    return thread


def test_blas_gets_its_threads_back_after_the_last_block(blas_threads: int) -> None:
    entered, leave = threading.Event(), threading.Event()

    def other() -> None:
        with one_blas_thread():
            entered.set()
            leave.wait()

    with one_blas_thread():
        thread = in_thread(other)
        entered.wait()
        with one_blas_thread():
            assert threads_of_blas() == 1
    assert threads_of_blas() == 1, "the other thread still needs it"
    leave.set()
    thread.join()
    assert threads_of_blas() == blas_threads
    with pytest.raises(ZeroDivisionError), one_blas_thread():
        raise ZeroDivisionError
    assert threads_of_blas() == blas_threads

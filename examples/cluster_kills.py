"""Kill workers of a local cluster at random moments of short trainings, and compare the models.

    pip install "mfcli[ray]"
    python examples/cluster_kills.py --kills 50

Trainings with sgd, gibbs and als take turns. Each one must end with the bits of a training in one
process. A kill counts if it hit a worker before the training ended. At the end, nothing may be left
in shared memory, in the folder of temporary files, where Ray has its own, or among the processes.
The exit status is 1 if a model differs or something is left. It needs `ps`.
"""

from __future__ import annotations

import contextlib
import faulthandler
import hashlib
import os
import random
import signal
import subprocess
import sys
import tempfile
import threading
import time
import warnings
from collections.abc import Iterator
from pathlib import Path
from typing import Annotated, NamedTuple

import numpy as np
import typer

import mfcli
from mfcli.data import ratings_from
from mfcli.errors import MfcliWarning
from mfcli.splits import Split, read_split, write_split
from mfcli.training import Fit

CONFIGS = {
    "sgd": mfcli.Config(k=6, blocks=8, epochs=60),
    "gibbs": mfcli.Config(optimizer="gibbs", k=6, epochs=30, keep_samples=5),
    "als": mfcli.Config(optimizer="als", k=6, epochs=30),
}
TIMES = {"seconds", "computing", "waiting"}  # in histories
HANGING = 300.0  # seconds after which a training is given up
PAUSE = 0.02  # seconds between two looks at the processes
SHARED_MEMORY = Path("/dev/shm")


class Turn(NamedTuple):
    """A training, and what became of it.

    Attributes
    ----------
    optimizer : str
    hit : bool
        Whether a worker was killed before the training ended.
    replaced : bool
        Whether another worker started before the training ended.
    equal : bool
    seconds : float
    """

    optimizer: str
    hit: bool
    replaced: bool
    equal: bool
    seconds: float


class Killer(threading.Thread):
    """Kills a random worker of this process, once, some seconds after workers have started."""

    def __init__(self, delay: float, rng: random.Random) -> None:
        super().__init__()
        self._delay, self._rng, self._ended = delay, rng, threading.Event()
        self.hit, self.replaced = False, False

    def run(self) -> None:
        while not workers():
            if self._ended.wait(PAUSE):
                return
        if self._ended.wait(self._delay):
            return
        found = workers()
        if found:
            # The worker may end meanwhile.
            with contextlib.suppress(ProcessLookupError):
                os.kill(self._rng.choice(sorted(found)), signal.SIGKILL)
                self.hit = True
        while self.hit and not self.replaced and not self._ended.wait(PAUSE):
            self.replaced = bool(workers() - found)

    def end(self) -> None:
        self._ended.set()
        self.join()


def processes() -> dict[int, tuple[int, str]]:
    """Return the parent and the command line of each process."""
    command = ["ps", "-eo", "pid=,ppid=,args="]
    listed = subprocess.run(command, capture_output=True, text=True, check=True).stdout
    rows = (line.split(None, 2) for line in listed.splitlines())
    return {int(number): (int(parent), "".join(words)) for number, parent, *words in rows}


def workers() -> set[int]:
    """Return the workers that hold ratings and rows: child processes of a child of this one."""
    found = processes()
    nodes = {number for number, (parent, _) in found.items() if parent == os.getpid()}
    return {
        number
        for number, (parent, words) in found.items()
        if parent in nodes and words.startswith("ray::LaneHost")
    }


def digest(fitted: Fit) -> str:
    """Return a digest of the tables, the samples and the losses of a training."""
    found = hashlib.sha256()
    with tempfile.TemporaryDirectory() as folder:
        fitted.model.save(folder)
        for path in sorted(Path(folder).iterdir()):
            if path.suffix in {".arrow", ".npz"}:
                found.update(path.name.encode() + path.read_bytes())
    for name, table in sorted(fitted.model.tables.items()):
        found.update(name.encode() + np.ascontiguousarray(table).tobytes())
    lists = fitted.history.lists
    found.update(repr({name: lists[name] for name in sorted({*lists} - TIMES)}).encode())
    return found.hexdigest()


def some_ratings(folder: Path) -> Split:
    """Write a split of generated ratings into a folder, and read it."""
    rng = np.random.default_rng(0)
    user, item = np.nonzero(rng.random((400, 200)) < 0.2)
    rating = rng.integers(1, 6, len(user)).astype(float)
    ratings = ratings_from({"user": user, "item": item, "rating": rating})
    write_split(folder, mfcli.split(ratings, mfcli.Config(test=0.2)))
    return read_split(folder)


def turns(split: Split, kills: int, workers: int, seed: int) -> Iterator[Turn]:
    """Train in turn until some kills have hit, at most twice as many times."""
    expected = {name: digest(mfcli.fit(split, config)) for name, config in CONFIGS.items()}
    rng, hits = random.Random(seed), 0
    with mfcli.cluster("local", workers=workers):
        usual = {name: seconds_of(split, config) for name, config in CONFIGS.items()}
        for number in range(2 * kills):
            name = [*CONFIGS][number % len(CONFIGS)]
            killer, begin = Killer(rng.uniform(0, usual[name]), rng), time.monotonic()
            faulthandler.dump_traceback_later(HANGING, exit=True)
            killer.start()
            try:
                found = digest(mfcli.fit(split, CONFIGS[name]))
            finally:
                killer.end()
                faulthandler.cancel_dump_traceback_later()
            seconds, hits = time.monotonic() - begin, hits + killer.hit
            yield Turn(name, killer.hit, killer.replaced, found == expected[name], seconds)
            if hits == kills:
                return


def seconds_of(split: Split, config: mfcli.Config) -> float:
    begin = time.monotonic()
    mfcli.fit(split, config)
    return time.monotonic() - begin


def left(folder: Path, before: set[Path]) -> list[str]:
    """Return what is left in a folder, in shared memory, and among the processes."""
    running = [words for _, words in processes().values() if f"{folder}/" in words]
    return [*map(str, sorted({*folder.rglob("*")} | shared_memory() - before)), *running]


def shared_memory() -> set[Path]:
    return {*SHARED_MEMORY.iterdir()} if SHARED_MEMORY.is_dir() else set()


def main(
    kills: Annotated[int, typer.Option(help="Kills that hit a training.")] = 50,
    workers: Annotated[int, typer.Option(help="Number of workers.")] = 2,
    seed: Annotated[int, typer.Option(help="Seed of the moments and of the workers.")] = 0,
) -> None:
    """Kill workers at random moments, and print what happened."""
    warnings.simplefilter("ignore", MfcliWarning)  # of lost workers
    before, done = shared_memory(), list[Turn]()
    with tempfile.TemporaryDirectory(prefix="kills-", dir="/tmp") as name:
        data, temporary = Path(name) / "split", Path(name) / "temporary"
        temporary.mkdir()
        split = some_ratings(data)
        with mfcli.resources(temp=temporary):
            for turn in turns(split, kills, workers, seed):
                done.append(turn)
                print(f"{len(done):4} {described(turn)}", flush=True)
        remains = left(temporary, before)
    hits = [turn for turn in done if turn.hit]
    print(f"\n{'':8}{'kills':>8}{'replaced':>10}{'equal':>8}{'seconds':>10}")
    for name in (*CONFIGS, "all"):
        some = [turn for turn in hits if name in (turn.optimizer, "all")]
        seconds = sum(turn.seconds for turn in some)
        replaced, equal = sum(turn.replaced for turn in some), sum(turn.equal for turn in some)
        print(f"{name:8}{len(some):8}{replaced:10}{equal:8}{seconds:10.1f}")
    print(f"left in shared memory, temporary files and processes: {len(remains)}", *remains)
    sys.exit(bool(remains) or len(hits) < kills or not all(turn.equal for turn in done))


def described(turn: Turn) -> str:
    hit = ("killed, replaced" if turn.replaced else "killed") if turn.hit else "not hit"
    same = "equal" if turn.equal else "DIFFERENT"
    return f"{turn.optimizer:6} {hit:17} {same:10} {turn.seconds:6.1f} s"


if __name__ == "__main__":
    typer.run(main)

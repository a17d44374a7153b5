"""Run the pipeline repeatedly, kill it, give it invalid input, and look for losses.

    python examples/soak.py --minutes 10

A loss is an older result that is missing or damaged, a result that differs from an undisturbed run,
a temporary file that the next run does not delete, a traceback, or a hang.
"""

from __future__ import annotations

import dataclasses
import json
import random
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Annotated, Any

import typer

import mfcli
from mfcli.evaluation import read_metrics
from mfcli.training import CHECKPOINT_FOLDER, Checkpoint, History, read_checkpoint

_TIMEOUT = 120  # seconds after which a command is considered hanging


@dataclasses.dataclass
class Counts:
    """Numbers of what happened."""

    runs: int = 0
    commands: int = 0
    kills: int = 0
    bad_inputs: int = 0
    resumed: int = 0
    losses: int = 0


class Soak:
    """Runs of the pipeline in one folder."""

    def __init__(self, folder: Path, seed: int) -> None:
        self.folder, self.rng, self.counts = folder, random.Random(seed), Counts()

    def run(self) -> None:
        """Run all stages on random data with disturbances, and compare with an undisturbed run."""
        self.counts.runs += 1
        options = self._options()
        self._write_ratings(self.folder / "data.csv")
        self._until_done("split", "data.csv", "--seed", self.rng.randrange(100))
        for _ in range(self.rng.randrange(3)):
            self._split_damaged()
        self._train(options)
        self._until_done("evaluate", "--ranking", "--resamples", 20, "--relevant", 3)
        self._until_done("plot", "history.json")
        self._until_done("recommend", "--all", "--out", "top.csv")
        self._compare(options)
        self._look_around(done=True)

    def _options(self) -> dict[str, object]:
        return {
            "--k": self.rng.choice([1, 3, 10, 20]),
            "--epochs": self.rng.choice([5, 40, 200]),
            "--reg": self.rng.choice([0, 1e-4, 1e-2]),
            "--lr": self.rng.choice([0.01, 0.05]),
            "--batch-size": self.rng.choice([16, 128]),
            "--blocks": self.rng.choice([0, 1, 2]),
        }

    def _write_ratings(self, path: Path) -> None:
        users, items = self.rng.randrange(20, 400), self.rng.randrange(20, 200)
        pairs = self.rng.sample(range(users * items), min(users * items, 20 * users) // 2)
        rows = (f"u{p // items},{p % items},{self.rng.randrange(1, 6)}\n" for p in pairs)
        path.write_text("user,item,rating\n" + "".join(rows))

    def _train(self, options: dict[str, object]) -> None:
        words = [str(word) for pair in options.items() for word in pair]
        resume: list[str] = []
        while not self._command("train", *words, *resume, "--checkpoint-every", 1):
            kept = self._readable(self.folder / CHECKPOINT_FOLDER, read_checkpoint)
            same = kept and kept.config.k == options["--k"] and self._is_of_this_split(kept)
            resume = ["--resume"] if same else []
            self.counts.resumed += bool(resume)

    def _is_of_this_split(self, checkpoint: Checkpoint) -> bool:
        return checkpoint.split_hash == mfcli.read_split(self.folder / "split").hash

    def _split_damaged(self) -> None:
        """Split a damaged file. It succeeds or fails in one line, and a failure changes nothing."""
        self.counts.bad_inputs += 1
        data = bytearray((self.folder / "data.csv").read_bytes())
        for _ in range(self.rng.randrange(1, 20)):
            data[self.rng.randrange(len(data))] = self.rng.randrange(256)
        (self.folder / "bad.csv").write_bytes(data[: self.rng.randrange(len(data))])
        before = self._snapshot()
        out = self.rng.choice(["other", "split"])
        done = self._finish(self._start("split", "bad.csv", "--split", out))
        if done == 1 and self._snapshot() != before:
            self._lose("a failed split changed files")
        if done == 0 and out == "split":  # readable: continue with valid ratings
            self._until_done("split", "data.csv")

    def _until_done(self, *words: object) -> None:
        while not self._command(*words):
            pass

    def _command(self, *words: object) -> bool:
        """Run a command and sometimes kill it; return whether it ended by itself."""
        process = self._start(*words)
        if self.rng.random() < 0.4:
            time.sleep(self.rng.uniform(0.05, 1.2))
            if process.poll() is None:
                process.send_signal(
                    self.rng.choice([signal.SIGKILL, signal.SIGKILL, signal.SIGINT])
                )
                process.communicate()
                self.counts.kills += 1
                self._look_around(done=False)
                return False
        status = self._finish(process)
        if status != 0:
            self._lose(f"mfcli {' '.join(map(str, words))} ended with {status}")
        return True

    def _start(self, *words: object) -> subprocess.Popen[str]:
        self.counts.commands += 1
        command = [sys.executable, "-m", "mfcli", *map(str, words)]
        return subprocess.Popen(
            command, cwd=self.folder, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True
        )

    def _finish(self, process: subprocess.Popen[str]) -> int:
        try:
            _, err = process.communicate(timeout=_TIMEOUT)
        except subprocess.TimeoutExpired:
            process.kill()
            process.communicate()
            self._lose(f"{process.args} hangs")
            return -1
        if "Traceback" in err or (process.returncode and err.count("error: ") != 1):
            self._lose(err)
        return process.returncode

    def _look_around(self, *, done: bool) -> None:
        """Check that all results are readable and that a complete run left no other files."""
        readers: dict[str, Callable[[Path], object]] = {
            "split": mfcli.read_split,
            "model": mfcli.Model.load,
            CHECKPOINT_FOLDER: read_checkpoint,
            "history.json": History.read,
            "metrics.json": read_metrics,
        }
        for name, read in readers.items():
            self._readable(self.folder / name, read)
        if done:
            for path in self.folder.glob(".*"):
                self._lose(f"{path.name} remains")

    def _readable(self, path: Path, read: Callable[[Path], Any]) -> Any:
        try:
            return read(path) if path.exists() else None
        except mfcli.MfcliError as error:
            self._lose(str(error))
            return None

    def _compare(self, options: dict[str, object]) -> None:
        """Train again in this process without disturbances: the weights must have the same bits."""
        settings = {name[2:].replace("-", "_"): value for name, value in options.items()}
        split = mfcli.read_split(self.folder / "split")
        fitted = mfcli.fit(split, mfcli.Config(**settings))  # type: ignore[arg-type]
        model = mfcli.Model.load(self.folder / "model")
        for name, table in fitted.model.tables.items():
            if table.tobytes() != model.tables[name].tobytes():
                self._lose(f"{name} differ from those of an undisturbed training")

    def _snapshot(self) -> dict[Path, bytes]:
        return {path: path.read_bytes() for path in _files(self.folder)}

    def _lose(self, what: str) -> None:
        self.counts.losses += 1
        print(f"LOSS in run {self.counts.runs}: {what}", file=sys.stderr)


def _files(folder: Path) -> Iterator[Path]:
    return (path for path in sorted(folder.rglob("*")) if path.is_file())


def main(
    minutes: Annotated[float, typer.Option(help="Time limit.")] = 10,
    runs: Annotated[int, typer.Option(help="Maximum number of runs.")] = 100_000,
    seed: Annotated[int, typer.Option(help="Seed of all random choices.")] = 0,
) -> None:
    """Run the pipeline repeatedly and count losses."""
    end = time.monotonic() + 60 * minutes
    with tempfile.TemporaryDirectory() as folder:
        soak = Soak(Path(folder), seed)
        while time.monotonic() < end and soak.counts.runs < runs:
            soak.run()
    print(json.dumps(dataclasses.asdict(soak.counts), indent=2))
    raise typer.Exit(1 if soak.counts.losses else 0)


if __name__ == "__main__":
    typer.run(main)

"""Kills and invalid input in the stages of the pipeline."""

from __future__ import annotations

import signal
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import mfcli
from mfcli.training import CHECKPOINT_FOLDER, Checkpoint, read_checkpoint
from scenarios.damage import damaged
from scenarios.results import ARTIFACTS
from scenarios.scenario import Scenario


class Pipeline(Scenario):
    """All stages on random data, killed at random moments, give the same as an undisturbed run."""

    def turn(self) -> None:
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
            "--blocks": self.rng.choice([1, 2, 4]),
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
            kept = self._readable(CHECKPOINT_FOLDER, read_checkpoint)
            same = kept and kept.config.k == options["--k"] and self._is_of_this_split(kept)
            resume = ["--resume"] if same else []
            self.counts["resumed"] += bool(resume)

    def _is_of_this_split(self, checkpoint: Checkpoint) -> bool:
        return checkpoint.split_hash == mfcli.read_split(self.folder / "split").hash

    def _split_damaged(self) -> None:
        """Split a damaged file. It succeeds or fails in one line, and a failure changes nothing."""
        self.counts["bad_inputs"] += 1
        data = (self.folder / "data.csv").read_bytes()
        for _ in range(self.rng.randrange(1, 5)):
            data = damaged(data, self.rng) or data
        (self.folder / "bad.csv").write_bytes(data)
        before = self._snapshot()
        out = self.rng.choice(["other", "split"])
        status, _ = self.finish(self.start("split", "bad.csv", "--split", out))
        if status == 1 and self._snapshot() != before:
            self.lose("a failed split changed files")
        if status == 0 and out == "split":  # readable: continue with valid ratings
            self._until_done("split", "data.csv")

    def _until_done(self, *words: object) -> None:
        while not self._command(*words):
            pass

    def _command(self, *words: object) -> bool:
        """Run a command and sometimes kill it; return whether it ended by itself."""
        process = self.start(*words)
        if self.rng.random() < 0.4:
            time.sleep(self.rng.uniform(0.05, 1.2))
            if process.poll() is None:
                process.send_signal(
                    self.rng.choice([signal.SIGKILL, signal.SIGKILL, signal.SIGINT])
                )
                process.communicate()
                self.counts["kills"] += 1
                self._look_around(done=False)
                return False
        if self.finish(process)[0] == 1:
            self.lose(f"mfcli {' '.join(map(str, words))} failed")
        return True

    def _look_around(self, *, done: bool) -> None:
        """Check that all results are readable and that a complete run left no other files."""
        for name, read in ARTIFACTS.items():
            self._readable(name, read)
        if done:
            for path in self.folder.glob(".*"):
                self.lose(f"{path.name} remains")

    def _readable(self, name: str, read: Any) -> Any:
        path = self.folder / name
        try:
            return read(path) if path.exists() else None
        except mfcli.MfcliError as error:
            self.lose(str(error))
            return None

    def _compare(self, options: dict[str, object]) -> None:
        """Train again in this process without disturbances: the weights must have the same bits."""
        settings = {name[2:].replace("-", "_"): value for name, value in options.items()}
        split = mfcli.read_split(self.folder / "split")
        fitted = mfcli.fit(split, mfcli.Config(**settings))  # type: ignore[arg-type]
        model = mfcli.Model.load(self.folder / "model")
        for name, table in fitted.model.tables.items():
            if table.tobytes() != model.tables[name].tobytes():
                self.lose(f"{name} differ from those of an undisturbed training")

    def _snapshot(self) -> dict[Path, bytes]:
        return {path: path.read_bytes() for path in _files(self.folder)}


def _files(folder: Path) -> Iterator[Path]:
    return (path for path in sorted(folder.rglob("*")) if path.is_file())

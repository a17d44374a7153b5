"""Signals at any moment of any command."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import time
from pathlib import Path
from typing import Any

from scenarios.downloads import Downloads
from scenarios.results import results, temporaries
from scenarios.workplaces import Workplace

COMMANDS = {
    "help": "--help",
    "split": "split data.csv --valid 0.1 --seed 5",
    "train": "train --epochs 60 --reg 1e-4",
    "compile": "train --epochs 5 --k 7",
    "gibbs": "train --optimizer gibbs --epochs 20",
    "tune": "tune --trials 4 --space space.toml --storage search.jsonl",
    "evaluate": "evaluate --ranking --relevant 4",
    "recommend": "recommend --all --out top.csv",
    "predict": "predict data.csv --out predicted.csv",
    "plot": "plot history.json",
    "export": "export --format keras --out exported.keras",
    "export csv": "export --format csv --out csv",
    "fold-in": "fold-in new.csv --out folded.csv",
    "check": "check data.csv",
    "init": "init",
    "compare": "compare metrics.json other.json",
    "show": "show",
    "fetch": "fetch ml-latest-small --base",
}
"""Commands to stop. `compile` starts without compiled kernels, `fetch` gets an address to use."""

_GROWING = ("search.jsonl",)  # files that a stopped command leaves with a part of their content
_HANG = 20  # seconds


class Signals(Workplace):
    """A signal at a random moment of a command; all commands in turn."""

    users, items, ratings = 600, 800, 40_000

    def __init__(self, *args: Any) -> None:
        super().__init__(*args)
        self._seconds: dict[str, float] = {}
        self._complete: dict[str, dict[str, Any]] = {}

    def turn(self) -> None:
        names = list(COMMANDS)
        name = names[self.counts["turns"] % len(names)]
        with Downloads() as address:
            words = [*COMMANDS[name].split(), *([address] if name == "fetch" else [])]
            if name not in self._seconds:
                self._measure(name, words)
            self._stop(name, words)

    def _measure(self, name: str, words: list[str]) -> None:
        """Run a command without a signal, and keep how long it takes and what it leaves."""
        folder, variables = self._prepare(name)
        begin = time.monotonic()
        self.run(*words, folder=folder, **variables)
        self._seconds[name] = time.monotonic() - begin
        self._complete[name] = results(folder)

    def _prepare(self, name: str) -> tuple[Path, dict[str, Path]]:
        """Return a folder to run in, and variables with folders for temporary and cached files."""
        folder, scratch = self.fresh(), self.folder / "scratch"
        shutil.rmtree(scratch, ignore_errors=True)
        scratch.mkdir()
        if name != "compile":
            return folder, {"TMPDIR": scratch}
        shutil.rmtree(self.folder / "cache", ignore_errors=True)
        return folder, {"TMPDIR": scratch, "XDG_CACHE_HOME": self.folder / "cache"}

    def _stop(self, name: str, words: list[str]) -> None:
        folder, variables = self._prepare(name)
        before = results(folder)
        number = self.rng.choice(_signals())
        moment = self.rng.uniform(0, self._seconds[name])
        process = self.start(*words, folder=folder, **variables)
        time.sleep(moment)
        runs, is_ready = process.poll() is None, _catches(process.pid, signal.SIGTERM)
        begin = time.monotonic()
        process.send_signal(number)
        try:
            _, err = process.communicate(timeout=_HANG)
        except subprocess.TimeoutExpired:
            process.kill()
            _, err = process.communicate()
            err += "\nhangs"
        seconds, status = time.monotonic() - begin, process.returncode
        if runs:
            self.counts["signals"] += 1
        else:  # the machine has become faster
            self._seconds[name] = 0.7 * self._seconds[name] + 0.3 * moment
        faults = [
            *self._faults_of_end(number, status, err, is_ready),
            *self._faults_of_files(name, folder, before, status),
        ]
        if runs and seconds > self.patience * _load():
            faults.append(f"took {seconds:.1f} s to end")
        if faults:
            what = "; ".join(faults)
            when = f"{number.name} after {moment:.3f} of {self._seconds[name]:.2f} s"
            self.lose(f"{name}, {when}, status {status}: {what}\n{err[-2000:]}")

    def _faults_of_end(
        self, number: signal.Signals, status: int, err: str, is_ready: bool
    ) -> list[str]:
        """Return what is wrong with the way in which a command ended.

        Before mfcli catches signals and after it has ended, Python reacts to them: the process ends
        by the signal, or Python prints a traceback in which mfcli does not occur.
        """
        faults = []
        bad = [
            text for text in ("Traceback", "Exception ignored", "Fatal", "error: ") if text in err
        ]
        if bad and (is_ready or "mfcli" in err):
            faults.append(f"printed {bad}")
        allowed = {0, 128 + number} | (set() if is_ready else {-number})
        if status not in allowed and (is_ready or not bad):
            faults.append("wrong status")
        if "hangs" in err:
            faults.append("hangs")
        return faults

    def _faults_of_files(
        self, name: str, folder: Path, before: dict[str, Any], status: int
    ) -> list[str]:
        """Return which results are neither those from before nor complete."""
        complete, after = self._complete[name], results(folder)
        left = [*temporaries(folder), *(path.name for path in (self.folder / "scratch").iterdir())]
        faults = [f"left {left}"] if left else []
        if status == 0 and after != complete:
            faults.append("ended with 0, but is not complete")
        faults += [f"removed {lost}" for lost in before if lost not in after]
        for result, content in after.items():
            known = before.get(result), complete.get(result)
            if content not in known and result not in _GROWING and ".part" not in result:
                faults.append(f"{result} is neither old nor complete")
        return faults


def _signals() -> list[signal.Signals]:
    """Return the signals that stop commands; `nohup` ignores SIGHUP."""
    hangup = [signal.SIGHUP] if signal.getsignal(signal.SIGHUP) is not signal.SIG_IGN else []
    return [signal.SIGINT, signal.SIGTERM, *hangup]


def _catches(pid: int, number: int) -> bool:
    """Return whether a process has a handler for a signal; False where there is no /proc."""
    try:
        status = Path(f"/proc/{pid}/status").read_text()
    except OSError:
        return False
    mask = status.partition("SigCgt:")[2].split()[:1]
    return bool(mask) and bool(int(mask[0], 16) >> (number - 1) & 1)


def _load() -> float:
    """Return by which factor a busy machine is slower than an idle one; at least 1."""
    return max(1.0, os.getloadavg()[0] / (os.cpu_count() or 1))

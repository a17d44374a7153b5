"""Measure mfcli within limits of memory, and compare the bits of its results.

    python examples/make_ratings.py large.csv --share 10 --items 100000   # 200 million ratings
    python examples/bounded_memory.py large.csv --memory 1GB
    python examples/make_ratings.py ratings.csv
    python examples/bounded_memory.py ratings.csv --memory 600MB --memory 2GB --memory none

Each stage is a process. On Linux, run as root, it is in a control group that kills it beyond the
limit. The temporary space is what unnamed files of the process take, observed ten times a second.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
import subprocess
import sys
import tempfile
import time
import zipfile
from collections.abc import Iterator
from pathlib import Path
from typing import Annotated, NamedTuple

import typer
from rich.console import Console
from rich.table import Table

from mfcli.storage import bytes_of, bytes_text

STAGES = ("split", "train", "evaluate", "predict")
NONE = "none"
_GROUPS = Path("/sys/fs/cgroup")
_INTERVAL = 0.1  # seconds between two observations of a process
_UNIT = 1 if sys.platform == "darwin" else 1024  # bytes in a unit of `ru_maxrss`


class Used(NamedTuple):
    """What a process used: seconds, and bytes of memory and of unnamed files at the peak."""

    seconds: float
    memory: int
    space: int


def main(
    data: Annotated[Path, typer.Argument(exists=True, help="Ratings.")],
    memory: Annotated[list[str], typer.Option(metavar="SIZE", help="Limit, or none; repeatable.")],
    stage: Annotated[
        list[str] | None,
        typer.Option(metavar="NAME", help=f"Only this stage ({', '.join(STAGES)}); repeatable."),
    ] = None,
    folder: Annotated[
        Path | None, typer.Option(exists=True, help="For results; temporary if not given.")
    ] = None,
    train: Annotated[str, typer.Option(help="Options of mfcli train.")] = "--k 10 --epochs 3",
    threads: Annotated[int, typer.Option(min=1, help="Number of threads.")] = 2,
) -> None:
    """Measure mfcli within limits of memory, and compare the bits of its results."""
    table = Table("stage", "limit", "seconds", "peak memory", "temporary", "seconds/epoch", "bits")
    with contextlib.ExitStack() as stack:
        place = folder or Path(stack.enter_context(tempfile.TemporaryDirectory()))
        for limit in memory:
            own = place / limit
            own.mkdir(exist_ok=True)
            for name in stage or STAGES:
                words = command(name, data.absolute(), own, train.split(), threads)
                used = run(words, own, None if limit == NONE else limit)
                table.add_row(
                    name, limit, f"{used.seconds:.1f}", bytes_text(used.memory),
                    bytes_text(used.space), epoch_seconds(name, own), digest(name, own)[:12],
                )  # fmt: skip
                print(f"{name} {limit}: {used.seconds:.1f} s", file=sys.stderr)
    Console(width=120).print(table)


def command(stage: str, data: Path, folder: Path, train: list[str], threads: int) -> list[str]:
    """Return the words of a stage, whose results are in a folder."""
    split, model = folder / "split", folder / "model"
    options = {
        "split": [data, "--split", split],
        "train": ["--split", split, "--out", folder, "--threads", threads, *train],
        "evaluate": ["--split", split, "--model", model, "--threads", threads],
        "predict": [data, "--model", model, "--out", folder / "predicted.csv"],
    }[stage]
    return [sys.executable, "-m", "mfcli", stage, "--quiet", *map(str, options)]


def run(words: list[str], folder: Path, limit: str | None) -> Used:
    """Run a command within a limit, if there is one, and in a control group if possible."""
    if limit is not None:
        words = [*words, "--memory", limit]
    with control_group(limit) as group, (folder / "output").open("wb") as output:
        begin = time.perf_counter()

        def enter() -> None:
            if group:
                (group / "cgroup.procs").write_text("0")

        child = subprocess.Popen(words, stdout=output, preexec_fn=enter)
        space = 0
        while True:
            done, status, used = os.wait4(child.pid, os.WNOHANG)
            if done:
                break
            space = max(space, unnamed_space(child.pid))
            time.sleep(_INTERVAL)
        seconds = time.perf_counter() - begin
    child.returncode = os.waitstatus_to_exitcode(status)
    if child.returncode:
        raise SystemExit(f"{' '.join(words)}: exit status {child.returncode}")
    return Used(seconds, used.ru_maxrss * _UNIT, space)


@contextlib.contextmanager
def control_group(limit: str | None) -> Iterator[Path | None]:
    """Yield a control group with a limit; None if there is no limit or no right to make one."""
    versions = {"memory/memory.limit_in_bytes": _GROUPS / "memory", "memory.max": _GROUPS}
    parents = [parent for file, parent in versions.items() if (_GROUPS / file).exists()]
    if limit is None or not parents or os.geteuid():
        yield None
        return
    group = parents[0] / f"bounded-{os.getpid()}"
    group.mkdir()
    try:
        name = "memory.limit_in_bytes" if parents[0].name == "memory" else "memory.max"
        (group / name).write_text(str(bytes_of(limit)))
        yield group
    finally:
        group.rmdir()


def unnamed_space(process: int) -> int:
    """Return the bytes on disk of open files without a name."""
    total = 0
    for entry in Path(f"/proc/{process}/fd").glob("*"):
        with contextlib.suppress(OSError):
            if str(entry.readlink()).endswith(" (deleted)"):
                total += entry.stat().st_blocks * 512
    return total


def epoch_seconds(stage: str, folder: Path) -> str:
    """Return the median time of the epochs after a training."""
    if stage != "train":
        return ""
    seconds = sorted(json.loads((folder / "history.json").read_text())["seconds"])
    return f"{seconds[len(seconds) // 2]:.2f}"


def digest(stage: str, folder: Path) -> str:
    """Return a digest of what a stage has written, apart from times."""
    found = hashlib.sha256()
    if stage == "train":  # a Keras file also has the time when it was written
        with zipfile.ZipFile(folder / "model" / "model.keras") as archive:
            found.update(archive.read("model.weights.h5"))
        return found.hexdigest()
    names = {"split": "split/*.arrow", "evaluate": "metrics.json", "predict": "predicted.csv"}
    for path in sorted(folder.glob(names[stage])):
        with path.open("rb") as file:
            found.update(hashlib.file_digest(file, "sha256").digest())
    return found.hexdigest()


if __name__ == "__main__":
    typer.run(main)

"""The options `--log` and `--tensorboard`: who follows a training, and what must stay apart."""

from __future__ import annotations

import os
import stat
import sys
from collections.abc import Collection, Iterator
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from mfcli import evaluation, events, training
from mfcli.cli.options import FILES, FieldsGroup
from mfcli.errors import Param, Text, UsageError

if TYPE_CHECKING:
    from mfcli.events import Follower

_REMEDY = "choose another place"


@dataclass(frozen=True)
class Followers:
    """Who follows a training."""

    log: Annotated[
        Path | None,
        typer.Option(
            "--log",
            metavar="FILE",
            help="Append events (the plan, each epoch, checkpoints, the result) to a file or a"
            " pipe, as JSON lines; several runs may share it.",
            rich_help_panel=FILES,
        ),
    ] = None
    tensorboard: Annotated[
        Path | None,
        typer.Option(
            "--tensorboard",
            metavar="DIR",
            help="Write what TensorBoard reads, into a new folder in DIR for each run.",
            rich_help_panel=FILES,
        ),
    ] = None

    @property
    def params(self) -> list[Param]:
        """The parameters that were given, to repeat a command."""
        given = {"log": self.log, "tensorboard": self.tensorboard}
        return [Param(name, str(place)) for name, place in given.items() if place]

    def check(self, split: Path, outs: Collection[Path]) -> None:
        """Check where events would be written.

        Parameters
        ----------
        split : Path
        outs : collection of Path
            The folders of the results.

        Raises
        ------
        UsageError
            If a file of events would be among the results or in the split, which could not be
            replaced then, or is standard output.
        """
        for option, place in (("log", self.log), ("tensorboard", self.tensorboard)):
            if place:
                _check_apart(option, place, split, outs)
        if self.log:
            _check_not_stdout(self.log)
        if self.log and self.tensorboard:
            _check_differ(self.log, self.tensorboard)

    @contextmanager
    def opened(self) -> Iterator[tuple[Follower, ...]]:
        """Yield the followers.

        Raises
        ------
        ArtifactError
            If events cannot be written.
        """
        with ExitStack() as stack:
            followers: list[Follower] = []
            if self.tensorboard:
                followers.append(stack.enter_context(events.TensorBoard(self.tensorboard)))
            if self.log:  # last, because it creates the file
                followers.append(stack.enter_context(events.EventLog(self.log)))
            yield tuple(followers)


def _check_apart(option: str, place: Path, split: Path, outs: Collection[Path]) -> None:
    path = place.resolve()
    results = [result for out in outs for result in _results_in(out.resolve())]
    for taken in (split.resolve(), *results):
        if path.is_relative_to(taken):
            what = "the split folder" if taken == split.resolve() else "a place of results"
            is_it = "is" if path == taken else "is in"
            rule = f"{is_it} {what}, {taken.name}"
            raise UsageError(rule, param=option, value=str(place), remedy=_REMEDY)


def _check_differ(log: Path, tensorboard: Path) -> None:
    if tensorboard.resolve().is_relative_to(log.resolve()):
        rule: Text = ["must not be in the file of ", Param("log", str(log))]
        raise UsageError(rule, param="tensorboard", value=str(tensorboard), remedy=_REMEDY)


def _results_in(out: Path) -> list[Path]:
    return [*training.results_in(out), out / evaluation.METRICS_FILE]


def _check_not_stdout(log: Path) -> None:
    """Refuse standard output, which is for the result."""
    remedy = "choose a file or a named pipe"
    if str(log) == "-" or _is_stdout(log):
        raise UsageError("is standard output, which is for the result", place=log, remedy=remedy)


def _is_stdout(log: Path) -> bool:
    with suppress(OSError, ValueError):
        status, out = log.stat(), os.fstat(sys.stdout.fileno())
        kind = stat.S_ISREG(out.st_mode) or stat.S_ISFIFO(out.st_mode)
        return kind and os.path.samestat(status, out)
    return False


FollowerOptions = Annotated[Followers, FieldsGroup(Followers)]

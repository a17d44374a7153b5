"""A training that programs follow: the hooks of `fit` become events."""

from __future__ import annotations

import dataclasses
import re
import secrets
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

from mfcli.arguments import is_address
from mfcli.config import Config
from mfcli.errors import MfcliError, Spell
from mfcli.events.event import Event, now
from mfcli.events.plan_values import plan_values
from mfcli.model import MODEL_FOLDER
from mfcli.splits import Split
from mfcli.storage import address_of, without_secrets
from mfcli.training import HISTORY_FILE, Epoch, Fit, Hooks, Plan

STOPPED = "stopped"
_RUN = re.compile("[0-9a-f]{12}")  # a part of file names, and checkpoints may come from elsewhere


class Follower(Protocol):
    """Follows a training."""

    def take(self, event: Event) -> None:
        """Take the next event."""


def run_name(earlier: str = "") -> str:
    """Return the name of a run: that of the run that it resumes, or a random one.

    It does not depend on the seed of the training.
    """
    return earlier if _RUN.fullmatch(earlier) else secrets.token_hex(6)


@contextmanager
def followed(
    split: Split, config: Config, *followers: Follower, **details: Any
) -> Iterator[Followed]:
    """Tell followers about a training in the block, and about the error that ends it.

    Parameters
    ----------
    split : Split
        Is trained on.
    config : Config
    *followers : Follower
        Such as an `EventLog`.
    **details
        Other fields of `Followed`.

    Yields
    ------
    Followed
        Its `hooks` are arguments of `fit`; its `result` tells the result.
    """
    training = Followed(split, config, followers, **details)
    try:
        yield training
    except (Exception, KeyboardInterrupt) as error:
        training.error(error)
        raise


@dataclass(frozen=True)
class Followed:
    """A training that is followed; see `followed`.

    Attributes
    ----------
    split : Split
    config : Config
    followers : tuple of Follower
    threads : int or None
        As for `fit`.
    resumed : int
        The number of epochs that were done before.
    out : Path or None
        The folder of the run, or of its fold.
    run : str
        The name of the run, random by default.
    fold, folds : int
        The number of the fold, from 1, and of all folds; 0 without folds.
    spell : callable
        Spells parameters in messages of errors.
    """

    split: Split
    config: Config
    followers: tuple[Follower, ...]
    threads: int | None = None
    resumed: int = 0
    out: Path | None = None
    run: str = dataclasses.field(default_factory=run_name)
    fold: int = 0
    folds: int = 0
    spell: Spell = str

    @property
    def hooks(self) -> Hooks:
        """The hooks of `fit` that make events."""
        return {
            "on_plan": self.on_plan,
            "on_epoch": self.on_epoch,
            "on_checkpoint": self.on_checkpoint,
        }

    def on_plan(self, plan: Plan) -> None:
        if not self.followers:
            return
        values = plan_values(self.split, self.config, plan, self.threads)
        place = {"folds": self.folds, "resumed": self.resumed, "out": _place(self.out)}
        self._tell("plan", values | place)

    def on_epoch(self, epoch: Epoch) -> None:
        self._tell("epoch", {n: value for n, value in vars(epoch).items() if value is not None})

    def on_checkpoint(self, epoch: int, folder: Path) -> None:
        self._tell("checkpoint", {"epoch": epoch, "path": _place(folder)})

    def result(self, fitted: Fit) -> None:
        """Tell the result, once it is written to `out`."""
        history, out = fitted.history, self.out
        self._tell("result", {
            "epoch": fitted.epoch or len(history),
            "epochs": len(history),
            **fitted.losses,
            "seconds": sum(history.lists["seconds"]),
            "model": _place(out and out / MODEL_FOLDER),
            "history": _place(out and out / HISTORY_FILE),
        })  # fmt: skip

    def error(self, error: BaseException) -> None:
        """Tell what ended the training."""
        self._tell("error", {"message": self._message(error)})

    def _message(self, error: BaseException) -> str:
        if isinstance(error, KeyboardInterrupt):
            return STOPPED
        if isinstance(error, MfcliError):
            return " ".join(error.phrase(self.spell).split())
        return " ".join(f"{type(error).__name__}: {error}".split())

    def _tell(self, kind: str, values: dict[str, Any]) -> None:
        fold = {"fold": self.fold} if self.fold else {}
        event = {"event": kind, "time": now(), "run": self.run, **fold, **values}
        for follower in self.followers:
            follower.take(event)


def _place(path: Path | None) -> str | None:
    """Return how others find a path: the full path, or its address in an object store."""
    if path is None:
        return None
    address = address_of(path)
    return without_secrets(address) if is_address(address) else address

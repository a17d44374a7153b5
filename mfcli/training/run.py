"""A training in progress: its epochs, their validation, the best one, and divergence."""

from __future__ import annotations

import dataclasses
import math
import time
from collections.abc import Sequence

import numpy as np

from mfcli.clusters import Cluster
from mfcli.config import Config
from mfcli.errors import Param, Text
from mfcli.model import Model
from mfcli.splits import Split
from mfcli.training.best_epoch import BestEpoch
from mfcli.training.checkpoints import Checkpoint
from mfcli.training.engine import Engine, Losses
from mfcli.training.fitted import Diverged, Fit
from mfcli.training.history import Epoch, History
from mfcli.training.stable_rate import stable_rate
from mfcli.training.validation_measure import ValidationMeasure, ranked_validation
from mfcli.types import Floats, Progress

_NARROW = 0.1  # difference below which the initial weights of descent may be too large


class Run:
    """A training in progress.

    Parameters
    ----------
    split : Split
    config : Config
        Its `epochs` and `patience` say when the training is done.
    engine : Engine
        For the training ratings of the split, restored if there are earlier epochs.
    start : Model
        Before the first epoch.
    threads : int
        Of the validation; does not change the result.
    earlier : sequence of Epoch
        The epochs so far.
    best : dict of float32 arrays, optional
        The tables after the best one of them.
    after : int
        Number of epochs before these that are not known.
    cluster : Cluster, optional
        On which the engine trains.
    """

    def __init__(
        self,
        split: Split,
        config: Config,
        engine: Engine,
        start: Model,
        threads: int,
        *,
        earlier: Sequence[Epoch] = (),
        best: dict[str, Floats] | None = None,
        after: int = 0,
        cluster: Cluster | None = None,
    ) -> None:
        self._split, self._config, self._threads = split, config, threads
        self._engine, self._start, self._after, self._cluster = engine, start, after, cluster
        self._ranked = ranked_validation(split, config, threads)
        self._epochs: list[Epoch] = []
        self._best_epoch = BestEpoch(config)
        for epoch in earlier:
            self._add(epoch)
        self._best = engine.model().with_tables(best) if best else start

    def next(self, on_progress: Progress) -> Epoch:
        """Run the next epoch and validate it."""
        begin, number = time.perf_counter(), self._after + len(self._epochs) + 1
        cluster = self._cluster
        computed = cluster.computing if cluster else 0.0
        losses, validation = self._losses(number, on_progress)
        if self._has_diverged(losses, validation):
            raise self._diverged(number)
        rankings = self._rankings()
        val_loss, val_mse = validation or (None, None)
        computing, waiting = None, None
        seconds = time.perf_counter() - begin
        if cluster:
            computing = min(cluster.computing - computed, seconds)
            waiting = seconds - computing
        epoch = Epoch(
            number, *losses, val_loss, val_mse, seconds, computing=computing, waiting=waiting,
            **rankings,
        )  # fmt: skip
        if self._add(epoch):
            self._best = self._engine.model()
        return epoch

    def _losses(self, number: int, on_progress: Progress) -> tuple[Losses, Losses | None]:
        """Run an epoch and return its losses, which need not be finite, and those of validation."""
        with np.errstate(all="ignore"):
            try:
                losses = self._engine.run_epoch(number, on_progress)
                return losses, self._engine.validate()
            # Matrices are not finite, or their elements are too small for float32.
            except (np.linalg.LinAlgError, ZeroDivisionError):
                return (Losses(math.nan, math.nan),) * 2

    def _rankings(self) -> dict[str, float]:
        """Return the followed measure of rankings by the name of its list."""
        if not self._ranked:
            return {}
        measure = ValidationMeasure.of(self._config)
        return {measure.list_name: self._ranked.measures(self._engine.model())[measure.name]}

    def _add(self, epoch: Epoch) -> bool:
        """Record an epoch; return whether it is better than all before it."""
        self._epochs.append(epoch)
        return self._best_epoch.offer(epoch)

    def is_done(self) -> bool:
        """Return whether all epochs are done, or validation has stopped improving."""
        done, patience = len(self._epochs), self._config.patience
        if done >= self._config.epochs:
            return True
        # Patience counts from the first average: models before it are not compared with averages.
        since = max(self._best_epoch.epoch, self._config.first_averaged)
        return patience is not None and done - since >= patience

    def result(self) -> Fit:
        """Return the last model, or with patience the best one."""
        if not self._config.patience:
            return self.last()
        # Every sample is one of the same distribution, those after the best epoch, too.
        best = dataclasses.replace(self._best, samples=self._engine.model().samples)
        return Fit(best, self._history(self._epochs), self._best_epoch.epoch)

    def last(self) -> Fit:
        """Return the last model."""
        history = self._history(self._epochs)
        return Fit(self._engine.model(), history, len(history))

    def checkpoint(self) -> Checkpoint:
        history = self._history(self._epochs)
        state, best = self._engine.state(), self._best.tables
        split = self._split
        return Checkpoint(self._config, split.hash, history, state, best, split.in_train)

    def _history(self, epochs: list[Epoch]) -> History:
        return History.of(epochs, self._ranked.users if self._ranked else None)

    def _has_diverged(self, losses: Losses, validation: Losses | None) -> bool:
        """Return whether the error is not finite, or larger than any error on the rating scale."""
        # If all ratings are equal, the scale sets no bound.
        most = (self._split.scale.max - self._split.scale.min) ** 2 or math.inf
        if not self._config.by_steps:
            # Without steps, nothing grows from epoch to epoch: large errors are those of one sample
            # (gibbs) or of a model with too many factors (als).
            most = math.inf
        measured = [losses, validation] if validation else [losses]
        is_finite = all(math.isfinite(value) for one in measured for value in one)
        return not is_finite or max(one.mse for one in measured) > most

    def _diverged(self, number: int) -> Diverged:
        best, kept = None, "no epoch before it can be kept"
        if self._epochs:
            at = self._best_epoch.epoch
            best = Fit(self._best, self._history(self._epochs[:at]), at)
            which = "best epoch so far" if self._split.held_out else "last epoch before it"
            kept = f"epoch {at}, the {which}, was kept"
        config = self._config
        cause = f"lr {config.lr:g}" if config.by_steps else config.optimizer
        rule = f"training diverged at epoch {number} ({cause}); {kept}"
        return Diverged(rule, remedy=self._remedy(), best=best)

    def _remedy(self) -> Text:
        config = self._config
        if config.optimizer == "gibbs":
            return ["try a smaller ", Param("k"), " or remove outliers from the ratings"]
        if config.optimizer == "als":
            return ["try a larger ", Param("reg"), " or remove outliers from the ratings"]
        rate = stable_rate(self._start, self._split.train, config, self._threads)
        remedy: list[str | Param] = ["try another ", Param("reg"), " or ", Param("batch_size")]
        difference = self._split.scale.max - self._split.scale.min
        if rate:
            remedy = ["try ", Param("lr", float(f"{rate:g}"))]
        elif difference < _NARROW:
            remedy = [
                "multiply the ratings by a constant, because they differ by at most"
                f" {difference:g}, or use ",
                Param("optimizer", "gibbs"),
            ]
        if (config.blocks or 1) > 1:
            remedy += [" or fewer ", Param("blocks"), f" than {config.blocks}"]
        return remedy

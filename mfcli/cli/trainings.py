"""The trainings of `mfcli train`: what they announce, show and print."""

from __future__ import annotations

import math
from contextlib import AbstractContextManager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from mfcli import checks as checking, events, model as models, splits, training
from mfcli.cli.epoch_lines import Fold, print_network, training_progress
from mfcli.cli.feedback_words import words_for
from mfcli.cli.formatting import count, digits, duration, listed
from mfcli.cli.screen import Screen, print_note
from mfcli.cli.setting_options import Settings
from mfcli.cli.shared_options import refuse
from mfcli.cli.spelling import spelled
from mfcli.cli.streams import print_line
from mfcli.config import TRAINING, Config
from mfcli.errors import ClusterError, Param, warn

if TYPE_CHECKING:
    from mfcli.checks import Training
    from mfcli.events import Followed, Follower
    from mfcli.splits import Split
    from mfcli.training import Checkpoint, Epoch, Fit, Keeper, Plan

VALIDATION = ("metric", "at", "relevant")
"""Settings that say how epochs are validated."""

_ON_TEST = (
    "validation uses the test ratings, because the split has no validation ratings; choosing a"
    " model on them biases the test (split with --valid 0.1)"
)
_NOT_VALIDATED = "; not validated, because no ratings are held out"


@dataclass(frozen=True)
class Trainings:
    """The trainings of a command, one for each fold, and what they share.

    Attributes
    ----------
    settings : Settings
    threads : int or None
    checkpoint_every : int
        Epochs between checkpoints; 0 for as many as are needed.
    targets : dict of Path
        The folder of the results of each split folder.
    starts : dict of Checkpoint
        What each split folder resumes from; empty for a new training.
    resume_command : str
    screen : Screen
    refit : bool
    followers : tuple of Follower
    name : str
        Of the run, for its followers; empty without any.
    """

    settings: Settings
    threads: int | None
    checkpoint_every: int
    targets: dict[Path, Path]
    starts: dict[Path, Checkpoint]
    resume_command: str
    screen: Screen
    refit: bool
    followers: tuple[Follower, ...]
    name: str

    def looked_at(self, split: Path) -> Training:
        """Return what would be trained on a split folder."""
        parts, config = self._read(split)
        return checking.Training(split, parts, config, self.targets[split], self.starts.get(split))

    def _read(self, split: Path) -> tuple[Split, Config]:
        """Read a split folder, and return the ratings to train on and the settings."""
        parts = splits.read_split(split)
        config = self._config(split, parts)
        if self.refit:
            parts = parts.union()
        if parts.held_out is None:
            refuse(self.settings.options, VALIDATION, "without held-out ratings", "omit it")
        return parts, config

    def train(self, split: Path) -> dict[str, Any]:
        """Train on a split folder, write the results, and return a summary."""
        (parts, config), out = self._read(split), self.targets[split]
        with self._followed(split, parts, config) as followed:
            fitted = self._fit(split, parts, config, followed)
            fitted.write(out)
            followed.result(fitted)
        summary = _summary(fitted, len(parts.train), out)
        if not self.screen.json:
            _print_result(fitted, parts, summary)
        self._note_best(fitted)
        return summary

    def _note_best(self, fitted: Fit) -> None:
        """Name the best epoch, unless the model is that of this epoch."""
        best = training.BestEpoch(fitted.model.config)
        for epoch in fitted.history.epochs():
            best.offer(epoch)
        if best.epoch != fitted.epoch:
            peak = {"lower": "lowest", "higher": "highest"}[best.measure.better]
            self.screen.note(
                f"validation {best.measure.label} was {peak} after epoch {best.epoch}:"
                f" {digits(best.value)}"
            )

    def _config(self, split: Path, parts: Split) -> Config:
        """Return the settings for a split; a fold without a checkpoint has those of the others."""
        if not self.starts:
            return self._refit_config(split, parts) if self.refit else self.settings.config
        checkpoint = self.starts.get(split) or next(iter(self.starts.values()))
        return training.resumed(checkpoint, self.settings.values)

    def _refit_config(self, split: Path, parts: Split) -> Config:
        """Return the settings of a refit, and say where its epochs come from."""
        config = self.settings.config
        if "epochs" in self.settings.options:
            return training.refit_config(config)
        plan = training.plan_refit(parts, config, self.targets[split])
        text = f"refit with {plan.reason}"
        if plan.is_other:  # perhaps they were options, which were forgotten here
            warn(text, remedy=["give its settings again, or choose another ", Param("out")])
        else:
            self.screen.note(text)
        return plan.config

    def _followed(
        self, split: Path, parts: Split, config: Config
    ) -> AbstractContextManager[Followed]:
        """Tell the followers about a training."""
        checkpoint, folds = self.starts.get(split), len(self.targets)
        return events.followed(
            parts,
            config,
            *self.followers,
            threads=self.threads,
            resumed=len(checkpoint.history) if checkpoint else 0,
            out=self.targets[split],
            run=self.name,
            fold=self._fold(split).number if folds > 1 else 0,
            folds=folds if folds > 1 else 0,
            spell=spelled,
        )

    def _fold(self, split: Path) -> Fold:
        return Fold(list(self.targets).index(split) + 1, len(self.targets))

    def _fit(self, split: Path, parts: Split, config: Config, followed: Followed) -> Fit:
        out, checkpoint = self.targets[split], self.starts.get(split)
        keeper = self._keeper(split)
        earlier = checkpoint.history if checkpoint and checkpoint.has_state else None
        validated = parts.held_out is not None

        def on_plan(plan: Plan) -> None:
            followed.on_plan(plan)
            self._announce(parts, config, checkpoint, plan)
            shown.on_progress(0, 1)  # shows the bar, now that the table is printed

        def on_epoch(epoch: Epoch) -> None:
            followed.on_epoch(epoch)
            shown.on_epoch(epoch)

        fold = self._fold(split)
        with training_progress(self.screen, config, fold, earlier, validated=validated) as shown:
            try:
                return training.fit(
                    parts,
                    config,
                    threads=self.threads,
                    resume=checkpoint,
                    keeper=keeper,
                    on_plan=on_plan,
                    on_epoch=on_epoch,
                    on_checkpoint=followed.on_checkpoint,
                    on_progress=shown.on_progress,
                )
            except training.Diverged as error:
                # The best model so far may have taken hours.
                if error.best:
                    error.best.write(out)
                raise
            except (KeyboardInterrupt, ClusterError) as error:
                # If this run has written none, the checkpoint that it resumed from is the last one.
                kept = len(checkpoint.history) if checkpoint and not keeper.kept else keeper.kept
                if kept or isinstance(error, KeyboardInterrupt):
                    print_note(self._stopped(split, kept))
                raise

    def _keeper(self, split: Path) -> Keeper:
        """Return the keeper of a split; that of the first fold begins all folds of a new run."""
        folders = {
            part: target / training.CHECKPOINT_FOLDER for part, target in self.targets.items()
        }
        folder, others = folders[split], dict[Path, str]()
        if not self.starts and split == next(iter(folders)):
            del folders[split]
            others = {other: splits.split_hash(part) for part, other in folders.items()}
        return training.Keeper(folder, self.checkpoint_every, others, self.name)

    def _announce(
        self, parts: Split, config: Config, checkpoint: Checkpoint | None, plan: Plan
    ) -> None:
        """Print what is about to be trained, and how."""
        if not self.screen.json and not self.screen.quiet:
            print_network(parts, config)
        if parts.held_out and parts.valid is None:
            self.screen.note(_ON_TEST)
        if checkpoint:
            after = (
                f"after epoch {len(checkpoint.history)}" if checkpoint.has_state else "at epoch 1"
            )
            of = " of a refit" if self.refit else ""
            self.screen.note(f"resuming {after}{of}, with the settings of the checkpoint")
        for line in (plan.reason, *plan.on_cluster):
            self.screen.note(line)

    def _stopped(self, split: Path, kept: int | None) -> str:
        """Say where training stopped, and how to continue."""
        place = f" in {split.name}" if len(self.targets) > 1 else ""
        if kept is None:
            return f"stopped{place} before training began; no file was changed"
        if not kept:
            again = f"start again with the same settings: {self.resume_command}"
            return f"stopped{place} before the first checkpoint; {again}"
        return (
            f"stopped{place}; the last checkpoint is after epoch {kept}; resume:"
            f" {self.resume_command}"
        )


def _summary(fitted: Fit, ratings: int, out: Path) -> dict[str, Any]:
    seconds, epochs = sum(fitted.history.lists["seconds"]), len(fitted.history)
    return {
        "model": str(out / models.MODEL_FOLDER),
        "history": str(out / training.HISTORY_FILE),
        "epochs": epochs,
        "config": fitted.model.config.used(TRAINING),
        "seconds": seconds,
        "ratings_per_second": epochs * ratings / seconds,
        "epoch": fitted.epoch,
        "trained_on": [*fitted.model.trained_on],
        **fitted.losses,
    }


def _print_result(fitted: Fit, parts: Split, summary: dict[str, Any]) -> None:
    epochs = count(summary["epochs"], "epoch")
    if 0 < fitted.epoch < summary["epochs"]:  # early stopping
        epochs = f"epoch {fitted.epoch}, the best of {summary['epochs']},"
    print_line(
        f"{summary['model']} and {summary['history']}:"
        f" {_measured(fitted, parts)} after {epochs} in {duration(summary['seconds'])}"
        f" ({summary['ratings_per_second']:,.0f} {words_for(parts.feedback).rows}/s)"
        f"{'' if parts.held_out else _NOT_VALIDATED}"
    )


def _measured(fitted: Fit, parts: Split) -> str:
    """Return the validation measure and what it was computed on, or the error on train."""
    measure = training.ValidationMeasure.of(fitted.model.config)
    if not parts.held_out:
        of = f" of {listed(parts.in_train)}" if len(parts.in_train) > 1 else ""
        rows = words_for(parts.feedback).rows
        return f"{_trained(fitted)} on {len(parts.train):,} {rows}{of}"
    value = f"validation {measure.label} {measure.of_losses(fitted.losses):.4f}"
    if fitted.history.ranked_users is not None:
        return f"{value} for {count(fitted.history.ranked_users, 'user')}"
    name, held_out = parts.held_out
    return f"{value} on {len(held_out):,} {splits.ratings_of(name, parts.feedback)}"


def _trained(fitted: Fit) -> str:
    if fitted.model.predicts == "scores":  # which have no unit, so their errors say little
        return f"train loss {fitted.losses['loss']:.4f}"
    return f"train RMSE {math.sqrt(fitted.losses['mse']):.4f}"

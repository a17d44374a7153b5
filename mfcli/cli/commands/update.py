"""`mfcli update`."""

from __future__ import annotations

import math
import shutil
from contextlib import ExitStack
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from mfcli import data, splits, updates
from mfcli.cli.epoch_lines import Fold, training_progress
from mfcli.cli.feedback_words import words_for
from mfcli.cli.formatting import count, duration
from mfcli.cli.options import FILES
from mfcli.cli.outdated_results import note_older_models, older_metrics_noted
from mfcli.cli.reading_options import Reading, WeightedReadingOptions
from mfcli.cli.screen import Screen, ScreenOptions, print_note
from mfcli.cli.shared_options import LocalModel, LocalSplit, Threads
from mfcli.cli.streams import print_line
from mfcli.errors import UsageError

if TYPE_CHECKING:
    import pyarrow as pa

    from mfcli.data import Ratings
    from mfcli.training import Epoch
    from mfcli.updates import Outcome, Places, UpdatableRun

_ERASED = (
    "the factors of items still contain what was learned from removed users; train again to forget"
    " it; metrics, exports, recommendations and the files of ratings were not changed"
)
_COUNTS = ("new", "changed", "same", "older", "users", "items")
_REMOVED = ("removed_users", "removed_ratings", "omitted", "unknown")


def update(
    reading: WeightedReadingOptions,
    screen: ScreenOptions,
    ratings: Annotated[
        list[str] | None,
        typer.Argument(metavar="FILE", help="Files of new ratings, as for mfcli split."),
    ] = None,
    remove: Annotated[
        Path | None,
        typer.Option(
            "--remove",
            metavar="FILE",
            help="List of users to remove with all their ratings: one id per line, or a table.",
            rich_help_panel="Update",
        ),
    ] = None,
    epochs: Annotated[
        int | None,
        typer.Option(
            "--epochs",
            min=1,
            help="Epochs of the training that follows.",
            show_default="depends on how many ratings are new",
            rich_help_panel="Update",
        ),
    ] = None,
    threads: Threads = None,
    model: LocalModel = Path("model"),
    split: LocalSplit = Path("split"),
    out: Annotated[
        Path | None,
        typer.Option(
            "--out",
            metavar="DIR",
            help="Folder for a new split/, model/, history.json and checkpoint/.",
            show_default="replace the split and the model",
            rich_help_panel=FILES,
        ),
    ] = None,
) -> None:
    """Take new ratings into a split and its model, without starting over.

    New users and items are added. A pair that is rated again keeps its part of the split, and the
    later rating counts; all other new ratings are trained on. Files that were taken in before are
    skipped. After an interruption, run the command again.
    """
    if str(remove) == "-" and "-" in (ratings or []):
        rule = "standard input cannot be both new ratings and users to remove"
        raise UsageError(rule, remedy="provide one of them as a file")
    places = updates.places_of(split, model, out)
    work = _Work(places, reading, screen, epochs, threads)
    with updates.locked_places(places), older_metrics_noted(places.out, [places.out], screen):
        replaced = splits.split_hashes(split) if places.in_place else set()
        outcome = work.update(ratings or [], remove)
    remedy = "name each in: mfcli update --model"
    note_older_models(replaced - splits.split_hashes(split), split, screen, remedy)
    screen.show(_summary(outcome, places), lambda: _print(outcome, places))


@dataclass(frozen=True)
class _Work:
    """An update and how it is shown."""

    places: Places
    reading: Reading
    screen: Screen
    epochs: int | None
    threads: int | None

    def update(self, names: list[str], remove: Path | None) -> Outcome:
        run, first = updates.UpdatableRun(self.places), None
        if run.is_interrupted:
            self.screen.note("completing the update that was interrupted")
            first = self._trained(run, [], None, None)
            self._note(first, [])
            run = updates.UpdatableRun(self.places)
        reading = self.reading.following(run.split)
        with reading.rejected() as skipped:
            rejected = self._rejected(skipped, remove)
            given = [reading.read_listing([name], skipped, self.screen) for name in names]
            removed = _ids(remove, reading, run) if remove else None
            outcome = self._trained(run, given, removed, rejected)
        self._note(outcome, given)
        return first if first and outcome.history is None else outcome

    def _rejected(self, skipped: Path | None, remove: Path | None) -> Path | None:
        """Return the list of skipped rows for the new split: those of the older one, and more.

        It is None if users are removed, since their ids may be in any row.
        """
        older = self.places.split / splits.REJECTED
        if remove:
            return None
        if skipped and older.exists():
            shutil.copyfile(older, skipped)
        return skipped or older

    def _trained(
        self,
        run: UpdatableRun,
        given: list[Ratings],
        removed: pa.Array | None,
        rejected: Path | None,
    ) -> Outcome:
        with _Progress(self.screen, run) as shown:
            how = updates.Continuation(
                self.threads, self.epochs, shown.start, shown.on_epoch, shown.on_progress
            )
            try:
                return run.update(given, removed, how, rejected=rejected)
            except KeyboardInterrupt:
                print_note("stopped; the split and the model were not changed")
                raise

    def _note(self, outcome: Outcome, given: list[Ratings]) -> None:
        changes, note = outcome.changes, self.screen.note
        for name in changes.skipped:
            note(f"skipped {name}, which the split has taken in before")
        for ratings in given:
            for kind, rows in (ratings.source.rejected if ratings.source else {}).items():
                note(f"skipped {count(rows, 'row')}: invalid {kind}")
        if changes.unknown:
            note(f"{count(changes.unknown, 'user')} to remove: not in the split")
        for side in outcome.text_sides:
            note(f"{side} ids are text now, because some new ids are")
        if outcome.scales:
            before, now = (f"{one.min:g} to {one.max:g}" for one in outcome.scales)
            note(f"ratings are from {now} now; before: {before}")
        if outcome.dropped:
            note(f"{count(outcome.dropped, 'user')} of the older model: not in the new one, because"
                 " they were folded in")  # fmt: skip
        if changes.removed_users:
            note(_ERASED)


class _Progress(ExitStack):
    """Shows the epochs of an update, whose number is known when it starts."""

    def __init__(self, screen: Screen, run: UpdatableRun) -> None:
        super().__init__()
        self._screen, self._config = screen, run.model.config
        # A model of all parts has no ratings to validate on.
        self._validated = run.split.held_out is not None and len(run.model.trained_on) == 1

    def start(self, epochs: int) -> None:
        if not epochs:  # users are removed, and there is nothing to learn
            return
        config = replace(self._config, epochs=epochs)
        shown = training_progress(self._screen, config, Fold(1, 1), validated=self._validated)
        self._shown = self.enter_context(shown)
        self.on_progress(0, 1)

    def on_epoch(self, epoch: Epoch) -> None:
        self._shown.on_epoch(epoch)

    def on_progress(self, done: int, total: int) -> None:
        self._shown.on_progress(done, total)


def _ids(path: Path, reading: Reading, run: UpdatableRun) -> pa.Array:
    """Read the users to remove."""
    return data.read_ids(
        path,
        "user",
        reading.config.encoding,
        columns=reading.columns,
        names=reading.names,
        known=run.split.train.users,
    )


def _summary(outcome: Outcome, places: Places) -> dict[str, Any]:
    changes, history = outcome.changes, outcome.history
    values = {"before": outcome.before, "after": outcome.after}
    return {
        "split": str(places.new_split if history else places.split),
        "model": str(places.new_model if history else places.model),
        **{name: getattr(changes, name) for name in (*_COUNTS, *_REMOVED)},
        "skipped": [*changes.skipped],
        "epochs": len(outcome.epochs),
        "seconds": sum(epoch.seconds for epoch in outcome.epochs),
        "measure": outcome.measure.label,
        **{name: None if math.isnan(value) else value for name, value in values.items()},
    }


def _print(outcome: Outcome, places: Places) -> None:
    if outcome.history is None:
        print_line(f"{places.split}: nothing to do{_changes_text(outcome, ', ')}")
        return
    print_line(f"{places.new_split}{_changes_text(outcome, ': ')}")
    print_line(f"{places.new_model}: {_training_text(outcome)}")


def _changes_text(outcome: Outcome, separator: str) -> str:
    """Return what changed in the split, after a separator if there is anything."""
    changes = outcome.changes
    rows = words_for(outcome.feedback).rows
    counts = {
        f"new {rows if changes.new != 1 else rows[:-1]}": changes.new,
        "changed": changes.changed,
        "already there": changes.same,
        "older than there": changes.older,
    }
    sides = {"new user": changes.users, "new item": changes.items}
    texts = [f"{number:,} {name}" for name, number in counts.items() if number]
    texts += [count(number, name) for name, number in sides.items() if number]
    if changes.removed_users:
        users = count(changes.removed_users, "user")
        texts.append(f"{users} with {changes.removed_ratings:,} {rows} removed")
    if changes.omitted:
        texts.append(f"{changes.omitted:,} new {rows} of removed users left out")
    return separator + ", ".join(texts) if texts else ""


def _training_text(outcome: Outcome) -> str:
    epochs = count(len(outcome.epochs), "epoch")
    seconds = duration(sum(epoch.seconds for epoch in outcome.epochs))
    if math.isnan(outcome.after):
        return f"{epochs} in {seconds}"
    before = "" if math.isnan(outcome.before) else f" (before: {outcome.before:.4f})"
    label = outcome.measure.label
    return f"validation {label} {outcome.after:.4f}{before} after {epochs} in {seconds}"

"""`mfcli tune`."""

from __future__ import annotations

import math
import time
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from mfcli import checks as checking, config as configs, plots, search as searching, splits, storage
from mfcli.cli.cluster_options import on_cluster
from mfcli.cli.dry_run import DryRun, show_forecast
from mfcli.cli.formatting import count, words
from mfcli.cli.options import FILES, Given, SettingsGroup
from mfcli.cli.progress import counting
from mfcli.cli.screen import Screen, ScreenOptions, print_note
from mfcli.cli.setting_options import Settings, note_overriding
from mfcli.cli.shared_options import (
    Force,
    Purpose,
    SettingsFile,
    SplitFolder,
    Threads,
    refuse,
)
from mfcli.cli.spelling import spelled
from mfcli.errors import ArtifactError, LimitError, TrainingError, UsageError

if TYPE_CHECKING:
    from mfcli.config import Config
    from mfcli.search import Candidate, Search, SearchPlan
    from mfcli.splits import Split
    from mfcli.training import Epoch

_PANEL = "Search"
_WRITER = "mfcli tune"
_REPLACES = (_WRITER, "mfcli init")  # a search also tries the settings of init
_CHANGES = {
    "optimizer": {
        "help": "What to search: gibbs (its k, prior, noise and epochs) or sgd (its rates and"
        " penalties, too) for ratings, als for ranking.",
        "default": "gibbs; als for ranking",
    },
    "metric": {
        "help": "Measure to search by: rmse for ratings; ndcg, recall or map for ranking.",
        "default": "rmse; ndcg for ranking",
    },
    "relevant": {"default": "as mfcli init recommends"},
    "valid": {
        "help": "Fraction of the training ratings to validate on, if the split has no validation"
        " part.",
        "default": "0.1",
    },
}


@on_cluster()
def tune(
    *,
    purpose: Purpose = None,
    trials: Annotated[
        int,
        typer.Option(
            min=1,
            help="Number of trials, including those in --storage.",
            rich_help_panel=_PANEL,
        ),
    ] = 100,
    minutes: Annotated[
        float | None,
        typer.Option(
            min=0,
            metavar="FLOAT",
            help="Stop after this number of minutes.",
            show_default="no limit",
            rich_help_panel=_PANEL,
        ),
    ] = None,
    space: Annotated[
        Path | None,
        typer.Option(
            metavar="FILE",
            help="Values and ranges to choose from (TOML).",
            show_default="set by --for and --optimizer",
            rich_help_panel=_PANEL,
        ),
    ] = None,
    store: Annotated[
        Path | None,
        typer.Option(
            "--storage",
            metavar="FILE",
            help="File (JSON lines) to store the search in, or to resume it from.",
            rich_help_panel=_PANEL,
        ),
    ] = None,
    parallel_trials: Annotated[
        int | None,
        typer.Option(
            min=1,
            help="Number of trials that may run at the same time. Their settings do not depend on"
            " each other's results, so this number changes the search.",
            show_default="that of --storage, or 8",
            rich_help_panel=_PANEL,
        ),
    ] = None,
    settings: Annotated[
        Settings,
        SettingsGroup(
            *("optimizer", "metric", "at", "relevant", "valid", "seed"),
            panel=_PANEL,
            changes=_CHANGES,
        ),
    ],
    given: Given,
    screen: ScreenOptions,
    threads: Threads = None,
    dry_run: DryRun = False,
    split: SplitFolder = Path("split"),
    out: SettingsFile = configs.CONFIG_FILE,
    force: Force = False,
    plot: Annotated[
        Path | None,
        typer.Option(
            metavar="FILE",
            help="Plot the search to a PNG, SVG or PDF file.",
            rich_help_panel=FILES,
        ),
    ] = None,
) -> None:
    """Search for the settings that do best on validation ratings and write them to a file.

    The test ratings are not used.
    """
    # Imported here, so that help does not load it.
    from mfcli.cli.search_lines import print_search, search_progress

    if space:
        refuse(given, ("optimizer",), "with --space", f"name the optimizer in {space}")
    # Includes the training with the settings of `mfcli init`.
    end = time.monotonic() + (math.inf if minutes is None else 60 * minutes)
    with ExitStack() as stack:
        if dry_run:
            stack.enter_context(storage.inspecting())
        _check_request(store, out, plot)
        parts = _with_validation(split, settings.config, given, screen)
        plan = _plan(parts, settings, purpose, space)
        if plan.metric == "rmse":
            refuse(given, ("at", "relevant"), "without rankings", "omit it, or use --for ranking")
        search = plan.search(store, storage.threads_of(threads), parallel_trials)
        stack.enter_context(search)
        configs.check_settings_file(out, _REPLACES, force)
        if dry_run:
            files = checking.SearchFiles(split, out, space, store, plot)
            forecast = checking.forecast_search(
                search, files, trials, minutes=minutes, threads=threads
            )
            show_forecast(forecast, settings.source, screen)
            return
        advised = _try_recommended(search, threads, end, screen)
        rival = None if space else advised  # a space limits the search to what it contains
        output = _Output(search, rival, out, force, plot)
        with search_progress(search, trials, end, screen) as on_trial:
            try:
                search.run(trials, end - time.monotonic(), on_trial)
            except BaseException:  # Ctrl-C, too: the trials so far are worth keeping
                if search.best:
                    file = output.write()["file"]
                    print_note(f"stopped; {file} has the best of {len(search.attempts)} trials")
                raise
        result = output.write()
    result[f"recommended_{plan.metric}"] = advised.value if advised else None
    screen.show(result, lambda: print_search(search, result, rival))
    _note_failures(search.failures, screen)
    if space and advised and search.measure.is_better(advised.value, result[plan.metric]):
        init = searching.init_command(search.purpose)
        screen.note(f"the settings of {init} are better; to use them: {init} --force")


def _check_request(store: Path | None, out: Path, plot: Path | None) -> None:
    if store and store.resolve() in {file.resolve() for file in (out, plot) if file}:
        raise UsageError("--storage must differ from --out and --plot", value=str(store))
    if plot:
        plots.check_suffix(plot)
        storage.check_writable_file(plot)


def _note_failures(reasons: list[str], screen: Screen) -> None:
    if reasons:
        failed = count(len(reasons), "trial")
        screen.note(f"{failed} failed; reason of the first: {reasons[0]}")


def _with_validation(split: Path, config: Config, given: Given, screen: Screen) -> Split:
    whole = splits.read_split(split)
    if whole.valid is not None:
        refuse(given, ("valid",), f"with {split}, which has validation ratings", "omit it")
    parts = searching.with_validation(whole, config)
    if whole.valid is None:
        count = len(parts.parts["valid"])
        screen.note(
            f"validating on {count:,} of the training ratings, because the split has no"
            " validation ratings"
        )
    return parts


def _plan(parts: Split, settings: Settings, purpose: str | None, file: Path | None) -> SearchPlan:
    space = searching.read_space(file) if file else None
    purpose = searching.purpose_of(parts, settings.config, purpose, space=space)
    optimizer = settings.values.get("optimizer")
    searched = searching.SEARCHED[purpose]
    others = {one for names in searching.SEARCHED.values() for one in names} - {*searched}
    if file or (optimizer in others and "optimizer" not in settings.options):
        optimizer = None  # that of a settings file may be for the other purpose
    return searching.plan_search(
        parts,
        settings.config,
        purpose=purpose,
        optimizer=optimizer,
        space=space,
        has_relevant="relevant" in settings.values,
    )


def _try_recommended(
    search: Search, threads: int | None, end: float, screen: Screen
) -> Candidate | None:
    """Train with the settings of `mfcli init`, unless there are too many ratings or it fails.

    It fails if it would take longer than until `end`, a time of the monotonic clock.
    """
    if search.is_large:
        return None
    epochs = searching.recommended_config(search.split, purpose=search.purpose).epochs
    init = searching.init_command(search.purpose)
    try:
        with screen.bar(f"settings of {init}", counting("epochs")) as advance:

            def on_epoch(epoch: Epoch) -> None:
                advance(epoch.epoch, epochs)

            advance(0, epochs)
            candidate = searching.recommended_candidate(
                search, threads=threads, until=end, on_epoch=on_epoch
            )
    except (LimitError, TrainingError) as error:
        screen.note(f"cannot train with the settings of {init}: {error.phrase(spelled)}")
        return None
    label = search.measure.label
    screen.note(f"validation {label} with the settings of {init}: {candidate.value:.4f}")
    return candidate


@dataclass(frozen=True)
class _Output:
    """What a search writes: the best settings, and a plot."""

    search: Search
    rival: Candidate | None
    settings: Path
    force: bool
    plot: Path | None

    def write(self) -> dict[str, Any]:
        """Write the best settings and the plot; return the result."""
        found = searching.found_candidate(self.search)
        winner = searching.better_candidate(found, self.rival, self.search.measure)
        file = self._write_settings(winner)
        result = searching.summary(self.search, winner)
        if self.plot:
            importances = result["importances"]
            plots.plot_search(
                self.search.attempts,
                importances,
                self.plot,
                measure=self.search.measure,
                title=found.title,
            )
        return result | {"file": str(file), "picture": str(self.plot) if self.plot else None}

    def _write_settings(self, winner: Candidate) -> Path:
        text = configs.settings_text(f"{winner.title}.", winner.settings)
        try:
            file = configs.write_settings(
                self.settings, text, _WRITER, replaces=_REPLACES, force=self.force
            )
        except ArtifactError:
            # The search may have taken hours, so its result must not be lost.
            print_note(f"the best settings are {words(winner.values)}")
            raise
        if file != self.settings:
            changed = f"{self.settings} was created or edited during the search"
            print_note(f"{changed}; the settings are in {file}")
        note_overriding(winner.values, file)
        return file

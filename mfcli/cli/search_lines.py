"""The progress and the table of a search for settings."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from mfcli import search as searching
from mfcli.cli.formatting import digits, words
from mfcli.cli.progress import counting, line_interval
from mfcli.cli.screen import Screen
from mfcli.cli.spelling import training_command
from mfcli.cli.streams import print_line
from mfcli.cli.tables import print_table, table as make_table
from mfcli.config import value_text

if TYPE_CHECKING:
    from mfcli.search import Attempt, Candidate, Search


@contextmanager
def search_progress(
    search: Search, trials: int, until: float, screen: Screen
) -> Iterator[Callable[[Attempt], None]]:
    """Show the progress of a search on stderr: a live bar, or about ten lines.

    Parameters
    ----------
    search : Search
    trials : int
    until : float
        A time of the monotonic clock when the search ends in any case.
    screen : Screen

    Yields
    ------
    on_trial : callable
        For the argument of `Search.run`.
    """
    with screen.progress() as display:
        work = display.work("searching", counting("trials"), until=until, logs=False)

        def show() -> None:
            # A resumed search has trials already.
            work.update(search.ended, trials)
            if search.best:
                display.detail(_best(search))

        def on_trial(attempt: Attempt) -> None:
            show()
            if search.ended % line_interval(trials) == 0 or search.ended == trials:
                words = [work.amount, _best(search), work.left]
                display.log(", ".join(filter(None, words)))

        show()
        yield on_trial


def print_search(search: Search, result: dict[str, Any], rival: Candidate | None) -> None:
    """Print the settings of the best trial, those of the rival if they are better, and files.

    Parameters
    ----------
    search : Search
        With a complete trial.
    result : dict
        `mfcli.search.summary`, and the files that were written.
    rival : Candidate, optional
    """
    best, measure, out = search.best, search.measure, Path(result["file"])
    assert best  # `Search.run` raises if no trial was completed
    title = (
        f"Trial {best.number}, the best of {result['trials']} ({result['pruned']} pruned):"
        f" validation {measure.label} {best.value:.4f}"
    )
    table = make_table(title, "setting", "value", "importance")
    for name, value in searching.settings_from(best.settings, search.base).items():
        share = searching.importance_of(name, result["importances"])
        table.add_row(name, _short(value), "" if share is None else f"{share:.0%}")
    print_table(table)
    if rival and measure.is_better(rival.value, best.value):
        better = f"better (validation {measure.label} {rival.value:.4f}) and were written instead"
        print_line(f"The settings of {searching.init_command(search.purpose)} are {better}:")
        print_line(_words(rival.values))
    if result["picture"]:
        print_line(f"{result['picture']}: the search")
    print_line(f"wrote {out}; next: {training_command(out)}")


def _best(search: Search) -> str:
    if not search.best:
        return ""
    value, number = search.best.value, search.best.number
    return f"best validation {search.measure.label} {digits(value)} (trial {number})"


def _words(settings: Mapping[str, Any]) -> str:
    return words({name: _short(value) for name, value in settings.items()})


def _short(value: Any) -> str:
    # Values are drawn at random, so further digits mean nothing; the settings file has them all.
    return f"{value:.3g}" if isinstance(value, float) else value_text(value)

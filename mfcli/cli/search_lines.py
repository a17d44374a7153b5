"""The lines and the table of a search for settings."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from rich.progress import MofNCompleteColumn, TextColumn

from mfcli import search as searching
from mfcli.cli.formatting import printable, words
from mfcli.cli.screen import Screen
from mfcli.cli.spelling import training_command
from mfcli.cli.streams import print_line
from mfcli.cli.tables import print_table, table as make_table

if TYPE_CHECKING:
    from mfcli.search import Attempt, Candidate, Search


@contextmanager
def trial_lines(search: Search, trials: int, screen: Screen) -> Iterator[Callable[[Attempt], None]]:
    """Print a line for each trial that is better than all before, above a bar.

    Yields
    ------
    on_trial : callable
        For the argument of `Search.run`.
    """
    columns = (MofNCompleteColumn(), TextColumn("trials"))
    with screen.bar("searching", *columns) as (console, advance):

        def on_trial(attempt: Attempt) -> None:
            # Only improvements: a search may have hundreds of trials.
            if attempt is search.best and not screen.quiet:
                console.print(printable(_line(attempt)), soft_wrap=True)
            advance(len(search.attempts), trials)

        advance(len(search.attempts), trials)  # a resumed search has trials already
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
    best, out = search.best, Path(result["file"])
    assert best  # `Search.run` raises if no trial was completed
    title = (
        f"Trial {best.number}, the best of {result['trials']} ({result['pruned']} pruned):"
        f" validation RMSE {best.rmse:.4f}"
    )
    table = make_table(title, "setting", "value", "importance")
    for name, value in searching.settings_from(best.settings, search.base).items():
        share = searching.importance_of(name, result["importances"])
        table.add_row(name, _short(value), "" if share is None else f"{share:.0%}")
    print_table(table)
    if rival and rival.rmse < best.rmse:
        better = f"better (validation RMSE {rival.rmse:.4f}) and were written instead"
        print_line(f"The settings of mfcli init are {better}:")
        print_line(_words(rival.values))
    if result["picture"]:
        print_line(f"{result['picture']}: the search")
    print_line(f"wrote {out}; next: {training_command(out)}")


def _line(attempt: Attempt) -> str:
    return (
        f"trial {attempt.number}: validation RMSE {attempt.rmse:.4f} ({_words(attempt.settings)})"
    )


def _words(settings: Mapping[str, Any]) -> str:
    return words({name: _short(value) for name, value in settings.items()})


def _short(value: Any) -> str:
    # Values are drawn at random, so further digits mean nothing; the settings file has them all.
    return f"{value:.3g}" if isinstance(value, float) else str(value)

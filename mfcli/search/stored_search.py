"""The file that keeps a search: its trials, and what `mfcli init` gave."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from mfcli.errors import ArtifactError, Param, Text
from mfcli.search.sampling import frozen
from mfcli.search.spaces import Space
from mfcli.search.trials import Trial
from mfcli.storage import Journal, JournalRecord, Section, Whole, open_journal, record_values

ROUND = 8
"""Parallel trials by default."""

_OTHER: Text = ["choose another ", Param("storage")]
_DIFFERENCES = {
    "split": "another split",
    "valid": "other validation ratings",
    "space": "another space",
    "base": "other settings outside of the space",
    "seed": "another seed",
}
"""The fields that tell searches apart, and how a difference is described."""


class SearchRecord(JournalRecord, kw_only=True):
    """The first line of the file.

    Attributes
    ----------
    split : str
        Hash of the split.
    valid : int
        Number of validation ratings.
    space : dict
    base : dict
        The training settings that are not searched.
    seed : int
    metric : str
        The measure that the search follows; earlier versions, which only knew the RMSE, did not
        write it.
    parallel : int
        Trials in a round; always `ROUND` in earlier versions, which did not write it.
    """

    FORMAT = 1

    split: str
    valid: int
    space: dict[str, Any]
    base: dict[str, Any]
    seed: int
    kind: str = "search"
    metric: str = "rmse"
    parallel: Whole = ROUND

    def __post_init__(self) -> None:
        if not self.parallel:
            raise ValueError("parallel must be at least 1, got 0")


class Advised(Section):
    """What the settings that `mfcli init` recommends gave.

    Attributes
    ----------
    advised : dict
        The settings by name.
    value : float
        Of the measure that the search follows.
    """

    advised: dict[str, Any]
    value: float


class StoredSearch:
    """A search in a file that is open; see `open_search`.

    Attributes
    ----------
    trials : list of Trial
        In the order in which they ended.
    parallel : int
        Trials in a round.
    """

    def __init__(self, journal: Journal[SearchRecord]) -> None:
        self._journal = journal
        self.parallel = journal.head.parallel
        self.trials: list[Trial] = []
        self._advised: list[Advised] = []
        for number, line in enumerate(journal.lines):
            # Older versions also stored which files they wrote, and the value under another name.
            if [*line] in (["wrote"], ["advised", "rmse"]):
                continue
            if "advised" in line:
                self._advised.append(journal.to_section(number, Advised))
            else:
                self.trials.append(journal.to_section(number, Trial))

    def add(self, trial: Trial) -> None:
        """Store a trial."""
        self._journal.append(trial)

    def add_advised(self, settings: dict[str, Any], value: float) -> None:
        """Store what the recommended settings gave."""
        line = Advised(settings, value)
        self._journal.append(line)
        self._advised.append(line)

    def value_of(self, settings: dict[str, Any]) -> float | None:
        """Return what recommended settings gave, None if it is not stored."""
        # Another version of mfcli may recommend other settings.
        return next((one.value for one in self._advised if one.advised == settings), None)


@contextmanager
def open_search(
    path: Path, own: SearchRecord, space: Space, parallel: int | None = None
) -> Iterator[StoredSearch]:
    """Open the file of a search, and lock it for this process while the block runs.

    Parameters
    ----------
    path : Path
        Created with the first trial if it is missing or empty.
    own : SearchRecord
        What the search is about.
    space : Space
    parallel : int, optional
        Trials in a round; by default those that the file says.

    Raises
    ------
    ArtifactError
        If another process uses the file, it belongs to another search, it is damaged, or it is not
        the file of a search at all.
    """
    with open_journal(path, own, "a search of mfcli tune", remedy=_OTHER) as journal:
        _check_same(path, record_values(journal.head), record_values(own))
        _check_parallel(path, journal.head.parallel, parallel)
        stored = StoredSearch(journal)
        _check_trials(path, stored.trials, space)
        yield stored


def _check_same(path: Path, found: dict[str, Any], own: dict[str, Any]) -> None:
    if found["metric"] != own["metric"]:
        rule = f"belongs to a search that follows {found['metric']}, not {own['metric']}"
        remedy: Text = [_OTHER, ", or use ", Param("metric", found["metric"])]
        raise ArtifactError(rule, place=path, remedy=remedy)
    for name, words in _DIFFERENCES.items():
        if found[name] != own[name]:
            raise ArtifactError(f"belongs to a search with {words}", place=path, remedy=_OTHER)


def _check_parallel(path: Path, found: int, asked: int | None) -> None:
    if asked not in (None, found):
        rule = f"belongs to a search with {found} parallel trials, not {asked}"
        remedy: Text = [_OTHER, ", or use ", Param("parallel_trials", found)]
        raise ArtifactError(rule, place=path, remedy=remedy)


def _check_trials(path: Path, trials: list[Trial], space: Space) -> None:
    # The seals show that nobody has changed a line, but another program may have written them.
    if len({trial.trial for trial in trials}) < len(trials):
        raise ArtifactError("has a trial twice", place=path, remedy=_OTHER)
    for trial in trials:
        try:
            frozen(space, trial)
        except (TypeError, ValueError) as error:
            rule = f"trial {trial.trial} is invalid: {error}"
            raise ArtifactError(rule, place=path, remedy=_OTHER) from error

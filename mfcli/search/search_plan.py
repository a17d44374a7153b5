"""What a search tries and measures, by its purpose."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any, NamedTuple

from mfcli.config import DEFAULTS, Config, checked
from mfcli.search.default_search import first_settings, space_for
from mfcli.search.purposes import RANKING, metric_of, purpose_of, without_objective
from mfcli.search.recommended import advise
from mfcli.search.search import Search
from mfcli.search.spaces import Space
from mfcli.splits import Split


class SearchPlan(NamedTuple):
    """What a search tries and measures.

    Attributes
    ----------
    split : Split
    base : Config
        Settings that are not in the space.
    space : Space
    first : dict or None
        Values that the first trial tries.
    metric : str
        The measure that all trials follow.
    """

    split: Split
    base: Config
    space: Space
    first: dict[str, Any] | None
    metric: str

    def search(
        self, storage: Path | None = None, threads: int = 1, parallel: int | None = None
    ) -> Search:
        """Return the search; the arguments are those of `Search`."""
        return Search(
            self.split,
            self.base,
            self.space,
            storage=storage,
            threads=threads,
            first=self.first,
            metric=self.metric,
            parallel=parallel,
        )


def plan_search(
    split: Split,
    base: Config = DEFAULTS,
    *,
    purpose: str | None = None,
    metric: str | None = None,
    optimizer: str | None = None,
    space: Space | None = None,
    has_relevant: bool | None = None,
) -> SearchPlan:
    """Plan a search for settings.

    Parameters
    ----------
    split : Split
        As for `Search`.
    base : Config
    purpose, metric, optimizer : str, optional
        As for `tune`.
    space : Space, optional
        By default that of the purpose and the optimizer.
    has_relevant : bool, optional
        Whether `base` says what is relevant in rankings, also if it says the default; otherwise the
        recommended rating is.

    Raises
    ------
    UsageError, ConfigError
        If the arguments contradict each other or the ratings.
    """
    metric = checked("metric", metric or base.metric)
    purpose = purpose_of(split, base, purpose, metric, space)
    metric = metric_of(purpose, metric)
    # The trials get the metric; their best settings name it if it is not their default.
    base = replace(base, metric=None)
    if purpose == RANKING and not (has_relevant or base.relevant != DEFAULTS.relevant):
        advised = {one.name: one.value for one in advise(split, purpose)}
        base = replace(base, relevant=advised.get("relevant", base.relevant))
    if space is not None:
        return SearchPlan(split, base, space, None, metric)
    space = space_for(split, optimizer, purpose)
    first = first_settings(split, space, purpose)
    return SearchPlan(split, without_objective(base), space, first, metric)

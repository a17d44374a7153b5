"""What settings are for, ratings or rankings, and the measure of each purpose."""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from dataclasses import replace
from typing import Any, Final

from mfcli.config import SETTINGS, Config
from mfcli.data import IMPLICIT
from mfcli.errors import ConfigError, Param, Text, UsageError
from mfcli.search.spaces import Range, Space
from mfcli.splits import Split

RATINGS: Final = "ratings"
RANKING: Final = "ranking"
PURPOSES = (RATINGS, RANKING)

_METRICS = {RATINGS: ("rmse",), RANKING: ("ndcg", "recall", "map")}
"""The measures of each purpose; the first one is the default."""

_OBJECTIVE = [name for name, known in SETTINGS.items() if known.panel == "Objective"]
_OWN_PENALTIES = ["reg_user", "reg_item", "reg_user_bias", "reg_item_bias"]


def purpose_of(
    split: Split,
    base: Config,
    purpose: str | None = None,
    metric: str | None = None,
    space: Space | None = None,
) -> str:
    """Return the purpose, checked; by default, what the settings and the ratings suggest.

    Parameters
    ----------
    split : Split
        Implicit feedback has no ratings to predict.
    base : Config
        Settings that follow a measure of rankings suggest rankings.
    purpose : {"ratings", "ranking"}, optional
    metric : {"rmse", "ndcg", "recall", "map"}, optional
    space : Space, optional
        A search of models that predict scores needs a measure of rankings.

    Raises
    ------
    UsageError, ConfigError
        If the purpose is none of `PURPOSES`, or does not suit the ratings.
    """
    metric = metric or base.metric
    if purpose not in (None, *PURPOSES):
        raise UsageError(f"must be {' or '.join(PURPOSES)}", param="purpose", value=purpose)
    if split.feedback == IMPLICIT:
        if purpose == RATINGS:
            rule = "must be ranking, because the split has implicit feedback instead of ratings"
            raise ConfigError(rule, param="purpose", value=purpose)
        return RANKING
    if purpose:
        return purpose
    is_rating = (metric or base.followed) in _METRICS[RATINGS]
    return RATINGS if is_rating and not _has_scores(space or {}, base) else RANKING


def metric_of(purpose: str, metric: str | None) -> str:
    """Return the measure that a search for a purpose follows.

    Parameters
    ----------
    purpose : str
    metric : str, optional
        Of the purpose.

    Raises
    ------
    ConfigError
        If it is a measure of another purpose.
    """
    known = _METRICS[purpose]
    if metric is None:
        return known[0]
    if metric not in known:
        *others, last = known
        names = f"{', '.join(others)} or {last}" if others else last
        rule: Text = [f"must be {names} with ", Param("purpose", purpose)]
        raise ConfigError(rule, param="metric", value=metric)
    return metric


def without_objective(base: Config) -> Config:
    """Return settings with the defaults of those that a default space decides about.

    Settings for the other purpose, such as those that `mfcli init` wrote, may contradict the space.
    """
    names = [*_OBJECTIVE, *_OWN_PENALTIES]
    return replace(base, **{name: SETTINGS[name].default for name in names})


def _has_scores(space: Space, base: Config) -> bool:
    """Return whether models of a space may predict scores."""
    names = [name for name in ("optimizer", "target", "unrated_weight") if name in space]
    return any(
        _predicts_scores(base, dict(zip(names, values, strict=True)))
        for values in itertools.product(*(_values(space, name) for name in names))
    )


def _values(space: Space, name: str) -> Iterator[Any]:
    one = space[name]
    yield from (one.low, one.high) if isinstance(one, Range) else one.values


def _predicts_scores(base: Config, values: dict[str, Any]) -> bool:
    try:
        return replace(base, **values).predicts == "scores"
    except ConfigError:  # such a trial fails
        return False

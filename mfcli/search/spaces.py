"""Search spaces: for each setting a range, several choices, or one fixed value."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeAlias

import numpy as np

from mfcli.config import (
    SETTINGS,
    TRAINING,
    Config,
    checked,
    closest,
    meant_setting,
    read_toml,
    settings_in,
)
from mfcli.errors import ConfigError

RATE = "rate"
"""The name of the learning rate per rating in a space; see `settings_from`."""

RANKED = ("at", "relevant")
"""Settings of training that say which rankings are good."""

_FEW_FACTORS, _MANY_FACTORS = 4, 31  # with more, an epoch takes much longer


@dataclass(frozen=True)
class Range:
    """Numbers from `low` to `high`, inclusive; integers if the setting is an integer.

    Attributes
    ----------
    low, high : float
    log : bool
        Whether to search on a logarithmic scale.
    """

    low: float
    high: float
    log: bool = False


@dataclass(frozen=True)
class Choice:
    """Several values, or a fixed one."""

    values: tuple[Any, ...]


Space: TypeAlias = dict[str, Range | Choice]


def sampling_space(most_factors: int, epochs: int) -> Space:
    """Return a space of the Gibbs sampler around the settings that `mfcli init` recommends.

    Parameters
    ----------
    most_factors : int
        Largest useful number of factors.
    epochs : int
        The recommended number.
    """
    return {
        "optimizer": Choice(("gibbs",)),
        "k": Range(min(_FEW_FACTORS, most_factors), min(_MANY_FACTORS, most_factors), log=True),
        "prior": Choice(("implicit", "shared")),
        "noise": Choice(("user", "shared")),
        "epochs": Range(max(1, epochs // 2), 2 * epochs),
    }


def descent_space(deviation: float) -> Space:
    """Return a space that suits gradient descent.

    Parameters
    ----------
    deviation : float
        Standard deviation of the ratings. If ratings are multiplied by c, the same model has
        factors multiplied by sqrt(c), so its penalties of factors are multiplied by c and its
        learning rates are divided by c.
    """
    factor_penalty = Range(0.01 * deviation, 0.3 * deviation, log=True)
    # Biases have the unit of ratings: they scale with c, and their penalties stay the same.
    return {
        "optimizer": Choice(("sgd",)),
        "reg_scope": Choice(("rating",)),
        "k": Choice((6, 14, 30, 62)),  # plus bias and constant 1: multiples of a vector register
        "reg_user": factor_penalty,
        "reg_item": factor_penalty,
        "reg_user_bias": Range(0.001, 0.1, log=True),
        "reg_item_bias": Range(0.001, 0.3, log=True),
        "batch_size": Choice((32, 128, 512)),
        "momentum": Choice((0.0, 0.8, 0.9)),
        RATE: Range(0.003 / deviation, 0.05 / deviation, log=True),
        "lr_schedule": Choice(("constant", "exponential", "cosine")),
        "epochs": Range(20, 100),
    }


def ranking_space(advised: Config, most_factors: int) -> Space:
    """Return a space of alternating least squares around the settings that `mfcli init` recommends.

    Parameters
    ----------
    advised : Config
        The recommended settings.
    most_factors : int
        Largest useful number of factors.
    """
    k = min(advised.k, most_factors)
    return {
        "optimizer": Choice((advised.optimizer,)),
        "target": Choice((advised.target,)),
        "biases": Choice((advised.biases,)),
        "k": Range(max(1, k // 4), min(2 * k, most_factors), log=True),
        "unrated_weight": Range(advised.unrated_weight / 5, advised.unrated_weight * 5, log=True),
        **_rating_weights(advised),
        "reg": Range(advised.common_reg / 5, advised.common_reg * 5, log=True),
        "epochs": Range(max(1, advised.epochs // 2), 2 * advised.epochs),
    }


def _rating_weights(advised: Config) -> Space:
    kind = advised.rating_weight
    if kind in ("confidence", "log"):  # of strengths of implicit feedback
        alpha = Range(advised.alpha / 10, advised.alpha * 10, log=True)
        return {"rating_weight": Choice(("confidence", "log")), "alpha": alpha}
    if kind == "none":  # all strengths are equal
        return {"rating_weight": Choice((kind,))}
    return {"rating_weight": Choice(("none", "linear", "squared"))}


def settings_from(values: dict[str, Any], base: Config) -> dict[str, Any]:
    """Convert values from a space to settings: the learning rate replaces `rate`.

    With momentum b, a gradient acts for 1 / (1 - b) steps in effect. A rating with error e
    therefore moves its rows in total by ``rate * e`` times the row of the other side, where

        rate = 2 lr / (batch_size (1 - b))

    This rate is searched in place of the learning rate, because good values of it depend little on
    the batch size and the momentum.

    Parameters
    ----------
    values : dict
    base : Config
        For `batch_size` and `momentum` if they are not in the space.
    """
    settings = {name: value for name, value in values.items() if name != RATE}
    if RATE in values:
        size, momentum = (settings.get(n, getattr(base, n)) for n in ("batch_size", "momentum"))
        # rate = 2 lr / (B (1 - b)), solved for lr
        settings["lr"] = values[RATE] * size * (1 - momentum) / 2
    return settings


def read_space(path: Path) -> Space:
    """Read a space from a TOML file.

    Raises
    ------
    ConfigError
        If the file is not TOML, names an unknown setting or has an invalid value.
    """
    table = read_toml(path)
    try:
        return space_of(table)
    except ConfigError as error:
        raise ConfigError(str(error), place=path) from None  # a file spells names as Python does


def space_of(table: Mapping[str, Any]) -> Space:
    """Return the space that a mapping describes, as a TOML file does.

    Parameters
    ----------
    table : mapping
        By setting: a value; several values, as a list, tuple, range or array; or a mapping with
        "low", "high" and, optionally, "log".

    Raises
    ------
    ConfigError
        If it names an unknown setting or has an invalid value.
    """
    space = {str(name): _dimension(str(name), value) for name, value in table.items()}
    _check(space)
    return space


def _check(space: Space) -> None:
    # `settings_from` would let the rate override the learning rate without a word.
    if RATE in space and "lr" in space:
        raise ConfigError("rate determines lr", remedy="omit one of them")
    if not any(isinstance(one, Range) or len(one.values) > 1 for one in space.values()):
        raise ConfigError(
            "leaves nothing to choose", remedy="add a range such as k = {low = 4, high = 64}"
        )


def _dimension(name: str, value: Any) -> Range | Choice:
    training = settings_in(TRAINING)
    if name not in SETTINGS and name != RATE:
        close = meant_setting(name) or closest(name, [*training, RATE])
        remedy = f"did you mean {close!r}?" if close else ""
        raise ConfigError(f"unknown setting {name!r}", remedy=remedy)
    if name in (*RANKED, "metric"):
        rule = f"{name} says what the search measures, so it cannot be searched"
        raise ConfigError(rule, remedy="give it as a setting")
    if name not in (*training, RATE):
        raise ConfigError(f"{name} is not a training setting", remedy="omit it")
    if isinstance(value, Mapping):
        return _range(name, value)
    values = _listed(value)
    if not values:
        raise ConfigError("must have at least one value", param=name, value=values)
    return Choice(tuple(_checked(name, one) for one in values))


def _listed(value: Any) -> list[Any]:
    if isinstance(value, np.ndarray):
        return list(value.tolist())
    return list(value) if isinstance(value, list | tuple | range) else [value]


def _range(name: str, value: Mapping[str, Any]) -> Range:
    if not {"low", "high"} <= set(value) <= {"low", "high", "log"}:
        raise ConfigError("must have low, high and optionally log", param=name, value=value)
    low, high, log = _checked(name, value["low"]), _checked(name, value["high"]), value.get("log")
    # Not `isinstance`: true and false are integers in Python. NaN fails the comparison.
    if type(low) not in (int, float) or not low <= high:
        raise ConfigError("must be numbers from low to high", param=name, value=value)
    if log not in (None, True, False):
        raise ConfigError("must have log = true or false", param=name, value=value)
    if log and low <= 0:
        raise ConfigError("must be above 0 for log = true", param=name, value=value)
    return Range(low, high, bool(log))


def _checked(name: str, value: Any) -> Any:
    """Convert a value to the type of its setting; `rate` follows the rule of the learning rate."""
    return checked("lr", value) if name == RATE else checked(name, value)

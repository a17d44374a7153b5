"""What a search may choose from, for each setting a range, choices, or one value; what it tried."""

from __future__ import annotations

import difflib
import tomllib
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from mfcli.config import SETTINGS, Config, checked, settings_in
from mfcli.errors import ConfigError

RATE = "rate"


@dataclass(frozen=True)
class Range:
    """Numbers from `low` to `high`, both included; whole ones for a setting of whole numbers."""

    low: float
    high: float
    log: bool = False


@dataclass(frozen=True)
class Choice:
    """Some values."""

    values: tuple[Any, ...]


Space = dict[str, Range | Choice]


@dataclass(frozen=True)
class Attempt:
    """A trial that has ended.

    Attributes
    ----------
    number : int
        From 1.
    settings : dict
        What it tried, of the space.
    rmse : float
        On the validation ratings, after its last epoch.
    is_whole : bool
        False if it was cut short.
    """

    number: int
    settings: dict[str, Any]
    rmse: float
    is_whole: bool


def default_space(deviation: float) -> Space:
    """Return a space in which descent does well.

    Parameters
    ----------
    deviation : float
        Standard deviation s of the ratings. Factors of ratings that are c times as large are
        sqrt(c) times as large, so that their penalties go with c, and their rate with 1 / c.
    """
    of_factors = Range(0.01 * deviation, 0.3 * deviation, log=True)
    return {
        "optimizer": Choice(("sgd",)),
        "reg_scope": Choice(("rating",)),
        "k": Choice((6, 14, 30, 62)),  # with bias and one, they fill the vectors of a row
        "reg_user": of_factors,
        "reg_item": of_factors,
        "reg_user_bias": Range(0.001, 0.1, log=True),
        "reg_item_bias": Range(0.001, 0.3, log=True),
        "batch_size": Choice((32, 128, 512)),
        "momentum": Choice((0.0, 0.8, 0.9)),
        RATE: Range(0.003 / deviation, 0.05 / deviation, log=True),
        "lr_schedule": Choice(("constant", "exponential", "cosine")),
        "epochs": Range(20, 100),
    }


def settings_from(values: dict[str, Any], base: Config) -> dict[str, Any]:
    """Return settings to change in a config: the learning rate takes the place of `rate`.

    A gradient lasts 1 / (1 - momentum) steps, so a rating moves its rows by ``rate e`` times the
    other side in the end, where ``rate = 2 lr / (batch_size (1 - momentum))``.
    """
    settings = {name: value for name, value in values.items() if name != RATE}
    if RATE in values:
        size, momentum = (settings.get(n, getattr(base, n)) for n in ("batch_size", "momentum"))
        settings["lr"] = values[RATE] * size * (1 - momentum) / 2
    return settings


def read_space(path: Path) -> Space:
    """Read a space from TOML.

    Raises
    ------
    ConfigError
        If the file is no TOML, or names what is no setting or no value of one.
    """
    try:
        table = tomllib.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise ConfigError(f"{path}: cannot be read: {error.strerror}") from error
    except (ValueError, RecursionError) as error:
        raise ConfigError(f"{path}: is not valid TOML: {error}") from error
    try:
        space = {name: _choices(name, value) for name, value in table.items()}
    except ConfigError as error:
        raise ConfigError(f"{path}: {error}") from None
    if RATE in space and "lr" in space:
        raise ConfigError(f"{path}: rate and lr say the same; leave one out")
    if not any(isinstance(c, Range) or len(c.values) > 1 for c in space.values()):
        raise ConfigError(
            f"{path}: leaves nothing to choose; give a range such as k = {{low = 4, high = 64}}"
        )
    return space


def _choices(name: str, value: Any) -> Range | Choice:
    if name not in SETTINGS and name != RATE:
        close = difflib.get_close_matches(name, [*SETTINGS, RATE], n=1)
        raise ConfigError(
            f"unknown setting {name!r}" + (f"; did you mean {close[0]!r}?" * len(close))
        )
    if name not in (*settings_in("training"), RATE):
        raise ConfigError(f"{name} is no setting of training; leave it out")
    if isinstance(value, dict):
        return _range(name, value)
    values = value if isinstance(value, list) else [value]
    if not values:
        raise ConfigError(f"{name} must have a value to choose, got []")
    return Choice(tuple(_checked(name, one) for one in values))


def _range(name: str, value: dict[str, Any]) -> Range:
    if not {"low", "high"} <= set(value) <= {"low", "high", "log"}:
        raise ConfigError(f"{name} must have low and high, and may have log, got {value}")
    low, high, log = _checked(name, value["low"]), _checked(name, value["high"]), value.get("log")
    if type(low) not in (int, float) or not low <= high:
        raise ConfigError(f"{name} must be numbers from low to high, got {value}")
    if log not in (None, True, False) or (log and low <= 0):
        raise ConfigError(f"{name} must have log true or false, and true above 0 only, got {value}")
    return Range(low, high, bool(log))


def _checked(name: str, value: Any) -> Any:
    """Return a value in the type of its setting; `rate` follows the rule of the learning rate."""
    return checked("lr", value) if name == RATE else checked(name, value)

"""The settings that all stages share: each default, rule and help text stands here, once."""

from __future__ import annotations

import dataclasses
import datetime
import difflib
import math
import tomllib
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from mfcli.errors import ConfigError

CONFIG_FILE = Path("mfcli.toml")


@dataclass(frozen=True)
class Rule:
    """The values a setting may take.

    Parameters
    ----------
    low, high : float, optional
        Bounds that belong to the range.
    above, below : float, optional
        Bounds that do not.
    choices : tuple of str
        For text, the words allowed.
    """

    low: float | None = None
    high: float | None = None
    above: float | None = None
    below: float | None = None
    choices: tuple[str, ...] = ()

    def __str__(self) -> str:
        """Say the rule in words, to follow "must be"."""
        if self.choices:
            return " or ".join(word if word[0].isalnum() else repr(word) for word in self.choices)
        bounds = [
            (self.low, "at least"),
            (self.above, "above"),
            (self.high, "at most"),
            (self.below, "below"),
        ]
        return " and ".join(f"{word} {bound:g}" for bound, word in bounds if bound is not None)

    def allows(self, value: Any) -> bool:
        """Whether a value of the right type is inside the bounds (NaN and infinity never are)."""
        if isinstance(value, str):
            return not self.choices or value in self.choices
        return (
            math.isfinite(value)
            and (self.low is None or value >= self.low)
            and (self.high is None or value <= self.high)
            and (self.above is None or value > self.above)
            and (self.below is None or value < self.below)
        )


def _setting(default: Any, text: str, **rule: Any) -> Any:
    return dataclasses.field(default=default, metadata={"help": text, "rule": Rule(**rule)})


_BY_OPTIMIZER = -1.0
_GIBBS_AVERAGE = 0.9
_AS_REG = -1.0  # a penalty that is the one of `reg`


def _own_reg(table: str) -> Any:
    text = f"L2 penalty of the {table}; -1: that of --reg."
    return _setting(_AS_REG, text, low=_AS_REG, high=1e6)


_SHAPES = ("constant", "exponential", "cosine", "step")


def _schedule(what: str) -> Any:
    text = f"How the {what} goes to its end: {', '.join(_SHAPES[:-1])} or {_SHAPES[-1]}."
    return _setting("constant", text, choices=_SHAPES)


@dataclass(frozen=True)
class Config:
    """Every setting of every stage, with its default.

    Raises
    ------
    ConfigError
        If a value has the wrong type or breaks its rule.
    """

    k: int = _setting(10, "Factors of each user and item.", low=1)
    reg: float = _setting(0.0, "L2 penalty on the weights that --reg-scope says.", low=0, high=1e6)
    reg_user: float = _own_reg("user factors")
    reg_item: float = _own_reg("item factors")
    reg_user_bias: float = _own_reg("user biases")
    reg_item_bias: float = _own_reg("item biases")
    reg_scope: str = _setting(
        "table",
        "What a step penalises: table, whole tables as Keras does, or rating, the rows of the"
        " batch, once for each of their ratings.",
        choices=("table", "rating"),
    )
    epochs: int = _setting(15, "Passes over the training ratings.", low=1)
    patience: int = _setting(
        0, "Stop after so many epochs without a better one, and keep the best; 0: never.", low=0
    )
    min_delta: float = _setting(
        0.0, "By how much the validation RMSE must fall for an epoch to be better.", low=0
    )
    stop_on_test: bool = _setting(
        False, "Stop by the test ratings where there are none to validate on."
    )
    batch_size: int = _setting(128, "Ratings in a step.", low=1)
    lr: float = _setting(0.08, "Learning rate.", above=0, high=1e6)
    momentum: float = _setting(0.9, "Momentum of SGD; beta_1 of Adam.", low=0, below=1)
    lr_schedule: str = _schedule("learning rate")
    lr_end: float = _setting(
        0.02, "With a schedule, share of --lr that is left at the last epoch.", above=0, high=1
    )
    warmup: int = _setting(
        0, "Epochs in which the learning rate rises to --lr, before the schedule.", low=0
    )
    lr_every: str = _setting(
        "epoch",
        "How often the learning rate changes: every epoch, or every step.",
        choices=("epoch", "step"),
    )
    momentum_schedule: str = _schedule("momentum")
    momentum_end: float = _setting(
        0.0, "With a schedule, momentum at the last epoch.", low=0, below=1
    )
    average: float = _setting(
        _BY_OPTIMIZER,
        "Share of the epochs, the last ones, whose weights are averaged, with gibbs their"
        " predictions; -1: none, with gibbs 0.9.",
        low=_BY_OPTIMIZER,
        high=1,
    )
    nesterov: bool = _setting(False, "Nesterov's momentum (SGD only).")
    optimizer: str = _setting(
        "sgd",
        "Optimizer: sgd or adam; or gibbs, which samples from the posterior.",
        choices=("sgd", "adam", "gibbs"),
    )
    prior: str = _setting(
        "implicit",
        "With gibbs, where rows come from: shared, one distribution for all; or implicit, one that"
        " depends on what was rated by whom.",
        choices=("implicit", "shared"),
    )
    noise: str = _setting(
        "user",
        "With gibbs, how far ratings are off: shared, all alike; or user, each user's their own.",
        choices=("user", "shared"),
    )
    engine: str = _setting(
        "auto",
        "What trains the model: fast (SGD), keras, or auto, which is fast where it can.",
        choices=("auto", "fast", "keras"),
    )
    blocks: int = _setting(
        0, "Groups of users and of items that train at the same time; 0: by the data.", low=0
    )
    ensemble: int = _setting(
        1, "Models from as many seeds, averaged into one with as many times the factors.", low=1
    )
    seed: int = _setting(0, "Seed of the split, initial weights and shuffles.", low=0)
    test: float = _setting(0.2, "Share of the ratings held out for testing.", above=0, below=1)
    valid: float = _setting(0.0, "Share held out to validate epochs.", low=0, below=1)
    strategy: str = _setting(
        "random",
        "Which ratings are held out: random, per-user, leave-last-out, temporal, cold-user or"
        " k-fold.",
        choices=("random", "per-user", "leave-last-out", "temporal", "cold-user", "k-fold"),
    )
    cut: str = _setting("", "With temporal, the date from which ratings are held out.")
    folds: int = _setting(5, "With k-fold, how many.", low=2, high=100)
    min_user: int = _setting(1, "Leave out users with fewer ratings.", low=1)
    min_item: int = _setting(1, "Leave out items with fewer ratings.", low=1)
    decimal: str = _setting(".", "Decimal mark of a text: . or the comma.", choices=(".", ","))
    on_bad_row: str = _setting(
        "stop",
        "A faulty row: stop, or skip it and list it in rejected.csv.",
        choices=("stop", "skip"),
    )
    duplicates: str = _setting(
        "keep-last",
        "A user and item rated twice: keep-last, mean or error.",
        choices=("keep-last", "mean", "error"),
    )
    clip: bool = _setting(True, "Clip predictions to the rating scale.")
    damping: float = _setting(
        5.0, "Ratings at the mean added to each user and item of the bias baseline.", low=0
    )

    resamples: int = _setting(
        1000, "Resamples of the users for 95% intervals; 0: no intervals.", low=0, high=100_000
    )
    at: int = _setting(10, "Places of a ranking that count.", low=1, high=1000)
    relevant: float = _setting(4.0, "Rating from which on an item is relevant to its user.")

    def __post_init__(self) -> None:
        for name in SETTINGS:
            value = checked(name, getattr(self, name))
            object.__setattr__(self, name, value)
        for name in _OWN_REGS.values():
            if _AS_REG < getattr(self, name) < 0:
                raise ConfigError(
                    f"{name} must be at least 0, or -1 for that of reg, got {getattr(self, name)}"
                )
        if self.test + self.valid >= 1:
            raise ConfigError(
                f"test and valid must leave ratings to train on: {self.test:g} + {self.valid:g}"
                " is not below 1"
            )
        if self.nesterov and self.optimizer != "sgd":
            raise ConfigError(
                f"nesterov belongs to optimizer sgd, got {self.optimizer}; leave one out"
            )
        self._check_schedules()
        if self.cut and self.strategy != "temporal":
            raise ConfigError(
                f"cut belongs to strategy temporal, got {self.strategy}; leave one out"
            )
        if self.cut:
            seconds_of(self.cut)
        only = _ONLY.get(self.optimizer, self.engine)
        if self.engine not in ("auto", only):
            raise ConfigError(
                f"optimizer {self.optimizer} runs with engine {only} only, got {self.engine};"
                f" use engine {only} or auto"
            )
        if _BY_OPTIMIZER < self.average < 0:
            raise ConfigError(
                f"average must be at least 0, or -1 for what the optimizer has, got {self.average}"
            )

    def _check_schedules(self) -> None:
        for name in ("lr", "momentum"):
            end, shape = f"{name}_end", getattr(self, f"{name}_schedule")
            if shape == "constant" and getattr(self, end) != SETTINGS[end].default:
                raise ConfigError(f"{end} needs a schedule; choose {name}_schedule or leave it out")
        if self.lr_every == "step" and self.lr_schedule == "constant" and not self.warmup:
            raise ConfigError("lr_every step needs a schedule or a warmup; choose lr_schedule")
        if self.momentum_schedule != "constant" and not self.momentum:
            raise ConfigError("momentum_schedule needs a momentum above 0 to start from, got 0")
        if self.warmup >= self.epochs:
            raise ConfigError(
                f"warmup must be below epochs, got {self.warmup} of {self.epochs} epochs"
            )

    @property
    def is_paced(self) -> bool:
        """Whether what an epoch does depends on how many there are."""
        shapes = {self.lr_schedule, self.momentum_schedule}
        return shapes != {"constant"} or self.averaged > 0

    @property
    def averaged(self) -> float:
        """Share of the epochs, the last ones, that are averaged."""
        if self.average != _BY_OPTIMIZER:
            return self.average
        return _GIBBS_AVERAGE if self.optimizer == "gibbs" else 0.0

    @property
    def first_averaged(self) -> int:
        """The epoch, from 1, from which on they are averaged; 1 if none are."""
        count = math.ceil(round(self.averaged * self.epochs, 9))  # 0.28 x 25 is 7.000000000000001
        return self.epochs + 1 - count if count else 1

    @property
    def width(self) -> int:
        """Factors of each user and item in the model that training gives."""
        return self.k * self.ensemble

    @property
    def regs(self) -> dict[str, float]:
        """The penalty of each table, by its name."""
        own = {table: getattr(self, name) for table, name in _OWN_REGS.items()}
        return {table: self.reg if value == _AS_REG else value for table, value in own.items()}

    @property
    def table_regs(self) -> dict[str, float]:
        """The penalty of each whole table at every step; zero if it is of ratings."""
        return {table: 0.0 if self.reg_scope == "rating" else r for table, r in self.regs.items()}

    @property
    def rating_regs(self) -> dict[str, float]:
        """The penalty of each table's rows for each of their ratings; zero if it is of tables."""
        return {table: r if self.reg_scope == "rating" else 0.0 for table, r in self.regs.items()}

    @classmethod
    def load(cls, path: Path) -> Config:
        """Read a configuration file; what it leaves out has its default."""
        return cls(**read_settings(path))

    def as_dict(self) -> dict[str, Any]:
        """Return the settings as plain values, in the order of the fields."""
        return dataclasses.asdict(self)


def seconds_of(cut: str) -> int:
    """Return the seconds since 1970 of a date; without a zone it is in UTC.

    Raises
    ------
    ConfigError
        If it is no date.
    """
    try:
        date = datetime.datetime.fromisoformat(cut)
    except ValueError:
        raise ConfigError(f"cut must be a date such as 2015-01-01, got {cut!r}") from None
    return int((date if date.tzinfo else date.replace(tzinfo=datetime.UTC)).timestamp())


OF_SAMPLING = ("prior", "noise")
"""Settings of optimizer gibbs only."""

_ONLY = {"adam": "keras", "gibbs": "fast"}  # engines of the optimizers that have one only

_OWN_REGS = {
    "user_factors": "reg_user",
    "item_factors": "reg_item",
    "user_biases": "reg_user_bias",
    "item_biases": "reg_item_bias",
}

SETTINGS = {field.name: field for field in dataclasses.fields(Config)}
_TYPES = {
    "int": (int, "a whole number"),
    "float": (float, "a number"),
    "bool": (bool, "true or false"),
    "str": (str, "text"),
}
_BITS = 128  # of a whole number; NumPy wants no more of a seed


def checked(name: str, value: Any) -> Any:
    """Return the value of a setting in its own type.

    Raises
    ------
    ConfigError
        If the type is wrong or the value breaks the setting's rule.
    """
    setting = SETTINGS[name]
    kind, words = _TYPES[str(setting.type)]
    if kind is str and isinstance(value, datetime.date):
        value = value.isoformat()  # TOML has dates of its own
    if type(value) is int and value.bit_length() > _BITS:
        raise ConfigError(f"{name} must have at most {_BITS} bits, got {_shown(value)}")
    if kind is float and type(value) is int:
        value = float(value)
    if type(value) is not kind:
        raise ConfigError(f"{name} must be {words}, got {_shown(value)}")
    rule = setting.metadata["rule"]
    if not rule.allows(value):
        raise ConfigError(f"{name} must be {str(rule) or 'finite'}, got {value!r}")
    return value


def _shown(value: Any) -> str:
    try:
        return repr(value)
    except ValueError:  # Python writes no number of more than 4300 digits
        return "an endless number"


def read_settings(path: Path) -> dict[str, Any]:
    """Read the settings that a TOML file names.

    Raises
    ------
    ConfigError
        If the file is missing or no TOML, or a key is unknown, of the wrong type or out of range.
    """
    try:
        table = tomllib.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise ConfigError(f"{path}: cannot be read: {error.strerror}") from error
    except (ValueError, RecursionError) as error:  # ValueError: TOML, UTF-8 or an endless number
        raise ConfigError(f"{path}: is not valid TOML: {error}") from error
    try:
        settings = {name: _known(name, value) for name, value in table.items()}
        Config(**settings)
    except ConfigError as error:
        raise ConfigError(f"{path}: {error}") from None
    return settings


def _known(name: str, value: Any) -> Any:
    if name in SETTINGS:
        return checked(name, value)
    close = difflib.get_close_matches(name, SETTINGS, n=1)
    hint = f"did you mean {close[0]!r}?" if close else f"the keys are {', '.join(SETTINGS)}"
    raise ConfigError(f"unknown key {name!r}; {hint}")


DEFAULTS = Config()

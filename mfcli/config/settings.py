"""Every setting once: its default, rule, help text, stage, and when it is used."""

from __future__ import annotations

import dataclasses
import datetime
import difflib
import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from mfcli.config.rules import Rule
from mfcli.errors import ConfigError, Param

DATA, SPLIT, TRAINING, EVALUATION = STAGES = ("data", "split", "training", "evaluation")
"""The stages that a setting may belong to."""

OPTIMIZERS = ("sgd", "adam", "gibbs")
_DESCENT = ("sgd", "adam")
_SHAPES = ("constant", "exponential", "cosine", "step")
_GIBBS_AVERAGE = 0.9  # fraction of the samples that are averaged


@dataclass(frozen=True)
class Setting:
    """What is known about a setting.

    Attributes
    ----------
    name : str
    type : type
        int, float, bool or str.
    default : object
    help : str
        One sentence. Names of other settings are in backticks.
    unset : str
        What None stands for; empty if the setting cannot be None.
    rule : Rule
    stages : tuple of str
        The `STAGES` that use the setting.
    panel : str
        Heading under which help lists it.
    optimizers : tuple of str
        The optimizers that use it.
    ends_training : bool
        Whether it only determines when training ends, so that a resumed training may change it.
    when : callable
        Whether a config uses it, apart from stage and optimizer.
    """

    name: str
    type: type
    default: Any
    help: str
    unset: str
    rule: Rule
    stages: tuple[str, ...]
    panel: str
    optimizers: tuple[str, ...]
    ends_training: bool
    when: Callable[[Config], bool]

    def is_used(self, config: Config, stage: str) -> bool:
        """Return whether a stage uses the setting, given the other settings."""
        if stage not in self.stages:
            return False
        if stage == TRAINING and config.optimizer not in self.optimizers:
            return False
        return self.when(config)


def _setting(
    default: Any,
    help: str,
    stages: str | tuple[str, ...],
    panel: str,
    *,
    unset: str = "",
    optimizers: tuple[str, ...] = OPTIMIZERS,
    ends_training: bool = False,
    when: Callable[[Config], bool] = lambda config: True,
    **rule: Any,
) -> Any:
    metadata = {
        "help": help,
        "unset": unset,
        "rule": Rule(**rule),
        "stages": (stages,) if isinstance(stages, str) else stages,
        "panel": panel,
        "optimizers": optimizers,
        "ends_training": ends_training,
        "when": when,
    }
    return dataclasses.field(default=default, metadata=metadata)


def _model(default: Any, help: str, **extra: Any) -> Any:
    return _setting(default, help, TRAINING, "Model", **extra)


def _descent(default: Any, help: str, **extra: Any) -> Any:
    return _setting(default, help, TRAINING, "Descent", **({"optimizers": _DESCENT} | extra))


def _reg(table: str) -> Any:
    return _descent(None, f"L2 penalty of the {table}.", unset="same as `reg`", low=0, high=1e6)


def _sampling(default: str, help: str, *choices: str) -> Any:
    return _setting(default, help, TRAINING, "Sampling", optimizers=("gibbs",), choices=choices)


def _schedule(default: Any, help: str, **extra: Any) -> Any:
    extra = {"optimizers": _DESCENT} | extra
    return _setting(default, help, TRAINING, "Schedules and averaging", **extra)


def _ending(default: Any, help: str, **extra: Any) -> Any:
    return _setting(default, help, TRAINING, "Run", ends_training=True, **extra)


def _splitting(default: Any, help: str, **extra: Any) -> Any:
    return _setting(default, help, SPLIT, "Split", **extra)


def _reading(default: str, help: str, *choices: str) -> Any:
    return _setting(default, help, DATA, "Data", choices=choices)


def _evaluation(default: Any, help: str, **extra: Any) -> Any:
    return _setting(default, help, EVALUATION, "Evaluation", **extra)


@dataclass(frozen=True)
class Config:
    """The settings of all stages.

    Raises
    ------
    ConfigError
        If a value has the wrong type or breaks its rule, or two settings contradict each other.
    """

    decimal: str = _reading(".", "Decimal mark in text files.", ".", ",")
    on_bad_row: str = _reading(
        "stop", "Invalid rows: stop, or skip them and list them in rejected.csv.", "stop", "skip"
    )
    duplicates: str = _reading(
        "keep-last",
        "Repeated pairs of a user and an item: keep-last, mean or error.",
        "keep-last",
        "mean",
        "error",
    )

    strategy: str = _splitting(
        "random",
        "Held-out ratings: random, per-user, leave-last-out, temporal, cold-user or k-fold.",
        choices=("random", "per-user", "leave-last-out", "temporal", "cold-user", "k-fold"),
    )
    test: float = _splitting(
        0.2,
        "Fraction held out for testing.",
        when=lambda c: c.strategy not in ("k-fold", "leave-last-out") and c.cut is None,
        above=0,
        below=1,
    )
    valid: float = _splitting(0.0, "Fraction held out for validation.", low=0, below=1)
    cut: str | None = _splitting(
        None,
        "Date from which ratings are held out (temporal only), such as 2015-01-01.",
        unset="by `test`",
        when=lambda c: c.strategy == "temporal",
    )
    folds: int = _splitting(
        5, "Number of folds (k-fold only).", when=lambda c: c.strategy == "k-fold", low=2, high=100
    )
    min_user: int = _splitting(1, "Drop users with fewer ratings.", low=1)
    min_item: int = _splitting(1, "Drop items with fewer ratings.", low=1)

    k: int = _model(10, "Number of factors of each user and item.", low=1)
    optimizer: str = _model(
        "sgd",
        "sgd or adam (descent), or gibbs (sampling from the posterior).",
        choices=OPTIMIZERS,
    )
    ensemble: int = _model(
        1, "Average this many models with different seeds into one with more factors.", low=1
    )

    batch_size: int = _descent(128, "Ratings per step.", low=1)
    lr: float = _descent(0.08, "Learning rate.", above=0, high=1e6)
    momentum: float = _descent(0.9, "Momentum of sgd; beta_1 of adam.", low=0, below=1)
    nesterov: bool = _descent(False, "Use Nesterov momentum (sgd only).", optimizers=("sgd",))
    reg: float = _descent(0.0, "L2 penalty; see `reg_scope`.", low=0, high=1e6)
    reg_user: float | None = _reg("user factors")
    reg_item: float | None = _reg("item factors")
    reg_user_bias: float | None = _reg("user biases")
    reg_item_bias: float | None = _reg("item biases")
    reg_scope: str = _descent(
        "table",
        "Penalize whole tables at each step as Keras does (table), or the rows of each rating in"
        " the batch (rating).",
        choices=("table", "rating"),
    )

    prior: str = _sampling(
        "implicit",
        "Prior of the rows: shared by all, or implicit, which depends on who rated what.",
        "implicit",
        "shared",
    )
    noise: str = _sampling(
        "user", "Noise of the ratings: shared, or user, one noise level per user.", "user", "shared"
    )

    lr_schedule: str = _schedule(
        "constant",
        "Change of the learning rate: constant, exponential, cosine or step.",
        choices=_SHAPES,
    )
    lr_end: float = _schedule(
        0.02,
        "Final learning rate, as a fraction of `lr`.",
        when=lambda c: c.lr_schedule != "constant",
        above=0,
        high=1,
    )
    lr_every: str = _schedule(
        "epoch",
        "Update the learning rate every epoch or every step.",
        choices=("epoch", "step"),
    )
    warmup: int = _schedule(
        0, "Epochs in which the learning rate rises to `lr` before the schedule starts.", low=0
    )
    momentum_schedule: str = _schedule(
        "constant",
        "Change of the momentum: constant, exponential, cosine or step.",
        choices=_SHAPES,
    )
    momentum_end: float = _schedule(
        0.0,
        "Final momentum.",
        when=lambda c: c.momentum_schedule != "constant",
        low=0,
        below=1,
    )
    average: float | None = _schedule(
        None,
        "Fraction of the epochs, the last ones, whose weights (gibbs: predictions) are averaged.",
        unset="0; 0.9 with gibbs",
        optimizers=OPTIMIZERS,
        low=0,
        high=1,
    )

    epochs: int = _ending(15, "Passes over the training ratings.", low=1)
    patience: int | None = _ending(
        None,
        "Stop after N epochs without improvement and keep the best epoch.",
        unset="never",
        low=1,
    )
    min_delta: float = _ending(
        0.0,
        "Smallest decrease in validation RMSE that counts as improvement.",
        when=lambda c: c.patience is not None,
        low=0,
    )
    stop_on_test: bool = _ending(
        False,
        "Allow early stopping on the test ratings if there are no validation ratings.",
        when=lambda c: c.patience is not None,
    )
    engine: str = _setting(
        "auto",
        "fast (compiled, sgd only), keras, or auto: fast where possible.",
        TRAINING,
        "Run",
        optimizers=_DESCENT,
        choices=("auto", "fast", "keras"),
    )
    blocks: int | None = _setting(
        None,
        "Groups of users and of items that train in parallel.",
        TRAINING,
        "Run",
        unset="chosen from the data",
        optimizers=_DESCENT,
        low=1,
    )
    seed: int = _setting(
        0,
        "Seed of the split, the initial weights, the shuffles and the intervals.",
        (SPLIT, TRAINING, EVALUATION),
        "Run",
        low=0,
    )

    clip: bool = _evaluation(True, "Clip predictions to the rating scale.")
    damping: float = _evaluation(
        5.0, "Damping of the bias baseline, in ratings at the mean.", low=0
    )
    resamples: int = _evaluation(
        1000, "Bootstrap resamples of the users for 95% intervals; 0 for none.", low=0, high=100_000
    )
    at: int = _evaluation(10, "Ranking cutoff.", low=1, high=1000)
    relevant: float = _evaluation(4.0, "Smallest rating that counts as relevant in rankings.")

    def __post_init__(self) -> None:
        for name in SETTINGS:
            object.__setattr__(self, name, checked(name, getattr(self, name)))
        self._check_split()
        self._check_optimizer()
        self._check_schedules()

    def _check_split(self) -> None:
        if self.test + self.valid >= 1:
            raise ConfigError(
                f"test and valid must leave ratings to train on: {self.test:g} + {self.valid:g}"
                " is not below 1"
            )
        if self.cut is not None:
            if self.strategy != "temporal":
                raise ConfigError(
                    f"requires strategy temporal, got {self.strategy}",
                    param="cut",
                    remedy="omit one of them",
                )
            seconds_of(self.cut)

    def _check_optimizer(self) -> None:
        if self.nesterov and self.optimizer != "sgd":
            raise ConfigError(
                f"requires optimizer sgd, got {self.optimizer}",
                param="nesterov",
                remedy="omit one of them",
            )
        only = {"adam": "keras", "gibbs": "fast"}.get(self.optimizer, self.engine)
        if self.engine not in ("auto", only):
            raise ConfigError(
                f"must be {only} or auto with optimizer {self.optimizer}",
                param="engine",
                value=self.engine,
            )

    def _check_schedules(self) -> None:
        for name in ("lr", "momentum"):
            shape, end = f"{name}_schedule", f"{name}_end"
            if getattr(self, shape) == "constant" and not _is_default(self, end):
                raise ConfigError(
                    "requires a schedule",
                    param=end,
                    remedy=["choose ", Param(shape), " or omit ", Param(end)],
                )
        if self.lr_every == "step" and self.lr_schedule == "constant" and not self.warmup:
            raise ConfigError(
                "requires a schedule or a warmup",
                param=Param("lr_every", "step"),
                remedy=["choose ", Param("lr_schedule")],
            )
        if self.momentum_schedule != "constant" and not self.momentum:
            raise ConfigError("requires a momentum above 0, got 0", param="momentum_schedule")
        if self.warmup >= self.epochs:
            raise ConfigError(
                f"must be below epochs, got {self.warmup} of {self.epochs} epochs", param="warmup"
            )

    def used(self, *stages: str) -> dict[str, Any]:
        """Return the settings that some stages use, as plain values, for records.

        A setting that is None is left out, unless it stands for a known value.

        Parameters
        ----------
        *stages : str
            Of `STAGES`.
        """
        values = {
            name: self._resolved(name)
            for name, setting in SETTINGS.items()
            if any(setting.is_used(self, stage) for stage in stages)
        }
        return {name: value for name, value in values.items() if value is not None}

    def _resolved(self, name: str) -> Any:
        if name == "average" and self.average is None:
            return self.averaged or None
        return getattr(self, name)

    @property
    def needs_length(self) -> bool:
        """Whether what an epoch does depends on the number of epochs."""
        shapes = {self.lr_schedule, self.momentum_schedule}
        return shapes != {"constant"} or self.averaged > 0

    @property
    def averaged(self) -> float:
        """Fraction of the epochs, the last ones, that are averaged."""
        if self.average is not None:
            return self.average
        return _GIBBS_AVERAGE if self.optimizer == "gibbs" else 0.0

    @property
    def first_averaged(self) -> int:
        """First epoch, counted from 1, that is averaged; 1 if none is."""
        count = math.ceil(round(self.averaged * self.epochs, 9))  # 0.28 x 25 is 7.000000000000001
        return self.epochs + 1 - count if count else 1

    @property
    def width(self) -> int:
        """Factors of each user and item in the trained model."""
        return self.k * self.ensemble

    @property
    def regs(self) -> dict[str, float]:
        """The penalty of each table, by its name."""
        own = {table: getattr(self, name) for table, name in _TABLE_REGS.items()}
        return {table: self.reg if value is None else value for table, value in own.items()}

    @property
    def table_regs(self) -> dict[str, float]:
        """The penalty of each whole table at every step; 0 if ratings are penalized."""
        return {table: 0.0 if self.reg_scope == "rating" else r for table, r in self.regs.items()}

    @property
    def rating_regs(self) -> dict[str, float]:
        """The penalty of each table's rows per rating; 0 if whole tables are penalized."""
        return {table: r if self.reg_scope == "rating" else 0.0 for table, r in self.regs.items()}


_TABLE_REGS = {
    "user_factors": "reg_user",
    "item_factors": "reg_item",
    "user_biases": "reg_user_bias",
    "item_biases": "reg_item_bias",
}

_TYPES = {"int": int, "float": float, "bool": bool, "str": str}
_WORDS = {int: "a whole number", float: "a number", bool: "true or false", str: "text"}
_BITS = 128  # of a whole number; NumPy takes no larger seed

SETTINGS = {
    field.name: Setting(
        field.name,
        _TYPES[str(field.type).removesuffix(" | None")],
        field.default,
        **field.metadata,
    )
    for field in dataclasses.fields(Config)
}
"""The settings by name, in the order of the fields."""


def settings_in(stage: str) -> tuple[str, ...]:
    """Return the names of the settings of a stage."""
    return tuple(name for name, setting in SETTINGS.items() if stage in setting.stages)


def _is_default(config: Config, name: str) -> bool:
    return bool(getattr(config, name) == SETTINGS[name].default)


def checked(name: str, value: Any) -> Any:
    """Return the value of a setting, converted to its type.

    Raises
    ------
    ConfigError
        If the type is wrong or the value breaks the setting's rule.
    """
    setting = SETTINGS[name]
    if value is None and setting.unset:
        return None
    if setting.type is str and isinstance(value, datetime.date):
        value = value.isoformat()  # TOML has dates
    if type(value) is int and value.bit_length() > _BITS:
        raise ConfigError(f"must have at most {_BITS} bits", param=name, value=value)
    if setting.type is float and type(value) is int:
        value = float(value)
    if type(value) is not setting.type:
        raise ConfigError(f"must be {_WORDS[setting.type]}", param=name, value=value)
    if not setting.rule.allows(value):
        raise ConfigError(f"must be {str(setting.rule) or 'finite'}", param=name, value=value)
    return value


def known(name: str, value: Any) -> Any:
    """Return the checked value of a setting whose name comes from outside.

    Raises
    ------
    ConfigError
        If there is no such setting, or as `checked`.
    """
    if name in SETTINGS:
        return checked(name, value)
    close = difflib.get_close_matches(name, SETTINGS, n=1)
    remedy = f"did you mean {close[0]!r}?" if close else f"the keys are {', '.join(SETTINGS)}"
    raise ConfigError(f"unknown key {name!r}", remedy=remedy)


def seconds_of(cut: str) -> int:
    """Return the seconds since 1970 of a date; without a time zone it is in UTC.

    Raises
    ------
    ConfigError
        If it is not a date.
    """
    try:
        date = datetime.datetime.fromisoformat(cut)
    except ValueError:
        raise ConfigError("must be a date such as 2015-01-01", param="cut", value=cut) from None
    return int((date if date.tzinfo else date.replace(tzinfo=datetime.UTC)).timestamp())


DEFAULTS = Config()

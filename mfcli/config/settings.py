"""Every setting once: its default, rule, help text, stage, and when it is used."""

from __future__ import annotations

import dataclasses
import datetime
import math
from collections.abc import Mapping
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any, Self

from mfcli.config.metadata import (
    DATA,
    EVALUATION,
    SPLIT,
    TRAINING,
    Conditions,
    Setting,
    setting,
)
from mfcli.config.synonyms import closest, meant_setting
from mfcli.errors import ConfigError, Param

CONFIG_FILE = Path("mfcli.toml")
"""Where commands look for settings. Not in `files.py`, whose readers help does not load."""

_SHAPES = ("constant", "exponential", "cosine", "step")
_GIBBS_AVERAGE = 0.9  # fraction of the samples that are averaged
_BY_STEPS = ("sgd", "adam")  # optimizers of gradient descent; the others find rows as a whole
_ALS_REG = 0.1  # per rating, which suits ratings from 1 to 5


def _optimizer_in(*optimizers: str) -> Conditions:
    return {"optimizer": lambda c: c.optimizer in optimizers}


def _draws_rows(config: Any) -> bool:
    return bool(config.protocol == "strong-generalization")


_SGD = _optimizer_in("sgd")
_DESCENT = _optimizer_in(*_BY_STEPS)
_GIBBS = _optimizer_in("gibbs")
_ALS = _optimizer_in("als")
_ROWS = _optimizer_in("als", "gibbs")
_PENALIZED = _optimizer_in(*_BY_STEPS, "als")
_PATIENCE: Conditions = {"patience": lambda c: c.patience is not None}
_TEMPORAL: Conditions = {"strategy": lambda c: c.strategy == "temporal"}
_FOLDS: Conditions = {"strategy": lambda c: c.strategy == "k-fold"}
# These strategies hold out one fold or one rating of each user, and a cut is a date.
_TEST: Conditions = {
    "strategy": lambda c: c.strategy not in ("k-fold", "leave-last-out"),
    "cut": lambda c: c.cut is None,
}
_STRONG: Conditions = {"protocol": _draws_rows}
_SEED: Mapping[str, Conditions] = {
    # Both go by time alone, and draw no random numbers.
    SPLIT: {"strategy": lambda c: c.strategy not in ("leave-last-out", "temporal")},
    TRAINING: {},
    EVALUATION: {"resamples": lambda c: c.resamples > 0 or _draws_rows(c)},
}
_FOLLOWS_RANKINGS: Conditions = {"metric": lambda c: c.followed != "rmse"}


_reading = partial(setting, stages=DATA, panel="Data")
_splitting = partial(setting, stages=SPLIT, panel="Split")
_model = partial(setting, stages=TRAINING, panel="Model")
_descent = partial(setting, stages=TRAINING, panel="Descent", when=_DESCENT)
_penalty = partial(setting, stages=TRAINING, panel="Penalties", when=_PENALIZED)
_table_penalty = partial(_penalty, None, unset="same as `reg`", low=0, high=1e6)
_objective = partial(setting, stages=TRAINING, panel="Objective", when=_ROWS)
_sampling = partial(setting, stages=TRAINING, panel="Sampling", when=_GIBBS)
_schedule = partial(setting, stages=TRAINING, panel="Schedules and averaging", when=_DESCENT)
_run = partial(setting, stages=TRAINING, panel="Run")
_evaluation = partial(setting, stages=EVALUATION, panel="Evaluation")


@dataclass(frozen=True, kw_only=True)
class Config:
    """The settings of all stages.

    Raises
    ------
    ConfigError
        If there is no such setting, a value has the wrong type or breaks its rule, or two settings
        contradict each other.
    """

    decimal: str = _reading(
        ".", "Decimal mark of numbers in text files (. or ,).", choices=(".", ",")
    )
    duplicates: str | None = _reading(
        None,
        "Repeated user-item pairs: keep-last (the latest; without timestamps, the last row), mean,"
        " sum or error.",
        unset="keep-last; sum for implicit feedback",
        choices=("keep-last", "mean", "sum", "error"),
    )
    feedback: str | None = _reading(
        None,
        "What ratings are: explicit, or implicit (strengths of events, such as play counts).",
        unset="explicit; implicit without a rating column",
        choices=("explicit", "implicit"),
    )
    on_bad_row: str = _reading(
        "stop",
        "Invalid rows: stop, or skip (mfcli split lists them in rejected.csv).",
        choices=("stop", "skip"),
    )
    encoding: str = _reading(
        "utf-8",
        "Encoding of text files, such as latin-1 or cp1252 (UTF-16 is detected).",
        encoding=True,
    )

    strategy: str = _splitting(
        "random",
        "What to hold out: random, per-user, leave-last-out, temporal, cold-user or k-fold.",
        choices=("random", "per-user", "leave-last-out", "temporal", "cold-user", "k-fold"),
    )
    test: float = _splitting(
        0.2, "Fraction held out for testing; 0 for none.", when=_TEST, low=0, below=1
    )
    valid: float = _splitting(0.0, "Fraction held out for validation.", low=0, below=1)
    cut: str | None = _splitting(
        None,
        "Hold out the ratings from this date on, such as 2015-01-01 (temporal).",
        unset="set by `test`",
        when=_TEMPORAL,
        contradicts="strategy",
    )
    folds: int = _splitting(5, "Number of folds (k-fold).", when=_FOLDS, low=2, high=100)
    min_user: int = _splitting(1, "Drop users with fewer ratings.", low=1)
    min_item: int = _splitting(1, "Drop items with fewer ratings.", low=1)

    k: int = _model(10, "Number of factors per user and item.", low=1)
    optimizer: str = _model(
        "sgd",
        "sgd or adam (gradient descent), als (alternating least squares) or gibbs (sampling).",
        choices=("sgd", "adam", "als", "gibbs"),
    )
    ensemble: int = _model(
        1, "Average this many models, trained with different seeds.", low=1, high=1000
    )

    lr: float = _descent(0.08, "Learning rate.", above=0, high=1e6)
    batch_size: int = _descent(128, "Ratings per step.", low=1)
    momentum: float = _descent(0.9, "Momentum of sgd; beta_1 of adam.", low=0, below=1)
    nesterov: bool = _descent(
        False, "Use Nesterov momentum (sgd).", when=_SGD, contradicts="optimizer"
    )
    reg: float | None = _penalty(
        None,
        "L2 penalty (see `reg_scope`).",
        unset="0; 0.1 with als",
        # Without effect if each table has its own penalty; the error names one of these.
        when=_PENALIZED | {"reg_item_bias": lambda c: None in c.own_regs.values()},
        low=0,
        high=1e6,
    )
    reg_user: float | None = _table_penalty("L2 penalty: user factors.")
    reg_item: float | None = _table_penalty("L2 penalty: item factors.")
    reg_user_bias: float | None = _table_penalty("L2 penalty: user biases.")
    reg_item_bias: float | None = _table_penalty("L2 penalty: item biases.")
    reg_scope: str | None = _penalty(
        None,
        "Penalize whole tables, as in Keras (table), or each row by its ratings (rating).",
        unset="table; rating with als",
        choices=("table", "rating"),
    )
    reg_exponent: float = _penalty(
        1.0,
        "Power of a row's number of ratings that multiplies its penalty (als).",
        when=_ALS | {"reg_scope": lambda c: c.scope == "rating"},
        low=0,
        high=2,
    )

    target: str = _objective(
        "rating",
        "What a rated pair counts as: its rating, or 1 (rated), for models that rank.",
        choices=("rating", "rated"),
    )
    biases: bool = _objective(
        True,
        "Give users and items biases (als); scores often rank better without.",
        when=_ALS,
        contradicts="optimizer",
    )
    unrated_weight: float = _objective(
        0.0,
        "Weight of each pair that nobody rated; 0 ignores them.",
        contradicts="optimizer",
        low=0,
        high=1e6,
    )
    unrated_rating: float = _objective(
        0.0,
        "What a pair that nobody rated counts as.",
        when=_ROWS | {"unrated_weight": lambda c: c.unrated_weight > 0},
        contradicts="unrated_weight",
        low=-1e6,
        high=1e6,
    )
    rating_weight: str = _objective(
        "none",
        "Weight of a rated pair by its rating r: none (1), linear (r / max), squared,"
        " confidence (1 + `alpha` r) or log (1 + `alpha` log(1 + r)).",
        choices=("none", "linear", "squared", "confidence", "log"),
    )
    alpha: float = _objective(
        1.0,
        "Weight per unit of rating (confidence and log).",
        when=_ROWS | {"rating_weight": lambda c: c.rating_weight in ("confidence", "log")},
        above=0,
        high=1e6,
    )

    half_life: str | None = setting(
        None,
        "Age at which a training rating counts half as much as the latest one, such as 365d"
        " (s, h, d, w, y).",
        TRAINING,
        "Objective",
        unset="no decay",
        duration=True,
    )

    prior: str = _sampling(
        "implicit",
        "Prior of the factors: shared, or implicit (depends on who rated what).",
        choices=("implicit", "shared"),
    )
    noise: str = _sampling(
        "user",
        "Noise level of the ratings: shared, or one per user (user).",
        choices=("user", "shared"),
    )
    keep_samples: int = _sampling(
        0,
        "Samples to keep in the model, for prediction intervals (20 suffice); 0 for none.",
        contradicts="optimizer",
        low=0,
        high=1000,
    )

    lr_schedule: str = _schedule(
        "constant",
        "Learning rate over the epochs: constant, exponential, cosine or step.",
        choices=_SHAPES,
    )
    lr_end: float = _schedule(
        0.02,
        "Final learning rate, as a fraction of `lr`.",
        when=_DESCENT | {"lr_schedule": lambda c: c.lr_schedule != "constant"},
        contradicts="lr_schedule",
        above=0,
        high=1,
    )
    lr_every: str = _schedule(
        "epoch",
        "Update the learning rate every epoch or every step.",
        when=_DESCENT | {"lr_schedule": lambda c: c.lr_schedule != "constant" or c.warmup > 0},
        contradicts="lr_schedule",
        choices=("epoch", "step"),
    )
    warmup: int = _schedule(
        0, "Epochs of linear warm-up to `lr` before the schedule starts.", low=0
    )
    momentum_schedule: str = _schedule(
        "constant",
        "Momentum over the epochs: constant, exponential, cosine or step.",
        choices=_SHAPES,
    )
    momentum_end: float = _schedule(
        0.0,
        "Final momentum.",
        when=_DESCENT | {"momentum_schedule": lambda c: c.momentum_schedule != "constant"},
        contradicts="momentum_schedule",
        low=0,
        below=1,
    )
    average: float | None = _schedule(
        None,
        "Average the model over this final fraction of the epochs.",
        unset="0; 0.9 with gibbs",
        when=_optimizer_in(*_BY_STEPS, "gibbs"),
        low=0,
        high=1,
    )

    epochs: int = _run(
        15, "Passes over the training ratings.", ends_training=True, low=1, high=1_000_000
    )
    patience: int | None = _run(
        None,
        "Stop after N epochs without improvement; keep the best epoch.",
        unset="never",
        ends_training=True,
        low=1,
    )
    min_delta: float = _run(
        0.0,
        "Smallest change of the validation measure that counts as improvement.",
        when=_PATIENCE,
        ends_training=True,
        low=0,
    )
    metric: str | None = _run(
        None,
        "What validation and early stopping follow: rmse, ndcg, recall or map.",
        unset="rmse, or ndcg if the model predicts scores",
        choices=("rmse", "ndcg", "recall", "map"),
    )
    stop_on_test: bool = _run(
        False,
        "Allow early stopping on the test ratings if there are no validation ratings.",
        when=_PATIENCE,
        ends_training=True,
    )
    engine: str = _run(
        "auto",
        "fast (compiled), keras, or auto (fast where possible).",
        choices=("auto", "fast", "keras"),
    )
    blocks: int | None = _run(
        None,
        "Groups of users and items that train in parallel.",
        unset="chosen from the data, and for the workers of a cluster",
        when=_DESCENT,
        low=1,
    )
    seed: int = setting(0, "Random seed.", _SEED, "Run", low=0)

    clip: bool = _evaluation(True, "Clip predictions to the rating scale.")
    damping: float = _evaluation(
        5.0, "Damping of the bias baseline (number of ratings at the mean).", low=0
    )
    resamples: int = _evaluation(
        1000, "Bootstrap resamples for 95% intervals; 0 for no intervals.", low=0, high=100_000
    )
    at: int | tuple[int, ...] = setting(
        10,
        "Ranking cutoff, or several, such as 10,20,50; the first is the main one.",
        {TRAINING: _FOLLOWS_RANKINGS, EVALUATION: {}},
        "Run",
        several=True,
        low=1,
        high=1000,
    )
    relevant: float = setting(
        4.0,
        "Lowest rating that counts as relevant in rankings.",
        {
            TRAINING: _FOLLOWS_RANKINGS,
            EVALUATION: {"protocol": lambda c: c.protocol != "leave-last-out"},
        },
        "Run",
    )
    protocol: str = _evaluation(
        "unrated",
        "How rankings are measured: unrated (all unrated items), leave-last-out or"
        " strong-generalization (new users, folded in).",
        choices=("unrated", "leave-last-out", "strong-generalization"),
    )
    fold_in_fraction: float = _evaluation(
        0.8,
        "Fraction of each user's ratings that is folded in (strong-generalization).",
        when=_STRONG,
        contradicts="protocol",
        above=0,
        below=1,
    )

    def __new__(cls, **settings: Any) -> Self:
        """Refuse unknown settings with the name that was meant; Python's error has none."""
        for name in settings.keys() - SETTINGS.keys():
            checked(name, settings[name])  # raises
        return super().__new__(cls)

    def __post_init__(self) -> None:
        for name in SETTINGS:
            # A frozen class has no other way to store the converted value.
            object.__setattr__(self, name, checked(name, getattr(self, name)))
        if self.cut is not None:
            seconds_of(self.cut)  # raises if it is not a date
        self._check_fractions()
        self._check_contradictions()
        self._check_engine()
        self._check_objective()
        self._check_schedules()

    def __repr__(self) -> str:
        """Show the settings that differ from the defaults."""
        values = {name: getattr(self, name) for name in SETTINGS}
        changed = [f"{n}={v!r}" for n, v in values.items() if v != SETTINGS[n].default]
        return f"Config({', '.join(changed)})"

    def _check_fractions(self) -> None:
        if not self.test:  # these strategies always hold out test ratings
            self.refuse_unused("test")
        # Strategies without a test fraction check `valid` when they know the ratings.
        if SETTINGS["test"].is_used(self, SPLIT) and self.test + self.valid >= 1:
            rule = f" must leave ratings to train on: {self.test:g} + {self.valid:g} is not below 1"
            raise ConfigError([Param("test"), " and ", Param("valid"), rule])

    def _check_contradictions(self) -> None:
        for name, known in SETTINGS.items():
            # Only values that differ from the default can contradict: defaults are always allowed.
            is_set = getattr(self, name) != known.default
            if known.contradicts and is_set and known.obstacle(self) == known.contradicts:
                self.refuse_unused(name)

    def _check_engine(self) -> None:
        # adam exists in Keras only; als and the Gibbs sampler only as compiled code.
        only = {"adam": "keras", "als": "fast", "gibbs": "fast"}.get(self.optimizer, self.engine)
        if self.engine not in ("auto", only):
            raise ConfigError(
                [f"must be {only} or auto with ", Param("optimizer", self.optimizer)],
                param="engine",
                value=self.engine,
            )

    def _check_objective(self) -> None:
        if self.metric == "rmse" and self.predicts == "scores":
            raise ConfigError(
                "must be ndcg, recall or map for a model that predicts scores",
                param="metric",
                value=self.metric,
            )
        if not self.by_steps and self.target == "rated" and not self.unrated_weight:
            # Every target would be 1, which a constant predicts.
            raise ConfigError(
                ["must be above 0 with ", Param("target", "rated")],
                param="unrated_weight",
                value=self.unrated_weight,
                remedy=["try ", Param("unrated_weight", 0.1)],
            )
        self._check_penalties()

    def _check_penalties(self) -> None:
        # Rows with fewer ratings than factors would have no unique solution.
        tables = [name for name in _TABLE_REGS if self.biases or name.endswith("factors")]
        zero = next((name for name in tables if not self.regs[name]), None)
        if self.optimizer != "als" or zero is None:
            return
        name = "reg" if self.own_regs[zero] is None else _TABLE_REGS[zero]
        raise ConfigError(
            ["must be above 0 with ", Param("optimizer", "als")],
            param=name,
            value=0.0,
            remedy=["try ", Param(name, _ALS_REG)],
        )

    def _check_schedules(self) -> None:
        if self.momentum_schedule != "constant" and not self.momentum:
            raise ConfigError(
                ["requires a ", Param("momentum"), " above 0, got 0"], param="momentum_schedule"
            )
        if self.warmup >= self.epochs:  # the schedule would never start
            raise ConfigError(
                ["must be below ", Param("epochs"), f", got {self.warmup} of {self.epochs} epochs"],
                param="warmup",
            )

    def refuse_unused(self, name: str, *stages: str) -> None:
        """Refuse a setting that some stages do not use because of the other settings.

        Parameters
        ----------
        name : str
        *stages : str
            By default, all that may use the setting.

        Raises
        ------
        ConfigError
        """
        other = SETTINGS[name].obstacle(self, *stages)
        if not other:
            return
        value = getattr(self, other)
        shown = Param(other) if value is None else Param(other, value)
        raise ConfigError(
            [f"is not used with{'out' if value is None else ''} ", shown],
            param=name,
            remedy=[f"omit it, or {'set' if value is None else 'change'} ", Param(other)],
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
            for name, known in SETTINGS.items()
            if any(known.is_used(self, stage) for stage in stages)
        }
        return {name: value for name, value in values.items() if value is not None}

    def _resolved(self, name: str) -> Any:
        # Records state what was used, also where the default depends on the optimizer.
        if name == "average" and self.average is None:
            return self.averaged or None
        followed = self.followed if self.predicts == "scores" else self.metric
        known = {
            "reg": self.common_reg,
            "reg_scope": self.scope,
            "metric": followed,
            # Earlier versions read the records of models without samples.
            "keep_samples": self.keep_samples or None,
        }
        return known[name] if name in known else getattr(self, name)

    def effective(self, name: str) -> Any:
        """Return the value of a setting, or what it stands for if it is not set.

        None if that depends on more than the other settings.
        """
        if name in _TABLE_REGS.values():
            return next(self.regs[table] for table, own in _TABLE_REGS.items() if own == name)
        if name in ("average", "metric"):
            return {"average": self.averaged, "metric": self.followed}[name]
        return getattr(self, name) if name == "keep_samples" else self._resolved(name)

    @property
    def needs_length(self) -> bool:
        """Whether an epoch depends on the total number of epochs."""
        shapes = {self.lr_schedule, self.momentum_schedule}
        return shapes != {"constant"} or self.averaged > 0

    @property
    def averaged(self) -> float:
        """Fraction of the epochs, counted from the end, that are averaged."""
        if self.average is not None:
            return self.average
        return _GIBBS_AVERAGE if self.optimizer == "gibbs" else 0.0

    @property
    def first_averaged(self) -> int:
        """First epoch, counted from 1, that is averaged; 1 if none is."""
        return self.epochs + 1 - self.averaged_epochs if self.averaged_epochs else 1

    @property
    def averaged_epochs(self) -> int:
        """Number of epochs that are averaged."""
        return math.ceil(round(self.averaged * self.epochs, 9))  # 0.28 x 25 is 7.000000000000001

    @property
    def width(self) -> int:
        """Factors of each user and item in the trained model."""
        return self.k * self.ensemble

    @property
    def by_steps(self) -> bool:
        """Whether weights move by steps (sgd, adam); if not, each row is found as a whole."""
        return self.optimizer in _BY_STEPS

    @property
    def predicts(self) -> str:
        """What the model predicts: "ratings", or "scores" without a unit, which only rank items.

        Scores come from an objective with unrated pairs, or one without ratings.
        """
        is_score = self.target == "rated" or self.unrated_weight > 0
        return "scores" if is_score and not self.by_steps else "ratings"

    @property
    def followed(self) -> str:
        """The measure that validation and early stopping follow."""
        return self.metric or {"ratings": "rmse", "scores": "ndcg"}[self.predicts]

    @property
    def common_reg(self) -> float:
        """The penalty of tables that have no penalty of their own."""
        return self.reg if self.reg is not None else _ALS_REG if self.optimizer == "als" else 0.0

    @property
    def scope(self) -> str:
        """Whether whole tables are penalized ("table"), or rows by their ratings ("rating")."""
        return self.reg_scope or ("rating" if self.optimizer == "als" else "table")

    @property
    def cutoffs(self) -> tuple[int, ...]:
        """The ranking cutoffs; the first is the main one."""
        return self.at if isinstance(self.at, tuple) else (self.at,)

    @property
    def own_regs(self) -> dict[str, float | None]:
        """The penalty that is set for each table, by its name; None if `reg` applies."""
        return {table: getattr(self, name) for table, name in _TABLE_REGS.items()}

    @property
    def regs(self) -> dict[str, float]:
        """The penalty of each table, by its name."""
        own = self.own_regs
        return {table: self.common_reg if value is None else value for table, value in own.items()}

    @property
    def table_regs(self) -> dict[str, float]:
        """The penalty of each whole table at every step of descent; 0 if ratings are penalized."""
        is_used = self.by_steps and self.scope == "table"
        return {table: r if is_used else 0.0 for table, r in self.regs.items()}

    @property
    def rating_regs(self) -> dict[str, float]:
        """The penalty of each table's rows per rating; 0 if whole tables are penalized."""
        return {table: r if self.scope == "rating" else 0.0 for table, r in self.regs.items()}


_TABLE_REGS = {
    "user_factors": "reg_user",
    "item_factors": "reg_item",
    "user_biases": "reg_user_bias",
    "item_biases": "reg_item_bias",
}

_TYPES = {"int": int, "float": float, "bool": bool, "str": str}

SETTINGS = {
    field.name: Setting(
        name=field.name,
        # Annotations are texts, because of `from __future__ import annotations`.
        type=_TYPES[str(field.type).partition(" | ")[0]],
        default=field.default,
        **field.metadata,
    )
    for field in dataclasses.fields(Config)
}
"""The settings by name, in the order of the fields."""


def settings_in(stage: str) -> tuple[str, ...]:
    """Return the names of the settings of a stage."""
    return tuple(name for name, known in SETTINGS.items() if stage in known.stages)


def checked(name: str, value: Any) -> Any:
    """Return the value of a setting, converted to its type.

    Raises
    ------
    ConfigError
        If there is no such setting, the type is wrong or the value breaks the setting's rule.
    """
    if name in SETTINGS:
        return SETTINGS[name].checked(value)
    close = meant_setting(name) or closest(name, SETTINGS)
    remedy = f"did you mean {close!r}?" if close else f"the keys are {', '.join(SETTINGS)}"
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
    # Otherwise the result would depend on the time zone of the machine.
    return int((date if date.tzinfo else date.replace(tzinfo=datetime.UTC)).timestamp())


DEFAULTS = Config()

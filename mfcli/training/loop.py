"""The training loop: what it checks, and what happens between epochs."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple, TypedDict, Unpack

import numpy as np

from mfcli.arguments import check_functions, check_type
from mfcli.clusters import current_cluster
from mfcli.config import DEFAULTS, SETTINGS, TRAINING, Config
from mfcli.data import IMPLICIT, Ratings
from mfcli.errors import ArtifactError, ConfigError, DataError, Param, UsageError
from mfcli.model import MODEL_FILES, MODEL_FOLDER, Model, initial_model
from mfcli.splits import Folds, Split
from mfcli.storage import (
    check_memory,
    check_replaceable,
    check_writable_file,
    one_blas_thread,
    threads_of,
)
from mfcli.training.checkpoints import CHECKPOINT_FILES, CHECKPOINT_FOLDER, Checkpoint, Keeper
from mfcli.training.factory import make_engine
from mfcli.training.fitted import Fit
from mfcli.training.history import HISTORY_FILE, Epoch, HistoryRecord
from mfcli.training.plan import Plan, has_effects, make_plan, sorting_space, stored, training_memory
from mfcli.training.run import Run
from mfcli.training.weights import WeightedRatings, check_weights
from mfcli.types import Progress

_LARGEST = 1e14  # absolute rating; the squares of larger errors are refused in a history
_CLOSEST = 1e-14  # difference of the largest and the smallest rating
_SMALLER: list[str | Param] = ["use a smaller ", Param("k")]
_MODELS = 3  # held by the loop: the initial model, the best one and the last one


def check_writable(folder: Path) -> None:
    """Check before training that its results can be written to the folder of a run.

    Raises
    ------
    ArtifactError
    """
    if (folder / MODEL_FILES[0]).exists():
        rule = "is a model folder, not the folder of a run"
        raise ArtifactError(rule, place=folder, remedy=["choose another ", Param("out")])
    check_replaceable(folder / MODEL_FOLDER, MODEL_FILES)
    check_replaceable(folder / CHECKPOINT_FOLDER, CHECKPOINT_FILES)
    check_writable_file(folder / HISTORY_FILE, HistoryRecord)


def results_in(folder: Path) -> list[Path]:
    """Return what a training writes into the folder of its run, or may have there."""
    names = (MODEL_FOLDER, CHECKPOINT_FOLDER, HISTORY_FILE)
    return [folder / name for name in names]


def start(split: Split, config: Config) -> Model:
    """Return the initial model, with weights drawn from the seed."""
    rng = np.random.default_rng([config.seed, 0])
    columns = split.source.columns if split.source else None
    # Scores of unknown users and items are those of unrated pairs.
    is_score = config.predicts == "scores"
    mu = config.unrated_rating if is_score else WeightedRatings(split.train, config).weighted_mean
    model = initial_model(split.train, mu, split.scale, config, split.hash, rng, columns)
    return dataclasses.replace(model, trained_on=split.in_train)


class Hooks(TypedDict, total=False):
    """What `fit` does besides training; all are optional.

    Attributes
    ----------
    resume : Checkpoint or None
        State to continue from. The result has the same bits as without the interruption.
    keeper : Keeper
        Writes checkpoints.
    on_plan : callable
        Called before training with the plan, when an older checkpoint of `keeper` is replaced.
    on_epoch : callable
        Called after each epoch with its `Epoch`.
    on_checkpoint : callable
        Called when `keeper` has written a checkpoint, with its epoch and its folder.
    on_progress : callable
        Called within an epoch with the number of ratings done and of all ratings.
    """

    resume: Checkpoint | None
    keeper: Keeper
    on_plan: Callable[[Plan], None]
    on_epoch: Callable[[Epoch], None]
    on_checkpoint: Callable[[int, Path], None]
    on_progress: Progress


@one_blas_thread()
def fit(
    split: Split,
    config: Config = DEFAULTS,
    *,
    threads: int | None = None,
    **hooks: Unpack[Hooks],
) -> Fit:
    """Train a model on `split.train`, validated on its `valid` or `test`, if any.

    Parameters
    ----------
    split : Split
    config : Config
    threads : int, optional
        One per core by default; the result does not depend on it.
    **hooks
        on_epoch, on_progress, resume, ...: see `mfcli.training.Hooks`.

    Returns
    -------
    Fit
        Its `model`, and the `history` of its training.

    Raises
    ------
    MfcliError
        `Diverged` if the error grows without bound; others say what to do.
    """
    for name in hooks:
        _check_hook(name)
    return _fit(split, config, threads_of(threads), **hooks)


def _check_hook(name: str) -> None:
    if name in Hooks.__annotations__:
        return
    remedy = f"give settings in a config: Config({name}=...)" if name in SETTINGS else ""
    raise UsageError(f"fit has no argument {name!r}", remedy=remedy)


def _fit(
    split: Split,
    config: Config,
    threads: int,
    *,
    resume: Checkpoint | None = None,
    keeper: Keeper | None = None,
    on_plan: Callable[[Plan], None] = lambda plan: None,
    on_epoch: Callable[[Epoch], None] = lambda epoch: None,
    on_checkpoint: Callable[[int, Path], None] = lambda epoch, folder: None,
    on_progress: Progress = lambda done, total: None,
) -> Fit:
    _check_arguments(split, config)
    if resume is not None:
        check_type(resume, Checkpoint, "resume")
    if keeper is not None:
        check_type(keeper, Keeper, "keeper")
    check_functions(
        on_plan=on_plan, on_epoch=on_epoch, on_checkpoint=on_checkpoint, on_progress=on_progress
    )
    begin = Checkpoint.begin(config, split.hash, split.in_train)
    plan, config = _prepared(split, config, resume)
    try:
        if keeper and not (resume and resume.has_state):
            keeper.begin(begin)
        on_plan(plan)
        run = _begin(split, config, plan, threads, resume)
        while not run.is_done():
            epoch = run.next(on_progress)
            on_epoch(epoch)
            if keeper and keeper.offer(epoch, run.is_done(), run.checkpoint):
                on_checkpoint(epoch.epoch, keeper.folder)
    except Exception:  # not Ctrl-C, after which the training that was stopped can start again
        if keeper:
            keeper.fail()
        raise
    finally:
        if keeper:
            keeper.close()
    return run.result()


class Prepared(NamedTuple):
    """What is known about a training before it begins.

    Attributes
    ----------
    plan : Plan
    config : Config
        With the engine and the number of blocks that were chosen.
    """

    plan: Plan
    config: Config


def prepare(split: Split, config: Config, resume: Checkpoint | None = None) -> Prepared:
    """Return how `fit` would train; it refuses the same settings, ratings and limits of memory.

    Parameters
    ----------
    split, config
        As for `fit`.
    resume : Checkpoint, optional
        As in `Hooks`.
    """
    _check_arguments(split, config)
    return _prepared(split, config, resume)


def _prepared(split: Split, config: Config, resume: Checkpoint | None) -> Prepared:
    plan = make_plan(split.train, config)
    cluster = current_cluster()
    if cluster:
        from mfcli.training.distributed.plans import plan_on

        plan = plan_on(cluster, plan, split, config)
    chosen = dataclasses.replace(config, engine=plan.engine, blocks=plan.groups)
    if resume:
        resume.check(chosen if resume.has_state else config, split.hash, split.in_train)
    return Prepared(check_trainable(split, chosen, plan), chosen)


def _check_arguments(split: Split, config: Config) -> None:
    if isinstance(split, Folds):
        raise ConfigError(
            f"must be one split, got {len(split)} folds",
            param="split",
            remedy="train on each of the folds, or use cross_validate",
        )
    check_type(split, Split, "split", "make one with split(ratings)")
    check_type(config, Config, "config")
    _check_feedback(split, config)
    _check_samples(config)
    if config.patience:
        _check_patience(split, config)


def _check_patience(split: Split, config: Config) -> None:
    """Refuse to stop early by ratings that do not exist, or that the user has not allowed."""
    if split.valid is not None or (split.test is not None and config.stop_on_test):
        return
    remedy: list[str | Param] = ["split with ", Param("valid", 0.1)]
    if split.test is not None:
        remedy += [" or allow test ratings with ", Param("stop_on_test", True)]
    raise ConfigError(
        "requires validation ratings", param=Param("patience", config.patience), remedy=remedy
    )


def _check_samples(config: Config) -> None:
    averaged = config.averaged_epochs
    if config.keep_samples > averaged:
        raise ConfigError(
            f"must be at most {averaged}, the number of averaged epochs",
            param="keep_samples",
            value=config.keep_samples,
            remedy=["use more ", Param("epochs"), " or keep fewer samples"],
        )


def _check_feedback(split: Split, config: Config) -> None:
    """Refuse events as ratings to predict."""
    if split.feedback == IMPLICIT and config.used(TRAINING).get("target") != "rated":
        raise ConfigError(
            "the split holds events, not ratings to predict",
            remedy=["write settings for them with mfcli init, or use ", Param("target", "rated"),
                    ", ", Param("unrated_weight", 0.1), " and ", Param("optimizer", "als")],
        )  # fmt: skip


def check_trainable(split: Split, config: Config, plan: Plan) -> Plan:
    """Refuse ratings and weights that float32 cannot hold, and what does not fit in memory.

    Returns
    -------
    Plan
        With blocks on disk if they do not fit in memory.

    Raises
    ------
    DataError, LimitError
    """
    _check_scale(split)
    check_weights(split.train, config)
    return _check_memory(split, config, plan)


def _check_scale(split: Split) -> None:
    """Refuse ratings whose squared errors overflow, or vanish, in float32."""
    low, high = split.scale.min, split.scale.max
    if max(-low, high) > _LARGEST:
        rule = f"ratings must be at most {_LARGEST:g} in absolute value for training"
        value = low if -low > high else high
        raise DataError(rule, value=value, remedy="divide them by a constant")
    if 0 < high - low < _CLOSEST:
        rule = f"ratings must differ by at least {_CLOSEST:g} for training"
        raise DataError(rule, value=high - low, remedy="multiply them by a constant")


def _check_memory(split: Split, config: Config, plan: Plan) -> Plan:
    """Refuse training that does not fit in memory. The split is memory-mapped and needs none."""
    train, rows = split.train, len(split.train.users) + len(split.train.items)
    # float32 values: factors and a bias for each row
    models = _MODELS * 4 * rows * (config.width + 1)
    training = training_memory(
        plan, len(train), rows, config, weighted=train.weight is not None, scale=split.scale
    )
    if plan.on_cluster and not has_effects(config):  # the workers have the ratings
        need = models + training["tables"]
        check_memory(need, f"training with k {config.k}", _SMALLER)
        return plan._replace(memory=need)
    fixed, records = models + sum(training.values()) - training["records"], training["records"]
    is_stored = plan.engine == "fast"
    if is_stored:
        plan = stored(plan, records, fixed, sorting_space(len(train), config))
    need = fixed + (0 if is_stored and plan.on_disk else records)
    remedy: list[str | Param] = [*_SMALLER]
    if not is_stored:
        remedy.append(" or fewer ratings")
    elif training["shuffle"] > need / 4:  # of one block
        remedy += [", or more ", Param("blocks")]
    check_memory(need, f"training with k {config.k}", remedy)
    return plan._replace(memory=need)


def _begin(
    split: Split, config: Config, plan: Plan, threads: int, resume: Checkpoint | None
) -> Run:
    # A restored engine replaces these weights, but needs tables of the same shapes.
    starts = [start(split, member) for member in members(config)]
    cluster = current_cluster()
    if cluster:
        compiled_for = str(cluster.processors)
        starts = [dataclasses.replace(one, compiled_for=compiled_for) for one in starts]
    held_out = ratings_to_validate(split)
    engine = make_engine(plan, starts, split.train, held_out, threads, split=split)
    if not resume or not resume.has_state:
        return Run(split, config, engine, starts[0], threads, cluster=cluster)
    engine.restore(resume.state)
    earlier = resume.history.epochs()
    return Run(
        split, config, engine, starts[0], threads, earlier=earlier, best=resume.best,
        cluster=cluster,
    )  # fmt: skip


def ratings_to_validate(split: Split) -> Ratings | None:
    """Return the held-out ratings of a split, if there are any."""
    return split.held_out[1] if split.held_out else None


def members(config: Config) -> list[Config]:
    """Return the config of each member of an ensemble; they differ in their seeds.

    The samples to keep are divided among them.
    """
    size, n = config.keep_samples, config.ensemble
    return [
        dataclasses.replace(
            config,
            seed=config.seed + number,
            ensemble=1,
            keep_samples=size * (number + 1) // n - size * number // n,
        )
        for number in range(n)
    ]

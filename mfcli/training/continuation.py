"""Training that goes on after ratings were added: nothing that was learned is lost.

Rows that had training ratings before keep their state (weights, velocities, samples, means), and
new ones start where fold-in puts them. A few epochs over all ratings follow. Averages over epochs
or samples go on, too; the more ratings are new, of a row and of all rows, the less their earlier
part counts.

If few ratings are new, an epoch of gradient descent has a sample of the others: many updates with
an epoch over all of them would fit their noise. It has new ratings several times, because training
from scratch would see them many times. With a given number of epochs, all are the usual ones.
"""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from mfcli.arguments import check_type
from mfcli.config import Config
from mfcli.data import Ratings, counts_of
from mfcli.errors import ArtifactError
from mfcli.model import TABLES, Model, with_estimated_rows
from mfcli.splits import Split
from mfcli.storage import one_blas_thread, threads_of
from mfcli.training.checkpoints import Checkpoint
from mfcli.training.engine import Engine, State, Update
from mfcli.training.factory import make_engine
from mfcli.training.fitted import Fit
from mfcli.training.history import Epoch
from mfcli.training.loop import check_trainable, members, ratings_to_validate, start
from mfcli.training.plan import Plan, make_plan
from mfcli.training.run import Run
from mfcli.types import Counts, Doubles, Floats, Mask, Progress, Rows

_TURNS = 4  # of new ratings in a single epoch of descent
_SHARE = 0.05  # of the training ratings
_EPOCHS = 2.0  # times the share of the training ratings that is new, of the epochs of a training
_ORIGIN = "origin"  # array of the state of Gibbs sampling: mu, and the unit of ratings


def update_epochs(config: Config, new: int, ratings: int) -> int:
    """Return how many epochs an update takes: a tenth of a training if 5% of the ratings are new.

    At least one, or two with Gibbs sampling, unless none is new.

    Parameters
    ----------
    config : Config
        Of the training.
    new, ratings : int
        Number of training ratings that are new, and of all of them.
    """
    if not new:
        return 0
    # The first draws of new rows depend on their start.
    least = 2 if config.optimizer == "gibbs" else 1
    return min(max(math.floor(_passes(config.epochs, new, ratings)), least), config.epochs)


def _passes(epochs: int, new: int, ratings: int) -> float:
    """Return how many times an update passes over the ratings; it may be less than once."""
    return _EPOCHS * epochs * new / ratings


@one_blas_thread()
def continued(
    split: Split,
    model: Model,
    checkpoint: Checkpoint | None,
    new: Ratings,
    *,
    epochs: int | None = None,
    threads: int | None = None,
    on_epoch: Callable[[Epoch], None] = lambda epoch: None,
    on_progress: Progress = lambda done, total: None,
) -> tuple[Fit, Checkpoint]:
    """Train a model further, on a split that has other ratings than before.

    Parameters
    ----------
    split : Split
        May have users and items that the model lacks, and lack some of them.
    model : Model
    checkpoint : Checkpoint or None
        Of the training of the model. Without it, training goes on from its weights alone.
    new : Ratings
        Those of the training ratings that are new or have changed.
    epochs : int, optional
        By default, see `update_epochs`. With 0, new rows are folded in, and nothing else changes.
    threads : int, optional
        One per core by default; the result does not depend on it.
    on_epoch, on_progress : callable
        As for `fit`.

    Returns
    -------
    fit : Fit
        The history includes the epochs before.
    checkpoint : Checkpoint
        The state to continue from the next time.

    Raises
    ------
    ArtifactError
        If the checkpoint does not belong to the model, or there is none and it is an ensemble.
    MfcliError
        As for `fit`.
    """
    check_type(model, Model, "model", "load one with Model.load, or train one with fit")
    if checkpoint is not None:
        check_type(checkpoint, Checkpoint, "checkpoint")
        checkpoint.check_split(model.split_hash)
        checkpoint.check_parts(model.trained_on)
    config, ratings, train = model.config, len(split.train), split.train
    if epochs is None:
        epochs = update_epochs(config, len(new), ratings)
        if config.by_steps and epochs:
            train = with_few_others(split.train, new, config)
    training = _Continuation.of(split, train, model, checkpoint, new, threads_of(threads))
    return training.run(epochs, on_epoch, on_progress)


def with_few_others(train: Ratings, new: Ratings, config: Config) -> Ratings:
    """Return what an epoch of descent has: new ratings several times, and some of the others."""
    passes = _passes(config.epochs, len(new), len(train))
    turns = max(round(_TURNS / max(passes, 1)), 1)
    kept = np.arange(len(train)) if passes >= 1 else _sample(train, new, passes, config.seed)
    if turns == 1 and len(kept) == len(train):
        return train
    again = np.flatnonzero(_are_in(train, new))
    return train.take(np.concatenate([kept, *[again] * (turns - 1)]))


def _sample(train: Ratings, new: Ratings, share: float, seed: int) -> NDArray[np.int64]:
    """Choose all new ratings, and as many others as make up a share of all."""
    chosen = _are_in(train, new)
    # The number of ratings keeps the samples of several updates apart.
    rng = np.random.default_rng([seed, 3, len(train)])
    # Some are drawn twice, and count once.
    others = max(round(share * len(train)) - len(new), 0)
    chosen[rng.integers(len(train), size=others)] = True
    return np.flatnonzero(chosen)


def _are_in(train: Ratings, new: Ratings) -> Mask:
    """Return which of the ratings are of pairs in `new`."""
    users, items = (
        counts_of(getattr(new, side), len(getattr(train, f"{side}s"))) > 0
        for side in ("user", "item")
    )
    # Few ratings are of these users and of these items, so few numbers are compared.
    found = users.take(train.user) & items.take(train.item)
    near = np.flatnonzero(found)
    found[near] = np.isin(_pairs(train.take(near)), _pairs(new))
    return found


def _pairs(ratings: Ratings) -> Counts:
    """Return one number for each pair of a user and an item."""
    return ratings.user.astype(np.int64) << 32 | ratings.item


class _Rows(NamedTuple):
    """Which rows of one side go on.

    Attributes
    ----------
    old : int32 array, shape (n,)
        The row of each id in the model; -1 if it is not there.
    goes_on : bool array, shape (n,)
        Whether its state does: it has training ratings as before, or none as before.
    known : bool array, shape (n,)
        Whether it has training ratings now and had some before.
    kept : float64 array, shape (n,)
        How much of what was learned about it before still counts in averages: the fraction of its
        training ratings that it had then, times a factor that falls to zero when `_SHARE` of all
        ratings are new, because the rows that it is multiplied with have changed, too.
    """

    old: Rows
    goes_on: Mask
    known: Mask
    kept: Doubles

    @classmethod
    def of(cls, side: str, model: Model, train: Ratings, new: Ratings) -> _Rows:
        """Match the ids of one side, "user" or "item"."""
        before, now = model.side(side), {"user": train.users, "item": train.items}[side]
        old = before.rows(now.ids)
        had, has = before.counts[old] > 0, now.counts > 0
        goes_on = (old >= 0) & (had == has)
        known = goes_on & has
        added = counts_of(getattr(new, side), len(now))
        kept = np.where(goes_on, 1 - added / np.maximum(now.counts, 1), 0.0)
        kept *= max(1 - len(new) / len(train) / _SHARE, 0.0)
        return cls(old, goes_on, known, kept)

    def moved(self, before: NDArray[Any], now: NDArray[Any]) -> NDArray[Any]:
        """Return the rows of an array, with those that go on in their new places."""
        moved = now.copy()
        moved[self.goes_on] = before[self.old[self.goes_on]]
        return moved


@dataclass(frozen=True)
class _Continuation:
    """A training that is about to go on.

    Attributes
    ----------
    split : Split
    train : Ratings
        What the next epochs have; not always all training ratings.
    threads : int
    plan : Plan
    rows : dict of _Rows
        By "users" and "items".
    model : Model
        The model with the rows of the split; new ones are folded in.
    checkpoint : Checkpoint or None
        Whose state training goes on from; None if it starts from the model.
    earlier : list of Epoch
    after : int
        Number of epochs before these that are not known.
    """

    split: Split
    train: Ratings
    threads: int
    plan: Plan
    rows: dict[str, _Rows]
    model: Model
    checkpoint: Checkpoint | None
    earlier: list[Epoch]
    after: int

    @classmethod
    def of(
        cls,
        split: Split,
        train: Ratings,
        model: Model,
        checkpoint: Checkpoint | None,
        new: Ratings,
        threads: int,
    ) -> _Continuation:
        """Match the rows of the model and of the split, and fold in new ones."""
        config = model.config
        if train is not split.train:  # the blocks of all ratings do not suit some of them
            config = dataclasses.replace(config, blocks=None)
        plan = check_trainable(split, config, make_plan(train, config))
        rows = {f"{side}s": _Rows.of(side, model, split.train, new) for side in ("user", "item")}
        earlier = checkpoint.history.epochs() if checkpoint else []
        return cls(
            split=split,
            train=train,
            threads=threads,
            plan=plan,
            rows=rows,
            model=_folded(_moved(model, split, rows), split.train),
            checkpoint=_usable(checkpoint, model),
            earlier=earlier,
            after=max(model.config.epochs - len(earlier), 0),
        )

    def run(
        self, epochs: int, on_epoch: Callable[[Epoch], None], on_progress: Progress
    ) -> tuple[Fit, Checkpoint]:
        """Run some epochs."""
        config, starts = self.model.config, self._starts()
        engine = self._engine(starts, epochs)
        run = Run(
            self.split, config, engine, starts[0], self.threads, earlier=self.earlier,
            after=self.after,
        )  # fmt: skip
        for _ in range(epochs):
            on_epoch(run.next(on_progress))
        fit = run.last()
        if not epochs:
            fit = dataclasses.replace(fit, model=engine.model().with_tables(self.model.tables))
        state = {name: array.copy() for name, array in engine.state().items()}
        tables = fit.model.tables
        split = self.split
        return fit, Checkpoint(config, split.hash, fit.history, state, tables, split.in_train)

    def _starts(self) -> list[Model]:
        """Return the initial model of each member, of which only the new rows matter."""
        mu = self.model.mu
        if self.checkpoint and self.model.config.optimizer == "gibbs":
            mu = float(_origin(self.checkpoint.state)[0])  # later ones are not those of the chain
        starts = [start(self.split, member) for member in members(self.model.config)]
        starts = [dataclasses.replace(one, mu=mu) for one in starts]
        # Members have rows of their own, so that those of the model are not theirs.
        if len(starts) > 1:
            return starts
        return [starts[0].with_tables(self.model.tables)]

    def _engine(self, starts: list[Model], epochs: int) -> Engine:
        is_sampled = self.model.config.optimizer == "gibbs"
        # The first sample after a change is not from the posterior yet. Of two, both count.
        skipped = int(is_sampled and epochs > 2)
        update = Update(
            known=(self.rows["users"].known, self.rows["items"].known),
            kept=(self.rows["users"].kept, self.rows["items"].kept),
            first=self.after + len(self.earlier) + 1 + skipped,
            unit=float(_origin(self.checkpoint.state)[1])
            if self.checkpoint and is_sampled
            else None,
        )
        held_out = ratings_to_validate(self.split)
        engine = make_engine(
            self.plan, starts, self.train, held_out, self.threads, update, self.split
        )
        if self.checkpoint:
            engine.restore(self._state(self.checkpoint.state, engine))
        elif is_sampled:
            _adopt(engine, self.model)
        return engine

    def _state(self, before: State, engine: Engine) -> State:
        """Return a state in the rows of the split; that of new rows is the one of the engine."""
        now, sides = engine.state(), engine.sides()
        if set(before) != set(now):
            raise _no_fit()
        state = {name: array for name, array in before.items() if name not in sides}
        for name, side in sides.items():
            state[name] = self.rows[side].moved(before[name], np.asarray(now[name]))
        return state


def _moved(model: Model, split: Split, rows: dict[str, _Rows]) -> Model:
    """Return a model with the rows of a split; new ones are zero and have a count of zero."""
    tables = {
        name: rows[f"{name[:4]}s"].moved(model.tables[name], _zeros(name, model, split))
        for name in TABLES
    }
    users, items = (
        dataclasses.replace(now, counts=np.where(rows[side].known, now.counts, 0))
        for side, now in (("users", split.train.users), ("items", split.train.items))
    )
    return dataclasses.replace(
        model.with_tables(tables),
        users=users,
        items=items,
        folded_in=(),
        folded_in_items=(),
        split_hash=split.hash,
    )


def _zeros(name: str, model: Model, split: Split) -> Floats:
    rows = len(split.train.users if name.startswith("user") else split.train.items)
    table = model.tables[name]
    return np.zeros((rows, *table.shape[1:]), table.dtype)


def _folded(model: Model, train: Ratings) -> Model:
    """Fold in the users and items that have training ratings, but no row yet."""
    new = [
        (model.users.counts == 0) & (train.users.counts > 0),
        (model.items.counts == 0) & (train.items.counts > 0),
    ]
    if not any(mask.any() for mask in new):
        return model
    chosen = new[0][train.user] | new[1][train.item]
    return with_estimated_rows(model, train.take(np.flatnonzero(chosen)), new[0])


def _usable(checkpoint: Checkpoint | None, model: Model) -> Checkpoint | None:
    """Return a checkpoint if its state is that of the model.

    The state of als is its rows. After early stopping, the state of the last epoch is not that of
    the best one, except with Gibbs sampling, where it is a sample like any other.
    """
    config = model.config
    if config.optimizer == "als" and config.ensemble == 1:
        return None
    if checkpoint is None or not checkpoint.has_state:
        if config.ensemble == 1:
            return None
        rule = "the checkpoint of its training is missing, which an update of an ensemble requires"
        raise ArtifactError(rule, remedy="train again")
    is_any = config.ensemble > 1 or config.optimizer == "gibbs"
    return checkpoint if is_any or _is_last(checkpoint, model) else None


def _adopt(engine: Engine, model: Model) -> None:
    from mfcli.training.gibbs.engine import GibbsEngine

    assert isinstance(engine, GibbsEngine)
    engine.adopt(model)


def _is_last(checkpoint: Checkpoint, model: Model) -> bool:
    """Return whether a model is that of the last epoch."""
    last = {name: values[-1] for name, values in checkpoint.history.lists.items()}
    return all(last.get(name) == value for name, value in model.losses.items())


def _origin(state: State) -> Doubles:
    """Return mu and the unit of ratings in Gibbs sampling; members of an ensemble share them."""
    for name, array in state.items():
        if name.split(".")[-1] == _ORIGIN:
            return np.asarray(array)
    raise _no_fit()


def _no_fit() -> ArtifactError:
    return ArtifactError("the checkpoint does not fit this model", remedy="train again")

"""Samples from the posterior: not the best weights, but the mean prediction over all likely ones.

Each epoch draws the users' rows given the items', then the items' given the users'. The model has
Gaussian noise and Gaussian priors, whose parameters are drawn as well (R. Salakhutdinov and A.
Mnih, "Bayesian probabilistic matrix factorization using Markov chain Monte Carlo", ICML 2008).
There is no learning rate, momentum or penalty to choose. All computations are in units of the
standard deviation of the ratings, so that their scale does not matter.

The mean of the predictions of n samples is a biased matrix factorization with n k factors. After
every epoch it is reduced to 2 k factors with the singular value decomposition, and the model is its
best approximation with k. On real ratings this increases the RMSE by a few ten-thousandths.
"""

from __future__ import annotations

import math
from dataclasses import replace

import numpy as np

from mfcli.data import Ratings
from mfcli.model import Model
from mfcli.training.engine import Losses, State, Update, copy_state
from mfcli.training.gibbs.chain import Side
from mfcli.training.gibbs.effects import draw_blocks
from mfcli.training.gibbs.kept_samples import KeptSamples
from mfcli.training.gibbs.noise import UserNoise
from mfcli.training.gibbs.normals import Turn
from mfcli.training.gibbs.running_mean import Centered, RunningMean
from mfcli.training.held_out import held_out_mse
from mfcli.training.normal_equations.ratings_by_row import BothSides
from mfcli.types import Floats, Progress

_SPREAD = 4.0  # times the usual initial weights, from which the first priors would be too narrow
_SIDES = ("users", "items")
_KINDS = 5  # of draws in an epoch that have variates of their own


class GibbsEngine:
    """Draws samples from the posterior and averages those of the later epochs.

    Parameters
    ----------
    start : Model
        Its weights are the start of the chain.
    ratings : BothSides
        Targets and weights of the rated pairs.
    held_out : Ratings, optional
        Targets to validate on.
    update : Update, optional
        The state that `restore` gets is that of an earlier training on some of these ratings.
    """

    def __init__(
        self,
        start: Model,
        ratings: BothSides,
        held_out: Ratings | None,
        update: Update | None = None,
    ) -> None:
        config = start.config
        self._start, self._unit, self._update = start, ratings.unit, update
        self._held_out, self._threads = held_out, ratings.users.threads
        self._total, self._size = int(ratings.users.counts.sum()), float(ratings.users.sizes.sum())
        self._center = start.mu / self._unit
        # Relative to the precision of a rating
        self._unrated = config.unrated_weight, config.unrated_rating / self._unit
        spread = np.float32(_SPREAD)
        self._users = Side(ratings.users, spread * start.user_factors, spread * start.user_biases)
        self._items = Side(ratings.items, spread * start.item_factors, spread * start.item_biases)
        if config.prior == "implicit":
            assert ratings.here is not None
            by_user, by_item = ratings.here
            self._users.add_effects(by_item)
            self._items.add_effects(by_user)
        self._noise = UserNoise(
            ratings.users.sizes, per_user=config.noise == "user", threads=self._threads
        )
        self._mean = RunningMean(start.k, (len(start.users), len(start.items)), self._users.width)
        self._older: RunningMean | None = None  # of the training that an update continues
        self._faded: tuple[int, RunningMean] | None = None  # of both, and the new samples in it
        self._kept = KeptSamples(start, ratings)
        self._first_averaged = update.first if update else config.first_averaged
        # Apart from the generators of the initial weights and of the epochs.
        seeds = np.random.SeedSequence([config.seed, 2])
        self._key = seeds.generate_state(2, np.uint32).astype(np.uint32)

    def run_epoch(self, epoch: int, on_progress: Progress) -> Losses:
        # Each epoch has its own generator, so that a resumed chain draws the same numbers. The 1
        # keeps it apart from the generator of the initial weights, which has a 0.
        rng = np.random.default_rng([self._start.config.seed, 1, epoch])
        turns = [Turn(self._key, epoch * _KINDS + kind) for kind in range(_KINDS)]
        self._draw_priors(turns[:2], rng)
        # The precision a w_u of a rating belongs to its user: it is alpha when users are drawn, and
        # root^2 when items are drawn.
        ones = np.ones(len(self._items.rows))
        others = self._items.packed(ones, self._center)
        unrated = self._items.unrated(others, *self._unrated)
        self._users.draw(others, unrated, self._noise.precisions, turns[2])
        on_progress(self._total // 2, self._total)
        squares = self._users.squares
        if not np.isfinite(squares).all():
            return Losses(math.nan, math.nan)  # the noise of such errors cannot be drawn
        self._noise.draw(squares, rng, turns[3])
        roots = np.sqrt(self._noise.precisions)
        others = self._users.packed(roots, self._center)
        unrated = self._users.unrated(others, *self._unrated)
        expected = self._items.work  # which is not in use while these rows are drawn
        self._items.draw(others, unrated, ones, turns[4], expected)
        if self._start.config.averaged and epoch >= self._first_averaged:
            # Means of items given users vary less than draws, and have the same expectation (A. E.
            # Gelfand and A. F. M. Smith, JASA 85, 1990, section 2.3).
            self._mean.add(self._centered(expected), self._threads)
            self._keep_sample()
        on_progress(self._total, self._total)
        # Back from units of the standard deviation to rating units.
        mse = float(squares.sum()) * self._unit**2 / self._size
        if not np.isfinite(self._items.squares).all():
            mse = math.nan  # also if no held-out rating is of these items
        return Losses(mse, mse)

    def _keep_sample(self) -> None:
        """Keep the current sample if it is due; in an update, every one is."""
        if len(self._kept) and (self._update or self._kept.is_due(self._mean.count)):
            self._kept.add(self._centered(self._items.rows), 1 / self._noise.precisions)

    def _draw_priors(self, turns: list[Turn], rng: np.random.Generator) -> None:
        sides = self._users, self._items
        for side in sides:
            side.draw_prior(rng)
        draws = [side.effects_draw(turn) for side, turn in zip(sides, turns, strict=True)]
        effects = [draw for draw in draws if draw]
        draw_blocks(effects, self._threads)
        for draw in effects:
            draw.finish(rng)

    def validate(self) -> Losses | None:
        if self._held_out is None:
            return None
        mse = held_out_mse(self.model(), self._held_out, self._threads)
        return Losses(mse, mse)

    def model(self) -> Model:
        """Return the mean of the samples, or the last sample if none is averaged yet."""
        mean = self._whole_mean()
        if mean.count:
            found = mean.best()
        else:
            found = self._centered(self._items.rows).factorization(self._start.k)
        # A product of factors has the unit of the ratings.
        unit, root = np.float32(self._unit), np.float32(math.sqrt(self._unit))
        tables = {}
        for name, biases, factors in zip(
            ("user", "item"), found.biases, found.factors, strict=True
        ):
            tables[f"{name}_biases"] = biases * unit
            tables[f"{name}_factors"] = np.multiply(factors, root, order="C")
        whole = replace(self._start, mu=found.mu * self._unit, samples=self._kept.samples())
        return whole.with_tables(tables)

    def state(self) -> State:
        sides = dict(zip(_SIDES, (self._users, self._items), strict=True))
        rows = {f"sample.{name}": side.rows for name, side in sides.items()}
        effects = {
            f"{kind}.{name}": array
            for name, side in sides.items()
            if side.effects
            for kind, array in side.effects.state().items()
        }
        more = {
            "item_mean": self._items.prior.mean,
            "origin": np.array([self._start.mu, self._unit]),
        }
        chain = rows | effects | self._noise.state() | more
        return chain | self._whole_mean().state() | self._kept.state()

    def sides(self) -> dict[str, str]:
        names = ("sample", "sums", "mean_biases", "mean", "samples", "kept")
        both = {f"{name}.{side}": side for name in names for side in _SIDES}
        # What an item adds to the users who have rated it, and the other way round
        effects = {"effects.users": "items", "effects.items": "users"}
        noise = {"weights": "users", "kept.noise": "users"}
        sides, own = both | effects | noise, self.state().keys()
        return {name: side for name, side in sides.items() if name in own}

    def restore(self, state: State) -> None:
        copy_state(state, self.state())
        if self._update:
            self._older, self._mean = self._mean, self._mean.emptied()
            for side, known in zip((self._users, self._items), self._update.known, strict=True):
                side.start_new(~known)
            if len(self._kept):
                self._kept.start_new(*(~known for known in self._update.known))

    def adopt(self, model: Model) -> None:
        """Go on from a model whose samples are not known, in place of `restore`.

        It stands for their mean, and for the last one of them.
        """
        unit, root = np.float32(self._unit), np.float32(math.sqrt(self._unit))
        for name, side in (("user", self._users), ("item", self._items)):
            side.factors[:] = model.tables[f"{name}_factors"] / root
            side.rows[:, 0] = model.tables[f"{name}_biases"] / unit
        mse = model.losses.get("mse", 0.0)
        if mse > 0:
            self._noise.precision[:] = self._unit**2 / mse
        config = self._start.config
        count = config.epochs + 1 - config.first_averaged
        self._older = self._mean
        self._older.stand_for(Centered(self._center, self._users.rows, self._items.rows), count)
        self._mean = self._older.emptied()

    def _whole_mean(self) -> RunningMean:
        """Return the mean of all samples, also of those before an update."""
        if not self._older or not self._update:
            return self._mean
        if not self._mean.count:
            return self._older
        count, faded = self._faded or (0, None)
        if not faded or count != self._mean.count:  # takes almost as long as an epoch
            faded = self._older.faded(self._mean, self._update.kept, self._threads)
            self._faded = self._mean.count, faded
        return faded

    def _centered(self, item_rows: Floats) -> Centered:
        """Return mu and rows that give the same predictions, where rows without ratings are zero.

        A row n of the users and a row m of the items are subtracted from all rows::

            p.q = n.m + (p - n).m + n.(q - m) + (p - n).(q - m)

        A row of zeros is then predicted like n or m. Nothing is known about a user without ratings,
        so n is the mean of the users. An item without ratings is one that few users rate, so m is
        the mean of the prior of the items without any effect of the users who rate it.
        """
        users, items = self._users, self._items
        n, m = users.mean(), items.prior.mean
        # n.m goes to mu, (p - n).m to the bias of the user, n.(q - m) to that of the item.
        mu = self._center + float(n[0] + m[0] + n[1:] @ m[1:])
        return Centered(mu, users.centered(users.rows, n, m), items.centered(item_rows, m, n))

"""Trains several models with different seeds and averages them.

The mean of the predictions of N models is again a biased matrix factorization, with N times the
factors::

    mean_n (b_u + b_i + p_u . q_i)  =  mean b_u + mean b_i + [p_1, ..., p_N] . [q_1, ..., q_N] / N

(L. Breiman, "Bagging Predictors", Machine Learning 24, 1996, averages models in the same way. Here
they differ in the initial weights and in the order of the ratings.)
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from mfcli.config import Config
from mfcli.data import Ratings
from mfcli.model import Model, pooled
from mfcli.storage import each
from mfcli.training.engine import Engine, Losses, State
from mfcli.training.held_out import held_out_mse
from mfcli.types import Doubles, Floats, Progress

_FACTORS = ("user_factors", "item_factors")
_BIASES = ("user_biases", "item_biases")


class Ensemble:
    """Trains its members and averages them.

    Parameters
    ----------
    members : sequence of Engine
    config : Config
        Settings of the ensemble.
    held_out : Ratings, optional
        To validate the mean on.
    threads : int
        Number of members trained at the same time; does not change the result.
    """

    def __init__(
        self, members: Sequence[Engine], config: Config, held_out: Ratings | None, threads: int
    ) -> None:
        self._members, self._config = members, config
        self._held_out, self._threads = held_out, threads

    def run_epoch(self, epoch: int, on_progress: Progress) -> Losses:
        losses = [Losses(0.0, 0.0)] * len(self._members)

        def run(number: int) -> None:
            # Report the progress of the first member only: all have the same ratings.
            report = on_progress if number == 0 else _ignore
            losses[number] = self._members[number].run_epoch(epoch, report)

        each(run, len(self._members), self._threads)
        return Losses(*np.mean(losses, axis=0).tolist())

    def validate(self) -> Losses | None:
        """Return the error of the mean of the members, plus the mean of their penalties."""
        if self._held_out is None:
            return None
        # The error of the mean is at most the mean of the errors, so it has to be computed.
        mse = held_out_mse(self._mean(), self._held_out, self._threads)
        members = [losses for member in self._members if (losses := member.validate())]
        return Losses(mse + float(np.mean([one.loss - one.mse for one in members])), mse)

    def model(self) -> Model:
        models = [member.model() for member in self._members]
        samples = pooled([model.samples for model in models if model.samples])
        return replace(mean_of(models, self._config), samples=samples)

    def _mean(self) -> Model:
        """Return the model without a copy of the samples."""
        return mean_of([member.model() for member in self._members], self._config)

    def state(self) -> State:
        return {
            f"{number}.{name}": array
            for number, member in enumerate(self._members)
            for name, array in member.state().items()
        }

    def sides(self) -> dict[str, str]:
        return {
            f"{number}.{name}": side
            for number, member in enumerate(self._members)
            for name, side in member.sides().items()
        }

    def restore(self, state: State) -> None:
        for number, member in enumerate(self._members):
            # The dot keeps member 1 apart from member 10.
            prefix = f"{number}."
            part = {n.removeprefix(prefix): a for n, a in state.items() if n.startswith(prefix)}
            member.restore(part)


def _ignore(done: int, total: int) -> None:
    pass


def mean_of(models: Sequence[Model], config: Config) -> Model:
    """Return the model that predicts the mean of the predictions of models with the same ids."""
    scale = np.float32(1 / np.sqrt(len(models)))  # of both factors, so 1 / N of their product
    # [p_1, ..., p_N] / sqrt(N) and [q_1, ..., q_N] / sqrt(N), shapes (n, N k)
    factors = {
        name: np.concatenate([model.tables[name] for model in models], axis=1) * scale
        for name in _FACTORS
    }
    biases = {name: _mean([model.tables[name] for model in models]) for name in _BIASES}
    mu = float(np.mean([model.mu for model in models]))
    return replace(models[0], mu=mu, config=config, samples=None).with_tables(factors | biases)


def _mean(tables: list[Floats]) -> Floats:
    mean: Doubles = np.mean(tables, axis=0, dtype=np.float64)
    return mean.astype(np.float32)

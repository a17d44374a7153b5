"""Several models from different seeds, trained side by side and averaged.

The mean of N predictions is again a biased matrix factorization, with N times the factors:

    mean_n (b_u + b_i + p_u . q_i)  =  mean b_u + mean b_i + [p_1, ..., p_N] . [q_1, ..., q_N] / N

(L. Breiman, "Bagging Predictors", Machine Learning 24, 1996, averages models in the same way; here
they differ in initial weights and in the order of the ratings.)
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mfcli.config import Config
from mfcli.data import Ratings
from mfcli.model import Model
from mfcli.storage import each
from mfcli.training.engines import Engine, Losses, Progress


class Ensemble:
    """Trains its members and gives their mean.

    Parameters
    ----------
    members : sequence of Engine
    config : Config
        Of the whole.
    held_out : Ratings
        To validate the mean on.
    threads : int
        Members trained at the same time; does not change the result.
    """

    def __init__(
        self, members: Sequence[Engine], config: Config, held_out: Ratings, threads: int
    ) -> None:
        self._members, self._config = members, config
        self._held_out, self._threads = held_out, threads

    def run_epoch(self, epoch: int, on_progress: Progress) -> Losses:
        losses = [Losses(0.0, 0.0)] * len(self._members)

        def run(number: int) -> None:
            told = on_progress if number == 0 else _nobody
            losses[number] = self._members[number].run_epoch(epoch, told)

        each(run, len(self._members), self._threads)
        return Losses(*np.mean(losses, axis=0).tolist())

    def validate(self) -> Losses:
        predicted = self.model().predict_rows(self._held_out.user, self._held_out.item)
        mse = float(np.mean(np.square(predicted - self._held_out.rating), dtype=np.float64))
        own = [member.validate() for member in self._members]
        return Losses(mse + float(np.mean([one.loss - one.mse for one in own])), mse)

    def model(self) -> Model:
        return mean_of([member.model() for member in self._members], self._config)

    def state(self) -> dict[str, NDArray[Any]]:
        return {
            f"{number}.{name}": array
            for number, member in enumerate(self._members)
            for name, array in member.state().items()
        }

    def restore(self, state: dict[str, NDArray[Any]]) -> None:
        for number, member in enumerate(self._members):
            begin = f"{number}."
            own = {n.removeprefix(begin): a for n, a in state.items() if n.startswith(begin)}
            member.restore(own)


def _nobody(done: int, total: int) -> None:
    pass


def mean_of(models: Sequence[Model], config: Config) -> Model:
    """Return the model that predicts the mean of what models of the same ids predict."""
    share = np.float32(1 / np.sqrt(len(models)))
    factors = {
        name: np.concatenate([model.tables[name] for model in models], axis=1) * share
        for name in ("user_factors", "item_factors")
    }
    biases = {name: _mean([m.tables[name] for m in models]) for name in _BIASES}
    mu = float(np.mean([model.mu for model in models]))
    return replace(models[0].with_tables(factors | biases), mu=mu, config=config)


_BIASES = ("user_biases", "item_biases")


def _mean(tables: list[NDArray[np.float32]]) -> NDArray[np.float32]:
    mean: NDArray[np.float64] = np.mean(tables, axis=0, dtype=np.float64)
    return mean.astype(np.float32)

"""The best epoch so far, as early stopping counts it."""

from __future__ import annotations

import math

from mfcli.config import Config
from mfcli.training.history import Epoch


class BestEpoch:
    """The epoch with the lowest validation error so far.

    Parameters
    ----------
    config : Config
        With `patience`, an epoch is better if it improves the error by more than `min_delta`.
        Epochs before the first averaged one are not compared with those after it.

    Attributes
    ----------
    epoch : int
        Counted from 1; 0 if there is none yet.
    rmse : float
        On the held-out ratings, after this epoch.
    """

    def __init__(self, config: Config) -> None:
        self._first_averaged = config.first_averaged
        self._least_gain = 0.0 if config.patience is None else config.min_delta
        self.epoch, self.rmse = 0, math.inf

    def offer(self, epoch: Epoch) -> bool:
        """Compare the next epoch with the best one; return whether it is better."""
        rmse = math.sqrt(epoch.val_mse)
        if epoch.epoch == self._first_averaged:  # earlier models are not averages
            self.epoch, self.rmse = 0, math.inf
        better = not self.epoch or rmse < self.rmse - self._least_gain
        if better:
            self.epoch, self.rmse = epoch.epoch, rmse
        return better

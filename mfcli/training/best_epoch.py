"""The best epoch so far, as early stopping counts it."""

from __future__ import annotations

import math

from mfcli.config import Config
from mfcli.training.history import Epoch
from mfcli.training.validation_measure import ValidationMeasure


class BestEpoch:
    """The epoch with the best validation so far.

    Parameters
    ----------
    config : Config
        With `patience`, an epoch is better if it improves the measure that the config follows by
        more than `min_delta`. Epochs before the first averaged one are not compared with those
        after it. Without validation, each epoch is better than all before it.

    Attributes
    ----------
    measure : ValidationMeasure
    epoch : int
        Counted from 1; 0 if there is none yet.
    value : float
        Of the measure on the held-out ratings, after this epoch; NaN without them.
    """

    def __init__(self, config: Config) -> None:
        self._first_averaged = config.first_averaged
        self._least_gain = 0.0 if config.patience is None else config.min_delta
        self.measure = ValidationMeasure.of(config)
        self.epoch, self.value = 0, self.measure.worst

    def offer(self, epoch: Epoch) -> bool:
        """Compare the next epoch with the best one; return whether it is better."""
        value = self.measure.of_epoch(epoch)
        if epoch.epoch == self._first_averaged:  # earlier models are not averages
            self.epoch, self.value = 0, self.measure.worst
        is_better = self.measure.is_better(value, self.value, self._least_gain)
        better = not self.epoch or math.isnan(value) or is_better
        if better:
            self.epoch, self.value = epoch.epoch, value
        return better

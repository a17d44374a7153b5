"""What changes during a training and makes its errors jump."""

from __future__ import annotations

from collections.abc import Iterator

from mfcli.config import Config
from mfcli.training.schedules import Rates, changes
from mfcli.training.validation_measure import ValidationMeasure


def turning_points(config: Config, *, validated: bool = True) -> dict[int, str]:
    """Describe what changes during a training and makes its errors jump.

    Parameters
    ----------
    config : Config
    validated : bool
        Whether epochs are validated.

    Returns
    -------
    dict of str
        By the epoch, counted from 1, that is the first with the change.
    """
    found = {epoch: ", ".join(_new_rates(config, new)) for epoch, new in changes(config).items()}
    if config.averaged and config.first_averaged > 1:
        label = ValidationMeasure.of(config).label
        jump = f", so validation {label} is now that of the average" if validated else ""
        averaging = f"averaging starts{jump}"
        changed = found.get(config.first_averaged)
        found[config.first_averaged] = f"{changed}; {averaging}" if changed else averaging
    return found


def _new_rates(config: Config, rates: Rates) -> Iterator[str]:
    if config.lr_schedule == "step":
        yield f"the learning rate is now {rates.lr:.3g}"
    if config.momentum_schedule == "step":
        yield f"momentum is now {rates.momentum:.3g}"

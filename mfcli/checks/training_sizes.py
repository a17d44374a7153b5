"""About how large the results of a training are."""

from __future__ import annotations

from mfcli.aligned import lanes_of
from mfcli.config import Config
from mfcli.splits import Split
from mfcli.training import has_effects, row_size

_ID = 16  # bytes of an id and its count
_RECORD = 2_000  # bytes of a record
_KERAS = 36_000  # bytes of a Keras file besides its weights
_HISTORY = 200  # bytes of a history besides its numbers
_NUMBER = 22  # bytes of a number in a history
_EVENTS = 2_000  # bytes of events besides those of epochs: the plan with its settings, the result
_LOGGED = 30  # bytes of a number in a log of events, with its name
_SCALAR = 40  # bytes of a number in a file of TensorBoard, with its tag


def model_bytes(split: Split, config: Config) -> int:
    """Estimate the bytes of a model folder."""
    users, items = len(split.train.users), len(split.train.items)
    samples = config.keep_samples * 4 * ((users + items) * (config.k + 1) + users)
    return (users + items) * (4 * (config.width + 1) + _ID) + samples + _KERAS


def history_bytes(split: Split, config: Config) -> int:
    """Estimate the bytes of a history."""
    return config.epochs * _lists(split, config) * _NUMBER + _HISTORY


def log_bytes(split: Split, config: Config, epochs: int) -> int:
    """Estimate the bytes that a training appends to a log of events."""
    return _EVENTS + epochs * (_lists(split, config) + 4) * _LOGGED  # also kind, time, run, number


def board_bytes(split: Split, config: Config, epochs: int) -> int:
    """Estimate the bytes of a file for TensorBoard."""
    return _EVENTS + epochs * (_lists(split, config) + 1) * _SCALAR  # also what frames them


def _lists(split: Split, config: Config) -> int:
    """Return how many numbers an epoch has."""
    return (5 if split.held_out else 3) + (config.followed != "rmse")


def checkpoint_bytes(split: Split, config: Config) -> int:
    """Estimate the bytes of a checkpoint: the state of the engine, and the best model."""
    rows = len(split.train.users) + len(split.train.items)
    best = 4 * (config.width + 1)
    return rows * (best + config.ensemble * _state_bytes(config)) + _RECORD


def _state_bytes(config: Config) -> int:
    """Return the bytes of the state of one member for each user and item."""
    width = lanes_of(config.k + 1)
    if config.optimizer == "gibbs":
        # The sample, its effects and their sums; the mean; mean biases and numbers of samples.
        values = width * (3 if has_effects(config) else 1) + lanes_of(2 * config.k) + 3
        return 4 * (values + config.keep_samples * (config.k + 1) // config.ensemble)
    state = row_size(config) if config.by_steps else width
    averages = 2 * (config.k + 1) if config.averaged else 0  # float64
    return 4 * (state + averages)

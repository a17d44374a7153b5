"""Biased matrix-factorization recommenders from a file of ratings.

    import mfcli

    parts = mfcli.split(mfcli.read_ratings("data.csv"), mfcli.Config(valid=0.1))
    fitted = mfcli.fit(parts, mfcli.Config(reg=1e-4))
    metrics = mfcli.evaluate(fitted.model, parts, ranking=True)

Names are loaded when they are first used.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from mfcli.config import Config as Config
    from mfcli.errors import MfcliError as MfcliError
    from mfcli.evaluation import Metrics as Metrics
    from mfcli.evaluation import evaluate as evaluate
    from mfcli.history import History as History
    from mfcli.model import Model as Model
    from mfcli.ratings import Ratings as Ratings
    from mfcli.reading import ratings_from as ratings_from
    from mfcli.reading import read_ratings as read_ratings
    from mfcli.split_folder import read_split as read_split
    from mfcli.split_folder import write_split as write_split
    from mfcli.splitting import Split as Split
    from mfcli.splitting import split as split
    from mfcli.training import Fit as Fit
    from mfcli.training import fit as fit

__version__ = "0.1.0"

_HOMES = {
    "Config": "config",
    "Fit": "training",
    "History": "history",
    "Metrics": "evaluation",
    "MfcliError": "errors",
    "Model": "model",
    "Ratings": "ratings",
    "Split": "splitting",
    "evaluate": "evaluation",
    "fit": "training",
    "ratings_from": "reading",
    "read_ratings": "reading",
    "read_split": "split_folder",
    "split": "splitting",
    "write_split": "split_folder",
}
"""The module that each name comes from."""

__all__ = ["__version__", *_HOMES]


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module 'mfcli' has no attribute {name!r}")
    value = getattr(importlib.import_module(f"mfcli.{_HOMES[name]}"), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return __all__

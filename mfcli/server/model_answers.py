"""Answers about the model."""

from __future__ import annotations

from typing import Any

from mfcli import __version__
from mfcli.server.parameters import Nothing
from mfcli.server.served_model import ServedModel


def show_model(served: ServedModel, _: str, __: Nothing) -> dict[str, Any]:
    """Show what the model is, how it was trained, and what the server knows."""
    model = served.model
    return {
        "digest": served.digest,
        "loaded": served.loaded.isoformat(timespec="seconds"),
        "users": len(model.users),
        "items": len(model.items),
        "k": model.k,
        "predicts": model.predicts,
        "feedback": model.feedback,
        "scale": model.scale._asdict(),
        "mu": model.mu,
        "trained_on": [*model.trained_on],
        "samples": len(model.samples) if model.samples else 0,
        "config": model.config.used("training"),
        "split": served.ratings is not None,
        "titles": served.titles is not None,
        "mfcli": __version__,
    }

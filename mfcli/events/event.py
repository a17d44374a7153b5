"""Events: what they hold, and their values as JSON.

Every event is an object with these fields:

    event   "plan", "epoch", "checkpoint", "result" or "error"
    time    when it was written: ISO 8601 in UTC, with milliseconds
    run     the name of the training run, random; that of a run is kept when it is resumed
    fold    with k-fold splits, the number of the fold, from 1

and those of its kind:

    plan        format, mfcli, settings, seed, users, items, parameters, tables, split, trained_on,
                ratings, validated_on, held_out, engine, blocks, threads, workers, memory, disk,
                reason, folds, resumed (the number of epochs that were done before), out
    epoch       epoch, and its entries in history.json: loss, mse, val_loss, seconds, ...
    checkpoint  epoch, path
    result      epoch (that of the model), epochs, losses of that epoch, seconds, model, history
    error       message: one line; "stopped" after Ctrl-C or SIGTERM

Within a format, later versions may add fields and kinds of events.
"""

from __future__ import annotations

import json
import math
from datetime import UTC, datetime
from typing import Any, TypeAlias

FORMAT = 1

Event: TypeAlias = dict[str, Any]


def now() -> str:
    """Return the time in UTC, such as 2026-11-27T08:30:00.125Z."""
    return datetime.now(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")


def line_of(event: Event) -> bytes:
    """Return an event as one line of JSON, in ASCII, that every parser reads."""
    return json.dumps(_plain(event), allow_nan=False).encode("ascii") + b"\n"


def _plain(value: Any) -> Any:
    """Replace what not every parser of JSON reads: numbers that are not finite become null."""
    if isinstance(value, dict):
        return {_plain(str(name)): _plain(entry) for name, entry in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(entry) for entry in value]
    if isinstance(value, float) and not math.isfinite(value):
        return None
    if isinstance(value, str):  # names of files may have halves of characters
        return value.encode("utf-8", "replace").decode("utf-8")
    return value

"""What the parts report: records, which are numbers by name."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

Record = dict[str, Any]
Found = dict[str, list[Record]]
"""The records of each part that was run."""

THREADS = 2
"""Number of threads of all programs, unless a record says otherwise."""


def compared(medians: Mapping[str, Mapping[str, float]], measure: str = "seconds") -> Record:
    """Return a measure of this version and, if there is a previous one, of both with the ratio."""
    now, before = (medians.get(name, {}).get(measure) for name in ("mfcli", "previous"))
    ratio = before / now if now and before else None
    found = {"seconds": now, "previous": before, "faster": ratio}
    return {name: number for name, number in found.items() if number is not None}


def epoch_of_descent(found: Found, k: int, *, momentum: bool) -> float | None:
    """Return the seconds of an epoch of descent; None if this run did not measure it."""
    case = k, momentum, THREADS
    return next(
        (
            one["seconds"]
            for one in found.get("descent", ())
            if (one["k"], bool(one["momentum"]), one["threads"]) == case
        ),
        None,
    )


def epoch_of_gibbs(found: Found, k: int) -> float | None:
    """Return the seconds of an epoch of Gibbs sampling; None if this run did not measure it."""
    return next((one["seconds"] for one in found.get("gibbs", ()) if one["k"] == k), None)


def ratio(seconds: float | None, epoch: float | None) -> float | None:
    """Return how many times as long as an epoch something takes; None if either is unknown."""
    return seconds / epoch if seconds and epoch else None

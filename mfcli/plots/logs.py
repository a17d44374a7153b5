"""Logs of events among the results that are drawn."""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from mfcli.events import is_log, read_log


def with_trainings(named: Mapping[str, Any]) -> dict[str, Any]:
    """Replace the paths of logs by the histories of the trainings in them.

    Parameters
    ----------
    named : mapping
        Results of any kind by name, some of them paths.

    Returns
    -------
    dict
        A single training of a log has the name of the log if there are other results.

    Raises
    ------
    ArtifactError
        If a log holds no epoch yet.
    """
    found = dict[str, Any]()
    for name, result in named.items():
        if isinstance(result, str | os.PathLike) and is_log(Path(result)):
            trainings = read_log(Path(result))
            if len(named) > 1:
                only = len(trainings) == 1
                trainings = {name if only else f"{name} {n}": h for n, h in trainings.items()}
            found |= trainings
        else:
            found[name] = result
    return found

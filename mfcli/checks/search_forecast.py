"""What `mfcli tune` would do."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from mfcli.checks.forecast import Forecast, Input, memory_of, output, size_of, space_of
from mfcli.checks.speeds import start_seconds
from mfcli.checks.training_forecast import TIMED, contents_of, training_seconds
from mfcli.config import Config
from mfcli.errors import LimitError, MfcliError, Param, TrainingError
from mfcli.search import Search, recommended_config
from mfcli.splits import Split
from mfcli.storage import check_memory, threads_of
from mfcli.training import Prepared, prepare

_THREADS = Param("threads")
_LATER = "The settings of later trials depend on the first ones; about half are pruned."
_SETTINGS, _PICTURE, _TRIAL = 3_000, 300_000, 600  # bytes of a settings file, a plot, and a trial
_LIBRARIES = 100_000_000  # bytes of the sampler and the plots
_SAMPLER = 2.0  # seconds to load the sampler
_UNPRUNED = 8  # trials that are not compared with others yet
_PRUNED = 0.7  # fraction of the epochs that later trials run, on average


@dataclass(frozen=True)
class SearchFiles:
    """The files of a search.

    Attributes
    ----------
    split, out : Path
    space, storage, plot : Path or None
    """

    split: Path
    out: Path
    space: Path | None = None
    storage: Path | None = None
    plot: Path | None = None


def forecast_search(
    search: Search,
    files: SearchFiles,
    trials: int,
    *,
    minutes: float | None = None,
    threads: int | None = None,
) -> Forecast:
    """Say what a search needs.

    Parameters
    ----------
    search : Search
    files : SearchFiles
    trials : int
        Including those that are stored.
    minutes : float, optional
        A limit of time.
    threads : int, optional

    Raises
    ------
    MfcliError
        If none of the next trials can be trained, or there is not enough memory for those that run
        at the same time, or not enough space for the results.
    """
    cores, left = threads_of(threads), max(trials - search.ended, 0)
    at_once = 1 if search.is_large else min(cores, search.round)
    made = _trainable(search, trials)
    each = [training_seconds(search.split, one, max(cores // at_once, 1)) for one in made]
    seconds = sum(each) / max(len(each), 1) * _whole_trials(search.ended, left) / at_once
    seconds += _advised_seconds(search, cores) + _SAMPLER
    seconds += start_seconds(made[0].plan) if made else 0.0
    # The trials that run at the same time share the ratings, but nothing else.
    memory = sum(sorted((one.plan.memory for one in made), reverse=True)[:at_once])
    check_memory(memory, f"training {at_once} models at the same time", ["use fewer ", _THREADS])
    writes = [output(files.out, _SETTINGS)]
    if files.storage:
        writes.append(output(files.storage, _TRIAL * (trials + 1)))
    if files.plot:
        writes.append(output(files.plot, _PICTURE))
    return Forecast(
        facts=_facts(search, trials, left, at_once, [one.config for one in made]),
        reads=_inputs(search, files),
        writes=writes,
        memory=memory_of(_LIBRARIES + memory + _copied(search.split)),
        temporary=None,
        space=space_of(files.out, writes),
        seconds=min(seconds, math.inf if minutes is None else 60 * minutes),
        assumed=[_LATER, *TIMED],
    )


def _trainable(search: Search, trials: int) -> list[Prepared]:
    """Return how the next trials would train; a search goes on without those that cannot."""
    made, refused = [], []
    for values in search.upcoming(trials):
        try:
            made.append(prepare(search.split, search.config_of(values)))
        except MfcliError as error:
            refused.append(error)
    if refused and not made:
        raise refused[0]
    return made


def _copied(split: Split) -> int:
    """Return the bytes of ratings that are in memory because validation ratings were cut."""
    if split.extents:  # as they are in the files, which are mapped
        return 0
    return sum(
        len(part) * sum(kind.itemsize for kind in part.types.values())
        for part in split.parts.values()
    )


def _whole_trials(ended: int, left: int) -> float:
    """Return how many whole trainings the trials that are left take."""
    unpruned = min(max(_UNPRUNED - ended, 0), left)
    return unpruned + _PRUNED * (left - unpruned)


def _advised_seconds(search: Search, cores: int) -> float:
    """Estimate the time of the training with the settings of `mfcli init`."""
    if search.is_large or search.ended:
        return 0.0
    config = recommended_config(search.split, search.base, purpose=search.purpose)
    try:
        return training_seconds(search.split, prepare(search.split, config), cores)
    except (LimitError, TrainingError):  # the search goes on without it
        return 0.0


def _facts(
    search: Search, trials: int, left: int, at_once: int, configs: Sequence[Config]
) -> dict[str, str]:
    stored = f" ({search.ended:,} of them stored)" if search.ended else ""
    facts = {"trials": f"{trials:,}{stored}", "at the same time": f"{at_once}"}
    facts["measure"] = f"validation {search.measure.label}"
    facts["settings searched"] = ", ".join(search.space)
    for name in ("k", "epochs") if left else ():
        values = sorted({getattr(config, name) for config in configs})
        facts[f"{name} of the next {len(configs)}"] = f"{values[0]:,} to {values[-1]:,}"
    return facts


def _inputs(search: Search, files: SearchFiles) -> list[Input]:
    inputs = [Input(str(files.split), size_of(files.split), contents_of(search.split))]
    if files.space:
        inputs.append(Input(str(files.space), size_of(files.space), "space"))
    if files.storage and search.ended:
        stored = f"{search.ended:,} trials"
        inputs.append(Input(str(files.storage), size_of(files.storage), stored))
    return inputs

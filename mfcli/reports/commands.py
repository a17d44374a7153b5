"""The commands that make runs and their report again."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from mfcli.config import DEFAULTS, SETTINGS, value_text
from mfcli.data import Source
from mfcli.errors import Param
from mfcli.evaluation import METRICS_FILE
from mfcli.reports.measure_tables import metrics_of
from mfcli.reports.runs import Run
from mfcli.reports.split_data import SplitData
from mfcli.show import changed
from mfcli.spelling import command

_SPLIT_SETTINGS = ("strategy", "test", "valid", "cut", "folds", "min_user", "min_item", "seed")
_ROLES = ("user", "item", "rating", "timestamp", "weight")
_FOLDER = "split"


def commands(
    runs: Sequence[Run], split: SplitData | None, report: Sequence[str | Param]
) -> list[str]:
    """Return the commands, in order.

    Parameters
    ----------
    runs : sequence of Run
    split : SplitData, optional
    report : sequence of str or Param
        The arguments and options of the command that writes the report.
    """
    lines = list(_split_commands(split)) if split else []
    place = str(split.place) if split and split.place else _FOLDER
    for run in runs:
        if run.settings:
            lines.append(command("train", [*_training(run), *_places(run, place)]))
        if run.metrics:
            lines.append(command("evaluate", [*_evaluation(run), *_places(run, place, "model")]))
    return [*lines, command("report", report)]


def _split_commands(split: SplitData) -> Iterator[str]:
    strategy, source = split.strategy, split.source
    names, reading = _names(source), _reading(source) if source else []
    out = [Param("out", str(split.place))] if split.place and str(split.place) != _FOLDER else []
    words: list[str | Param] = [*names, *_strategy(strategy)]
    if strategy["name"] == "given":
        train, test = names if len(names) == 2 else ("train.csv", "test.csv")
        words = [Param("train", train), Param("test", test), *_strategy(_drawn(strategy))]
    yield command("split", [*words, *reading, *out])
    for update in split.updates:
        removed = [Param("remove", "users.csv")] if update.removed_users else []
        yield command("update", [*(file.name for file in update.files), *removed])


def _names(source: Source | None) -> list[str]:
    """Return the names of the files of ratings; a usual one for ratings from memory."""
    names = source.name.split(", ") if source and source.files > 1 else []
    if source and len(names) == source.files:  # otherwise a name has a comma
        return names
    return [source.name] if source and source.files == 1 else ["data.csv"]


def _drawn(strategy: Mapping[str, Any]) -> dict[str, Any]:
    return {name: strategy[name] for name in ("valid", "seed") if name in strategy}


def _strategy(strategy: Mapping[str, Any]) -> list[Param]:
    """Return the settings of a split that differ from the defaults."""
    values = {"strategy": strategy.get("name"), **strategy}
    return [
        Param(name, values[name])
        for name in _SPLIT_SETTINGS
        if values.get(name) is not None and values[name] != getattr(DEFAULTS, name)
    ]


def _reading(source: Source) -> list[Param]:
    """Return how a file was read, so that it is read in the same way again."""
    columns = [
        Param(f"columns.{role}", source.columns[role]) for role in _ROLES if role in source.columns
    ]
    # Without a column, each row was an event, or times were ignored.
    absent = [
        Param(f"columns.{role}", "")
        for role in ("rating", "timestamp")
        if role not in source.columns
    ]
    settings = [
        Param(name, value)
        for name, value in source.settings.items()
        if name in SETTINGS and value not in (getattr(DEFAULTS, name), "keep-last")
    ]
    return [*columns, *absent, *settings]


def _training(run: Run) -> list[Param]:
    parts = run.model.parts if run.model else ("train",)
    refit = [Param("refit", True)] if len(parts) > 1 else []
    unused = ("metric", "at", "relevant", "patience", "min_delta", "stop_on_test") if refit else ()
    names = [name for name in changed(run.settings) if name in SETTINGS and name not in unused]
    return [*(_param(name, run.settings[name]) for name in names), *refit]


def _evaluation(run: Run) -> list[Param]:
    metrics = metrics_of(run)
    protocol = metrics.protocols[0]
    params = [Param("on", protocol.on)] if protocol.on != "test" else []
    if metrics.has_errors and protocol.cutoffs:
        params.append(Param("ranking", True))
    values = {name: protocol.settings[name] for name in SETTINGS if name in protocol.settings}
    return params + [
        _param(name, value) for name, value in values.items() if value != getattr(DEFAULTS, name)
    ]


def _param(name: str, value: Any) -> Param:
    # Several values are written with commas.
    return Param(name, value_text(value) if isinstance(value, list | tuple) else value)


def _places(run: Run, split: str, name: str = "out") -> list[Param]:
    """Return the folders of a command that are not its defaults."""
    places = run.places(name)
    if run.metrics_path.name != METRICS_FILE and name == "model" and not _is_usual(run):
        places.append(Param("out", str(run.metrics_path)))
    return places if split == _FOLDER else [*places, Param("split", split)]


def _is_usual(run: Run) -> bool:
    """Return whether `mfcli evaluate` chooses the name of the metrics by itself."""
    return run.metrics_path.name == f"metrics-{metrics_of(run).protocols[0].on}.json"

"""`mfcli show`."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer
from rich.table import Table

from mfcli.cli import output
from mfcli.cli.options import AsJson
from mfcli.cli.split_facts import split_facts
from mfcli.config import SETTINGS

if TYPE_CHECKING:
    from mfcli.evaluation import Measure

_HASH = 12  # characters that are shown of a hash
_WIDTH = 60  # columns of the longest curve
_REPEATED = ("model", "history")  # shown as a row a fold
_SHOWN = ("rmse", "mae", "r2")

Facts = dict[str, Any]


def show(
    paths: Annotated[
        list[Path] | None,
        typer.Argument(
            help="Splits, models, folders of runs, history.json, metrics.json, model.keras or"
            " mfcli.toml.",
            show_default="the working folder",
        ),
    ] = None,
    json: AsJson = False,
) -> None:
    """Show what is in a folder or file; a page for a bug report, too."""
    from mfcli.show import facts_of, find, versions

    found = dict.fromkeys(artifact for path in paths or [Path()] for artifact in find(path))
    artifacts = [facts_of(artifact) for artifact in found]
    result = {"versions": versions(), "artifacts": artifacts}
    output.show(result, json, lambda: _page(result))
    if any("error" in artifact for artifact in artifacts):
        raise typer.Exit(1)


def _page(result: Facts) -> None:
    """Show everything, what is damaged as a line in its place."""
    numbers = {name: version or "not installed" for name, version in result["versions"].items()}
    output.print_table(output.facts("Versions", {n: str(v) for n, v in numbers.items()}))
    folds: dict[str, dict[int, dict[str, Facts]]] = {}
    for facts in result["artifacts"]:
        if facts["fold"] and facts["kind"] in _REPEATED:
            run = folds.setdefault(str(Path(facts["path"]).parent.parent), {})
            run.setdefault(facts["fold"], {})[facts["kind"]] = facts
        else:
            _show(facts)
    for name, run in folds.items():
        _show_folds(name, run)


def _show(facts: Facts) -> None:
    if "error" in facts:
        print(f"error: {output.printable(facts['error'])}")
        return
    for table in _TABLES[facts["kind"]](facts):
        output.print_table(table)


def _settings_tables(facts: Facts) -> list[Table]:
    table = output.table(f"{facts['path']}: settings", "", "value", "default")
    for name, value in facts["settings"].items():
        default = "the same" if name not in facts["changed"] else _value(SETTINGS[name].default)
        table.add_row(name, output.cell(_value(value)), default)
    return [table]


def _split_tables(facts: Facts) -> list[Table]:
    source, strategy = facts["source"], facts["strategy"]
    rows = _source_facts(source) if source else {"source": "ratings in memory"}
    rows["strategy"] = strategy["name"]
    for name, value in strategy.items():
        if name not in ("name", "folds", "removed"):
            rows[name if name in ("seed", "fold") else f"strategy: {name}"] = _value(value)
    rows |= split_facts(facts)
    rows |= {"hash": facts["hash"][:_HASH], "written by": _writers(facts)}
    return [output.facts(f"{facts['path']}: split", rows)]


def _source_facts(source: Facts) -> dict[str, str]:
    files = f" in {source['files']:,} files" if source["files"] > 1 else ""
    return {
        "source": f"{source['name']}, {output.size(source['bytes'])}{files}",
        "sha256 of the source": source["sha256"][:_HASH],
        "format": source["format"],
        **{f"column of {role}": name for role, name in source["columns"].items()},
        "rows read": f"{source['rows']:,}",
        "rows left out": f"{sum(source['rejected'].values()):,}",
        "duplicates merged": f"{source['duplicates']:,}",
    }


def _model_tables(facts: Facts) -> list[Table]:
    config, unrated = facts["config"], facts["unrated"]
    rows = {"k": str(facts["k"])} | _changed_facts(facts)
    for side in ("users", "items"):
        rows[side] = f"{facts[side]:,} ({unrated[side]:,} without a training rating)"
    scale = facts["scale"]
    rows["mu"] = f"{facts['mu']:.4f}"
    rows["scale"] = output.scale(scale["min"], scale["max"], scale["step"])
    rows |= _size_facts(facts)
    rows["split"] = _split_words(facts)
    rows |= {f"last {name}": _digits(loss) for name, loss in facts["losses"].items()}
    rows["written by"] = _writers(facts)
    table = output.facts(f"{facts['path']}: model", rows)
    same = {n: _value(v) for n, v in config.items() if n not in facts["changed"] and n != "k"}
    table.caption = output.cell(f"default settings: {_words(same)}")
    table.caption_justify = "left"
    return [table, _weights_table(facts)]


def _keras_tables(facts: Facts) -> list[Table]:
    rows = {name: f"{facts[name]:,}" for name in ("k", "users", "items")}
    rows |= {"mu": f"{facts['mu']:.4f}"} | _size_facts(facts) | {"written by": _writers(facts)}
    return [output.facts(f"{facts['path']}: Keras model", rows), _weights_table(facts)]


def _size_facts(facts: Facts) -> dict[str, str]:
    size = output.size(facts["bytes"])
    return {"parameters": f"{facts['parameters']:,}", "size on disk": size}


def _weights_table(facts: Facts) -> Table:
    columns = ("", "shape", "largest", "root mean square", "zero rows")
    table = output.table(f"{facts['path']}: weights", *columns)
    for name, weights in facts["tables"].items():
        rows, width = weights["shape"]
        zero = f"{weights['zero_rows']:,} ({weights['zero_rows'] / max(rows, 1):.1%})"
        numbers = (_digits(weights[of]) for of in ("largest", "root_mean_square"))
        table.add_row(name, f"{rows:,} x {width:,}", *numbers, zero)
    return table


def _history_tables(facts: Facts) -> list[Table]:
    curve, seconds = facts["curve"], facts["seconds"]
    rows = {"epochs": f"{facts['epochs']:,}"}
    if seconds is not None:
        rows["time"] = output.duration(seconds)
        rows["time of an epoch"] = output.duration(seconds / facts["epochs"])
    rows[f"best epoch, by {curve['what']}"] = f"{curve['best_epoch']:,}"
    rows[f"{curve['what']} by epoch"] = output.sparkline(curve["values"], _WIDTH)
    table = output.table(f"{facts['path']}: lists", "", "first", "best", "at epoch", "last")
    for name, course in {curve["what"]: curve, **facts["lists"]}.items():
        table.add_row(output.cell(name), *_course_cells(course))
    return [output.facts(f"{facts['path']}: history", rows), table]


def _course_cells(course: Facts) -> list[str]:
    best, epoch = ("-", "-")
    if course["best"] is not None:
        best, epoch = _digits(course["best"]), f"{course['best_epoch']:,}"
    return [_digits(course["first"]), best, epoch, _digits(course["last"])]


def _metrics_tables(facts: Facts) -> list[Table]:
    rows = _folds_metrics(facts) if "folds" in facts else _metrics_facts(facts)
    rows["written by"] = _writers(facts)
    return [output.facts(f"{facts['path']}: metrics", rows)]


def _metrics_facts(facts: Facts) -> dict[str, str]:
    protocol = facts["protocol"]
    clipped = "clipped" if protocol["clip"] else "not clipped"
    rows = {"measured on": f"{protocol['ratings']:,} {protocol['on']} ratings, {clipped}"}
    rows |= {m.label: m.text(facts["measures"].get(m.name)) for m in _errors_shown()}
    for name, words in {"biases": "damped biases", "mean": "the training mean"}.items():
        baseline = facts["baselines"][name]
        text = f"{_number(baseline['measures']['rmse'])} (gain {baseline['gain']:.2%})"
        rows[f"RMSE of {words}"] = text
    for name, group in facts["groups"].items():
        rows[f"RMSE, {name.replace('_', ' ')}"] = (
            f"{_number(group['rmse'])} ({group['ratings']:,} ratings)"
        )
    return rows | {"split": _split_words(facts)} | _changed_facts(facts)


def _folds_metrics(facts: Facts) -> dict[str, str]:
    rows = {"folds": f"{len(facts['folds'])}"}
    rows |= {m.label: _spread(facts, m) for m in _errors_shown() if m.name in facts["measures"]}
    rmse = next(iter(_errors_shown()))
    rows[f"{rmse.label} of damped biases"] = _spread(facts["baselines"]["biases"], rmse)
    for number, fold in enumerate(facts["folds"], start=1):
        text = f"{rmse.label} {rmse.text(fold['measures']['rmse'])}"
        rows[f"fold {number}"] = f"{text}, split {_split_words(fold)}"
    return rows | _changed_facts(facts["folds"][0])


def _spread(facts: Facts, measure: Measure) -> str:
    deviation = facts["standard_deviations"].get(measure.name)
    mean = measure.text(facts["measures"].get(measure.name))
    return f"{mean}, standard deviation {measure.text(deviation)}"


def _errors_shown() -> list[Measure]:
    from mfcli.evaluation import RATING_ERROR, measures_of

    return [one for name, one in measures_of(RATING_ERROR).items() if name in _SHOWN]


_TABLES = {
    "settings": _settings_tables,
    "split": _split_tables,
    "model": _model_tables,
    "keras": _keras_tables,
    "history": _history_tables,
    "metrics": _metrics_tables,
}


def _show_folds(run: str, folds: Mapping[int, Mapping[str, Facts]]) -> None:
    """Show the models and histories of a k-fold training, a row a fold."""
    parts = [part for fold in folds.values() for part in fold.values()]
    title = f"{run}: {output.count(folds, 'fold')}"
    for curve in [part["curve"] for part in parts if "curve" in part][:1]:
        title += f", {curve['what']}"
    columns = ("epochs", "first", "best", "at epoch", "last", "time", "largest weight", "split")
    table = output.table(title, "fold", *columns)
    for number, fold in folds.items():
        cells = (*_fold_history(fold.get("history", {})), *_fold_model(fold.get("model", {})))
        table.add_row(str(number), *cells)
    table.caption = "\n".join(map(output.cell, _fold_settings(folds)))
    table.caption_justify = "left"
    output.print_table(table)
    for part in parts:
        if "error" in part:
            _show(part)


def _fold_history(history: Facts) -> list[str]:
    if "curve" not in history:
        return ["-"] * 6
    seconds = history["seconds"]
    time = "-" if seconds is None else output.duration(seconds)
    return [f"{history['epochs']:,}", *_course_cells(history["curve"]), time]


def _fold_model(model: Facts) -> list[str]:
    if "tables" not in model:
        return ["-"] * 2
    beside = model["split_beside"]
    split = ("" if beside["same"] else "not ") + beside["path"] if beside else "-"
    largest = max(weights["largest"] for weights in model["tables"].values())
    return [_digits(largest), output.cell(split)]


def _fold_settings(folds: Mapping[int, Mapping[str, Facts]]) -> list[str]:
    """List the changed settings of each fold, or once if they are the same for all folds."""
    lines = {}
    for number, fold in folds.items():
        model = fold.get("model", {})
        if "config" in model:
            changed = {name: _value(model["config"][name]) for name in model["changed"]}
            lines[number] = _words(changed) or "none"
    if len(set(lines.values())) == 1:
        return [f"changed settings: {next(iter(lines.values()))}"]
    return [f"fold {number}, changed settings: {words}" for number, words in lines.items()]


def _changed_facts(facts: Facts) -> dict[str, str]:
    """List the changed settings with their defaults."""
    rows = {}
    for name in facts["changed"]:
        default = _value(SETTINGS[name].default) if name in SETTINGS else "none here"
        rows[name] = f"{_value(facts['config'][name])} (default {default})"
    return rows


def _split_words(facts: Facts) -> str:
    """Say which split a run belongs to, and whether it is the one beside it."""
    digest, beside = str(facts["split"])[:_HASH], facts["split_beside"]
    if beside is None:
        return digest
    if beside["same"]:
        return f"{digest}, that of {beside['path']}"
    return f"{digest}, not that of {beside['path']} ({beside['hash'][:_HASH]})"


def _writers(facts: Facts) -> str:
    return _words(facts["written_by"])


def _words(values: Mapping[str, Any]) -> str:
    return ", ".join(f"{name} {value}" for name, value in values.items())


def _value(value: Any) -> str:
    if isinstance(value, bool):
        return "true" if value else "false"
    return f"{value:g}" if isinstance(value, float) else str(value) or "none"


def _number(value: float | None) -> str:
    return "-" if value is None else _digits(value)


def _digits(value: float) -> str:
    """Show four decimals, or four digits where those say nothing."""
    return f"{value:.4f}" if value == 0 or 0.01 <= abs(value) < 1e6 else f"{value:.4g}"

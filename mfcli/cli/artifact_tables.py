"""Tables of what `mfcli show` found in files and folders."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeAlias

from mfcli import evaluation, splits
from mfcli.cli.feedback_words import merged_label, words_for
from mfcli.cli.formatting import (
    LEVELS,
    PLAIN_LEVELS,
    count,
    digits,
    duration,
    scale,
    size,
    sparkline,
    words,
)
from mfcli.cli.split_values import split_values
from mfcli.cli.streams import print_line
from mfcli.cli.tables import Drawing, Table, print_table, table as make_table, value_table
from mfcli.config import SETTINGS, value_text

if TYPE_CHECKING:
    from mfcli.evaluation import Measure

_HASH = 12  # characters of a hash that are shown
_WIDTH = 60  # columns of the longest curve
_REPEATED = ("model", "history")  # shown as one row per fold
_SHOWN = ("rmse", "mae", "r2")  # measures of ratings that are shown
_RANKED = ("ndcg", "recall", "map")  # if only rankings were measured

_PREDICTS = {"ratings": "ratings", "scores": "scores, which rank items and have no unit"}

Facts: TypeAlias = dict[str, Any]


def print_artifacts(versions: Mapping[str, str | None], artifacts: list[Facts]) -> None:
    """Print tables of all artifacts; a line in place of those that are damaged.

    Parameters
    ----------
    versions : mapping of str
        By package; None if it is not installed.
    artifacts : list of dict
        What `mfcli.show.facts_of` returned.
    """
    numbers = {name: version or "not installed" for name, version in versions.items()}
    print_table(value_table("Versions", numbers))
    # By run folder, fold and kind: DIR/fold-N/model and DIR/fold-N/history.json belong to run DIR.
    folds: dict[str, dict[int, dict[str, Facts]]] = {}
    for facts in artifacts:
        if facts["fold"] and facts["kind"] in _REPEATED:
            run = folds.setdefault(str(Path(facts["path"]).parent.parent), {})
            run.setdefault(facts["fold"], {})[facts["kind"]] = facts
        else:
            _print_one(facts)
    for name, run in folds.items():
        _print_folds(name, run)


def _print_one(facts: Facts) -> None:
    if "error" in facts:
        print_line(f"error: {facts['error']}")
        return
    for table in _TABLES[facts["kind"]](facts):
        print_table(table)


def _settings_tables(facts: Facts) -> list[Table]:
    table = make_table(f"{facts['path']}: settings", "", "value", "default")
    for name, value in facts["settings"].items():
        default = _default(name) if name in facts["changed"] else "the same"
        table.add_row(name, value_text(value), default)
    return [table]


def _default(name: str) -> str:
    """Return the default of a setting, or what it stands for."""
    if name not in SETTINGS:  # of another version of mfcli
        return "unknown"
    return SETTINGS[name].unset.replace("`", "") or value_text(SETTINGS[name].default)


def _split_tables(facts: Facts) -> list[Table]:
    source, strategy = facts["source"], facts["strategy"]
    feedback = facts.get("feedback", "explicit")
    rows = _source_facts(source, feedback) if source else {"source": "ratings in memory"}
    rows |= {"feedback": feedback} if "feedback" in facts else {}
    rows["strategy"] = strategy["name"]
    for name, value in strategy.items():
        if name not in ("name", "folds", "removed"):  # shown above, and by `split_values`
            rows[name if name in ("seed", "fold") else f"strategy: {name}"] = value_text(value)
    rows |= split_values(facts)
    rows |= _update_facts(facts, feedback)
    rows |= {"hash": facts["hash"][:_HASH], "written by": _writers(facts)}
    return [value_table(f"{facts['path']}: split", rows)]


def _update_facts(facts: Facts, feedback: str) -> dict[str, str]:
    """Count what all updates changed."""
    if not facts.get("updates"):
        return {}
    rows = words_for(feedback).rows
    names = {
        "new": f"new {rows}",
        "changed": f"changed {rows}",
        "removed_users": "removed users",
    }
    sums = {text: sum(one[name] for one in facts["updates"]) for name, text in names.items()}
    counts = ", ".join(f"{number:,} {text}" for text, number in sums.items() if number)
    return {
        "updates": f"{len(facts['updates']):,} ({counts})",
        "parent": facts["parent"][:_HASH],
    }


def _source_facts(source: Facts, feedback: str) -> dict[str, str]:
    files = f" in {source['files']:,} files" if source["files"] > 1 else ""
    return {
        "source": f"{source['name']}, {size(source['bytes'])}{files}",
        "sha256 of the source": source["sha256"][:_HASH],
        "format": source["format"],
        **{f"column of {role}": name for role, name in source["columns"].items()},
        "rows read": f"{source['rows']:,}",
        "rows skipped": f"{sum(source['rejected'].values()):,}",
        merged_label(feedback, source): f"{source['duplicates']:,}",
    }


def _model_tables(facts: Facts) -> list[Table]:
    config, unrated = facts["config"], facts["unrated"]
    rows = {"k": str(facts["k"])} | _changed_facts(facts)
    for side in ("users", "items"):
        rows[side] = f"{facts[side]:,} ({unrated[side]:,} without a training rating)"
    rows["predicts"] = _PREDICTS[facts["predicts"]]
    rows["mu"] = f"{facts['mu']:.4f}"
    rows["scale"] = scale(*(facts["scale"][end] for end in ("min", "max", "step")))
    if facts["samples"]:
        rows["samples"] = str(facts["samples"])
    rows |= _size_facts(facts)
    rows["trained on"] = ", ".join(facts["trained_on"])
    rows["split"] = _split_text(facts)
    rows |= {f"last {name}": digits(loss) for name, loss in facts["losses"].items()}
    rows["written by"] = _writers(facts)
    table = value_table(f"{facts['path']}: model", rows)
    same = {n: value_text(v) for n, v in config.items() if n not in facts["changed"] and n != "k"}
    table.caption = f"default settings: {words(same)}"
    return [table, _weights_table(facts)]


def _keras_tables(facts: Facts) -> list[Table]:
    rows = {name: f"{facts[name]:,}" for name in ("k", "users", "items")}
    rows |= {"mu": f"{facts['mu']:.4f}"} | _size_facts(facts) | {"written by": _writers(facts)}
    return [value_table(f"{facts['path']}: Keras model", rows), _weights_table(facts)]


def _size_facts(facts: Facts) -> dict[str, str]:
    return {"parameters": f"{facts['parameters']:,}", "size on disk": size(facts["bytes"])}


def _weights_table(facts: Facts) -> Table:
    columns = ("", "shape", "largest", "root mean square", "zero rows")
    table = make_table(f"{facts['path']}: weights", *columns)
    for name, weights in facts["tables"].items():
        rows, width = weights["shape"]
        zero = f"{weights['zero_rows']:,} ({weights['zero_rows'] / max(rows, 1):.1%})"
        numbers = (digits(weights[of]) for of in ("largest", "root_mean_square"))
        table.add_row(name, f"{rows:,} x {width:,}", *numbers, zero)
    return table


def _history_tables(facts: Facts) -> list[Table]:
    curve, seconds = facts["curve"], facts["seconds"]
    rows: dict[str, str | Drawing] = {"epochs": f"{facts['epochs']:,}"}
    if seconds is not None:
        rows["time"] = duration(seconds)
        rows["time per epoch"] = duration(seconds / facts["epochs"])
    rows[f"best epoch, by {curve['what']}"] = f"{curve['best_epoch']:,}"
    rows[f"{curve['what']} by epoch"] = _curve(curve["values"])
    table = make_table(f"{facts['path']}: lists", "", "first", "best", "at epoch", "last")
    for name, course in {curve["what"]: curve, **facts["lists"]}.items():
        table.add_row(name, *_course_cells(course))
    return [value_table(f"{facts['path']}: history", rows), table]


def _curve(values: list[float | None]) -> Drawing:
    finite = [value for value in values if value is not None]  # None: not finite

    def draw(width: int, ascii_only: bool) -> str:
        return sparkline(finite, width, PLAIN_LEVELS if ascii_only else LEVELS)

    return Drawing(draw, min(len(finite), _WIDTH))


def _course_cells(course: Facts) -> list[str]:
    best, epoch = ("-", "-")
    if course["best"] is not None:
        best, epoch = digits(course["best"]), f"{course['best_epoch']:,}"
    return [_optional(course["first"]), best, epoch, _optional(course["last"])]


def _metrics_tables(facts: Facts) -> list[Table]:
    rows = _folds_metrics(facts) if "folds" in facts else _metrics_facts(facts)
    rows["written by"] = _writers(facts)
    return [value_table(f"{facts['path']}: metrics", rows)]


def _metrics_facts(facts: Facts) -> dict[str, str]:
    protocol = facts["protocol"]
    ratings = splits.ratings_of(protocol["on"], protocol["feedback"])
    rows = {"measured on": f"{protocol['ratings']:,} {ratings}"}
    if "clip" in protocol:
        rows["measured on"] += ", clipped" if protocol["clip"] else ", not clipped"
    rows |= {one.label: one.text(facts["measures"].get(one.name)) for one in _main(facts)}
    rows |= _errors_facts(facts) if "rmse" in facts["measures"] else _popular_facts(facts)
    return rows | {"split": _split_text(facts, "evaluate again")} | _changed_facts(facts)


def _errors_facts(facts: Facts) -> dict[str, str]:
    rows: dict[str, str] = {}
    labels = evaluation.BASELINES
    for name, label in {"biases": labels["biases"], "mean": f"the {labels['mean']}"}.items():
        baseline = facts["baselines"][name]
        rmse = _optional(baseline["measures"]["rmse"])
        rows[f"RMSE of {label}"] = f"{rmse} (gain {baseline['gain']:.2%})"
    for name, group in facts["groups"].items():
        label, coverage = evaluation.GROUPS.get(name, name), group.get("coverage")
        rows[f"RMSE, {label}"] = f"{_optional(group['rmse'])} ({group['ratings']:,} ratings)"
        if coverage is not None:
            level = facts["protocol"]["interval_level"] or 0.0
            rows[f"coverage of {level:.0%} intervals, {label}"] = f"{coverage:.2%}"
    for name, part in (facts["overlap"] or {}).items():
        rows[f"RMSE, {name.replace('_', ' ')}"] = (
            f"{_optional(part['rmse'])} ({part['ratings']:,} ratings)"
        )
    return rows


def _popular_facts(facts: Facts) -> dict[str, str]:
    ndcg = evaluation.MEASURES["ndcg"]
    value = facts["baselines"]["popular"]["measures"][ndcg.name]
    return {f"{ndcg.label} of {evaluation.BASELINES['popular']}": ndcg.text(value)}


def _folds_metrics(facts: Facts) -> dict[str, str]:
    shown = _main(facts)
    main = shown[0]
    rows = {"folds": f"{len(facts['folds'])}"}
    rows |= {one.label: _spread(facts, one) for one in shown if one.name in facts["measures"]}
    rows |= {
        f"{main.label} of {evaluation.BASELINES[name]}": _spread(baseline, main)
        for name, baseline in facts["baselines"].items()
    }
    for number, fold in enumerate(facts["folds"], start=1):
        text = f"{main.label} {main.text(fold['measures'][main.name])}"
        rows[f"fold {number}"] = f"{text}, split {_split_text(fold)}"
    return rows | _changed_facts(facts["folds"][0])


def _main(facts: Facts) -> list[Measure]:
    """Return the measures that are shown, the main one first."""
    names = _SHOWN if "rmse" in facts["measures"] else _RANKED
    uncertainty = evaluation.measures_of(evaluation.UNCERTAINTY)
    measured = (name for name in uncertainty if name in facts["measures"])
    return [evaluation.MEASURES[name] for name in (*names, *measured)]


def _spread(facts: Facts, measure: Measure) -> str:
    mean = measure.text(facts["measures"].get(measure.name))
    deviation = measure.text(facts["standard_deviations"].get(measure.name))
    return f"{mean}, standard deviation {deviation}"


_TABLES = {
    "settings": _settings_tables,
    "split": _split_tables,
    "model": _model_tables,
    "keras": _keras_tables,
    "history": _history_tables,
    "metrics": _metrics_tables,
}


def _print_folds(run: str, folds: Mapping[int, Mapping[str, Facts]]) -> None:
    """Print the models and histories of a k-fold training, one row per fold."""
    parts = [part for fold in folds.values() for part in fold.values()]
    title = f"{run}: {count(len(folds), 'fold')}"
    for curve in [part["curve"] for part in parts if "curve" in part][:1]:
        title += f", {curve['what']}"
    columns = ("epochs", "first", "best", "at epoch", "last", "time", "largest weight", "split")
    table = make_table(title, "fold", *columns)
    for number, fold in folds.items():
        cells = (*_fold_history(fold.get("history", {})), *_fold_model(fold.get("model", {})))
        table.add_row(str(number), *cells)
    table.caption = "\n".join(_fold_settings(folds))
    print_table(table)
    # Damaged parts have dashes in the table; their errors follow.
    for part in parts:
        if "error" in part:
            _print_one(part)


def _fold_history(history: Facts) -> list[str]:
    if "curve" not in history:
        return ["-"] * 6
    seconds = history["seconds"]
    time = "-" if seconds is None else duration(seconds)
    return [f"{history['epochs']:,}", *_course_cells(history["curve"]), time]


def _fold_model(model: Facts) -> list[str]:
    if "tables" not in model:
        return ["-"] * 2
    beside = model["split_beside"]
    split = ("" if beside["same"] else "not ") + beside["path"] if beside else "-"
    largest = max(weights["largest"] for weights in model["tables"].values())
    return [digits(largest), split]


def _fold_settings(folds: Mapping[int, Mapping[str, Facts]]) -> list[str]:
    """List the settings that are not defaults; once, if they are the same for all folds."""
    lines = {}
    for number, fold in folds.items():
        model = fold.get("model", {})
        if "config" in model:
            changed = {name: value_text(model["config"][name]) for name in model["changed"]}
            lines[number] = words(changed) or "none"
    # A damaged model has no settings, so there may be no line at all.
    if len(set(lines.values())) == 1:
        return [f"changed settings: {next(iter(lines.values()))}"]
    return [f"fold {number}, changed settings: {line}" for number, line in lines.items()]


def _changed_facts(facts: Facts) -> dict[str, str]:
    """List the settings that are not defaults, with the defaults."""
    config = facts["config"]
    return {n: f"{value_text(config[n])} (default {_default(n)})" for n in facts["changed"]}


def _split_text(facts: Facts, remedy: str = "run mfcli update") -> str:
    """Return the hash of the split that a run belongs to, compared with the nearest split."""
    digest, beside = str(facts["split"])[:_HASH], facts["split_beside"]
    if beside is None:
        return digest
    if beside["same"]:
        return f"{digest} (same as {beside['path']})"
    if beside["parent"] == facts["split"]:
        return f"{digest} (the parent of {beside['path']}; {remedy})"
    return f"{digest} (not {beside['path']}, which is {beside['hash'][:_HASH]})"


def _writers(facts: Facts) -> str:
    return words(facts["written_by"])


def _optional(value: float | None) -> str:
    return "-" if value is None else digits(value)

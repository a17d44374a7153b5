"""What split.json says about ratings and parts, as text."""

from __future__ import annotations

from typing import Any

from mfcli.cli.feedback_words import merged_label, range_text, words_for


def split_values(split: dict[str, Any]) -> dict[str, str]:
    """Return the rows of a table about a split."""
    source, strategy, ratings = split["source"], split["strategy"], split["ratings"]
    feedback = split.get("feedback", "explicit")
    words = words_for(feedback)
    rows = {name: f"{split[name]:,}" for name in ("users", "items")}
    rows[words.rows] = f"{ratings['all']:,}"
    rows |= _omitted(source, feedback) if source else {}
    for name, removed in strategy.get("removed", {}).items():
        rows[f"{name} dropped"] = f"{removed:,}"
    rows["density"] = f"{split['density']:.4%}"
    # Strengths that are all equal need no mean, and a k-fold split has no part train.
    if feedback == "explicit" or split["scale"]["min"] < split["scale"]["max"]:
        rows[words.mean + (" of train" if "unseen" in split else "")] = f"{split['mean']:.4f}"
    rows[words.scale] = range_text(feedback, *(split["scale"][n] for n in ("min", "max", "step")))
    if source and "weight" in source["columns"]:
        rows["weights"] = f"column {source['columns']['weight']}"
    for name in list(ratings)[1:]:  # the parts; the first entry is "all"
        rows[name] = f"{ratings[name]:,} ({ratings[name] / ratings['all']:.1%})"
    if "folds" in strategy:
        rows["folds"] = f"{strategy['folds']}"
    for name, unseen in split.get("unseen", {}).items():
        rows[f"{name} with a user or item not in train"] = f"{unseen:,}"
    return rows


def _omitted(source: dict[str, Any], feedback: str) -> dict[str, str]:
    """Count the rows of the source that are not ratings of the split."""
    label = merged_label(feedback, source)
    merged = {label: source["duplicates"]} if source["duplicates"] else {}
    rejected = {f"rows skipped: {kind}": rows for kind, rows in source["rejected"].items()}
    return {name: f"{rows:,}" for name, rows in (merged | rejected).items()}

"""What split.json says about ratings and parts, as text."""

from __future__ import annotations

from typing import Any

from mfcli.cli.formatting import scale


def split_values(split: dict[str, Any]) -> dict[str, str]:
    """Return the rows of a table about a split."""
    source, strategy, ratings = split["source"], split["strategy"], split["ratings"]
    rows = {name: f"{split[name]:,}" for name in ("users", "items")}
    rows["ratings"] = f"{ratings['all']:,}"
    rows |= _omitted(source) if source else {}
    for name, removed in strategy.get("removed", {}).items():
        rows[f"{name} dropped"] = f"{removed:,}"
    rows["density"] = f"{split['density']:.4%}"
    mean = "mean of train" if "unseen" in split else "mean"  # a k-fold split has no part train
    rows[mean] = f"{split['mean']:.4f}"
    rows["scale"] = scale(*(split["scale"][end] for end in ("min", "max", "step")))
    for name in list(ratings)[1:]:  # the parts; the first entry is "all"
        rows[name] = f"{ratings[name]:,} ({ratings[name] / ratings['all']:.1%})"
    if "folds" in strategy:
        rows["folds"] = f"{strategy['folds']}"
    for name, unseen in split.get("unseen", {}).items():
        rows[f"{name} with a user or item not in train"] = f"{unseen:,}"
    return rows


def _omitted(source: dict[str, Any]) -> dict[str, str]:
    """Count the rows of the source that are not ratings of the split."""
    merged = {"duplicates merged": source["duplicates"]} if source["duplicates"] else {}
    rejected = {f"rows skipped: {kind}": rows for kind, rows in source["rejected"].items()}
    return {name: f"{rows:,}" for name, rows in (merged | rejected).items()}

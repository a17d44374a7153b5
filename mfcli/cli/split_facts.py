"""What several commands say in the same words."""

from __future__ import annotations

from typing import Any

from mfcli.cli import output


def split_facts(split: dict[str, Any]) -> dict[str, str]:
    """Put what `split.json` says of ratings and parts into words."""
    source, strategy = split["source"], split["strategy"]
    ratings, scale = split["ratings"], split["scale"]
    facts = {name: f"{split[name]:,}" for name in ("users", "items")}
    facts["ratings"] = f"{ratings['all']:,}"
    facts |= _left_out(source) if source else {}
    for name, removed in strategy.get("removed", {}).items():
        facts[f"{name} filtered out"] = f"{removed:,}"
    facts["density"] = f"{split['density']:.4%}"
    mean = "mean of train" if "unseen" in split else "mean"  # a k-fold split has no part train
    facts[mean] = f"{split['mean']:.4f}"
    facts["scale"] = output.scale(scale["min"], scale["max"], scale["step"])
    for name in list(ratings)[1:]:
        facts[name] = f"{ratings[name]:,} ({ratings[name] / ratings['all']:.1%})"
    if "folds" in strategy:
        facts["folds"] = f"{strategy['folds']}"
    for name, unseen in split.get("unseen", {}).items():
        facts[f"{name} with a user or item not in train"] = f"{unseen:,}"
    return facts


def _left_out(source: dict[str, Any]) -> dict[str, str]:
    """Count the rows of the source that are no rating of the split."""
    merged = {"duplicates merged": source["duplicates"]} if source["duplicates"] else {}
    rejected = {f"rows left out: {kind}": rows for kind, rows in source["rejected"].items()}
    return {name: f"{rows:,}" for name, rows in (merged | rejected).items()}

"""What the event of a plan says: how a model is about to be trained."""

from __future__ import annotations

import dataclasses
from typing import Any

from mfcli import __version__
from mfcli.clusters import current_cluster
from mfcli.config import TRAINING, Config
from mfcli.events.event import FORMAT
from mfcli.model import TABLES, Network
from mfcli.splits import Split
from mfcli.storage import threads_of
from mfcli.training import Plan


def plan_values(split: Split, config: Config, plan: Plan, threads: int | None) -> dict[str, Any]:
    """Return the fields of the event that are known from the data and the plan."""
    chosen = dataclasses.replace(config, engine=plan.engine, blocks=plan.groups)
    name, held_out = split.held_out or (None, ())
    return {
        "format": FORMAT,
        "mfcli": __version__,
        "settings": chosen.used(TRAINING),
        "seed": config.seed,
        **_network(split, config),
        "split": split.hash,
        "trained_on": list(split.in_train),
        "ratings": len(split.train),
        "validated_on": name,
        "held_out": len(held_out),
        **_engine(plan, threads),
    }


def _network(split: Split, config: Config) -> dict[str, Any]:
    users, items = len(split.train.users), len(split.train.items)
    layers = Network(users, items, config.width).layers
    rows = dict(zip(TABLES, (users, items, users, items), strict=True))
    return {
        "users": users,
        "items": items,
        "parameters": sum(layer.parameters for layer in layers),
        "tables": {
            layer.name: [rows[layer.name], layer.parameters // max(1, rows[layer.name])]
            for layer in layers
            if layer.name in rows
        },
    }


def _engine(plan: Plan, threads: int | None) -> dict[str, Any]:
    cluster = current_cluster()
    return {
        "engine": plan.engine,
        "blocks": plan.groups,
        "threads": threads_of(threads),
        "workers": len(cluster) if cluster else 0,
        "memory": plan.memory,
        "disk": plan.on_disk,
        "reason": plan.reason,
    }

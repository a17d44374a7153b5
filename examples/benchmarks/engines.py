"""Engines for a split, as `mfcli train` builds them."""

from __future__ import annotations

from mfcli.config import Config
from mfcli.splits import Split
from mfcli.training import make_plan
from mfcli.training.engine import Engine
from mfcli.training.factory import make_engine
from mfcli.training.loop import start


def engine_of(parts: Split, config: Config, threads: int) -> Engine:
    """Build an engine with the initial weights."""
    plan = make_plan(parts.train, config)
    return make_engine(plan, [start(parts, config)], parts.train, parts.test, threads)


def no_progress(done: int, total: int) -> None:
    """Show nothing."""

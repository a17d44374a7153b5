"""Disturb mfcli in many ways, again and again, and look for losses.

    python examples/soak.py --minutes 60

A loss is an older result that is missing or damaged, a result that differs from an undisturbed run,
a misread file, a temporary file that remains, a traceback, a wrong exit status, or a hang. Each
scenario in `examples/scenarios/` disturbs mfcli in one way; they get the same share of the time.
"""

from __future__ import annotations

import enum
import json
import random
import signal
import sys
import tempfile
import time
import traceback
from pathlib import Path
from typing import Annotated

import typer
from scenarios.caches import Caches
from scenarios.layouts import Layouts
from scenarios.pipeline import Pipeline
from scenarios.scenario import Scenario
from scenarios.searches import Searches
from scenarios.signals import Signals
from scenarios.together import Together

SCENARIOS: dict[str, type[Scenario]] = {
    "pipeline": Pipeline,
    "signals": Signals,
    "together": Together,
    "caches": Caches,
    "searches": Searches,
    "layouts": Layouts,
}
Name = enum.Enum("Name", {name: name for name in SCENARIOS})  # type: ignore[misc]  # mypy wants literals


def _take_turn(scenario: Scenario) -> float:
    """Run one turn, in which nothing may fail; return the seconds that it took."""
    begin = time.monotonic()
    try:
        scenario.turn()
    except Exception:
        scenario.lose(traceback.format_exc())
    scenario.counts["turns"] += 1
    return time.monotonic() - begin


def main(
    minutes: Annotated[float, typer.Option(help="Time limit; the last turn is completed.")] = 10,
    turns: Annotated[int, typer.Option(help="Maximum number of turns per scenario.")] = 10**9,
    only: Annotated[list[Name] | None, typer.Option(help="Run only these scenarios.")] = None,
    seed: Annotated[int, typer.Option(help="Seed of all random choices.")] = 0,
    patience: Annotated[
        float, typer.Option(help="Seconds to end after a signal, on an idle machine.")
    ] = 2.5,
) -> None:
    """Run scenarios in turn, and print what happened and how much was lost."""
    signal.signal(signal.SIGINT, signal.default_int_handler)  # shells ignore it in the background
    end = time.monotonic() + 60 * minutes
    names = [name.value for name in only or []] or list(SCENARIOS)
    with tempfile.TemporaryDirectory() as folder:
        scenarios: dict[str, Scenario] = {}
        for name in names:
            place = Path(folder) / name
            place.mkdir()
            scenarios[name] = SCENARIOS[name](place, random.Random(f"{seed} {name}"), patience)
        spent = dict.fromkeys(names, 0.0)
        while time.monotonic() < end:
            waiting = [name for name in names if scenarios[name].counts["turns"] < turns]
            if not waiting:
                break
            name = min(waiting, key=spent.__getitem__)
            spent[name] += _take_turn(scenarios[name])
    counts = {name: dict(scenario.counts) for name, scenario in scenarios.items()}
    losses = sum(scenario.counts["losses"] for scenario in scenarios.values())
    print(json.dumps({**counts, "losses": losses}, indent=2))
    sys.exit(1 if losses else 0)


if __name__ == "__main__":
    typer.run(main)

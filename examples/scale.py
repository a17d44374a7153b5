"""Simulate the time of an epoch of gradient descent on clusters, from measured costs.

    python examples/scale.py                           # 10 billion ratings on 4 to 64 machines
    python examples/scale.py --bandwidth 25 --chunks 8
    pip install "mfcli[ray]"
    python examples/scale.py --measure split --blocks 16 --costs costs.json
    python examples/scale.py --costs costs.json

`--measure` measures what ratings, messages and copies cost on this machine, then epochs with 1, 2
and 4 workers, and prints them beside simulated ones. `examples/scaling/simulator.py` says what is
simulated. Validation is not.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Annotated

import typer
from scaling.measured import measure, rating_seconds
from scaling.needs import Data, group_bytes, needs, route_for
from scaling.simulator import Costs, Team, simulate

from mfcli.config import Config
from mfcli.splits import Split, read_split
from mfcli.storage import bytes_text

MEASURED = Costs(rating=2.2e-8, call=5e-4, work=5e-3, message=1.5e-3, copy=7e8, look=4e-5)
"""Of two cores of an AMD EPYC with AVX2; a rating with 32 factors."""


def main(
    measured: Annotated[
        Path | None,
        typer.Option("--measure", exists=True, help="Split to measure on this machine."),
    ] = None,
    costs: Annotated[
        Path | None, typer.Option(help="File of measured costs, which --measure writes.")
    ] = None,
    k: Annotated[int, typer.Option(help="Factors, to measure with.")] = 10,
    blocks: Annotated[int | None, typer.Option(help="Groups; by default those of a plan.")] = None,
    chunks: Annotated[
        int | None, typer.Option(help="Chunks of a home that travel; by default those of a plan.")
    ] = None,
    bandwidth: Annotated[float, typer.Option(help="Gigabits per second of a machine.")] = 10,
    latency: Annotated[float, typer.Option(help="Seconds of the network.")] = 1e-4,
    factors: Annotated[int, typer.Option(help="Factors, of the simulated training.")] = 32,
    threads: Annotated[int, typer.Option(help="Threads of a machine.")] = 32,
    ratings: Annotated[int, typer.Option(help="Training ratings.")] = 10**10,
    held_out: Annotated[int, typer.Option(help="Held-out ratings.")] = 10**8,
    users: Annotated[int, typer.Option(help="Users.")] = 200_000_000,
    items: Annotated[int, typer.Option(help="Items.")] = 5_000_000,
) -> None:
    """Simulate epochs on clusters, or compare simulated and measured ones on this machine."""
    if measured:
        split = read_split(measured)
        found = compare(split, Config(k=k, blocks=blocks or 16), chunks)
        if costs:
            large = found._replace(rating=rating_seconds(split, Config(k=factors, blocks=blocks)))
            costs.write_text(json.dumps(large._asdict(), indent=2) + "\n")
        return
    known = Costs(**json.loads(costs.read_text())) if costs else MEASURED
    data = Data(ratings, held_out, users, items)
    config = Config(k=factors, blocks=blocks)
    teams = [
        Team(machines, threads, machines, threads, bandwidth * 1e9 / 8, latency)
        for machines in (4, 8, 16, 32, 64)
    ]
    show(data, config, teams, chunks, known)


def show(data: Data, config: Config, teams: list[Team], chunks: int | None, costs: Costs) -> None:
    """Print a table of simulated epochs."""
    print(f"costs: {described(costs)}\n")
    times = "seconds an epoch", "computing", "waiting"
    held = "of ratings", "of users", "of items", "for validation", "a machine holds"
    print_row("machines", "blocks", "chunks", "messages", *times, "travels", *held)
    print_row(*["---:"] * 13)
    for team in teams:
        route = route_for(data, config, team, chunks)
        need = needs(data, config, route)
        epoch = simulate(route, team, len(data), group_bytes(data, config, route), costs)
        moves = len(route.departures(0))
        counts = len(team), route.groups, moves // len(team), f"{moves * len(team):,}"
        sizes = need.hops, need.packed, need.users, need.items, need.validation, need.held
        print_row(*counts, *(f"{one:.2f}" for one in epoch[:3]), *map(bytes_text, sizes))


def compare(split: Split, config: Config, chunks: int | None) -> Costs:
    """Print measured epochs on this machine beside simulated ones; return the measured costs."""
    names = "seconds an epoch", "simulated", "ratio", "computing", "simulated", "travels"
    print_row("workers", "threads", *names, "simulated")
    print_row(*["---:"] * 9)
    data = Data(len(split.train), 0, len(split.train.users), len(split.train.items))
    found = [measure(split, config, workers) for workers in (1, 2, 4)]
    for team, costs, epoch in found:
        route = route_for(data, config, team, chunks)
        made = simulate(route, team, len(data), group_bytes(data, config, route), costs)
        ratio = made.seconds / epoch.seconds
        times = epoch.seconds, made.seconds, ratio, epoch.computing, made.computing
        sizes = bytes_text(epoch.travelled), bytes_text(made.travelled)
        print_row(len(team), team.each, *(f"{one:.3f}" for one in times), *sizes)
    for team, costs, _ in found:
        print(f"\ncosts while {len(team)} workers train: {described(costs)}")
    return found[1].costs


def print_row(*values: object) -> None:
    print("|", " | ".join(map(str, values)), "|", flush=True)


def described(costs: Costs) -> str:
    return (
        f"{1e9 * costs.rating:.1f} ns for a rating and thread, {1e6 * costs.call:.0f} us of the"
        f" driver to start a worker, {1e6 * costs.work:.0f} us of processors for a message,"
        f" {1e3 * costs.message:.2f} ms until it arrives,"
        f" {costs.copy / 1e9:.2f} GB/s through the object store, and {1e6 * costs.look:.0f} us for"
        " a look at whether something is ready"
    )


if __name__ == "__main__":
    typer.run(main)

"""Measure the speed of mfcli beside an earlier version and other programs, on one machine.

    python examples/make_ratings.py ratings.csv
    python examples/benchmark.py --data ratings.csv
    python examples/benchmark.py --data ratings.csv --previous ../older --libmf-binary ./mf-train
    pip install libmf implicit cmfrec myfm
    python examples/benchmark.py --data ratings.csv --peers --keras
    python examples/benchmark.py --split split --only gibbs --k 15 --rounds 1

Machines differ and are noisy, so read the ratios: what is compared runs alternately, and numbers
are medians. The modules in `examples/benchmarks/` say what is measured.
"""

from __future__ import annotations

import enum
import json
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated

import typer
from benchmarks import (
    als,
    commands,
    descent,
    gibbs,
    keras_steps,
    libmf,
    machine,
    peer_programs,
    recommended,
    roofline,
)
from benchmarks.records import Found
from benchmarks.run_setup import Setup
from benchmarks.tables import markdown, show
from benchmarks.versions import current, previous_version

from mfcli.splits import read_split

PARTS = {
    "machine": machine.records,
    "descent": descent.records,
    "libmf": libmf.records,
    "gibbs": gibbs.records,
    "als": als.records,
    "roofline": roofline.records,
    "commands": commands.records,
    "init": recommended.records,
    "peers": peer_programs.records,
    "keras": keras_steps.records,
}
Part = enum.Enum("Part", {name: name for name in PARTS})


def main(
    data: Annotated[
        Path | None,
        typer.Option(exists=True, help="Ratings (CSV), the rows of a user next to each other."),
    ] = None,
    split: Annotated[
        Path | None, typer.Option(exists=True, help="Split of these ratings; made if not given.")
    ] = None,
    out: Annotated[
        Path, typer.Option(help="JSON file to write; its tables go to an .md file beside it.")
    ] = Path("benchmark.json"),
    only: Annotated[
        list[Part] | None,
        typer.Option(
            metavar="PART",
            help=f"Run only this part ({', '.join(PARTS)}); repeatable. By default, all parts but"
            " peers and keras.",
        ),
    ] = None,
    k: Annotated[
        list[int] | None,
        typer.Option(
            metavar="INT",
            help="Factors; repeatable. By default 10, 30, 62 and 126 for descent and LIBMF, and 15,"
            " 31, 63 and 127 for Gibbs sampling and other programs, and 64 and 128 for als.",
        ),
    ] = None,
    rounds: Annotated[
        int, typer.Option(min=1, help="Repetitions, of which the median counts.")
    ] = 3,
    previous: Annotated[
        Path | None,
        typer.Option(exists=True, help="Checkout or interpreter of a version to compare with."),
    ] = None,
    libmf_binary: Annotated[
        Path | None,
        typer.Option(exists=True, help="An mf-train that was compiled from LIBMF's source."),
    ] = None,
    peers: Annotated[
        bool, typer.Option("--peers", help="Also measure implicit, cmfrec and myFM.")
    ] = False,
    keras: Annotated[bool, typer.Option("--keras", help="Also measure Keras.")] = False,
) -> None:
    """Measure the speed of mfcli beside an earlier version and other programs."""
    if not data and not split:
        raise typer.BadParameter("give --data or --split")
    if previous and previous.is_dir() and not (previous / "mfcli").is_dir():
        raise typer.BadParameter(f"{previous} is not a checkout; it has no folder named mfcli")
    names = chosen_parts(only, {"peers": peers, "keras": keras}, has_data=bool(data))
    versions = [current(), *([previous_version(previous)] if previous else [])]
    with tempfile.TemporaryDirectory() as folder:
        setup = Setup(
            versions, Path(folder), data and data.absolute(), split and split.absolute(), k or (),
            rounds, libmf_binary and libmf_binary.absolute(),
        )  # fmt: skip
        run(names, setup, out)


def chosen_parts(
    only: Sequence[Part] | None, extra: dict[str, bool], *, has_data: bool
) -> list[str]:
    """Return the parts to run, in their order."""
    if only:
        names = {part.name for part in only}
        if missing := names & {"commands", "init"} and not has_data:
            raise typer.BadParameter(f"{', '.join(sorted(missing))} needs --data")
    else:
        names = PARTS.keys() - extra.keys() - (set() if has_data else {"commands", "init"})
    names |= {name for name, wanted in extra.items() if wanted}
    return [name for name in PARTS if name in names]


def run(names: Sequence[str], setup: Setup, out: Path) -> None:
    """Run parts; after each of them, print its table and write everything so far."""
    train = read_split(setup.split).train
    print(f"{len(train):,} training ratings; {machine.processor()}; {setup.rounds} rounds")
    found: Found = {}
    for name in names:
        found[name] = PARTS[name](setup, found)
        show(name, found[name])
        result = {"machine": machine.description(), "ratings": len(train), "parts": found}
        out.write_text(json.dumps(result, indent=2) + "\n", encoding="utf-8")
        tables = "".join(markdown(part, records) for part, records in found.items())
        out.with_suffix(".md").write_text(tables, encoding="utf-8")


if __name__ == "__main__":
    typer.run(main)

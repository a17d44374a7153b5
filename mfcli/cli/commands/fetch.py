"""`mfcli fetch`."""

from __future__ import annotations

import shlex
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from mfcli.cli import output
from mfcli.cli.options import AsJson, Quiet

if TYPE_CHECKING:
    from mfcli.fetch import Fetched


def _archives() -> list[str]:
    from mfcli.fetch import NAMES

    return list(NAMES)


def fetch(
    name: Annotated[
        str,
        typer.Argument(
            help="ml-latest-small, ml-100k, ml-1m, ml-10m, ml-20m, ml-25m or ml-32m.",
            autocompletion=_archives,
        ),
    ],
    out: Annotated[Path, typer.Option("--out", help="Folder to unpack it in.")] = Path(),
    base: Annotated[
        str | None,
        typer.Option(help="Address of a mirror.", show_default="GroupLens's own"),
    ] = None,
    json: AsJson = False,
    quiet: Quiet = False,
) -> None:
    """Download a MovieLens data set from GroupLens, checked and unpacked."""
    from mfcli.fetch import movielens as fetching

    with output.byte_bar(f"fetching {name}", quiet) as on_progress:
        fetched = fetching.fetch(name, out, base=base or fetching.BASE, on_progress=on_progress)
    output.show(fetched.as_dict(), json, lambda: _fetched_lines(fetched))


def _fetched_lines(fetched: Fetched) -> None:
    """Say where the ratings are, on what terms, what to cite and what comes next."""
    print(f"{fetched.ratings}: the ratings ({fetched.bytes / 1e6:,.1f} MB packed)")
    print(f"\nTerms of use\n\n{fetched.terms}\n\nPlease cite\n\n{fetched.citation}\n")
    print(f"Next: mfcli split {shlex.quote(str(fetched.ratings))}")

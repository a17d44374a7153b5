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
    from mfcli.fetch import fetch_movielens

    with output.byte_bar(f"fetching {name}", quiet) as on_progress:
        fetched = fetch_movielens(name, out, base=base, on_progress=on_progress)
    output.show(fetched.as_dict(), json, lambda: _fetched_lines(fetched))


def _fetched_lines(fetched: Fetched) -> None:
    """Print where the ratings and their terms of use are, what to cite, and the next command."""
    print(f"{fetched.ratings}: the ratings ({fetched.bytes / 1e6:,.1f} MB compressed)")
    print(f"Terms of use: {fetched.terms}")
    print(f"Please cite: {fetched.citation}")
    print(f"Next: mfcli split {shlex.quote(str(fetched.ratings))}")

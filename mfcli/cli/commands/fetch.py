"""`mfcli fetch`."""

from __future__ import annotations

import shlex
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from mfcli import fetch as fetching
from mfcli.cli.formatting import size
from mfcli.cli.options import FILES
from mfcli.cli.progress import byte_count
from mfcli.cli.screen import ScreenOptions
from mfcli.cli.streams import print_line

if TYPE_CHECKING:
    from mfcli.fetch import Fetched


def _archives() -> list[str]:
    # A function, so that help and other commands do not load the downloads.
    return list(fetching.NAMES)


def fetch(
    name: Annotated[
        str,
        typer.Argument(
            metavar="NAME",
            help="ml-latest-small, ml-100k, ml-1m, ml-10m, ml-20m, ml-25m or ml-32m.",
            autocompletion=_archives,
        ),
    ],
    screen: ScreenOptions,
    base: Annotated[
        str | None,
        typer.Option(
            "--base",
            metavar="URL",
            help="Address of a mirror.",
            show_default="GroupLens",
            rich_help_panel=FILES,
        ),
    ] = None,
    out: Annotated[
        Path,
        typer.Option("--out", metavar="DIR", help="Folder to unpack into.", rich_help_panel=FILES),
    ] = Path(),
) -> None:
    """Download, verify and unpack a MovieLens data set from GroupLens."""
    with screen.progress() as display:
        download = display.work(f"fetching {name}", byte_count)
        download.update(0, 0)
        fetched = fetching.fetch_movielens(
            name,
            out,
            base=base,
            on_progress=download.update,
            on_unpacking=display.work(f"unpacking {name}", byte_count).update,
        )
    screen.show(fetched.as_dict(), lambda: _print(fetched))


def _print(fetched: Fetched) -> None:
    print_line(f"{fetched.ratings}: the ratings ({size(fetched.bytes)} compressed)")
    if fetched.titles:
        print_line(f"{fetched.titles}: the titles, for --titles")
    # The data have other terms than mfcli.
    print_line(f"Terms of use: {fetched.terms}")
    print_line(f"Please cite: {fetched.citation}")
    print_line(f"Next: mfcli split {shlex.quote(str(fetched.ratings))}")

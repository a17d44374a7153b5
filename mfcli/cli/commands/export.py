"""`mfcli export`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from mfcli import exports as exporting, model as models
from mfcli.cli.formatting import count
from mfcli.cli.options import FILES
from mfcli.cli.screen import ScreenOptions
from mfcli.cli.shared_options import ModelFolder
from mfcli.cli.streams import print_line


def _formats() -> list[str]:
    # A function, so that help and other commands do not load the exports.
    return list(exporting.FORMATS)


def export(
    format: Annotated[
        str,
        typer.Option(
            "--format",
            metavar="NAME",
            help="keras, savedmodel, npz, csv, parquet, libmf or vectors.",
            autocompletion=_formats,
            rich_help_panel=FILES,
        ),
    ],
    screen: ScreenOptions,
    raw_ids: Annotated[
        bool,
        typer.Option(
            "--raw-ids",
            help="keras and savedmodel: write a model that takes ids, not row numbers.",
            rich_help_panel=FILES,
        ),
    ] = False,
    model: ModelFolder = Path("model"),
    out: Annotated[
        Path | None,
        typer.Option(
            "--out",
            metavar="PATH",
            help="File or folder to write.",
            show_default="export/model.keras, export/savedmodel/1, export/model.npz, export/csv,"
            " export/parquet, export/libmf or export/vectors",
            rich_help_panel=FILES,
        ),
    ] = None,
) -> None:
    """Export a model for other programs."""
    target = exporting.check_request(format, out, raw_ids)
    trained = models.Model.load(model)
    with screen.bar(f"writing {target}"):
        size = exporting.export(trained, format, target, raw_ids=raw_ids).bytes
    users, items = len(trained.users), len(trained.items)
    result = {"out": str(target), "format": format, "users": users, "items": items}
    result |= {"k": trained.k, "bytes": size}
    if exporting.FORMATS[format].write_for_ids and not raw_ids:
        ids = f"{models.model_folder(model)}/users.arrow and items.arrow"
        screen.note(f"the model takes row numbers, the positions of ids in {ids}; see --raw-ids")
    if trained.samples:
        folder = models.model_folder(model)
        lost = f"the export has no samples for intervals; they are in {folder}/*_samples.npy"
        screen.note(lost)
    line = (
        f"{target}: {count(users, 'user')}, {count(items, 'item')}, k {trained.k}, {size:,} bytes"
    )
    screen.show(result, lambda: print_line(line))

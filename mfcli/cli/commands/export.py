"""`mfcli export`."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from mfcli.cli import output
from mfcli.cli.options import AsJson, ModelFolder, Quiet

if TYPE_CHECKING:
    from mfcli.model import Model


def _formats() -> list[str]:
    from mfcli.export import FORMATS

    return list(FORMATS)


def export(
    format: Annotated[
        str,
        typer.Option(
            help="keras, savedmodel, npz, csv, parquet, libmf or vectors.",
            autocompletion=_formats,
        ),
    ],
    out: Annotated[
        Path | None,
        typer.Option(
            help="File or folder to write.",
            show_default="export/model.keras, export/savedmodel/1, export/model.npz, export/csv,"
            " export/parquet, export/libmf or export/vectors",
        ),
    ] = None,
    model: ModelFolder = Path("model"),
    raw_ids: Annotated[
        bool,
        typer.Option(
            "--raw-ids", help="keras and savedmodel: a model that takes ids, in place of rows."
        ),
    ] = False,
    json: AsJson = False,
    quiet: Quiet = False,
) -> None:
    """Write the model in a format of other programs."""
    from mfcli.export import FORMATS, check_request, export as write
    from mfcli.model import Model

    target = check_request(format, out, raw_ids)
    trained = Model.load(model)
    with output.bar(f"writing {target}", quiet):
        size = write(trained, format, target, raw_ids=raw_ids)
    result = {
        "out": str(target),
        "format": format,
        "users": len(trained.users),
        "items": len(trained.items),
        "k": trained.k,
        "bytes": size,
    }
    if FORMATS[format].write_for_ids and not raw_ids:
        ids = f"{model}/users.arrow and items.arrow"
        output.note(f"it takes rows, the positions of ids in {ids}; or --raw-ids", quiet)
    output.show(result, json, lambda: print(f"{target}: {_summary(trained, size)}"))


def _summary(model: Model, size: int) -> str:
    users, items = output.count(model.users, "user"), output.count(model.items, "item")
    return f"{users}, {items}, k {model.k}, {size:,} bytes"

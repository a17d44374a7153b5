"""`mfcli similar`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from mfcli import model as models, predict as prediction
from mfcli.cli.item_lists import TITLES, Listing
from mfcli.cli.options import FILES, FieldsGroup, Given, SettingsGroup
from mfcli.cli.screen import JsonOption
from mfcli.cli.setting_options import Settings
from mfcli.cli.shared_options import ModelFolder, refuse


def similar(
    name: Annotated[str, typer.Argument(metavar="ID", help="Item id (user id with --users).")],
    listing: Annotated[Listing, FieldsGroup(Listing, "n", "min_count", "titles", *TITLES)],
    settings: Annotated[Settings, SettingsGroup("encoding", panel=FILES)],
    given: Given,
    screen: JsonOption,
    users: Annotated[
        bool,
        typer.Option("--users", help="List similar users.", rich_help_panel="Recommendations"),
    ] = False,
    model: ModelFolder = Path("model"),
) -> None:
    """List the items whose factors are most similar (cosine) to those of an item."""
    if users:
        refuse(given, ["titles"], "with --users, because titles are those of items", "omit it")
    if not listing.titles:
        refuse(given, ["encoding", *TITLES], "without --titles", "omit it")
    trained = models.Model.load(model)
    table = prediction.similar(trained, name, listing.n, users=users, min_count=listing.min_count)
    listing.print([table], "similar", screen, settings.config.encoding, trained.columns)

"""`mfcli serve`."""

from __future__ import annotations

import logging
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from mfcli.cli import signals
from mfcli.cli.item_lists import TITLES, Listing
from mfcli.cli.options import FILES, FieldsGroup, Given, SettingsGroup
from mfcli.cli.setting_options import Settings
from mfcli.cli.shared_options import LocalModel, refuse
from mfcli.cli.streams import print_line, print_message
from mfcli.errors import UsageError

if TYPE_CHECKING:
    from types import ModuleType

_PANEL = "Server"
_SPLIT = Path("split")
_NO_SPLIT = "none"


def serve(
    *,
    listing: Annotated[Listing, FieldsGroup(Listing, "titles", *TITLES)],
    settings: Annotated[Settings, SettingsGroup("encoding", panel=FILES)],
    given: Given,
    host: Annotated[
        str,
        typer.Option(
            metavar="ADDRESS",
            help="Address to listen on; 0.0.0.0 for all, which others can reach, too.",
            rich_help_panel=_PANEL,
        ),
    ] = "127.0.0.1",
    port: Annotated[
        int,
        typer.Option(min=0, max=65535, help="Port; 0 for a free one.", rich_help_panel=_PANEL),
    ] = 8000,
    allow_host: Annotated[
        list[str] | None,
        typer.Option(
            metavar="NAME",
            help="Name by which requests may address the server, besides localhost and IP"
            " addresses; repeatable.",
            rich_help_panel=_PANEL,
        ),
    ] = None,
    reload: Annotated[
        bool,
        typer.Option(
            "--reload",
            help="Load the model again when its files change, without dropping a request; the"
            " signal SIGHUP does so, too.",
            rich_help_panel=_PANEL,
        ),
    ] = False,
    model: LocalModel = Path("model"),
    split: Annotated[
        Path | None,
        typer.Option(
            "--split",
            metavar="DIR",
            help=f"Split folder; {_NO_SPLIT} to serve without what users have rated.",
            show_default=f"{_SPLIT}, if it exists",
            rich_help_panel=FILES,
        ),
    ] = None,
) -> None:
    """Serve a model: a page to explore it, and recommendations and predictions as JSON.

    With the split, items that users have rated are not recommended. /openapi.json describes the
    requests.
    """
    if not listing.titles:
        refuse(given, ["encoding", *TITLES], "without --titles", "omit it")
    server = _server()
    columns = {"item": listing.title_id_col, "title": listing.title_col}
    app = server.application(
        model,
        split=_split_folder(split),
        titles=listing.titles,
        encoding=settings.config.encoding,
        title_columns={role: name for role, name in columns.items() if name is not None},
        hosts=[*server.LOCAL, *(allow_host or ())],
        wait=False,
    )
    for logger in ("mfcli.server", "uvicorn"):
        logging.getLogger(logger).addHandler(_Printed())
    with signals.on_hangup(app.reload):
        server.serve(app, host, port, reload=reload, on_start=lambda url: _print(model, url))


def _split_folder(given: Path | None) -> Path | None:
    if given is None:
        return _SPLIT if _SPLIT.exists() else None
    return None if str(given) == _NO_SPLIT else given


def _server() -> ModuleType:
    try:
        from mfcli.server import application, serve  # noqa: F401
    except ImportError as error:
        rule = f"a server needs Starlette and uvicorn, which cannot be loaded: {error}"
        raise UsageError(rule, remedy='pip install "mfcli[serve]"') from None
    from mfcli import server

    return server


def _print(model: Path, url: str) -> None:
    print_line(f"{model}: serving at {url} (stop with Ctrl-C)")
    sys.stdout.flush()  # at once, also into a pipe


class _Printed(logging.Handler):
    """Prints what the server reports while it runs, in one line on stderr."""

    def emit(self, record: Any) -> None:
        kind = "error" if record.levelno >= logging.ERROR else "warning"
        print_message(kind, " ".join(record.getMessage().split()))

"""One line on a terminal that is updated; apart from `live_bar.py`, because it shows no work."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from mfcli.cli.formatting import printable
from mfcli.cli.streams import console as make_console


@contextmanager
def status_line() -> Iterator[Callable[[str], None]]:
    """Yield what shows a text on stderr in place of the one before; in a pipe, nothing is shown."""
    console = make_console(stderr=True)
    if not sys.stderr.isatty() or console.is_dumb_terminal:
        yield lambda text: None
        return
    from rich.live import Live  # not loaded by help
    from rich.text import Text

    with Live(console=console, auto_refresh=False, transient=True) as live:
        yield lambda text: live.update(Text(printable(text)), refresh=True)

"""The command line: every command, and the one place where errors become a line."""

from __future__ import annotations

import os
import signal
import sys
import threading
from typing import Annotated, Any, NoReturn

import typer
from typer.core import TyperGroup
from typer.exceptions import TyperException

from mfcli import __version__
from mfcli.cli import output
from mfcli.cli.commands.check import check
from mfcli.cli.commands.compare import compare
from mfcli.cli.commands.evaluate import evaluate
from mfcli.cli.commands.export import export
from mfcli.cli.commands.fetch import fetch
from mfcli.cli.commands.fold_in import fold_in
from mfcli.cli.commands.init import init
from mfcli.cli.commands.plot import plot
from mfcli.cli.commands.predict import predict
from mfcli.cli.commands.recommend import recommend
from mfcli.cli.commands.show import show
from mfcli.cli.commands.similar import similar
from mfcli.cli.commands.split import split
from mfcli.cli.commands.train import train
from mfcli.cli.commands.tune import tune
from mfcli.errors import MfcliError

for library in ("OPENBLAS", "MKL"):
    os.environ.setdefault(f"{library}_NUM_THREADS", "1")  # the threads are ours, see parallel.py

COMMANDS = (
    fetch,
    check,
    split,
    init,
    tune,
    train,
    evaluate,
    compare,
    predict,
    recommend,
    similar,
    fold_in,
    export,
    show,
    plot,
)
"""In the order in which help and the README list them."""


class Commands(TyperGroup):
    """The one place where errors become a line on stderr and an exit status."""

    signalled = 0  # the signal that asked this process to stop

    def main(self, *args: Any, **extra: Any) -> Any:
        if threading.current_thread() is threading.main_thread():
            for number in (signal.SIGINT, signal.SIGTERM):
                signal.signal(number, _stop)
        try:
            status = self._run(*args, **extra)
        except BaseException:
            # Whatever came of it: modules that are interrupted while they load raise anything.
            if not Commands.signalled:
                raise
        sys.exit(128 + Commands.signalled if Commands.signalled else status or 0)

    def _run(self, *args: Any, **extra: Any) -> Any:
        try:
            return super().main(*args, **{**extra, "standalone_mode": False})
        except (MfcliError, TyperException) as error:
            message = error.format_message() if isinstance(error, TyperException) else str(error)
            _fail(message, error.exit_code)
        except MemoryError:
            _fail("out of memory; free some, or use a smaller --k", 1)
        except UnicodeEncodeError as error:
            _fail(f"names of files must be UTF-8 text, got {error.object!r}", 1)
        except OSError as error:
            _fail(f"standard output cannot be written: {error.strerror}", 1)


class _Stopped(KeyboardInterrupt):
    """A class of its own, since Python ends by SIGINT if a plain one went through its C code.

    It remembers a KeyboardInterrupt that left code run from C, as modules do while they load, and
    kills itself at its exit, whatever became of the exception.
    """


def _stop(number: int, frame: Any) -> NoReturn:
    """Unwind, so that nothing half-written stays behind; the same signal again ends at once."""
    signal.signal(number, signal.SIG_DFL)
    Commands.signalled = number
    raise _Stopped


def _fail(message: str, status: int) -> NoReturn:
    print("error:", output.printable(" ".join(message.split())), file=sys.stderr)
    sys.exit(status)


app = typer.Typer(
    cls=Commands,
    help="Train biased matrix-factorization recommenders from a file of ratings.",
    epilog="Start with: mfcli split data.csv",
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)


def _version(value: bool) -> None:
    if value:
        print(f"mfcli {__version__}")
        raise typer.Exit


@app.callback()
def main(
    version: Annotated[
        bool,
        typer.Option("--version", help="Show the version.", callback=_version, is_eager=True),
    ] = False,
) -> None:
    """Train biased matrix-factorization recommenders from a file of ratings."""


for command in COMMANDS:
    app.command()(command)

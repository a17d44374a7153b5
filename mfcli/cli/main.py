"""The command line: the commands, and the one place where errors are printed."""

from __future__ import annotations

import os
import sys
import warnings
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager
from typing import Annotated, Any, NoReturn, cast

import typer
from typer.core import TyperCommand, TyperGroup
from typer.exceptions import TyperException
from typer.main import get_command

from mfcli import __version__, storage
from mfcli.cli import signals
from mfcli.cli.built_commands import BuiltCommands
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
from mfcli.cli.commands.report import report
from mfcli.cli.commands.serve import serve
from mfcli.cli.commands.show import show
from mfcli.cli.commands.similar import similar
from mfcli.cli.commands.split import split
from mfcli.cli.commands.train import train
from mfcli.cli.commands.tune import tune
from mfcli.cli.commands.update import update
from mfcli.cli.help import print_help
from mfcli.cli.option_hints import hinted_options
from mfcli.cli.options import FILES, with_options
from mfcli.cli.spelling import spelled
from mfcli.cli.streams import OutputError, guard_streams, print_line, print_message
from mfcli.errors import MfcliError, MfcliWarning, UsageError

for library in ("OPENBLAS", "MKL"):
    # mfcli runs its own threads, see mfcli/storage/threads.py
    os.environ.setdefault(f"{library}_NUM_THREADS", "1")

PANELS = {
    "Prepare": (fetch, check, split, init),
    "Train": (train, tune, update),
    "Evaluate": (evaluate, compare, plot, report),
    "Use": (predict, recommend, similar, fold_in, serve, export),
    "Inspect": (show,),
}
"""The commands, in the order in which help lists them."""

_COMMANDS = {
    one.__name__.replace("_", "-"): (panel, one) for panel, some in PANELS.items() for one in some
}
_CONTEXT = {"help_option_names": ["-h", "--help"]}


class Command(TyperCommand):
    """A command whose help lists `--help` among the other options."""

    def parse_args(self, ctx: Any, args: list[str]) -> Any:
        with _hinted(self, ctx, args):
            return super().parse_args(ctx, args)

    def format_help(self, ctx: Any, formatter: Any) -> None:
        print_help(self, ctx)

    def get_help_option(self, ctx: Any) -> Any:
        option = super().get_help_option(ctx)
        if option:
            option.rich_help_panel, option.metavar = FILES, ""
        return option


class Commands(TyperGroup):
    """All commands. Errors become one line on stderr and an exit status."""

    def __init__(self, **settings: Any) -> None:
        super().__init__(**settings)
        self.commands = cast(Any, BuiltCommands(_COMMANDS, _build))

    def list_commands(self, ctx: Any) -> list[str]:
        return list(self.commands)

    def summaries(self) -> dict[str, tuple[str, str]]:
        """Return the panel and the documentation of each command."""
        return {name: (panel, one.__doc__ or "") for name, (panel, one) in _COMMANDS.items()}

    def parse_args(self, ctx: Any, args: list[str]) -> Any:
        if args[:1] in ([], ["help"]) and not ctx.resilient_parsing:  # as completion parses
            rule = "No such command 'help'" if args else "Missing command"
            raise UsageError(rule, remedy="for help: mfcli --help, or mfcli COMMAND --help")
        with _hinted(self, ctx, args):
            return super().parse_args(ctx, args)

    def format_help(self, ctx: Any, formatter: Any) -> None:
        print_help(self, ctx)

    def main(self, *args: Any, **extra: Any) -> Any:
        storage.on_lost_mapping(_stop_at_once)
        guard_streams()  # before anything is printed, including help
        try:
            with _printed_warnings():
                # Standalone, Typer would print errors itself and end the process.
                status = super().main(*args, **{**extra, "standalone_mode": False})
            sys.stdout.flush()  # here, where a full disk is still reported
            sys.exit(status or 0)
        except OutputError as error:
            if error.is_broken_pipe:  # as after `mfcli show | head`: silent, like other programs
                sys.exit(error.exit_code)
            _fail(error.phrase(spelled), error.exit_code)
        except MfcliError as error:
            _fail(error.phrase(spelled), error.exit_code)
        except TyperException as error:
            _fail(error.format_message(), error.exit_code)
        except MemoryError:
            _fail("out of memory; free some, or use a smaller --k", 1)
        except RuntimeError as error:
            if "start new thread" not in str(error):  # Python has no class for this error
                raise
            _fail("the system allows no more threads; raise the limit (see ulimit -u)", 1)
        except ImportError as error:  # a limit of the system, or an incomplete installation
            _fail(f"a library cannot be loaded: {error}", 1)
        except UnicodeEncodeError as error:
            _fail(f"file names must be UTF-8 text here, got {error.object!r}", 1)
        except OSError as error:
            place = "" if error.filename is None else f"{os.fsdecode(error.filename)}: "
            _fail(f"{place}{error.strerror or error}", 1)


def _build(name: str) -> Any:
    """Build a command, as an application of its own."""
    _, function = _COMMANDS[name]
    single = typer.Typer(add_completion=False, context_settings=_CONTEXT)
    single.command(cls=Command)(with_options(function))
    return get_command(single)


def _hinted(command: Any, ctx: Any, args: list[str]) -> AbstractContextManager[None]:
    def others() -> dict[str, list[str]]:
        commands = ctx.find_root().command.commands
        return {name: _options(other) for name, other in commands.items()}

    return hinted_options(ctx.info_name, _options(command), others, list(args))


def _options(command: Any) -> list[str]:
    """Return the long options of a command."""
    texts = (text for param in command.params for text in (*param.opts, *param.secondary_opts))
    return [text for text in texts if text.startswith("--")]


@contextmanager
def _printed_warnings() -> Iterator[None]:
    """Print each `MfcliWarning` in one line, even if `--quiet` is given."""
    others = warnings.showwarning

    def show(message: Warning | str, *details: Any, **more: Any) -> None:
        if isinstance(message, MfcliWarning):
            _print_line("warning", message.phrase(spelled))
        else:
            others(message, *details, **more)

    with warnings.catch_warnings():
        # By default, Python shows a warning once per line of code, and not at all with `-W ignore`.
        warnings.simplefilter("always", MfcliWarning)
        warnings.showwarning = show
        yield


def _stop_at_once(error: MfcliError) -> NoReturn:
    """End the process at once, because the thread that has lost its data cannot continue."""
    _print_line("error", error.phrase(spelled))
    sys.stderr.flush()
    storage.remove_temporaries()
    os._exit(error.exit_code)


def _fail(message: str, status: int) -> NoReturn:
    if not signals.received():  # any error after a signal is a consequence of it
        _print_line("error", message)
    sys.exit(status)


def _print_line(kind: str, message: str) -> None:
    print_message(kind, " ".join(message.split()))


app = typer.Typer(
    cls=Commands,
    epilog="Start with: mfcli split data.csv",
    pretty_exceptions_enable=False,
    context_settings=_CONTEXT,
)


def _print_version(value: bool) -> None:
    if value:
        print_line(f"mfcli {__version__}")
        raise typer.Exit


@app.callback()
def main(
    version: Annotated[
        bool,
        typer.Option(
            "--version", help="Show the version and exit.", callback=_print_version, is_eager=True
        ),
    ] = False,
) -> None:
    """Train biased matrix-factorization recommenders from a file of ratings."""

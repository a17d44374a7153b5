"""The entry point of the command line: `mfcli` and `python -m mfcli`.

Signals are handled before anything else is imported. Until then, Ctrl-C raises KeyboardInterrupt.
"""

import os

_INTERRUPTED = 130


def main() -> None:
    """Run the command line."""
    try:
        from mfcli.cli import run_until_signal

        run_until_signal(_run)
    except KeyboardInterrupt:
        os._exit(_INTERRUPTED)


def _run() -> None:
    from mfcli.cli import app

    app(prog_name="mfcli")


if __name__ == "__main__":
    main()

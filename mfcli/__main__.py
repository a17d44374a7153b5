"""`python -m mfcli`."""

from mfcli.cli import app

if __name__ == "__main__":
    app(prog_name="mfcli")

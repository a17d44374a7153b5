"""Fuzz the readers of ratings, guided by coverage.

    pip install atheris
    python tests/fuzz_reading.py -max_total_time=60

Every input must give ratings or an error of one line; any other result stops the run and saves the
input. `test_sources.py` does the same with Hypothesis.
"""

from __future__ import annotations

import sys
import tempfile
from pathlib import Path

import atheris

with atheris.instrument_imports():
    from mfcli.data import read_ratings
    from mfcli.errors import MfcliError

FOLDER = Path(tempfile.mkdtemp())


def one_input(data: bytes) -> None:
    rejected = FOLDER / "rejected.csv" if data[:1] < b"\x80" else None
    (FOLDER / "data").write_bytes(data[1:])
    try:
        read_ratings(FOLDER / "data", rejected=rejected)
    except MfcliError as error:
        if "\n" in str(error):
            raise


if __name__ == "__main__":
    atheris.Setup(sys.argv, one_input)
    atheris.Fuzz()

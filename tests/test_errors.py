"""Messages in parts: errors and warnings."""

from __future__ import annotations

import pytest

import mfcli
from mfcli.cli.main import _printed_warnings
from mfcli.errors import Param, warn


def test_a_warning_reaches_the_caller_in_python() -> None:
    with pytest.warns(mfcli.MfcliWarning, match=r"^a\.csv: has few ratings, got 3; use k=1$"):
        warn("has few ratings", place="a.csv", value=3, remedy=["use ", Param("k", 1)])


def test_the_command_line_prints_warnings_in_one_line(capsys: pytest.CaptureFixture[str]) -> None:
    with _printed_warnings():
        for _ in range(2):
            warn("has few\nratings", place="\x1b.csv", remedy=["use ", Param("k", 1)])
    line = "warning: \\x1b.csv: has few ratings; use --k 1\n"
    assert capsys.readouterr() == ("", 2 * line)

"""Messages in parts: errors and warnings."""

from __future__ import annotations

import pickle

import pytest

import mfcli
from mfcli.cli.main import _printed_warnings
from mfcli.errors import DataError, Message, MfcliWarning, Param, UsageError, warn
from mfcli.training import Diverged


def test_a_warning_reaches_the_caller_in_python() -> None:
    with pytest.warns(mfcli.MfcliWarning, match=r"^a\.csv: has few ratings, got 3; use k=1$"):
        warn("has few ratings", place="a.csv", value=3, remedy=["use ", Param("k", 1)])


def test_the_command_line_prints_warnings_in_one_line(capsys: pytest.CaptureFixture[str]) -> None:
    with _printed_warnings():
        for _ in range(2):
            warn("has few\nratings", place="\x1b.csv", remedy=["use ", Param("k", 1)])
    line = "warning: \\x1b.csv: has few ratings; use --k 1\n"
    assert capsys.readouterr() == ("", 2 * line)


@pytest.mark.parametrize(
    "message",
    [
        DataError("is empty", place="a.csv", value=None),
        UsageError(
            "breaks a rule", param="k", remedy=["use ", Param("k"), " or ", Param("a.b", 3)]
        ),
        MfcliWarning("has few ratings", value=3),
        Diverged("diverged", remedy="try a smaller one", best=None),
    ],
)
def test_messages_are_the_same_after_pickling(message: Message) -> None:
    again = pickle.loads(pickle.dumps(message))
    assert type(again) is type(message)
    assert vars(again) == vars(message)
    assert again.args == message.args
    assert str(again) == str(message)

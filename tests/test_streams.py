"""What libraries write to standard error."""

from __future__ import annotations

import os

import pytest

from mfcli.storage import stderr_held


def test_messages_are_discarded(capfd: pytest.CaptureFixture[str]) -> None:
    with stderr_held():
        os.write(2, b"a message")
    os.write(2, b"after")
    assert capfd.readouterr().err == "after"


def test_messages_are_shown_if_the_block_fails(capfd: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(RuntimeError), stderr_held():
        os.write(2, b"a message")
        raise RuntimeError
    assert capfd.readouterr().err == "a message"


def test_an_interruption_is_quiet(capfd: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(KeyboardInterrupt), stderr_held():
        os.write(2, b"a message")
        raise KeyboardInterrupt
    assert capfd.readouterr().err == ""

"""Ratings in random layouts are read correctly, read with a warning, or refused."""

from __future__ import annotations

import collections
import sys
from pathlib import Path

import pytest
from conftest import ROOT

FILES = 60


def test_no_layout_is_misread(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.syspath_prepend(ROOT / "examples")
    monkeypatch.delitem(sys.modules, "input_layouts", raising=False)
    from input_layouts import Layouts, outcome

    counts: collections.Counter[str] = collections.Counter()
    for seed in range(FILES):
        layouts = Layouts(seed)
        folder = tmp_path / str(seed)
        folder.mkdir()
        path, options, table = layouts.write(folder)
        result, message = outcome(path, options, table)
        assert result != "misread", (seed, message, layouts.chosen)
        counts[result] += 1
    assert counts["read"] > FILES / 2

"""Digests of files."""

from __future__ import annotations

from functools import partial
from pathlib import Path

import pytest

from mfcli.errors import ArtifactError
from mfcli.storage import open_files, sha256

check = partial(open_files, remedy="do it again")


def test_a_changed_or_missing_file_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "a"
    path.write_text("a")
    digests = {"a": sha256(path)}
    check(tmp_path, digests, ["a"])
    path.write_text("b")
    with pytest.raises(ArtifactError, match=r"is damaged \(its digest is wrong\); do it again"):
        check(tmp_path, digests, ["a"])
    path.unlink()
    with pytest.raises(ArtifactError, match="cannot be read"):
        check(tmp_path, digests, ["a"])
    with pytest.raises(ArtifactError, match="does not list its files"):
        check(tmp_path, {}, ["a"])
    for name in ("a\0b", "\ud800"):
        with pytest.raises(ArtifactError, match="lists a file"):
            check(tmp_path, {name: ""}, [])

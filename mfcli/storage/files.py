"""Records as dicts; to be removed when all packages use `records`."""

from __future__ import annotations

from collections.abc import Collection
from pathlib import Path
from typing import Any

from mfcli.errors import ArtifactError
from mfcli.storage.atomic import replacing_file
from mfcli.storage.digests import check_files
from mfcli.storage.records import _DIGEST, _check_format, _check_seal, read_json, sealed_text


def write_sealed(target: Path, value: dict[str, Any]) -> None:
    with replacing_file(target) as temporary:
        write_manifest(temporary, value)


def write_manifest(path: Path, value: dict[str, Any]) -> None:
    path.write_text(sealed_text(value), encoding="utf-8")


def read_manifest(path: Path, newest: int) -> dict[str, Any]:
    value = read_json(path)
    check_format(path, value.get("format"), newest)
    check_seal(path, value)
    return value


def check_format(path: Path, found: Any, newest: int) -> None:
    _check_format(path, {"format": found}, newest, "create it again")


def check_seal(path: Path, value: dict[str, Any]) -> None:
    _check_seal(path, value, "create it again")
    del value[_DIGEST]


def check_digests(folder: Path, manifest: dict[str, Any], required: Collection[str]) -> None:
    digests = manifest.get("files")
    if not isinstance(digests, dict):
        raise ArtifactError(f"{folder}: its record does not list its files; create it again")
    check_files(folder, digests, required, remedy="create it again")

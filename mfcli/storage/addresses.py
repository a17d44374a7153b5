"""Addresses of files and folders in object stores, such as ``s3://bucket/folder``.

An address is text: `pathlib.Path` would take its two slashes for one. Options of the store follow a
question mark: ``s3://bucket/folder?endpoint_override=http://127.0.0.1:9000``.
"""

from __future__ import annotations

import posixpath
import re
from pathlib import Path
from urllib.parse import parse_qsl, unquote, urlencode, urlsplit, urlunsplit

from mfcli.arguments import is_address

_SECRETS = re.compile("key|secret|token|password", re.IGNORECASE)


def as_local(place: str) -> Path | None:
    """Return the path that a text names; None if it is an address in an object store."""
    if not is_address(place):
        return Path(place)
    parts = urlsplit(place)
    if parts.scheme.lower() != "file":
        return None
    from urllib.request import url2pathname  # which loads much

    return Path(url2pathname(parts.path))


def joined(place: str, *names: str) -> str:
    """Return the address, or the path, of something in a folder; ".." leaves the folder."""
    if not is_address(place):
        return posixpath.normpath(posixpath.join(Path(place).as_posix(), *names))
    parts = urlsplit(place)
    path = posixpath.normpath(posixpath.join(parts.path or "/", *names))
    return urlunsplit(parts._replace(path=path))


def parent_and_name(address: str) -> tuple[str, str]:
    """Return the address of the folder that something is in, and its name; no name for a bucket."""
    parts = urlsplit(address)
    folder, name = posixpath.split(parts.path.rstrip("/"))
    return urlunsplit(parts._replace(path=folder)), unquote(name)


def without_secrets(address: str) -> str:
    """Return an address without the keys and passwords that it may contain."""
    if not is_address(address):
        return address
    parts = urlsplit(address)
    options = [option for option in parse_qsl(parts.query) if not _SECRETS.search(option[0])]
    query = urlencode(options, safe=":/")
    return urlunsplit(parts._replace(netloc=parts.netloc.rpartition("@")[2], query=query))


def without_options(address: str) -> str:
    """Return an address as messages show it: without options, keys and passwords."""
    if not is_address(address):
        return address
    return urlunsplit(urlsplit(without_secrets(address))._replace(query="")).rstrip("/")

"""Settings files (TOML)."""

from __future__ import annotations

import hashlib
import itertools
import json
import re
import textwrap
import tomllib
from collections.abc import Collection, Iterable
from pathlib import Path
from typing import Any, NamedTuple

from mfcli import storage  # loaded when it is used: help needs only the names of files
from mfcli.config.settings import Config, checked
from mfcli.errors import ArtifactError, ConfigError, Param

_WIDTH = 78  # columns of a comment, after "# "
_MOST_BYTES = 1 << 20  # of a settings file that mfcli wrote
_SEAL = "\n# Written by {}; replaced unless edited ({}).\n"
_SEALED = re.compile(r"\n# Written by (mfcli \w+); replaced unless edited \((\w+)\)\.\n\Z")


class Chosen(NamedTuple):
    """The value of a setting and the reason for it, which becomes a comment unless it is empty."""

    name: str
    value: Any
    reason: str = ""


def read_toml(path: Path) -> dict[str, Any]:
    """Read a TOML file.

    Raises
    ------
    ConfigError
        If the file is missing or is not TOML.
    """
    try:
        content = path.read_bytes()  # not as text: Windows editors may write UTF-16
        return tomllib.loads(content.decode(storage.marked_encoding(content) or "utf-8"))
    except OSError as error:
        raise ConfigError(f"cannot be read: {error.strerror}", place=path) from error
    except (ValueError, RecursionError) as error:  # ValueError: TOML, UTF-8 or too many digits
        raise ConfigError(f"is not valid TOML: {error}", place=path) from error


def read_settings(path: Path) -> dict[str, Any]:
    """Read the settings in a TOML file.

    Raises
    ------
    ConfigError
        If the file is missing or is not TOML, or a key is unknown, or a value breaks its rule.
    """
    table = read_toml(path)
    try:
        # In `Config`, an unknown key would be a TypeError.
        settings = {name: checked(name, value) for name, value in table.items()}
        # Also check that the settings do not contradict each other.
        Config(**settings)
    except ConfigError as error:
        raise ConfigError(str(error), place=path) from None  # a file has the names of Python
    return settings


def read_config(path: Path) -> Config:
    """Read a settings file; settings that are not in it have their defaults.

    Raises
    ------
    ConfigError
        As `read_settings`.
    """
    return Config(**read_settings(path))


def settings_text(title: str, chosen: Iterable[Chosen]) -> str:
    """Format settings as TOML that `read_settings` reads."""
    blocks = [_comment(title)]
    for name, value, reason in chosen:
        # Numbers, texts and booleans are written alike in JSON and in TOML.
        line = f"{name} = {json.dumps(checked(name, value))}"
        blocks.append(f"{_comment(reason)}\n{line}" if reason else line)
    return "\n\n".join(blocks) + "\n"


def _comment(text: str) -> str:
    return "\n".join(f"# {line}" for line in textwrap.wrap(text, _WIDTH))


def check_settings_file(path: Path, writers: Collection[str], force: bool) -> None:
    """Refuse to overwrite settings that others wrote.

    Parameters
    ----------
    path : Path
    writers : collection of str
        The commands, such as "mfcli init", whose settings may be replaced unless they were edited.
    force : bool
        Whether any settings may be replaced.

    Raises
    ------
    ArtifactError
    """
    if not force and not _may_replace(path, writers):
        writer = _writer(path)
        whose = f"of {writer}" if writer else "that mfcli did not write"
        raise ArtifactError(
            f"already exists, with settings {whose}",
            place=path,
            remedy=["choose another ", Param("out"), ", or overwrite it with ", Param("force")],
        )
    storage.check_writable_file(path)


def write_settings(
    path: Path, text: str, writer: str, *, replaces: Collection[str] = (), force: bool = False
) -> Path:
    """Write a settings file, replacing an older one atomically.

    Parameters
    ----------
    path : Path
    text : str
    writer : str
        The command that writes it; noted in the file.
    replaces : collection of str
        As the writers of `check_settings_file`. Other settings are kept, and a free name such as
        `mfcli-2.toml` is used.
    force : bool
        Whether any settings may be replaced.

    Returns
    -------
    Path
        The file that was written.

    Raises
    ------
    ArtifactError
        If it cannot be written.
    """
    others = (path.with_stem(f"{path.stem}-{number}") for number in itertools.count(2))
    is_free = force or _may_replace(path, replaces)
    target = path if is_free else next(other for other in others if not other.exists())
    with storage.replacing_file(target) as temporary:
        temporary.write_text(text + _SEAL.format(writer, _digest(text)), encoding="utf-8")
    return target


def _may_replace(path: Path, writers: Collection[str]) -> bool:
    return not path.exists() or _writer(path) in writers


def _writer(path: Path) -> str | None:
    """Return the command that wrote a settings file; None if it was edited or others wrote it."""
    try:
        # Other files may be named by mistake; reading a pipe would block.
        if not path.is_file() or path.stat().st_size > _MOST_BYTES:
            return None
        text = path.read_text(encoding="utf-8")
    except (OSError, ValueError):
        return None
    seal = _SEALED.search(text)
    return seal[1] if seal and seal[2] == _digest(text[: seal.start()]) else None


def _digest(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()[:16]

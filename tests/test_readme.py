"""The documentation is executed: sessions, Python and TOML blocks, and every command it names.

The exports of examples/README.md run in test_export.py.

`python tests/test_readme.py` runs the sessions and writes what they show now into the
documents, and the pictures that they make into examples/.
"""

from __future__ import annotations

import json
import os
import re
import shlex
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from typer.main import get_command

from mfcli.cli import app
from mfcli.config import SETTINGS, read_settings
from mfcli.data.formats.columns import ALIASES
from mfcli.search import read_space

ROOT = Path(__file__).resolve().parent.parent
README, EXAMPLES, TESTS = (
    ROOT / "README.md",
    ROOT / "examples" / "README.md",
    ROOT / "tests" / "README.md",
)
DOCUMENTS = (README, EXAMPLES, TESTS)
QUICKSTART = ROOT / "examples" / "quickstart.sh"
FOUR_LINES = (
    "mfcli split data.csv",
    "mfcli train --k 10 --epochs 15",
    "mfcli evaluate",
    "mfcli plot history.json",
)


def text(document: Path) -> str:
    return document.read_text(encoding="utf-8")


def blocks(language: str, *documents: Path) -> list[str]:
    whole = "".join(text(document) for document in documents or DOCUMENTS)
    return re.findall(rf"```{language}\n(.*?)```", whole, flags=re.DOTALL)


def parts(transcript: str) -> Iterator[tuple[str, str]]:
    """Yield each command after a prompt, and the output below it, up to a heading."""
    for part in re.split(r"^\$ ", transcript, flags=re.MULTILINE)[1:]:
        command, _, output = part.partition("\n")
        yield command, output.partition("\n\n== ")[0].rstrip("\n")


def shell(command: str, folder: Path) -> subprocess.CompletedProcess[str]:
    """Run a command with this Python first in the path; stderr goes to stdout."""
    path = f"{Path(sys.executable).parent}:{os.environ['PATH']}"
    return subprocess.run(
        ["bash", "-c", command],
        cwd=folder,
        env=os.environ | {"PATH": path, "PYTHONUNBUFFERED": "1"},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )


def comparable(output: str) -> list[str]:
    """Drop blank lines and what depends on the machine: seconds, progress."""
    kept = [
        re.sub(r" in (\d+ min )?[\d.]+ s( \([\d,]+ ratings/s\))?(?=;|$)", "", line.rstrip())
        for line in output.splitlines()
    ]
    return [line for line in kept if line and not line.startswith(("note: ", "epoch "))]


class Sessions:
    """Runs what the documents show: one folder each, and one quickstart.

    The session of README.md is what the quickstart prints, so it is not run a second time.
    """

    def __init__(self, base: Path) -> None:
        self.folders = {document: base / document.parent.name for document in DOCUMENTS}
        environment = f"VENV={shlex.quote(sys.prefix)}"
        done = shell(f"{environment} bash {QUICKSTART} {self.folders[README]}", base)
        assert done.returncode == 0, done.stdout
        self.quickstart = done.stdout
        self._printed = dict(parts(done.stdout))
        for folder in self.folders.values():
            folder.mkdir(exist_ok=True)
            shell(f"python {ROOT}/examples/movielens.py data.csv movies.csv", folder)
            (folder / "broken.csv").write_text("user,item,rating\n1,2,3\n4,5,NaN\n")

    def output(self, document: Path, command: str) -> str:
        """Return what a command prints now."""
        if document == README and command in self._printed:
            return self._printed[command]
        done = shell(command, self.folders[document])
        assert done.returncode == (1 if "broken" in command else 0), done.stdout
        return done.stdout


@pytest.fixture(scope="module")
def sessions(tmp_path_factory: pytest.TempPathFactory) -> Sessions:
    return Sessions(tmp_path_factory.mktemp("documents"))


@pytest.mark.parametrize("document", [README, EXAMPLES], ids=["README", "examples"])
def test_sessions_show_what_commands_print(sessions: Sessions, document: Path) -> None:
    shown = [pair for block in blocks("console", document) for pair in parts(block)]
    assert len(shown) >= 4
    for command, expected in shown:
        output = sessions.output(document, command)
        if expected.startswith("{"):
            check_json(json.loads(output), json.loads(expected))
        else:
            assert comparable(output) == comparable(expected), command


def check_json(result: dict[str, Any], expected: dict[str, Any]) -> None:
    for name in ("seconds", "ratings_per_second"):
        assert result.pop(name) > 0 < expected.pop(name)
    for name in ("loss", "mse", "val_loss", "val_mse"):
        assert result.pop(name) == pytest.approx(expected.pop(name), rel=1e-4)
    assert result == expected


def test_the_quickstart_runs_the_four_lines_and_leaves_its_files(sessions: Sessions) -> None:
    folder = sessions.folders[README]
    for name in ("data.csv", "model/model.keras", "metrics.json", "history.png", "metrics.png"):
        assert (folder / name).is_file()
    assert f"== Files in {folder}\n" in sessions.quickstart
    commands = [command for command, _ in parts(sessions.quickstart)]
    assert tuple(commands[:4]) == FOUR_LINES
    assert "\n".join((*FOUR_LINES, "")) in blocks("sh", README)


def test_every_python_block_is_run() -> None:
    """`python` blocks run in the next test, `py` blocks in test_export.py."""
    assert [len(blocks("python", document)) for document in DOCUMENTS] == [1, 0, 0]
    exports = text(EXAMPLES).partition("\n## Exports\n")[2].partition("\n## ")[0]
    assert all(f"```py\n{block}```" in exports for block in blocks("py"))


def test_the_python_session_runs(sessions: Sessions) -> None:
    (block,) = blocks("python")
    done = subprocess.run(
        [sys.executable, "-c", block],
        cwd=sessions.folders[EXAMPLES],
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stderr
    first, *rest = done.stdout.splitlines()
    verdict = "The model beats damped biases and the training mean: "
    assert re.match(rf"0\.8\d+ \(0\.8\d+, 0\.9\d+\) {verdict}", first)
    assert re.fullmatch(r"\[4\.\d+ +4\.\d+\]", rest[0])
    assert rest[1].split() == ["user", "rank", "item", "prediction"]


def test_the_settings_are_read(tmp_path: Path) -> None:
    spaces = [block for block in blocks("toml") if "low = " in block]
    settings = [block for block in blocks("toml") if block not in spaces]
    assert spaces
    assert settings
    path = tmp_path / "mfcli.toml"
    for block in spaces:
        path.write_text(block)
        assert "k" in read_space(path)
    for block in settings:
        path.write_text(block)
        assert read_settings(path)["k"] == 20


def test_column_names_are_complete() -> None:
    for role, aliases in ALIASES.items():
        assert ", ".join(f"`{alias}`" for alias in aliases) in " ".join(text(README).split()), role


# What the documents mention


def commands() -> dict[str, set[str]]:
    """Return the options of each command."""
    found: dict[str, Any] = get_command(app).commands  # type: ignore[attr-defined]
    return {
        name: {flag for option in command.params for flag in (*option.opts, *option.secondary_opts)}
        for name, command in found.items()
    }


def mentioned() -> Iterator[str]:
    """Yield every mfcli command in the documents, from prose, tables, blocks and sessions."""
    for document in DOCUMENTS:
        prose = re.sub(r"^```.*?^```", "", text(document), flags=re.DOTALL | re.MULTILINE)
        code = re.findall(r"`(mfcli [^`]+)`", " ".join(prose.split("\n")))
        lines = [line for block in blocks("sh", document) for line in block.splitlines()]
        session = [c for block in blocks("console", document) for c, _ in parts(block)]
        for line in (*code, *lines, *session):
            yield from re.findall(r"mfcli [^;|&#]+", line)


def test_commands_and_options_exist() -> None:
    known = commands()
    found = list(mentioned())
    assert len(found) > 60
    for line in found:
        _, name, *words = shlex.split(line)
        options = {word.partition("=")[0] for word in words if re.match(r"--?[a-z]", word)}
        if name not in ("COMMAND", "--help", "--install-completion"):
            assert options <= known[name] | {"--help"}, line


def test_the_readme_lists_all_commands_in_the_order_of_help() -> None:
    table = re.findall(r"^\| `mfcli ([\w-]+)` \|", text(README), flags=re.MULTILINE)
    assert table == list(commands())


def test_keys_of_settings_are_names_of_options() -> None:
    options = set().union(*commands().values())
    assert all(f"--{name.replace('_', '-')}" in options for name in SETTINGS)


def test_the_readme_is_short() -> None:
    assert len(text(README).splitlines()) <= 300


def test_paths_and_links_exist() -> None:
    for document in DOCUMENTS:
        paths = re.findall(
            r"\b(?:mfcli|tests|examples)/[\w/.-]+\.(?:py|pyi|sh|toml|txt|md)\b", text(document)
        )
        assert all((ROOT / path).is_file() for path in paths), paths
        for link in re.findall(r"\]\((?!http)([^)#]*)[^)]*\)", text(document)):
            assert (document.parent / link).exists(), link


def test_pictures_are_there() -> None:
    found = [
        document.parent / path
        for document in DOCUMENTS
        for path in re.findall(r"!\[.*?\]\((.*?)\)", text(document))
    ]
    assert len(found) >= 4
    assert all(path.read_bytes().startswith(b"\x89PNG") for path in found)


# Regeneration


def with_sessions(document: Path, sessions: Sessions) -> str:
    """Put what commands print now in the place of what the sessions of a document show."""

    def block(found: re.Match[str]) -> str:
        shown = []
        for command, _ in parts(found[1]):
            output = sessions.output(document, command)
            lines = [line.rstrip() for line in output.splitlines() if line.strip()]
            shown += [f"$ {command}", *lines]
        return "```console\n" + "\n".join(shown) + "\n```"

    return re.sub(r"```console\n(.*?)```", block, text(document), flags=re.DOTALL)


def main() -> None:
    with tempfile.TemporaryDirectory() as base:
        sessions = Sessions(Path(base))
        for document in (README, EXAMPLES):
            document.write_text(with_sessions(document, sessions), encoding="utf-8")
        for name in ("history.png", "metrics.png"):
            shutil.copyfile(sessions.folders[README] / name, ROOT / "examples" / name)


if __name__ == "__main__":
    main()

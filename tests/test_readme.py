"""The README is executed: its commands, its Python, its tables of options.

`python tests/test_readme.py` writes the tables of options anew.
"""

from __future__ import annotations

import json
import os
import re
import shlex
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from typer.main import get_command

from mfcli.cli import app as cli
from mfcli.config import SETTINGS, read_settings
from mfcli.data.layout import ALIASES
from mfcli.search import read_space

ROOT = Path(__file__).resolve().parent.parent
README = ROOT / "README.md"


def readme() -> str:
    return README.read_text(encoding="utf-8")


def blocks(language: str) -> list[str]:
    return re.findall(rf"```{language}\n(.*?)```", readme(), flags=re.DOTALL)


def session() -> Iterator[tuple[str, str]]:
    """Yield each command of the console blocks with the output shown below it."""
    for block in blocks("console"):
        for part in re.split(r"^\$ ", block, flags=re.MULTILINE)[1:]:
            command, _, output = part.partition("\n")
            yield command, output.rstrip("\n")


def shell(command: str, folder: Path) -> subprocess.CompletedProcess[str]:
    path = f"{Path(sys.executable).parent}:{os.environ['PATH']}"
    return subprocess.run(
        ["bash", "-c", command],
        cwd=folder,
        env=os.environ | {"PATH": path},
        capture_output=True,
        text=True,
    )


def lines(text: str) -> list[str]:
    """Leave out what depends on the machine: seconds, and lines of progress."""
    kept = [re.sub(r" in [\d.]+ s$", "", line.rstrip()) for line in text.splitlines()]
    return [line for line in kept if line and not line.startswith(("note: ", "epoch "))]


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("readme")
    prepare(folder)
    return folder


def prepare(folder: Path) -> None:
    """Put the files into a folder that the sessions start from."""
    shell(f"python {ROOT}/examples/movielens.py data.csv movies.csv", folder)
    (folder / "broken.csv").write_text("user,item,rating\n1,2,3\n4,5,NaN\n")


def test_the_session_is_what_one_sees(folder: Path) -> None:
    seen = list(session())
    assert len(seen) >= 8
    for command, shown in seen:
        done = shell(command, folder)
        assert done.returncode == (1 if "broken" in command else 0), done.stderr
        if shown.startswith("{"):
            result, expected = json.loads(done.stdout), json.loads(shown)
            assert result.pop("seconds") > 0 < expected.pop("seconds")
            losses = {"loss", "mse", "val_loss", "val_mse"}
            for name in losses:
                assert result.pop(name) == pytest.approx(expected.pop(name), rel=1e-4)
            assert result == expected
        else:
            assert lines(done.stdout + done.stderr) == lines(shown)


def test_the_four_lines_stand_in_the_readme() -> None:
    four = "mfcli split data.csv\nmfcli train --k 10 --epochs 15\nmfcli evaluate\n"
    assert four + "mfcli plot history.json\n" in blocks("sh")


def test_scripts_that_the_readme_runs_exist() -> None:
    for block in blocks("sh"):
        for word in (word for line in block.splitlines() for word in shlex.split(line, True)):
            if word.startswith(("examples/", "tests/")):
                assert (ROOT / word).is_file(), word


def test_the_python_session_runs(folder: Path) -> None:
    for block in blocks("python"):
        done = subprocess.run(
            [sys.executable, "-c", block], cwd=folder, capture_output=True, text=True
        )
        assert done.returncode == 0, done.stderr
        first, second, *rest = done.stdout.splitlines()
        assert re.fullmatch(r"RMSE 0\.8\d+ \(0\.8\d+ to 0\.9\d+\) on 20,001 ratings", first)
        assert re.fullmatch(r"NDCG@10 0\.0\d+", second)
        assert re.fullmatch(r"\[4\.\d+ +4\.\d+\]", rest[0])
        assert rest[1].split() == ["user", "rank", "item", "prediction"]


def test_what_is_exported_is_read(folder: Path) -> None:
    """Run the blocks that read an export, each after the command above it, in one process."""
    lines = [line for block in blocks("sh") for line in block.splitlines()]
    exports = [line for line in lines if line.startswith("mfcli export")]
    made = shell("mfcli split data.csv -q && mfcli train -q && " + " && ".join(exports), folder)
    assert made.returncode == 0, made.stderr
    code = "\n".join(blocks("py"))
    done = subprocess.run([sys.executable, "-c", code], cwd=folder, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert len(re.findall(r"^\d+ [345]\.\d+$", done.stdout, flags=re.MULTILINE)) == 10
    for version in (1, 2):
        assert (folder / f"export/savedmodel/{version}/saved_model.pb").is_file()


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
    assert all(f"`{name}`" in readme() for name in SETTINGS)


def test_names_of_columns_are_all_there() -> None:
    for role, aliases in ALIASES.items():
        assert f"| {role} | {', '.join(f'`{alias}`' for alias in aliases)} |" in readme()


def test_pictures_are_there() -> None:
    for path in re.findall(r"!\[.*?\]\((.*?)\)", readme()):
        assert (ROOT / path).read_bytes().startswith(b"\x89PNG")


def commands() -> dict[str, Any]:
    found: dict[str, Any] = get_command(cli.app).commands  # type: ignore[attr-defined]
    return found


def option_table(name: str) -> str:
    rows = ["| option | default | meaning |", "| --- | --- | --- |"]
    for option in commands()[name].params:
        flags = [*option.opts, *option.secondary_opts]
        if option.param_type_name == "argument":
            flags = [(option.metavar or option.name).upper()]
        if flags != ["-h", "--help"]:
            names = ", ".join(f"`{flag}`" for flag in flags)
            rows.append(f"| {names} | {default(option)} | {option.help} |")
    return "\n".join(rows)


def default(option: Any) -> str:
    if isinstance(option.show_default, str):
        return option.show_default
    if option.default is None or option.default == "":
        return ""
    if isinstance(option.default, bool):
        return "on" if option.default else "off"
    return f"`{option.default}`"


MARK = re.compile(r"(<!-- options: ([\w-]+) -->\n)(\|.*?\n)?(?=\n)", flags=re.DOTALL)


def with_tables(text: str) -> str:
    return MARK.sub(lambda found: f"{found[1]}{option_table(found[2])}\n", text)


def test_every_option_is_in_the_readme() -> None:
    assert [found[2] for found in MARK.finditer(readme())] == list(commands())
    assert readme() == with_tables(readme()), "run: python tests/test_readme.py"


def test_the_quickstart_runs(tmp_path: Path) -> None:
    environment = f"VENV={shlex.quote(sys.prefix)}"
    done = shell(f"{environment} bash {ROOT}/examples/quickstart.sh {tmp_path}/demo", tmp_path)
    assert done.returncode == 0, done.stderr
    for name in ("data.csv", "model/model.keras", "metrics.json", "history.png"):
        assert (tmp_path / "demo" / name).is_file()
    assert f"In {tmp_path}/demo:" in done.stdout


def test_a_small_benchmark_runs(tmp_path: Path) -> None:
    make = f"python {ROOT}/examples/make_ratings.py ratings.parquet --share 0.02"
    bench = f"python {ROOT}/examples/benchmark.py --steps 0 --no-libmf"
    done = shell(f"{make} && mfcli split ratings.parquet && {bench}", tmp_path)
    assert done.returncode == 0, done.stderr
    rows = {
        name: value
        for name, value, _ in json.loads((tmp_path / "benchmark.json").read_text())["rows"]
    }
    assert rows["epoch, 1 thread"] > 0
    assert rows["mfcli train, peak memory"] > 0


def with_sessions(text: str, folder: Path) -> str:
    """Put what one sees now in the place of what the console blocks show."""
    prepare(folder)

    def block(found: re.Match[str]) -> str:
        parts = []
        for part in re.split(r"^\$ ", found[1], flags=re.MULTILINE)[1:]:
            command = part.partition("\n")[0]
            done = shell(f"export PYTHONUNBUFFERED=1; exec 2>&1; {command}", folder)
            shown = "\n".join(line.rstrip() for line in done.stdout.splitlines())
            parts.append(f"$ {command}\n{shown}\n" if shown else f"$ {command}\n")
        return f"```console\n{''.join(parts)}```"

    return re.sub(r"```console\n(.*?)```", block, text, flags=re.DOTALL)


if __name__ == "__main__":
    with tempfile.TemporaryDirectory() as made:
        now = with_sessions(readme(), Path(made)) if "--sessions" in sys.argv else readme()
    README.write_text(with_tables(now), encoding="utf-8")

"""What commands print, at 60, 80 and 120 columns and in a pipe.

`python tests/test_screens.py` writes what they print now into the files in tests/screens/. Look at
the changes before you commit them.
"""

from __future__ import annotations

import contextlib
import io
import os
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pyarrow as pa
import pytest
from conftest import ROOT
from planted import planted_ratings
from rich.cells import cell_len
from typer.testing import CliRunner

from mfcli import show
from mfcli.checks import Forecast, Input, Needed, Output
from mfcli.cli import app
from mfcli.cli.artifact_tables import print_artifacts
from mfcli.cli.dry_run import print_forecast
from mfcli.cli.epoch_lines import print_network
from mfcli.cli.item_lists import Listing
from mfcli.cli.metrics_tables import print_fold_metrics, print_metrics
from mfcli.cli.row_output import print_rows
from mfcli.cli.screen import Screen
from mfcli.cli.search_lines import print_search
from mfcli.config import Config
from mfcli.evaluation import Metrics, read_metrics
from mfcli.splits import read_folds, read_split
from mfcli.training import Epoch, Fit, History, ValidationMeasure
from mfcli.training.loop import start

FOLDER = ROOT / "tests" / "screens"
WIDTHS = (60, 80, 120, None)
"""Columns; None for a pipe without the variable COLUMNS."""

RESAMPLES = ("--resamples", "50")
HISTORY = History.of([Epoch(n, 2 / n, 1 / n, 3 / n, 1.5 / n, 0.25) for n in (1, 2, 3)])
HASH = "0123456789abcdef"
SETTLED: dict[str, Any] = {
    "written_by": {"mfcli": "1.2.3", "keras": "3.0.0", "saved": "2025-01-31@12:00:00"},
    "bytes": 123_456,
    "hash": HASH,
    "split": HASH,
    "split_beside": {"path": "split", "same": True, "hash": HASH, "parent": ""},
}
"""Facts that depend on the versions of libraries."""


def prepare() -> None:
    """Make splits, models and metrics in the working folder."""
    ratings, _ = planted_ratings()
    rows = zip(ratings.user, ratings.item, ratings.rating, strict=True)
    lines = (f"{user},{item},{min(max(round(r * 2) / 2, 0.5), 5):g}" for user, item, r in rows)
    Path("data.csv").write_text("user,item,rating\n" + "\n".join(lines) + "\n")
    run("split", "data.csv", "-q")
    split = read_split(Path("split"))
    for name, settings in {
        "runs/default": {},
        "runs/gibbs-16-factors": {"optimizer": "gibbs", "k": 16, "epochs": 200},
        "runs/cosine": {"lr_schedule": "cosine", "momentum": 0.5, "reg": 1e-5},
    }.items():
        model = start(split, Config(seed=len(name), **settings))  # type: ignore[arg-type]
        Fit(model, HISTORY).write(Path(name))
        run("evaluate", "--ranking", *RESAMPLES, "--model", f"{name}/model", "-q")
    run("split", "data.csv", "--strategy", "k-fold", "--folds", "3", "--out", "folds", "-q")
    for fold in read_folds(Path("folds")):
        Fit(start(fold, Config()), HISTORY).write(Path(f"cv/fold-{fold.strategy['fold']}"))
    run("evaluate", "--ranking", *RESAMPLES, "--split", "folds", "--model", "cv/model", "-q")
    scores = Config(optimizer="als", target="rated", unrated_weight=0.1)
    Fit(start(split, scores), HISTORY).write(Path("runs/scores"))
    run("evaluate", "--at", "10,5,20", *RESAMPLES, "--model", "runs/scores/model", "-q")
    # Most of these ratings are training ratings.
    Path("new.csv").write_text("".join(Path("data.csv").read_text().splitlines(True)[:300]))
    Path("taste.csv").write_text("user,item,rating\nanna,4,5\nanna,7,1\n")
    model = ("--model", "runs/default/model")
    run("evaluate", "--on", "new.csv", *model, "--out", "new.json", *RESAMPLES, "-q")


def run(*args: str) -> None:
    """Run a command and print what it prints on stdout."""
    done = CliRunner().invoke(app, args, prog_name="mfcli")
    assert done.exit_code == 0, done.output
    print(done.stdout, end="")


def artifacts(*paths: str) -> None:
    facts = [show.facts_of(one) for path in paths for one in show.find(Path(path))]
    print_artifacts({"mfcli": "1.2.3", "python": "3.11.0", "tensorflow": None}, map_settled(facts))


def map_settled(facts: list[dict[str, Any]]) -> list[dict[str, Any]]:
    return [settled(one) for one in facts]


def settled(facts: dict[str, Any]) -> dict[str, Any]:
    """Replace the facts that are not the same everywhere, also in the folds."""
    folds = {"folds": map_settled(facts["folds"])} if "folds" in facts else {}
    return facts | {name: value for name, value in SETTLED.items() if name in facts} | folds


def settings_file() -> None:
    Path("mfcli.toml").write_text('optimizer = "gibbs"\nk = 16\nepochs = 200\n')
    artifacts("mfcli.toml")
    Path("mfcli.toml").unlink()


def search() -> None:
    settings = {"k": 30, "reg_user": 0.203, "lr_schedule": "exponential", "lr": 3.43}
    best = SimpleNamespace(number=12, value=0.8702, settings=settings)
    found: Any = SimpleNamespace(
        best=best, base=Config(), measure=ValidationMeasure(), purpose="ratings"
    )
    result = {"trials": 30, "pruned": 9, "file": "mfcli.toml", "picture": "search.png"}
    rival: Any = SimpleNamespace(value=0.8155, values={"optimizer": "gibbs", "k": 16})
    print_search(found, result | {"importances": {"k": 0.25, "lr": 0.7}}, rival)


def recommendations() -> None:
    table = pa.table(
        {
            "user": ["42", "42", "anna-with-a-long-name@example.org"],
            "rank": [1, 2, 1],
            "item": [58559, 1196, 3],
            "prediction": [4.6137, 4.5, 3.25],
            "title": [
                "Dark Knight, The (2008)",
                "Star Wars: Episode V - The Empire Strikes Back (1980)",
                "七人の侍",
            ],
        }
    )
    print_rows([table], "recommendations", None, Screen())


def explained() -> None:
    titles = ["Dark Knight, The (2008)", "Star Wars: Episode V - The Empire Strikes Back (1980)"]
    table = pa.table({"user": [7, 7], "rank": [1, 2], "item": [58559, 1196], "score": [0.84, 0.79]})
    table = table.append_column("title", [titles])
    reasons = {1: [2571, 260], 2: [1198, 858], 3: [50, None]}  # the last one has only two
    for number, items in reasons.items():
        table = table.append_column(f"because_{number}", [items])
        table = table.append_column(f"because_{number}_title", [titles[::-1]])
        table = table.append_column(f"because_{number}_rating", [[5.0, 3.5]])
    Listing(explain=True).print([table], "recommendations", Screen(), "utf-8", {})


def all_settings() -> None:
    Path("mfcli.toml").write_text('optimizer = "gibbs"\nk = 16\n')
    os.environ.update(MFCLI_K="20", MFCLI_MOMENTUM_SCHEDULE="cosine", MFCLI_AT="10,20")
    run("show", "--settings")
    Path("mfcli.toml").unlink()
    for name in ("MFCLI_K", "MFCLI_MOMENTUM_SCHEDULE", "MFCLI_AT"):
        del os.environ[name]


def forecast() -> None:
    columns = "user 'userId', item 'movieId', rating 'rating', timestamp 'timestamp'"
    text = f"text, separator ',', header; {columns}; about 20,100,000 ratings"
    print_forecast(
        Forecast(
            facts={"strategy": "random", "train": "about 16,100,000", "test": "about 4,030,000"},
            reads=[
                Input("mfcli.toml", 312, "settings"),
                Input("ratings.csv", 508_442_517, text),
            ],
            writes=[
                Output("split", 402_942_380, 402_657_771),
                Output("a-long-name/of-a-folder/history.json", 3_600, None),
            ],
            memory=Needed(863_800_000, 19_900_000_000),
            temporary=Needed(503_000_000, 78_000_000_000, "/tmp"),
            space=Needed(402_942_380, None, "/home/anna/ratings"),
            seconds=6.64,
            assumed=["Rows are counted in samples of the files.", "The time is an estimate."],
        )
    )


def metrics(path: str) -> None:
    """Print what `mfcli evaluate` prints after it has written a file."""
    found = read_metrics(Path(path))
    if isinstance(found, Metrics):
        print_metrics(found, Path(path))
    else:
        print_fold_metrics(found, Path(path))


GIBBS = ("--model", "runs/gibbs-16-factors")
RUNS = ("runs/default", "runs/gibbs-16-factors", "runs/cosine")
SCREENS: dict[str, Callable[[], None]] = {
    "help": lambda: run("--help"),
    "train-help": lambda: run("train", "--help"),
    "evaluate-help": lambda: run("evaluate", "--help"),
    "plot-help": lambda: run("plot", "--help"),
    "check": lambda: run("check", "data.csv"),
    "split": lambda: run("split", "data.csv", "--valid", "0.1", "--out", "other"),
    "split-folds": lambda: run("split", "data.csv", "--strategy", "k-fold", "--out", "more"),
    "init": lambda: run("init", "--split", "split", "--force"),
    "train": lambda: print_network(read_split(Path("split")), Config()),
    "tune": search,
    "evaluate": lambda: metrics("runs/default/metrics.json"),
    "evaluate-scores": lambda: metrics("runs/scores/metrics.json"),
    "evaluate-folds": lambda: metrics("cv/metrics.json"),
    "evaluate-other-ratings": lambda: metrics("new.json"),
    "compare": lambda: run("compare", *RUNS),
    "compare-scores": lambda: run("compare", "runs/scores", "runs/gibbs-16-factors"),
    "compare-protocols": lambda: run("compare", "runs/cosine", "new.json", "--any-protocol"),
    "predict": lambda: run("predict", "--user", "3", "--item", "4", "--item", "999", *GIBBS, "-q"),
    "recommend": recommendations,
    "recommend-explain": explained,
    "similar": lambda: run("similar", "4", "--n", "3", *GIBBS),
    "fold-in": lambda: run("fold-in", "taste.csv", "--n", "3", *GIBBS, "-q"),
    "show": lambda: artifacts("split", "runs/default"),
    "show-folds": lambda: artifacts("folds", "cv"),
    "show-settings": settings_file,
    "show-all-settings": all_settings,
    "split-dry-run": forecast,
}
"""What prints each screen, in the folder that `prepare` makes; in this order."""


def screens() -> dict[str, str]:
    """Return each screen at all widths."""
    return {
        name: "".join(map(at_width, [draw] * len(WIDTHS), WIDTHS)) for name, draw in SCREENS.items()
    }


def at_width(draw: Callable[[], None], width: int | None) -> str:
    os.environ.pop("COLUMNS", None)
    if width:
        os.environ["COLUMNS"] = str(width)
    with contextlib.redirect_stdout(io.StringIO()) as out:
        draw()
    return f"== {f'{width} columns' if width else 'pipe'}\n{out.getvalue()}\n"


@contextlib.contextmanager
def prepared() -> Iterator[None]:
    """Work in a new folder; the variables and the folder of the caller return afterwards."""
    before, variables = Path.cwd(), dict(os.environ)
    with tempfile.TemporaryDirectory() as folder:
        try:
            os.chdir(folder)
            at_width(prepare, None)
            yield
        finally:
            os.chdir(before)
            os.environ.clear()
            os.environ.update(variables)


@pytest.fixture(scope="module")
def printed() -> dict[str, str]:
    with prepared():
        return screens()


@pytest.mark.parametrize("name", SCREENS)
def test_screens(printed: dict[str, str], name: str) -> None:
    assert printed[name] == (FOLDER / f"{name}.txt").read_text(encoding="utf-8")


@pytest.mark.parametrize("name", SCREENS)
def test_nothing_is_cut_and_tables_fit(printed: dict[str, str], name: str) -> None:
    assert "…" not in printed[name]
    for part in printed[name].split("== ")[1:]:
        title, *lines = part.splitlines()
        tables = [line for line in lines if set(line) & set("━┃─│╭╰")]
        assert tables or name == "init"
        if title == "pipe":
            # Further explanations of an item have lines in which its cells are blank.
            assert name == "recommend-explain" or not any(map(is_continued, tables))
        else:
            assert max(map(cell_len, tables), default=0) <= int(title.partition(" ")[0])


def is_continued(line: str) -> bool:
    """Return whether a line of a table continues the row above: its first cell is empty."""
    first, *_ = line.strip("│").split("│")
    return line[0] == "│" and not first.strip()


def test_recommended_settings_fit(printed: dict[str, str]) -> None:
    # They are shown as they are in the file.
    assert max(map(len, printed["init"].splitlines())) <= 80


def test_every_screen_has_a_file() -> None:
    assert {path.stem for path in FOLDER.glob("*.txt")} == set(SCREENS)


def main() -> None:
    with prepared():
        for name, text in screens().items():
            (FOLDER / f"{name}.txt").write_text(text, encoding="utf-8", newline="\n")


if __name__ == "__main__":
    main()

"""The commands: what they print, what they write, what they refuse."""

from __future__ import annotations

import inspect
import json
import re
import signal
import subprocess
import sys
import time
import zipfile
from pathlib import Path
from typing import Any

import pytest
import typer
from conftest import Run
from contents import snapshot
from planted import planted_ratings
from typer.main import get_command
from typer.models import ArgumentInfo

from mfcli import __version__
from mfcli.cli import app, main
from mfcli.cli.main import PANELS
from mfcli.cli.options import with_options
from mfcli.cli.spelling import spelled
from mfcli.config import Config
from mfcli.errors import Param
from mfcli.splits import read_split, split, write_split
from mfcli.training import Epoch, Fit, History
from mfcli.training.loop import start


@pytest.fixture
def trained(run: Run) -> Run:
    """A small folder after split and train, without the cost of training."""
    made = split(planted_ratings()[0], Config())
    write_split(Path("split"), made)
    model = start(read_split(Path("split")), Config(k=3))
    Fit(model, History.of([Epoch(n, 1.0, 1.0, 1.0, 1.0, 1.0) for n in (1, 2)])).write(Path())
    assert run("evaluate", "-q").code == 0
    return run


def test_the_four_lines_in_a_folder_with_a_data_csv(tmp_path: Path, real_csv: Path) -> None:
    (tmp_path / "data.csv").write_bytes(real_csv.read_bytes())
    for line in (
        "mfcli split data.csv",
        "mfcli train --k 10 --epochs 15",
        "mfcli evaluate",
        "mfcli plot history.json",
    ):
        command = [sys.executable, "-m", *line.split()]
        done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True)
        assert done.returncode == 0, done.stderr
    assert sorted(path.name for path in tmp_path.iterdir()) == [
        "checkpoint",
        "data.csv",
        "history.json",
        "history.png",
        "metrics.json",
        "model",
        "split",
    ]
    history = json.loads((tmp_path / "history.json").read_text())
    assert len(history["val_mse"]) == 15
    metrics = json.loads((tmp_path / "metrics.json").read_text())
    mean = metrics["baselines"]["mean"]
    assert metrics["measures"]["rmse"] < mean["measures"]["rmse"] - 0.1
    assert metrics["rmse_raw"] ** 2 == pytest.approx(history["val_mse"][-1], rel=1e-6)


def test_train_prints_and_writes(run: Run, real_split: Path) -> None:
    options = ["--split", real_split, "--epochs", 2, "--batch-size", 1024, "--out", "runs/a"]
    first = run("train", *options)
    assert first.code == 0
    assert "user_factors" in first.out
    assert "total" in first.out
    assert "runs/a/model and runs/a/history.json: validation RMSE" in first.out
    plan, *lines = first.err.splitlines()
    assert plan == "note: engine fast (the same updates as Keras), blocks 1 (for tables of 1.2 MB)"
    assert [line[:9] for line in lines] == ["epoch 1/2", "epoch 2/2"]
    for words in ("train RMSE 1.", "validation RMSE 0.", " left"):
        assert words in lines[0]
    assert " left" not in lines[-1]
    assert re.search(r" after 2 epochs in [\d.]+ s \([\d,]+ ratings/s\)\n$", first.out)
    options[-1] = "runs/b"
    second = run("train", *options, "--json", "--quiet")
    assert second.err == ""
    assert json.loads(second.out)["epochs"] == 2
    assert_same_but_for_times(Path("runs/a"), Path("runs/b"))


def assert_same_but_for_times(a: Path, b: Path) -> None:
    for name in ("model.json", "users.arrow", "items.arrow"):
        assert (a / "model" / name).read_bytes() == (b / "model" / name).read_bytes()
    members = [zipfile.ZipFile(folder / "model" / "model.keras") for folder in (a, b)]
    for name in ("config.json", "model.weights.h5"):
        assert members[0].read(name) == members[1].read(name)
    for member in members:
        member.close()
    histories = [json.loads((folder / "history.json").read_text()) for folder in (a, b)]
    for name in ("seconds", "digest"):
        assert histories[0].pop(name) != histories[1].pop(name)
    assert histories[0] == histories[1]


def test_check_prints_what_it_found(run: Run, real_csv: Path) -> None:
    done = run("check", real_csv, "--k", 5)
    assert done.code == 0
    for words in (
        "with one rating only",
        "0.5 to 5, step 0.5",
        "memory to train, k 5",
        "█",
        "warning: items",
    ):
        assert words in done.out
    assert json.loads(run("check", real_csv, "--json").out)["values"]["step"] == 0.5
    Path("bad.csv").write_text("user,item,rating\n1,2,x\n1,3,4\n")
    assert run("check", "bad.csv").err.startswith("error: bad.csv:2: rating must be")
    done = run("check", "bad.csv", "--on-bad-row", "skip")
    assert "rows skipped: rating" in done.out
    assert run("check").code == 2


def test_split_prints_a_table(run: Run, real_csv: Path) -> None:
    done = run("split", real_csv, "--valid", "0.1")
    assert done.code == 0
    for words in ("users", "items", "density", "mean of train", "0.5 to 5, step 0.5", "(70.0%)"):
        assert words in done.out
    assert "valid with a user or item not in train" in done.out
    manifest = json.loads(Path("split/split.json").read_text())
    result = json.loads(run("split", real_csv, "--valid", "0.1", "--json").out)
    assert result.pop("warnings") == []
    assert result.items() <= manifest.items()


def test_a_validation_part_silences_the_note(trained: Run, real_split: Path) -> None:
    short = ["--epochs", 1, "--k", 2, "--out", "o"]
    assert "note: validation uses the test ratings" in trained("train", *short).err
    assert "note:" not in trained("train", *short, "--quiet").err
    assert "note: validation" not in trained("train", *short, "--split", real_split).err


def test_settings_come_from_defaults_file_and_options(run: Run, real_csv: Path) -> None:
    Path("mfcli.toml").write_text("test = 0.3\nseed = 4\n")
    strategy = json.loads(run("split", real_csv, "--json", "--seed", "5").out)["strategy"]
    assert (strategy["test"], strategy["valid"], strategy["seed"]) == (0.3, 0.0, 5)
    Path("other.toml").write_text("valid = 0.2\n")
    strategy = json.loads(run("split", real_csv, "--json", "--config", "other.toml").out)[
        "strategy"
    ]
    assert (strategy["test"], strategy["valid"], strategy["seed"]) == (0.2, 0.2, 0)


def test_evaluate_prints_and_writes(trained: Run) -> None:
    done = trained("evaluate", "--no-clip", "--damping", "2")
    assert "predictions not clipped" in done.out
    assert "predictions not clipped, damping 2\n" in done.out
    for words in ("unseen user", "unseen item", "unseen user and item", "warm", "95% interval"):
        assert words in done.out
    written = json.loads(Path("metrics.json").read_text())
    assert len(written.pop("draws")["rmse"]) == 1000
    del written["digest"]
    assert json.loads(trained("evaluate", "--no-clip", "--damping", "2", "--json").out) == written


def test_evaluate_rankings(trained: Run) -> None:
    done = trained("evaluate", "--ranking", "--at", 5, "--relevant", 3, "--threads", 1)
    assert re.search(r"Rankings of 5 items for \d+ users; relevant: rated 3 or more", done.out)
    for words in ("NDCG", "hit rate", "coverage", "popularity", "most popular", "damped biases"):
        assert words in done.out
    written = json.loads(Path("metrics.json").read_text())
    assert written["protocol"]["settings"]["at"] == 5
    assert len(written["draws"]["ndcg"]) == 1000


def test_metrics_are_written_beside_the_model(trained: Run) -> None:
    Path("runs").mkdir()
    Path("model").rename("runs/model")
    assert "runs/metrics.json: " in trained("evaluate", "--model", "runs/model").out
    assert trained("compare", "runs", "metrics.json").code == 0


def test_compare_lists_settings_in_rows(trained: Run) -> None:
    config = Config(k=4, lr=0.1, batch_size=64, momentum=0.5)
    model = start(read_split(Path("split")), config)
    Fit(model, History.of([Epoch(1, 1.0, 1.0, 1.0, 1.0, 1.0)])).write(Path("other"))
    assert trained("evaluate", "--model", "other/model", "-q").code == 0
    lines = trained("compare", "metrics.json", "other").out.splitlines()
    assert lines[0] == "2 runs on 243 test ratings"
    table = [[cell.strip() for cell in line.split("│")[1:-1]] for line in lines[4:8]]
    assert table == [
        ["k", "3", "4"],
        ["lr", "0.08", "0.1"],
        ["batch_size", "128", "64"],
        ["momentum", "0.9", "0.5"],
    ]
    assert "…" not in "".join(lines)


def test_plot_draws_metrics(trained: Run) -> None:
    assert trained("plot", "metrics.json").out == "metrics.png: 5 panels\n"
    done = trained("plot", "metrics.json", "--json", "--out", "m.svg")
    assert json.loads(done.out)["picture"] == "m.svg"


def test_evaluate_on_other_ratings(trained: Run) -> None:
    sizes = {
        on: json.loads(trained("evaluate", "--on", on, "--json").out)["protocol"]["ratings"]
        for on in ("test", "train")
    }
    assert sizes["train"] == pytest.approx(4 * sizes["test"], rel=0.05)
    Path("new.csv").write_text("user,item,rating\n0,0,3\n999,0,3\n0,abc,2\nx,y,1\n")
    groups = json.loads(trained("evaluate", "--on", "new.csv", "--json").out)["groups"]
    assert [group["ratings"] for group in groups.values()] == [1, 1, 1, 1]


def test_any_split(trained: Run) -> None:
    write_split(Path("other"), split(planted_ratings()[0], Config(seed=8)))
    refused = trained("evaluate", "--split", "other")
    assert refused.code == 1
    assert "error: model: was trained on split " in refused.err
    assert refused.err.count("\n") == 1
    assert trained("evaluate", "--split", "other", "--any-split").code == 0


def test_plot_names_runs_apart(trained: Run) -> None:
    history = Path("history.json").read_text()
    for folder in ("runs/a", "runs/b"):
        Path(folder).mkdir(parents=True)
        (Path(folder) / "history.json").write_text(history)
    done = trained("plot", "runs/a", "runs/b/history.json", "--json", "--rmse")
    assert json.loads(done.out) == {"picture": "history.png", "runs": {"a": 2, "b": 2}}
    assert trained("plot", "runs/a/history.json").out == "runs/a/history.png: 1 run\n"
    assert trained("plot", "history.json", "--out", "x/p.svg").code == 0
    assert Path("x/p.svg").is_file()


COMMANDS = [command for commands in PANELS.values() for command in commands]


def shown(run: Run, monkeypatch: pytest.MonkeyPatch, command: str, width: int) -> list[str]:
    """Return the lines of a command's help."""
    monkeypatch.setenv("COLUMNS", str(width))
    done = run(*command.split(), "--help")
    assert done.code == 0
    return done.out.splitlines()


def test_version_and_help(run: Run) -> None:
    assert run("--version").out == f"mfcli {__version__}\n"
    for command in COMMANDS:
        assert run(command.__name__.replace("_", "-"), "--help").code == 0


def test_commands_are_built_only_when_they_are_needed(monkeypatch: pytest.MonkeyPatch) -> None:
    built: list[str] = []

    def with_name(command: Any) -> Any:
        built.append(command.__name__)
        return with_options(command)

    monkeypatch.setattr(main, "with_options", with_name)
    group = get_command(app)
    with pytest.raises(typer.Exit):
        group.make_context("mfcli", ["--help"])
    assert not built
    context = group.make_context("mfcli", ["show"])
    assert group.commands["show"] is group.get_command(context, "show")
    assert built == ["show"]


def test_every_option_has_help_a_panel_and_no_column_of_defaults() -> None:
    for command in COMMANDS:
        assert command.__doc__
        signature = inspect.signature(with_options(command))
        for name, parameter in signature.parameters.items():
            if name != "ctx":
                info = parameter.annotation.__metadata__[0]
                text = str(info.help).partition(" [default: ")[0]
                assert text.endswith("."), (command.__name__, name)
                assert "`" not in text
                assert info.show_default is False
                assert isinstance(info, ArgumentInfo) or info.rich_help_panel


def test_commands_are_in_panels(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    lines = shown(run, monkeypatch, "", 80)
    titles = [line.split()[1] for line in lines if line.startswith("╭─")]
    assert titles == ["Options", "Prepare", "Train", "Evaluate", "Use", "Inspect"]


def test_options_are_in_panels(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    lines = shown(run, monkeypatch, "train", 100)
    titles = [line.strip("╭─╮ ") for line in lines if line.startswith("╭─")]
    assert titles == [
        "Model",
        "Descent",
        "Penalties",
        "Objective",
        "Sampling",
        "Schedules and averaging",
        "Cluster",
        "Run",
        "Input and output",
    ]
    text = "\n".join(lines)
    for words in ("[default: same as --reg]", "[default: never]", "--nesterov", "--no-nesterov"):
        assert words in text
    assert "split.json" not in text


@pytest.mark.parametrize("command", [one.__name__.replace("_", "-") for one in COMMANDS])
def test_options_take_three_lines_at_most(
    run: Run, monkeypatch: pytest.MonkeyPatch, command: str
) -> None:
    lines = shown(run, monkeypatch, command, 100)
    wrapped = 0
    for line in lines[next(n for n, line in enumerate(lines) if line[:1] == "╭") : -1]:
        wrapped = 0 if "--" in line[:5] or line[0] in "╭╰" else wrapped + 1
        assert wrapped <= 2, line


@pytest.mark.parametrize("width", [60, 80, 120])
def test_help_fits_and_names_every_option_in_full(
    run: Run, monkeypatch: pytest.MonkeyPatch, width: int
) -> None:
    commands: dict[str, Any] = get_command(app).commands  # type: ignore[attr-defined]
    for name, command in commands.items():
        lines = shown(run, monkeypatch, name, width)
        assert {len(line) for line in lines if line and line[0] in "╭│╰"} == {width}
        assert not any(len(line) > width or "…" in line for line in lines)
        words = {word.strip(",") for line in lines for word in line.split()}
        options = {one for param in command.params for one in (*param.opts, *param.secondary_opts)}
        assert {one for one in options if one.startswith("-")} <= words


def test_help_is_not_wrapped_in_a_pipe(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("COLUMNS", raising=False)
    for command in COMMANDS:
        lines = run(command.__name__.replace("_", "-"), "--help").out.splitlines()
        rows = [line for line in lines if line.startswith("│")]
        starts = [row for row in rows if "--" in row[:5] or row.startswith("│ *") or row[2] != " "]
        assert starts == rows
        assert len({len(row) for row in rows}) == 1


def test_a_setting_is_reset_with_the_word_none(trained: Run) -> None:
    Path("mfcli.toml").write_text("patience = 1\nblocks = 2\n")
    assert "requires validation ratings" in trained("train", "--epochs", 1).err
    done = trained("train", "--epochs", 1, "--patience", "none", "--blocks", "none", "--json")
    assert done.code == 0, done.err
    config = json.loads(done.out)["config"]
    assert "patience" not in config
    assert config["blocks"] == 1
    assert trained("train", "--epochs", "none").err == (
        "error: --epochs must be a whole number, got 'none'\n"
    )


def test_a_file_is_overridden_by_both_forms_of_a_flag(trained: Run) -> None:
    Path("mfcli.toml").write_text("nesterov = true\n")
    options = ["--epochs", 1, "--json"]
    assert json.loads(trained("train", *options).out)["config"]["nesterov"] is True
    done = trained("train", *options, "--no-nesterov")
    assert json.loads(done.out)["config"]["nesterov"] is False


UNUSED = [
    (["--optimizer", "gibbs", "--lr", "0.1"], "--lr is not used with --optimizer gibbs"),
    (["--optimizer", "gibbs", "--blocks", "2"], "--blocks is not used with --optimizer gibbs"),
    (["--optimizer", "adam", "--noise", "user"], "--noise is not used with --optimizer adam"),
    (["--min-delta", "0.1"], "--min-delta is not used without --patience; omit it, or set"),
    (["--no-stop-on-test"], "--no-stop-on-test is not used without --patience"),
    (["--lr-every", "epoch"], "--lr-every is not used with --lr-schedule constant"),
]


@pytest.mark.parametrize(("options", "message"), UNUSED, ids=[" ".join(u[0]) for u in UNUSED])
def test_options_without_effect_are_refused(trained: Run, options: list[str], message: str) -> None:
    done = trained("train", *options)
    assert (done.code, done.out) == (2, "")
    assert done.err.startswith(f"error: {message}"), done.err


def test_settings_of_a_file_without_effect_are_ignored(trained: Run) -> None:
    Path("mfcli.toml").write_text('noise = "user"\nmin_delta = 0.1\nfolds = 3\n')
    done = trained("train", "--epochs", 1, "--json")
    assert done.code == 0, done.err
    assert not {"noise", "min_delta", "folds"} & set(json.loads(done.out)["config"])


@pytest.mark.parametrize(
    ("param", "text"),
    [
        (Param("valid"), "--valid"),
        (Param("valid", 0.1), "--valid 0.1"),
        (Param("patience", None), "--patience none"),
        (Param("columns.timestamp", ""), "--time-col ''"),
        (Param("columns.user"), "--user-col"),
        (Param("force", True), "--force"),
        (Param("clip", False), "--no-clip"),
        (Param("out", Path("my runs/a")), "--out 'my runs/a'"),
        (Param("on_bad_row", "skip"), "--on-bad-row skip"),
    ],
)
def test_parameters_are_spelled_as_options(param: Param, text: str) -> None:
    assert spelled(param) == text


def test_out_of_split(run: Run, real_csv: Path) -> None:
    assert run("split", real_csv, "--out", "a").code == 0
    assert run("split", real_csv, "--split", "b").code == 0
    assert (Path("a/split.json")).read_bytes() == (Path("b/split.json")).read_bytes()


USAGE = [
    (["split", "data.csv", "--test", "1.2"], "--test must be at least 0 and below 1, got 1.2"),
    (["split", "data.csv", "--test", "-1"], "--test must be at least 0 and below 1, got -1.0"),
    (["split", "data.csv", "--test", "0.5", "--valid", "0.5"], "--test and --valid must leave"),
    (
        ["split", "data.csv", "--duplicates", "first"],
        "--duplicates must be keep-last, mean, sum or error",
    ),
    (["split"], "name a file of ratings, such as: mfcli split data.csv"),
    (["train", "--k", "0"], "--k must be at least 1, got 0"),
    (["train", "--k", "x"], "--k must be a whole number, got 'x'"),
    (["train", "--lr", "nan"], "--lr must be above 0 and at most 1e+06, got nan"),
    (["train", "--batch-size", "0"], "--batch-size must be at least 1, got 0"),
    (
        ["train", "--optimizer", "adam", "--nesterov"],
        "--nesterov is not used with --optimizer adam",
    ),
    (
        ["train", "--optimizer", "adam", "--engine", "fast"],
        "--engine must be keras or auto with --optimizer adam, got 'fast'",
    ),
    (
        ["train", "--optimizer", "gibbs", "--engine", "keras"],
        "--engine must be fast or auto with --optimizer gibbs, got 'keras'",
    ),
    (
        ["train", "--lr-end", "0.1"],
        "--lr-end is not used with --lr-schedule constant; omit it, or change --lr-schedule",
    ),
    (["train", "--warmup", "15"], "--warmup must be below --epochs, got 15 of 15 epochs"),
    (["tune", "--trials", "0"], "--trials must be at least 1, got 0"),
    (["tune", "--plot", "p.gif"], "p.gif: must end in .png, .svg, .pdf"),
    (["train", "--unknown"], "No such option: --unknown"),
    (["plot", "history.json", "--out", "p.gif"], "p.gif: must end in .png, .svg, .pdf"),
    (["plot", "metrics.json", "--out", "p.gif"], "p.gif: must end in .png, .svg, .pdf"),
    (["plot", "history.json", "--size", "7"], "--size must be WIDTHxHEIGHT in inches, such as"),
    (["plot", "history.json", "--size", "1.2.3x4"], "--size must be WIDTHxHEIGHT in inches"),
    (["plot", "history.json", "--size", "0x4"], "--size must be 1 to 100 inches wide and high"),
    (["plot", "history.json", "--dpi", "0"], "--dpi must be at least 1, got 0"),
    (
        ["plot", "history.json", "--size", "99x4", "--dpi", "600"],
        "--dpi must give 1 to 20,000 pixels on each side, got 59,400; use a smaller --size",
    ),
    (["plot", "metrics.json", "--rmse"], "--rmse is not used with metrics.json"),
    (
        ["plot", "history.json", "metrics.json"],
        "metrics.json: metrics and histories need separate plots; omit one kind",
    ),
    (["evaluate", "--at", "5"], "--at is not used without --ranking; omit it, or add --ranking"),
    (["evaluate", "--ranking", "--at", "0"], "--at must be at least 1 and at most 1000, got 0"),
    (["evaluate", "--ranking", "--on", "train"], "rankings exclude the training ratings"),
    (
        ["evaluate", "--on", "validation"],
        "--on must be test, valid, train or a file of ratings, got",
    ),
    (["evaluate", "--resamples", "-1"], "--resamples must be at least 0"),
    (["compare", "metrics.json"], "name at least two runs"),
    (["nonsense"], "No such command 'nonsense'."),
    ([], "Missing command; for help: mfcli --help, or mfcli COMMAND --help"),
    (["help", "train"], "No such command 'help'; for help: mfcli --help, or mfcli COMMAND --help"),
]


@pytest.mark.parametrize(("args", "message"), USAGE, ids=[" ".join(u[0]) for u in USAGE])
def test_wrong_usage_is_one_line_and_status_2(trained: Run, args: list[str], message: str) -> None:
    Path("data.csv").write_text("user,item,rating\n1,2,3\n")
    before = snapshot()
    done = trained(*args)
    assert (done.code, done.out) == (2, "")
    assert done.err.startswith(f"error: {message}"), done.err
    assert done.err.count("\n") == 1
    assert snapshot() == before


FAULTS = [
    (["split", "none.csv"], "none.csv: cannot be read: No such file or directory"),
    (["split", "runs"], "runs: is a folder without part files"),
    (["split", "bad.csv"], "bad.csv:3: rating must be a finite number, got 'NaN'"),
    (["split", "twice.csv", "--duplicates", "error"], "twice.csv:3: user 1 has rated item 2"),
    (["split", "one.csv"], "strategy random leaves no test rating of 1; raise --test"),
    (["split", "one.csv", "--item-col", "x"], "one.csv: has no column 'x'; its columns are user"),
    (["split", "fine.csv", "--split", "full"], "full: holds files that mfcli did not write"),
    (["split", "fine.csv", "--split", "one.csv/x"], "one.csv/x: cannot be written: "),
    (["train", "--split", "none"], "none: holds no split; make one with: mfcli split data.csv"),
    (["train", "--out", "one.csv"], "one.csv: cannot be written: "),
    (["train", "--config", "none.toml"], "none.toml: cannot be read: No such file"),
    (["train", "--config", "unknown.toml"], "unknown.toml: unknown key 'lrr'; did you mean 'lr'?"),
    (["train", "--config", "type.toml"], "type.toml: k must be a whole number, got 'ten'"),
    (["evaluate", "--model", "none"], "none: holds no model; train one with: mfcli train"),
    (
        ["evaluate", "--on", "valid"],
        "the split has no validation ratings; split again with --valid",
    ),
    (["evaluate", "--on", "none.csv"], "none.csv: cannot be read: No such file or directory"),
    (["evaluate", "--out", "full"], "full: cannot be written: is a directory"),
    (["plot", "none.json"], "none.json: cannot be read: No such file or directory"),
    (["plot", "other.json"], "other.json: is not a training history: it has no list 'loss'"),
    (["plot", "bad.json"], "bad.json: has no format number, got None; evaluate again"),
    (
        ["evaluate", "--ranking", "--relevant", "9"],
        "no rating of an item that its user did not rate in training is at",
    ),
    (["plot", "history.json", "--out", "one.csv/p.png"], "one.csv/p.png: cannot be written: "),
]


@pytest.mark.parametrize(("args", "message"), FAULTS, ids=[" ".join(f[0]) for f in FAULTS])
def test_faults_are_one_line_and_status_1(trained: Run, args: list[str], message: str) -> None:
    Path("bad.csv").write_text("user,item,rating\n1,2,3\n4,5,NaN\n")
    Path("twice.csv").write_text("user,item,rating\n1,2,3\n1,2,4\n")
    Path("one.csv").write_text("user,item,rating\n1,2,3\n")
    Path("fine.csv").write_text("user,item,rating\n" + "".join(f"{n},2,3\n" for n in range(9)))
    Path("unknown.toml").write_text("lrr = 0.1\n")
    Path("type.toml").write_text('k = "ten"\n')
    Path("other.json").write_text("{}")
    Path("bad.json").write_text('{"protocol": 3}')
    Path("runs").mkdir()
    Path("full").mkdir()
    Path("full/notes.txt").write_text("mine")
    before = snapshot()
    done = trained(*args)
    assert (done.code, done.out) == (1, "")
    assert done.err.startswith(f"error: {message}"), done.err
    assert done.err.count("\n") == 1
    assert snapshot() == before


def test_a_split_with_a_validation_part_can_be_evaluated_on_it(run: Run, real_csv: Path) -> None:
    run("split", real_csv, "--valid", "0.1")
    parts = read_split(Path("split"))
    Fit(start(parts, Config()), History.of([Epoch(1, 1.0, 1.0, 1.0, 1.0, 1.0)])).write(Path())
    done = run("evaluate", "--on", "valid", "--json")
    assert json.loads(done.out)["protocol"]["ratings"] == len(parts.parts["valid"])


def test_divergence_is_an_error_and_leaves_the_old_model(trained: Run) -> None:
    before = snapshot()
    done = trained("train", "--lr", "1e6", "--epochs", "3", "-q")
    assert done.code == 1
    assert "error: training diverged at epoch " in done.err
    assert snapshot() == before


def test_ctrl_c_stops_within_a_second_and_leaves_the_old_model(trained: Run) -> None:
    before = snapshot()
    command = [sys.executable, "-m", "mfcli", "train", "--epochs", "1000000"]
    process = subprocess.Popen(command, stderr=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    assert process.stderr
    while not process.stderr.readline().startswith("epoch"):
        pass
    begin = time.perf_counter()
    process.send_signal(signal.SIGINT)
    _, err = process.communicate(timeout=10)
    assert time.perf_counter() - begin < 1.5
    assert process.returncode == 130
    assert "Traceback" not in err
    # The checkpoint is that of the training that was stopped; it has no state before one is due.
    assert "checkpoint/checkpoint.json" in snapshot()
    assert {n: c for n, c in snapshot().items() if not n.startswith("checkpoint/")} == before


@pytest.mark.skipif(not Path("/proc").is_dir(), reason="needs a folder that nobody may write")
def test_a_folder_that_cannot_be_written(trained: Run) -> None:
    done = trained("train", "--out", "/proc/runs")
    assert done.code == 1
    assert done.err.startswith("error: /proc/runs: cannot be written: ")

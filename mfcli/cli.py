"""The command line: options -> Config -> one call -> print.

Everything heavy is imported inside the commands, so that help and completion are instant.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, NoReturn

import typer
from rich.console import Console
from rich.table import Table
from typer.core import TyperGroup
from typer.exceptions import TyperException

from mfcli import __version__
from mfcli.config import CONFIG_FILE, SETTINGS, Config, checked, read_settings
from mfcli.errors import ConfigError, MfcliError, UsageError

if TYPE_CHECKING:
    from mfcli.evaluation import Metrics
    from mfcli.model import Model
    from mfcli.ratings import Ratings
    from mfcli.split import Split
    from mfcli.training import Epoch, Fit


class Commands(TyperGroup):
    """The one place where errors become a line on stderr and an exit status."""

    def main(self, *args: Any, **extra: Any) -> Any:
        try:
            status = super().main(*args, **{**extra, "standalone_mode": False})
        except (MfcliError, TyperException) as error:
            message = error.format_message() if isinstance(error, TyperException) else str(error)
            _fail(message, error.exit_code)
        except MemoryError:
            _fail("out of memory; free some, or use a smaller --k", 1)
        sys.exit(status or 0)


def _fail(message: str, status: int) -> NoReturn:
    print("error:", " ".join(message.split()), file=sys.stderr)
    sys.exit(status)


app = typer.Typer(
    cls=Commands,
    help="Train biased matrix-factorization recommenders from a file of ratings.",
    epilog="Start with: mfcli split data.csv",
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)


def _setting(name: str, *flags: str) -> Any:
    """Make the option of a setting: help, rule and choices come from its one definition."""
    setting = SETTINGS[name]
    rule = setting.metadata["rule"]
    text: str = setting.metadata["help"]
    words = "" if rule.choices or not str(rule) else f" ({rule})"
    return typer.Option(
        *flags,
        help=f"{text.rstrip('.')}{words}.",
        callback=_check,
        autocompletion=(lambda: list(rule.choices)) if rule.choices else None,
    )


def _check(param: typer.CallbackParam, value: Any) -> Any:
    name = str(param.name)
    try:
        return checked(name, value)
    except ConfigError as error:
        option = f"--{name.replace('_', '-')}"
        raise UsageError(str(error).replace(name, option, 1)) from None


def _use_config(ctx: typer.Context, path: Path | None) -> Path | None:
    """Let the settings of a file take the place of the defaults."""
    if path is None and CONFIG_FILE.is_file():
        path = CONFIG_FILE
    if path is not None and not ctx.resilient_parsing:
        ctx.default_map = read_settings(path)
    return path


def _config(ctx: typer.Context) -> Config:
    """Defaults, then the file's settings, then the options of this command."""
    options = {name: value for name, value in ctx.params.items() if name in SETTINGS}
    try:
        return Config(**{**(ctx.default_map or {}), **options})
    except ConfigError as error:
        raise UsageError(str(error)) from None


def _version(value: bool) -> None:
    if value:
        print(f"mfcli {__version__}")
        raise typer.Exit


K = Annotated[int, _setting("k")]
Reg = Annotated[float, _setting("reg")]
Epochs = Annotated[int, _setting("epochs")]
BatchSize = Annotated[int, _setting("batch_size")]
LearningRate = Annotated[float, _setting("lr")]
Momentum = Annotated[float, _setting("momentum")]
Nesterov = Annotated[bool, _setting("nesterov", "--nesterov/--no-nesterov")]
Optimizer = Annotated[str, _setting("optimizer")]
EngineName = Annotated[str, _setting("engine")]
BlockCount = Annotated[int, _setting("blocks")]
Seed = Annotated[int, _setting("seed")]
Test = Annotated[float, _setting("test")]
Valid = Annotated[float, _setting("valid")]
Duplicates = Annotated[str, _setting("duplicates")]
Clip = Annotated[bool, _setting("clip", "--clip/--no-clip")]
Damping = Annotated[float, _setting("damping")]

_TESTED = (
    "epochs are validated on the test ratings; a model chosen by them is not tested any more"
    " (split with --valid 0.1 to choose one)"
)

ConfigFile = Annotated[
    Path | None,
    typer.Option(
        "--config",
        help="Settings in TOML; options go before them.",
        show_default=f"{CONFIG_FILE}, if there is one",
        callback=_use_config,
        is_eager=True,
    ),
]
SplitFolder = Annotated[Path, typer.Option("--split", help="Folder of the split.")]
ModelFolder = Annotated[Path, typer.Option("--model", help="Folder of the model.")]
AsJson = Annotated[bool, typer.Option("--json", help="Print the result as JSON.")]
Quiet = Annotated[bool, typer.Option("--quiet", "-q", help="No progress and no notes.")]
UserColumn = Annotated[
    str | None,
    typer.Option("--user-col", help="Column of the user ids; a position without header."),
]
ItemColumn = Annotated[str | None, typer.Option("--item-col", help="Column of the item ids.")]
RatingColumn = Annotated[str | None, typer.Option("--rating-col", help="Column of the ratings.")]
TimeColumn = Annotated[
    str | None, typer.Option("--time-col", help="Column of the times; '' leaves them out.")
]


@app.callback()
def main(
    version: Annotated[
        bool,
        typer.Option("--version", help="Show the version.", callback=_version, is_eager=True),
    ] = False,
) -> None:
    """Train biased matrix-factorization recommenders from a file of ratings."""


@app.command()
def split(
    ctx: typer.Context,
    ratings: Annotated[Path, typer.Argument(help="CSV, TSV, u.data, ratings.dat or Parquet.")],
    split: SplitFolder = Path("split"),
    test: Test = Config.test,
    valid: Valid = Config.valid,
    seed: Seed = Config.seed,
    duplicates: Duplicates = Config.duplicates,
    user_col: UserColumn = None,
    item_col: ItemColumn = None,
    rating_col: RatingColumn = None,
    time_col: TimeColumn = None,
    config: ConfigFile = None,
    json: AsJson = False,
    quiet: Quiet = False,
) -> None:
    """Split a file of ratings into parts to train and to test on."""
    from mfcli.split import split as split_ratings
    from mfcli.split import write_split

    settings = _config(ctx)
    columns = _columns(user_col, item_col, rating_col, time_col)
    read = _read(ratings, columns, settings.duplicates, quiet)
    manifest = write_split(split, split_ratings(read, settings))
    _show(manifest, json, lambda: _split_table(manifest, split))


@app.command()
def train(
    ctx: typer.Context,
    k: K = Config.k,
    reg: Reg = Config.reg,
    epochs: Epochs = Config.epochs,
    batch_size: BatchSize = Config.batch_size,
    lr: LearningRate = Config.lr,
    momentum: Momentum = Config.momentum,
    nesterov: Nesterov = Config.nesterov,
    optimizer: Optimizer = Config.optimizer,
    engine: EngineName = Config.engine,
    blocks: BlockCount = Config.blocks,
    threads: Annotated[
        int | None,
        typer.Option(
            min=1,
            help="Threads of the fast engine; the result is the same with any number.",
            show_default="the cores",
        ),
    ] = None,
    seed: Seed = Config.seed,
    split: SplitFolder = Path("split"),
    out: Annotated[
        Path, typer.Option("--out", help="Folder to write model/ and history.json to.")
    ] = Path(),
    config: ConfigFile = None,
    json: AsJson = False,
    quiet: Quiet = False,
) -> None:
    """Train the model on a split."""
    from mfcli.split import read_split
    from mfcli.training import check_writable, fit

    settings, parts = _config(ctx), read_split(split)
    check_writable(out)
    if not json:
        _model_table(parts, settings)
    if parts.valid is None:
        _note(_TESTED, quiet)
    with _epoch_lines(parts, settings, quiet) as (on_epoch, on_progress):
        fitted = fit(
            parts,
            settings,
            threads=threads,
            on_plan=lambda plan: _note(plan.reason, quiet),
            on_epoch=on_epoch,
            on_progress=on_progress,
        )
    fitted.write(out)
    _show(_training_summary(fitted, out), json, lambda: _training_line(fitted, parts, out))


@app.command()
def evaluate(
    ctx: typer.Context,
    on: Annotated[
        str, typer.Option(help="Ratings to evaluate on: test, valid, train or a ratings file.")
    ] = "test",
    clip: Clip = Config.clip,
    damping: Damping = Config.damping,
    split: SplitFolder = Path("split"),
    model: ModelFolder = Path("model"),
    any_split: Annotated[
        bool, typer.Option("--any-split", help="Even if the model was trained on another split.")
    ] = False,
    out: Annotated[Path, typer.Option("--out", help="File to write the metrics to.")] = Path(
        "metrics.json"
    ),
    config: ConfigFile = None,
    json: AsJson = False,
    quiet: Quiet = False,
) -> None:
    """Measure the errors of a model, beside those of simple baselines."""
    from mfcli.evaluation import evaluate as measure
    from mfcli.model import check_same_split, read_model
    from mfcli.split import read_split

    settings, parts, trained = _config(ctx), read_split(split), read_model(model)
    if not any_split:
        check_same_split(trained, parts.hash, model, split)
    ratings = _ratings_of(parts, trained, on, settings, quiet)
    seen = parts.train.within(trained.users, trained.items) if any_split else parts.train
    metrics = measure(trained, ratings, seen, clip=settings.clip, damping=settings.damping, on=on)
    metrics.write(out)
    _show(metrics.as_dict(), json, lambda: _metrics_table(metrics, out))


@app.command()
def plot(
    histories: Annotated[
        list[Path],
        typer.Argument(help="history.json files, run folders, or Keras histories as JSON."),
    ],
    out: Annotated[
        Path | None,
        typer.Option(
            "--out",
            help="PNG, SVG or PDF to write.",
            show_default="beside the history; history.png here for several",
        ),
    ] = None,
    rmse: Annotated[bool, typer.Option("--rmse", help="Draw RMSE in place of MSE.")] = False,
    seconds: Annotated[
        bool, typer.Option("--seconds", help="Draw against seconds of training, not epochs.")
    ] = False,
    title: Annotated[str, typer.Option(help="A line above the picture.")] = "",
    json: AsJson = False,
) -> None:
    """Draw training histories."""
    from mfcli.plots import plot_histories
    from mfcli.training import HISTORY_FILE, History

    paths = [path / HISTORY_FILE if path.is_dir() else path for path in histories]
    target = out or (
        paths[0].with_suffix(".png") if len(paths) == 1 else Path(HISTORY_FILE).with_suffix(".png")
    )
    runs = dict(zip(_run_names(paths), map(History.read, paths), strict=True))
    plot_histories(runs, target, rmse=rmse, seconds=seconds, title=title)
    result = {"picture": str(target), "runs": {name: len(run) for name, run in runs.items()}}
    _show(result, json, lambda: print(f"{target}: {_count(runs, 'run')}"))


def _show(result: dict[str, Any], as_json: bool, show: Callable[[], None]) -> None:
    if as_json:
        from mfcli.files import json_text

        print(json_text(result), end="")
    else:
        show()


def _columns(
    user: str | None, item: str | None, rating: str | None, time: str | None
) -> dict[str, str]:
    named = {"user": user, "item": item, "rating": rating, "timestamp": time}
    return {role: name for role, name in named.items() if name is not None}


def _read(path: Path, columns: dict[str, str], duplicates: str, quiet: bool) -> Ratings:
    """Read a file of ratings behind a progress bar in bytes."""
    from rich.progress import BarColumn, DownloadColumn, Progress, TextColumn, TimeRemainingColumn

    from mfcli.reading import read_ratings

    bar = Progress(
        TextColumn("{task.description}"),
        BarColumn(),
        DownloadColumn(),
        TimeRemainingColumn(),
        console=_stderr(),
        transient=True,
        disable=quiet or not sys.stderr.isatty(),
    )
    with bar:
        task = bar.add_task(f"reading {path.name}")
        return read_ratings(
            path,
            columns=columns,
            duplicates=duplicates,
            on_progress=lambda done, total: bar.update(task, completed=done, total=total),
        )


def _ratings_of(parts: Split, model: Model, on: str, settings: Config, quiet: bool) -> Ratings:
    """Find the ratings that `--on` names, in the rows of the model's vocabularies."""
    from mfcli.errors import ArtifactError
    from mfcli.split import PARTS

    if on not in PARTS:
        read = _read(Path(on), {}, settings.duplicates, quiet)
        return read.within(model.users, model.items)
    if on not in parts.parts:
        raise ArtifactError(f"the split has no {on} ratings; split again with --{on} 0.1")
    return parts.parts[on].within(model.users, model.items)


def _run_names(paths: list[Path]) -> list[str]:
    """Name runs by file, by folder or by path, whichever tells them apart first."""
    for names in ([p.stem for p in paths], [p.resolve().parent.name for p in paths]):
        if len(set(names)) == len(paths):
            return names
    return [str(path) for path in paths]


def _stderr() -> Console:
    return Console(stderr=True, highlight=False)


def _note(text: str, quiet: bool) -> None:
    if not quiet:
        print(f"note: {text}", file=sys.stderr)


@contextmanager
def _epoch_lines(
    parts: Split, settings: Config, quiet: bool
) -> Iterator[tuple[Callable[[Epoch], None], Callable[[int, int], None]]]:
    """Print a line an epoch on stderr, above a bar that follows the epoch under way."""
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn

    console = _stderr()
    bar = Progress(
        TextColumn("epoch {task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        TextColumn("ratings"),
        console=console,
        transient=True,
        disable=quiet or not sys.stderr.isatty(),
    )
    task = bar.add_task("1", total=len(parts.train))
    seconds: list[float] = []

    def on_epoch(epoch: Epoch) -> None:
        seconds.append(epoch.seconds)
        left = (settings.epochs - epoch.epoch) * sum(seconds) / len(seconds)
        if not quiet:
            line = _epoch_line(epoch, settings.epochs, len(parts.train), left)
            console.print(line, soft_wrap=True)
        bar.reset(task, description=str(epoch.epoch + 1))

    with bar:
        yield on_epoch, lambda done, total: bar.update(task, completed=done, total=total)


def _epoch_line(epoch: Epoch, epochs: int, ratings: int, left: float) -> str:
    return (
        f"epoch {epoch.epoch:>{len(str(epochs))}}/{epochs}"
        f"  train RMSE {epoch.mse**0.5:.4f}"
        f"  validation RMSE {epoch.val_mse**0.5:.4f}"
        f"  {_duration(epoch.seconds)}"
        f"  {ratings / epoch.seconds:,.0f} ratings/s"
        f"  {_duration(round(left))} left"
    )


def _duration(seconds: float) -> str:
    whole = round(seconds)
    if whole < 60:
        return f"{seconds:.3g} s"
    if whole < 3600:
        return f"{whole // 60} min {whole % 60:02} s"
    return f"{whole // 3600} h {whole % 3600 // 60:02} min"


def _count(things: Any, noun: str) -> str:
    return f"{len(things):,} {noun}{'s' if len(things) != 1 else ''}"


def _table(title: str, *columns: str) -> Table:
    table = Table(title=title, title_justify="left", header_style="bold")
    for number, column in enumerate(columns):
        table.add_column(column, justify="right" if number else "left")
    return table


def _split_table(manifest: dict[str, Any], folder: Path) -> None:
    source, ratings, scale = manifest["source"], manifest["ratings"], manifest["scale"]
    step = f", step {scale['step']:g}" if scale["step"] else ""
    table = _table(f"{folder}: {source['name']} split at random", "", "value")
    for name in ("users", "items"):
        table.add_row(name, f"{manifest[name]:,}")
    table.add_row("ratings", f"{ratings['all']:,}")
    if source["duplicates"]:
        table.add_row("duplicates merged", f"{source['duplicates']:,}")
    table.add_row("density", f"{manifest['density']:.4%}")
    table.add_row("mean of train", f"{manifest['mean']:.4f}")
    table.add_row("scale", f"{scale['min']:g} to {scale['max']:g}{step}")
    for name in list(ratings)[1:]:
        table.add_row(name, f"{ratings[name]:,} ({ratings[name] / ratings['all']:.1%})")
    for name, unseen in manifest["unseen"].items():
        table.add_row(f"{name} with a user or item not in train", f"{unseen:,}")
    _print(table)


def _model_table(parts: Split, settings: Config) -> None:
    from mfcli.model import layers

    rows = layers(len(parts.train.users), len(parts.train.items), settings.k)
    table = _table("Model", "layer", "type", "output shape", "parameters")
    for name, kind, shape, parameters in rows:
        table.add_row(name, kind, str(shape), f"{parameters:,}")
    table.add_section()
    table.add_row("total", "", "", f"{sum(row[-1] for row in rows):,}")
    _print(table)


def _training_summary(fitted: Fit, out: Path) -> dict[str, Any]:
    from mfcli.training import HISTORY_FILE, MODEL_FOLDER

    lists = fitted.history.lists
    return {
        "model": str(out / MODEL_FOLDER),
        "history": str(out / HISTORY_FILE),
        "epochs": len(fitted.history),
        "config": fitted.model.config.as_dict(),
        "seconds": sum(lists["seconds"]),
        **{name: lists[name][-1] for name in ("loss", "mse", "val_loss", "val_mse")},
    }


def _training_line(fitted: Fit, parts: Split, out: Path) -> None:
    summary = _training_summary(fitted, out)
    name, held_out = parts.held_out
    print(
        f"{summary['model']} and {summary['history']}:"
        f" validation RMSE {summary['val_mse'] ** 0.5:.4f} on {len(held_out):,} {name} ratings"
        f" after {_count(range(summary['epochs']), 'epoch')} in {_duration(summary['seconds'])}"
    )


def _metrics_table(metrics: Metrics, out: Path) -> None:
    protocol = metrics.protocol
    clipped = "clipped" if protocol["clip"] else "not clipped"
    title = f"{out}: {protocol['ratings']:,} {protocol['on']} ratings, predictions {clipped}"
    table = _table(title, "", "RMSE", "MSE", "MAE", "R2", "model's gain")
    biases = f"damped biases (damping {protocol['damping']:g})"
    rows = [("model", metrics.model), (biases, metrics.biases), ("training mean", metrics.mean)]
    gains = metrics.as_dict()["baselines"]
    shown = ["", f"{gains['biases']['gain']:.2%}", f"{gains['mean']['gain']:.2%}"]
    for (name, errors), gain in zip(rows, shown, strict=True):
        r2 = "-" if errors.r2 is None else f"{errors.r2:.4f}"
        numbers = (f"{value:.4f}" for value in (errors.rmse, errors.mse, errors.mae))
        table.add_row(name, *numbers, r2, gain)
    _print(table)
    groups = _table("The model by what train has seen", "", "ratings", "RMSE")
    for name, group in metrics.groups.items():
        rmse = "-" if group["rmse"] is None else f"{group['rmse']:.4f}"
        groups.add_row(name.replace("_", " "), f"{group['ratings']:,}", rmse)
    _print(groups)


def _print(table: Table) -> None:
    Console(highlight=False, width=None if sys.stdout.isatty() else 100).print(table)

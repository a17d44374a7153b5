"""The command line: options -> Config -> one call -> print.

Everything heavy is imported inside the commands, so that help and completion are instant.
"""

from __future__ import annotations

import signal
import sys
import tempfile
import threading
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, NoReturn

import typer
from typer.core import TyperGroup
from typer.exceptions import TyperException

from mfcli import __version__, output
from mfcli.config import CONFIG_FILE, SETTINGS, Config, checked, read_settings
from mfcli.errors import ConfigError, MfcliError, UsageError

if TYPE_CHECKING:
    import numpy as np
    import pyarrow as pa
    from numpy.typing import NDArray

    from mfcli.evaluation import Metrics
    from mfcli.model import Model
    from mfcli.ratings import Ratings
    from mfcli.recommending import Rated
    from mfcli.split import Split


class Commands(TyperGroup):
    """The one place where errors become a line on stderr and an exit status."""

    signalled = 0  # the signal that asked this process to stop

    def main(self, *args: Any, **extra: Any) -> Any:
        if threading.current_thread() is threading.main_thread():
            for number in (signal.SIGINT, signal.SIGTERM):
                signal.signal(number, _stop)
        try:
            status = self._run(*args, **extra)
        except BaseException:
            # Whatever came of it: modules that are interrupted while they load raise anything.
            if not Commands.signalled:
                raise
        sys.exit(128 + Commands.signalled if Commands.signalled else status or 0)

    def _run(self, *args: Any, **extra: Any) -> Any:
        try:
            return super().main(*args, **{**extra, "standalone_mode": False})
        except (MfcliError, TyperException) as error:
            message = error.format_message() if isinstance(error, TyperException) else str(error)
            _fail(message, error.exit_code)
        except MemoryError:
            _fail("out of memory; free some, or use a smaller --k", 1)
        except UnicodeEncodeError as error:
            _fail(f"names of files must be UTF-8 text, got {error.object!r}", 1)
        except OSError as error:
            _fail(f"standard output cannot be written: {error.strerror}", 1)


def _stop(number: int, frame: Any) -> NoReturn:
    """Unwind, so that nothing half-written stays behind; the same signal again ends at once."""
    signal.signal(number, signal.SIG_DFL)
    Commands.signalled = number
    raise KeyboardInterrupt


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


def _check_test(param: typer.CallbackParam, value: str) -> Any:
    """Return the share as a number; any other text is the name of a file."""
    try:
        share = float(value)
    except ValueError:
        return value
    return _check(param, share)


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
    if isinstance(options.get("test"), str):
        del options["test"]  # a file, not a share
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
StrategyName = Annotated[str, _setting("strategy")]
Test = Annotated[
    str,
    typer.Option(
        callback=_check_test,
        help=f"{SETTINGS['test'].metadata['help'].rstrip('.')}"
        f" ({SETTINGS['test'].metadata['rule']}); with --train, a file.",
    ),
]
Cut = Annotated[str, _setting("cut")]
Folds = Annotated[int, _setting("folds")]
MinUser = Annotated[int, _setting("min_user")]
MinItem = Annotated[int, _setting("min_item")]
OnBadRow = Annotated[str, _setting("on_bad_row")]
Decimal = Annotated[str, _setting("decimal")]
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
Threads = Annotated[
    int | None,
    typer.Option(
        min=1,
        help="Threads; the result is the same with any number.",
        show_default="the cores",
    ),
]
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


def _archives() -> list[str]:
    from mfcli.fetching import NAMES

    return list(NAMES)


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
    ratings: Annotated[
        list[str] | None,
        typer.Argument(
            help="CSV, TSV, u.data, ratings.dat or Parquet, packed or not; several, or a folder of"
            " part files, or - for the standard input."
        ),
    ] = None,
    split: SplitFolder = Path("split"),
    strategy: StrategyName = Config.strategy,
    test: Test = str(Config.test),
    valid: Valid = Config.valid,
    cut: Cut = Config.cut,
    folds: Folds = Config.folds,
    train: Annotated[
        str | None,
        typer.Option(help="With --test FILE, a published split: its training ratings."),
    ] = None,
    min_user: MinUser = Config.min_user,
    min_item: MinItem = Config.min_item,
    seed: Seed = Config.seed,
    duplicates: Duplicates = Config.duplicates,
    on_bad_row: OnBadRow = Config.on_bad_row,
    user_col: UserColumn = None,
    item_col: ItemColumn = None,
    rating_col: RatingColumn = None,
    time_col: TimeColumn = None,
    decimal: Decimal = Config.decimal,
    config: ConfigFile = None,
    json: AsJson = False,
    quiet: Quiet = False,
) -> None:
    """Split ratings into parts to train and to test on."""
    from mfcli.split import split as split_ratings
    from mfcli.split import split_given
    from mfcli.split_folder import write_folds, write_split

    settings = _config(ctx)
    if train is None:
        _check_strategy(ctx, settings)
    columns = _columns(user_col, item_col, rating_col, time_col)
    with _rejected(settings) as rejected:
        read = partial(_read, columns=columns, settings=settings, rejected=rejected, quiet=quiet)
        if train is not None:
            _check_given(ctx, ratings, test)
            made = split_given(read([train]), read([test]), settings)
            manifest = write_split(split, made, rejected)
        elif settings.strategy == "k-fold":
            manifest = write_folds(split, read(_named(ratings, test)), settings, rejected)
        else:
            made = split_ratings(read(_named(ratings, test)), settings)
            manifest = write_split(split, made, rejected)
    output.show(manifest, json, lambda: output.split_table(manifest, split))


@app.command()
def check(
    ctx: typer.Context,
    ratings: Annotated[list[str], typer.Argument(help="Files of ratings, as for split.")],
    k: K = Config.k,
    reg: Reg = Config.reg,
    duplicates: Duplicates = Config.duplicates,
    on_bad_row: OnBadRow = Config.on_bad_row,
    user_col: UserColumn = None,
    item_col: ItemColumn = None,
    rating_col: RatingColumn = None,
    time_col: TimeColumn = None,
    decimal: Decimal = Config.decimal,
    config: ConfigFile = None,
    json: AsJson = False,
    quiet: Quiet = False,
) -> None:
    """Say what to look at in ratings before anything is trained on them."""
    from mfcli.checking import check as check_ratings

    settings = _config(ctx)
    columns = _columns(user_col, item_col, rating_col, time_col)
    with _rejected(settings) as rejected:
        read = _read(ratings, columns, settings, quiet, rejected)
    report = check_ratings(read, settings)
    output.show(report.as_dict(), json, lambda: output.report_tables(report))


@app.command()
def fetch(
    name: Annotated[
        str,
        typer.Argument(
            help="ml-latest-small, ml-100k, ml-1m, ml-10m, ml-20m, ml-25m or ml-32m.",
            autocompletion=_archives,
        ),
    ],
    out: Annotated[Path, typer.Option("--out", help="Folder to unpack it in.")] = Path(),
    base: Annotated[
        str | None,
        typer.Option(help="Address of a mirror.", show_default="GroupLens's own"),
    ] = None,
    json: AsJson = False,
    quiet: Quiet = False,
) -> None:
    """Download a MovieLens data set from GroupLens, checked and unpacked."""
    from mfcli import fetching

    with output.byte_bar(f"fetching {name}", quiet) as on_progress:
        fetched = fetching.fetch(name, out, base=base or fetching.BASE, on_progress=on_progress)
    output.show(fetched.as_dict(), json, lambda: output.fetched_lines(fetched))


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
    threads: Threads = None,
    seed: Seed = Config.seed,
    split: SplitFolder = Path("split"),
    out: Annotated[
        Path,
        typer.Option(
            "--out",
            help="Folder to write model/ and history.json to; of a k-fold split, in fold-1, ...",
        ),
    ] = Path(),
    config: ConfigFile = None,
    json: AsJson = False,
    quiet: Quiet = False,
) -> None:
    """Train the model on a split, or on every fold of a k-fold split."""
    from mfcli.split_folder import folds_of
    from mfcli.training import check_writable

    settings, folds = _config(ctx), folds_of(split)
    if out.resolve() == split.resolve():
        raise UsageError(f"--out {out} is the folder of the split; choose another")
    runs = {fold: out / fold.name for fold in folds} or {split: out}
    for target in runs.values():
        check_writable(target)
    results = [
        _train(source, target, settings, threads, json, quiet) for source, target in runs.items()
    ]
    if json:
        output.show({"folds": results} if folds else results[0], json, lambda: None)


def _train(
    split: Path, out: Path, settings: Config, threads: int | None, json: bool, quiet: bool
) -> dict[str, Any]:
    from mfcli.split_folder import read_split
    from mfcli.training import fit

    parts = read_split(split)
    if not json and not quiet:
        output.model_table(parts, settings)
    if parts.valid is None:
        output.note(_TESTED, quiet)
    with output.epoch_lines(parts, settings, quiet) as (on_epoch, on_progress):
        fitted = fit(
            parts,
            settings,
            threads=threads,
            on_plan=lambda plan: output.note(plan.reason, quiet),
            on_epoch=on_epoch,
            on_progress=on_progress,
        )
    fitted.write(out)
    if not json:
        output.training_line(fitted, parts, out)
    return output.training_summary(fitted, out)


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
    duplicates: Duplicates = Config.duplicates,
    on_bad_row: OnBadRow = Config.on_bad_row,
    user_col: UserColumn = None,
    item_col: ItemColumn = None,
    rating_col: RatingColumn = None,
    time_col: TimeColumn = None,
    decimal: Decimal = Config.decimal,
    config: ConfigFile = None,
    json: AsJson = False,
    quiet: Quiet = False,
) -> None:
    """Measure the errors of a model, beside those of simple baselines.

    The models of a k-fold split are measured each on its fold.
    """
    from mfcli.evaluation import FoldMetrics
    from mfcli.split_folder import folds_of

    columns = _columns(user_col, item_col, rating_col, time_col)
    measure = partial(
        _measure, on=on, columns=columns, settings=_config(ctx), any_split=any_split, quiet=quiet
    )
    folds = folds_of(split)
    if folds:
        over = FoldMetrics([measure(f, model.parent / f.name / model.name) for f in folds])
        over.write(out)
        output.show(over.as_dict(), json, lambda: output.folds_table(over, out))
    else:
        metrics = measure(split, model)
        metrics.write(out)
        output.show(metrics.as_dict(), json, lambda: output.metrics_table(metrics, out))


def _measure(
    split: Path,
    model: Path,
    on: str,
    columns: dict[str, str],
    settings: Config,
    any_split: bool,
    quiet: bool,
) -> Metrics:
    from mfcli.evaluation import evaluate
    from mfcli.model import check_same_split, read_model
    from mfcli.split_folder import read_split

    parts, trained = read_split(split), read_model(model)
    if not any_split:
        check_same_split(
            trained, parts.hash, model, split, "evaluate all the same with --any-split"
        )
    ratings = _ratings_of(parts, on, columns, settings, quiet)
    return evaluate(
        trained, ratings, parts.train, clip=settings.clip, damping=settings.damping, on=on
    )


N = Annotated[int, typer.Option("--n", min=1, help="How many (at least 1).")]
MinCount = Annotated[
    int, typer.Option("--min-count", min=0, help="Leave out what has fewer training ratings.")
]
Titles = Annotated[
    Path | None, typer.Option("--titles", help="CSV with an item id and a title column.")
]


@app.command()
def recommend(
    user: Annotated[
        list[str] | None, typer.Option("--user", help="Id of a user; several times for several.")
    ] = None,
    users: Annotated[Path | None, typer.Option("--users", help="File of user ids, one a line.")] = (
        None
    ),
    everyone: Annotated[bool, typer.Option("--all", help="For all users; needs --out.")] = False,
    n: N = 10,
    include_rated: Annotated[
        bool, typer.Option("--include-rated", help="Also what a user has rated in training.")
    ] = False,
    items: Annotated[
        Path | None, typer.Option("--items", help="File of the only item ids allowed, one a line.")
    ] = None,
    min_count: MinCount = 0,
    titles: Titles = None,
    model: ModelFolder = Path("model"),
    split: SplitFolder = Path("split"),
    threads: Threads = None,
    out: Annotated[
        Path | None, typer.Option("--out", help="CSV or Parquet to write; - for CSV on stdout.")
    ] = None,
    json: AsJson = False,
) -> None:
    """Recommend the items with the highest predicted ratings."""
    from mfcli.model import read_model
    from mfcli.recommending import top_items
    from mfcli.training import cores

    _check_request(user, users, everyone, out)
    trained = read_model(model)
    ranking = top_items(
        trained,
        _wanted_users(trained, user, users, everyone),
        n,
        exclude=None if include_rated else _rated(trained, model, split),
        candidates=_candidates(trained, items, min_count),
        threads=threads or cores(),
    )
    table = ranking.table(trained.users, trained.items, "user", "prediction")
    _give(_titled(table, trained, titles), "recommendations", out, json)


def _check_request(
    user: list[str] | None, users: Path | None, everyone: bool, out: Path | None
) -> None:
    from mfcli.lists import check_table_suffix

    if not (user or users or everyone):
        raise UsageError("name users with --user, --users FILE or --all")
    if everyone and out is None:
        raise UsageError("--all goes with --out FILE, or --out - for CSV on stdout")
    if out is not None and str(out) != "-":
        check_table_suffix(out)


def _wanted_users(
    model: Model, user: list[str] | None, users: Path | None, everyone: bool
) -> NDArray[np.int32]:
    import numpy as np
    import pyarrow as pa

    from mfcli.lists import read_ids
    from mfcli.recommending import find_rows

    if everyone:
        return np.arange(len(model.users), dtype=np.int32)
    parts = [pa.array(user or [], pa.string()), *([read_ids(users)] if users else [])]
    return find_rows(model.users, pa.concat_arrays(parts), "user")


def _rated(model: Model, folder: Path, split: Path) -> Rated:
    """Read what the model's users have rated in training."""
    from mfcli.model import check_same_split
    from mfcli.recommending import Rated
    from mfcli.split_folder import read_split

    parts = read_split(split)
    check_same_split(
        model, parts.hash, folder, split, "recommend all the same with --include-rated"
    )
    return Rated.of(parts.train)


def _candidates(model: Model, items: Path | None, min_count: int) -> NDArray[np.int32] | None:
    import numpy as np

    from mfcli.lists import read_ids
    from mfcli.recommending import find_rows

    if items is None and not min_count:
        return None
    allowed = model.items.counts >= min_count
    if items is not None:
        listed = np.zeros(len(model.items), np.bool_)
        listed[find_rows(model.items, read_ids(items), "item")] = True
        allowed &= listed
    return np.flatnonzero(allowed).astype(np.int32)


def _titled(table: pa.Table, model: Model, titles: Path | None) -> pa.Table:
    """Add the titles of the items, empty where there is none."""
    if titles is None:
        return table
    import pyarrow.compute as pc

    from mfcli.lists import read_titles

    known = read_titles(titles)
    ids = table["item"].combine_chunks().cast(known["id"].type)
    place = pc.index_in(ids, value_set=known["id"].combine_chunks())
    return table.append_column(
        "title", pc.fill_null(known["title"].combine_chunks().take(place), "")
    )


def _give(table: pa.Table, name: str, out: Path | None, json: bool) -> None:
    """Write a table to a file or to stdout, or show it."""
    from mfcli.lists import csv_bytes, write_table

    if out is not None and str(out) == "-":
        print(csv_bytes(table).decode(), end="")
        return
    if out is not None:
        write_table(out, table)
    if json:
        result = {"out": str(out), "rows": len(table)} if out else {name: table.to_pylist()}
        output.show(result, json, lambda: None)
    elif out is not None:
        print(f"{out}: {output.count(range(len(table)), 'row')}")
    else:
        output.rows_table(table)


@app.command()
def similar(
    name: Annotated[str, typer.Argument(metavar="ID", help="Id of an item, or of a user.")],
    users: Annotated[bool, typer.Option("--users", help="Of users, not of items.")] = False,
    n: N = 10,
    min_count: MinCount = 0,
    titles: Titles = None,
    model: ModelFolder = Path("model"),
    json: AsJson = False,
) -> None:
    """Show the items whose factors have the highest cosine to those of an item."""
    import pyarrow as pa

    from mfcli.model import read_model
    from mfcli.recommending import find_rows
    from mfcli.recommending import similar as nearest

    trained = read_model(model)
    vocabulary = trained.users if users else trained.items
    factors = trained.user_factors if users else trained.item_factors
    row = find_rows(vocabulary, pa.array([name]), "user" if users else "item")
    allowed = vocabulary.counts >= min_count
    table = nearest(factors, row, n, allowed).table(vocabulary, vocabulary, "of", "cosine")
    table = table.drop_columns(["of"])
    if users:
        table = table.rename_columns(["rank", "user", "cosine"])
    _give(table if users else _titled(table, trained, titles), "similar", None, json)


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
        bool, typer.Option("--seconds", help="Draw validation errors against seconds, not epochs.")
    ] = False,
    title: Annotated[str, typer.Option(help="A line above the picture.")] = "",
    json: AsJson = False,
) -> None:
    """Draw training histories."""
    import logging

    logging.getLogger("matplotlib").setLevel(logging.ERROR)  # not a word about its own cache
    from mfcli.plots import plot_histories
    from mfcli.training import HISTORY_FILE, History

    paths = [path / HISTORY_FILE if path.is_dir() else path for path in histories]
    target = out or (
        paths[0].with_suffix(".png") if len(paths) == 1 else Path(HISTORY_FILE).with_suffix(".png")
    )
    runs = dict(zip(_run_names(paths), map(History.read, paths), strict=True))
    plot_histories(runs, target, rmse=rmse, seconds=seconds, title=title)
    result = {"picture": str(target), "runs": {name: len(run) for name, run in runs.items()}}
    output.show(result, json, lambda: print(f"{target}: {output.count(runs, 'run')}"))


def _named(ratings: list[str] | None, test: Any) -> list[str]:
    """Return the files to split."""
    if isinstance(test, str):
        raise UsageError(
            f"--test {test} is no share; with a file of test ratings, give --train too"
        )
    if not ratings:
        raise UsageError("name a file of ratings, such as: mfcli split data.csv")
    return ratings


def _check_given(ctx: typer.Context, ratings: list[str] | None, test: Any) -> None:
    if ratings or not isinstance(test, str):
        raise UsageError("--train goes with --test FILE and no other file of ratings")
    _refuse(ctx, ("strategy", "cut", "folds", "min_user", "min_item"), "a published split")


def _check_strategy(ctx: typer.Context, settings: Config) -> None:
    """Refuse options that the strategy does not use."""
    unused = [] if settings.strategy == "k-fold" else ["folds"]
    if settings.strategy in ("k-fold", "leave-last-out") or settings.cut:
        unused.append("test")
    _refuse(ctx, unused, f"--cut {settings.cut}" if settings.cut else settings.strategy)


def _refuse(ctx: typer.Context, names: Iterable[str], what: str) -> None:
    """Refuse options that have been given but would do nothing."""
    for name in names:
        source = ctx.get_parameter_source(name)
        if source is not None and source.name == "COMMANDLINE":
            raise UsageError(f"--{name.replace('_', '-')} does not go with {what}; leave it out")


@contextmanager
def _rejected(settings: Config) -> Iterator[Path | None]:
    """Give a place to list faulty rows if they are to be skipped."""
    if settings.on_bad_row == "stop":
        yield None
        return
    with tempfile.TemporaryDirectory() as folder:
        yield Path(folder) / "rejected.csv"


def _columns(
    user: str | None, item: str | None, rating: str | None, time: str | None
) -> dict[str, str]:
    named = {"user": user, "item": item, "rating": rating, "timestamp": time}
    return {role: name for role, name in named.items() if name is not None}


def _read(
    names: list[str],
    columns: dict[str, str],
    settings: Config,
    quiet: bool,
    rejected: Path | None = None,
) -> Ratings:
    """Read files of ratings behind a progress bar in bytes."""
    from mfcli.reading import read_ratings

    with output.byte_bar(f"reading {names[0]}", quiet) as on_progress:
        return read_ratings(
            names,
            columns=columns,
            decimal=settings.decimal,
            duplicates=settings.duplicates,
            rejected=rejected,
            on_progress=on_progress,
        )


def _ratings_of(
    parts: Split, on: str, columns: dict[str, str], settings: Config, quiet: bool
) -> Ratings:
    """Find the ratings that `--on` names."""
    from mfcli.errors import ArtifactError
    from mfcli.split import PARTS

    if on not in PARTS:
        with _rejected(settings) as rejected:
            return _read([on], columns, settings, quiet, rejected)
    if on not in parts.parts:
        raise ArtifactError(f"the split has no {on} ratings; split again with --{on} 0.1")
    return parts.parts[on]


def _run_names(paths: list[Path]) -> list[str]:
    """Name runs by file, by folder or by path, whichever tells them apart first."""
    for names in ([p.stem for p in paths], [p.resolve().parent.name for p in paths]):
        if len(set(names)) == len(paths):
            return names
    return [str(path) for path in paths]

"""The options, each defined once, and the settings they come to."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import Annotated, Any

import typer

from mfcli.config import CONFIG_FILE, SETTINGS, Config, checked, read_settings
from mfcli.errors import ConfigError, UsageError


def setting(name: str, *flags: str) -> Any:
    """Make the option of a setting: help, rule and choices come from its one definition."""
    setting = SETTINGS[name]
    rule, text = setting.rule, setting.help
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
        raise UsageError(error.phrase(lambda param: option)) from None


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


def settings_of(ctx: typer.Context) -> Config:
    """Defaults, then the file's settings, then the options of this command."""
    options = {name: value for name, value in ctx.params.items() if name in SETTINGS}
    if isinstance(options.get("test"), str):
        del options["test"]  # a file, not a share
    try:
        return Config(**{**(ctx.default_map or {}), **options})
    except ConfigError as error:
        raise UsageError(str(error)) from None


def given_settings(ctx: typer.Context) -> set[str]:
    """Return the settings that stand on the command line or in a file, defaults left out."""
    sources = {name: ctx.get_parameter_source(name) for name in SETTINGS}
    return {
        name
        for name, source in sources.items()
        if source is not None and source.name in ("COMMANDLINE", "DEFAULT_MAP")
    }


def refuse(
    ctx: typer.Context, names: Iterable[str], what: str, remedy: str = "leave it out"
) -> None:
    """Refuse options that have been given but would do nothing."""
    for name in names:
        source = ctx.get_parameter_source(name)
        if source is not None and source.name == "COMMANDLINE":
            raise UsageError(f"--{name.replace('_', '-')} does not go with {what}; {remedy}")


K = Annotated[int, setting("k")]
Reg = Annotated[float, setting("reg")]
RegUser = Annotated[float | None, setting("reg_user")]
RegItem = Annotated[float | None, setting("reg_item")]
RegUserBias = Annotated[float | None, setting("reg_user_bias")]
RegItemBias = Annotated[float | None, setting("reg_item_bias")]
RegScope = Annotated[str, setting("reg_scope")]
Epochs = Annotated[int, setting("epochs")]
Patience = Annotated[int | None, setting("patience")]
MinDelta = Annotated[float, setting("min_delta")]
StopOnTest = Annotated[bool, setting("stop_on_test", "--stop-on-test/--no-stop-on-test")]
BatchSize = Annotated[int, setting("batch_size")]
LearningRate = Annotated[float, setting("lr")]
Momentum = Annotated[float, setting("momentum")]
LrSchedule = Annotated[str, setting("lr_schedule")]
LrEnd = Annotated[float, setting("lr_end")]
LrEvery = Annotated[str, setting("lr_every")]
Warmup = Annotated[int, setting("warmup")]
MomentumSchedule = Annotated[str, setting("momentum_schedule")]
MomentumEnd = Annotated[float, setting("momentum_end")]
Average = Annotated[float | None, setting("average")]
Nesterov = Annotated[bool, setting("nesterov", "--nesterov/--no-nesterov")]
Optimizer = Annotated[str, setting("optimizer")]
Prior = Annotated[str, setting("prior")]
Noise = Annotated[str, setting("noise")]
EngineName = Annotated[str, setting("engine")]
BlockCount = Annotated[int | None, setting("blocks")]
EnsembleSize = Annotated[int, setting("ensemble")]
Seed = Annotated[int, setting("seed")]
StrategyName = Annotated[str, setting("strategy")]
Test = Annotated[
    str,
    typer.Option(
        callback=_check_test,
        help=f"{SETTINGS['test'].help.rstrip('.')}"
        f" ({SETTINGS['test'].rule}); with --train, a file.",
    ),
]
Cut = Annotated[str | None, setting("cut")]
Folds = Annotated[int, setting("folds")]
MinUser = Annotated[int, setting("min_user")]
MinItem = Annotated[int, setting("min_item")]
OnBadRow = Annotated[str, setting("on_bad_row")]
Decimal = Annotated[str, setting("decimal")]
Valid = Annotated[float, setting("valid")]
Duplicates = Annotated[str, setting("duplicates")]
Clip = Annotated[bool, setting("clip", "--clip/--no-clip")]
Damping = Annotated[float, setting("damping")]
Resamples = Annotated[int, setting("resamples")]
At = Annotated[int, setting("at")]
Relevant = Annotated[float, setting("relevant")]

SettingsOut = Annotated[Path, typer.Option("--out", help="Settings file to write.")]
Force = Annotated[bool, typer.Option("--force", help="Write over an older settings file.")]

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

"""Hints for options that do not exist: misspelled, of another command, or of another program."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from contextlib import contextmanager
from itertools import chain
from typing import Any

from typer.exceptions import TyperException

from mfcli.cli.spelling import option_of
from mfcli.config import closest, meant_setting, plain_name
from mfcli.errors import UsageError

_SYNONYMS = {
    "--log": "log_file event_log events event_file",
    "--tensorboard": "log_dir tensorboard_dir tb summary_dir",
    "--follow": "watch live tail refresh",
    "--threads": "n_jobs jobs n_threads num_threads workers n_workers num_workers s j",
    "--trials": "n_trials num_trials max_trials max_evals n_iter iterations max_iter",
    "--parallel-trials": "max_concurrent_trials max_concurrent concurrency parallelism",
    "--minutes": "timeout time_limit max_time",
    "--storage": "study journal",
    "--space": "grid param_grid param_distributions search_space",
    "--checkpoint-every": "checkpoint_interval save_every save_freq",
    "--resume": "continue restart",
    "--epochs": "t",
    "--lr": "r",
    "--reg": "l",
    "--n": "top_k top_n num_items n_items n_recommendations num_recommendations length",
    "--exclude": "filter_already_liked_items filter_seen remove_seen exclude_seen",
    "--rated": "seen history",
    "--items": "candidates item_file",
    "--users": "user_file",
    "--all": "all_users everyone",
    "--min-count": "min_ratings min_support",
    "--ranking": "rank rankings topn_metrics",
    "--on": "part subset test_file testset",
    "--any-split": "ignore_split",
    "--raw-ids": "ids",
    "--format": "to type",
    "--user-col": "user_column user_field user_key user_id uid",
    "--item-col": "item_column item_field item_key item_id iid product_col",
    "--rating-col": "rating_column rating_field value_col label_col score_col",
    "--time-col": "timestamp_col timestamp_column time_column date_col date_column",
    "--weight-col": "weight weight_column weights sample_weight confidence_col",
    "--model": "model_dir model_path model_file load m",
    "--split": "split_dir data_dir dataset",
    "--config": "config_file settings settings_file params c",
    "--out": "output output_dir output_file output_path out_dir outfile save save_dir save_path o",
    "--quiet": "silent no_progress no_verbose",
    "--sort": "order sort_by order_by",
    "--interval": "confidence coverage credible_interval",
    "--titles": "names item_names item_titles movies",
    "--replace": "update",
    "--extend": "append",
    "--base": "url mirror",
}
"""By our option, the names that mean it, here or in other programs."""

_MEANT: dict[str, list[str]] = {}
for _option, _names in _SYNONYMS.items():
    for _name in _names.split():
        _MEANT.setdefault(plain_name(_name), []).append(_option)

_ADVICE = {
    "files are named without an option, as in: mfcli split data.csv": "input infile data data_file"
    " file files ratings ratings_file input_file csv",
    "results of mfcli are replaced without an option": "force overwrite yes y",
    "progress is shown without an option": "verbose verbosity v progress progress_bar",
    "separators are detected": "sep separator delimiter delim",
    "headers are detected": "header no_header skip_header",
    "mfcli runs on CPUs (see --threads)": "gpu use_gpu cuda device",
}
"""By an advice, the names of options that are not needed."""

_SILENT = {"this command shows no progress": "quiet q silent no_progress no_verbose"}

_OF_COMMAND = {
    "fold-in": {"write a model with --extend, and use it with mfcli recommend": "sort interval"},
    **dict.fromkeys(("init", "compare", "plot", "serve", "show"), _SILENT),
    "similar": {
        **_SILENT,
        "name the item without an option, as in: mfcli similar ID": "item item_id id",
        "name the user without an option, as in: mfcli similar ID --users": "user user_id",
    },
}
"""By command and advice, the names of options that this command does not need."""

_COMMON = ("split", "train", "evaluate", "recommend")  # the first to be named


@contextmanager
def hinted_options(
    command: str,
    own: Collection[str],
    others: Callable[[], Mapping[str, Collection[str]]],
    words: Sequence[str],
) -> Iterator[None]:
    """Add a hint to the error for an option that does not exist.

    Parameters
    ----------
    command : str
    own : collection of str
        The options of the command.
    others : callable
        Returns the options of all commands, by command; called only for a hint.
    words : sequence of str
        The command line.

    Raises
    ------
    UsageError
    """
    try:
        yield
    except TyperException as error:
        # Typer does not export the class of this error, which alone has both attributes.
        option: Any = getattr(error, "option_name", None)
        if option is None or not hasattr(error, "possibilities"):
            raise
        # Typer reads -lr as -l and -r, so it names only the first letter.
        whole = next((w for w in words if w.startswith(option) and w[:2] != "--"), option)
        names = dict.fromkeys((whole, option))
        special = (_advice(name.lstrip("-"), _OF_COMMAND.get(command, {})) for name in names)
        hints = chain(special, (_hint(name, own, others()) for name in names))
        remedy = next(filter(None, hints), "")
        raise UsageError(f"No such option: {whole.partition('=')[0]}", remedy=remedy) from None


def _hint(option: str, own: Collection[str], others: Mapping[str, Collection[str]]) -> str:
    name = option.lstrip("-")
    meant = _meant(name)
    # The same name, spelled in another way, comes first: --userCol is --user-col.
    for options in (_spelled_as(name, own), [one for one in meant if one in own]):
        if options:
            return f"did you mean {options[0]}?"
    if advice := _advice(name, _ADVICE):
        return advice
    for command in sorted(others, key=lambda one: one not in _COMMON):
        theirs = others[command]
        for one in [*_spelled_as(name, theirs), *meant]:
            if one in theirs:
                return f"did you mean {one} of mfcli {command}?"
    close = closest(name, own)
    return f"did you mean {close}?" if close else ""


def _meant(name: str) -> list[str]:
    """Return our options that may be meant by a name of another program."""
    setting = meant_setting(name)
    return [*([option_of(setting)] if setting else []), *_MEANT.get(plain_name(name), [])]


def _spelled_as(name: str, options: Collection[str]) -> list[str]:
    return [one for one in options if plain_name(one) == plain_name(name)]


def _advice(name: str, advices: Mapping[str, str]) -> str:
    for advice, names in advices.items():
        if plain_name(name) in map(plain_name, names.split()):
            return advice
    return ""

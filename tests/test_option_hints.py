"""Options that do not exist get a hint: misspelled ones, and those of other programs."""

from __future__ import annotations

from pathlib import Path

import pytest
from conftest import Run
from typer.main import get_command

from mfcli.cli import app
from mfcli.cli.main import _options
from mfcli.cli.option_hints import _ADVICE, _OF_COMMAND, _SYNONYMS
from mfcli.config import SETTINGS, closest, meant_setting, plain_name
from mfcli.config.synonyms import _SYNONYMS as SETTING_SYNONYMS
from mfcli.errors import ConfigError
from mfcli.search import read_space

HINTS = {
    # Keras
    "train --learning-rate 0.1": "did you mean --lr?",
    "train --optimiser sgd": "did you mean --optimizer?",
    "train --validation-split 0.1": "did you mean --valid of mfcli split?",
    "train --embedding_dim=8": "did you mean --k?",
    # Surprise
    "train --n_factors 10": "did you mean --k?",
    "train --n_epochs 10": "did you mean --epochs?",
    "train --lr_all 0.1": "did you mean --lr?",
    "train --reg_all 0.1": "did you mean --reg?",
    "train --reg-qi 0.1": "did you mean --reg-item?",
    "split --test_size 0.1": "did you mean --test?",
    "split --n-folds 3": "did you mean --folds?",
    # implicit
    "train --factors 10": "did you mean --k?",
    "train --regularization 0.1": "did you mean --reg?",
    "train --iterations 10": "did you mean --epochs?",
    "train --num_threads 2": "did you mean --threads?",
    "recommend --filter-already-liked-items": "did you mean --exclude?",
    # LIBMF
    "train -k 10": "did you mean --k?",
    "train -k10": "did you mean --k?",
    "train -t 10": "did you mean --epochs?",
    "train -r 0.1": "did you mean --lr?",
    "train -l2 0.1": "did you mean --reg?",
    "train -s 2": "did you mean --threads?",
    # LensKit
    "train --features 10": "did you mean --k?",
    "train --lrate 0.1": "did you mean --lr?",
    "train --rng-spec 3": "did you mean --seed?",
    # scikit-learn
    "train --n-components 10": "did you mean --k?",
    "train --max-iter 10": "did you mean --epochs?",
    "train --random-state 3": "did you mean --seed?",
    "train --n-jobs 2": "did you mean --threads?",
    "tune --n-iter 10": "did you mean --trials?",
    # Spark
    "train --rank 10": "did you mean --k?",
    "train --maxIter 10": "did you mean --epochs?",
    "train --regParam 0.1": "did you mean --reg?",
    "train --lambda 0.1": "did you mean --reg?",
    "train --numUserBlocks 10": "did you mean --blocks?",
    "split --userCol who": "did you mean --user-col?",
    # Optuna
    "tune --n-trials 10": "did you mean --trials?",
    "tune --max-concurrent-trials 4": "did you mean --parallel-trials?",
    "tune --timeout 10": "did you mean --minutes?",
    # Keras, PyTorch, tail
    "train --log_dir tb": "did you mean --tensorboard?",
    "train --log-file train.jsonl": "did you mean --log?",
    "plot --tail": "did you mean --follow?",
    # other commands, other spellings, misspellings, and what needs no option
    "recommend --filter-seen": "did you mean --exclude?",
    "recommend --top-k 10": "did you mean --n?",
    "evaluate --top-k 10": "did you mean --at?",
    "split --k 10": "did you mean --k of mfcli train?",
    "--k 10 train": "did you mean --k of mfcli train?",
    "train --batch_size=3": "did you mean --batch-size?",
    "train --Lr 0.1": "did you mean --lr?",
    "train -lr 0.1": "did you mean --lr?",
    "train --optmizer sgd": "did you mean --optimizer?",
    "predict --output p.csv": "did you mean --out?",
    "split --input data.csv": "files are named without an option, as in: mfcli split data.csv",
    "train --overwrite": "results of mfcli are replaced without an option",
    "split --sep ,": "separators are detected",
    "train --silent": "did you mean --quiet?",
    "compare --quiet": "this command shows no progress",
    "init -q": "this command shows no progress",
    "similar --item 3": "name the item without an option, as in: mfcli similar ID",
    "similar --user 3": "name the user without an option, as in: mfcli similar ID --users",
}


@pytest.mark.parametrize("words", HINTS)
def test_unknown_options_get_a_hint(run: Run, words: str) -> None:
    option = next(word for word in words.split() if word.startswith("-")).partition("=")[0]
    done = run(*words.split())
    assert (done.code, done.out) == (2, "")
    assert done.err == f"error: No such option: {option}; {HINTS[words]}\n"


def test_what_resembles_nothing_gets_no_hint(run: Run) -> None:
    assert run("train", "--qwxyz").err == "error: No such option: --qwxyz\n"
    assert run("train", "--k").err == "error: Option '--k' requires an argument.\n"
    assert closest("nonsense", ["nesterov", "noise"]) is None


def test_hints_name_options_that_exist() -> None:
    commands = get_command(app).commands  # type: ignore[attr-defined]  # a group has commands
    options = {option for command in commands.values() for option in _options(command)}
    assert set(_SYNONYMS) <= options
    assert set(SETTING_SYNONYMS) <= set(SETTINGS)
    silent = {name for name, command in commands.items() if "--quiet" not in _options(command)}
    without_progress = "this command shows no progress"
    assert {name for name, known in _OF_COMMAND.items() if without_progress in known} == silent
    assert {*_OF_COMMAND} <= {*commands}
    special = [names for advices in _OF_COMMAND.values() for names in advices.values()]
    for names in (*_SYNONYMS.values(), *SETTING_SYNONYMS.values(), *_ADVICE.values(), *special):
        words = [plain_name(name) for name in names.split()]
        assert len(set(words)) == len(words)


def test_settings_files_get_the_same_hints(run: Run) -> None:
    Path("mfcli.toml").write_text("learning_rate = 0.1\n")
    assert run("train").err == (
        "error: mfcli.toml: unknown key 'learning_rate'; did you mean 'lr'?\n"
    )
    Path("space.toml").write_text("n_factors = [2, 4]\n")
    with pytest.raises(ConfigError, match=r"unknown setting 'n_factors'; did you mean 'k'\?"):
        read_space(Path("space.toml"))
    assert meant_setting("maxIter") == "epochs"
    assert meant_setting("k") is None

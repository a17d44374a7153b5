"""Settings as environment variables: between the settings file and the options."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

import pytest
from conftest import Outcome, Run
from planted import planted_ratings

from mfcli.config import SETTINGS, Config, read_environment, value_text, variable_of
from mfcli.errors import ConfigError, MfcliWarning
from mfcli.splits import split, write_split
from mfcli.training import read_checkpoint


@pytest.fixture
def work(run: Run) -> Run:
    """Run commands in a folder with a small split."""
    ratings, _ = planted_ratings()
    write_split(Path("split"), split(ratings, Config()))
    return run


@pytest.fixture
def set_variable(monkeypatch: pytest.MonkeyPatch) -> Any:
    return monkeypatch.setenv


def trained(outcome: Outcome) -> dict[str, Any]:
    assert outcome.code == 0, outcome.err
    config: dict[str, Any] = json.loads(outcome.out)["config"]
    return config


def other_value(name: str) -> Any:
    """Return an allowed value of a setting that is not its default."""
    known = SETTINGS[name]
    if known.rule.choices:
        return next(word for word in known.rule.choices if word != known.default)
    special: dict[str, Any] = {"encoding": "cp1252", "cut": "2015-01-01", "half_life": "365d"}
    if name in special:
        return special[name]
    if known.type is bool:
        return not known.default
    if known.type is float:
        return 0.5
    return (known.default or 1) + 1


@pytest.mark.parametrize("name", SETTINGS)
def test_every_setting_has_a_variable(name: str) -> None:
    value = other_value(name)
    assert read_environment({f"MFCLI_{name.upper()}": value_text(value)}) == {name: value}
    assert read_environment({variable_of(name): ""}) == {}


@pytest.mark.parametrize("text", ["1", "true", "TRUE", "Yes", "on", " on "])
def test_words_for_true(text: str) -> None:
    assert read_environment({"MFCLI_NESTEROV": text}) == {"nesterov": True}


@pytest.mark.parametrize("text", ["0", "false", "False", "NO", "off"])
def test_words_for_false(text: str) -> None:
    assert read_environment({"MFCLI_CLIP": text}) == {"clip": False}


def test_lists_and_none() -> None:
    variables = {"MFCLI_AT": "10,20", "MFCLI_PATIENCE": "None", "MFCLI_K": "7", "OTHER_K": "3"}
    assert read_environment(variables) == {"at": (10, 20), "patience": None, "k": 7}


@pytest.mark.parametrize(
    ("variable", "text", "message"),
    [
        ("MFCLI_K", "0", "MFCLI_K must be at least 1, got 0"),
        ("MFCLI_K", "ten", "MFCLI_K must be a whole number, got 'ten'"),
        ("MFCLI_CLIP", "maybe", "MFCLI_CLIP must be true or false, got 'maybe'"),
        ("MFCLI_OPTIMIZER", "x\n", r"MFCLI_OPTIMIZER must be sgd, adam, als or gibbs, got 'x\n'"),
        ("MFCLI_HALF_LIFE", "5", "MFCLI_HALF_LIFE must be a duration above 0 such as 365d (units s,"
         " h, d, w and y), got '5'"),
    ],
)  # fmt: skip
def test_errors_name_the_variable(variable: str, text: str, message: str) -> None:
    with pytest.raises(ConfigError) as caught:
        read_environment({variable: text})
    assert str(caught.value) == message


@pytest.mark.parametrize(
    ("variable", "meant"),
    [("MFCLI_EPOCH", "MFCLI_EPOCHS"), ("MFCLI_k", "MFCLI_K"), ("MFCLI_LEARNING_RATE", "MFCLI_LR")],
)
def test_misspelled_variables_are_errors(variable: str, meant: str) -> None:
    with pytest.raises(ConfigError) as caught:
        read_environment({variable: "3"})
    assert str(caught.value) == f"unknown environment variable {variable}; did you mean {meant}?"


def test_other_variables_get_a_warning() -> None:
    with pytest.warns(MfcliWarning) as caught:
        assert read_environment({"MFCLI_HOME": "/data", "MFCLI_OUT": "x"}, ["out"]) == {}
    assert [str(one.message) for one in caught] == [
        "MFCLI_HOME is not a setting, so it is ignored; remove or rename it",
        "MFCLI_OUT is not a setting, so it is ignored; use out",
    ]


def test_variables_of_kubernetes_are_silent() -> None:
    """A service that is called mfcli sets these in every container; warnings are errors here."""
    names = ["SERVICE_HOST", "SERVICE_PORT", "SERVICE_PORT_HTTP", "PORT", "PORT_8000_TCP",
             "PORT_8000_TCP_ADDR", "API_SERVICE_HOST", "API_PORT"]  # fmt: skip
    assert read_environment({f"MFCLI_{name}": "tcp://10.0.0.1:8000" for name in names}) == {}


def test_options_override_variables_and_these_the_file(work: Run, set_variable: Any) -> None:
    Path("mfcli.toml").write_text("k = 2\nepochs = 2\nlr = 0.02\n")
    set_variable("MFCLI_K", "3")
    set_variable("MFCLI_EPOCHS", "3")
    config = trained(work("train", "--epochs", "1", "--json", "-q"))
    assert (config["lr"], config["k"], config["epochs"]) == (0.02, 3, 1)


def test_wrong_values_have_the_status_of_files(run: Run, set_variable: Any) -> None:
    set_variable("MFCLI_K", "-1")
    assert run("train") == (1, "", "error: MFCLI_K must be at least 1, got -1\n")


def test_contradictions_name_the_variables(work: Run, set_variable: Any) -> None:
    set_variable("MFCLI_NESTEROV", "on")
    set_variable("MFCLI_OPTIMIZER", "adam")
    message = (
        "error: MFCLI_NESTEROV is not used with MFCLI_OPTIMIZER=adam; omit it, or change"
        " MFCLI_OPTIMIZER\n"
    )
    assert work("train") == (1, "", message)
    assert work("train", "--k", "3") == (2, "", message)  # an option may be at fault
    assert work("train", "--optimizer", "sgd", "--epochs", "1", "-q").code == 0
    Path("mfcli.toml").write_text('optimizer = "adam"\n')
    assert "MFCLI" not in work("train", "--optimizer", "als", "--nesterov").err


def test_variables_that_a_command_does_not_use_do_not_disturb_it(
    work: Run, set_variable: Any
) -> None:
    """Alone, keep_samples contradicts the default optimizer; evaluate uses neither."""
    set_variable("MFCLI_KEEP_SAMPLES", "2")
    training = work("train", "--optimizer", "gibbs", "--k", "2", "--epochs", "4", "-q")
    assert training.code == 0, training.err
    assert work("evaluate", "--resamples", "0", "-q").code == 0
    assert "MFCLI_KEEP_SAMPLES is not used" in work("train").err


def test_variables_that_no_option_stands_for_are_ignored(work: Run, set_variable: Any) -> None:
    set_variable("MFCLI_PROTOCOL", "leave-last-out")
    assert "protocol" not in trained(work("train", "--epochs", "1", "--json", "-q"))


def test_a_resumed_training_has_the_settings_of_its_checkpoint(
    work: Run, set_variable: Any
) -> None:
    """Whether they came from variables, options or the file; differences are named."""
    Path("mfcli.toml").write_text("k = 2\n")
    set_variable("MFCLI_K", "3")
    set_variable("MFCLI_EPOCHS", "2")
    assert work("train", "-q").code == 0
    set_variable("MFCLI_EPOCHS", "9")
    outcome = work("train", "--resume", "--json")
    assert trained(outcome)["epochs"] == 2
    assert read_checkpoint(Path("checkpoint")).config.k == 3
    assert outcome.err.count("MFCLI_") == 1
    assert "note: MFCLI_EPOCHS=9 is not used: the checkpoint has epochs 2" in outcome.err
    assert trained(work("train", "--resume", "--epochs", "4", "--json", "-q"))["epochs"] == 4


def test_a_written_file_that_variables_override_gets_a_note(work: Run, set_variable: Any) -> None:
    set_variable("MFCLI_K", "3")
    outcome = work("init")
    assert outcome.err == ("note: the environment variable MFCLI_K overrides k in mfcli.toml\n")


def test_split_and_tune_read_variables(run: Run, set_variable: Any) -> None:
    ratings, _ = planted_ratings()
    rows = zip(ratings.user, ratings.item, ratings.rating, strict=True)
    Path("data.csv").write_text(
        "user,item,rating\n" + "".join(f"{u},{i},{r}\n" for u, i, r in rows)
    )
    set_variable("MFCLI_TEST", "0.5")
    made = json.loads(run("split", "data.csv", "--json", "-q").out)["ratings"]
    assert made["test"] == round(made["all"] / 2)
    set_variable("MFCLI_OPTIMIZER", "als")  # as in a file, it may be for another purpose
    set_variable("MFCLI_VALID", "0.5")
    plan = run("tune", "--dry-run", "--trials", "2")
    assert plan.code == 0, plan.err
    assert f"validating on {round(made['train'] / 2):,} of" in plan.err


def test_python_does_not_read_variables(set_variable: Any) -> None:
    set_variable("MFCLI_K", "3")
    assert Config().k == 10
    assert os.environ["MFCLI_K"] == "3"

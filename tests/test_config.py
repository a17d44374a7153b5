"""Settings: defaults once, rules everywhere."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from mfcli.config import (
    SETTINGS,
    Chosen,
    Config,
    read_config,
    read_settings,
    settings_text,
    value_text,
)
from mfcli.errors import ConfigError


def test_defaults_are_the_notebooks() -> None:
    config = Config()
    assert (config.k, config.common_reg, config.epochs, config.batch_size) == (10, 0.0, 15, 128)
    assert (config.lr, config.momentum, config.test, config.valid) == (0.08, 0.9, 0.2, 0.0)


def test_every_setting_has_help_and_a_default_within_its_rule() -> None:
    for name, setting in SETTINGS.items():
        assert setting.help.endswith("."), name
        assert setting.checked(setting.default) == setting.default, name
        assert setting.default is not None or setting.unset, name


@pytest.mark.parametrize(
    ("name", "value", "message"),
    [
        ("k", 0, "k must be at least 1, got 0"),
        ("k", 1.5, "k must be a whole number, got 1.5"),
        ("k", True, "k must be a whole number, got True"),
        ("lr", float("nan"), "lr must be above 0 and at most 1e+06, got nan"),
        ("lr", 0.0, "lr must be above 0 and at most 1e+06, got 0.0"),
        ("momentum", 1.0, "momentum must be at least 0 and below 1, got 1.0"),
        ("reg", float("inf"), "reg must be at least 0 and at most 1e+06, got inf"),
        ("test", 1.2, "test must be at least 0 and below 1, got 1.2"),
        ("clip", 1, "clip must be true or false, got 1"),
        ("optimizer", "rmsprop", "optimizer must be sgd, adam, als or gibbs, got 'rmsprop'"),
        ("seed", "x", "seed must be a whole number, got 'x'"),
        ("seed", 1 << 128, f"seed must have at most 128 bits, got {1 << 128}"),
        ("lr", -(10**400), f"lr must have at most 128 bits, got -{10**400}"),
    ],
)
def test_a_broken_rule_is_named(name: str, value: object, message: str) -> None:
    with pytest.raises(ConfigError) as caught:
        Config(**{name: value})  # type: ignore[arg-type]
    assert str(caught.value) == message


@pytest.mark.parametrize(
    ("at", "cutoffs"),
    [(20, (20,)), ([20], (20,)), ((20, 5, 20), (20, 5)), (np.array([5, 50]), (5, 50))],
)
def test_there_may_be_several_cutoffs(at: Any, cutoffs: tuple[int, ...], tmp_path: Path) -> None:
    """In their order and once each; one is a number, as it was before there could be several."""
    config = Config(at=at)
    assert config.cutoffs == cutoffs
    assert config.at == (cutoffs if len(cutoffs) > 1 else cutoffs[0])
    text = ",".join(map(str, cutoffs))
    assert SETTINGS["at"].parsed(text) == SETTINGS["at"].parsed(text.replace(",", " , "))
    assert value_text(SETTINGS["at"].parsed(text)) == text
    file = tmp_path / "mfcli.toml"
    file.write_text(settings_text("Cutoffs.", [Chosen("at", config.at)]))
    assert read_config(file) == config


@pytest.mark.parametrize(
    ("at", "message"),
    [
        ([], "at must have at least one value"),
        ([10, 0], "at must be at least 1 and at most 1000, got 0"),
        ([10, "x"], "at must be a whole number or a list of them, got 'x'"),
        ("10,20", "at must be a whole number or a list of them, got '10,20'"),
    ],
)
def test_each_cutoff_follows_the_rule(at: Any, message: str) -> None:
    with pytest.raises(ConfigError) as caught:
        Config(at=at)
    assert str(caught.value) == message
    with pytest.raises(ConfigError, match="k must be a whole number, got"):
        Config(k=[1, 2])  # type: ignore[arg-type]  # other settings have one value


def test_shares_must_leave_training_ratings() -> None:
    with pytest.raises(ConfigError, match=r"0\.6 \+ 0\.4 is not below 1"):
        Config(test=0.6, valid=0.4)
    # These strategies do not use `test`.
    for settings in ({"strategy": "k-fold"}, {"strategy": "temporal", "cut": "2015-01-01"}):
        assert Config(**settings, valid=0.85).valid == 0.85  # type: ignore[arg-type]  # any settings


def test_nesterov_belongs_to_sgd() -> None:
    with pytest.raises(ConfigError, match=r"nesterov is not used with optimizer='adam'"):
        Config(nesterov=True, optimizer="adam")


def test_a_file_gives_settings(tmp_path: Path) -> None:
    path = tmp_path / "mfcli.toml"
    path.write_text('k = 20\nlr = 1\noptimizer = "adam"\n')
    assert read_config(path) == Config(k=20, lr=1.0, optimizer="adam")
    path.write_text('strategy = "temporal"\ncut = 2015-01-31\n')  # a date, not a text
    assert read_config(path) == Config(strategy="temporal", cut="2015-01-31")


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("kk = 3", "mfcli.toml: unknown key 'kk'; did you mean 'k'?"),
        ("zzz = 3", "mfcli.toml: unknown key 'zzz'; the keys are decimal, duplicates"),
        ('k = "3"', "mfcli.toml: k must be a whole number, got '3'"),
        ("test = 0.7\nvalid = 0.3", "mfcli.toml: test and valid must leave ratings to train on"),
        ("k = ", "mfcli.toml: is not valid TOML: "),
        (f"k = {'9' * 5000}", "mfcli.toml: is not valid TOML: "),
        (f"k = {'[' * 5000}", "mfcli.toml: is not valid TOML: "),
        (
            f"k = 0x{'f' * 5000}",
            "mfcli.toml: k must have at most 128 bits, got an integer with too many digits",
        ),
        (
            f"cut = [0x{'f' * 5000}]",
            "mfcli.toml: cut must be text, got an integer with too many digits",
        ),
        ("[k]\na = 1", "mfcli.toml: k must be a whole number, got {'a': 1}"),
    ],
)
def test_a_bad_file_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, text: str, message: str
) -> None:
    monkeypatch.chdir(tmp_path)
    path = Path("mfcli.toml")
    path.write_text(text)
    with pytest.raises(ConfigError) as caught:
        read_settings(path)
    assert str(caught.value).startswith(message)


def test_a_missing_file_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="cannot be read: No such file"):
        read_settings(tmp_path / "none.toml")


def test_none_is_the_word_for_settings_that_can_be_none() -> None:
    assert SETTINGS["patience"].parsed("none") is None
    assert SETTINGS["patience"].parsed("3") == 3
    assert SETTINGS["reg_user"].parsed("1e-3") == 0.001
    with pytest.raises(ConfigError, match="k must be a whole number, got 'none'"):
        SETTINGS["k"].parsed("none")


@pytest.mark.parametrize(
    ("settings", "unused"),
    [
        ({}, {"prior", "noise", "lr_end", "lr_every", "momentum_end", "min_delta"}),
        ({"optimizer": "gibbs"}, {"lr", "reg", "reg_scope", "nesterov", "blocks", "warmup"}),
        ({"optimizer": "adam"}, {"nesterov", "prior", "noise"}),
        ({"lr_schedule": "cosine"}, {"momentum_end", "stop_on_test"}),
        ({"patience": 2}, {"lr_end", "prior"}),
    ],
)
def test_training_uses_the_settings_that_have_an_effect(
    settings: dict[str, Any], unused: set[str]
) -> None:
    used = Config(**settings).used("training")
    assert not unused & set(used)
    assert {"k", "optimizer", "ensemble", "epochs", "engine", "seed"} <= set(used)
    assert Config(**used).used("training") == used


def test_settings_are_used_if_others_make_them_matter() -> None:
    assert {"lr_end", "lr_every"} <= set(Config(lr_schedule="step").used("training"))
    assert "lr_every" in Config(warmup=1).used("training")
    assert {"min_delta", "stop_on_test"} <= set(Config(patience=1).used("training"))
    all_tables = dict.fromkeys(("reg_user", "reg_item", "reg_user_bias", "reg_item_bias"), 0.1)
    assert "reg" not in Config(**all_tables).used("training")
    assert "reg" in Config(reg_user=0.1).used("training")
    assert "test" not in Config(strategy="k-fold").used("split")
    assert "test" not in Config(strategy="temporal", cut="2015-01-01").used("split")
    assert "folds" in Config(strategy="k-fold").used("split")
    assert Config(optimizer="gibbs").used("training")["average"] == 0.9


def test_values_without_effect_are_refused_only_if_they_contradict() -> None:
    assert Config(optimizer="gibbs", lr=0.5, lr_schedule="step", lr_end=0.5).lr_end == 0.5
    for settings in ({"lr_end": 0.5}, {"lr_every": "step"}, {"momentum_end": 0.5}):
        with pytest.raises(ConfigError, match="is not used with"):
            Config(**settings)  # type: ignore[arg-type]


def test_numbers_of_numpy_are_numbers() -> None:
    config = Config(k=np.int64(3), lr=np.float64(0.5), clip=np.bool_(False), seed=np.uint8(7))
    assert config == Config(k=3, lr=0.5, clip=False, seed=7)
    assert [type(value) for value in (config.k, config.lr, config.clip)] == [int, float, bool]
    for wrong in (np.float64(3), np.array([3]), np.str_("3")):
        with pytest.raises(ConfigError, match="k must be a whole number, got "):
            Config(k=wrong)

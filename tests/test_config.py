"""Settings: defaults once, rules everywhere."""

from pathlib import Path

import pytest

from mfcli.config import SETTINGS, Config, read_config, read_settings
from mfcli.errors import ConfigError


def test_defaults_are_the_notebooks() -> None:
    config = Config()
    assert (config.k, config.reg, config.epochs, config.batch_size) == (10, 0.0, 15, 128)
    assert (config.lr, config.momentum, config.test, config.valid) == (0.08, 0.9, 0.2, 0.0)


def test_every_setting_has_help_and_a_default_within_its_rule() -> None:
    for name, setting in SETTINGS.items():
        assert setting.help.endswith("."), name
        assert setting.rule.allows(setting.default), name


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
        ("test", 1.2, "test must be above 0 and below 1, got 1.2"),
        ("clip", 1, "clip must be true or false, got 1"),
        ("optimizer", "rmsprop", "optimizer must be sgd or adam or gibbs, got 'rmsprop'"),
        ("seed", "x", "seed must be a whole number, got 'x'"),
        ("seed", 1 << 128, f"seed must have at most 128 bits, got {1 << 128}"),
        ("lr", -(10**400), f"lr must have at most 128 bits, got -{10**400}"),
    ],
)
def test_a_broken_rule_is_named(name: str, value: object, message: str) -> None:
    with pytest.raises(ConfigError) as caught:
        Config(**{name: value})  # type: ignore[arg-type]
    assert str(caught.value) == message


def test_shares_must_leave_training_ratings() -> None:
    with pytest.raises(ConfigError, match=r"0\.6 \+ 0\.4 is not below 1"):
        Config(test=0.6, valid=0.4)


def test_nesterov_belongs_to_sgd() -> None:
    with pytest.raises(ConfigError, match="nesterov belongs to optimizer sgd"):
        Config(nesterov=True, optimizer="adam")


def test_a_file_gives_settings(tmp_path: Path) -> None:
    path = tmp_path / "mfcli.toml"
    path.write_text('k = 20\nlr = 1\noptimizer = "adam"\n')
    assert read_config(path) == Config(k=20, lr=1.0, optimizer="adam")


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("kk = 3", "mfcli.toml: unknown key 'kk'; did you mean 'k'?"),
        ("zzz = 3", "mfcli.toml: unknown key 'zzz'; the keys are k, reg, reg_user"),
        ('k = "3"', "mfcli.toml: k must be a whole number, got '3'"),
        ("test = 0.7\nvalid = 0.3", "mfcli.toml: test and valid must leave ratings to train on"),
        ("k = ", "mfcli.toml: is not valid TOML: "),
        (f"k = {'9' * 5000}", "mfcli.toml: is not valid TOML: "),
        (f"k = {'[' * 5000}", "mfcli.toml: is not valid TOML: "),
        (f"k = 0x{'f' * 5000}", "mfcli.toml: k must have at most 128 bits, got an endless number"),
        (f"cut = [0x{'f' * 5000}]", "mfcli.toml: cut must be text, got an endless number"),
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

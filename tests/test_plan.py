"""The engine and the blocks follow from the data and the settings alone."""

from __future__ import annotations

import pytest
from planted import long_tailed, planted_split

from mfcli.aligned import lanes_of
from mfcli.config import Config
from mfcli.errors import ConfigError
from mfcli.training import make_plan, plan, training_memory
from mfcli.training.normal_equations import products
from mfcli.training.plan import default_groups


def test_plans_name_their_reason() -> None:
    train = planted_split(Config()).train
    assert make_plan(train, Config()).engine == "fast"
    assert make_plan(train, Config(blocks=2)).groups == 2
    adam = make_plan(train, Config(optimizer="adam"))
    assert (adam.engine, adam.groups) == ("keras", 1)
    assert "adam has no closed form" in adam.reason
    assert make_plan(train, Config(engine="keras")).reason.startswith("engine keras (as requested)")
    slow = {"reg": 0.1, "lr_schedule": "cosine", "lr_every": "step"}
    for settings, words in (
        (slow, "a learning rate that changes at every step has no closed form with a penalty"),
        ({"reg": 0.1, "reg_user": 0.2}, "whole tables have different penalties"),
    ):
        plan = make_plan(train, Config(**settings))
        assert plan.engine == "keras"
        assert words in plan.reason
        with pytest.raises(ConfigError, match=f"engine fast cannot train this: {words}"):
            make_plan(train, Config(**settings, engine="fast"))
        assert make_plan(train, Config(**settings, reg_scope="rating")).engine == "fast"
    with pytest.raises(ConfigError, match=r"engine must be keras or auto .* got 'fast'"):
        Config(engine="fast", optimizer="adam")


def test_default_groups_depend_on_the_data_alone() -> None:
    train = long_tailed(200_000, 1000, 1000)
    assert default_groups(train, 128, 128) == 1
    assert default_groups(train, 1 << 13, 32) == 8
    assert default_groups(train, 1 << 13, 128) == 4  # more blocks would have too few batches


def test_memory_grows_with_the_square_of_the_factors() -> None:
    """Each thread has a matrix of all factors, and so has each piece of the rows."""
    train = planted_split(Config()).train
    for optimizer in ("als", "gibbs"):
        config = Config(optimizer=optimizer, k=100_000, reg=0.1 if optimizer == "als" else None)
        memory = training_memory(make_plan(train, config), len(train), 100, config)
        assert memory["tables"] > 2 * 8 * config.k**2
    config = Config(optimizer="als", k=1000)
    few, many = (training_memory(make_plan(train, config), 1, n, config) for n in (1, 8192 * 9 + 1))
    rows = (4 * plan._ROWS_KEPT * lanes_of(1001) + plan._ROW_NUMBERS) * 8192 * 9
    assert many["tables"] - few["tables"] - rows == 9 * 8 * lanes_of(1001) ** 2
    assert products._ROWS == plan._SUMMED_ROWS


def test_memory_holds_the_weights_of_ratings() -> None:
    made, config = make_plan(planted_split(Config()).train, Config()), Config(optimizer="als")
    sizes = [training_memory(made, 10, 5, config, weighted=w)["records"] for w in (False, True)]
    assert sizes[1] - sizes[0] == 2 * 4 * 10

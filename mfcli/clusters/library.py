"""The library Ray, which is an extra of the installation."""

from __future__ import annotations

import functools
import logging
import os
from collections.abc import Mapping
from typing import Any

from mfcli.errors import UsageError


@functools.cache
def ray() -> Any:
    """Return the module `ray`; its import changes nothing else.

    Raises
    ------
    UsageError
        If it is not installed.
    """
    logger, variables = logging.getLogger("ray"), dict(os.environ)
    level = logger.level
    try:
        import ray
    except ImportError as error:
        rule = f"a cluster needs Ray, which cannot be loaded: {error}"
        raise UsageError(rule, remedy='pip install "mfcli[ray]"') from None
    finally:
        logger.setLevel(level)
        forget_variables(variables)
    return ray


def forget_variables(before: Mapping[str, str]) -> None:
    """Remove the variables of the environment that Ray has added."""
    for name in {*os.environ} - {*before}:
        if name.startswith("RAY_"):
            del os.environ[name]


def exceptions() -> Any:
    """Return the module of Ray's exceptions."""
    ray()
    from ray import exceptions

    return exceptions


def is_connected() -> bool:
    """Return whether this process is connected; otherwise most calls of Ray start a cluster."""
    return bool(ray().is_initialized())


def on_node(node: str, *, soft: bool) -> Any:
    """Return the strategy that runs something on a node, or elsewhere if `soft` and it is lost."""
    ray()
    from ray.util.scheduling_strategies import NodeAffinitySchedulingStrategy

    return NodeAffinitySchedulingStrategy(node, soft=soft)

"""Commands that are built when they are looked up."""

from __future__ import annotations

import functools
from collections.abc import Callable, Collection, Iterator, Mapping
from typing import Any


class BuiltCommands(Mapping[str, Any]):
    """The commands of a group by name.

    Building a command from its options takes milliseconds. A run needs one command, and the list of
    commands in help needs none.

    Parameters
    ----------
    names : collection of str
    build : callable
        Builds the command with a name; called once for each.
    """

    def __init__(self, names: Collection[str], build: Callable[[str], Any]) -> None:
        self._names, self._build = names, functools.cache(build)

    def __getitem__(self, name: str) -> Any:
        if name not in self._names:
            raise KeyError(name)
        return self._build(name)

    def __contains__(self, name: object) -> bool:
        return name in self._names

    def __iter__(self) -> Iterator[str]:
        return iter(self._names)

    def __len__(self) -> int:
        return len(self._names)

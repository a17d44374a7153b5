"""How to read files of users, items and pairs that the model should know."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field


@dataclass(frozen=True)
class ListReading:
    """How to read a list.

    Attributes
    ----------
    encoding : str
    columns : mapping of str
        Names of the columns "user" and "item"; positions from 1 without a header.
    names : mapping of str
        Names of these columns in the ratings, which are looked for first.
    strict : bool
        Whether an unknown id is an error. Otherwise it is skipped, and a warning counts it.
    skip : bool
        Whether invalid rows of pairs are skipped, and a warning counts them.
    """

    encoding: str = "utf-8"
    columns: Mapping[str, str] = field(default_factory=dict)
    names: Mapping[str, str] = field(default_factory=dict)
    strict: bool = False
    skip: bool = False


DEFAULT = ListReading()

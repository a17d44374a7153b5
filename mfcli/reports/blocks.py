"""What sections of a report are made of: plain values, which templates only lay out."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import ClassVar, TypeAlias

from mfcli.pages import Chart


@dataclass(frozen=True)
class Paragraph:
    """A few sentences."""

    text: str
    kind: ClassVar[str] = "paragraph"


@dataclass(frozen=True)
class Heading:
    """The heading of a part of a section."""

    text: str
    kind: ClassVar[str] = "heading"


@dataclass(frozen=True)
class Missing:
    """What a report lacks, in one line, and the command that makes it (or nothing)."""

    text: str
    command: str = ""
    kind: ClassVar[str] = "missing"


@dataclass(frozen=True)
class Notice:
    """Something to take care of."""

    text: str
    kind: ClassVar[str] = "notice"


@dataclass(frozen=True)
class Facts:
    """Labels with values."""

    rows: Sequence[tuple[str, str]]
    kind: ClassVar[str] = "facts"


@dataclass(frozen=True)
class Row:
    """A row of a table.

    Attributes
    ----------
    label : str
    cells : sequence of str
    note : str
        What the label means.
    strong : collection of int
        Positions of the cells that stand out.
    differs : bool
        Whether the row is marked, because its cells differ.
    """

    label: str
    cells: Sequence[str]
    note: str = ""
    strong: Sequence[int] = ()
    differs: bool = False


@dataclass(frozen=True)
class Table:
    """A table with a heading for each row.

    Attributes
    ----------
    caption : str
    columns : sequence of str
        Headings, the one above the labels first.
    rows : sequence of Row
    texts : collection of int
        Positions of the cells that are text; the others are numbers, which are aligned right.
    """

    caption: str
    columns: Sequence[str]
    rows: Sequence[Row]
    texts: Sequence[int] = ()
    kind: ClassVar[str] = "table"


@dataclass(frozen=True)
class Figures:
    """Charts, beside each other if there is room."""

    charts: Sequence[Chart]
    kind: ClassVar[str] = "figures"


@dataclass(frozen=True)
class Commands:
    """Lines for a shell, to be copied together."""

    lines: Sequence[str]
    kind: ClassVar[str] = "commands"


@dataclass(frozen=True)
class KeyNumber:
    """The main number of a run.

    Attributes
    ----------
    label, value : str
    details : sequence of str
        Its interval, and what to compare it with.
    """

    label: str
    value: str
    details: Sequence[str]


@dataclass(frozen=True)
class RunCard:
    """A run in a few words: its name, numbers and verdict."""

    name: str
    about: str
    numbers: Sequence[KeyNumber]
    verdict: str


@dataclass(frozen=True)
class ListedItem:
    """An item of a list: its name, a number and why it is there."""

    name: str
    value: str
    reason: str = ""


@dataclass(frozen=True)
class ItemList:
    """A list of items under a heading."""

    title: str
    value: str
    items: Sequence[ListedItem]


@dataclass(frozen=True)
class Lists:
    """Lists of items that belong together, such as those of one user."""

    title: str
    about: str
    lists: Sequence[ItemList]
    kind: ClassVar[str] = "lists"


Block: TypeAlias = (
    Paragraph | Heading | Missing | Notice | Facts | Table | Figures | Commands | Lists
)


@dataclass(frozen=True)
class Section:
    """A section of a report.

    Attributes
    ----------
    anchor : str
        Names the section in links.
    title : str
    lead : str
        What it shows, in plain words.
    blocks : list of Block
    """

    anchor: str
    title: str
    lead: str
    blocks: Sequence[Block] = field(default_factory=list)

    @property
    def missing(self) -> list[Missing]:
        """What the section lacks."""
        return [block for block in self.blocks if isinstance(block, Missing)]

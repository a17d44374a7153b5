"""Legends that name every run, also if there are many or their names are long."""

from __future__ import annotations

from typing import Any

from mfcli.plots.drawing import Axes, Figure

_ROW = 0.19  # inches
_COLUMN = 3.6  # inches of an entry
_LONG = 28  # characters of a name


def add_legend(target: Axes | Figure, entries: list[tuple[Any, str]], **place: Any) -> None:
    """Add a legend of lines and their texts.

    Parameters
    ----------
    target : Axes or Figure
    entries : list of (line, str)
    **place : Any
        Where it is; by default where it covers the fewest lines.
    """
    lines = [line for line, _ in entries]
    # matplotlib omits entries that begin with an underscore, so the texts are set afterwards.
    numbers = list(map(str, range(len(lines))))
    made = target.legend(lines, numbers, frameon=False, fontsize="small", handlelength=3, **place)
    for shown, (_, text) in zip(made.get_texts(), entries, strict=True):
        shown.set_text(text)


def add_legend_below(figure: Figure, entries: list[tuple[Any, str]]) -> None:
    """Add a legend of all panels below them, where it covers no line."""
    columns = _columns(figure.get_figwidth(), len(entries))
    add_legend(figure, entries, loc="outside lower center", ncols=columns)


def height_below(width: float, entries: int) -> float:
    """Return the height in inches of a legend below the panels of a figure."""
    return _ROW * -(-entries // _columns(width, entries))


def _columns(width: float, entries: int) -> int:
    return max(1, min(entries, int(width // _COLUMN)))


def shortened(names: list[str]) -> list[str]:
    """Shorten long names in the middle; names that become the same get numbers."""
    short = [_shortened(name) for name in names]
    repeated = {name for name in short if short.count(name) > 1}
    return [
        f"{name} ({number})" if name in repeated else name
        for number, name in enumerate(short, start=1)
    ]


def _shortened(name: str) -> str:
    half = (_LONG - 3) // 2
    return name if len(name) <= _LONG else f"{name[:half]}...{name[-half:]}"

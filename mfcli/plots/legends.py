"""Legends that name every run, also if there are many or their names are long."""

from __future__ import annotations

from typing import Any

from mfcli.plots.drawing import Axes, ScaledTranslation

_FEW = 6  # up to this many entries fit among the lines
_COLUMNS = 2
_ROW = 0.19  # inches
_GAP = 0.5  # inches between the axes and a legend below them
_LONG = 28  # characters of a name


class Legend:
    """The legends of the panels of a figure: among the lines, or below them if there are many.

    Parameters
    ----------
    names : list of str
        Of the runs.
    lines : int
        Entries of each run, at most.

    Attributes
    ----------
    height : float
        Inches that the legends need below the panels.
    """

    def __init__(self, names: list[str], lines: int) -> None:
        self._names = dict(zip(names, shortened(names), strict=True)) if len(names) > 1 else {}
        self._entries: dict[Axes, list[tuple[Any, str]]] = {}
        entries = lines * len(names)
        self._below = entries > _FEW
        # Rows, rounded up. The figure grows by this height, so that the panels keep theirs.
        self.height = _ROW * -(-entries // _COLUMNS) if self._below else 0.0

    def entry(self, axes: Axes, line: Any, name: str, text: str) -> None:
        """Add a line of a run; the name is omitted if there is one run."""
        words = f"{self._names.get(name, '')} {text}".strip()
        self._entries.setdefault(axes, []).append((line, words))

    def add(self, axes: Axes) -> None:
        """Add the legend of a panel, with all its entries."""
        entries = self._entries.get(axes, [])
        lines = [line for line, _ in entries]
        place = self._place(axes) if self._below else {}
        # matplotlib omits entries that begin with an underscore, so the texts are set afterwards.
        numbers = list(map(str, range(len(lines))))
        made = axes.legend(lines, numbers, frameon=False, fontsize="small", **place)
        for shown, (_, text) in zip(made.get_texts(), entries, strict=True):
            shown.set_text(text)

    @staticmethod
    def _place(axes: Axes) -> dict[str, Any]:
        """Return where the legend is: at a fixed distance below the axes and their labels."""
        down = ScaledTranslation(0, -_GAP, axes.figure.dpi_scale_trans)
        return {
            "loc": "upper center",
            "bbox_to_anchor": (0.5, 0),
            "bbox_transform": axes.transAxes + down,
            "ncols": _COLUMNS,
            "handlelength": 3,  # shows dashes between markers
        }


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

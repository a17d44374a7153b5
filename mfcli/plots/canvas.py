"""The figure that pictures are drawn on, and the file it becomes."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import matplotlib
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure

from mfcli.errors import UsageError
from mfcli.storage import replacing_file

SUFFIXES = (".png", ".svg", ".pdf")
COLOURS = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9", "#000000")


def new_figure(width: float, height: float) -> Figure:
    """Make a figure, in inches, that no window shows."""
    figure = Figure(figsize=(width, height), layout="constrained")
    FigureCanvasAgg(figure)
    return figure


def check_suffix(out: Path) -> None:
    """Refuse a picture of an unknown kind.

    Raises
    ------
    UsageError
    """
    if out.suffix.lower() not in SUFFIXES:
        raise UsageError(f"{out}: must end in {', '.join(SUFFIXES)}, got {out.suffix!r}")


def dress(axes: Axes) -> None:
    """Leave out what says nothing."""
    axes.grid(alpha=0.3)
    axes.set_axisbelow(True)
    axes.spines[["top", "right"]].set_visible(False)


def add_legend(axes: Axes) -> None:
    """Name what is drawn; names are shown as they are."""
    for text in axes.legend(frameon=False, fontsize="small").get_texts():
        text.set_parse_math(False)


def save(figure: Figure, out: Path) -> None:
    """Save without dates or random names, so that the same history gives the same bytes."""
    metadata: dict[str, dict[str, Any]] = {
        ".svg": {"Date": None},
        ".pdf": {"CreationDate": None},
    }
    suffix = out.suffix.lower()

    with matplotlib.rc_context({"svg.hashsalt": "mfcli"}), replacing_file(out) as temporary:
        figure.savefig(temporary, format=suffix[1:], dpi=150, metadata=metadata.get(suffix))

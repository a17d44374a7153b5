"""Figures and the picture files that they are saved to."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import matplotlib
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure

from mfcli.errors import UsageError
from mfcli.storage import replacing_file

SUFFIXES = (".png", ".svg", ".pdf")

_DPI = 150


def new_figure(width: float, height: float) -> Figure:
    """Create a figure, in inches, that is not shown in a window."""
    figure = Figure(figsize=(width, height), layout="constrained")
    FigureCanvasAgg(figure)
    return figure


def check_suffix(out: Path) -> None:
    """Check that a picture can be saved under a name.

    Raises
    ------
    UsageError
        If the suffix is not one of `SUFFIXES`.
    """
    if out.suffix.lower() not in SUFFIXES:
        raise UsageError(f"must end in {', '.join(SUFFIXES)}", place=out, value=out.suffix)


def save(figure: Figure, out: Path) -> None:
    """Save a figure, replacing the file atomically.

    Dates and random names are left out, so that the same figure gives the same bytes.
    """
    metadata: dict[str, dict[str, Any]] = {
        ".svg": {"Date": None},
        ".pdf": {"CreationDate": None},
    }
    suffix = out.suffix.lower()
    with matplotlib.rc_context({"svg.hashsalt": "mfcli"}), replacing_file(out) as temporary:
        figure.savefig(temporary, format=suffix[1:], dpi=_DPI, metadata=metadata.get(suffix))

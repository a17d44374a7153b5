"""Figures and the picture files that they are saved to."""

from __future__ import annotations

import numbers
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NamedTuple

from mfcli.errors import Param, UsageError
from mfcli.plots.drawing import Axes, Figure, FigureCanvasAgg, own_style
from mfcli.plots.glyphs import show_all_characters
from mfcli.plots.picture_formats import check_suffix
from mfcli.storage import replacing_file

DPI = 300  # pixels per inch that printers need

_LEAST, _MOST = 1.0, 100.0  # inches
_MOST_PIXELS = 20_000  # on a side; all of them take 1.6 GB
_NARROWEST = 2.8  # inches of a panel


class Size(NamedTuple):
    """The size of a picture in inches."""

    width: float
    height: float


@contextmanager
def picture(out: Path, size: Size, dpi: int = DPI) -> Iterator[Figure]:
    """Yield a figure to draw on, and save it.

    Dates and random names are left out of the file, so that the same figure gives the same bytes.

    Parameters
    ----------
    out : Path
        PNG, SVG or PDF by its suffix; replaced atomically.
    size : Size
    dpi : int
        Pixels per inch.

    Raises
    ------
    UsageError
        If the suffix is another one, or the size is too small or too large.
    ArtifactError
        If the file cannot be written.
    """
    check_suffix(out)
    check_size(size, dpi)
    with own_style():
        figure = Figure(figsize=size, layout="constrained")
        # Not pyplot, which keeps figures in a global list and may open windows.
        FigureCanvasAgg(figure)
        yield figure
        show_all_characters(figure)  # when all texts are set
        _save(figure, out, dpi)


def panels(figure: Figure, count: int, columns: int) -> list[Axes]:
    """Add panels in rows, with fewer columns if the figure is narrow."""
    fitting = int(figure.get_figwidth() // _NARROWEST)
    columns = max(1, min(columns, count, fitting))
    rows = -(-count // columns)
    grid: list[Axes] = figure.subplots(rows, columns, squeeze=False).ravel().tolist()
    for axes in grid[count:]:
        axes.set_axis_off()
    return grid[:count]


def check_size(size: Size, dpi: int) -> None:
    """Check that a picture can have a size.

    Raises
    ------
    UsageError
        If it is too small or too large.
    """
    if not all(_LEAST <= side <= _MOST for side in size):
        rule = f"must be {_LEAST:g} to {_MOST:g} inches wide and high"
        raise UsageError(rule, param="size", value=f"{size.width:g}x{size.height:g}")
    if isinstance(dpi, bool) or not isinstance(dpi, numbers.Real):
        raise UsageError("must be a number", param="dpi", value=dpi)
    if not 0 < max(size) * dpi <= _MOST_PIXELS:
        rule = f"must give 1 to {_MOST_PIXELS:,} pixels on each side, got {max(size) * dpi:,.0f}"
        raise UsageError(rule, param="dpi", remedy=["use a smaller ", Param("size")])


def _save(figure: Figure, out: Path, dpi: int) -> None:
    metadata: dict[str, dict[str, Any]] = {
        ".svg": {"Date": None},
        ".pdf": {"CreationDate": None},
    }
    suffix = out.suffix.lower()
    with replacing_file(out) as temporary, _checked_layout(figure):
        figure.savefig(temporary, format=suffix[1:], dpi=dpi, metadata=metadata.get(suffix))


@contextmanager
def _checked_layout(figure: Figure) -> Iterator[None]:
    """Refuse a figure whose panels do not fit into it; matplotlib only warns, and cuts them."""
    with warnings.catch_warnings():
        warnings.filterwarnings("error", message="constrained_layout not applied")
        try:
            yield
        except UserWarning:
            rule = f"is too small for {len(figure.axes)} panels"
            width, height = figure.get_size_inches().tolist()
            raise UsageError(rule, param="size", value=f"{width:.3g}x{height:.3g}") from None

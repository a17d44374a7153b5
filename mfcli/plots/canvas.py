"""Figures and the picture files that they are saved to."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from mfcli.errors import UsageError
from mfcli.plots.drawing import Figure, FigureCanvasAgg, own_style
from mfcli.plots.glyphs import show_all_characters
from mfcli.storage import replacing_file

SUFFIXES = (".png", ".svg", ".pdf")

_DPI = 150  # pixels per inch: sharp on a screen at full width


@contextmanager
def picture(out: Path, width: float, height: float) -> Iterator[Figure]:
    """Yield a figure to draw on, and save it.

    Dates and random names are left out of the file, so that the same figure gives the same bytes.

    Parameters
    ----------
    out : Path
        PNG, SVG or PDF by its suffix; replaced atomically.
    width, height : float
        In inches.

    Raises
    ------
    UsageError
        If the suffix is another one.
    ArtifactError
        If the file cannot be written.
    """
    check_suffix(out)
    with own_style():
        figure = Figure(figsize=(width, height), layout="constrained")
        # Not pyplot, which keeps figures in a global list and may open windows.
        FigureCanvasAgg(figure)
        yield figure
        show_all_characters(figure)  # when all texts are set
        _save(figure, out)


def check_suffix(out: Path) -> None:
    """Check that a picture can be saved under a name.

    Raises
    ------
    UsageError
        If the suffix is not one of `SUFFIXES`.
    """
    if out.suffix.lower() not in SUFFIXES:
        raise UsageError(f"must end in {', '.join(SUFFIXES)}", place=out, value=out.suffix)


def _save(figure: Figure, out: Path) -> None:
    metadata: dict[str, dict[str, Any]] = {
        ".svg": {"Date": None},
        ".pdf": {"CreationDate": None},
    }
    suffix = out.suffix.lower()
    with replacing_file(out) as temporary:
        figure.savefig(temporary, format=suffix[1:], dpi=_DPI, metadata=metadata.get(suffix))

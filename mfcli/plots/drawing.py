"""Import of matplotlib, unaffected by the settings files and variables of the user.

When it is imported, matplotlib reads a file of settings, in the working folder first. That file
may be invalid, or be a device that never ends. The import therefore finds no such file, and
pictures are made with matplotlib's defaults (`own_style`). To use your settings file for other
figures of the same program, import matplotlib before the pictures of mfcli.
"""

from __future__ import annotations

import logging
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

_VARIABLES = ("MATPLOTLIBRC", "MPLBACKEND")


@contextmanager
def _without_settings() -> Iterator[None]:
    """Hide the files and variables of the user while matplotlib is imported."""
    exists, logger = os.path.exists, logging.getLogger("matplotlib")
    level, variables = logger.level, {n: os.environ.pop(n) for n in _VARIABLES if n in os.environ}

    def exists_in_library(path: Any) -> bool:
        # The file in `mpl-data` comes with matplotlib; without it, the import fails.
        return exists(path) and (Path(path).name != "matplotlibrc" or "mpl-data" in str(path))

    # matplotlib offers no way to skip its search for the file.
    os.path.exists = exists_in_library
    logger.setLevel(logging.ERROR)  # it reports that it builds a cache of fonts
    try:
        yield
    finally:
        os.path.exists = exists
        logger.setLevel(level)
        os.environ.update(variables)


with _without_settings():
    import matplotlib
    from matplotlib import font_manager
    from matplotlib.axes import Axes
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure
    from matplotlib.text import Text
    from matplotlib.ticker import FuncFormatter, LogLocator, MaxNLocator, NullFormatter
    from matplotlib.transforms import ScaledTranslation

__all__ = [
    "Axes",
    "Figure",
    "FigureCanvasAgg",
    "FuncFormatter",
    "LogLocator",
    "MaxNLocator",
    "NullFormatter",
    "ScaledTranslation",
    "Text",
    "font_manager",
    "own_style",
]

STYLE: dict[str, Any] = {
    "svg.hashsalt": "mfcli",  # the same names in every file
    "svg.fonttype": "none",  # text stays text, which can be searched and edited
    "pdf.fonttype": 42,  # embedded TrueType fonts, as publishers require
    "text.parse_math": False,  # names of runs may contain dollar signs
}
"""Settings that differ from matplotlib's defaults."""


@contextmanager
def own_style() -> Iterator[None]:
    """Apply matplotlib's defaults and `STYLE`; the settings of the caller return afterwards."""
    defaults: dict[Any, Any] = dict(matplotlib.rcParamsDefault)
    for name in ("backend", "backend_fallback"):  # setting these would load a backend
        defaults.pop(name, None)
    with matplotlib.rc_context(defaults | STYLE):
        yield

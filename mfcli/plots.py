"""Pictures of training histories. The only file that imports matplotlib."""

from __future__ import annotations

import math
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from mfcli.errors import UsageError
from mfcli.files import replacing_file
from mfcli.training import History

SUFFIXES = (".png", ".svg", ".pdf")
_COLOURS = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9", "#000000")
_MSE_NAMES = ("mse", "mean_squared_error")


def plot_histories(
    histories: Mapping[str, History], out: Path, *, rmse: bool = False, title: str = ""
) -> None:
    """Draw loss and mean squared error by epoch, of training and of validation.

    Parameters
    ----------
    histories : mapping of History
        By the name of the run; each has a colour of its own.
    out : Path
        PNG, SVG or PDF by its suffix; replaced atomically.
    rmse : bool
        Draw the root of the mean squared error.
    title : str

    Raises
    ------
    UsageError
        If the suffix is none of those.
    ArtifactError
        If the file cannot be written.
    """
    check_suffix(out)
    panels = [("Loss", ("loss",)), ("RMSE" if rmse else "MSE", _MSE_NAMES)]
    panels = [panel for panel in panels if any(_series(h, panel[1]) for h in histories.values())]
    figure = Figure(figsize=(5.2 * len(panels), 4.0), layout="constrained")
    FigureCanvasAgg(figure)
    for axes, (label, names) in zip(
        figure.subplots(1, len(panels), squeeze=False)[0], panels, strict=True
    ):
        _draw(axes, histories, names, root=label == "RMSE")
        axes.set_ylabel(label)
    if title:
        figure.suptitle(title)
    _save(figure, out)


def check_suffix(out: Path) -> None:
    """Refuse a picture of an unknown kind.

    Raises
    ------
    UsageError
    """
    if out.suffix.lower() not in SUFFIXES:
        raise UsageError(f"{out}: must end in {', '.join(SUFFIXES)}, got {out.suffix!r}")


def _series(history: History, names: tuple[str, ...], prefix: str = "") -> list[float] | None:
    return next((history.lists[prefix + n] for n in names if prefix + n in history.lists), None)


def _draw(axes: Axes, histories: Mapping[str, History], names: tuple[str, ...], root: bool) -> None:
    for number, (name, history) in enumerate(histories.items()):
        colour = _COLOURS[number % len(_COLOURS)]
        label = f"{name} " if len(histories) > 1 else ""
        training, validation = _series(history, names), _series(history, names, "val_")
        if training:
            _line(axes, training, root, color=colour, linestyle="--", label=f"{label}training")
        if validation:
            _line(axes, validation, root, color=colour, label=f"{label}validation")
            _mark_best(axes, validation, root, colour)
    axes.set_xlabel("Epoch")
    axes.xaxis.set_major_locator(MaxNLocator(integer=True, min_n_ticks=1))
    axes.grid(alpha=0.3)
    axes.spines[["top", "right"]].set_visible(False)
    axes.legend(frameon=False, fontsize="small")


def _line(axes: Axes, values: list[float], root: bool, **style: Any) -> None:
    heights = [math.sqrt(max(value, 0.0)) for value in values] if root else values
    marker = "o" if len(values) == 1 else ""
    axes.plot(range(1, len(values) + 1), heights, marker=marker, linewidth=1.6, **style)


def _mark_best(axes: Axes, values: list[float], root: bool, colour: str) -> None:
    best = min(range(len(values)), key=values.__getitem__)
    height = math.sqrt(max(values[best], 0.0)) if root else values[best]
    axes.plot(best + 1, height, marker="o", markersize=7, markerfacecolor="white", color=colour)
    axes.annotate(
        f"{height:.4f}",
        (best + 1, height),
        textcoords="offset points",
        xytext=(0, -14),
        ha="center",
        fontsize="small",
        color=colour,
    )


def _save(figure: Figure, out: Path) -> None:
    """Save without dates or random names, so that the same history gives the same bytes."""
    metadata: dict[str, dict[str, Any]] = {
        ".svg": {"Date": None},
        ".pdf": {"CreationDate": None},
    }
    suffix = out.suffix.lower()
    import matplotlib

    with matplotlib.rc_context({"svg.hashsalt": "mfcli"}), replacing_file(out) as temporary:
        figure.savefig(temporary, format=suffix[1:], dpi=150, metadata=metadata.get(suffix))

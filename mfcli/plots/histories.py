"""Pictures of training histories."""

from __future__ import annotations

import itertools
import math
from collections.abc import Mapping
from pathlib import Path
from typing import Any, NamedTuple

from mfcli.errors import Param, UsageError
from mfcli.evaluation import MEASURES, RANKING, measures_of
from mfcli.plots.canvas import DPI, Size, panels, picture
from mfcli.plots.drawing import Axes, MaxNLocator
from mfcli.plots.legends import add_legend, add_legend_below, height_below, shortened
from mfcli.plots.picture_formats import check_suffix
from mfcli.plots.style import color_of, finish, marker_of, set_figure_title, set_log_scale
from mfcli.training import MSE_NAMES, History

_LOSS = "loss"
_TRAINING, _VALIDATION = "", "val_"  # prefixes of the lists in a history
_KINDS = {_TRAINING: "training", _VALIDATION: "validation"}
_WIDTH, _HEIGHT = 5.2, 4.0  # inches of a panel


def plot_histories(
    histories: Mapping[str, History],
    out: Path,
    *,
    rmse: bool = False,
    seconds: bool = False,
    title: str = "",
    size: Size | None = None,
    dpi: int = DPI,
) -> None:
    """Draw the errors on the training and validation ratings.

    A single run has a panel for its loss and one for its mean squared error. Several runs are
    compared by their mean squared errors, because losses include penalties, which differ. If a run
    is validated by rankings, it has a panel for each measure in place of the mean squared error;
    several runs are compared by the first measure that one of them has.

    Parameters
    ----------
    histories : mapping of History
        By the name of the run; each run has its color and, if there are many, its marker. Entries
        that are not finite are left out. Among several runs, one without a mean squared error is
        shown by its loss, and the legend says so.
    out : Path
        PNG, SVG or PDF by its suffix; replaced atomically.
    rmse : bool
        Draw the root of the mean squared error, and no ranking measure.
    seconds : bool
        Compare how fast the runs learn: draw only the validation errors, against the training time
        on a logarithmic scale.
    title : str
    size : Size, optional
        By default, as the number of panels and runs needs.
    dpi : int

    Raises
    ------
    UsageError
        If the suffix is another one, the size is too small or too large, or `seconds` is given but
        a history has no times.
    ArtifactError
        If the file cannot be written.
    """
    check_suffix(out)
    names = shortened(list(histories))
    runs = [
        _Run(number, *run, seconds)
        for number, run in enumerate(zip(names, histories.values(), strict=True))
    ]
    shown = _panels(runs, rmse, seconds)
    width = _WIDTH * len(shown)
    below = height_below(width, len(runs)) if len(runs) > 1 else 0.0
    with picture(out, size or Size(width, _HEIGHT + below), dpi) as figure:
        for axes, panel in zip(panels(figure, len(shown), len(shown)), shown, strict=True):
            lines = [panel.draw(axes, run) for run in runs]
            axes.set_ylabel(panel.label)
            _label_places(axes, runs, seconds)
            finish(axes)
            if len(runs) == 1:
                add_legend(axes, [
                    (line, _text(_KINDS[prefix], panel, runs[0], prefix))
                    for prefix, line in lines[0].items()
                ])  # fmt: skip
        if len(runs) > 1:
            # The last panel has the validation errors, unless no run has any.
            add_legend_below(figure, _entries(axes, panel, runs, lines))
        if title:
            set_figure_title(figure, title)


class _Run:
    """A history, the horizontal positions of its entries, and its color and marker."""

    def __init__(self, number: int, name: str, history: History, seconds: bool) -> None:
        self.name, self.history = name, history
        self.color, self.marker = color_of(number), marker_of(number)
        self._is_timed = seconds
        self.places: list[float] = list(range(1, len(history) + 1))
        if seconds:
            self.places = list(itertools.accumulate(_times(name, history)))

    def when(self, place: float) -> str:
        """Return a horizontal position in words."""
        return f"after {place:.3g} s" if self._is_timed else f"at epoch {place:.0f}"


def _times(name: str, history: History) -> list[float]:
    """Return the seconds of each epoch; the logarithmic axis needs them above 0."""
    times = history.lists.get("seconds")
    if times and all(0 < time < math.inf for time in times):
        return times
    rule = "must have seconds above 0" if times else "has no list 'seconds'"
    raise UsageError(rule, place=name, remedy=["omit ", Param("seconds")])


class _Panel(NamedTuple):
    """What a panel shows: its label, the names and prefixes of the lists, and what is best."""

    label: str
    names: tuple[str, ...]
    prefixes: tuple[str, ...]
    root: bool = False
    highest: bool = False

    def points(self, run: _Run, prefix: str) -> list[tuple[float, float]]:
        """Return the places and heights of the finite entries of a run's list."""
        heights = run.history.series(self.names, prefix) or []
        if self.root:
            # Other programs may write an error of -0.0, or slightly below 0.
            heights = [math.sqrt(max(height, 0.0)) for height in heights]
        pairs = zip(run.places, heights, strict=False)  # a list may be missing
        return [(place, height) for place, height in pairs if math.isfinite(height)]

    def draw(self, axes: Axes, run: _Run) -> dict[str, Any]:
        """Draw the lines of a run, and mark its best validation error; return the lines."""
        lines = {}
        for prefix in self.prefixes:
            if points := self.points(run, prefix):
                dashed = prefix == _TRAINING and len(self.prefixes) > 1
                lines[prefix] = _draw_line(axes, run, points, dashed=dashed)
                if prefix == _VALIDATION:
                    _mark(axes, run, self.best(points))
        return lines

    def best(self, points: list[tuple[float, float]]) -> tuple[float, float]:
        """Return the first of the best points."""
        sign = -1 if self.highest else 1
        return min(points, key=lambda point: sign * point[1])


def _panels(runs: list[_Run], rmse: bool, seconds: bool) -> list[_Panel]:
    """Choose the panels that at least one run has a list for."""
    ranked = [] if rmse else _ranking_panels(runs)
    if ranked and (seconds or len(runs) > 1):
        return ranked[:1]  # the legend has room for one measure
    if ranked:
        return [_Panel("Loss", (_LOSS,), (_TRAINING, _VALIDATION)), *ranked]
    label = MEASURES["rmse" if rmse else "mse"].label
    has_errors = any(_has(run, MSE_NAMES) for run in runs)
    both: tuple[str, ...] = (_TRAINING, _VALIDATION)
    names: tuple[str, ...] = (*MSE_NAMES, _LOSS)
    if not has_errors:
        label, names, rmse = "Loss", (_LOSS,), False
    if len(runs) == 1 and not seconds:
        made = [_Panel("Loss", (_LOSS,), both), _Panel(label, MSE_NAMES, both, rmse)]
        return made if has_errors else made[:1]
    found = [
        _Panel(f"{kind.capitalize()} {label}", names, (prefix,), rmse)
        for prefix, kind in _KINDS.items()
        if any(run.history.series(names, prefix) for run in runs)
    ]
    # With times, only validation errors are compared, or training errors if there are no others.
    return found[-1:] if seconds else found


def _ranking_panels(runs: list[_Run]) -> list[_Panel]:
    """Return a panel for each ranking measure that some run was validated by."""
    return [
        _Panel(f"Validation {measure.label}", (name,), (_VALIDATION,), highest=True)
        for name, measure in measures_of(RANKING).items()
        if measure.better == "higher"
        and any(run.history.series((name,), _VALIDATION) for run in runs)
    ]


def _has(run: _Run, names: tuple[str, ...]) -> bool:
    return any(run.history.series(names, prefix) for prefix in _KINDS)


def _draw_line(axes: Axes, run: _Run, points: list[tuple[float, float]], dashed: bool) -> Any:
    marker = run.marker or ("o" if len(points) == 1 else "")  # a line of one point is invisible
    every = max(1, len(points) // 10)
    places, heights = [place for place, _ in points], [height for _, height in points]
    style: dict[str, Any] = {"linestyle": "--" if dashed else "-", "linewidth": 1.6}
    style |= {"color": run.color, "marker": marker, "markersize": 4, "markevery": every}
    return axes.plot(places, heights, **style)[0]


def _mark(axes: Axes, run: _Run, point: tuple[float, float]) -> None:
    """Mark a point with a circle, also beyond the edge of the axes."""
    style: dict[str, Any] = {"marker": "o", "markersize": 7, "markerfacecolor": "white"}
    axes.plot(*point, color=run.color, clip_on=False, zorder=5, **style)


def _entries(
    axes: Axes, panel: _Panel, runs: list[_Run], lines: list[dict[str, Any]]
) -> list[tuple[Any, str]]:
    """Return the entries of the legend of several runs: a line and the name of each."""
    (prefix,) = panel.prefixes
    return [
        # A run without points in this panel may have some in the other one.
        (drawn[prefix] if drawn else _draw_line(axes, run, [], dashed=False),
         _text(run.name, panel, run, prefix))
        for run, drawn in zip(runs, lines, strict=True)
    ]  # fmt: skip


def _text(name: str, panel: _Panel, run: _Run, prefix: str) -> str:
    """Return a name with what to know about a line: its best error, and that it is special."""
    points, details = panel.points(run, prefix), []
    if panel.highest and not points:
        details.append(f"no {_KINDS[prefix]} rankings")
    if panel.names[0] in MSE_NAMES and not run.history.series(MSE_NAMES, prefix):
        details.append("loss" if points else f"no {_KINDS[prefix]} errors")
    if points and prefix == _VALIDATION:
        place, height = panel.best(points)
        details.append(f"best {MEASURES['mse'].text(height)} {run.when(place)}")
    return f"{name} ({', '.join(details)})" if details else name


def _label_places(axes: Axes, runs: list[_Run], seconds: bool) -> None:
    if seconds:
        set_log_scale(axes, [place for run in runs for place in run.places])
        axes.set_xlabel("Training time (seconds)")
    else:
        axes.set_xlabel("Epoch")
        axes.xaxis.set_major_locator(MaxNLocator(integer=True, min_n_ticks=1))

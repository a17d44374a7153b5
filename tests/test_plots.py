"""Pictures of histories and metrics."""

import itertools
import json
import os
import re
import subprocess
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import matplotlib.image
import numpy as np
import pytest
from conftest import ROOT, Run
from planted import planted_split

from mfcli.config import Config
from mfcli.errors import ArtifactError, MfcliWarning, UsageError
from mfcli.evaluation import FoldMetrics, Metrics, evaluate
from mfcli.plots import (
    Size,
    canvas,
    glyphs,
    legends,
    plot_comparison,
    plot_histories,
    plot_metrics,
)
from mfcli.training import Epoch, History
from mfcli.training.loop import start

KERAS = {"loss": [1.5, 1.0, 0.9], "val_loss": [1.4, 1.1, 1.2]}
OURS = History.of([Epoch(n, 1 / n, 0.9 / n, 1.1 / n, 1.0 / n, 0.1) for n in range(1, 6)])
MAGIC = {".png": b"\x89PNG", ".svg": b"<?xml", ".pdf": b"%PDF"}


@pytest.mark.parametrize("suffix", MAGIC)
@pytest.mark.parametrize("rmse", [False, True])
def test_kinds_of_picture(tmp_path: Path, suffix: str, rmse: bool) -> None:
    out = tmp_path / f"picture{suffix}"
    plot_histories({"ours": OURS, "keras": History(KERAS)}, out, rmse=rmse)
    assert out.read_bytes().startswith(MAGIC[suffix])
    assert [path.name for path in tmp_path.iterdir()] == [out.name]


@pytest.mark.parametrize("suffix", MAGIC)
def test_same_history_same_bytes(tmp_path: Path, suffix: str) -> None:
    pictures = [tmp_path / f"{name}{suffix}" for name in "ab"]
    for picture in pictures:
        plot_histories({"ours": OURS}, picture)
    assert pictures[0].read_bytes() == pictures[1].read_bytes()


def texts(picture: Path) -> list[str]:
    """Return the texts of an SVG picture, which are texts in it, not outlines."""
    return re.findall(r"<text[^>]*>([^<]*)</text>", picture.read_text())


def test_titles_and_labels_of_a_history(tmp_path: Path) -> None:
    plot_histories({"a": OURS}, tmp_path / "p.svg", rmse=True, title="One run")
    found = texts(tmp_path / "p.svg")
    for words in ("training", "validation (best 0.4472 at epoch 5)", "Epoch", "RMSE", "Loss"):
        assert words in found
    assert "One run" in found


def test_several_runs_are_compared_without_the_penalty(tmp_path: Path) -> None:
    plot_histories({"a": OURS, "b": OURS}, tmp_path / "p.svg", rmse=True, title="Two runs")
    found = texts(tmp_path / "p.svg")
    for words in ("Training RMSE", "Validation RMSE", "Epoch", "Two runs"):
        assert words in found
    assert "Loss" not in found
    for name in "ab":
        assert found.count(f"{name} (best 0.4472 at epoch 5)") == 1


def test_a_run_without_mse_is_compared_by_its_loss(tmp_path: Path) -> None:
    no_validation = History({"loss": [1.0, 0.5], "mse": [1.0, 0.5]})
    runs = {"ours": OURS, "keras": History(KERAS), "alone": no_validation}
    plot_histories(runs, tmp_path / "p.svg")
    found = texts(tmp_path / "p.svg")
    assert "ours (best 0.2000 at epoch 5)" in found
    assert "keras (loss, best 1.1000 at epoch 2)" in found
    assert "alone (no validation errors)" in found
    plot_histories(dict.fromkeys("ab", History(KERAS)), tmp_path / "q.svg", rmse=True)
    assert {"Training Loss", "Validation Loss"} <= set(texts(tmp_path / "q.svg"))


def test_validation_errors_against_seconds(tmp_path: Path) -> None:
    plot_histories({"a": OURS}, tmp_path / "p.svg", seconds=True)
    text = (tmp_path / "p.svg").read_text()
    assert "Training time (seconds)" in text
    assert "Epoch" not in text
    with pytest.raises(UsageError, match="keras: has no list 'seconds'; omit seconds"):
        plot_histories({"keras": History(KERAS)}, tmp_path / "p.svg", seconds=True)


def test_rankings_take_the_place_of_the_mean_squared_error(tmp_path: Path) -> None:
    lists = OURS.lists | {"val_ndcg": [0.1, 0.3, 0.2, 0.3, 0.25], "val_map": [0.1] * 5}
    ranked = History(lists)
    plot_histories({"a": ranked}, tmp_path / "p.svg")
    found = texts(tmp_path / "p.svg")
    assert {"Loss", "Validation NDCG", "Validation MAP"} <= set(found)
    assert "MSE" not in found
    assert "validation (best 0.3000 at epoch 2)" in found
    plot_histories({"a": ranked, "b": OURS}, tmp_path / "q.svg")
    found = texts(tmp_path / "q.svg")
    assert {"a (best 0.3000 at epoch 2)", "b (no validation rankings)"} <= set(found)
    assert "Validation MAP" not in found
    plot_histories({"a": ranked}, tmp_path / "r.svg", rmse=True)
    assert "RMSE" in texts(tmp_path / "r.svg")


def test_a_history_without_mse_has_one_panel(tmp_path: Path) -> None:
    for name, history in (("one", History(KERAS)), ("two", OURS)):
        plot_histories({name: history}, tmp_path / f"{name}.png")
    one, two = (matplotlib.image.imread(tmp_path / f"{name}.png") for name in ("one", "two"))
    assert two.shape[1] == 2 * one.shape[1]


def test_dollar_signs_do_not_start_formulas(tmp_path: Path) -> None:
    plot_histories({r"p$\frac$": OURS, "b": OURS}, tmp_path / "p.png", title=r"$\foo$")
    assert (tmp_path / "p.png").is_file()


def test_other_suffixes_are_refused(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match=r"must end in \.png, \.svg, \.pdf, got '\.jpeg'"):
        plot_histories({"ours": OURS}, tmp_path / "p.jpeg")


def test_histories_of_keras_are_read(tmp_path: Path) -> None:
    path = tmp_path / "keras.json"
    path.write_text(json.dumps(KERAS))
    assert History.read(path).lists == KERAS


def test_histories_are_written_as_keras_names_them(tmp_path: Path) -> None:
    path = tmp_path / "history.json"
    OURS.write(path)
    assert list(json.loads(path.read_text())) == [
        "format",
        "mfcli",
        "loss",
        "mse",
        "val_loss",
        "val_mse",
        "seconds",
        "digest",
    ]
    assert History.read(path) == OURS


@pytest.mark.parametrize(
    ("value", "message"),
    [
        ({}, "has no list 'loss'"),
        ({"loss": []}, "has no list 'loss'"),
        ({"loss": 3}, "has no list 'loss'"),
        ({"loss": [1], "mse": ["x", 2]}, "'mse' must be a list of numbers"),
        ({"loss": ["x"]}, "'loss' must be a list of numbers"),
        ({"loss": [True]}, "'loss' must be a list of numbers"),
        ({"loss": [[1]]}, "'loss' must be a list of numbers"),
        ({"loss": [10**400]}, "'loss' has no finite number"),
        ({"loss": [float("nan")]}, "'loss' has no finite number"),
        ({"history": 3}, "has no list 'loss'"),
        ({"loss": [1], "format": 9}, "has format 9, but this mfcli reads format 2; upgrade"),
    ],
)
def test_other_files_are_refused(tmp_path: Path, value: object, message: str) -> None:
    path = tmp_path / "h.json"
    path.write_text(json.dumps(value))
    with pytest.raises(ArtifactError, match=message):
        History.read(path)


@pytest.fixture(scope="module")
def metrics() -> Metrics:
    """Metrics with errors by month."""
    split = planted_split(Config())
    seconds = np.linspace(1e9, 1.1e9, len(split.test)).astype(np.int64)
    split = replace(split, test=replace(split.test, timestamp=seconds))
    return evaluate(start(split, Config(k=2)), split, Config(resamples=0))


def changed(record: Any, **fields: Any) -> Any:
    """Copy a record with other values in some fields."""
    values = {name: getattr(record, name) for name in record.__struct_fields__}
    return type(record)(**(values | fields))


@pytest.mark.parametrize("suffix", MAGIC)
def test_the_picture_of_metrics(tmp_path: Path, metrics: Metrics, suffix: str) -> None:
    pictures = [tmp_path / f"{name}{suffix}" for name in "ab"]
    for picture in pictures:
        panels = plot_metrics(metrics, picture, dpi=50)
    assert len(panels) == 6
    assert pictures[0].read_bytes().startswith(MAGIC[suffix])
    assert pictures[0].read_bytes() == pictures[1].read_bytes()


def test_titles_and_labels_of_metrics(tmp_path: Path, metrics: Metrics) -> None:
    bare = changed(metrics, breakdown=changed(metrics.breakdown, month=None))
    plot_metrics(metrics, tmp_path / "p.svg")
    assert len(plot_metrics(bare, tmp_path / "q.svg", title="Mine $x$")) == 5
    text = (tmp_path / "p.svg").read_text()
    rmse = f"RMSE {metrics.measures['rmse']:.4f} on "
    words = (
        *("Training ratings of the item", "Training ratings of the user", "RMSE (rating units)"),
        *("Calibration", "Residuals", "Month"),
    )
    for word in (rmse, *words):
        assert word in text
    other = (tmp_path / "q.svg").read_text()
    assert "Mine $x$" in other
    assert "Month" not in other


def test_folds_have_no_picture(tmp_path: Path, metrics: Metrics) -> None:
    folds = FoldMetrics.of([metrics, metrics])
    with pytest.raises(ArtifactError, match="several folds have no picture; evaluate one fold"):
        plot_metrics(folds, tmp_path / "p.png")


def test_legends_name_every_run(tmp_path: Path) -> None:
    names = ["_old", "a" * 40 + "1", "a" * 40 + "2", "b" * 50, *(f"run{n}" for n in range(8))]
    plot_histories(dict.fromkeys(names, OURS), tmp_path / "p.svg")
    found = texts(tmp_path / "p.svg")
    short = f"{'b' * 12}...{'b' * 12}"
    for name in ("_old", f"{'a' * 12}...{'a' * 11}1", f"{'a' * 12}...{'a' * 11}2", short, "run7"):
        assert found.count(f"{name} (best 0.2000 at epoch 5)") == 1
    assert legends.shortened(["c" * 20 + "x" * 20 + "d" * 20, "c" * 20 + "d" * 20]) == [
        f"{'c' * 12}...{'d' * 12} (1)",
        f"{'c' * 12}...{'d' * 12} (2)",
    ]


def test_many_runs_are_distinguishable_and_inside_the_picture(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    figures: list[Any] = []
    monkeypatch.setattr(canvas, "_save", lambda figure, out, dpi: figures.append(figure))
    plot_histories({f"run{n}": OURS for n in range(20)}, tmp_path / "p.png")
    (figure,) = figures
    figure.canvas.draw()
    (legend,) = figure.legends
    box, whole = legend.get_window_extent(), figure.bbox
    assert whole.x0 <= box.x0 < box.x1 <= whole.x1
    for axes in figure.axes:
        assert whole.y0 <= box.y0 < box.y1 <= axes.get_tightbbox().y0
        looks = {
            (line.get_color(), line.get_marker())
            for line in axes.lines
            if len(line.get_xdata()) > 1
        }
        assert len(looks) == 20
    assert len({(line.get_color(), line.get_marker()) for line in legend.get_lines()}) == 20


@pytest.mark.parametrize("suffix", MAGIC)
def test_settings_of_the_user_change_nothing(tmp_path: Path, suffix: str) -> None:
    import matplotlib

    plot_histories({"a": OURS}, tmp_path / f"p{suffix}", title="$x_1$")
    theirs: dict[Any, Any] = {"text.usetex": True, "font.size": 30, "svg.fonttype": "none"}
    with matplotlib.rc_context(theirs):
        plot_histories({"a": OURS}, tmp_path / f"q{suffix}", title="$x_1$")
        assert matplotlib.rcParams["font.size"] == 30
    assert (tmp_path / f"p{suffix}").read_bytes() == (tmp_path / f"q{suffix}").read_bytes()


def test_files_of_settings_are_not_read(tmp_path: Path) -> None:
    (tmp_path / "matplotlibrc").write_bytes(b"backend: none\ntext.usetex: True\nnonsense\n\xff\xfe")
    OURS.write(tmp_path / "history.json")
    plot_histories({"history": OURS}, tmp_path / "expected.png")
    done = subprocess.run(
        [sys.executable, "-m", "mfcli", "plot", "history.json"],
        cwd=tmp_path, capture_output=True, text=True,
        env={**os.environ, "PYTHONPATH": str(ROOT), "MATPLOTLIBRC": str(tmp_path),
             "MPLBACKEND": "none", "MPLCONFIGDIR": str(tmp_path / "history.json/x")},
    )  # fmt: skip
    assert (done.returncode, done.stdout, done.stderr) == (0, "history.png: 1 run\n", "")
    assert (tmp_path / "history.png").read_bytes() == (tmp_path / "expected.png").read_bytes()


def test_characters_without_a_glyph_are_shown_as_codes(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    default = {glyphs._DEFAULT: glyphs._fonts()[glyphs._DEFAULT]}
    monkeypatch.setattr(glyphs, "_fonts", lambda: default)
    with pytest.warns(MfcliWarning, match="no installed font has the characters") as found:
        plot_histories({"a漢": OURS, "b": OURS}, tmp_path / "p.svg", title="x字\x1by é")
    assert len(found) == 1
    text = (tmp_path / "p.svg").read_text()
    assert ">x\\u5b57\\x1by é<" in text
    assert ">a\\u6f22 (best 0.2000 at epoch 5)<" in text


def test_another_font_is_used_if_it_has_the_characters(monkeypatch: pytest.MonkeyPatch) -> None:
    lacking = {"one": {"x", "y"}, "two": {"y"}, "three": set[str]()}
    monkeypatch.setattr(glyphs, "_missing", lambda characters, file: lacking[file])
    fonts = dict(zip(lacking, lacking, strict=True))
    assert glyphs._covering({"x", "y"}, fonts) == "three"
    assert glyphs._covering({"x", "y"}, {"one": "one"}) is None


# Several metrics


@pytest.fixture
def figures(monkeypatch: pytest.MonkeyPatch) -> list[Any]:
    """The figures that are drawn; they are not saved."""
    drawn: list[Any] = []
    monkeypatch.setattr(canvas, "_save", lambda figure, out, dpi: drawn.append(figure))
    return drawn


def other(metrics: Metrics) -> Metrics:
    """Metrics with other errors, and without intervals, as an older mfcli wrote them."""
    rows = [changed(row, rmse=row.rmse / 2, interval=None) for row in metrics.breakdown.rating]
    return changed(metrics, breakdown=changed(metrics.breakdown, rating=rows))


def test_errors_of_several_models_side_by_side(metrics: Metrics, figures: list[Any]) -> None:
    names = ["Error on all ratings", "Error by item popularity", "Error by user activity"]
    metrics = changed(metrics, intervals={"rmse": (0.5, 2.0)})
    panels = plot_comparison({"a": metrics, "b": other(metrics)}, Path("p.png"))
    assert panels == [*names, "Error by rating"]
    (figure,) = figures
    assert [axes.get_title() for axes in figure.axes] == panels
    overall, items, _, ratings = figure.axes
    assert [label.get_text() for label in overall.get_yticklabels()] == ["a", "b"]
    one, two = items.containers
    rows = metrics.breakdown.item_popularity
    assert two.lines[0].get_xdata() - one.lines[0].get_xdata() == pytest.approx(0.3)
    ends = [segment[:, 1].tolist() for segment in one.lines[2][0].get_segments()]
    assert ends == [pytest.approx(row.interval) for row in rows]
    (whole,) = overall.containers[0].lines[2][0].get_segments()
    assert whole[:, 0].tolist() == [0.5, 2.0]
    assert not any(len(segment) for segment in ratings.containers[1].lines[2][0].get_segments())
    rmse = f"{metrics.measures['rmse']:.4f}"
    texts = [text.get_text() for text in figure.legends[0].get_texts()]
    assert texts == [f"a ({rmse})", f"b ({rmse})"]


def test_metrics_measured_in_other_ways_are_compared_with_a_warning(
    metrics: Metrics, figures: list[Any]
) -> None:
    few = [changed(row, low=row.low + 1) for row in metrics.breakdown.item_popularity[:3]]
    breakdown = changed(metrics.breakdown, item_popularity=few, rating=metrics.breakdown.rating[1:])
    protocol = changed(metrics.protocol, split="another")
    runs = {"a": metrics, "b": changed(metrics, protocol=protocol, breakdown=breakdown)}
    with pytest.warns(MfcliWarning, match="measured in different ways, so their errors are not"):
        plot_comparison(runs, Path("p.png"))
    _, items, _, ratings = figures[0].axes
    assert items.get_xlabel() == "Training ratings of the item, from few to many (deciles)"
    one, two = (container.lines[0].get_xdata() for container in ratings.containers)
    assert two - one[1:] == pytest.approx(0.3)  # the same rating has the same place
    with pytest.raises(ArtifactError, match="several folds have no picture"):
        plot_comparison({"a": metrics, "b": FoldMetrics.of([metrics, metrics])}, Path("p.png"))


def test_the_names_of_many_runs_do_not_overlap(metrics: Metrics, figures: list[Any]) -> None:
    plot_comparison({f"run{n}": metrics for n in range(30)}, Path("p.png"), dpi=50)
    (figure,) = figures
    figure.canvas.draw()
    boxes = [label.get_window_extent() for label in figure.axes[0].get_yticklabels()]
    assert all(below.y1 <= above.y0 for above, below in itertools.pairwise(boxes))


def test_plot_several_metrics(run: Run, metrics: Metrics) -> None:
    for name in ("a", "b"):
        Path(name).mkdir()
        metrics.write(Path(name) / "metrics.json")
    files = ["a/metrics.json", "b/metrics.json", "--dpi", 40]
    assert run("plot", *files).out == "metrics.png: 4 panels of 2 runs\n"
    done = run("plot", *files, "--json", "--title", "Mine", "--out", "p.svg")
    assert json.loads(done.out)["runs"] == ["a", "b"]
    assert {"Mine", "Error by rating"} <= set(texts(Path("p.svg")))
    wrong = run("plot", *files, "--rmse")
    assert (wrong.code, "--rmse is not used with a/metrics.json" in wrong.err) == (2, True)


# For print


@pytest.mark.parametrize(
    ("options", "pixels"),
    [
        (["--size", "4x2"], (1200, 600)),
        (["--size", "4x2", "--dpi", "50"], (200, 100)),
        (["--size", "12.7 x 5.08cm", "--dpi", "100"], (500, 200)),
        (["--size", "640x480px"], (640, 480)),
        (["--size", "640x480px", "--dpi", "80"], (640, 480)),
        (["--dpi", "50"], (520, 200)),
    ],
)
def test_size_and_resolution(run: Run, options: list[str], pixels: tuple[int, int]) -> None:
    OURS.write(Path("history.json"))
    assert run("plot", "history.json", *options).code == 0
    height, width, _ = matplotlib.image.imread("history.png").shape
    assert (width, height) == pixels


def test_print_resolution_is_the_default(metrics: Metrics, tmp_path: Path) -> None:
    plot_histories({"a": OURS}, tmp_path / "p.png", size=Size(3, 4))
    assert matplotlib.image.imread(tmp_path / "p.png").shape[:2] == (1200, 900)
    plot_metrics(metrics, tmp_path / "q.png", size=Size(6, 8), dpi=50)
    assert matplotlib.image.imread(tmp_path / "q.png").shape[:2] == (400, 300)


def test_a_picture_must_have_room_for_its_panels(metrics: Metrics, tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="size is too small for 6 panels, got '3x4'"):
        plot_metrics(metrics, tmp_path / "p.png", size=Size(3, 4))
    assert list(tmp_path.iterdir()) == []


def test_fonts_are_embedded(tmp_path: Path) -> None:
    plot_histories({"a": OURS}, tmp_path / "p.pdf")
    content = (tmp_path / "p.pdf").read_bytes()
    assert b"/FontFile2" in content  # TrueType
    assert b"/Subtype /Type3" not in content


@pytest.mark.parametrize("width", [3, 12])
def test_narrow_pictures_have_fewer_columns_and_nothing_is_cut(
    metrics: Metrics, figures: list[Any], width: int
) -> None:
    title = "A long title of many words " * 3
    plot_metrics(metrics, Path("p.png"), title=title, size=Size(width, 16))
    plot_histories({"a": OURS}, Path("p.png"), title=title, size=Size(width, 6))
    for figure in figures:
        figure.canvas.draw()
        columns = {round(axes.get_position().x0, 3) for axes in figure.axes}
        assert len(columns) == min({3: 1, 12: 3}[width], len(figure.axes))
        titles = [figure._suptitle, *(axes.title for axes in figure.axes)]
        for text in (title for title in titles if title.get_text()):
            box = text.get_window_extent()
            assert figure.bbox.x0 <= box.x0 < box.x1 <= figure.bbox.x1


def test_marks_of_the_best_epoch_are_not_cut_at_the_axes(figures: list[Any]) -> None:
    flat = History({"loss": [1.0], "val_loss": [1.0]})  # one epoch: its mark is at both axes
    plot_histories({"a": flat, "b": OURS}, Path("p.png"))
    marks = [line for axes in figures[0].axes for line in axes.lines if line.get_markersize() == 7]
    assert len(marks) == 2
    assert not any(mark.get_clip_on() for mark in marks)

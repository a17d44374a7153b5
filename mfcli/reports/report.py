"""Reports of runs: read what their folders hold, and write one HTML file about it."""

from __future__ import annotations

import os
import warnings
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any, TypeAlias

from mfcli.arguments import check_functions, path_of
from mfcli.errors import MfcliWarning, Param, UsageError
from mfcli.pages import asset, document, rendered
from mfcli.reports.blocks import RunCard, Section
from mfcli.reports.breakdown_section import breakdown_section
from mfcli.reports.commands import commands
from mfcli.reports.comparison_section import comparison_section
from mfcli.reports.data_facts import data_facts
from mfcli.reports.data_section import data_section
from mfcli.reports.errors_section import errors_section
from mfcli.reports.examples import TitleFile
from mfcli.reports.examples_section import examples_section
from mfcli.reports.head import run_cards, title_of
from mfcli.reports.origin_section import origin_section
from mfcli.reports.ranking_section import ranking_section
from mfcli.reports.runs import Run, read_runs
from mfcli.reports.settings_section import settings_section
from mfcli.reports.split_data import SplitData, split_data
from mfcli.reports.split_section import split_section
from mfcli.reports.training_section import training_section
from mfcli.spelling import spelled
from mfcli.splits import Folds, Split
from mfcli.storage import replacing_file
from mfcli.types import StageProgress

PathLike: TypeAlias = "str | os.PathLike[str]"
RunPaths: TypeAlias = "PathLike | Iterable[PathLike] | Mapping[str, PathLike]"


@dataclass(frozen=True)
class HtmlReport:
    """A report.

    Attributes
    ----------
    title : str
    runs : list of RunCard
        Each run in a few words.
    sections : list of Section
    html : str
        The file: it needs no other file and no network.
    """

    title: str
    runs: list[RunCard]
    sections: list[Section]
    html: str

    def __repr__(self) -> str:
        return f"HtmlReport({self.title!r}, {len(self.html):,} characters)"

    def as_dict(self) -> dict[str, Any]:
        """Return what the report shows and lacks, as plain values."""
        return {
            "title": self.title,
            "runs": [
                {
                    "name": run.name,
                    "numbers": {number.label: number.value for number in run.numbers},
                    "verdict": run.verdict,
                }
                for run in self.runs
            ],
            "sections": [
                {"name": one.anchor, "missing": [missing.text for missing in one.missing]}
                for one in self.sections
            ],
            "bytes": len(self.content),
        }

    @property
    def content(self) -> bytes:
        """The bytes of the file."""
        return self.html.encode()

    def write(self, path: PathLike) -> Path:
        """Write the report, replacing an older file atomically.

        Raises
        ------
        ArtifactError
            If the file is a result of mfcli, such as a model, or cannot be written.
        """
        target = path_of(path, "path")
        with replacing_file(target) as temporary:
            temporary.write_bytes(self.content)
        return target


def report(
    runs: RunPaths = ".",
    *,
    split: Split | Folds | PathLike | None = None,
    titles: PathLike | None = None,
    title_columns: Mapping[str, str] | None = None,
    encoding: str = "utf-8",
    users: Sequence[int | str] = (),
    on_progress: StageProgress = lambda stage, done, total: None,
) -> HtmlReport:
    """Describe runs in one HTML file: data, split, settings, training, quality and examples.

    What is missing, such as metrics, is named in the report with the command that makes it. The
    same files give the same bytes.

    Parameters
    ----------
    runs : path, or mapping or sequence of paths
        Folders of runs, as `mfcli train` and `Fit.write` write them; a mapping gives the name of
        each. The first run is the one that others are compared with.
    split : Split, Folds or path, optional
        By default the folder `split` beside a run or in the working folder, if there is one.
    titles : path, optional
        File with an item and a title column, for the examples.
    title_columns : mapping of str, optional
        Names of the columns "item" (ids) and "title" in it.
    encoding : str
        Of the titles.
    users : sequence of ids
        Users for the examples; by default one each of low, median and high activity.
    on_progress : callable, optional
        Called with the stage and its progress: "reading runs", "checking ratings", "recommending".

    Warns
    -----
    MfcliWarning
        If files do not seem to belong to each other, or titles are missing. The report has these
        warnings, too.

    Raises
    ------
    ArtifactError
        If a folder holds no run, or a file is damaged.
    DataError, UnknownIdError, UsageError
        If the titles cannot be read, a user is unknown, or an argument has another type.
    """
    check_functions(on_progress=on_progress)
    given = _named(runs)
    file = None if titles is None else TitleFile(path_of(titles, "titles"), encoding, title_columns)
    ids = [str(one) for one in users]
    with _noted_warnings() as notes:
        on_progress("reading runs", 0, 0)
        read = read_runs(given)
        parts = split_data(split, read)
        read = [replace(run, is_held_out=parts is None or parts.has_test) for run in read]
        sections = list(_sections(read, parts, file, ids, on_progress))
    lines = commands(read, parts, _arguments(given, parts, file, ids))
    sections.append(origin_section(read, parts, lines))
    title, cards = title_of(read), run_cards(read)
    return HtmlReport(title, cards, sections, _html(title, cards, notes, sections))


def _named(runs: Any) -> dict[str, Path] | list[Path]:
    """Return the paths of runs, by name if they have names."""
    if isinstance(runs, Mapping):
        named = {str(name): path_of(path, "runs") for name, path in runs.items()}
        return named or _refuse_none()
    if isinstance(runs, str | os.PathLike) or not isinstance(runs, Iterable):
        return [path_of(runs, "runs")]
    return [path_of(path, "runs") for path in runs] or _refuse_none()


def _refuse_none() -> Any:
    raise UsageError("must name at least one run", param="runs")


def _sections(
    runs: Sequence[Run],
    split: SplitData | None,
    titles: TitleFile | None,
    users: Sequence[str],
    on_progress: StageProgress,
) -> Iterator[Section]:
    on_progress("checking ratings", 0, 0)
    yield data_section(data_facts(split, runs[0].config) if split else None)
    yield split_section(split, runs)
    yield settings_section(runs)
    yield training_section(runs, split)
    made: list[Callable[[Sequence[Run]], Section | None]] = [
        comparison_section, errors_section, breakdown_section, ranking_section
    ]  # fmt: skip
    yield from (section for make in made if (section := make(runs)))
    yield examples_section(runs, split, titles, users, partial(on_progress, "recommending"))


def _arguments(
    runs: dict[str, Path] | list[Path],
    split: SplitData | None,
    titles: TitleFile | None,
    users: Sequence[str],
) -> list[str | Param]:
    """Return the arguments of the command that writes the same report."""
    paths = [str(path) for path in (runs.values() if isinstance(runs, dict) else runs)]
    words: list[str | Param] = [] if paths == ["."] else [*paths]
    if split and split.place and str(split.place) != "split":
        words.append(Param("split", str(split.place)))
    if titles:
        words.append(Param("titles", str(titles.path)))
        words += [Param(f"title_columns.{n}", v) for n, v in (titles.columns or {}).items()]
        words += [Param("encoding", titles.encoding)] if titles.encoding != "utf-8" else []
    return words + [Param("user", user) for user in users]


@contextmanager
def _noted_warnings() -> Iterator[list[str]]:
    """Yield a list of the warnings about files, which are shown as usual."""
    noted: list[str] = []
    shown = warnings.showwarning

    def show(message: Warning | str, *details: Any, **more: Any) -> None:
        if isinstance(message, MfcliWarning):
            noted.append(message.phrase(spelled))
        shown(message, *details, **more)

    with warnings.catch_warnings():
        warnings.showwarning = show
        yield noted


def _html(
    title: str, cards: Sequence[RunCard], notes: Sequence[str], sections: Sequence[Section]
) -> str:
    body = rendered(
        "reports", "report.html", title=title, cards=cards, notes=notes, sections=sections
    )
    styles = [asset("base.css"), asset("charts.css"), _file("report.css")]
    scripts = [asset("charts.js"), _file("report.js")]
    return document(f"Report: {title}", body, styles=styles, scripts=scripts)


def _file(name: str) -> str:
    return str(rendered("reports", name))

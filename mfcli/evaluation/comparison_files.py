"""Comparisons as files: Markdown and HTML for people, CSV and JSON for programs."""

from __future__ import annotations

import csv
import html
import io
from collections.abc import Iterable, Iterator
from pathlib import Path

from mfcli.config import value_text
from mfcli.data import guarded_text
from mfcli.errors import UsageError
from mfcli.evaluation.comparison import Comparison
from mfcli.evaluation.comparison_rows import ComparisonRow, comparison_rows, comparison_title
from mfcli.storage import json_text, replacing_file

_MARKDOWN = str.maketrans({mark: f"\\{mark}" for mark in "\\`*_|<>[]~#"})
_STYLE = """\
body { font-family: sans-serif; margin: 2em }
table { border-collapse: collapse; margin: 1em 0 }
caption { font-weight: bold; text-align: left; padding: 0.3em 0 }
th, td { border-bottom: 1px solid #ccc; padding: 0.2em 0.8em; text-align: right }
tr > :first-child { text-align: left; font-weight: normal }
"""


def check_comparison_suffix(path: Path) -> None:
    """Check that a path names a kind of file that a comparison can be written to.

    Raises
    ------
    UsageError
        If it does not end in .md, .csv, .html or .json.
    """
    if path.suffix.lower() not in _FORMATS:
        *others, last = _FORMATS
        raise UsageError(f"must end in {', '.join(others)} or {last}", place=path)


def write_comparison(comparison: Comparison, path: Path | str) -> None:
    """Write a comparison as Markdown, CSV, HTML or JSON, by the suffix of the file.

    An older file is replaced atomically. Settings and measures are in rows and runs in columns. CSV
    and JSON have all digits and the differences in all measures; Markdown and HTML have what
    `mfcli compare` prints.

    Parameters
    ----------
    comparison : Comparison
    path : Path or str

    Raises
    ------
    UsageError
        If the suffix is none of .md, .csv, .html and .json.
    ArtifactError
        If the file cannot be written.
    """
    path = Path(path)
    check_comparison_suffix(path)
    text = _FORMATS[path.suffix.lower()](comparison)
    with replacing_file(path) as temporary:
        # Names of files may hold bytes that are not text.
        temporary.write_text(text, encoding="utf-8", errors="backslashreplace", newline="\n")


def _markdown(comparison: Comparison) -> str:
    lines = [f"# {_marked(comparison_title(comparison))}"]
    for title, rows in comparison_rows(comparison).items():
        head = _markdown_line(["", *map(_marked, comparison.runs)])
        rule = _markdown_line(["---", *("---:" for _ in comparison.runs)])
        lines += ["", f"## {_marked(title)}", "", head, rule, *map(_markdown_row, rows)]
    return "\n".join([*lines, ""])


def _markdown_row(row: ComparisonRow) -> str:
    cells = (f"**{cell}**" if n in row.best else _marked(cell) for n, cell in enumerate(row.cells))
    return _markdown_line([_marked(row.label), *cells])


def _markdown_line(cells: Iterable[str]) -> str:
    return f"| {' | '.join(cells)} |"


def _marked(text: str) -> str:
    """Escape what Markdown would take for formatting."""
    return " ".join(text.split()).translate(_MARKDOWN)


def _html(comparison: Comparison) -> str:
    title = html.escape(comparison_title(comparison))
    sections = comparison_rows(comparison).items()
    tables = (_html_table(name, list(comparison.runs), rows) for name, rows in sections)
    return (
        f'<!DOCTYPE html>\n<html lang="en">\n<head>\n<meta charset="utf-8">\n'
        f"<title>{title}</title>\n<style>\n{_STYLE}</style>\n</head>\n<body>\n<h1>{title}</h1>\n"
        f"{''.join(tables)}</body>\n</html>\n"
    )


def _html_table(title: str, runs: list[str], rows: list[ComparisonRow]) -> str:
    head = "".join(f'<th scope="col">{html.escape(name)}</th>' for name in runs)
    body = "".join(map(_html_row, rows))
    caption = f"<caption>{html.escape(title)}</caption>"
    return f"<table>\n{caption}\n<tr><td></td>{head}</tr>\n{body}</table>\n"


def _html_row(row: ComparisonRow) -> str:
    texts = [html.escape(cell) for cell in row.cells]
    shown = (f"<b>{text}</b>" if n in row.best else text for n, text in enumerate(texts))
    cells = "".join(f"<td>{text}</td>" for text in shown)
    return f'<tr><th scope="row">{html.escape(row.label)}</th>{cells}</tr>\n'


def _csv(comparison: Comparison) -> str:
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    for row in _csv_rows(comparison):
        # The file may be opened in a spreadsheet, which runs texts that look like formulas.
        writer.writerow(map(_csv_cell, row))
    return text.getvalue()


def _csv_cell(value: object) -> object:
    if value is None or (isinstance(value, int | float) and not isinstance(value, bool)):
        return value  # all digits; None is an empty cell
    return guarded_text(value_text(value))


def _csv_rows(comparison: Comparison) -> Iterator[list[object]]:
    yield ["kind", "name", *comparison.runs]
    plain = {"protocol": comparison.protocols, "setting": comparison.settings}
    for kind, table in (plain | {"measure": comparison.measures}).items():
        yield from ([kind, name, *values] for name, values in table.items())
    for measure in comparison.measures:
        found = [comparison.difference(measure, run) for run in comparison.runs]
        yield ["difference", measure, *(one and one.value for one in found)]
        ends = [(one and one.interval) or (None, None) for one in found]
        yield ["interval low", measure, *(low for low, _ in ends)]
        yield ["interval high", measure, *(high for _, high in ends)]


def _json(comparison: Comparison) -> str:
    return json_text(comparison.as_dict())


_FORMATS = {".md": _markdown, ".csv": _csv, ".html": _html, ".json": _json}

"""The layouts of files that are read together: all must agree."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from mfcli.data.formats.columns import ALIASES, RATINGS, Aliases
from mfcli.data.formats.layout import Layout, Outline, outline
from mfcli.data.sources import EmptyFileError, File
from mfcli.errors import DataError, Param, Text, warn

_CONVERT = "convert one of them, or name only files that are alike"


def find_layout(
    file: File,
    chosen: Mapping[str, str] | None = None,
    decimal: str = ".",
    needed: tuple[str, ...] = RATINGS,
    aliases: Aliases = ALIASES,
) -> Layout:
    """Find the layout of one file; see `find_layouts`."""
    return find_layouts([file], chosen, decimal, needed, aliases)[0]


def find_layouts(
    files: Sequence[File],
    chosen: Mapping[str, str] | None = None,
    decimal: str = ".",
    needed: tuple[str, ...] = RATINGS,
    aliases: Aliases = ALIASES,
    names: Mapping[str, str] | None = None,
) -> list[Layout]:
    """Find the layouts of files that are read together from their first lines.

    All files have the same format and a header, or none. Texts without a header must have the same
    separator and number of columns. With headers, or in Parquet, columns are read by name: those of
    roles must have the same names, but their order, other columns and the separator may differ.

    Parameters
    ----------
    files : sequence of File
        CSV, TSV, MovieLens `u.data` or `ratings.dat`, JSON lines, Parquet or Arrow. Empty parts of
        a folder are left out, unless all are empty.
    chosen : mapping of str, optional
        As in `find_columns`; positions from 1 in a text without a header.
    decimal : str
        Decimal mark of a text.
    needed : tuple of str
        `RATINGS`, `PAIRS`, or other roles.
    aliases : mapping of tuple of str
        Known names of the column of each role.
    names : mapping of str, optional
        Names, or positions, of the columns of other ratings, which are looked for first.

    Returns
    -------
    list of Layout

    Raises
    ------
    DataError
        If a file is empty, in another format, or lacks a column, or if files differ.
    """
    outlines = _outlines(files, chosen, decimal, needed, aliases, names)
    for other in outlines[1:]:
        _check_alike(outlines[0], other)
    # After the comparison: a file of another format would otherwise seem to lack a column.
    completed = [each.completed(chosen, needed) for each in outlines]
    layouts = [layout for layout, _ in completed]
    for layout in layouts[1:]:
        _check_columns(layouts[0], layout)
    doubts = [doubt for _, doubt in completed if doubt]
    for doubt in doubts[:1]:  # the parts of a folder all look like the first
        warn(doubt.rule, place=doubt.place, remedy=doubt.remedy)
    return layouts


def _outlines(
    files: Sequence[File],
    chosen: Mapping[str, str] | None,
    decimal: str,
    needed: tuple[str, ...],
    aliases: Aliases,
    names: Mapping[str, str] | None,
) -> list[Outline]:
    outlines = []
    for file in files:
        try:
            outlines.append(outline(file, chosen, decimal, needed, aliases, names))
        except EmptyFileError:
            # The last file decides, so that a folder of empty files is refused.
            if not file.is_part or (file is files[-1] and not outlines):
                raise
    return outlines


def _check_alike(start: Outline, following: Outline) -> None:
    """Refuse files of different formats, headers, or columns without names."""
    first, other = start.layout, following.layout
    if first.format != other.format:
        raise _differ(f"is {other.format}, but {first.file} is {first.format}", other)
    if (start.unnamed is None) != (following.unnamed is None):
        has, other_has = ("no", "a") if start.unnamed else ("a", "no")
        remedy = "give each file a header, or join all into one file"
        raise _differ(f"has {other_has} header, but {first.file} has {has} header", other, remedy)
    if start.unnamed is None:
        return  # columns are read by name, so their order and the separator may differ
    if first.separator != other.separator:
        shown = f"{other.separator!r}, but {first.file} by {first.separator!r}"
        raise _differ(f"has fields separated by {shown}", other)
    if len(first.names) != len(other.names):
        rule = f"has {len(other.names)} columns, but {first.file} has {len(first.names)}"
        raise _differ(rule, other)


def _check_columns(first: Layout, other: Layout) -> None:
    """Refuse files whose columns of roles have other names."""
    if set(first.columns) != set(other.columns):
        has, first_has = "no timestamps", "has"
        if "timestamp" in other.columns:
            has, first_has = "timestamps", "has none"
        remedy: Text = ["ignore them with ", Param("columns.timestamp", "")]
        raise _differ(f"has {has}, but {first.file} {first_has}", other, remedy)
    for role, name in first.roles.items():
        if name.lower() != other.roles[role].lower():
            raise _differ(
                f"has the {role} column {other.roles[role]!r}, but {first.file} has {name!r}", other
            )


def _differ(rule: str, other: Layout, remedy: Text = _CONVERT) -> DataError:
    return DataError(rule, place=other.file, remedy=remedy)

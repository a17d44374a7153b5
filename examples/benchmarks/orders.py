"""The ratings file in another order, and its first rows."""

from __future__ import annotations

import itertools
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.csv


def write_shuffled(source: Path, target: Path) -> None:
    """Copy a file with a header, with all other lines in random order."""
    # A single column of whole lines: no line contains this delimiter.
    lines = pyarrow.csv.read_csv(
        source,
        read_options=pyarrow.csv.ReadOptions(autogenerate_column_names=True, skip_rows=1),
        parse_options=pyarrow.csv.ParseOptions(delimiter="\x1f", quote_char=False),
        convert_options=pyarrow.csv.ConvertOptions(column_types={"f0": pa.string()}),
    )
    order = np.random.default_rng(0).permutation(len(lines))
    options = pyarrow.csv.WriteOptions(include_header=False, quoting_style="none", delimiter="\x1f")
    with target.open("wb") as file, source.open("rb") as original:
        file.write(original.readline())
        pyarrow.csv.write_csv(lines.combine_chunks().take(order), file, options)


def write_first(source: Path, target: Path, rows: int) -> None:
    """Copy the header and the first rows of a file."""
    with source.open("rb") as original, target.open("wb") as file:
        file.writelines(itertools.islice(original, rows + 1))

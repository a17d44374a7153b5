"""Write ratings in random layouts, read them with mfcli, and count what is misread.

    python examples/input_layouts.py --files 10000

Each file has another layout: separator, quotes, header, encoding, order of columns, extra columns,
decimal mark, times, line ends, compression, parts. The ratings are known, so each file is read
correctly, read with a warning, refused, or misread. A file is misread if mfcli returns other
ratings without a warning. There must be none.
"""

from __future__ import annotations

import bz2
import collections
import csv
import datetime
import gzip
import io
import itertools
import json
import random
import sys
import tempfile
import warnings
import zipfile
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any

import numpy as np
import pandas as pd
import typer

import mfcli

ROLES = ("user", "item", "rating", "timestamp")
KNOWN = {
    "user": ("user_id", "userId", "USER", "uid"),
    "item": ("item_id", "movieId", "Item", "iid"),
    "rating": ("rating", "Score", "RATING"),
    "timestamp": ("timestamp", "ts", "Timestamp"),
}
UNKNOWN = {"user": "who", "item": "what", "rating": "how good", "timestamp": "when"}
WORDS = ("Alien", "Toy Story", "Heat, The", 'The "Best"', "Amélie", "7", "3,5", "a;b", "x|y", "#1")
UNITS = {"s": 1, "ms": 10**3, "us": 10**6, "ns": 10**9}


@dataclass
class Table:
    """Ratings as a file holds them, and what they mean.

    Attributes
    ----------
    columns : dict of list of str
        The fields of each role or extra column, in the order of the file.
    truth : dict
        The rating and the time in seconds, or None, by user and item.
    """

    columns: dict[str, list[str]]
    truth: dict[tuple[str, str], tuple[float, int | None]]


class Layouts:
    """Random layouts, drawn from one generator."""

    def __init__(self, seed: int) -> None:
        self.rng = random.Random(seed)
        self.chosen: dict[str, Any] = {}

    def choose(self, name: str, *values: Any) -> Any:
        """Draw one of several values; the first ones are more likely."""
        weights = [1 / (1 + place) for place in range(len(values))]
        self.chosen[name] = self.rng.choices(values, weights)[0]
        return self.chosen[name]

    def write(self, folder: Path) -> tuple[Path, dict[str, Any], Table]:
        """Write ratings; return the path, the options to read them with, and the ratings."""
        self.chosen = {}
        table = self._table()
        form = self.choose("format", "text", "text", "parquet", "json lines")
        if form == "text":
            return self._write_text(folder, table)
        names = {role: self.rng.choice(KNOWN[role]) for role in table.columns if role in KNOWN}
        frame = pd.DataFrame({names.get(n, n): values for n, values in table.columns.items()})
        frame[names["rating"]] = frame[names["rating"]].astype(float)
        if "timestamp" in names and not self.chosen["times"].startswith("iso"):
            frame[names["timestamp"]] = frame[names["timestamp"]].astype("int64")
        if form == "parquet":
            path = folder / "ratings.parquet"
            frame.to_parquet(path)
        else:
            path = folder / "ratings.jsonl"
            rows = frame.to_dict("records")
            path.write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")
        return path, {}, table

    def _table(self) -> Table:
        """Draw ratings, ids of some kind, and the texts that stand for them."""
        rng = self.rng
        count = rng.choice([12, 40, 150, 600])
        pairs = [(rng.randrange(30), rng.randrange(25)) for _ in range(count)]
        if self.choose("duplicates", False, True) is False:
            pairs = list(dict.fromkeys(pairs))
        if self.choose("order", "random", "by user") == "by user":
            pairs.sort(key=lambda pair: pair[0])
        users, items = (self._ids(side) for side in ("users", "items"))
        scale = self.choose("scale", "1 to 5", "half steps", "0 to 100", "any", "negative", "10.5")
        ratings = [self._rating(scale) for _ in pairs]
        seconds = [rng.randrange(900_000_000, 1_600_000_000) for _ in pairs]
        times = self.choose("times", "", "s", "ms", "iso", "us", "iso zone", "iso day", "ns")
        columns = {
            "user": [users[user] for user, _ in pairs],
            "item": [items[item] for _, item in pairs],
            "rating": [_number(value) for value in ratings],
        }
        if times:
            columns["timestamp"] = [_time(second, times) for second in seconds]
            if times == "iso day":
                seconds = [second - second % 86400 for second in seconds]
        truth: dict[tuple[str, str], tuple[float, int | None]] = {}
        latest: dict[tuple[str, str], int] = {}
        for user, item, value, second in zip(
            columns["user"], columns["item"], ratings, seconds, strict=True
        ):
            pair = (user, item)
            if not times or second >= latest.get(pair, second):
                truth[pair] = (value, second if times else None)
                latest[pair] = second
        return Table(columns, truth)

    def _ids(self, side: str) -> list[str]:
        kind = self.choose(
            side, "small", "letters", "large", "zeros", "long", "spaces", "quotes", "separators"
        )
        numbers = self.rng.sample(range(1, 90), 30)
        make: dict[str, Callable[[int], str]] = {
            "small": str,
            "letters": lambda n: f"{side[0]}{n}",
            "large": lambda n: str(2**63 + n),
            "zeros": lambda n: f"{n:07}",
            "long": lambda n: f"{n:02}" + "é" * 20 + "x" * 30,
            "spaces": lambda n: f"{side[0]} {n}",
            "quotes": lambda n: f'"{n}" {side[0]}',
            "separators": lambda n: f"{n},{n};{n}|",
        }
        return [make[kind](number) for number in numbers]

    def _rating(self, scale: str) -> float:
        rng = self.rng
        if scale == "half steps":
            return rng.randrange(1, 11) / 2
        if scale == "0 to 100":
            return float(rng.randrange(101))
        if scale == "any":
            return round(rng.uniform(-10, 10), 3)
        if scale == "negative":
            return float(rng.randrange(-5, 6))
        if scale == "10.5":
            return rng.randrange(100, 110) + 0.25
        return float(rng.randrange(1, 6))

    def _write_text(self, folder: Path, table: Table) -> tuple[Path, dict[str, Any], Table]:
        options: dict[str, Any] = {}
        names = self._add_columns(table, options)
        if self.choose("decimal", ".", ".", ",") == ",":
            if self.choose("decimal given", True, False):
                options["decimal"] = ","
            table.columns["rating"] = [v.replace(".", ",") for v in table.columns["rating"]]
        header = [names.get(n, n) for n in table.columns] if names else []
        separator, quotes = self._separation([*header, *itertools.chain(*table.columns.values())])
        rows = list(zip(*table.columns.values(), strict=True))
        lines = [self._line(row, separator, quotes) for row in rows]
        first = [self._line(header, separator, quotes)] if header else []
        sep = [f"sep={separator}"]
        comments = self.choose("comments", [], [], ["# ratings"], ["% sym weighted"], sep)
        parts = self.choose("parts", 1, 1, 3)
        encoding = self.choose("encoding", "utf-8", "utf-8-sig", "utf-16", "latin-1", "utf-16-le")
        if encoding == "latin-1" and self.choose("encoding given", True, False):
            options["encoding"] = encoding
        if parts == 1:
            path = folder / "ratings"
            self._write_lines(path, [*comments, *first, *lines], encoding)
            return path, options, table
        path = folder / "parts"
        path.mkdir()
        each = self.choose("header of parts", "each", "first")
        size = -(-len(lines) // parts)
        for number in range(parts):
            piece = lines[number * size : (number + 1) * size]
            start = first if number == 0 or each == "each" else []
            self._write_lines(path / f"part-{number}", [*start, *piece], encoding)
        return path, options, table

    def _separation(self, fields: list[str]) -> tuple[str, str]:
        """Draw a separator and how fields are quoted, such that each row has one meaning."""
        separator = self.choose("separator", ",", "\t", ";", "::", "|", " ", ", ")
        quotes = self.choose("quotes", "minimal", "all", "none", "text")
        if any(separator[0] in text or '"' in text for text in fields):
            if len(separator) == 2:
                separator = self.choose("separator", "\t", "|")
            if quotes == "none":
                quotes = self.choose("quotes", "minimal")
        return separator, quotes

    def _add_columns(self, table: Table, options: dict[str, Any]) -> dict[str, str]:
        """Add columns, reorder them, and choose a header; return the names, none for no header."""
        rng, columns, count = self.rng, table.columns, len(table.columns["user"])
        extra = self.choose("extra", "", "title", "index", "number")
        if extra == "title":
            columns["title"] = [rng.choice(WORDS) for _ in range(count)]
        elif extra == "number":
            columns["number"] = [str(rng.randrange(10)) for _ in range(count)]
        order = list(columns)
        header = self.choose("header", "known", "none", "unknown")
        given = header != "known" and self.choose("columns given", True, False)
        # Nothing tells the order of columns that have neither names nor options.
        is_told = header != "none" or given
        if is_told and self.choose("columns", "usual", "shuffled") == "shuffled":
            rng.shuffle(order)
        if extra == "index":
            columns["index"] = [str(n) for n in range(count)]
            order.insert(0, "index")
        table.columns = {name: columns[name] for name in order}
        if header == "known":
            return {r: rng.choice(KNOWN[r]) for r in ROLES if r in order} | (
                {"index": ""} if extra == "index" else {}
            )
        present = [role for role in ROLES if role in order]
        if header == "unknown":
            if given:
                options["columns"] = {role: UNKNOWN[role] for role in present}
            return {role: UNKNOWN[role] for role in present}
        if given:
            options["columns"] = {role: str(order.index(role) + 1) for role in present}
        return {}

    def _line(self, fields: Any, separator: str, quotes: str) -> str:
        if quotes == "none" or separator == "::":
            return separator.join(fields)
        modes = {"all": csv.QUOTE_ALL, "text": csv.QUOTE_NONNUMERIC, "minimal": csv.QUOTE_MINIMAL}
        line = io.StringIO()
        writer = csv.writer(line, delimiter=separator[0], quoting=modes[quotes], lineterminator="")
        writer.writerow([_plain(text) for text in fields] if quotes == "text" else fields)
        return line.getvalue().replace(",", ", ") if separator == ", " else line.getvalue()

    def _write_lines(self, path: Path, lines: list[str], encoding: str) -> None:
        end = self.choose("line end", "\n", "\r\n", "\r")
        text = end.join(lines) + self.choose("last line end", end, "", end + end)
        if self.choose("blank start", False, False, True):
            text = end + text
        data = text.encode(encoding, errors="replace")
        packed = self.choose("compression", "", "", "gz", "bz2", "zip")
        if packed == "gz":
            data = gzip.compress(data)
        elif packed == "bz2":
            data = bz2.compress(data)
        elif packed == "zip":
            stored = io.BytesIO()
            with zipfile.ZipFile(stored, "w") as archive:
                archive.writestr("ratings.csv", data)
            data = stored.getvalue()
        path.write_bytes(data)


def _plain(text: str) -> str | float:
    """Return a number if csv writes the same text for it, and so without quotes."""
    for kind in (int, float):
        try:
            if str(kind(text)) == text:
                return kind(text)
        except ValueError:
            pass
    return text


def _number(value: float) -> str:
    return f"{value:g}"


def _time(second: int, kind: str) -> str:
    if kind in UNITS:
        return str(second * UNITS[kind])
    moment = datetime.datetime.fromtimestamp(second, datetime.UTC)
    forms = {"iso": "%Y-%m-%d %H:%M:%S", "iso zone": "%Y-%m-%dT%H:%M:%SZ", "iso day": "%Y-%m-%d"}
    return moment.strftime(forms[kind])


def _found(ratings: mfcli.Ratings) -> dict[tuple[str, str], tuple[float, int | None]]:
    """Return ratings and times by the ids as texts."""
    users, items = (
        [str(i) for i in side.ids.to_pylist()] for side in (ratings.users, ratings.items)
    )
    times: Iterator[int | None] = iter([None] * len(ratings))
    if ratings.timestamp is not None:
        times = iter(ratings.timestamp.tolist())
    return {
        (users[user], items[item]): (rating, time)
        for user, item, rating, time in zip(
            ratings.user.tolist(),
            ratings.item.tolist(),
            ratings.rating.tolist(),
            times,
            strict=True,
        )
    }


def _same(table: Table, ratings: mfcli.Ratings) -> bool:
    found = _found(ratings)
    if found.keys() != table.truth.keys():
        return False
    pairs = [(found[pair], table.truth[pair]) for pair in found]
    values = np.array([[one[0], other[0]] for one, other in pairs])
    close = np.allclose(values[:, 0], values[:, 1], rtol=1e-6, atol=1e-6)
    return bool(close) and all(one[1] == other[1] for one, other in pairs)


def outcome(path: Path, options: dict[str, Any], table: Table) -> tuple[str, str]:
    """Read a file; return "read", "warned", "refused" or "misread", and the message if any."""
    try:
        with warnings.catch_warnings(record=True) as caught:
            warnings.simplefilter("always")
            ratings = mfcli.read_ratings(path, **options)
    except mfcli.MfcliError as error:
        return "refused", str(error)
    message = "; ".join(str(warning.message) for warning in caught)
    if _same(table, ratings):
        return ("read, warned" if caught else "read"), message
    return ("warned" if caught else "misread"), message


def main(
    files: Annotated[int, typer.Option(help="Number of files.")] = 1000,
    seed: Annotated[int, typer.Option(help="Seed of all random choices.")] = 0,
    keep: Annotated[Path | None, typer.Option(help="Copy misread files into this folder.")] = None,
    explain: Annotated[bool, typer.Option(help="Print each outcome with the layout.")] = False,
) -> None:
    """Write and read files in random layouts, and count the outcomes."""
    counts: collections.Counter[str] = collections.Counter()
    for number in range(files):
        layouts = Layouts(seed * 1_000_000 + number)
        with tempfile.TemporaryDirectory() as folder:
            path, options, table = layouts.write(Path(folder))
            try:
                result, message = outcome(path, options, table)
            except Exception as error:
                result, message = "crashed", repr(error)
            counts[result] += 1
            if explain or result in ("misread", "crashed"):
                print(number, result, message, layouts.chosen, options, file=sys.stderr)
                if keep and path.is_file():
                    keep.mkdir(parents=True, exist_ok=True)
                    (keep / str(number)).write_bytes(path.read_bytes())
    print(json.dumps(dict(counts), indent=2))
    raise typer.Exit(1 if counts["misread"] or counts["crashed"] else 0)


if __name__ == "__main__":
    typer.run(main)

"""What a careful colleague would say of a file of ratings before anything is trained.

The facts are taken once, from sorted ratings and from counts by user and item; the rules that warn
read the facts only.
"""

from __future__ import annotations

import dataclasses
import time
from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from mfcli import __version__
from mfcli.config import Config
from mfcli.data import Ratings, Source, Vocabulary
from mfcli.training import make_plan, row_size, training_memory

FORMAT = 1
QUANTILES = (0, 25, 50, 75, 90, 99, 100)

_FEW = 1000  # ratings
_MANY_DUPLICATES = 0.01  # of the rows
_MANY_SINGLE = 0.2  # of the users or items
_HEAVY = 0.05  # of the ratings, by one user
_BINS = 20
_RARE = 1000  # one rating of so many is rare
_FAR = 10  # interquartile ranges
_SHOWN = 5  # far values named in a warning
_LEAST = 100  # ratings from which on some can be far from the others

_EARLIEST = 631_152_000  # 1990-01-01, in seconds since 1970
_DAY = 86_400
_UNITS = {"nanoseconds": 10**9, "microseconds": 10**6, "milliseconds": 10**3}
_START = 10**8  # times are in the first unit that puts the last of them after this, in 1973

_PROCESS = 200_000_000  # bytes of the interpreter and the compiled kernels
_ASSUMED = (
    "fast engine on one core of a 2025 server: {ns:.0f} ns a rating for rows of {stride} float32"
    " values, interpolated between 13 (32 values), 15 (64) and 60 (224)"
)

Floats = NDArray[np.float64]
Counts = NDArray[np.int64]


@dataclass(frozen=True)
class Warning:
    """Something to look at before training; as text, one sentence.

    Attributes
    ----------
    what : str
        The same words whatever the data.
    value : str
    remedy : str
    """

    what: str
    value: str
    remedy: str

    def __str__(self) -> str:
        return f"{self.what}: {self.value}; {self.remedy}"


@dataclass(frozen=True)
class Bin:
    """Ratings from `low` up to `high`, which only the last bin includes; of one value if equal."""

    low: float
    high: float
    count: int


@dataclass(frozen=True)
class Values:
    """How the ratings are spread.

    Attributes
    ----------
    min, max : float
    step : float or None
        None if the values are many or at uneven distances.
    distinct : int
    mean, standard_deviation : float
    histogram : list of Bin
        The distinct values if there are at most 21, else 20 bins of equal width.
    most : Bin
        The value with the most ratings.
    far : list of Bin
        Values far from all others.
    not_rated : int
        Ratings of zero, if it looks like a mark for "not rated".
    negative : int
        Ratings below zero, if the scale does not reach about as far above it.
    """

    min: float
    max: float
    step: float | None
    distinct: int
    mean: float
    standard_deviation: float
    histogram: list[Bin]
    most: Bin
    far: list[Bin]
    not_rated: int
    negative: int


@dataclass(frozen=True)
class Found:
    """Ids with a peculiarity: how many, and one or two of them."""

    count: int
    example: str


_NONE = Found(0, "")


@dataclass(frozen=True)
class Ids:
    """What the ids of users or items look like; all that follows `type` is of text only.

    Attributes
    ----------
    type : str
        "integer" or "text".
    padded : Found
        Whole numbers with leading zeros, such as "007".
    uneven : bool
        Whether whole numbers are padded, but not to the same length.
    blanks : Found
        Ids that begin or end with a blank.
    alike : Found
        Ids that differ from an earlier one by case, blanks or zeros only.
    stray : Found
        Ids that are no whole numbers, where at most 1% (or one of ten or more) are not.
    """

    type: str
    padded: Found = _NONE
    uneven: bool = False
    blanks: Found = _NONE
    alike: Found = _NONE
    stray: Found = _NONE


@dataclass(frozen=True)
class Side:
    """The users or the items.

    Attributes
    ----------
    name : str
        "users" or "items".
    count : int
    ids : Ids
    quantiles : dict of int
        Ratings of each, by percentage: so many of them have at most so many ratings.
    single : int
        How many have one rating only.
    single_share : float
    top_share : float
        Share of all ratings that the most rated or most active 1% of them have (at least one).
    most : str
        The id with the most ratings.
    most_share : float
        Its share of all ratings.
    """

    name: str
    count: int
    ids: Ids
    quantiles: dict[str, int]
    single: int
    single_share: float
    top_share: float
    most: str
    most_share: float


@dataclass(frozen=True)
class Times:
    """When ratings were given.

    Attributes
    ----------
    first, last : str
        Dates in ISO 8601.
    unit : str
        What the file seems to count in: "seconds", or a smaller unit.
    early, future : int
        Ratings before 1990 and from more than a day after now.
    same : bool
        Whether several ratings have all the same time.
    """

    first: str
    last: str
    unit: str
    early: int
    future: int
    same: bool


@dataclass(frozen=True)
class Cost:
    """What `mfcli train` takes with the fast engine, as an estimate.

    Attributes
    ----------
    k : int
    memory : dict of int
        Bytes: `columns` mapped from the split, `records` of all ratings and `shuffle` in which
        they are put in order, `tables` of users and items, `process`; and the `total`.
    seconds : float
        An epoch: training and validation together go through all ratings.
    assumed : str
        What the seconds rest on.
    """

    k: int
    memory: dict[str, int]
    seconds: float
    assumed: str


@dataclass(frozen=True)
class Report:
    """What `check` found.

    Attributes
    ----------
    source : Source or None
        How the file was read.
    rows : int
        Read, duplicates included.
    ratings : int
        After merging duplicates.
    duplicates : int
    duplicate_share : float
        Of the rows.
    users, items : Side
    density : float
        Share of all pairs of a user and an item that are rated.
    values : Values
    times : Times or None
        None where the file has no times.
    cost : Cost or None
        None if the config asks for the Keras engine.
    warnings : list of Warning
    """

    source: Source | None
    rows: int
    ratings: int
    duplicates: int
    duplicate_share: float
    users: Side
    items: Side
    density: float
    values: Values
    times: Times | None
    cost: Cost | None
    warnings: list[Warning]

    def as_dict(self) -> dict[str, Any]:
        """Return the report as plain values."""
        return {"format": FORMAT, "mfcli": __version__, **dataclasses.asdict(self)}


def check(ratings: Ratings, config: Config, *, now: float | None = None) -> Report:
    """Look at ratings as a careful colleague would, before training.

    Parameters
    ----------
    ratings : Ratings
        As `read_ratings` gives them, at least one.
    config : Config
        For the cost of training, and whether k suits the data.
    now : float, optional
        Seconds since 1970, the clock's by default.
    """
    source = ratings.source
    rows, duplicates = (source.rows, source.duplicates) if source else (len(ratings), 0)
    report = Report(
        source=source,
        rows=rows,
        ratings=len(ratings),
        duplicates=duplicates,
        duplicate_share=duplicates / rows,
        users=_side("users", ratings.users, ratings.user),
        items=_side("items", ratings.items, ratings.item),
        density=ratings.density,
        values=_values(ratings),
        times=_times(ratings.timestamp, time.time() if now is None else now),
        cost=_cost(ratings, config),
        warnings=[],
    )
    return replace(report, warnings=list(_warnings(report, config)))


def _values(ratings: Ratings) -> Values:
    values, counts = _counted(ratings.rating)
    scale, most = ratings.scale(), int(counts.argmax())
    mean = float(counts @ values) / len(ratings)
    variance = float(counts @ np.square(values - mean)) / len(ratings)
    far = _far(values, counts) if len(ratings) >= _LEAST else np.zeros(len(values), np.bool_)
    return Values(
        min=_plain(scale.min),
        max=_plain(scale.max),
        step=scale.step,
        distinct=len(values),
        mean=mean,
        standard_deviation=variance**0.5,
        histogram=_histogram(values, counts),
        most=_bins(values[most : most + 1], counts[most : most + 1])[0],
        far=_bins(values[far], counts[far]),
        not_rated=_not_rated(values, counts),
        negative=_negative(values, counts),
    )


def _counted(rating: NDArray[np.float32]) -> tuple[Floats, Counts]:
    """Return the distinct values in ascending order, and how often each occurs."""
    ordered = np.sort(rating)
    first = np.flatnonzero(np.concatenate([[True], ordered[1:] != ordered[:-1]]))
    return ordered[first].astype(np.float64), np.diff(first, append=len(ordered))


def _plain(value: float) -> float:
    """Return a float32 value as it would be written: 0.1, not 0.10000000149."""
    return float(str(np.float32(value)))


def _bins(values: Floats, counts: Counts) -> list[Bin]:
    plain = map(_plain, values.tolist())
    return [Bin(value, value, n) for value, n in zip(plain, counts.tolist(), strict=True)]


def _histogram(values: Floats, counts: Counts) -> list[Bin]:
    if len(values) <= _BINS + 1:
        return _bins(values, counts)
    binned, edges = np.histogram(values, _BINS, weights=counts)
    ends = [_plain(edge) for edge in edges.tolist()]
    return [Bin(*bin) for bin in zip(ends, ends[1:], binned.tolist(), strict=False)]


def _far(values: Floats, counts: Counts) -> NDArray[np.bool_]:
    """Mark the values that are far from all others.

    Looked at are, on either side, the outermost values that together have at most one rating of
    1,000 (of fewer ratings, at most one), and the outermost one however frequent, since marks such
    as 99 are. They are far beyond a gap that is wider than all values within it; rare ones also
    ten interquartile ranges away from the quartiles.
    """
    low, high = _rare(counts), _rare(counts[::-1])
    rest = values[low : len(values) - high]
    if len(rest) < 2:
        return np.zeros(len(values), np.bool_)
    above = _beyond(values - rest[0], high)
    below = _beyond((rest[-1] - values)[::-1], low)[::-1]
    away = _away(values, counts)
    away[low : len(values) - high] = False
    return above | below | away


def _rare(counts: Counts) -> int:
    """Count the first values that have at most one rating of 1,000 together."""
    most = max(int(counts.sum()) // _RARE, 1)
    return int(np.searchsorted(np.cumsum(counts), most, side="right"))


def _beyond(distance: Floats, rare: int) -> NDArray[np.bool_]:
    """Mark what lies beyond a gap wider than all within it, of the last values.

    Parameters
    ----------
    distance : float64 array, shape (n,)
        From the other end of the usual values, ascending; below zero for what lies beyond that.
    rare : int
        Values to look at; for 0 it is the last one, if it is at least the fourth.
    """
    far = np.zeros(len(distance), np.bool_)
    start = len(distance) - max(rare, 1)
    if np.count_nonzero(distance[:start] >= 0) >= (2 if rare else 3):
        far[start:] = np.diff(distance[start - 1 :]) > distance[start - 1 : -1]
    return np.logical_or.accumulate(far)


def _away(values: Floats, counts: Counts) -> NDArray[np.bool_]:
    """Mark values more than ten interquartile ranges away from the quartiles."""
    ends = np.cumsum(counts)
    q1, q3 = values[np.searchsorted(ends, [0.25 * ends[-1], 0.75 * ends[-1]])]
    reach = _FAR * (q3 - q1)
    away: NDArray[np.bool_] = (reach > 0) & ((values < q1 - reach) | (values > q3 + reach))
    return away


def _not_rated(values: Floats, counts: Counts) -> int:
    """Count the zeros, if they lie apart from the scale or are twice as many as any rating."""
    if len(values) < 3 or values[0] != 0:
        return 0
    gaps = np.diff(values)
    apart = gaps[0] > gaps[1:].max()
    return int(counts[0]) if apart or counts[0] > 2 * counts[1:].max() else 0


def _negative(values: Floats, counts: Counts) -> int:
    """Count the ratings below zero, unless the scale is about as wide on either side of it."""
    if values[0] >= 0 or abs(values[0] + values[-1]) <= values[-1] / 10:
        return 0
    return int(counts[values < 0].sum())


def _side(name: str, vocabulary: Vocabulary, rows: NDArray[np.int32]) -> Side:
    counts = vocabulary.counting(rows).counts
    top = -(-len(counts) // 100)
    single = int(np.count_nonzero(counts == 1))
    quantiles = np.percentile(counts, QUANTILES, method="inverted_cdf")
    return Side(
        name=name,
        count=len(counts),
        ids=_ids(vocabulary.ids),
        quantiles={str(q): int(n) for q, n in zip(QUANTILES, quantiles, strict=True)},
        single=single,
        single_share=single / len(counts),
        top_share=int(np.partition(counts, -top)[-top:].sum()) / len(rows),
        most=str(vocabulary.ids[int(counts.argmax())].as_py()),
        most_share=int(counts.max()) / len(rows),
    )


def _ids(ids: pa.Array) -> Ids:
    if pa.types.is_integer(ids.type):
        return Ids("integer")
    trimmed = pc.utf8_trim_whitespace(ids)
    whole = pc.match_substring_regex(trimmed, r"^[+-]?\d+$")
    padded = pc.match_substring_regex(trimmed, r"^0\d+$")
    found = _found(ids, padded)
    lengths = pc.min_max(pc.utf8_length(trimmed.filter(whole))).as_py()
    stray = _found(ids, pc.invert(whole))
    return Ids(
        "text",
        padded=found,
        uneven=found.count > 0 and lengths["min"] != lengths["max"],
        blanks=_found(ids, pc.not_equal(trimmed, ids)),
        alike=_alike(ids),
        stray=stray if stray.count <= max(len(ids) // 100, len(ids) >= 10) else _NONE,
    )


def _found(ids: pa.Array, mask: pa.Array) -> Found:
    found = ids.filter(mask)
    return Found(len(found), repr(found[0].as_py())) if len(found) else _NONE


def _alike(ids: pa.Array) -> Found:
    """Find ids of the same letters: without regard to case, blanks, zeros ahead and ".0" behind."""
    plain = pc.utf8_lower(pc.utf8_normalize(ids, form="NFKC"))
    plain = pc.replace_substring_regex(plain, r"\s+", "")
    plain = pc.replace_substring_regex(plain, r"^0*(\d+)(\.0*)?$", r"\1")
    codes = plain.dictionary_encode().indices.to_numpy()
    counts = np.bincount(codes)
    if len(counts) == len(ids):
        return _NONE
    pair = np.flatnonzero(codes == np.argmax(counts > 1))[:2].tolist()
    return Found(len(ids) - len(counts), " and ".join(repr(ids[n].as_py()) for n in pair))


def _times(timestamp: NDArray[np.int64] | None, now: float) -> Times | None:
    if timestamp is None:
        return None
    first, last = int(timestamp.min()), int(timestamp.max())
    unit = next((name for name, n in _UNITS.items() if last >= n * _START), "seconds")
    second = _UNITS.get(unit, 1)
    return Times(
        first=_date(first // second),
        last=_date(last // second),
        unit=unit,
        early=int(np.count_nonzero(timestamp < _EARLIEST * second)),
        future=int(np.count_nonzero(timestamp > (int(now) + _DAY) * second)),
        same=first == last and len(timestamp) > 1,
    )


def _date(seconds: int) -> str:
    return str(np.datetime64(seconds, "s").astype("datetime64[D]"))


def _cost(ratings: Ratings, config: Config) -> Cost | None:
    plan = make_plan(ratings, config)
    if plan.engine != "fast":
        return None
    rows = len(ratings.users) + len(ratings.items)
    stride = row_size(config)
    memory = {
        "columns": len(ratings) * (12 if ratings.timestamp is None else 20),
        **training_memory(plan, len(ratings), rows, config),
        "process": _PROCESS,
    }
    memory["total"] = sum(memory.values())
    ns = _nanoseconds(stride)
    assumed = _ASSUMED.format(ns=ns, stride=stride)
    return Cost(config.k, memory, len(ratings) * ns / 1e9, assumed)


def _nanoseconds(stride: int) -> float:
    """Estimate the time of a rating: straight lines through the measured points, and on beyond.

    The slopes grow, so the lines' maximum joins them: 13 at 32, 15 at 64, 60 at 224.
    """
    return max(13.0, 13 + (stride - 32) / 16, 15 + (stride - 64) * 9 / 32)


def _warnings(report: Report, config: Config) -> Iterator[Warning]:
    yield from _about_rows(report)
    yield from _about_values(report)
    yield from _about_marks(report.values)
    if report.times:
        yield from _about_times(report.times)
    yield from _about_k(report, config)
    for side in (report.users, report.items):
        yield from _about_activity(side)
        yield from _about_ids(side)


def _about_rows(report: Report) -> Iterator[Warning]:
    if report.ratings < _FEW:
        yield Warning(
            "few ratings",
            f"{report.ratings:,}",
            "errors measured on so few are uncertain: split with --strategy k-fold",
        )
    if report.duplicate_share > _MANY_DUPLICATES:
        yield Warning(
            "duplicates, an item rated again by the same user",
            _share(report.duplicates, report.rows, "rows"),
            "see whether the file repeats itself, and choose what they become with --duplicates",
        )


def _about_values(report: Report) -> Iterator[Warning]:
    values, most = report.values, report.values.most
    if values.distinct == 1:
        yield Warning(
            "all ratings are equal",
            f"{most.low:g}",
            "mfcli predicts ratings, and this looks like implicit feedback (who used what);"
            " if the file has ratings, name their column with --rating-col",
        )
    elif most.count > (0.5 if values.distinct > 2 else 0.9) * report.ratings:
        yield Warning(
            "most ratings have one value",
            f"{most.low:g} in {_share(most.count, report.ratings, 'ratings')}",
            "compare the model to the baselines of mfcli evaluate, and see that --rating-col is"
            " the column of ratings",
        )
    if values.distinct > 1 and values.step is None:
        yield Warning(
            "rating scale without steps",
            f"{values.distinct:,} distinct values from {values.min:g} to {values.max:g}",
            "see that these are ratings, not counts or times; the column is --rating-col",
        )


def _about_marks(values: Values) -> Iterator[Warning]:
    if values.far:
        shown = ", ".join(f"{bin.low:g} ({bin.count:,}x)" for bin in values.far[:_SHOWN])
        more = f" and {len(values.far) - _SHOWN:,} more" if len(values.far) > _SHOWN else ""
        yield Warning(
            "ratings far from all others",
            shown + more,
            "correct them or take them out of the file: they pull the mean, and training may"
            " diverge unless --lr is smaller",
        )
    if values.not_rated:
        yield Warning(
            "zero may mean 'not rated'",
            f"{values.not_rated:,} ratings of 0",
            "if so, take these rows out of the file, or they are learned as very bad ratings",
        )
    if values.negative:
        yield Warning(
            "negative ratings",
            f"{values.negative:,} from {values.min:g}",
            "if they mark what is missing, take these rows out of the file",
        )


def _about_times(times: Times) -> Iterator[Warning]:
    leave = "leave the times out with --time-col ''"
    if times.unit != "seconds":
        divisor = f"{_UNITS[times.unit]:,}"
        yield Warning(
            "times are not in seconds",
            f"they look like {times.unit}",
            f"divide them by {divisor}, or the dates of --cut will not fit; or {leave}",
        )
    if times.early:
        value = f"{times.early:,} ratings, the first of {times.first}"
        yield Warning("times before 1990", value, f"correct them, or {leave}")
    if times.future:
        value = f"{times.future:,} ratings, the last of {times.last}"
        yield Warning("times in the future", value, f"correct them, or {leave}")
    if times.same:
        yield Warning("all times are the same", times.first, f"they order nothing: {leave}")


def _about_k(report: Report, config: Config) -> Iterator[Warning]:
    median = report.users.quantiles["50"]
    if config.k > median and not any(config.regs.values()):
        yield Warning(
            "more factors than ratings of a usual user",
            f"k {config.k}, the median user has {median:,}",
            "the model will overfit: use --reg, such as 2e-5, or a smaller --k",
        )


def _about_activity(side: Side) -> Iterator[Warning]:
    one, option = side.name[:-1], f"--min-{side.name[:-1]}"
    if side.single_share > _MANY_SINGLE:
        yield Warning(
            f"{side.name} with a single rating",
            _share(side.single, side.count, side.name),
            f"none of them can be both learned and tested: use {option} 2",
        )
    if side.name == "users" and side.most_share > max(_HEAVY, 2 / side.count):
        yield Warning(
            f"one {one} has a large part of the ratings",
            f"{side.most} has {side.most_share:.1%}",
            "if it is a robot or an account of many, take it out of the file; or split with"
            " --strategy per-user",
        )


def _about_ids(side: Side) -> Iterator[Warning]:
    ids, one = side.ids, side.name[:-1]
    if ids.uneven:
        yield Warning(
            f"{one} ids look like padded numbers",
            f"{ids.padded.count:,}, such as {ids.padded.example}",
            "they are text, so that 007 is not 7: write all with the same zeros, or none",
        )
    if ids.blanks.count:
        yield Warning(
            f"{one} ids begin or end with a blank",
            f"{ids.blanks.count:,}, such as {ids.blanks.example}",
            "blanks are part of an id: take them out of the file",
        )
    if ids.alike.count:
        yield Warning(
            f"{one} ids differ only by case, blanks or zeros",
            f"{ids.alike.count:,}, such as {ids.alike.example}",
            "they are probably the same: write each of them one way in the file",
        )
    if ids.stray.count:
        yield Warning(
            f"a few {one} ids are no whole numbers",
            f"{ids.stray.count:,}, such as {ids.stray.example}",
            f"all others are: correct them, take them out, or see that they belong to --{one}-col",
        )


def _share(part: int, whole: int, noun: str) -> str:
    return f"{part:,} of {whole:,} {noun} ({part / whole:.1%})"

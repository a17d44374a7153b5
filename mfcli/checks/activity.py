"""Facts about users and about items: how many ratings each has, and what their ids look like."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from mfcli.data import Vocabulary, to_numpy, to_texts
from mfcli.types import Counts

QUANTILES = (0, 25, 50, 75, 90, 99, 100)

_PLACEHOLDERS = to_texts(
    ["na", "n/a", "#n/a", "<na>", "nan", "null", "(null)", "\\n", "none", "nil", "undefined"]
)
"""Lower-case ids that programs write for a missing value; `\\N` is from MySQL."""
_FREQUENT = 10  # times the ratings of the next id


@dataclass(frozen=True)
class IdExamples:
    """How many ids have a certain form, and one or two of them."""

    count: int
    example: str


_NONE = IdExamples(0, "")


@dataclass(frozen=True)
class IdForms:
    """The forms of the ids of users or items.

    Attributes after `placeholders` apply to text ids only.

    Attributes
    ----------
    type : str
        "integer" or "text".
    placeholders : IdExamples
        Ids that stand for a missing one: "NA", "null" and the like, the only negative integer, and
        0 if it has more than ten times as many ratings as any other.
    padded : IdExamples
        Whole numbers with leading zeros, such as "007".
    uneven : bool
        Whether some whole numbers are padded, but to different lengths.
    blanks : IdExamples
        Ids that start or end with a blank.
    alike : IdExamples
        Ids without blanks around them that differ from an earlier one only in case, inner blanks or
        zeros.
    stray : IdExamples
        Ids that are not whole numbers, if at most 1% of the ids (or one of at least ten) are.
    """

    type: str
    placeholders: IdExamples = _NONE
    padded: IdExamples = _NONE
    uneven: bool = False
    blanks: IdExamples = _NONE
    alike: IdExamples = _NONE
    stray: IdExamples = _NONE


@dataclass(frozen=True)
class Activity:
    """The users, or the items, and their numbers of ratings.

    Attributes
    ----------
    name : str
        "users" or "items".
    count : int
    ids : IdForms
    quantiles : dict of int
        Percentiles of the number of ratings, by percentage.
    single : int
        Number of them with only one rating.
    single_share : float
        The same as a fraction of all.
    top_share : float
        Fraction of all ratings that belong to the top 1% of them (at least one).
    most : str
        The id with the most ratings.
    most_share : float
        Its fraction of all ratings.
    """

    name: str
    count: int
    ids: IdForms
    quantiles: dict[str, int]
    single: int
    single_share: float
    top_share: float
    most: str
    most_share: float


def activity_of(name: str, vocabulary: Vocabulary, total: int) -> Activity:
    """Return the facts about users or items.

    Parameters
    ----------
    name : str
        "users" or "items".
    vocabulary : Vocabulary
        Counts all ratings.
    total : int
        Number of all ratings.
    """
    counts = vocabulary.counts
    top = -(-len(counts) // 100)  # 1%, rounded up
    single = int(np.count_nonzero(counts == 1))
    # This method returns numbers that occur, so that "the median user has 3.5" cannot happen.
    quantiles = np.percentile(counts, QUANTILES, method="inverted_cdf")
    return Activity(
        name=name,
        count=len(counts),
        ids=_forms(vocabulary.ids, counts),
        quantiles={str(q): int(n) for q, n in zip(QUANTILES, quantiles, strict=True)},
        single=single,
        single_share=single / len(counts),
        # A partition instead of a sort: the order within the top does not matter.
        top_share=int(np.partition(counts, -top)[-top:].sum()) / total,
        most=str(vocabulary.ids[int(counts.argmax())].as_py()),
        most_share=int(counts.max()) / total,
    )


def _forms(ids: pa.Array, counts: Counts) -> IdForms:
    if pa.types.is_integer(ids.type):
        return IdForms("integer", placeholders=_placeholder(to_numpy(ids), counts))
    trimmed = pc.utf8_trim_whitespace(ids)
    whole = pc.match_substring_regex(trimmed, r"^[+-]?\d+$")
    padded = pc.match_substring_regex(trimmed, r"^0\d+$")
    found = _examples(ids, padded)
    lengths = pc.min_max(pc.utf8_length(trimmed.filter(whole))).as_py()
    stray = _examples(ids, pc.invert(whole))
    return IdForms(
        "text",
        placeholders=_examples(ids, pc.is_in(pc.utf8_lower(trimmed), value_set=_PLACEHOLDERS)),
        padded=found,
        uneven=found.count > 0 and lengths["min"] != lengths["max"],
        blanks=_examples(ids, pc.not_equal(trimmed, ids)),
        alike=_alike(trimmed.unique()),  # blanks around ids are reported already
        # `len(ids) >= 10` counts as 1 or 0: a single id among at least ten is stray, too.
        stray=stray if stray.count <= max(len(ids) // 100, len(ids) >= 10) else _NONE,
    )


def _placeholder(ids: NDArray[np.int64], counts: Counts) -> IdExamples:
    negative = np.flatnonzero(ids < 0)
    if len(negative) == 1 and len(ids) > 2:
        return IdExamples(1, repr(int(ids[negative[0]])))
    zero = int(np.argmin(np.abs(ids)))
    # 0 may be the first id of many; as a placeholder, it collects the ratings of many users.
    others = np.delete(counts, zero)
    frequent = len(others) > 1 and counts[zero] > _FREQUENT * others.max()
    return IdExamples(1, "0") if ids[zero] == 0 and frequent else _NONE


def _examples(ids: pa.Array, mask: pa.Array) -> IdExamples:
    found = ids.filter(mask)
    return IdExamples(len(found), repr(found[0].as_py())) if len(found) else _NONE


def _replaced(texts: pa.Array, mask: pa.Array, pattern: str, by: str) -> pa.Array:
    """Replace a pattern in the texts of a mask; this is faster than in all of them."""
    return pc.replace_with_mask(
        texts, mask, pc.replace_substring_regex(texts.filter(mask), pattern, by)
    )


def _alike(ids: pa.Array) -> IdExamples:
    """Find ids that are equal without case, blanks, leading zeros and a final ".0"."""
    is_ascii = pc.all(pc.string_is_ascii(ids)).as_py()
    plain = pc.ascii_lower(ids) if is_ascii else pc.utf8_lower(pc.utf8_normalize(ids, form="NFKC"))
    plain = _replaced(plain, pc.match_substring_regex(plain, r"\s"), r"\s+", "")
    is_number = pc.or_(pc.starts_with(plain, "0"), pc.match_substring(plain, "."))
    plain = _replaced(plain, is_number, r"^0*(\d+)(\.0*)?$", r"\1")
    codes = to_numpy(plain.dictionary_encode().indices)
    counts = np.bincount(codes)
    if len(counts) == len(ids):
        return _NONE
    # The first two ids that share a plain form.
    pair = np.flatnonzero(codes == np.argmax(counts > 1))[:2].tolist()
    return IdExamples(len(ids) - len(counts), " and ".join(repr(ids[n].as_py()) for n in pair))

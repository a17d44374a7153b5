"""Published results on data sets that are recognized by their counts.

Each figure is a test RMSE from one of these sources:

    GC-MC       R. van den Berg, T. N. Kipf, M. Welling, "Graph Convolutional Matrix Completion",
                arXiv:1706.02263, 2017 (for 100K without features of users and items)
    GLocal-K    S. C. Han et al., "GLocal-K: Global and Local Kernels for Recommender Systems",
                CIKM 2021
    timeSVD++   S. Rendle, L. Zhang, Y. Koren, "On the Difficulty of Evaluating Baselines: A Study
                on Recommender Systems", arXiv:1905.01395, 2019
    others      example experiments of MyMediaLite, README of Surprise, benchmark of gorse
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, NamedTuple

from mfcli.splits import Split


class Counts(NamedTuple):
    """What a data set is recognized by; None if a count is not checked."""

    ratings: int
    users: int | None
    items: int | None


class Published(NamedTuple):
    """The range of the published test RMSEs for one way to split a data set.

    Attributes
    ----------
    strategy : dict
        The entries of `Split.strategy` that correspond to it.
    protocol : str
        The same in words.
    highest, lowest : str
        With the method and the source.
    """

    strategy: dict[str, Any]
    protocol: str
    highest: str
    lowest: str


_DATA_SETS = {
    "MovieLens 100K": Counts(100_000, 943, 1_682),
    "MovieLens 1M": Counts(1_000_209, 6_040, 3_706),
    "MovieLens 10M": Counts(10_000_054, 69_878, 10_677),
    "Douban": Counts(136_891, None, None),
}
_GIVEN = {"name": "given"}
_TENTH = {"name": "random", "test": 0.1}
_FOLDS = {"name": "k-fold", "folds": 5}
_GC_MC = "GC-MC, R. van den Berg et al., 2017"
_GLOCAL_K = "GLocal-K, S. C. Han et al., CIKM 2021"
_MONTI = "split of F. Monti et al., NIPS 2017"
_TIME_SVD = "Bayesian timeSVD++ flipped, S. Rendle et al., 2019"
_PUBLISHED = {
    "MovieLens 100K": (
        Published(_GIVEN, "split u1", f"0.910 ({_GC_MC})", f"0.8889 ({_GLOCAL_K})"),
        Published(_FOLDS, "five folds", "0.9355 (SVD, Surprise)", "0.9065 (SVD++, MyMediaLite)"),
    ),
    "MovieLens 1M": (
        Published(_TENTH, "random 90/10 splits", f"0.832 ({_GC_MC})", f"0.8227 ({_GLOCAL_K})"),
        Published(
            _FOLDS, "five folds", "0.852 (biased MF, MyMediaLite)", "0.843 (tuned SVD, gorse)"
        ),
    ),
    "MovieLens 10M": (
        Published(_TENTH, "random 90/10 splits", f"0.777 ({_GC_MC})", f"0.7485 ({_TIME_SVD})"),
    ),
    "Douban": (Published(_GIVEN, _MONTI, f"0.734 ({_GC_MC})", f"0.7208 ({_GLOCAL_K})"),),
}


def published_on(split: Split) -> str:
    """Return a sentence about published results on the data set of a split; empty if unknown."""
    ratings = sum(map(len, split.parts.values()))
    counts = Counts(ratings, len(split.train.users), len(split.train.items))
    return published_text(counts, split.strategy)


def published_text(counts: Counts, strategy: Mapping[str, Any]) -> str:
    """Return a sentence about published results on a data set; empty if it is not recognized.

    Parameters
    ----------
    counts : Counts
        Of the whole data set.
    strategy : mapping
        How it was split.
    """
    name = next((n for n, known in _DATA_SETS.items() if _is_same(known, counts)), None)
    if name is None:
        return ""
    results = _PUBLISHED[name]
    matching = [one for one in results if one.strategy.items() <= strategy.items()]
    best, *_ = matching or results
    other = "" if matching else " This split is another one."
    return (
        f"Published test RMSEs on {name}, {best.protocol}: {best.highest} to {best.lowest}.{other}"
    )


def _is_same(known: Counts, counts: Counts) -> bool:
    return all(one in (None, other) for one, other in zip(known, counts, strict=True))

"""What a model by rows (als, gibbs) is fitted to: targets and weights of pairs, and penalties.

Over the rated pairs, with targets t and weights c, and over all pairs of trained users and items,
with one weight w and one target r0::

    sum c_ui (t_ui - s_ui)^2 + w sum (r0 - s_ui)^2 + sum_u reg_u |x_u|^2 + sum_i reg_i |x_i|^2

where s is the prediction (Y. Hu, Y. Koren and C. Volinsky, "Collaborative filtering for implicit
feedback datasets", ICDM 2008; H. Steck, "Training and testing of recommender systems on data
missing not at random", KDD 2010).
"""

from __future__ import annotations

import functools

import numpy as np

from mfcli.config import Config
from mfcli.data import RatedValues, Scale
from mfcli.errors import DataError, Param
from mfcli.types import Counts, Doubles, Floats

_UNEVEN = 10.0  # steps on a scale without even steps


def pair_targets(ratings: Floats, config: Config) -> Floats:
    """Return what rated pairs count as, float32 of shape (n,); a view, read-only if all are 1."""
    return np.broadcast_to(np.float32(1), ratings.shape) if config.target == "rated" else ratings


def pair_weights(ratings: RatedValues, scale: Scale, config: Config) -> Floats | None:
    """Return the weights of rated pairs, float32 of shape (n,); None if all are 1.

    They are the weights by rating, times the column of weights if the ratings have one.

    Raises
    ------
    DataError
        If a weight is not above 0 and finite.
    """
    with np.errstate(all="ignore"):  # invalid weights are refused below
        by_rating = _weights_by_rating(ratings.rating, scale, config)
        given = [weights for weights in (by_rating, ratings.weight) if weights is not None]
        weights = functools.reduce(np.multiply, given) if given else None
    if weights is not None:
        _check_weights(weights, ratings.rating, config)
    return weights


def _check_weights(weights: Floats, rating: Floats, config: Config) -> None:
    is_valid = (weights > 0) & (weights < np.inf)
    if is_valid.all():
        return
    value = float(rating[~is_valid][0])
    by_rating = Param("rating_weight", config.rating_weight)
    if value < 0:
        raise DataError(
            ["ratings must not be negative with ", by_rating],
            value=value,
            remedy=["omit such ratings, or train with ", Param("rating_weight", "linear")],
        )
    raise DataError(
        ["weights of rated pairs must be above 0 and finite with ", by_rating],
        place=f"rating {value:g}",
        remedy=["use a smaller ", Param("alpha"), " or weights closer to 1"],
    )


def _weights_by_rating(rating: Floats, scale: Scale, config: Config) -> Floats | None:
    kind, alpha = config.rating_weight, np.float32(config.alpha)
    if kind == "none":
        return None
    if kind == "confidence":
        return 1 + alpha * rating
    if kind == "log":
        return 1 + alpha * np.log1p(rating)
    # r / max, if the lowest rating is one step: from 0.5 to 5 by 0.5, or from 1 to 5 by 1. Ratings
    # of new users may be lower.
    width = scale.max - scale.min
    step = scale.step or width / _UNEVEN or 1.0
    level: Floats = np.maximum(rating - np.float32(scale.min), 0) + np.float32(step)
    level /= np.float32(width + step)
    return level * level if kind == "squared" else level


def row_penalties(counts: Counts, others: int, config: Config, side: str) -> Doubles:
    """Return the penalties of the bias and of the factors of each row, shape (n, 2).

    With `reg_scope` "rating", a row with n ratings, which has w n' unrated pairs with the n' rows
    of the other side, has ``reg (n + w n')^exponent`` (S. Rendle et al., "Revisiting the
    performance of iALS on item recommendation benchmarks", RecSys 2022).

    Parameters
    ----------
    counts : int64 array, shape (n,)
    others : int
        Number of trained rows of the other side.
    config : Config
    side : {"user", "item"}
    """
    regs = np.array([config.regs[f"{side}_biases"], config.regs[f"{side}_factors"]])
    if config.scope == "table":
        return np.tile(regs, (len(counts), 1))
    sizes = counts + config.unrated_weight * others
    return np.outer(sizes**config.reg_exponent, regs)

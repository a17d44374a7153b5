"""Items recommended to users, and similar items or users, by raw ids."""

from __future__ import annotations

import os

import pyarrow as pa

from mfcli.arguments import check_count, check_fraction, check_type, path_of
from mfcli.data import Ids, RatingsLike, as_ratings, common_feedback, find_rows, id_array
from mfcli.errors import UsageError
from mfcli.model import (
    Explainer,
    Model,
    Order,
    RatedParts,
    excluded,
    recommended,
    similar as similar_rows,
    trained_parts,
    warn_untrained,
)
from mfcli.predict.listed_titles import with_titles
from mfcli.predict.selected_rows import (
    all_rows,
    candidates,
    known_rows,
    trained_row,
)
from mfcli.splits import Split
from mfcli.types import Rows

_LOAD = "load one with Model.load, or train one with fit"


def recommend(
    model: Model,
    users: Ids | None = None,
    n: int = 10,
    *,
    exclude: Split | RatingsLike | None = None,
    items: Ids | None = None,
    min_count: int = 0,
    max_popularity: float = 1,
    diversity: float = 0,
    explain: int = 0,
    ratings: Split | RatingsLike | None = None,
    titles: str | os.PathLike[str] | None = None,
    sort: str = "mean",
    interval: float | None = None,
    seed: int = 0,
    clip: bool = True,
    threads: int | None = None,
) -> pa.Table:
    """Recommend the items with the highest predicted ratings.

    Inside `mfcli.cluster`, workers rank items for parts of the users; the result is the same.

    Parameters
    ----------
    model : Model
    users : id or sequence of ids, optional
        By default all users of the model.
    n : int
        Number of items for each user.
    exclude : Split, Ratings or what `ratings_from` takes, optional
        Pairs that are not recommended: usually the split, of which all parts are excluded. A table
        needs no ratings.
    items : id or sequence of ids, optional
        Recommend only these items; unknown ones are skipped with a warning.
    min_count : int
        Omit items with fewer training ratings.
    max_popularity : float
        Omit the most popular items: those for which more than this fraction of all items has fewer
        training ratings.
    diversity : float
        From 0, for the items with the highest predictions, to 1, for items that differ. Of the
        10 n items with the highest predictions (at least 100), a list gets the one with the highest
        ``(1 - diversity) * prediction - diversity * cosine``, again and again: the prediction is
        scaled to 0 to 1 among these items, and the cosine is the highest one between the factors of
        the item and of those that are in the list already (maximal marginal relevance).
    explain : int
        Name this number of rated items for each recommended item: those that increase its
        prediction most.
    ratings : Split, Ratings or what `ratings_from` takes, optional
        The users' ratings, for `explain`; of a split, those for training. By default `exclude`.
    titles : path, optional
        File with an item and a title column.
    sort : {"mean", "low", "high", "sample"}
        Sort by the expected rating, by the low end of its interval (caution) or the high end
        (exploration), or by the rating in one sample of the posterior for each user (Thompson
        sampling). All but "mean" need a model that keeps samples.
    interval : float, optional
        Add `low` and `high`, between which the expected rating is with this probability; unlike in
        `Model.predict_distribution`, without the noise of single ratings. By default 0.9 if sorted
        by one of them; otherwise they are omitted.
    seed : int
        For `sort` "sample". What is drawn for a user does not depend on the other users.
    clip : bool
        Clip ratings to the rating scale; the order is that of the predictions before.
    threads : int, optional
        All cores by default; the result does not depend on it.

    Returns
    -------
    Arrow table
        Columns `user`, `rank` (from 1), `item`, `prediction` (or `score`, if the model predicts
        scores, which only rank) and, where they are used, `low`, `high` and `sample` (the rating in
        the sample). With titles also `title`. With `explain` also `because_1` (an item), with
        titles `because_1_title`, `because_1_rating` (by the user), `because_1_contribution` (to the
        prediction), `because_2`, ...; null where there are fewer items. Contributions are exact for
        models trained with als, and approximate for others.

    Warns
    -----
    MfcliWarning
        If a user has no training ratings, no item is left for a user, an id in `items` is unknown,
        or explanations are inaccurate.

    Raises
    ------
    UnknownIdError
        If the model does not know a user, or none of `items`.
    ArtifactError
        If samples are needed, and the model has none.
    DataError, UsageError
        If an argument breaks its rule.
    """
    check_type(model, Model, "model", _LOAD)
    check_count(n, "n", 1)
    check_count(min_count, "min_count", 0)
    check_count(explain, "explain", 0)
    check_fraction(max_popularity, "max_popularity")
    order = Order(sort, interval, seed)
    param, given = ("exclude", exclude) if ratings is None else ("ratings", ratings)
    explainer = _explainer(model, given, param, explain)
    rows = _rows_of(model, users)
    warn_untrained(model, rows, order)
    table = recommended(
        model,
        rows,
        n,
        exclude=excluded(model, exclude),
        candidates=candidates(model.items, _listed(model, items), min_count, max_popularity),
        diversity=diversity,
        explainer=explainer,
        order=order,
        clip=clip,
        threads=threads,
    )
    return _titled(table, model, titles)


def similar(
    model: Model,
    id: int | str,
    n: int = 10,
    *,
    users: bool = False,
    min_count: int = 0,
    titles: str | os.PathLike[str] | None = None,
) -> pa.Table:
    """List the items, or the users, whose factors are most similar (cosine) to those of one.

    Parameters
    ----------
    model : Model
    id : int or str
        Of an item; of a user with `users`.
    n : int
        Length of the list.
    users : bool
        List similar users.
    min_count : int
        Omit items, or users, with fewer training ratings; those without any are always omitted.
    titles : path, optional
        File with an item and a title column.

    Returns
    -------
    Arrow table
        Columns `rank` (from 1), `item` or `user`, `cosine` and, with titles, `title`.

    Raises
    ------
    UnknownIdError
        If the model does not know the id, or has no training ratings of it.
    UsageError
        If an argument breaks its rule.
    """
    check_type(model, Model, "model", _LOAD)
    check_count(n, "n", 1)
    check_count(min_count, "min_count", 0)
    if users and titles is not None:
        raise UsageError("are those of items", param="titles", remedy="omit them")
    what, vocabulary = ("user", model.users) if users else ("item", model.items)
    row = trained_row(vocabulary, what, id)
    # Rows without training ratings are zero and have no direction.
    allowed = vocabulary.counts >= max(min_count, 1)
    factors = model.user_factors if users else model.item_factors
    ranking = similar_rows(factors, row, n, allowed)
    # All rows are about the same item, which the caller has named.
    table = ranking.table(vocabulary, vocabulary, "of", "cosine").drop_columns(["of"])
    table = table.rename_columns(["rank", what, "cosine"])
    return _titled(table, model, titles)


def _titled(table: pa.Table, model: Model, titles: str | os.PathLike[str] | None) -> pa.Table:
    if titles is None:
        return table
    return with_titles(table, path_of(titles, "titles"), names=model.columns)


def _explainer(
    model: Model, ratings: Split | RatingsLike | None, param: str, explain: int
) -> Explainer | None:
    """Return what explains predictions by ratings, the argument `param`, if requested."""
    if not explain:
        return None
    if ratings is None:
        rule, remedy = "is required by explain", "give the split or the users' ratings"
        raise UsageError(rule, param="ratings", remedy=remedy)
    if isinstance(ratings, Split):
        given = trained_parts(model, ratings)
    else:
        read = as_ratings(ratings, param, model.feedback)
        given = RatedParts([read], model.users, model.items)
    common_feedback({"the model": model.feedback, param: given.parts[0].feedback})
    return Explainer(model, given, explain)


def _rows_of(model: Model, users: Ids | None) -> Rows:
    if users is None:
        return all_rows(model.users)
    return find_rows(model.users, id_array(users, "users"), "user")


def _listed(model: Model, items: Ids | None) -> Rows | None:
    if items is None:
        return None
    return known_rows(model.items, "item", id_array(items, "items"), "items")

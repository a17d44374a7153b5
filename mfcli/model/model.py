"""The model, rating(u, i) = mu + b_u + b_i + p_u . q_i, and its predictions by raw ids."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import pyarrow as pa

from mfcli.config import Config
from mfcli.data import PAIRS, Ids, Ratings, RatingsLike, Scale, find_rows, id_array, is_table
from mfcli.errors import DataError, UsageError
from mfcli.model.factorization import TABLES
from mfcli.model.folder import StoredModel
from mfcli.model.orders import Order
from mfcli.splits import Split
from mfcli.storage import threads_of
from mfcli.types import Floats, Rows

if TYPE_CHECKING:
    from mfcli.model.rating_distribution import RatingDistribution

_PART = 1 << 16  # rows that are drawn at a time, because NumPy draws float64
_INITIAL = 0.05  # Keras draws an embedding uniformly from -0.05 to 0.05


@dataclass(frozen=True)
class Model(StoredModel):
    """A trained model.

    It has the attributes of `StoredModel` and `Factorization`. Its users and items are tables of
    ids, counts, biases and factors, as in ``model.items.to_pandas()``.
    """

    def __repr__(self) -> str:
        return f"Model(k={self.k}, {len(self.users):,} users, {len(self.items):,} items)"

    def predict(
        self,
        users: Ids,
        items: Ids | None = None,
        *,
        columns: Mapping[str, str] | None = None,
        clip: bool = True,
    ) -> Floats:
        """Predict ratings, or scores, by raw ids, or for the pairs in a table.

        Parameters
        ----------
        users, items : id or sequence of ids, length n
            Integers or text. A single one is combined with all of the others. Unknown ids
            contribute nothing: the prediction is then mu plus the bias of the other side.
            Instead of both, `users` may be a table with a column of users and one of items: a
            data frame, an Arrow table or a mapping of arrays.
        columns : mapping of str, optional
            Names of the columns "user" and "item" of a table if they are not known ones.
        clip : bool
            Clip ratings to the rating scale.

        Returns
        -------
        float32 array, shape (n,)

        Raises
        ------
        DataError
            If ids are neither integers nor text, a column of the table is missing, or there are
            several users and another number of several items.
        UsageError
            If `users` is neither ids nor a table.
        """
        user, item = self._rows_of(users, items, columns)
        predicted = self.predict_rows(user, item)
        return self.clipped(predicted) if clip else predicted

    def predict_distribution(
        self,
        users: Ids,
        items: Ids | None = None,
        *,
        columns: Mapping[str, str] | None = None,
        threads: int | None = None,
    ) -> RatingDistribution:
        """Return the distributions of ratings, of a model with samples (`keep_samples`).

        The parameters `users`, `items` and `columns` are those of `predict`.

        Parameters
        ----------
        threads : int, optional
            All cores by default. The result does not depend on it.

        Returns
        -------
        RatingDistribution
            With `interval`, `at_least`, `quantile` and `cdf`, as in
            ``low, high = model.predict_distribution("7", items).interval(0.9)``.

        Raises
        ------
        ArtifactError
            If the model has no samples, or only one.
        UsageError
            If the model predicts scores.
        DataError, UsageError
            As `predict`.
        """
        # Imported here because it loads the compiler, which predictions do not need.
        from mfcli.model.posterior import Posterior

        if self.predicts == "scores":
            raise UsageError("the model predicts scores, which have no distribution of ratings")
        user, item = self._rows_of(users, items, columns)
        return Posterior(self).ratings(user, item, threads=threads_of(threads))

    def _rows_of(
        self, users: Ids, items: Ids | None, columns: Mapping[str, str] | None
    ) -> tuple[Rows, Rows]:
        """Return the rows of pairs of raw ids; -1 for unknown ids."""
        if items is None:
            if not is_table(users):
                remedy = "give the items, or a table of users and items"
                raise UsageError("is missing", param="items", remedy=remedy)
            # Imported here because it loads pyarrow.compute, which training does not need.
            from mfcli.data import pairs_from

            user_ids, item_ids = pairs_from(users, "users", columns)
        else:
            _check_ids(users, columns)
            user_ids, item_ids = id_array(users, "users"), id_array(items, "items")
        user, item = self.users.rows(user_ids), self.items.rows(item_ids)
        # Checked here, because NumPy's own error would speak of shapes.
        if len(user) != len(item) and 1 not in (len(user), len(item)):
            raise DataError(
                "users and items must have the same length, or one of them the length 1, got"
                f" {len(user)} and {len(item)}"
            )
        user, item = np.broadcast_arrays(user, item)
        return user, item

    def recommend(
        self,
        users: Ids,
        n: int = 10,
        *,
        exclude: Split | RatingsLike | None = None,
        diversity: float = 0,
        sort: str = "mean",
        interval: float | None = None,
        seed: int = 0,
        clip: bool = True,
        threads: int | None = None,
    ) -> pa.Table:
        """Rank items for users by predicted rating.

        Parameters
        ----------
        users : id or sequence of ids
        n : int
            Number of items for each user.
        exclude : Split, Ratings or what `ratings_from` takes, optional
            Pairs that are not recommended: all parts of a split, or ratings such as `split.train`.
            A table needs no ratings.
        diversity : float
            From 0, for the items with the highest predictions, to 1, for items with factors that
            differ; as in `mfcli.recommend`.
        sort : {"mean", "low", "high", "sample"}
        interval : float, optional
        seed : int
            By what items are sorted, and with which intervals; as in `mfcli.recommend`.
        clip : bool
            Clip ratings in the table to the rating scale. The order does not depend on it.
        threads : int, optional
            All cores by default. The result does not depend on it.

        Returns
        -------
        Arrow table
            Columns `user`, `rank` (from 1), `item` and `prediction`, or `score` if the model
            predicts scores, and `low`, `high` and `sample` where they are used.

        Warns
        -----
        MfcliWarning
            If a user has no training ratings, or no item is left for a user.

        Raises
        ------
        UnknownIdError
            If the model does not know a user.
        ArtifactError
            If samples are needed, and the model has none.
        DataError, UsageError
            If `exclude` is neither a split nor ratings, or another argument breaks its rule.
        """
        # Imported here because it loads the compiler, which predictions do not need.
        from mfcli.model.recommendation_tables import recommended
        from mfcli.model.recommendations import excluded, warn_untrained

        order, rated = Order(sort, interval, seed), excluded(self, exclude)
        rows = find_rows(self.users, id_array(users, "users"), "user")
        warn_untrained(self, rows, order)
        return recommended(
            self,
            rows,
            n,
            exclude=rated,
            diversity=diversity,
            order=order,
            clip=clip,
            threads=threads,
        )


def _check_ids(users: Ids, columns: Mapping[str, str] | None) -> None:
    """Refuse a table of pairs, and names of its columns, if items are given too."""
    if is_table(users):
        raise UsageError("is not used with a table of pairs", param="items", remedy="omit it")
    if columns is not None:
        raise UsageError("is used only with a table of pairs", param="columns", remedy="omit it")


def initial_model(
    train: Ratings,
    mu: float,
    scale: Scale,
    config: Config,
    split_hash: str,
    rng: np.random.Generator,
    columns: Mapping[str, str] | None = None,
) -> Model:
    """Draw the weights that training starts from.

    All four tables are uniform in -0.05..0.05, Keras's default, but rows without training ratings
    are zero. They stay zero, since neither gradients nor penalties change them. The columns are
    those of the ratings, by role.
    """
    tables: dict[str, Any] = {}
    for name in TABLES:
        counts = (train.users if name.startswith("user") else train.items).counts
        shape = (len(counts), config.k) if name.endswith("factors") else (len(counts),)
        table = np.empty(shape, np.float32)
        for start in range(0, len(table), _PART):
            part = table[start : start + _PART]
            part[:] = rng.uniform(-_INITIAL, _INITIAL, part.shape)
        # Zeroed after all are drawn, so that a row does not depend on which others have ratings.
        table[counts == 0] = 0
        tables[name] = table
    return Model(
        mu=mu,
        users=train.users,
        items=train.items,
        scale=scale,
        config=config,
        split_hash=split_hash,
        columns={role: name for role, name in (columns or {}).items() if role in PAIRS},
        feedback=train.feedback,
        **tables,
    )

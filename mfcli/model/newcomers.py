"""Models with a single user, for quick answers about it, and new users who are folded in."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pyarrow as pa

from mfcli.data import IMPLICIT, Ratings, Vocabulary, merge_duplicates
from mfcli.model.added_rows import enlarged
from mfcli.model.model import Model
from mfcli.model.row_equations import RowEquations, equal_counts
from mfcli.storage import one_blas_thread
from mfcli.types import Floats, Rows


def alone(model: Model, user: int) -> Model:
    """Return a model that knows only one user, given by the row; requests then take less time."""
    some = Vocabulary(model.users.ids.slice(user, 1), model.users.counts[user : user + 1])
    return replace(
        model,
        users=some,
        user_factors=model.user_factors[user : user + 1],
        user_biases=model.user_biases[user : user + 1],
        folded_in=(),
        samples=None,
    )


class Newcomers:
    """Estimates new users of a model, as `fold_in` does for the ratings of one new user.

    Parameters
    ----------
    model : Model

    Raises
    ------
    ArtifactError
        If the model has no validation error and its estimates need one.
    """

    @one_blas_thread()
    def __init__(self, model: Model) -> None:
        self._basis = replace(model, samples=None)
        self._user = Vocabulary(pa.array([""]), np.zeros(1, np.int64))
        # With a row for the user, as in `fold_in`, because sums depend on the number of rows.
        larger, _ = enlarged(self._basis, "user", self._user)
        equations = RowEquations.of(larger, "user")
        self._equations = replace(equations, model=self._basis)  # the larger tables can be freed

    @one_blas_thread()
    def estimated(self, items: Rows, ratings: Floats) -> tuple[Model, Ratings]:
        """Estimate a user from ratings.

        Parameters
        ----------
        items : int32 array, shape (n,)
            Rows of the model; items without training ratings are ignored. Of several ratings of an
            item, the last one counts; strengths of events are added.
        ratings : float32 array, shape (n,)

        Returns
        -------
        model : Model
            With this user, whose id is an empty text, in place of all others.
        rated : Ratings
            What was used, in the rows of this model.

        Raises
        ------
        DataError
            If the ratings do not determine the user.
        """
        known = self._basis.items.counts[items] > 0
        items, ratings = items[known], ratings[known]
        users = self._user.counting(np.zeros(len(items), np.int32))
        own = np.zeros(len(items), np.int32)
        feedback = self._basis.feedback
        rated = Ratings(own, items, ratings, None, users, self._basis.items, feedback=feedback)
        rule = "sum" if feedback == IMPLICIT else "keep-last"
        rated = merge_duplicates(rated, rule, str).ratings
        row = np.zeros((1, self._basis.k + 1), np.float32)
        for _, positions in equal_counts(rated, len(self._equations.mean), "user"):
            row[:] = self._equations.rows(rated, positions)
        model = replace(
            self._basis,
            users=rated.users,
            user_factors=row[:, :-1].copy(),
            user_biases=row[:, -1].copy(),
            folded_in=((0, 1),),
        )
        return model, replace(rated, users=model.users, items=model.items)

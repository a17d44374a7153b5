"""Samples of the rows that are folded in.

Given a sample of the items, the row x of a user has a normal distribution. Its prior is that of
unknown users, ``N(0, C)``. Ratings ``t_i = mu + b_i + x . z_i``, where ``z_i = (1, q_i)``, have the
noise v and the weights c_i::

    precision  P = C^-1 + sum_i c_i z_i z_i^T / v
    mean       P^-1 sum_i c_i (t_i - mu - b_i) z_i / v

With ``P = L L^T``, a draw is the mean plus ``L^-T e``. All users of a sample have the same e, so
that the draws of a user do not depend on the other users.
"""

from __future__ import annotations

import dataclasses

import numpy as np

from mfcli.data import Ratings
from mfcli.model.folder import StoredModel
from mfcli.model.objective import pair_targets, pair_weights
from mfcli.model.row_equations import equal_counts
from mfcli.model.samples import Samples
from mfcli.storage import one_blas_thread
from mfcli.types import Counts, Doubles, Floats


@one_blas_thread()
def with_folded_in(samples: Samples, model: StoredModel, rated: Ratings) -> Samples:
    """Return the samples of a model that has more rows, and users that were estimated again.

    New items are drawn as unknown ones, so that intervals for them are wide.

    Parameters
    ----------
    samples : Samples
        Its rows are the first ones of the model.
    model : StoredModel
    rated : Ratings
        All ratings of the users to draw, in the rows of the model.
    """
    rng = np.random.default_rng([model.config.seed, 4])
    variates = rng.standard_normal((len(samples), samples.k + 1))
    users, noise = (_padded(part, len(model.users)) for part in (samples.users, samples.noise))
    items = _padded(samples.items, len(model.items))
    noise[len(samples.users) :] = samples.unknown_noise
    new = len(model.items) - len(samples.items)
    for s, covariance in enumerate(samples.item_covariance):
        zero = np.zeros(len(covariance))
        items[len(samples.items) :, :, s] = rng.multivariate_normal(zero, covariance, new)
    made = dataclasses.replace(
        samples, user_ids=model.users.ids, item_ids=model.items.ids, users=users, items=items,
        noise=noise,
    )  # fmt: skip
    for rows, positions in equal_counts(rated, samples.k + 1, "user"):
        for s, e in enumerate(variates):
            users[rows, :, s] = _drawn(made, s, model, rated.take(positions), rows, e)
    return made


def _drawn(
    samples: Samples, s: int, model: StoredModel, rated: Ratings, rows: Counts, e: Doubles
) -> Doubles:
    """Draw the rows of b users with n ratings each, shape (b, 1 + k)."""
    z = samples.items[:, :, s].astype(np.float64)[rated.item]  # (b, n, 1 + k)
    targets = pair_targets(rated.rating, model.config) - samples.mu[s] - z[:, :, 0]
    z[:, :, 0] = 1
    weights = pair_weights(rated, model.scale, model.config)
    strength = (1.0 if weights is None else weights) / samples.noise[rows, s][:, None]  # (b, n)
    weighted = z * np.broadcast_to(strength, targets.shape)[:, :, None]
    prior = np.linalg.pinv(samples.user_covariance[s], hermitian=True)
    precision = prior + z.transpose(0, 2, 1) @ weighted
    shift = (weighted * targets[:, :, None]).sum(axis=1)[:, :, None]
    root = np.linalg.cholesky(precision)
    mean = np.linalg.solve(precision, shift)
    drawn: Doubles = (mean + np.linalg.solve(root.transpose(0, 2, 1), e[:, None]))[:, :, 0]
    return drawn


def _padded(rows: Floats, size: int) -> Floats:
    """Return a copy with rows of zeros at the end."""
    padded = np.zeros((size, *rows.shape[1:]), np.float32)
    padded[: len(rows)] = rows
    return padded

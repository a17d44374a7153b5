"""Rank items by samples of the posterior (W. R. Thompson, Biometrika 25, 1933).

Each user gets one of the samples, and the items with the highest ratings in it. Users and items
without training ratings get rows from their distribution in the sample.
"""

from __future__ import annotations

import numpy as np

from mfcli.model.folder import StoredModel
from mfcli.model.posterior import Posterior
from mfcli.model.ranking import Ranking
from mfcli.model.rated import Rated
from mfcli.model.recommendations import empty_lists, top_items
from mfcli.types import Counts, Doubles, Floats, Progress, Rows


def top_of_draws(
    model: StoredModel,
    users: Rows,
    n: int,
    *,
    seed: int,
    exclude: Rated | None = None,
    candidates: Rows | None = None,
    diversity: float = 0,
    threads: int = 1,
    on_progress: Progress = lambda done, total: None,
    posterior: Posterior | None = None,
) -> Ranking:
    """Rank items for users by their ratings in samples.

    What is drawn for a user depends on the seed and the row of the user, not on the other users.
    The other parameters and the result are those of `top_items`; the scores are ratings in samples.
    The posterior of the model is made if it is not given.

    Raises
    ------
    ArtifactError
        If the model does not have enough samples.
    """
    posterior = posterior or Posterior(model)
    # Drawn for all rows, so that the sample of a user does not depend on the other users.
    drawn = np.random.default_rng([seed, 0]).integers(0, len(posterior), len(model.users) + 1)
    number = drawn[users]
    size = len(model.items) if candidates is None else len(candidates)
    items, scores = empty_lists(len(users), min(n, size))
    done = 0
    for sample in np.unique(number).tolist():
        own = np.flatnonzero(number == sample)
        ranking = top_items(
            _drawn(posterior, sample, seed),
            users[own],
            n,
            exclude=exclude,
            candidates=candidates,
            diversity=diversity,
            threads=threads,
        )
        items[own], scores[own] = ranking.items, ranking.scores
        done += len(own)
        on_progress(done, len(users))
    return Ranking(users, items, scores)


def _drawn(posterior: Posterior, number: int, seed: int) -> StoredModel:
    """Return a sample as a model, in which rows without training ratings are drawn."""
    sample, samples = posterior.sample(number), posterior.samples
    rng = np.random.default_rng([seed, 1, number])
    tables: dict[str, Floats] = {}
    for side, vocabulary, covariances in (
        ("user", sample.users, samples.user_covariance),
        ("item", sample.items, samples.item_covariance),
    ):
        own = sample.tables[f"{side}_factors"], sample.tables[f"{side}_biases"]
        _draw(vocabulary.counts, covariances[number], *own, rng.spawn(1)[0])
        tables |= {f"{side}_factors": own[0], f"{side}_biases": own[1]}
    return sample.with_tables(tables)


def _draw(
    counts: Counts, covariance: Doubles, factors: Floats, biases: Floats, rng: np.random.Generator
) -> None:
    """Set the rows without training ratings to draws from their distribution."""
    unknown = counts == 0
    if not unknown.any():
        return
    values, vectors = np.linalg.eigh(covariance)
    root = vectors * np.sqrt(values.clip(0))  # a rounded covariance may have negative values
    # For all rows, so that those of some do not depend on which others have ratings.
    rows = rng.standard_normal((len(counts), len(root)))[unknown] @ root.T
    factors[unknown], biases[unknown] = rows[:, 1:], rows[:, 0]

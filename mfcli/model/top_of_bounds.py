"""Rank items by a bound of their expected ratings.

With the prediction m of a pair, its variance v over the posterior (see `posterior.py`) and a number
of standard deviations z, items are ranked by ``m + z sqrt(v)``: z < 0 for caution, z > 0 for
exploration. Each pair has its own variance, so all candidates are scored, by all samples.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

from mfcli.aligned import LINE, aligned
from mfcli.model.bound_kernel import bound_scratch, select_bounds
from mfcli.model.diversity import Diversity
from mfcli.model.folder import StoredModel
from mfcli.model.posterior import Posterior, release_rows
from mfcli.model.ranking import Ranking
from mfcli.model.rated import Rated
from mfcli.model.recommendations import ranked_by
from mfcli.types import Floats, Progress, Rows


def top_of_bounds(
    model: StoredModel,
    users: Rows,
    n: int,
    *,
    deviations: float,
    exclude: Rated | None = None,
    candidates: Rows | None = None,
    diversity: float = 0,
    threads: int = 1,
    on_progress: Progress = lambda done, total: None,
    posterior: Posterior | None = None,
) -> Ranking:
    """Rank items for users by their predictions plus a number of standard deviations.

    The other parameters and the result are those of `top_items`; the scores are the bounds. The
    posterior of the model is made if it is not given.

    Raises
    ------
    ArtifactError
        If the model does not have enough samples.
    """
    exclude = exclude or Rated.nothing(len(model.users))
    if candidates is None:
        candidates = np.arange(len(model.items), dtype=np.int32)
    posterior = posterior or Posterior(model)
    weights, panels = _weights(model, posterior), _panels(model, posterior, candidates)
    mu = (posterior.samples.mu - posterior.samples.mu[0]).astype(np.float32)
    factors, samples = np.ascontiguousarray(model.user_factors), posterior.user_rows

    def select(some: Rows, items: Rows, best: Floats) -> None:
        scratch = bound_scratch(panels.means, panels.samples)
        select_bounds(
            factors, samples, mu, weights, some, panels.means, panels.samples, panels.variances,
            panels.rows, deviations, exclude.starts, exclude.items, scratch,
            np.zeros(len(model.items), np.uint32), items, best,
        )  # fmt: skip
        release_rows(samples, some)

    varied = Diversity(diversity, model.item_factors) if diversity else None
    ranking = ranked_by(select, users, n, len(candidates), threads, on_progress, varied)
    constant = np.float32(model.mu) + np.append(model.user_biases, np.float32(0))[users]
    return replace(ranking, scores=ranking.scores + constant[:, None])


def _weights(model: StoredModel, posterior: Posterior) -> Floats:
    """Return the weights of `BoundPanels.variances` for each user, and for unknown users."""
    _, for_items, _ = posterior.unknown_variances
    weights = np.zeros((len(model.users) + 1, 2), np.float32)
    weights[:-1, 0] = for_items
    weights[np.append(model.users.counts == 0, True)] = 0, 1
    return weights


@dataclass(frozen=True)
class BoundPanels:
    """Items in panels of `LINE`, which are scored together.

    Attributes
    ----------
    means : float32 array, shape (n_panels, k + 1, LINE)
        Factors and biases.
    samples : float32 array, shape (n_panels, S, d + 1, LINE)
        For each sample 1, to be multiplied by the bias of the user, d - 1 factors and the bias.
    variances : float32 array, shape (n_panels, 2, LINE)
        What unknown rows add: 1 for unknown items, and the variance for unknown users.
    rows : int32 array, shape (n_panels * LINE,)
        The number of each item; -1 for none, at the end of the last panel.
    """

    means: Floats
    samples: Floats
    variances: Floats
    rows: Rows


def _panels(model: StoredModel, posterior: Posterior, candidates: Rows) -> BoundPanels:
    for_users, _, for_both = posterior.unknown_variances
    is_new = model.items.counts == 0
    rows = np.full(-(-len(candidates) // LINE) * LINE, -1, np.int32)
    rows[: len(candidates)] = candidates
    samples, count = posterior.item_rows, len(rows) // LINE
    d, size = samples.shape[1:]
    panels = BoundPanels(
        aligned((count, model.k + 1, LINE)),
        aligned((count, size, d + 1, LINE)),
        aligned((count, 2, LINE)),
        rows,
    )
    for panel, items in enumerate(rows.reshape(-1, LINE)):
        panels.means[panel, :-1] = model.item_factors[items].T
        panels.means[panel, -1] = model.item_biases[items]
        panels.samples[panel, :, 0] = 1
        panels.samples[panel, :, 1:d] = samples[items, 1:].T
        panels.samples[panel, :, d] = samples[items, 0].T
        panels.variances[panel] = is_new[items], np.where(is_new, for_both, for_users)[items]
    return panels

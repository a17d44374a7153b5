"""The ratings of a training by rows on a cluster."""

from __future__ import annotations

from typing import TYPE_CHECKING

from mfcli.aligned import lanes_of
from mfcli.data import Ratings, counted_values
from mfcli.model import Model
from mfcli.splits import Split
from mfcli.training.distributed.row_team import RowTeam, TeamRows
from mfcli.training.distributed.row_worker import SIDES, Job
from mfcli.training.distributed.sources import training_source
from mfcli.training.normal_equations.rated_pairs import RatedPairs
from mfcli.training.normal_equations.ratings_by_row import BothSides

if TYPE_CHECKING:
    from mfcli.clusters import Cluster


def load_ratings(
    cluster: Cluster,
    split: Split,
    train: Ratings,
    start: Model,
    pairs: RatedPairs,
    threads: int,
    *,
    unit: float,
    here: BothSides | None = None,
    with_values: bool = False,
) -> BothSides:
    """Load the training ratings by user and by item on the workers of a cluster.

    Parameters
    ----------
    cluster : Cluster
    split : Split
        Where the ratings are read.
    train : Ratings
    start : Model
        Its settings say what the ratings count as.
    pairs : RatedPairs
        Of the ratings.
    threads : int
        Number of threads of this process.
    unit : float
        Divides the targets.
    here : BothSides, optional
        The ratings in this process, if it needs them too.
    with_values : bool
        Whether the distinct ratings are needed.
    """
    config, counts = start.config, (train.users.counts, train.items.counts)
    source, job = training_source(split, train, config), Job(config, start.scale, unit)
    team = RowTeam(cluster, source, counts, job, lanes_of(config.k + config.biases))
    users, items = (
        TeamRows(
            team, side, n, threads, is_weighted=pairs.is_weighted,
            has_weight_column=pairs.has_weight_column,
        )
        for side, n in zip(SIDES, counts, strict=True)
    )  # fmt: skip
    values = counted_values(pairs.targets(unit)) if with_values else None
    return BothSides(users, items, unit, values, here.here if here else None)

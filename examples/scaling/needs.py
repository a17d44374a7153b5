"""What a training needs on a cluster, for data of any size: groups, route, and bytes."""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

from mfcli.config import Config
from mfcli.data import Scale
from mfcli.training.distributed.plans import groups_on, route_of
from mfcli.training.distributed.routes import Route
from mfcli.training.plan import make_plan, record_size, variant_of
from scaling.simulator import Team

HELD_OUT = 12  # bytes of a held-out rating
SCALE = Scale(0.5, 5.0, 0.5)


@dataclass(frozen=True)
class Data:
    """Sizes of a split.

    Attributes
    ----------
    ratings : int
        To train on.
    held_out : int
    n_users, n_items : int
    """

    ratings: int
    held_out: int
    n_users: int
    n_items: int

    @property
    def users(self) -> range:
        """The users, as plans count them."""
        return range(self.n_users)

    @property
    def items(self) -> range:
        """The items, as plans count them."""
        return range(self.n_items)

    def __len__(self) -> int:
        return self.ratings


class Needs(NamedTuple):
    """What a worker holds, and what travels in an epoch; bytes, as in `Shares` of a plan.

    Attributes
    ----------
    packed, users, items, validation : int
        Training ratings, rows of its users, rows of item groups, and what it validates with.
    hops : int
        Rows of items that all workers send.
    """

    packed: int
    users: int
    items: int
    validation: int
    hops: int

    @property
    def held(self) -> int:
        """Bytes of a worker."""
        return self.packed + self.users + self.items + self.validation


def row_bytes(config: Config) -> int:
    """Return the bytes of a row, with its velocity."""
    return 4 * variant_of(config).stride


def group_bytes(data: Data, config: Config, route: Route) -> float:
    """Return the bytes of the rows of an item group, on average."""
    return row_bytes(config) * data.n_items / route.groups


def route_for(data: Data, config: Config, team: Team, chunks: int | None) -> Route:
    """Return the route that a plan chooses, or one with some chunks of each home."""
    least = config.blocks or make_plan(data, config).groups
    groups = config.blocks or groups_on(team, least, range(data.ratings), config)
    return (
        Route.of(groups, len(team), chunks)
        if chunks
        else route_of(team, groups, data.n_items, config)
    )


def needs(data: Data, config: Config, route: Route, scale: Scale = SCALE) -> Needs:
    """Return what workers with equal shares need, for ratings on a scale."""
    workers, of_row = route.workers, row_bytes(config)
    rows = data.n_users + data.n_items
    size = record_size(route.groups, rows, scale, weighted=False)
    validation = data.held_out // workers * HELD_OUT + data.n_items * 4 * variant_of(config).width
    return Needs(
        packed=-(-data.ratings // workers) * size,
        users=-(-data.n_users // workers) * of_row,
        items=route.slots(0) * -(-data.n_items // route.groups) * of_row,
        validation=validation if data.held_out else 0,
        hops=workers * data.n_items * of_row * (workers > 1),
    )

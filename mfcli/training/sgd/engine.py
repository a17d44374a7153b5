"""The fast engine: the SGD updates of Keras, computed only where a batch needs them."""

from __future__ import annotations

import functools

from mfcli.data import Ratings, counts_of
from mfcli.model import Model
from mfcli.storage import PermutedRows
from mfcli.training.engine import Losses, State, copy_state
from mfcli.training.sgd.blocks import Blocks, places_of
from mfcli.training.sgd.descent import Descent, sgd_of, total_loss, variant_for
from mfcli.training.sgd.exact_sums import unit_of_squares, value_of
from mfcli.training.sgd.rows import ITEM_ONE, USER_ONE, pack, unpack
from mfcli.types import Counts, Progress

_SIDES = 0, 1


class FastEngine:
    """Trains with the compiled kernels.

    Parameters
    ----------
    start : Model
        Its tables are copied. All tables have the same penalty, except for penalties per rating.
    blocks : Blocks
        The training ratings.
    held_out : Ratings, optional
        To validate on.
    threads : int
        Does not change the result.

    Raises
    ------
    ConfigError
        If the kernels cannot train with the config.
    """

    def __init__(
        self, start: Model, blocks: Blocks, held_out: Ratings | None, threads: int
    ) -> None:
        config = start.config
        self._start, self._blocks, self._held_out = start, blocks, held_out
        # Rows are in the order of `Blocks`; what enters and leaves the engine is not.
        self._places = places_of(blocks.users), places_of(blocks.items)
        made = sgd_of(config, 1), variant_for(config, blocks)
        self._users = pack(start.user_factors, start.user_biases, blocks.users, USER_ONE, *made)
        self._items = pack(start.item_factors, start.item_biases, blocks.items, ITEM_ONE, *made)
        rows = self._users, self._items
        self._descent = Descent(config, start.mu, blocks, rows, threads)

    def run_epoch(self, epoch: int, on_progress: Progress) -> Losses:
        descent, config = self._descent, self._start.config
        descent.prepare(epoch)
        idle = 0.0
        if config.table_regs["user_factors"]:
            idle = sum(float(descent.idle_costs(side, self._bounds[side]).sum()) for side in _SIDES)
        losses = descent.train(epoch, descent.claims(), on_progress)
        for side in _SIDES:
            descent.finish(side, 0, len(descent.rows[side]))
        loss, squares = total_loss(losses, idle, config)
        return Losses(loss / self._blocks.ratings, squares / self._blocks.ratings)

    def validate(self) -> Losses | None:
        held_out, scale = self._held_out, self._start.scale
        if held_out is None:
            return None
        pieces = zip(*(held_out.pieces(name) for name in ("user", "item", "rating")), strict=True)
        sums = self._descent.squared_errors(pieces, self._places, self._items, scale)
        mse = value_of(sums, unit_of_squares(scale)) / len(held_out)
        return Losses(mse + self._penalty(), mse)

    def _penalty(self) -> float:
        """Return the penalty in the loss of the held-out ratings."""
        config, descent = self._start.config, self._descent
        reg = config.table_regs["user_factors"]
        if reg:
            sides = [descent.squared_weights(side, self._bounds[side]) for side in _SIDES]
            return reg * sum(float(of_groups.sum()) for of_groups in sides)
        if not any(config.rating_regs.values()):
            return 0.0
        total = 0.0
        for side, counts in enumerate(self._held_out_counts):
            total += float(descent.rating_penalties(side, self._bounds[side], counts).sum())
        return total / sum(map(int, self._held_out_counts[0]))

    @property
    def _bounds(self) -> Counts:
        return self._blocks.firsts

    @functools.cached_property
    def _held_out_counts(self) -> tuple[Counts, Counts]:
        """How many held-out ratings each row has, in the order of the rows."""
        held_out, blocks = self._held_out, self._blocks
        assert held_out is not None
        users = counts_of(held_out.user, len(blocks.users))
        items = counts_of(held_out.item, len(blocks.items))
        return users[blocks.users], items[blocks.items]

    def model(self) -> Model:
        user_places, item_places = self._places
        user_factors, user_biases = unpack(self._users, user_places, self._start.k, USER_ONE)
        item_factors, item_biases = unpack(self._items, item_places, self._start.k, ITEM_ONE)
        return self._start.with_tables(
            {
                "user_factors": user_factors,
                "item_factors": item_factors,
                "user_biases": user_biases,
                "item_biases": item_biases,
            }
        )

    def state(self) -> State:
        user_places, item_places = self._places
        users, items = (
            PermutedRows(self._users, user_places),
            PermutedRows(self._items, item_places),
        )
        return {"users": users, "items": items}

    def sides(self) -> dict[str, str]:
        return {"users": "users", "items": "items"}

    def restore(self, state: State) -> None:
        copy_state(state, self.state())

"""Answers about items."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from mfcli.predict import check_trained
from mfcli.server.item_map import places_of
from mfcli.server.lines import lines_of
from mfcli.server.parameters import ItemMap, ItemQuery, Nothing, SimilarItems
from mfcli.server.served_model import ServedModel
from mfcli.storage import one_blas_thread
from mfcli.types import Rows


def find_items(served: ServedModel, _: str, asked: ItemQuery) -> dict[str, Any]:
    """Find items by words of their titles and ids; without words, list the most popular ones.

    Case and accents do not matter. Titles that start with the words come first, then popular items.
    """
    return {"items": _items(served, served.items.found(asked.q, asked.n))}


def show_item(served: ServedModel, name: str, _: Nothing) -> dict[str, Any]:
    """Show an item: its ratings, its bias, and its popularity.

    The popularity is the fraction of items with fewer ratings, where ties count half.
    """
    row = served.row("item", name)
    return {
        **_items(served, np.array([row], np.int32))[0],
        "bias": float(served.model.item_biases[row]),
        "popularity": float(served.popularity[row]),
    }


def _items(served: ServedModel, rows: Rows) -> list[dict[str, Any]]:
    """Describe items by their training ratings; the mean is unknown without a split."""
    means = served.item_means[rows].tolist()
    columns = {
        "item": served.ids_of("item", rows),
        **({"title": served.titles_of(rows)} if served.titles else {}),
        "count": served.model.items.counts[rows].tolist(),
        "mean": [None if math.isnan(mean) else mean for mean in means],
    }
    return lines_of(columns)


def list_similar(served: ServedModel, name: str, asked: SimilarItems) -> dict[str, Any]:
    """List the items whose factors are most similar (cosine) to those of an item."""
    items, row = served.model.items, served.row("item", name)
    check_trained(items, "item", row, name)
    similarity = served.similarity(max(asked.min_count, 1))
    ranking = similarity.ranking(np.array([row], np.int32), asked.n)
    table = ranking.table(items, items, "of", "cosine").drop_columns(["of"])
    return {"similar": served.titled(table).to_pylist()}


@one_blas_thread()
def show_map(served: ServedModel, _: str, asked: ItemMap) -> dict[str, Any]:
    """Show the most popular items in the plane of the two main directions of their factors."""
    rows = served.items.order[: asked.n]
    places = places_of(served.model.item_factors[rows])
    return {
        "items": served.ids_of("item", rows),
        **({"titles": served.titles_of(rows)} if served.titles else {}),
        "x": places.x.tolist(),
        "y": places.y.tolist(),
        "count": served.model.items.counts[rows].tolist(),
        "variance": places.variance.tolist(),
    }

"""Examples of what models recommend, to users that are chosen by their activity."""

from __future__ import annotations

import warnings
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa

from mfcli.data import IMPLICIT, Vocabulary, to_arrow, to_arrow_mask
from mfcli.model import Model
from mfcli.pages import is_long, isolated, shortened
from mfcli.predict import ListedTitles, listed_rows, recommend, similar
from mfcli.reports.blocks import Block, ItemList, ListedItem, Lists, Notice
from mfcli.splits import Split
from mfcli.types import Progress

_LENGTH = 5  # items of a list
_REASONS = 2
_LONG = 160  # characters of a name
_SIMILAR = 3  # popular items to which similar ones are listed
_LEAST = 20  # training ratings of a similar item, where enough items have as many
_USER = "User"  # the label of a user of whom nothing is said
_ACTIVITIES = {"Low activity": 0.1, "Median activity": 0.5, "High activity": 0.99}


@dataclass(frozen=True)
class TitleFile:
    """A file of titles and how to read it, as `mfcli.data.read_titles`."""

    path: Path
    encoding: str = "utf-8"
    columns: Mapping[str, str] | None = None


class Names:
    """Names of items, shortened if long: their titles, or "item 42" without one."""

    def __init__(self, titles: TitleFile | None, columns: Mapping[str, str]) -> None:
        self._titles = titles and ListedTitles(
            titles.path, titles.encoding, title_columns=titles.columns, names=columns
        )

    def of(self, items: pa.Array) -> list[str]:
        ids = [f"item {one}" for one in items.to_pylist()]
        if not self._titles or not ids:
            return [_short(one) for one in ids]
        named = self._titles.added(pa.table({"item": items}))["title"].to_pylist()
        return [_short(title or one) for one, title in zip(ids, named, strict=True)]

    def warn(self) -> None:
        """Warn of items without a title."""
        if self._titles:
            self._titles.warn()


def _short(name: str) -> str:
    return shortened(name, _LONG) if is_long(name, _LONG) else name


def chosen_users(users: Vocabulary) -> dict[int, str]:
    """Return the rows of a user of low, of median and of high activity, with these labels.

    If they are not three users, the label is "User".

    Parameters
    ----------
    users : Vocabulary
        Counts the training ratings. Of users with equally many, those with lower rows come first.
    """
    order = np.argsort(users.counts, kind="stable")
    order = order[users.counts[order] > 0]
    found = {int(order[int(at * (len(order) - 1))]): label for label, at in _ACTIVITIES.items()}
    return found if len(found) == len(_ACTIVITIES) else dict.fromkeys(found, _USER)


def user_examples(
    models: Mapping[str, Model],
    split: Split,
    names: Names,
    ids: Sequence[str],
    on_progress: Progress,
) -> list[Block]:
    """List what some users rated highest, and what each model recommends to them.

    Parameters
    ----------
    models : mapping of Model
        By the name of the run; trained on the split.
    split : Split
    names : Names
    ids : sequence of str
        Of users; by default some are chosen.
    on_progress : callable
        Called with the numbers of models that are done and of all.

    Returns
    -------
    list of Block
        Lists for each user, then warnings about them.

    Raises
    ------
    UnknownIdError
        If a user is unknown.
    """
    users = split.train.users
    if ids:
        labels = {int(row): _USER for row in listed_rows(users, "user", ids)}
    else:
        labels = chosen_users(users)
    lists = {row: [_rated(split, row, names)] for row in labels}
    notices: list[Block] = []
    on_progress(0, len(models))
    for number, (name, model) in enumerate(models.items()):
        with warnings.catch_warnings(record=True) as noted:
            warnings.simplefilter("always")
            table = recommend(
                model,
                users.ids.take(to_arrow(np.array([*labels]))),
                _LENGTH,
                exclude=split,
                explain=_REASONS,
            )
        notices += [Notice(f"{name}: {one.message}") for one in noted]
        for row, own in _by_user(table, users, [*labels]).items():
            lists[row].append(_recommended(name, own, names))
        on_progress(number + 1, len(models))
    titles = {row: _title(label, users.ids[row].as_py()) for row, label in labels.items()}
    abouts = {row: _counted(int(users.counts[row]), split.feedback) for row in labels}
    return [Lists(titles[row], abouts[row], lists[row]) for row in labels] + notices


def _by_user(table: pa.Table, users: Vocabulary, rows: Sequence[int]) -> dict[int, pa.Table]:
    """Return the part of a table of recommendations for each user."""
    own = users.rows(table["user"].combine_chunks())
    return {row: table.filter(to_arrow_mask(own == row)) for row in rows}


def _title(label: str, user: object) -> str:
    name = isolated(_short(str(user)))
    return f"{_USER} {name}" if label == _USER else f"{label}: user {name}"


def _counted(count: int, feedback: str) -> str:
    noun = "interaction" if feedback == IMPLICIT else "rating"
    return f"{count:,} training {noun if count == 1 else noun + 's'}"


def _rated(split: Split, row: int, names: Names) -> ItemList:
    """List the items that a user rated highest in training; of equal ones, the latest first."""
    train = split.train
    own = np.flatnonzero(train.user == row)
    value = train.rating[own]
    time = np.zeros(len(own)) if train.timestamp is None else train.timestamp[own]
    best = own[np.lexsort((train.item[own], -time, -value))][:_LENGTH]
    items = names.of(train.items.ids.take(to_arrow(train.item[best])))
    texts = (f"{value:g}" for value in train.rating[best].tolist())
    listed = [ListedItem(*one) for one in zip(items, texts, strict=True)]
    what = "strength" if split.feedback == IMPLICIT else "rating"
    return ItemList("Highest in training", what, listed)


def _recommended(name: str, table: pa.Table, names: Names) -> ItemList:
    """List what a model recommends to one user."""
    what = next(name for name in ("prediction", "score") if name in table.column_names)
    items = names.of(table["item"].combine_chunks())
    values = (f"{value:.2f}" for value in table[what].to_pylist())
    reasons = _reasons(table, names)
    listed = [ListedItem(*one) for one in zip(items, values, reasons, strict=True)]
    return ItemList(f"Recommended by {name}", what, listed)


def _reasons(table: pa.Table, names: Names) -> list[str]:
    """Return which rated items each recommended one is explained by."""
    reasons: list[list[str]] = [[] for _ in range(len(table))]
    for number in range(1, _REASONS + 1):
        items = table[f"because_{number}"].combine_chunks()
        known = [row for row, is_known in enumerate(items.is_valid().to_pylist()) if is_known]
        ratings = table[f"because_{number}_rating"].to_pylist()
        for row, title in zip(known, names.of(items.drop_null()), strict=True):
            reasons[row].append(f"{isolated(title)} ({ratings[row]:g})")
    return [f"because of {', '.join(one)}" if one else "" for one in reasons]


def similar_examples(models: Mapping[str, Model], names: Names) -> list[Lists]:
    """List the items that each model finds similar to the most popular ones."""
    first = next(iter(models.values()))
    counts = first.items.counts
    popular = np.argsort(-counts, kind="stable")[:_SIMILAR]
    found = []
    for row in popular[counts[popular] > 0].tolist():
        item = first.items.ids.slice(row, 1)
        (title,) = names.of(item)
        lists = [_similar(name, model, item[0].as_py(), names) for name, model in models.items()]
        about = _counted(int(counts[row]), first.feedback)
        found.append(Lists(f"Similar to {isolated(title)}", about, lists))
    return found


def _similar(name: str, model: Model, item: Any, names: Names) -> ItemList:
    enough = int(np.count_nonzero(model.items.counts >= _LEAST)) > 2 * _LENGTH
    table = similar(model, item, _LENGTH, min_count=_LEAST if enough else 0)
    items = names.of(table["item"].combine_chunks())
    values = (f"{value:.2f}" for value in table["cosine"].to_pylist())
    listed = [ListedItem(*one) for one in zip(items, values, strict=True)]
    return ItemList(f"By {name}", "cosine", listed)

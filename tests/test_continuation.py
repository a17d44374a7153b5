"""Tests of training that goes on after ratings were added or removed."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from planted import planted_split

from mfcli.aligned import aligned
from mfcli.config import Config
from mfcli.data import Ratings, Vocabulary
from mfcli.errors import ArtifactError
from mfcli.model import TABLES, Model
from mfcli.splits import Split
from mfcli.training import Checkpoint, Fit, Keeper, continued, fit, read_checkpoint, update_epochs
from mfcli.training.continuation import with_few_others
from mfcli.training.gibbs.running_mean import Centered, RunningMean

GIBBS = Config(optimizer="gibbs", k=3, epochs=6)
CONFIGS = {
    "sgd": Config(k=3, epochs=3),
    "reg": Config(k=3, epochs=3, reg=0.01, nesterov=True),
    "rating": Config(k=3, epochs=3, reg=0.01, reg_scope="rating"),
    "average": Config(k=3, epochs=3, average=0.5),
    "als": Config(optimizer="als", k=3, epochs=3),
    "gibbs": GIBBS,
    "shared": replace(GIBBS, prior="shared", noise="shared"),
    "ensemble": Config(k=3, epochs=3, ensemble=2),
    "gibbs ensemble": replace(GIBBS, ensemble=2),
}


def trained(split: Split, config: Config, folder: Path) -> tuple[Fit, Checkpoint]:
    """Train, and return the result and its checkpoint."""
    done = fit(split, config, keeper=Keeper(folder))
    return done, read_checkpoint(folder)


def none_of(ratings: Ratings) -> Ratings:
    return ratings.take(np.zeros(len(ratings), np.bool_))


def larger(split: Split, rows: Any, scale: float = 1.0) -> tuple[Split, Ratings]:
    """Return a split before some of its training ratings came, in the rows of fewer ids.

    The first return value has the ratings `rows` only; the second one are the other ratings.
    """
    old = split.train.take(rows)
    users, items = (Vocabulary(v.ids, v.counts) for v in (split.train.users, split.train.items))
    over = old.over(users.counting(old.user), items.counting(old.item))
    parts = {
        name: replace(part, users=over.users, items=over.items)
        for name, part in split.parts.items()
        if name != "train"
    }
    earlier = replace(split, train=over, hash="before", **parts)
    return earlier, split.train.take(~rows)


@pytest.mark.parametrize("name", CONFIGS)
def test_without_new_ratings_training_goes_on_as_if_it_had_not_ended(
    name: str, tmp_path: Path
) -> None:
    split, config = planted_split(Config()), CONFIGS[name]
    done, checkpoint = trained(split, config, tmp_path / "a")
    more, _ = continued(split, done.model, checkpoint, none_of(split.train), epochs=2)
    # Averages depend on the length of a training; weights and samples do not.
    whole, at_once = trained(split, replace(config, epochs=config.epochs + 2), tmp_path / "b")
    again, state = continued(split, done.model, checkpoint, none_of(split.train), epochs=2)
    for array, expected in at_once.state.items():
        if not any(part in array for part in ("average", "mean", "samples", "count", "mu")):
            np.testing.assert_array_equal(state.state[array], expected)
    assert len(more.history) == config.epochs + 2
    assert more.history.lists["loss"][: config.epochs] == done.history.lists["loss"]
    for table in TABLES:
        np.testing.assert_array_equal(more.model.tables[table], again.model.tables[table])
        if not config.averaged:
            np.testing.assert_array_equal(more.model.tables[table], whole.model.tables[table])


@pytest.mark.parametrize("name", CONFIGS)
def test_rows_are_found_by_their_ids(name: str, tmp_path: Path) -> None:
    """A split with its users and items in another order gives the same model in that order."""
    split, config = planted_split(Config()), CONFIGS[name]
    done, checkpoint = trained(split, config, tmp_path)
    orders = [
        np.random.default_rng(n).permutation(len(side))
        for n, side in enumerate((split.train.users, split.train.items))
    ]
    moved = reordered(split, *orders)
    found, _ = continued(moved, done.model, checkpoint, none_of(moved.train), epochs=0)
    for table in TABLES:
        order = orders[table.startswith("item")]
        np.testing.assert_array_equal(found.model.tables[table], done.model.tables[table][order])
    more, _ = continued(moved, done.model, checkpoint, none_of(moved.train), epochs=1)
    assert np.isfinite(more.history.lists["val_mse"][-1])


def reordered(split: Split, users: Any, items: Any) -> Split:
    """Return a split whose rows are in another order."""
    by_user, by_item = np.argsort(users).astype(np.int32), np.argsort(items).astype(np.int32)

    def vocabulary(old: Vocabulary, order: Any) -> Vocabulary:
        return Vocabulary(old.ids.take(order), old.counts[order])

    def part(old: Ratings) -> Ratings:
        return replace(
            old,
            user=by_user[old.user],
            item=by_item[old.item],
            users=vocabulary(split.train.users, users),
            items=vocabulary(split.train.items, items),
        )

    parts: dict[str, Any] = {name: part(old) for name, old in split.parts.items()}
    return replace(split, **parts)


@pytest.mark.parametrize("name", CONFIGS)
def test_new_users_and_items_are_learned(name: str, tmp_path: Path) -> None:
    config = replace(CONFIGS[name], epochs=12)
    split = replace(planted_split(Config(), users=60, items=50, share=0.5), hash="now")
    train = split.train
    rows = (train.user < 55) & (train.item < 46)
    earlier, new = larger(split, rows)
    done, checkpoint = trained(earlier, config, tmp_path)
    more, after = continued(split, done.model, checkpoint, new, epochs=4)
    is_new = (split.test.user >= 55) | (split.test.item >= 46)

    def rmse(model: Model) -> float:
        test = split.test.take(is_new)
        return float(
            np.sqrt(np.mean((model.predict_rows(test.user, test.item) - test.rating) ** 2))
        )

    assert rmse(more.model) < 0.75 * rmse(done.model)
    assert rmse(more.model) < 1.15 * rmse(fit(split, config).model)
    assert (more.model.split_hash, after.split_hash) == ("now", "now")
    np.testing.assert_array_equal(more.model.users.counts, train.users.counts)
    one, _ = continued(split, done.model, checkpoint, new, epochs=4, threads=1)
    for table in TABLES:
        np.testing.assert_array_equal(one.model.tables[table], more.model.tables[table])


@pytest.mark.parametrize("name", CONFIGS)
def test_rows_without_ratings_are_forgotten(name: str, tmp_path: Path) -> None:
    split, config = planted_split(Config()), CONFIGS[name]
    done, checkpoint = trained(split, config, tmp_path)
    kept, _ = larger(split, (split.train.user > 0) & (split.train.item > 0))
    less, after = continued(kept, done.model, checkpoint, none_of(kept.train), epochs=0)
    for side in ("user", "item"):
        assert not less.model.tables[f"{side}_factors"][0].any()
        assert not less.model.tables[f"{side}_biases"][0]
    more, _ = continued(kept, less.model, after if name != "als" else None, none_of(kept.train))
    assert not more.model.user_factors[0].any()


def test_the_mean_of_old_and_new_samples_weighs_them_by_their_ratings() -> None:
    rng = np.random.default_rng(0)
    k, users, items, width = 2, 7, 5, 16

    def mean_of(samples: int) -> RunningMean:
        mean = RunningMean(k, (users, items), width)
        for _ in range(samples):
            rows = [aligned((n, width)) for n in (users, items)]
            for table in rows:
                table[:, : k + 1] = rng.normal(size=(len(table), k + 1))
            mean.add(Centered(float(rng.normal()), *rows), 1)
        return mean

    def predicted(mean: RunningMean) -> Any:
        state = mean.state()
        biases = state["mean_biases.users"][:, None] + state["mean_biases.items"]
        return state["mu"][0] + biases + state["mean.users"] @ state["mean.items"].T

    older, newer = mean_of(2), mean_of(1)
    kept = rng.uniform(size=users), rng.uniform(size=items)
    kept[0][0] = 0.0  # a new user
    found = older.faded(newer, kept, 1)
    a, c = (f**2 * 2 / (f**2 * 2 + 1) for f in kept)
    expected = predicted(newer) + np.outer(a, c) * (predicted(older) - predicted(newer))
    # Of rank 6 k + 2, of which 2 k are kept: what is left out is not larger than the rest.
    left = predicted(found) - expected
    values = np.linalg.svd(expected - bias_part(found), compute_uv=False)
    np.testing.assert_allclose(np.linalg.norm(left), np.linalg.norm(values[2 * k :]), atol=1e-4)
    np.testing.assert_allclose(found.samples[0], kept[0] ** 2 * 2 + 1)


def bias_part(mean: RunningMean) -> Any:
    state = mean.state()
    return state["mu"][0] + state["mean_biases.users"][:, None] + state["mean_biases.items"]


def test_an_update_takes_a_tenth_of_the_epochs_for_5_percent_of_the_ratings() -> None:
    gibbs, sgd = replace(GIBBS, epochs=200), Config(epochs=15)
    assert update_epochs(gibbs, 5_000, 100_000) == 20
    assert update_epochs(gibbs, 10, 100_000) == 2
    assert update_epochs(sgd, 5_000, 100_000) == 1
    assert update_epochs(sgd, 90_000, 100_000) == 15
    assert update_epochs(sgd, 0, 100_000) == 0


@pytest.mark.parametrize("epochs", [2, 20, 200])
def test_an_epoch_of_descent_has_new_ratings_several_times(epochs: int) -> None:
    split = planted_split(Config(), users=200, items=100)
    train, config = split.train, Config(epochs=epochs)
    rows = np.arange(5, 5 + len(train) // 100)
    found = with_few_others(train, train.take(rows), config)
    numbers = found.user.astype(np.int64) * 1000 + found.item
    counts = np.array([np.count_nonzero(numbers == n) for n in pair_numbers(train)])
    others = np.delete(counts, rows)
    passes = 2 * epochs / 100
    assert set(counts[rows]) == {4 if passes < 2 else 1}
    assert set(others) == {0, 1} if passes < 1 else {1}
    if passes < 1:
        assert others.mean() == pytest.approx(1 - np.exp(0.01 - passes), abs=0.02)


def pair_numbers(ratings: Ratings) -> list[int]:
    return (ratings.user.astype(np.int64) * 1000 + ratings.item).tolist()


def test_a_model_of_an_earlier_epoch_goes_on_from_its_weights(tmp_path: Path) -> None:
    """After early stopping, the state of the last epoch is not that of the best one."""
    split = planted_split(Config(), users=20, items=20)
    config = Config(k=8, epochs=40, lr=0.3, patience=2, stop_on_test=True)
    done, checkpoint = trained(split, config, tmp_path)
    assert done.epoch < len(done.history)
    same, _ = continued(split, done.model, checkpoint, none_of(split.train), epochs=0)
    np.testing.assert_array_equal(same.model.user_factors, done.model.user_factors)
    more, _ = continued(split, done.model, checkpoint, none_of(split.train), epochs=1)
    without, _ = continued(split, done.model, None, none_of(split.train), epochs=1)
    assert len(more.history) == len(done.history) + 1
    assert len(without.history) == 1
    assert more.losses["val_mse"] == pytest.approx(done.losses["val_mse"], rel=0.3)


def test_an_ensemble_requires_a_checkpoint() -> None:
    split = planted_split(Config())
    model = fit(split, CONFIGS["ensemble"]).model
    with pytest.raises(ArtifactError, match="missing, which an update of an ensemble requires"):
        continued(split, model, None, none_of(split.train), epochs=1)


@pytest.mark.parametrize("name", ["sgd", "average", "als", "gibbs", "shared"])
def test_a_model_without_its_checkpoint_goes_on(name: str) -> None:
    split, config = planted_split(Config()), replace(CONFIGS[name], epochs=12)
    done = fit(split, config)
    same, _ = continued(split, done.model, None, none_of(split.train), epochs=0)
    for table in TABLES:
        np.testing.assert_array_equal(same.model.tables[table], done.model.tables[table])
    more, after = continued(split, done.model, None, none_of(split.train), epochs=2)
    assert more.losses["val_mse"] < 1.25 * done.losses["val_mse"]
    again, _ = continued(split, more.model, after, none_of(split.train), epochs=1)
    assert again.losses["val_mse"] < 1.25 * done.losses["val_mse"]


def test_a_checkpoint_of_another_training_is_refused(tmp_path: Path) -> None:
    split = planted_split(Config())
    done, _ = trained(split, GIBBS, tmp_path / "a")
    _, other = trained(split, replace(GIBBS, prior="shared"), tmp_path / "b")
    with pytest.raises(ArtifactError, match="the checkpoint does not fit this model"):
        continued(split, done.model, other, none_of(split.train), epochs=1)
    moved = replace(other, split_hash="another")
    with pytest.raises(ArtifactError, match="the checkpoint is of split another"):
        continued(split, done.model, moved, none_of(split.train), epochs=1)

"""Samples that a model keeps, and the distribution of ratings that follows from them."""

from __future__ import annotations

import dataclasses
import io
from collections.abc import Callable
from pathlib import Path
from statistics import NormalDist
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
from planted import make_ratings, planted_split
from test_checkpoints import stopped_after

from mfcli.config import Config
from mfcli.data import Ratings, Scale, Vocabulary
from mfcli.errors import ArtifactError, ConfigError, UsageError
from mfcli.model import (
    SAMPLE_FILES,
    Model,
    Posterior,
    RatingDistribution,
    Samples,
    extended,
    fold_in,
)
from mfcli.splits import Split, split as split_ratings
from mfcli.storage import MappedFile, mapped_array, read_arrays
from mfcli.training import Keeper, continued, fit, read_checkpoint
from mfcli.training.factory import make_engine
from mfcli.training.gibbs.engine import GibbsEngine
from mfcli.training.loop import start
from mfcli.training.plan import make_plan

CONFIG = Config(k=3, epochs=6, optimizer="gibbs", average=1.0, keep_samples=3)


@pytest.fixture(scope="module")
def cold() -> Split:
    """A split with a user and an item that have no training ratings."""
    rng = np.random.default_rng(2)
    user, item = np.nonzero(rng.random((30, 20)) < 0.6)
    rating = np.clip(np.round(3 + 0.1 * (user % 7) + rng.normal(0, 0.8, len(user))), 1, 5)
    made = split_ratings(make_ratings(user, item, rating, users=30, items=20), CONFIG)
    train = made.train.take((made.train.user != 4) & (made.train.item != 6))
    train = dataclasses.replace(
        train,
        users=train.users.counting(train.user),
        items=train.items.counting(train.item),
    )
    return dataclasses.replace(made, train=train)


@pytest.fixture(scope="module")
def model(cold: Split) -> Model:
    return fit(cold, CONFIG).model


def samples_of(model: Model) -> Samples:
    assert model.samples
    return model.samples


def assert_same_samples(one: Samples, two: Samples) -> None:
    for name, array in vars(one).items():
        if isinstance(array, np.ndarray):
            np.testing.assert_array_equal(array, vars(two)[name], err_msg=name)
    assert one.user_ids.equals(two.user_ids)
    assert one.item_ids.equals(two.item_ids)


def test_a_sample_predicts_known_pairs_as_the_chain_does(cold: Split) -> None:
    config = dataclasses.replace(CONFIG, keep_samples=6)
    plan = make_plan(cold.train, config)
    engine = make_engine(plan, [start(cold, config)], cold.train, cold.test, 1)
    assert isinstance(engine, GibbsEngine)
    for epoch in range(1, 4):
        engine.run_epoch(epoch, lambda done, total: None)
    users, items, unit = engine._users.rows, engine._items.rows, engine._unit
    chain = engine._center + users[:, :1] + items[:, 0] + users[:, 1:] @ items[:, 1:].T
    made = samples_of(engine.model())
    assert len(made) == 3  # those of the epochs so far
    x, y = made.users[:, :, -1], made.items[:, :, -1]
    kept = made.mu[-1] + x[:, :1] + y[:, 0] + x[:, 1:] @ y[:, 1:].T
    known = np.ix_(cold.train.users.counts > 0, cold.train.items.counts > 0)
    np.testing.assert_allclose(kept[known], unit * chain[known], rtol=1e-5)
    assert not x[4].any()
    assert not y[6].any()
    noise = unit**2 / engine._noise.precisions
    is_known = cold.train.users.counts > 0
    np.testing.assert_allclose(made.noise[is_known, -1], noise[is_known], rtol=1e-6)


def test_samples_are_evenly_spaced_and_end_with_the_last_epoch(cold: Split) -> None:
    every = samples_of(fit(cold, dataclasses.replace(CONFIG, keep_samples=6)).model)
    some = samples_of(fit(cold, CONFIG).model)
    assert len(every) == 6
    assert some.mu.tolist() == every.mu[1::2].tolist()
    np.testing.assert_array_equal(some.users, every.users[:, :, 1::2])


def test_keeping_samples_does_not_change_the_model(cold: Split, model: Model) -> None:
    plain = fit(cold, dataclasses.replace(CONFIG, keep_samples=0)).model
    assert plain.samples is None
    for name, table in plain.tables.items():
        assert table.tobytes() == model.tables[name].tobytes()


def test_unknown_rows_have_the_covariance_of_all_rows(cold: Split, model: Model) -> None:
    made = samples_of(model)
    for rows, covariances, counts in (
        (made.users, made.user_covariance, cold.train.users.counts),
        (made.items, made.item_covariance, cold.train.items.counts),
    ):
        weights = np.sqrt(counts) / np.sqrt(counts).sum()
        for s in range(len(made)):
            expected = (rows[:, :, s].T * weights) @ rows[:, :, s].astype(np.float64)
            np.testing.assert_allclose(covariances[s], expected, rtol=1e-4, atol=1e-6)
    weights = np.sqrt(cold.train.users.counts)
    np.testing.assert_allclose(made.unknown_noise, weights @ made.noise / weights.sum(), rtol=1e-5)
    np.testing.assert_allclose(made.noise[4], made.unknown_noise, rtol=1e-6)


@pytest.mark.parametrize("ensemble", [1, 2])
def test_a_resumed_training_keeps_the_same_samples(
    cold: Split, tmp_path: Path, ensemble: int
) -> None:
    config = dataclasses.replace(CONFIG, ensemble=ensemble)
    whole = fit(cold, config, threads=2).model
    checkpoint = stopped_after(cold, config, 4, tmp_path / "checkpoint")
    resumed = fit(cold, config, threads=1, resume=checkpoint).model
    assert_same_samples(samples_of(whole), samples_of(resumed))


@pytest.mark.parametrize("ensemble", [1, 2])
def test_an_update_replaces_the_oldest_samples(tmp_path: Path, ensemble: int) -> None:
    config = dataclasses.replace(CONFIG, ensemble=ensemble, keep_samples=4)
    whole = planted_split(Config(), users=30, items=20)
    # The last user and the last items are new in the update.
    is_old = (whole.train.user < 29) & (whole.train.item < 18)
    before = split_of(whole, whole.train.take(is_old), users=29, items=18)
    old = fit(before, config, keeper=Keeper(tmp_path / "checkpoint"))
    checkpoint, new = read_checkpoint(tmp_path / "checkpoint"), whole.train.take(~is_old)
    done, _ = continued(whole, old.model, checkpoint, new, epochs=1)
    made, earlier = samples_of(done.model), samples_of(old.model)
    assert len(made) == 4
    assert made.are_of(whole.train.users, whole.train.items)
    # The epoch gives a sample of each chain.
    for chain in range(ensemble):
        first = chain * (4 // ensemble)
        rest = slice(first + 1, first + 4 // ensemble)
        np.testing.assert_array_equal(made.users[:29, :, rest], earlier.users[:, :, rest])
        assert (made.users[:29, :, first] != earlier.users[:, :, first]).any()
    # New rows have no earlier samples: these are draws of unknown rows.
    assert made.users[29].all()
    assert made.items[18:].all()
    np.testing.assert_allclose(made.noise[29, rest], made.unknown_noise[rest], rtol=1e-6)
    done.model.save(tmp_path / "model")
    assert_same_samples(made, samples_of(Model.load(tmp_path / "model")))


def split_of(whole: Split, train: Ratings, *, users: int, items: int) -> Split:
    """Return a split with the first users and items alone."""
    kept = (
        Vocabulary(ids.slice(0, size), np.bincount(rows, minlength=size))
        for ids, size, rows in (
            (whole.train.users.ids, users, train.user),
            (whole.train.items.ids, items, train.item),
        )
    )
    own = dict(zip(("users", "items"), kept, strict=True))
    train = dataclasses.replace(train, **own)
    return dataclasses.replace(whole, train=train, test=train, hash="before")


def test_folded_in_users_are_drawn_given_their_ratings(model: Model) -> None:
    made = samples_of(model)
    many = Samples(
        made.user_ids, made.item_ids, values=made.values, thresholds=made.thresholds,
        **{n: np.repeat(getattr(made, n)[..., :1], 2000, axis=-1)
           for n in ("users", "items", "noise", "mu", "unknown_noise")},
        **{n: np.repeat(getattr(made, n)[:1], 2000, axis=0)
           for n in ("user_covariance", "item_covariance")},
    )  # fmt: skip
    known = dataclasses.replace(model, samples=many, losses={"val_mse": 0.6})
    rows = {"user": [900, 900, 900, 901], "item": [1, 2, 3, 1], "rating": [5, 4, 5, 2]}
    larger = extended(known, fold_in(known, rows))
    drawn = samples_of(larger)
    assert drawn.are_of(larger.users, larger.items)
    np.testing.assert_array_equal(drawn.users[:30], many.users)
    x = drawn.users[larger.users.ids.to_pylist().index(900)].astype(np.float64)
    z = np.column_stack([np.ones(3), made.items[[1, 2, 3], 1:, 0]]).astype(np.float64)
    noise = made.unknown_noise[0]
    precision = np.linalg.inv(made.user_covariance[0]) + z.T @ z / noise
    errors = np.array([5, 4, 5]) - made.mu[0] - made.items[[1, 2, 3], 0, 0]
    mean = np.linalg.solve(precision, z.T @ errors / noise)
    scale = np.sqrt(np.diag(np.linalg.inv(precision)))
    np.testing.assert_allclose(x.mean(axis=1), mean, atol=0.1 * scale.max())
    np.testing.assert_allclose(np.cov(x), np.linalg.inv(precision), atol=0.1 * scale.max() ** 2)
    # The draws of a user do not depend on the other users.
    alone = extended(known, fold_in(known, {name: column[:3] for name, column in rows.items()}))
    np.testing.assert_array_equal(samples_of(alone).users[30], drawn.users[30])


def test_folded_in_items_are_drawn_as_unknown_ones(model: Model) -> None:
    known = dataclasses.replace(model, losses={"val_mse": 0.6})
    rows = {"user": [900, 900], "item": [700, 1], "rating": [5, 4]}
    larger = extended(known, fold_in(known, rows))
    assert samples_of(larger).are_of(larger.users, larger.items)
    assert Posterior(larger).ratings(*(np.array([n], np.int32) for n in (30, 1))).sd[0] > 0


def test_an_ensemble_divides_the_samples_among_its_members(cold: Split) -> None:
    config = dataclasses.replace(CONFIG, ensemble=2)
    whole = fit(cold, config).model
    made = samples_of(whole)
    assert (len(made), whole.config.keep_samples) == (3, 3)
    assert made.k == CONFIG.k
    second = fit(cold, dataclasses.replace(CONFIG, seed=1, keep_samples=2)).model
    np.testing.assert_array_equal(made.users[:, :, 1:], samples_of(second).users)


def test_a_folder_keeps_samples_exactly(model: Model, tmp_path: Path) -> None:
    model.save(tmp_path / "model")
    assert {path.name for path in (tmp_path / "model").iterdir()} >= set(SAMPLE_FILES)
    loaded = samples_of(Model.load(tmp_path / "model"))
    assert_same_samples(samples_of(model), loaded)
    # Other programs read them, too.
    users = np.load(tmp_path / "model/user_samples.npy", mmap_mode="r")
    np.testing.assert_array_equal(users, loaded.users)
    assert not loaded.users.flags.owndata
    Model.load(tmp_path / "model").save(tmp_path / "copy")
    assert_same_samples(loaded, samples_of(Model.load(tmp_path / "copy")))


def test_a_model_without_samples_has_no_files_of_samples(cold: Split, tmp_path: Path) -> None:
    plain = fit(cold, Config(k=3, epochs=2, optimizer="gibbs")).model
    plain.save(tmp_path / "model")
    assert not {path.name for path in (tmp_path / "model").iterdir()} & set(SAMPLE_FILES)
    assert "samples" not in (tmp_path / "model/model.json").read_text()
    assert Model.load(tmp_path / "model").samples is None


@pytest.mark.parametrize("name", SAMPLE_FILES)
def test_missing_and_damaged_samples_are_refused(model: Model, tmp_path: Path, name: str) -> None:
    model.save(tmp_path / "model")
    path = tmp_path / "model" / name
    content = bytearray(path.read_bytes())
    content[-40] ^= 1
    path.write_bytes(content)
    with pytest.raises(ArtifactError, match=f"{name}: is damaged"):
        Model.load(tmp_path / "model")
    path.unlink()
    with pytest.raises(ArtifactError, match=name):
        Model.load(tmp_path / "model")


def test_samples_of_another_model_are_refused(model: Model, tmp_path: Path) -> None:
    made = samples_of(model)
    for changed in (
        dataclasses.replace(made, users=made.users[:-1]),
        dataclasses.replace(made, items=made.items[:, :-1]),
        dataclasses.replace(made, noise=made.noise.astype(np.float64)),
        dataclasses.replace(made, mu=made.mu[:-1]),
        dataclasses.replace(made, thresholds=made.thresholds[:-1]),
        dataclasses.replace(made, values=made.values.astype(np.float64)),
    ):
        dataclasses.replace(model, samples=changed).save(tmp_path / "model")
        with pytest.raises(ArtifactError, match="samples do not fit the model; train again"):
            Model.load(tmp_path / "model")


def npy(array: Any, **options: Any) -> bytes:
    file = io.BytesIO()
    np.lib.format.write_array(file, np.asarray(array), **options)
    return file.getvalue()


OBJECTS = npy(np.array([{}], object), allow_pickle=True)
HUGE = npy(np.zeros(7)).replace(b"(7,), }" + 3 * b" ", b"(700000,),}")


@pytest.mark.parametrize(
    "content",
    [
        b"", b"\x93NUMPY", npy(np.zeros(3))[:-1], OBJECTS, HUGE, b"PK\x03\x04",
        npy(np.zeros(3)).replace(b"descr", b"descR"), npy(np.zeros(3)).replace(b"{", b"("),
    ],
    ids=["empty", "magic", "short", "pickle", "huge", "zip", "key", "syntax"],
)  # fmt: skip
@pytest.mark.parametrize("read", [mapped_array, read_arrays])
def test_other_bytes_are_no_arrays(
    tmp_path: Path, content: bytes, read: Callable[[MappedFile, str], Any]
) -> None:
    (tmp_path / "a.npy").write_bytes(content)
    with pytest.raises(ArtifactError, match=r"a.npy: is damaged \(.*\); train again"):
        read(MappedFile(tmp_path / "a.npy"), "train again")


def slow_variance(made: Samples, user: int, item: int, is_new: tuple[bool, bool]) -> float:
    """Return the variance of a prediction: that of its means, plus the mean of its variances."""
    means, variances = [], []
    for s in range(len(made)):
        x, y = (np.zeros(made.k + 1) if new else rows[row, :, s].astype(np.float64)
                for new, rows, row in zip(is_new, (made.users, made.items), (user, item),
                                          strict=True))  # fmt: skip
        means.append(made.mu[s] + x[0] + y[0] + x[1:] @ y[1:])
        c, d = made.user_covariance[s], made.item_covariance[s]
        z, w = np.append(1, y[1:]), np.append(1, x[1:])
        known = {
            (False, False): 0.0,
            (True, False): z @ c @ z,
            (False, True): w @ d @ w,
            (True, True): c[0, 0] + d[0, 0] + np.trace(c[1:, 1:] @ d[1:, 1:]),
        }
        variances.append(known[is_new])
    return float(np.var(means, ddof=1) + np.mean(variances))


def test_variances_are_those_of_a_slow_twin(model: Model) -> None:
    made = samples_of(model)
    user, item = (a.ravel().astype(np.int32) - 1 for a in np.indices((31, 21)))
    found = Posterior(model).ratings(user, item)
    new_user, new_item = (user < 0) | (user == 4), (item < 0) | (item == 6)
    expected = [
        slow_variance(made, *pair) for pair in zip(user, item, zip(new_user, new_item, strict=True),
                                                   strict=True)
    ]  # fmt: skip
    np.testing.assert_allclose(found.posterior, expected, rtol=1e-4)
    np.testing.assert_array_equal(found.mean, model.predict_rows(user, item))
    noise = np.where(new_user, made.unknown_noise.mean(), made.noise.mean(axis=1)[user])
    np.testing.assert_allclose(found.noise, noise, rtol=1e-6)
    several = Posterior(model).ratings(np.tile(user, 30), np.tile(item, 30), threads=2)
    np.testing.assert_array_equal(several.posterior, np.tile(found.posterior, 30))


def test_a_sample_is_a_model(model: Model) -> None:
    made, posterior = samples_of(model), Posterior(model)
    sample = posterior.sample(1)
    x, y = made.users[3, :, 1], made.items[5, :, 1]
    one = sample.predict_rows(np.array([3], np.int32), np.array([5], np.int32))
    assert one[0] == pytest.approx(made.mu[1] + x[0] + y[0] + x[1:] @ y[1:], rel=1e-5)
    assert len(posterior) == 3
    assert sample.samples is None


def normal(values: Any = (), thresholds: Any = ()) -> RatingDistribution:
    mean = np.array([3.0, 4.5], np.float32)
    parts = np.array([0.09, 0.3], np.float32), np.array([0.16, 0.7], np.float32)
    steps = np.array(values, np.float32), np.array(thresholds, np.float64)
    return RatingDistribution(mean, *parts, Scale(1.0, 5.0, 1.0), *steps)


def test_intervals_and_probabilities_are_those_of_normal_distributions() -> None:
    found, (one, two) = normal(), (NormalDist(3, 0.5), NormalDist(4.5, 1))
    np.testing.assert_allclose(found.quantile(0.2), [one.inv_cdf(0.2), two.inv_cdf(0.2)], rtol=1e-6)
    low, high = found.interval(0.9, clip=False)
    np.testing.assert_allclose(low, [one.inv_cdf(0.05), two.inv_cdf(0.05)], rtol=1e-6)
    np.testing.assert_allclose(high, [one.inv_cdf(0.95), two.inv_cdf(0.95)], rtol=1e-6)
    assert found.interval(0.9)[1].tolist() == [high[0], 5.0]
    values = np.array([2.0, 6.0])
    np.testing.assert_allclose(found.cdf(values), [one.cdf(2), two.cdf(6)], rtol=1e-5)


def test_thresholds_divide_the_values_among_the_ratings() -> None:
    one = NormalDist(3, 0.5)
    found = normal([1, 2.1, 3, 4, 5], [0, 1.6, 2.7, 3.3, 4.7])
    assert found.at_least(4)[0] == pytest.approx(1 - one.cdf(3.3), rel=1e-6)
    assert found.at_least(3.2)[0] == pytest.approx(1 - one.cdf(3.3), rel=1e-6)
    assert found.at_least(2.1)[0] == pytest.approx(1 - one.cdf(1.6), rel=1e-6)
    assert found.at_least(1).tolist() == [1, 1]  # every rating is at least the lowest one
    assert found.at_least(5.1).tolist() == [0, 0]
    assert normal().at_least(4)[0] == pytest.approx(1 - one.cdf(4), rel=1e-6)


def test_thresholds_give_ratings_their_frequencies(cold: Split, model: Model) -> None:
    made, rating = samples_of(model), cold.train.rating
    assert made.values.tolist() == pytest.approx([1, 2, 3, 4, 5], rel=1e-6)
    whole = NormalDist(float(rating.mean()), float(rating.std()))
    for value, threshold in zip([1, 2, 3, 4, 5], made.thresholds, strict=True):
        lower = float((rating < value).sum())
        assert whole.cdf(threshold) == pytest.approx((lower + 0.5) / (len(rating) + 1), abs=1e-5)


@pytest.mark.parametrize("level", [0, 1, -0.5, float("nan"), "0.9", True])
def test_levels_are_probabilities(level: Any) -> None:
    with pytest.raises(UsageError, match="coverage must be above 0 and below 1"):
        normal().interval(level)


def test_a_model_without_samples_has_no_posterior(cold: Split, model: Model) -> None:
    expected = "the model has no samples .* train with optimizer='gibbs' and keep_samples=20"
    with pytest.raises(ArtifactError, match=expected):
        Posterior(dataclasses.replace(model, samples=None))
    with pytest.raises(ArtifactError, match="only one sample"):
        Posterior(fit(cold, dataclasses.replace(CONFIG, keep_samples=1)).model)


def test_a_model_of_other_ids_has_no_samples(model: Model) -> None:
    assert dataclasses.replace(model, mu=3.0).samples is model.samples
    ids = model.users.ids.to_pylist()
    others = Vocabulary(pa.array([*ids[:-1], 1000]), model.users.counts)
    assert dataclasses.replace(model, users=others).samples is None


def test_more_samples_than_averaged_epochs_are_refused(cold: Split) -> None:
    config = Config(k=2, epochs=10, optimizer="gibbs", keep_samples=10)
    expected = "keep_samples must be at most 9, the number of averaged epochs, got 10; use"
    with pytest.raises(ConfigError, match=expected):
        fit(cold, config)
    with pytest.raises(ConfigError, match="keep_samples is not used with optimizer='als'"):
        Config(optimizer="als", keep_samples=2)


def test_intervals_cover_ratings_of_known_and_unknown_users_and_items() -> None:
    """Ratings come from the model itself, with noise, so that nothing but samples is tested."""
    rng = np.random.default_rng(7)
    users, items = 400, 150
    truth = 3 + rng.normal(0, 0.5, (users, 1)) + rng.normal(0, 0.4, (1, items))
    truth = truth + rng.normal(0, 0.5, (users, 2)) @ rng.normal(0, 0.5, (2, items))
    user, item = np.nonzero(rng.random((users, items)) < 0.3)
    rating = truth[user, item] + rng.normal(0, 0.6, len(user))
    ratings = make_ratings(user, item, rating, users=users, items=items)
    config = Config(k=2, epochs=40, optimizer="gibbs", prior="shared", keep_samples=20)
    made = split_ratings(ratings, config)
    train = made.train.take((made.train.user >= 80) & (made.train.item >= 30))
    users_of, items_of = train.users.counting(train.user), train.items.counting(train.item)
    train = dataclasses.replace(train, users=users_of, items=items_of)
    fitted = fit(dataclasses.replace(made, train=train), config).model
    assert made.test
    low, high = Posterior(fitted).ratings(made.test.user, made.test.item).interval(0.9)
    covered = (made.test.rating >= low) & (made.test.rating <= high)
    new_user, new_item = made.test.user < 80, made.test.item < 30
    for which in (~new_user & ~new_item, new_user & ~new_item, new_item & ~new_user):
        assert 0.87 < covered[which].mean() < 0.93


def test_fewer_samples_after_early_stopping_are_used(cold: Split) -> None:
    valid = planted_split(Config(valid=0.2), users=30, items=20)
    config = dataclasses.replace(CONFIG, epochs=60, keep_samples=30, patience=3)
    fitted = fit(valid, config)
    done = len(fitted.history)
    assert done < 60
    assert len(samples_of(fitted.model)) == done // 2
    user = item = np.arange(3, dtype=np.int32)
    assert (Posterior(fitted.model).ratings(user, item).posterior > 0).all()

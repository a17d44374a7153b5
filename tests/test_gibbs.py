"""Gibbs sampling: draws follow their formulas, and the model is the mean of the samples."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from conftest import Run
from planted import make_ratings, planted_split
from test_checkpoints import assert_same, stopped_after

from mfcli.aligned import aligned, lanes_of
from mfcli.config import Config
from mfcli.errors import ConfigError
from mfcli.model import Model
from mfcli.splits import Split, assembled, read_split
from mfcli.training import Diverged, fit
from mfcli.training.gibbs.chain import Side
from mfcli.training.gibbs.engine import GibbsEngine
from mfcli.training.gibbs.low_rank import truncate
from mfcli.training.loop import start
from mfcli.training.normal_equations import products, ratings_by_row
from mfcli.training.normal_equations.products import gram, multiplied
from mfcli.training.normal_equations.rated_pairs import RatedPairs, unit_of
from mfcli.training.normal_equations.ratings_by_row import BothSides, sort_ratings
from mfcli.types import Floats

GIBBS = Config(k=3, epochs=6, optimizer="gibbs")


def padded(columns: np.ndarray) -> Floats:
    """Return columns in rows of a multiple of 16 lanes, as the kernels take them."""
    rows = aligned((len(columns), lanes_of(columns.shape[1])))
    rows[:, : columns.shape[1]] = columns
    return rows


def sorted_pairs(split: Split, config: Config) -> BothSides:
    pairs = RatedPairs(split.train)
    return sort_ratings(pairs, config.k, 1, unit=unit_of(pairs))


def predict(model: Model) -> np.ndarray:
    shape = len(model.users), len(model.items)
    user, item = (a.ravel().astype(np.int32) for a in np.indices(shape))
    return model.predict_rows(user, item).reshape(shape)


def truncated(p: Floats, q: Floats, rank: int, width: int, threads: int) -> list[Floats]:
    """Return the factors of ``p q^T`` of a given rank."""
    both = [aligned((len(rows), max(width, rows.shape[1]))) for rows in (p, q)]
    for rows, whole in zip((p, q), both, strict=True):
        whole[:, : rows.shape[1]] = rows
    truncate(*both, rank, width, threads)
    return [rows[:, :width] for rows in both]


def test_a_truncation_is_the_best_of_its_rank() -> None:
    rng = np.random.default_rng(3)
    p, q = padded(rng.normal(size=(50, 8))), padded(rng.normal(size=(30, 8)) * np.arange(1, 9))
    left, values, right = np.linalg.svd(p.astype(np.float64) @ q.T, full_matrices=False)
    for rank in (1, 3, 8):
        a, b = truncated(p, q, rank, 16, threads=2)
        best = left[:, :rank] * values[:rank] @ right[:rank]
        np.testing.assert_allclose(a @ b.T, best, atol=1e-6 * values[0])
        np.testing.assert_allclose((a * a).sum(axis=0)[:rank], values[:rank], rtol=1e-5)
        assert not a[:, rank:].any()


def test_a_truncation_may_be_wider_than_the_rank() -> None:
    p = padded(np.random.default_rng(4).normal(size=(40, 2)))
    a, b = truncated(p, p, 5, 16, threads=1)
    np.testing.assert_allclose(a @ b.T, p @ p.T, atol=1e-5)
    assert (truncated(0 * p, p, 3, 16, threads=1)[0] == 0).all()


def test_products_are_those_of_numpy() -> None:
    rows = padded(np.random.default_rng(5).normal(size=(40_001, 20)))
    exact = rows.astype(np.float64)
    np.testing.assert_allclose(gram(rows, 2), exact.T @ exact, rtol=1e-6, atol=2e-2)
    assert gram(rows, 1).tobytes() == gram(rows, 3).tobytes()
    found = multiplied(rows, exact[:32, :16], 2)
    np.testing.assert_allclose(found, exact @ exact[:32, :16], rtol=1e-4, atol=1e-4)


def test_samples_vary_as_the_posterior_does() -> None:
    """The mean of n predictions has the standard deviation noise / sqrt(n)."""
    rng = np.random.default_rng(7)
    user, item = (a.ravel() for a in np.indices((40, 50)))
    rating = 3 + rng.normal(0, 0.5, len(user))
    ratings = make_ratings(user, item, rating, users=40, items=50)
    split = assembled({"train": ratings, "test": ratings}, ratings.scale(), {})
    config = replace(GIBBS, k=1, epochs=300, average=0)
    ratings = sorted_pairs(split, config)
    engine = GibbsEngine(start(split, config), ratings, split.test)
    noise, first = [], []
    for epoch in range(1, 301):
        engine.run_epoch(epoch, lambda done, total: None)
        if epoch > 100:
            noise.append(engine.state()["alpha"][0] ** -0.5 * rating.std())
            first.append(predict(engine.model()).mean())
    assert np.mean(noise) == pytest.approx(0.5, abs=0.03)
    assert np.mean(first) == pytest.approx(rating.mean(), abs=0.003)
    assert np.std(first) == pytest.approx(0.5 / 2000**0.5, rel=0.3)


def test_the_model_is_the_mean_of_the_samples() -> None:
    """With no more users than factors, the truncation loses nothing."""
    split = planted_split(Config(), users=5, items=40, share=0.7)
    config = replace(GIBBS, k=5)
    samples = [fit(split, replace(config, epochs=n, average=1 / n)).model for n in (4, 5, 6)]
    mean = fit(split, replace(config, average=0.5)).model
    expected = np.mean([predict(sample) for sample in samples], axis=0)
    np.testing.assert_allclose(predict(mean), expected, atol=1e-5)
    assert mean.k == 5


def with_unrated_rows() -> Split:
    """Return a split in which one user and one item have no training rating."""
    split = planted_split(Config(seed=3))
    keep = (split.train.user != 0) & (split.train.item != 0)
    return assembled({"train": split.train.take(keep), "test": split.test}, split.scale, {})


def test_rows_without_ratings_are_predicted_like_typical_rows() -> None:
    """A user is like the mean of the users, an item like the mean of the items' prior."""
    split, config = with_unrated_rows(), replace(GIBBS, engine="fast", average=0)
    ratings = sorted_pairs(split, config)
    engine = GibbsEngine(start(split, config), ratings, split.test)
    for epoch in range(1, 4):
        engine.run_epoch(epoch, lambda done, total: None)
    model, state = engine.model(), engine.state()
    assert not model.user_factors[0].any()
    assert not model.item_biases[0]
    predicted = predict(model)
    np.testing.assert_allclose(predicted[0, 1:], predicted[1:, 1:].mean(axis=0), atol=1e-4)
    users, item = state["sample.users"], state["item_mean"]
    unit = float(split.train.rating.std(dtype=np.float64))
    expected = split.train.mean + unit * (item[0] + users[:, 0] + users[:, 1:] @ item[1:])
    np.testing.assert_allclose(predicted[1:, 0], expected[1:], atol=1e-4)


@pytest.mark.parametrize(
    "settings",
    [{}, {"ensemble": 2}, {"average": 0.4}, {"prior": "shared", "noise": "shared"}],
    ids=str,
)
def test_a_resumed_training_and_any_threads_give_the_same_bits(
    tmp_path: Path, settings: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(ratings_by_row, "_TASK", 64)  # several tasks for few ratings
    monkeypatch.setattr(products, "_ROWS", 16)
    config = replace(GIBBS, **settings)
    split = planted_split(config)
    whole = fit(split, config, threads=1)
    assert_same(whole, fit(split, config, threads=3))
    for epoch in (1, 4):
        checkpoint = stopped_after(split, config, epoch, tmp_path / str(epoch))
        assert_same(whole, fit(split, config, resume=checkpoint, threads=2))


def test_the_scale_of_the_ratings_does_not_matter() -> None:
    split = planted_split(Config())
    parts = {
        name: replace(part, rating=part.rating * np.float32(16) - np.float32(8))
        for name, part in split.parts.items()
    }
    scale = split.scale._replace(min=16 * split.scale.min - 8, max=16 * split.scale.max - 8)
    other = predict(fit(replace(split, **parts, scale=scale), GIBBS).model)
    np.testing.assert_allclose(predict(fit(split, GIBBS).model), (other + 8) / 16, atol=1e-3)


def test_other_seeds_give_other_samples() -> None:
    split = planted_split(Config())
    one, two = (predict(fit(split, replace(GIBBS, seed=seed)).model) for seed in (0, 1))
    assert 0.001 < np.abs(one - two).mean() < 0.3


def test_gibbs_predicts_real_ratings_better_than_sgd(real_split: Path) -> None:
    split = read_split(real_split)
    sampled = fit(split, Config(k=6, epochs=120, optimizer="gibbs"))
    careful = Config(k=30, epochs=30, batch_size=32, lr=0.05, lr_schedule="cosine", reg=0.1)
    descended = fit(split, replace(careful, reg_scope="rating"))
    errors = [f.history.lists["val_mse"][-1] ** 0.5 for f in (sampled, descended)]
    assert errors[0] < errors[1] - 0.005


def test_implicit_priors_and_noise_per_user_improve_predictions(real_split: Path) -> None:
    split = read_split(real_split)
    plain = Config(k=4, epochs=60, optimizer="gibbs", prior="shared", noise="shared")
    tries = plain, replace(plain, prior="implicit"), replace(plain, prior="implicit", noise="user")
    errors = [fit(split, one).history.lists["val_mse"][-1] ** 0.5 for one in tries]
    assert errors[1] < errors[0] - 0.005
    assert errors[2] < errors[1] - 0.001


def test_patience_begins_with_the_average() -> None:
    """A single sample before the average never counts as the best epoch."""
    split = planted_split(Config(valid=0.2))
    config = replace(GIBBS, epochs=20, average=0.5, patience=2)
    fitted = fit(split, config)
    assert len(fitted.history) >= 13
    assert fitted.epoch >= 11
    best = int(np.argmin(fitted.history.lists["val_mse"][10:])) + 11
    assert fitted.epoch == best


@pytest.mark.parametrize("seed", range(4))
def test_few_ratings_do_not_diverge(seed: int) -> None:
    rng = np.random.default_rng(seed)
    user, item = np.divmod(rng.permutation(24), 6)
    rating = rng.integers(0, 2, 24)
    split = assembled(
        {
            name: make_ratings(user[part], item[part], rating[part], users=4, items=6)
            for name, part in (("train", slice(16)), ("test", slice(16, None)))
        },
        make_ratings(user, item, rating, users=4, items=6).scale(),
        {},
    )
    fitted = fit(split, Config(optimizer="gibbs", k=8, epochs=60))
    assert fitted.losses["val_mse"] < 1


def test_ratings_without_noise_do_not_diverge() -> None:
    """The precision of the noise would grow until rounding errors decide."""
    rng = np.random.default_rng(0)
    user, item = np.divmod(rng.permutation(300 * 300), 300)
    rating = np.round(rng.normal(size=300))[user]  # each user gives one rating to all items
    parts = ("train", slice(80_000)), ("test", slice(80_000, None))
    split = assembled(
        {
            name: make_ratings(user[part], item[part], rating[part], users=300, items=300)
            for name, part in parts
        },
        make_ratings(user, item, rating, users=300, items=300).scale(),
        {},
    )
    config = Config(optimizer="gibbs", k=15, epochs=20, prior="implicit", noise="user")
    assert fit(split, config).losses["val_mse"] < 1e-4


@pytest.mark.parametrize(("size", "value"), [(60, np.nan), (40, np.nan), (40, np.inf)])
def test_rows_that_are_not_finite_stop_training(
    monkeypatch: pytest.MonkeyPatch, size: int, value: float
) -> None:
    """Rows of users or items, also of items without held-out ratings."""
    whole, draw = planted_split(GIBBS, users=60, items=40), Side.draw
    none = make_ratings(np.zeros(1), np.zeros(1), np.ones(1), users=60, items=40)
    split = replace(whole, test=replace(none, users=whole.train.users, items=whole.train.items))

    def spoiled(side: Side, *given: Any) -> None:
        draw(side, *given)
        if len(side.rows) == size:
            side.rows[-1], side.squares[-1] = value, value

    monkeypatch.setattr(Side, "draw", spoiled)
    with pytest.raises(Diverged, match=r"^training diverged at epoch 1 \(gibbs\)"):
        fit(split, GIBBS)


def test_a_prior_that_cannot_be_drawn_stops_training(monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(*given: Any) -> None:
        raise np.linalg.LinAlgError

    monkeypatch.setattr(Side, "draw_prior", fail)
    with pytest.raises(Diverged, match=r"^training diverged at epoch 1 \(gibbs\)"):
        fit(planted_split(GIBBS), GIBBS)


def test_gibbs_has_one_engine() -> None:
    with pytest.raises(ConfigError, match=r"engine must be fast or auto .*'gibbs', got 'keras'"):
        Config(optimizer="gibbs", engine="keras")
    with pytest.raises(ConfigError, match=r"average must be at least 0 and at most 1, got -0\.5"):
        Config(average=-0.5)


def test_options_of_descent_are_refused(run: Run, real_split: Path) -> None:
    done = run("train", "--optimizer", "gibbs", "--lr", "0.1", "--split", real_split)
    assert done.code == 2
    assert "--lr is not used with --optimizer gibbs" in done.err


def test_options_of_sampling_are_refused(run: Run, real_split: Path) -> None:
    done = run("train", "--prior", "implicit", "--split", real_split)
    assert done.code == 2
    assert "--prior is not used with --optimizer sgd" in done.err
    Path("mfcli.toml").write_text("optimizer = 'gibbs'\nnoise = 'shared'\n")
    done = run("train", "--optimizer", "sgd", "--epochs", "1", "--split", real_split)
    assert done.code == 0, done.err  # as a rate of descent in the file is with gibbs

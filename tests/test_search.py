"""The search: ignores test ratings, is the same on any number of threads, and continues."""

from __future__ import annotations

import itertools
import json
import re
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import matplotlib.image
import numpy as np
import pytest
from conftest import Outcome, Run
from planted import planted_split

import mfcli.search.recommended
from mfcli.config import Config, read_config
from mfcli.errors import ArtifactError, ConfigError, DataError, TrainingError
from mfcli.plots import plot_search
from mfcli.search import (
    Attempt,
    Candidate,
    Search,
    better_candidate,
    found_candidate,
    read_space,
    recommended_candidate,
    recommended_config,
    settings_from,
    summary,
    trial_runners,
    with_validation,
)
from mfcli.search.default_search import first_settings, space_for
from mfcli.search.search import ROUND
from mfcli.search.spaces import Choice, Range, Space, descent_space
from mfcli.search.trial_training import TrialResult
from mfcli.search.trials import TENTHS
from mfcli.splits import Split, write_split
from mfcli.training import fit

SPACE: Space = {
    "reg_scope": Choice(("rating",)),
    "reg": Range(0.001, 1.0, log=True),
    "k": Choice((2, 6)),
    "rate": Range(0.002, 0.2, log=True),
    "epochs": Range(5, 20),
}


@pytest.fixture(scope="module")
def split() -> Split:
    return with_validation(planted_split(Config()), Config())


@pytest.fixture(scope="module")
def search(split: Split) -> Search:
    made = Search(split, Config(), SPACE, threads=2)
    made.run(24)
    return made


def test_validation_ratings_are_cut_from_the_training_ratings() -> None:
    whole = planted_split(Config())
    parts = with_validation(whole, Config())
    assert parts.valid is not None
    assert len(parts.valid) == round(0.1 * len(whole.train))
    assert len(parts.train) + len(parts.valid) == len(whole.train)
    assert parts.test is None
    assert len(with_validation(whole, Config(valid=0.3)).valid) == round(0.3 * len(whole.train))


def test_validation_ratings_of_the_split_are_used() -> None:
    whole = planted_split(Config(valid=0.2))
    parts = with_validation(whole, Config())
    assert parts.train is whole.train
    assert parts.valid is whole.valid
    assert parts.test is None


def test_test_ratings_do_not_matter(search: Search) -> None:
    whole = planted_split(Config())
    nonsense = replace(whole.test, rating=np.full(len(whole.test), np.nan, np.float32))
    other = with_validation(replace(whole, test=nonsense), Config())
    again = Search(other, Config(), SPACE, threads=2)
    again.run(ROUND)
    assert again.attempts == search.attempts[:ROUND]


def test_threads_do_not_matter(split: Split, search: Search) -> None:
    alone = Search(split, Config(), SPACE, threads=1)
    alone.run(24)
    assert alone.attempts == search.attempts


def test_it_finds_better_settings_than_the_first_ones(split: Split, search: Search) -> None:
    assert search.best
    first = [attempt.value for attempt in search.attempts[:ROUND] if attempt.is_complete]
    assert search.best.value < np.median(first)
    assert search.best.value == min(a.value for a in search.attempts if a.is_complete)
    config = replace(Config(), **settings_from(search.best.settings, Config()))
    assert fit(split, config).losses["val_mse"] ** 0.5 == pytest.approx(search.best.value)


def test_hopeless_trials_are_pruned(search: Search) -> None:
    pruned = [attempt for attempt in search.attempts if not attempt.is_complete]
    assert pruned
    assert min(attempt.number for attempt in pruned) > ROUND  # the first round has no median
    assert search.best
    assert all(attempt.value > search.best.value for attempt in pruned)


def test_it_continues_from_its_storage(split: Split, search: Search, tmp_path: Path) -> None:
    path = tmp_path / "search.jsonl"
    with Search(split, Config(), SPACE, path) as some:
        some.run(ROUND)
    with Search(split, Config(), SPACE, path) as again:
        assert again.attempts == search.attempts[:ROUND]
        again.run(2 * ROUND)
        assert again.attempts == search.attempts[: 2 * ROUND]
    others: dict[str, tuple[Split, Config, Space]] = {
        "another split": (replace(split, hash="x"), Config(), SPACE),
        "other validation ratings": (
            with_validation(planted_split(Config()), Config(valid=0.2)),
            Config(),
            SPACE,
        ),
        "other settings outside of the space": (split, Config(batch_size=7), SPACE),
        "another seed": (split, Config(seed=1), SPACE),
        "another space": (split, Config(), SPACE | {"k": Choice((2,))}),
    }
    for words, other in others.items():
        with pytest.raises(ArtifactError, match=f"to a search with {words}; choose another"):
            Search(*other, path)


def stopped_after(number: int) -> Callable[[Attempt], None]:
    """Return a function that interrupts a search after a trial."""

    def interrupt(attempt: Attempt) -> None:
        if attempt.number == number:
            raise KeyboardInterrupt

    return interrupt


def test_an_interrupted_search_continues(split: Split, search: Search, tmp_path: Path) -> None:
    path = tmp_path / "search.jsonl"
    for number in (3, ROUND, 2 * ROUND + 1):
        with (
            pytest.raises(KeyboardInterrupt),
            Search(split, Config(), SPACE, path, threads=2) as some,
        ):
            some.run(24, on_trial=stopped_after(number))
        with Search(split, Config(), SPACE, path) as again:
            assert [attempt.number for attempt in again.attempts] == [*range(1, number + 1)]
    with Search(split, Config(), SPACE, path) as again:
        again.run(24)
        assert again.attempts == search.attempts
        assert not again.failures


def test_a_search_may_be_extended_by_any_number_of_trials(
    split: Split, search: Search, tmp_path: Path
) -> None:
    path = tmp_path / "search.jsonl"
    for trials in (3, 5, 18, 24):
        with Search(split, Config(), SPACE, path) as some:
            some.run(trials)
            assert some.attempts == search.attempts[:trials]


@pytest.mark.parametrize("parallel", [1, 3, 20])
def test_any_number_of_trials_may_be_parallel(
    split: Split, search: Search, tmp_path: Path, parallel: int
) -> None:
    """The number changes the search, which still does not depend on threads or interruptions."""
    path = tmp_path / "search.jsonl"
    alone = Search(split, Config(), SPACE, parallel=parallel)
    alone.run(22)
    assert alone.attempts != search.attempts[:22]
    with (
        pytest.raises(KeyboardInterrupt),
        Search(split, Config(), SPACE, path, threads=2, parallel=parallel) as some,
    ):
        some.run(22, on_trial=stopped_after(8))
    with Search(split, Config(), SPACE, path, threads=2) as again:
        assert again.round == parallel  # from the storage
        again.run(22)
        assert again.attempts == alone.attempts
    with pytest.raises(ArtifactError) as caught:
        Search(split, Config(), SPACE, path, parallel=8)
    assert str(caught.value) == (
        f"{path}: belongs to a search with {parallel} parallel trials, not 8; choose another"
        f" storage, or use parallel_trials={parallel}"
    )


def test_parallel_trials_do_not_know_the_results_of_one_another(
    split: Split, monkeypatch: pytest.MonkeyPatch
) -> None:
    def chosen(parallel: int, best: int) -> list[dict[str, Any]]:
        """Return the settings of 24 trials, one of which is much better than the others."""
        numbers = itertools.count(1)

        def results(_: object, rules: object, trials: list[Any]) -> Iterator[TrialResult]:
            for _ in trials:
                number = next(numbers)
                yield TrialResult([0.1 if number == best else number % 7 + 1.0] * TENTHS)

        monkeypatch.setattr(trial_runners._ThisMachine, "results", results)
        some = Search(split, Config(), SPACE, parallel=parallel)
        some.run(24)
        return [attempt.settings for attempt in some.attempts]

    # After 16 random trials; the last round starts with the trial 17, 19 and 21.
    for parallel, last in ((8, 17), (6, 19), (4, 21)):
        same, other = chosen(parallel, 24), chosen(parallel, last - 1)
        assert same[: last - 1] == other[: last - 1]
        assert same[last - 1 :] != other[last - 1 :]
        assert same == chosen(parallel, last)


def test_a_trial_without_enough_time_is_discarded(split: Split) -> None:
    some = Search(split, Config(), SPACE | {"epochs": Choice((100_000,))})
    with pytest.raises(TrainingError, match="no trial was completed; raise minutes or trials"):
        some.run(5, seconds=0.2)
    assert not some.attempts


def test_searched_settings_may_differ_from_those_in_the_storage(
    split: Split, tmp_path: Path
) -> None:
    with Search(split, Config(), SPACE, tmp_path / "s.jsonl") as some:
        some.run(1)
    with Search(split, Config(k=50, lr=0.5, epochs=99), SPACE, tmp_path / "s.jsonl") as again:
        assert again.attempts == some.attempts


def test_it_stops_after_the_given_time(split: Split) -> None:
    with pytest.raises(TrainingError, match="no trial was completed; raise minutes or trials"):
        Search(split, Config(), SPACE).run(5, seconds=0)


def test_a_diverged_trial_does_not_stop_the_search(split: Split) -> None:
    wild = Search(split, Config(), SPACE | {"rate": Choice((0.02, 1e5))})
    wild.run(ROUND)
    assert wild.best
    assert wild.best.settings["rate"] == 0.02
    assert max(attempt.value for attempt in wild.attempts) == split.scale.max - split.scale.min


def test_impossible_settings_fail(split: Split) -> None:
    space = SPACE | {"warmup": Choice((0, 50))}
    some = Search(split, Config(), space)
    some.run(ROUND)
    assert 0 < len(some.attempts) < ROUND
    with pytest.raises(TrainingError, match="completed: warmup must be below epochs"):
        Search(split, Config(), SPACE | {"warmup": Choice((50,))}).run(3)


def test_trials_with_patience_count_with_their_best_epoch(split: Split) -> None:
    space = SPACE | {"patience": Choice((1,)), "rate": Choice((0.2, 0.3))}
    early = Search(split, Config(), space | {"epochs": Choice((40,))})
    early.run(4)
    assert early.best
    config = replace(Config(), **settings_from(early.best.settings, Config()))
    fitted = fit(split, config)
    assert len(fitted.history) < 40
    assert early.best.value == pytest.approx(fitted.losses["val_mse"] ** 0.5)


def test_the_learning_rate_follows_from_the_rate() -> None:
    base = Config(batch_size=8, momentum=0.0, epochs=30)
    assert settings_from({"rate": 0.01, "warmup": 20}, base) == {"warmup": 20, "lr": 0.04}
    assert settings_from({"rate": 0.01, "momentum": 0.5}, base)["lr"] == pytest.approx(0.02)


def test_failures_have_reasons(split: Split) -> None:
    some = Search(split, Config(), SPACE | {"k": Choice((2, 10**9))})
    some.run(ROUND)
    assert some.best
    assert len(some.failures) + len(some.attempts) == ROUND
    assert "k 1000000000" in some.failures[0]
    wild = Search(split, Config(), SPACE | {"rate": Choice((1e3, 1e4))})
    with pytest.raises(TrainingError, match="all trials diverged; search lower rates"):
        wild.run(2)


def test_too_few_training_ratings() -> None:
    whole = planted_split(Config())
    few = replace(whole, train=whole.train.take(np.arange(len(whole.train)) < 4))
    with pytest.raises(DataError, match="leaves no valid rating of 4; raise valid"):
        with_validation(few, Config())


def test_importances_add_up(search: Search) -> None:
    importances = search.importances()
    assert set(importances) == {"reg", "k", "rate", "epochs"}
    assert sum(importances.values()) == pytest.approx(1)


def test_the_picture_of_a_search(search: Search, tmp_path: Path) -> None:
    out = tmp_path / "search.png"
    plot_search(search.attempts, search.importances(), out, title="$x$")
    assert matplotlib.image.imread(out).std() > 0.05


def test_the_picture_of_a_short_search(
    search: Search, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It has no panel of importances, and draws every error as it is."""
    drawn: list[Any] = []
    monkeypatch.setattr(
        "mfcli.plots.search.set_figure_title", lambda figure, _: drawn.append(figure)
    )
    few = [trial for trial in search.attempts if trial.is_complete][:3]
    plot_search(few, {}, tmp_path / "few.svg", title="few")
    (axes,) = drawn[0].axes
    names = [text.get_text() for text in axes.get_legend().get_texts()]
    assert names == ["complete", "best so far"]
    points, best = axes.get_lines()
    assert list(points.get_ydata()) == [trial.value for trial in few]
    assert best.get_ydata()[0] == few[0].value
    assert all(tick == round(tick) for tick in axes.get_xticks())


def test_the_default_space_is_valid() -> None:
    for deviation in (1.0, 20.0):
        for end in ("low", "high"):
            values = {
                name: choice.values[0] if isinstance(choice, Choice) else getattr(choice, end)
                for name, choice in descent_space(deviation).items()
            }
            values["epochs"] = int(values["epochs"])
            config = Config(**settings_from(values, Config()))
            rate = 2 * config.lr / config.batch_size / (1 - config.momentum)
            assert rate == pytest.approx(values["rate"])


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("kk = 3", "unknown setting 'kk'; did you mean 'k'?"),
        ("strange = 3", "unknown setting 'strange'"),
        ("k = {low = 1}", "k must have low, high and optionally log, got {'low': 1}"),
        ("k = {low = 0, high = 4}", "k must be at least 1, got 0"),
        ("k = {low = 5, high = 4}", "k must be numbers from low to high"),
        ("reg = {low = 0, high = 1, log = true}", "reg must be above 0 for log = true, got {"),
        ("reg = {low = 0, high = 1, log = 3}", "reg must have log = true or false, got {"),
        ("optimizer = {low = 'adam', high = 'sgd'}", "optimizer must be numbers from low to high"),
        ("batch_size = []", "batch_size must have at least one value, got []"),
        ("k = 'many'", "k must be a whole number, got 'many'"),
        ("k = [1, 2]\nrate = 0.1\nlr = 0.1", "rate determines lr; omit one of them"),
        ("test = [0.1, 0.2]", "test is not a training setting; omit it"),
        ("k = 3", "leaves nothing to choose; add a range such as k = {"),
        ("k = ", "is not valid TOML"),
    ],
)
def test_a_space_is_checked(tmp_path: Path, text: str, message: str) -> None:
    path = tmp_path / "space.toml"
    path.write_text(text, encoding="utf-8")
    with pytest.raises(ConfigError) as caught:
        read_space(path)
    assert str(caught.value).startswith(f"{path}: ")
    assert message in str(caught.value)


@pytest.fixture(scope="module")
def some_csv(real_csv: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The real ratings of every third user."""
    path = tmp_path_factory.mktemp("some") / "data.csv"
    header, *lines = real_csv.read_text().splitlines()
    some = [line for line in lines if int(line.partition(",")[0]) % 3 == 0]
    path.write_text("\n".join([header, *some]) + "\n")
    return path


@pytest.fixture
def quick_init(monkeypatch: pytest.MonkeyPatch) -> None:
    """Recommend settings that train fast."""
    monkeypatch.setattr(mfcli.search.recommended, "_EPOCHS", {"usual": 40})
    monkeypatch.setattr(mfcli.search.recommended, "_FACTORS", {"usual": 4})


def test_tune_then_train(run: Run, some_csv: Path, quick_init: None) -> None:
    assert run("split", some_csv, "--valid", 0.1).code == 0
    Path("space.toml").write_text("k = [2, 4]\nrate = {low = 0.01, high = 0.02}\nepochs = 3\n")
    done = run("tune", "--space", "space.toml", "--trials", 3, "--plot", "s.png", "--json")
    assert done.code == 0, done.err
    result = json.loads(done.out)
    assert (result["trials"], result["file"], result["picture"]) == (3, "mfcli.toml", "s.png")
    assert result["recommended_rmse"] < result["rmse"]
    assert "the settings of mfcli init are better" in done.err
    assert Path("s.png").stat().st_size > 10_000
    found = read_config(Path("mfcli.toml"))
    assert found == replace(Config(), **result["settings"])
    trained = json.loads(run("train", "--json").out)
    assert trained["val_mse"] ** 0.5 == pytest.approx(result["rmse"])
    Path("mfcli.toml").write_text("k = 3\n")
    again = run("tune", "--space", "space.toml")
    assert again.code == 1
    assert (
        "mfcli.toml: already exists, with settings that mfcli did not write; choose another --out,"
        " or overwrite it with --force" in again.err
    )


def test_other_changed_settings_are_written_too(run: Run, some_csv: Path, quick_init: None) -> None:
    """The written file gives the same error, whatever the settings were before."""
    assert run("split", some_csv, "--valid", 0.1).code == 0
    Path("mfcli.toml").write_text("optimizer = 'gibbs'\nepochs = 9\naverage = 0.5\nseed = 3\n")
    Path("space.toml").write_text("optimizer = 'sgd'\nk = [2, 4]\nbatch_size = 512\n")
    done = run("tune", "--space", "space.toml", "--trials", 2, "--force", "--json")
    assert done.code == 0, done.err
    found = read_config(Path("mfcli.toml"))
    assert (found.optimizer, found.epochs, found.average, found.seed) == ("sgd", 9, 0.5, 3)
    trained = json.loads(run("train", "--json").out)
    assert trained["val_mse"] ** 0.5 == pytest.approx(json.loads(done.out)["rmse"])


def test_without_a_space_the_settings_of_init_compete(
    run: Run, some_csv: Path, quick_init: None
) -> None:
    assert run("split", some_csv, "--valid", 0.1).code == 0
    Path("old.toml").write_text("clip = false\nat = 5\nlr = 0.3\nrelevant = 3.0\n")
    sgd = ("--optimizer", "sgd")  # one trial of it is worse than the settings of init
    done = run("tune", "--trials", 1, "--seed", 2, "--config", "old.toml", *sgd)
    assert done.code == 0, done.err
    assert "The settings of mfcli init are better (validation RMSE 0." in done.out
    assert done.out.count("relevant ") == 1
    found = read_config(Path("mfcli.toml"))
    assert (found.optimizer, found.epochs, found.k, found.seed) == ("gibbs", 40, 4, 2)
    assert (found.clip, found.at) == (False, 5)
    rmse = float(done.err.split("with the settings of mfcli init: ")[1].split()[0])
    trained = json.loads(run("train", "--json").out)
    assert trained["val_mse"] ** 0.5 == pytest.approx(rmse, abs=1e-4)


def test_the_outcome_of_a_search(search: Search) -> None:
    best = found_candidate(search)
    assert search.best
    assert best.value == search.best.value
    assert replace(Config(), **best.values) == replace(
        Config(), **settings_from(search.best.settings, Config())
    )
    result = summary(search, best)
    assert (result["rmse"], result["trials"]) == (best.value, 24)
    assert result["pruned"] == sum(not attempt.is_complete for attempt in search.attempts)
    assert best.title.endswith("ratings, the best of 24 trials")


def test_the_default_space_is_around_the_settings_of_init(split: Split) -> None:
    space = space_for(split)
    advised = recommended_config(split, Config())
    for end in ("low", "high"):
        values = {
            name: choice.values[0] if isinstance(choice, Choice) else getattr(choice, end)
            for name, choice in space.items()
        }
        config = replace(Config(), **settings_from(values, Config()))
        assert (config.optimizer, config.prior, config.noise) == ("gibbs", "implicit", "user")
        assert (config.k, config.epochs) == ((4, 100) if end == "low" else (31, 400))
    assert (advised.k, advised.epochs) == (8, 200)
    assert space["prior"] == Choice(("implicit", "shared"))
    assert space["noise"] == Choice(("user", "shared"))
    few = with_validation(planted_split(Config(), users=3, items=40), Config())
    assert space_for(few)["k"] == Range(3, 3, log=True)


def test_the_default_search_can_beat_the_settings_of_init(
    split: Split, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(mfcli.search.recommended, "_EPOCHS", {"usual": 20})
    space = space_for(split)
    search = Search(split, Config(), space, threads=2, first=first_settings(split, space))
    search.run(2 * ROUND)
    advised = recommended_config(split, Config())
    assert search.attempts[0].settings == {
        "optimizer": "gibbs", "k": advised.k, "prior": "implicit", "noise": "user", "epochs": 40,
    }  # fmt: skip
    assert search.best
    assert search.best.value < recommended_candidate(search).value
    drawn = Search(split, Config(), space, threads=2)
    drawn.run(2)
    assert drawn.attempts[0].settings != search.attempts[0].settings
    assert drawn.attempts[1] == search.attempts[1]
    assert first_settings(split, SPACE) is None


def test_the_optimizer_chooses_the_default_space(
    run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write_split(tmp_path / "split", planted_split(Config(valid=0.2), users=20, items=15))
    monkeypatch.setattr(mfcli.search.recommended, "_EPOCHS", {"usual": 2})

    def searched(*words: object) -> list[str]:
        done = run("tune", "--trials", 1, "--force", "--storage", "s.jsonl", *words)
        assert done.code == 0, done.err
        space = json.loads(Path("s.jsonl").read_text().splitlines()[0])["space"]
        Path("s.jsonl").unlink()
        return [*space["optimizer"]["values"], *sorted(space)]

    assert searched() == ["gibbs", "epochs", "k", "noise", "optimizer", "prior"]
    assert {"rate", "reg_user", "momentum"} < set(searched("--optimizer", "sgd"))
    Path("old.toml").write_text("optimizer = 'sgd'\n")
    assert searched("--config", "old.toml")[0] == "sgd"
    assert searched("--config", "old.toml", "--optimizer", "gibbs")[0] == "gibbs"
    done = run("tune", "--optimizer", "adam", "--force")
    assert (done.code, done.err.splitlines()[-1]) == (
        1,
        "error: --optimizer must be gibbs or sgd to search without a space, got 'adam'; describe"
        " what to search with --space",
    )
    done = run("tune", "--optimizer", "sgd", "--space", "space.toml", "--force")
    assert (done.code, done.err.splitlines()[-1]) == (
        2,
        "error: --optimizer is not used with --space; name the optimizer in space.toml",
    )


def test_equal_ratings_have_a_space(split: Split) -> None:
    train = replace(split.train, rating=np.full(len(split.train), 3, np.float32))
    assert space_for(replace(split, train=train), optimizer="sgd") == descent_space(1.0)


@pytest.fixture
def quick(run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[..., Outcome]:
    """Run `mfcli tune` with a small split and fast settings."""
    write_split(tmp_path / "split", planted_split(Config(valid=0.2), users=20, items=15))
    monkeypatch.setattr(mfcli.search.recommended, "_EPOCHS", {"usual": 2})
    Path("space.toml").write_text("epochs = 2\nk = [2, 3, 4]\nlr = {low = 0.01, high = 0.1}\n")
    return lambda *args: run("tune", "--space", "space.toml", *args)


def test_a_file_that_appears_during_the_search_is_kept(
    quick: Callable[..., Outcome], monkeypatch: pytest.MonkeyPatch
) -> None:
    def run_and_write(self: Search, *args: Any) -> None:
        run_search(self, *args)
        Path("mfcli.toml").write_text("k = 77\n")

    run_search = Search.run
    monkeypatch.setattr(Search, "run", run_and_write)
    done = quick("--trials", 2, "--json")
    assert done.code == 0, done.err
    assert Path("mfcli.toml").read_text() == "k = 77\n"
    assert (
        "note: mfcli.toml was created or edited during the search; the settings are in"
        " mfcli-2.toml\n" in done.err
    )
    result = json.loads(done.out)
    assert result["file"] == "mfcli-2.toml"
    assert read_config(Path("mfcli-2.toml")) == Config(**result["settings"])
    Path("mfcli.toml").unlink()
    assert quick("--trials", 2).out.endswith(
        "wrote mfcli-3.toml; next: mfcli train --config mfcli-3.toml\n"
    )
    assert quick("--trials", 2, "--force").code == 0
    assert "k = 77" not in Path("mfcli.toml").read_text()


def test_a_search_replaces_settings_of_mfcli_until_they_are_edited(
    quick: Callable[..., Outcome], run: Run
) -> None:
    stored = ("--storage", "s.jsonl", "--trials")
    assert quick(*stored, 2).code == 0
    assert quick(*stored, 3).code == 0
    first = Path("mfcli.toml").read_text()
    assert first.startswith("# Found by mfcli tune: validation RMSE ")
    assert "the best of 3 trials.\n" in first.replace("\n# ", " ")  # comments are wrapped
    assert run("init").err == (
        "error: mfcli.toml: already exists, with settings of mfcli tune; choose another --out, or"
        " overwrite it with --force\n"
    )
    assert quick("--trials", 3).code == 0  # another search
    Path("mfcli.toml").write_text(first + "at = 5\n")
    again = quick(*stored, 4)
    assert (again.code, again.err.splitlines()[-1]) == (
        1,
        "error: mfcli.toml: already exists, with settings that mfcli did not write; choose another"
        " --out, or overwrite it with --force",
    )
    Path("mfcli.toml").write_text(first)
    assert quick(*stored, 4).code == 0
    assert run("init", "--force").code == 0
    assert quick("--trials", 2).code == 0


def test_a_resumed_search_does_not_train_with_the_settings_of_init_again(
    quick: Callable[..., Outcome], monkeypatch: pytest.MonkeyPatch
) -> None:
    def trained() -> int:
        return sum('"advised"' in line for line in Path("s.jsonl").read_text().splitlines())

    def fail(*_: object, **__: object) -> None:
        raise AssertionError

    words = ("--storage", "s.jsonl", "--json", "--trials")
    first = json.loads(quick(*words, 2).out)
    assert trained() == 1
    with monkeypatch.context() as patch:
        patch.setattr(mfcli.search.outcome, "fit", fail)
        again = json.loads(quick(*words, 3).out)
    assert again["recommended_rmse"] == first["recommended_rmse"]
    assert trained() == 1
    # Another version of mfcli may recommend other settings.
    monkeypatch.setattr(mfcli.search.recommended, "_EPOCHS", {"usual": 3})
    other = json.loads(quick(*words, 3).out)
    assert other["recommended_rmse"] != first["recommended_rmse"]
    assert trained() == 2


def test_a_stopped_search_can_be_resumed_without_force(
    quick: Callable[..., Outcome], monkeypatch: pytest.MonkeyPatch
) -> None:
    with monkeypatch.context() as patch:

        def stop(self: Search, trials: int, *args: Any) -> None:
            run_search(self, 2)
            raise KeyboardInterrupt

        run_search = Search.run
        patch.setattr(Search, "run", stop)
        assert "note: stopped; mfcli.toml has the best of 2 trials" in quick("--storage", "s").err
    assert quick("--storage", "s", "--trials", 3).code == 0


def test_an_unwritable_output_is_found_before_the_search(
    quick: Callable[..., Outcome], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(Search, "run", lambda *_: pytest.fail("searched"))
    Path("file").touch()
    Path("folder").mkdir()
    for option, place in (
        ("--out", "file/a.toml"),
        ("--out", "folder"),
        ("--plot", "file/a.png"),
        ("--storage", "file/s"),
        ("--storage", "folder"),
    ):
        done = quick(option, place)
        assert done.code == 1
        assert done.err.splitlines()[-1].startswith(f"error: {place}: "), done.err
    done = quick("--storage", "mfcli.toml")
    assert (done.code, "--storage must differ from --out" in done.err) == (2, True)


def test_settings_that_cannot_be_written_are_printed(
    quick: Callable[..., Outcome], monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*args: Any, **more: Any) -> None:
        raise ArtifactError("cannot be written: No space left on device", place="mfcli.toml")

    monkeypatch.setattr(mfcli.config, "write_settings", fail)
    done = quick("--trials", 1)
    assert done.code == 1
    assert "note: the best settings are epochs 2, k " in done.err


def test_failed_trials_are_counted(quick: Callable[..., Outcome]) -> None:
    Path("space.toml").write_text("epochs = 2\nk = [2, 1000000000]\n")
    done = quick("--trials", 8)
    assert done.code == 0, done.err
    found = re.search(
        r"^note: (1 trial|\d+ trials) failed; reason of the first: training with k 1000000000",
        done.err,
        re.MULTILINE,
    )
    assert found, done.err


def test_the_time_limit_includes_the_settings_of_init(
    quick: Callable[..., Outcome], monkeypatch: pytest.MonkeyPatch
) -> None:
    done = quick("--minutes", 0)
    assert (done.code, done.out) == (1, "")
    assert "cannot train with the settings of mfcli init: the time limit was reached" in done.err
    assert done.err.endswith("error: no trial was completed; raise --minutes or --trials\n")


def test_the_settings_file_says_where_its_settings_come_from(search: Search) -> None:
    found = found_candidate(search)
    rival = Candidate("Settings of mfcli init: validation RMSE 0.1 on 9 ratings", [], 0.1)
    assert better_candidate(found, rival, search.measure).title == (
        "Settings of mfcli init: validation RMSE 0.1 on 9 ratings, lower than the"
        f" {found.value:.4f} of the best trial of mfcli tune"
    )
    assert better_candidate(found, rival._replace(value=9.0), search.measure) is found
    assert better_candidate(found, None, search.measure) is found

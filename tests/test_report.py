"""Reports: what they say equals what runs, metrics and checks hold; what is missing is named."""

from __future__ import annotations

import html
import json
import re
import shlex
import shutil
from collections.abc import Callable
from html.parser import HTMLParser
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from conftest import Run
from planted import make_ratings

import mfcli
from mfcli.checks import check
from mfcli.config import DEFAULTS, Config
from mfcli.errors import ArtifactError, DataError, MfcliWarning, UnknownIdError, UsageError
from mfcli.evaluation import FoldMetrics, compare, evaluate
from mfcli.reports import HtmlReport, report
from mfcli.reports.blocks import Facts, Lists, Missing, Notice, Row, Section, Table
from mfcli.reports.curves import rank_curve, share_curve, time_counts
from mfcli.reports.examples import chosen_users
from mfcli.splits import Split, read_split, split, write_split
from mfcli.training import fit
from mfcli.types import Counts

HOSTILE = [
    "<script>alert(1)</script>",
    '"><img src=x onerror=alert(1)>',
    "</title><style>*{display:none}</style>",
    "{{7*7}}{% for x in y %}",
    "zero\x00byte",
    "turned \u202e around",
    "&lt;b&gt;",
]
SETTINGS = {
    "gibbs": Config(optimizer="gibbs", k=3, epochs=6),
    "sgd": Config(k=4, epochs=3, lr=0.05),
    "ranking": Config(optimizer="als", k=3, target="rated", unrated_weight=0.2, epochs=2, reg=0.05),
}
RESAMPLED = Config(resamples=50)


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with ratings, a split, titles and runs that are measured in different ways."""
    folder = tmp_path_factory.mktemp("project")
    rng = np.random.default_rng(3)
    lines = ["user,item,rating,timestamp"]
    for user in range(60):
        for item in np.flatnonzero(rng.random(40) < 0.15 + 0.5 * rng.random()):
            value = np.clip(round(3 + 0.4 * (user % 4) - 0.3 * (item % 5) + rng.normal()), 1, 5)
            lines.append(f"{user},{item},{value},{1_000_000_000 + 86_400 * rng.integers(900)}")
    (folder / "data.csv").write_text("\n".join(lines) + "\n")
    titles = ["item,title", *(f"{n},Film {n} ({1990 + n})" for n in range(40))]
    (folder / "titles.csv").write_text("\n".join(titles) + "\n")
    parts = split(mfcli.read_ratings(folder / "data.csv"), Config(valid=0.1))
    write_split(folder / "split", parts)
    parts = read_split(folder / "split")
    for name, config in SETTINGS.items():
        fitted = fit(parts, config)
        fitted.write(folder / name)
        measured = evaluate(fitted.model, parts, RESAMPLED, ranking=True)
        measured.write(folder / name / "metrics.json")
    return folder


@pytest.fixture
def project(made: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A copy of the folder, as the working folder."""
    folder = tmp_path / "project"
    shutil.copytree(made, folder)
    monkeypatch.chdir(folder)
    return folder


def section(made: HtmlReport, anchor: str) -> Section:
    return next(one for one in made.sections if one.anchor == anchor)


def tables(made: HtmlReport, anchor: str) -> dict[str, Table]:
    blocks = section(made, anchor).blocks
    return {one.caption: one for one in blocks if isinstance(one, Table)}


def rows(table: Table) -> dict[str, Row]:
    return {row.label: row for row in table.rows}


def missing(made: HtmlReport, anchor: str) -> list[Missing]:
    return section(made, anchor).missing


def notices(made: HtmlReport, anchor: str) -> list[str]:
    return [one.text for one in section(made, anchor).blocks if isinstance(one, Notice)]


def facts(made: HtmlReport, anchor: str) -> dict[str, str]:
    return dict(next(one for one in section(made, anchor).blocks if isinstance(one, Facts)).rows)


def commands(made: HtmlReport) -> list[str]:
    found = [one for one in section(made, "origin").blocks if one.kind == "commands"]
    return list(found[0].lines)  # type: ignore[union-attr]


def write_hostile_titles(path: Path) -> None:
    """Write titles for items 0 to 39, in a format that can hold any text."""
    titles = [HOSTILE[n % len(HOSTILE)] for n in range(40)]
    pq.write_table(pa.table({"item": list(range(40)), "title": titles}), path)


class Texts(HTMLParser):
    """The texts, elements, ids and links of a page."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.texts: list[str] = []
        self.tags: list[str] = []
        self.ids: list[str] = []
        self.links: list[str] = []
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)
        for name, value in attrs:
            assert not name.startswith("on")
            assert name != "style"  # the policy of the page would ignore it
            if name == "id":
                self.ids.append(value or "")
            if name == "href":
                self.links.append(value or "")

    def handle_data(self, data: str) -> None:
        self.texts.append(data)


def test_measures_are_those_of_the_metrics(project: Path) -> None:
    made = report("gibbs")
    metrics = mfcli.read_metrics("gibbs")
    assert isinstance(metrics, mfcli.Metrics)
    assert metrics.verdict
    (card,) = made.runs
    assert card.verdict == metrics.verdict.text
    assert [number.value for number in card.numbers] == [
        f"{metrics.measures[name]:.4f}" for name in ("rmse", "ndcg")
    ]
    errors = rows(tables(made, "errors")["Rating errors"])
    low, high = metrics.intervals["mae"] or (0, 0)
    assert errors["MAE (rating units)"].cells == [
        f"{metrics.measures['mae']:.4f}",
        f"{low:.4f} to {high:.4f}",
        f"{metrics.baselines['biases'].measures['mae']:.4f}",
        f"{metrics.baselines['mean'].measures['mae']:.4f}",
    ]
    ranked = rows(tables(made, "ranking")["Accuracy of the rankings"])
    assert ranked["recall"].cells[0] == f"{metrics.measures['recall']:.4f}"
    assert ranked["recall"].cells[2] == f"{metrics.baselines['popular'].measures['recall']:.4f}"
    assert tables(made, "ranking")["Accuracy of the rankings"].columns[3] == "most popular"


def test_data_are_those_of_check(project: Path) -> None:
    made, found = report("gibbs"), check("data.csv")
    shown = facts(made, "data")
    assert shown["ratings"] == f"{found.ratings:,}"
    assert (shown["users"], shown["items"]) == (f"{found.users.count}", f"{found.items.count}")
    assert shown["mean"] == f"{found.values.mean:.4f}"
    assert found.times
    assert shown["times"] == f"{found.times.first} to {found.times.last}"
    notices = [one.text for one in section(made, "data").blocks if isinstance(one, Notice)]
    assert len(notices) == len(check("data.csv", SETTINGS["gibbs"]).warnings) > 0
    assert any("--strategy k-fold" in text for text in notices)  # as the command spells it
    per_user = rows(tables(made, "data")["Ratings of a user and of an item"])["median"]
    assert per_user.cells == [f"{side.quantiles['50']}" for side in (found.users, found.items)]


def test_the_split_is_described(project: Path) -> None:
    made, parts = report("gibbs"), read_split("split")
    shown = rows(tables(made, "split")["Sizes of the parts"])
    assert parts.test
    assert parts.valid
    assert shown["test"].cells[0] == f"{len(parts.test):,}"
    assert shown["valid"].cells[2] == f"{parts.unseen(parts.valid):,}"
    assert facts(made, "split")["source"] == "data.csv"
    assert facts(made, "origin")["split"] == parts.hash


def test_several_runs_are_side_by_side(project: Path) -> None:
    made = report(["gibbs", "sgd", "ranking"])
    assert made.title == "gibbs, sgd and ranking"
    table = tables(made, "settings")["Settings of the training"]
    assert table.columns == ["setting", "gibbs", "sgd", "ranking", "default"]
    settings = rows(table)
    assert settings["k"].cells == ["3", "4", "3", "10"]
    assert settings["k"].differs
    assert settings["k"].strong == [0, 1, 2]  # none is the default
    assert settings["lr"].cells == ["-", "0.05", "-", "0.08"]
    assert not settings["batch_size"].differs  # the only run that uses it has its default
    assert not settings["seed"].differs
    errors = rows(tables(made, "errors")["Rating errors"])  # of the runs that have some
    assert len(errors["MAE (rating units)"].cells) == 4
    ranked = tables(made, "ranking")["Accuracy of the rankings"]
    assert list(ranked.columns[1:4]) == ["gibbs", "sgd", "ranking"]


def test_differences_are_paired(project: Path) -> None:
    made = report(["gibbs", "sgd", "ranking"])
    errors, ranked = (one for one in section(made, "comparison").blocks if isinstance(one, Table))
    difference = compare(["gibbs", "sgd"]).difference("rmse", "sgd")
    assert difference
    assert difference.interval
    low, high = difference.interval
    cells = rows(errors)["RMSE"].cells
    assert cells == [f"{difference.value:+.4f}", f"{low:+.4f} to {high:+.4f}"]
    assert rows(errors)["RMSE"].strong == ([] if low <= 0 <= high else [0])
    assert list(ranked.columns) == ["measure", "sgd", "95% interval", "ranking", "95% interval"]
    assert "RMSE" not in rows(ranked)


def test_runs_that_were_measured_in_different_ways_have_no_intervals(project: Path) -> None:
    model, parts = mfcli.Model.load("sgd"), read_split("split")
    evaluate(model, parts, RESAMPLED, on="valid").write("sgd/metrics.json")
    made = report(["gibbs", "sgd"])
    found = tables(made, "comparison")
    caption = "The runs were measured in different ways, so there are no intervals"
    assert rows(found[caption])["on"].cells == ["test", "valid"]
    assert rows(found["Differences from gibbs"])["RMSE"].cells[1] == "-"
    assert [one.text for one in missing(made, "ranking")] == [
        "The rankings of sgd were not measured."
    ]
    (notice,) = notices(made, "errors")
    assert notice.startswith("The runs were measured in different ways")
    assert not notices(report(["gibbs", "ranking"]), "ranking")


def test_what_is_missing_is_named_with_the_command_that_makes_it(project: Path) -> None:
    for name in ("gibbs/metrics.json", "gibbs/history.json"):
        (project / name).unlink()
    shutil.rmtree("split")
    made = report("gibbs")
    found = {name: [one.command for one in missing(made, name)] for name in
             ("data", "split", "training", "errors", "where", "ranking")}  # fmt: skip
    evaluation = ["mfcli evaluate --model gibbs"]
    assert found == {
        "data": ["mfcli split data.csv"],
        "split": ["mfcli split data.csv"],
        "training": ["mfcli train --out gibbs"],
        "errors": evaluation,
        "where": evaluation,
        "ranking": evaluation,
    }
    assert made.runs[0].verdict == "Not measured."
    shutil.rmtree("gibbs/model")
    with pytest.raises(ArtifactError, match="gibbs: contains nothing that mfcli can show"):
        report("gibbs")


def test_metrics_alone_are_enough(project: Path) -> None:
    shutil.rmtree("sgd/model")
    made = report("sgd")
    assert made.runs[0].numbers[0].label == "RMSE on test ratings"
    assert next(one.text for one in missing(made, "examples")) == "sgd has no model."
    assert rows(tables(made, "settings")["Settings of the training"])["k"].cells[0] == "4"


def test_a_refit_cannot_be_measured(project: Path) -> None:
    fitted = fit(read_split("split").union(), SETTINGS["sgd"])
    fitted.write("whole")
    made = report("whole")
    assert made.runs[0].verdict == "Trained on all ratings; not measured."
    (one,) = missing(made, "errors")
    assert one.command == "mfcli evaluate --on new.csv --model whole"
    training = next(line for line in commands(made) if line.startswith("mfcli train"))
    assert training.endswith("--refit --out whole")
    parts = rows(tables(made, "split")["Sizes of the parts"])
    assert parts["test"].note == "trains the model, too"
    both = rows(tables(report(["sgd", "whole"]), "split")["Sizes of the parts"])
    assert both["test"].note == "measures the final model, and trains whole"


def test_folds_are_averaged_and_listed(project: Path) -> None:
    ratings = mfcli.read_ratings("data.csv")
    folds = split(ratings, Config(strategy="k-fold", folds=3))
    write_split("folds", folds)
    found = []
    for fold in (1, 2, 3):
        parts = read_split(f"folds/fold-{fold}")
        fitted = fit(parts, SETTINGS["sgd"])
        fitted.write(f"crossed/fold-{fold}")
        found.append(evaluate(fitted.model, parts, RESAMPLED))
    FoldMetrics.of(found).write("crossed/metrics.json")
    made = report("crossed", split="folds")
    metrics = mfcli.read_metrics("crossed")
    assert made.runs[0].numbers[0].value == f"{metrics.measures['rmse']:.4f}"
    errors = rows(tables(made, "errors")["Folds of crossed"])
    assert errors["fold 2"].cells[0] == f"{found[1].measures['rmse']:.4f}"
    assert isinstance(metrics, FoldMetrics)
    deviation = metrics.standard_deviations["rmse"]
    assert errors["standard deviation"].cells[0] == f"{deviation:.4f}"
    sizes = rows(tables(made, "split")["Sizes of the folds"])
    assert sum(int(row.cells[0].replace(",", "")) for row in sizes.values()) == len(ratings)
    assert {row.label for row in tables(made, "training")["Trainings"].rows} == {
        "fold 1", "fold 2", "fold 3"
    }  # fmt: skip
    both = report(["crossed", "gibbs"], split="folds")
    assert both.title == "crossed and gibbs"
    texts = [one.text for one in missing(both, "examples")]
    assert texts[0].startswith("gibbs/model: was trained on split ")


def test_implicit_feedback_has_no_errors(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    rng = np.random.default_rng(0)
    user, item = np.nonzero(rng.random((40, 30)) < 0.3)
    events = mfcli.ratings_from((user, item), columns={"rating": ""})
    write_split("split", split(events, DEFAULTS))
    parts = read_split("split")
    fitted = fit(parts, SETTINGS["ranking"])
    fitted.write("clicks")
    evaluate(fitted.model, parts, RESAMPLED).write("clicks/metrics.json")
    made = report("clicks")
    assert facts(made, "data")["interactions"] == f"{len(user):,}"
    assert [number.label for number in made.runs[0].numbers] == ["NDCG@10 on test interactions"]
    assert "where" not in {one.anchor for one in made.sections}


def test_uncertainty_is_shown_if_it_was_measured(project: Path) -> None:
    parts = read_split("split")
    fitted = fit(parts, Config(optimizer="gibbs", k=2, epochs=30, keep_samples=8))
    fitted.write("sampled")
    metrics = evaluate(fitted.model, parts, RESAMPLED)
    metrics.write("sampled/metrics.json")
    found = rows(tables(report("sampled"), "errors")["Predicted distributions"])
    assert found["interval coverage"].cells[0] == f"{metrics.measures['interval_coverage']:.4f}"
    assert "Predicted distributions" not in tables(report("gibbs"), "errors")


def test_examples_are_those_of_recommend(project: Path) -> None:
    made = report(["ranking", "gibbs"], titles="titles.csv", users=["7", 12])
    one, two, *others = (x for x in section(made, "examples").blocks if isinstance(x, Lists))
    assert (one.title, two.title) == ("User \u20687\u2069", "User \u206812\u2069")
    rated, first, second = one.lists
    assert (first.title, second.title) == ("Recommended by ranking", "Recommended by gibbs")
    model, parts = mfcli.Model.load("ranking"), read_split("split")
    expected = mfcli.recommend(model, 7, 5, exclude=parts, titles="titles.csv")
    assert [item.name for item in first.items] == expected["title"].to_pylist()
    assert [item.value for item in first.items] == [
        f"{x:.2f}" for x in expected["score"].to_pylist()
    ]
    row = parts.train.users.ids.to_pylist().index(7)
    own = sorted(parts.train.rating[parts.train.user == row].tolist(), reverse=True)
    assert [item.value for item in rated.items] == [f"{value:g}" for value in own[:5]]
    assert all(item.reason.startswith("because of \u2068Film ") for item in first.items)
    assert len(others) == 3
    assert all(x.title.startswith("Similar to \u2068Film ") for x in others)


def test_long_names_are_shortened_and_do_not_reorder_others(project: Path) -> None:
    long = ["\u202e" + "long " * 100 + str(n) for n in range(40)]
    table = pa.table({"item": list(range(40)), "title": long})
    pq.write_table(table, project / "titles.parquet")
    made = report("sgd", titles="titles.parquet", users=["7"])
    lists = [x for x in section(made, "examples").blocks if isinstance(x, Lists)]
    items = [item for one in lists for of in one.lists for item in of.items]
    assert all(item.name.startswith("long long") and len(item.name) == 160 for item in items)
    assert "\u202e" not in made.html


def test_only_the_first_models_are_drawn_and_the_report_says_so(project: Path) -> None:
    few, many = (report({str(n): "sgd" for n in range(count)}) for count in (6, 7))
    for anchor in ("where", "ranking"):
        texts = [
            [one.text for one in section(made, anchor).blocks if one.kind == "paragraph"]
            for made in (few, many)
        ]
        assert set(texts[1]) - set(texts[0]) == {"The curves are those of the first 6 of 7 models."}


def test_validation_on_test_ratings_is_noted(project: Path) -> None:
    assert not notices(report("sgd"), "training")
    write_split("other", split(mfcli.read_ratings("data.csv"), Config()))
    fit(read_split("other"), SETTINGS["sgd"]).write("tested")
    (notice,) = notices(report("tested", split="other"), "training")
    assert notice.startswith("Validation used the test ratings")


def test_a_perfect_baseline_is_beside_the_model(tmp_path: Path) -> None:
    (tmp_path / "data.csv").write_text("user,item,rating\na,x,3\nb,x,4\na,y,5\n")
    parts = split(mfcli.read_ratings(tmp_path / "data.csv"), Config())
    write_split(tmp_path / "split", parts)
    fitted = fit(parts, Config(epochs=2))
    fitted.write(tmp_path)
    evaluate(fitted.model, parts).write(tmp_path / "metrics.json")
    (number,) = report(tmp_path, split=tmp_path / "split").runs[0].numbers
    assert list(number.details) == ["no interval", "training mean: 0.0000"]


def test_users_are_chosen_by_activity() -> None:
    counts = np.array([5, 0, 1, 9, 3, 5, 2, 7, 5, 4, 6, 8])
    users = make_ratings(np.repeat(np.arange(12), counts), np.zeros(counts.sum()),
                         np.ones(counts.sum()), users=12, items=1).users  # fmt: skip
    assert chosen_users(users) == {6: "Low activity", 5: "Median activity", 11: "High activity"}
    two = make_ratings(np.array([0, 1, 1]), np.zeros(3), np.ones(3), users=2, items=1).users
    assert chosen_users(two) == {0: "User"}  # too few to compare their activity


def test_titles_are_optional(project: Path) -> None:
    made = report("gibbs")
    (one,) = missing(made, "examples")
    assert one.command == "mfcli report --titles items.csv"
    lists = next(x for x in section(made, "examples").blocks if isinstance(x, Lists))
    assert all(re.fullmatch(r"item \d+", item.name) for item in lists.lists[0].items)


def test_hostile_titles_and_names_stay_text(project: Path) -> None:
    write_hostile_titles(project / "titles.parquet")
    name = "<i>run</i> & 'x'"
    shutil.move("gibbs", name)
    plain = Texts(report({"plain": "sgd", "other": "ranking"}, titles="titles.csv").html)
    made = report({name: name, HOSTILE[1]: "ranking"}, titles="titles.parquet")
    page = Texts(made.html)
    assert page.tags.count("script") == plain.tags.count("script")
    assert page.tags.count("style") == plain.tags.count("style")
    assert not {"img", "i", "b"} & set(page.tags)
    assert "\x00" not in made.html
    assert "49{" not in made.html
    shown = "".join(page.texts)
    for one in HOSTILE:
        assert one.replace("\x00", "\ufffd") in shown
    assert shlex.quote(name) in shown


def test_the_page_needs_nothing_else(project: Path) -> None:
    made = report(["gibbs", "sgd", "ranking"], titles="titles.csv")
    page = Texts(made.html)
    assert len(made.content) < 2_000_000
    assert not {"img", "iframe", "object", "form", "base"} & set(page.tags)
    outside = [link for link in page.links if not link.startswith(("#", "data:"))]
    assert outside == []
    anchors = [link[1:] for link in page.links if link.startswith("#")]
    assert anchors == [one.anchor for one in made.sections]
    assert set(anchors) <= set(page.ids)
    assert len(page.ids) == len(set(page.ids))
    assert "default-src 'none'" in html.unescape(made.html)


def test_the_same_files_give_the_same_bytes(project: Path) -> None:
    first = report(["gibbs", "ranking"], titles="titles.csv")
    copied = project.parent / "copied"
    shutil.copytree(project, copied)
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(copied)
        again = report(["gibbs", "ranking"], titles="titles.csv")
    assert again.content == first.content
    assert str(project) not in first.html


def test_the_commands_make_the_same_again(project: Path, tmp_path: Path, run: Run) -> None:
    """In an empty folder, they give the same split, models and metrics, and so the same report."""
    run_in = Path.cwd()
    assert run_in == tmp_path  # where `run` runs commands
    place = tmp_path / "first"
    shutil.copytree(project, place)
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(place)
        first = report(["sgd", "ranking"], titles="titles.csv")
    for name in ("data.csv", "titles.csv"):
        shutil.copy(place / name, tmp_path)
    for line in commands(first):
        program, *words = shlex.split(line)
        assert program == "mfcli"
        done = run(*words, "--quiet")
        assert done.code == 0, done.err
    for name in ("split/split.json", "sgd/metrics.json", "ranking/metrics.json"):
        one, two = (json.loads((folder / name).read_text()) for folder in (place, tmp_path))
        assert one["digest"] == two["digest"], name
    assert commands(report(["sgd", "ranking"], titles="titles.csv")) == commands(first)


def test_a_split_in_memory(project: Path) -> None:
    parts = read_split("split")
    made = report("gibbs", split=parts)
    assert facts(made, "data") == facts(report("gibbs"), "data")
    with pytest.raises(UsageError, match="split must be a path, got int"):
        report("gibbs", split=3)  # type: ignore[arg-type]
    assert isinstance(parts, Split)


def test_models_and_files_stand_for_their_runs(project: Path) -> None:
    expected = report("gibbs").html
    for path in ("gibbs/model", "gibbs/metrics.json", "gibbs/history.json"):
        # Only the last command differs, which names what was given.
        found = report(path).html
        assert found.replace(f"mfcli report {path}", "mfcli report gibbs") == expected


def damaged_json(path: Path) -> None:
    path.write_text(path.read_text()[:-40])


def changed_byte(path: Path) -> None:
    data = bytearray(path.read_bytes())
    data[len(data) // 2] ^= 1
    path.write_bytes(bytes(data))


@pytest.mark.parametrize(
    ("file", "damage"),
    [
        ("gibbs/metrics.json", damaged_json),
        ("gibbs/history.json", damaged_json),
        ("gibbs/model/model.json", damaged_json),
        ("gibbs/model/model.keras", changed_byte),
        ("split/train.arrow", changed_byte),
    ],
)
def test_damage_is_an_error_of_one_line(
    project: Path, file: str, damage: Callable[[Path], None]
) -> None:
    damage(project / file)
    with pytest.raises(ArtifactError) as caught:
        report("gibbs", split="split")
    assert "\n" not in str(caught.value)
    assert Path(file).parts[0] in str(caught.value)


def test_warnings_are_in_the_report_too(project: Path) -> None:
    fit(read_split("split"), Config(k=2, epochs=2)).write("gibbs")
    with pytest.warns(MfcliWarning, match="was measured with another model"):
        made = report("gibbs")
    assert "was measured with another model" in made.html


def test_the_command_writes_a_report(
    project: Path, run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(project)
    done = run("report", "gibbs", "ranking", "--titles", "titles.csv", "--user", 7)
    assert (done.code, done.out[:20]) == (0, "report.html: 2 runs,")
    expected = report(["gibbs", "ranking"], titles="titles.csv", users=[7])
    assert Path("report.html").read_bytes() == expected.content
    done = run("report", "gibbs", "--json", "--out", "other.html")  # replaces nothing else
    result = json.loads(done.out)
    assert result["report"] == "other.html"
    assert result["bytes"] == Path("other.html").stat().st_size
    assert result["runs"][0]["name"] == "gibbs"
    assert {
        "name": "examples",
        "missing": ["Items have no titles; name a file that has them."],
    } in (result["sections"])
    monkeypatch.chdir(project / "gibbs")
    assert run("report", "--split", "../split", "--quiet").code == 0


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["nothing"], "error: nothing: does not exist; train a run with: mfcli train\n"),
        (["gibbs", "gibbs"], "error: gibbs/metrics.json is named twice; name each run once\n"),
        (["gibbs", "--user", "nobody"], "error: user 'nobody' is not among the model's 60 users"),
        (["gibbs", "--title-col", "x"], "error: --title-col is not used without --titles; omit it"),
        (["gibbs", "--titles", "none.csv"], "error: none.csv: "),
        (["gibbs", "--split", "none"], "error: none: holds no split; "),
        (["gibbs", "--out", "gibbs/metrics.json"], "error: gibbs/metrics.json: is a result of"),
        (["split"], "error: split: holds no model, history or metrics; "),
    ],
)
def test_wrong_requests(
    project: Path, run: Run, monkeypatch: pytest.MonkeyPatch, words: list[str], message: str
) -> None:
    monkeypatch.chdir(project)
    done = run("report", *words, "--quiet")
    assert done.code in (1, 2)
    assert done.out == ""
    assert done.err.startswith(message)
    assert done.err.count("\n") == 1
    assert not Path("report.html").exists()


def test_arguments_are_checked(project: Path) -> None:
    with pytest.raises(UsageError, match="runs must name at least one run"):
        report([])
    with pytest.raises(UsageError, match="runs must be a path, got int"):
        report([3])  # type: ignore[list-item]
    with pytest.raises(UnknownIdError):
        report("gibbs", users=[999])
    with pytest.raises(DataError):
        report("gibbs", titles="gibbs/history.json")


def test_curves_have_few_points_and_exact_values() -> None:
    counts: Counts = np.random.default_rng(1).zipf(1.5, 20_000).clip(0, 10**6)
    ordered = np.sort(counts)[::-1]
    ranks = rank_curve(counts)
    assert len(ranks.x) <= 80
    assert ranks.y.tolist() == ordered[ranks.x.astype(int) - 1].tolist()
    shares = share_curve(counts)
    assert (shares.x[0], shares.y[0], shares.x[-1], shares.y[-1]) == (0, 0, 1, 1)
    tenth = round(shares.x[40] * len(counts))
    assert shares.y[40] == ordered[:tenth].sum() / counts.sum()
    one = rank_curve(np.array([0, 7]))
    assert (one.x.tolist(), one.y.tolist()) == ([1.0], [7.0])


@pytest.mark.parametrize(("days", "period"), [(30, "day"), (500, "month"), (20_000, "year")])
def test_ratings_are_counted_by_period(days: int, period: str) -> None:
    rng = np.random.default_rng(days)
    times = 86_400 * rng.integers(-50, days, 3000) + rng.integers(0, 86_400, 3000)
    found = time_counts([times[:999], times[999:]], int(times.min()), int(times.max()))
    assert found
    assert found.period == period
    unit = {"day": "D", "month": "M", "year": "Y"}[period]
    periods, counts = np.unique(
        times.astype("datetime64[s]").astype(f"datetime64[{unit}]"), return_counts=True
    )
    full = found.ratings > 0
    assert found.ratings[full].tolist() == counts.tolist()
    starts = periods.astype("datetime64[s]").astype(np.int64)
    assert found.start[full].tolist() == starts.tolist()


def test_times_that_are_no_dates_are_not_drawn() -> None:
    assert time_counts([np.array([5, 6])], 5, 6) is None
    assert time_counts([np.array([0, 10**12])], 0, 10**12) is None

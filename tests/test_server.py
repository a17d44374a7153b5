"""Answers of the server: the numbers of the commands, errors, and what is refused."""

from __future__ import annotations

import asyncio
import csv
import json
import threading
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any, NamedTuple
from urllib.parse import quote

import httpx
import numpy as np
import pytest
from serving import KINDS, ODD, Client, command, trained

from mfcli.errors import ArtifactError, UsageError
from mfcli.model import Model
from mfcli.server import Application, application
from mfcli.server.recommended_to import recommended_to
from mfcli.splits import read_split

JSON = "application/problem+json"
# Titles are missing on purpose; so may be training ratings, or explanations be inaccurate.
pytestmark = pytest.mark.filterwarnings("ignore::mfcli.errors.MfcliWarning")


class Served(NamedTuple):
    """A folder with a model, and a client of its server."""

    folder: Path
    client: Client
    app: Application

    def get(self, path: str, **query: object) -> Any:
        found = self.client.get(path, params=query)
        assert found.status_code == 200, found.text
        return found.json()

    def post(self, path: str, **body: object) -> Any:
        found = self.client.post(path, json=body)
        assert found.status_code == 200, found.text
        return found.json()

    def printed(self, *args: object) -> Any:
        """Return what a command prints with `--json`."""
        return json.loads(command(self.folder, args[0], "--json", *args[1:]))


@pytest.fixture(scope="module", params=KINDS)
def served(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Served:
    folder = trained(tmp_path_factory.mktemp("served") / request.param, request.param)
    app = application(folder / "model", split=folder / "split", titles=folder / "titles.csv")
    return Served(folder, Client(app), app)


@pytest.fixture(scope="module")
def text(tmp_path_factory: pytest.TempPathFactory) -> Served:
    """A server without a split and titles; ids are odd."""
    folder = trained(tmp_path_factory.mktemp("text"), "text")
    app = application(folder / "model")
    return Served(folder, Client(app), app)


def path_of(side: str, name: object, *more: str) -> str:
    # Dots are encoded, too: clients remove the parts . and .. of a path.
    encoded = quote(str(name), safe="").replace(".", "%2E")
    return "/".join(["", f"{side}s", encoded, *more])


def some_ids(served: Served, side: str) -> list[int | str]:
    model = Model.load(served.folder / "model")
    found: list[int | str] = model.side(side).ids.to_pylist()[:16]
    return found


# The numbers of the commands


@pytest.mark.parametrize(
    ("query", "options"),
    [
        ({}, []),
        ({"n": 3, "exclude": "train"}, ["--n", 3, "--exclude", "train"]),
        ({"n": 1000, "exclude": "none"}, ["--n", 1000, "--exclude", "none"]),
        ({"explain": 3}, ["--explain"]),
        ({"min_count": 13, "max_popularity": 0.9}, ["--min-count", 13, "--max-popularity", 0.9]),
        ({"diversity": 0.4, "n": 5}, ["--diversity", 0.4, "--n", 5]),
    ],
)
def test_recommendations_are_those_of_the_command(
    served: Served, query: dict[str, Any], options: list[object]
) -> None:
    users = some_ids(served, "user")
    chosen = [word for user in users for word in (f"--user={user}",)]
    wanted = served.printed("recommend", *chosen, *options, "--titles", "titles.csv")
    found = [
        row
        for user in users
        for row in served.get(path_of("user", user, "recommendations"), **query)["recommendations"]
    ]
    assert found == wanted["recommendations"]
    assert found[0].keys() == wanted["recommendations"][0].keys()


@pytest.mark.parametrize("least", [0, 13])
def test_similar_items_are_those_of_the_command(served: Served, least: int) -> None:
    for item in some_ids(served, "item"):
        options = ["--titles", "titles.csv", "--n", 5, "--min-count", least]
        wanted = served.printed("similar", *options, "--", item)
        found = served.get(path_of("item", item, "similar"), n=5, min_count=least)
        assert found == wanted


def test_predictions_are_those_of_the_command(served: Served) -> None:
    users, items = ["nobody", *some_ids(served, "user")[:9]], [*some_ids(served, "item")[:9], "x y"]
    pairs = [{"user": user, "item": item} for user in users for item in items]
    found = served.post("/predict", pairs=pairs)["predictions"]
    for row, pair in zip(found, pairs, strict=True):
        options = [f"--user={pair['user']}", f"--item={pair['item']}"]
        if row["user"] in ("nobody", users[1]) or row["item"] == "x y":
            assert served.printed("predict", *options)["predictions"] == [row]
    chosen = [f"--user={user}" for user in users[1:]] + [f"--item={item}" for item in items[:-1]]
    known = [row for row in found if row["user"] != "nobody" and row["item"] != "x y"]
    assert served.printed("predict", *chosen)["predictions"] == known


@pytest.mark.parametrize("explain", [0, 3])
@pytest.mark.parametrize("count", [0, 1, 12])
def test_new_users_are_those_of_the_command(served: Served, count: int, explain: int) -> None:
    items = some_ids(served, "item")[:count]
    ratings = [{"item": item, "rating": 0.5 + n % 5} for n, item in enumerate(items)]
    ratings += [{"item": item, "rating": 4} for item in items[:2]]  # once more: the last one counts
    ratings += [{"item": "unknown", "rating": 1}]
    with (served.folder / "new.csv").open("w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file)
        writer.writerow(["user", "item", "rating"])
        writer.writerows(["new", one["item"], one["rating"]] for one in ratings)
    options = ["--n", 7, "--titles", "titles.csv", *(["--explain"] if explain else [])]
    wanted = served.printed("fold-in", "new.csv", *options)
    found = served.post("/recommendations", ratings=ratings, n=7, explain=explain)
    assert found["unknown_items"] == ["unknown"]
    assert [{**row, "user": "new"} for row in found["recommendations"]] == wanted["recommendations"]
    assert {row["user"] for row in found["recommendations"]} == {None}


def test_no_ratings_recommend_what_one_unknown_item_does(served: Served) -> None:
    none = served.post("/recommendations", ratings=[])
    unknown = served.post("/recommendations", ratings=[{"item": "unknown", "rating": 1}])
    assert none["recommendations"] == unknown["recommendations"] != []


# Items, users and the map


def test_items_and_users_are_those_of_the_split(served: Served) -> None:
    split, model = read_split(served.folder / "split"), Model.load(served.folder / "model")
    for side in ("item", "user"):
        rows, bias = getattr(split.train, side), model.tables[f"{side}_biases"]
        for name in some_ids(served, side)[:5]:
            row = model.side(side).ids.to_pylist().index(name)
            values = split.train.rating[rows == row]
            found = served.get(path_of(side, name))
            assert found[side] == name
            assert found["count"] == len(values) == model.side(side).counts[row]
            assert found["mean"] == pytest.approx(values.mean(dtype=np.float64), abs=1e-12)
            assert found["bias"] == float(bias[row])


def test_popularity_is_the_fraction_of_items_with_fewer_ratings(served: Served) -> None:
    counts = {one["item"]: one["count"] for one in served.get("/items", n=1000)["items"]}
    assert [*counts.values()] == sorted(counts.values(), reverse=True)
    for name in some_ids(served, "item")[:5]:
        below = sum(count < counts[name] for count in counts.values())
        ties = sum(count == counts[name] for count in counts.values())
        found = served.get(path_of("item", name))["popularity"]
        assert found == pytest.approx((below + ties / 2) / len(counts))


def test_ratings_of_a_user_are_the_latest_first(served: Served) -> None:
    split = read_split(served.folder / "split")
    user = some_ids(served, "user")[3]
    found = served.get(path_of("user", user, "ratings"), n=1000)["ratings"]
    times = [one["timestamp"] for one in found]
    assert times == sorted(times, reverse=True)
    wanted = {
        (part.items.ids[int(part.item[n])].as_py(), float(part.rating[n]), int(part.timestamp[n]))
        for part in split.parts.values()
        for n in np.flatnonzero(part.user == part.users.ids.to_pylist().index(user))
        if part.timestamp is not None
    }
    assert {(one["item"], one["rating"], one["timestamp"]) for one in found} == wanted
    assert served.get(path_of("user", user, "ratings"), n=2)["ratings"] == found[:2]


def test_the_map_is_the_plane_of_the_largest_variance(served: Served) -> None:
    found, model = served.get("/map", n=20), Model.load(served.folder / "model")
    rows = [model.items.ids.to_pylist().index(item) for item in found["items"]]
    factors = model.item_factors[rows].astype(np.float64)
    places = np.column_stack([found["x"], found["y"]])
    centered = factors - factors.mean(axis=0)
    sizes = np.linalg.svd(centered, compute_uv=False)
    np.testing.assert_allclose(np.square(places).sum(axis=0), np.square(sizes[:2]))
    np.testing.assert_allclose(found["variance"], np.square(sizes[:2]) / np.square(sizes).sum())
    np.testing.assert_allclose(places[:, 0] @ places[:, 1], 0, atol=1e-9)
    assert found == served.get("/map", n=20)
    assert len(found["titles"]) == len(found["count"]) == 20


def test_titles_and_ids_are_searched(tmp_path: Path) -> None:
    import pyarrow as pa

    from mfcli.data import Vocabulary
    from mfcli.server.id_search import ItemSearch, UserSearch

    titles = [
        "Matrix, The (1999)", "The Matrix Reloaded", "Amélie", "AMELIA  Earhart", "Dot matrix",
        "Cinematrix", "", "The Matrix\0Reloaded", "100% Wolf", "straße",
    ]  # fmt: skip
    ids = ["1", "2", "3", "4", "5", "6", "matrix", "8", "9", "10"]
    search = ItemSearch(Vocabulary(pa.array(ids), np.arange(10, dtype=np.int64)), pa.array(titles))

    def found(query: str) -> list[str]:
        return [ids[row] for row in search.found(query, 9)]

    assert found("matrix") == ["matrix", "1", "8", "5", "2", "6"]  # this id, starts, words, parts
    assert found("the matrix") == ["8", "2", "1"]
    assert found("AMELI") == found("améli") == ["4", "3"]
    assert found("amelia earhart") == ["4"]
    assert found("100%") == ["9"]
    assert found("matrix nothing") == []
    assert found("  ") == [ids[row] for row in range(9, 0, -1)]
    assert found("1")[0] == "1"
    users = UserSearch(Vocabulary(pa.array([7, 71, 17, 70]), np.array([1, 2, 9, 4])))
    assert users.found("7", 3).tolist() == [0, 3, 1]
    assert users.found("7", 2).tolist() == [0, 3]
    assert users.found("", 2).tolist() == [2, 3]
    assert users.found("8", 2).tolist() == []


# Ids


@pytest.mark.parametrize("name", ODD)
def test_any_id_can_be_in_a_path(text: Served, name: str) -> None:
    assert text.get(path_of("item", name))["item"] == name
    assert text.get(path_of("user", name))["user"] == name
    assert text.get(path_of("item", name, "similar"), n=1)["similar"]
    rows = text.get(path_of("user", name, "recommendations"))["recommendations"]
    assert {row["user"] for row in rows} == {name}


@pytest.mark.parametrize(
    ("path", "status"),
    [
        ("/items/", 404),
        ("/items//similar", 404),
        ("/items/%00", 404),
        ("/items/nothing", 404),
        ("/items/a/b", 404),
        ("/items/%ff", 400),
        ("/users/%C3%28/recommendations", 400),
        ("/health/", 404),
        ("//health", 404),
    ],
)
def test_other_ids_are_problems(text: Served, path: str, status: int) -> None:
    check_problem(text.client.get(f"http://localhost{path}"), status)


def test_numbers_find_ids_of_any_spelling(served: Served) -> None:
    if "text" in str(served.folder):
        return
    item = some_ids(served, "item")[0]
    assert served.get(f"/items/{item}") == served.get(f"/items/{item}.0")
    rows = served.post("/predict", pairs=[{"user": 1, "item": i} for i in (item, str(item))])
    assert rows["predictions"][0] == rows["predictions"][1]


# Problems


def check_problem(found: Any, status: int, *words: str) -> dict[str, Any]:
    """Check that a response is a problem whose detail has some words."""
    assert found.status_code == status, found.text
    assert found.headers["content-type"] == JSON
    problem: dict[str, Any] = found.json()
    assert problem.keys() == {"type", "title", "status", "detail", "instance"}
    assert problem["status"] == status
    for word in words:
        assert word in problem["detail"]
    return problem


def test_unknown_paths_and_methods_are_problems(text: Served) -> None:
    assert check_problem(text.client.get("/nothing/x"), 404)["instance"] == "/nothing/x"
    wrong = text.client.post("/items", json={})
    check_problem(wrong, 405, "POST")
    assert {*wrong.headers["allow"].split(", ")} == {"GET", "HEAD"}
    assert text.client.get("/predict").headers["allow"] == "POST"
    check_problem(text.client.get("/users/a%2Fb/ratings"), 404, "no split")
    check_problem(text.client.get("/users/a%2Fb/recommendations?explain=1"), 404, "no split")


@pytest.mark.parametrize(
    ("query", "word"),
    [
        ("n=0", "n: "),
        ("n=1001", "n: "),
        ("n=x", "n: "),
        ("n=1&n=2", "n: "),
        ("m=1", "m"),
        ("diversity=2", "diversity: "),
        ("max_popularity=nan", "max_popularity: "),
        ("exclude=all", "exclude: "),
        ("explain=-1", "explain: "),
        ("min_count=99999999999999999999", "min_count: "),
    ],
)
def test_wrong_parameters_are_named(text: Served, query: str, word: str) -> None:
    check_problem(text.client.get(f"/users/7/recommendations?{query}"), 422, word)


@pytest.mark.parametrize(
    ("path", "body", "status", "word"),
    [
        ("/predict", b"", 400, "JSON"),
        ("/predict", b"{", 400, "JSON"),
        ("/predict", b"\xff", 400, "JSON"),
        ("/predict", b'{"pairs": ' + b"[" * 100_000, 400, "JSON"),
        ("/predict", b"[]", 422, "object"),
        ("/predict", b"{}", 422, "the parameter 'pairs' is missing"),
        ("/predict", b'{"pairs": [{"user": 1, "item": ""}]}', 422, "pairs[0].item: "),
        ("/predict", b'{"pairs": [{"user": 1.5, "item": "x"}]}', 422, "pairs[0].user: "),
        ("/predict", b'{"pairs": [], "x": 1}', 422, "there is no parameter 'x'"),
        ("/predict", b'{"pairs": [{"a\\nb": 1}]}', 422, "pairs[0]: there is no parameter 'a\nb'"),
        ("/recommendations", b'{"ratings": [{"item": 1}]}', 422, "rating"),
        ("/recommendations", b'{"ratings": [{"item": 1, "rating": 1e99}]}', 422, "rating: "),
        ("/recommendations", b'{"ratings": [{"item": 1, "rating": NaN}]}', 400, "JSON"),
        ("/recommendations", b'{"ratings": [], "n": 5000}', 422, "n: "),
    ],
)
def test_wrong_bodies_are_problems(
    text: Served, path: str, body: bytes, status: int, word: str
) -> None:
    headers = {"content-type": "application/json; charset=utf-8"}
    check_problem(text.client.post(path, content=body, headers=headers), status, word)


def test_large_bodies_are_refused(text: Served) -> None:
    async def pieces() -> AsyncIterator[bytes]:
        """Without a declared length."""
        yield b"["
        for _ in range(20):
            yield b" " * (1 << 16)

    headers = {"content-type": "application/json"}
    for body in (b" " * ((1 << 20) + 1), pieces()):
        check_problem(text.client.post("/predict", content=body, headers=headers), 413, "1,048,576")
    fits = b'{"pairs": []' + b" " * ((1 << 20) - 13) + b"}"
    assert text.client.post("/predict", content=fits, headers=headers).status_code == 200


def test_failures_are_problems_without_details(
    text: Served, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def fail(self: object, query: str, n: int) -> None:
        raise ZeroDivisionError("a secret")

    monkeypatch.setattr("mfcli.server.id_search.ItemSearch.found", fail)
    found = text.client.get("/items?q=x")
    check_problem(found, 500)
    assert "secret" not in found.text
    assert "GET /items: ZeroDivisionError: a secret" in caplog.text


def test_models_that_cannot_estimate_new_users_say_so(text: Served, tmp_path: Path) -> None:
    from dataclasses import replace

    replace(Model.load(text.folder / "model"), losses={}).save(tmp_path / "model")
    client = Client(application(tmp_path / "model"))
    check_problem(client.post("/recommendations", json={"ratings": []}), 409, "error")


# Other sites


@pytest.mark.parametrize(
    "host", ["localhost", "LOCALHOST:80", "127.0.0.1", "[::1]:8000", "192.168.1.7:9", "localhost."]
)
def test_own_names_are_served(text: Served, host: str) -> None:
    assert text.client.get("/health", headers={"host": host}).status_code == 200


@pytest.mark.parametrize(
    "host", ["evil.example", "localhost.evil.example:80", "[", "1.2.3.4.x", ""]
)
def test_other_names_are_refused(text: Served, host: str) -> None:
    """A site whose name leads here (DNS rebinding) must not read anything."""
    for path in ("/health", "/", "/nothing"):
        check_problem(text.client.get(path, headers={"host": host}), 421)


def test_names_can_be_allowed(text: Served) -> None:
    client = Client(application(text.folder / "model", hosts=["Films.example"]))
    assert client.get("/health", headers={"host": "films.EXAMPLE:8000"}).status_code == 200
    check_problem(client.get("/health", headers={"host": "localhost"}), 421)


def test_names_are_those_of_headers(text: Served) -> None:
    client = Client(application(text.folder / "model", hosts=["bücher.example"]))
    assert client.get("/health", headers={"host": "xn--bcher-kva.example"}).status_code == 200
    for name in ("films.example:80", "http://films.example", "*", "", "a..b"):
        with pytest.raises(UsageError, match="without scheme and port"):
            application(text.folder / "model", hosts=[name])


@pytest.mark.parametrize(
    "headers",
    [
        {"origin": "http://evil.example"},
        {"origin": "null"},
        {"origin": "http://localhost:99"},
        {"sec-fetch-site": "cross-site"},
        {"sec-fetch-site": "same-site", "origin": "http://localhost"},
    ],
)
def test_other_sites_cannot_post(text: Served, headers: dict[str, str]) -> None:
    found = text.client.post("/predict", json={"pairs": []}, headers=headers)
    check_problem(found, 403)
    own = {"origin": "http://localhost", "sec-fetch-site": "same-origin"}
    assert text.client.post("/predict", json={"pairs": []}, headers=own).status_code == 200


@pytest.mark.parametrize(
    "kind", ["", "text/plain", "application/x-www-form-urlencoded", "application/jsonp"]
)
def test_forms_are_refused(text: Served, kind: str) -> None:
    """Pages of other sites can send them without asking."""
    found = text.client.post("/predict", content=b'{"pairs": []}', headers={"content-type": kind})
    check_problem(found, 415)


def test_no_site_may_read_answers(text: Served) -> None:
    found = text.client.get("/health", headers={"origin": "http://evil.example"})
    assert not [name for name in found.headers if name.startswith("access-control")]
    check_problem(
        text.client.request("OPTIONS", "/predict", headers={"origin": "http://evil.example"}), 405
    )


def test_all_responses_have_headers_of_caution(text: Served) -> None:
    paths = ["/", "/page/base.css", "/health", "/items", "/items/nothing", "/nothing"]
    for path in paths:
        headers = text.client.get(path).headers
        assert headers["x-content-type-options"] == "nosniff"
        assert headers["referrer-policy"] == "no-referrer"
        assert "default-src 'none'" in headers["content-security-policy"]
        assert "frame-ancestors 'none'" in headers["content-security-policy"]
        assert "server" not in headers
    policy = text.client.get("/").headers["content-security-policy"]
    assert "script-src 'self'" in policy
    assert "unsafe" not in policy


@pytest.mark.parametrize(
    "name",
    [
        "../application.py",
        "..%2Fapplication.py",
        "%2e%2e/application.py",
        "%2e%2e%2fapplication.py",
        "..%5Capplication.py",
        "%2Fetc%2Fpasswd",
        "/etc/passwd",
        "index.html%00.css",
        "base.css/",
        ".",
        "",
    ],
)
def test_only_files_of_the_page_are_sent(text: Served, name: str) -> None:
    found = text.client.get(f"http://localhost/page/{name}")
    check_problem(found, 404)


def test_slow_answers_do_not_delay_others(text: Served, monkeypatch: pytest.MonkeyPatch) -> None:
    begun, go_on = threading.Event(), threading.Event()

    def wait(*given: Any) -> Any:
        begun.set()
        assert go_on.wait(30)
        return recommended_to(*given)

    monkeypatch.setattr("mfcli.server.user_answers.recommended_to", wait)

    async def statuses() -> set[int]:
        transport = httpx.ASGITransport(text.app)
        async with httpx.AsyncClient(transport=transport, base_url="http://localhost") as client:
            path = "/users/7/recommendations?n=1000&diversity=0.5"
            slow = [asyncio.create_task(client.get(path)) for _ in range(4)]
            while not begun.is_set():
                await asyncio.sleep(0.01)
            try:
                search = await asyncio.wait_for(client.get("/items?q=a"), 20)
            finally:
                go_on.set()
            return {found.status_code for found in [search, *await asyncio.gather(*slow)]}

    assert asyncio.run(statuses()) == {200}


# Caches


def test_answers_are_kept_until_the_model_changes(text: Served) -> None:
    first = text.client.get("/items?n=1")
    tag = first.headers["etag"]
    assert first.headers["cache-control"] == "no-cache"
    again = text.client.get("/items?n=1", headers={"if-none-match": f'"x", {tag}'})
    assert (again.status_code, again.content) == (304, b"")
    assert text.client.get("/items?n=1", headers={"if-none-match": '"x"'}).status_code == 200
    other = Client(application(text.folder / "model", titles=text.folder / "titles.csv"))
    assert other.get("/items?n=1").headers["etag"] != tag
    for found in (text.client.get("/health"), text.client.post("/predict", json={"pairs": []})):
        assert found.headers["cache-control"] == "no-store"


def test_files_of_the_page_are_kept_until_they_change(text: Served) -> None:
    tag = text.client.get("/page/base.css").headers["etag"]
    again = text.client.get("/page/base.css", headers={"if-none-match": tag})
    assert again.status_code == 304


def test_large_answers_are_compressed(text: Served) -> None:
    plain = {"accept-encoding": "identity"}
    for path in ("/openapi.json", "/items?n=1"):
        found, same = text.client.get(path), text.client.get(path, headers=plain)
        assert found.json() == same.json()
        is_large = len(found.content) > 4096
        assert (found.headers.get("content-encoding") == "gzip") == is_large
        assert "content-encoding" not in same.headers


def test_head_has_the_headers_of_get(text: Served) -> None:
    for path in ("/", "/health", "/items/7"):
        assert text.client.request("HEAD", path).status_code == 200
    assert text.client.request("HEAD", "/items/nothing").status_code == 404


# The model


def test_the_model_is_described(served: Served) -> None:
    model, found = Model.load(served.folder / "model"), served.get("/model")
    assert (found["users"], found["items"]) == (len(model.users), len(model.items))
    assert found["config"] == json.loads(json.dumps(model.config.used("training")))
    assert found["predicts"] == model.predicts
    assert found["feedback"] == model.feedback
    assert found["samples"] == (len(model.samples) if model.samples else 0)
    assert (found["split"], found["titles"]) == (True, True)
    assert served.get("/health")["model"] == found["digest"]
    assert served.get("/health")["status"] == "ok"


def test_splits_of_other_models_are_refused(text: Served, tmp_path: Path) -> None:
    other = trained(tmp_path / "other", "sgd")
    with pytest.raises(ArtifactError, match="was trained on split"):
        application(text.folder / "model", split=other / "split")
    with pytest.raises(ArtifactError, match="holds no model"):
        application(tmp_path / "nothing")


def test_a_new_model_takes_the_place_of_the_old_one(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """A damaged one does not; requests that have begun end with the earlier one."""
    import gc
    import weakref

    folder = trained(tmp_path / "run", "sgd")
    app = application(folder / "model", split=folder / "split")
    client = Client(app)
    before, old = client.get("/model").json(), weakref.ref(app.loader.served.result())
    record = (folder / "model" / "model.json").read_bytes()
    (folder / "model" / "model.json").write_bytes(record[:-20])
    reload_now(app)
    assert "the earlier model is served on" in caplog.text
    assert client.get("/model").json() == before
    command(folder, "train", "--quiet", "--epochs", 1, "--k", 5)
    reload_now(app)
    after = client.get("/model").json()
    assert (before["k"], after["k"]) == (4, 5)
    assert after["digest"] != before["digest"]
    assert client.get("/health").json()["model"] == after["digest"]
    gc.collect()
    assert old() is None  # its memory is free


def reload_now(app: Application) -> None:
    """Reload, and wait until it has happened."""
    app.reload()
    app.loader.join()

"""Fetch MovieLens from a local server that fails in many ways."""

from __future__ import annotations

import hashlib
import io
import json
import os
import random
import shutil
import socket
import threading
import time
import zipfile
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import msgspec
import pytest
from conftest import Run

from mfcli.errors import ArtifactError, DataError, MfcliError, UsageError
from mfcli.fetch import NAMES, Fetched, archives, connections, download, fetch_movielens, movielens
from mfcli.storage import read_record, write_record

RATINGS = random.Random(7).randbytes(60_000)
FILES = {
    "ml-1m/README": b"terms",
    "ml-1m/ratings.dat": RATINGS,
    "ml-1m/movies.dat": b"1::Heat::",
    "ml-1m/more/a.txt": b"a",
}
ZIP = "/ml-1m.zip"
PART = "ml-1m.zip.part"
PAUSES = download.PAUSES

Answer = Callable[["Handler", bytes], None]


def packed(files: dict[str, bytes]) -> bytes:
    whole = io.BytesIO()
    with zipfile.ZipFile(whole, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, data in files.items():
            archive.writestr(name, data)
    return whole.getvalue()


class Handler(BaseHTTPRequestHandler):
    """Serve the pages of a site, with ranges, unless a special answer is due."""

    server: Site

    def do_GET(self) -> None:
        site, wanted = self.server, self.headers.get("Range")
        site.requests.append((self.path, wanted))
        page, due = site.pages.get(self.path), site.due.get(self.path)
        start = int(wanted.removeprefix("bytes=").removesuffix("-")) if wanted else 0
        if due:
            due.pop(0)(self, page or b"")
        elif page is None or start > max(0, len(page) - 1):
            self.reply(404 if page is None else 416, b"")
        else:
            self.reply(206 if start else 200, page[start:])

    def reply(self, code: int, body: bytes, length: int | None = None, to: str = "") -> None:
        self.send_response(code)
        self.send_header("Content-Length", str(len(body) if length is None else length))
        if to:
            self.send_header("Location", to)
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, format: str, *args: Any) -> None:
        pass


class Site(ThreadingHTTPServer):
    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        super().__init__(("127.0.0.1", 0), Handler)
        self.pages: dict[str, bytes] = {}
        self.due: dict[str, list[Answer]] = {}
        self.requests: list[tuple[str, str | None]] = []
        self.monkeypatch = monkeypatch

    @property
    def base(self) -> str:
        return f"http://127.0.0.1:{self.server_port}"

    def put(self, data: bytes, name: str = "ml-1m") -> bytes:
        """Serve an archive; its digest becomes the expected one."""
        self.pages[f"/{name}.zip"] = data
        if name in archives.SHA256:
            digest = hashlib.sha256(data).hexdigest()
            self.monkeypatch.setitem(archives.SHA256, name, digest)
        else:
            md5 = hashlib.md5(data).hexdigest()
            self.pages[f"/{name}.zip.md5"] = f"MD5 ({name}.zip) = {md5}\n".encode()
        return data

    def ranges(self) -> list[str | None]:
        """Return the ranges of the archive that were requested."""
        return [wanted for path, wanted in self.requests if path.endswith(".zip")]

    def handle_error(self, request: Any, client_address: Any) -> None:
        pass


@pytest.fixture(autouse=True)
def short_pauses(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(download, "PAUSES", (0.0, 0.0))


@pytest.fixture
def site(monkeypatch: pytest.MonkeyPatch) -> Iterator[Site]:
    with Site(monkeypatch) as site:
        thread = threading.Thread(target=site.serve_forever, args=(0.005,))
        thread.start()
        site.put(packed(FILES))
        yield site
        site.shutdown()
        thread.join()


# Answers that are not the page


def status(code: int) -> Answer:
    return lambda handler, page: handler.reply(code, b"no")


def broken_after(count: int) -> Answer:
    """Promise the whole page and close the connection early."""
    return lambda handler, page: handler.reply(200, page[:count], length=len(page))


def whole(handler: Handler, page: bytes) -> None:
    """Ignore the range."""
    handler.reply(200, page)


def reset(handler: Handler, page: bytes) -> None:
    handler.connection.shutdown(socket.SHUT_RDWR)


def garbage(handler: Handler, page: bytes) -> None:
    handler.wfile.write(b"no HTTP\r\n")


def redirect(address: str) -> Answer:
    return lambda handler, page: handler.reply(302, b"", to=address)


def interim(handler: Handler, page: bytes) -> None:
    """Send "100 Continue" until the client closes the connection."""
    while True:
        handler.wfile.write(b"HTTP/1.1 100 Continue\r\n\r\n")


def trickling(head: bytes, pause: float) -> Answer:
    """Send one byte after another, which never let the socket time out."""

    def answer(handler: Handler, page: bytes) -> None:
        handler.wfile.write(head)
        while True:
            handler.wfile.write(b"x")
            time.sleep(pause)

    return answer


def endless(code: int, to: str = "") -> Answer:
    """Send a body that does not end."""

    def answer(handler: Handler, page: bytes) -> None:
        handler.send_response(code)
        if to:
            handler.send_header("Location", to)
        handler.end_headers()
        while True:
            handler.wfile.write(bytes(50_000))

    return answer


def without_length(handler: Handler, page: bytes) -> None:
    handler.send_response(200)
    handler.end_headers()
    handler.wfile.write(page)


# What a fetch leaves behind


def fetch(site: Site, folder: Path, name: str = "ml-1m", **options: Any) -> Fetched:
    return fetch_movielens(name, folder, base=site.base, **options)


def listing(folder: Path) -> set[str]:
    return {str(p.relative_to(folder)) for p in folder.rglob("*") if not p.is_dir()}


def check_whole(folder: Path) -> None:
    assert listing(folder) == {f"ml-1m/{movielens.RECORD}", *FILES}
    assert all((folder / name).read_bytes() == data for name, data in FILES.items())


def refused(site: Site, folder: Path, error: type[MfcliError], words: str, **options: Any) -> None:
    """Check that a fetch fails in one line, and leaves no folder and nothing half-unpacked."""
    with pytest.raises(error, match=words) as caught:
        fetch(site, folder, **options)
    assert "\n" not in str(caught.value)
    assert listing(folder) <= {PART, "ml-1m.zip"}
    assert not any(path.is_dir() for path in folder.iterdir())


# Success


def test_only_the_complete_folder_remains(site: Site, tmp_path: Path) -> None:
    fetched = fetch(site, tmp_path / "new" / "data")
    folder = tmp_path / "new" / "data" / "ml-1m"
    check_whole(folder.parent)
    terms = f"{folder}/README and https://grouplens.org/datasets/movielens/"
    size = len(site.pages[ZIP])
    ratings, titles = folder / "ratings.dat", folder / "movies.dat"
    assert fetched == Fetched(folder, ratings, titles, terms, archives.CITATION, size)
    assert fetched.as_dict()["ratings"] == str(ratings)
    assert fetched.as_dict()["titles"] == str(titles)
    assert "10.1145/2827872" in fetched.citation
    assert folder.stat().st_mode & 0o055, "as readable as any folder made here"
    assert site.requests == [(ZIP, None)]


@pytest.mark.parametrize(("name", "member"), archives.RATINGS.items())
def test_every_archive_has_its_ratings_file(
    site: Site, tmp_path: Path, name: str, member: str
) -> None:
    site.put(packed({member.partition("/")[0] + "/README.txt": b"", member: b"1,2,3\n"}), name)
    fetched = fetch(site, tmp_path, name)
    assert fetched.ratings == tmp_path / member
    assert fetched.ratings.read_bytes() == b"1,2,3\n"
    assert fetched.terms.startswith(f"{fetched.folder}/README")
    assert fetched.titles is None
    assert name in archives.TITLES


def test_progress_counts_the_bytes_received_and_then_unpacked(
    site: Site, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for module in (download, movielens):
        monkeypatch.setattr(module, "CHUNK", 5_000)
    calls: list[tuple[int, int]] = []
    fetch(site, tmp_path, on_progress=lambda *call: calls.append(call))
    for total in (len(site.pages[ZIP]), sum(map(len, FILES.values()))):
        done = [d for d, t in calls if t == total]
        assert len(done) > 10
        assert done == sorted(set(done))
        assert done[-1] == total
    assert calls == sorted(calls, key=lambda call: call[1] != len(site.pages[ZIP]))
    unpacked: list[int] = []
    fetch(
        site,
        tmp_path / "other",
        on_progress=lambda done, total: calls.append((done, total)),
        on_unpacking=lambda done, total: unpacked.append(total),
    )
    assert set(unpacked) == {sum(map(len, FILES.values()))}
    assert calls[-1][1] == len(site.pages[ZIP])


# A folder or an archive that is already there


def test_a_complete_folder_is_kept_without_a_request(site: Site, tmp_path: Path) -> None:
    first = fetch(site, tmp_path)
    (tmp_path / "ml-1m" / "notes.txt").write_text("mine")
    site.requests.clear()
    assert fetch(site, tmp_path) == first
    assert site.requests == []
    assert (tmp_path / "ml-1m" / "notes.txt").read_text() == "mine"


def of_another_name(folder: Path) -> None:
    record = read_record(folder / movielens.RECORD, movielens.FetchRecord)
    write_record(folder / movielens.RECORD, msgspec.structs.replace(record, name="ml-20m"))


@pytest.mark.parametrize(
    "change",
    [
        lambda folder: (folder / "ratings.dat").write_bytes(RATINGS[:-1]),
        lambda folder: (folder / "more" / "a.txt").unlink(),
        lambda folder: (folder / movielens.RECORD).unlink(),
        lambda folder: (folder / movielens.RECORD).write_text("{}"),
        of_another_name,
    ],
)
def test_an_incomplete_folder_is_refused_and_left(
    site: Site, tmp_path: Path, change: Callable[[Path], object]
) -> None:
    fetch(site, tmp_path)
    change(tmp_path / "ml-1m")
    before = listing(tmp_path)
    site.requests.clear()
    with pytest.raises(ArtifactError, match=r"is not a complete ml-1m.*move it away"):
        fetch(site, tmp_path)
    assert listing(tmp_path) == before
    assert site.requests == []


def test_a_file_or_a_dangling_link_is_refused_and_an_empty_folder_is_filled(
    site: Site, tmp_path: Path
) -> None:
    target = tmp_path / "ml-1m"
    for make in (lambda: target.write_text("mine"), lambda: target.symlink_to("nowhere")):
        make()
        with pytest.raises(ArtifactError, match="already exists"):
            fetch(site, tmp_path)
        target.unlink()  # it is still there
    target.mkdir()
    fetch(site, tmp_path)
    check_whole(tmp_path)


SIZE = len(packed(FILES))


CASES: list[tuple[str, Callable[[bytes], bytes], list[Answer], list[str | None]]] = [
    ("ml-1m.zip", lambda data: data, [], []),
    ("ml-1m.zip", lambda data: data[:-1], [], [None]),
    (PART, lambda data: data, [], []),
    (PART, lambda data: data[:20_000], [], ["bytes=20000-"]),
    (PART, lambda data: data[:20_000], [whole], ["bytes=20000-"]),
    (PART, lambda data: bytes(SIZE), [], [f"bytes={SIZE}-", None]),
    (PART, lambda data: bytes(SIZE + 4), [], [f"bytes={SIZE + 4}-", None]),
    ("none", bytes, [broken_after(30_000)], [None, "bytes=30000-"]),
    ("none", bytes, [without_length], [None]),
]


@pytest.mark.parametrize("case", CASES)
def test_only_missing_bytes_are_requested(site: Site, tmp_path: Path, case: Any) -> None:
    name, there, answers, requested = case
    (tmp_path / name).write_bytes(there(site.pages[ZIP]))
    site.due[ZIP] = list(answers)
    calls: list[tuple[int, int]] = []
    fetch(site, tmp_path, on_progress=lambda *call: calls.append(call))
    assert site.ranges() == requested
    if requested == ["bytes=20000-"] and not answers:
        assert calls[0][0] > 20_000
    (tmp_path / "none").unlink(missing_ok=True)
    check_whole(tmp_path)


# Connections


@pytest.mark.parametrize("fault", [status(500), status(503), reset, garbage])
@pytest.mark.parametrize("path", [ZIP, "/ml-latest-small.zip.md5"])
def test_temporary_failures_are_tried_again(
    site: Site, tmp_path: Path, fault: Answer, path: str
) -> None:
    name = path[1:].partition(".")[0]
    files = {f"{name}/ratings.csv": b"x", f"{name}/ratings.dat": b"x"}
    site.put(packed(files), name)
    site.due[path] = [fault, fault]
    fetch(site, tmp_path, name)
    assert [asked for asked, _ in site.requests].count(path) == 3
    assert files.keys() < listing(tmp_path)


def test_attempts_are_limited_their_pauses_grow_and_a_part_stays(
    site: Site, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(download, "PAUSES", PAUSES)
    slept: list[float] = []
    monkeypatch.setattr(time, "sleep", slept.append)
    site.due[ZIP] = [broken_after(500)] * 9  # later answers ignore the range
    refused(site, tmp_path, DataError, f"ended after 500 of {SIZE:,} bytes; try again later")
    assert len(site.ranges()) == 4
    assert (tmp_path / PART).read_bytes() == site.pages[ZIP][:500]
    assert slept == list(PAUSES) == sorted(set(slept))


def test_a_silent_server_times_out(
    site: Site, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fall_silent(handler: Handler, page: bytes) -> None:
        handler.reply(200, page[:500], length=len(page))
        handler.wfile.flush()
        outwaited.append(not ended.wait(5))

    ended, outwaited = threading.Event(), list[bool]()
    monkeypatch.setattr(connections, "TIMEOUT", 0.1)
    site.due[ZIP] = [fall_silent]
    fetch(site, tmp_path)
    assert not outwaited
    ended.set()
    assert site.ranges() == [None, "bytes=500-"]
    check_whole(tmp_path)


@pytest.mark.parametrize("unpacking", [False, True])
def test_an_interrupted_fetch_leaves_its_part_and_no_folder(
    site: Site, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, unpacking: bool
) -> None:
    def interrupt(done: int, total: int) -> None:
        if not unpacking or total == sum(map(len, FILES.values())):
            raise KeyboardInterrupt

    monkeypatch.setattr(download, "CHUNK", 1_000)
    with pytest.raises(KeyboardInterrupt):
        fetch(site, tmp_path, on_progress=interrupt)
    assert listing(tmp_path) == {PART}
    size = (tmp_path / PART).stat().st_size
    assert 0 < size <= (SIZE if unpacking else 1_000)
    fetch(site, tmp_path)
    assert site.ranges() == ([None] if unpacking else [None, f"bytes={size}-"])
    check_whole(tmp_path)


def test_no_server_and_no_such_host(tmp_path: Path) -> None:
    with socket.socket() as unused:
        unused.bind(("127.0.0.1", 0))
        base = f"http://127.0.0.1:{unused.getsockname()[1]}/sets"
        with pytest.raises(DataError, match=f"{base}.*refused.*base='URL', or download.*by hand"):
            fetch_movielens("ml-1m", tmp_path, base=base)
    with pytest.raises(DataError, match="cannot be downloaded"):
        fetch_movielens("ml-1m", tmp_path, base=f"http://{'a' * 70}/")


def test_a_missing_page_is_requested_once(site: Site, tmp_path: Path) -> None:
    del site.pages[ZIP]
    refused(site, tmp_path, DataError, r"/ml-1m\.zip: .*HTTP status 404; use base='URL'")
    assert site.ranges() == [None]


# Redirects


def test_redirects_are_followed_to_a_limit(site: Site, tmp_path: Path) -> None:
    site.pages["/mirror.zip"] = site.pages[ZIP]
    site.due[ZIP] = [redirect("/mirror.zip")]
    (tmp_path / PART).write_bytes(site.pages[ZIP][:9])
    fetch(site, tmp_path / "elsewhere" / "..")
    assert ("/mirror.zip", "bytes=9-") in site.requests
    check_whole(tmp_path)
    (tmp_path / "new").mkdir()
    for to in ("/ml-1m.zip", "file:///etc/passwd"):
        site.due[ZIP] = [redirect(to)] * 20
        refused(site, tmp_path / "new", DataError, "HTTP status 302 .a redirect was not followed")


@pytest.mark.parametrize(
    "to", ["http://[::1/x", "http://a:b/x", "http://[x]/", "http://\u2100/", "http://a b/", "//["]
)
def test_malformed_redirects_are_errors_at_once(site: Site, tmp_path: Path, to: str) -> None:
    site.due[ZIP] = [redirect(to.encode().decode("latin-1"))] * 9
    refused(site, tmp_path, DataError, r"/ml-1m\.zip: cannot be downloaded: .*base='URL'")


def test_the_body_of_a_redirect_is_not_read(site: Site, tmp_path: Path) -> None:
    site.pages["/mirror.zip"] = site.pages[ZIP]
    site.due[ZIP] = [endless(302, "/mirror.zip")]
    fetch(site, tmp_path)
    check_whole(tmp_path)


# Servers that do not end


def test_endless_interim_responses_are_an_error_at_once(site: Site, tmp_path: Path) -> None:
    site.due[ZIP] = [interim] * 9
    refused(site, tmp_path, DataError, "response header; use base='URL'")
    assert site.ranges() == [None]


@pytest.mark.parametrize("sent", [b"OK\r\nA: ", b"OK\r\n\r\n"], ids=["headers", "body"])
def test_responses_have_a_lowest_rate(
    site: Site, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, sent: bytes
) -> None:
    monkeypatch.setattr(connections, "TIMEOUT", 0.2)
    site.due[ZIP] = [trickling(b"HTTP/1.1 200 " + sent, 0.02)] * 9
    refused(site, tmp_path, DataError, "(the server is too slow|timed out); try again later")
    assert len(site.ranges()) == 3


def test_bodies_have_a_limit(site: Site, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(movielens, "LARGEST", 200_000)
    for answer in (endless(200), lambda handler, page: handler.reply(200, b"", 200_001)):
        site.due[ZIP] = [answer] * 9
        refused(site, tmp_path, DataError, "it has more than 200,000 bytes")
        assert listing(tmp_path) == set()
    site.put(b"x", "ml-latest-small")
    site.due["/ml-latest-small.zip.md5"] = [endless(200)]
    refused(site, tmp_path, DataError, "it has more than 65,536 bytes", name="ml-latest-small")


# Links


@pytest.mark.parametrize("make", ["symlink_to", "hardlink_to"])
def test_a_part_that_is_a_link_is_refused(site: Site, tmp_path: Path, make: str) -> None:
    precious = tmp_path / "precious"
    precious.write_text("mine")
    folder = made(tmp_path)
    getattr(folder / PART, make)(precious)
    words = r"zip\.part: must be a regular file without other links; remove it, or use another out"
    with pytest.raises(ArtifactError, match=words):
        fetch(site, folder)
    assert precious.read_text() == "mine"
    (folder / PART).unlink()
    fetch(site, folder)


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="needs named pipes")
def test_a_part_that_is_a_named_pipe_is_refused(site: Site, tmp_path: Path) -> None:
    os.mkfifo(tmp_path / PART)
    with pytest.raises(ArtifactError, match="must be a regular file"):
        fetch(site, tmp_path)


@pytest.mark.skipif(not hasattr(os, "O_NOFOLLOW"), reason="needs O_NOFOLLOW")
def test_a_link_that_appears_during_the_download_is_not_followed(
    site: Site, tmp_path: Path
) -> None:
    def plant(handler: Handler, page: bytes) -> None:
        (tmp_path / PART).symlink_to(tmp_path / "precious")
        handler.reply(200, page)

    site.due[ZIP] = [plant]
    with pytest.raises(ArtifactError, match=r"zip\.part: cannot be read or written"):
        fetch(site, tmp_path)
    assert not (tmp_path / "precious").exists()


# Digests


def test_a_wrong_digest_removes_the_part(site: Site, tmp_path: Path) -> None:
    site.pages[ZIP] = b"changed"
    words = r"/ml-1m\.zip: must have the SHA256 [0-9a-f]{64}, got .*try again"
    refused(site, tmp_path, DataError, words)
    assert listing(tmp_path) == set()


def test_the_pinned_digests() -> None:
    assert set(NAMES) - set(archives.SHA256) == {"ml-latest-small"}
    assert all(len(bytes.fromhex(digest)) == 32 for digest in archives.SHA256.values())


@pytest.mark.parametrize("form", ["MD5 (a.zip) = {}\n", "{}  a.zip\n", "{}", "{}\r\n"])
def test_a_published_md5_in_every_form(site: Site, tmp_path: Path, form: str) -> None:
    name, page = "ml-latest-small", "/ml-latest-small.zip.md5"
    digest = hashlib.md5(site.put(packed({f"{name}/ratings.csv": b"x"}), name)).hexdigest()
    for number, text in enumerate((digest, digest.upper())):
        site.pages[page] = form.format(text).encode()
        fetched = fetch(site, tmp_path / str(number), name)
        assert fetched.ratings.read_bytes() == b"x"
    site.pages[page] = form.format("0" * 32).encode()
    refused(site, made(tmp_path), DataError, "must have the MD5 0{32}, got", name=name)
    site.pages[page], site.requests = b"<html>" + b"0" * 64, []
    refused(site, tmp_path / "new", DataError, r"md5: must hold an MD5, got '<html>0", name=name)
    assert site.ranges() == []


def made(folder: Path) -> Path:
    (folder / "new").mkdir()
    return folder / "new"


# Damaged and malicious archives


SAFE = {"ml-1m/ratings.dat": RATINGS}
RULE = "must be a valid and safe zip archive"
PLAIN = r"it must hold ml-1m/ratings\.dat, plain paths and at most"
BAD = {
    "parent": (packed({**SAFE, "ml-1m/../../evil": b"x"}), PLAIN),
    "absolute": (packed({**SAFE, "ml-1m//tmp/evil": b"x"}), PLAIN),
    "backslash": (packed({**SAFE, "ml-1m/..\\evil": b"x"}), PLAIN),
    "drive": (packed({**SAFE, "ml-1m/C:evil": b"x"}), PLAIN),
    "escape": (packed({**SAFE, "ml-1m/\x1b[2J": b"x"}), PLAIN),
    "no ratings": (packed({"ml-1m/README": b"x"}), PLAIN),
    "encrypted": (packed(SAFE).replace(b"\x14\0\0\0\x08", b"\x14\0\1\0\x08"), "is encrypted"),
    "file and folder": (packed({**SAFE, "ml-1m/a": b"x", "ml-1m/a/b": b"y"}), "each name once"),
    "folder entry": (packed({**SAFE, "ml-1m/a": b"x", "ml-1m/a/": b""}), "each name once"),
    "ratings as folder": (packed({**SAFE, "ml-1m/ratings.dat/": b""}), "each name once"),
    "case": (packed({**SAFE, "ml-1m/README": b"x", "ml-1m/readme": b"y"}), "each name once"),
    "no zip": (b"<html>Sorry</html>", "is not a zip file"),
    "nothing": (b"", "is not a zip file"),
    "half": (packed(FILES)[:30_000], "is not a zip file"),
    "damaged": (packed(FILES).replace(RATINGS[5_000:5_100], bytes(100)), "CRC"),
}


@pytest.mark.parametrize("kind", BAD)
def test_bad_archives_are_refused_and_removed(site: Site, tmp_path: Path, kind: str) -> None:
    data, words = BAD[kind]
    site.put(data)
    refused(site, made(tmp_path), DataError, f"{RULE}: .*{words}")
    assert listing(tmp_path) == set()


def test_the_unpacked_size_is_limited(
    site: Site, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    site.put(packed({**FILES, "ml-1m/zeros": bytes(100_000)}))
    monkeypatch.setattr(movielens, "LARGEST", 100_000)
    refused(site, tmp_path, DataError, "at most 100,000 bytes")


def test_a_bad_archive_of_the_user_is_left(site: Site, tmp_path: Path) -> None:
    (tmp_path / "ml-1m.zip").write_bytes(site.put(b"no zip"))
    refused(site, tmp_path, DataError, "is not a zip file")
    assert listing(tmp_path) == {"ml-1m.zip"}


def test_what_is_outside_the_folder_is_not_unpacked(site: Site, tmp_path: Path) -> None:
    others = ("__MACOSX/._ml-1m", "../evil", "/tmp/evil", "evil", "ml-1m")
    site.put(packed({**FILES, **dict.fromkeys(others, b"x")}))
    fetch(site, tmp_path)
    check_whole(tmp_path)


# The disk


def test_failures_of_the_disk(site: Site, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(ArtifactError, match=r"ml-1m: cannot be written: .*another place"):
        fetch(site, tmp_path / "file" / "data")
    assert site.requests == [], "found before the download"
    data = site.put(packed({**FILES, "ml-1m/" + "a" * 300: b"x"}))
    refused(site, made(tmp_path), ArtifactError, "ml-1m: cannot be written: File name too long")
    assert (tmp_path / "new" / PART).read_bytes() == data, "can be unpacked elsewhere"


def test_a_full_disk(site: Site, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    if not Path("/dev/full").exists():
        pytest.skip("needs /dev/full")

    def full(part: Path, append: bool) -> io.FileIO:
        part.touch()
        return io.FileIO(os.open("/dev/full", os.O_WRONLY), "wb")

    monkeypatch.setattr(download, "_open", full)
    with pytest.raises(ArtifactError, match=r"zip\.part: .*No space left.*another out"):
        fetch(site, tmp_path)


# Names and addresses


def test_unknown_names(tmp_path: Path) -> None:
    words = r"one of ml-latest-small, ml-100k, .*, got 'ml-1M'; did you mean ml-1m\?"
    with pytest.raises(UsageError, match=words):
        fetch_movielens("ml-1M", tmp_path)
    with pytest.raises(UsageError, match=r"got '\.\./evil'$"):
        fetch_movielens("../evil", tmp_path)


def test_invalid_addresses(tmp_path: Path) -> None:
    words = "a.org ftp://a/ file:///etc/ http:// http://[ http://a:x/ http://a/?q= http://a/#b"
    for base in (*words.split(), "http://b\u00fccher/", "http://a b/", "http://a/\n", ""):
        with pytest.raises(UsageError, match="base must be an http or https address"):
            fetch_movielens("ml-1m", tmp_path, base=base)


def test_an_address_with_or_without_a_slash(site: Site, tmp_path: Path) -> None:
    site.pages = {f"/sets{path}": page for path, page in site.pages.items()}
    for slash in ("", "/"):
        fetch_movielens("ml-1m", tmp_path / f"a{slash}", base=f"{site.base}/sets{slash}")
        check_whole(tmp_path / "a")
        shutil.rmtree(tmp_path / "a")


# The command


def test_the_command_prints_the_next_command(site: Site, run: Run) -> None:
    done = run("fetch", "ml-1m", "--base", site.base, "--out", "my data")
    assert done.code == 0
    assert done.out.startswith("my data/ml-1m/ratings.dat: the ratings (")
    assert "my data/ml-1m/movies.dat: the titles, for --titles\n" in done.out
    for words in ("my data/ml-1m/README", archives.CITATION):
        assert words in done.out
    assert done.out.endswith("Next: mfcli split 'my data/ml-1m/ratings.dat'\n")
    again = run("fetch", "ml-1m", "--base", site.base, "--out", "my data", "--json")
    assert json.loads(again.out)["ratings"] == "my data/ml-1m/ratings.dat"
    refused = run("fetch", "ml-2m", "--base", site.base)
    assert refused.code == 2
    assert refused.err.startswith("error: the name must be one of ml-latest-small")

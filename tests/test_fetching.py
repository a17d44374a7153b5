"""Fetching MovieLens: from a server that misbehaves in every way, on this machine."""

from __future__ import annotations

import hashlib
import io
import json
import random
import socket
import stat
import threading
import time
import zipfile
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest
from conftest import Outcome

from mfcli.errors import ArtifactError, DataError, MfcliError, UsageError
from mfcli.fetch import NAMES, Fetched, movielens as fetching
from mfcli.fetch.movielens import CITATION, ELSEWHERE, RECORD, read_terms

README = (
    "SUMMARY\n=======\n\nMade up.\n\nUSAGE LICENSE\n=====\n\nResearch only.\n\n"
    "     * No endorsement.\n\nCITATION\n========\n\nCite.\n"
)
RATINGS = random.Random(7).randbytes(60_000)
FILES = {"ml-1m/README": README.encode(), "ml-1m/ratings.dat": RATINGS, "ml-1m/more/a.txt": b"a"}
ZIP = "/ml-1m.zip"

Answer = Callable[["Handler", bytes], None]


def packed(files: dict[str, bytes], **attributes: Any) -> bytes:
    """Make an archive; attributes go to the last member."""
    whole = io.BytesIO()
    with zipfile.ZipFile(whole, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, data in files.items():
            member = zipfile.ZipInfo(name)
            member.compress_type = zipfile.ZIP_DEFLATED
            if name == list(files)[-1]:
                for key, value in attributes.items():
                    setattr(member, key, value)
            archive.writestr(member, data)
    return whole.getvalue()


class Handler(BaseHTTPRequestHandler):
    """Serve the site's pages with ranges, unless a special answer is due."""

    server: Site

    def do_GET(self) -> None:
        site, wanted = self.server, self.headers.get("Range")
        site.requests.append((self.path, wanted))
        page = site.pages.get(self.path)
        due = site.due.get(self.path)
        if due:
            due.pop(0)(self, page or b"")
        elif page is None:
            status(404)(self, b"")
        elif wanted is None:
            self.reply(200, page)
        else:
            self.serve_range(page, int(wanted.removeprefix("bytes=").removesuffix("-")))

    def serve_range(self, page: bytes, start: int) -> None:
        if start >= len(page):
            self.reply(416, b"")
        else:
            span = f"bytes {start}-{len(page) - 1}/{len(page)}"
            self.reply(206, page[start:], span=span)

    def reply(
        self, code: int, body: bytes, length: int | None = None, span: str = "", to: str = ""
    ) -> None:
        self.send_response(code)
        self.send_header("Content-Length", str(len(body) if length is None else length))
        for key, value in {"Content-Range": span, "Location": to}.items():
            if value:
                self.send_header(key, value)
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, format: str, *args: Any) -> None:
        pass


class Site(ThreadingHTTPServer):
    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), Handler)
        self.pages: dict[str, bytes] = {}
        self.due: dict[str, list[Answer]] = {}
        self.requests: list[tuple[str, str | None]] = []

    @property
    def base(self) -> str:
        return f"http://127.0.0.1:{self.server_port}"

    def put(self, data: bytes, name: str = "ml-1m") -> bytes:
        md5 = hashlib.md5(data).hexdigest()
        self.pages[f"/{name}.zip"] = data
        self.pages[f"/{name}.zip.md5"] = f"MD5 ({name}.zip) = {md5}\n".encode()
        return data

    def ranges(self) -> list[str | None]:
        """Return what was asked of the archive."""
        return [wanted for path, wanted in self.requests if path.endswith(".zip")]

    def handle_error(self, request: Any, client_address: Any) -> None:
        pass


@pytest.fixture
def site() -> Iterator[Site]:
    with Site() as site:
        thread = threading.Thread(target=site.serve_forever, args=(0.005,))
        thread.start()
        site.put(packed(FILES))
        yield site
        site.shutdown()
        thread.join()


def status(code: int) -> Answer:
    return lambda handler, page: handler.reply(code, b"no")


def broken_after(count: int) -> Answer:
    """Promise the whole page and hang up early."""
    return lambda handler, page: handler.reply(200, page[:count], length=len(page))


def whole(handler: Handler, page: bytes) -> None:
    """Ignore the range."""
    handler.reply(200, page)


def reset(handler: Handler, page: bytes) -> None:
    """Close the connection with no answer at all."""
    handler.connection.shutdown(socket.SHUT_RDWR)


def garbage(handler: Handler, page: bytes) -> None:
    handler.wfile.write(b"no HTTP\r\n")


def redirect(address: str) -> Answer:
    return lambda handler, page: handler.reply(302, b"", to=address)


def without_length(handler: Handler, page: bytes) -> None:
    handler.send_response(200)
    handler.end_headers()
    handler.wfile.write(page)


def fetch(site: Site, folder: Path, name: str = "ml-1m", tries: int = 3, **options: Any) -> Fetched:
    pauses = (0.0,) * (tries - 1)
    return fetching.fetch(name, folder, base=site.base, pauses=pauses, **options)


def listing(folder: Path) -> set[str]:
    return {str(p.relative_to(folder)) for p in folder.rglob("*") if not p.is_dir()}


WHOLE = {f"ml-1m/{RECORD}", *FILES}


def check_whole(folder: Path) -> None:
    assert listing(folder) == WHOLE
    assert all((folder / name).read_bytes() == data for name, data in FILES.items())


def refused(site: Site, folder: Path, error: type[MfcliError], words: str, **options: Any) -> None:
    """Check that a fetch fails in one line, and leaves no folder and nothing half-unpacked."""
    with pytest.raises(error, match=words) as caught:
        fetch(site, folder, **options)
    assert "\n" not in str(caught.value)
    assert listing(folder) <= {"ml-1m.zip.part", "ml-1m.zip"}
    assert not any(path.is_dir() for path in folder.iterdir())


# What comes of it


def test_downloads_unpacks_and_leaves_only_the_folder(site: Site, tmp_path: Path) -> None:
    fetched = fetch(site, tmp_path / "new" / "data")
    folder = tmp_path / "new" / "data" / "ml-1m"
    check_whole(folder.parent)
    assert fetched == Fetched(
        folder,
        folder / "ratings.dat",
        "Research only.\n\n     * No endorsement.",
        CITATION,
        len(site.pages[ZIP]),
    )
    assert fetched.as_dict()["ratings"] == str(folder / "ratings.dat")
    assert "10.1145/2827872" in fetched.citation
    assert folder.stat().st_mode & 0o055, "as readable as any folder made here"


@pytest.mark.parametrize(
    ("name", "member"),
    [
        ("ml-latest-small", "ml-latest-small/ratings.csv"),
        ("ml-100k", "ml-100k/u.data"),
        ("ml-1m", "ml-1m/ratings.dat"),
        ("ml-10m", "ml-10M100K/ratings.dat"),
        ("ml-20m", "ml-20m/ratings.csv"),
        ("ml-25m", "ml-25m/ratings.csv"),
        ("ml-32m", "ml-32m/ratings.csv"),
    ],
)
def test_every_archive_has_its_file_of_ratings(
    site: Site, tmp_path: Path, name: str, member: str
) -> None:
    assert name in NAMES
    site.put(packed({member.partition("/")[0] + "/": b"", member: b"1,2,3\n"}), name)
    fetched = fetch(site, tmp_path, name)
    assert fetched.ratings == tmp_path / member
    assert fetched.ratings.read_bytes() == b"1,2,3\n"
    assert fetched.terms == ELSEWHERE


def test_progress_counts_the_bytes_received_and_then_unpacked(
    site: Site, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(fetching, "_CHUNK", 5_000)
    calls: list[tuple[int, int]] = []
    fetch(site, tmp_path, on_progress=lambda *call: calls.append(call))
    for total in (len(site.pages[ZIP]), sum(map(len, FILES.values()))):
        done = [d for d, t in calls if t == total]
        assert len(done) > 10
        assert done == sorted(set(done))
        assert done[-1] == total
    assert calls == sorted(calls, key=lambda call: call[1] != len(site.pages[ZIP]))


@pytest.mark.parametrize("form", ["MD5 (ml-1m.zip) = {}\n", "{}  ml-1m.zip\n", "{}", "{}\r\n"])
@pytest.mark.parametrize("case", [str.lower, str.upper])
def test_md5_in_every_form(
    site: Site, tmp_path: Path, form: str, case: Callable[[str], str]
) -> None:
    md5 = case(hashlib.md5(site.pages[ZIP]).hexdigest())
    site.pages[f"{ZIP}.md5"] = form.format(md5).encode()
    fetch(site, tmp_path)
    check_whole(tmp_path)


# A folder that is there


def test_a_complete_folder_is_kept_without_a_request(site: Site, tmp_path: Path) -> None:
    first = fetch(site, tmp_path)
    (tmp_path / "ml-1m" / "notes.txt").write_text("mine")
    site.requests.clear()
    assert fetch(site, tmp_path) == first
    assert site.requests == []
    assert (tmp_path / "ml-1m" / "notes.txt").read_text() == "mine"


def shorten(folder: Path) -> None:
    (folder / "ratings.dat").write_bytes(RATINGS[:-1])


def lose(folder: Path) -> None:
    (folder / "more" / "a.txt").unlink()


def forget(folder: Path) -> None:
    (folder / RECORD).unlink()


def damage(folder: Path) -> None:
    text = (folder / RECORD).read_text().replace("60000", "59999")
    (folder / RECORD).write_text(text)


@pytest.mark.parametrize("change", [shorten, lose, forget, damage])
def test_an_incomplete_folder_is_refused_and_left(
    site: Site, tmp_path: Path, change: Callable[[Path], None]
) -> None:
    fetch(site, tmp_path)
    change(tmp_path / "ml-1m")
    before = listing(tmp_path)
    site.requests.clear()
    with pytest.raises(ArtifactError, match=r"is not ml-1m as mfcli fetches it.*move it away"):
        fetch(site, tmp_path)
    assert listing(tmp_path) == before
    assert site.requests == []


def test_another_archive_in_its_place_is_refused(
    site: Site, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    fetch(site, tmp_path)
    monkeypatch.setitem(fetching._ARCHIVES, "ml-20m", fetching._ARCHIVES["ml-1m"])
    with pytest.raises(ArtifactError, match="is not ml-20m"):
        fetch(site, tmp_path, "ml-20m")


def test_a_file_or_a_dangling_link_in_its_place_is_refused(site: Site, tmp_path: Path) -> None:
    target = tmp_path / "ml-1m"
    target.write_text("mine")
    with pytest.raises(ArtifactError, match="is there already"):
        fetch(site, tmp_path)
    assert target.read_text() == "mine"
    target.unlink()
    target.symlink_to(tmp_path / "nowhere")
    with pytest.raises(ArtifactError, match="is there already"):
        fetch(site, tmp_path)


def test_an_empty_folder_is_filled(site: Site, tmp_path: Path) -> None:
    (tmp_path / "ml-1m").mkdir()
    fetch(site, tmp_path)
    check_whole(tmp_path)


# Archives that are there


def test_a_right_zip_is_not_downloaded_again(site: Site, tmp_path: Path) -> None:
    (tmp_path / "ml-1m.zip").write_bytes(site.pages[ZIP])
    fetch(site, tmp_path)
    assert site.ranges() == []
    check_whole(tmp_path)


def test_a_wrong_zip_is_not_used(site: Site, tmp_path: Path) -> None:
    (tmp_path / "ml-1m.zip").write_bytes(site.pages[ZIP][:-1])
    fetch(site, tmp_path)
    assert site.ranges() == [None]
    check_whole(tmp_path)


def test_a_complete_part_is_not_downloaded_again(site: Site, tmp_path: Path) -> None:
    (tmp_path / "ml-1m.zip.part").write_bytes(site.pages[ZIP])
    fetch(site, tmp_path)
    assert site.ranges() == []
    check_whole(tmp_path)


def test_a_part_is_gone_on_with(site: Site, tmp_path: Path) -> None:
    (tmp_path / "ml-1m.zip.part").write_bytes(site.pages[ZIP][:20_000])
    calls: list[tuple[int, int]] = []
    fetch(site, tmp_path, on_progress=lambda *call: calls.append(call))
    assert site.ranges() == ["bytes=20000-"]
    assert calls[0][0] > 20_000
    check_whole(tmp_path)


def test_a_server_that_ignores_the_range_starts_anew(site: Site, tmp_path: Path) -> None:
    (tmp_path / "ml-1m.zip.part").write_bytes(site.pages[ZIP][:20_000])
    site.due[ZIP] = [whole]
    fetch(site, tmp_path)
    assert site.ranges() == ["bytes=20000-"]
    check_whole(tmp_path)


@pytest.mark.parametrize("surplus", [b"", b"more"])
def test_a_part_as_long_as_the_file_or_longer_starts_anew(
    site: Site, tmp_path: Path, surplus: bytes
) -> None:
    size = len(site.pages[ZIP])
    (tmp_path / "ml-1m.zip.part").write_bytes(bytes(size) + surplus)
    fetch(site, tmp_path)
    assert site.ranges() == [f"bytes={size + len(surplus)}-", None]
    check_whole(tmp_path)


@pytest.mark.parametrize(
    "span", ["bytes 0-{last}/{size}", "bytes 9-{last}/*", "bytes 9-10/{size}", "bytes", ""]
)
def test_a_wrong_content_range_starts_anew(site: Site, tmp_path: Path, span: str) -> None:
    def lie(handler: Handler, page: bytes) -> None:
        given = span.format(last=len(page) - 1, size=len(page))
        handler.reply(206, page[9:], span=given)

    (tmp_path / "ml-1m.zip.part").write_bytes(site.pages[ZIP][:9])
    site.due[ZIP] = [lie]
    fetch(site, tmp_path)
    assert site.ranges() == ["bytes=9-", None]
    check_whole(tmp_path)


def test_a_content_range_of_another_length_than_the_answer_starts_anew(
    site: Site, tmp_path: Path
) -> None:
    def lie(handler: Handler, page: bytes) -> None:
        given = f"bytes 9-{len(page) - 1}/{len(page)}"
        handler.reply(206, page[9:] + b"more", span=given)

    (tmp_path / "ml-1m.zip.part").write_bytes(site.pages[ZIP][:9])
    site.due[ZIP] = [lie]
    fetch(site, tmp_path)
    assert site.ranges() == ["bytes=9-", None]


def test_a_range_in_an_answer_that_is_not_partial_starts_anew(site: Site, tmp_path: Path) -> None:
    def lie(handler: Handler, page: bytes) -> None:
        handler.reply(203, page[9:], span=f"bytes 9-{len(page) - 1}/{len(page)}")

    (tmp_path / "ml-1m.zip.part").write_bytes(site.pages[ZIP][:9])
    site.due[ZIP] = [lie]
    fetch(site, tmp_path)
    assert site.ranges() == ["bytes=9-", None]


def test_an_unasked_partial_answer_is_not_taken_for_the_whole(site: Site, tmp_path: Path) -> None:
    site.due[ZIP] = [lambda handler, page: handler.serve_range(page, 100)]
    fetch(site, tmp_path)
    assert site.ranges() == [None, None]
    check_whole(tmp_path)


# Connections


def test_a_broken_download_goes_on_where_it_stopped(site: Site, tmp_path: Path) -> None:
    site.due[ZIP] = [broken_after(30_000)]
    fetch(site, tmp_path)
    assert site.ranges() == [None, "bytes=30000-"]
    check_whole(tmp_path)


@pytest.mark.parametrize("fault", [status(500), status(503), reset, garbage])
@pytest.mark.parametrize("path", [ZIP, f"{ZIP}.md5"])
def test_passing_faults_are_tried_again(
    site: Site, tmp_path: Path, fault: Answer, path: str
) -> None:
    site.due[path] = [fault, fault]
    fetch(site, tmp_path)
    assert [asked for asked, _ in site.requests].count(path) == 3
    check_whole(tmp_path)


def test_tries_are_few_and_a_part_stays(site: Site, tmp_path: Path) -> None:
    def promise(handler: Handler, page: bytes) -> None:
        handler.reply(200, page[:500], length=len(page))

    site.due[ZIP] = [promise] * 9
    size = len(site.pages[ZIP])
    refused(site, tmp_path, DataError, f"ended after 500 of {size:,} bytes; try again later")
    assert len(site.ranges()) == 3
    assert (tmp_path / "ml-1m.zip.part").read_bytes() == site.pages[ZIP][:500]


def test_pauses_grow(site: Site, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    slept: list[float] = []
    monkeypatch.setattr(time, "sleep", slept.append)
    site.due[f"{ZIP}.md5"] = [status(503)] * 9
    with pytest.raises(DataError, match="HTTP status 503"):
        fetching.fetch("ml-1m", tmp_path, base=site.base)
    assert slept == list(fetching.PAUSES) == sorted(set(slept))


def test_a_silent_server_times_out(
    site: Site, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fall_silent(handler: Handler, page: bytes) -> None:
        handler.reply(200, page[:500], length=len(page))
        handler.wfile.flush()
        outwaited.append(not ended.wait(5))

    ended, outwaited = threading.Event(), list[bool]()
    monkeypatch.setattr(fetching, "_TIMEOUT", 0.1)
    site.due[ZIP] = [fall_silent]
    fetch(site, tmp_path)
    assert not outwaited
    ended.set()
    assert site.ranges() == [None, "bytes=500-"]
    check_whole(tmp_path)


def test_an_interrupted_download_leaves_its_part_for_the_next_try(
    site: Site, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def interrupt(done: int, total: int) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(fetching, "_CHUNK", 1_000)
    with pytest.raises(KeyboardInterrupt):
        fetch(site, tmp_path, on_progress=interrupt)
    size = (tmp_path / "ml-1m.zip.part").stat().st_size
    assert 0 < size <= 1_000
    fetch(site, tmp_path)
    assert site.ranges() == [None, f"bytes={size}-"]
    check_whole(tmp_path)


def test_an_interrupted_unpacking_leaves_no_folder(site: Site, tmp_path: Path) -> None:
    def interrupt(done: int, total: int) -> None:
        if total == sum(map(len, FILES.values())):
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        fetch(site, tmp_path, on_progress=interrupt)
    assert listing(tmp_path) == {"ml-1m.zip.part"}
    fetch(site, tmp_path)
    assert len(site.ranges()) == 1
    check_whole(tmp_path)


def test_no_server_names_the_address_and_the_remedy(tmp_path: Path) -> None:
    with socket.socket() as unused:
        unused.bind(("127.0.0.1", 0))
        base = f"http://127.0.0.1:{unused.getsockname()[1]}/sets"
        with pytest.raises(DataError, match=f"{base}.*refused.*--base URL, or download.*by hand"):
            fetching.fetch("ml-1m", tmp_path, base=base, pauses=())


def test_a_missing_page_is_not_asked_for_twice(site: Site, tmp_path: Path) -> None:
    del site.pages[ZIP]
    refused(site, tmp_path, DataError, r"/ml-1m\.zip: .*HTTP status 404; use --base URL")
    assert site.ranges() == [None]


def test_a_length_that_is_too_small_does_not_pass(site: Site, tmp_path: Path) -> None:
    site.due[ZIP] = [lambda handler, page: handler.reply(200, page, length=len(page) - 1)]
    refused(site, tmp_path, DataError, "must have the MD5")
    assert listing(tmp_path) == set()


def test_an_answer_without_length(site: Site, tmp_path: Path) -> None:
    site.due[ZIP] = [without_length]
    fetch(site, tmp_path)
    check_whole(tmp_path)


@pytest.mark.parametrize("answer", [whole, without_length])
def test_a_download_is_bounded(
    site: Site, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, answer: Answer
) -> None:
    monkeypatch.setattr(fetching, "_LARGEST", 10_000)
    site.due[ZIP] = [answer]
    refused(site, tmp_path, DataError, "must have at most 10,000 bytes")
    part = tmp_path / "ml-1m.zip.part"
    assert not part.exists() or part.stat().st_size == 10_001


# Redirects


def test_redirects_keep_the_range(site: Site, tmp_path: Path) -> None:
    site.pages["/mirror.zip"] = site.pages[ZIP]
    site.due[ZIP] = [redirect("/mirror.zip")]
    (tmp_path / "ml-1m.zip.part").write_bytes(site.pages[ZIP][:9])
    fetch(site, tmp_path)
    assert ("/mirror.zip", "bytes=9-") in site.requests
    check_whole(tmp_path)


def test_redirects_are_few(site: Site, tmp_path: Path) -> None:
    for number in range(20):
        site.due[f"/{number}.zip"] = [redirect(f"/{number + 1}.zip")]
    site.due[ZIP] = [redirect("/0.zip")]
    refused(site, tmp_path, DataError, "too many redirects")
    assert len(site.ranges()) == 6


@pytest.mark.parametrize("scheme", ["https", "ftp"])
def test_redirects_keep_the_scheme(site: Site, tmp_path: Path, scheme: str) -> None:
    site.due[ZIP] = [redirect(f"{scheme}://127.0.0.1:9/ml-1m.zip")]
    refused(site, tmp_path, DataError, f"must not redirect from http to '{scheme}:")


def test_redirects_never_lead_to_a_file(site: Site, tmp_path: Path) -> None:
    site.due[ZIP] = [redirect("file:///etc/passwd")]
    refused(site, tmp_path, DataError, "HTTP status 302")


# Archives that are no good


def test_a_wrong_md5_removes_the_part(site: Site, tmp_path: Path) -> None:
    site.pages[f"{ZIP}.md5"] = b"%s  ml-1m.zip\n" % (b"0" * 32)
    refused(site, tmp_path, DataError, r"/ml-1m\.zip: must have the MD5 0{32}, got .*try again")
    assert listing(tmp_path) == set()


def test_a_page_without_md5_is_refused(site: Site, tmp_path: Path) -> None:
    site.pages[f"{ZIP}.md5"] = b"<html>" + b"0" * 64
    refused(site, tmp_path, DataError, r"zip\.md5: must hold an MD5, got '<html>0")
    assert site.ranges() == []


def declared(size: int) -> bytes:
    """Make an archive of a file that has 12,347 bytes and declares another size."""
    data = packed({**FILES, "ml-1m/lie": RATINGS[:12_347]})
    true, false = (12_347).to_bytes(4, "little"), size.to_bytes(4, "little")
    head, tail = data.rindex(true), data.index(true)
    assert data.count(true) == 2
    assert head != tail
    return data.replace(true, false)


LINK = (stat.S_IFLNK | 0o777) << 16
DEVICE = (stat.S_IFCHR | 0o600) << 16
SAFE = {"ml-1m/ratings.dat": RATINGS}
UNSAFE = {
    "parent": (packed({**SAFE, "ml-1m/../../evil": b"x"}), r"'ml-1m/../../evil' is no plain path"),
    "parent first": (packed({**SAFE, "../evil": b"x"}), r"'../evil' is not in ml-1m/"),
    "absolute": (packed({**SAFE, "/tmp/evil": b"x"}), r"'/tmp/evil' is not in ml-1m/"),
    "beside": (packed({**SAFE, "evil": b"x"}), "'evil' is not in ml-1m/"),
    "in its place": (packed({**SAFE, "ml-1m": b"x"}), "'ml-1m' is not in ml-1m/"),
    "backslash": (packed({**SAFE, "ml-1m/..\\evil": b"x"}), "is no plain path"),
    "drive": (packed({**SAFE, "ml-1m/C:evil": b"x"}), "is no plain path"),
    "dot": (packed({**SAFE, "ml-1m/./evil": b"x"}), "is no plain path"),
    "double": (packed({**SAFE, "ml-1m//evil": b"x"}), "is no plain path"),
    "escape": (packed({**SAFE, "ml-1m/\x1b[2J": b"x"}), r"'ml-1m/\\x1b\[2J' is no plain path"),
    "folder": (packed({**SAFE, "ml-1m/../": b""}), "is no plain path"),
    "link": (packed({**SAFE, "ml-1m/a": b"/etc"}, external_attr=LINK), "is a link or a device"),
    "device": (packed({**SAFE, "ml-1m/a": b""}, external_attr=DEVICE), "is a link or a device"),
    "lzma": (packed({**SAFE, "ml-1m/a": b""}, compress_type=zipfile.ZIP_LZMA), "is encrypted or"),
    "twice": (packed({**SAFE, "ml-1m/RATINGS.dat": b""}), "holds a file twice"),
    "bomb": (packed({**SAFE, "ml-1m/a": bytes(9_000_000)}), "9,060,000 bytes come out of"),
    "declares less": (declared(300), "CRC"),
    "declares more": (declared(20_000), "'ml-1m/lie' has not the size it declares"),
    "no zip": (b"<html>Sorry</html>", "is not a zip file"),
    "nothing": (b"", "is not a zip file"),
    "half": (packed(FILES)[:30_000], "is not a zip file"),
    "no ratings": (packed({"ml-1m/README": b"x"}), "holds no ml-1m/ratings.dat"),
    "damaged": (packed(FILES).replace(RATINGS[5_000:5_100], bytes(100)), "CRC"),
}


@pytest.mark.parametrize("kind", UNSAFE)
def test_unsound_archives_are_refused_and_removed(site: Site, tmp_path: Path, kind: str) -> None:
    data, words = UNSAFE[kind]
    site.put(data)
    folder = tmp_path / "in"
    folder.mkdir()
    refused(site, folder, DataError, f"must be a sound and safe zip archive: .*{words}")
    assert listing(tmp_path) == set()


def test_an_encrypted_member_is_refused(site: Site, tmp_path: Path) -> None:
    data = bytearray(packed(SAFE))
    data[data.index(b"PK\x01\x02") + 8] |= 1
    site.put(bytes(data))
    refused(site, tmp_path, DataError, "is encrypted or")


def test_what_comes_out_is_bounded(
    site: Site, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    data = site.put(packed({**FILES, "ml-1m/zeros": bytes(100_000)}))
    monkeypatch.setattr(fetching, "_LARGEST", len(data) + 1)
    refused(site, tmp_path, DataError, "bytes come out of")


def test_an_unsound_zip_of_the_user_is_left(site: Site, tmp_path: Path) -> None:
    (tmp_path / "ml-1m.zip").write_bytes(site.put(b"no zip"))
    refused(site, tmp_path, DataError, "is not a zip file")
    assert listing(tmp_path) == {"ml-1m.zip"}


# The disk


def test_a_full_disk_is_told(site: Site, tmp_path: Path) -> None:
    if not Path("/dev/full").exists():
        pytest.skip("needs /dev/full")
    (tmp_path / "ml-1m.zip.part").symlink_to("/dev/full")
    with pytest.raises(ArtifactError, match=r"zip\.part: .*No space left.*--out FOLDER"):
        fetch(site, tmp_path)


def test_a_folder_that_cannot_be_written_is_told_before_the_download(
    site: Site, tmp_path: Path
) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(ArtifactError, match=r"ml-1m: cannot be written: .*another place"):
        fetch(site, tmp_path / "file" / "data")
    assert site.requests == []


def test_what_cannot_be_unpacked_here_stays_packed(site: Site, tmp_path: Path) -> None:
    data = site.put(packed({**FILES, "ml-1m/" + "a" * 300: b"x"}))
    refused(site, tmp_path, ArtifactError, "ml-1m: cannot be written: File name too long")
    assert (tmp_path / "ml-1m.zip.part").read_bytes() == data


# Names and addresses


@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("ml-1M", r"one of ml-latest-small, ml-100k, .*; got 'ml-1M'; did you mean ml-1m\?"),
        ("ml-latest-smal", r"did you mean ml-latest-small\?"),
        ("../evil", r"got '\.\./evil'$"),
    ],
)
def test_unknown_names(tmp_path: Path, name: str, words: str) -> None:
    with pytest.raises(UsageError, match=words):
        fetching.fetch(name, tmp_path)


@pytest.mark.parametrize(
    "base",
    [
        "",
        "files.grouplens.org",
        "ftp://files.grouplens.org/",
        "file:///etc/",
        "http://",
        "http://a b/",
        "http://a/\n",
        "http://[",
        "http://a:port/",
        "http://a/?query=",
        "http://a/#part",
        "http://bücher/",
    ],
)
def test_bases_that_are_none(tmp_path: Path, base: str) -> None:
    with pytest.raises(UsageError, match="--base must be an http or https address"):
        fetching.fetch("ml-1m", tmp_path, base=base, pauses=())


def test_a_host_name_that_cannot_be_is_told(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="cannot be downloaded"):
        fetching.fetch("ml-1m", tmp_path, base=f"http://{'a' * 70}/", pauses=())


@pytest.mark.parametrize("base", ["/sets", "/sets/"])
def test_a_base_with_or_without_a_slash(site: Site, tmp_path: Path, base: str) -> None:
    site.pages = {f"/sets{path}": page for path, page in site.pages.items()}
    fetching.fetch("ml-1m", tmp_path, base=f"{site.base}{base}", pauses=())
    check_whole(tmp_path)


# The terms


PAGE = """<!DOCTYPE html><html><head><title>Usage License</title><style>h2 {}</style></head>
<body><h2>Summary</h2><p>Made
up.</p><h2 id="l"><a name="l">Usage&nbsp;License</a></h2><p>Research &amp; study
only.</p><ul><li>No endorsement.</li>
<li>No resale.</li></ul><h3>Citation</h3><p>Cite.</p></body></html>"""


@pytest.mark.parametrize(
    ("name", "text", "terms"),
    [
        ("README", README, "Research only.\n\n     * No endorsement."),
        ("README.txt", README.replace("\n", "\r\n"), "Research only.\n\n     * No endorsement."),
        ("readme.md", "Usage Licence\n---\nYes.", "Yes."),
        ("README", "SUMMARY & USAGE LICENSE\n====\n\nYes.\n\nCITATION\n===\nNo.", "Yes."),
        ("README", "Usage License\n===\n\x1b[2JYes.\x07", "[2JYes."),
        ("README.html", PAGE, "Research & study only.\n\n* No endorsement.\n* No resale."),
        ("README", "The usage license is elsewhere.", ELSEWHERE),
        ("README", "Usage License\n===\n", ELSEWHERE),
        ("notes.txt", README, ELSEWHERE),
    ],
)
def test_terms(tmp_path: Path, name: str, text: str, terms: str) -> None:
    (tmp_path / name).write_bytes(text.encode())
    assert read_terms(tmp_path) == terms


def test_terms_in_any_encoding(tmp_path: Path) -> None:
    (tmp_path / "README").write_bytes(b"Usage License\n===\n\nCaf\xe9.\n")
    assert read_terms(tmp_path) == "Caf\N{REPLACEMENT CHARACTER}."


def test_what_macos_adds_is_not_unpacked(site: Site, tmp_path: Path) -> None:
    site.put(packed({**FILES, "__MACOSX/._ml-1m": b"x"}))
    fetch(site, tmp_path)
    check_whole(tmp_path)


# The command


def test_the_command_prints_what_comes_next(site: Site, run: Callable[..., Outcome]) -> None:
    done = run("fetch", "ml-1m", "--base", site.base, "--out", "my data")
    assert done.code == 0
    assert done.out.startswith("my data/ml-1m/ratings.dat: the ratings (")
    for words in ("Research only.", CITATION):
        assert words in done.out
    assert done.out.endswith("Next: mfcli split 'my data/ml-1m/ratings.dat'\n")
    again = run("fetch", "ml-1m", "--base", site.base, "--out", "my data", "--json")
    assert json.loads(again.out)["ratings"] == "my data/ml-1m/ratings.dat"
    refused = run("fetch", "ml-2m", "--base", site.base)
    assert refused.code == 2
    assert refused.err.startswith("error: the name must be one of ml-latest-small")

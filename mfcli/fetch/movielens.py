"""MovieLens ratings, fetched from GroupLens: downloaded, checked and unpacked.

A download that breaks off leaves NAME.zip.part, and the next try goes on where it stopped. The
archive is unpacked beside its folder, which appears whole, in one rename; then the archive goes.
"""

from __future__ import annotations

import contextlib
import difflib
import hashlib
import html
import http.client
import re
import stat
import struct
import time
import urllib.error
import urllib.request
import zipfile
import zlib
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import IO, Any, NamedTuple, TypeVar
from urllib.parse import urlsplit

from mfcli import __version__
from mfcli.errors import ArtifactError, DataError, MfcliError, UsageError
from mfcli.storage import check_replaceable, read_manifest, replacing_folder, write_manifest

BASE = "https://files.grouplens.org/datasets/movielens/"
CITATION = (
    "F. M. Harper and J. A. Konstan. 2015. The MovieLens Datasets: History and Context."
    " ACM TiiS 5, 4: 19:1-19:19. https://doi.org/10.1145/2827872"
)
ELSEWHERE = "The terms of use are at https://grouplens.org/datasets/movielens/"
RECORD = ".fetched.json"
PAUSES = (1.0, 2.0, 4.0)

_RECORD_FORMAT = 1
_TIMEOUT = 30.0  # seconds without a byte
_CHUNK = 1 << 18
_LARGEST = 4 << 30  # bytes, packed or unpacked; ml-32m has 0.9 GB
_SWELLING = 100  # unpacked bytes for one of the archive; ratings have 4 to 6
_ASIDE = "__MACOSX/"  # what macOS adds to archives beside their contents; never unpacked
_README = 1 << 20

Progress = Callable[[int, int], None]
T = TypeVar("T")


class _Contents(NamedTuple):
    folder: str
    ratings: str


_ARCHIVES = {
    "ml-latest-small": _Contents("ml-latest-small", "ratings.csv"),
    "ml-100k": _Contents("ml-100k", "u.data"),
    "ml-1m": _Contents("ml-1m", "ratings.dat"),
    "ml-10m": _Contents("ml-10M100K", "ratings.dat"),
    "ml-20m": _Contents("ml-20m", "ratings.csv"),
    "ml-25m": _Contents("ml-25m", "ratings.csv"),
    "ml-32m": _Contents("ml-32m", "ratings.csv"),
}
NAMES = tuple(_ARCHIVES)


@dataclass(frozen=True)
class Fetched:
    """Ratings on disk, and on what terms they are there.

    Attributes
    ----------
    folder : Path
        Everything the archive holds.
    ratings : Path
        The file of ratings in it.
    terms : str
        The licence, as the archive's README states it.
    citation : str
        What to cite in publications.
    bytes : int
        Size of the archive.
    """

    folder: Path
    ratings: Path
    terms: str
    citation: str
    bytes: int

    def as_dict(self) -> dict[str, Any]:
        """Return everything as JSON can hold it."""
        return {**vars(self), "folder": str(self.folder), "ratings": str(self.ratings)}


class _Broken(Exception):
    """A download failed in a way that may pass."""


class _Unusable(_Broken):
    """The part cannot be gone on with; it has to be started anew."""


def fetch(
    name: str,
    folder: Path = Path(),
    *,
    base: str = BASE,
    on_progress: Progress = lambda done, total: None,
    pauses: Sequence[float] = PAUSES,
) -> Fetched:
    """Download a MovieLens archive and unpack it, unless that is done already.

    Parameters
    ----------
    name : str
        One of `NAMES`.
    folder : Path
        Where the archive's own folder will stand.
    base : str
        Address, http or https, under which NAME.zip and NAME.zip.md5 are found.
    on_progress : callable
        Called with bytes done and bytes in all: of the download, then of the unpacking.
    pauses : sequence of float
        Seconds to wait before each further try when the connection breaks.

    Raises
    ------
    UsageError
        If the name or the base address is none.
    DataError
        If the archive cannot be had, or is damaged or unsafe.
    ArtifactError
        If the folder cannot be written, or something else stands in its place.
    """
    contents, address = _contents(name), _address(base, name)
    target, zipped = folder / contents.folder, folder / f"{name}.zip"
    if not _is_whole(target, name):
        check_replaceable(target, ())
        archive = _download(address, zipped, on_progress, pauses)
        _unpack(archive, address, target, name, on_progress)
        with _on_disk(zipped):
            zipped.unlink(missing_ok=True)
            _part(zipped).unlink(missing_ok=True)
    size = read_manifest(target / RECORD, _RECORD_FORMAT)["bytes"]
    return Fetched(target, target / contents.ratings, read_terms(target), CITATION, size)


def _contents(name: str) -> _Contents:
    if name in _ARCHIVES:
        return _ARCHIVES[name]
    close = difflib.get_close_matches(name, NAMES, n=1)
    hint = f"; did you mean {close[0]}?" if close else ""
    raise UsageError(f"the name must be one of {', '.join(NAMES)}; got {name!r}{hint}")


def _address(base: str, name: str) -> str:
    """Put the address of an archive together."""
    try:
        sound = re.fullmatch(r"(?i)https?://[!-~]+", base) and urlsplit(base).port != 0
    except ValueError:
        sound = False
    if not sound or "?" in base or "#" in base:
        raise UsageError(f"--base must be an http or https address, such as {BASE}; got {base!r}")
    return f"{base.rstrip('/')}/{name}.zip"


def _is_whole(target: Path, name: str) -> bool:
    """Tell whether the folder is there already, complete; refuse anything else in its place."""
    if not target.is_symlink() and (not target.exists() or _is_empty(target)):
        return False
    try:
        record = read_manifest(target / RECORD, _RECORD_FORMAT)
        sizes = {file: (target / file).stat().st_size for file in record["files"]}
    except (MfcliError, OSError):
        raise _in_the_way(target, name) from None
    if record["name"] != name or sizes != record["files"]:
        raise _in_the_way(target, name)
    return True


def _is_empty(target: Path) -> bool:
    with _on_disk(target):
        return target.is_dir() and not any(target.iterdir())


def _in_the_way(target: Path, name: str) -> ArtifactError:
    return ArtifactError(
        f"{target}: is there already and is not {name} as mfcli fetches it, complete;"
        " split the ratings in it as they are, move it away, or use --out FOLDER"
    )


def _part(zipped: Path) -> Path:
    return zipped.with_name(f"{zipped.name}.part")


# Downloading


def _download(address: str, zipped: Path, on_progress: Progress, pauses: Sequence[float]) -> Path:
    """Return a file that holds the archive, its MD5 checked."""
    expected = _retried(lambda: _published_md5(address), address, pauses)
    part = _part(zipped)
    for path in (zipped, part):
        if path.is_file() and _md5(path) == expected:
            return path
    _retried(lambda: _receive(address, part, on_progress), address, pauses)
    found = _md5(part)
    if found != expected:
        part.unlink()
        raise DataError(f"{address}: must have the MD5 {expected}, got {found}; try again")
    return part


def _retried(attempt: Callable[[], T], address: str, pauses: Sequence[float]) -> T:
    """Try again after each pause when a connection breaks."""
    for pause in pauses:
        with contextlib.suppress(_Broken):
            return attempt()
        time.sleep(pause)
    try:
        return attempt()
    except _Broken as error:
        raise DataError(
            f"{address}: cannot be downloaded: {error}; try again later, use --base URL,"
            " or download and unpack it by hand"
        ) from error


def _published_md5(address: str) -> str:
    """Read the MD5 beside the archive: `MD5 (NAME) = HEX` or `HEX  NAME`."""
    beside = f"{address}.md5"
    with _answer(beside) as answer, _network(beside):
        text = answer.read(_CHUNK).decode("latin-1")
    found = re.search(r"\b[0-9a-fA-F]{32}\b", text)
    if not found:
        raise DataError(f"{beside}: must hold an MD5, got {text[:40]!r}; use --base URL")
    return found[0].lower()


def _md5(path: Path) -> str:
    with _on_disk(path), path.open("rb") as file:
        return hashlib.file_digest(file, lambda: hashlib.md5(usedforsecurity=False)).hexdigest()


def _receive(address: str, part: Path, on_progress: Progress) -> None:
    """Download what the part lacks."""
    start = part.stat().st_size if part.is_file() else 0
    try:
        with _answer(address, start) as answer:
            done, total = _extent(answer, start)
            _save(answer, address, part, done, total, on_progress)
    except _Unusable:
        with _on_disk(part):
            part.unlink(missing_ok=True)
        raise


def _extent(answer: http.client.HTTPResponse, start: int) -> tuple[int, int | None]:
    """Tell where the bytes of an answer begin, and how many the whole has, if it says so."""
    if answer.status == 200:
        return 0, answer.length
    given = answer.headers.get("Content-Range", "")
    found = re.fullmatch(r"bytes ([0-9]+)-([0-9]+)/([0-9]+)", given)
    first, last, total = map(int, found.groups()) if found else (-1, -1, -1)
    agrees = first == start and last + 1 == total and answer.length in (None, total - first)
    if answer.status != 206 or not agrees:
        raise _Unusable(f"asked for bytes {start}-, got status {answer.status} and {given!r}")
    return first, total


def _save(
    answer: http.client.HTTPResponse,
    address: str,
    part: Path,
    done: int,
    total: int | None,
    on_progress: Progress,
) -> None:
    """Write the bytes of an answer behind the `done` that are there."""
    if (total or 0) > _LARGEST:
        raise _too_large(address)
    with _on_disk(part), part.open("ab" if done else "wb") as file:
        while done != total and (piece := _piece(answer, address, (total or _LARGEST + 1) - done)):
            file.write(piece)
            done += len(piece)
            on_progress(done, total or done)
            if done > _LARGEST:
                raise _too_large(address)
    if total is not None and done < total:
        raise _Broken(f"the connection ended after {done:,} of {total:,} bytes")


def _too_large(address: str) -> DataError:
    return DataError(f"{address}: must have at most {_LARGEST:,} bytes, has more; use --base URL")


def _piece(answer: http.client.HTTPResponse, address: str, left: int) -> bytes:
    with _network(address):
        return answer.read1(min(_CHUNK, left))


@contextlib.contextmanager
def _answer(address: str, start: int = 0) -> Iterator[http.client.HTTPResponse]:
    """Ask for an address, from a byte on."""
    headers = {"User-Agent": f"mfcli/{__version__}"}
    if start:
        headers["Range"] = f"bytes={start}-"
    request = urllib.request.Request(address, headers=headers)
    with _network(address):
        answer = urllib.request.build_opener(_Redirects).open(request, timeout=_TIMEOUT)
    with answer:
        yield answer


@contextlib.contextmanager
def _network(address: str) -> Iterator[None]:
    """Tell failures that may pass from those that will not."""
    try:
        yield
    except urllib.error.HTTPError as error:
        with error:
            raise _refused(address, error.code) from None
    except (OSError, http.client.HTTPException, UnicodeError) as error:
        raise _Broken(_reason(error)) from error


def _refused(address: str, status: int) -> Exception:
    if status == 416:
        return _Unusable("HTTP status 416")
    if status >= 500:
        return _Broken(f"HTTP status {status}")
    why = " (too many redirects)" if 300 <= status < 400 else ""
    return DataError(
        f"{address}: cannot be downloaded: HTTP status {status}{why}; use --base URL,"
        " or download and unpack it by hand"
    )


def _reason(error: Exception) -> str:
    """Say why, in the system's words."""
    cause = error.reason if isinstance(error, urllib.error.URLError) else error
    return getattr(cause, "strerror", None) or str(cause) or type(cause).__name__


class _Redirects(urllib.request.HTTPRedirectHandler):
    """Follow a few redirects, none of them to another scheme."""

    max_redirections = 5

    def redirect_request(
        self,
        req: urllib.request.Request,
        fp: IO[bytes],
        code: int,
        msg: str,
        headers: http.client.HTTPMessage,
        newurl: str,
    ) -> urllib.request.Request | None:
        if urlsplit(newurl).scheme != req.type:
            fp.close()
            raise DataError(
                f"{req.full_url}: must not redirect from {req.type} to {newurl!r};"
                " give an address that does not as --base URL"
            )
        return super().redirect_request(req, fp, code, msg, headers, newurl)


@contextlib.contextmanager
def _on_disk(path: Path) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        raise ArtifactError(
            f"{path}: cannot be read or written: {_reason(error)};"
            " mend that or use --out FOLDER in another place"
        ) from error


# Unpacking


def _unpack(archive: Path, address: str, target: Path, name: str, on_progress: Progress) -> None:
    """Unpack an archive into its folder; a part that turns out to be useless is removed."""
    size = archive.stat().st_size
    try:
        with _opened(archive, address) as source:
            members = _members(source, address, _ARCHIVES[name], size)
            with replacing_folder(target, ()) as folder:
                _extract(source, members, folder, address, on_progress)
                files = {path: member.file_size for path, member in members.items()}
                record = {"name": name, "address": address, "bytes": size, "files": files}
                write_manifest(folder / RECORD, {"format": _RECORD_FORMAT, **record})
    except DataError:
        if archive.suffix == ".part":
            archive.unlink(missing_ok=True)
        raise


@contextlib.contextmanager
def _opened(archive: Path, address: str) -> Iterator[zipfile.ZipFile]:
    damage = (zipfile.BadZipFile, zlib.error, EOFError, NotImplementedError, ValueError)
    try:
        with zipfile.ZipFile(archive) as source:
            yield source
    except (*damage, struct.error, OSError) as error:
        raise _unsound(address, str(error)) from error


def _unsound(address: str, why: str) -> DataError:
    return DataError(f"{address}: must be a sound and safe zip archive: {why}; use --base URL")


def _members(
    source: zipfile.ZipFile, address: str, contents: _Contents, size: int
) -> dict[str, zipfile.ZipInfo]:
    """Return the files of an archive by their paths in its folder, once all are found safe."""
    listed = [m for m in source.infolist() if not m.filename.startswith(_ASIDE)]
    for member in listed:
        if fault := _fault(member, contents.folder):
            raise _unsound(address, f"{member.filename!r} {fault}")
    files = [member for member in listed if not member.is_dir()]
    unpacked = sum(member.file_size for member in files)
    if unpacked > min(_LARGEST, _SWELLING * size):
        raise _unsound(address, f"{unpacked:,} bytes come out of {size:,}")
    members = {str(PurePosixPath(*_steps(member)[1:])): member for member in files}
    if len({path.casefold() for path in members}) != len(files):
        raise _unsound(address, "it holds a file twice")
    if contents.ratings not in members:
        raise _unsound(address, f"it holds no {'/'.join(contents)}")
    return members


def _fault(member: zipfile.ZipInfo, root: str) -> str:
    """Say what makes a member unsafe, if anything does."""
    steps = _steps(member)
    if steps[0] != root or (len(steps) == 1 and not member.is_dir()):
        return f"is not in {root}/"
    if {"", ".", ".."} & set(steps) or not re.fullmatch(r"[^\\:\x00-\x1f]+", member.filename):
        return "is no plain path"
    if stat.S_IFMT(member.external_attr >> 16) not in (0, stat.S_IFREG, stat.S_IFDIR):
        return "is a link or a device"
    if member.flag_bits & 1 or member.compress_type not in (
        zipfile.ZIP_STORED,
        zipfile.ZIP_DEFLATED,
    ):
        return "is encrypted or packed in an unusual way"
    return ""


def _steps(member: zipfile.ZipInfo) -> list[str]:
    return member.filename.removesuffix("/").split("/")


def _extract(
    source: zipfile.ZipFile,
    members: dict[str, zipfile.ZipInfo],
    folder: Path,
    address: str,
    on_progress: Progress,
) -> None:
    """Write the members, checking that each has the size it declares."""
    done, total = 0, sum(member.file_size for member in members.values())
    for path, member in members.items():
        before, place = done, folder / path
        place.parent.mkdir(parents=True, exist_ok=True)
        with source.open(member) as packed, place.open("xb") as file:
            while piece := packed.read(_CHUNK):
                file.write(piece)
                done += len(piece)
                on_progress(done, total)
        if done - before != member.file_size:
            raise _unsound(address, f"{member.filename!r} has not the size it declares")


# The terms


def read_terms(folder: Path) -> str:
    """Find what the README of an archive says under "Usage License"."""
    with _on_disk(folder):
        readmes = sorted(p for p in folder.iterdir() if p.name.lower().startswith("readme"))
        texts = [_text(path) for path in readmes if path.is_file()]
    return next(filter(None, map(_section, texts)), ELSEWHERE)


def _text(path: Path) -> str:
    """Read a README, without what could move a terminal's cursor."""
    with path.open("rb") as file:
        text = file.read(_README).decode("utf-8", "replace")
    if path.suffix.lower().startswith(".htm"):
        text = _plain(text)
    text = "\n".join(text.replace("\xa0", " ").splitlines())
    return "".join(c for c in text if c.isprintable() or c in "\n\t")


def _plain(page: str) -> str:
    """Turn HTML into text whose headings are underlined."""
    page = re.sub(r"(?is)<(head|style|script)\b.*?</\1>", "", page)
    page = re.sub(r"\s+", " ", page)
    page = re.sub(r"(?i)<h[1-6]\b[^>]*>(.*?)</h[1-6]>", r"\n\n\1\n====\n\n", page)
    page = re.sub(r"(?i)<li\b[^>]*>", "\n* ", page)
    page = re.sub(r"(?i)<(p|br|/p|/ul|/div)\b[^>]*>", "\n\n", page)
    text = html.unescape(re.sub(r"<[^>]*>", "", page))
    lines = "\n".join(line.strip() for line in text.splitlines())
    return re.sub(r"\n{3,}", "\n\n", lines)


def _section(text: str) -> str:
    """Return what stands between the heading of the licence and the next heading."""
    lines = text.splitlines()
    heads = [i for i, rule in enumerate(lines[1:]) if re.fullmatch(r"\s*([=-])\1{2,}\s*", rule)]
    for place, head in enumerate(heads):
        if re.search(r"(?i)usage\s+licen[cs]e", lines[head]):
            end = heads[place + 1] if place + 1 < len(heads) else len(lines)
            return "\n".join(lines[head + 2 : end]).strip("\n").rstrip()
    return ""

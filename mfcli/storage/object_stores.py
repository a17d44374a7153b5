"""Files in object stores, as Arrow reads and writes them: S3, Google Cloud Storage and others.

An object is replaced as a whole: readers see the old or the new one. Requests that fail are
repeated a few times by the library of the store, and then become an `ArtifactError` of one line.
"""

from __future__ import annotations

import contextlib
import copy
import posixpath
import re
import threading
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import Future
from pathlib import Path
from typing import Any, NamedTuple
from urllib.parse import urlsplit

from mfcli.errors import ArtifactError
from mfcli.storage.addresses import joined, without_options
from mfcli.storage.threads import each
from mfcli.types import Progress

_PART = 1 << 23  # bytes of a request
_REQUESTS = 8  # at the same time
_SCHEMES = "s3://, gs:// or abfs://"
# Its library repeats a request for 15 minutes by default.
_GOOGLE, _LIMIT = ("gs", "gcs"), "retry_limit_seconds"
_SECONDS = 20
_AWS = re.compile(r"AWS Error (\w+) during \w+ operation: (?:curlCode: \d+, )?([^;(]*)")
_DENIED = re.compile(
    "ACCESS_?DENIED|INVALID_?ACCESS_?KEY|INVALID_CLIENT_TOKEN|SIGNATURE|MISSING_AUTH|CREDENTIALS"
    "|PERMISSION|UNAUTHORIZED",
    re.IGNORECASE,
)
_MISSING = re.compile("NO_SUCH_BUCKET|bucket does not exist", re.IGNORECASE)
_NETWORK = re.compile("NETWORK_CONNECTION|resolve|connect", re.IGNORECASE)


class Entry(NamedTuple):
    """A file in a folder of an object store.

    Attributes
    ----------
    size : int
        Bytes.
    time : int
        Time of the last change, in nanoseconds since 1970.
    """

    size: int
    time: int


class ObjectStore:
    """The files below an address; names are relative to it, with slashes.

    Parameters
    ----------
    address : str

    Raises
    ------
    ArtifactError
        If the address is not valid or its scheme is unknown.
    """

    def __init__(self, address: str) -> None:
        self.address = address
        self._files, self._root = _opened(address)

    def folder(self, name: str) -> ObjectStore:
        """Return the files of a folder, ".." included, without another connection."""
        other = copy.copy(self)
        other.address, other._root = joined(self.address, name), self._path(name)
        return other

    def entries(self) -> dict[str, Entry]:
        """List all files, those in folders included; none if there is no such folder.

        Raises
        ------
        ArtifactError
            If they cannot be listed, or there is no such bucket.
        """
        from pyarrow.fs import FileSelector, FileType

        with self._errors("read"):
            selector = FileSelector(self._root, recursive=True, allow_not_found=True)
            found = [
                one for one in self._files.get_file_info(selector) if one.type == FileType.File
            ]
            if not found:
                self._check_bucket()
        start = len(self._root) + 1
        return {one.path[start:]: Entry(one.size, one.mtime_ns or 0) for one in found}

    def _check_bucket(self) -> None:
        from pyarrow.fs import FileType

        bucket = self._root.split("/")[0]
        if self._files.get_file_info(bucket).type == FileType.NotFound:
            raise FileNotFoundError(f"bucket does not exist: {bucket}")

    def read(self, name: str) -> bytes:
        """Return the content of a small file.

        Raises
        ------
        ArtifactError
        """
        with self._errors("read", name), self._files.open_input_file(self._path(name)) as file:
            content: bytes = file.readall()
            return content

    def ranges(self, name: str) -> Ranges:
        """Open a file of which some ranges of bytes are read.

        Raises
        ------
        ArtifactError
        """
        with self._errors("read", name):
            file = self._files.open_input_file(self._path(name))
            return Ranges(self, name, file)

    def fetch(
        self,
        sizes: Mapping[str, int],
        folder: Path,
        on_progress: Progress = lambda done, total: None,
    ) -> None:
        """Copy files to a local folder, large ones in parts at the same time.

        Parameters
        ----------
        sizes : mapping of int
            Bytes by name.
        folder : Path
        on_progress : callable, optional
            Called with the number of bytes that have been copied, and of all.

        Raises
        ------
        ArtifactError
            If a file cannot be read, or has another size.
        OSError
            If it cannot be written.
        """
        for name, size in sizes.items():
            (folder / name).parent.mkdir(parents=True, exist_ok=True)
            with (folder / name).open("wb") as file:
                file.truncate(size)
        parts = [
            (name, start, min(start + _PART, size))
            for name, size in sizes.items()
            for start in range(0, size, _PART)
        ]
        files = {name: self.ranges(name) for name, size in sizes.items() if size}
        done, total = [0], sum(sizes.values())

        def fetch_part(number: int) -> None:
            name, start, stop = parts[number]
            content = files[name].read(start, stop)
            with (folder / name).open("r+b") as file:
                file.seek(start)
                file.write(content)
            done[0] += len(content)
            on_progress(done[0], total)

        each(fetch_part, len(parts), _REQUESTS)

    def upload(self, name: str, source: Path | bytes) -> None:
        """Replace a file by the content of a local one, or by bytes.

        Ctrl-C waits for the end: the library would complete an object that is only half written.

        Raises
        ------
        ArtifactError
        """
        _in_full(lambda: self._upload(name, source))

    def _upload(self, name: str, source: Path | bytes) -> None:
        with (
            self._errors("written", name),
            self._files.open_output_stream(self._path(name)) as target,
        ):
            pieces = [source] if isinstance(source, bytes) else _pieces(source)
            for number, piece in enumerate(pieces, 1):
                target.write(piece)
                if number % _REQUESTS == 0:
                    target.flush()  # waits: pieces that are not sent are in memory

    def delete(self, name: str) -> None:
        """Delete a file, if there is one.

        Raises
        ------
        ArtifactError
        """
        with self._errors("written", name), contextlib.suppress(FileNotFoundError):
            self._files.delete_file(self._path(name))

    def _path(self, name: str) -> str:
        return posixpath.normpath(posixpath.join(self._root, name))

    @contextlib.contextmanager
    def _errors(self, done: str, name: str = "") -> Iterator[None]:
        """Convert errors of the store to an `ArtifactError` that names the address."""
        try:
            yield
        except (OSError, ValueError) as error:  # Arrow's other errors are of these kinds too
            place = without_options(self.address) + (f"/{name}" if name else "")
            raise _as_artifact_error(error, place, done) from error


class Ranges:
    """An open file in an object store, of which ranges are read.

    Attributes
    ----------
    size : int
        Bytes of the file.
    """

    def __init__(self, store: ObjectStore, name: str, file: Any) -> None:
        self._store, self._name, self._file = store, name, file
        self.size: int = file.size()

    def read(self, start: int, stop: int) -> bytes:
        """Return the bytes `start` to ``stop - 1``; several threads may read.

        Raises
        ------
        ArtifactError
            If they cannot be read, or the file is shorter.
        """
        with self._store._errors("read", self._name):
            content: bytes = self._file.read_at(stop - start, start)
            if len(content) != stop - start:
                raise OSError(f"has only {start + len(content)} bytes")
        return content


def _pieces(path: Path) -> Iterator[bytes]:
    with path.open("rb") as file:
        while piece := file.read(_PART):
            yield piece


def _in_full(work: Callable[[], None]) -> None:
    """Run work in a thread, and wait for its end even if an exception interrupts this thread."""
    done: Future[None] = Future()

    def run() -> None:
        try:
            work()
        except BaseException as error:
            done.set_exception(error)
        else:
            done.set_result(None)

    thread = threading.Thread(target=run)
    try:
        thread.start()
        done.result()
    finally:
        if thread.ident is not None:  # it has started
            thread.join()


def _opened(address: str) -> tuple[Any, str]:
    """Return the file system of an address, and the path in it."""
    from pyarrow.fs import FileSystem

    place = without_options(address)
    try:
        files, path = FileSystem.from_uri(_limited(address))
    except (OSError, ValueError, NotImplementedError) as error:
        reason = str(error).splitlines()[0]
        if "Unrecognized filesystem" in reason:
            scheme = urlsplit(address).scheme
            rule, remedy = f"unknown scheme {scheme}://", f"use a local path, or {_SCHEMES}"
            raise ArtifactError(rule, place=place, remedy=remedy) from error
        raise _as_artifact_error(error, place, "opened") from error
    if not path.strip("/"):
        place = address.partition("?")[0]
        raise ArtifactError("names no bucket", place=place, remedy="use s3://bucket/folder")
    return files, path.rstrip("/")


def _limited(address: str) -> str:
    """Limit how long requests to Google are repeated, unless the address does."""
    if urlsplit(address).scheme not in _GOOGLE or _LIMIT in address:
        return address
    return f"{address}{'&' if '?' in address else '?'}{_LIMIT}={_SECONDS}"


def _as_artifact_error(error: Exception, place: str, done: str) -> ArtifactError:
    """Return the error of one line for what Arrow raised, whose texts are long."""
    text = " ".join(str(error).split())
    known = _AWS.search(text)
    reason = (known[2] if known else text.partition(". Detail")[0]).strip(" .:") or text
    if _MISSING.search(text):
        reason, remedy = "the bucket does not exist", "create it, or choose another"
    elif _DENIED.search(text):
        remedy = "set credentials with access, such as AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY"
    elif _NETWORK.search(text):
        remedy = "check the network and the address of the store (endpoint_override)"
    else:
        remedy = ""
    return ArtifactError(f"cannot be {done}: {reason}", place=place, remedy=remedy)

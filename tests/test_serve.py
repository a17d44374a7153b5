"""The command `mfcli serve` as a process: its start and end, signals, new models, slow clients."""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO, Any, NamedTuple, cast
from urllib.error import HTTPError
from urllib.request import urlopen

import pytest
from conftest import Run
from serving import command, trained

from mfcli.errors import ArtifactError
from mfcli.server import watching
from mfcli.server.loading import Loader

WITHIN = 30  # seconds until a test gives up; a busy machine is slow
ON_POSIX = pytest.mark.skipif(os.name == "nt", reason="Windows has no such signals")

# With short limits of time and few connections; the rest is the command.
SHORT = """
import sys
from mfcli.server import connections, decoding
connections._HEADERS, connections._WRITING, connections.MOST = 0.5, 0.5, 4
decoding._PATIENCE = 0.5
from mfcli.cli import app, run_until_signal
run_until_signal(lambda: app(["serve", *sys.argv[1:]], prog_name="mfcli"))
"""


# With few files that may be open, as some systems begin with, but more are possible.
FEW_FILES = """
import resource
hard = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
resource.setrlimit(resource.RLIMIT_NOFILE, (128, hard))
"""


class Server(NamedTuple):
    """A running server."""

    process: subprocess.Popen[str]
    port: int

    def get(self, path: str) -> Any:
        with urlopen(f"http://127.0.0.1:{self.port}{path}", timeout=WITHIN) as answer:
            return json.load(answer)

    def connected(self) -> socket.socket:
        return socket.create_connection(("127.0.0.1", self.port), timeout=WITHIN)

    def ended_by(self, number: int) -> tuple[int, float, str]:
        """Send a signal; return the status, the seconds until the end, and what was printed."""
        begin = time.monotonic()
        self.process.send_signal(number)
        _, err = self.process.communicate(timeout=WITHIN)
        return self.process.returncode, time.monotonic() - begin, err


@contextmanager
def serving(folder: Path, *options: object, code: str = "") -> Iterator[Server]:
    """Start the command on a free port, and wait for its line."""
    start = ["-c", code] if code else ["-m", "mfcli", "serve"]
    process = subprocess.Popen(
        [sys.executable, *start, "--port", "0", *map(str, options)],
        cwd=folder,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    try:
        line = cast(IO[str], process.stdout).readline()
        assert "serving at http://127.0.0.1:" in line, process.communicate(timeout=WITHIN)
        yield Server(process, int(line.partition("127.0.0.1:")[2].partition("/")[0]))
    finally:
        process.kill()
        process.communicate()


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return trained(tmp_path_factory.mktemp("serve"), "sgd")


def status_of(reply: bytes) -> int:
    return int(reply.split()[1]) if reply else 0


def everything(connection: socket.socket) -> bytes:
    """Read until the other side closes the connection."""
    found = b""
    while piece := connection.recv(1 << 16):
        found += piece
    return found


def lines(*headers: str) -> bytes:
    return "\r\n".join([*headers, "", ""]).encode()


# Start and end


@ON_POSIX
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_signals_end_it_soon_and_without_a_word(folder: Path, number: int) -> None:
    with serving(folder) as server:
        assert server.get("/model")["split"]
        with server.connected() as idle:  # does not delay the end
            idle.sendall(b"GET /health HTT")
            status, seconds, err = server.ended_by(number)
    assert (status, err) == (128 + number, "")
    assert seconds < 5  # 2 seconds on a machine that is not busy


@ON_POSIX
def test_requests_are_finished_after_a_signal(folder: Path) -> None:
    body = b'{"pairs": [{"user": 100, "item": 3}]}'
    with serving(folder) as server, server.connected() as connection:
        head = lines(
            "POST /predict HTTP/1.1",
            f"Host: 127.0.0.1:{server.port}",
            "Content-Type: application/json",
            f"Content-Length: {len(body)}",
        )
        connection.sendall(head + body[:10])
        while server.get("/health")["status"] != "ok":
            time.sleep(0.01)
        server.process.send_signal(signal.SIGTERM)
        wait_until(lambda: not is_open(server.port))
        connection.sendall(body[10:])
        assert status_of(everything(connection)) == 200
        assert server.process.wait(WITHIN) == 128 + signal.SIGTERM


def is_open(port: int) -> bool:
    try:
        socket.create_connection(("127.0.0.1", port), timeout=WITHIN).close()
    except OSError:
        return False
    return True


def wait_until(is_so: Any) -> None:
    end = time.monotonic() + WITHIN
    while not is_so():
        assert time.monotonic() < end
        time.sleep(0.02)


def test_a_port_in_use_is_one_line(run: Run, folder: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        failed = run("serve", "--model", folder / "model", "--port", port)
    assert failed.code == 2
    assert failed.err == (
        f"error: cannot listen on 127.0.0.1, port {port}: address already in use; choose another"
        " --port, or --port 0 for a free one\n"
    )


@pytest.mark.parametrize("host", ["203.0.113.7", "no.such.host.invalid", "a..b"])
def test_another_address_is_one_line(run: Run, folder: Path, host: str) -> None:
    failed = run("serve", "--model", folder / "model", "--host", host, "--port", 0)
    assert failed.code == 2
    assert failed.err.startswith(f"error: cannot listen on {host}, port 0: ")
    assert failed.err.endswith("; choose another --host\n")


def test_errors_of_the_model_are_those_of_other_commands(run: Run, folder: Path) -> None:
    for options, text in {
        (): "error: model: holds no model; train one with: mfcli train\n",
        ("--model", folder / "model", "--split", "no"): "error: no: holds no split",
        ("--title-col", "x"): "error: --title-col is not used without --titles; omit it\n",
        ("--encoding", "cp1252"): "error: --encoding is not used without --titles; omit it\n",
    }.items():
        failed = run("serve", "--port", 0, *options)
        assert failed.code in (1, 2)
        assert failed.err.startswith(text)
        assert failed.out == ""


def test_another_split_is_refused_and_none_is_possible(
    run: Run, folder: Path, tmp_path: Path
) -> None:
    (tmp_path / "other.csv").write_text("user,item,rating\n" + "".join(
        f"{n % 7},{n % 5},{n % 4 + 1}\n" for n in range(70)
    ))  # fmt: skip
    assert run("split", "other.csv", "--quiet").code == 0
    failed = run("serve", "--model", folder / "model", "--port", 0)
    assert failed.code == 1
    assert "name its split with --split, or serve it without one: --split none" in failed.err
    with serving(tmp_path, "--model", folder / "model", "--split", "none") as server:
        assert not server.get("/model")["split"]


def test_a_missing_library_is_named(folder: Path) -> None:
    code = "import sys; sys.modules['starlette'] = None; from mfcli.cli import app; app(['serve'])"
    failed = subprocess.run(
        [sys.executable, "-c", code], cwd=folder, capture_output=True, text=True, timeout=WITHIN
    )
    assert failed.returncode == 2
    assert "a server needs Starlette and uvicorn" in failed.stderr
    assert failed.stderr.endswith('; pip install "mfcli[serve]"\n')


# New models


@ON_POSIX
@pytest.mark.parametrize("how", ["--reload", "SIGHUP"])
def test_a_new_model_is_served_without_dropping_a_request(tmp_path: Path, how: str) -> None:
    """Each answer is that of one of both models; a damaged model changes nothing."""
    folder = trained(tmp_path / "run", "sgd")
    asked = "/users/100/recommendations?n=5"
    with serving(folder, *(["--reload"] if how == "--reload" else [])) as server:
        before, first = server.get("/model"), server.get(asked)
        answers: list[Any] = []
        stop = threading.Event()

        def ask() -> None:
            while not stop.is_set():
                answers.append(server.get(asked))

        clients = [threading.Thread(target=ask) for _ in range(3)]
        for client in clients:
            client.start()
        command(folder, "train", "--quiet", "--epochs", 1, "--k", 5)
        if how == "SIGHUP":
            server.process.send_signal(signal.SIGHUP)
        wait_until(lambda: server.get("/health")["model"] != before["digest"])
        last = server.get(asked)
        stop.set()
        for client in clients:
            client.join()
        assert server.get("/model")["k"] == 5
        assert first != last
        assert first in answers
        assert all(answer in (first, last) for answer in answers)
        record = folder / "model" / "model.json"
        record.write_bytes(record.read_bytes()[:-30])
        if how == "SIGHUP":
            server.process.send_signal(signal.SIGHUP)
        err = cast(IO[str], server.process.stderr).readline()
        assert err.startswith("warning: the earlier model is served on, because the new one failed")
        assert server.get(asked) == last
        status, _, rest = server.ended_by(signal.SIGTERM)
    assert (status, rest) == (128 + signal.SIGTERM, "")


def test_files_that_change_while_they_are_first_loaded_are_loaded_again(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(watching, "_INTERVAL", 0.001)
    acted = threading.Semaphore(0)
    watching.watch("old", lambda: "new", acted.release)
    assert acted.acquire(timeout=WITHIN)
    assert not acted.acquire(timeout=0.1)  # once


def test_many_requests_to_reload_load_once_more() -> None:
    begun, go_on = threading.Semaphore(0), threading.Event()

    def load() -> Any:
        begun.release()
        assert go_on.wait(WITHIN)
        raise ArtifactError("is damaged", place="model")

    loader = Loader(load)
    loader.start()
    assert begun.acquire(timeout=WITHIN)
    threads = threading.active_count()
    for _ in range(100):
        loader.start()
    assert threading.active_count() <= threads + 1
    go_on.set()
    loader.join()
    assert begun.acquire(timeout=WITHIN)
    assert not begun.acquire(blocking=False)


@ON_POSIX
def test_a_hangup_of_its_terminal_ends_it(folder: Path) -> None:
    import pty

    main, other = pty.openpty()
    process = subprocess.Popen(
        [sys.executable, "-m", "mfcli", "serve", "--port", "0"],
        cwd=folder,
        stdin=other,
        stdout=other,
        stderr=other,
        start_new_session=True,
    )
    os.close(other)
    try:
        assert b"serving at" in os.read(main, 1000)
        os.close(main)
        process.send_signal(signal.SIGHUP)
        assert process.wait(WITHIN) == 128 + signal.SIGTERM
    finally:
        process.kill()
        process.wait()


# Slow and many clients


@pytest.fixture(scope="module")
def impatient(folder: Path) -> Iterator[Server]:
    with serving(folder, code=SHORT) as server:
        yield server


@pytest.mark.parametrize("start", [b"", b"G", b"GET / HTTP/1.1\r\nHost: x\r\nX-"])
def test_clients_that_send_no_request_are_disconnected(impatient: Server, start: bytes) -> None:
    with impatient.connected() as connection:
        connection.sendall(start)
        reply = everything(connection)
    assert status_of(reply) == 408
    assert b"application/problem+json" in reply


def test_clients_that_send_headers_slowly_are_disconnected(impatient: Server) -> None:
    """Each byte comes in time, but not all."""
    with impatient.connected() as connection:
        reply = trickled(connection, b"GET /health HTTP/1.1\r\nX-Long: " + b"a" * 500)
    assert status_of(reply) == 408


def test_clients_that_send_bodies_slowly_are_disconnected(impatient: Server) -> None:
    for declared in ("Content-Length: 1000", "Transfer-Encoding: chunked"):
        head = lines(
            "POST /predict HTTP/1.1",
            "Host: localhost",
            "Content-Type: application/json",
            declared,
        )
        with impatient.connected() as connection:
            connection.sendall(head)
            piece = b"1\r\n \r\n" if "chunked" in declared else b" "
            reply = trickled(connection, piece * 500, len(piece))
        assert status_of(reply) == 408
        assert b"connection: close" in reply.lower()


def test_bodies_that_nobody_reads_do_not_hold_a_connection(impatient: Server) -> None:
    head = lines("GET /health HTTP/1.1", "Host: localhost", "Content-Length: 1000")
    with impatient.connected() as connection:
        connection.sendall(head)
        assert status_of(trickled(connection, b" " * 500)) == 200


def trickled(connection: socket.socket, data: bytes, size: int = 1) -> bytes:
    """Send data slowly until the other side closes the connection; return what it sent."""
    connection.settimeout(0.05)
    found, end = b"", time.monotonic() + WITHIN
    for start in range(0, len(data), size):
        assert time.monotonic() < end
        try:
            connection.sendall(data[start : start + size])
            piece = connection.recv(1 << 16)
        except TimeoutError:
            continue
        except OSError:  # closed, while data was on its way
            return found
        if not piece:
            return found
        found += piece
    raise AssertionError("the connection stayed open")


def test_clients_that_do_not_read_are_disconnected(impatient: Server) -> None:
    with impatient.connected() as connection:
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        request = lines("GET /openapi.json HTTP/1.1", "Host: localhost")
        with pytest.raises(OSError):  # noqa: PT011  # a reset, or a closed pipe
            for _ in range(100_000):
                connection.sendall(request)


def test_connections_are_limited(impatient: Server) -> None:
    others = [impatient.connected() for _ in range(4)]
    try:
        with impatient.connected() as connection:
            assert status_of(everything(connection)) == 503
    finally:
        for other in others:
            other.close()
    wait_until(lambda: answers(impatient))


@ON_POSIX
def test_more_connections_than_files_do_no_harm(folder: Path) -> None:
    """Each is refused with a word, and none of them is written to the log."""
    with serving(folder, code=FEW_FILES + SHORT) as server:
        crowd = [server.connected() for _ in range(300)]
        statuses = [status_of(everything(connection)) for connection in crowd]
        for connection in crowd:
            connection.close()
        assert {*statuses} == {408, 503}
        assert answers(server)
        assert server.ended_by(signal.SIGTERM)[2] == ""


def answers(server: Server) -> bool:
    try:
        return bool(server.get("/health")["status"] == "ok")
    except (HTTPError, OSError):
        return False


@pytest.mark.parametrize(
    "request_",
    [
        b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03",
        b"GET / HTTP/1.1\r\n\r\n",
        b"GET /\xff HTTP/1.1\r\nHost: x\r\n\r\n",
        b"GET / HTTP/1.1\r\nHost: a\r\nHost: b\r\n\r\n",
        b"GET / HTTP/1.1\r\nHost: x\r\nContent-Length: -5\r\n\r\n",
        b"POST /predict HTTP/1.1\r\nHost: x\r\nContent-Length: 3\r\nContent-Length: 4\r\n\r\n",
    ],
)
def test_malformed_requests_are_problems(impatient: Server, request_: bytes) -> None:
    with impatient.connected() as connection:
        connection.sendall(request_)
        reply = everything(connection)
    assert status_of(reply) == 400
    assert b"application/problem+json" in reply
    assert b"\r\nserver:" not in reply.lower()


@pytest.mark.parametrize("start", [b"GET / HTTP/1.1\r\nHost: x\r\nX: ", b"GET /"])
def test_endless_headers_are_refused(impatient: Server, start: bytes) -> None:
    with impatient.connected() as connection:
        try:
            connection.sendall(start + b"a" * 1_000_000)
            assert status_of(everything(connection)) == 400
        except OSError:  # closed, while more was on its way
            pass
    assert impatient.get("/health")["status"] == "ok"


def test_it_is_calm_after_all_that(impatient: Server) -> None:
    """Nothing was printed, and it answers as before."""
    assert impatient.get("/items?n=1")["items"]
    status, _, err = impatient.ended_by(signal.SIGTERM)
    assert err == ""
    assert status == 128 + signal.SIGTERM

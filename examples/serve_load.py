"""Measure how fast a server answers a steady stream of requests, in a second process.

    mfcli serve --model big --split split &
    python examples/serve_load.py --rate 300 --seconds 30

Or let this script start the server, which also measures the time of its start, and its memory:

    python examples/serve_load.py --model big --split split

Requests are sent at fixed times, whether or not earlier ones are answered (an open loop), so that
a server that stalls is measured with all requests that wait for it. Most ask for recommendations
to random users.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import random
import re
import socket
import statistics
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from itertools import chain
from pathlib import Path
from typing import Any
from urllib.parse import quote, urlsplit
from urllib.request import urlopen

MIX = {"recommendations": 70, "similar": 8, "predict": 8, "new user": 8, "search": 6}
"""Kinds of requests, and percentages."""
CONNECTIONS = 64
LATE = 10.0  # seconds to wait for the last answers


def requests(users: list[Any], items: list[Any], seed: int) -> Iterator[tuple[str, str, bytes]]:
    """Yield random requests: kind, path and body."""
    draw = random.Random(seed)
    for kind in iter(lambda: draw.choices([*MIX], [*MIX.values()])[0], None):
        item, user = draw.choice(items), quote(str(draw.choice(users)), safe="")
        if kind == "recommendations":
            yield kind, f"/users/{user}/recommendations?n=10", b""
        elif kind == "similar":
            yield kind, f"/items/{quote(str(item), safe='')}/similar", b""
        elif kind == "predict":
            pairs = [{"user": draw.choice(users), "item": one} for one in draw.sample(items, 3)]
            yield kind, "/predict", json.dumps({"pairs": pairs}).encode()
        elif kind == "new user":
            rated = [{"item": one, "rating": draw.randint(1, 5)} for one in draw.sample(items, 10)]
            yield kind, "/recommendations", json.dumps({"ratings": rated}).encode()
        else:
            yield kind, f"/items?q={quote(str(item)[:2])}", b""


class Client:
    """Sends requests over connections that are kept open."""

    def __init__(self, address: tuple[str, int]) -> None:
        self._address, self._idle = address, []
        self._free = asyncio.Semaphore(CONNECTIONS)

    async def send(self, path: str, body: bytes) -> int:
        """Send a request, read the answer and return its status."""
        async with self._free:
            while self._idle and self._idle[-1][0].at_eof():  # closed by the server
                self._idle.pop()
            if not self._idle:
                self._idle.append(await asyncio.open_connection(*self._address))
            reader, writer = connection = self._idle.pop()
            host, port = self._address
            lines = [f"{'POST' if body else 'GET'} {path} HTTP/1.1", f"Host: {host}:{port}"]
            if body:
                lines += ["Content-Type: application/json", f"Content-Length: {len(body)}"]
            writer.write("\r\n".join([*lines, "", ""]).encode() + body)
            head = await reader.readuntil(b"\r\n\r\n")
            size = re.search(rb"content-length: (\d+)", head, re.IGNORECASE)
            await reader.readexactly(int(size[1]) if size else 0)
            self._idle.append(connection)
            return int(head.split()[1])


async def load(
    address: tuple[str, int], stream: Iterator[tuple[str, str, bytes]], rate: float, seconds: float
) -> tuple[dict[str, list[float]], Counter[str]]:
    """Send a stream of requests; return the times of each kind, in ms, and the errors."""
    client, times, errors = Client(address), {kind: list[float]() for kind in MIX}, Counter[str]()
    begin, tasks = time.perf_counter(), set()

    async def one(due: float, kind: str, path: str, body: bytes) -> None:
        try:
            status = await client.send(path, body)
        except (OSError, EOFError) as error:
            errors[type(error).__name__] += 1
            return
        times[kind].append(1000 * (time.perf_counter() - due))
        if status != 200:
            errors[f"status {status} ({kind})"] += 1

    for number in range(int(rate * seconds)):
        due = begin + number / rate
        await asyncio.sleep(max(due - time.perf_counter(), 0))
        tasks.add(asyncio.create_task(one(due, *next(stream))))
    _, late = await asyncio.wait(tasks, timeout=LATE)
    errors["unanswered"] += len(late)
    return times, +errors


def get(url: str) -> Any:
    with urlopen(url, timeout=10) as answer:
        return json.load(answer)


def known(url: str) -> tuple[list[Any], list[Any]]:
    """Return random users, and popular items that have training ratings."""
    some = [get(f"{url}/users?q={start}&n=1000") for start in ("", *"123456789")]
    users = {one["user"] for found in some for one in found["users"]}
    items = [one["item"] for one in get(f"{url}/items?n=1000")["items"] if one["count"]]
    return sorted(users), items


def memory(process: int) -> dict[str, int]:
    """Return the memory of a process in MB: its own, and that of files."""
    status = Path(f"/proc/{process}/status").read_text()
    sizes = re.findall(r"Rss(Anon|File):\s+(\d+)", status)
    return {kind: int(size) // 1000 for kind, size in sizes}


@contextmanager
def started(options: list[str]) -> Iterator[tuple[str, int]]:
    """Start a server; yield its URL and process number when it is ready."""
    begin = time.perf_counter()
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    command = [sys.executable, "-m", "mfcli", "serve", "--port", str(port), *options]
    server = subprocess.Popen(command)
    url, first = f"http://127.0.0.1:{port}", 0.0
    try:
        while server.poll() is None:
            try:
                state = get(f"{url}/health")
            except OSError:
                time.sleep(0.005)
                continue
            if not first:
                first = time.perf_counter() - begin
                print(f"first answer after {first:.2f} s")
            if state["status"] == "ok":
                print(f"ready after {time.perf_counter() - begin:.2f} s")
                yield url, server.pid
                return
            time.sleep(0.01)
        sys.exit("the server has ended")
    finally:
        server.terminate()
        server.wait()


def measure(url: str, process: int, rate: float, seconds: float, seed: int) -> int:
    """Print times, errors and memory; return the number of errors."""
    stream = requests(*known(url), seed)
    parts = urlsplit(url)
    address = parts.hostname or "127.0.0.1", parts.port or 80
    asyncio.run(load(address, stream, min(rate, 50), 1))  # connections are open afterwards
    before = memory(process) if process else {}
    times, errors = asyncio.run(load(address, stream, rate, seconds))
    every = sorted(chain.from_iterable(times.values()))
    print(f"{len(every):,} requests, {rate:g} a second")
    for kind, some in {**times, "all": every}.items():
        if len(some) > 1:
            cuts = statistics.quantiles(some, n=1000)
            middle, high = cuts[499], cuts[989]
            print(f"{kind:16} p50 {middle:7.2f} ms   p99 {high:7.2f}   max {max(some):7.2f}")
    print("errors:", dict(errors) or "none")
    if process:
        print("memory in MB, before:", before, "after:", memory(process))
    return errors.total()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--url", default="http://127.0.0.1:8000", help="of a server that runs")
    parser.add_argument("--model", help="start a server with this model")
    parser.add_argument("--split", help="and this split")
    parser.add_argument("--rate", type=float, default=300, help="requests a second")
    parser.add_argument("--seconds", type=float, default=30)
    parser.add_argument("--seed", type=int, default=0)
    args = parser.parse_args()
    how = args.rate, args.seconds, args.seed
    if args.model is None:
        sys.exit(measure(args.url.rstrip("/"), 0, *how) > 0)
    options = ["--model", args.model, *(["--split", args.split] if args.split else [])]
    with started(options) as (url, process):
        failed = measure(url, process, *how)
    sys.exit(failed > 0)


if __name__ == "__main__":
    main()

"""A client of the server, and small models of every kind with splits and titles."""

from __future__ import annotations

import asyncio
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import httpx
import numpy as np
from typer.testing import CliRunner

from mfcli.cli import app
from mfcli.server import Application

ODD = ["a/b", "100%", "wh?t", "ü&ö", "..", ".", "<b>x</b>", "a b", "7", "7.0", "+1", "%2F", "é"]
"""Ids that are not easily put into a path."""

RANKS = ["--target", "rated", "--unrated-weight", 0.1, "--reg", 0.05]
KINDS = {
    "sgd": ["--k", 4, "--epochs", 3],
    "samples": ["--optimizer", "gibbs", "--k", 3, "--epochs", 6, "--keep-samples", 2],
    "als": ["--optimizer", "als", "--k", 3, "--epochs", 3, "--reg", 0.1],
    "ranking": ["--optimizer", "als", "--k", 3, "--epochs", 3, *RANKS],
    "events": ["--optimizer", "als", "--k", 3, "--epochs", 3, *RANKS],
    "text": ["--k", 4, "--epochs", 3],
}
"""Models, and the options that they are trained with."""


@contextmanager
def inside(folder: Path) -> Iterator[None]:
    """Work in a folder."""
    before = Path.cwd()
    os.chdir(folder)
    try:
        yield
    finally:
        os.chdir(before)


def command(folder: Path, *args: object) -> str:
    """Run a command in a folder; return what it prints."""
    with inside(folder):
        done = CliRunner().invoke(app, [str(arg) for arg in args])
    assert done.exit_code == 0, done.output
    return done.stdout


def trained(folder: Path, kind: str) -> Path:
    """Make a folder with `split`, `model` and `titles.csv`."""
    folder.mkdir(exist_ok=True)
    (folder / "data.csv").write_text("\n".join(_lines(kind)) + "\n", encoding="utf-8")
    items = sorted({line.split(",")[1] for line in _lines(kind)[1:]})
    titles = [f'{one},"Títle of <i>{number}</i>, the"' for number, one in enumerate(items[1:])]
    text = "\n".join(["item,title", *titles, '"zz","none"'])
    (folder / "titles.csv").write_text(text + "\n", encoding="utf-8")
    events = ["--feedback", "implicit"] if kind == "events" else []
    command(folder, "split", "data.csv", "--quiet", *events)
    options = KINDS[kind]
    command(folder, "train", "--quiet", *options)
    return folder


def _lines(kind: str) -> list[str]:
    draw = np.random.default_rng(5)
    names = [*ODD, *(f"i{n}" for n in range(20))] if kind == "text" else [*range(3, 36)]
    users = [*ODD, *(f"u{n}" for n in range(20))] if kind == "text" else [*range(100, 140)]
    pairs = [(u, i) for u in users for i in names if draw.random() < 0.5]
    values = draw.integers(1, 11, len(pairs)) / 2
    times = draw.integers(10**9, 10**9 + 10**7, len(pairs))
    rows = zip(pairs, values, times, strict=True)
    return ["user,item,rating,timestamp", *(f"{u},{i},{v:g},{t}" for (u, i), v, t in rows)]


class Client:
    """Sends requests to an application in this process."""

    def __init__(self, app: Application) -> None:
        self._app = app

    def get(self, path: str, **how: Any) -> httpx.Response:
        return self.request("GET", path, **how)

    def post(self, path: str, **how: Any) -> httpx.Response:
        return self.request("POST", path, **how)

    def request(self, method: str, path: str, **how: Any) -> httpx.Response:
        return asyncio.run(self._send(method, path, how))

    async def _send(self, method: str, path: str, how: dict[str, Any]) -> httpx.Response:
        transport = httpx.ASGITransport(self._app)
        async with httpx.AsyncClient(transport=transport, base_url="http://localhost") as client:
            return await client.request(method, path, **how)

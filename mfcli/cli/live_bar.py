"""A live progress bar; apart from `progress.py`, because help does not need it."""

from __future__ import annotations

import math
from collections.abc import Iterable

from rich.console import Console, RenderableType
from rich.progress import BarColumn, Progress, ProgressColumn, Task, TaskID, TextColumn
from rich.table import Column
from rich.text import Text

from mfcli.cli.formatting import printable
from mfcli.cli.progress import Display, Unit, Work, percent

_BAR = 40  # columns, at most


class LiveBar(Display):
    """Shows one bar on a terminal, and a text below it."""

    def __init__(self, console: Console) -> None:
        self._bar = _Bar(
            TextColumn("{task.description}", markup=False),
            BarColumn(None, table_column=Column(max_width=_BAR)),
            _WorkColumn(Column(no_wrap=True)),  # the bar shrinks first
            console=console,
            transient=True,
        )
        self._tasks: dict[Work, TaskID] = {}

    def work(
        self, what: str, unit: Unit = percent, *, until: float = math.inf, logs: bool = True
    ) -> Work:
        work = Work(what, unit, until, self._show)
        self._tasks[work] = self._bar.add_task(work.what, total=None, visible=False, work=work)
        return work

    def event(self, line: str) -> None:
        self._bar.console.print(printable(line), soft_wrap=True)

    def detail(self, text: str) -> None:
        self._bar.detail = text

    def close(self) -> None:
        self._bar.stop()  # shows the cursor again, also after Ctrl-C

    def _show(self, work: Work) -> None:
        self._bar.start()  # does nothing if it is shown
        for other, task in self._tasks.items():
            if other is not work:
                self._bar.update(task, visible=False)
        task, total = self._tasks[work], work.total or None
        self._bar.update(task, completed=work.done, total=total, visible=True)


class _Bar(Progress):
    detail = ""

    def get_renderables(self) -> Iterable[RenderableType]:
        yield from super().get_renderables()
        if self.detail:
            yield Text(self.detail)


class _WorkColumn(ProgressColumn):
    """The amount done and the time left."""

    def render(self, task: Task) -> Text:
        work: Work = task.fields["work"]
        return Text("  ".join(filter(None, (work.amount, work.left))), no_wrap=True)

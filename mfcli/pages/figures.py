"""Charts as figures: caption, legend, drawing and numbers."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Sequence
from dataclasses import dataclass

from markupsafe import Markup

from mfcli.pages.charts import Chart
from mfcli.pages.legends import Entry
from mfcli.pages.tables import Table
from mfcli.pages.templating import rendered

_FIGURE = re.compile(r'<figure class="chart[^>]* id="(chart-[0-9a-f]+)">.*?</figure>', re.DOTALL)


@dataclass(frozen=True)
class Figure:
    """What a chart shows.

    Attributes
    ----------
    title, description, note : str
    table : Table
    drawing : Markup
        Elements of SVG whose places are percentages.
    legend : sequence of Entry
    left, right : sequence of str
        The texts beside the drawing, which make room for themselves.
    above, below : str
        Labels of axes.
    step : float
        The width of a bar, or the height of a row, in percent; 0 for lines.
    rows : float
        The height in rows, if rows are below each other; otherwise 0.
    """

    title: str
    description: str
    table: Table
    drawing: Markup
    note: str = ""
    legend: Sequence[Entry] = ()
    left: Sequence[str] = ()
    right: Sequence[str] = ()
    above: str = ""
    below: str = ""
    step: float = 0
    rows: float = 0

    def chart(self, name: str) -> Chart:
        """Return the markup, whose ids start with a name from `identity`."""
        return Chart(rendered("pages", "chart.html", figure=self, id=name))


def identity(*parts: object) -> str:
    """Return an id for a chart that depends on its contents alone."""
    digest = hashlib.sha256(repr(parts).encode("utf-8", "surrogatepass"))
    return f"chart-{digest.hexdigest()[:12]}"


def distinct(body: str) -> Markup:
    """Return markup in which charts with the same contents have different ids."""
    seen: dict[str, int] = {}

    def renamed(found: re.Match[str]) -> str:
        name = found[1]
        seen[name] = seen.get(name, 0) + 1
        return found[0] if seen[name] == 1 else found[0].replace(name, f"{name}-{seen[name]}")

    return Markup(_FIGURE.sub(renamed, body))

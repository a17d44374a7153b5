"""HTML files that need no other file."""

from __future__ import annotations

import base64
import hashlib
import re
from collections.abc import Sequence

from markupsafe import Markup

from mfcli.pages.figures import distinct
from mfcli.pages.templating import rendered

_ENDS = re.compile(r"</(style|script)|<!--", re.IGNORECASE)


def document(title: str, body: Markup, *, styles: Sequence[str], scripts: Sequence[str]) -> Markup:
    """Make a self-contained HTML file.

    Its content security policy allows exactly these styles and scripts, and requests to nowhere;
    so elements cannot have ``style`` attributes, nor attributes such as ``onclick``.

    Parameters
    ----------
    title : str
        The title of the window.
    body : Markup
        What is between ``<body>`` and ``</body>``. Ids of charts that are equal get numbers.
    styles, scripts : sequence of str
        Texts of CSS and JavaScript.

    Returns
    -------
    Markup

    Raises
    ------
    ValueError
        If a style or script contains the end of its element.
    """
    styles, scripts = [_embedded(s) for s in styles], [_embedded(s) for s in scripts]
    return rendered(
        "pages",
        "document.html",
        title=title,
        body=distinct(body),
        styles=styles,
        scripts=scripts,
        policy=_policy(styles, scripts),
    )


def _embedded(text: str) -> Markup:
    """Return text for a style or script element, with the line breaks that browsers hash."""
    if end := _ENDS.search(text):
        raise ValueError(f"a style or script contains {end[0]!r}")
    return Markup(text.replace("\r\n", "\n"))


def _policy(styles: Sequence[str], scripts: Sequence[str]) -> Markup:
    rules = (
        "default-src 'none'",
        f"style-src {_hashes(styles)}",
        f"script-src {_hashes(scripts)}",
        "img-src data:",
        "base-uri 'none'",
        "form-action 'none'",
    )
    return Markup("; ".join(rules))  # nothing in it is outside text


def _hashes(texts: Sequence[str]) -> str:
    digests = (hashlib.sha256(text.encode()).digest() for text in texts)
    found = (f"'sha256-{base64.b64encode(digest).decode()}'" for digest in digests)
    return " ".join(found) or "'none'"

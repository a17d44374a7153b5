"""Styles and scripts that pages share."""

from __future__ import annotations

from functools import cache
from importlib.resources import files


@cache
def asset(name: str) -> str:
    """Return the text of a file of this package.

    Parameters
    ----------
    name : str
        "base.css" (colors, text, tables), "charts.css" or "charts.js" (data on hover).

    Returns
    -------
    str
    """
    return files("mfcli.pages").joinpath("assets", name).read_text(encoding="utf-8")

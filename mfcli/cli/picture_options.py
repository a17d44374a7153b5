"""The options for the size and the resolution of pictures."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated

import typer

from mfcli import plots
from mfcli.cli.options import FieldsGroup
from mfcli.errors import UsageError

if TYPE_CHECKING:
    from mfcli.plots import Size

_PANEL = "Plot"
_SCREEN = 100  # pixels per inch of pictures whose size is in pixels
_SIZE = re.compile(r"([\d.]+)\s*[xX]\s*([\d.]+)\s*(in|cm|px)?")


@dataclass(frozen=True)
class Picture:
    """The size and the resolution of a picture."""

    size: Annotated[
        str | None,
        typer.Option(
            "--size",
            metavar="WxH",
            help="Width and height in inches, such as 7x4, or 18x10cm or 1200x800px.",
            show_default="as the content needs",
            rich_help_panel=_PANEL,
        ),
    ] = None
    dpi: Annotated[
        int | None,
        typer.Option(
            "--dpi",
            min=1,
            help="Pixels per inch.",
            show_default="300, for print; 100 if the size is in pixels",
            rich_help_panel=_PANEL,
        ),
    ] = None

    @property
    def resolution(self) -> int:
        """Pixels per inch."""
        if self.dpi is None:
            return _SCREEN if self.size and self.size.strip().endswith("px") else plots.DPI
        return self.dpi

    @property
    def inches(self) -> Size | None:
        """The size in inches; None if it is not given.

        Raises
        ------
        UsageError
            If it is not a size.
        """
        if self.size is None:
            return None
        match = _SIZE.fullmatch(self.size.strip())
        try:
            width, height = (float(match[side]) if match else 0.0 for side in (1, 2))
        except ValueError:  # such as 1.2.3
            match = None
        if not match:
            rule = "must be WIDTHxHEIGHT in inches, such as 7x4, or 18x10cm or 1200x800px"
            raise UsageError(rule, param="size", value=self.size)
        unit = {"cm": 2.54, "px": self.resolution}.get(match[3], 1.0)
        return plots.Size(width / unit, height / unit)


PictureOptions = Annotated[Picture, FieldsGroup(Picture)]

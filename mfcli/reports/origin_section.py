"""Versions, digests, and how to make the report again."""

from __future__ import annotations

from collections.abc import Sequence

from mfcli import __version__
from mfcli.reports.blocks import Block, Commands, Facts, Heading, Paragraph, Section
from mfcli.reports.runs import Run
from mfcli.reports.split_data import SplitData

_LEAD = (
    "With these versions, commands and the same file of ratings, everything in this report can be"
    " made again; the digests tell whether files are the same."
)


def origin_section(runs: Sequence[Run], split: SplitData | None, lines: Sequence[str]) -> Section:
    """List versions, digests and commands."""
    text = "In an empty folder with the files that they name:"
    if split and split.updates:
        text = (
            "The split was updated. A model that was updated with it, and not trained again, is"
            f" slightly different from the one that these commands make. {text}"
        )
    blocks: list[Block] = [
        Facts(_facts(runs, split)), Heading("Commands"), Paragraph(text), Commands(lines)
    ]  # fmt: skip
    return Section("origin", "How to make it again", _LEAD, blocks)


def _facts(runs: Sequence[Run], split: SplitData | None) -> list[tuple[str, str]]:
    rows = [("mfcli", f"{__version__} wrote this report")]
    if split and split.source and split.source.sha256:
        rows.append(("ratings, SHA-256", split.source.sha256))
    if split and split.hash:
        rows.append(("split", split.hash))
    for run in runs:
        for fold, model in run.models.items():
            name = " ".join(text for text in ("model of", run.name, fold) if text)
            rows.append((name, f"{model.digest} (mfcli {model.mfcli})"))
        if run.metrics:
            versions = ", ".join(f"{k} {v}" for k, v in run.metrics.protocols[0].versions.items())
            rows.append((f"metrics of {run.name}", f"measured with {versions}"))
    return rows

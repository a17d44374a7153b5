"""Where the model of a server is, and what goes with it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

import pyarrow as pa

from mfcli.errors import Param
from mfcli.model import Model, check_same_split, model_folder
from mfcli.predict import ListedTitles
from mfcli.server.served_model import ServedModel
from mfcli.splits import read_split

_RECORDS = ("model.json", "split.json")


@dataclass(frozen=True)
class Sources:
    """Where the model of a server is, and what goes with it.

    Attributes
    ----------
    model : Path
        A model folder, or the folder of its run.
    split, titles : Path, optional
    encoding : str
        Of the titles.
    title_columns : mapping of str
        As for `read_titles`.
    """

    model: Path
    split: Path | None = None
    titles: Path | None = None
    encoding: str = "utf-8"
    title_columns: Mapping[str, str] = field(default_factory=dict)

    def load(self) -> ServedModel:
        """Read everything.

        Raises
        ------
        ArtifactError, DataError
            If something is missing or damaged, or the model was not trained on the split.
        """
        model = Model.load(self.model)
        split = None
        if self.split is not None:
            split = read_split(self.split)
            remedy: list[str | Param] = [
                "name its split with ", Param("split"), ", or serve it without one: ",
                Param("split", None),
            ]  # fmt: skip
            check_same_split(model, split, self.model, self.split, remedy)
        return ServedModel(model, split, self._titles(model))

    def versions(self) -> list[tuple[int, ...] | None]:
        """Return what changes when a file is replaced."""
        folders = [model_folder(self.model), self.split]
        records = [f and f / name for f, name in zip(folders, _RECORDS, strict=True)]
        return [_version(path) for path in (*records, self.titles)]

    def _titles(self, model: Model) -> pa.Array | None:
        if self.titles is None:
            return None
        titles = ListedTitles(
            self.titles,
            self.encoding,
            title_columns=self.title_columns or None,
            names=model.columns,
        )
        table = titles.added(pa.table({"item": model.items.ids}))
        titles.warn()
        return table["title"].combine_chunks()


def _version(path: Path | None) -> tuple[int, ...] | None:
    try:
        found = path.stat() if path else None
    except OSError:  # it is being replaced, or gone
        return None
    return found and (found.st_dev, found.st_ino, found.st_mtime_ns, found.st_size)

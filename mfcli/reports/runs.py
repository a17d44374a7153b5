"""The runs of a report: what their folders hold."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from mfcli.config import Config
from mfcli.errors import ArtifactError, ConfigError, Param
from mfcli.evaluation import (
    METRICS_FILE,
    FoldMetrics,
    Metrics,
    metrics_file,
    metrics_in,
    read_metrics,
    run_names,
)
from mfcli.model import models_of_run, read_model_record
from mfcli.show import Artifact, find
from mfcli.storage import read_json
from mfcli.training import History


@dataclass(frozen=True)
class Trained:
    """What the record of a model says.

    Attributes
    ----------
    folder : Path
    settings : dict
        Those that training used.
    split : str
        Hash of the split.
    parts : tuple of str
        The parts of the split that it was trained on.
    predicts, feedback : str
        As in `Model`.
    digest : str
        Of the record, which has the digests of the other files.
    mfcli : str
        The version that wrote it.
    """

    folder: Path
    settings: dict[str, Any]
    split: str
    parts: tuple[str, ...]
    predicts: str
    feedback: str
    digest: str
    mfcli: str


@dataclass(frozen=True)
class Run:
    """A run: a model or the models of folds, with what is known about them.

    Attributes
    ----------
    name : str
    folder : Path
    models : dict of Trained
        By the name of the fold, such as "fold 1"; empty for the only model.
    histories : dict of History
        By the name of the fold.
    metrics : Metrics, FoldMetrics or None
    metrics_path : Path
        Where the metrics are, or would be.
    is_held_out : bool
        Whether its split has test ratings, as far as is known.
    """

    name: str
    folder: Path
    models: Mapping[str, Trained]
    histories: Mapping[str, History]
    metrics: Metrics | FoldMetrics | None
    metrics_path: Path
    is_held_out: bool = True

    def places(self, option: str) -> list[Param]:
        """Return the option of a command that names the folder, unless it is the working folder."""
        return [] if str(self.folder) == "." else [Param(option, str(self.folder))]

    @property
    def model(self) -> Trained | None:
        """The only model, or that of the first fold."""
        return next(iter(self.models.values()), None)

    @property
    def settings(self) -> dict[str, Any]:
        """The settings that training used; empty if neither model nor metrics are there."""
        if self.model:
            return self.model.settings
        return dict(self.metrics.training) if self.metrics else {}

    @property
    def config(self) -> Config | None:
        """The same as a `Config`; None if another version of mfcli has written them."""
        try:
            return Config(**self.settings)
        except ConfigError:
            return None

    @property
    def split_hash(self) -> str:
        """The hash of the split that it was trained on; of the first fold, if there are several."""
        if self.model:
            return self.model.split
        return self.metrics.protocols[0].trained_on if self.metrics else ""

    @property
    def predicts(self) -> str:
        """As `Model.predicts`."""
        if self.model:
            return self.model.predicts
        return self.metrics.protocols[0].predicts if self.metrics else "ratings"

    @property
    def is_measurable(self) -> bool:
        """Whether there are test ratings that the model was not trained on."""
        return self.is_held_out and not (self.model and "test" in self.model.parts)


def read_runs(runs: Mapping[str, Path] | Sequence[Path]) -> list[Run]:
    """Read the runs of a report.

    Parameters
    ----------
    runs : mapping by name, or sequence of Path
        Folders of runs, of their models, or files in the folder of a run.

    Raises
    ------
    ArtifactError
        If a folder holds no run, or a file is damaged.
    UsageError
        If a run is named twice.
    """
    folders = [_folder_of(path) for path in (runs.values() if isinstance(runs, Mapping) else runs)]
    if isinstance(runs, Mapping):
        names = list(runs)
    elif len(folders) == 1:  # alone, it is named after its folder
        names = [folders[0].resolve().name]
    else:
        names = run_names([folder / METRICS_FILE for folder in folders])
    given = runs.values() if isinstance(runs, Mapping) else runs
    return [_read(*one) for one in zip(names, folders, given, strict=True)]


def _folder_of(path: Path) -> Path:
    """Return the folder of a run, given its folder, that of its model, or a file in it."""
    if not path.exists():
        raise ArtifactError("does not exist", place=path, remedy="train a run with: mfcli train")
    folder = path if path.is_dir() else path.parent
    return models_of_run(folder)[0] if (folder / "model.json").exists() else folder


def _read(name: str, folder: Path, given: Path) -> Run:
    found = _artifacts(folder)
    file = _metrics_file(folder, given)
    return Run(
        name=name,
        folder=folder,
        models={_fold(one): _trained(one.path) for one in found if one.kind == "model"},
        histories={_fold(one): History.read(one.path) for one in found if one.kind == "history"},
        metrics=read_metrics(file) if file else None,
        metrics_path=file or folder / METRICS_FILE,
    )


def _artifacts(folder: Path) -> list[Artifact]:
    """Return the models, histories and metrics of a run: of its only model, or of its folds."""
    found = [one for one in find(folder) if one.kind in ("model", "history", "metrics")]
    if not found:
        remedy = "train one with: mfcli train"
        raise ArtifactError("holds no model, history or metrics", place=folder, remedy=remedy)
    trained = {one.fold for one in found if one.kind != "metrics"}
    # A run may have been trained again, on another split; then older folds are still there.
    return [one for one in found if (one.fold is None) == (None in trained or not trained)]


def _metrics_file(folder: Path, given: Path) -> Path | None:
    """Return the metrics of a run: the file that was named, or those on test ratings."""
    files = metrics_in(folder)
    named = next((file for file in files if given.is_file() and file.samefile(given)), None)
    return named or (metrics_file(folder) if files else None)


def _fold(artifact: Artifact) -> str:
    return f"fold {artifact.fold}" if artifact.fold else ""


def _trained(folder: Path) -> Trained:
    record = read_model_record(folder)
    return Trained(
        folder=folder,
        settings=record.settings,
        split=record.split,
        parts=record.trained_on,
        predicts=record.predicts,
        feedback=record.feedback,
        digest=str(read_json(folder / "model.json", remedy="train again")["digest"]),
        mfcli=record.mfcli,
    )

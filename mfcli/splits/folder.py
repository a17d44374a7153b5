"""The folder of a split: written whole, checked when read, mapped into memory.

A k-fold split keeps one copy of its ratings and vocabularies, the ratings of a fold next to each
other in random order. Each of its folders `fold-1`, `fold-2`, ... is a split too: it tests on its
own fold and trains on the others.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import asdict, replace
from functools import partial
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np

from mfcli import __version__
from mfcli.config import Config
from mfcli.data import (
    Ratings,
    Scale,
    Source,
    Vocabulary,
    read_ratings_arrow,
    read_vocabulary,
    write_ratings,
    write_vocabulary,
)
from mfcli.errors import ArtifactError, DataError
from mfcli.splits.holdout import PARTS, Split, assembled, filter_record, filtered, summary
from mfcli.storage import (
    check_digests,
    check_fields,
    read_manifest,
    replacing_folder,
    sha256,
    write_manifest,
)

FORMAT = 1
MOST_FOLDS = 100
REJECTED = "rejected.csv"
_MANIFEST = "split.json"
_VOCABULARIES = ("users.arrow", "items.arrow")
NAMES = (
    _MANIFEST,
    REJECTED,
    *_VOCABULARIES,
    *(f"{name}.arrow" for name in (*PARTS, "ratings")),
    *(f"fold-{fold}" for fold in range(1, MOST_FOLDS + 1)),
)
_REMEDY = "split again"
_SOURCE = {
    "name": str,
    "files": int,
    "bytes": int,
    "sha256": str,
    "format": str,
    "columns": {str: str},
    "rows": int,
    "duplicates": int,
    "rejected": {str: int},
}
_FIELDS = {
    "mfcli": str,
    "source": (_SOURCE, None),
    "strategy": {"name": str, "removed?": {str: int}, str: (str, float)},
    "ratings": {str: int},
    "scale": {"min": float, "max": float, "step": (float, None)},
    "files": {str: str},
    "hash": str,
}
_FOLDS_FIELDS = {"ends": [int], "strategy": {"folds": int, "valid": float}}
_FOLD_FIELDS = {"fold": int}


def write_split(folder: Path | str, split: Split, rejected: Path | None = None) -> dict[str, Any]:
    """Write a split folder, replacing an older one whole.

    Parameters
    ----------
    folder : Path
    split : Split
    rejected : Path, optional
        List of the rows that were left out; copied into the folder if it exists.

    Returns
    -------
    dict
        What `split.json` says.

    Raises
    ------
    ArtifactError
        If the folder holds files of others or cannot be written.
    """
    with replacing_folder(Path(folder), NAMES) as temporary:
        for name, part in split.parts.items():
            write_ratings(temporary / f"{name}.arrow", part)
        files = [*_VOCABULARIES, *(f"{name}.arrow" for name in split.parts)]
        return _finish(temporary, split.train, summary(split), files, rejected)


def write_folds(
    folder: Path, ratings: Ratings, config: Config, rejected: Path | None = None
) -> dict[str, Any]:
    """Write a k-fold split folder, replacing an older one whole.

    Parameters
    ----------
    folder : Path
    ratings : Ratings
    config : Config
        Its `folds`, `valid`, `min_user`, `min_item` and `seed` are used.
    rejected : Path, optional
        As in `write_split`.

    Returns
    -------
    dict
        What `split.json` says.

    Raises
    ------
    ArtifactError
        If the folder holds files of others or cannot be written.
    DataError
        If there are fewer ratings than folds, or none are left to train on.
    """
    kept = filtered(ratings, config)
    if len(kept) < config.folds:
        raise DataError(f"{len(kept)} ratings do not make {config.folds} folds; lower --folds")
    order = np.random.default_rng(config.seed).permutation(len(kept))
    ends = np.arange(config.folds + 1) * len(kept) // config.folds
    if _validation_size(config.valid, len(kept)) >= len(kept) - np.diff(ends).max():
        raise DataError(
            f"{config.folds} folds and --valid {config.valid:g} leave nothing to train on; lower"
            " --valid"
        )
    record = {"name": "k-fold", "folds": config.folds, "valid": config.valid, "seed": config.seed}
    record |= filter_record(config, ratings, kept)
    description = _folds_summary(kept, kept.scale(), record) | {"ends": ends.tolist()}
    with replacing_folder(folder, NAMES) as temporary:
        write_ratings(temporary / "ratings.arrow", kept.take(order))
        for fold in range(1, config.folds + 1):
            (temporary / f"fold-{fold}").mkdir()
            write_manifest(temporary / f"fold-{fold}" / _MANIFEST, {"format": FORMAT, "fold": fold})
        files = [*_VOCABULARIES, "ratings.arrow"]
        return _finish(temporary, kept, description, files, rejected)


def _folds_summary(ratings: Ratings, scale: Scale, strategy: dict[str, Any]) -> dict[str, Any]:
    """Describe the ratings of a k-fold split, as `split.summary` does those of any other."""
    return {
        "strategy": strategy,
        "source": asdict(ratings.source) if ratings.source else None,
        "users": len(ratings.users),
        "items": len(ratings.items),
        "ratings": {"all": len(ratings)},
        "density": ratings.density,
        "mean": ratings.mean,
        "scale": scale._asdict(),
    }


def _finish(
    folder: Path,
    train: Ratings,
    description: dict[str, Any],
    files: list[str],
    rejected: Path | None,
) -> dict[str, Any]:
    """Write the vocabularies and the manifest of a split folder."""
    write_vocabulary(folder / "users.arrow", train.users)
    write_vocabulary(folder / "items.arrow", train.items)
    if rejected and rejected.exists():
        (folder / REJECTED).write_bytes(rejected.read_bytes())
        files = [*files, REJECTED]
    digests = {name: sha256(folder / name) for name in files}
    manifest = {"format": FORMAT, "mfcli": __version__, **description, "files": digests}
    manifest["hash"] = _files_hash(digests)
    write_manifest(folder / _MANIFEST, manifest)
    return manifest


def folds_of(folder: Path) -> list[Path]:
    """List the folders of the folds of a k-fold split; empty for any other split.

    Raises
    ------
    ArtifactError
        If there is no split, or it is damaged or of a newer format.
    """
    ends = _manifest(folder).get("ends", [0])
    return [folder / f"fold-{fold}" for fold in range(1, len(ends))]


def read_split(folder: Path | str) -> Split:
    """Map a split folder into memory; every file is checked against its digest.

    Raises
    ------
    ArtifactError
        If there is no split, or it is damaged or of a newer format, or it is a k-fold split as a
        whole.
    """
    folder = Path(folder)
    home, manifest, fold = _home(folder)
    if fold:
        return _read_fold(home, manifest, fold)
    if "ends" in manifest:
        raise ArtifactError(f"{folder}: holds folds; name one of them, such as {folder / 'fold-1'}")
    scale, source, strategy = _description(manifest)
    required = [*_VOCABULARIES, "train.arrow", "test.arrow"]
    check_digests(folder, manifest, required)
    users, items = (read_vocabulary(folder / name) for name in _VOCABULARIES)
    part = partial(_read_part, folder, manifest, users, items)
    return Split(
        train=part("train"),
        test=part("test"),
        valid=part("valid") if "valid.arrow" in manifest["files"] else None,
        scale=scale,
        strategy=strategy,
        source=source,
        hash=manifest["hash"],
    )


def describe_split(folder: Path) -> dict[str, Any]:
    """Describe a split, a k-fold split or one of its folds as `split.json` does.

    Every file is checked, and whatever can be counted is counted anew.

    Returns
    -------
    dict
        What `split.summary` gives, the `hash` of the split and the version of `mfcli` it is from.

    Raises
    ------
    ArtifactError
        As `read_split`.
    """
    _, manifest, _ = _home(folder)
    folds = folds_of(folder)
    if folds:
        for fold in folds:
            _home(fold)
        scale, source, strategy = _description(manifest)
        ratings = replace(_read_whole(folder, manifest), source=source)
        described = _folds_summary(ratings, scale, strategy)
    else:
        described = summary(read_split(folder))
    return described | {"hash": split_hash(folder), "mfcli": manifest["mfcli"]}


def split_hash(folder: Path) -> str:
    """Return the hash of a split, a k-fold split or one of its folds; its ratings are not read.

    Raises
    ------
    ArtifactError
        If there is no split, or its `split.json` is damaged or of a newer format.
    """
    _, manifest, fold = _home(folder)
    return _fold_hash(manifest, fold) if fold else str(manifest["hash"])


def _home(folder: Path) -> tuple[Path, dict[str, Any], int]:
    """Find the folder that keeps the ratings of a split, its manifest, and which fold it is.

    For a fold that is the folder of its k-fold split. The fold is 0 for any other split.
    """
    manifest = _manifest(folder)
    if "fold" not in manifest:
        return folder, manifest, 0
    fold, home = manifest["fold"], folder.resolve().parent
    if not (home / _MANIFEST).is_file():
        raise ArtifactError(
            f"{home}: fold {fold} must stay in the folder of its k-fold split, which is not here"
        )
    whole = _manifest(home)
    if not 1 <= fold < len(whole.get("ends", ())):
        raise ArtifactError(f"{folder}: {home} has no fold {fold}; {_REMEDY}")
    return home, whole, fold


def _manifest(folder: Path) -> dict[str, Any]:
    path = folder / _MANIFEST
    if not path.is_file():
        raise ArtifactError(f"{folder}: holds no split; make one with: mfcli split data.csv")
    manifest = read_manifest(path, FORMAT)
    if "fold" in manifest:
        check_fields(path, manifest, _FOLD_FIELDS, _REMEDY)
        return {"fold": manifest["fold"]}
    check_fields(path, manifest, _FIELDS, _REMEDY)
    if manifest["hash"] != _files_hash(manifest["files"]):
        raise ArtifactError(f"{path}: is damaged (its hash is wrong); {_REMEDY}")
    if "ends" in manifest:
        check_fields(path, manifest, _FOLDS_FIELDS, _REMEDY)
        _check_ends(path, manifest["ends"], manifest["strategy"]["folds"])
    return manifest


def _check_ends(path: Path, ends: list[int], folds: int) -> None:
    rising = all(start < end for start, end in pairwise(ends))
    if ends[:1] != [0] or not rising or len(ends) - 1 != folds or not 2 <= folds <= MOST_FOLDS:
        raise ArtifactError(f"{path}: is damaged (its folds are no ranges); {_REMEDY}")


def _description(
    manifest: Mapping[str, Any],
) -> tuple[Scale, Source | None, dict[str, Any]]:
    source, scale = manifest["source"], manifest["scale"]
    return (
        Scale(*(scale[name] for name in Scale._fields)),
        Source(**{name: source[name] for name in _SOURCE}) if source else None,
        manifest["strategy"],
    )


def _read_part(
    folder: Path, manifest: Mapping[str, Any], users: Vocabulary, items: Vocabulary, name: str
) -> Ratings:
    part = read_ratings_arrow(folder / f"{name}.arrow", users, items)
    if len(part) != manifest["ratings"].get(name) or not len(part):
        raise ArtifactError(f"{folder}: {name} does not hold the ratings it should; split again")
    return part


def _read_whole(folder: Path, manifest: dict[str, Any]) -> Ratings:
    """Read the ratings that the folds of a k-fold split share."""
    check_digests(folder, manifest, [*_VOCABULARIES, "ratings.arrow"])
    users, items = (read_vocabulary(folder / name) for name in _VOCABULARIES)
    ratings = read_ratings_arrow(folder / "ratings.arrow", users, items)
    if len(ratings) != manifest["ends"][-1]:
        raise ArtifactError(f"{folder}: does not hold the ratings it should; {_REMEDY}")
    return ratings


def _read_fold(folder: Path, manifest: dict[str, Any], fold: int) -> Split:
    """Read the shared ratings of a k-fold split as one of its folds has them.

    The ratings lie in random order, so the first of the other folds serve to validate.
    """
    ratings = _read_whole(folder, manifest)
    scale, source, strategy = _description(manifest)
    start, end = manifest["ends"][fold - 1 : fold + 1]
    others = np.concatenate([np.arange(end, len(ratings)), np.arange(start)])
    rows = {"train": others, "test": np.arange(start, end)}
    if strategy["valid"]:
        count = _validation_size(strategy["valid"], len(ratings))
        if not 0 < count < len(others):
            raise ArtifactError(f"{folder}: leaves fold {fold} nothing to train on; {_REMEDY}")
        rows |= {"train": others[count:], "valid": others[:count]}
    parts = {name: ratings.take(own) for name, own in rows.items()}
    made = assembled(parts, scale, strategy | {"fold": fold})
    return replace(made, source=source, hash=_fold_hash(manifest, fold))


def _validation_size(share: float, ratings: int) -> int:
    return max(round(share * ratings), 1) if share else 0


def _files_hash(digests: Mapping[str, str]) -> str:
    return _hash({name: digest for name, digest in digests.items() if name != REJECTED})


def _fold_hash(manifest: Mapping[str, Any], fold: int) -> str:
    return _hash({"fold": str(fold), "of": manifest["hash"]})


def _hash(digests: Mapping[str, str]) -> str:
    lines = [f"{digest}  {name}\n" for name, digest in sorted(digests.items())]
    return hashlib.sha256("".join(lines).encode(errors="backslashreplace")).hexdigest()

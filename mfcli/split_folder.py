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
from pathlib import Path
from typing import Any

import numpy as np

from mfcli import __version__
from mfcli.config import Config
from mfcli.errors import ArtifactError, DataError
from mfcli.files import check_digests, read_manifest, replacing_folder, sha256, write_manifest
from mfcli.ratings import (
    Ratings,
    Scale,
    Source,
    Vocabulary,
    read_ratings_arrow,
    read_vocabulary,
    write_ratings,
    write_vocabulary,
)
from mfcli.splitting import PARTS, Split, assembled, filter_record, filtered, summary

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
    description = _described(kept, config) | {"ends": ends.tolist()}
    description["strategy"] |= filter_record(config, ratings, kept)
    with replacing_folder(folder, NAMES) as temporary:
        write_ratings(temporary / "ratings.arrow", kept.take(order))
        for fold in range(1, config.folds + 1):
            (temporary / f"fold-{fold}").mkdir()
            write_manifest(temporary / f"fold-{fold}" / _MANIFEST, {"format": FORMAT, "fold": fold})
        files = [*_VOCABULARIES, "ratings.arrow"]
        return _finish(temporary, kept, description, files, rejected)


def _described(ratings: Ratings, config: Config) -> dict[str, Any]:
    """Describe the ratings of a k-fold split, as `summary` does those of any other."""
    record = {"name": "k-fold", "folds": config.folds, "valid": config.valid, "seed": config.seed}
    return {
        "strategy": record,
        "source": asdict(ratings.source) if ratings.source else None,
        "users": len(ratings.users),
        "items": len(ratings.items),
        "ratings": {"all": len(ratings)},
        "density": ratings.density,
        "mean": ratings.mean,
        "scale": ratings.scale()._asdict(),
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
    manifest["hash"] = _hash({n: d for n, d in digests.items() if n != REJECTED})
    write_manifest(folder / _MANIFEST, manifest)
    return manifest


def folds_of(folder: Path) -> list[Path]:
    """List the folders of the folds of a k-fold split; empty for any other split.

    Raises
    ------
    ArtifactError
        If there is no split, or it is damaged or of a newer format.
    """
    folds = _manifest(folder).get("strategy", {}).get("folds", 0)
    return [folder / f"fold-{fold}" for fold in range(1, folds + 1)]


def read_split(folder: Path | str) -> Split:
    """Map a split folder into memory; every file is checked against its digest.

    Raises
    ------
    ArtifactError
        If there is no split, or it is damaged or of a newer format, or it is a k-fold split as a
        whole.
    """
    folder = Path(folder)
    manifest = _manifest(folder)
    if "fold" in manifest:
        return _read_fold(folder.resolve().parent, int(manifest["fold"]))
    if "ends" in manifest:
        raise ArtifactError(f"{folder}: holds folds; name one of them, such as {folder / 'fold-1'}")
    path = folder / _MANIFEST
    try:
        scale, source, strategy = _description(manifest)
    except (KeyError, TypeError, AttributeError) as error:
        raise ArtifactError(f"{path}: is damaged ({error!r}); split again") from error
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


def _manifest(folder: Path) -> dict[str, Any]:
    path = folder / _MANIFEST
    if not path.is_file():
        raise ArtifactError(f"{folder}: holds no split; make one with: mfcli split data.csv")
    return read_manifest(path, FORMAT)


def _description(
    manifest: Mapping[str, Any],
) -> tuple[Scale, Source | None, dict[str, Any]]:
    source = Source(**manifest["source"]) if manifest["source"] else None
    return Scale(**manifest["scale"]), source, dict(manifest["strategy"])


def _read_part(
    folder: Path, manifest: Mapping[str, Any], users: Vocabulary, items: Vocabulary, name: str
) -> Ratings:
    part = read_ratings_arrow(folder / f"{name}.arrow", users, items)
    if len(part) != manifest["ratings"].get(name) or not len(part):
        raise ArtifactError(f"{folder}: {name} does not hold the ratings it should; split again")
    return part


def _read_fold(folder: Path, fold: int) -> Split:
    """Read the shared ratings of a k-fold split as one of its folds has them.

    The ratings lie in random order, so the first of the other folds serve to validate.
    """
    if not (folder / _MANIFEST).is_file():
        raise ArtifactError(
            f"{folder}: fold {fold} must stay in the folder of its k-fold split, which is not here"
        )
    manifest = _manifest(folder)
    check_digests(folder, manifest, [*_VOCABULARIES, "ratings.arrow"])
    users, items = (read_vocabulary(folder / name) for name in _VOCABULARIES)
    ratings = read_ratings_arrow(folder / "ratings.arrow", users, items)
    scale, source, strategy = _description(manifest)
    start, end = manifest["ends"][fold - 1 : fold + 1]
    others = np.concatenate([np.arange(end, len(ratings)), np.arange(start)])
    rows = {"train": others, "test": np.arange(start, end)}
    if strategy["valid"]:
        count = _validation_size(strategy["valid"], len(ratings))
        rows |= {"train": others[count:], "valid": others[:count]}
    parts = {name: ratings.take(own) for name, own in rows.items()}
    made = assembled(parts, scale, strategy | {"fold": fold})
    return replace(made, source=source, hash=_hash({"fold": str(fold), "of": manifest["hash"]}))


def _validation_size(share: float, ratings: int) -> int:
    return max(round(share * ratings), 1) if share else 0


def _hash(digests: Mapping[str, str]) -> str:
    lines = [f"{digest}  {name}\n" for name, digest in sorted(digests.items())]
    return hashlib.sha256("".join(lines).encode()).hexdigest()

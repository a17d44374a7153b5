"""Splitting ratings into parts to train, validate and test on, and the folder that keeps them."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import asdict, dataclass
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

FORMAT = 1
PARTS = ("train", "test", "valid")
_FILES = ("users", "items", *PARTS)
_REQUIRED = tuple(f"{name}.arrow" for name in _FILES[:-1])
_MANIFEST = "split.json"
NAMES = (_MANIFEST, *(f"{name}.arrow" for name in _FILES))


@dataclass(frozen=True)
class Split:
    """Ratings to train and to test on, and if asked for, to validate on.

    Attributes
    ----------
    train, test : Ratings
        Both in the rows of the same vocabularies, which hold every id of the source and count the
        training ratings only.
    valid : Ratings, optional
    scale : Scale
        Of all ratings of the source.
    strategy : dict
        How it was made: name, test, valid, seed.
    source : Source, optional
    hash : str
        Digest of the files of the split; empty until it is written.
    """

    train: Ratings
    test: Ratings
    valid: Ratings | None
    scale: Scale
    strategy: dict[str, Any]
    source: Source | None = None
    hash: str = ""

    @property
    def parts(self) -> dict[str, Ratings]:
        """The parts there are, by name."""
        parts = {name: getattr(self, name) for name in PARTS}
        return {name: part for name, part in parts.items() if part is not None}

    @property
    def held_out(self) -> tuple[str, Ratings]:
        """What to validate epochs on: the validation ratings if there are any, else the test's."""
        return ("test", self.test) if self.valid is None else ("valid", self.valid)

    def unseen(self, part: Ratings) -> int:
        """Count the ratings whose user or item has no training rating."""
        users, items = self.train.users.counts, self.train.items.counts
        return int(np.count_nonzero((users[part.user] == 0) | (items[part.item] == 0)))


def split(ratings: Ratings, config: Config) -> Split:
    """Split ratings at random.

    Parameters
    ----------
    ratings : Ratings
    config : Config
        Its `test`, `valid` and `seed` are used; the parts are rounded to whole ratings.

    Raises
    ------
    DataError
        If a part would be empty.
    """
    order = np.random.default_rng(config.seed).permutation(len(ratings))
    ends = np.cumsum([_share(ratings, config, name) for name in ("test", "valid")])
    test, valid, train = (np.sort(rows) for rows in np.split(order, ends))
    if not len(train):
        raise DataError(f"no training ratings are left of {len(ratings)}; lower --test")
    users = ratings.users.counting(ratings.user[train])
    items = ratings.items.counting(ratings.item[train])
    parts = {
        name: ratings.take(rows).over(users, items)
        for name, rows in (("train", train), ("test", test), ("valid", valid))
    }
    strategy = {"name": "random", "test": config.test, "valid": config.valid, "seed": config.seed}
    return Split(
        train=parts["train"],
        test=parts["test"],
        valid=parts["valid"] if config.valid else None,
        scale=ratings.scale(),
        strategy=strategy,
        source=ratings.source,
    )


def _share(ratings: Ratings, config: Config, name: str) -> int:
    share: float = getattr(config, name)
    count = round(share * len(ratings))
    if share and not count:
        raise DataError(
            f"--{name} {share:g} of {len(ratings)} ratings leaves no {name} rating; raise it"
        )
    return count


def summary(split: Split) -> dict[str, Any]:
    """Describe a split in plain values: how it was made and what is in it."""
    train, parts = split.train, split.parts
    rows = sum(map(len, parts.values()))
    return {
        "strategy": split.strategy,
        "source": asdict(split.source) if split.source else None,
        "users": len(train.users),
        "items": len(train.items),
        "ratings": {"all": rows} | {name: len(part) for name, part in parts.items()},
        "density": rows / (len(train.users) * len(train.items)),
        "mean": train.mean,
        "scale": split.scale._asdict(),
        "unseen": {n: split.unseen(part) for n, part in parts.items() if n != "train"},
    }


def write_split(folder: Path, split: Split) -> dict[str, Any]:
    """Write a split folder, replacing an older one whole.

    Returns
    -------
    dict
        What `split.json` says.

    Raises
    ------
    ArtifactError
        If the folder holds files of others or cannot be written.
    """
    with replacing_folder(folder, NAMES) as temporary:
        write_vocabulary(temporary / "users.arrow", split.train.users)
        write_vocabulary(temporary / "items.arrow", split.train.items)
        for name, part in split.parts.items():
            write_ratings(temporary / f"{name}.arrow", part)
        names = ("users", "items", *split.parts)
        digests = {f"{name}.arrow": sha256(temporary / f"{name}.arrow") for name in names}
        manifest = {"format": FORMAT, "mfcli": __version__, **summary(split), "files": digests}
        manifest["hash"] = _hash(digests)
        write_manifest(temporary / _MANIFEST, manifest)
    return manifest


def read_split(folder: Path) -> Split:
    """Map a split folder into memory; every file is checked against its digest.

    Raises
    ------
    ArtifactError
        If there is no split, or it is damaged or of a newer format.
    """
    if not (folder / _MANIFEST).is_file():
        raise ArtifactError(f"{folder}: holds no split; make one with: mfcli split data.csv")
    path = folder / _MANIFEST
    manifest = read_manifest(path, FORMAT)
    check_digests(folder, manifest, _REQUIRED)
    try:
        scale = Scale(**manifest["scale"])
        source = Source(**manifest["source"]) if manifest["source"] else None
        strategy = dict(manifest["strategy"])
    except (KeyError, TypeError, AttributeError) as error:
        raise ArtifactError(f"{path}: is damaged ({error!r}); split again") from error
    users, items = (read_vocabulary(folder / f"{name}.arrow") for name in ("users", "items"))
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


def _read_part(
    folder: Path, manifest: Mapping[str, Any], users: Vocabulary, items: Vocabulary, name: str
) -> Ratings:
    part = read_ratings_arrow(folder / f"{name}.arrow", users, items)
    if len(part) != manifest["ratings"].get(name) or not len(part):
        raise ArtifactError(f"{folder}: {name} does not hold the ratings it should; split again")
    return part


def _hash(digests: Mapping[str, str]) -> str:
    lines = [f"{digest}  {name}\n" for name, digest in sorted(digests.items())]
    return hashlib.sha256("".join(lines).encode()).hexdigest()

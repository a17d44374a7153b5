"""The folder of a split: replaced as a whole, checked when it is read, mapped into memory.

A k-fold split keeps one copy of its ratings and vocabularies. Each of its folders `fold-1`,
`fold-2`, ... is a split too: it tests on its fold and trains on the others.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any, TypeAlias

from mfcli.arguments import check_functions, check_type, path_of
from mfcli.data import (
    Columns,
    Ratings,
    Scale,
    Vocabulary,
    pieces_in_turn,
    read_ratings_arrow,
    read_vocabulary,
    write_ratings,
    write_vocabulary,
)
from mfcli.errors import ArtifactError
from mfcli.splits.division import Division
from mfcli.splits.extents import Extent
from mfcli.splits.folds import DividedFolds, Folds, fold_hash
from mfcli.splits.parts import PARTS, Split, split_of, unseen
from mfcli.splits.records import (
    MOST_FOLDS,
    REJECTED,
    FoldRecord,
    ScaleSection,
    SplitRecord,
    hash_of,
    strategy_section,
)
from mfcli.splits.revisions import Revision
from mfcli.storage import (
    MappedFile,
    address_of,
    did_you_mean,
    exists,
    near_misses,
    open_files,
    read_json,
    record_values,
    replacing_folder,
    sha256,
    to_record,
    whole,
    write_record,
)
from mfcli.types import StageProgress

SPLIT_FOLDER = "split"
SPLIT_RECORD = "split.json"
_RATINGS = "ratings.arrow"  # of all folds of a k-fold split
_VOCABULARIES = ("users.arrow", "items.arrow")
SPLIT_FILES = (
    SPLIT_RECORD,
    REJECTED,
    _RATINGS,
    *_VOCABULARIES,
    *(f"{part}.arrow" for part in PARTS),
    *(f"fold-{fold}" for fold in range(1, MOST_FOLDS + 1)),
)
"""The files of a split folder."""

_FILES_ONLY = ("format", "files", "ends")  # not part of a description
_REMEDY = "split again"

_AnySplit: TypeAlias = Split | Division | Revision | Folds | DividedFolds


def write_split(
    folder: Path | str,
    split: _AnySplit,
    rejected: Path | None = None,
    *,
    on_progress: StageProgress = lambda stage, done, total: None,
) -> dict[str, Any]:
    """Write a split folder and replace an older one as a whole.

    Parameters
    ----------
    folder : Path
    split : Split, Division, Revision, Folds or DividedFolds
    rejected : Path, optional
        List of the rows that were skipped; copied into the folder if it exists.
    on_progress : callable, optional
        Called with the stage, the amount done in it and its total: "shuffling" folds that are not
        copied yet, then "writing", in bytes of ratings.

    Returns
    -------
    dict
        The content of `split.json`.

    Raises
    ------
    ArtifactError
        If the folder holds other files or cannot be written.
    UsageError
        If an argument has another type.
    """
    folder = path_of(folder, "folder")
    check_functions(on_progress=on_progress)
    if not isinstance(split, Folds | DividedFolds | Division | Revision):
        check_type(split, Split, "split", "make one with split(ratings)")
    with replacing_folder(folder, SPLIT_FILES) as temporary, _columns(split, on_progress) as parts:
        if isinstance(split, Folds | DividedFolds):
            _write_folds(temporary, len(split.ends) - 1)
        _write_vocabularies(temporary, next(iter(parts.values())))
        files = {name: sha256(temporary / name) for name in _VOCABULARIES}
        files |= _write_parts(temporary, split, parts, on_progress)
        if rejected and rejected.exists():
            (temporary / REJECTED).write_bytes(rejected.read_bytes())
            files[REJECTED] = sha256(temporary / REJECTED)
        # The record has the digests of all other files, so it is written last.
        record = _record(split, _mapped(temporary, parts, split.feedback), files)
        write_record(temporary / SPLIT_RECORD, record)
    return _content(record)


@contextmanager
def _columns(split: _AnySplit, on_progress: StageProgress) -> Iterator[dict[str, Columns]]:
    """Yield what is written, by the names of the files."""
    if isinstance(split, DividedFolds):
        with split.ratings.ordered(partial(on_progress, "shuffling")) as ratings:
            yield {"ratings": ratings}
    else:
        yield {"ratings": split.ratings} if isinstance(split, Folds) else {**split.parts}


def _mapped(folder: Path, parts: Mapping[str, Columns], feedback: str) -> dict[str, Ratings]:
    """Map parts that were written into memory."""
    return {
        name: read_ratings_arrow(
            folder / f"{name}.arrow", part.users, part.items, feedback, is_new=True
        )
        for name, part in parts.items()
    }


def _write_parts(
    folder: Path, split: _AnySplit, parts: Mapping[str, Columns], on_progress: StageProgress
) -> dict[str, str]:
    """Write the columns of all parts, and return the digests of the files."""
    total = sum(len(p) * sum(kind.itemsize for kind in p.types.values()) for p in parts.values())
    files, columns = [f"{name}.arrow" for name in parts], [*parts.values()]
    pieces = split.pieces if isinstance(split, Division) else pieces_in_turn(columns)
    done = 0

    def advance(size: int) -> None:
        nonlocal done
        done += size
        on_progress("writing", done, total)

    digests = write_ratings([folder / file for file in files], columns, pieces, advance)
    return dict(zip(files, digests, strict=True))


def _write_vocabularies(folder: Path, ratings: Columns) -> None:
    write_vocabulary(folder / "users.arrow", ratings.users)
    write_vocabulary(folder / "items.arrow", ratings.items)


def _write_folds(folder: Path, count: int) -> None:
    for fold in range(1, count + 1):
        # Only a record, so that any command that takes a split also takes a fold.
        (folder / f"fold-{fold}").mkdir()
        write_record(folder / f"fold-{fold}" / SPLIT_RECORD, FoldRecord(fold=fold))


def _content(record: SplitRecord) -> dict[str, Any]:
    return {"format": record.FORMAT, "mfcli": record.mfcli, **record_values(record)}


def _record(split: _AnySplit, parts: Mapping[str, Ratings], files: dict[str, str]) -> SplitRecord:
    """Describe a split, its ratings and its files."""
    ratings = next(iter(parts.values()))  # in train, or all of a k-fold split
    counts = {"all": sum(map(len, parts.values()))}
    extra: dict[str, Any] = {}
    if isinstance(split, Folds | DividedFolds):
        extra["ends"] = [*split.ends]
    else:
        counts |= {name: len(part) for name, part in parts.items()}
        extra["unseen"] = {n: unseen(ratings, p) for n, p in parts.items() if n != "train"}
    if isinstance(split, Split | Revision):
        extra |= {"parent": split.parent, "updates": split.updates}
    return SplitRecord(
        strategy=strategy_section(split.strategy),
        source=split.source,
        users=len(ratings.users),
        items=len(ratings.items),
        ratings=counts,
        density=counts["all"] / (len(ratings.users) * len(ratings.items)),
        mean=ratings.mean,
        scale=ScaleSection(*split.scale),
        files=files,
        hash=hash_of(files),
        feedback=split.feedback,
        **extra,
    )


def read_split(folder: Path | str) -> Split:
    """Map a split, or one fold of a k-fold split, into memory.

    Every file is checked against its digest.

    Raises
    ------
    ArtifactError
        If there is no split, it is damaged or of another format, or it is a k-fold split as a
        whole, for which there is `read_folds`.
    """
    folder = path_of(folder, "folder")
    return whole(_records(folder), lambda: _read_split(folder))


def _records(folder: Path) -> list[Path]:
    """Return where the record of a split is, and that of its k-fold split if it is a fold."""
    return [folder / SPLIT_RECORD, folder.resolve().parent / SPLIT_RECORD]


def _read_split(folder: Path) -> Split:
    home, record, fold = _home(folder)
    if fold:
        return _read_folds(home, record)[fold - 1]
    if record.ends is not None:
        remedy = f"name one of them, such as {folder / 'fold-1'}"
        raise ArtifactError("holds folds", place=folder, remedy=remedy)
    required = [*_VOCABULARIES, *(f"{n}.arrow" for n in PARTS if n in {"train", *record.ratings})]
    files = open_files(folder, record.files, required, remedy=_REMEDY)
    vocabularies = _read_vocabularies(files)
    names = [name for name in PARTS if f"{name}.arrow" in files]
    parts = {name: _read_part(folder, record, files, vocabularies, name) for name in names}
    return split_of(
        parts,
        scale=_scale(record),
        strategy=record_values(record.strategy),
        source=record.source,
        hash=record.hash,
        parent=record.parent,
        updates=record.updates,
        address=address_of(folder),
        extents={name: (Extent(f"{name}.arrow", 0, len(part)),) for name, part in parts.items()},
    )


def read_folds(folder: Path | str) -> Folds:
    """Map a k-fold split into memory; every file is checked against its digest.

    Raises
    ------
    ArtifactError
        If there is no k-fold split, or it is damaged or of another format.
    """
    folder = path_of(folder, "folder")
    return whole(_records(folder), lambda: _read_whole(folder))


def _read_whole(folder: Path) -> Folds:
    home, record, fold = _home(folder)
    if fold or record.ends is None:
        raise ArtifactError("holds one split, not folds", place=folder, remedy=_REMEDY)
    return _read_folds(home, record)


def _read_folds(folder: Path, record: SplitRecord) -> Folds:
    ends = record.ends or []
    files = open_files(folder, record.files, [*_VOCABULARIES, _RATINGS], remedy=_REMEDY)
    ratings = read_ratings_arrow(files[_RATINGS], *_read_vocabularies(files), record.feedback)
    if len(ratings) != ends[-1]:
        raise _wrong_number(folder, "ratings")
    ratings = replace(ratings, source=record.source)  # Arrow files do not hold it
    strategy = record_values(record.strategy)
    address = address_of(folder)
    return Folds(ratings, ends, _scale(record), strategy, record.hash, address, _RATINGS)


def _read_vocabularies(files: Mapping[str, MappedFile]) -> tuple[Vocabulary, Vocabulary]:
    return read_vocabulary(files["users.arrow"]), read_vocabulary(files["items.arrow"])


def _read_part(
    folder: Path,
    record: SplitRecord,
    files: Mapping[str, MappedFile],
    vocabularies: tuple[Vocabulary, Vocabulary],
    name: str,
) -> Ratings:
    part = read_ratings_arrow(files[f"{name}.arrow"], *vocabularies, record.feedback)
    # The digests have been checked, so only a forged or a wrong record gets here.
    if len(part) != record.ratings.get(name) or not len(part):
        raise _wrong_number(folder, name)
    return part


def _wrong_number(folder: Path, name: str) -> ArtifactError:
    rule = f"{name}.arrow does not have the number of ratings in {SPLIT_RECORD}"
    return ArtifactError(rule, place=folder, remedy=_REMEDY)


def _scale(record: SplitRecord) -> Scale:
    return Scale(record.scale.min, record.scale.max, record.scale.step)


def folds_of(folder: Path) -> list[Path]:
    """Return the folders of the folds of a k-fold split; none for any other split.

    Raises
    ------
    ArtifactError
        If there is no split, or it is damaged or of another format.
    """
    record = whole(_records(folder), lambda: _read_record(folder))
    # A fold has no folds; a split that is not k-fold has no ends.
    ends = record.ends if isinstance(record, SplitRecord) else None
    return [folder / f"fold-{fold}" for fold in range(1, len(ends or [0]))]


def describe_split(folder: Path) -> dict[str, Any]:
    """Describe a split, a k-fold split or one of its folds, as `split.json` does.

    Every file is checked, and everything that can be counted is counted again.

    Raises
    ------
    ArtifactError
        If there is no split, or it is damaged or of another format.
    """
    return whole(_records(folder), lambda: _describe(folder), unchanged=True)


def _describe(folder: Path) -> dict[str, Any]:
    home, record, fold = _home(folder)
    is_whole = record.ends is not None and not fold
    if is_whole:
        # Read the records of the folds, so that a damaged one is reported.
        for path in folds_of(folder):
            _home(path)
    split = _read_folds(home, record) if is_whole else _read_split(folder)
    parts = {"ratings": split.ratings} if isinstance(split, Folds) else split.parts
    described = _content(_record(split, parts, record.files))
    # A fold has its own hash and strategy, and all keep the version that wrote them.
    described |= {"mfcli": record.mfcli, "hash": split.hash, "strategy": split.strategy}
    return {name: value for name, value in described.items() if name not in _FILES_ONLY}


def split_hashes(folder: Path) -> set[str]:
    """Return the hash of a split and those of its folds; none if there is no readable split."""
    try:
        return {split_hash(path) for path in (folder, *folds_of(folder))}
    except ArtifactError:
        return set()


def split_hash(folder: Path) -> str:
    """Return the hash of a split, a k-fold split or one of its folds, without its ratings.

    Raises
    ------
    ArtifactError
        If there is no split, or its record is damaged or of another format.
    """
    _, record, fold = whole(_records(folder), lambda: _home(folder))
    return fold_hash(record.hash, fold) if fold else record.hash


def split_parent(folder: Path) -> str:
    """Return the hash of the split that was updated to make a split; empty if there is none.

    Raises
    ------
    ArtifactError
        As `split_hash`.
    """
    return whole(_records(folder), lambda: _home(folder))[1].parent


def _home(folder: Path) -> tuple[Path, SplitRecord, int]:
    """Return the folder that keeps the ratings of a split, its record, and the number of the fold.

    For a fold, that is the folder of its k-fold split. The number is 0 for any other split.
    """
    record = _read_record(folder)
    if isinstance(record, SplitRecord):
        return folder, record, 0
    # `resolve`, because the parent of the path "." is "." itself.
    fold, home = record.fold, folder.resolve().parent
    if not exists(home / SPLIT_RECORD):
        rule = f"fold {fold} must stay in the folder of its k-fold split, which is not here"
        raise ArtifactError(rule, place=home)
    whole = _read_record(home)
    if not isinstance(whole, SplitRecord) or not 1 <= fold < len(whole.ends or ()):
        raise ArtifactError(f"{home} has no fold {fold}", place=folder, remedy=_REMEDY)
    return home, whole, fold


def _read_record(folder: Path) -> SplitRecord | FoldRecord:
    path = folder / SPLIT_RECORD
    if not exists(path):
        meant = did_you_mean(near_misses(folder, SPLIT_RECORD))
        remedy = meant or "make one with: mfcli split data.csv"
        raise ArtifactError("holds no split", place=folder, remedy=remedy)
    value = read_json(path, remedy=_REMEDY)
    if "fold" in value:
        return to_record(path, value, FoldRecord, remedy=_REMEDY)
    return to_record(path, value, SplitRecord, remedy=_REMEDY)

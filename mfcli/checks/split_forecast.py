"""What `mfcli split` would do, from a quick look at the files."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from mfcli.checks.forecast import Forecast, Input, Needed, memory_of, output, space_of
from mfcli.checks.speeds import MEASURED_ON, split_seconds
from mfcli.config import Config
from mfcli.data import Survey, rows_of
from mfcli.splits import SPLIT_FILES, check_strategy
from mfcli.storage import bytes_text, check_memory, check_replaceable, check_space, room

# Bytes of memory per rating besides its columns, while it is read and assigned to a part
_HELD = {"random": 6, "given": 6, "k-fold": 30}
_HELD_BY_USER = 22  # with the other strategies
_FILLED = 0.8  # of the memory that may hold ratings, if some of them go through the disk
_LEAST = 1_000_000  # bytes, with which a few ratings at a time go through the disk
_PIECES = 100_000_000  # bytes of pieces that are read and written, at most
_RECORD = 2_000  # bytes of split.json
_BY_SIZE = ("random", "per-user", "cold-user", "temporal")  # hold out fractions of the ratings


def forecast_split(surveys: Mapping[str, Survey], config: Config, out: Path) -> Forecast:
    """Say what a split needs, and check what can be checked before the files are read.

    Parameters
    ----------
    surveys : mapping of Survey
        Under "all", or under "train" and "test" if the parts are given.
    config : Config
    out : Path
        The folder of the split.

    Raises
    ------
    ArtifactError
        If the folder cannot be written or replaced.
    DataError
        If the strategy needs timestamps and there are none.
    LimitError
        If there is no memory, or not enough space for temporary files or the result.
    """
    if "all" in surveys:
        for survey in surveys.values():
            check_strategy(survey.columns, config)
    check_replaceable(out, SPLIT_FILES)
    rows = sum(survey.rows for survey in surveys.values())
    size = sum(survey.rows * survey.row_bytes for survey in surveys.values())
    on_disk = sum(survey.on_disk for survey in surveys.values())
    temporary, first = None, next(iter(surveys.values()))
    check_memory(_LEAST, f"reading {first.name}", "free some memory")
    if on_disk:
        folder, free = check_space(on_disk, f"reading {first.name}")
        temporary = Needed(on_disk, free, str(folder))
    each = _HELD.get(_strategy(surveys, config), _HELD_BY_USER)
    held = min(_PIECES, 4 * size) + size + rows * each
    writes = [output(out, size + _RECORD)]
    slower = bool(on_disk) or any(survey.compressed for survey in surveys.values())
    return Forecast(
        facts=_facts(surveys, config, rows, on_disk),
        reads=[_input(survey) for survey in surveys.values()],
        writes=writes,
        memory=memory_of(min(held, int(_FILLED * room())) if on_disk else held),
        temporary=temporary,
        space=space_of(out, writes),
        seconds=split_seconds(rows, slower=slower),
        assumed=_assumed(surveys),
    )


def _input(survey: Survey) -> Input:
    files = f"{survey.files:,} files; " if survey.files > 1 else ""
    columns = ", ".join(f"{role} {name!r}" for role, name in survey.columns.items())
    about = "" if survey.exact else "about "
    return Input(
        survey.name,
        survey.bytes,
        f"{files}{survey.format}; {columns}; {about}{_shown(survey)} {rows_of(survey.feedback)}",
    )


def _shown(survey: Survey) -> str:
    return f"{survey.rows:,}" if survey.exact else f"{_rounded(survey.rows):,}"


def _rounded(count: float) -> int:
    """Round an estimate to three digits."""
    return int(float(f"{count:.3g}"))


def _facts(
    surveys: Mapping[str, Survey], config: Config, rows: int, on_disk: int
) -> dict[str, str]:
    facts = {"strategy": _strategy(surveys, config)}
    parts = _parts(surveys, config, rows)
    facts |= {name: f"about {_rounded(count):,}" for name, count in parts.items()}
    facts["ratings"] = f"{bytes_text(on_disk)} on disk" if on_disk else "in memory"
    return facts


def _strategy(surveys: Mapping[str, Survey], config: Config) -> str:
    return config.strategy if "all" in surveys else "given"


def _parts(surveys: Mapping[str, Survey], config: Config, rows: int) -> dict[str, float]:
    """Return about how many ratings each part gets; nothing if that depends on the ratings."""
    if "all" not in surveys:
        counts = {name: float(survey.rows) for name, survey in surveys.items()}
        valid = config.valid * rows
        return counts | ({"train": counts["train"] - valid, "valid": valid} if valid else {})
    if config.strategy not in _BY_SIZE or config.cut:
        return {}
    fractions = {"test": config.test, "valid": config.valid}
    held = {name: fraction * rows for name, fraction in fractions.items() if fraction}
    return {"train": rows - sum(held.values())} | held


def _assumed(surveys: Mapping[str, Survey]) -> list[str]:
    assumed = ["Repeated pairs, invalid rows and filters leave fewer ratings."]
    if not all(survey.exact for survey in surveys.values()):
        assumed.insert(0, "Rows are counted in samples of the files.")
    return [*assumed, f"The time is an estimate for {MEASURED_ON}."]

"""Ids that NumPy cannot represent."""

from __future__ import annotations

import pyarrow as pa
import pyarrow.compute as pc

from mfcli.errors import ArtifactError


def refuse_trailing_zero(ids: pa.Array, program: str) -> None:
    """Refuse an id that ends in a zero byte, because NumPy's arrays of text would drop the byte.

    Parameters
    ----------
    ids : Arrow array of int64 or string
    program : str
        The program that holds ids in NumPy arrays, for the message.

    Raises
    ------
    ArtifactError
    """
    if ids.type != pa.string():
        return
    position = pc.index(pc.ends_with(ids, "\0"), True).as_py()
    if position >= 0:
        raise ArtifactError(
            f"the id {ids[position].as_py()!r} ends in a zero byte, which {program} would drop",
            remedy="choose another format",
        )

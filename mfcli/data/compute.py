"""The functions of `pyarrow.compute`, which are loaded when one of them is first used.

Loading them takes longer than a small training, which uses none.
"""

from __future__ import annotations

from typing import Any


def __getattr__(name: str) -> Any:
    import pyarrow.compute

    return getattr(pyarrow.compute, name)

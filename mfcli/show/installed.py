"""The versions of mfcli, Python and the main libraries."""

from __future__ import annotations

import importlib.metadata
import platform
from typing import Any

from mfcli import __version__
from mfcli.storage import cores

LIBRARIES = ("numpy", "pyarrow", "numba", "tensorflow", "keras")


def versions() -> dict[str, Any]:
    """Return the versions, the platform and the number of processors.

    Returns
    -------
    dict
        The version of a library is None if it is not installed.
    """
    return {
        "mfcli": __version__,
        "python": platform.python_version(),
        "platform": platform.platform(),
        "processors": cores(),
        **{name: _version(name) for name in LIBRARIES},
    }


def _version(name: str) -> str | None:
    try:
        # From the metadata: importing TensorFlow takes seconds.
        return importlib.metadata.version(name)
    except importlib.metadata.PackageNotFoundError:
        return None

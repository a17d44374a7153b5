"""The cache of compiled code on disk.

Numba's own cache unpickles any file in its folder, which other users may be able to write, and does
not notice damage. Here, a file must be in a private folder and begin with the digest of its
contents and of everything that the code is made from. Any other file is ignored and replaced.
"""

from __future__ import annotations

import contextlib
import hashlib
import pickle
import re
import sys
from collections.abc import Callable
from typing import Any

import numba
from numba.core.caching import NullCache
from numba.core.compiler import CompileResult
from numba.core.serialize import dumps as numba_dumps

from mfcli.storage.private_files import cache_folder, read_private, write_private

_VERSIONS = f"{numba.__version__}-{sys.implementation.cache_tag}"
FOLDER = f"numba-{_VERSIONS}"
# Private parts of Numba that its own cache uses; a release without them fails at import.
_dumps: Callable[[Any], bytes] = numba_dumps
_rebuild: Callable[..., Any] = CompileResult._rebuild
_DIGEST = hashlib.sha256().digest_size


class CodeCache(NullCache):
    """Loads and saves the compiled code of one function, for Numba's dispatcher.

    The cache only saves time. If anything goes wrong, the function is compiled.

    Parameters
    ----------
    function : callable
        Its closure variables must be plain values.
    sources : str
        Digest of what the code is made from; see `sources_digest`.
    """

    def __init__(self, function: Any, sources: str) -> None:
        self._name, self._sources = f"{function.__module__}.{function.__qualname__}", sources
        cells = tuple(cell.cell_contents for cell in function.__closure__ or ())
        self._variant = f"{function.__code__.co_filename}\0{cells!r}"

    def load_overload(self, sig: Any, target_context: Any) -> Any:
        """Return the compiled code for a signature, or None if there is none that is valid."""
        target_context.refresh()
        variant = self._variant_for(sig, target_context.codegen())
        # Any exception: damaged or outdated code fails in many ways, and compiling always works.
        with contextlib.suppress(Exception):
            data = memoryview(read_private(cache_folder(FOLDER), self._file(variant)))
            # Checked before anything is unpickled, because a pickle can run code.
            if data[:_DIGEST] == self._digest(variant, data[_DIGEST:]):
                return _rebuild(target_context, *pickle.loads(data[_DIGEST:]))
        return None

    def save_overload(self, sig: Any, data: Any) -> None:
        """Save the compiled code for a signature."""
        if data.library.has_dynamic_globals:  # addresses of this process
            return
        variant = self._variant_for(sig, data.codegen)
        with contextlib.suppress(Exception):
            code = _dumps(data._reduce())
            sealed = self._digest(variant, code) + code
            write_private(cache_folder(FOLDER), self._file(variant), sealed)

    def _variant_for(self, sig: Any, codegen: Any) -> str:
        """Return a text that distinguishes variants of the function, and processors."""
        return f"{self._variant}\0{sig}\0{codegen.magic_tuple()}"

    def _file(self, variant: str) -> str:
        """Return the name of the file; code of changed sources replaces the older code in it."""
        name = re.sub(r"[^\w.]", "", self._name.replace("<locals>.", ""))
        return f"{name}-{hashlib.sha256(variant.encode()).hexdigest()[:16]}"

    def _digest(self, variant: str, code: Any) -> bytes:
        digest = hashlib.sha256(f"{_VERSIONS}\0{self._name}\0{self._sources}\0{variant}\0".encode())
        digest.update(code)
        return digest.digest()

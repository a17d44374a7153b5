"""Compilation of kernels with Numba.

Compiled code is cached on disk, see `code_cache.py`. It is valid as long as a digest of everything
that it is made from stays the same: not only the file of the function, which is what Numba's own
cache looks at, but also the files of the functions that it calls.
"""

from __future__ import annotations

import functools
import hashlib
import inspect
import linecache
import threading
from collections.abc import Callable, Iterator
from types import CodeType, FunctionType, ModuleType
from typing import Any

import numba
import numpy as np
from numba import types

from mfcli.storage.code_cache import CodeCache


def array_type(dtype: types.Type, dimensions: int, *, readonly: bool = False) -> types.Array:
    """Return the type of a contiguous array; arguments that are only read may be read-only."""
    return types.Array(dtype, dimensions, "C", readonly=readonly)


def tuple_type(kind: type[tuple[Any, ...]], *fields: types.Type) -> types.Type:
    """Return the type of a named tuple with fields of the given types."""
    made: types.Type = types.BaseTuple.from_types(fields, kind)  # type: ignore[no-untyped-call]  # Numba has no types
    return made


_compiling = threading.Lock()


def kernel(*arguments: types.Type) -> Callable[[Callable[..., None]], Callable[..., None]]:
    """Make the decorated function a kernel for arguments of the given types.

    It is compiled, or loaded from the cache, when it is first called. Kernels release the
    interpreter's lock and return nothing.
    """

    def decorate(function: Callable[..., None]) -> Callable[..., None]:
        # Compiled at the first call: importing a module must not take seconds.
        made = functools.cache(lambda: compiled(function, *arguments))

        @functools.wraps(function)
        def call(*values: Any) -> None:
            made()(*values)

        return call

    return decorate


def inlined(function: Callable[..., Any]) -> Any:
    """Compile the decorated function into its callers, where flags are constants."""
    return numba.njit(forceinline=True)(function)


def compiled(function: Callable[..., None], *arguments: types.Type) -> Callable[..., None]:
    """Compile a kernel for arguments of the given types, or load it from the cache.

    Parameters
    ----------
    function : callable
        If it is made by another function, its closure variables must be plain values: they are part
        of the key in the cache.
    *arguments : Numba types
    """
    dispatcher: Any = numba.njit(nogil=True)(function)
    # What `njit(cache=True)` does, with another cache.
    dispatcher._cache = CodeCache(function, sources_digest(function))
    # Of several threads that need a kernel at the same time, one compiles it; the others load it.
    with _compiling:
        dispatcher.compile(types.void(*arguments))
    dispatcher.disable_compile()  # other types are mistakes, not new variants
    made: Callable[..., None] = dispatcher
    return made


def sources_digest(function: Callable[..., Any]) -> str:
    """Return a digest of what the compiled code of a function is made of.

    Starting from the function, follow the global names that code uses, within its top-level
    package. The digest covers the source file of each function and class found in this way, and the
    value of each constant, so a new file is covered as soon as a kernel uses something in it.
    """
    package, waiting = _package(function), [function]
    found: set[Any] = set()
    parts: set[str] = set()
    while waiting:
        current = waiting.pop()
        if current in found:
            continue
        found.add(current)
        parts.add(_source(inspect.getfile(current)))
        for name, value in _globals(current) if isinstance(current, FunctionType) else ():
            if isinstance(value, (FunctionType, type)) and _package(value) == package:
                waiting.append(value)
            # Numba compiles global constants into the code.
            elif isinstance(value, (bool, int, float, str, tuple, np.generic)):
                parts.add(f"{name} = {value!r}")
    return hashlib.sha256("\0".join(sorted(parts)).encode()).hexdigest()


@functools.cache
def _source(file: str) -> str:
    return "".join(linecache.getlines(file))


def _package(value: Any) -> str:
    return str(value.__module__).partition(".")[0]


@functools.cache
def _globals(function: FunctionType) -> tuple[tuple[str, Any], ...]:
    """Return the names and values of the global variables that a function uses.

    The code says `helpers.change` as the two names "helpers" and "change", so every name is also
    looked up in every module among the variables. Functions that Numba or a decorator has wrapped
    are unwrapped.
    """
    names, scope = set(_names(function.__code__)), function.__globals__
    modules = (scope[name] for name in names & scope.keys())
    places = (scope, *(vars(value) for value in modules if isinstance(value, ModuleType)))
    return tuple(
        (name, inspect.unwrap(place[name])) for place in places for name in names & place.keys()
    )


def _names(code: CodeType) -> Iterator[str]:
    """Yield the names that code uses, including the code of functions defined in it."""
    yield from code.co_names
    for constant in code.co_consts:
        if isinstance(constant, CodeType):
            yield from _names(constant)

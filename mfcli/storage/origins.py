"""Where objects that were read from a folder can be read again, such as by another process."""

from __future__ import annotations

import weakref
from typing import Any, NamedTuple


class Origin(NamedTuple):
    """Where an object can be read again.

    Attributes
    ----------
    kind : type
        Class of what the folder holds.
    address : str
        Of the folder.
    digest : str
        Tells whether the folder still has the same content.
    parts : tuple of str
        Of a split, the parts whose ratings are in train.
    path : tuple of str
        Names of attributes that lead from what is read to the object.
    """

    kind: type[Any]
    address: str
    digest: str
    parts: tuple[str, ...] = ()
    path: tuple[str, ...] = ()

    def of(self, *names: str) -> Origin:
        """Return the origin of an attribute, or of an attribute of an attribute."""
        return self._replace(path=(*self.path, *names))


# By identity, not as an attribute: a changed copy of an object must not inherit its origin.
_origins: dict[int, tuple[weakref.ref[Any], Origin]] = {}


def set_origin(value: object, origin: Origin) -> None:
    """Remember where an object can be read again."""
    number = id(value)
    # Another object may get the same number afterwards.
    _origins[number] = weakref.ref(value, lambda gone: _forget(number, gone)), origin


def _forget(number: int, gone: weakref.ref[Any]) -> None:
    if number in _origins and _origins[number][0] is gone:
        del _origins[number]


def origin_of(value: object) -> Origin | None:
    """Return where an object can be read again; None if that is unknown."""
    reference, origin = _origins.get(id(value), (lambda: None, None))
    return origin if reference() is value else None

"""The processors of a cluster, and the code that Numba compiles for them.

Numba compiles for the processor that it runs on. Where processors differ, so may the bits of
results: one may fuse a multiplication with an addition that another rounds. Numba is then limited
to what all of them have.
"""

from __future__ import annotations

import platform
from collections.abc import Sequence
from typing import NamedTuple

from mfcli.errors import ClusterError, warn

_ANY = "generic"


class Processor(NamedTuple):
    """A processor, as LLVM describes it.

    Attributes
    ----------
    architecture : str
        Such as "x86_64".
    name : str
        Such as "skylake".
    features : tuple of str
        Such as "+avx2" or "-avx512f", sorted.
    """

    architecture: str
    name: str
    features: tuple[str, ...]


class Processors(NamedTuple):
    """The processors of the workers.

    Attributes
    ----------
    names : tuple of str
        The different names, sorted.
    target : Processor
        What Numba compiles for.
    is_limited : bool
        Whether the target is what different processors have in common.
    """

    names: tuple[str, ...]
    target: Processor
    is_limited: bool

    def __str__(self) -> str:
        """Return what Numba was limited to; empty if it was not."""
        return f"{self.target.name} {','.join(self.target.features)}" if self.is_limited else ""

    @property
    def environment(self) -> dict[str, str]:
        """The variables with which Numba compiles for the target."""
        if not self.is_limited:
            return {}
        features = ",".join(self.target.features)
        return {"NUMBA_CPU_NAME": self.target.name, "NUMBA_CPU_FEATURES": features}


def this_processor() -> Processor:
    """Describe the processor that this process runs on."""
    from mfcli.vectors import host_processor

    name, features = host_processor()
    return Processor(platform.machine(), name, tuple(sorted(features.split(","))))


def processors_in_common(found: Sequence[Processor]) -> Processors:
    """Return the processors of a cluster; warn if they differ.

    Raises
    ------
    ClusterError
        If their architectures differ.
    """
    architectures = sorted({one.architecture for one in found})
    if len(architectures) > 1:
        rule = f"nodes have different architectures: {', '.join(architectures)}"
        raise ClusterError(rule, remedy="use nodes of one architecture")
    names = tuple(sorted({one.name for one in found}))
    if len(set(found)) == 1:
        return Processors(names, found[0], False)
    shared = set.intersection(*({*one.features} for one in found))
    every = {feature[1:] for one in found for feature in one.features}
    features = tuple(sorted(f"+{one}" if f"+{one}" in shared else f"-{one}" for one in every))
    target = Processor(architectures[0], names[0] if len(names) == 1 else _ANY, features)
    warn(f"nodes have different processors ({', '.join(names)}); all use what they have in common")
    return Processors(names, target, True)

"""Named random streams from one root seed; there are no global seeds in the suite."""

from __future__ import annotations

import zlib
from dataclasses import dataclass

import numpy as np

__all__ = ["Seeds"]


@dataclass(frozen=True)
class Seeds:
    """Independent random streams for the parts of a run.

    Parameters
    ----------
    root : int
        The seed a user sets.

    Examples
    --------
    >>> a, b = Seeds(3).stream("noise").random(), Seeds(3).stream("noise").random()
    >>> a == b
    True
    """

    root: int

    def sequence(self, name: str) -> np.random.SeedSequence:
        """Return the seed sequence of a named stream; the name alone decides it, not the order of asking."""
        return np.random.SeedSequence([self.root, zlib.crc32(name.encode())])

    def stream(self, name: str) -> np.random.Generator:
        """Return the generator of a named stream such as ``"data"``, ``"init"``, ``"sampling"`` or ``"noise"``."""
        return np.random.default_rng(self.sequence(name))

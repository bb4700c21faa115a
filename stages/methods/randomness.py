"""Randomness by explicit seed and purpose: the same words give the same stream, whatever was drawn before.

Streams are derived, not carried on, so that a resumed run needs no generator's state.
"""

from __future__ import annotations

import zlib

import numpy as np


def _entropy(seed: int, purpose: tuple[str | int, ...]) -> np.random.SeedSequence:
    words = [zlib.crc32(word.encode()) if isinstance(word, str) else word for word in purpose]
    return np.random.SeedSequence([seed, *words])


def numpy_generator(seed: int, *purpose: str | int) -> np.random.Generator:
    """Return the numpy generator for a purpose."""
    return np.random.default_rng(_entropy(seed, purpose))


def integer(seed: int, *purpose: str | int) -> int:
    """Return a seed for libraries that take a plain integer."""
    return int(_entropy(seed, purpose).generate_state(1)[0])

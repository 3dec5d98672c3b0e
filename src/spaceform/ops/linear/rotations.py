"""Random rotations."""

from __future__ import annotations

import numpy as np

from spaceform.checks import check_integer
from spaceform.rng import as_generator
from spaceform.types import FloatArray, RandomState


def random_rotation(k: int, random_state: RandomState = None) -> FloatArray:
    """Return an orthonormal matrix ``(k, k)``, drawn evenly from all (Haar): rotations and reflections.

    The Q of a Gaussian matrix, its signs fixed by the diagonal of R; without that it would not be even (Mezzadri, 2007,
    "How to generate random matrices from the classical compact groups", section 5). O(k^3).
    """
    size = check_integer(k, "k", low=1)
    q, r = np.linalg.qr(as_generator(random_state).standard_normal((size, size)))
    rotation: FloatArray = q * np.where(np.diag(r) < 0, -1.0, 1.0)
    return rotation

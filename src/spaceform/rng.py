"""Randomness as an argument: nothing in this library seeds a global generator or reads the clock."""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING

import numpy as np

from spaceform.errors import InputError
from spaceform.types import RandomState

if TYPE_CHECKING:
    import torch


def as_generator(random_state: RandomState) -> np.random.Generator:
    """Return a NumPy generator for a seed, a generator (returned as it is), a ``RandomState`` or None (fresh entropy).

    Raises ``InputError`` for anything else.
    """
    if isinstance(random_state, np.random.Generator):
        return random_state
    if isinstance(random_state, np.random.RandomState):
        return np.random.default_rng(random_state.randint(0, 2**31 - 1))
    if random_state is None:
        return np.random.default_rng()
    if isinstance(random_state, int | np.integer) and not isinstance(random_state, bool) and random_state >= 0:
        return np.random.default_rng(int(random_state))
    raise InputError("random_state", got=repr(random_state), expected="a non-negative integer, a Generator or None")


def derive_seed(seed: int, *keys: int | str) -> int:
    """Mix ``seed`` with ``keys`` into a 63-bit seed: stable across machines and Python versions.

    ``derive_seed(0, "batch", 17)`` depends on nothing but its arguments, which makes step 17 of a run
    the same whether or not the run was interrupted before it.
    """
    text = "\x1f".join([str(int(seed)), *map(str, keys)])
    return int.from_bytes(hashlib.blake2b(text.encode(), digest_size=8).digest(), "little") >> 1


def torch_generator(seed: int) -> torch.Generator:
    """Return a CPU ``torch.Generator`` seeded with ``seed``."""
    import torch

    return torch.Generator().manual_seed(seed)

"""What every walk needs: the distance of two rows, and the list of the nearest rows found so far.

A beam is ``(gaps, nodes, fresh, state)``: squared distances, ascending, ties by node; the nodes; whether each has yet
to be expanded; and ``state`` = [number of entries, first entry that may be fresh]. A walk takes the nearest fresh
node, looks at its links and offers what it finds; it ends when nothing in the beam is fresh.
"""

from __future__ import annotations

from typing import TypeAlias

import numpy as np
from numba import njit
from numpy.typing import NDArray

from spaceform.compiled import compiled
from spaceform.types import BoolArray, FloatArray, IntArray

Beam: TypeAlias = tuple[FloatArray, NDArray[np.int32], BoolArray, IntArray]


def new_beam(length: int) -> Beam:
    """Return an empty beam of ``length`` entries."""
    return np.empty(length), np.empty(length, np.int32), np.empty(length, bool), np.zeros(2, np.int64)


@compiled(error_model="numpy", fastmath=True)
def gap(a, i, b, j):  # type: ignore[no-untyped-def]
    """Return the squared distance of ``a[i]`` and ``b[j]``, in float32."""
    total = np.float32(0)
    for c in range(a.shape[1]):
        step = a[i, c] - b[j, c]
        total += step * step
    return np.float64(total)


@compiled(error_model="numpy")
def fused(a, i, b, j, codes, other, weight):  # type: ignore[no-untyped-def]
    """Return `gap` plus ``weight`` for every column in which ``codes[i]`` and ``other[j]`` differ (-1 fits all)."""
    total = gap(a, i, b, j)
    for c in range(codes.shape[1]):
        if codes[i, c] != other[j, c] and other[j, c] >= 0:
            total += weight
    return total


@njit(inline="always")
def insert(gaps, nodes, fresh, size, room, distance, node):  # type: ignore[no-untyped-def]
    """Put a node, which is fresh, in its place among ``size`` sorted ones, of ``room`` at most; return the place."""
    low, high = 0, size
    while low < high:
        middle = (low + high) // 2
        if gaps[middle] < distance or (gaps[middle] == distance and nodes[middle] < node):
            low = middle + 1
        else:
            high = middle
    for at in range(min(size, room - 1), low, -1):
        gaps[at], nodes[at], fresh[at] = gaps[at - 1], nodes[at - 1], fresh[at - 1]
    gaps[low], nodes[low], fresh[low] = distance, node, True
    return low


@compiled(error_model="numpy")
def offer(beam, node, distance):  # type: ignore[no-untyped-def]
    """Put a node in its place, unless the beam is full of nearer ones; O(log length) and a shift."""
    gaps, nodes, fresh, state = beam
    size, length = state[0], len(gaps)
    if size == length:
        end = size - 1
        if distance > gaps[end] or (distance == gaps[end] and node >= nodes[end]):
            return
    place = insert(gaps, nodes, fresh, size, length, distance, node)
    state[0] = min(size + 1, length)
    state[1] = min(state[1], place)


@compiled(error_model="numpy")
def take(beam):  # type: ignore[no-untyped-def]
    """Return the place of the nearest fresh node, which is fresh no longer; -1 if there is none."""
    _, _, fresh, state = beam
    while state[1] < state[0]:
        at = state[1]
        state[1] += 1
        if fresh[at]:
            fresh[at] = False
            return at
    return -1

"""The end of a run of numbers for which something holds, when each look is dear."""

from __future__ import annotations

from collections.abc import Callable

FARTHEST = 100_000
"""No number above is looked at, since a run may have no end: any number of documents can serve few queries."""


def last_true(holds: Callable[[int], bool], *, first: int, least: int, most: int = FARTHEST) -> int:
    """Return the end of a run of numbers for which ``holds``, found from ``first``; ``least - 1`` if there is none.

    Gallops by 1, 2, 4, ... from ``first``, up while it holds, else down to ``least``, then bisects. ``holds`` is asked
    of no number below ``least``, nor above ``most`` unless ``first`` is; a run that goes on beyond ends there. O(log of
    the distance) looks.
    """
    step = 1
    if holds(first):
        low, high = first, first + 1
        while high <= most and holds(high):
            step *= 2
            low, high = high, min(high + step, most + 1) if high < most else high + 1
    else:
        low, high = first - 1, first
        while low >= least and not holds(low):
            step *= 2
            low, high = low - step, low
        low = max(low, least - 1)
    while high - low > 1:
        middle = (low + high) // 2
        low, high = (middle, high) if holds(middle) else (low, middle)
    return low

"""What to do with a query, by number, and what compiled code and its twin in NumPy agree on; without numba."""

from __future__ import annotations

SCAN, BITS, CELLS, PRIVATE, PRODUCT, GRAPH = range(6)
"""What to do: all matches by 8 bits; by 1 bit first; the most promising cells; the same over a private list; all
matches by a matrix product; those to which links lead (`graph.walking`)."""

FEW = 100
"""So many rows are scored at once: to screen them takes no less."""

LOOKED = 2
"""Times k rows are scored first when all bounds are known, those of the highest."""

OPENED = 256
"""Matches that are compared together when cells are opened."""

STEPS = 256
"""Steps by which cells are ordered, from the highest of their bounds to the lowest."""

SURELY, COUNTED = 0.55, 0.9
"""Cells are opened if they are expected to take no more than these shares of another plan's time: the first where that
is what matches drawn evenly took, the second where the rows behind were counted. How many must be opened depends on the
query: those measured are rows of the index, whose neighbours are near; texts that are no row took up to 1.8 times as
long."""

SPENT = 0.5
"""Share of the time of opening no cell that has been spent when the rows behind are counted, whatever is chosen."""

ENOUGH = 2
"""Times k matches in the most promising cells: about half of them score as high as the middle of their cell, so that
the k-th best row does."""

NEAR = 16
"""Cells nearest to a query whose matches tell how dense matches are around it."""

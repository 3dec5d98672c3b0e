"""Filtered nearest neighbours (Iff et al., arXiv 2507.21989): the engine, and the methods it is held against.

`FilteredIndex` counts the passing rows and takes the plan that costs least. The others are the published methods in
one contract (`spaceform.search.references`): each is fitted on vectors with attributes, asked with a condition, and
refuses what it can't serve.
"""

from __future__ import annotations

from spaceform.search.filtered.choice import Plan
from spaceform.search.filtered.index import FilteredIndex
from spaceform.search.references.acorn import AcornIndex
from spaceform.search.references.caps import CapsIndex
from spaceform.search.references.filtered_vamana import FilteredVamana
from spaceform.search.references.filtering import PostFilterIndex, PreFilterIndex
from spaceform.search.references.nhq import NhqIndex
from spaceform.search.references.registry import Reference, references
from spaceform.search.references.segment_tree import SegmentTreeRangeIndex
from spaceform.search.references.ung import UngIndex

__all__ = [
    "AcornIndex",
    "CapsIndex",
    "FilteredIndex",
    "FilteredVamana",
    "NhqIndex",
    "Plan",
    "PostFilterIndex",
    "PreFilterIndex",
    "Reference",
    "SegmentTreeRangeIndex",
    "UngIndex",
    "references",
]

"""The reference methods by name, with what they serve and the settings over which a benchmark sweeps."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from spaceform.errors import InputError
from spaceform.search.references.acorn import AcornIndex
from spaceform.search.references.caps import CapsIndex
from spaceform.search.references.contract import AbstractReference
from spaceform.search.references.filtered_vamana import FilteredVamana
from spaceform.search.references.filtering import PostFilterIndex, PreFilterIndex
from spaceform.search.references.nhq import NhqIndex
from spaceform.search.references.segment_tree import SegmentTreeRangeIndex
from spaceform.search.references.ung import UngIndex

KINDS = ("equality", "membership", "range")
"""EM ``column = value``, EMIS ``column CONTAINS value``, R ``column BETWEEN low AND high``."""

_LISTS = (10, 20, 40, 80, 160, 320, 640)


@dataclass(frozen=True)
class Reference:
    """A method of a benchmark.

    ``make(column)`` returns an index that is not fitted, built for the filters of one column where it must be;
    ``kinds`` of filter that it serves; ``search_lists`` to sweep over: set ``index.search_list`` between queries,
    nothing is built anew. ``exact_filter``: it never returns a row that does not pass.
    """

    make: Callable[[str], AbstractReference]
    kinds: Sequence[str]
    search_lists: Sequence[int]
    exact_filter: bool = True

    def serves(self, kind: str) -> bool:
        """Return whether a kind of filter is served; raises ``InputError`` for unknown kinds."""
        if kind not in KINDS:
            raise InputError("kind", got=repr(kind), expected="one of " + ", ".join(map(repr, KINDS)))
        return kind in self.kinds


def references(metric: str = "cosine") -> Mapping[str, Reference]:
    """Return all reference methods, with the settings that Iff et al. found on their middle set where they are known.

    >>> [name for name, one in references().items() if one.serves("range")]
    ['pre-filter', 'post-filter', 'acorn-1', 'acorn-gamma', 'segment-tree']
    """
    some = ("equality", "membership")
    return {
        "pre-filter": Reference(lambda _: PreFilterIndex(metric=metric), KINDS, (1,)),
        "post-filter": Reference(lambda _: PostFilterIndex(metric=metric), KINDS, _LISTS),
        "acorn-1": Reference(lambda _: AcornIndex(metric=metric), KINDS, _LISTS),
        "acorn-gamma": Reference(lambda _: AcornIndex(gamma=12, metric=metric), KINDS, _LISTS),
        "filtered-vamana": Reference(lambda c: FilteredVamana(columns=[c], metric=metric), some, _LISTS),
        "stitched-vamana": Reference(
            lambda c: FilteredVamana(columns=[c], stitched=32, links=64, metric=metric), some, _LISTS
        ),
        "ung": Reference(lambda c: UngIndex(columns=[c], metric=metric), some, _LISTS),
        "caps": Reference(
            lambda c: CapsIndex(columns=[c], metric=metric), ("equality",), (100, 200, 500, 1_000, 2_000, 5_000, 10_000)
        ),
        "nhq": Reference(lambda c: NhqIndex(columns=[c], metric=metric), ("equality",), _LISTS, exact_filter=False),
        "segment-tree": Reference(
            lambda c: SegmentTreeRangeIndex(column=c, metric=metric), ("equality", "range"), _LISTS
        ),
    }

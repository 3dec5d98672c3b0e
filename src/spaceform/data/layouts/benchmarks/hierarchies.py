"""Trees and graphs of classes in text files: superclasses, edge lists, and a class index in JSON."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from spaceform.data.layouts.benchmarks.text_files import bad_line, text_lines
from spaceform.data.layouts.source import existing, shown
from spaceform.errors import InputError
from spaceform.types import IntArray, PathLike

ROOT = "root"
"""The name of the node above the superclasses of a two-level hierarchy."""


@dataclass(frozen=True, eq=False)
class LabelGraph:
    """Named classes and who is above whom: ``edges`` (m, 2) int64 rows of ``names``, (more general, more special)."""

    names: list[str]
    edges: IntArray

    def __len__(self) -> int:
        """Return the number of classes."""
        return len(self.names)

    def parents(self) -> IntArray:
        """Return the parent of each class, -1 at the root, for a graph that is one tree.

        Raises ``InputError`` naming a class with two parents, several roots, or a cycle. O(n).
        """
        parents = np.full(len(self), -1, dtype=np.int64)
        for above, below in self.edges.tolist():
            if parents[below] not in {-1, above}:
                both = f"{self.names[parents[below]]!r} and {self.names[above]!r}"
                raise InputError("hierarchy", got=f"{self.names[below]!r} below {both}", expected="a tree: one parent")
            parents[below] = above
        roots = np.flatnonzero(parents < 0)
        if len(roots) != 1:
            named = ", ".join(repr(self.names[root]) for root in roots[:5]) or "none"
            raise InputError("hierarchy", got=f"{len(roots)} roots ({named})", expected="a tree: one root")
        reached = np.zeros(len(self), dtype=bool)
        reached[roots[0]] = True
        while True:
            grown = reached | reached[parents]
            grown[roots[0]] = True
            if np.array_equal(grown, reached):
                break
            reached = grown
        if not reached.all():
            lost = self.names[int(np.flatnonzero(~reached)[0])]
            raise InputError("hierarchy", got=f"a cycle around {lost!r}", expected="a tree")
        return parents


def read_superclasses(path: PathLike) -> LabelGraph:
    """Read lines "superclass<TAB>class, class, ..." as a tree: "root", then superclasses, then classes.

    Underscores become spaces. Raises ``InputError`` naming the line of another form or with a name used before.
    """
    place = existing(path)
    names: dict[str, int] = {ROOT: 0}
    edges = []
    for number, line in text_lines(place):
        above, tab, below = line.replace("_", " ").partition("\t")
        members = [name.strip() for name in below.split(",") if name.strip()]
        if not tab or not above.strip() or not members:
            raise bad_line(place, number, line, expected="'superclass<TAB>class, class, ...'")
        for name in (above.strip(), *members):
            if name in names:
                raise bad_line(place, number, line, expected=f"every name once; {name!r} was there before")
            names[name] = len(names)
        edges.append((0, names[above.strip()]))
        edges += [(names[above.strip()], names[name]) for name in members]
    return _graph(place, names, edges)


def read_edges(path: PathLike) -> LabelGraph:
    """Read lines "parent child", names without spaces (WordNet's n01440764, or numbers): a tree or any graph.

    ImageNet's ``imagenet_mintree.txt`` and LSHTC's ``hierarchy.txt`` have this form. Names come in order of first
    use; a repeated line counts once. ``parents()`` of the result demands a tree.
    Raises ``InputError`` naming the line of another form or that joins a name to itself.
    """
    place = existing(path)
    names: dict[str, int] = {}
    edges: dict[tuple[int, int], None] = {}
    for number, line in text_lines(place):
        field = line.split()
        if len(field) != 2 or field[0] == field[1]:
            raise bad_line(place, number, line, expected="'parent child', two different names")
        above, below = (names.setdefault(name, len(names)) for name in field)
        edges[above, below] = None
    return _graph(place, names, list(edges))


def read_class_index(path: PathLike) -> list[tuple[str, str]]:
    """Read JSON like {"0": ["n01440764", "tench"], ...}: (identifier, name) of each class, in order of its number.

    Raises ``InputError`` unless the numbers are 0 to n - 1.
    """
    place = existing(path)
    try:
        table = json.loads(place.read_text(encoding="utf-8"))
        rows = [(str(table[str(number)][0]), str(table[str(number)][1])) for number in range(len(table))]
    except (OSError, ValueError, KeyError, TypeError, IndexError) as error:
        raise InputError(
            shown(place), got=f"{type(error).__name__}: {error}", expected='JSON like {"0": ["n01440764", "tench"]}'
        ) from error
    if not rows:
        raise InputError(shown(place), got="no class", expected="at least one")
    return rows


def _graph(place: Path, names: dict[str, int], edges: list[tuple[int, int]]) -> LabelGraph:
    if not edges:
        raise InputError(shown(place), got="no line", expected="at least one edge")
    return LabelGraph(list(names), np.array(edges, dtype=np.int64))

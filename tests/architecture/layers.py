"""Which module may import which: downward only, never from a sibling folder, never in a circle."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from architecture.modules import Import, Module, find_cycle, internal_imports

LAYERS = (
    ("errors", "types"),
    ("checks", "files", "rng", "bm25"),
    ("compiled",),
    ("papers",),
    ("geometry",),
    ("ops",),
    ("losses", "miners", "samplers", "heads", "clustering", "metrics", "data", "space"),
    ("nets", "training", "search", "tables"),
    ("encoders",),
    ("methods",),
    ("claims", "workflows"),
    ("report", "serve"),
    ("cli", "__main__", ""),
)
"""Units from bottom to top; the last holds the package root, whose exports are lazy."""

LEVEL = {unit: level for level, units in enumerate(LAYERS) for unit in units}


def unit(name: str) -> str:
    """Return the unit of a module: its folder or file below the root; the files ``space_*`` are parts of ``space``."""
    first = name.partition(".")[2].partition(".")[0]
    return "space" if first.startswith("space_") else first


def layer_violations(modules: Mapping[str, Module]) -> Iterator[str]:
    """Yield each import that goes up, sideways to another folder, or from one method to another."""
    for edge in all_imports(modules):
        source, target = unit(edge.source), unit(edge.target)
        for end in {source, target} - LEVEL.keys():
            yield f"{edge.source}:{edge.line}: {end!r} stands in no layer"
        if {source, target} - LEVEL.keys() or edge.source == edge.target:
            continue
        if (
            source == target == "methods"
            and not _is_folder(edge.target, modules)
            and not _is_folder(edge.source, modules)
        ):
            yield f"{edge.source}:{edge.line}: a method imports the method {edge.target}"
        elif source != target and LEVEL[source] <= LEVEL[target] and LEVEL[source] < LEVEL["cli"]:
            way = "up" if LEVEL[source] < LEVEL[target] else "sideways"
            yield f"{edge.source}:{edge.line}: imports {edge.target}, which is {way}"


def cycle(modules: Mapping[str, Module]) -> list[str]:
    """Return the modules of one import circle, or nothing; the root is left out, because it imports on demand."""
    edges: dict[str, set[str]] = {name: set() for name in modules}
    for edge in all_imports(modules):
        if "spaceform" not in {edge.source, edge.target} and edge.source != edge.target:
            edges[edge.source].add(edge.target)
    return find_cycle(edges)


def all_imports(modules: Mapping[str, Module]) -> Iterator[Import]:
    """Yield every import between modules of the package."""
    for module in modules.values():
        yield from internal_imports(module, modules)


def loads(name: str, modules: Mapping[str, Module]) -> set[str]:
    """Return all modules of the package that loading ``name`` loads, packages around them included."""
    found, left = set[str](), [name]
    while left:
        current = left.pop()
        if current in found or current not in modules:
            continue
        found.add(current)
        left.append(current.rpartition(".")[0])
        left += [edge.target for edge in internal_imports(modules[current], modules) if edge.at_load]
    return found


def _is_folder(name: str, modules: Mapping[str, Module]) -> bool:
    return any(other.startswith(f"{name}.") for other in modules)

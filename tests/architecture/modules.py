"""The modules of the package as syntax trees, and the imports between them, inside functions too."""

from __future__ import annotations

import ast
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from functools import cache, cached_property
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
SOURCE = ROOT / "src"

Function = ast.FunctionDef | ast.AsyncFunctionDef


@dataclass(frozen=True)
class Module:
    """One source file: its dotted ``name``, its text, and whether it is the ``__init__`` of a folder."""

    name: str
    text: str
    is_package: bool = False

    @cached_property
    def tree(self) -> ast.Module:
        """The syntax tree."""
        return ast.parse(self.text)

    @property
    def folders(self) -> tuple[str, ...]:
        """The parts of the name below the package root."""
        return tuple(self.name.split(".")[1:])


@dataclass(frozen=True)
class Import:
    """One import of a module of the package by another."""

    source: str
    target: str
    line: int
    at_load: bool
    """Whether it runs when the source is loaded: at module level, and not for type checkers only."""


def read_modules(source: Path = SOURCE) -> dict[str, Module]:
    """Return every module below ``source`` under its dotted name; a package has the name of its folder."""
    modules = {}
    for path in sorted(source.rglob("*.py")):
        parts = path.relative_to(source).with_suffix("").parts
        is_package = parts[-1] == "__init__"
        name = ".".join(parts[:-1] if is_package else parts)
        modules[name] = Module(name, path.read_text(encoding="utf-8"), is_package)
    return modules


def internal_imports(module: Module, names: Iterable[str]) -> tuple[Import, ...]:
    """Return the imports of the package's own modules, of which ``names`` are all.

    ``from a import b`` counts as an import of ``a.b`` where that is a module, and of ``a`` where it is not;
    ``import_module("a.b")`` with a literal counts too.
    """
    return _imports(module, frozenset(names))


@cache
def _imports(module: Module, known: frozenset[str]) -> tuple[Import, ...]:
    return tuple(
        Import(module.name, target, node.lineno, at_load)
        for node, at_load in _walk(module.tree)
        for target in _targets(node, module.name, known)
        if target in known
    )


def external_imports(module: Module) -> Iterator[tuple[str, int]]:
    """Yield the top-level packages that ``module`` loads when it is loaded, with the line."""
    for node, at_load in _walk(module.tree):
        if at_load and isinstance(node, ast.Import):
            yield from ((alias.name.partition(".")[0], node.lineno) for alias in node.names)
        if at_load and isinstance(node, ast.ImportFrom) and not node.level and node.module:
            yield node.module.partition(".")[0], node.lineno


def functions(module: Module) -> Iterator[tuple[str, Function, ast.ClassDef | None]]:
    """Yield every function with its dotted place in the module and the class that holds it, if any."""

    def visit(
        node: ast.AST, place: str, holder: ast.ClassDef | None
    ) -> Iterator[tuple[str, Function, ast.ClassDef | None]]:
        for child in ast.iter_child_nodes(node):
            if isinstance(child, Function):
                yield f"{place}{child.name}", child, holder
                yield from visit(child, f"{place}{child.name}.<locals>.", None)
            elif isinstance(child, ast.ClassDef):
                yield from visit(child, f"{place}{child.name}.", child)
            else:
                yield from visit(child, place, holder)

    yield from visit(module.tree, "", None)


def find_cycle(edges: Mapping[str, Iterable[str]]) -> list[str]:
    """Return the nodes of one cycle in order, or nothing. O(nodes + edges)."""
    state: dict[str, int] = {}
    for start in edges:
        trail: list[str] = []
        stack = [(start, iter(edges.get(start, ())))] if start not in state else []
        if stack:
            state[start] = 1
            trail.append(start)
        while stack:
            node, rest = stack[-1]
            following = next(rest, None)
            if following is None:
                state[node] = 2
                stack.pop()
                trail.pop()
            elif state.get(following) == 1:
                return trail[trail.index(following) :]
            elif following not in state:
                state[following] = 1
                trail.append(following)
                stack.append((following, iter(edges.get(following, ()))))
    return []


def dotted(node: ast.AST) -> str:
    """Return ``a.b.c`` of a chain of attributes, or an empty text for anything else."""
    parts: list[str] = []
    while isinstance(node, ast.Attribute):
        parts.append(node.attr)
        node = node.value
    return ".".join([node.id, *reversed(parts)]) if isinstance(node, ast.Name) else ""


def _walk(tree: ast.Module) -> Iterator[tuple[ast.stmt | ast.expr, bool]]:
    """Yield every node with whether it runs at load time."""
    stack: list[tuple[ast.AST, bool]] = [(tree, True)]
    while stack:
        node, at_load = stack.pop()
        if isinstance(node, ast.stmt | ast.expr):
            yield node, at_load
        if isinstance(node, ast.If) and dotted(node.test).endswith("TYPE_CHECKING"):
            stack += [(child, False) for child in node.body] + [(child, at_load) for child in node.orelse]
        else:
            inner = at_load and not isinstance(node, Function | ast.Lambda)
            stack += [(child, inner) for child in ast.iter_child_nodes(node)]


def _targets(node: ast.AST, source: str, known: frozenset[str]) -> Iterator[str]:
    if isinstance(node, ast.Import):
        yield from (alias.name for alias in node.names)
    elif isinstance(node, ast.ImportFrom):
        base = node.module or ""
        if node.level:
            package = source.split(".") if _is_package(source, known) else source.split(".")[:-1]
            base = ".".join([*package[: len(package) - node.level + 1], *filter(None, [node.module])])
        for alias in node.names:
            yield f"{base}.{alias.name}" if f"{base}.{alias.name}" in known else base
    elif isinstance(node, ast.Call) and dotted(node.func).endswith("import_module"):
        yield from (argument.value for argument in node.args[:1] if isinstance(argument, ast.Constant))


def _is_package(name: str, known: frozenset[str]) -> bool:
    return any(other.startswith(f"{name}.") for other in known)

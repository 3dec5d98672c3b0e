"""Rules on one module each: every function takes a module and yields what is wrong with it, with the line."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator, Mapping

from architecture.modules import Function, Module, dotted, functions

MAX_LINES = 400
MAX_FUNCTION_LINES = 60
MAX_DEPTH = 2
MAX_POSITIONAL = 4
MAX_PARAMETERS = 12
MAX_MODULES = 15

GIVEN = {"no_progress", "run", "Claim.run", "Context.curve"}
"""Functions whose positional parameters are fixed by a protocol of ours: of progress, of claims and their context."""

PARTS_BY_NAME = {"spaceform.training.loop:train"}
"""Functions that put many parts together, each an argument of its own by name, where a bundle would only hide them."""

OPTIONS_BY_NAME = {"spaceform.data.catalog:load"}
"""Functions that hand options to what a name stands for, which names and checks them itself."""


def too_long(module: Module) -> Iterator[str]:
    """Yield the file if it is too long, and each function that is, its docstring not counted."""
    lines = module.text.count("\n") + (not module.text.endswith("\n"))
    if lines > MAX_LINES:
        yield f"{module.name}: {lines} lines, at most {MAX_LINES}"
    for place, function, _ in functions(module):
        length = (function.end_lineno or 0) - function.lineno + 1 - _docstring_lines(function)
        if length > MAX_FUNCTION_LINES:
            yield f"{module.name}:{function.lineno}: {place} has {length} lines, at most {MAX_FUNCTION_LINES}"


def too_many_parameters(module: Module) -> Iterator[str]:
    """Yield public functions with more than four positional or twelve parameters.

    Verbs of the command line (called by name), dunder methods, the static methods of autograd functions, whose
    signatures are given, and compiled kernels, which know no keywords, are left out.
    """
    if module.folders[:1] == ("cli",):
        return
    for place, function, holder in functions(module):
        if _is_private(place) or place in GIVEN or _is_given(function, holder):
            continue
        positional, names = _parameters(function, holder)
        if len(positional) > MAX_POSITIONAL:
            yield f"{module.name}:{function.lineno}: {place} has {len(positional)} positional parameters"
        if len(names) > MAX_PARAMETERS and f"{module.name}:{place}" not in PARTS_BY_NAME:
            yield f"{module.name}:{function.lineno}: {place} has {len(names)} parameters"


def option_tunnels(module: Module) -> Iterator[str]:
    """Yield public functions that take ``**kwargs`` or a ``*_kwargs`` dictionary instead of naming their options."""
    for place, function, _ in functions(module):
        names = [argument.arg for argument in [*function.args.args, *function.args.kwonlyargs]]
        free = _is_private(place) or "." in place or f"{module.name}:{place}" in OPTIONS_BY_NAME
        if function.args.kwarg is not None and not free:
            yield f"{module.name}:{function.lineno}: {place} takes **{function.args.kwarg.arg}"
        yield from (f"{module.name}:{function.lineno}: {place} takes {n}" for n in names if n.endswith("_kwargs"))


def too_deep(modules: Mapping[str, Module]) -> Iterator[str]:
    """Yield classes with more than two ancestors in a row within the package."""
    bases = {
        node.name: [name for base in node.bases if (name := dotted(base).rpartition(".")[2]) not in foreign]
        for module in modules.values()
        for foreign in [_foreign(module)]
        for node in ast.walk(module.tree)
        if isinstance(node, ast.ClassDef)
    }

    def depth(name: str, seen: frozenset[str]) -> int:
        inside = [base for base in bases.get(name, ()) if base in bases and base not in seen]
        return 1 + max((depth(base, seen | {name}) for base in inside), default=-1)

    for name in bases:
        if depth(name, frozenset()) > MAX_DEPTH:
            yield f"{name} has more than {MAX_DEPTH} ancestors in the package"


def _foreign(module: Module) -> set[str]:
    """Return the names that a module imports from outside the package: a class of ours may be called alike."""
    return {
        alias.asname or alias.name
        for node in ast.walk(module.tree)
        if isinstance(node, ast.ImportFrom) and node.level == 0 and not (node.module or "").startswith("spaceform")
        for alias in node.names
    }


def crowded_folders(names: Mapping[str, Module]) -> Iterator[str]:
    """Yield folders with too many modules."""
    folders: dict[str, int] = {}
    for name in names:
        if not any(other.startswith(f"{name}.") for other in names):
            parent = name.rpartition(".")[0]
            folders[parent] = folders.get(parent, 0) + 1
    yield from (
        f"{name}: {count} modules, at most {MAX_MODULES}" for name, count in folders.items() if count > MAX_MODULES
    )


DRAWERS = {"util", "utils", "helper", "helpers", "common", "misc", "tools", "stuff"}
TWINS = re.compile(r"_(new|old|copy|tmp|v\d+)$")


def drawers(module: Module) -> Iterator[str]:
    """Yield modules that are drawers (``utils``), and modules and names that are twins (``_new``, ``_v2``)."""
    names = [node.name for node in module.tree.body if isinstance(node, Function | ast.ClassDef)]
    drawer = [folder for folder in module.folders if folder.lstrip("_") in DRAWERS]
    twins = [name for name in [*module.folders, *names] if TWINS.search(name)]
    yield from (f"{module.name}: the name {name}" for name in [*drawer, *twins])


def missing_exports(module: Module) -> Iterator[str]:
    """Yield names in ``__all__`` that the module does not define, and repeats. Computed lists are left out."""
    for node in module.tree.body:
        targets = node.targets if isinstance(node, ast.Assign) else []
        if not any(dotted(target) == "__all__" for target in targets) or not isinstance(
            node.value, ast.List | ast.Tuple
        ):  # type: ignore[union-attr]
            continue
        listed = [item.value for item in node.value.elts if isinstance(item, ast.Constant)]  # type: ignore[union-attr]
        if len(set(listed)) < len(listed):
            yield f"{module.name}:{node.lineno}: __all__ repeats a name"
        lazy = any(isinstance(part, Function) and part.name == "__getattr__" for part in module.tree.body)
        if not lazy:
            missing = set(listed) - _defined(module.tree)
            yield from (
                f"{module.name}:{node.lineno}: __all__ names {name}, which is not there" for name in sorted(missing)
            )


def _defined(tree: ast.Module) -> set[object]:
    names: set[object] = set()
    for node in ast.walk(tree):
        if isinstance(node, Function | ast.ClassDef):
            names.add(node.name)
        elif isinstance(node, ast.Import | ast.ImportFrom):
            names |= {alias.asname or alias.name.partition(".")[0] for alias in node.names}
        elif isinstance(node, ast.Name) and isinstance(node.ctx, ast.Store):
            names.add(node.id)
    return names


def _docstring_lines(function: Function) -> int:
    first = function.body[0]
    is_text = (
        isinstance(first, ast.Expr) and isinstance(first.value, ast.Constant) and isinstance(first.value.value, str)
    )
    return (first.end_lineno or 0) - first.lineno + 1 if is_text else 0


def _is_private(place: str) -> bool:
    return any(part.startswith("_") or part == "<locals>" for part in place.split("."))


def _is_given(function: Function, holder: ast.ClassDef | None) -> bool:
    bases = [dotted(base) for base in holder.bases] if holder else []
    decorators = [dotted(node.func if isinstance(node, ast.Call) else node) for node in function.decorator_list]
    compiled = any(
        name.rpartition(".")[2] in {"compiled", "njit", "jit", "vectorize", "guvectorize", "intrinsic"}
        for name in decorators
    )
    return compiled or function.name.startswith("__") or any(base.endswith("autograd.Function") for base in bases)


def _parameters(function: Function, holder: ast.ClassDef | None) -> tuple[list[str], list[str]]:
    static = any(dotted(decorator) == "staticmethod" for decorator in function.decorator_list)
    positional = [argument.arg for argument in [*function.args.posonlyargs, *function.args.args]]
    positional = positional[1:] if holder is not None and not static else positional
    return positional, [*positional, *(argument.arg for argument in function.args.kwonlyargs)]

"""What code may not do: print, seed the world, draw from a hidden generator, run data, compare for nothing."""

from __future__ import annotations

import ast
from collections.abc import Iterator

from architecture.modules import Function, Module, dotted

UNSAFE = {
    "pickle": "runs code on loading",
    "dill": "runs code on loading",
    "cloudpickle": "runs code on loading",
    "shelve": "runs code on loading",
    "marshal": "runs code on loading",
    "joblib": "runs code on loading",
}
UNSAFE_CALLS = {"torch.load", "torch.save", "eval", "exec", "compile", "yaml.load", "os.system"}
SEEDING = {"random.seed", "np.random.seed", "numpy.random.seed", "torch.seed"}
TORCH_DRAWS = {"rand", "randn", "randint", "randperm", "bernoulli", "multinomial", "normal", "poisson"}
NUMPY_GENERATORS = {"default_rng", "Generator", "RandomState", "SeedSequence", "PCG64", "Philox", "BitGenerator"}
VERDICTS = {"allclose", "array_equal", "isclose", "equal", "equals", "isfinite", "startswith", "endswith", "issubset"}
"""Functions that answer yes or no: a call whose answer nobody takes is a check that checks nothing."""


def prints(module: Module) -> Iterator[str]:
    """Yield calls of ``print`` and writes to the standard streams outside the command line."""
    if module.folders[:1] == ("cli",):
        return
    for node in ast.walk(module.tree):
        if isinstance(node, ast.Call) and dotted(node.func) in {"print", "sys.stdout.write", "sys.stderr.write"}:
            yield f"{module.name}:{node.lineno}: prints"


def global_randomness(module: Module) -> Iterator[str]:
    """Yield seeding of global generators (``torch.manual_seed`` inside ``fork_rng`` is none) and draws from them."""
    for node, forked in _calls(module.tree, forked=False):
        name = dotted(node.func)
        keywords = {keyword.arg for keyword in node.keywords}
        head, _, last = name.rpartition(".")
        if name in SEEDING or (name.startswith("torch.") and "manual_seed" in last and not forked):
            yield f"{module.name}:{node.lineno}: {name} seeds the world"
        elif _draws_globally(head, last, module.tree):
            yield f"{module.name}:{node.lineno}: {name} draws from the global generator"
        elif head == "torch" and last in TORCH_DRAWS and "generator" not in keywords and not forked:
            yield f"{module.name}:{node.lineno}: {name} without generator="


def unsafe(module: Module) -> Iterator[str]:
    """Yield what runs code from data: pickle and its kin, ``torch.load``, ``eval``, ``exec``, ``allow_pickle``."""
    for node in ast.walk(module.tree):
        if isinstance(node, ast.Import):
            names = [alias.name.partition(".")[0] for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            names = [(node.module or "").partition(".")[0]]
        else:
            names = []
        yield from (f"{module.name}:{node.lineno}: {name} {UNSAFE[name]}" for name in names if name in UNSAFE)  # type: ignore[attr-defined]
        if isinstance(node, ast.Call):
            if dotted(node.func) in UNSAFE_CALLS:
                yield f"{module.name}:{node.lineno}: {dotted(node.func)}"
            for keyword in node.keywords:
                if keyword.arg == "allow_pickle" and not _is_false(keyword.value):
                    yield f"{module.name}:{node.lineno}: allow_pickle"


def clocks(module: Module) -> Iterator[str]:
    """Yield readings of the wall clock, by which two equal runs would differ, outside the command line and reports."""
    if module.folders[:1] in {("cli",), ("report",), ("serve",)}:
        return
    for node in ast.walk(module.tree):
        if isinstance(node, ast.Call) and dotted(node.func) in {"time.time", "datetime.now", "datetime.datetime.now"}:
            yield f"{module.name}:{node.lineno}: reads the clock"


def idle_comparisons(module: Module) -> Iterator[str]:
    """Yield comparisons and verdicts that stand alone as a statement, and assertions of a non-empty tuple."""
    for node in ast.walk(module.tree):
        if isinstance(node, ast.Expr):
            value = node.value
            if isinstance(value, ast.Compare | ast.BoolOp) or (
                isinstance(value, ast.UnaryOp) and isinstance(value.op, ast.Not)
            ):
                yield f"{module.name}:{node.lineno}: a comparison that nobody asserts"
            if isinstance(value, ast.Call) and isinstance(value.func, ast.Attribute) and value.func.attr in VERDICTS:
                yield f"{module.name}:{node.lineno}: the answer of {value.func.attr} is not taken"
        if isinstance(node, ast.Assert) and isinstance(node.test, ast.Tuple) and node.test.elts:
            yield f"{module.name}:{node.lineno}: an assertion of a tuple is always true"


def empty_tests(module: Module) -> Iterator[str]:
    """Yield test functions in which nothing can fail on purpose: no assertion, no ``raises``, no check by name."""
    for node in ast.walk(module.tree):
        if isinstance(node, Function) and node.name.startswith("test_") and not any(map(_can_fail, ast.walk(node))):
            yield f"{module.name}:{node.lineno}: {node.name} asserts nothing"


def _can_fail(node: ast.AST) -> bool:
    if isinstance(node, ast.Assert | ast.Raise):
        return True
    if not isinstance(node, ast.Call):
        return False
    name = dotted(node.func).rpartition(".")[2]
    checked = any(keyword.arg == "check" and not _is_false(keyword.value) for keyword in node.keywords)
    return (
        checked
        or name in {"raises", "warns", "gradcheck", "fail", "mechanism"}
        or name.startswith(("assert", "check", "refuse", "expect"))
    )


def _calls(node: ast.AST, *, forked: bool) -> Iterator[tuple[ast.Call, bool]]:
    """Yield every call with whether it stands inside ``with ...fork_rng(...)``."""
    if isinstance(node, ast.With):
        contexts = [item.context_expr for item in node.items]
        forked = forked or any("fork" in dotted(c.func) for c in contexts if isinstance(c, ast.Call))
    if isinstance(node, ast.Call):
        yield node, forked
    for child in ast.iter_child_nodes(node):
        yield from _calls(child, forked=forked)


def _draws_globally(head: str, last: str, tree: ast.Module) -> bool:
    if head in {"np.random", "numpy.random"}:
        return last not in NUMPY_GENERATORS
    imported = (alias.name for node in ast.walk(tree) if isinstance(node, ast.Import) for alias in node.names)
    return head == "random" and last not in {"Random", "SystemRandom"} and "random" in imported


def _is_false(node: ast.expr) -> bool:
    return isinstance(node, ast.Constant) and node.value is False

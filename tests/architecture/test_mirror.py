"""The tests mirror the source: whoever changes a module knows where its tests are, and none goes untested."""

from collections.abc import Mapping

import pytest

from architecture.modules import ROOT, Module, internal_imports, read_modules

MODULES = {name: module for name, module in read_modules().items() if not module.is_package and "." in name}
CLAIMS = {name for name, module in MODULES.items() if module.folders[0] == "claims" and "\nSLUG = " in module.text}
"""Claims of papers are run and judged by ``tests/contracts/test_claims.py``."""

SUBJECTS = {"losses", "miners", "samplers", "heads", "clustering", "metrics", "tables", "methods", "cli"}
"""Folders in which every file is a subject with a test file of its own.

Elsewhere, and in folders inside these, a module may be a part: of one with tests that uses it, or of a test that
imports it.
"""


def own_tests(name: str) -> str:
    """Return the name of the test file of a module."""
    return f"test_{name.rpartition('.')[2]}.py"


def is_subject(module: Module) -> bool:
    """Return whether a module must have a test file of its own."""
    depth = 3 if module.folders[0] == "methods" else 2
    return module.folders[0] in SUBJECTS and len(module.folders) == depth


def untested(modules: Mapping[str, Module], present: set[str], imported: set[str]) -> list[str]:
    """Return the modules of one folder that no test reaches.

    ``present`` are the names of the folder's test files, ``imported`` the modules that they import.
    """
    reached = {name for name, module in modules.items() if own_tests(name) in present}
    reached |= {name for name in imported & modules.keys() if not is_subject(modules[name])}
    left = list(reached)
    while left:
        for edge in internal_imports(modules[left.pop()], modules):
            if edge.target not in reached and not is_subject(modules[edge.target]):
                reached.add(edge.target)
                left.append(edge.target)
    return sorted(modules.keys() - reached)


@pytest.mark.parametrize(
    "folder", sorted({module.folders[0] for module in MODULES.values() if len(module.folders) > 1})
)
def test_every_module_has_its_tests(folder):
    inside = {name: module for name, module in MODULES.items() if module.folders[0] == folder and name not in CLAIMS}
    tests = {path.name: path for path in (ROOT / "tests" / folder).rglob("test_*.py")}
    read = (Module(name, path.read_text(encoding="utf-8")) for name, path in tests.items())
    imported = {edge.target for module in read for edge in internal_imports(module, MODULES)}
    parts = {
        edge.target
        for name in CLAIMS
        for edge in internal_imports(MODULES[name], MODULES)
        if MODULES[edge.target].folders[0] == folder == "claims"
    }
    lonely = untested(inside, set(tests), imported | parts)
    assert not lonely, f"no tests in tests/{folder} for:\n" + "\n".join(lonely)


def folder(**sources):
    """Return modules of ``ops`` and ``losses``; ``a__b`` stands for ``spaceform.a.b``."""
    named = {".".join(["spaceform", *name.split("__")]): text for name, text in sources.items()}
    return {name: Module(name, text) for name, text in named.items()}


def test_a_part_is_reached_through_its_whole_and_others_are_not():
    modules = folder(ops__mining="import spaceform.ops.kernels", ops__kernels="", ops__lonely="", ops__used="")
    assert untested(modules, {"test_mining.py"}, {"spaceform.ops.used"}) == ["spaceform.ops.lonely"]


def test_a_subject_needs_a_file_of_its_own():
    modules = folder(losses__a="import spaceform.losses.b", losses__b="", losses__inner__c="")
    assert untested(modules, {"test_a.py"}, {"spaceform.losses.b", "spaceform.losses.inner.c"}) == [
        "spaceform.losses.b"
    ]

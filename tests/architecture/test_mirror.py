"""The tests mirror the source: whoever changes a module knows where its tests are, and none goes untested."""

import pytest

from architecture.modules import ROOT, Module, internal_imports, read_modules

MODULES = {name: module for name, module in read_modules().items() if not module.is_package and "." in name}
CLAIMS = {name for name, module in MODULES.items() if module.folders[0] == "claims" and "\nSLUG = " in module.text}
OWN = {"losses", "miners", "samplers", "heads", "clustering", "metrics", "tables", "methods", "cli"}
"""Folders whose every module is a subject of its own; elsewhere it is enough that a test of the folder imports it.

Claims of papers are run and judged by ``tests/contracts/test_claims.py``.
"""


def candidates(name: str, names: set[str]) -> list[str]:
    """Return the test files that may cover a module: its own, or that of the module of which it is a part.

    ``mining_compiled`` is a part of ``mining``, and ``filter_tokens`` of ``filters``, if that is a module beside it.
    """
    parent, _, stem = name.rpartition(".")
    words = stem.split("_")
    wholes = ["_".join(words[:count]) + plural for count in range(1, len(words)) for plural in ("", "s")]
    return [f"test_{part}.py" for part in (stem, *(whole for whole in wholes if f"{parent}.{whole}" in names))]


def imported_by_tests(folder: str) -> set[str]:
    """Return the modules that the tests of one folder import."""
    tests = (ROOT / "tests" / folder).rglob("*.py")
    read = (Module(path.stem, path.read_text(encoding="utf-8")) for path in tests)
    return {edge.target for module in read for edge in internal_imports(module, MODULES)}


FOLDERS = sorted({module.folders[0] for module in MODULES.values() if len(module.folders) > 1})


@pytest.mark.parametrize("folder", FOLDERS)
def test_every_module_has_its_tests(folder):
    present = {path.name for path in (ROOT / "tests" / folder).rglob("test_*.py")}
    imported = set() if folder in OWN else imported_by_tests(folder)
    inside = [name for name, module in MODULES.items() if module.folders[0] == folder and name not in CLAIMS]
    lonely = [name for name in inside if not present & set(candidates(name, set(MODULES))) and name not in imported]
    assert not lonely, f"no tests/{folder}/.../test_<module>.py for:\n" + "\n".join(lonely)


def test_a_part_is_covered_by_its_whole_and_others_are_not():
    names = {"spaceform.ops.mining", "spaceform.ops.mining_compiled", "spaceform.search.filters", "spaceform.ops.a_b"}
    assert candidates("spaceform.ops.mining_compiled", names) == ["test_mining_compiled.py", "test_mining.py"]
    assert candidates("spaceform.search.filter_tokens", names) == ["test_filter_tokens.py", "test_filters.py"]
    assert candidates("spaceform.ops.a_b", names) == ["test_a_b.py"]

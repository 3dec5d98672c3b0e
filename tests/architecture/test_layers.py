"""The house stands: imports go down, and what must be light loads nothing heavy."""

import pytest

from architecture.layers import cycle, layer_violations, loads
from architecture.modules import Module, external_imports, read_modules

MODULES = read_modules()

HEAVY = {"torch", "sklearn", "scipy", "numba", "pyarrow", "pandas", "matplotlib", "transformers", "safetensors"}
LIGHT = ("spaceform", "spaceform.errors", "spaceform.types", "spaceform.checks", "spaceform.rng", "spaceform.papers")


def test_imports_go_down_only():
    violations = list(layer_violations(MODULES))
    assert not violations, "\n" + "\n".join(violations)


def test_no_import_circle():
    assert cycle(MODULES) == []


@pytest.mark.parametrize("name", [*LIGHT, *(name for name in MODULES if name.startswith("spaceform.cli"))])
def test_light_modules_load_nothing_heavy(name):
    heavy = {
        f"{module}:{line} imports {package}"
        for module in loads(name, MODULES)
        for package, line in external_imports(MODULES[module])
        if package in HEAVY
    }
    assert heavy == set()


def tree(**sources):
    """Return modules of a small house; ``a__b`` stands for ``spaceform.a.b``."""
    named = {".".join(["spaceform", *name.split("__")]): text for name, text in sources.items()}
    return {name: Module(name, text) for name, text in {"spaceform": "", **named}.items()}


@pytest.mark.parametrize(
    ("modules", "message"),
    [
        (tree(ops="", ops__pairs="from spaceform.losses import triplet", losses="", losses__triplet=""), "which is up"),
        (tree(ops="def f():\n    import spaceform.losses", losses=""), "which is up"),
        (tree(ops="if TYPE_CHECKING:\n    from spaceform.losses import Triplet", losses=""), "which is up"),
        (tree(ops="import importlib\nimportlib.import_module('spaceform.losses')", losses=""), "which is up"),
        (
            tree(losses__a="from spaceform.miners.b import mine", miners__b="", losses="", miners=""),
            "which is sideways",
        ),
        (tree(losses__a="from ..miners import b", miners__b="", losses="", miners=""), "which is sideways"),
        (tree(space_file="import spaceform.data", data=""), "which is sideways"),
        (tree(checks="from spaceform import __version__"), "which is up"),
        (
            tree(methods="", methods__x="", methods__x__a="from spaceform.methods.x.b import B", methods__x__b=""),
            "a method imports the method",
        ),
        (tree(helpers="from spaceform import errors", errors=""), "stands in no layer"),
    ],
)
def test_each_forbidden_edge_is_found(modules, message):
    found = list(layer_violations(modules))
    assert len(found) == 1
    assert message in found[0]


@pytest.mark.parametrize(
    "modules",
    [
        tree(losses__a="from spaceform.ops.pairs import f", ops__pairs="", losses="", ops=""),
        tree(losses__a="from spaceform.losses.b import f", losses__b="", losses=""),
        tree(cli__main="import spaceform", cli=""),
        tree(space_file="import spaceform.space_rows", space_rows=""),
    ],
)
def test_edges_that_are_allowed(modules):
    assert list(layer_violations(modules)) == []


def test_a_circle_is_found_inside_functions_too():
    modules = tree(
        ops__a="def f():\n    from spaceform.ops import b",
        ops__b="import spaceform.ops.c",
        ops__c="import spaceform.ops.a",
        ops="",
    )
    assert set(cycle(modules)) == {"spaceform.ops.a", "spaceform.ops.b", "spaceform.ops.c"}


def test_weight_is_found_through_the_package_around_a_module():
    modules = tree(papers="from spaceform.papers import heavy", papers__heavy="import torch.nn", papers__light="")
    assert loads("spaceform.papers.light", modules) >= {"spaceform.papers.heavy", "spaceform"}
    assert list(external_imports(modules["spaceform.papers.heavy"])) == [("torch", 1)]
    assert list(external_imports(Module("spaceform.x", "def f():\n    import torch"))) == []

"""Sizes, names and conduct of every module and of every test; and each rule must catch what it is for."""

import subprocess
import textwrap

import pytest

from architecture import conduct, glossary, rules, texts
from architecture.modules import ROOT, Module, read_modules

MODULES = read_modules()
TESTS = {str(path): Module(str(path), path.read_text("utf-8")) for path in sorted((ROOT / "tests").rglob("*.py"))}

RULES = [
    rules.too_long,
    rules.too_many_parameters,
    rules.option_tunnels,
    rules.drawers,
    rules.missing_exports,
    conduct.prints,
    conduct.global_randomness,
    conduct.unsafe,
    conduct.clocks,
    conduct.idle_comparisons,
    glossary.foreign_words,
]
TEST_RULES = [conduct.idle_comparisons, conduct.empty_tests]


def refuse(violations):
    """Fail with every violation on its own line."""
    lines = list(violations)
    assert not lines, "\n" + "\n".join(lines)


def found(rule, modules):
    return [violation for module in modules.values() for violation in rule(module)]


@pytest.mark.parametrize("rule", RULES, ids=lambda rule: rule.__name__)
def test_every_module_keeps_the_rule(rule):
    refuse(found(rule, MODULES))


@pytest.mark.parametrize("rule", TEST_RULES, ids=lambda rule: rule.__name__)
def test_every_test_keeps_the_rule(rule):
    refuse(found(rule, TESTS))


@pytest.mark.parametrize("rule", [rules.too_deep, rules.crowded_folders], ids=lambda rule: rule.__name__)
def test_the_house_keeps_the_rule(rule):
    refuse(rule(MODULES))


def test_no_file_says_what_none_may_say():
    try:
        files = list(texts.tracked_texts())
    except (OSError, subprocess.CalledProcessError):
        pytest.skip("no git checkout")
    refuse(violation for name, text in files for violation in texts.forbidden_words(name, text))


BROKEN = [
    (rules.too_long, "x = 1\n" * 401),
    (rules.too_long, "def f():\n" + "    x = 1\n" * 60),
    (rules.too_many_parameters, "def f(a, b, c, d, e): ..."),
    (rules.too_many_parameters, "class A:\n    def fit(self, a, b, c, d, e): ..."),
    (rules.too_many_parameters, f"def f(*, {', '.join(f'p{i}' for i in range(13))}): ..."),
    (rules.option_tunnels, "def f(x, **kwargs): ..."),
    (rules.option_tunnels, "def _f(x, loss_kwargs=None): ..."),
    (rules.drawers, "def train_new(): ..."),
    (rules.drawers, "class LossV2: ...\ndef loss_v2(): ..."),
    (rules.missing_exports, "__all__ = ['a', 'b']\na = 1"),
    (rules.missing_exports, "__all__ = ['a', 'a']\na = 1"),
    (conduct.prints, "def f():\n    print('x')"),
    (conduct.prints, "import sys\nsys.stderr.write('x')"),
    (conduct.global_randomness, "np.random.seed(0)"),
    (conduct.global_randomness, "x = np.random.rand(3)"),
    (conduct.global_randomness, "import random\nrandom.shuffle(x)"),
    (conduct.global_randomness, "torch.manual_seed(0)"),
    (conduct.global_randomness, "torch.cuda.manual_seed_all(0)"),
    (conduct.global_randomness, "x = torch.randn(3)"),
    (conduct.unsafe, "import pickle"),
    (conduct.unsafe, "from joblib import load"),
    (conduct.unsafe, "torch.load('x')"),
    (conduct.unsafe, "np.load('x', allow_pickle=True)"),
    (conduct.unsafe, "np.load('x', allow_pickle=flag)"),
    (conduct.unsafe, "eval('1')"),
    (conduct.unsafe, "def f():\n    exec('x')"),
    (conduct.clocks, "seed = time.time()"),
    (conduct.idle_comparisons, "def test_x():\n    a == b"),
    (conduct.idle_comparisons, "def test_x():\n    not a"),
    (conduct.idle_comparisons, "def test_x():\n    a < b and c"),
    (conduct.idle_comparisons, "def test_x():\n    np.allclose(a, b)"),
    (conduct.idle_comparisons, "def test_x():\n    a.equals(b)"),
    (conduct.idle_comparisons, "def test_x():\n    assert (a == b, 'differs')"),
    (conduct.empty_tests, "def test_x():\n    f(1)"),
    (glossary.foreign_words, "def f(X, n_neighbors=5): ..."),
    (glossary.foreign_words, "class A:\n    def __init__(self, *, temp=1): ..."),
    (glossary.foreign_words, "class A:\n    def __init__(self, *, seed=0): ...\n    def fit(self, X): ..."),
]

SOUND = [
    (rules.too_long, "x = 1\n" * 400),
    (rules.too_long, 'def f():\n    """' + "text\n" * 100 + '    """\n    return 1'),
    (rules.too_many_parameters, "def _f(a, b, c, d): ..."),
    (rules.too_many_parameters, "def f(a, b, c, *, d): ..."),
    (
        rules.too_many_parameters,
        "class A:\n    def fit(self, a, b, c): ...\n    @staticmethod\n    def g(a, b, c): ...",
    ),
    (
        rules.too_many_parameters,
        "class A(torch.autograd.Function):\n    @staticmethod\n    def forward(ctx, a, b, c): ...",
    ),
    (rules.too_many_parameters, "@numba.njit(cache=True)\ndef f(a, b, c, d, e): ..."),
    (rules.option_tunnels, "def f(x, *, margin=1): ..."),
    (rules.drawers, "def renew(): ...\ndef _common(): ..."),
    (rules.missing_exports, "__all__ = ['a', 'B']\nfrom x import a\nclass B: ..."),
    (rules.missing_exports, "__all__ = ['a']\ndef __getattr__(name): ..."),
    (conduct.global_randomness, "x = np.random.default_rng(0).normal(3)"),
    (conduct.global_randomness, "with torch.random.fork_rng():\n    torch.manual_seed(0)\n    x = torch.randn(3)"),
    (conduct.global_randomness, "x = torch.randn(3, generator=generator)"),
    (conduct.unsafe, "model.eval()\nnp.load('x', allow_pickle=False)"),
    (conduct.clocks, "begun = time.monotonic()"),
    (conduct.idle_comparisons, "def test_x():\n    assert a == b\n    assert np.allclose(a, b)\n    f(a)"),
    (conduct.empty_tests, "def test_x():\n    with pytest.raises(ValueError):\n        f()"),
    (conduct.empty_tests, "def test_x():\n    np.testing.assert_allclose(a, b)"),
    (glossary.foreign_words, "def _f(X, rng): ...\ndef fit(X, *, random_state=None): ...\ndef train(*, seed): ..."),
]


def module(code, name="spaceform.ops.x"):
    return Module(name, textwrap.dedent(code))


@pytest.mark.parametrize(("rule", "code"), BROKEN)
def test_each_rule_catches_what_is_broken(rule, code):
    assert list(rule(module(code))) != []


@pytest.mark.parametrize(("rule", "code"), SOUND)
def test_each_rule_lets_sound_code_pass(rule, code):
    assert list(rule(module(code))) == []


@pytest.mark.parametrize("name", ["spaceform.utils", "spaceform.ops._helpers", "spaceform.losses.triplet_v2"])
def test_drawers_and_twins_are_found_by_their_file_names(name):
    assert len(list(rules.drawers(module("", name)))) == 1


def test_every_rule_has_a_broken_example():
    assert {rule for rule, _ in BROKEN} == {*RULES, *TEST_RULES}


def test_printing_and_clocks_are_free_on_the_command_line():
    told = module("print(time.time())", "spaceform.cli.audit")
    assert [*conduct.prints(told), *conduct.clocks(told)] == []


def test_a_long_line_of_ancestors_is_found_across_modules():
    chain = {
        "a": module("class A: ...\nclass B(A): ..."),
        "b": module("class C(a.B): ..."),
        "c": module("class D(C): ..."),
    }
    assert list(rules.too_deep(chain)) == ["D has more than 2 ancestors in the package"]
    del chain["c"]
    assert list(rules.too_deep(chain)) == []


def test_a_crowded_folder_is_found():
    names = {f"spaceform.ops.m{i}": module("") for i in range(15)} | {"spaceform.ops": module("")}
    assert list(rules.crowded_folders(names)) == []
    names["spaceform.ops.m15"] = module("")
    assert list(rules.crowded_folders(names)) == ["spaceform.ops: 16 modules, at most 15"]


@pytest.mark.parametrize(
    "text",
    [
        *(f"# {word} later\n" for word in texts.OPEN_ENDS),
        *(f"see https://{host}/x\n" for host in texts.HOSTS),
        "path = '/" + "home/me/data'\n",
        "open('/" + "work/main/x')\n",
        "no newline",
    ],
)
def test_each_forbidden_word_is_found(text):
    assert len(list(texts.forbidden_words("x.md", text))) == 1


@pytest.mark.parametrize("text", ["", "a method\n", "~/work/x and ./home/x and path/work/y\n", "todo lists are fine\n"])
def test_other_words_are_free(text):
    assert list(texts.forbidden_words("x.md", text)) == []

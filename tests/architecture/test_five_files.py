"""A new method touches five files: a toy one, added to a copy of the repository, turns up everywhere by itself."""

import json
import os
import shutil
import subprocess
import sys

import pytest

from architecture.modules import ROOT

RECORD = """
slug = 'toy-method'
title = 'A Toy Method'
method = 'Toy'
authors = ['Ada Author']
year = 2026
venue = 'Nowhere 2026'
arxiv = '2601.00001'
purpose = 'diagnostics'
idea = 'Say how many rows there are.'
needs = 'rows'
gives = 'their number'
keywords = ['counting', 'zebra']
limits = ['It can only count.']
classes = ['ToyMethod']
published = [{ figure = 'rows', value = '3', unit = 'rows', where = 'table 1' }]

[code]
repository = 'none'
licence = 'none'

[claim]
statement = 'Counting counts.'
data = 'digits'
seeds = [0, 1, 2]
budget_seconds = 1

[[claim.comparisons]]
name = 'counting beats guessing'
kind = 'mechanism'
test = 'superior'
metric = 'right'
direction = 'up'
method = 'count'
baseline = 'guess'
margin = 0.1
role = 'baseline'
"""

METHOD = '''"""A toy."""

from typing import final

from sklearn.base import BaseEstimator


@final
class ToyMethod(BaseEstimator):
    """Count rows."""

    def fit(self, X, y=None):
        """Count the rows of X and return self."""
        self.n_ = len(X)
        return self
'''

CLAIM = '''"""Counting against guessing."""

SLUG = "toy-method"
ARMS = {"count": "counts", "guess": "guesses"}
SETTINGS = {scale: {"rows": 3} for scale in ("smoke", "laptop", "paper")}


def run(arm, seed, settings, context):
    """Return how often the number was right."""
    return {"right": 1.0 if arm == "count" else 0.1 * seed}


def mechanism(record):
    """Counting is always right."""
    assert all(values["right"] == 1 for values in record.figures()["count"].values())
'''

TESTS = """
from contracts.cases import EstimatorCase

CONTRACT_CASES = {"ToyMethod": EstimatorCase()}
"""

FILES = {
    "src/spaceform/papers/toy-method.toml": RECORD,
    "src/spaceform/methods/diagnostics/toy_method.py": METHOD,
    "src/spaceform/claims/diagnostics/toy_method.py": CLAIM,
    "tests/methods/diagnostics/test_toy_method.py": TESTS,
    "changelog.d/toy-method.added.md": "A toy method.\n",
}


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    """Return a function that runs Python in a copy of the repository with five more files."""
    root = tmp_path_factory.mktemp("copy")
    without = shutil.ignore_patterns("__pycache__")
    for folder in ("src", "scripts", "changelog.d", "results", "tests/contracts"):
        if (ROOT / folder).is_dir():
            shutil.copytree(ROOT / folder, root / folder, ignore=without)
    for name in ("README.md", "CHANGELOG.md", "CONTRIBUTING.md", "pyproject.toml"):
        shutil.copy(ROOT / name, root)
    for name, text in FILES.items():
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_text(text)

    def python(*arguments):
        variables = {**os.environ, "PYTHONPATH": str(root / "src")}
        command = [sys.executable, *arguments]
        return subprocess.run(command, cwd=root, env=variables, capture_output=True, text=True, check=True).stdout

    assert python("-c", "import spaceform; print(spaceform.__file__)").startswith(str(root))
    return python


def test_the_class_is_exported(run):
    code = "import spaceform as sf; print('ToyMethod' in sf.__all__, sf.ToyMethod().fit([1, 2, 3]).n_)"
    assert run("-c", code) == "True 3\n"


def test_the_paper_is_listed_and_found(run):
    assert "toy-method" in run("-m", "spaceform", "papers")
    found = json.loads(run("-m", "spaceform", "papers", "counting zebra", "--json"))
    assert found[0]["slug"] == "toy-method"
    assert found[0]["status"]["method"]


def test_the_claim_runs_and_is_judged(run):
    run("-m", "spaceform", "reproduce", "toy-method", "--no-plot")
    made = json.loads(run("-m", "spaceform", "papers", "toy-method", "--json"))
    assert made["status"]["verdict"] == "reproduced"


def test_the_readme_gets_its_row_and_the_changelog_its_line(run):
    run("-m", "spaceform", "reproduce", "toy-method", "--no-plot")
    run("scripts/generate.py")
    assert "| `toy-method` | Toy | counting beats guessing | " in run("-c", "print(open('README.md').read())")
    assert "- A toy method." in run(
        "-c", "import sys; sys.path[:0] = ['scripts']; import changelog; print(changelog.preview())"
    )


def test_the_contract_suite_finds_the_class_and_its_case(run):
    code = (
        "import sys; sys.path[:0] = ['tests']\n"
        "from contracts import cases, discovery\n"
        "print('ToyMethod' in cases.ESTIMATORS, 'ToyMethod' in {kind.__name__ for kind in discovery.estimators()})"
    )
    assert run("-c", code) == "True True\n"


def test_the_site_gets_its_page(run):
    code = (
        "import sys; sys.path[:0] = ['scripts']\n"
        "import pages\n"
        "from spaceform import papers\n"
        "print(pages.paper_page(papers.load('toy-method'), pages.read_results().get('toy-method')))\n"
        "print(pages.papers_index({}))"
    )
    page = run("-c", code)
    assert "sf.ToyMethod" in page
    assert "[Toy](toy-method.md)" in page

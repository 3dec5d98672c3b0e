"""The documentation site builds without a warning, where mkdocs is installed."""

import importlib.util
import os
import subprocess
import sys

import pytest

import pages

needs_mkdocs = pytest.mark.skipif(
    importlib.util.find_spec("mkdocstrings") is None or importlib.util.find_spec("material") is None,
    reason="mkdocs is not installed (pip install -e '.[docs]')",
)


@needs_mkdocs
def test_the_site_builds(tmp_path):
    command = [sys.executable, "-m", "mkdocs", "build", "--strict", "--quiet", "--site-dir", str(tmp_path / "site")]
    variables = {**os.environ, "NO_MKDOCS_2_WARNING": "1"}
    done = subprocess.run(command, cwd=pages.ROOT, env=variables, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    start = (tmp_path / "site" / "index.html").read_text()
    assert "https://fonts" not in start
    for page in ("guide", "concepts", "papers", "papers/loki", "api/methods", "contributing", "changelog"):
        assert (tmp_path / "site" / page / "index.html").is_file(), page


@needs_mkdocs
def test_examples_in_docstrings_become_code():
    docstrings = pytest.importorskip("docstrings")
    text = "Do it.\n\nWith :class:`a.B`.\n\n>>> f(1)\n2\n\nMore."
    assert docstrings.as_markdown(text) == "Do it.\n\nWith `a.B`.\n\n```pycon\n>>> f(1)\n2\n```\n\nMore."
    headed = "Do it.\n\nExamples\n--------\n>>> f(1)\n2"
    assert docstrings.as_markdown(headed) == headed

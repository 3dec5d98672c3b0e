"""Style and types are tests like any other: the same tools, the settings of pyproject.toml."""

import subprocess
import sys

import pytest

from architecture.modules import ROOT

COMMANDS = {
    "lint": ("ruff", "check", "--quiet", "."),
    "format": ("ruff", "format", "--check", "--quiet", "."),
    "types": ("mypy",),
}


@pytest.mark.parametrize("name", COMMANDS)
def test_the_tools_find_nothing(name):
    done = subprocess.run(
        [sys.executable, "-m", *COMMANDS[name]], cwd=ROOT, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, f"{done.stdout}{done.stderr}"

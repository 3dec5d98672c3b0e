"""What is shipped: a wheel with everything the package reads, and nothing else."""

import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
PACKAGE = ROOT / "src" / "spaceform"


@pytest.fixture(scope="module")
def wheel(tmp_path_factory):
    """Build the wheel, out of the source distribution as users' tools do, and return its path."""
    folder = tmp_path_factory.mktemp("dist")
    command = [sys.executable, "-m", "build", "--no-isolation", "--outdir", str(folder), str(ROOT)]
    subprocess.run(command, capture_output=True, check=True)
    assert len(list(folder.glob("*.tar.gz"))) == 1
    (path,) = folder.glob("*.whl")
    return path


def test_the_wheel_holds_every_file_of_the_package(wheel):
    held = {name for name in zipfile.ZipFile(wheel).namelist() if ".dist-info/" not in name}
    there = {path.relative_to(PACKAGE.parent).as_posix() for path in PACKAGE.rglob("*") if path.is_file()}
    assert held == {name for name in there if "__pycache__" not in name}


def test_the_wheel_says_what_it_is(wheel):
    held = zipfile.ZipFile(wheel)
    (metadata,) = (held.read(name).decode() for name in held.namelist() if name.endswith("METADATA"))
    (scripts,) = (held.read(name).decode() for name in held.namelist() if name.endswith("entry_points.txt"))
    assert "License-Expression: Apache-2.0" in metadata
    assert "spaceform = spaceform.cli.main:main" in scripts
    assert any(name.endswith("licenses/LICENSE") for name in held.namelist())


def test_the_wheel_works_from_where_it_is(wheel, tmp_path):
    with zipfile.ZipFile(wheel) as held:
        held.extractall(tmp_path)
    code = "import spaceform; from spaceform.cli.main import main; print(spaceform.__file__); main(['papers'])"
    done = subprocess.run([sys.executable, "-c", code], cwd=tmp_path, capture_output=True, text=True, check=True)
    assert done.stdout.startswith(str(tmp_path))
    assert "loki" in done.stdout

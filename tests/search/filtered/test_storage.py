"""An index on disk is the index in memory, survives kills at any moment, and refuses what is damaged."""

import json
import os
import random
import shutil
import signal
import subprocess
import sys
import time

import numpy as np
import pytest

from search.filtered import crashing
from search.filtered.conftest import draw
from spaceform.errors import InputError, SpaceFormatError
from spaceform.search.filtered import planner, storage
from spaceform.search.filtered.index import FilteredIndex
from spaceform.search.filtered.journal import Journal

WHERE = ["group < 4", "price > 0", None, "tags contains 'old' and group >= 2"]


@pytest.fixture(scope="module")
def saved(tmp_path_factory):
    """A saved index with a private list, dead rows and a tail, closed."""
    folder = tmp_path_factory.mktemp("index") / "index"
    index = FilteredIndex(recall=1.0).fit(*draw(600)).prepare("price > 0")
    index.delete([3, 77])
    index.save(folder)
    index.add(*draw(20, seed=4))
    index.update([5], attributes={"group": [19]})
    index.delete([8, 501])
    index.close()
    return folder, index


@pytest.fixture
def copy(saved, tmp_path):
    return shutil.copytree(saved[0], tmp_path / "index")


def assert_same(index, other, queries):
    np.testing.assert_array_equal(index.ids, other.ids)
    for where in WHERE:
        a, b = (one.query(queries, 12, where=where) for one in (index, other))
        np.testing.assert_array_equal(a.rows, b.rows)
        np.testing.assert_array_equal(a.closeness, b.closeness)


@pytest.mark.parametrize("writable", [False, True])
def test_what_is_loaded_is_what_was_saved(writable, saved, copy, queries):
    index = FilteredIndex.load(copy, writable=writable)
    assert_same(index, saved[1], queries)
    assert index.stats_["lists"].keys() == {"price > 0.0"} or index.stats_["lists"].keys() == {"price > 0"}
    assert not index._state.segment.base.rows.flags.writeable
    if writable:
        index.compact()
        assert_same(index, saved[1], queries)
        index.add(*draw(5, seed=9))
        index.save(copy)  # once more into the same folder
        expected = index.ids
        index.close()
        np.testing.assert_array_equal(FilteredIndex.load(copy).ids, expected)
        assert sorted(path.name.partition("-")[0] for path in copy.iterdir()) == [
            "arrays", "changes", "index.json", "lock",
        ]  # fmt: skip


def test_an_index_to_be_read_refuses_changes(copy):
    index = FilteredIndex.load(copy)
    for call in (lambda: index.delete([1]), lambda: index.add(*draw(1)), index.compact, lambda: index.save(copy)):
        with pytest.raises(InputError, match="writable"):
            call()
    index.close()
    index.delete([1])  # in memory
    assert 1 in FilteredIndex.load(copy).ids


def test_one_writer_at_a_time_and_the_lock_names_it(copy):
    index = FilteredIndex.load(copy, writable=True)
    with pytest.raises(InputError, match=f"process {os.getpid()}"):
        FilteredIndex.load(copy, writable=True)
    with pytest.raises(InputError, match="one writer"):
        FilteredIndex().fit(np.eye(3)).save(copy)
    FilteredIndex.load(copy)
    index.close()
    FilteredIndex.load(copy, writable=True).close()


def test_foreign_folders_are_left_alone(tmp_path):
    (tmp_path / "thesis.tex").write_text("do not touch")
    index = FilteredIndex().fit(np.eye(3))
    with pytest.raises(InputError, match=r"thesis\.tex"):
        index.save(tmp_path)
    with pytest.raises(InputError, match="a file"):
        index.save(tmp_path / "thesis.tex")
    with pytest.raises(SpaceFormatError, match=r"index\.json"):
        FilteredIndex.load(tmp_path)
    with pytest.raises(SpaceFormatError, match=r"index\.json"):
        FilteredIndex.load(tmp_path / "none", writable=True)
    assert [path.name for path in tmp_path.iterdir()] == ["thesis.tex"]


def test_the_record_cut_or_changed_at_any_byte_is_refused(copy):
    path = copy / "index.json"
    data = path.read_bytes()
    for size in [*range(300), *range(300, len(data) - 3, 97)]:
        path.write_bytes(data[:size])
        with pytest.raises(SpaceFormatError, match=r"index\.json"):
            storage.read_record(copy)
    for place in range(0, len(data), 41):
        changed = bytearray(data)
        changed[place] ^= 0x01
        path.write_bytes(changed)
        try:
            record = storage.read_record(copy)
        except SpaceFormatError:
            continue
        whole = json.loads(data)
        whole.pop("record")
        assert record == whole  # a byte between the values
    path.write_text(json.dumps({**json.loads(data), "version": 99}))
    with pytest.raises(SpaceFormatError, match="99"):
        FilteredIndex.load(copy)


def test_a_flipped_bit_or_a_missing_end_is_found_in_every_file(copy):
    arrays = next(copy.glob("arrays-*"))
    for path in sorted(arrays.iterdir()):
        data = path.read_bytes()
        changed = bytearray(data)
        changed[len(data) * 3 // 4] ^= 0x04
        for damaged in (bytes(changed), data[:-1], b""):
            path.write_bytes(damaged)
            with pytest.raises(SpaceFormatError, match=path.name):
                FilteredIndex.load(copy)
        path.unlink()
        with pytest.raises(SpaceFormatError, match=path.name):
            FilteredIndex.load(copy, verify=False)
        path.write_bytes(data)
    log = next(copy.glob("changes-*"))
    log.write_bytes(b"?" + log.read_bytes()[1:])
    with pytest.raises(SpaceFormatError, match="changes"):
        FilteredIndex.load(copy)
    log.unlink()
    with pytest.raises(SpaceFormatError, match="changes"):
        FilteredIndex.load(copy)


def test_times_are_measured_again_on_another_machine(copy, monkeypatch, queries, saved):
    monkeypatch.setattr(planner, "this_machine", lambda **_: "another one")
    monkeypatch.setattr(storage, "this_machine", lambda **_: "another one")
    index = FilteredIndex.load(copy)
    assert index.stats_["costs"]["machine"] == "another one"
    assert_same(index, saved[1], queries)


# ---------------------------------------------------------------- crashes


KILLS = int(os.environ.get("SPACEFORM_KILLS", "20"))
"""Kills in one test; set it to hundreds for a long look."""


class Killed(BaseException):
    """What is raised in the place of a system call from which the process would not have returned."""


def test_dying_at_any_system_call_of_a_replacement_leaves_the_old_or_the_new(tmp_path, monkeypatch):
    folder = tmp_path / "index"
    crashing.start(folder).close()
    survived = 0
    for step in range(1_000):
        index = FilteredIndex.load(folder, writable=True)
        before = crashing.content(index)
        crashing.change(index, 0)
        after = crashing.content(index)
        left = iter(range(step))

        def dying(call, left=left):
            def counted(*arguments, **options):
                if next(left, None) is None:
                    raise Killed
                return call(*arguments, **options)

            return counted

        with monkeypatch.context() as patch:
            for name in ("fsync", "replace", "pwrite", "open", "ftruncate"):
                patch.setattr(os, name, dying(getattr(os, name)))
            for name in ("save",):
                patch.setattr(np, name, dying(getattr(np, name)))
            try:
                index.compact()
                survived += 1
            except Killed:
                pass
        index.close()
        found = FilteredIndex.load(folder)
        assert crashing.content(found) == after
        assert before != after
        if survived:
            break
    assert survived
    assert step > 20


def test_dying_inside_a_change_leaves_it_done_or_not_done(tmp_path, monkeypatch):
    folder = tmp_path / "index"
    crashing.start(folder).close()
    for step in (0, 1, 2, 3, 7):
        for cut in (0, 10, 100, None):
            index = FilteredIndex.load(folder, writable=True)
            before = crashing.content(index)
            write = os.pwrite

            def dying(handle, data, place, cut=cut, write=write):
                write(handle, data[:cut], place)
                raise Killed

            with monkeypatch.context() as patch:
                patch.setattr(os, "pwrite", dying)
                with pytest.raises(Killed):
                    crashing.change(index, step + 20)
            assert crashing.content(index) == before  # nothing was acknowledged
            index.close()
            found = FilteredIndex.load(folder)
            if cut is not None:
                assert crashing.content(found) == before
            else:
                assert crashing.content(found) != before


def test_a_full_disk_is_an_error_and_loses_nothing(tmp_path, monkeypatch):
    folder = tmp_path / "index"
    index = crashing.start(folder)
    before = crashing.content(index)

    def full(*arguments, **options):
        raise OSError(28, "no space left on device")

    with monkeypatch.context() as patch:
        patch.setattr(Journal, "append", full)
        for step in (0, 2, 3):
            with pytest.raises(OSError, match="no space"):
                crashing.change(index, step)
    with monkeypatch.context() as patch:
        patch.setattr(np, "save", full)
        with pytest.raises(OSError, match="no space"):
            index.compact()
    assert crashing.content(index) == before
    crashing.change(index, 0)
    after = crashing.content(index)
    index.close()
    assert crashing.content(FilteredIndex.load(folder)) == after


@pytest.mark.skipif(not hasattr(os, "fork"), reason="needs fork")
def test_kills_lose_nothing_that_was_acknowledged(tmp_path):
    """Kill a writer at random moments; what is found is all that was acknowledged, or that and the change under way."""
    folder, said = tmp_path / "index", tmp_path / "acknowledged"
    twin = crashing.start(folder)
    twin.close()
    said.write_bytes(b"")
    generator, done, in_flight = random.Random(0), 0, 0
    command = [sys.executable, "-m", "search.filtered.crashing", str(folder)]
    variables = {**os.environ, "PYTHONPATH": os.pathsep.join(filter(None, sys.path))}
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, env=variables) as zygote:
        for _ in range(KILLS):
            zygote.stdin.write(f"{done}\n")
            zygote.stdin.flush()
            child, target = int(zygote.stdout.readline()), done + generator.randrange(8)
            deadline = time.monotonic() + 30
            while said.stat().st_size < target and time.monotonic() < deadline:
                time.sleep(0.001)
            time.sleep(generator.uniform(0, 0.01))
            os.kill(child, signal.SIGKILL)
            assert zygote.stdout.readline() == "gone\n"
            acknowledged = said.stat().st_size
            while done < acknowledged:
                crashing.change(twin, done)
                done += 1
            found = crashing.content(FilteredIndex.load(folder))
            if found != crashing.content(twin):
                crashing.change(twin, done)  # durable, but killed before it could say so
                done, in_flight = done + 1, in_flight + 1
                with said.open("ab") as file:
                    file.write(b".")
                assert found == crashing.content(twin)
        zygote.stdin.close()
    assert done > KILLS

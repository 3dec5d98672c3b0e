"""A Space folder that was cut off, damaged or changed is finished or refused, never half believed."""

import errno
import hashlib
import json
import os
import random
import re
import signal
import threading
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from spaceform import space_file, space_format
from spaceform.errors import InputError, SpaceFormatError
from spaceform.space import Space


def make(version, rows=40):
    vectors = np.random.default_rng(version).normal(size=(rows, 4)).astype(np.float32)
    words = [f"{version}-{i % 3}" for i in range(rows)]
    return Space.create(vectors, attributes={"concept": words, "tags": [["t"]] * rows}, label="concept")


def version_of(folder):
    """Read everything, and return which of the made Spaces it is."""
    opened = Space.open(folder)
    opened.verify()
    version = int(opened.column("concept")[0].split("-")[0])
    expected = make(version)
    np.testing.assert_array_equal(opened.vectors, expected.vectors)
    assert opened.table.equals(expected.table)
    return version


def names(folder):
    return sorted(path.name for path in folder.iterdir())


@pytest.fixture
def folder(tmp_path):
    return make(1).save(tmp_path / "space")


def rewrite(folder, **changes):
    """Change the record and give it a right hash, as no accident could."""
    path = folder / "space.json"
    record = json.loads(path.read_text())
    record.pop("record")
    record.update(changes)
    record["record"] = hashlib.sha256(json.dumps(record, sort_keys=True).encode()).hexdigest()
    path.write_text(json.dumps(record))


def in_child(work):
    """Run ``work`` in a forked process and return its exit status or the signal that ended it, negated."""
    child = os.fork()
    if child == 0:
        status = 70
        try:
            work()
            status = 0
        finally:
            os._exit(status)
    return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])


class Countdown:
    """Let so many steps pass, then kill this process, or raise."""

    def __init__(self, steps, error=None):
        self.steps, self.error = steps, error

    def before(self, function):
        def counted(*args, **options):
            self.steps -= 1
            if self.steps < 0:
                if self.error is None:
                    os.kill(os.getpid(), signal.SIGKILL)
                raise self.error
            return function(*args, **options)

        return counted


def whole_or_refused(folder, message):
    """Whether the Space opens; if it does not, the reason must match."""
    try:
        Space.open(folder)
    except SpaceFormatError as error:
        assert re.search(message, str(error))  # noqa: PT017  both outcomes are right
        return False
    return True


def instrument(countdown):
    """Put the countdown before every step of the protocol that touches the disk."""
    space_format.os.replace = countdown.before(os.replace)
    space_format.os.fsync = countdown.before(os.fsync)
    space_file._HashingSink.write = countdown.before(space_file._HashingSink.write)
    Path.open = countdown.before(Path.open)


def steps_of_a_save(tmp_path):
    counter = Countdown(10**9)
    read, write = os.pipe()

    def work():
        instrument(counter)
        make(2).save(tmp_path / "count")
        os.write(write, str(10**9 - counter.steps).encode())

    assert in_child(work) == 0
    os.close(write)
    with os.fdopen(read) as pipe:
        return int(pipe.read())


@pytest.mark.filterwarnings("ignore:This process .* is multi-threaded:DeprecationWarning")
class TestKilled:
    def test_at_every_step_leaves_the_old_or_the_new_space(self, folder, tmp_path):
        steps = steps_of_a_save(tmp_path)
        seen = set()
        for step in range(steps):

            def work(step=step):
                instrument(Countdown(step))
                make(2).save(folder)

            assert in_child(work) == -signal.SIGKILL
            seen.add(version_of(folder))
            make(1).save(folder)
            assert names(folder) == ["rows.parquet", "space.json"]
        assert seen == {1, 2}
        assert steps > 20

    def test_at_every_step_of_a_first_save_leaves_nothing_or_the_space(self, tmp_path):
        for step in range(steps_of_a_save(tmp_path)):
            folder = tmp_path / str(step)

            def work(step=step, folder=folder):
                instrument(Countdown(step))
                make(2).save(folder)

            assert in_child(work) == -signal.SIGKILL
            if whole_or_refused(folder, r"half-written|is missing|no such folder"):
                assert version_of(folder) == 2
            make(3).save(folder)
            assert version_of(folder) == 3

    def test_again_and_again_at_random_leaves_one_of_the_versions(self, folder):
        # the folder is never repaired in between, and every survivor is saved over the wreck of the last
        draw = random.Random(0)
        possible = {1}
        for version in range(2, 40):
            steps = draw.randrange(40)

            def work(version=version, steps=steps):
                instrument(Countdown(steps))
                make(version).save(folder)

            status = in_child(work)
            possible = {version} if status == 0 else possible | {version}
            if draw.random() < 0.5:
                found = version_of(folder)
                assert found in possible
                possible = {found}

    def test_by_a_limit_on_file_size_keeps_the_old_space(self, folder):
        import resource

        def work():
            resource.setrlimit(resource.RLIMIT_FSIZE, (100_000, 100_000))
            try:
                make(2, rows=20_000).save(folder)
            except InputError as error:
                if "File too large" in str(error) and "unchanged" in str(error):
                    os._exit(3)

        assert in_child(work) == 3
        assert version_of(folder) == 1
        assert names(folder) == ["rows.parquet", "space.json"]

    def test_with_the_record_waiting_a_reader_finishes_the_commit(self, folder, tmp_path):
        half_commit(folder, tmp_path)
        assert version_of(folder) == 2
        assert names(folder) == ["rows.parquet", "space.json"]

    def test_with_the_record_waiting_and_a_live_writer_the_new_space_is_read_as_it_is(self, folder, tmp_path):
        half_commit(folder, tmp_path)
        with space_format._sole_writer(folder) as alone:
            assert alone
            assert Space.open(folder).column("concept")[0] == "2-0"
        assert (folder / "space.json.next").exists()


def half_commit(folder, tmp_path):
    """Leave ``folder`` between the two renames of a commit of version 2."""
    new = make(2).save(tmp_path / "new")
    (new / "rows.parquet").replace(folder / "rows.parquet")
    (new / "space.json").replace(folder / "space.json.next")


@pytest.mark.parametrize("failing", ["write", "fsync", "json"])
def test_a_full_disk_keeps_the_old_space_and_removes_the_temporary_files(folder, monkeypatch, failing):
    full = OSError(errno.ENOSPC, "No space left on device")
    if failing == "write":
        write = Countdown(5, full).before(space_file._HashingSink.write)
        monkeypatch.setattr(space_file._HashingSink, "write", write)
    elif failing == "fsync":
        monkeypatch.setattr(os, "fsync", Countdown(0, full).before(os.fsync))
    else:
        monkeypatch.setattr(space_format, "_write_durably", Countdown(0, full).before(lambda *_: None))
    with pytest.raises(InputError, match=r"No space left on device.*what was there before is unchanged"):
        make(2).save(folder)
    monkeypatch.undo()
    assert version_of(folder) == 1
    assert names(folder) == ["rows.parquet", "space.json"]


def test_an_interrupt_keeps_the_old_space_and_removes_the_temporary_files(folder, monkeypatch):
    monkeypatch.setattr(space_file.os, "fsync", Countdown(0, KeyboardInterrupt()).before(os.fsync))
    with pytest.raises(KeyboardInterrupt):
        make(2).save(folder)
    monkeypatch.undo()
    assert version_of(folder) == 1
    assert names(folder) == ["rows.parquet", "space.json"]


def test_a_rename_that_fails_after_the_rows_are_new_still_gives_the_new_space(folder, monkeypatch):
    monkeypatch.setattr(os, "replace", Countdown(1, OSError(errno.EIO, "I/O error")).before(os.replace))
    make(2).save(folder)
    monkeypatch.undo()
    assert (folder / "space.json.next").exists()
    assert version_of(folder) == 2


def test_two_writers_at_once_are_refused(folder, monkeypatch):
    monkeypatch.setattr(space_format, "_PATIENCE", 2)
    with space_format._sole_writer(folder), pytest.raises(InputError, match="another process is writing"):
        make(2).save(folder)
    assert version_of(folder) == 1


def test_a_writer_waits_for_a_reader_that_finishes_a_commit(folder, monkeypatch):
    lock = space_format._sole_writer(folder)
    assert lock.__enter__()
    monkeypatch.setattr(
        space_format.time, "sleep", lambda _: lock.__exit__(None, None, None) if lock.gen.gi_frame else None
    )
    make(2).save(folder)
    assert version_of(folder) == 2


def test_readers_beside_a_writer_see_whole_spaces(folder):
    done = threading.Event()

    def write():
        for version in range(2, 20):
            make(version).save(folder)
        done.set()

    writer = threading.Thread(target=write)
    writer.start()
    seen = set()
    while not done.is_set():
        seen.add(Space.open(folder).dim)
    writer.join()
    assert seen == {4}
    assert version_of(folder) == 19


def test_any_flipped_bit_of_the_rows_is_refused(folder):
    path = folder / "rows.parquet"
    raw = path.read_bytes()
    draw = random.Random(0)
    footer = len(raw) - int.from_bytes(raw[-8:-4], "little") - 8
    for position in [*range(footer), *range(footer, len(raw), 9)]:
        damaged = bytearray(raw)
        damaged[position] ^= 1 << draw.randrange(8)
        path.write_bytes(damaged)
        with pytest.raises(SpaceFormatError, match=r"rows\.parquet"):
            read_all(folder)


def read_all(folder):
    opened = Space.open(folder)
    return opened.table, opened.vectors


def test_any_flipped_bit_or_cut_of_the_record_is_refused(folder):
    path = folder / "space.json"
    raw = path.read_bytes()
    for position in range(len(raw) - 1):  # the last byte is the line's end
        for damaged in (raw[:position], raw[:position] + bytes([raw[position] ^ 1]) + raw[position + 1 :]):
            path.write_bytes(damaged)
            if damaged.strip() != raw.strip() and not _same_json(damaged, raw):
                with pytest.raises(SpaceFormatError, match=r"space\.json"):
                    Space.open(folder)


def _same_json(one, other):
    try:
        return json.loads(one) == json.loads(other)
    except ValueError:
        return False


def test_any_cut_of_the_rows_is_refused(folder):
    path = folder / "rows.parquet"
    raw = path.read_bytes()
    for length in [0, 1, 4, 11, 12, *range(13, len(raw), 97), len(raw) - 1]:
        path.write_bytes(raw[:length])
        with pytest.raises(SpaceFormatError, match=r"rows\.parquet: .*truncated"):
            Space.open(folder)
    path.write_bytes(raw + b"x")
    with pytest.raises(SpaceFormatError, match="rows"):
        Space.open(folder)


def test_opening_reads_nothing_but_the_footer_and_reading_notices_the_damage(folder):
    path = folder / "rows.parquet"
    raw = path.read_bytes()
    footer = int.from_bytes(raw[-8:-4], "little") + 8
    path.write_bytes(bytes(len(raw) - footer) + raw[-footer:])
    opened = Space.open(folder)
    assert (len(opened), opened.dim, opened.columns) == (40, 4, ["concept", "tags"])
    for read in (lambda: opened.vectors, lambda: opened.table, lambda: list(opened.iter_vectors()), opened.verify):
        with pytest.raises(SpaceFormatError, match="not what was written"):
            read()
    with pytest.raises(SpaceFormatError):
        opened.with_info({}).save(folder)
    assert names(folder) == ["rows.parquet", "space.json"]


def test_page_checksums_are_there_for_other_readers(folder):
    path = folder / "rows.parquet"
    raw = path.read_bytes()
    needle = make(1).vectors[3].tobytes()
    damaged = raw.replace(needle, needle[:5] + bytes([needle[5] ^ 1]) + needle[6:])
    assert damaged != raw
    with pytest.raises(OSError, match="CRC"):
        pq.read_table(pa.BufferReader(damaged), page_checksum_verification=True)


def test_a_rows_file_that_vanishes_or_changes_after_opening_is_refused(folder):
    opened = Space.open(folder)
    make(2).save(folder)
    with pytest.raises(SpaceFormatError, match="changed on disk since the Space was opened; open it again"):
        opened.table  # noqa: B018
    (folder / "rows.parquet").unlink()
    with pytest.raises(SpaceFormatError, match=r"rows\.parquet: is missing"):
        opened.vectors  # noqa: B018


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"version": 2}, "format version 2, this library reads up to 1; upgrade it"),
        ({"version": "1"}, "format version '1'"),
        ({"version": 0}, "format version 0"),
        ({"format": "other"}, "does not describe a Space"),
        ({"dim": 5}, "vectors of dimension 4, space.json says 5"),
        ({"rows": 41}, "40 rows, space.json says 41"),
        ({"label": "nope"}, "no column 'nope', which space.json names as the label"),
        ({"geometry": "flat"}, "unknown geometry 'flat'"),
        ({"file": {}}, "lacks a field"),
        ({"file": None}, "lacks a field"),
    ],
)
def test_records_that_do_not_fit_are_refused(folder, changes, message):
    rewrite(folder, **changes)
    with pytest.raises(SpaceFormatError, match=message):
        Space.open(folder)


@pytest.mark.parametrize(
    "content", [b"", b"{", b"[]", b"3", b"null", b"\xff\xfe", b"[" * 100_000, b'{"format": 1}', b"{}"]
)
def test_garbage_in_the_record_is_refused(folder, content):
    (folder / "space.json").write_bytes(content)
    with pytest.raises(SpaceFormatError, match=r"space\.json"):
        Space.open(folder)


def test_records_changed_by_hand_are_refused(folder):
    path = folder / "space.json"
    path.write_text(path.read_text().replace('"euclidean"', '"sphere"'))
    with pytest.raises(SpaceFormatError, match="changed by hand or damaged"):
        Space.open(folder)


@pytest.mark.parametrize("drop", ["id", "vector"])
def test_rows_without_the_columns_of_a_space_are_refused(folder, drop):
    table = pq.read_table(folder / "rows.parquet").drop([drop])
    swap_rows(folder, table)
    with pytest.raises(SpaceFormatError, match=f"no .*column '{drop}'"):
        Space.open(folder)


def test_rows_with_vectors_of_several_lengths_are_refused(folder):
    table = pq.read_table(folder / "rows.parquet").drop(["vector"])
    swap_rows(folder, table.append_column("vector", pa.array([[1.0]] * 40, pa.list_(pa.float32()))))
    with pytest.raises(SpaceFormatError, match="lists of one size"):
        Space.open(folder)


def swap_rows(folder, table):
    path = folder / "rows.parquet"
    pq.write_table(table, path)
    with path.open("rb") as file:
        tail = space_file.read_tail(file, path)
    rewrite(folder, file={"size": tail.size, "footer": tail.footer, "content": "", "blocks": ""})


def test_what_is_not_a_space_is_named(tmp_path, folder):
    (tmp_path / "file").write_text("x")
    (tmp_path / "empty").mkdir()
    for path, message in (
        (tmp_path / "nowhere", "no such folder"),
        (tmp_path / "file", "is not a folder"),
        (tmp_path / "empty", "space.json: is missing"),
        (tmp_path / "nul\0", "no such folder"),
        (Path("/dev/null"), "is not a folder"),
    ):
        with pytest.raises(SpaceFormatError, match=message):
            Space.open(path)
    (folder / "rows.parquet").unlink()
    with pytest.raises(SpaceFormatError, match=r"rows\.parquet: is missing"):
        Space.open(folder)
    os.mkfifo(folder / "rows.parquet")
    with pytest.raises(SpaceFormatError, match="is not a plain file"):
        Space.open(folder)
    (folder / "rows.parquet").unlink()
    (folder / "rows.parquet").mkdir()
    with pytest.raises(SpaceFormatError, match="is not a plain file"):
        Space.open(folder)


def test_a_folder_that_can_not_be_written_is_named(tmp_path, folder):
    (tmp_path / "file").write_text("x")
    for path in (tmp_path / "file", tmp_path / "file" / "below", Path("/dev/null/x"), Path("/proc/nowhere/x")):
        with pytest.raises(InputError, match="expected a folder with room that can be written"):
            make(2).save(path)
    (tmp_path / "foreign").mkdir()
    (tmp_path / "foreign" / "rows.parquet").write_text("precious")
    with pytest.raises(InputError, match="is not a Space's"):
        make(2).save(tmp_path / "foreign")
    assert (tmp_path / "foreign" / "rows.parquet").read_text() == "precious"


@pytest.mark.filterwarnings("ignore:This process .* is multi-threaded:DeprecationWarning")
def test_missing_rights_are_named(folder):
    (folder / "rows.parquet").chmod(0)

    def read(error_in, path):
        if os.geteuid() == 0:
            os.setuid(65534)
        try:
            Space.open(path)
        except SpaceFormatError as error:
            os._exit(3 if error_in in str(error) and "ermission denied" in str(error) else 4)

    def write():
        if os.geteuid() == 0:
            os.setuid(65534)
        try:
            make(2).save(folder)
        except InputError as error:
            os._exit(3 if "ermission denied" in str(error) else 4)

    public_parents(folder)
    assert in_child(lambda: read("rows.parquet", folder)) == 3
    folder.chmod(0o555)
    assert in_child(write) == 3
    folder.chmod(0)
    assert in_child(lambda: read("space", folder)) == 3
    folder.chmod(0o755)


def public_parents(folder):
    """Let everybody through to the folder: pytest's own folders are for their owner alone."""
    for parent in folder.parents:
        if "pytest-" in str(parent) and parent.stat().st_uid == os.geteuid():
            parent.chmod(0o755)


def test_a_read_only_folder_between_two_renames_opens(folder, tmp_path, monkeypatch):
    half_commit(folder, tmp_path)
    monkeypatch.setattr(os, "replace", Countdown(0, PermissionError(errno.EACCES, "denied")).before(os.replace))
    assert Space.open(folder).column("concept")[0] == "2-0"
    assert (folder / "space.json.next").exists()

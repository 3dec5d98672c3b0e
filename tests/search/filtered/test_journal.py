"""The log gives back whole records, drops what a crash cut off, and refuses damage."""

import errno
import os

import numpy as np
import pyarrow as pa
import pytest

from spaceform.errors import SpaceFormatError
from spaceform.search.filtered.journal import (
    DELETE,
    PUT,
    Journal,
    pack_ids,
    pack_rows,
    read_journal,
    unpack_ids,
    unpack_rows,
)

RECORDS = [(PUT, b"first"), (DELETE, b""), (PUT, b"x" * 700)]


@pytest.fixture
def log(tmp_path):
    journal = Journal(tmp_path / "log", number=0, size=0)
    for record in RECORDS:
        journal.append(*record)
    journal.close()
    return tmp_path / "log"


def read(path):
    return [(kind, payload) for kind, payload, _ in read_journal(path)]


def test_cut_at_every_byte_a_prefix_is_left(log):
    data = log.read_bytes()
    ends = [end for _, _, end in read_journal(log)]
    for size in range(len(data) + 1):
        log.write_bytes(data[:size])
        assert read(log) == RECORDS[: sum(end <= size for end in ends)]


def test_a_changed_byte_is_refused(log):
    data, refused = log.read_bytes(), 0
    for place in range(len(data)):
        changed = bytearray(data)
        changed[place] ^= 0x10
        log.write_bytes(changed)
        try:
            found = read(log)
        except SpaceFormatError:
            refused += 1
        else:  # a length that now reaches beyond the end looks like a record that was cut off
            assert found == RECORDS[: len(found)]
            assert len(found) < len(RECORDS)
    assert refused > len(data) - 8 * len(RECORDS)


def test_sectors_that_were_never_written_are_dropped(log):
    data = log.read_bytes()
    log.write_bytes(data + bytes(2_000))
    assert read(log) == RECORDS
    log.write_bytes(data[:-600] + bytes(600))
    assert read(log) == RECORDS[:2]


def test_goes_on_after_a_cut(log):
    data = log.read_bytes()
    log.write_bytes(data[:-5])
    *_, (_, _, size) = read_journal(log)
    journal = Journal(log, number=2, size=size)
    journal.append(DELETE, b"again")
    journal.close()
    journal.close()
    assert read(log) == [*RECORDS[:2], (DELETE, b"again")]


def test_every_record_is_flushed_before_it_is_acknowledged(log, monkeypatch):
    flushed = []
    monkeypatch.setattr(os, "fsync", lambda handle: flushed.append(os.fstat(handle).st_size))
    *_, (_, _, size) = read_journal(log)
    journal = Journal(log, number=3, size=size)
    journal.append(PUT, b"more")
    assert flushed == [log.stat().st_size]
    journal.close()


@pytest.mark.parametrize("failing", ["pwrite", "fsync"])
def test_a_full_disk_leaves_the_log_as_it_was(log, monkeypatch, failing):
    *_, (_, _, size) = read_journal(log)
    journal = Journal(log, number=3, size=size)

    def full(*arguments):
        raise OSError(errno.ENOSPC, "no space left")

    with monkeypatch.context() as patch:
        patch.setattr(os, failing, full)
        with pytest.raises(OSError, match="no space"):
            journal.append(PUT, b"lost")
    assert read(log) == RECORDS
    journal.append(PUT, b"kept")
    journal.close()
    assert read(log) == [*RECORDS, (PUT, b"kept")]


def test_rows_survive_packing():
    ids = np.array([3, 9])
    rows = np.array([[1, 2, 3], [4, 5, 6]], np.float32)
    table = pa.table({"id": ids, "a": ["x", None], "b": pa.array([["p"], []], pa.list_(pa.string()))})
    found = unpack_rows(pack_rows(ids, rows, table))
    np.testing.assert_array_equal(found[0], ids)
    np.testing.assert_array_equal(found[1], rows)
    assert found[2].equals(table)
    np.testing.assert_array_equal(unpack_ids(pack_ids(ids)), ids)

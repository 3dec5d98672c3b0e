"""A million rows open without being loaded, and stream in little memory."""

import tracemalloc

import numpy as np
import pyarrow as pa
import pytest

from spaceform.space import Space

ROWS, DIM = 1_000_000, 32
MIB = 2**20


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    vectors = np.random.default_rng(0).standard_normal((ROWS, DIM), dtype=np.float32)
    attributes = {"concept": np.arange(ROWS) % 1000, "word": (np.arange(ROWS) % 50).astype(str)}
    return Space.create(vectors, attributes=attributes, label="concept").save(tmp_path_factory.mktemp("million"))


def peak_of(work):
    """Return what ``work`` returns, and the most bytes that Python and Arrow held beyond the start."""
    before = pa.total_allocated_bytes()
    arrow_peak = 0

    def note():
        nonlocal arrow_peak
        arrow_peak = max(arrow_peak, pa.total_allocated_bytes() - before)

    tracemalloc.start()
    result = work(note)
    note()
    peak = tracemalloc.get_traced_memory()[1] + arrow_peak
    tracemalloc.stop()
    return result, peak


def test_opening_loads_no_rows(folder):
    opened, peak = peak_of(lambda _: Space.open(folder))
    assert (len(opened), opened.dim, opened.columns) == (ROWS, DIM, ["concept", "word"])
    assert peak < 2 * MIB


def test_streaming_holds_a_block(folder):
    def stream(note):
        total, rows = np.zeros(DIM), 0
        for block in Space.open(folder).iter_vectors():
            total += block.sum(axis=0, dtype=np.float64)
            rows += len(block)
            note()
        return total / rows, rows

    (mean, rows), peak = peak_of(stream)
    assert rows == ROWS
    assert np.abs(mean).max() < 0.01
    assert peak < 24 * MIB  # the matrix is 122 MiB


def test_one_column_does_not_read_the_vectors(folder):
    opened = Space.open(folder)
    (y, classes), peak = peak_of(lambda _: opened.labels())
    assert (len(y), len(classes)) == (ROWS, 1000)
    assert y[1234] == 234
    assert peak < 80 * MIB


def test_a_few_rows_are_picked_in_little_memory(folder):
    opened = Space.open(folder)
    opened.table  # noqa: B018  read beforehand: this is about vectors
    positions = np.arange(ROWS)[::-10_001]
    chosen, peak = peak_of(lambda _: opened.select(positions))
    assert chosen.ids.tolist() == [str(i) for i in positions]
    assert peak < 24 * MIB

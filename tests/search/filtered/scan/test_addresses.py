"""Arrays found by their address are those that Python holds; one compiled version serves all callers."""

import numpy as np
import pytest

from search.filtered.conftest import draw
from spaceform.search.filtered.index import FilteredIndex
from spaceform.search.filtered.scan import addresses
from spaceform.search.filtered.scan.layout import Base, Layout, lay_out, lay_out_tail, norms_of
from spaceform.search.filters import F


@pytest.mark.parametrize("metric", ["cosine", "euclidean"])
def test_arrays_are_found_by_their_address(metric, rows):
    X = rows[0]
    base = Base(X, norms_of(X), np.arange(len(X)))
    order, layout = lay_out(base, metric, n_cells=None, generator=np.random.default_rng(0))
    strided = Base(np.asfortranarray(X[order]), base.norms[order][::-1], base.ids.astype(np.int32))
    private = lay_out(base, metric, n_cells=4, generator=np.random.default_rng(0), where=np.arange(0, 2_000, 7))[1]
    for some in (base, strided):
        for found, expected in zip(addresses.base_at(some.memory.address), some, strict=True):
            np.testing.assert_array_equal(found, expected)
    for one in (layout, private, lay_out_tail(base, metric, layout)):
        found = addresses.layout_at(one.memory.address)
        assert len(found) == len(Layout._fields)
        for name, array, expected in zip(Layout._fields, found, one, strict=True):
            assert (array.dtype, array.shape) == (expected.dtype, expected.shape), name
            np.testing.assert_array_equal(array, expected, err_msg=name)


def test_one_compiled_version_serves_filters_masks_and_saved_indexes(rows, queries, tmp_path):
    index = FilteredIndex(recall=0.9).fit(*rows)
    index.query(queries[:1], 5)  # compiled
    known = addresses.ask.signatures.copy()
    index.save(tmp_path / "index").close()
    read_only = np.ascontiguousarray(queries, np.float32)
    read_only.setflags(write=False)
    for one in (index, FilteredIndex.load(tmp_path / "index")):
        for where in (
            None,
            "group = 3",
            "price > 0",
            F("tags").contains("blue"),
            [3, 4, 900],
            np.arange(2_000) % 3 > 0,
        ):
            for asked in (queries, queries.tolist(), queries[::-1], read_only, np.asfortranarray(queries)):
                for plans in ("auto", "S", "B", "I"):
                    one.plans = plans
                    one.query(asked, 5, where=where)
    index.prepare("price > 0").query(queries, 5, where="price > 0")
    index.add(*draw(30))
    index.query(queries, 5, where="group = 3")
    assert addresses.ask.signatures == known

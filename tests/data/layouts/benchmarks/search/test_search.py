"""Benchmarks of search: tiny folders in the published formats, and what is refused."""

import json

import numpy as np
import pytest

from spaceform.data.layouts.benchmarks.search.arxiv import load_arxiv_fanns
from spaceform.data.layouts.benchmarks.search.files import read_bin, read_lists, read_spmat, read_vecs
from spaceform.data.layouts.benchmarks.search.yfcc import load_yfcc
from spaceform.errors import InputError


def vecs(rows):
    return b"".join(np.array([len(row)], "<i4").tobytes() + row.tobytes() for row in rows)


def spmat(rows, columns):
    starts = np.cumsum([0, *map(len, rows)]).astype("<i8")
    flat = np.array([tag for row in rows for tag in row], "<i4")
    head = np.array([len(rows), columns, len(flat)], "<i8")
    return head.tobytes() + starts.tobytes() + flat.tobytes() + np.ones(len(flat), "<f4").tobytes()


def binary(rows):
    return np.array(rows.shape, "<u4").tobytes() + rows.tobytes()


@pytest.fixture
def arxiv(tmp_path):
    X = np.random.default_rng(0).normal(size=(5, 4)).astype(np.float32)
    (tmp_path / "database_vectors.fvecs").write_bytes(vecs(X))
    (tmp_path / "query_vectors.fvecs").write_bytes(vecs(X[:2]))
    lines = [
        {"number_of_sub_categories": i % 2, "update_date": 14_000 + i, "main_categories": ["cs", f"m{i}"],
         "has_comment": i == 0, "license": None if i else "cc"}
        for i in range(5)
    ]  # fmt: skip
    (tmp_path / "database_attributes.jsonl").write_text("\n".join(map(json.dumps, lines)))
    asked = {
        "em": {"label": 1}, "r": {"range_start": 14_001, "range_end": 14_002}, "emis": {"label": "m3"},
    }  # fmt: skip
    for kind, record in asked.items():
        (tmp_path / f"{kind}_query_attributes.jsonl").write_text("\n".join([json.dumps(record)] * 2))
        truth = [np.array([1, 3], "<i4"), np.array([3], "<i4")]
        (tmp_path / f"ground_truth_{kind}.ivecs").write_bytes(vecs(truth))
    return tmp_path, X


def test_arxiv_for_fanns_with_each_kind_of_filter(arxiv):
    folder, X = arxiv
    task = load_arxiv_fanns(folder)
    np.testing.assert_array_equal(task.X, X)
    np.testing.assert_array_equal(task.truth, [[1, 3], [3, -1]])
    assert task.asked[0] == [("number_of_sub_categories", "=", 1)]
    assert task.columns["main_categories"][2] == ("cs", "m2")
    assert task.columns["has_comment"][:2] == ["true", "false"]
    assert load_arxiv_fanns(folder, kind="r").asked[1] == [("update_date", "between", (14_001, 14_002))]
    assert load_arxiv_fanns(folder, kind="emis").asked[1] == [("main_categories", "contains", "m3")]


def test_arxiv_for_fanns_refuses_what_does_not_fit(arxiv):
    folder, X = arxiv
    with pytest.raises(InputError, match="kind"):
        load_arxiv_fanns(folder, kind="no")
    (folder / "em_query_attributes.jsonl").write_text('{"label": 1}')
    with pytest.raises(InputError, match="2 queries, 1 filters"):
        load_arxiv_fanns(folder)
    attributes = folder / "database_attributes.jsonl"
    attributes.write_text("{}\nno")
    with pytest.raises(InputError, match="line 2"):
        load_arxiv_fanns(folder, kind="r")
    attributes.write_text('{"a": 1}\n{"b": 2}')
    with pytest.raises(InputError, match="line 2"):
        load_arxiv_fanns(folder, kind="r")
    (folder / "database_vectors.fvecs").write_bytes(vecs(X)[:-1])
    with pytest.raises(InputError, match="bytes"):
        load_arxiv_fanns(folder)


def test_yfcc_reads_bytes_tags_and_neighbours(tmp_path):
    X = np.arange(12, dtype=np.uint8).reshape(4, 3)
    (tmp_path / "base.10M.u8bin").write_bytes(binary(X))
    (tmp_path / "query.public.100K.u8bin").write_bytes(binary(X[:2]))
    (tmp_path / "base.metadata.10M.spmat").write_bytes(spmat([[0, 2], [], [1], [2]], 3))
    (tmp_path / "query.metadata.public.100K.spmat").write_bytes(spmat([[2], [0, 2]], 3))
    truth = np.array([[0, 3], [0, -1]], "<i4")
    content = np.array([2, 2], "<u4").tobytes() + truth.tobytes() + np.zeros((2, 2), "<f4").tobytes()
    (tmp_path / "GT.public.ibin").write_bytes(content)
    task = load_yfcc(tmp_path)
    np.testing.assert_array_equal(task.X, X)
    np.testing.assert_array_equal(task.truth, truth)
    assert task.columns["tags"] == [("t0", "t2"), (), ("t1",), ("t2",)]
    assert task.asked[1] == [("tags", "contains", "t0"), ("tags", "contains", "t2")]
    (tmp_path / "GT.public.ibin").write_bytes(content[:9])
    with pytest.raises(InputError, match="GT"):
        load_yfcc(tmp_path)


def test_files_that_are_cut_or_of_another_kind_are_refused(tmp_path):
    ragged = tmp_path / "a.ivecs"
    ragged.write_bytes(vecs([np.array([1, 2], "<i4"), np.array([], "<i4")]))
    np.testing.assert_array_equal(read_lists(ragged), [[1, 2], [-1, -1]])
    ragged.write_bytes(
        vecs([np.array([1, 2, 3], "<i4"), np.array([1], "<i4"), np.array([], "<i4"), np.array([], "<i4")])
    )
    with pytest.raises(InputError, match="several widths"):
        read_vecs(ragged)
    few = tmp_path / "b.bvecs"
    few.write_bytes(vecs([np.array([1, 2, 3], np.uint8)] * 2))
    np.testing.assert_array_equal(read_vecs(few), [[1, 2, 3], [1, 2, 3]])
    for name, content in {
        "c.u8bin": b"1234567",
        "d.u8bin": binary(np.ones((2, 2), np.uint8))[:-1],
        "e.txt": b"",
    }.items():
        (tmp_path / name).write_bytes(content)
        with pytest.raises(InputError):
            read_bin(tmp_path / name)
    (tmp_path / "f.spmat").write_bytes(spmat([[0, 5]], 3))
    with pytest.raises(InputError, match="column 5"):
        read_spmat(tmp_path / "f.spmat")
    for name in ("empty.fvecs", "no.bin"):
        (tmp_path / name).write_bytes(b"")
        with pytest.raises(InputError):
            read_vecs(tmp_path / name)
    ragged.write_bytes(vecs([np.array([1, 2], "<i4")])[:-4])
    with pytest.raises(InputError, match="row of 2"):
        read_lists(ragged)

"""Hierarchies of classes, sparse texts, CIFAR-100 and IDX files."""

import json

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from spaceform import data
from spaceform.data.layouts.benchmarks.hierarchies import read_class_index, read_edges, read_superclasses
from spaceform.data.layouts.benchmarks.idx import parse_idx
from spaceform.data.layouts.benchmarks.lshtc import read_lshtc
from spaceform.errors import InputError


def write(tmp_path, content, name="a.txt"):
    (tmp_path / name).write_text(content)
    return tmp_path / name


def test_superclasses_are_a_tree_of_two_levels(tmp_path):
    tree = read_superclasses(write(tmp_path, "fish\taquarium_fish, shark\nflowers\torchids\n"))
    assert tree.names == ["root", "fish", "aquarium fish", "shark", "flowers", "orchids"]
    assert tree.parents().tolist() == [-1, 0, 1, 1, 0, 4]


@st.composite
def trees(draw):
    """Parents of a random tree on 2 to 12 nodes, node 0 the root."""
    n = draw(st.integers(2, 12))
    return [-1] + [draw(st.integers(0, node - 1)) for node in range(1, n)]


@given(trees(), st.randoms(use_true_random=False))
@settings(deadline=None, max_examples=40)
def test_an_edge_list_in_any_order_gives_the_tree_back(tmp_path_factory, parents, random):
    lines = [f"n{parent:08} n{node:08}\n" for node, parent in enumerate(parents) if parent >= 0]
    random.shuffle(lines)
    graph = read_edges(write(tmp_path_factory.mktemp("e"), "".join([*lines, lines[0]])))
    found = {
        (graph.names[parent], name) for name, parent in zip(graph.names, graph.parents(), strict=True) if parent >= 0
    }
    assert found == {tuple(line.split()) for line in lines}


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("a b\nc b\n", "'b' below 'a' and 'c'"),
        ("a b\nc d\n", r"2 roots \('a', 'c'\)"),
        ("a b\nc d\nd c\n", "a cycle around 'c'"),
        ("a b\nb a\n", r"0 roots \(none\)"),
    ],
)
def test_graphs_that_are_no_tree_are_read_but_have_no_parents(tmp_path, content, message):
    graph = read_edges(write(tmp_path, content))
    assert len(graph.edges) == content.count("\n")
    with pytest.raises(InputError, match=message):
        graph.parents()


@pytest.mark.parametrize(
    ("read", "content", "message"),
    [
        (read_edges, "", "no line"),
        (read_edges, "a b\na a\n", "line 2: got 'a a'"),
        (read_edges, "a b c\n", "line 1"),
        (read_superclasses, "", "no line"),
        (read_superclasses, "fish shark\n", "line 1"),
        (read_superclasses, "fish\t\n", "line 1"),
        (read_superclasses, "fish\tshark\nbird\tshark\n", "'shark' was there before"),
        (read_class_index, "{}", "no class"),
        (read_class_index, '{"1": ["n1", "a"]}', "KeyError"),
        (read_class_index, "[", "Error"),
        (read_class_index, '{"0": 3}', "TypeError"),
    ],
)
def test_files_of_another_form_are_refused(tmp_path, read, content, message):
    with pytest.raises(InputError, match=message):
        read(write(tmp_path, content))


def test_a_class_index_comes_in_order(tmp_path):
    path = write(tmp_path, json.dumps({"1": ["n2", "b"], "0": ["n1", "a"]}))
    assert read_class_index(path) == [("n1", "a"), ("n2", "b")]


documents = st.lists(
    st.tuples(
        st.lists(st.integers(0, 99), min_size=1, max_size=3, unique=True),
        st.dictionaries(st.integers(0, 50), st.integers(1, 9), min_size=1, max_size=4),
    ),
    min_size=1,
    max_size=5,
)


@given(documents, st.sampled_from([", ", ","]), st.sampled_from(["", "Data\n"]))
@settings(deadline=None, max_examples=40)
def test_sparse_texts_come_back_as_they_were(tmp_path_factory, given, comma, header):
    lines = [f"{comma.join(map(str, y))} {' '.join(f'{k}:{v}' for k, v in x.items())}\n" for y, x in given]
    found = read_lshtc(write(tmp_path_factory.mktemp("l"), header + "".join(lines)))
    assert [labels.tolist() for labels in found.labels] == [sorted(y) for y, _ in given]
    dense = found.X.toarray()
    assert dense.shape == (len(given), max(max(x) for _, x in given) + 1)
    for row, (_, x) in zip(dense, given, strict=True):
        assert {int(k): int(row[k]) for k in np.flatnonzero(row)} == x


def test_reading_sparse_texts_can_stop_early(tmp_path):
    assert len(read_lshtc(write(tmp_path, "1 2:3\n" * 9), max_rows=4)) == 4


@pytest.mark.parametrize(
    "content", ["", "Data\n", "1 2:x\n", "1\n2\n", "2:3\n1 2:3\n", "1 2:3 4\n", "1 -2:3\n", "1 2:nan\n"]
)
def test_wrong_sparse_texts_are_refused(tmp_path, content):
    with pytest.raises(InputError, match=r"a\.txt"):
        read_lshtc(write(tmp_path, content))


@pytest.fixture
def cifar(tmp_path):
    rng = np.random.default_rng(0)
    for split, n in (("train", 3), ("test", 2)):
        records = rng.integers(0, 20, (n, 3074), dtype=np.uint8)
        records.tofile(tmp_path / f"{split}.bin")
    write(tmp_path, "".join(f"class_{i}\n" for i in range(100)), "fine_label_names.txt")
    write(tmp_path, "".join(f"super_{i}\n" for i in range(20)), "coarse_label_names.txt")
    return tmp_path


def test_cifar_records_become_pictures_with_both_labels(cifar):
    raw = np.fromfile(cifar / "train.bin", dtype=np.uint8).reshape(3, 3074)
    found = data.load("cifar-100", root=cifar)
    assert found.X.shape == (5, 32, 32, 3)
    assert found.classes[found.y[0]] == f"class {raw[0, 1]}"
    assert found.attributes["superclass"][0] == f"super {raw[0, 0]}"
    assert found.attributes["split"].tolist() == ["train"] * 3 + ["test"] * 2
    assert found.X[1, 5, 7].tolist() == [raw[1, 2 + plane * 1024 + 5 * 32 + 7] for plane in range(3)]


def test_the_pickled_version_is_refused_with_the_way_out(tmp_path):
    for name in ("train", "test", "meta"):
        write(tmp_path, "", name)
    with pytest.raises(InputError, match="pickles can run code and are never read; unpack cifar-100-binary"):
        data.load("cifar-100", root=tmp_path)


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("train.bin", b"x" * 3073, "records of 3074"),
        ("test.bin", b"", "0 bytes"),
        ("test.bin", b"\xff" * 3074, "beyond 20 and 100"),
        ("fine_label_names.txt", b"a\n", "1 names, expected 100"),
    ],
)
def test_damaged_cifar_files_are_refused(cifar, name, content, message):
    (cifar / name).write_bytes(content)
    with pytest.raises(InputError, match=message):
        data.load("cifar-100", root=cifar)


@pytest.mark.parametrize("code", [0x08, 0x0B, 0x0D])
def test_idx_files_come_back_as_they_were(code):
    kind = {0x08: ">u1", 0x0B: ">i2", 0x0D: ">f4"}[code]
    values = np.arange(12).reshape(3, 2, 2).astype(kind)
    content = bytes([0, 0, code, 3]) + np.array(values.shape, dtype=">u4").tobytes() + values.tobytes()
    np.testing.assert_array_equal(parse_idx(content, "a"), values)
    assert parse_idx(content, "a").dtype.isnative
    for wrong in (
        b"",
        content[:9],
        content[:-1],
        content + b"x",
        b"\1" + content[1:],
        content[:2] + b"\7" + content[3:],
    ):
        with pytest.raises(InputError, match="a: got"):
            parse_idx(wrong, "a")

"""Trees and graphs of classes in text files."""

import json

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from spaceform.data.layouts.benchmarks.hierarchies import read_class_index, read_edges, read_superclasses
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

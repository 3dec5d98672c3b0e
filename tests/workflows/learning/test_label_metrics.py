"""Label metrics from files and from the columns of a Space."""

import numpy as np
import pytest

from spaceform.errors import InputError
from spaceform.geometry import GraphMetric, MatrixMetric, TreeMetric
from spaceform.space import Space
from spaceform.workflows.learning.label_metrics import read_label_metric, tree_of_columns

COLUMNS = {
    "name": ["cat", "dog", "fig", "fig", None, "rye"],
    "kind": ["animal", "animal", "food", None, "food", "food"],
    "group": ["pet", "pet", "fruit", "fruit", "fruit", "grain"],
}


def space(**changes):
    return Space.create(np.eye(6), attributes=COLUMNS | changes, label="name")


@pytest.mark.parametrize("text", ["child,parent\ncat,pet\ndog,pet\n", "cat,pet\n\ndog, pet\n"])
def test_edges_make_a_tree(tmp_path, text):
    (tmp_path / "t.csv").write_text(text)
    metric = read_label_metric(tmp_path / "t.csv", [])
    assert isinstance(metric, TreeMetric)
    assert metric.labels.tolist() == ["cat", "dog", "pet"]
    assert metric.distance(0, 1) == 2


def test_lengths_and_circles_make_a_graph(tmp_path):
    (tmp_path / "t.tsv").write_text("Child\tParent\tLength\na\tb\t1\nb\tc\t2\nc\ta\t9\n")
    metric = read_label_metric(tmp_path / "t.tsv", [])
    assert isinstance(metric, GraphMetric)
    assert metric.distance(0, 2) == 3


def test_matrices(tmp_path):
    D = 1 - np.eye(2)
    np.save(tmp_path / "d.npy", D)
    metric = read_label_metric(tmp_path / "d.npy", ["x", "y"])
    assert isinstance(metric, MatrixMetric)
    assert metric.labels.tolist() == ["x", "y"]
    (tmp_path / "d.txt").write_text("p\nq\n")
    assert read_label_metric(tmp_path / "d.npy", ["x", "y"]).labels.tolist() == ["p", "q"]
    np.savez(tmp_path / "d.npz", D=D, labels=["u", "v"])
    assert read_label_metric(tmp_path / "d.npz", []).labels.tolist() == ["u", "v"]


@pytest.mark.parametrize(
    ("name", "text", "message"),
    [
        ("t.csv", "", "without edges"),
        ("t.csv", "child,parent\n", "without edges"),
        ("t.csv", "a,b\nc\n", "t.csv, line 2: got c"),
        ("t.csv", "a,b,1\nc,b,far\n", "line 2: got 'far', expected a length"),
        ("t.csv", "a,b\nc,d\n", "2 components"),
        ("t.csv", "a,b,c,d\n", "child,parent"),
        ("t.csv", "a,\n", "line 1"),
        ("t.json", "{}", "a .csv, .tsv, .npy or .npz file"),
    ],
)
def test_bad_files_are_refused(tmp_path, name, text, message):
    (tmp_path / name).write_text(text)
    with pytest.raises(InputError, match=message):
        read_label_metric(tmp_path / name, [])


def test_a_missing_file_and_missing_arrays_are_refused(tmp_path):
    with pytest.raises(InputError, match="an existing file"):
        read_label_metric(tmp_path / "none.csv", [])
    np.savez(tmp_path / "d.npz", E=np.eye(2))
    with pytest.raises(InputError, match="arrays D and labels"):
        read_label_metric(tmp_path / "d.npz", [])


def test_columns_make_a_tree():
    tree = tree_of_columns(space(), ["kind", "group"])
    assert set(tree.labels) == {
        "everything",
        "kind: animal",
        "group: animal > pet",
        "kind: food",
        "group: food > fruit",
        "group: food > grain",
        "cat",
        "dog",
        "fig",
        "rye",
    }
    cat, dog, fig, rye = tree.index(["cat", "dog", "fig", "rye"])
    assert tree.distance(cat, [dog, fig]).tolist() == [2, 6]
    assert tree.distance(fig, rye) == 4


def test_hierarchies_that_are_none_are_refused():
    with pytest.raises(InputError, match="'fig' under 'kind: food' and 'kind: toy'"):
        tree_of_columns(space(kind=["animal", "animal", "food", "toy", "food", "food"]), ["kind"])
    with pytest.raises(InputError, match="no row of 'cat' with all of kind"):
        tree_of_columns(space(kind=[None, "animal", "food", "food", "food", "food"]), ["kind"])
    with pytest.raises(InputError, match="one of 'name', 'kind', 'group'"):
        tree_of_columns(space(), ["colour"])
    with pytest.raises(InputError, match="coarse to fine"):
        tree_of_columns(space(), [])

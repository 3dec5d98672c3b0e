"""Benchmarks with label distances, as tiny folders of the same form."""

import json

import numpy as np
import pytest
from PIL import Image
from scipy.sparse import issparse

from spaceform.data.layouts.benchmarks.hierarchies import LabelGraph
from spaceform.data.layouts.benchmarks.taxonomies import load_labelled_taxonomy, summarize_graph
from spaceform.errors import InputError
from spaceform.geometry import EmbeddingMetric, GraphMetric, TreeMetric


def draw(folder, names, count):
    for number, name in enumerate(names):
        (folder / name).mkdir(parents=True)
        for i in range(count):
            Image.new("RGB", (9, 7), (40 * number, 20 * i, 0)).save(folder / name / f"{i}.png")


@pytest.fixture
def imagenet(tmp_path):
    (tmp_path / "imagenet_mintree.txt").write_text("n00 n01\nn00 n02\nn01 n11\nn01 n12\nn02 n21\n")
    index = {"0": ["n11", "tench"], "1": ["n12", "hen"], "2": ["n21", "ark"]}
    (tmp_path / "dir_label_name.json").write_text(json.dumps(index))
    draw(tmp_path / "train", ["n11", "n12", "n21"], 4)
    draw(tmp_path / "val", ["n11", "n21"], 2)
    return tmp_path


def test_imagenet(imagenet):
    task = load_labelled_taxonomy(imagenet, size=8, per_class=3)
    assert task.name == "imagenet"
    assert task.X.shape == (3 * 3 + 2 * 2, 8 * 8 * 3)
    assert 0 <= task.X.min() <= task.X.max() <= 1
    assert task.test.sum() == 4
    assert isinstance(task.metric, TreeMetric)
    assert sorted(task.metric.labels[task.candidates]) == ["n11", "n12", "n21"]
    assert set(task.metric.labels[task.y[task.test]]) == {"n11", "n21"}
    assert task.metric.distance(*task.metric.index(["n11", "n21"])) == 4


def test_vectors_replace_pixels(imagenet):
    features = np.random.default_rng(0).normal(size=(16, 5))
    np.save(imagenet / "features.npy", features)
    np.testing.assert_array_equal(load_labelled_taxonomy(imagenet, size=8).X, features)
    first = load_labelled_taxonomy(imagenet, size=8, per_class=1)
    np.testing.assert_array_equal(first.X, features[[0, 4, 8, 12, 14]])
    assert first.test.tolist() == [False, False, False, True, True]
    np.save(imagenet / "features.npy", features[:9])
    with pytest.raises(InputError, match=r"features.npy: got shape \(9, 5\), expected \(16, d\)"):
        load_labelled_taxonomy(imagenet, size=8)


def test_a_class_outside_the_tree_is_named(imagenet):
    draw(imagenet / "train", ["n99"], 1)
    with pytest.raises(InputError, match="'n99', unknown to the label metric"):
        load_labelled_taxonomy(imagenet, size=8)


def test_cifar_as_folders_beside_a_hierarchy(tmp_path):
    (tmp_path / "cifar_hierarchy.txt").write_text("fish\tshark, trout\nlarge cats\tlion\n")
    draw(tmp_path, ["shark", "trout", "lion"], 2)
    task = load_labelled_taxonomy(tmp_path, size=8)
    assert task.name == "cifar-100"
    assert task.test is None
    assert sorted(task.metric.labels[task.candidates]) == ["lion", "shark", "trout"]
    D = task.metric.distances(task.metric.index(["shark"]), task.metric.index(["trout", "lion"]))
    assert D.tolist() == [[2, 4]]


def test_cifar_as_records(tmp_path):
    rng = np.random.default_rng(0)
    for part, rows in (("train", 30), ("test", 10)):
        fine = np.arange(rows, dtype=np.uint8)
        head = np.stack([fine % 20, fine], axis=1)
        rows_of_bytes = np.hstack([head, rng.integers(0, 256, (rows, 3072), dtype=np.uint8)])
        rows_of_bytes.tofile(tmp_path / f"{part}.bin")
    (tmp_path / "fine_label_names.txt").write_text("\n".join(f"class_{i}" for i in range(100)))
    (tmp_path / "coarse_label_names.txt").write_text("\n".join(f"class_{i}" for i in range(20)))
    task = load_labelled_taxonomy(tmp_path)
    assert task.X.shape == (40, 3072)
    assert task.test.sum() == 10
    assert task.metric.labels[task.y[0]] == "class 0"
    assert task.metric.distance(*task.metric.index(["class 0", "class 20"])) == 2
    assert task.metric.distance(*task.metric.index(["class 0", "class 1"])) == 4
    assert len(task.candidates) == 100


def test_lshtc(tmp_path):
    (tmp_path / "hierarchy.txt").write_text("1 2\n1 3\n3 4\n4 2\n8 9\n")
    (tmp_path / "train-remapped.csv").write_text("Data\n2, 3 1:1 5:2\n4 2:1\n9 1:1\n3 0:3\n77 1:1\n")
    task = load_labelled_taxonomy(tmp_path)
    assert task.name == "lshtc"
    assert issparse(task.X)
    assert task.X.shape[0] == 3  # documents of the largest component
    assert isinstance(task.metric, GraphMetric)
    assert len(task.metric) == 4
    smaller = load_labelled_taxonomy(tmp_path, max_labels=2)
    assert len(smaller.metric) == 2
    assert set(smaller.y) <= {0, 1}
    (tmp_path / "train-remapped.csv").write_text("9 1:1\n")
    with pytest.raises(InputError, match="the graph of their classes"):
        load_labelled_taxonomy(tmp_path)


def test_a_summary_stays_connected_and_says_where_each_node_went():
    rng = np.random.default_rng(0)
    edges = [(int(rng.integers(i)), i) for i in range(1, 60)] + [(0, 59), (3, 40)]
    graph = LabelGraph([str(i) for i in range(60)], np.array(edges))
    summary, went = summarize_graph(graph, size=12, seed=3)
    assert len(summary) == 12
    assert went.shape == (60,)
    assert set(went) == set(range(12))
    assert len(GraphMetric.from_edges(summary.edges, labels=range(12))) == 12
    for at, name in enumerate(summary.names):
        assert went[int(name)] == at
    joined = {tuple(sorted((went[a], went[b]))) for a, b in edges if went[a] != went[b]}
    assert joined == {tuple(edge) for edge in summary.edges.tolist()}
    unchanged, same = summarize_graph(graph, size=60, seed=0)
    assert unchanged.names == graph.names
    assert same.tolist() == list(range(60))


def test_pubmed(tmp_path):
    lines = ["Title,abstractText,meshMajor", "A,about mice,\"['Mice', 'Humans']\"", "B,on men,\"['Humans']\"", "C,,[]"]
    (tmp_path / "pubmed.csv").write_text("\n".join(lines))
    vectors = {"Humans": [0.0, 0.0], "Mice": [3.0, 4.0]}
    found = load_labelled_taxonomy(tmp_path, seed=1, encode_labels=lambda names: np.array([vectors[n] for n in names]))
    assert found.X == ["A about mice", "B on men"]
    assert isinstance(found.metric, EmbeddingMetric)
    assert set(found.metric.labels) <= {"Humans", "Mice"}
    with pytest.raises(InputError, match="encode_labels"):
        load_labelled_taxonomy(tmp_path)
    (tmp_path / "pubmed.csv").write_text("Title,abstractText,meshMajor\nA,text,Humans\n")
    with pytest.raises(InputError, match="meshMajor like"):
        load_labelled_taxonomy(tmp_path, encode_labels=lambda names: np.zeros((len(names), 1)))
    (tmp_path / "pubmed.csv").write_text("Title,text\nA,text\n")
    with pytest.raises(InputError, match="no column abstractText"):
        load_labelled_taxonomy(tmp_path, encode_labels=lambda names: np.zeros((len(names), 1)))


def test_an_unknown_folder_is_told_what_is_known(tmp_path):
    with pytest.raises(InputError, match=r"ImageNet .imagenet_mintree.txt.*CIFAR-100.*LSHTC.*PubMed"):
        load_labelled_taxonomy(tmp_path)

"""Rows with label trees: the rule that gives a synset its label, the synthetic tree, and random labelled trees."""

import networkx as nx
import numpy as np
import pytest

from spaceform.data import taxonomies
from spaceform.data.wordnet import WordNet
from spaceform.errors import InputError


@pytest.fixture
def nouns(monkeypatch):
    """0 thing, 1 animal < thing, 2 cat < animal, 3..5 kinds of cat, 6 dog < animal, 7 rock < thing."""
    parents = np.array([-1, 0, 1, 2, 2, 3, 1, 0])
    words = ["thing", "animal", "cat", "tabby", "manx", "kitten", "dog", "rock"]
    senses = dict(zip(words, range(8), strict=True))
    made = WordNet(
        version="3.1",
        ids=[f"n{i:08}" for i in range(8)],
        lemmas=[(word,) for word in words],
        glosses=[f"a {word}" for word in words],
        classes=np.zeros(8, dtype=np.int64),
        parents=parents,
        hypernyms=np.array([(i, p) for i, p in enumerate(parents) if p >= 0]),
        is_instance=np.zeros(7, dtype=bool),
        _words=sorted(words),
        _senses=[str(senses[word]) for word in sorted(words)],
    )
    monkeypatch.setattr(taxonomies, "load_nouns", lambda progress: made)
    return made


def test_a_synset_belongs_to_the_nearest_large_one_at_or_above_it(nouns):
    task = taxonomies.wordnet_taxonomy("animal", least_descendants=2)
    assert task.metric.labels.tolist() == ["n00000001", "n00000002", "n00000003"]  # animal, cat, tabby
    assert task.metric.parent.tolist() == [-1, 0, 1]
    assert task.y.tolist() == [0, 1, 2, 1, 2, 0]  # animal, cat, tabby, manx, kitten, dog
    assert task.X[2] == "tabby a tabby"
    assert len(task.X) == 6  # neither thing nor rock


def test_wishes_that_leave_no_tree_are_refused(nouns):
    with pytest.raises(InputError, match="a noun"):
        taxonomies.wordnet_taxonomy("quickly", least_descendants=2)
    with pytest.raises(InputError, match="least_descendants"):
        taxonomies.wordnet_taxonomy("animal", least_descendants=99)


def test_synthetic_rows_are_as_far_apart_as_their_labels():
    task = taxonomies.synthetic_taxonomy(40, rows_per_label=3)
    assert task.X.shape == (120, 24)
    centres = task.X.reshape(40, 3, 24).mean(axis=1)
    squared = np.square(centres[:, None] - centres[None]).sum(-1)
    hops = task.metric.distances(range(40))
    assert np.corrcoef(squared.ravel(), hops.ravel())[0, 1] > 0.7
    np.testing.assert_array_equal(taxonomies.synthetic_taxonomy(40, rows_per_label=3).X, task.X)


def test_random_trees_are_uniform_over_labelled_trees():
    trees = [taxonomies.random_labelled_tree(4, seed) for seed in range(800)]
    stars = sum(bool((tree.distances(range(4)).sum(axis=1) == 3).any()) for tree in trees)
    assert stars / 800 == pytest.approx(4 / 16, abs=0.05)  # 4 of Cayley's 16 trees are stars
    assert taxonomies.random_labelled_tree(2, 0).leaves().tolist() == [0, 1]
    graph = nx.Graph([(v, p) for v, p in enumerate(taxonomies.random_labelled_tree(50, 1).parent.tolist()) if p >= 0])
    assert nx.is_tree(graph)

"""The store in memory, by hand: it is what all other stores are held to."""

import numpy as np

from spaceform.search.stores.memory import connect
from spaceform.search.stores.store import CheckedStore


def test_by_hand():
    store = CheckedStore(connect("", token=""))
    store.create("rows", 2, metric="euclidean", fields={"n": int})
    store.upsert("rows", [7, 3, 5], [[0.0, 0.0], [3.0, 4.0], [0.0, 1.0]], {"n": [1, 2, None]})
    found = store.search("rows", [[0.0, 0.0]], 4)
    assert found.ids.tolist() == [[7, 5, 3, -1]]
    assert found.scores.tolist() == [[0.0, -1.0, -5.0, -np.inf]]
    assert store.search("rows", [[0.0, 0.0]], 4, where="n != 1").ids.tolist() == [[3, -1, -1, -1]]


def test_ties_go_to_the_lowest_id():
    store = CheckedStore(connect("", token=""))
    store.create("rows", 1, metric="ip")
    store.upsert("rows", [4, 2, 9], [[1.0]] * 3)
    assert store.search("rows", [[1.0]], 2).ids.tolist() == [[2, 4]]

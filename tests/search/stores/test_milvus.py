"""What only Milvus has: one script on a file and on a server, several clients, bounds on texts."""

import numpy as np
import pytest

from search.stores.conftest import own_names
from spaceform.errors import InputError, StoreError
from spaceform.search.stores.opening import open_store

pytest.importorskip("milvus_lite")


def script(uri):
    """What a user writes once; only the URI changes."""
    with open_store(uri) as store:
        store.create("script", 4, fields={"n": int, "words": list})
        vectors = np.random.default_rng(0).normal(size=(30, 4))
        fields = {"n": list(range(30)), "words": [["even"] if n % 2 == 0 else [] for n in range(30)]}
        store.upsert("script", np.arange(30), vectors, fields)
        store.delete("script", where="n < 3")
        found = store.search("script", vectors[:2], 5, where="words contains 'even' or n = 7")
        result = found.ids.tolist(), np.round(found.scores, 5).tolist(), found.fields, store.count("script")
        store.drop("script")
    return result


def test_one_script_on_a_file_on_a_server_and_in_memory(milvus_server, tmp_path):
    assert script(f"{tmp_path}/s.db") == script(milvus_server) == script("memory:")


def test_clients_of_the_server_see_each_other(milvus_server):
    with open_store(milvus_server) as one, open_store(milvus_server) as other:
        one.create("shared", 2, fields={"n": int})
        one.upsert("shared", [1], [[1.0, 0.0]], {"n": [1]})
        other.upsert("shared", [2], [[1.0, 0.1]], {"n": [2]})
        for client in (one, other):
            assert client.search("shared", [[1.0, 0.0]], 3).ids.tolist() == [[1, 2, -1]]
        other.drop("shared")
        assert "shared" not in own_names(one)
        with pytest.raises(InputError, match="a collection of this store"):
            one.count("shared")


def test_what_milvus_can_not_hold_is_refused(tmp_path):
    with open_store(f"{tmp_path}/s.db") as store:
        store.create("rows", 2, fields={"text": str, "words": list})
        for fields in (
            {"text": ["a" * 65_536], "words": [[]]},
            {"text": ["é" * 40_000], "words": [[]]},
            {"text": [""], "words": [["a" * 65_536]]},
            {"text": [""], "words": [["a"] * 4_097]},
        ):
            with pytest.raises(InputError, match="fields"):
                store.upsert("rows", [1], [[1.0, 0.0]], fields)
        with pytest.raises(InputError, match="info"):
            store.create("more", 2, info={"long": "a" * 70_000})
    with pytest.raises(InputError, match="token"):
        open_store(f"{tmp_path}/s.db", token="secret")
    with pytest.raises(InputError, match=r"ends in \.db"):
        open_store(f"milvus:{tmp_path}/s")
    with pytest.raises(StoreError, match=r"127\.0\.0\.1:9"):
        open_store("http://127.0.0.1:9")

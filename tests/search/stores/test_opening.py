"""URIs that are known, and those that are not."""

import pytest

from spaceform.errors import InputError
from spaceform.search.stores.opening import engine_of, is_store, open_store


@pytest.mark.parametrize(
    ("uri", "engine"),
    [
        ("memory:", ("memory", "")),
        ("disk:a b/c", ("disk", "a b/c")),
        ("./a/b", ("disk", "./a/b")),
        ("./a/b.db", ("milvus", "./a/b.db")),
        ("milvus:a/b.db", ("milvus", "a/b.db")),
        ("http://127.0.0.1:19530", ("milvus", "http://127.0.0.1:19530")),
        ("postgresql://u@h/d", ("pgvector", "postgresql://u@h/d")),
        ("lance:a/b", ("lance", "a/b")),
        ("lance://a/b", ("lance", "a/b")),
        ("s3://bucket/a", ("lance", "s3://bucket/a")),
    ],
)
def test_forms(uri, engine):
    assert engine_of(uri) == engine


@pytest.mark.parametrize("uri", ["", " ", "disk:", "mysql://x", "memory:x", "http:", "http://", "lance:", "a\0b", 5])
def test_other_uris_are_refused_with_those_there_are(uri):
    with pytest.raises(InputError, match="memory:"):
        open_store(uri)


@pytest.mark.parametrize("uri", ["memory:", "disk:x"])
def test_a_token_is_refused_where_there_is_none(uri):
    with pytest.raises(InputError, match="token"):
        open_store(uri, token="secret")


def test_what_is_a_store_and_what_a_space(tmp_path):
    (tmp_path / "space.db").mkdir()
    (tmp_path / "space.db" / "space.json").write_text("{}")
    with open_store(str(tmp_path / "store")) as store:
        store.create("rows", 2)
    assert is_store(str(tmp_path / "store"))
    assert is_store("http://127.0.0.1:19530")
    assert is_store("./new.db")
    assert not is_store(str(tmp_path / "space.db"))
    assert not is_store(str(tmp_path / "other"))

"""URIs that are known, and those that are not."""

import pytest

from spaceform.errors import InputError
from spaceform.search.stores.opening import engine_of, open_store


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

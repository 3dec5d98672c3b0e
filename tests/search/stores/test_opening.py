"""URIs that are known, and those that are not."""

import pytest

from spaceform.errors import InputError
from spaceform.search.stores.opening import open_store, scheme_of


def test_schemes():
    assert scheme_of("memory:") == ("memory", "")
    assert scheme_of("disk:a b/c") == ("disk", "a b/c")
    assert scheme_of("./a/b") == ("disk", "./a/b")


@pytest.mark.parametrize("uri", ["", " ", "disk:", "mysql://x", "memory:x", "a\0b", 5])
def test_other_uris_are_refused_with_those_there_are(uri):
    with pytest.raises(InputError, match="memory:"):
        open_store(uri)


@pytest.mark.parametrize("uri", ["memory:", "disk:x"])
def test_a_token_is_refused_where_there_is_none(uri):
    with pytest.raises(InputError, match="token"):
        open_store(uri, token="secret")

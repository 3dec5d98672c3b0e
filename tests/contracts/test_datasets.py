"""What every data set keeps: shapes, types, labels, columns in step, terms stated, and the same rows at every load.

Sets that come from packages are marked ``network``: they run where their packages are in the cache or can be fetched.
"""

import hashlib

import numpy as np
import pytest

from spaceform import data
from spaceform.errors import DataUnavailableError

# rows, shape of one row, dtype, classes, rows of the smallest and largest class, attributes
EXPECTED = {
    "emoji": (7155, (48, 48, 4), np.uint8, 1911, (2, 4), {"vendor", "name", "keywords", "category", "subcategory"}),
    "glyphs": (27593, (28, 28), np.uint8, 464, (30, 62), {"typeface", "character"}),
    "dejavu": (10860, (28, 28), np.uint8, 543, (20, 20), {"character", "script", "face"}),
    "letter": (20000, (16,), np.float64, 26, (734, 813), set()),
    "digits": (1797, (64,), np.float64, 10, (174, 183), set()),
    "mnist-5k": (5000, (784,), np.float32, 10, (500, 500), set()),
    "fashion-mnist": (70000, (28, 28), np.uint8, 10, (7000, 7000), {"split"}),
    "wordnet": (82192, (), object, 26, (42, 11605), {"id", "lemma", "gloss", "parent"}),
    "wordnet-glosses": (
        117791,
        (),
        object,
        45,
        (42, 14460),
        {"length", "n_words", "n_pointers", "words", "part_of_speech"},
    ),
}
OF_THE_DAY = {"debian"}
"""What this machine's own package index says: no number of it is fixed."""

RANGES = {
    "emoji": (0, 255),
    "glyphs": (0, 255),
    "dejavu": (0, 255),
    "letter": (0, 15),
    "digits": (0, 16),
    "mnist-5k": (0, 255),
}

BUNDLED = {"digits", "dejavu"}
"""Sets that come with a library this one stands on."""

NAMES = [pytest.param(name, marks=[] if name in BUNDLED else pytest.mark.network) for name in EXPECTED]


@pytest.fixture(scope="module")
def loaded():
    """Return a function that loads a set once; where it can't be had it asks once, and skips with the reason."""
    kept = {}

    def get(name):
        if name not in kept:
            try:
                kept[name] = data.load(name)
            except DataUnavailableError as error:
                kept[name] = f"not in the cache, and no registry gives it: {error}"
        if isinstance(kept[name], str):
            pytest.skip(kept[name])
        return kept[name]

    return get


def fingerprint(found):
    whole = hashlib.sha256()
    rows = found.X if found.X.dtype != object else "\n".join(found.X).encode()
    for part in (rows, found.y, repr(list(found.classes)).encode()):
        whole.update(np.ascontiguousarray(part).data if isinstance(part, np.ndarray) else part)
    for name in sorted(found.attributes):
        whole.update(f"{name}={list(found.attributes[name])}".encode())
    return whole.hexdigest()


def test_every_packaged_set_is_expected_here():
    assert {record.name for record in data.describe() if record.kind == "set"} == set(EXPECTED) | OF_THE_DAY


@pytest.mark.parametrize("name", NAMES)
def test_shape_type_and_classes_are_as_published(loaded, name):
    rows, shape, kind, n_classes, spread, attributes = EXPECTED[name]
    found = loaded(name)
    assert found.name == name
    assert found.X.shape == (rows, *shape)
    assert found.X.dtype == kind
    assert found.y.shape == (rows,)
    assert found.y.dtype == np.int64
    assert len(found.classes) == len(set(found.classes)) == n_classes
    assert all(isinstance(label, str) and label for label in found.classes)
    counts = np.bincount(found.y, minlength=n_classes)
    assert (counts.min(), counts.max()) == spread
    assert set(found.attributes) == attributes
    assert next(record.rows for record in data.describe() if record.name == name) == rows


@pytest.mark.parametrize("name", NAMES)
def test_columns_are_in_step_and_the_terms_are_stated(loaded, name):
    found = loaded(name)
    assert found.licence
    assert found.source
    for column in found.attributes.values():
        assert len(column) == len(found)
    if name in RANGES:
        assert (found.X.min(), found.X.max()) == RANGES[name]


@pytest.mark.parametrize("name", NAMES)
def test_a_second_load_gives_the_same_rows_in_arrays_of_its_own(loaded, name):
    first, again = loaded(name), data.load(name)
    assert fingerprint(first) == fingerprint(again)
    assert not np.shares_memory(first.X, again.X)
    assert again.X.flags.writeable


@pytest.mark.network
def test_emoji_concepts_and_vendors_are_as_counted(loaded):
    found = loaded("emoji")
    vendors, counts = np.unique(found.attributes["vendor"], return_counts=True)
    assert dict(zip(vendors.tolist(), counts.tolist(), strict=True)) == {
        "emojione": 1481,
        "fluent": 1852,
        "google": 1911,
        "twitter": 1911,
    }
    categories = set(found.attributes["category"])
    assert len(categories - {"Component"}) == 9
    assert len(set(found.attributes["subcategory"])) == 99
    assert all(found.attributes["keywords"])
    assert (found.X[..., 3].reshape(len(found), -1).max(axis=1) > 200).all()


@pytest.mark.network
def test_glyphs_have_every_character_in_most_typefaces(loaded):
    characters, counts = np.unique(loaded("glyphs").attributes["character"], return_counts=True)
    assert len(characters) == 62
    assert (counts.min(), counts.max()) == (397, 464)


@pytest.mark.network
def test_wordnet_is_one_tree_with_its_animals(loaded):
    loaded("wordnet")
    nouns = data.wordnet.load_nouns()
    assert (nouns.parents < 0).sum() == 1
    assert len(nouns.below(int(np.flatnonzero(nouns.parents < 0)[0]))) == len(nouns)
    assert len(nouns.below(nouns.senses("animal")[0])) == 4017
    assert nouns.hypernyms.shape == (84505, 2)

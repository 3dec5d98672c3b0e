"""A split comes back from its file as it was, and no changed file or other data passes for it."""

import json

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from spaceform.data.protocols import FrozenSplit, draw_category_discovery
from spaceform.data.protocols.frozen import label_fingerprint, shares
from spaceform.errors import InputError

LABELS = np.random.default_rng(0).permutation(np.repeat([2, 3, 7, 9, -1], [8, 12, 30, 20, 5]))


@pytest.fixture
def split():
    return draw_category_discovery(LABELS, n_known=2, labelled=0.5, test=0.2, seed=1).split


def test_a_file_gives_the_split_back(split, tmp_path):
    path = split.save(tmp_path / "new" / "split.json")
    assert FrozenSplit.load(path) == split
    assert hash(FrozenSplit.load(path)) == hash(split)
    assert [found.name for found in path.parent.iterdir()] == ["split.json"]


def test_any_changed_number_is_noticed(split, tmp_path):
    path = split.save(tmp_path / "split.json")
    record = json.loads(path.read_text())
    record["parts"]["labelled"][0] += 1
    path.write_text(json.dumps(record))
    with pytest.raises(InputError, match="changed since"):
        FrozenSplit.load(path)


def test_a_file_cut_anywhere_is_refused(split, tmp_path):
    path = split.save(tmp_path / "split.json")
    whole = path.read_bytes()
    for end in range(0, len(whole) - 2, 7):
        path.write_bytes(whole[:end])
        with pytest.raises(InputError, match="path"):
            FrozenSplit.load(path)


@pytest.mark.parametrize("text", ["[]", "{}", "null", '{"format": 1}', "\xff", '{"kind": 1, "settings": 3}'])
def test_other_files_are_refused(text, tmp_path):
    path = tmp_path / "split.json"
    path.write_text(text, encoding="latin-1")
    with pytest.raises(InputError, match="path"):
        FrozenSplit.load(path)


def test_a_missing_file_and_a_later_format_are_refused(split, tmp_path):
    with pytest.raises(InputError, match="path"):
        FrozenSplit.load(tmp_path / "none.json")
    path = split.save(tmp_path / "split.json")
    path.write_text(path.read_text().replace('"format": 1', '"format": 9'))
    with pytest.raises(InputError, match="format 9"):
        FrozenSplit.load(path)


def test_other_labels_are_refused(split):
    np.testing.assert_array_equal(split.check(LABELS.tolist()), LABELS)
    with pytest.raises(InputError, match="70 rows"):
        split.check(LABELS[:70])
    swapped = LABELS.copy()
    other = np.flatnonzero(LABELS[0] != LABELS)[0]
    swapped[[0, other]] = swapped[[other, 0]]
    with pytest.raises(InputError, match="other labels"):
        split.check(swapped)


def test_the_fingerprint_does_not_depend_on_the_dtype():
    assert label_fingerprint(LABELS.astype(np.int32)) == label_fingerprint(LABELS)


@settings(max_examples=60, deadline=None)
@given(st.floats(0, 0.49), st.floats(0.01, 0.5), st.integers(0, 99))
def test_shares_are_kept_in_every_class(first, second, seed):
    rows = np.flatnonzero(LABELS >= 0)
    cut = shares(LABELS, rows, {"first": first, "second": second}, seed=seed)
    np.testing.assert_array_equal(np.sort(np.concatenate(list(cut.values()))), rows)
    for label in (2, 3, 7, 9):
        counts = {name: int((LABELS[part] == label).sum()) for name, part in cut.items()}
        n = sum(counts.values())
        assert counts["rest"] >= 1
        for name, share in (("first", first), ("second", second)):
            assert abs(counts[name] - share * n) <= (1 if share else 0)


def test_shares_that_leave_nothing_are_refused():
    with pytest.raises(InputError, match="less than 1"):
        shares(LABELS, np.arange(10), {"a": 0.5, "b": 0.5}, seed=0)
    with pytest.raises(InputError, match="class 5"):
        shares(np.array([4, 4, 5]), np.arange(3), {"a": 0.5}, seed=0)

"""Sparse texts with several labels each."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from spaceform.data.layouts.benchmarks.lshtc import read_lshtc
from spaceform.errors import InputError


def write(tmp_path, content, name="a.txt"):
    (tmp_path / name).write_text(content)
    return tmp_path / name


documents = st.lists(
    st.tuples(
        st.lists(st.integers(0, 99), min_size=1, max_size=3, unique=True),
        st.dictionaries(st.integers(0, 50), st.integers(1, 9), min_size=1, max_size=4),
    ),
    min_size=1,
    max_size=5,
)


@given(documents, st.sampled_from([", ", ","]), st.sampled_from(["", "Data\n"]))
@settings(deadline=None, max_examples=40)
def test_sparse_texts_come_back_as_they_were(tmp_path_factory, given, comma, header):
    lines = [f"{comma.join(map(str, y))} {' '.join(f'{k}:{v}' for k, v in x.items())}\n" for y, x in given]
    found = read_lshtc(write(tmp_path_factory.mktemp("l"), header + "".join(lines)))
    assert [labels.tolist() for labels in found.labels] == [sorted(y) for y, _ in given]
    dense = found.X.toarray()
    assert dense.shape == (len(given), max(max(x) for _, x in given) + 1)
    for row, (_, x) in zip(dense, given, strict=True):
        assert {int(k): int(row[k]) for k in np.flatnonzero(row)} == x


def test_reading_sparse_texts_can_stop_early(tmp_path):
    assert len(read_lshtc(write(tmp_path, "1 2:3\n" * 9), max_rows=4)) == 4


@pytest.mark.parametrize(
    "content", ["", "Data\n", "1 2:x\n", "1\n2\n", "2:3\n1 2:3\n", "1 2:3 4\n", "1 -2:3\n", "1 2:nan\n"]
)
def test_wrong_sparse_texts_are_refused(tmp_path, content):
    with pytest.raises(InputError, match=r"a\.txt"):
        read_lshtc(write(tmp_path, content))

"""Rows of each class, as a loop finds them."""

import numpy as np
import pytest

from spaceform.samplers.class_rows import rows_by_class


@pytest.mark.parametrize("labels", [[3, -1, 0, 3, 0, 0, 9], [-1, -1], [], [4], [2, 1, 0]])
def test_rows_of_each_class_ascend(labels):
    y = np.array(labels, dtype=np.int64)
    expected = [np.flatnonzero(y == label) for label in sorted(set(labels) - {-1})]
    found = rows_by_class(y)
    assert [rows.tolist() for rows in found] == [rows.tolist() for rows in expected]

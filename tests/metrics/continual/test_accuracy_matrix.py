"""The summaries against slow loops, and what is refused."""

import json

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from spaceform.errors import InputError
from spaceform.metrics.continual.accuracy_matrix import AccuracyMatrix


@given(st.integers(1, 6), st.integers(0, 99))
def test_summaries_equal_slow_loops(tasks, seed):
    rng = np.random.default_rng(seed)
    rows = rng.integers(1, 50, tasks).tolist()
    table = [[rng.random() for _ in range(t + 1)] for t in range(tasks)]
    matrix = AccuracyMatrix(rows)
    for row in table:
        matrix.add(row)
    seen = [sum(a * n for a, n in zip(row, rows, strict=False)) / sum(rows[: len(row)]) for row in table]
    assert matrix.seen == pytest.approx(seen)
    assert matrix.average_incremental_accuracy == pytest.approx(sum(seen) / tasks)
    drops = [max(table[t][k] for t in range(k, tasks - 1)) - table[-1][k] for k in range(tasks - 1)]
    assert matrix.forgetting == pytest.approx(sum(drops) / len(drops) if drops else 0)
    assert matrix.plasticity == pytest.approx(np.mean([table[t][t] for t in range(tasks)]))
    assert AccuracyMatrix.from_dict(json.loads(json.dumps(matrix.to_dict()))) == matrix
    assert np.isnan(matrix.values).sum() == tasks * (tasks - 1) / 2


def test_what_is_refused():
    with pytest.raises(InputError, match="at least one task"):
        AccuracyMatrix([])
    matrix = AccuracyMatrix([3])
    with pytest.raises(InputError, match="no task learned"):
        assert matrix.seen
    for bad in ([0.1, 0.2], [1.5], [np.nan]):
        with pytest.raises(InputError, match="accuracies"):
            matrix.add(bad)
    matrix.add([0.5])
    with pytest.raises(InputError, match="accuracies"):
        matrix.add([0.5, 0.5])

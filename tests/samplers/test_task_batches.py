"""Tasks of a batch: right classes, no row twice, every class and row as often as another, the same by step."""

import numpy as np
import pytest

from spaceform.errors import InputError
from spaceform.samplers.task_batches import TaskBatches

LABELS = np.array([0] * 4 + [1] * 7 + [2] * 2 + [3] * 30 + [-1] * 9 + [4] * 5 + [5])


def test_rows_are_of_one_class_each_and_differ():
    order = np.random.default_rng(0).permutation(len(LABELS))
    labels = LABELS[order]
    batches = TaskBatches(labels, n_way=3, n_shot=2, n_query=2, n_tasks=50)
    for step in range(5):
        batch = batches(step)
        assert batch.support.shape == batch.query.shape == (50, 3, 2)
        rows = np.concatenate([batch.support, batch.query], axis=2)
        classes = labels[rows]
        assert (classes == classes[:, :, :1]).all()
        assert all(len(set(task.ravel())) == 12 for task in rows)
        assert all(len(set(task[:, 0])) == 3 for task in classes)
        assert set(classes.ravel()) <= {0, 1, 3, 4}  # 2 and 5 have too few rows, -1 is no class


def test_classes_and_rows_come_equally_often():
    batches = TaskBatches([0] * 3 + [1] * 6 + [2] * 3, n_way=2, n_tasks=2000)
    batch = batches(0)
    rows = np.concatenate([batch.support, batch.query], axis=2)
    shares = np.bincount(rows.ravel(), minlength=12) / rows.size
    np.testing.assert_allclose(shares, [1 / 9] * 3 + [1 / 18] * 6 + [1 / 9] * 3, atol=0.012)


def test_a_batch_depends_on_seed_and_step_alone():
    first, again, other = (TaskBatches(LABELS, n_way=2, seed=seed) for seed in (1, 1, 2))
    again(0)
    assert np.array_equal(first(7).support, again(7).support)
    assert not np.array_equal(first(7).support, first(8).support)
    assert not np.array_equal(first(7).support, other(7).support)


@pytest.mark.parametrize("options", [{"n_way": 6}, {"n_way": 1}, {"n_shot": 40}, {"n_tasks": 0}, {"n_query": 0}])
def test_refused(options):
    with pytest.raises(InputError):
        TaskBatches(LABELS, **options)

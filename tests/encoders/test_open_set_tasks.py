import numpy as np
import torch

from spaceform.encoders.open_set_tasks import SOURCE, TARGET, OpenSetTasks

CODES = np.repeat(np.arange(8), 4)
X = (10 * CODES[:, None] + np.arange(32)[:, None] % 4).astype(np.float32)


def test_rows_carry_the_numbers_of_their_classes():
    tasks = OpenSetTasks(X, CODES, CODES // 4, n_way=2, shots=(2, 1), queries=1, seed=0)
    for step in range(20):
        found = tasks(step)
        assert set(found) == {SOURCE, TARGET}
        for domain, task in found.items():
            assert task.support.shape == ((4, 2)[domain], 1)
            of = {int(t): int(x) // 10 for x, t in zip(task.support, task.support_targets, strict=True)}
            assert [int(x) // 10 for x in task.query] == [of[int(t)] for t in task.query_targets]
            unknown = {int(x) // 10 for x in task.unknown}
            assert len(unknown) == 2
            assert not unknown & set(of.values())
            assert all(c // 4 == domain for c in [*unknown, *of.values()])


def test_without_domains_all_is_target():
    tasks = OpenSetTasks(X, CODES, None, n_way=2, shots=1, queries=2, seed=0)
    assert list(tasks(3)) == [TARGET]
    assert torch.equal(tasks(3)[TARGET].query, tasks(3)[TARGET].query)
    assert tasks(3)[TARGET].unknown_targets.tolist() == [0, 0, 1, 1]

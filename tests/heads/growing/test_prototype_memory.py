"""Running statistics against those of all rows at once, in any order, and on two processes."""

from itertools import pairwise

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from oracles.ranks import on_ranks
from spaceform.errors import InputError
from spaceform.heads.growing.prototype_memory import PrototypeMemory


def rows(seed=0, n=60, classes=4):
    generator = torch.Generator().manual_seed(seed)
    labels = torch.randint(classes, (n,), generator=generator)
    return torch.randn(n, 3, generator=generator) + 100 * labels[:, None], labels


@given(st.integers(0, 99), st.lists(st.integers(1, 59), max_size=4))
def test_any_cut_into_batches_gives_mean_and_variance_of_all(seed, cuts):
    x, y = rows(seed)
    memory = PrototypeMemory(width=3)
    bounds = sorted({0, *cuts, 60})
    for first, last in pairwise(bounds):
        memory.update(x[first:last], y[first:last])
    for c in memory.classes.tolist():
        own = x[y == c].double()
        torch.testing.assert_close(memory.means[c], own.mean(0))
        torch.testing.assert_close(memory.variances[c], own.var(0, correction=0), atol=1e-9, rtol=1e-9)
        assert int(memory.counts[c]) == len(own)


def seen_by_this_rank():
    x, y = rows()
    rank = torch.distributed.get_rank()
    memory = PrototypeMemory(width=3)
    for part in (slice(0, 40), slice(40, 60)):  # the second rank sees fewer rows, and not all classes
        mine = slice(part.start, part.start + 13) if rank == 0 else slice(part.start + 13, part.stop)
        memory.update(x[mine], y[mine])
    return [value.tolist() for value in (memory.counts, memory.means, memory.variances)]


def test_two_processes_hold_what_one_would(tmp_path):
    x, y = rows()
    alone = PrototypeMemory(width=3)
    alone.update(x, y)
    for counts, means, variances in on_ranks(seen_by_this_rank, tmp_path):
        assert counts == alone.counts.tolist()
        torch.testing.assert_close(torch.tensor(means, dtype=torch.float64), alone.means)
        torch.testing.assert_close(torch.tensor(variances, dtype=torch.float64), alone.variances)


def test_state_forgetting_and_radius():
    x, y = rows()
    memory, other = PrototypeMemory(width=3), PrototypeMemory(width=3)
    memory.update(x, y)
    other.load_state_dict(memory.state_dict())
    memory.update(x, y)
    other.update(x, y)
    assert torch.equal(memory.means, other.means)
    assert memory.radius == pytest.approx(memory.variances.mean().sqrt().item())
    memory.forget(2)
    assert memory.classes.tolist() == [0, 1]


def test_what_is_refused():
    memory = PrototypeMemory(width=3)
    with pytest.raises(InputError, match="at least one class"):
        assert memory.radius
    bad = [
        (torch.ones(2, 4), torch.zeros(2, dtype=torch.int64)),
        (torch.ones(2, 3), torch.zeros(2)),
        (torch.ones(2, 3), torch.tensor([0, -1])),
        (torch.full((1, 3), torch.nan), torch.zeros(1, dtype=torch.int64)),
        (torch.ones(0, 3), torch.zeros(0, dtype=torch.int64)),
    ]
    for x, y in bad:
        with pytest.raises(InputError):
            memory.update(x, y)

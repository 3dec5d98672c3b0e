from collections import deque

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from spaceform.errors import InputError
from spaceform.ops.memory import MemoryBank


@given(st.integers(1, 7), st.lists(st.integers(0, 9), max_size=8))
def test_it_holds_what_a_queue_holds(rows, batches):
    bank, queue, serial = MemoryBank(rows=rows, width=2), deque(maxlen=rows), 0
    for size in batches:
        labels = torch.arange(serial, serial + size)
        bank.enqueue(labels[:, None] * torch.ones(1, 2), labels)
        queue.extend(labels.tolist())
        serial += size
        vectors, stored = bank.contents()
        assert stored.tolist() == list(queue)
        assert vectors[:, 1].tolist() == list(queue)
        assert len(bank) == len(queue)


def test_contents_are_copies_without_a_gradient():
    bank = MemoryBank(rows=3, width=1)
    rows = torch.ones(2, 1, requires_grad=True)
    bank.enqueue(rows, torch.tensor([4, 5], dtype=torch.int32))
    vectors, labels = bank.contents()
    vectors.zero_()
    labels.zero_()
    assert bank.contents()[0].tolist() == [[1], [1]]
    assert bank.contents()[1].tolist() == [4, 5]
    assert not bank.contents()[0].requires_grad


def test_state_survives_a_save():
    bank, copy = MemoryBank(rows=3, width=1), MemoryBank(rows=3, width=1)
    bank.enqueue(torch.arange(5.0)[:, None], torch.arange(5))
    copy.load_state_dict(bank.state_dict())
    for each in (bank, copy):
        each.enqueue(torch.tensor([[9.0]]), torch.tensor([9]))
    assert copy.contents()[1].tolist() == bank.contents()[1].tolist() == [3, 4, 9]


def test_clearing_forgets():
    bank = MemoryBank(rows=3, width=1)
    bank.enqueue(torch.ones(3, 1), torch.arange(3))
    bank.clear()
    assert len(bank) == 0
    assert bank.contents()[0].shape == (0, 1)
    assert "rows=3" in repr(bank)


def test_what_does_not_fit_is_refused():
    bank = MemoryBank(rows=3, width=2)
    for rows, labels in [
        (torch.ones(2, 3), torch.arange(2)),
        (torch.ones(2), torch.arange(2)),
        (torch.ones(2, 2), torch.arange(3)),
        (torch.ones(2, 2), torch.ones(2)),
    ]:
        with pytest.raises(InputError):
            bank.enqueue(rows, labels)
    with pytest.raises(InputError, match="rows"):
        MemoryBank(rows=0, width=2)

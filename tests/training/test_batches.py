"""Shuffled batches: every row once per epoch, the same batch for the same step."""

from __future__ import annotations

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from spaceform.errors import InputError
from spaceform.training.batches import ShuffledBatches


@given(st.integers(2, 40), st.integers(2, 15), st.integers(1, 2))
def test_an_epoch_holds_every_row_once_save_a_skipped_tail(n: int, batch_size: int, min_rows: int) -> None:
    rows = torch.arange(n)
    batches = ShuffledBatches(rows, rows * 2, batch_size=batch_size, seed=3, min_rows=min_rows)
    parts = [batches(step) for step in range(batches.per_epoch)]
    assert all(min_rows <= len(first) <= batch_size for first, _ in parts)
    assert all(torch.equal(second, 2 * first) for first, second in parts)
    seen = torch.cat([first for first, _ in parts]).sort().values
    assert len(set(seen.tolist())) == len(seen) == n - (n % batch_size if 0 < n % batch_size < min_rows else 0)


def test_a_step_does_not_depend_on_the_steps_before() -> None:
    rows = torch.arange(10)
    forward = ShuffledBatches(rows, batch_size=4, seed=0)
    seen = {step: forward(step)[0].tolist() for step in range(12)}
    backward = ShuffledBatches(rows, batch_size=4, seed=0)
    assert {step: backward(step)[0].tolist() for step in reversed(range(12))} == seen
    assert seen[0] != seen[3]
    assert ShuffledBatches(rows, batch_size=4, seed=1)(0)[0].tolist() != seen[0]


@pytest.mark.parametrize(
    ("tensors", "options", "argument"),
    [
        ((torch.zeros(3), torch.zeros(4)), {"batch_size": 2}, "tensors"),
        ((torch.zeros(1),), {"batch_size": 2, "min_rows": 2}, "X"),
        ((torch.zeros(3),), {"batch_size": 1, "min_rows": 2}, "batch_size"),
    ],
)
def test_bad_input_is_refused(tensors: tuple, options: dict, argument: str) -> None:
    with pytest.raises(InputError) as caught:
        ShuffledBatches(*tensors, seed=0, **options)
    assert caught.value.argument == argument

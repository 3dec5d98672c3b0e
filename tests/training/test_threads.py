"""The number of threads is lowered inside the block only."""

import pytest
import torch

from spaceform.training.threads import one_thread


def test_threads_come_back_however_the_block_ends():
    before = torch.get_num_threads()
    with one_thread():
        assert torch.get_num_threads() == 1
    assert torch.get_num_threads() == before
    with pytest.raises(RuntimeError, match="inside"), one_thread():
        raise RuntimeError("inside")
    assert torch.get_num_threads() == before

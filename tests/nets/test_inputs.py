"""Inputs of networks: shapes, ranges, tensors."""

import numpy as np
import pytest
import torch

from spaceform.errors import InputError
from spaceform.nets.inputs import as_tensor, check_inputs


def test_pictures_go_in_channels_last_between_0_and_1():
    X = np.arange(2 * 4 * 4 * 3, dtype=np.uint8).reshape(2, 4, 4, 3)
    X.flags.writeable = False
    tensor = as_tensor(check_inputs(X))
    assert tensor.shape == (2, 3, 4, 4)
    assert tensor.is_contiguous(memory_format=torch.channels_last)
    torch.testing.assert_close(tensor[1, 2, 3, 3], torch.tensor(95 / 255))
    assert check_inputs(X[..., 0]).shape == (2, 4, 4, 1)
    torch.testing.assert_close(as_tensor(check_inputs(X / 255.0)), tensor)


def test_vectors_go_in_as_they_are():
    tensor = as_tensor(check_inputs([[1, 2.5], [3, 4]]))
    assert tensor.dtype == torch.float32
    assert tensor.tolist() == [[1, 2.5], [3, 4]]


@pytest.mark.parametrize(
    "bad",
    [
        np.zeros((2, 4, 5, 3), np.uint8),
        np.zeros((0, 4, 4, 3), np.uint8),
        np.zeros((2, 4, 4), np.int64),
        np.full((2, 4, 4), 1.5),
        np.full((2, 4, 4), np.nan),
        np.zeros((2, 2, 2, 2, 2)),
        np.zeros(3),
        np.full((3, 2), np.inf),
    ],
)
def test_other_things_are_refused(bad):
    with pytest.raises(InputError, match="X"):
        check_inputs(bad)

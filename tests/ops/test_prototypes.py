import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from spaceform.errors import InputError
from spaceform.ops.prototypes import class_prototypes


@given(seed=st.integers(0, 10**6), n_classes=st.integers(1, 5), extra=st.integers(0, 12), width=st.integers(1, 4))
@settings(max_examples=60, deadline=None)
def test_prototypes_are_the_means_of_each_class_in_arrays_and_tensors(seed, n_classes, extra, width):
    rng = np.random.default_rng(seed)
    codes = rng.permutation(np.concatenate([np.arange(n_classes), rng.integers(0, n_classes, extra)]))
    X = rng.normal(size=(len(codes), width))
    expected = np.stack([X[codes == c].mean(0) for c in range(n_classes)])
    np.testing.assert_allclose(class_prototypes(X, codes, n_classes), expected, atol=1e-12)
    found = class_prototypes(torch.from_numpy(X), torch.from_numpy(codes), n_classes)
    np.testing.assert_allclose(found.numpy(), expected, atol=1e-12)


def test_types_are_kept_and_gradients_are_shares_of_one():
    X = torch.ones(3, 2, requires_grad=True)
    means = class_prototypes(X, torch.tensor([1, 0, 1]), 2)
    assert means.dtype == torch.float32
    means[1].sum().backward()
    assert X.grad.tolist() == [[0.5, 0.5], [0, 0], [0.5, 0.5]]
    assert class_prototypes(np.ones((2, 2), np.float32), np.array([0, 1]), 2).dtype == np.float32


@pytest.mark.parametrize("codes", [[0, 0, 2], [0, 1, -1], [0, 1, 3], [0, 1], [0.0, 1.0, 2.0]])
def test_what_does_not_fit_is_refused(codes):
    X = np.ones((3, 2))
    for rows, given_codes in ((X, np.array(codes)), (torch.from_numpy(X), torch.tensor(codes))):
        with pytest.raises(InputError, match="codes"):
            class_prototypes(rows, given_codes, 3)

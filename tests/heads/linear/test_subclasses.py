"""Outputs that are summed over subclasses."""

import numpy as np
import pytest
import torch

from spaceform.errors import InputError
from spaceform.heads.linear.subclasses import SubclassHead, class_log_probs


def test_class_probabilities_are_sums_of_class_major_outputs():
    outputs = torch.randn(6, 12)
    p = outputs.softmax(1).numpy()
    slow = np.stack([p[:, 4 * c : 4 * c + 4].sum(1) for c in range(3)], 1)
    np.testing.assert_allclose(class_log_probs(outputs, 3).exp().numpy(), slow, rtol=1e-5)


def test_one_subclass_is_a_linear_classifier():
    head = SubclassHead(4, n_classes=3)
    x = torch.randn(5, 4)
    np.testing.assert_allclose(
        head.class_log_probs(head(x)).detach(), head.linear(x).log_softmax(1).detach(), rtol=1e-4, atol=1e-6
    )


@pytest.mark.parametrize("options", [{"n_classes": 1}, {"n_classes": 2, "n_subclasses": 0}])
def test_too_few_are_refused(options):
    with pytest.raises(InputError):
        SubclassHead(3, **options)

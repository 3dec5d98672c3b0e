"""One view against the targets of another: a slow loop, small crops, no gradient of targets."""

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from spaceform.errors import InputError
from spaceform.losses.discovery.swapped_prediction import swapped_prediction


def drawn(seed=0, views=4, large=2, heads=3, rows=5, classes=6):
    generator = torch.Generator().manual_seed(seed)
    logits = 2 * torch.rand(views, heads, rows, classes, generator=generator, dtype=torch.float64) - 1
    targets = torch.softmax(torch.rand(large, heads, rows, classes, generator=generator, dtype=torch.float64), -1)
    return logits, targets


@given(st.integers(0, 1000), st.sampled_from([(2, 1), (2, 2), (4, 2), (3, 3)]))
def test_equals_a_slow_loop(seed, sizes):
    views, large = sizes
    logits, targets = drawn(seed, views, large)
    for head in range(3):
        terms = []
        for v in range(large):
            for w in range(views):
                if v != w:
                    z = logits[w, head].numpy() / 0.1
                    log_p = z - np.log(np.exp(z).sum(1, keepdims=True))
                    terms.append(-(targets[v, head].numpy() * log_p).sum(1).mean())
        assert swapped_prediction(logits, targets)[head].item() == pytest.approx(np.mean(terms))


def test_targets_learn_nothing():
    logits, targets = drawn()
    swapped_prediction(logits.requires_grad_(), targets.requires_grad_()).sum().backward()
    assert targets.grad is None
    assert logits.grad is not None


def test_a_view_is_never_its_own_target():
    logits, targets = drawn(views=2, large=1)
    logits.requires_grad_()
    swapped_prediction(logits, targets).sum().backward()
    assert (logits.grad[0] == 0).all()


def test_bad_input_is_refused():
    logits, targets = drawn()
    with pytest.raises(InputError, match="at least 2 views"):
        swapped_prediction(logits[:1], targets[:1])
    with pytest.raises(InputError, match="targets"):
        swapped_prediction(logits, targets[..., :5])
    with pytest.raises(InputError, match="targets"):
        swapped_prediction(logits[:2], drawn(large=3)[1])
    with pytest.raises(InputError, match="temperature"):
        swapped_prediction(logits, targets, temperature=0)

"""Which mixtures pull: thresholds of the paper, and shares counted one by one."""

import math

import numpy as np
import pytest
import torch

from spaceform.errors import InputError, NoPairsError
from spaceform.losses.contrastive import ContrastiveLoss
from spaceform.losses.generic_pair import contrastive_form, multi_similarity_form
from spaceform.losses.mixing.form_loss import FormLoss
from spaceform.losses.mixing.positivity import acts_as_positive, positivity, positivity_threshold
from spaceform.losses.multi_similarity import MultiSimilarityLoss


@pytest.mark.parametrize(("lam", "level"), [(0.1, 0.7464), (0.5, 0.77), (0.9, 0.7936)])
def test_a_mixture_turns_from_positive_to_negative_where_the_paper_says(lam, level):
    threshold = positivity_threshold(lam, alpha=18.0, beta=75.0, base=0.77)
    assert threshold == pytest.approx(level, abs=5e-5)
    loss = FormLoss(form=multi_similarity_form(18.0, 75.0, 0.77))
    closeness = torch.tensor([[threshold - 1e-3], [threshold + 1e-3]], dtype=torch.float64)
    mask = torch.ones_like(closeness, dtype=torch.bool)
    found = acts_as_positive(loss, closeness, torch.full_like(closeness, lam), mask)
    assert found[:, 0].tolist() == [True, False]


def test_in_the_contrastive_form_a_half_or_the_margin_decides():
    loss = FormLoss(form=contrastive_form(0.5))
    closeness = torch.tensor([[0.3, 0.49, 0.51, 0.8]], dtype=torch.float64)
    mask = torch.ones_like(closeness, dtype=torch.bool)
    for lam, expected in ((0.49, [True, True, False, False]), (0.5, [True] * 4)):
        assert acts_as_positive(loss, closeness, torch.full_like(closeness, lam), mask)[0].tolist() == expected
    assert not acts_as_positive(loss, closeness, torch.full_like(closeness, 1.0), ~mask).any()


def test_at_one_closeness_a_larger_share_never_turns_a_positive_into_a_negative():
    closeness = torch.linspace(-0.5, 1, 60, dtype=torch.float64)[:, None]
    mask = torch.ones_like(closeness, dtype=torch.bool)
    for loss in (ContrastiveLoss(closeness="dot"), MultiSimilarityLoss(), FormLoss(form=contrastive_form(0.5))):
        found = [acts_as_positive(loss, closeness, torch.full_like(closeness, lam), mask) for lam in (0.1, 0.4, 0.9)]
        counts = [int(one.sum()) for one in found]
        assert counts == sorted(counts)
        assert counts[0] < counts[2]
        assert not (found[0] & ~found[2]).any()


def test_positivity_of_a_batch_is_a_share_of_its_mixtures():
    generator = torch.Generator().manual_seed(0)
    labels = torch.arange(24) % 6
    rows = torch.randn(24, 8, generator=generator) + 0.8 * torch.randn(6, 8, generator=generator)[labels]
    loss = ContrastiveLoss(closeness="dot", reduction="mean")
    assert positivity(loss, rows, labels, lam=0.5) == positivity(loss, rows, labels, lam=0.9) == 1
    unit = torch.nn.functional.normalize(rows, dim=1)
    near = [
        float(unit[a] @ torch.nn.functional.normalize(0.4 * unit[p] + 0.6 * unit[n], dim=0)) <= 0.5
        for a in range(24)
        for p in range(24)
        for n in range(24)
        if labels[p] == labels[a] != labels[n] and p != a
    ]
    assert positivity(loss, rows, labels, lam=0.4) == pytest.approx(np.mean(near))
    with pytest.raises(NoPairsError):
        positivity(loss, rows, torch.zeros_like(labels), lam=0.5)
    with pytest.raises(InputError, match="lam"):
        positivity(loss, rows, labels, lam=1.5)


def test_the_closed_form_is_the_share_of_mixtures_below_the_threshold():
    # one anchor with one mixture at a time: the sums are those of one pair, where the threshold is exact
    loss, lam = MultiSimilarityLoss(alpha=17.97, beta=75.66, base=0.77), 0.7
    closeness = torch.linspace(0.7, 0.85, 400, dtype=torch.float64)[:, None]
    mask = torch.ones_like(closeness, dtype=torch.bool)
    found = acts_as_positive(loss, closeness, torch.full_like(closeness, lam), mask)
    assert torch.equal(found, closeness <= positivity_threshold(lam))
    assert math.isclose(positivity_threshold(0.5), 0.77)

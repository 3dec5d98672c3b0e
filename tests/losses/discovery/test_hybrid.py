"""The hybrid contrastive loss: slow loops, the schedule, coincident rows, and what it refuses."""

import numpy as np
import pytest
import torch

from spaceform.errors import InputError
from spaceform.geometry import PoincareBall
from spaceform.heads.poincare import ToPoincare
from spaceform.losses.discovery.hybrid import HybridContrastiveLoss, linear_ramp

LABELS = torch.tensor([0, 0, 1, -1, -1])


def batch(seed=0, items=5, d=3):
    z = torch.randn(2 * items, d, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)
    return ToPoincare()(z)


def slow(closeness, labels, temperatures, share=0.35):
    """InfoNCE over all images and SupCon over labelled ones by loops over anchors and positives."""
    n, items = len(closeness), len(labels)
    both = np.concatenate([labels, labels])
    views = []
    for i in range(n):
        scores = closeness[i] / temperatures[0]
        others = [j for j in range(n) if j != i]
        views.append(-scores[(i + items) % n] + np.log(np.exp(scores[others]).sum()))
    named = []
    kept = np.flatnonzero(both >= 0)
    for i in kept:
        scores = closeness[i] / temperatures[1]
        total = np.log(sum(np.exp(scores[j]) for j in kept if j != i))
        named.append(np.mean([total - scores[j] for j in kept if j != i and both[j] == both[i]]))
    return (1 - share) * np.mean(views) + share * np.mean(named)


@pytest.mark.parametrize("curvature", [0.01, 0.1, 0.3])
@pytest.mark.parametrize("weight", [0.0, 0.4, 1.0])
def test_loss_equals_slow_loops(curvature, weight):
    points = batch()
    loss = HybridContrastiveLoss(curvature=curvature, angle_temperatures=(0.3, 0.07))
    unit = torch.nn.functional.normalize(points, dim=1)
    angle = slow((unit @ unit.T).numpy(), LABELS.numpy(), (0.3, 0.07))
    far = slow(-PoincareBall(curvature).pairwise_distance(points, points).numpy(), LABELS.numpy(), (1.0, 0.07))
    assert loss(points, LABELS, weight).item() == pytest.approx((1 - weight) * angle + weight * far, rel=1e-6)


def test_flat_space_is_the_limit_of_small_curvature():
    points = batch()
    flat = HybridContrastiveLoss(curvature=None)(points, LABELS, 1.0).item()
    assert HybridContrastiveLoss(curvature=1e-8)(points, LABELS, 1.0).item() == pytest.approx(flat, rel=1e-5)
    assert HybridContrastiveLoss(curvature=0.1)(points, LABELS, 1.0).item() != pytest.approx(flat, rel=1e-3)


def test_weight_zero_is_plain_gcd_for_any_curvature_and_radius():
    z = torch.randn(10, 3, generator=torch.Generator().manual_seed(1), dtype=torch.float64)
    values = [
        HybridContrastiveLoss(curvature=c)(ToPoincare(curvature=c, clip_radius=r)(z), LABELS, 0.0).item()
        for c, r in ((0.01, 1.0), (0.1, 2.3), (None, 1.0))
    ]
    assert values == pytest.approx([values[0]] * 3, abs=1e-6)


def test_the_schedule_moves_from_angles_to_distances():
    assert linear_ramp(0, 200, 1.0) == pytest.approx(1 / 200)
    assert linear_ramp(199, 200, 0.5) == pytest.approx(0.5)
    assert linear_ramp(500, 200, 0.5) == pytest.approx(0.5)
    assert linear_ramp(7, 10, 0.0) == 0
    with pytest.raises(InputError, match="largest"):
        linear_ramp(0, 10, 1.5)


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_identical_views_and_rows_at_the_boundary_have_finite_gradients(dtype):
    z = torch.cat([1e4 * torch.randn(4, 3, generator=torch.Generator().manual_seed(2)), torch.zeros(1, 3) + 0.1])
    z = z.to(dtype).repeat(2, 1).requires_grad_()
    for c, r in ((0.1, 2.0), (1.0, 100.0), (None, 2.0)):
        z.grad = None
        HybridContrastiveLoss(curvature=c)(ToPoincare(curvature=c, clip_radius=r)(z), LABELS, 0.5).backward()
        assert torch.isfinite(z.grad).all()


def test_gradient_is_the_derivative():
    points = batch(3).requires_grad_()
    loss = HybridContrastiveLoss(angle_temperatures=(0.3, 0.07))
    loss(points, LABELS, 0.6).backward()
    step = torch.randn(points.shape, generator=torch.Generator().manual_seed(4), dtype=torch.float64) * 1e-6
    with torch.no_grad():
        ahead, behind = (loss(points + sign * step, LABELS, 0.6).item() for sign in (1, -1))
    assert (points.grad * step).sum().item() == pytest.approx((ahead - behind) / 2, rel=1e-5)


def test_a_batch_without_labels_has_no_supervised_part():
    points, none = batch(), torch.full((5,), -1)
    whole, alone = HybridContrastiveLoss(), HybridContrastiveLoss(labelled_share=0.0)
    assert whole(points, none, 0.5).item() == pytest.approx(0.65 * alone(points, none, 0.5).item())


def test_refusals():
    loss, points = HybridContrastiveLoss(), batch()
    with pytest.raises(InputError, match="two views"):
        loss(points[:9], LABELS, 0.5)
    with pytest.raises(InputError, match="two views"):
        loss(points[:2], LABELS[:1], 0.5)
    with pytest.raises(InputError, match="labels"):
        loss(points, LABELS[:4], 0.5)
    with pytest.raises(InputError, match="ball"):
        loss(points + 10, LABELS, 0.5)
    with pytest.raises(InputError, match="NaN"):
        loss(points * float("nan"), LABELS, 0.5)
    with pytest.raises(InputError, match="weight"):
        loss(points, LABELS, 1.5)
    with pytest.raises(InputError, match="curvature"):
        HybridContrastiveLoss(curvature=0.0)
    with pytest.raises(InputError, match="temperatures"):
        HybridContrastiveLoss(temperatures=(1.0,))

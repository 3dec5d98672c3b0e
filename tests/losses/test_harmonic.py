"""Harmonic triplets: the old model learns nothing, and equal models give the plain loss."""

import pytest
import torch

from oracles.triplets import distances, every_triplet, hinge
from spaceform.errors import InputError, NoPairsError
from spaceform.losses.harmonic import HarmonicTripletLoss
from spaceform.losses.triplet import TripletLoss
from spaceform.miners.triplets import mine
from spaceform.ops.triplets import Mining, Triplets

HARDEST = Mining(choice="hardest")


def batch(rows=12, classes=3, width=4, dtype=torch.float64):
    generator = torch.Generator().manual_seed(0)
    labels = torch.arange(rows) % classes
    new, old = (torch.randn(rows, width, generator=generator, dtype=dtype) for _ in range(2))
    return new, old, labels


def test_no_gradient_reaches_the_old_model():
    new, old, labels = batch()
    new.requires_grad_()
    old.requires_grad_()
    HarmonicTripletLoss(mining=HARDEST)(new, old, labels).backward()
    assert old.grad is None
    assert new.grad.abs().sum() > 0


def test_the_gradient_equals_differences():
    new, old, labels = batch()
    for mining in (HARDEST, Mining(strategy="hard")):
        loss = HarmonicTripletLoss(mining=mining, margin=0.6)
        assert torch.autograd.gradcheck(lambda rows, loss=loss: loss(rows, old, labels), new.requires_grad_())


@pytest.mark.parametrize("self_pairs", [True, False])
def test_equals_the_loops_over_the_pool(self_pairs):
    new, old, labels = batch()
    pool, pool_labels = torch.cat([old, new]), labels.repeat(2)
    D = distances(pool, pool)
    chosen: dict[tuple[int, int], int] = {}
    for a, p, n in every_triplet(pool_labels):
        semi_hard = D[a, p] < D[a, n] < D[a, p] + 0.5
        if (
            semi_hard
            and (self_pairs or a % 12 != p % 12)
            and (chosen.get((a, p), -1) < 0 or D[a, n] < D[a, chosen[a, p]])
        ):
            chosen[a, p] = n
    learning = [(a, p, n) for (a, p), n in chosen.items() if max(a, p, n) >= 12]
    expected = torch.tensor(hinge(D, learning, margin=0.5), dtype=torch.float64).mean()
    loss = HarmonicTripletLoss(mining=HARDEST, margin=0.5, self_pairs=self_pairs)(new, old, labels)
    torch.testing.assert_close(loss, expected, atol=1e-6, rtol=1e-6)
    assert all(pool_labels[a] != pool_labels[n] for a, _, n in learning)


def test_equal_models_give_the_plain_loss():
    """Without self pairs every triplet of the batch comes up in the same number of versions; with them, the plain loss
    over the doubled batch, less the triplets of old rows alone, is the same set.
    """
    new, _, labels = batch()
    plain = TripletLoss(mining=HARDEST)(new, labels)
    torch.testing.assert_close(HarmonicTripletLoss(mining=HARDEST, self_pairs=False)(new, new, labels), plain)
    pool, pool_labels = torch.cat([new, new]), labels.repeat(2)
    mined = mine(pool, pool_labels, HARDEST)
    learning = torch.stack(mined).amax(0) >= 12
    given = TripletLoss()(pool, pool_labels, triplets=Triplets(*(part[learning] for part in mined)))
    torch.testing.assert_close(HarmonicTripletLoss(mining=HARDEST)(new, new, labels), given, atol=1e-6, rtol=1e-5)


def test_a_new_model_is_drawn_to_the_old_one():
    new, old, labels = batch(rows=24, classes=4, width=6, dtype=torch.float32)
    old = torch.nn.functional.one_hot(labels, 6).float() + 0.05 * old
    rows = torch.nn.Parameter(new.clone())
    optimizer = torch.optim.Adam([rows], lr=0.05)
    for _ in range(150):
        optimizer.zero_grad()
        generator = torch.Generator().manual_seed(0)
        HarmonicTripletLoss().with_figures(rows, old, labels, generator=generator)[0].backward()
        optimizer.step()
    across = distances(rows.detach(), old)
    same = labels[:, None] == labels[None]
    before = distances(new, old)
    assert float(before[same].mean()) > 0.8 * float(before[~same].mean())
    assert float(across[same].mean()) < 0.3 * float(across[~same].mean())


def test_one_class_and_single_rows():
    new, old, labels = batch()
    with pytest.raises(NoPairsError):
        HarmonicTripletLoss()(new, old, torch.zeros_like(labels))
    # every row its own class: old and new vector are still a pair, if they may be one
    assert torch.isfinite(HarmonicTripletLoss()(new, old, torch.arange(12)))
    with pytest.raises(NoPairsError):
        HarmonicTripletLoss(self_pairs=False)(new, old, torch.arange(12))
    zero = HarmonicTripletLoss(self_pairs=False, empty="zero")(new.requires_grad_(), old, torch.arange(12))
    assert zero.requires_grad


def test_refusals():
    new, old, labels = batch()
    with pytest.raises(InputError, match="old_embeddings"):
        HarmonicTripletLoss()(new, old[:, :2], labels)
    with pytest.raises(InputError, match="mining"):
        HarmonicTripletLoss(mining=Mining(strategy="all"))
    with pytest.raises(InputError, match="margin"):
        HarmonicTripletLoss(margin=5)
    with pytest.raises(InputError, match="labels"):
        HarmonicTripletLoss()(new, old, labels[:-1])
    assert HarmonicTripletLoss(margin=0.3).settings()["margin"] == 0.3

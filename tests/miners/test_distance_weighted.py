import itertools
import math

import pytest
import torch

from oracles.batches import batch, unit
from spaceform.errors import InputError, NoPairsError
from spaceform.losses.triplet import TripletLoss
from spaceform.miners.distance_weighted import distance_weighted, log_density
from spaceform.ops import triplets


def generator(seed=0):
    return torch.Generator().manual_seed(seed)


def test_density_is_that_of_random_unit_vectors():
    rows = unit(torch.randn(40_000, 5, generator=generator(), dtype=torch.float64))
    distances = (rows - rows.roll(1, 0)).norm(dim=1)
    edges = torch.linspace(0.2, 1.8, 9, dtype=torch.float64)
    grid = torch.linspace(1e-3, 2 - 1e-3, 4000, dtype=torch.float64)
    mass = log_density(grid, 5).exp()
    total = mass.sum()
    for low, high in itertools.pairwise(edges):
        expected = float(mass[(grid >= low) & (grid < high)].sum() / total)
        seen = float(((distances >= low) & (distances < high)).double().mean())
        assert seen == pytest.approx(expected, abs=4 * math.sqrt(expected / 40_000) + 1e-3)


def test_every_pair_gets_one_near_negative_of_another_class():
    data = batch(0, noise=0.8)
    chosen = distance_weighted(data.embeddings, data.labels, generator=generator())
    rows = unit(data.embeddings)
    labels = data.labels
    assert (labels[chosen.anchors] == labels[chosen.positives]).all()
    assert (chosen.anchors != chosen.positives).all()
    assert (labels[chosen.anchors] != labels[chosen.negatives]).all()
    distances = torch.cdist(rows, rows)
    assert (distances[chosen.anchors, chosen.negatives] < 1.4).all()
    reachable = ((distances < 1.4) & (labels[:, None] != labels)).any(1)
    pairs = (labels[:, None] == labels) & ~torch.eye(len(labels), dtype=torch.bool) & reachable[:, None]
    found = set(zip(chosen.anchors.tolist(), chosen.positives.tolist(), strict=True))
    assert found == {tuple(pair) for pair in pairs.nonzero().tolist()}
    assert len(found) == len(chosen.anchors)


@pytest.mark.parametrize("with_reference", [False, True])
def test_frequencies_follow_the_inverse_density(with_reference, monkeypatch):
    monkeypatch.setattr(triplets, "CPU_BLOCK", 40)
    data = batch(1, counts=(2, 5, 6), noise=0.6)
    anchor = int((data.labels == data.labels.min()).nonzero()[0])
    second, others, other_labels = {}, data.embeddings, data.labels
    if with_reference:
        others, other_labels = data.reference, data.reference_labels
        second = {"reference": others, "reference_labels": other_labels}
    distances = torch.cdist(unit(data.embeddings)[anchor : anchor + 1], unit(others))[0]
    weights = (-log_density(distances.clamp(min=0.5), 6)).exp()
    weights = weights * (other_labels != data.labels[anchor]) * (distances < 1.4)
    seen = torch.zeros(len(others), dtype=torch.float64)
    source, rounds = generator(1), 400
    for _ in range(rounds):
        chosen = distance_weighted(data.embeddings, data.labels, generator=source, **second)
        mine = chosen.anchors == anchor
        seen.index_add_(0, chosen.negatives[mine], torch.ones(int(mine.sum()), dtype=torch.float64))
    expected = weights / weights.sum() * seen.sum()
    spread = (expected * (1 - expected / seen.sum())).sqrt()
    assert seen.sum() > 0
    assert ((seen - expected).abs() <= 4.5 * spread + 1e-9).all()


def test_each_anchor_is_scaled_alone():
    # one anchor with only distant negatives among others with near ones, in many dimensions
    rows = torch.eye(64)[:8].clone()
    rows[1] += 0.3 * rows[0]
    rows[3] = rows[2] + 0.8 * rows[4]
    labels = torch.tensor([0, 0, 1, 1, 2, 2, 3, 3])
    chosen = distance_weighted(rows, labels, farthest=1.9, generator=generator())
    assert set(chosen.anchors.tolist()) == set(range(8))


def test_no_negative_within_reach_gives_no_triplet_and_a_loss_of_zero():
    rows, labels = torch.eye(4).requires_grad_(), torch.tensor([0, 0, 1, 1])
    chosen = distance_weighted(rows, labels)
    assert len(chosen.anchors) == 0
    assert float(TripletLoss()(rows, labels, triplets=chosen).detach()) == 0


def test_a_generator_repeats_the_draw():
    data = batch(2)
    first, again = (distance_weighted(data.embeddings, data.labels, generator=generator(5)) for _ in range(2))
    assert torch.equal(first.negatives, again.negatives)


def test_what_does_not_fit_is_refused():
    data = batch(3)
    with pytest.raises(NoPairsError):
        distance_weighted(data.embeddings, torch.zeros_like(data.labels))
    with pytest.raises(InputError, match="farthest"):
        distance_weighted(data.embeddings, data.labels, cutoff=1.0, farthest=0.5)
    with pytest.raises(InputError, match="embeddings"):
        distance_weighted(data.embeddings[:, :1], data.labels)

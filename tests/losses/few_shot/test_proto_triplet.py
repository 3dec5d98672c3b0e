"""Proto-Triplet: the value by hand, not squared, nearest against random, class means, refusals."""

import pytest
import torch

from spaceform.errors import InputError, NoPairsError
from spaceform.losses.few_shot.proto_triplet import ProtoTripletLoss

QUERIES, LABELS = torch.tensor([[0.0], [5.9], [6.2], [12.0]], dtype=torch.float64), torch.tensor([0, 0, 0, 1])
PROTOTYPES = {"reference": torch.tensor([[1.0], [11.0]], dtype=torch.float64), "reference_labels": torch.tensor([0, 1])}


def test_hinges_by_hand():
    assert float(ProtoTripletLoss()(QUERIES, LABELS, **PROTOTYPES)) == pytest.approx(0.3, abs=1e-6)
    each = [float(ProtoTripletLoss()(QUERIES[[row]], LABELS[[row]], **PROTOTYPES)) for row in range(4)]
    assert each == pytest.approx([0, 0.3, 0.9, 0], abs=1e-6)


def slow(queries, labels, prototypes, names, margin):
    total = 0.0
    for x, label in zip(queries, labels, strict=True):
        d = [(float(((x - p) ** 2).sum()) + 1e-6) ** 0.5 for p in prototypes]
        own = d[names.index(int(label))]
        total += max(0.0, own - min(v for v, name in zip(d, names, strict=True) if name != int(label)) + margin)
    return total / len(queries)


def test_the_nearest_of_several_counts():
    generator = torch.Generator().manual_seed(0)
    queries = torch.randn(20, 3, generator=generator, dtype=torch.float64)
    prototypes = torch.randn(4, 3, generator=generator, dtype=torch.float64)
    names = torch.tensor([7, 2, 9, 4])
    labels = names[torch.arange(20) % 4]
    found = ProtoTripletLoss(margin=0.8)(queries, labels, reference=prototypes, reference_labels=names)
    assert float(found) == pytest.approx(slow(queries, labels, prototypes, names.tolist(), 0.8), rel=1e-9)


def test_supports_are_averaged_and_a_batch_has_its_own_means():
    generator = torch.Generator().manual_seed(0)
    queries = torch.randn(6, 3, generator=generator, dtype=torch.float64)
    support = torch.randn(3, 4, 3, generator=generator, dtype=torch.float64)
    labels, names = torch.arange(6) % 3, torch.arange(3)
    by_rows = ProtoTripletLoss()(
        queries, labels, reference=support.flatten(0, 1), reference_labels=names.repeat_interleave(4)
    )
    by_means = ProtoTripletLoss()(queries, labels, reference=support.mean(1), reference_labels=names)
    torch.testing.assert_close(by_rows, by_means)
    means = torch.stack([queries[labels == label].mean(0) for label in range(3)])
    inside = ProtoTripletLoss()(queries, labels)
    torch.testing.assert_close(inside, ProtoTripletLoss()(queries, labels, reference=means, reference_labels=names))


def test_it_has_the_unit_of_the_embedding():
    far = ProtoTripletLoss()(
        7 * QUERIES, LABELS, reference=7 * PROTOTYPES["reference"], reference_labels=LABELS[[0, 3]]
    )
    assert float(far) != pytest.approx(0.3, abs=0.1)


def test_a_random_foreign_prototype_is_never_nearer_than_the_nearest():
    generator = torch.Generator().manual_seed(0)
    queries = torch.randn(30, 3, generator=generator, dtype=torch.float64)
    labels = torch.arange(30) % 5
    nearest = float(ProtoTripletLoss()(queries, labels))
    drawn = [float(ProtoTripletLoss(foreign="random")(queries, labels, generator=generator)) for _ in range(20)]
    assert max(drawn) <= nearest + 1e-12
    assert min(drawn) < nearest - 0.05
    again = [
        float(ProtoTripletLoss(foreign="random")(queries, labels, generator=torch.Generator().manual_seed(3)))
        for _ in range(2)
    ]
    assert again[0] == again[1]


def test_queries_on_prototypes_have_a_finite_gradient():
    queries = PROTOTYPES["reference"].clone().requires_grad_()
    ProtoTripletLoss(margin=20.0)(queries, torch.tensor([0, 1]), **PROTOTYPES).backward()
    assert torch.isfinite(queries.grad).all()


def test_refusals():
    with pytest.raises(InputError, match="margin"):
        ProtoTripletLoss(margin=-0.1)
    with pytest.raises(InputError, match="foreign"):
        ProtoTripletLoss(foreign="all")
    with pytest.raises(InputError, match="prototype"):
        ProtoTripletLoss()(QUERIES, torch.tensor([0, 0, 5, 1]), **PROTOTYPES)
    with pytest.raises(NoPairsError):
        ProtoTripletLoss()(QUERIES, LABELS * 0)
    with pytest.raises(InputError, match="NaN"):
        ProtoTripletLoss()(QUERIES * torch.nan, LABELS, **PROTOTYPES)

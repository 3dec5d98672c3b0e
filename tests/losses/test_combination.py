import copy

import pytest
import torch
from torch import nn

from oracles.batches import assert_same, batch, value_and_gradients
from spaceform.errors import InputError, NoPairsError
from spaceform.losses.circle import CircleLoss
from spaceform.losses.combination import CrossBatchMemory, WeightedSum
from spaceform.losses.contrastive import ContrastiveLoss
from spaceform.losses.info_nce import InfoNCELoss, NPairLoss
from spaceform.losses.margin_softmax import NormalizedSoftmaxLoss
from spaceform.losses.multi_similarity import MultiSimilarityLoss
from spaceform.losses.proxies import ProxyAnchorLoss
from spaceform.losses.supcon import SupConLoss
from spaceform.losses.triplet import TripletLoss
from spaceform.ops.memory import MemoryBank
from spaceform.ops.triplets import Mining

MAKE = {
    "pairs": SupConLoss,
    "vectors": lambda: NormalizedSoftmaxLoss(n_classes=8, width=6),
    "n-pair": NPairLoss,
    "sum": lambda: WeightedSum(losses=[CircleLoss(), ContrastiveLoss()], weights=[0.1, 2.0]),
    "triplet": lambda: TripletLoss(mining=Mining(strategy="all")),
    "memory": lambda: CrossBatchMemory(loss=ContrastiveLoss(), bank=MemoryBank(rows=8, width=6)),
}


def labelled(seed=0):
    data = batch(seed)
    return data.embeddings, (data.labels - 1) // 3


@pytest.mark.parametrize("second", MAKE)
@pytest.mark.parametrize("first", MAKE)
def test_any_two_losses_add_up(first, second):
    rows, labels = labelled()
    one, other = MAKE[first](), MAKE[second]()
    together = (copy.deepcopy(one) + 0.13 * copy.deepcopy(other)).train()

    def apart(x, _):
        return one(x, labels) + 0.13 * other(x, labels)

    assert_same(
        value_and_gradients(lambda x, _: together(x, labels), rows), value_and_gradients(apart, rows), tolerance=1e-6
    )


def test_sums_are_flat_and_keep_their_weights():
    a, b, c = SupConLoss(), CircleLoss(), ContrastiveLoss()
    total = 2 * (a + 0.5 * b) + c * 3
    assert total.weights == (2.0, 1.0, 3.0)
    assert list(total.losses) == [a, b, c]
    assert sum([a, b, c]).weights == (1.0, 1.0, 1.0)
    assert (a + a).weights == (1.0, 1.0)
    assert "2.0" in repr(total)


def test_parameters_of_the_parts_are_those_of_the_sum():
    total = InfoNCELoss(learn_temperature=True) + 0.1 * ProxyAnchorLoss(n_classes=8, width=6)
    assert sorted(name for name, _ in total.named_parameters()) == ["losses.0.log_temperature", "losses.1.vectors"]
    rows, labels = labelled(1)
    total(rows, labels).backward()
    assert all(parameter.grad is not None for parameter in total.parameters())


def test_figures_name_the_parts():
    rows, labels = labelled(2)
    value, figures = (SupConLoss() + 2 * CircleLoss() + SupConLoss(temperature=1.0)).with_figures(rows, labels)
    assert list(figures) == ["SupConLoss-0", "CircleLoss", "SupConLoss-2"]
    assert float(value) == pytest.approx(figures["SupConLoss-0"] + 2 * figures["CircleLoss"] + figures["SupConLoss-2"])


def test_the_reference_goes_to_every_part():
    data = batch(3)
    second = {"reference": data.reference, "reference_labels": data.reference_labels}
    total = SupConLoss() + MultiSimilarityLoss()
    expected = sum(float(loss(data.embeddings, data.labels, **second)) for loss in total.losses)
    assert float(total(data.embeddings, data.labels, **second)) == pytest.approx(expected)


def test_a_part_without_pairs_is_heard():
    rows, labels = torch.eye(3), torch.arange(3)
    with pytest.raises(NoPairsError):
        (SupConLoss() + CircleLoss(empty="zero"))(rows, labels)
    mixed = NormalizedSoftmaxLoss(n_classes=3, width=3) + SupConLoss(empty="zero")
    assert mixed(rows, labels).item() == pytest.approx(mixed.losses[0](rows, labels).item())


def test_any_module_may_be_a_part():
    class Norm(nn.Module):
        def forward(self, embeddings, labels):
            return (embeddings**2).mean()

    rows, labels = labelled(4)
    total = SupConLoss() + 0.01 * ContrastiveLoss() + Norm()
    assert total.weights == (1.0, 0.01, 1.0)
    assert torch.isfinite(total(rows, labels))


def test_what_cannot_be_added_is_refused():
    with pytest.raises(TypeError):
        SupConLoss() + 1
    with pytest.raises(TypeError):
        "2" * SupConLoss()
    with pytest.raises(TypeError):
        SupConLoss() * torch.ones(2)
    for options in ({"losses": []}, {"losses": [SupConLoss()], "weights": [1.0, 2.0]}):
        with pytest.raises(InputError):
            WeightedSum(**options)
    with pytest.raises(InputError, match="weights"):
        WeightedSum(losses=[SupConLoss()], weights=[float("nan")])


def test_memory_adds_the_loss_against_earlier_batches():
    loss, bank = ContrastiveLoss(), MemoryBank(rows=40, width=6)
    memory = CrossBatchMemory(loss=loss, bank=bank, weight=0.5)
    first, second = batch(5), batch(6)
    assert float(memory(first.embeddings, first.labels)) == pytest.approx(float(loss(first.embeddings, first.labels)))
    value = memory(second.embeddings, second.labels)
    against = loss(
        second.embeddings,
        second.labels,
        reference=first.embeddings.float().double(),
        reference_labels=first.labels,
    )
    assert float(value) == pytest.approx(float(loss(second.embeddings, second.labels) + 0.5 * against))
    assert len(bank) == 40
    only = CrossBatchMemory(loss=loss, bank=bank, batch_term=False).eval()
    assert float(only(first.embeddings, first.labels)) > 0


def test_memory_learns_only_in_training_mode_and_stays_out_of_the_gradient():
    bank = MemoryBank(rows=40, width=6)
    memory, data = CrossBatchMemory(loss=SupConLoss(), bank=bank), batch(7)
    memory.eval()
    memory(data.embeddings, data.labels)
    assert len(bank) == 0
    memory.train()
    rows = data.embeddings.requires_grad_()
    memory(rows, data.labels)
    assert len(bank) == len(data.labels)
    assert not bank.contents()[0].requires_grad
    memory(rows, data.labels).backward()
    assert rows.grad.abs().sum() > 0


def test_a_memory_of_other_classes_adds_nothing():
    bank, loss = MemoryBank(rows=3, width=6), SupConLoss()
    bank.enqueue(torch.eye(3, 6), torch.tensor([900, 901, 902]))
    data = batch(8)
    memory = CrossBatchMemory(loss=loss, bank=bank).eval()
    assert float(memory(data.embeddings, data.labels)) == pytest.approx(float(loss(data.embeddings, data.labels)))


def test_a_saved_memory_goes_on_as_an_unsaved_one():
    data = [batch(seed) for seed in range(4)]
    one, other = (CrossBatchMemory(loss=SupConLoss(), bank=MemoryBank(rows=30, width=6)) for _ in range(2))
    for step in data[:2]:
        one(step.embeddings, step.labels)
    other.load_state_dict(one.state_dict())
    for step in data[2:]:
        assert float(one(step.embeddings, step.labels)) == float(other(step.embeddings, step.labels))


def test_the_memory_is_the_reference():
    memory = CrossBatchMemory(loss=SupConLoss(), bank=MemoryBank(rows=3, width=2))
    with pytest.raises(InputError, match="reference"):
        memory(torch.eye(2), torch.arange(2), reference=torch.eye(2), reference_labels=torch.arange(2))
    with pytest.raises(InputError, match="weight"):
        CrossBatchMemory(loss=SupConLoss(), bank=MemoryBank(rows=3, width=2), weight=-1.0)

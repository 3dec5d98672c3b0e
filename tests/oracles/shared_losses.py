"""Every loss on one batch, whole or dealt out to several processes: values and gradients that have to agree."""

from __future__ import annotations

import torch
import torch.distributed as dist

from oracles.batches import batch
from oracles.pair_losses import CASES
from spaceform.losses.class_pairs.arbitrary import ArbitraryPairLoss
from spaceform.losses.combination import CrossBatchMemory
from spaceform.losses.few_shot.icnn import ICNNLoss
from spaceform.losses.few_shot.proto_triplet import ProtoTripletLoss
from spaceform.losses.generic_pair import contrastive_form
from spaceform.losses.info_nce import InfoNCELoss, NPairLoss
from spaceform.losses.margin import MarginLoss
from spaceform.losses.margin_softmax import ArcFaceLoss, CosFaceLoss, LinearSoftmaxLoss, NormalizedSoftmaxLoss
from spaceform.losses.mixing.form_loss import FormLoss
from spaceform.losses.mixing.metrix_loss import MetrixLoss
from spaceform.losses.proxies import ProxyAnchorLoss, ProxyNCALoss, SoftTripleLoss
from spaceform.losses.regularizers.energy_confusion import EnergyConfusion
from spaceform.losses.supcon import SupConLoss
from spaceform.ops.memory import MemoryBank
from spaceform.training.distributed import gather, gather_with_grad, world_size

WIDTH = 5
SIZE = {"n_classes": 8, "width": WIDTH}


def losses():
    vectors = [
        LinearSoftmaxLoss,
        NormalizedSoftmaxLoss,
        CosFaceLoss,
        ArcFaceLoss,
        ProxyNCALoss,
        ProxyAnchorLoss,
        SoftTripleLoss,
    ]
    return {
        **{name: case.make() for name, case in CASES.items()},
        "n-pair": NPairLoss(),
        "learned-temperature": InfoNCELoss(learn_temperature=True),
        "sum": SupConLoss() + 0.13 * ArcFaceLoss(**SIZE),
        "memory": CrossBatchMemory(loss=SupConLoss(), bank=MemoryBank(rows=40, width=WIDTH)),
        "margin": MarginLoss(learn_beta=True),
        "icnn": ICNNLoss(),
        "proto-triplet": ProtoTripletLoss(foreign="random"),
        "confusion": EnergyConfusion(),
        "confusion of drawn pairs": EnergyConfusion(n_pairs=9),
        "form": FormLoss(form=contrastive_form()),
        "metrix": MetrixLoss(loss=SupConLoss()),
        "arbitrary pairs": ArbitraryPairLoss(**SIZE),
        **{kind.__name__: kind(**SIZE) for kind in vectors},
    }


def _share(share: float, rows: int = 28) -> slice:
    """The rows of this process: the first rank holds ``share`` of them."""
    if world_size() == 1:
        return slice(None)
    return slice(0, round(share * rows)) if dist.get_rank() == 0 else slice(round(share * rows), None)


def everything(share: float = 0.3) -> dict[str, list]:
    """Value and gradients of each loss after two batches; the first rank holds ``share`` of the rows.

    Plain lists come back, since tensors would be shared between the processes.
    """
    found: dict[str, list] = {}
    for name, loss in losses().items():
        torch.manual_seed(7)  # as the training loop does at every step: all processes draw alike
        weight = torch.randn(WIDTH, 6, generator=torch.Generator().manual_seed(3), dtype=torch.float64).requires_grad_()
        for seed in (1, 2):
            data = batch(seed)
            x, y = data.embeddings, (data.labels - 1) // 3
            embeddings, y = x[_share(share)] @ weight.T, y[_share(share)]
            value = loss(gather_with_grad(embeddings), gather(y))
            value.backward()
        gradients = [weight.grad, *(p.grad for p in loss.parameters() if p.requires_grad)]
        if world_size() > 1:  # the mean that DistributedDataParallel takes
            for gradient in gradients:
                dist.all_reduce(gradient)
                gradient.div_(world_size())
        found[name] = [value.item(), *(gradient.tolist() for gradient in gradients)]
    bank = MemoryBank(rows=11, width=6)
    for seed in (1, 2):
        data = batch(seed)
        mine = _share(0.3)
        bank.enqueue(data.embeddings[mine], data.labels[mine])
    found["bank"] = [float(len(bank)), *(part.tolist() for part in bank.contents())]
    return found

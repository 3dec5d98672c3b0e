"""One batch on one process or dealt out to several: losses and gradients that have to agree."""

from __future__ import annotations

import torch
import torch.distributed as dist

from spaceform.errors import InputError
from spaceform.losses.triplet import TripletLoss
from spaceform.ops.triplets import Mining
from spaceform.training.distributed import gather, gather_with_grad, world_size

MININGS = [Mining(strategy="all"), Mining(choice="hardest"), Mining()]


def gradients(share: float = 0.5) -> dict[str, list]:
    """Loss and parameter gradient of each kind of mining; the first rank holds ``share`` of the rows.

    Plain lists come back, since tensors would be shared between the processes.
    """
    generator = torch.Generator().manual_seed(0)
    x, y = torch.randn(25, 8, generator=generator), torch.arange(25) % 5
    weight = torch.randn(6, 8, generator=generator)
    if world_size() > 1:
        cut = round(share * 25)
        mine = slice(0, cut) if dist.get_rank() == 0 else slice(cut, None)
        x, y = x[mine], y[mine]
    found: dict[str, list] = {}
    for number, mining in enumerate(MININGS):
        parameter = weight.clone().requires_grad_()
        loss, _ = TripletLoss(mining=mining).with_figures(
            gather_with_grad(x @ parameter.T), gather(y), generator=torch.Generator().manual_seed(1)
        )
        loss.backward()
        gradient = parameter.grad
        if world_size() > 1:  # the mean that DistributedDataParallel takes
            dist.all_reduce(gradient)
            gradient /= world_size()
        found[str(number)] = [loss.item(), gradient.tolist()]
    return found


def everything() -> dict[str, object]:
    """All that is asked of two processes, in one start."""
    refused = ""
    try:
        gather(torch.zeros(2, 3 + dist.get_rank()))
    except InputError as error:
        refused = str(error)
    empty = gather(torch.arange(3 * dist.get_rank()))
    return {"even": gradients(), "uneven": gradients(0.7), "refused": refused, "empty": empty.tolist()}

"""Banks, prototypes, centres, edges and equal shares of a stream of batches, whole or dealt out to processes."""

from __future__ import annotations

import torch
import torch.distributed as dist

from spaceform.clustering.kmeans import lloyd
from spaceform.heads.growing.neighbor_graph import NeighborGraph
from spaceform.heads.growing.prototype_memory import PrototypeMemory
from spaceform.losses.few_shot.prototypes import prototype_distances, prototypical_loss
from spaceform.ops.memory import MemoryBank
from spaceform.ops.transport.sinkhorn import sinkhorn
from spaceform.training.distributed import gather, gather_with_grad, world_size

BATCHES, ROWS, WIDTH, CLASSES = 3, 20, 4, 3


def centres(share: float = 0.3) -> dict[str, list]:
    """Return what all processes have to hold alike; the first rank has ``share`` of the rows of a batch.

    Plain lists come back, since tensors would be shared between the processes.
    """
    bank, memory, graph = MemoryBank(rows=30, width=WIDTH), PrototypeMemory(width=WIDTH), NeighborGraph(k=2)
    graph.grow(CLASSES)
    weight = torch.eye(WIDTH, dtype=torch.float64, requires_grad=True)
    losses, plans = [], []
    for seed in range(BATCHES):
        rows, labels, logits = _batch(seed)
        own = _share(share)
        bank.enqueue(rows[own].float(), labels[own])
        memory.update(rows[own], labels[own])
        embeddings, y = gather_with_grad(rows[own] @ weight), gather(labels[own])
        prototypes = torch.stack([embeddings[y == name].mean(0) for name in range(CLASSES)])
        distances = prototype_distances(embeddings, prototypes)
        losses.append(prototypical_loss(distances, y))
        graph.update(distances.detach())
        # the second batch has a row on the last rank whose factors overflow: all ranks turn to logarithms
        plans += [gather(sinkhorn(logits[own], epsilon=epsilon, n_rounds=5, all_ranks=True)) for epsilon in (0.05, 1.0)]
    loss = sum(losses)
    loss.backward()
    gradient = weight.grad.clone()
    if world_size() > 1:
        dist.all_reduce(gradient)
        gradient /= world_size()
    held = gather(rows[_share(share)]).numpy()
    found = {
        "bank": torch.cat([part.double().view(len(bank), -1) for part in bank.contents()], 1),
        "prototypes": torch.cat([memory.means, memory.variances, memory.counts[:, None]], 1),
        "centres of classes": torch.cat([loss.detach()[None], gradient.flatten()]),
        "edges": graph.edges,
        "centres of clusters": torch.from_numpy(lloyd(held, held[:CLASSES], max_iter=5).centers),
        "shares": torch.cat(plans),
    }
    return {name: value.tolist() for name, value in found.items()}


def _batch(seed: int) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    generator = torch.Generator().manual_seed(seed)
    labels = torch.arange(ROWS) % CLASSES
    rows = torch.randn(ROWS, WIDTH, generator=generator, dtype=torch.float64) + 2 * labels[:, None]
    logits = 2 * torch.rand(ROWS, CLASSES, generator=generator) - 1
    if seed == 1:
        logits[-1] += 1e4
    return rows, labels, logits


def _share(share: float) -> slice:
    if world_size() == 1:
        return slice(None)
    cut = round(share * ROWS)
    return slice(0, cut) if dist.get_rank() == 0 else slice(cut, None)

"""The claim of MSENet: distances at several depths beat those of the last layer, most of all in a far domain."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import nn

from spaceform.claims.context import Context
from spaceform.claims.few_shot.msenet_data import Task, make_task
from spaceform.claims.record import Record
from spaceform.encoders.batches import device
from spaceform.encoders.episodes import fit_episodes, with_rates
from spaceform.methods.few_shot.msenet import RESNET18_TAPS, MSENet, MultiScalePrototypeHead
from spaceform.metrics.few_shot import Task as Asked
from spaceform.metrics.few_shot import evaluate_episodes
from spaceform.nets.inputs import as_tensor
from spaceform.nets.resnets.resnet18 import ResNet18
from spaceform.nets.stages import StagedConvNet
from spaceform.rng import derive_seed, torch_generator
from spaceform.samplers.episodes import EpisodeSampler

SLUG = "msenet"

ARMS = {
    "msenet": "five depths, learned weights, trained attention",
    "learned": "five depths, learned weights, no attention",
    "equal": "five depths, weights fixed at 1, no attention",
    "prototypical": "ablation: the last depth alone, a prototypical network with Euclidean distances",
    "shuffled": "control: learned weights, but the distances of the other four depths shuffled over the classes",
    "pixels": "no network: distances between pixels",
}

_SEVERAL = ("msenet", "learned", "equal", "shuffled")

SETTINGS: dict[str, dict[str, Any]] = {
    "smoke": {
        "data": "drawn",
        "split": "test",
        "classes": 36,
        "far_rows": 0,
        "size": 20,
        "net": "stages",
        "widths": [8, 12, 16, 16, 16],
        "n_way": 8,
        "n_shot": 1,
        "n_query": 3,
        "steps": 40,
        "learning_rates": dict.fromkeys(_SEVERAL, 4e-3) | {"prototypical": 4e-3},
        "weight_rate": 0.01,
        "gamma": 0.1,
        "episodes": 30,
        "test_queries": 6,
    },
    "laptop": {
        "data": "letters",
        "split": "test",
        "classes": 0,
        "far_rows": 2000,
        "size": 28,
        "net": "stages",
        "widths": [16, 32, 48, 64, 64],
        "n_way": 20,
        "n_shot": 1,
        "n_query": 5,
        "steps": 200,
        "learning_rates": dict.fromkeys(_SEVERAL, 2e-3) | {"prototypical": 2e-3},
        "weight_rate": 0.005,
        "gamma": 0.0,
        "episodes": 200,
        "test_queries": 15,
    },
    "paper": {
        "data": "mini-imagenet",
        "split": "test",
        "classes": 0,
        "far_rows": 0,
        "size": 84,
        "net": "resnet18",
        "widths": [],
        "n_way": 30,
        "n_shot": 5,
        "n_query": 10,
        "steps": 360,
        "learning_rates": dict.fromkeys(_SEVERAL, 1e-4) | {"prototypical": 1e-4},
        "weight_rate": 0.005,
        "gamma": 0.0,
        "episodes": 200,
        "test_queries": 15,
    },
}

"""All arms of a scale have one learning rate, tuned for none of them."""

TEST_WAYS = 5


class ShuffledHead(nn.Module):
    """A head that shuffles the distances of all depths but the last over the classes, anew for every task."""

    def __init__(self, head: MultiScalePrototypeHead, *, seed: int) -> None:
        super().__init__()
        self.head, self.n_scales, self._generator = head, head.n_scales, torch_generator(seed)

    @property
    def weights(self) -> torch.Tensor:
        """Those of the head within."""
        return self.head.weights

    def forward(self, support: list[torch.Tensor], support_y: torch.Tensor, query: list[torch.Tensor]) -> torch.Tensor:
        """Return logits as :class:`MultiScalePrototypeHead` does."""
        *others, last = self.head.distances(support, support_y, query)
        orders = [torch.randperm(last.shape[1], generator=self._generator) for _ in others]
        shuffled = [part[:, order] for part, order in zip(others, orders, strict=True)]
        return self.head.combine(torch.stack([*shuffled, last]))


def run(arm: str, seed: int, settings: Mapping[str, Any], context: Context) -> dict[str, float]:
    """Return the accuracy of an arm in 5-way tasks and, of arms with several depths, the weights.

    ``unseen`` and ``far``: one shot, classes of the training domain that were not trained, and of the far domain;
    ``unseen_5`` and ``far_5``: five shots; ``others``: mean weight of the other depths as a share of the last one's.
    All arms of a seed answer the same tasks.
    """
    task = context.shared("task", lambda: make_task(settings, seed, context))
    net = None if arm == "pixels" else _trained(arm, task, seed, settings, context)
    figures = {}
    for name, (X, y) in (("unseen", task.unseen), ("far", task.far)):
        rows = _pixels(X) if net is None else _embedded(net, X)
        for shots, suffix in ((1, ""), (5, "_5")):
            sampler = EpisodeSampler(
                y,
                n_way=TEST_WAYS,
                n_shot=shots,
                n_query=settings["test_queries"],
                seed=derive_seed(seed, "test", name, shots),
            )
            head = MultiScalePrototypeHead(1) if net is None else net.head
            figures[name + suffix] = _accuracy(head, rows, sampler, settings["episodes"])
    if net is not None and len(net.channels) > 1:
        assert isinstance(net.head, MultiScalePrototypeHead | ShuffledHead)  # what build gives
        weights = net.head.weights.detach()
        figures["others"] = float(weights[:-1].mean() / weights[-1])
        for depth, weight in enumerate(weights.tolist(), 1):
            figures[f"weight_{depth}"] = weight
    return figures


def mechanism(record: Record) -> None:
    """Assert that other depths help because they speak of the classes: shuffled ones lose, and their weights fall."""
    mean = {
        arm: {name: float(np.mean([row[name] for row in seeds.values()])) for name in next(iter(seeds.values()))}
        for arm, seeds in record.figures().items()
    }
    told = ", ".join(f"{arm} {figures['far']:.3f}" for arm, figures in mean.items())
    assert mean["learned"]["far"] > mean["shuffled"]["far"] + 0.03, f"far domain: {told}"
    assert mean["shuffled"]["far"] < mean["prototypical"]["far"] + 0.05, f"far domain: {told}"
    assert mean["prototypical"]["unseen"] > 0.3, f"nothing was learned: {mean['prototypical']}"
    shares = {arm: round(mean[arm]["others"], 3) for arm in ("learned", "shuffled")}
    assert shares["shuffled"] < shares["learned"], f"weights of the other depths: {shares}"


def _trained(arm: str, task: Task, seed: int, settings: Mapping[str, Any], context: Context) -> MSENet:
    X, y = task.train
    net = build(arm, X.shape[1:], settings, seed=seed, root=context.root).to(device())
    sampler = EpisodeSampler(
        y,
        n_way=settings["n_way"],
        n_shot=settings["n_shot"],
        n_query=settings["n_query"],
        seed=derive_seed(seed, "episodes"),
    )
    own = settings["weight_rate"]
    groups = with_rates(net, {"alpha": own, "gamma": own}, rate=settings["learning_rates"][arm])
    history = fit_episodes(
        net,
        X,
        sampler,
        steps=settings["steps"],
        optimizer=torch.optim.Adam(groups),
        seed=seed,
        progress=context.progress,
    )
    context.curve(arm, "accuracy of training tasks", history.steps, history.figures["accuracy"])
    return net.eval()


def build(
    arm: str, shape: tuple[int, ...], settings: Mapping[str, Any], *, seed: int, root: Path | None = None
) -> MSENet:
    """Return the network of an arm for pictures of ``shape (size, size, channels)``; all arms of a seed start alike.

    With the ResNet, weights in ``<root>/resnet18.safetensors`` (names of torchvision) are taken where they are.
    """
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(derive_seed(seed, "weights"))
        backbone, taps = _backbone(settings, shape, root)
        taps = taps[-1:] if arm == "prototypical" else taps
        fixed = arm in {"equal", "prototypical"}
        head: nn.Module = MultiScalePrototypeHead(len(taps), learnable=not fixed)
        if arm == "shuffled":
            assert isinstance(head, MultiScalePrototypeHead)  # as made above
            head = ShuffledHead(head, seed=derive_seed(seed, "shuffle"))
        return MSENet(
            backbone,
            taps,
            input_shape=(shape[2], *shape[:2]),
            attention=arm == "msenet",
            gamma=settings["gamma"],
            head=head,
        )


def _backbone(settings: Mapping[str, Any], shape: tuple[int, ...], root: Path | None) -> tuple[nn.Module, list[str]]:
    if settings["net"] == "stages":
        net = StagedConvNet(channels=shape[2], size=shape[0], widths=settings["widths"])
        return net, net.stages
    resnet = ResNet18(channels=shape[2])
    if root is not None and (root / "resnet18.safetensors").is_file():
        from safetensors.torch import load_file

        resnet.load_weights(load_file(root / "resnet18.safetensors"))
    return resnet, list(RESNET18_TAPS)


@torch.inference_mode()
def _embedded(net: MSENet, X: np.ndarray) -> list[torch.Tensor]:
    parts = [net.embed(as_tensor(X[start : start + 256]).to(device())) for start in range(0, len(X), 256)]
    return [torch.cat(scale).cpu() for scale in zip(*parts, strict=True)]


def _pixels(X: np.ndarray) -> list[torch.Tensor]:
    return [as_tensor(X).flatten(1)]


@torch.inference_mode()
def _accuracy(head: nn.Module, rows: list[torch.Tensor], sampler: EpisodeSampler, count: int) -> float:
    codes = torch.arange(sampler.n_way).repeat_interleave(sampler.n_shot)
    head = head.cpu()

    def answer(episode: Asked) -> np.ndarray:
        support, query = (torch.from_numpy(part.ravel()) for part in (episode.support, episode.query))
        logits: torch.Tensor = head([z[support] for z in rows], codes, [z[query] for z in rows])
        return logits.argmax(1).numpy()

    return evaluate_episodes(answer, sampler.episodes(count)).mean

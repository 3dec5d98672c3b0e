"""The claim of DAFOS-Net: with few target pictures the joint objective names and rejects better than prototypes."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import torch
from torch import nn

from spaceform.claims.context import Context
from spaceform.claims.few_shot.dafosnet_data import SOURCE, TARGET, World, make_world
from spaceform.claims.record import Record
from spaceform.encoders.batches import device
from spaceform.losses.few_shot.prototypes import prototype_distances
from spaceform.methods.few_shot.dafosnet import INLIER, DAFOSEncoder
from spaceform.metrics.open_set import open_set_scores
from spaceform.nets.inputs import as_tensor, check_inputs
from spaceform.rng import derive_seed
from spaceform.samplers.episodes import EpisodeSampler

SLUG = "dafosnet"

ARMS = {
    "dafos": "both domains, domain-specific batch norm, all terms, no feature GANs",
    "protonet": "prototypical network on both domains: shared batch norm, classification alone",
    "protonet_source": "prototypical network on the source alone",
    "no_dsbn": "ablation: dafos with batch norms shared by the domains",
    "no_triplet": "ablation: dafos without the hinge between prototypes and queries",
    "no_align": "ablation: dafos without the distance between the domains' mean prototypes",
    "no_outlier": "ablation: dafos without the outlier head, rejecting by the distance to the nearest prototype",
    "gan": "dafos with feature GANs that are told the mean feature of a class",
    "wrong_norm": "control: dafos read in the target with the source's batch norm",
    "second_dafos": "dafos in the second world (laptop: emoji, another vendor the target for each seed)",
    "second_protonet": "protonet in the second world",
}

_ALONE = {"triplet": 0.0, "align": 0.0, "outlier": 0.0, "domain": 0.0}

_CHANGES: dict[str, dict[str, Any]] = {
    "dafos": {},
    "protonet": {"weights": _ALONE, "separate": False},
    "protonet_source": {"weights": _ALONE, "separate": False},
    "no_dsbn": {"separate": False},
    "no_triplet": {"weights": {"triplet": 0.0}},
    "no_align": {"weights": {"align": 0.0}},
    "no_outlier": {"weights": {"outlier": 0.0}},
    "gan": {"gan": "class_mean"},
}

SETTINGS: dict[str, dict[str, Any]] = {
    "smoke": {
        "worlds": ["vectors", "vectors"],
        "vectors": {
            "width": 24,
            "told": 6,
            "spread": 0.5,
            "n_source": 40,
            "n_target": 16,
            "n_test": 20,
            "per_class": 12,
            "per_target": 6,
            "fewest": 6,
        },
        "n_way": 3,
        "shots": [3, 2],
        "queries": 3,
        "test_shots": 2,
        "test_queries": 4,
        "dim": 16,
        "net": "plain",
        "steps": 40,
        "learning_rates": {"dafos": 1e-2, "protonet": 1e-2},
        "episodes": 60,
    },
    "laptop": {
        "worlds": ["letters", "emoji"],
        "letters": {
            "split": "test",
            "n_source": 290,
            "n_target": 88,
            "per_target": 10,
            "fewest": 10,
            "n_test": 0,
        },
        "emoji": {
            "split": "test",
            "size": 32,
            "first_vendor": 1,
            "n_source": 80,
            "n_target": 15,
            "n_test": 20,
            "n_validation": 12,
            "per_target": 10,
            "fewest": 10,
        },
        "n_way": 5,
        "shots": [5, 5],
        "queries": 5,
        "test_shots": 5,
        "test_queries": 5,
        "dim": 64,
        "net": "strided",
        "steps": 200,
        "learning_rates": {"dafos": 4e-3, "protonet": 4e-3},
        "episodes": 150,
    },
    "paper": {
        "worlds": ["office_home", "domainnet"],
        "office_home": {
            "layout": "office-home",
            "source": "Real World",
            "target": "Clipart",
            "size": 84,
            "n_source": 25,
            "n_target": 20,
            "n_test": 20,
            "per_target": 10,
            "fewest": 10,
        },
        "domainnet": {
            "layout": "domainnet",
            "source": "real",
            "target": "clipart",
            "size": 84,
            "n_source": 217,
            "n_target": 64,
            "n_test": 64,
            "per_target": 10,
            "fewest": 10,
        },
        "n_way": 5,
        "shots": [5, 5],
        "queries": 5,
        "test_shots": 5,
        "test_queries": 15,
        "dim": 64,
        "net": "nn4",
        "steps": 20_000,
        "learning_rates": {"dafos": 1e-4, "protonet": 1e-4},
        "episodes": 600,
    },
}
"""The paper leaves the number of episodes open; the laptop's rates were compared on validation classes (the record)."""


def run(arm: str, seed: int, settings: Mapping[str, Any], context: Context) -> dict[str, float]:
    """Return what one arm does on episodes of unseen target classes, with as many unknown classes as known ones.

    ``accuracy``: of known queries, in per cent (chance: 100 / n_way); ``auroc``: of known against unknown queries, in
    per cent (chance: 50), by the outlier head where it was trained, else by the distance to the nearest prototype;
    ``auroc_distance``: always by that distance; ``oscr`` of the same score as ``auroc``. Means over episodes.
    """
    kind = arm.removeprefix("second_").replace("wrong_norm", "dafos")
    name = settings["worlds"][arm.startswith("second_")]
    world: World = context.shared(("world", name), lambda: make_world(name, settings, seed, context))
    encoder: DAFOSEncoder = context.shared(
        ("encoder", name, kind), lambda: _trained(kind, world, settings, seed, context)
    )
    return _judge(encoder, world, settings, seed, SOURCE if arm == "wrong_norm" else TARGET)


def mechanism(record: Record) -> None:
    """Assert what the ideas do at any scale; ``AssertionError`` names the figures.

    The network learns to name unseen classes of the target, does worse when it is read with the other domain's batch
    norm, and the outlier head tells known from unknown by distances alone.
    """
    mean = {
        arm: {name: float(np.mean([row[name] for row in seeds.values()])) for name in next(iter(seeds.values()))}
        for arm, seeds in record.figures().items()
    }
    told = ", ".join(f"{arm} {figures['accuracy']:.1f}/{figures['auroc']:.1f}" for arm, figures in mean.items())
    chance = 100 / record.settings["n_way"]
    assert mean["dafos"]["accuracy"] > chance + 10, f"nothing was learned: {told}"
    assert mean["dafos"]["accuracy"] > mean["wrong_norm"]["accuracy"], f"the batch norms do not differ: {told}"
    assert mean["dafos"]["auroc"] > 53, f"nothing is rejected: {told}"


def _trained(kind: str, world: World, settings: Mapping[str, Any], seed: int, context: Context) -> DAFOSEncoder:
    """Return the encoder of an arm; the source alone is a world of one domain, which it calls its target."""
    alone = kind == "protonet_source"
    rates, net = settings["learning_rates"], settings["net"]
    encoder = DAFOSEncoder(
        embedding_dim=settings["dim"],
        n_way=settings["n_way"],
        shots=settings["shots"][0] if alone else tuple(settings["shots"]),
        queries=settings["queries"],
        steps=settings["steps"],
        learning_rate=rates["protonet" if kind.startswith("protonet") else "dafos"],
        net=_NETS.get(net, net),
        random_state=seed,
        **_CHANGES[kind],
    )
    rows = world.domains == SOURCE if alone else np.ones(len(world.y), dtype=bool)
    domains = None if alone else world.domains
    encoder.fit(world.X[rows], world.y[rows], domains=domains, progress=context.progress)
    for name in ("classify", "outlier"):
        if name in encoder.history_.figures:
            context.curve(kind, name, encoder.history_.steps, encoder.history_.figures[name])
    return encoder


def _strided(shape: tuple[int, ...], dim: int) -> nn.Module:
    """Return four convolutions of stride 2, small enough for thousands of episodes on a laptop."""
    layers: list[nn.Module] = []
    last = shape[2]
    for block in (32, 48, 64):
        layers += [nn.Conv2d(last, block, 3, stride=2, padding=1, bias=False), nn.BatchNorm2d(block), nn.ReLU()]
        last = block
    return nn.Sequential(*layers, nn.Conv2d(last, dim, 3, stride=2, padding=1), nn.AdaptiveAvgPool2d(1), nn.Flatten())


def _plain(shape: tuple[int, ...], dim: int) -> nn.Module:
    """Return one linear layer after a batch norm of the inputs, which takes a shift and stretch of a domain away."""
    return nn.Sequential(nn.BatchNorm1d(shape[0]), nn.Linear(shape[0], dim))


_NETS = {"strided": _strided, "plain": _plain}


@torch.inference_mode()
def _judge(
    encoder: DAFOSEncoder, world: World, settings: Mapping[str, Any], seed: int, domain: int
) -> dict[str, float]:
    net, inputs = encoder.net_, check_inputs(world.tests)
    blocks = np.array_split(np.arange(len(inputs)), max(1, len(inputs) // 256))
    features = torch.cat([net.backbone(as_tensor(inputs[rows]).to(device()), domain).cpu() for rows in blocks])
    sampler = EpisodeSampler(
        world.test_y,
        n_way=settings["n_way"],
        n_shot=settings["test_shots"],
        n_query=settings["test_queries"],
        n_unknown=settings["n_way"],
        seed=derive_seed(seed, "test"),
    )
    head = net.outlier_head.cpu()
    figures = []
    for episode in sampler.episodes(settings["episodes"]):
        asked = np.concatenate([episode.query.ravel(), episode.unknown.ravel()])
        prototypes = features[episode.support].mean(1)
        distances = prototype_distances(features[asked], prototypes, temperature=encoder.temperature)
        true = np.concatenate([episode.query_targets, np.full(episode.unknown.size, -1)])
        nearest = -distances.min(1).values.numpy()
        known = head(distances).softmax(1)[:, INLIER].numpy() if net.weights["outlier"] > 0 else nearest
        by_head = open_set_scores(true, distances.argmin(1).numpy(), known)
        by_distance = open_set_scores(true, distances.argmin(1).numpy(), nearest)
        figures.append([by_head.accuracy, by_head.auroc, by_distance.auroc, by_head.oscr])
    means = 100 * np.mean(figures, axis=0)
    return dict(zip(("accuracy", "auroc", "auroc_distance", "oscr"), map(float, means), strict=True))

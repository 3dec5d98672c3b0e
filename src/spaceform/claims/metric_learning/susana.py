"""The claim of the Proto-Triplet and ICNN losses: beside cross-entropy they serve episodes of unseen classes."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from spaceform.claims.context import Context
from spaceform.claims.metric_learning.susana_data import make_task
from spaceform.claims.record import Record
from spaceform.losses.few_shot.episode import EpisodeLoss
from spaceform.methods.metric_learning.susana import SusanaEncoder
from spaceform.metrics.few_shot import few_shot_accuracy
from spaceform.metrics.icnn import icnn_score
from spaceform.rng import derive_seed
from spaceform.samplers.episodes import EpisodeSampler

SLUG = "susana"

ARMS = {
    "ce": "cross-entropy over prototypes: the prototypical network",
    "third_ce": "control: the same loss divided by three, the weight it has among three terms",
    "pt": "Proto-Triplet alone",
    "ce_pt": "cross-entropy and Proto-Triplet",
    "ce_icnn": "cross-entropy and ICNN of supports and queries together",
    "ce_pt_icnn": "all three",
    "random_foreign": "ablation: cross-entropy and Proto-Triplet with a random foreign prototype, not the nearest",
    "no_intra": "ablation: cross-entropy and ICNN without its intra term",
    "no_inter": "ablation: cross-entropy and ICNN without its inter term",
}

_LOSSES: dict[str, dict[str, Any]] = {
    "ce": {"terms": ("ce",)},
    "third_ce": {"terms": ("ce",), "weights": (1 / 3,)},
    "pt": {"terms": ("proto_triplet",)},
    "ce_pt": {"terms": ("ce", "proto_triplet")},
    "ce_icnn": {"terms": ("ce", "icnn_full")},
    "ce_pt_icnn": {"terms": ("ce", "proto_triplet", "icnn_full")},
    "random_foreign": {"terms": ("ce", "proto_triplet"), "foreign": "random"},
    "no_intra": {"terms": ("ce", "icnn_full"), "parts": ("inter", "gamma")},
    "no_inter": {"terms": ("ce", "icnn_full"), "parts": ("intra", "gamma")},
}

SETTINGS: dict[str, dict[str, Any]] = {
    "smoke": {
        "data": "drawn",
        "split": "test",
        "fonts": 30,
        "characters": 24,
        "test_classes": 8,
        "train_classes": 14,
        "size": 20,
        "net": "conv:0.25",
        "dim": 16,
        "n_way": 6,
        "n_shot": 3,
        "n_query": 5,
        "steps": 25,
        "learning_rate": 2e-3,
        "halve_every": 1000,
        "margin": 0.5,
        "test_rows": 30,
        "episodes": 60,
        "test_query": 10,
    },
    "laptop": {
        "data": "glyphs",
        "split": "test",
        "fonts": 0,
        "characters": 0,
        "test_classes": 22,
        "train_classes": 34,
        "size": 28,
        "net": "conv:0.25",
        "dim": 32,
        "n_way": 10,
        "n_shot": 5,
        "n_query": 8,
        "steps": 150,
        "learning_rate": 1e-3,
        "halve_every": 50,
        "margin": 0.5,
        "test_rows": 100,
        "episodes": 300,
        "test_query": 15,
    },
    "paper": {
        "data": "image-folder",
        "split": "test",
        "fonts": 0,
        "characters": 0,
        "test_classes": 0,
        "train_classes": 0,
        "size": 84,
        "net": "conv",
        "dim": 64,
        "n_way": 20,
        "n_shot": 5,
        "n_query": 15,
        "steps": 20_000,
        "learning_rate": 1e-3,
        "halve_every": 2000,
        "margin": 0.5,
        "test_rows": 1_000_000,
        "episodes": 1000,
        "test_query": 15,
    },
}


def run(arm: str, seed: int, settings: Mapping[str, Any], context: Context) -> dict[str, float]:
    """Return what an encoder of one loss is worth on episodes of five unseen classes.

    ``five_shot`` and ``one_shot``: accuracy of the nearest prototype; ``icnn``, ``intra``, ``inter``, ``gamma``: of the
    queries of the five-shot episodes among themselves, with a window of the size of a class; ``length``: mean norm of
    the vectors; ``chance``: 0.2.
    """
    task = context.shared("task", lambda: make_task(settings, seed, context))
    encoder = SusanaEncoder(
        embedding_dim=settings["dim"],
        n_way=settings["n_way"],
        n_shot=settings["n_shot"],
        n_query=settings["n_query"],
        steps=settings["steps"],
        learning_rate=settings["learning_rate"],
        halve_every=settings["halve_every"],
        net=settings["net"],
        random_state=seed,
    )
    loss = EpisodeLoss(**_LOSSES[arm], margin=settings["margin"])
    encoder.fit(task.X, task.y, loss=loss, progress=context.progress)
    for term in loss.terms:
        context.curve(arm, f"{term} by episode", encoder.history_.steps, encoder.history_.figures[term])
    vectors = encoder.encode(task.unseen)
    figures = {"length": float(np.linalg.norm(vectors, axis=1).mean()), "chance": 0.2}
    for name, shots in (("one_shot", 1), ("five_shot", 5)):
        sampler = EpisodeSampler(
            task.unseen_y, n_way=5, n_shot=shots, n_query=settings["test_query"], seed=derive_seed(seed, name)
        )
        figures[name] = few_shot_accuracy(vectors, sampler.episodes(settings["episodes"])).mean
    scores = [
        icnn_score(vectors[episode.query.ravel()], episode.query_targets, window=max(4, settings["test_query"]))
        for episode in sampler.episodes(settings["episodes"] // 6)
    ]
    means = {name: float(np.mean([getattr(score, name) for score in scores])) for name in ("intra", "inter", "gamma")}
    return figures | means | {"icnn": float(np.mean([score.score for score in scores]))}


def mechanism(record: Record) -> None:
    """Assert that every loss teaches about unseen classes, and that the new ones together raise the ICNN score."""
    mean = {
        arm: {name: float(np.mean([row[name] for row in seeds.values()])) for name in next(iter(seeds.values()))}
        for arm, seeds in record.figures().items()
    }
    told = ", ".join(f"{arm} {figures['five_shot']:.3f}, ICNN {figures['icnn']:.3f}" for arm, figures in mean.items())
    for arm, figures in mean.items():
        assert figures["five_shot"] > 0.3, f"{arm} learned nothing: {told}"
    assert mean["ce_pt_icnn"]["icnn"] > mean["ce"]["icnn"], f"the score did not rise: {told}"

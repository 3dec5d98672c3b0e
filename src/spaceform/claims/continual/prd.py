"""The claim of PRD: distilled relations keep the prototypes of old classes valid while the network moves."""

from __future__ import annotations

from collections.abc import Mapping
from functools import partial
from typing import Any

import numpy as np
import torch

from spaceform.checks import check_choice
from spaceform.claims.context import Context
from spaceform.claims.continual.baselines import LinearLearner
from spaceform.claims.continual.streams import Tasks, make_tasks, picture_net
from spaceform.claims.record import Record
from spaceform.encoders.continual.learner import AbstractContinualLearner
from spaceform.encoders.continual.tasks import run_stream
from spaceform.methods.continual.prd import PRDLearner
from spaceform.nets.inputs import as_tensor, check_inputs
from spaceform.training.threads import one_thread

SLUG = "prd"

ARMS = {
    "joint": "a new network for all classes seen at each step, with all their rows, by cross-entropy",
    "fine_tune": "cross-entropy on the new rows",
    "lwf": "learning without forgetting: old answers to new rows are kept",
    "no_distillation": "ablation: contrastive features and prototypes alone",
    "features_only": "ablation: relations move the network, old prototypes stay",
    "prototypes_only": "ablation: relations move old prototypes, the network is left alone",
    "prd_samples": "relations over the batch, as the text has it (temperature 0.05, weight 10)",
    "prd": "relations over the classes of a task, as released (temperature 1, weight 4)",
}

_LAPTOP: dict[str, Any] = {
    "data": "mnist-5k",
    "rows": None,
    "base": 2,
    "step": 2,
    "test": 0.2,
    "validation": 0.1,
    "part": "test",
    "net": "flat",
    "width": 128,
    "epochs": [30, 15],
    "batch_size": 128,
    "rates": [0.01, 0.05],
    "lwf_weight": 1.0,
    "later": 0.1,
}
SETTINGS: dict[str, dict[str, Any]] = {
    "smoke": {
        **_LAPTOP,
        "data": "small-digits",
        "rows": 500,
        "test": 0.4,
        "step": 4,
        "width": 32,
        "epochs": [15, 12],
        "batch_size": 32,
    },
    "laptop": _LAPTOP,
    "paper": {
        **_LAPTOP,
        "data": "cifar-100",
        "base": 5,
        "step": 5,
        "net": "resnet18",
        "width": 512,
        "epochs": [220, 100],
        "rates": [0.01, 0.01],
    },
}
"""Constants are the published ones, of the method and of the baselines alike: nothing was tuned."""

_VARIANTS: dict[str, dict[str, Any]] = {
    "no_distillation": {"distill_weight": 0.0},
    "features_only": {"moves": "features"},
    "prototypes_only": {"moves": "prototypes"},
    "prd_samples": {"axis": "samples", "distill_temperature": 0.05, "distill_weight": 10.0},
    "prd": {},
}
_LINEAR = {"joint": "nothing", "fine_tune": "nothing", "lwf": "answers"}


def run(arm: str, seed: int, settings: Mapping[str, Any], context: Context) -> dict[str, float]:
    """Return accuracies and forgetting on test rows, and the validity of old prototypes.

    Accuracies are among all classes seen and, with the prefix ``task_``, among those of the row's task. ``validity`` is
    the mean cosine, after the last task, between the vector of each old class and the mean feature of its test rows.
    """
    check_choice(arm, "arm", list(ARMS))
    tasks = context.shared("tasks", partial(make_tasks, settings, seed, context))
    measured: dict[str, float] = {}

    def measure(learner: AbstractContinualLearner, task: int) -> None:
        if task == tasks.stream.n_tasks - 1:
            measured["validity"] = validity(learner, tasks, settings["part"])

    with one_thread():
        found = run_stream(
            partial(make_learner, arm, tasks.X.shape[1:], settings, seed),
            tasks.X,
            tasks.y,
            tasks.stream,
            epochs=tuple(settings["epochs"]),
            batch_size=settings["batch_size"],
            part=settings["part"],
            joint=arm == "joint",
            after=measure,
            progress=context.progress,
        )
    for name, matrix in (("all classes seen", found.class_incremental), ("the row's task", found.task_incremental)):
        context.curve(arm, f"accuracy among {name}", list(range(1, len(matrix) + 1)), matrix.seen)
    return found.figures() | measured


def mechanism(record: Record) -> None:
    """Assert that relations keep old prototypes where their classes are, and old tasks are forgotten less for it."""
    figures = record.figures()
    means = {
        arm: {
            name: float(np.mean([row[name] for row in figures[arm].values()]))
            for name in ("validity", "task_forgetting")
        }
        for arm in ("prd", "no_distillation")
    }
    with_relations, without = means["prd"], means["no_distillation"]
    assert with_relations["validity"] > without["validity"], f"validity: {means}"
    assert with_relations["task_forgetting"] < without["task_forgetting"], f"forgetting: {means}"


@torch.no_grad()
def validity(learner: AbstractContinualLearner, tasks: Tasks, part: str) -> float:
    """Return the mean cosine between the vector of each class before the last task and its rows' mean feature."""
    learner.eval()
    inputs, cosines = check_inputs(tasks.X), []
    order = tasks.stream.seen(tasks.stream.n_tasks - 2)
    judged = np.concatenate([getattr(tasks.stream, part)(task) for task in range(tasks.stream.n_tasks - 1)])
    for code, label in enumerate(order.tolist()):
        rows = judged[tasks.y[judged] == label]
        mean = learner(as_tensor(inputs[rows])).mean(0, keepdim=True)
        cosines.append(learner.vectors.cosine_logits(mean)[0, code].item())  # type: ignore[operator, union-attr]
    return float(np.mean(cosines))


def make_learner(arm: str, shape: tuple[int, ...], settings: Mapping[str, Any], seed: int) -> AbstractContinualLearner:
    """Return the learner of an arm; the networks of a seed start alike."""
    width = settings["width"]
    net = picture_net(settings["net"], (*shape, 1) if len(shape) == 2 else shape, width, seed=seed)
    if arm in _LINEAR:
        weight = settings["lwf_weight"]
        return LinearLearner(
            net, width=width, keeps=_LINEAR[arm], weight=weight, later=settings["later"], views=True, seed=seed
        )
    return PRDLearner(net, width=width, learning_rates=tuple(settings["rates"]), seed=seed, **_VARIANTS[arm])

"""The claim of NAPA-VQ: prototypes mixed with neighbours replay old classes better than noise, with no row stored."""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import nullcontext
from functools import partial
from typing import Any

import numpy as np

from spaceform.checks import check_choice
from spaceform.claims.context import Context
from spaceform.claims.continual.baselines import LinearLearner
from spaceform.claims.continual.streams import Tasks, half_size, make_tasks, picture_net
from spaceform.claims.record import Record
from spaceform.encoders.continual.classifier import vector_net
from spaceform.encoders.continual.learner import AbstractContinualLearner
from spaceform.encoders.continual.tasks import run_stream
from spaceform.methods.continual.napa_vq import NAPAVQLearner
from spaceform.training.threads import one_thread

SLUG = "napa-vq"

ARMS = {
    "joint": "a new network for all classes seen at each step, with all their rows: what forgetting costs",
    "fine_tune": "cross-entropy on the new rows",
    "lwf": "learning without forgetting: old answers to new rows are kept",
    "pass": "PASS without turned pictures: linear classifier, prototypes with isotropic noise, feature distillation",
    "no_replay": "ablation: class vectors and feature distillation, nothing replayed",
    "noise": "ablation: class vectors and isotropic noise around the prototypes, without the neighbour-aware loss",
    "mixing": "mixtures with neighbours, without the neighbour-aware loss",
    "random_mixing": "control: mixtures with any class, without the neighbour-aware loss",
    "free_vectors": "ablation: mixtures with neighbours, old class vectors not frozen",
    "napa_vq": "mixtures with neighbours and the neighbour-aware loss at its published weight",
    "light_napa_vq": "the same at a tenth of that weight, chosen on validation rows of another seed",
    "pictures_no_replay": "ablation on digits: nothing replayed",
    "pictures_unturned": "digits: mixtures with neighbours, pictures not turned",
    "pictures": "digits: mixtures with neighbours, four turns of a picture as four classes",
}

_TABLE = {"test": 0.25, "validation": 0.1, "batch_size": 64, "k": 5, "width": 128, "later": 0.1}
SETTINGS: dict[str, dict[str, Any]] = {
    "smoke": {
        "table": {
            **_TABLE,
            "data": "blobs",
            "rows": None,
            "base": 4,
            "step": 2,
            "epochs": [16, 8],
            "batch_size": 32,
            "width": 32,
        },
        "pictures": {
            **_TABLE,
            "data": "small-digits",
            "rows": 120,
            "base": 4,
            "step": 3,
            "epochs": [1, 1],
            "width": 16,
            "net": "conv:0.25",
        },
        "weights": {"lwf": 1.0, "pass": 10.0},
        "part": "test",
    },
    "laptop": {
        "table": {**_TABLE, "data": "letter", "rows": 6000, "base": 11, "step": 3, "epochs": [15, 10]},
        "pictures": {
            **_TABLE,
            "data": "mnist-5k",
            "rows": 1200,
            "base": 4,
            "step": 2,
            "epochs": [8, 5],
            "width": 64,
            "net": "conv:0.5",
        },
        "weights": {"lwf": 1.0, "pass": 10.0},
        "part": "test",
    },
    "paper": {
        "table": None,
        "pictures": {
            **_TABLE,
            "data": "cifar-100",
            "rows": None,
            "base": 50,
            "step": 5,
            "epochs": [100, 100],
            "k": 15,
            "width": 512,
            "net": "resnet18",
        },
        "weights": {"lwf": 1.0, "pass": 10.0},
        "part": "test",
    },
}
"""Constants are the published ones, of the method and of the baselines alike, but for that of ``light_napa_vq``."""

_VARIANTS: dict[str, dict[str, Any]] = {
    "no_replay": {"na_weight": 0.0, "replay": "none"},
    "noise": {"na_weight": 0.0, "replay": "noise"},
    "mixing": {"na_weight": 0.0},
    "random_mixing": {"na_weight": 0.0, "replay": "random"},
    "free_vectors": {"na_weight": 0.0, "freeze": False},
    "napa_vq": {},
    "light_napa_vq": {"na_weight": 0.1},
    "pictures_no_replay": {"na_weight": 0.0, "replay": "none", "turns": 4},
    "pictures_unturned": {"na_weight": 0.0},
    "pictures": {"na_weight": 0.0, "turns": 4},
}
_LINEAR = {"joint": "nothing", "fine_tune": "nothing", "lwf": "answers", "pass": "prototypes"}


def run(arm: str, seed: int, settings: Mapping[str, Any], context: Context) -> dict[str, float]:
    """Return average incremental and final accuracy, forgetting and plasticity on test rows, of table or pictures.

    With a task told they carry the prefix ``task_``. At the paper's scale all arms learn the pictures.
    """
    check_choice(arm, "arm", list(ARMS))
    world = "pictures" if arm.startswith("pictures") or settings["table"] is None else "table"
    own = settings[world]
    tasks = context.shared(("tasks", world), partial(_tasks, own, seed, context))
    with one_thread() if world == "table" else nullcontext():
        found = run_stream(
            partial(make_learner, arm, tasks.X.shape[1:], own, settings["weights"], seed=seed),
            tasks.X,
            tasks.y,
            tasks.stream,
            epochs=tuple(own["epochs"]),
            batch_size=own["batch_size"],
            part=settings["part"],
            joint=arm == "joint",
            progress=context.progress,
        )
    matrix = found.class_incremental
    seen = [len(tasks.stream.seen(task)) for task in range(len(matrix))]
    context.curve(arm, f"accuracy over classes seen, {world}", seen, matrix.seen)
    return found.figures()


def mechanism(record: Record) -> None:
    """Assert that mixtures with neighbours prevent most of the forgetting that is there without them."""
    figures = record.figures()
    world = "mixing" in figures and record.settings["table"] is not None
    replayed, bare = ("mixing", "no_replay") if world else ("pictures", "pictures_no_replay")
    forgotten = {arm: float(np.mean([row["forgetting"] for row in figures[arm].values()])) for arm in (replayed, bare)}
    assert forgotten[replayed] <= 0.75 * forgotten[bare], f"forgetting {forgotten}"


def make_learner(
    arm: str, shape: tuple[int, ...], own: Mapping[str, Any], weights: Mapping[str, float], *, seed: int
) -> AbstractContinualLearner:
    """Return the learner of an arm; the networks of a seed start alike."""
    width = own["width"]
    if len(shape) == 1:
        net = vector_net(shape[0], width, seed=seed)
    else:
        net = picture_net(own["net"], (*shape, 1) if len(shape) == 2 else shape, width, seed=seed)
    if arm in _LINEAR:
        weight = weights.get(arm, 0.0)
        return LinearLearner(
            net, width=width, keeps=_LINEAR[arm], weight=weight, later=own["later"], rate=1e-3, seed=seed
        )
    return NAPAVQLearner(net, width=width, k=own["k"], seed=seed, **_VARIANTS[arm])


def _tasks(own: Mapping[str, Any], seed: int, context: Context) -> Tasks:
    tasks = make_tasks(own, seed, context)
    return Tasks(half_size(tasks.X), tasks.y, tasks.stream) if own["data"] == "mnist-5k" else tasks

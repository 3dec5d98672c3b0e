"""The claim of LELP: with few classes, subclasses from a teacher's embeddings teach more than its probabilities."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import torch

from spaceform.checks import check_choice
from spaceform.claims.context import Context
from spaceform.claims.record import Record
from spaceform.claims.transfer.lelp_students import Trial, answers
from spaceform.claims.transfer.lelp_tasks import Task, centroid_subclasses, joint, make_task, oracle, soft
from spaceform.losses.distillation.decoupled import DecoupledDistillation
from spaceform.losses.distillation.embedding import EmbeddingDistillation
from spaceform.losses.distillation.soft_labels import KnowledgeDistillation
from spaceform.methods.transfer.lelp import LELPTargets
from spaceform.metrics.clustering import normalized_mutual_information
from spaceform.rng import as_generator, derive_seed
from spaceform.types import FloatArray

SLUG = "lelp"

ARMS = {
    "lelp": "LELP with as many subclasses as there are hidden classes",
    "teacher": "the teacher itself, on eight times the rows",
    "labels": "the student on true labels alone",
    "kd": "plain distillation, temperature and share of labels tuned",
    "dkd": "decoupled distillation, tuned",
    "embedding": "labels and the teacher's embeddings through a learned projection, weight tuned",
    "kmeans": "subclasses by k-means of each class's embeddings, tuned like LELP",
    "agglomerative": "subclasses by Ward's clustering of each class's embeddings, tuned like LELP",
    "oracle": "the hidden classes themselves as subclasses",
    "wide_head": "ablation: the same head, every class split evenly: no subclasses",
    "shuffled": "control: LELP's subclasses of another row",
    "random": "ablation: random directions in place of principal ones",
    "no_rotation": "ablation: principal directions as they are",
    "no_null_space": "ablation: what the logits say is left in",
    "four": "four subclasses per class",
    "tau_1": "LELP with the teacher's probabilities as they are, temperature 1",
    "small_kd": "plain distillation into a student of one small layer",
    "small_lelp": "LELP into a student of one small layer",
    "pictures_kd": "plain distillation, parity of digits from pixels",
    "pictures_lelp": "LELP, parity of digits from pixels",
    "text_kd": "plain distillation from sentence vectors to a network on words",
    "text_lelp": "LELP from sentence vectors to a network on words",
}

_TEACHER = {"hidden": [256], "dim": 128, "epochs": 12, "batch": 128}
_TRAINING = {"epochs": 30, "batch": 64, "rate": 2e-3}
_LAPTOP: dict[str, dict[str, Any]] = {
    "main": {
        "data": "letter",
        "rows": {"transfer": 0.125, "validation": 0.1, "test": 0.3},
        "subclasses": 13,
        "teacher": _TEACHER,
        "hidden": [128, 128],
        "training": _TRAINING,
    },
    "small": {"hidden": [24]},
    "pictures": {
        "data": "mnist-5k",
        "rows": {"transfer": 0.33, "validation": 0.15, "test": 0.3},
        "subclasses": 5,
        "teacher": _TEACHER,
        "hidden": [128, 128],
        "training": _TRAINING | {"epochs": 20},
    },
    "text": {
        "data": "glosses",
        "classes": 12,
        "each": 150,
        "topics": 64,
        "rows": {"transfer": 0.33, "validation": 0.15, "test": 0.35},
        "subclasses": 6,
        "hidden": [128, 128],
        "training": _TRAINING | {"epochs": 20},
    },
}
_SMOKE: dict[str, Any] = _LAPTOP["main"] | {
    "data": "digits",
    "rows": {"transfer": 0.25, "validation": 0.15, "test": 0.35},
    "subclasses": 5,
    "teacher": {"hidden": [64], "dim": 32, "epochs": 6, "batch": 64},
    "hidden": [32, 32],
    "training": _TRAINING | {"epochs": 6, "batch": 32},
}
_PAPER: dict[str, Any] = _LAPTOP["main"] | {
    "data": "cifar-100",
    "rows": {"transfer": 1.0, "validation": 0.05, "test": 0.15},
    "subclasses": 16,
    "teacher": {"hidden": [2048, 1024], "dim": 512, "epochs": 60, "batch": 256},
    "hidden": [512, 256],
}
SETTINGS: dict[str, dict[str, Any]] = {
    "smoke": {
        "main": _SMOKE,
        "small": {"hidden": [8]},
        "pictures": _SMOKE,
        "text": _SMOKE | {"linear_teacher": 16},
    },
    "laptop": _LAPTOP,
    "paper": _LAPTOP | {"main": _PAPER, "pictures": _PAPER},
}

_TEACHER_ROWS = {"accuracy": "test", "validation": "validation"}
OTHERS = ("small", "pictures", "text")
MAIN = tuple(arm for arm in ARMS if arm != "teacher" and arm.partition("_")[0] not in OTHERS)
"""Arms of students on the first task; the others compare plain distillation with LELP."""

TEMPERATURES = (1.0, 4.0, 8.0, 16.0)
SOFTER, BETAS, CENTROID_BETAS = (4.0, 16.0), (1.0, 2.0), (0.1, 0.5)
WEIGHTS = (0.1, 0.3, 1.0, 3.0)
EVEN, ONES = (2.0, 4.0, 8.0, 16.0), (0.5, 1.0, 2.0, 4.0)
"""Four settings for every arm, and the best on the validation rows is taken; alpha is 0, as everywhere in the paper."""

VARIANTS: dict[str, dict[str, Any]] = {
    "lelp": {},
    "random": {"directions": "random"},
    "no_rotation": {"rotate": False},
    "no_null_space": {"null_space": None},
    "four": {"n_subclasses": 4},
    "tau_1": {"temperature": 1.0},
}


def run(arm: str, seed: int, settings: Mapping[str, Any], context: Context) -> dict[str, float]:
    """Return the ``accuracy`` of an arm on test rows, its ``validation`` accuracy and the setting that this chose.

    Arms that split classes also return ``nmi``: how well the likeliest subclass tells the hidden classes apart.
    """
    check_choice(arm, "arm", list(ARMS))
    name, _, own = arm.rpartition("_")
    name, own = (name, own) if name in OTHERS else ("main", arm)
    source = "main" if name == "small" else name
    task = context.shared(source, lambda: make_task(settings[source], seed, context))
    options = settings[source] | settings[name]
    if own == "teacher":
        right = task.logits.argmax(1) == task.y
        return {
            "accuracy": float(right[task.rows.test].mean()),
            "validation": float(right[task.rows.validation].mean()),
        }
    wanted = MAIN if name == "main" else ("kd", "lelp")
    return context.shared(("figures", name), lambda: _figures(wanted, task, options, seed))[own]


def mechanism(record: Record) -> None:
    """Assert that LELP's subclasses are those of the row and tell hidden classes apart, whether they help or not."""
    table = record.figures()
    arms = ("lelp", "random", "shuffled", "oracle")
    nmi = {arm: float(np.mean([row["nmi"] for row in table[arm].values()])) for arm in arms}
    assert nmi["oracle"] > 0.99, f"the oracle does not know the hidden classes: {nmi}"
    assert nmi["lelp"] > nmi["shuffled"] + 0.1, f"LELP's subclasses say no more than those of other rows: {nmi}"
    assert nmi["random"] > nmi["shuffled"] + 0.05, f"no direction says anything of the hidden classes: {nmi}"


def _figures(arms: Sequence[str], task: Task, options: Mapping[str, Any], seed: int) -> dict[str, dict[str, float]]:
    """Train every setting of every arm, take the best of each arm on validation rows, and measure it on test rows."""
    trials = [trial for arm in arms for trial in _trials(arm, task, options, seed)]
    n_classes = int(task.y.max()) + 1
    found: dict[str, dict[str, float]] = {}
    for n_outputs in sorted({_width(trial, n_classes) for trial in trials}):
        group = [trial for trial in trials if _width(trial, n_classes) == n_outputs]
        guesses = answers(
            group,
            torch.from_numpy(task.X),
            task.y,
            task.rows.transfer,
            hidden=options["hidden"],
            n_outputs=n_outputs,
            training=options["training"],
            seed=derive_seed(seed, "student"),
        )
        right = guesses == task.y
        for trial, row in zip(group, right, strict=True):
            score = float(row[task.rows.validation].mean())
            if trial.arm not in found or score > found[trial.arm]["validation"]:
                test = float(row[task.rows.test].mean())
                found[trial.arm] = {"accuracy": test, "validation": score, **trial.setting, **_nmi(trial, task)}
    return found


def _width(trial: Trial, n_classes: int) -> int:
    return trial.targets.shape[1] if trial.loss is None else n_classes


def _trials(arm: str, task: Task, options: Mapping[str, Any], seed: int) -> list[Trial]:
    rows = task.rows.transfer
    logits = task.logits[rows].astype(np.float32)
    if arm == "labels":
        return [Trial(arm, {}, np.eye(int(task.y.max()) + 1, dtype=np.float32)[task.y[rows]])]
    if arm == "kd":
        return [Trial(arm, {"temperature": t}, logits, KnowledgeDistillation(temperature=t)) for t in TEMPERATURES]
    if arm == "dkd":
        grid = [(t, a) for t in SOFTER for a in (0.0, 1.0)]
        return [
            Trial(arm, {"temperature": t, "alpha": a}, logits, DecoupledDistillation(temperature=t, alpha=a))
            for t, a in grid
        ]
    if arm == "embedding":
        H = (task.H - task.H[rows].mean(0)) / task.H[rows].std()
        widths = {"student_width": options["hidden"][-1], "teacher_width": H.shape[1]}
        targets = H[rows].astype(np.float32)
        return [
            Trial(arm, {"weight": w}, targets, EmbeddingDistillation(**widths, weight=w, seed=seed), embeddings=True)
            for w in WEIGHTS
        ]
    return _subclass_trials(arm, task, options, seed)


def _subclass_trials(arm: str, task: Task, options: Mapping[str, Any], seed: int) -> list[Trial]:
    rows, k = task.rows.transfer, int(options["subclasses"])
    logits = task.logits[rows].astype(np.float64)
    grid = [(t, b) for t in SOFTER for b in BETAS]
    if arm == "wide_head":
        even = np.full((len(rows), int(task.y.max()) + 1, k), 1 / k)
        return [Trial(arm, {"temperature": t}, joint(soft(logits, t), even)) for t in EVEN]
    if arm in {"kmeans", "agglomerative", "oracle"}:
        z = centroid_subclasses(task, arm, k, seed=seed)[rows]
        made = []
        for t, b in [(t, b) for t in SOFTER for b in CENTROID_BETAS]:
            q = oracle(soft(z, b), task, rows) if arm == "oracle" else soft(z, b)
            made.append(Trial(arm, {"temperature": t, "beta": b}, joint(soft(logits, t), q)))
        return made
    variant = VARIANTS.get(arm, {})
    if arm == "tau_1":
        grid = [(1.0, b) for b in ONES]
    kept = {name: value for name, value in variant.items() if name != "temperature"}
    targets = LELPTargets(**{"n_subclasses": k, "random_state": seed, **kept})
    targets.fit(task.H[task.rows.teacher], task.y[task.rows.teacher], W=task.W)
    made = []
    for t, b in grid:
        found: FloatArray = targets.set_params(temperature=t, beta=b).transform(task.H[rows], logits)
        if arm == "shuffled":
            shape = (len(rows), len(targets.classes_), k)
            within = found.reshape(shape) / found.reshape(shape).sum(2, keepdims=True)
            other = as_generator(derive_seed(seed, "shuffle")).permutation(len(rows))
            found = joint(soft(logits, t), within[other])
        made.append(Trial(arm, {"temperature": t, "beta": b}, found.astype(np.float32)))
    return made


def _nmi(trial: Trial, task: Task) -> dict[str, float]:
    """Return how much the likeliest subclass of a row's own class says of its hidden class."""
    rows, count = task.rows.transfer, int(task.y.max()) + 1
    if trial.loss is not None or trial.targets.shape[1] == count or trial.arm == "wide_head":
        return {}
    own = trial.targets.reshape(len(rows), count, -1)[np.arange(len(rows)), task.y[rows]].argmax(1)
    scores = [
        normalized_mutual_information(task.fine[rows][at], own[at]) for c in range(count) for at in [task.y[rows] == c]
    ]
    return {"nmi": float(np.mean(scores))}

"""The claim of Cr-KD: discovery wears away what novel rows have in common with known classes; distillation keeps it."""

from __future__ import annotations

import copy
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

import numpy as np
import torch
from scipy.special import softmax
from torch import nn

from spaceform.checks import check_choice
from spaceform.claims.class_discovery.crkd_ncd_data import Task, make_task
from spaceform.claims.context import Context
from spaceform.claims.record import Record
from spaceform.clustering.kmeans import kmeans
from spaceform.encoders.batches import device, in_blocks
from spaceform.encoders.discovery.views import RandomViews, ViewBatches
from spaceform.methods.class_discovery.crkd_ncd import ClassRelationKD, CrKDTrainer, NCDNet, relation_drift
from spaceform.metrics.clustering import hungarian_accuracy, split_cluster_accuracy
from spaceform.nets.inputs import check_inputs
from spaceform.nets.mlp import mlp
from spaceform.nets.resnets.resnet18 import ResNet18
from spaceform.nets.standardize import Standardize
from spaceform.rng import derive_seed
from spaceform.training.threads import one_thread
from spaceform.types import FloatArray

SLUG = "crkd-ncd"

ARMS = {
    "kmeans": "k-means on the features of the known-class model",
    "uno": "ablation: discovery without distillation (alpha = 0), which is UNO",
    "crkd": "distillation with the learned weight, alpha = 0.1",
    "unweighted": "ablation: all rows weigh alike",
    "strong": "alpha = 0.5",
    "random_teacher": "control: the teacher is a network that was never trained",
}

_COMMON = {"embedding_dim": 64, "n_heads": 2, "learning_rate": 1e-3, "temperature": 0.1}
SETTINGS: dict[str, dict[str, Any]] = {
    "smoke": _COMMON
    | {"tables": ["small-tree"], "beside": ["small-tree"], "supervised_epochs": 25, "epochs": 40, "batch_size": 128},
    "laptop": _COMMON
    | {"tables": ["tree"], "beside": ["letter"], "supervised_epochs": 40, "epochs": 100, "batch_size": 256},
    "paper": _COMMON
    | {
        "tables": ["cifar100-20"],
        "beside": ["cifar100-50"],
        "supervised_epochs": 200,
        "epochs": 500,
        "batch_size": 512,
        "embedding_dim": 512,
        "n_heads": 4,
    },
}

BESIDE_ARMS = ("kmeans", "uno", "crkd")
"""Arms that run on the tables "beside", too."""

ALLOWED_RATIO = 0.6
"""Of the drift with distillation to the drift without."""

TRAINED: dict[str, dict[str, Any]] = {
    "uno": {"alpha": 0.0},
    "crkd": {"alpha": 0.1},
    "unweighted": {"alpha": 0.1, "weight": "none"},
    "strong": {"alpha": 0.5},
    "random_teacher": {"alpha": 0.1, "random_teacher": True},
}


@dataclass(frozen=True)
class Bench:
    """One task of one seed, and what its arms share."""

    name: str
    task: Task
    seed: int
    settings: Mapping[str, Any]
    context: Context

    @property
    def inputs(self) -> np.ndarray:
        """Training inputs."""
        return np.asarray(check_inputs(self.task.X[self.task.train]))

    def net(self, seed: int) -> NCDNet:
        """Return a fresh network: for vectors a perceptron, for pictures ResNet-18."""
        width, inputs = self.settings["embedding_dim"], self.inputs
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(derive_seed(seed, "encoder"))
            if inputs.ndim == 2:
                scale = Standardize(inputs.shape[1]).learn(torch.from_numpy(inputs))
                encoder: nn.Module = nn.Sequential(scale, mlp((inputs.shape[1], 256, 256, width)))
            else:
                resnet = ResNet18()
                # pictures of 32 pixels: a stem of 3 x 3, nothing pooled
                resnet.conv1, resnet.maxpool = nn.Conv2d(3, 64, 3, padding=1, bias=False), nn.Identity()  # type: ignore[assignment]
                encoder = resnet
        made = NCDNet(
            encoder,
            width=width,
            n_known=self.task.n_known,
            n_novel=self.task.n_novel,
            n_heads=self.settings["n_heads"],
            seed=seed,
        )
        return made.to(device())

    def known_model(self) -> NCDNet:
        """Return the model of the known classes: the start of every arm, and the teacher."""
        return self.context.shared((self.name, "known model"), self._learn_known)

    def trained(self, arm: str) -> dict[str, float]:
        """Train one arm from the known-class model and score it."""
        return self.context.shared((self.name, arm), partial(self._train, **TRAINED[arm]))

    def run(self, trainer: CrKDTrainer, *, discover: bool) -> None:
        """Run one stage; the batches are those of every other arm."""
        rows = np.arange(len(self.task.train)) if discover else np.flatnonzero(self.task.codes >= 0)
        seed = derive_seed(self.seed, "discovery" if discover else "supervised")
        batches = ViewBatches(
            RandomViews(self.inputs, self.task.view_fn),
            rows,
            self.task.codes[rows],
            batch_size=self.settings["batch_size"],
            seed=seed,
        )
        with one_thread():
            trainer.run(
                batches,
                per_epoch=batches.per_epoch,
                epochs=self.settings["epochs" if discover else "supervised_epochs"],
                discover=discover,
                learning_rate=self.settings["learning_rate"],
                seed=seed,
                progress=self.context.progress,
            )

    def _learn_known(self) -> NCDNet:
        net = self.net(self.seed)
        self.run(CrKDTrainer(net, alpha=0, temperature=self.settings["temperature"]), discover=False)
        return net

    def _train(self, alpha: float, weight: str = "learned", random_teacher: bool = False) -> dict[str, float]:
        start = self.known_model()
        student, temperature = copy.deepcopy(start), self.settings["temperature"]
        relation = ClassRelationKD(n_known=self.task.n_known, temperature=temperature, weight=weight)
        teacher = self.net(derive_seed(self.seed, "random teacher")) if random_teacher else start
        trainer = CrKDTrainer(student, alpha=alpha, relation=relation, teacher=teacher, temperature=temperature)
        self.run(trainer, discover=True)
        return self._score(student, start)

    def _score(self, student: NCDNet, start: NCDNet) -> dict[str, float]:
        """Return task-aware accuracy on novel training rows, task-agnostic accuracies on test rows, and the drift."""
        task, known = self.task, self.task.n_known
        novel = self.inputs[task.codes < 0]
        truth = task.truth[task.train][task.codes < 0]
        logits = in_blocks(lambda batch: student(batch).movedim(0, 1), novel)[:, :, known:]
        heads = [hungarian_accuracy(truth, logits[:, head].argmax(1)) for head in range(student.n_heads)]
        best = int(student.best_head)
        answers = in_blocks(lambda batch: student(batch)[best], check_inputs(task.X[task.test])).argmax(1)
        tested = split_cluster_accuracy(task.truth[task.test], answers, task.truth[task.test] < known)
        return {
            "accuracy": heads[best],
            "mean_accuracy": float(np.mean(heads)),
            "drift": relation_drift(self._relation(start, novel), self._relation(student, novel)),
            "test_all": tested.all,
            "test_seen": tested.old,
            "test_novel": tested.new,
        }

    def _relation(self, net: NCDNet, inputs: np.ndarray) -> FloatArray:
        logits = in_blocks(lambda batch: net.known_logits(net.encode(batch)), inputs)
        return np.asarray(softmax(logits.astype(np.float64) / self.settings["temperature"], axis=1))

    def kmeans(self) -> dict[str, float]:
        """Cluster the features of the known-class model."""
        net, hidden = self.known_model(), self.task.codes < 0
        features = in_blocks(net.encode, self.inputs[hidden])
        found = kmeans(features, self.task.n_novel, random_state=self.seed).labels
        return {"accuracy": hungarian_accuracy(self.task.truth[self.task.train][hidden], found)}


def run(arm: str, seed: int, settings: Mapping[str, Any], context: Context) -> dict[str, float]:
    """Return accuracies and drift, averaged over the tables, and over those "beside" with this prefix.

    Figures of single tables are prefixed by their name.
    """
    check_choice(arm, "arm", list(ARMS))
    names = [*settings["tables"], *(settings["beside"] if arm in BESIDE_ARMS else [])]
    found = {}
    for name in names:
        task = context.shared(("task", name), partial(make_task, name, seed, context.root, context.progress))
        bench = Bench(name, task, seed, settings, context)
        found[name] = bench.kmeans() if arm == "kmeans" else bench.trained(arm)
        if arm == "crkd":
            ratio = found[name]["drift"] / bench.trained("uno")["drift"]
            found[name] = found[name] | {"drift_ratio": ratio, "allowed_ratio": ALLOWED_RATIO}
    figures = _mean([found[name] for name in settings["tables"]])
    if arm in BESIDE_ARMS:
        figures |= {
            f"beside_{metric}": value for metric, value in _mean([found[n] for n in settings["beside"]]).items()
        }
    for name, values in found.items():
        figures |= {f"{name}_{metric}": value for metric, value in values.items()}
    return figures


def mechanism(record: Record) -> None:
    """Assert that distillation from the known-class model, and from no other, keeps the relation."""
    figures = record.figures()
    means = {arm: np.mean([row["drift"] for row in figures[arm].values()]) for arm in TRAINED}
    assert means["crkd"] <= 0.8 * means["uno"], means
    assert means["crkd"] <= 0.8 * means["random_teacher"], means


def _mean(rows: Sequence[Mapping[str, float]]) -> dict[str, float]:
    return {metric: float(np.mean([row[metric] for row in rows])) for metric in rows[0]}

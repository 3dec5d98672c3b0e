"""The methods of distillation by name: each turns what a teacher says into a lesson for a student."""

from __future__ import annotations

import difflib
import inspect
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, ClassVar, Protocol

import numpy as np

from spaceform.encoders.student import Lesson, StudentClassifier
from spaceform.errors import InputError
from spaceform.heads.linear.fitted import LinearHead
from spaceform.losses.distillation.decoupled import DecoupledDistillation
from spaceform.losses.distillation.embedding import EmbeddingDistillation
from spaceform.losses.distillation.soft_labels import KnowledgeDistillation
from spaceform.methods.transfer.lelp import LELPTargets, SubclassDistillationLoss
from spaceform.types import FloatArray, IntArray
from spaceform.workflows.learning.trainables import parse_options, with_default

MOST_SUBCLASSES = 8


@dataclass(frozen=True, kw_only=True)
class Teaching:
    """Embeddings ``H (n, D)`` and codes ``y (n,)`` (-1: unlabelled) of the rows to learn from, and a head on ``H``."""

    H: FloatArray
    y: IntArray
    head: LinearHead
    width: int
    seed: int


class Recipe(Protocol):
    """A method with its options."""

    needs_labels: ClassVar[bool]

    def lesson(self, teaching: Teaching) -> tuple[Lesson, int]:
        """Return what the student learns from, and how many subclasses per class it has."""
        ...


@dataclass(frozen=True, kw_only=True)
class Lelp:
    """Soft labels of pseudo-subclasses; ``n_subclasses`` None: 8, or as many as the teacher's space leaves."""

    needs_labels: ClassVar[bool] = False

    n_subclasses: int | None = None
    beta: float = 2.0
    temperature: float = 4.0
    alpha: float = 0.0
    null_space: str | None = "rows"

    def lesson(self, teaching: Teaching) -> tuple[Lesson, int]:
        """Return soft labels ``(n, C S)``."""
        count = len(teaching.head.weight)
        room = teaching.H.shape[1] - (0 if self.null_space is None else np.linalg.matrix_rank(teaching.head.weight))
        fewest = int(np.bincount(teaching.y[teaching.y >= 0], minlength=count).min()) - 1
        k = max(1, min(MOST_SUBCLASSES, int(room), fewest)) if self.n_subclasses is None else self.n_subclasses
        targets = LELPTargets(
            n_subclasses=k,
            beta=self.beta,
            temperature=self.temperature,
            null_space=self.null_space,
            random_state=teaching.seed,
        ).fit(teaching.H, teaching.y, teaching.head.weight, teaching.head.bias)
        soft = targets.transform(teaching.H.astype(np.float32), teaching.head.logits(teaching.H))
        return Lesson(soft, SubclassDistillationLoss(alpha=self.alpha, n_classes=count)), k


@dataclass(frozen=True, kw_only=True)
class PlainDistillation:
    """The teacher's probabilities at one temperature (Hinton and others, 2015)."""

    needs_labels: ClassVar[bool] = False

    temperature: float = 4.0
    alpha: float = 0.0

    def lesson(self, teaching: Teaching) -> tuple[Lesson, int]:
        """Return the logits ``(n, C)``."""
        loss = KnowledgeDistillation(temperature=self.temperature, alpha=self.alpha)
        return Lesson(_logits(teaching), loss), 1


@dataclass(frozen=True, kw_only=True)
class Decoupled:
    """The true class apart from the others (Zhao and others, 2022); with two classes, plain distillation and labels."""

    needs_labels: ClassVar[bool] = True

    temperature: float = 4.0
    target_weight: float = 1.0
    other_weight: float = 8.0
    alpha: float = 1.0

    def lesson(self, teaching: Teaching) -> tuple[Lesson, int]:
        """Return the logits ``(n, C)``."""
        loss = DecoupledDistillation(
            temperature=self.temperature,
            target_weight=self.target_weight,
            other_weight=self.other_weight,
            alpha=self.alpha,
        )
        return Lesson(_logits(teaching), loss), 1


@dataclass(frozen=True, kw_only=True)
class Embedding:
    """True labels, and the teacher's embeddings through a learned projection."""

    needs_labels: ClassVar[bool] = True

    weight: float = 1.0

    def lesson(self, teaching: Teaching) -> tuple[Lesson, int]:
        """Return the embeddings ``(n, D)``, centred and of unit variance over all coordinates."""
        centred = teaching.H - teaching.H.mean(0)
        targets = (centred / max(float(centred.std()), 1e-12)).astype(np.float32)
        loss = EmbeddingDistillation(
            student_width=teaching.width, teacher_width=targets.shape[1], weight=self.weight, seed=teaching.seed
        )
        return Lesson(targets, loss, embeddings=True), 1


RECIPES: dict[str, type[Recipe]] = {"lelp": Lelp, "kd": PlainDistillation, "dkd": Decoupled, "embedding": Embedding}


def looking(*, looks: int = 20, patience: int = 20, labels_alone: bool = True) -> dict[str, Any]:
    """Return how training is looked at.

    ``looks``: how often in all steps; ``patience``: looks without a better one that end it; ``labels_alone``: train the
    same network on labels alone too, to compare with.
    """
    return {"looks": looks, "patience": patience, "labels_alone": labels_alone}


@dataclass(frozen=True, kw_only=True)
class Plan:
    """A method with its options, those of the student, and how training is looked at."""

    method: str
    recipe: Recipe
    student: Mapping[str, Any]
    looking: Mapping[str, Any]


def plan(method: str, options: Mapping[str, Any], *, seed: int) -> Plan:
    """Return what ``method`` names with its options read and checked; text is read as annotations say.

    Raises ``InputError`` for an unknown method, listing all, and for a wrong option, listing the right ones.
    """
    if method not in RECIPES:
        near = difflib.get_close_matches(method.lower(), RECIPES, n=1)
        remedy = f"did you mean {near[0]}?" if near else ""
        raise InputError("method", got=repr(method), expected=f"one of {', '.join(RECIPES)}", remedy=remedy)
    makers: dict[str, Any] = {"the method": RECIPES[method], "the student": StudentClassifier, "training": looking}
    known = {title: _known(maker) for title, maker in makers.items()}
    named = {name.replace("-", "_"): value for name, value in options.items()}
    for option in named:
        if not any(option in own for own in known.values()):
            every = [one for own in known.values() for one in own]
            near = difflib.get_close_matches(option, every, n=1)
            listed = "; ".join(
                f"of {title}: {', '.join(map(with_default, own.values()))}" for title, own in known.items()
            )
            remedy = f"did you mean {near[0]}?" if near else ""
            raise InputError(option, got=f"an option of {method}", expected=listed, remedy=remedy)
    read = {
        title: parse_options(maker, {name: value for name, value in named.items() if name in known[title]})
        for title, maker in makers.items()
    }
    student = {"random_state": seed, **read["the student"]}
    return Plan(
        method=method,
        recipe=RECIPES[method](**read["the method"]),
        student=student,
        looking=looking(**read["training"]),
    )


def _known(maker: Any) -> dict[str, inspect.Parameter]:
    left_out = {"n_subclasses", "random_state"} if maker is StudentClassifier else set()
    return {name: one for name, one in inspect.signature(maker).parameters.items() if name not in left_out}


def _logits(teaching: Teaching) -> FloatArray:
    logits: FloatArray = teaching.head.logits(teaching.H).astype(np.float32)
    return logits

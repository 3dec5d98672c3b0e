"""Classes that arrive in tasks."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike

from spaceform.checks import check_integer, check_partial_labels, check_real
from spaceform.data.protocols.frozen import FrozenSplit, shares
from spaceform.errors import InputError
from spaceform.rng import derive_seed
from spaceform.types import IntArray

KIND = "class-incremental"


@dataclass(frozen=True)
class ClassIncremental:
    """Tasks of disjoint classes, each with rows to train, to tune and to judge on, over a :class:`FrozenSplit`."""

    split: FrozenSplit

    def __post_init__(self) -> None:
        self.split.expect(KIND)

    @property
    def n_tasks(self) -> int:
        """Number of tasks, the base task counted."""
        return len(self.split.classes)

    def classes(self, task: int) -> IntArray:
        """Labels of the classes that arrive in ``task``, in their order of arrival."""
        return self.split.classes[self._name(task)]

    def seen(self, task: int) -> IntArray:
        """Labels of all classes that have arrived by the end of ``task``, in their order of arrival."""
        return np.concatenate([self.classes(earlier) for earlier in range(self._checked(task) + 1)])

    def train(self, task: int) -> IntArray:
        """Rows to train on in ``task``: of its own classes only."""
        return self.split.parts[f"{self._name(task)} train"]

    def validation(self, task: int) -> IntArray:
        """Rows of the classes of ``task`` to tune on; empty when none were asked for."""
        return self.split.parts[f"{self._name(task)} validation"]

    def test(self, task: int) -> IntArray:
        """Rows of the classes of ``task`` that only judge."""
        return self.split.parts[f"{self._name(task)} test"]

    def _name(self, task: int) -> str:
        return f"task {self._checked(task)}"

    def _checked(self, task: int) -> int:
        return check_integer(task, "task", low=0, high=self.n_tasks - 1)


def draw_class_incremental(
    labels: ArrayLike,
    *,
    n_base: int,
    n_step: int,
    n_tasks: int | None = None,
    test: float = 0.25,
    validation: float = 0.0,
    seed: int = 0,
) -> ClassIncremental:
    """Draw an order of the classes and the rows of each task.

    Parameters: ``labels (n,)`` integers, rows with -1 are left out; ``n_base`` classes in the first task and ``n_step``
    in each later one; ``n_tasks`` in all (default: as many as the classes allow; classes beyond are left out);
    ``test`` and ``validation``: shares of each class in (0, 1) and [0, 1).

    Raises ``InputError`` for fewer than two tasks and for a class with too few rows. O(n log n).
    """
    y = check_partial_labels(labels, len(np.asarray(labels)), "labels")
    classes = np.unique(y[y >= 0])
    base, step = check_integer(n_base, "n_base", low=1), check_integer(n_step, "n_step", low=1)
    possible = 1 + (len(classes) - base) // step if len(classes) >= base else 0
    if possible < 2:
        expected = f"at least {base + step}: n_base and one step"
        raise InputError("labels", got=f"{len(classes)} classes", expected=expected)
    tasks = possible if n_tasks is None else check_integer(n_tasks, "n_tasks", low=2, high=possible)
    portions = {
        "validation": check_real(validation, "validation", low=0, high=1),
        "test": check_real(test, "test", low=0, high=1, open_ends=True),
    }
    order = np.random.default_rng(derive_seed(seed, "class order")).permutation(classes)
    arriving: dict[str, IntArray] = {}
    parts: dict[str, IntArray] = {}
    for task in range(tasks):
        end = base + task * step
        own = order[:base] if task == 0 else order[end - step : end]
        arriving[f"task {task}"] = own
        cut = shares(y, np.flatnonzero(np.isin(y, own)), portions, seed=seed)
        parts |= {f"task {task} {'train' if name == 'rest' else name}": rows for name, rows in cut.items()}
    settings = {"n_base": base, "n_step": step, "n_tasks": tasks, **portions, "seed": seed}
    return ClassIncremental(
        FrozenSplit.of(
            KIND,
            y,
            settings=settings,
            parts=parts,
            classes=arriving,
        )
    )

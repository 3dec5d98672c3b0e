"""One task from rows to a learner, and a whole stream of tasks with its accuracies."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import ArrayLike

from spaceform.checks import check_choice, check_integer
from spaceform.data.protocols import ClassIncremental
from spaceform.encoders.batches import device
from spaceform.encoders.continual.learner import AbstractContinualLearner
from spaceform.errors import InputError
from spaceform.metrics.continual.accuracy_matrix import AccuracyMatrix
from spaceform.nets.inputs import as_tensor, check_inputs
from spaceform.nets.standardize import Standardize
from spaceform.rng import derive_seed
from spaceform.training.batches import ShuffledBatches
from spaceform.training.checkpoint import Checkpoint
from spaceform.training.loop import History
from spaceform.types import IntArray, Progress, no_progress

PARTS = ("test", "validation")


def learn_task(
    learner: AbstractContinualLearner,
    inputs: np.ndarray,
    codes: IntArray,
    *,
    epochs: int,
    batch_size: int,
    checkpoint: Checkpoint | None = None,
    progress: Progress = no_progress,
) -> History:
    """Teach ``learner`` the classes of one task from rows ``(n, ...)`` and class numbers ``(n,)``; return the history.

    ``inputs`` as :func:`spaceform.nets.inputs.check_inputs` returns them. The first task sets the units of a
    :class:`Standardize` layer. With a ``checkpoint`` a task that was broken off goes on where it was saved last. A last
    batch of one row, which batch normalization can't take, is passed over. Raises ``InputError`` for fewer than two
    rows and as the learner does. O(epochs n) passes.
    """
    targets = torch.from_numpy(codes)
    seed = derive_seed(learner.seed, "batches", len(learner.tasks) - (1 if learner.steps else 0))
    rows = ShuffledBatches(torch.arange(len(codes)), batch_size=batch_size, seed=seed, min_rows=2)
    steps = check_integer(epochs, "epochs", low=1) * rows.per_epoch
    history = History()
    saved = None if checkpoint is None else checkpoint.load()
    if saved is None:
        every = as_tensor(inputs)
        for layer in learner.net.modules():
            if isinstance(layer, Standardize) and not learner.tasks:
                layer.learn(every)
        learner.start_task(every, targets, steps=steps)
    else:
        learner.restore(saved[1]["state"])
        history = History(**saved[2])
    while learner.step < learner.steps:
        (chosen,) = rows(learner.step)
        figures = learner.observe(as_tensor(inputs[chosen.numpy()]).to(device()), targets[chosen].to(device()))
        history.steps.append(learner.step)
        for name, value in figures.items():
            history.figures.setdefault(name, []).append(value)
        if checkpoint is not None and (learner.step % checkpoint.every == 0 or learner.step == learner.steps):
            record = {"steps": history.steps, "figures": history.figures, "stopped": ""}
            checkpoint.save(learner.step, {"state": learner.snapshot()}, record)
        if learner.step % 20 == 0 or learner.step == learner.steps:
            progress("learning a task", learner.step, learner.steps, figures)
    learner.end_task(as_tensor(inputs), targets)
    if checkpoint is not None:
        checkpoint.clear()
    return history


@dataclass(frozen=True)
class StreamAccuracies:
    """Accuracies after every task: among all classes seen (``class_incremental``), and when a row's task is told."""

    class_incremental: AccuracyMatrix
    task_incremental: AccuracyMatrix

    def figures(self) -> dict[str, float]:
        """Return the summaries of both, those of the second with the prefix ``task_``."""
        return self.class_incremental.figures() | self.task_incremental.figures("task_")


def run_stream(
    make: Callable[[], AbstractContinualLearner],
    X: ArrayLike,
    y: ArrayLike,
    stream: ClassIncremental,
    *,
    epochs: tuple[int, int],
    batch_size: int,
    part: str = "test",
    joint: bool = False,
    after: Callable[[AbstractContinualLearner, int], None] | None = None,
    progress: Progress = no_progress,
) -> StreamAccuracies:
    """Teach a learner the tasks of a frozen stream and measure it after each.

    ``make`` makes the learner. ``epochs`` of the first task and of each later one; ``part`` the rows that judge, "test"
    or "validation". ``joint`` makes a new learner at each task and gives it the rows of all classes seen at once: what
    no memory loss could reach. ``after(learner, task)`` is called when a task is over.
    """
    check_choice(part, "part", PARTS)
    inputs, labels = check_inputs(X), stream.split.check(y)
    order = stream.seen(stream.n_tasks - 1)
    codes = np.full(int(labels.max()) + 2, -1, dtype=np.int64)
    codes[order] = np.arange(len(order))
    judged = [getattr(stream, part)(task) for task in range(stream.n_tasks)]
    if not all(len(rows) for rows in judged):
        raise InputError("part", got=part, expected="a part of the stream with rows")
    found = StreamAccuracies(*(AccuracyMatrix([len(rows) for rows in judged]) for _ in range(2)))
    learner = make()
    for task in range(stream.n_tasks):
        rows = stream.train(task)
        if joint:
            learner = make()
            rows = np.concatenate([stream.train(earlier) for earlier in range(task + 1)])
        first = task == 0 or joint
        learn_task(
            learner,
            inputs[rows],
            codes[labels[rows]],
            epochs=epochs[0 if first else 1],
            batch_size=batch_size,
            progress=progress,
        )
        every, told = [], []
        for earlier, test in enumerate(judged[: task + 1]):
            scores = learner.scores(as_tensor(inputs[test])).cpu().numpy()
            own, true = codes[stream.classes(earlier)], codes[labels[test]]
            every.append(float((scores.argmax(1) == true).mean()))
            told.append(float((own[scores[:, own].argmax(1)] == true).mean()))
        found.class_incremental.add(every)
        found.task_incremental.add(told)
        if after is not None:
            after(learner, task)
    return found

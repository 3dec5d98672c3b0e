"""The contract of a learner whose classes arrive in tasks: start_task, observe, end_task, and one saved state."""

from __future__ import annotations

import copy
from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from typing import Any, Self

import torch
from torch import nn

from spaceform.checks import check_integer
from spaceform.encoders.batches import device
from spaceform.errors import InputError
from spaceform.rng import derive_seed, torch_generator
from spaceform.training.distributed import average_gradients, gather
from spaceform.training.loop import train

ROWS = 512
"""Rows that pass the network at once where nothing is learned."""


class AbstractContinualLearner(nn.Module, ABC):
    """A network and what its method carries from task to task; no row is kept.

    Classes are numbered 0, 1, 2, ... in their order of arrival. A task is ``start_task(inputs, codes, steps=...)`` with
    its rows, ``observe(inputs, codes)`` once for each batch, ``steps`` times, and ``end_task(inputs, codes)``. Between
    tasks ``state_dict`` is everything; within a task :meth:`snapshot` adds the optimiser. A learner that loads what
    another saved goes on as that one would have, to the last bit: a step draws from a generator of (seed, task, step).

    When torch.distributed runs, each rank gives its part of the rows; losses are those of the whole batch and gradients
    are averaged, so that all ranks hold the learner of one process (batch normalization apart).

    A subclass sets its growing parts as modules and defines ``_begin`` (a task's new parts), ``_new_optimizer``,
    ``_loss`` and ``_answers``; it may extend ``_finish`` and ``_rates``. ``_teacher_parts`` are copied, frozen, into
    ``teacher`` when a task ends. Parameters: ``net`` from inputs to features ``(B, width)``, which pass a ReLU
    first; ``width``; ``seed``.
    """

    counters: torch.Tensor
    sizes: torch.Tensor

    def __init__(self, net: nn.Module, *, width: int, seed: int = 0) -> None:
        super().__init__()
        self.net = net
        self.width = check_integer(width, "width", low=1)
        self.seed = check_integer(seed, "seed", low=0)
        self.teacher: nn.ModuleDict | None = None
        self.optimizer: torch.optim.Optimizer | None = None
        self.register_buffer("counters", torch.zeros(2, dtype=torch.int64))
        self.register_buffer("sizes", torch.zeros(0, dtype=torch.int64))

    @property
    def tasks(self) -> list[int]:
        """The number of classes of each task that was started."""
        return [int(size) for size in self.sizes]

    @property
    def n_classes(self) -> int:
        """How many classes were seen."""
        return int(self.sizes.sum())

    @property
    def n_old(self) -> int:
        """How many classes were seen before the last task."""
        return int(self.sizes[:-1].sum())

    @property
    def step(self) -> int:
        """Batches observed in this task."""
        return int(self.counters[0])

    @property
    def steps(self) -> int:
        """Batches of this task in all; 0 between tasks."""
        return int(self.counters[1])

    def start_task(self, inputs: torch.Tensor, codes: torch.Tensor, *, steps: int) -> None:
        """Begin a task of ``steps`` batches with its rows ``(n, ...)`` and their classes ``(n,)`` int64.

        Raises ``InputError`` inside another task, for a class seen before, for class numbers with a gap, and no rows.
        """
        if self.steps:
            raise InputError("start_task", got=f"step {self.step} of a task", expected="end_task first")
        check_integer(steps, "steps", low=1)
        seen = gather(codes).unique().tolist()
        first = self.n_classes
        if old := [code for code in seen if code < first]:
            raise InputError("codes", got=f"class {old[0]} again", expected=f"new classes, from {first} on")
        if seen != list(range(first, first + len(seen))) or not seen:
            raise InputError(
                "codes", got=f"classes {seen}", expected=f"classes {first}, {first + 1}, ... without a gap"
            )
        self.sizes = torch.cat([self.sizes, self.sizes.new_tensor([len(seen)])])
        self.counters = self.counters.new_tensor([0, steps])
        self._begin(inputs, codes)
        self._open()

    def observe(self, inputs: torch.Tensor, codes: torch.Tensor) -> dict[str, float]:
        """Take one step on a batch ``(B, ...)`` of this task and return its figures, ``"loss"`` among them.

        Raises ``InputError`` outside a task, after its last step, for no rows, rows of other classes, and a loss that
        is not finite.
        """
        if self.optimizer is None or self.step >= self.steps:
            raise InputError("observe", got=f"step {self.step} of {self.steps}", expected="a step of a started task")
        outside = bool(((codes < self.n_old) | (codes >= self.n_classes)).any())
        if codes.shape != inputs.shape[:1] or not len(codes) or outside:
            expected = f"one class from {self.n_old} to {self.n_classes - 1} per row"
            raise InputError("codes", got=f"shape {tuple(codes.shape)}", expected=expected)
        task, step = len(self.sizes) - 1, self.step
        for group, rate in zip(self.optimizer.param_groups, self._rates(step / self.steps), strict=True):
            group["lr"] = rate
        generator = torch_generator(derive_seed(self.seed, "draws", task, step))
        history = train(
            self,
            lambda batch: self._loss(*batch, generator),
            lambda _: (inputs, codes),
            steps=1,
            optimizer=self.optimizer,
            seed=derive_seed(self.seed, "step", task, step),
        )
        self.counters[0] += 1
        return {name: values[-1] for name, values in history.figures.items()}

    def end_task(self, inputs: torch.Tensor, codes: torch.Tensor) -> None:
        """Close the task with its rows: prototypes are taken, the teacher is copied, the optimiser is dropped."""
        if not self.steps or self.step < self.steps:
            raise InputError("end_task", got=f"step {self.step} of {self.steps}", expected="all steps of a task")
        self.eval()
        self._finish(inputs, codes)
        self.optimizer = None
        self.counters = torch.zeros_like(self.counters)
        if parts := self._teacher_parts():
            self._set_teacher(copy.deepcopy(nn.ModuleDict({name: getattr(self, name) for name in parts})))

    @torch.no_grad()
    def scores(self, inputs: torch.Tensor) -> torch.Tensor:
        """Return one score ``(n, n_classes)`` per class seen, larger for nearer, in evaluation mode."""
        was = self.training
        self.eval()
        parts = [self._answers(self(part.to(device()))) for part in inputs.split(ROWS)]
        self.train(was)
        return torch.cat(parts)

    def forward(self, inputs: torch.Tensor) -> torch.Tensor:
        """Return features ``(B, width)``, none below 0."""
        features: torch.Tensor = self.net(inputs).relu()
        return features

    def snapshot(self) -> dict[str, Any]:
        """Return the state of a learner that may be in the middle of a task, for :meth:`restore`."""
        optimizer = {} if self.optimizer is None else self.optimizer.state_dict()
        return {"learner": self.state_dict(), "optimizer": optimizer}

    def restore(self, state: Mapping[str, Any]) -> None:
        """Go on where the learner stood whose :meth:`snapshot` this is."""
        self.load_state_dict(state["learner"])
        if self.optimizer is not None:
            self.optimizer.load_state_dict(copy.deepcopy(state["optimizer"]))  # torch would share the tensors

    def train(self, mode: bool = True) -> Self:
        """Set the mode of all but the teacher, which always answers as it did at the end of its task."""
        super().train(mode)
        if self.teacher is not None:
            self._teacher_mode(self.teacher)
        return self

    @abstractmethod
    def _begin(self, inputs: torch.Tensor, codes: torch.Tensor) -> None:
        """Add the parts of the task's new classes; ``sizes`` counts them already."""

    @abstractmethod
    def _new_optimizer(self) -> torch.optim.Optimizer:
        """Return a fresh optimiser of what the task trains."""

    @abstractmethod
    def _rates(self, done: float) -> Sequence[float]:
        """Return the learning rate of every group when the share ``done`` in [0, 1) of the task is over."""

    @abstractmethod
    def _loss(
        self, inputs: torch.Tensor, codes: torch.Tensor, generator: torch.Generator
    ) -> tuple[torch.Tensor, dict[str, float]]:
        """Return the loss of a batch, and figures."""

    @abstractmethod
    def _answers(self, features: torch.Tensor) -> torch.Tensor:
        """Return scores ``(B, n_classes)`` of features."""

    def _finish(self, inputs: torch.Tensor, codes: torch.Tensor) -> None:
        """Take from the task's rows what is kept of them."""

    def _teacher_parts(self) -> tuple[str, ...]:
        """Return the names of the modules that the next task is taught by."""
        return ("net",)

    def _teacher_mode(self, teacher: nn.ModuleDict) -> None:
        teacher.eval()

    @torch.no_grad()
    def _embedded(self, inputs: torch.Tensor) -> torch.Tensor:
        """Return features of many rows in evaluation mode."""
        was = self.training
        self.eval()
        found = torch.cat([self(part.to(device())) for part in inputs.split(ROWS)])
        self.train(was)
        return found

    @torch.no_grad()
    def _taught(self, inputs: torch.Tensor) -> torch.Tensor:
        """Return the teacher's features of a batch."""
        assert self.teacher is not None  # noqa: S101  # asked from the second task on
        features: torch.Tensor = self.teacher["net"](inputs).relu()
        return features

    def _open(self) -> None:
        self.optimizer = self._new_optimizer()
        average_gradients(self.optimizer)

    def _set_teacher(self, teacher: nn.ModuleDict) -> None:
        self.teacher = teacher.requires_grad_(False)
        self._teacher_mode(self.teacher)

    def _load_from_state_dict(self, state_dict: dict[str, Any], prefix: str, *rest: Any) -> None:
        self.sizes = torch.zeros_like(state_dict[prefix + "sizes"])
        super()._load_from_state_dict(state_dict, prefix, *rest)

    def load_state_dict(self, state_dict: Mapping[str, Any], strict: bool = True, assign: bool = False) -> Any:
        """Take in a saved state: parts grow as far as they had grown, the teacher is there if one was saved."""
        if any(name.startswith("teacher.") for name in state_dict) and self.teacher is None:
            parts = {name: getattr(self, name) for name in self._teacher_parts()}
            self._set_teacher(copy.deepcopy(nn.ModuleDict(parts)))
        answer = super().load_state_dict(state_dict, strict, assign)
        if self.teacher is not None:
            self._set_teacher(self.teacher)  # what grew on loading is a new parameter
        self.optimizer = None
        if self.steps:
            self._open()
        return answer

"""Two stages of training for category discovery: known classes alone, then discovery beside a frozen teacher."""

from __future__ import annotations

import copy
import warnings
from collections.abc import Callable, Iterable, Sequence
from typing import Self, final

import numpy as np
import torch
from torch import nn

from spaceform.checks import check_integer, check_real
from spaceform.errors import InputError
from spaceform.losses.discovery.class_relation import ClassRelationKD
from spaceform.losses.discovery.swapped_prediction import swapped_prediction
from spaceform.nets.novel_classes import NCDNet
from spaceform.ops.transport.sinkhorn import sinkhorn
from spaceform.training.distributed import gather, gather_with_grad
from spaceform.training.loop import History, train
from spaceform.training.optimizers import warmup_cosine
from spaceform.types import Progress, no_progress

ViewBatch = tuple[Sequence[torch.Tensor], torch.Tensor]
"""Views of one batch, each ``(B, ...)``, and codes ``(B,)``: known class, or -1."""

LOWEST, WARMUP, WEIGHT_DECAY = 0.1, 0.1, 1.5e-4
"""Least rate as a share of the rate, share of the epochs in which it rises, weight decay of AdamW (released code)."""


@final
class CrKDTrainer:
    """Both stages of training on batches of views: known classes alone, then discovery beside a frozen teacher.

    ``loss = mean over heads of swapped prediction + alpha * class relation distillation``. Targets of a view: a
    labelled row's class, and for unlabelled rows the Sinkhorn assignment of their novel logits; no labelled row takes
    part in either assignment or distillation.

    Parameters
    ----------
    net : the student; it is trained in place.
    alpha : >= 0; 0 is UNO, without teacher.
    relation : the distillation; None for :class:`ClassRelationKD` of the paper at this ``temperature``.
    teacher : what is distilled, frozen; None for a copy of the student as it is when discovery begins.
    temperature : tau > 0 of all cross entropies. n_large : the first views, which have targets; others, small crops,
        are predicted only. epsilon : of the Sinkhorn assignment, on the cosines themselves.

    ``head_losses_ (H,)``: mean swapped loss of each head over the last epoch; the least is the net's ``best_head``.
    In a process group the losses are those of the rows of all processes; gradients are the caller's to average.

    Raises ``InputError`` for fewer than two views, codes out of range and a teacher with other known classes. Warns of
    batches with fewer unlabelled rows than novel classes. O(V) passes of the encoder a step, and of the teacher's.
    """

    def __init__(
        self,
        net: NCDNet,
        *,
        alpha: float = 0.1,
        relation: ClassRelationKD | None = None,
        teacher: NCDNet | None = None,
        temperature: float = 0.1,
        n_large: int = 2,
        epsilon: float = 0.05,
    ) -> None:
        self.net = net
        self.alpha = check_real(alpha, "alpha", low=0)
        self.temperature = check_real(temperature, "temperature", low=0, open_ends=True)
        self.n_large = check_integer(n_large, "n_large", low=1)
        self.epsilon = check_real(epsilon, "epsilon", low=0, open_ends=True)
        self.relation = relation or ClassRelationKD(n_known=net.n_known, temperature=self.temperature)
        for name, other in (("relation", self.relation), ("teacher", teacher)):
            if other is not None and other.n_known != net.n_known:
                expected = f"{net.n_known}, the known classes of the student"
                raise InputError(name, got=f"{other.n_known} known classes", expected=expected)
        self.teacher = None if teacher is None else frozen(teacher)
        self.head_losses_ = np.full(net.n_heads, np.nan)
        self._head_sums = np.zeros(net.n_heads)

    def supervised_loss(self, batch: ViewBatch) -> tuple[torch.Tensor, dict[str, float]]:
        """Return the cross entropy of the known logits of labelled rows, meaned over views."""
        views, codes = self._enter(batch)
        known = codes >= 0
        if not bool(known.any()):
            raise InputError("codes", got="no labelled row", expected="some in each batch of the supervised stage")
        parts = [
            nn.functional.cross_entropy(
                self.net.known_logits(self.net.encode(view[known])) / self.temperature, codes[known]
            )
            for view in views
        ]
        return torch.stack(parts).mean(), {}

    def discovery_loss(self, batch: ViewBatch) -> tuple[torch.Tensor, dict[str, float]]:
        """Return the loss of discovery and its parts; call :meth:`freeze_teacher` once before."""
        views, codes = self._enter(batch)
        if len(views) < 2:
            raise InputError("views", got=f"{len(views)} view(s)", expected="at least 2: one predicts the other")
        logits = self._gathered(torch.stack([self.net(view) for view in views]), rows=2)
        every = gather(codes)
        per_head = swapped_prediction(logits, self.targets(logits, every), temperature=self.temperature)
        self._head_sums += per_head.detach().double().cpu().numpy()
        loss, figures = per_head.mean(), {"swapped": float(per_head.detach().mean())}
        unlabelled = every < 0
        if self.alpha > 0 and bool(unlabelled.any()):
            known = self._gathered(self._taught(views[: self.n_large]), rows=1)
            kept = self.relation(logits[: self.n_large], known, unlabelled)
            loss, figures = loss + self.alpha * kept, {**figures, "relation": float(kept.detach())}
        return loss, figures

    @torch.no_grad()
    def targets(self, logits: torch.Tensor, codes: torch.Tensor) -> torch.Tensor:
        """Return targets ``(L, H, B, K)`` of the large views from logits ``(V, H, B, K)`` and codes ``(B,)``."""
        large, n_known, unlabelled = logits[: self.n_large], self.net.n_known, codes < 0
        targets = torch.zeros_like(large)
        targets[:, :, ~unlabelled, codes[~unlabelled]] = 1
        rows = int(unlabelled.sum())
        if 0 < rows < self.net.n_novel:
            message = (
                f"a batch has {rows} unlabelled rows for {self.net.n_novel} novel classes: equal shares mean nothing"
            )
            warnings.warn(message, UserWarning, stacklevel=2)
        if rows:
            own = torch.zeros_like(large[:, :, unlabelled])
            own[..., n_known:] = sinkhorn(large[:, :, unlabelled, n_known:], epsilon=self.epsilon)
            targets[:, :, unlabelled] = own
        return targets

    @torch.no_grad()
    def _taught(self, views: Sequence[torch.Tensor]) -> torch.Tensor:
        if self.teacher is None:
            raise InputError("teacher", got="None", expected="a teacher", remedy="call freeze_teacher() first")
        return torch.stack([self.teacher.known_logits(self.teacher.encode(view)) for view in views])

    def freeze_teacher(self) -> None:
        """Keep a frozen copy of the student as the teacher, unless there is one or ``alpha`` is 0."""
        if self.teacher is None and self.alpha > 0:
            self.teacher = frozen(self.net)

    def run(
        self,
        batches: Callable[[int], ViewBatch],
        *,
        per_epoch: int,
        epochs: int,
        discover: bool,
        learning_rate: float = 1e-3,
        seed: int = 0,
        progress: Progress = no_progress,
    ) -> History:
        """Train one stage on ``batches(step)`` by AdamW, the rate set at each epoch; return the history."""
        check_integer(epochs, "epochs", low=0)
        if discover:
            self.freeze_teacher()
        rate = check_real(learning_rate, "learning_rate", low=0, open_ends=True)
        self.net.normalize_()
        optimizer = torch.optim.AdamW(self.net.parameters(), lr=rate, weight_decay=WEIGHT_DECAY, fused=True)
        hook = optimizer.register_step_post_hook(self._normalize)
        schedule = torch.optim.lr_scheduler.LambdaLR(
            optimizer,
            lambda step: warmup_cosine(
                step // per_epoch, warmup=WARMUP * epochs, total=max(1, epochs), rate=1, lowest=LOWEST
            ),
        )
        self._head_sums = np.zeros(self.net.n_heads)
        step_loss = self.discovery_loss if discover else self.supervised_loss

        def loss_step(batch: tuple[int, ViewBatch]) -> tuple[torch.Tensor, dict[str, float]]:
            if batch[0] % per_epoch == 0:
                self._head_sums[:] = 0
            return step_loss(batch[1])

        history = train(
            self.net,
            loss_step,
            lambda step: (step, batches(step)),
            steps=epochs * per_epoch,
            optimizer=optimizer,
            schedule=schedule,
            seed=seed,
            progress=progress,
            task="discovering classes" if discover else "learning known classes",
        )
        hook.remove()
        if discover and epochs:
            self.head_losses_ = self._head_sums / per_epoch
            self.net.best_head.fill_(int(self.head_losses_.argmin()))
        self.net.eval()
        return history

    def fit(
        self,
        loader: Iterable[ViewBatch],
        *,
        supervised_epochs: int = 40,
        epochs: int = 100,
        learning_rate: float = 1e-3,
        progress: Progress = no_progress,
    ) -> Self:
        """Train both stages on a ``DataLoader`` or list of ``(views, codes)`` and return self.

        Batches hold labelled and unlabelled rows; those without a labelled row are left out of the first stage.
        """
        self.net.normalize_()
        for discover, count in ((False, supervised_epochs), (True, epochs)):
            batches = _Looped(loader, labelled=not discover)
            self.run(
                batches,
                per_epoch=batches.per_epoch,
                epochs=count,
                discover=discover,
                learning_rate=learning_rate,
                progress=progress,
            )
        return self

    def _normalize(self, *_: object) -> None:
        self.net.normalize_()

    def _enter(self, batch: ViewBatch) -> ViewBatch:
        views, codes = batch
        if len(codes) and not -1 <= int(codes.min()) <= int(codes.max()) < self.net.n_known:
            got = f"from {int(codes.min())} to {int(codes.max())}"
            raise InputError("codes", got=got, expected=f"-1 (unlabelled) or 0 to {self.net.n_known - 1}")
        return views, codes

    @staticmethod
    def _gathered(logits: torch.Tensor, *, rows: int) -> torch.Tensor:
        return gather_with_grad(logits.movedim(rows, 0).contiguous()).movedim(0, rows)


class _Looped:
    """Batches of an iterable, over and over, by step."""

    def __init__(self, loader: Iterable[ViewBatch], *, labelled: bool) -> None:
        self._loader, self._labelled = loader, labelled
        self.per_epoch = sum(1 for _ in self._epoch())
        if self.per_epoch == 0:
            raise InputError("loader", got="no batch", expected="batches" + (" with labelled rows" if labelled else ""))
        self._left: list[ViewBatch] = []

    def __call__(self, step: int) -> ViewBatch:
        if step % self.per_epoch == 0:
            self._left = list(self._epoch())
        return self._left[step % self.per_epoch]

    def _epoch(self) -> Iterable[ViewBatch]:
        for views, codes in self._loader:
            if not self._labelled or bool((codes >= 0).any()):
                yield views, codes


def frozen(net: NCDNet) -> NCDNet:
    """Return a copy in evaluation mode that learns nothing."""
    return copy.deepcopy(net).eval().requires_grad_(False)

"""When a model should grow, and by which of its neurons it lives: plateaus and Taylor scores."""

from __future__ import annotations

from typing import Any, final

import torch

from spaceform.checks import check_choice, check_integer, check_real

IMPORTANCES = ("taylor", "variance", "random")


@final
class PlateauDetector:
    """Says after every epoch whether the score has stood still for so long that the model should grow.

    Due when the best score is ``patience`` epochs old or older, unless the model has grown since that best
    (:meth:`grown`): then a new best score must come first. Parameters: ``patience`` >= 1 epochs. A larger score is
    better. Its state is plain numbers. Raises ``InputError`` for a score that is NaN. O(1).

    >>> detector = PlateauDetector(patience=2)
    >>> [detector.update(epoch, score) for epoch, score in enumerate([0.1, 0.5, 0.4, 0.3, 0.2])]
    [False, False, False, True, True]
    >>> detector.grown()
    >>> detector.update(5, 0.1)
    False
    """

    def __init__(self, patience: int) -> None:
        self.patience = check_integer(patience, "patience", low=1)
        self.best, self.best_epoch, self.explore = float("-inf"), -1, True

    def update(self, epoch: int, score: float) -> bool:
        """Take in the score of an epoch and return whether it is time to grow."""
        if check_real(score, "score") > self.best:
            self.best, self.best_epoch, self.explore = float(score), epoch, True
        return self.explore and epoch >= self.best_epoch + self.patience

    def grown(self) -> None:
        """Note that the model has grown: what follows must first beat the best score."""
        self.explore = False

    def state_dict(self) -> dict[str, Any]:
        """Return what has been seen."""
        return {"best": self.best, "best_epoch": self.best_epoch, "explore": self.explore}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Restore what :meth:`state_dict` returned."""
        self.best, self.best_epoch, self.explore = state["best"], state["best_epoch"], state["explore"]


def taylor_importance(activations: torch.Tensor, gradients: torch.Tensor) -> torch.Tensor:
    """Return ``| mean_i a_ij g_ij |`` for every neuron j, from activations and gradients ``(n, D)``.

    How much the loss would change without the neuron, to first order (Molchanov and others, ICLR 2017); the mean comes
    before the absolute value. O(n D).
    """
    return (activations * gradients).mean(0).abs()


def relative_scores(scores: torch.Tensor) -> torch.Tensor | None:
    """Return scores ``(j,)`` brought to length 1 and then to [0, 1] by their extremes; None when all are equal."""
    scaled = scores / (scores.square().sum() + 1e-8).sqrt()
    low, high = scaled.min(), scaled.max()
    # beyond rounding: equal scores differ by less
    return (scaled - low) / (high - low) if high - low > 1e-6 * high.abs() else None


@final
class NeuronStatistics:
    """Running sums over batches that give :func:`taylor_importance` and the variance of D neurons without keeping rows.

    Parameters: ``dim`` D. O(D) memory, O(B D) per batch.
    """

    def __init__(self, dim: int) -> None:
        self.rows = 0
        self._products, self._sums, self._squares = (torch.zeros(dim, dtype=torch.float64) for _ in range(3))

    def add(self, activations: torch.Tensor, gradients: torch.Tensor) -> None:
        """Take in a batch: activations and the gradients of its mean loss by them, both ``(B, D)``."""
        self.rows += len(activations)
        self._products += (activations * gradients).sum(0, dtype=torch.float64).cpu()
        self._sums += activations.sum(0, dtype=torch.float64).cpu()
        self._squares += activations.square().sum(0, dtype=torch.float64).cpu()

    def signed(self) -> torch.Tensor:
        """Return ``mean_i a_ij g_ij`` ``(D,)``; within a slice whose length the loss does not see they sum to 0."""
        return self._products / max(1, self.rows)

    def variance(self) -> torch.Tensor:
        """Return the variance of every neuron ``(D,)``."""
        n = max(1, self.rows)
        return (self._squares / n - (self._sums / n).square()).clamp(min=0)

    def choose(
        self, part: range, *, threshold: float, by: str = "taylor", generator: torch.Generator | None = None
    ) -> torch.Tensor:
        """Return the neurons of a slice that matter, ascending; none when no batch was seen or all scores are equal.

        ``by="taylor"``: those whose score, relative to the others of the slice, is above ``threshold`` in [0, 1).
        ``"variance"``: as many, those of the largest variance. ``"random"``: as many, drawn with ``generator``.
        """
        check_choice(by, "importance", IMPORTANCES)
        inside = slice(part.start, part.stop)
        scores = relative_scores(self.signed()[inside].abs()) if self.rows else None
        if scores is None:
            return torch.empty(0, dtype=torch.int64)
        above = scores > threshold
        if by == "taylor":
            chosen = above.nonzero()[:, 0]
        else:
            drawn = torch.rand(len(part), generator=generator, dtype=torch.float64) if by == "random" else None
            ranking = self.variance()[inside] if drawn is None else drawn
            chosen = ranking.topk(int(above.sum())).indices.sort().values
        return chosen + part.start

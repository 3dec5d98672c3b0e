"""A linear head with several outputs per class, which are added up to answer."""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn.functional import log_softmax

from spaceform.checks import check_integer
from spaceform.errors import InputError


class SubclassHead(nn.Module):
    """Linear layer with ``n_subclasses`` S outputs for each of C classes; output ``c S + s`` is subclass s of class c.

    A class is as probable as its subclasses together, ``p_c = sum_s softmax(g)_{c, s}``, which is not the class of the
    largest output: (.35, 0 | .33, .32) is of the second class. With S = 1 it is an ordinary linear classifier.

    Parameters: ``in_features``, ``n_classes`` >= 2, ``n_subclasses`` >= 1. ``forward(x (B, in_features))`` returns
    ``(B, C S)``. Raises ``InputError`` for other numbers and, in answers, other widths. O(B in_features C S).

    >>> head = SubclassHead(8, n_classes=2, n_subclasses=3)
    >>> head.class_log_probs(head(torch.zeros(5, 8))).shape
    torch.Size([5, 2])
    """

    def __init__(self, in_features: int, n_classes: int, n_subclasses: int = 1) -> None:
        super().__init__()
        self.n_classes = check_integer(n_classes, "n_classes", low=2)
        self.n_subclasses = check_integer(n_subclasses, "n_subclasses", low=1)
        self.linear = nn.Linear(check_integer(in_features, "in_features", low=1), n_classes * n_subclasses)

    def forward(self, x: Tensor) -> Tensor:
        """Return the outputs ``(B, C S)`` of embeddings ``(B, in_features)``."""
        outputs: Tensor = self.linear(x)
        return outputs

    def class_log_probs(self, outputs: Tensor) -> Tensor:
        """Return the log-probabilities ``(B, C)`` of the classes from outputs ``(B, C S)``."""
        if outputs.shape[-1] != self.n_classes * self.n_subclasses:
            got = f"shape {tuple(outputs.shape)}"
            raise InputError("outputs", got=got, expected=f"(B, {self.n_classes * self.n_subclasses})")
        return class_log_probs(outputs, self.n_classes)

    def predict(self, outputs: Tensor) -> Tensor:
        """Return the most probable class ``(B,)`` of outputs ``(B, C S)``."""
        return torch.argmax(self.class_log_probs(outputs), dim=1)


def class_log_probs(outputs: Tensor, n_classes: int) -> Tensor:
    """Return log-probabilities ``(B, C)`` from class-major outputs ``(B, C S)``: subclasses are summed over."""
    return log_softmax(outputs, 1).unflatten(1, (n_classes, -1)).logsumexp(2)

"""LELP (Loo, Iliopoulos, Hu and Vee, 2024): subclasses from linear projections of a teacher's embeddings."""

from __future__ import annotations

import warnings
from collections.abc import Iterable
from typing import Any, Self, final

import numpy as np
import torch
from numpy.typing import ArrayLike
from scipy.special import log_softmax, softmax
from sklearn.base import BaseEstimator, TransformerMixin
from sklearn.utils import Tags
from sklearn.utils.validation import check_is_fitted
from torch import Tensor, nn

from spaceform.checks import (
    check_choice,
    check_integer,
    check_labels,
    check_matrix,
    check_real,
    check_rows,
    label_codes,
)
from spaceform.errors import InputError
from spaceform.heads.linear.fitted import fit_linear_head
from spaceform.heads.linear.subclasses import SubclassHead, class_log_probs
from spaceform.losses.distillation.soft_labels import check_codes, check_soft_labels, soft_cross_entropy
from spaceform.nets.features import collect_embeddings
from spaceform.ops.linear.class_moments import ClassMoments, class_pca, principal_directions
from spaceform.ops.linear.null_space import null_space_projector
from spaceform.ops.linear.rotations import random_rotation
from spaceform.rng import as_generator
from spaceform.types import FloatArray, IntArray, RandomState

__all__ = [
    "LELPTargets",
    "SubclassDistillationLoss",
    "SubclassHead",
    "class_pca",
    "collect_embeddings",
    "null_space_projector",
    "random_rotation",
]

COLLAPSED = 1e-6
"""Share of the variance of all rows below which a class has no structure left (neural collapse)."""


@final
class LELPTargets(TransformerMixin, BaseEstimator):
    """Soft labels of S pseudo-subclasses per class, from a teacher's embeddings.

    ``p_{c,s}(x) = softmax(logits(x) / T)_c softmax_s(z_c(x) / beta)`` with ``z_c(x) = U_c' P (h(x) - mu_c) / sigma_c``:
    P removes what the logits already say, ``U_c = V_c Q`` are the S leading principal directions of class c under a
    random rotation, so that all have the same variance in expectation (sections 3.1 to 3.3 of the paper, as public
    reviews quote them). Centring by ``mu_c`` and scaling by ``sigma_c`` are ours: without the first one subclass would
    win for all rows, with the second beta has no unit.

    Parameters
    ----------
    n_subclasses : S, at most D - rank(W) and one less than the rows of the smallest class.
    beta : temperature of the subclasses, > 0, in standard deviations; near 0 the largest projection takes all, towards
        infinity nothing is added to plain distillation.
    temperature : of the classes, > 0 (tau in the paper).
    null_space : "rows" projects out all rows of W, "differences" only what changes a softmax, None nothing.
    rotate, center : False leaves out the rotation Q, the centring.
    scale : "pooled" divides by the standard deviation over all S directions of the class; None does not.
    directions : "pca", or "random" orthonormal ones: a control.
    assign : the class whose directions a row shapes: its "label", or the "teacher"'s answer (unlabelled rows too).
    random_state : of the rotations.

    Attributes
    ----------
    classes_ : (C,) labels, the order of logits. directions_ : U (C, D, S). means_ : (C, D). scale_ : (C,).
    null_projector_ : P (D, D). head_weight_ (C, D), head_bias_ (C,) : of the teacher's last layer, as given or fitted.

    Raises
    ------
    InputError for NaN, one class, a class with fewer than S + 1 rows (it is named), S > D - rank(W), S < 1, beta or
    temperature <= 0, W of other than C (or, for two classes, 1) rows or D columns, and logits of another shape. Warns
    of a collapsed class, whose rows are all one point: LELP is plain distillation there.

    Notes
    -----
    O(sum_c n_c D^2 + C D^3) once, O(n C D S) per transform. :meth:`fit_stream` holds no rows, only C D^2 numbers.
    Traps: without ``W`` a linear head is fitted on the rows given, which may be surer than a teacher's; ``logits`` are
    class by class in the order of ``classes_``; answers come from summing over subclasses, not from the largest.

    Examples
    --------
    >>> H = np.random.default_rng(0).normal(size=(60, 6))
    >>> y = np.where(H[:, 0] > 0, "yes", "no")
    >>> targets = LELPTargets(n_subclasses=3, random_state=0).fit(H, y, W=np.eye(2, 6))
    >>> soft = targets.transform(H, logits=H[:, :2])
    >>> soft.shape, bool(np.allclose(soft.sum(1), 1))
    ((60, 6), True)
    """

    def __init__(
        self,
        *,
        n_subclasses: int = 8,
        beta: float = 2.0,
        temperature: float = 4.0,
        null_space: str | None = "rows",
        rotate: bool = True,
        center: bool = True,
        scale: str | None = "pooled",
        directions: str = "pca",
        assign: str = "label",
        random_state: RandomState = 0,
    ) -> None:
        self.n_subclasses = n_subclasses
        self.beta = beta
        self.temperature = temperature
        self.null_space = null_space
        self.rotate = rotate
        self.center = center
        self.scale = scale
        self.directions = directions
        self.assign = assign
        self.random_state = random_state

    def fit(self, H: ArrayLike, y: ArrayLike, W: ArrayLike | None = None, b: ArrayLike | None = None) -> Self:
        """Find the directions of every class and return self.

        ``H (n, D)``: what enters the teacher's last layer, of weights ``W (C, D)`` (or (1, D), one logit for the second
        of two classes) and bias ``b (C,)`` (None: 0); without ``W`` a linear head is fitted. ``y (n,)``: labels,
        integer -1 for rows without.
        """
        self._check_options()
        rows = check_rows(self, _plain(H), fitting=True).astype(np.float64)
        if y is None:
            raise InputError(
                "y", got="None: LELPTargets requires y to be passed, but the target y is None", expected="labels"
            )
        labels = check_labels(_plain(y), len(rows))
        self.classes_, codes = label_codes(labels)
        self._take_head(rows, codes, W, b)
        if self.assign == "teacher":
            codes = self._logits(rows).argmax(1)
        moments = ClassMoments(n_classes=len(self.classes_), width=rows.shape[1]).update(rows, codes)
        return self._find(moments)

    def fit_stream(
        self,
        batches: Iterable[tuple[ArrayLike, ArrayLike]],
        *,
        n_classes: int,
        W: ArrayLike,
        b: ArrayLike | None = None,
    ) -> Self:
        """Find the directions from a stream of ``H (m, D)`` with class numbers 0..C-1, without keeping rows."""
        self._check_options()
        check_integer(n_classes, "n_classes", low=2)
        weights = check_matrix(_plain(W), "W", dtype=np.float64)
        self.classes_, self.n_features_in_ = np.arange(n_classes), weights.shape[1]
        self._take_head(np.empty((0, weights.shape[1])), np.empty(0, dtype=np.int64), weights, b)
        moments = ClassMoments(n_classes=n_classes, width=weights.shape[1])
        for H, y in batches:
            rows = check_matrix(_plain(H), "H", width=weights.shape[1], dtype=np.float64)
            moments.update(rows, self._logits(rows).argmax(1) if self.assign == "teacher" else _plain(y))
        return self._find(moments)

    def subclass_logits(self, H: ArrayLike) -> Any:
        """Return ``z (n, C, S)`` of embeddings ``(n, D)``: for every class, not only a row's own. As ``H``'s kind."""
        rows = self._rows(H)
        shifts = self.means_ if self.center else np.zeros_like(self.means_)
        # directions lie in the range of P: a projection of h - mu would change nothing but rounding
        z = np.stack(
            [(rows - shift) @ U / scale for shift, U, scale in zip(shifts, self.directions_, self.scale_, strict=True)],
            1,
        )
        return _like(z, H)

    def transform(self, H: ArrayLike, logits: ArrayLike | None = None) -> Any:
        """Return soft labels ``(n, C S)``, class by class; each row sums to 1, and each class to its probability.

        ``logits (n, C)`` of the teacher, or ``(n,)`` and ``(n, 1)`` for two classes (None: of the head). Torch tensors
        come back as torch tensors.
        """
        rows = self._rows(H)
        of_classes = self._logits(rows) if logits is None else self._given_logits(logits, len(rows))
        z = np.asarray(self.subclass_logits(rows))
        joint = log_softmax(of_classes / self.temperature, axis=1)[:, :, None] + log_softmax(z / self.beta, axis=2)
        return _like(softmax(joint.reshape(len(rows), -1), axis=1), H)

    def __sklearn_tags__(self) -> Tags:
        """Say that labels are needed."""
        tags = super().__sklearn_tags__()
        tags.target_tags.required = True
        tags.transformer_tags.preserves_dtype = ["float64", "float32"]
        return tags

    def _check_options(self) -> None:
        check_integer(self.n_subclasses, "n_subclasses", low=1)
        for name in ("beta", "temperature"):
            check_real(getattr(self, name), name, low=0, open_ends=True)
        check_choice(self.null_space or "rows", "null_space", ("rows", "differences"))
        check_choice(self.scale or "pooled", "scale", ("pooled",))
        check_choice(self.directions, "directions", ("pca", "random"))
        check_choice(self.assign, "assign", ("label", "teacher"))

    def _take_head(self, rows: FloatArray, codes: IntArray, W: ArrayLike | None, b: ArrayLike | None) -> None:
        count = len(self.classes_)
        if count < 2:
            raise InputError("y", got=f"{count} class(es)", expected="two or more classes")
        if W is None:
            head = fit_linear_head(rows, codes)
            self.head_weight_, self.head_bias_ = head.weight, head.bias
            return
        weights = check_matrix(_plain(W), "W", width=rows.shape[1], dtype=np.float64)
        if len(weights) != count and (len(weights), count) != (1, 2):
            raise InputError("W", got=f"{len(weights)} rows", expected=f"{count} rows, one for each class")
        bias = np.zeros(len(weights)) if b is None else np.asarray(_plain(b), dtype=np.float64)
        if bias.shape != (len(weights),) or not np.isfinite(bias).all():
            raise InputError("b", got=f"shape {bias.shape}", expected=f"finite, shape ({len(weights)},), as W has rows")
        self.head_weight_, self.head_bias_ = weights, bias

    def _find(self, moments: ClassMoments) -> Self:
        wanted = int(self.n_subclasses)
        for label, count in zip(self.classes_.tolist(), moments.counts.tolist(), strict=True):
            if count < wanted + 1:
                got = f"{count} row(s) of class {label!r}"
                raise InputError("n_subclasses", got=got, expected=f"{wanted + 1} or more for {wanted} subclasses")
        P = self._projector(moments.means.shape[1])
        room = round(float(np.trace(P)))
        if wanted > room:
            got = f"{wanted} subclasses"
            raise InputError("n_subclasses", got=got, expected=f"at most {room}, the dimensions that W leaves")
        collapsed = self._collapsed(moments, P)
        generator = as_generator(self.random_state)
        found, scales = [], []
        for code in range(len(self.classes_)):
            covariance = moments.covariance(code)
            if collapsed[code]:  # what is left is rounding: no direction, so that every subclass is as likely
                found.append(np.zeros((len(P), wanted)))
                scales.append(1.0)
                continue
            if self.directions == "random":
                spread = P @ generator.standard_normal((len(P), len(P)))
                U = principal_directions(spread @ spread.T, wanted, P)
            else:
                U = principal_directions(covariance, wanted, P)
            U = U @ random_rotation(wanted, generator) if self.rotate else U
            variance = float(np.einsum("ds,de,es->", U, covariance, U)) / wanted
            found.append(U)  # type: ignore[arg-type]
            scales.append(np.sqrt(variance) if self.scale == "pooled" and variance > 0 else 1.0)
        self.null_projector_, self.means_ = P, moments.means.copy()
        self.directions_, self.scale_ = np.stack(found), np.array(scales)
        return self

    def _projector(self, width: int) -> FloatArray:
        if self.null_space is None:
            return np.eye(width)
        weights = self.head_weight_
        if self.null_space == "differences" and len(weights) > 1:
            weights = weights - weights.mean(0)
        return null_space_projector(weights)

    def _collapsed(self, moments: ClassMoments, P: FloatArray) -> np.ndarray:
        """Return which classes ``(C,)`` have no variance left to speak of, and warn of them."""
        shares = moments.counts / moments.counts.sum()
        gaps = moments.means - shares @ moments.means
        within = np.array([np.trace(P @ moments.covariance(code) @ P) for code in range(len(shares))])
        total = float(sum(shares * [np.trace(moments.covariance(c)) for c in range(len(shares))]))
        total += float(shares @ np.square(gaps).sum(1))
        flat: np.ndarray = within <= COLLAPSED * total
        if flat.any():
            name = self.classes_[np.flatnonzero(flat)[0]]
            text = f"the embeddings of class {name!r} have collapsed to one point: LELP is plain distillation there"
            warnings.warn(text, UserWarning, stacklevel=4)
        return flat

    def _logits(self, rows: FloatArray) -> FloatArray:
        raw = rows @ self.head_weight_.T + self.head_bias_
        return np.concatenate([np.zeros_like(raw), raw], axis=1) if raw.shape[1] == 1 else raw

    def _given_logits(self, logits: ArrayLike, n: int) -> FloatArray:
        given = np.asarray(_plain(logits), dtype=np.float64)
        given = given[:, None] if given.ndim == 1 else given
        given = check_matrix(given, "logits")  # type: ignore[assignment]
        count = len(self.classes_)
        if given.shape == (n, 1) and count == 2:
            return np.concatenate([np.zeros_like(given), given], axis=1)
        if given.shape != (n, count):
            raise InputError("logits", got=f"shape {given.shape}", expected=f"({n}, {count})")
        return given

    def _rows(self, H: ArrayLike) -> FloatArray:
        check_is_fitted(self)
        return check_rows(self, _plain(H), fitting=False).astype(np.float64)


@final
class SubclassDistillationLoss(nn.Module):
    """``alpha CE(y) + (1 - alpha) CE(soft_targets, softmax(g / T_student))``, for outputs ``g (B, C S)``.

    Parameters: ``alpha`` in [0, 1], the share of true labels (0: the paper's, everywhere), whose log-probabilities are
    sums over subclasses; ``student_temperature`` > 0, on the soft part only. ``forward(g, soft_targets (B, C S), y)``;
    ``n_classes`` is needed with alpha > 0. Raises ``InputError`` for targets that are no distributions. O(B C S).

    >>> loss = SubclassDistillationLoss()
    >>> loss(torch.zeros(2, 6), torch.full((2, 6), 1 / 6))
    tensor(1.7918)
    """

    def __init__(self, *, alpha: float = 0.0, student_temperature: float = 1.0, n_classes: int | None = None) -> None:
        super().__init__()
        self.alpha = check_real(alpha, "alpha", low=0, high=1)
        self.student_temperature = check_real(student_temperature, "student_temperature", low=0, open_ends=True)
        self.n_classes = n_classes if n_classes is None else check_integer(n_classes, "n_classes", low=2)
        if self.alpha and self.n_classes is None:
            raise InputError("n_classes", got="None", expected="the number of classes: alpha gives labels a share")

    def forward(self, g: Tensor, soft_targets: Tensor, y: Tensor | None = None) -> Tensor:
        """Return the loss of a batch."""
        check_soft_labels(soft_targets, g)
        loss = (1 - self.alpha) * soft_cross_entropy(g / self.student_temperature, soft_targets)
        if self.alpha == 0 or self.n_classes is None:
            return loss
        if y is None or g.shape[1] % self.n_classes:
            got = "None" if y is None else f"{g.shape[1]} outputs for {self.n_classes} classes"
            raise InputError("y" if y is None else "g", got=got, expected="labels, and S outputs for each class")
        check_codes(y, len(g), self.n_classes)
        return loss + self.alpha * nn.functional.nll_loss(class_log_probs(g, self.n_classes), y)


def _plain(values: Any) -> Any:
    return values.detach().cpu().numpy() if isinstance(values, Tensor) else values


def _like(values: FloatArray, given: Any) -> Any:
    """Return ``values`` as the kind and precision of ``given``."""
    if isinstance(given, Tensor):
        return torch.from_numpy(values).to(device=given.device, dtype=given.dtype)
    return values.astype(np.float32) if getattr(given, "dtype", None) in (np.float32, np.float16) else values

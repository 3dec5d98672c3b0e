"""Dynamic subspace learners (Adiga V, Dolz, Lombaert, JBHI 2022): an embedding whose learners are added in training."""

from __future__ import annotations

from typing import Self, final

import numpy as np
import torch
from numpy.typing import ArrayLike
from sklearn.base import BaseEstimator, TransformerMixin
from sklearn.utils import Tags
from sklearn.utils.validation import check_is_fitted
from torch import nn

from spaceform.checks import check_choice, check_integer, check_labels, check_real, check_rows
from spaceform.errors import InputError
from spaceform.heads.subspaces import SubspaceEmbedding
from spaceform.losses.margin import MarginLoss
from spaceform.nets.spatial_gate import GatedBackbone, SpatialGate
from spaceform.rng import as_generator, derive_seed
from spaceform.training.growth import IMPORTANCES
from spaceform.training.subspaces import DynamicSubspaceTrainer, GrowthHistory
from spaceform.types import FloatArray, IntArray, Progress, RandomState, no_progress

__all__ = [
    "DynamicSubspaceMetric",
    "DynamicSubspaceTrainer",
    "GatedBackbone",
    "GrowthHistory",
    "MarginLoss",
    "SpatialGate",
    "SubspaceEmbedding",
]

FINETUNE_SHARE = 1 / 6
"""Of all epochs; the paper's last 50 of 300."""


@final
class DynamicSubspaceMetric(TransformerMixin, BaseEstimator):
    """Linear metric on given vectors, in slices whose number and sizes are found while it learns.

    ``a_s = (W x + b)_s / |(W x + b)_s|`` per slice s, trained by :class:`DynamicSubspaceTrainer` with the margin loss;
    the attention of the paper, which looks at pictures, is left out. Euclidean neighbours are those with the largest
    sum of cosines over the slices.

    Parameters
    ----------
    n_components : dimensions of the metric, 128 in the paper.
    dynamic : add learners when validation stalls; False: keep ``n_learners`` (divide and conquer).
    n_learners : learners to begin with.
    importance : which neurons a split keeps: ``"taylor"`` (the paper), ``"variance"`` or ``"random"``. In small runs
        Taylor chose little better than chance and variance did better.
    epochs : in all, of which the last sixth trains all slices as one (300 in the paper).
    patience : epochs without a new best validation NMI before a split.
    classes_per_batch, samples_per_class : of a batch from one cluster, 4 and 8.
    learning_rate, weight_decay : of Adam; the paper's 1e-5 fine-tunes a network, a new linear map learns with 1e-3.
    validation_fraction : in (0, 1), share of each class's rows that is held out to decide about splits; classes keep
        two rows to train on.
    random_state : seed.

    Attributes
    ----------
    slices_ : list of ranges. n_learners_ : their number. history_ : :class:`GrowthHistory`. classes_ : labels seen.
    embedding_ : the :class:`~spaceform.heads.subspaces.SubspaceEmbedding`. n_features_in_ : width of the rows.

    Raises
    ------
    InputError : NaN, too few dimensions to split (ten), labels of another length, too few rows to hold some out,
    more learners than rows, fewer than two samples per class. NoPairsError : fewer than two classes with two rows.

    Cost: O(epochs n d n_components) and, with k learners, O(n d k iterations) at every second epoch for k-means.
    Traps: with many classes and few rows of each more learners hurt retrieval; a split needs validation rows enough for
    their NMI to mean something.

    Examples
    --------
    >>> rng = np.random.default_rng(0)
    >>> y = np.arange(90) % 3
    >>> X = 3 * np.eye(3, 6)[y] + rng.normal(size=(90, 6))
    >>> metric = DynamicSubspaceMetric(n_components=16, epochs=4, random_state=0).fit(X, y)
    >>> metric.transform(X).shape, metric.n_learners_
    ((90, 16), 1)
    """

    def __init__(
        self,
        *,
        n_components: int = 128,
        dynamic: bool = True,
        n_learners: int = 1,
        importance: str = "taylor",
        epochs: int = 60,
        patience: int = 10,
        classes_per_batch: int = 4,
        samples_per_class: int = 8,
        learning_rate: float = 1e-3,
        weight_decay: float = 1e-4,
        validation_fraction: float = 0.2,
        random_state: RandomState = None,
    ) -> None:
        self.n_components = n_components
        self.dynamic = dynamic
        self.n_learners = n_learners
        self.importance = importance
        self.epochs = epochs
        self.patience = patience
        self.classes_per_batch = classes_per_batch
        self.samples_per_class = samples_per_class
        self.learning_rate = learning_rate
        self.weight_decay = weight_decay
        self.validation_fraction = validation_fraction
        self.random_state = random_state

    def fit(self, X: ArrayLike, y: ArrayLike, *, progress: Progress = no_progress) -> Self:
        """Learn from rows ``X (n, d)`` with labels ``y (n,)`` (integer -1: unlabelled, left out) and return self."""
        rows = check_rows(self, X, fitting=True).astype(np.float32)
        if y is None:
            got = "None: the metric requires y to be passed, but the target y is None"
            raise InputError("y", got=got, expected="labels")
        names = check_labels(y, len(rows))
        check_integer(self.n_components, "n_components", low=1)
        check_integer(self.n_learners, "n_learners", low=1, high=min(self.n_components, len(rows)))
        epochs = check_integer(self.epochs, "epochs", low=0)
        share = check_real(self.validation_fraction, "validation_fraction", low=0, high=1, open_ends=True)
        check_choice(self.importance, "importance", IMPORTANCES)
        seed = int(as_generator(self.random_state).integers(2**31))
        hidden = names == -1 if names.dtype.kind == "i" else np.zeros(len(names), dtype=bool)
        labelled = np.flatnonzero(~hidden)
        self.classes_, codes = np.unique(names[labelled], return_inverse=True)
        kept, watched = _hold_out(codes, share, derive_seed(seed, "held out"))
        head = SubspaceEmbedding(
            rows.shape[1], self.n_components, n_slices=self.n_learners, seed=derive_seed(seed, "weights")
        )
        trainer = DynamicSubspaceTrainer(
            nn.Identity(), head, dynamic=self.dynamic, importance=self.importance, patience=self.patience
        )
        X_all = torch.from_numpy(rows[labelled])
        self.history_ = trainer.fit(
            X_all[kept],
            codes[kept],
            validation=(X_all[watched], codes[watched]),
            epochs=epochs,
            finetune_from=epochs - round(FINETUNE_SHARE * epochs),
            batch=(self.classes_per_batch, self.samples_per_class),
            rates=(self.learning_rate, self.weight_decay),
            seed=seed,
            progress=progress,
        )
        self.embedding_ = head
        self.slices_ = head.slices
        self.n_learners_ = len(head.slices)
        return self

    @torch.no_grad()
    def transform(self, X: ArrayLike) -> FloatArray:
        """Return ``(n, n_components)`` float32, every slice of unit length."""
        check_is_fitted(self, "embedding_")
        rows = check_rows(self, X, fitting=False).astype(np.float32)
        vectors: FloatArray = self.embedding_(torch.from_numpy(rows)).numpy()
        return vectors

    def __sklearn_tags__(self) -> Tags:
        """Say that labels are needed and vectors come out as float32."""
        tags = super().__sklearn_tags__()
        tags.target_tags.required = True
        tags.transformer_tags.preserves_dtype = []
        return tags


def _hold_out(codes: IntArray, share: float, seed: int) -> tuple[IntArray, IntArray]:
    """Return rows to train on and rows to validate with: a share of every class, which keeps two rows to train on."""
    generator = np.random.default_rng(seed)
    watched = [np.empty(0, dtype=np.int64)]
    for code in np.unique(codes):
        rows = generator.permutation(np.flatnonzero(codes == code))
        watched.append(rows[: max(0, min(round(share * len(rows)), len(rows) - 2))])
    held_out = np.sort(np.concatenate(watched))
    if len(np.unique(codes[held_out])) < 2:
        got = f"{len(held_out)} of {len(codes)} labelled sample(s) held out, of fewer than two classes"
        raise InputError("y", got=got, expected="classes of three rows or more, so that some can be held out")
    return np.setdiff1d(np.arange(len(codes)), held_out), held_out

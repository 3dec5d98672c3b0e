"""Dynamic subspace learners (Adiga V, Dolz, Lombaert, JBHI 2022): an embedding whose learners are added in training."""

from __future__ import annotations

from typing import ClassVar, Self, final

import numpy as np
import torch
from numpy.typing import ArrayLike
from sklearn.base import BaseEstimator, TransformerMixin
from sklearn.utils import Tags
from sklearn.utils.validation import check_is_fitted
from torch import nn

from spaceform.checks import check_choice, check_integer, check_labels, check_real, check_rows, label_codes
from spaceform.encoders.abstract import AbstractEncoder, NetMaker
from spaceform.encoders.batches import device
from spaceform.errors import InputError
from spaceform.heads.subspaces import SubspaceEmbedding
from spaceform.losses.margin import MarginLoss
from spaceform.nets.attention.spatial_gate import GatedBackbone, SpatialGate
from spaceform.nets.inputs import as_tensor
from spaceform.rng import as_generator, derive_seed
from spaceform.training.growth import IMPORTANCES
from spaceform.training.loop import History
from spaceform.training.subspaces import DynamicSubspaceTrainer, GrowthHistory
from spaceform.types import FloatArray, IntArray, PathLike, Progress, RandomState, no_progress

__all__ = [
    "DynamicSubspaceEncoder",
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

WEIGHT_DECAY = 1e-4

WIDTHS = (32, 64)
"""Channels of the small trunk below the gate; the last is the width of the features, of other networks too."""


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
        self.classes_, codes = label_codes(names)
        kept, watched = _hold_out(codes, share, derive_seed(seed, "held out"))
        head = SubspaceEmbedding(
            rows.shape[1], self.n_components, n_slices=self.n_learners, seed=derive_seed(seed, "weights")
        )
        trainer = DynamicSubspaceTrainer(
            nn.Identity(), head, dynamic=self.dynamic, importance=self.importance, patience=self.patience
        )
        self.history_ = trainer.fit(
            torch.from_numpy(rows[kept]),
            codes[kept],
            validation=(torch.from_numpy(rows[watched]), codes[watched]),
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


@final
class DynamicSubspaceEncoder(AbstractEncoder):
    """Encoder of pictures (or vectors) with attention, whose learners are added while it trains.

    A network, a gate over the places of its feature map, the mean over all places, and the sliced embedding of
    :class:`DynamicSubspaceMetric`, trained as one by :class:`DynamicSubspaceTrainer`.

    Parameters
    ----------
    embedding_dim : dimensions of the vectors, 128 in the paper.
    dynamic, n_learners, importance, epochs, patience, classes_per_batch, samples_per_class, validation_fraction : as in
        :class:`DynamicSubspaceMetric`.
    learning_rate : of Adam; 1e-3 suits a network that starts at random, the paper fine-tunes one with 1e-5.
    net : ``"auto"``: for pictures two convolutions of stride 2 with batch norm and the gate, for vectors ``"mlp"``.
        Names of :func:`spaceform.nets.named.named_net`, and functions of input shape and width that return a module
        with 64 outputs, have no gate, unless the function returns a ``GatedBackbone``.
    random_state : non-negative integer; equal seeds on one machine and thread count give equal weights.

    Attributes
    ----------
    net_ : network and embedding. slices_, n_learners_, growth_ : as ``slices_``, ``n_learners_``, ``history_`` of
    :class:`DynamicSubspaceMetric`. history_, classes_, input_shape_, dim, fingerprint : of every encoder.

    Raises
    ------
    InputError : inputs of another shape or dtype, labels of another length, too few rows to hold some out, too few
    dimensions to split (ten). NoPairsError : fewer than two classes with two rows.

    Cost: O(epochs x pixels): per epoch the network on all rows once, with several learners at every second epoch once
    more, and on the rows held out.

    Examples
    --------
    >>> pictures = np.random.default_rng(0).integers(0, 256, (24, 16, 16, 3), dtype=np.uint8)
    >>> encoder = DynamicSubspaceEncoder(embedding_dim=16, epochs=1).fit(pictures, np.arange(24) % 2)
    >>> encoder.transform(pictures).shape, encoder.attention(pictures).shape
    ((24, 16), (24, 4, 4))
    """

    KIND: ClassVar[str] = "dynamic-subspaces"

    net_: _Subspaces

    def __init__(
        self,
        *,
        embedding_dim: int = 128,
        dynamic: bool = True,
        n_learners: int = 1,
        importance: str = "taylor",
        epochs: int = 60,
        patience: int = 10,
        classes_per_batch: int = 4,
        samples_per_class: int = 8,
        learning_rate: float = 1e-3,
        net: str | NetMaker = "auto",
        validation_fraction: float = 0.2,
        random_state: int = 0,
    ) -> None:
        self.embedding_dim = embedding_dim
        self.dynamic = dynamic
        self.n_learners = n_learners
        self.importance = importance
        self.epochs = epochs
        self.patience = patience
        self.classes_per_batch = classes_per_batch
        self.samples_per_class = samples_per_class
        self.learning_rate = learning_rate
        self.net = net
        self.validation_fraction = validation_fraction
        self.random_state = random_state

    def fit(
        self, X: ArrayLike, y: ArrayLike, *, checkpoint: PathLike | None = None, progress: Progress = no_progress
    ) -> Self:
        """Train on ``X`` with labels ``y (n,)`` (integer -1: left out) and return self.

        ``X``: pictures ``(n, size, size[, channels])`` uint8 or floats in [0, 1], or vectors ``(n, d)``. A call killed
        under a ``checkpoint`` folder, written after every epoch, goes on, when repeated, to the same weights.
        """
        inputs, codes = self._enter(X, y)
        epochs = check_integer(self.epochs, "epochs", low=0)
        share = check_real(self.validation_fraction, "validation_fraction", low=0, high=1, open_ends=True)
        check_choice(self.importance, "importance", IMPORTANCES)
        seed = check_integer(self.random_state, "random_state", low=0)
        check_integer(self.n_learners, "n_learners", low=1, high=check_integer(self.dim, "embedding_dim", low=1))
        kept, watched = _hold_out(codes, share, derive_seed(seed, "held out"))
        self.net_ = self._new_net(seed)
        trainer = DynamicSubspaceTrainer(
            self.net_.backbone,
            self.net_.embedding,
            dynamic=self.dynamic,
            importance=self.importance,
            patience=self.patience,
        )
        self.growth_ = trainer.fit(
            _channels_first(inputs[kept]),
            codes[kept],
            validation=(_channels_first(inputs[watched]), codes[watched]),
            epochs=epochs,
            finetune_from=epochs - round(FINETUNE_SHARE * epochs),
            batch=(self.classes_per_batch, self.samples_per_class),
            rates=(self.learning_rate, WEIGHT_DECAY),
            seed=seed,
            checkpoint=checkpoint,
            progress=progress,
        )
        figures = {"score": self.growth_.score, "loss": self.growth_.loss}
        self.history_ = History(list(range(1, epochs + 1)), figures)
        self.net_.eval()
        return self

    @property
    def slices_(self) -> list[range]:
        """The slices of the vectors, one per learner."""
        check_is_fitted(self, "net_")
        return self.net_.embedding.slices

    @property
    def n_learners_(self) -> int:
        """How many learners there are."""
        return len(self.slices_)

    @torch.inference_mode()
    def attention(self, X: ArrayLike, *, batch_size: int = 256) -> FloatArray:
        """Return the attention ``(n, h, w)`` in (0, 1) of pictures like those of ``fit``; one where nothing gates.

        ``spaceform.metrics.segmentation.weak_masks`` makes masks of it. Raises ``InputError`` for a network without
        maps.
        """
        check_is_fitted(self, "net_")
        inputs = self._inputs(X, fitting=False)
        backbone = self.net_.backbone
        if not isinstance(backbone, GatedBackbone):
            raise InputError("net", got=repr(self.net), expected="a network with maps, such as 'auto' for pictures")
        starts = range(0, len(inputs), check_integer(batch_size, "batch_size", low=1))
        parts = [as_tensor(inputs[start : start + batch_size]).to(device()) for start in starts]
        return np.concatenate([backbone.attention(part)[:, 0].cpu().numpy() for part in parts])

    def _embed(self, batch: torch.Tensor) -> torch.Tensor:
        vectors: torch.Tensor = self.net_(batch)
        return vectors

    def _new_net(self, seed: int) -> _Subspaces:
        backbone: nn.Module
        if self.net == "auto" and len(self.input_shape_) == 3:
            with torch.random.fork_rng(devices=[]):
                torch.manual_seed(derive_seed(seed, "weights"))
                backbone = GatedBackbone(_trunk(self.input_shape_[2]), SpatialGate(WIDTHS[-1]))
        else:
            backbone = self._backbone(WIDTHS[-1], seed=seed)
        head = SubspaceEmbedding(
            WIDTHS[-1], self.embedding_dim, n_slices=self.n_learners, seed=derive_seed(seed, "embedding")
        )
        return _Subspaces(backbone, head).to(device())


class _Subspaces(nn.Module):
    def __init__(self, backbone: nn.Module, embedding: SubspaceEmbedding) -> None:
        super().__init__()
        self.backbone, self.embedding = backbone, embedding

    def forward(self, inputs: torch.Tensor) -> torch.Tensor:
        vectors: torch.Tensor = self.embedding(self.backbone(inputs))
        return vectors


def _trunk(channels: int) -> nn.Sequential:
    layers: list[nn.Module] = []
    for width in WIDTHS:
        layers += [nn.Conv2d(channels, width, 3, stride=2, padding=1, bias=False), nn.BatchNorm2d(width), nn.ReLU()]
        channels = width
    return nn.Sequential(*layers)


def _channels_first(inputs: np.ndarray) -> torch.Tensor:
    """Return vectors as they are, pictures as ``(n, channels, size, size)`` in the type that they have."""
    tensor = torch.from_numpy(np.ascontiguousarray(inputs))
    return tensor.permute(0, 3, 1, 2) if inputs.ndim == 4 else tensor


def _hold_out(codes: IntArray, share: float, seed: int) -> tuple[IntArray, IntArray]:
    """Return labelled rows to train on and to validate with: a share of every class, which keeps two to train on."""
    generator = np.random.default_rng(seed)
    watched = [np.empty(0, dtype=np.int64)]
    labelled = np.flatnonzero(codes >= 0)
    for code in np.unique(codes[labelled]):
        rows = generator.permutation(np.flatnonzero(codes == code))
        watched.append(rows[: max(0, min(round(share * len(rows)), len(rows) - 2))])
    held_out = np.sort(np.concatenate(watched))
    if len(np.unique(codes[held_out])) < 2:
        got = f"{len(held_out)} of {len(labelled)} labelled sample(s) held out, of fewer than two classes"
        raise InputError("y", got=got, expected="classes of three rows or more, so that some can be held out")
    return np.setdiff1d(labelled, held_out), held_out

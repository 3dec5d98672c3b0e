"""Encoders trained on episodes with Proto-Triplet and ICNN losses (Mendez-Ruiz and others, SuSana Distancia, 2023)."""

from __future__ import annotations

from collections.abc import Sequence
from typing import ClassVar, Self, final

import numpy as np
import torch
from numpy.typing import ArrayLike, NDArray
from scipy.special import softmax
from sklearn.base import BaseEstimator, ClassifierMixin, TransformerMixin
from sklearn.utils.multiclass import check_classification_targets
from sklearn.utils.validation import check_is_fitted, column_or_1d

from spaceform.checks import check_choice, check_integer, check_labels, check_real, check_rows, label_codes
from spaceform.encoders.abstract import AbstractEncoder, NetMaker
from spaceform.encoders.batches import LabelledBatch, LabelledBatches
from spaceform.encoders.plan import Plan
from spaceform.errors import InputError
from spaceform.heads.prototypes import class_prototypes
from spaceform.losses.few_shot.episode import EpisodeLoss
from spaceform.losses.few_shot.icnn import ICNNLoss
from spaceform.losses.few_shot.proto_triplet import ProtoTripletLoss
from spaceform.ops.pairs import l2_normalize, squared_distances
from spaceform.rng import derive_seed
from spaceform.samplers.episodes import EpisodeSampler
from spaceform.training.loop import Callback
from spaceform.types import FloatArray, PathLike, Progress, no_progress

__all__ = ["EpisodeLoss", "ICNNLoss", "NearestPrototypeClassifier", "ProtoTripletLoss", "SusanaEncoder"]


@final
class SusanaEncoder(AbstractEncoder):
    """Encoder whose classes are compact and apart, trained on episodes of classes as they are met in few-shot learning.

    Every step draws ``n_way`` classes with ``n_shot`` supports and ``n_query`` other rows each, and descends on
    :class:`EpisodeLoss`. What is learned is the encoder alone: new classes are answered by the nearest mean of their
    supports (:class:`NearestPrototypeClassifier`), as in prototypical networks.

    Parameters
    ----------
    terms : of :class:`EpisodeLoss`; their mean is the loss. ``("ce",)`` is the prototypical network.
    embedding_dim : dimensions of the vectors, which are not normalised; 64 for the code's ConvNet-4.
    n_way, n_shot, n_query : of training episodes; 20, 5 and 15 in the code for 5 shots (30 classes for one shot). Where
        fewer classes have ``n_shot + n_query`` rows, all of these are taken.
    margin : of Proto-Triplet, in the unit of the vectors; 0.5.
    steps : episodes; the code has 200 epochs of 100.
    learning_rate : of Adam; 1e-3.
    halve_every : steps after which the rate is halved; 2,000 in the code.
    net : a name of :func:`spaceform.nets.named.named_net`, or a function of input shape and dimensions that returns a
        module.
    augment : turn, shift, scale and tint pictures a little at every step; the code does not.
    random_state : non-negative integer; equal seeds on one machine and thread count give equal weights.

    Attributes
    ----------
    net_ : the trained network. history_ : the loss and its terms at every step. classes_ : labels seen. input_shape_ :
    of one input. dim, fingerprint : of the encoder.

    Raises
    ------
    InputError : NaN, labels of another length, fewer than two classes with ``n_shot + n_query`` rows, unknown terms.

    Cost: O(steps x n_way (n_shot + n_query) x net). A CUDA device is used where there is one.
    Traps: the last weights are kept, not those that were best on validation episodes as in the code.

    Examples
    --------
    >>> import numpy as np
    >>> rng = np.random.default_rng(0)
    >>> y = np.arange(60) % 6
    >>> X = rng.normal(size=(6, 8))[y] + 0.3 * rng.normal(size=(60, 8))
    >>> encoder = SusanaEncoder(embedding_dim=4, n_way=4, n_shot=2, n_query=3, steps=5)
    >>> encoder.fit(X, y).transform(X).shape
    (60, 4)
    """

    KIND: ClassVar[str] = "susana"

    def __init__(
        self,
        *,
        terms: Sequence[str] = ("ce", "proto_triplet", "icnn_full"),
        embedding_dim: int = 64,
        n_way: int = 20,
        n_shot: int = 5,
        n_query: int = 15,
        margin: float = 0.5,
        steps: int = 400,
        learning_rate: float = 1e-3,
        halve_every: int = 2000,
        net: str | NetMaker = "auto",
        augment: bool = False,
        random_state: int = 0,
    ) -> None:
        self.terms = terms
        self.embedding_dim = embedding_dim
        self.n_way = n_way
        self.n_shot = n_shot
        self.n_query = n_query
        self.margin = margin
        self.steps = steps
        self.learning_rate = learning_rate
        self.halve_every = halve_every
        self.net = net
        self.augment = augment
        self.random_state = random_state

    def fit(
        self,
        X: ArrayLike,
        y: ArrayLike,
        *,
        loss: EpisodeLoss | None = None,
        checkpoint: PathLike | None = None,
        every: int = 50,
        callbacks: Sequence[Callback] = (),
        progress: Progress = no_progress,
    ) -> Self:
        """Train on ``X`` with labels ``y (n,)`` (integer -1: never drawn) and return self.

        ``X``: pictures ``(n, size, size[, channels])`` uint8 or floats in [0, 1], or vectors ``(n, d)``. ``loss``
        replaces the one that ``terms`` and ``margin`` name. With a ``checkpoint`` folder, written ``every`` so many
        steps, a killed call goes on where it stood when it is repeated. ``callbacks`` may end training early.
        """
        inputs, codes = data = self._enter(X, y)
        check_integer(self.steps, "steps", low=0)
        seed = self.random_state
        rate = check_real(self.learning_rate, "learning_rate", low=0, open_ends=True)
        criterion = EpisodeLoss(terms=tuple(self.terms), margin=self.margin) if loss is None else loss
        sampler = self._sampler(codes, seed)
        net = self._new_net(seed)
        self.net_ = net
        optimizer = torch.optim.Adam(net.parameters(), lr=rate)
        halving = torch.optim.lr_scheduler.StepLR(
            optimizer, check_integer(self.halve_every, "halve_every", low=1), gamma=0.5
        )

        def rows(step: int) -> NDArray[np.int64]:
            episode = sampler(step)
            return np.concatenate([episode.support, episode.query], axis=1).ravel()

        def loss_step(batch: LabelledBatch) -> tuple[torch.Tensor, dict[str, float]]:
            vectors = net(batch.inputs).unflatten(0, (sampler.n_way, -1))
            support, query = vectors.split([self.n_shot, self.n_query], dim=1)
            total, parts = criterion(support, query, generator=batch.generator)
            return total, parts

        plan = Plan(
            parts=net,
            loss_step=loss_step,
            batches=LabelledBatches(inputs, codes, rows, augment=self.augment, seed=seed),
            steps=self.steps,
            optimizer=optimizer,
            schedule=halving,
            task="training on episodes",
        )
        return self._run(
            plan,
            data,
            checkpoint=checkpoint,
            every=every,
            callbacks=callbacks,
            progress=progress,
            options={"loss": repr(criterion)},
        )

    def _embed(self, batch: torch.Tensor) -> torch.Tensor:
        vectors: torch.Tensor = self.net_(batch)
        return vectors

    def _sampler(self, codes: NDArray[np.int64], seed: int) -> EpisodeSampler:
        size = check_integer(self.n_shot, "n_shot", low=1) + check_integer(self.n_query, "n_query", low=1)
        able = int((np.bincount(codes[codes >= 0], minlength=1) >= size).sum())
        if able < 2:
            raise InputError(
                "y",
                got=f"{able} class(es) with {size} rows among {len(codes)} sample(s)",
                expected=f"two or more with n_shot {self.n_shot} and n_query {self.n_query} rows",
                remedy="ask for fewer supports or queries",
            )
        return EpisodeSampler(
            codes,
            n_way=min(check_integer(self.n_way, "n_way", low=2), able),
            n_shot=self.n_shot,
            n_query=self.n_query,
            seed=derive_seed(seed, "episodes"),
        )


@final
class NearestPrototypeClassifier(ClassifierMixin, TransformerMixin, BaseEstimator):
    """Answer with the class whose mean is nearest: the head of prototypical networks, on embeddings that are given.

    ``p(c | x) = softmax(-|x - mean_c|^2 / temperature)``.

    Parameters
    ----------
    metric : ``"squared"`` Euclidean distance of rows as they are, or ``"cosine"``: rows and means at unit length.
    temperature : > 0, of the probabilities; it changes no answer.

    Attributes
    ----------
    classes_ : sorted labels (K,). prototypes_ : class means (K, d).

    Raises
    ------
    InputError : NaN, labels of another length, fewer than two classes, other widths, temperatures <= 0.

    Rows with the integer label -1 are unlabelled and left out. Cost: O(n d) for the fit, O(n K d) for an answer.

    Examples
    --------
    >>> model = NearestPrototypeClassifier().fit([[0.0], [2.0], [10.0], [12.0]], ["near", "near", "far", "far"])
    >>> model.predict([[4.0]]), model.transform([[4.0]])
    (array(['near'], dtype='<U4'), array([[49.,  9.]]))
    """

    def __init__(self, *, metric: str = "squared", temperature: float = 1.0) -> None:
        self.metric = metric
        self.temperature = temperature

    def fit(self, X: ArrayLike, y: ArrayLike) -> Self:
        """Take the mean of each class of the rows ``X (n, d)`` with labels ``y (n,)``."""
        check_choice(self.metric, "metric", ("squared", "cosine"))
        check_real(self.temperature, "temperature", low=0, open_ends=True)
        if y is None:
            raise InputError("y", got="None", expected="requires y to be passed, but the target y is None")
        rows = check_rows(self, X, fitting=True)
        labels = check_labels(column_or_1d(y, warn=True), len(rows))
        check_classification_targets(labels)
        self.classes_, codes = label_codes(labels)
        if len(self.classes_) < 2:
            raise InputError("y", got=f"{len(self.classes_)} class", expected="at least two classes")
        kept = codes >= 0
        self.prototypes_ = class_prototypes(self._ready(rows[kept]), codes[kept], len(self.classes_))
        if self.metric == "cosine":
            self.prototypes_ = l2_normalize(self.prototypes_, name="prototypes")
        return self

    def transform(self, X: ArrayLike) -> FloatArray:
        """Return the squared distance ``(n, K)`` to every prototype (on unit rows for cosine: ``2 - 2 cos``)."""
        check_is_fitted(self)
        return squared_distances(self._ready(check_rows(self, X, fitting=False)), self.prototypes_)

    def predict(self, X: ArrayLike) -> np.ndarray:
        """Return the label ``(n,)`` of the nearest prototype; ties go to the first."""
        distances = self.transform(X)
        found: np.ndarray = self.classes_[distances.argmin(1)]
        return found

    def predict_proba(self, X: ArrayLike) -> FloatArray:
        """Return the softmax ``(n, K)`` of minus the distances over the temperature."""
        shares: FloatArray = softmax(-self.transform(X) / self.temperature, axis=1)
        return shares

    def _ready(self, rows: FloatArray) -> FloatArray:
        return l2_normalize(rows) if self.metric == "cosine" else rows

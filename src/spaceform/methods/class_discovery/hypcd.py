"""HypCD: category discovery in a Poincare ball (Liu, He and Han, CVPR 2025)."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import Any, ClassVar, final

import numpy as np
import torch
from sklearn.utils.validation import check_is_fitted
from torch import nn

from spaceform.clustering.kmeans import assign_nearest
from spaceform.clustering.n_clusters import ClusterSweep, sweep_n_clusters
from spaceform.clustering.partial import PartialLabels, check_n_novel
from spaceform.clustering.semi_supervised import SemiSupervisedKMeans, cluster_names, semi_supervised_kmeans
from spaceform.encoders.abstract import NetMaker
from spaceform.encoders.batches import device, in_blocks
from spaceform.encoders.discovery.discoverer import AbstractDiscoverer, Centers
from spaceform.encoders.discovery.views import TwoViews
from spaceform.errors import InputError
from spaceform.heads.poincare import HypLinear, ToPoincare
from spaceform.losses.discovery.hybrid import LABELLED_SHARE, HybridContrastiveLoss, Temperatures
from spaceform.losses.discovery.parametric import mean_entropy, self_distillation, teacher_temperature
from spaceform.nets.mlp import mlp
from spaceform.rng import derive_seed
from spaceform.types import FloatArray, IntArray

__all__ = ["HybridContrastiveLoss", "HypGCD", "HypLinear", "HypSimGCD", "SemiSupervisedKMeans", "ToPoincare"]

PRESETS: Mapping[str, Mapping[str, float]] = MappingProxyType(
    {
        "paper, fine-grained": {"curvature": 0.05, "clip_radius": 2.3, "distance_weight": 1.0},
        "paper, generic": {"curvature": 0.01, "clip_radius": 1.0, "distance_weight": 0.5},
        "released, Hyp-GCD": {"curvature": 0.1, "clip_radius": 1.2, "distance_weight": 1.0},
        "released, Hyp-SimGCD on CUB": {"curvature": 0.1, "clip_radius": 2.0, "distance_weight": 1.0},
        "released, Hyp-SimGCD on Cars": {"curvature": 0.1, "clip_radius": 1.2, "distance_weight": 1.0},
        "released, Hyp-SimGCD on Aircraft": {"curvature": 0.1, "clip_radius": 2.3, "distance_weight": 1.0},
    }
)
"""Constants of the paper and of the released scripts, which differ; which made its tables is not known."""

CLASSIFIER_RATE, CLASSIFIER_TEMPERATURE = 0.01, 0.1
N_INIT = 10
NOVEL_RANGE = (2, 30)


@final
class HypGCD(AbstractDiscoverer):
    """Hyp-GCD: features trained by angles and hyperbolic distances, then semi-supervised k-means on them.

    ``L = (1 - a_e) L_angle + a_e L_distance`` on points ``M(head(f(x)))`` of a Poincare ball, where the weight ``a_e``
    of distances grows over the epochs (see :class:`~spaceform.losses.discovery.hybrid.HybridContrastiveLoss`). Labels
    are given by Euclidean k-means on the backbone features ``f(x)`` brought to unit length, not in the ball.

    Parameters
    ----------
    n_novel : number of classes besides the labelled ones; 0: there are none. None takes the number from 2 to 30 with
        which k-means finds the labelled classes best (needs labelled rows).
    curvature : c > 0 of the ball of radius ``1 / sqrt c``; None for flat space. See ``PRESETS``.
    clip_radius : r > 0, the norm that the head's output is cut to before it is mapped.
    distance_weight : in [0, 1], of distances in the last epoch; 0 is GCD.
    angle_temperatures : of the angles: of views and of labels (those of distances are 1 and 0.07).
    embedding_dim : width of the features.
    head : widths of the head after the features, the last one of the ball (GELU between, nothing after).
    net : backbone, a name of :func:`spaceform.nets.named.named_net`, or a function of input shape and width.
    epochs, batch_size, learning_rate : of Adam, falling by a cosine. The paper trains the last block of a pretrained
        ViT by SGD at 0.1 instead.
    random_state : non-negative integer.

    Attributes
    ----------
    classes_ : (C,) known labels. cluster_names_ : (K,) they, then new numbers from ``max(classes_) + 1`` on.
    labels_ : (n,) one of ``cluster_names_`` per row; labelled rows keep their label.
    cluster_centers_ : (K, embedding_dim). inertia_ : of k-means. sweep_ : ClusterSweep behind ``n_novel=None``.
    net_ : the network, in evaluation mode, with the centres. history_ : History of the training.

    Raises
    ------
    InputError for NaN, no unlabelled row, fewer than two rows, ``n_novel`` < 0 (fewer clusters than old classes) or
    above the number of unlabelled rows, ``curvature`` or ``clip_radius`` <= 0, views of another shape. A class with one
    labelled row warns.

    Notes
    -----
    O(B^2 d) per step for the pairs, about twice the angles alone. Accuracy is no better than with a Euclidean distance
    at small scale. Standard vectors have no natural views: noise teaches little, so give ``views`` to ``fit``.

    Examples
    --------
    >>> X = np.repeat(5 * np.eye(4), 20, axis=0) + np.random.default_rng(0).normal(size=(80, 4))
    >>> y = np.repeat([0, 1, -1, -1], 20)
    >>> y[:5] = -1
    >>> model = HypGCD(n_novel=2, embedding_dim=8, head=(16, 4), epochs=10, random_state=0).fit(X, y)
    >>> np.unique(model.labels_), model.transform(X).shape
    (array([0, 1, 2, 3]), (80, 8))
    """

    KIND: ClassVar[str] = "hypcd"

    def __init__(
        self,
        *,
        n_novel: int | None = None,
        curvature: float | None = 0.1,
        clip_radius: float = 1.2,
        distance_weight: float = 1.0,
        angle_temperatures: Temperatures = (1.0, 0.07),
        embedding_dim: int = 128,
        head: tuple[int, ...] = (2048, 2048, 256),
        net: str | NetMaker = "auto",
        epochs: int = 200,
        batch_size: int = 128,
        learning_rate: float = 1e-3,
        random_state: int = 0,
    ) -> None:
        self.n_novel = n_novel
        self.curvature = curvature
        self.clip_radius = clip_radius
        self.distance_weight = distance_weight
        self.angle_temperatures = angle_temperatures
        self.embedding_dim = embedding_dim
        self.head = head
        self.net = net
        self.epochs = epochs
        self.batch_size = batch_size
        self.learning_rate = learning_rate
        self.random_state = random_state

    @property
    def cluster_centers_(self) -> FloatArray:
        """Centres ``(K, embedding_dim)`` of k-means on the features."""
        check_is_fitted(self, "net_")
        centers: FloatArray = self.net_.last.centers.cpu().numpy()
        return centers

    @property
    def cluster_names_(self) -> IntArray:
        """Labels ``(K,)`` of the clusters: the known ones, then new numbers."""
        return cluster_names(self.classes_, len(self.cluster_centers_) - len(self.classes_))

    def predict(self, X: Any) -> IntArray:
        """Return one of ``cluster_names_`` for every row: the nearest centre's."""
        features = self.transform(X)
        return self.cluster_names_[assign_nearest(features, self.cluster_centers_)[0]]

    def _check(self, partial: PartialLabels) -> None:
        super()._check(partial)
        if self.n_novel is None and not len(partial.classes):
            raise InputError("n_novel", got="None", expected="a number, as no row is labelled")

    def _parts(self) -> tuple[nn.Module, nn.Module]:
        head = mlp([self.embedding_dim, *self.head], activation="gelu", norm=None)
        ball = ToPoincare(curvature=self.curvature, clip_radius=self.clip_radius)
        return nn.Sequential(head, ball), Centers(self.embedding_dim)

    def _loss(
        self, batch: TwoViews, loss: HybridContrastiveLoss, weight: float
    ) -> tuple[torch.Tensor, dict[str, float]]:
        value = loss(self.net_.to_ball(self.net_.features(batch.inputs)), batch.labels, weight)
        return value, {"distance weight": weight}

    def _name_rows(self, inputs: np.ndarray, partial: PartialLabels, seed: int) -> None:
        features = self.encode(inputs)
        self.sweep_: ClusterSweep | None = None
        n_novel = self.n_novel
        if n_novel is None:
            known = ~partial.unlabelled
            self.sweep_ = sweep_n_clusters(
                features[~known],
                k_range=NOVEL_RANGE,
                index="known_accuracy",
                n_runs=1,
                n_init=3,
                known=features[known],
                known_labels=partial.codes[known],
                random_state=derive_seed(seed, "sweep"),
            )
            n_novel = self.sweep_.best
        found = semi_supervised_kmeans(features, partial, n_novel, n_init=N_INIT, random_state=seed)
        self.inertia_ = found.inertia
        self.net_.last.centers = torch.from_numpy(found.centers).to(device())
        self.labels_ = self.cluster_names_[found.labels]


@final
class HypSimGCD(AbstractDiscoverer):
    """Hyp-SimGCD: the features themselves are mapped into the ball, and a hyperbolic linear layer names the rows.

    ``L = (1 - s)(L_distill + L_entropy) + s L_ce + L_rep`` with s = 0.35: the contrastive loss of :class:`HypGCD` on
    ``M(f(x))``, cross entropy of labelled rows, each view predicting the other's sharpened prediction, and a term
    that keeps all classes in use. The K coordinates of ``HypLinear(M(f(x)))`` are the logits.

    Parameters
    ----------
    n_novel : number of classes besides the labelled ones, which has to be known here.
    bias_curvature : by which the classifier adds its bias; None for ``curvature``, 1.0 as in the released code.
    angle_temperatures : 0.3 times those of Hyp-GCD, as released for CUB and Cars.
    curvature : c > 0. clip_radius, distance_weight, embedding_dim, net, epochs, batch_size, learning_rate,
        random_state : as of :class:`HypGCD`. The classifier learns at a constant rate of 0.01.

    Attributes
    ----------
    classes_, cluster_names_, labels_, net_, history_ : as of :class:`HypGCD`.

    Raises
    ------
    InputError as :class:`HypGCD`, and for ``n_novel`` or ``curvature`` None.

    Notes
    -----
    O(B^2 d + B K d) per step.

    Examples
    --------
    >>> X = np.repeat(5 * np.eye(4), 20, axis=0) + np.random.default_rng(0).normal(size=(80, 4))
    >>> y = np.repeat([0, 1, -1, -1], 20)
    >>> model = HypSimGCD(n_novel=2, embedding_dim=8, epochs=10, random_state=0).fit(X, y)
    >>> model.predict_proba(X).shape
    (80, 4)
    """

    KIND: ClassVar[str] = "hypcd:HypSimGCD"
    n_novel: int
    curvature: float
    last_rate: ClassVar[float | None] = CLASSIFIER_RATE

    def __init__(
        self,
        *,
        n_novel: int = 1,
        curvature: float = 0.1,
        clip_radius: float = 2.0,
        distance_weight: float = 1.0,
        angle_temperatures: Temperatures = (0.3, 0.021),
        embedding_dim: int = 128,
        bias_curvature: float | None = None,
        net: str | NetMaker = "auto",
        epochs: int = 200,
        batch_size: int = 128,
        learning_rate: float = 1e-3,
        random_state: int = 0,
    ) -> None:
        self.n_novel = n_novel
        self.curvature = curvature
        self.clip_radius = clip_radius
        self.distance_weight = distance_weight
        self.angle_temperatures = angle_temperatures
        self.embedding_dim = embedding_dim
        self.bias_curvature = bias_curvature
        self.net = net
        self.epochs = epochs
        self.batch_size = batch_size
        self.learning_rate = learning_rate
        self.random_state = random_state

    @property
    def cluster_names_(self) -> IntArray:
        """Labels ``(K,)`` of the classes: the known ones, then new numbers."""
        check_is_fitted(self, "net_")
        return cluster_names(self.classes_, len(self.net_.last.weight) - len(self.classes_))

    def predict_proba(self, X: Any) -> FloatArray:
        """Return the probabilities ``(n, K)`` of ``cluster_names_``."""
        check_is_fitted(self, "net_")
        return self._probabilities(self._inputs(X, fitting=False))

    def predict(self, X: Any) -> IntArray:
        """Return the most probable of ``cluster_names_`` for every row."""
        best = self.predict_proba(X).argmax(1)
        return self.cluster_names_[best]

    def _check(self, partial: PartialLabels) -> None:
        super()._check(partial)
        check_n_novel(self.n_novel, int(partial.unlabelled.sum()), low=0 if len(partial.classes) else 1)
        if self.curvature is None:
            raise InputError("curvature", got="None", expected="a number > 0 for the hyperbolic classifier")

    def _parts(self) -> tuple[nn.Module, nn.Module]:
        last = HypLinear(
            self.embedding_dim,
            len(self.classes_) + self.n_novel,
            curvature=self.curvature,
            bias_curvature=self.bias_curvature,
        )
        return ToPoincare(curvature=self.curvature, clip_radius=self.clip_radius), last

    def _loss(
        self, batch: TwoViews, loss: HybridContrastiveLoss, weight: float
    ) -> tuple[torch.Tensor, dict[str, float]]:
        points = self.net_.to_ball(self.net_.features(batch.inputs))
        logits, known = self.net_.last(points), batch.labels.repeat(2)
        distilled = self_distillation(logits, teacher_temperature=teacher_temperature(batch.epoch))
        value = loss(points, batch.labels, weight) + (1 - LABELLED_SHARE) * (distilled + mean_entropy(logits))
        if bool((known >= 0).any()):
            named = logits[known >= 0] / CLASSIFIER_TEMPERATURE
            value = value + LABELLED_SHARE * nn.functional.cross_entropy(named, known[known >= 0])
        return value, {"distance weight": weight, "distillation": distilled.item()}

    def _name_rows(self, inputs: np.ndarray, partial: PartialLabels, seed: int) -> None:
        codes = np.where(partial.unlabelled, self._probabilities(inputs).argmax(1), partial.codes)
        self.labels_ = self.cluster_names_[codes]

    def _probabilities(self, inputs: np.ndarray) -> FloatArray:
        def answer(x: torch.Tensor) -> torch.Tensor:
            logits = self.net_.last(self.net_.to_ball(self.net_.features(x)))
            return torch.softmax(logits / CLASSIFIER_TEMPERATURE, 1)

        return in_blocks(answer, inputs)

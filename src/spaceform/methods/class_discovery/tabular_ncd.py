"""PBN and the NCD clusterings (Troisemaine et al., Data Mining and Knowledge Discovery, 2024)."""

from __future__ import annotations

from contextlib import nullcontext
from typing import Any, final

import numpy as np
import torch
from numpy.typing import ArrayLike
from sklearn.base import BaseEstimator, ClassNamePrefixFeaturesOutMixin, ClusterMixin, TransformerMixin
from sklearn.preprocessing import StandardScaler
from torch import nn

from spaceform.checks import check_choice, check_integer, check_real, check_rows
from spaceform.clustering.hidden_classes import HiddenClassSearchCV, HiddenClassSplit
from spaceform.clustering.kmeans import KMeansResult, assign_nearest, kmeans
from spaceform.clustering.n_clusters import ClusterSweep, sweep_n_clusters
from spaceform.clustering.ncd import NCDKMeans, NCDSpectralClustering
from spaceform.clustering.partial import UNLABELLED, PartialLabels, check_n_novel, read_partial
from spaceform.errors import InputError
from spaceform.nets.mlp import mlp
from spaceform.rng import as_generator, derive_seed
from spaceform.training.batches import ShuffledBatches
from spaceform.training.loop import train
from spaceform.training.threads import one_thread
from spaceform.types import FloatArray, IntArray, Progress, RandomState, no_progress

__all__ = [
    "PBN",
    "HiddenClassSearchCV",
    "HiddenClassSplit",
    "NCDKMeans",
    "NCDSpectralClustering",
    "PBNClassifierDiscovery",
    "pbn_loss",
]

LATENT_SHARE = 0.7
"""Default latent width as a share of the features: the median of the seven published settings."""

SHORTEST = 1e-6
"""Latent rows shorter than this are divided by it instead of by their length: no direction, but finite gradients."""

PREDICT_ROWS = 8192
"""Rows projected at once."""

SMALL = 256
"""Up to so many features training takes one thread."""


@final
class PBN(nn.Module):
    """Encoder, decoder and linear classifier around one small latent space (section 3.4).

    The encoder is ``d -> 3d/4 -> d/2 -> latent_dim`` (rounded down, at least 1) with ReLU, batch normalization and
    dropout between layers, the decoder its mirror. Classifier and decoder see latent rows of unit length.

    Parameters: ``n_features`` d, ``n_classes`` known classes (0 leaves one idle output), ``latent_dim``, ``dropout``
    in [0, 1).
    """

    def __init__(self, *, n_features: int, n_classes: int, latent_dim: int, dropout: float = 0.0) -> None:
        super().__init__()
        widths = [n_features, max(1, 3 * n_features // 4), max(1, n_features // 2), latent_dim]
        self.encoder = mlp(widths, dropout=dropout)
        self.decoder = mlp(widths[::-1], dropout=dropout)
        self.classifier = nn.Linear(latent_dim, max(1, n_classes))

    def encode(self, x: torch.Tensor) -> torch.Tensor:
        """Return latent rows (n, latent_dim) of any length."""
        latent: torch.Tensor = self.encoder(x)
        return latent

    def project(self, x: torch.Tensor) -> torch.Tensor:
        """Return latent rows of unit length."""
        return nn.functional.normalize(self.encode(x), dim=-1, eps=SHORTEST)

    def decode(self, z: torch.Tensor) -> torch.Tensor:
        """Return reconstructed rows (n, d)."""
        rows: torch.Tensor = self.decoder(z)
        return rows

    def classify(self, z: torch.Tensor) -> torch.Tensor:
        """Return logits (n, n_classes) of the known classes."""
        logits: torch.Tensor = self.classifier(z)
        return logits


def pbn_loss(
    logits: torch.Tensor, codes: torch.Tensor, *, reconstruction: torch.Tensor, rows: torch.Tensor, loss_weight: float
) -> tuple[torch.Tensor, dict[str, float]]:
    """Return ``w CE + (1 - w) MSE`` of one mixed batch, and both parts.

    ``CE`` is the mean cross entropy over rows with ``codes (B,)`` >= 0 (0 when there is none), ``MSE`` the squared
    error summed over features and averaged over all rows: not a mean over entries, which would rescale ``w`` by d.
    """
    known = codes != UNLABELLED
    entropy = nn.functional.cross_entropy(logits[known], codes[known]) if bool(known.any()) else logits.sum() * 0
    error = (reconstruction - rows).square().sum() / len(rows)
    loss = loss_weight * entropy + (1 - loss_weight) * error
    return loss, {"cross entropy": float(entropy.detach()), "reconstruction": float(error.detach())}


@final
class PBNClassifierDiscovery(ClassNamePrefixFeaturesOutMixin, TransformerMixin, ClusterMixin, BaseEstimator):
    """Projection-based novel class discovery: known labels shape a latent space in which novel rows are clustered.

    PBN is trained on known and unlabelled rows by ``w CE(known) + (1 - w) MSE(all)``; then k-means clusters the latent
    unlabelled rows. Every unlabelled row is taken to be of a novel class.

    Parameters
    ----------
    n_novel : number of novel classes; None takes the k with the best silhouette of the latent rows.
    latent_dim : width of the latent space, >= 1; None for 0.7 d.
    learning_rate : of AdamW (default: median of the published settings, as ``loss_weight`` and ``dropout``).
    loss_weight : ``w`` in [0, 1]. 1 is the paper's baseline (trained on known rows alone, no reconstruction), 0 an
        autoencoder, which needs no labelled row.
    dropout : in [0, 1).
    epochs : passes over the rows (paper: 200).
    batch_size : rows per step, at least 2 (paper: 512). A last batch of one row is skipped.
    latent_norm : "l2" clusters latent rows of unit length, None (as the released code) of any length. The number of
        novel classes is estimated on unit length in either case.
    standardize : give every feature mean 0 and variance 1 over the training rows; constant ones keep scale 1.
    n_init : restarts of k-means.
    k_range : candidates for ``n_novel=None``.
    random_state : seed.

    Attributes
    ----------
    model_ : PBN in evaluation mode.
    classes_ : (C,) known labels.
    labels_ : (n,) novel class 0..n_novel-1 of unlabelled rows, -1 for labelled ones.
    cluster_centers_ : (n_novel, latent_dim).
    n_novel_, inertia_, n_iter_ : of the clustering; sweep_ : ClusterSweep behind ``n_novel=None``, else None.
    history_ : History of the training.
    scaler_ : StandardScaler of the features, None without.

    Raises
    ------
    InputError for NaN, no labelled row (unless ``loss_weight=0``), no unlabelled row, parameters outside their range,
    fewer than two rows to train on, and a loss that stops being finite. A known class with one row warns.

    Notes
    -----
    O(epochs n d^2), single-threaded-friendly. Tune with :class:`HiddenClassSearchCV`, never on novel labels: the
    good setting differs much from table to table.

    Examples
    --------
    >>> X = np.repeat(5 * np.eye(4), 20, axis=0) + np.random.default_rng(0).normal(size=(80, 4))
    >>> y = np.repeat([0, 1, -1, -1], 20)
    >>> model = PBNClassifierDiscovery(n_novel=2, epochs=20, random_state=0).fit(X, y)
    >>> np.unique(model.labels_), model.transform(X).shape
    (array([-1,  0,  1]), (80, 3))
    """

    def __init__(
        self,
        *,
        n_novel: int | None = None,
        latent_dim: int | None = None,
        learning_rate: float = 1e-3,
        loss_weight: float = 0.85,
        dropout: float = 0.09,
        epochs: int = 200,
        batch_size: int = 512,
        latent_norm: str | None = None,
        standardize: bool = True,
        n_init: int = 10,
        k_range: tuple[int, int] = (2, 30),
        random_state: RandomState = None,
    ) -> None:
        self.n_novel = n_novel
        self.latent_dim = latent_dim
        self.learning_rate = learning_rate
        self.loss_weight = loss_weight
        self.dropout = dropout
        self.epochs = epochs
        self.batch_size = batch_size
        self.latent_norm = latent_norm
        self.standardize = standardize
        self.n_init = n_init
        self.k_range = k_range
        self.random_state = random_state

    def fit(self, X: Any, y: ArrayLike | None = None, *, progress: Progress = no_progress) -> PBNClassifierDiscovery:
        """Train on the rows ``X (n, d)``, cluster those whose label in ``y (n,)`` is -1, and return self."""
        rows = check_rows(self, X, fitting=True)
        weight = self._check()
        partial = read_partial(y, len(rows), need_known=weight > 0)
        if self.n_novel is not None:
            check_n_novel(self.n_novel, int(partial.unlabelled.sum()))
        self.scaler_ = StandardScaler().fit(rows.astype(np.float64)) if self.standardize else None
        self._seed = int(as_generator(self.random_state).integers(2**31))
        self.classes_ = partial.classes
        self._train(rows, partial, weight, progress)
        novel = rows[partial.unlabelled]
        self.sweep_ = None if self.n_novel is not None else self.estimate_n_novel(novel)
        self.n_novel_ = self.sweep_.best if self.sweep_ is not None else int(self.n_novel or 0)
        result = self._cluster(novel, self.n_novel_)
        self.cluster_centers_, self.inertia_, self.n_iter_ = result.centers, result.inertia, result.n_iter
        self.labels_ = np.full(len(rows), UNLABELLED, np.int64)
        self.labels_[partial.unlabelled] = result.labels
        return self

    def fit_predict(self, X: Any, y: ArrayLike | None = None) -> IntArray:
        """Fit and return ``labels_``."""
        return self.fit(X, y).labels_

    def transform(self, X: Any) -> FloatArray:
        """Return the latent rows (n, latent_dim) that are clustered, in the dtype of ``X``."""
        return self._latent(check_rows(self, X, fitting=False), unit=self.latent_norm == "l2")

    def predict(self, X: Any) -> IntArray:
        """Return the nearest novel class ``0..n_novel-1`` of every row."""
        return assign_nearest(self.transform(X), self.cluster_centers_)[0]

    def predict_known(self, X: Any) -> np.ndarray:
        """Return the most probable known class of every row. Raises ``InputError`` without known classes."""
        rows = check_rows(self, X, fitting=False)
        if len(self.classes_) == 0:
            raise InputError("y", got="no labelled row in fit", expected="some, to predict known classes")
        unit = torch.from_numpy(self._latent(rows, unit=True).astype(np.float32))
        with torch.inference_mode():
            return self.classes_[self.model_.classify(unit).argmax(1).numpy()]

    def discover(self, X: Any, n_novel: int) -> IntArray:
        """Cluster the rows ``X`` afresh into ``n_novel`` classes in the trained latent space."""
        rows = check_rows(self, X, fitting=False)
        return self._cluster(rows, check_n_novel(n_novel, len(rows))).labels

    def estimate_n_novel(
        self,
        X: Any,
        *,
        index: str = "silhouette",
        n_runs: int = 3,
        known: Any = None,
        known_labels: ArrayLike | None = None,
        progress: Progress = no_progress,
    ) -> ClusterSweep:
        """Return the sweep of ``index`` over ``k_range`` on latent rows of unit length.

        ``X`` are unlabelled rows; ``known`` rows and ``known_labels`` are for the index "known_accuracy" only. See
        :func:`spaceform.clustering.n_clusters.sweep_n_clusters`.
        """
        rows = check_rows(self, X, fitting=False)
        beside = None if known is None else self._latent(check_rows(self, known, fitting=False), unit=True)
        return sweep_n_clusters(
            self._latent(rows, unit=True),
            k_range=self.k_range,
            index=index,
            n_runs=n_runs,
            n_init=self.n_init,
            known=beside,
            known_labels=None if known_labels is None else np.asarray(known_labels),
            random_state=derive_seed(self._seed, "sweep"),
            progress=progress,
        )

    @property
    def _n_features_out(self) -> int:
        return int(self.cluster_centers_.shape[1])

    def _check(self) -> float:
        """Validate the parameters that no other function will, and return the loss weight."""
        if self.latent_dim is not None:
            check_integer(self.latent_dim, "latent_dim", low=1)
        check_real(self.learning_rate, "learning_rate", low=0, open_ends=True)
        check_real(self.dropout, "dropout", low=0, high=0.999)
        check_integer(self.epochs, "epochs", low=0)
        if self.latent_norm is not None:
            check_choice(self.latent_norm, "latent_norm", ("l2",))
        return check_real(self.loss_weight, "loss_weight", low=0, high=1)

    def _train(self, rows: FloatArray, partial: PartialLabels, weight: float, progress: Progress) -> None:
        width = rows.shape[1]
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(derive_seed(self._seed, "weights"))
            model = PBN(
                n_features=width,
                n_classes=len(partial.classes),
                latent_dim=self.latent_dim or max(1, round(LATENT_SHARE * width)),
                dropout=self.dropout,
            )
        # with w = 1 unlabelled rows would only shift the batch statistics: the paper's baseline has known rows alone
        used = ~partial.unlabelled if weight == 1 else slice(None)
        inputs = torch.from_numpy(self._standardized(rows[used]))
        codes = torch.from_numpy(partial.codes[used])
        batches = ShuffledBatches(inputs, codes, batch_size=self.batch_size, seed=self._seed, min_rows=2)

        def loss_step(batch: tuple[torch.Tensor, ...]) -> tuple[torch.Tensor, dict[str, float]]:
            x, known = batch
            z = model.project(x)
            return pbn_loss(model.classify(z), known, reconstruction=model.decode(z), rows=x, loss_weight=weight)

        optimizer = torch.optim.AdamW(model.parameters(), lr=self.learning_rate, fused=True)
        steps = self.epochs * batches.per_epoch
        with one_thread() if width <= SMALL else nullcontext():
            self.history_ = train(
                model,
                loss_step,
                batches,
                steps=steps,
                optimizer=optimizer,
                seed=self._seed,
                progress=progress,
                task="PBN",
            )
        self.model_ = model.eval()

    def _cluster(self, rows: FloatArray, k: int) -> KMeansResult:
        latent = self._latent(rows, unit=self.latent_norm == "l2")
        return kmeans(latent, k, n_init=self.n_init, random_state=derive_seed(self._seed, "clusters"))

    def _latent(self, rows: FloatArray, *, unit: bool) -> FloatArray:
        project = self.model_.project if unit else self.model_.encode
        with torch.inference_mode():
            parts = [
                project(torch.from_numpy(self._standardized(rows[start : start + PREDICT_ROWS]))).numpy()
                for start in range(0, len(rows), PREDICT_ROWS)
            ]
        return np.concatenate(parts).astype(rows.dtype)

    def _standardized(self, rows: FloatArray) -> FloatArray:
        scaled = rows if self.scaler_ is None else self.scaler_.transform(rows.astype(np.float64))
        return np.asarray(scaled, dtype=np.float32)

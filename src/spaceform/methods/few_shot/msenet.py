"""MSENet: prototypes at several depths of a network (Askari, Fateh, Mohammadi, arXiv 2409.07989, 2024)."""

from __future__ import annotations

from collections.abc import Sequence
from typing import ClassVar, Self, final

import numpy as np
import torch
from numpy.typing import ArrayLike
from sklearn.utils.validation import check_is_fitted
from torch import nn

from spaceform.checks import check_choice, check_integer, check_real
from spaceform.encoders.abstract import AbstractEncoder, NetMaker
from spaceform.encoders.batches import device
from spaceform.encoders.episodes import episodes_plan, with_rates
from spaceform.errors import InputError
from spaceform.heads.multi_scale import MultiScalePrototypeHead
from spaceform.heads.prototype_classifier import MultiScalePrototypeClassifier
from spaceform.nets.attention.self_attention import SpatialSelfAttention
from spaceform.nets.resnets.resnet18 import ResNet18
from spaceform.nets.stages import WIDTHS, StagedConvNet
from spaceform.nets.taps import FeatureTaps
from spaceform.rng import derive_seed
from spaceform.samplers.episodes import EpisodeSampler
from spaceform.training.loop import Callback
from spaceform.types import FloatArray, PathLike, Progress, no_progress

__all__ = [
    "MSENet",
    "MSENetEncoder",
    "MultiScalePrototypeClassifier",
    "MultiScalePrototypeHead",
    "SpatialSelfAttention",
]

RESNET18_TAPS = ("maxpool", "layer2.0.conv1", "layer3.0.conv1", "layer4.0.conv1", "avgpool")
"""The official code taps ResNet-18 after the stem, at the first convolution of stages 2 to 4, and after pooling."""

NETS = "'auto', 'stages' or 'resnet18', with a width from 1/64 to 8 such as 'resnet18:0.5', or a function"

MOST_WAYS = 20
"""Classes of a training episode, where there are as many (20 for one shot in the official README, 30 for five)."""


@final
class MSENet(nn.Module):
    """Few-shot classifier that adds up distances to class means at several depths of a backbone.

    Maps of the tapped layers are refined by self-attention and averaged over positions, ``z_s = mean(x_s + gamma_s
    o_s)``; then ``l(q, k) = - sum_s alpha_s |z_s(q) - p_sk|`` with the means ``p_sk`` of the supports of class k.

    Parameters: ``backbone`` any network of pictures ``(B, C, H, W)``; ``taps`` names of layers with 4-D maps
    (:data:`RESNET18_TAPS` for a ResNet-18 of :mod:`spaceform.nets.resnets`); ``input_shape (C, H, W)`` of one picture;
    ``attention``: one :class:`SpatialSelfAttention` per tap, for supports and queries alike, with the start ``gamma``
    (the official code tries 0 to 0.5) and ``out_proj``; ``head`` what compares, a :class:`MultiScalePrototypeHead` with
    learned weights from 1 if None.

    Supports and queries go through the backbone in one pass. In training mode batch statistics therefore come from
    both, and logits depend on it; in evaluation mode they do not.

    Raises ``InputError`` for unknown taps, layers without 4-D maps, a head for another number of taps, pictures of
    another form, and what the head refuses. O(B) passes of the backbone and O(B N^2 C) for attention on N positions.

    >>> net = MSENet(StagedConvNet(channels=1), ["stage1", "stage3", "stage5"], input_shape=(1, 28, 28))
    >>> net(torch.rand(4, 1, 28, 28), torch.tensor([7, 3, 7, 3]), torch.rand(6, 1, 28, 28)).shape
    torch.Size([6, 2])
    """

    def __init__(
        self,
        backbone: nn.Module,
        taps: Sequence[str] = RESNET18_TAPS,
        *,
        input_shape: Sequence[int] = (3, 84, 84),
        attention: bool = True,
        gamma: float = 0.0,
        out_proj: bool = False,
        head: nn.Module | None = None,
    ) -> None:
        super().__init__()
        self.taps = FeatureTaps(backbone, taps)
        self.channels = self.taps.channels(input_shape)
        made = (SpatialSelfAttention(c, gamma=gamma, out_proj=out_proj) for c in self.channels)
        self.attention = nn.ModuleList(made if attention else (nn.Identity() for _ in self.channels))
        self.head = MultiScalePrototypeHead(len(self.channels)) if head is None else head
        if getattr(self.head, "n_scales", len(self.channels)) != len(self.channels):
            got = f"one for {self.head.n_scales} spaces"
            raise InputError("head", got=got, expected=f"{len(self.channels)}, as many as taps")

    def forward(self, support: torch.Tensor, support_y: torch.Tensor, query: torch.Tensor) -> torch.Tensor:
        """Return logits ``(Q, K)`` of pictures ``query``; column c is for the c-th smallest label of ``support_y``."""
        for name, pictures in (("support", support), ("query", query)):
            if pictures.ndim != 4 or len(pictures) == 0 or pictures.shape[1:] != support.shape[1:]:
                got = f"shape {tuple(pictures.shape)}"
                raise InputError(name, got=got, expected="at least one picture (n, C, H, W), of one shape in both")
        embedded = self.embed(torch.cat([support, query]))
        logits: torch.Tensor = self.head(
            [rows[: len(support)] for rows in embedded], support_y, [rows[len(support) :] for rows in embedded]
        )
        return logits

    def embed(self, pictures: torch.Tensor) -> list[torch.Tensor]:
        """Return the vectors ``(B, C_s)`` of every tap for ``pictures (B, C, H, W)``."""
        maps = self.taps(pictures).values()
        return [refine(x).mean((2, 3)) for refine, x in zip(self.attention, maps, strict=True)]


@final
class MSENetEncoder(AbstractEncoder):
    """Encoder, trained on episodes: one picture is named after a few of each class, by distances at several depths.

    The vector of a picture is ``[alpha_1 z_1, ..., alpha_S z_S]`` of a trained :class:`MSENet`, so that
    :class:`MultiScalePrototypeClassifier` with ``scale_slices_`` and equal weights answers as the network does.

    Parameters
    ----------
    net : ``"stages"`` (small), ``"resnet18"``, with ``":0.5"`` for half the channels; ``"auto"`` is ``"stages"``; or a
        function of the input shape and a width (96) that returns a network of pictures ``(B, C, H, W)``, which needs
        ``taps``.
    taps : names of layers with 4-D maps; None takes all stages, or the paper's taps of ResNet-18.
    attention : refine maps by self-attention (the released figures show no effect).
    init : start of the weights alpha: one number, or one per tap.
    nonneg : ``"relu"`` or ``"softplus"``; weights scale the vectors and must not be negative.
    n_way, n_shot, n_query : of the training episodes; ``n_way`` None takes 20, or all classes with rows enough.
    steps : optimiser steps, one episode each; 0 leaves the random start.
    learning_rate : of the network (Adam); the paper has 1e-4 from ImageNet weights, from scratch 1e-3 is better.
    weight_rate : of alpha and gamma, 0.005 in the official code; 0 keeps them as they start.
    random_state : non-negative integer; equal seeds on one machine and thread count give equal weights.

    Attributes
    ----------
    net_ : the trained :class:`MSENet`. weights_ : alpha (S,). scale_slices_ : columns of each depth (S pairs).
    history_, classes_, input_shape_, dim, fingerprint : as of any encoder.

    Raises
    ------
    InputError : inputs of another shape or dtype, fewer classes than ``n_way`` with ``n_shot + n_query`` rows, unknown
    nets and taps, inputs of another shape in ``transform``.

    Cost: O(steps x n_way x (n_shot + n_query) x pixels). Vectors are taken as pictures of one pixel.

    Examples
    --------
    >>> pictures = np.random.default_rng(0).integers(0, 256, (12, 16, 16, 3), dtype=np.uint8)
    >>> encoder = MSENetEncoder(n_way=2, n_query=2, steps=2)
    >>> encoder.fit(pictures, [0, 0, 0, 1, 1, 1, 2, 2, 2, 3, 3, 3]).transform(pictures).shape
    (12, 336)
    """

    KIND: ClassVar[str] = "msenet"

    def __init__(
        self,
        *,
        net: str | NetMaker = "auto",
        taps: Sequence[str] | None = None,
        attention: bool = True,
        init: float | Sequence[float] = 1.0,
        nonneg: str = "relu",
        n_way: int | None = None,
        n_shot: int = 1,
        n_query: int = 10,
        steps: int = 300,
        learning_rate: float = 1e-3,
        weight_rate: float = 0.005,
        random_state: int = 0,
    ) -> None:
        self.net = net
        self.taps = taps
        self.attention = attention
        self.init = init
        self.nonneg = nonneg
        self.n_way = n_way
        self.n_shot = n_shot
        self.n_query = n_query
        self.steps = steps
        self.learning_rate = learning_rate
        self.weight_rate = weight_rate
        self.random_state = random_state

    def fit(
        self,
        X: ArrayLike,
        y: ArrayLike,
        *,
        checkpoint: PathLike | None = None,
        every: int = 50,
        callbacks: Sequence[Callback] = (),
        progress: Progress = no_progress,
    ) -> Self:
        """Train on ``X`` with labels ``y (n,)`` (integer -1: never drawn) and return self.

        ``X``: pictures ``(n, size, size[, channels])`` uint8 or floats in [0, 1], or vectors ``(n, d)``. With a
        ``checkpoint`` folder, written ``every`` so many steps, a killed call goes on where it stood when it is
        repeated, and ends with the same weights as an unbroken one. ``callbacks`` may end training early.
        """
        inputs, codes = data = self._enter(X, y)
        check_integer(self.steps, "steps", low=0)
        check_choice(self.nonneg, "nonneg", ("relu", "softplus"))
        rate = check_real(self.learning_rate, "learning_rate", low=0, open_ends=True)
        weight_rate = check_real(self.weight_rate, "weight_rate", low=0)
        seed = self.random_state
        sampler = self._sampler(codes, seed)
        self.net_ = self._new_net(seed)
        groups = with_rates(self.net_, {"alpha": weight_rate, "gamma": weight_rate}, rate=rate)
        plan = episodes_plan(
            self.net_,
            _as_pictures(inputs),
            sampler,
            steps=self.steps,
            optimizer=torch.optim.Adam(groups),
            seed=seed,
        )
        return self._run(plan, data, checkpoint=checkpoint, every=every, callbacks=callbacks, progress=progress)

    @property
    def dim(self) -> int:
        """Dimensions of the vectors."""
        return int(sum(self._trained.channels))

    @property
    def weights_(self) -> FloatArray:
        """The weight of each depth ``(S,)``."""
        weights: FloatArray = self._head.weights.detach().cpu().numpy()
        return weights

    @property
    def scale_slices_(self) -> list[tuple[int, int]]:
        """First column and the one after the last of each depth."""
        stops = np.cumsum(self._trained.channels).tolist()
        return list(zip([0, *stops[:-1]], stops, strict=True))

    @property
    def _trained(self) -> MSENet:
        check_is_fitted(self, "net_")
        assert isinstance(self.net_, MSENet)  # noqa: S101  # what _new_net makes
        return self.net_

    @property
    def _head(self) -> MultiScalePrototypeHead:
        assert isinstance(self._trained.head, MultiScalePrototypeHead)  # noqa: S101  # as above
        return self._trained.head

    def _embed(self, batch: torch.Tensor) -> torch.Tensor:
        pictures = batch if batch.ndim == 4 else batch[:, :, None, None]
        return torch.cat([w * z for w, z in zip(self._head.weights, self._trained.embed(pictures), strict=True)], dim=1)

    def _sampler(self, codes: np.ndarray, seed: int) -> EpisodeSampler:
        rows = check_integer(self.n_shot, "n_shot", low=1) + check_integer(self.n_query, "n_query", low=1)
        enough = int((np.bincount(codes[codes >= 0]) >= rows).sum())
        return EpisodeSampler(
            codes,
            n_way=max(2, min(MOST_WAYS, enough)) if self.n_way is None else self.n_way,
            n_shot=self.n_shot,
            n_query=self.n_query,
            seed=derive_seed(seed, "episodes"),
        )

    def _new_net(self, seed: int) -> nn.Module:
        shape = self.input_shape_ if len(self.input_shape_) == 3 else (1, 1, *self.input_shape_)
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(derive_seed(seed, "weights"))
            backbone, taps = self._tapped(shape)
            head = MultiScalePrototypeHead(len(taps), init=self.init, nonneg=self.nonneg)
            net = MSENet(backbone, taps, input_shape=(shape[2], *shape[:2]), attention=self.attention, head=head)
        return net.to(device())

    def _tapped(self, shape: tuple[int, ...]) -> tuple[nn.Module, Sequence[str]]:
        """Return the backbone for pictures of ``shape (size, size, channels)`` and the layers to tap."""
        if not isinstance(self.net, str):
            if self.taps is None:
                raise InputError("taps", got="None", expected="names of layers of the network that net returns")
            return self.net(shape, WIDTHS[-1]), self.taps
        name, _, factor = self.net.partition(":")
        width = _number(factor, self.net)
        if name in {"auto", "stages"}:
            widths = [max(1, round(width * wide)) for wide in WIDTHS]
            staged = StagedConvNet(channels=shape[2], size=shape[0], widths=widths)
            return staged, self.taps or staged.stages
        if name == "resnet18":
            return ResNet18(channels=shape[2], width=width), self.taps or RESNET18_TAPS
        raise InputError("net", got=repr(self.net), expected=NETS)


def _as_pictures(inputs: np.ndarray) -> np.ndarray:
    """Return vectors ``(n, d)`` as pictures of one pixel ``(n, 1, 1, d)``, and pictures as they are."""
    return inputs[:, None, None, :] if inputs.ndim == 2 else inputs


def _number(text: str, name: str) -> float:
    try:
        return check_real(float(text) if text else 1.0, "net", low=1 / 64, high=8)
    except ValueError as error:
        raise InputError("net", got=repr(name), expected=NETS) from error

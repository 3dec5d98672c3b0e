"""Models whose encoder and decoder meet in relative coordinates, and one's encoder before another's decoder."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from typing import ClassVar, Protocol, Self, TypeAlias, final

import numpy as np
import torch
from numpy.typing import ArrayLike
from torch import nn

from spaceform.checks import check_choice, check_integer
from spaceform.errors import InputError
from spaceform.heads.relative import RelativeLayer, meaning
from spaceform.types import FloatArray, IntArray

REFRESH = ("each_step", "frozen")


@final
class RelativeModel(nn.Module):
    """An encoder and a decoder that meet in relative coordinates, trained together or each on its own.

    ``decoder(norm(layer(encoder(x), encoder(anchors))))``. Anchors are embedded by the encoder as it is at that step,
    without gradient: stale ones would no longer be the same points, and a gradient through them doubles the cost.

    Parameters
    ----------
    encoder, decoder : modules ``(B, ...) -> (B, d)`` and ``(B, m) -> anything``.
    anchors : the anchor samples ``(m, ...)`` themselves, stored with the model as a buffer.
    anchor_ids : integers (m,) that say which items they are, the same for paired samples of two domains; None takes
        digests of the samples, so that equal samples have equal ids.
    layer : a :class:`RelativeLayer` (None: cosine).
    norm : "layer" (the paper's), "batch" (statistics stored in training), "query_batch" or "none". "query_batch"
        normalises over the batch in evaluation too, as the heads of the released code do: predictions then depend on
        the other rows, and a single row is refused.
    refresh : "each_step", or "frozen": embed the anchors once, now; :meth:`freeze` does it after training.

    ``coordinates`` says what the coordinates mean; :func:`stitch` compares it. Everything learned, the anchors and
    their ids are in ``state_dict``. In training mode batch norm inside the encoder sees the anchors as a batch, too.

    Raises ``InputError`` for NaN anchors, ids of another number, other names and an encoder that returns no rows.
    O((B + m) encoder) a step: with many anchors their pass is the dear one.

    >>> model = RelativeModel(nn.Identity(), nn.Identity(), torch.eye(2), norm="none")
    >>> model(torch.tensor([[3.0, 4.0]]))
    tensor([[0.6000, 0.8000]])
    """

    anchors: torch.Tensor
    anchor_ids: torch.Tensor
    frozen: torch.Tensor | None

    def __init__(
        self,
        encoder: nn.Module,
        decoder: nn.Module,
        anchors: torch.Tensor,
        *,
        anchor_ids: ArrayLike | None = None,
        layer: RelativeLayer | None = None,
        norm: str = "layer",
        refresh: str = "each_step",
    ) -> None:
        super().__init__()
        if anchors.ndim < 2 or len(anchors) == 0 or not bool(torch.isfinite(anchors).all()):
            raise InputError("anchors", got=f"shape {tuple(anchors.shape)}", expected="finite samples (m, ...)")
        ids = _sample_ids(anchors) if anchor_ids is None else np.asarray(anchor_ids)
        if ids.shape != (len(anchors),) or ids.dtype.kind not in "iu":
            raise InputError("anchor_ids", got=f"{ids.dtype} of shape {ids.shape}", expected=f"{len(anchors)} integers")
        self.encoder, self.decoder = encoder, decoder
        self.layer = RelativeLayer() if layer is None else layer
        self.norm = _NORMS[check_choice(norm, "norm", list(_NORMS))](len(anchors) * self.layer.copies)
        self.register_buffer("anchors", anchors.clone())
        self.register_buffer("anchor_ids", torch.from_numpy(ids.astype(np.int64)))
        self.register_buffer("frozen", None)
        if check_choice(refresh, "refresh", REFRESH) == "frozen":
            self.freeze()

    @property
    def coordinates(self) -> str:
        """What the coordinates mean: equal for two models whose parts fit."""
        return meaning(self.layer.extra_repr(), self.anchor_ids.cpu().numpy())

    @torch.no_grad()
    def freeze(self) -> Self:
        """Embed the anchors once for all calls to come, as inference wants it, and return self."""
        with _evaluating([self.encoder]):
            self.frozen = self.encoder(self.anchors)
        return self

    def encode(self, x: torch.Tensor) -> torch.Tensor:
        """Return relative coordinates ``(B, m)`` of samples ``(B, ...)``."""
        if self.frozen is not None:
            return self.layer(self.encoder(x), self.frozen)
        with torch.no_grad():
            anchors = self.encoder(self.anchors)
        coordinates: torch.Tensor = self.layer(self.encoder(x), anchors)
        return coordinates

    def decode(self, coordinates: torch.Tensor) -> torch.Tensor:
        """Return what the decoder makes of relative coordinates ``(B, m)``, its own or another model's."""
        made: torch.Tensor = self.decoder(self.norm(coordinates))
        return made

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Return ``decode(encode(x))``."""
        return self.decode(self.encode(x))


@final
class AbsoluteModel(nn.Module):
    """An encoder and a decoder joined by plain vectors: the baseline that can't be stitched across trainings.

    Parameters: ``encoder``, ``decoder`` as of :class:`RelativeModel`; ``width`` of the vectors between them. Raises
    ``InputError`` for ``width < 1``. Cost: O(1) beside the two.

    >>> AbsoluteModel(nn.Identity(), nn.Identity(), width=2).coordinates
    'absolute: 2'
    """

    def __init__(self, encoder: nn.Module, decoder: nn.Module, *, width: int) -> None:
        super().__init__()
        self.encoder, self.decoder, self.width = encoder, decoder, check_integer(width, "width", low=1)

    @property
    def coordinates(self) -> str:
        """What can be compared: only the width."""
        return f"absolute: {self.width}"

    def encode(self, x: torch.Tensor) -> torch.Tensor:
        """Return vectors ``(B, width)``."""
        vectors: torch.Tensor = self.encoder(x)
        return vectors

    def decode(self, vectors: torch.Tensor) -> torch.Tensor:
        """Return what the decoder makes of them."""
        made: torch.Tensor = self.decoder(vectors)
        return made

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Return ``decode(encode(x))``."""
        return self.decode(self.encode(x))


class Coordinated(Protocol):
    """Whatever says what its coordinates mean."""

    @property
    def coordinates(self) -> str:
        """Equal for two whose coordinates may be exchanged."""
        ...


Model: TypeAlias = RelativeModel | AbsoluteModel


@final
class StitchedModel(nn.Module):
    """The encoder of one model before the decoder of another; made by :func:`stitch`, which says what is refused.

    Parameters: ``first`` gives encoder and anchors, ``second`` norm and decoder. Cost: O(1) beside them.

    >>> one, other = (AbsoluteModel(nn.Identity(), nn.Identity(), width=2) for _ in range(2))
    >>> StitchedModel(one, other)(torch.ones(1, 2))
    tensor([[1., 1.]])
    """

    def __init__(self, first: Model, second: Model) -> None:
        super().__init__()
        self.first, self.second = first, second

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Return ``second.decode(first.encode(x))``."""
        return self.second.decode(self.first.encode(x))


def stitch(encoder_model: Model, decoder_model: Model) -> StitchedModel:
    """Return the encoder (and anchors) of one model before the decoder (and norm) of another. Nothing is trained.

    Raises ``InputError`` when their coordinates do not mean the same: other anchors, another order, another closeness,
    or absolute vectors of different widths, for which stitching is not defined. O(1).
    """
    check_same_coordinates(encoder_model, decoder_model)
    return StitchedModel(encoder_model, decoder_model)


def check_same_coordinates(first: Coordinated, second: Coordinated) -> None:
    """Raise ``InputError`` unless the columns of what two models (or fitted projections) give mean the same. O(m)."""
    here, there = first.coordinates, second.coordinates
    if here != there:
        raise InputError(
            "coordinates",
            got=f"{here!r} and {there!r}: stitching them is not defined",
            expected="one closeness and the same anchors in the same order (absolute: one width)",
        )


Score = Callable[[torch.Tensor, torch.Tensor], float]


@torch.inference_mode()
def stitching_matrix(
    models: Sequence[Model],
    X: torch.Tensor | Sequence[torch.Tensor],
    y: torch.Tensor,
    *,
    metric: str | Score = "accuracy",
) -> FloatArray:
    """Return the score ``(M, M)`` of encoder i before decoder j; on the diagonal nothing is stitched.

    ``X``: samples for all models, or a tensor of the same items for each (another domain or size). ``y``: labels or
    targets. ``metric``: "accuracy" of the largest output, "mse", or a function of outputs and ``y``. Where absolute
    widths differ the score is not defined: NaN. Models keep their modes. Raises ``InputError`` where :func:`stitch`
    does else, and for another number of inputs. O(M encoders + M^2 decoders).
    """
    inputs = [X] * len(models) if isinstance(X, torch.Tensor) else list(X)
    if len(inputs) != len(models) or not models:
        raise InputError("X", got=f"{len(inputs)} inputs", expected=f"one for each of {len(models)} models (>= 1)")
    score = metric if callable(metric) else _METRICS[check_choice(metric, "metric", list(_METRICS))]
    table = np.full((len(models), len(models)), np.nan)
    with _evaluating(models):
        for i, (first, samples) in enumerate(zip(models, inputs, strict=True)):
            coordinates = first.encode(samples)
            for j, second in enumerate(models):
                kinds = {type(first), type(second)}
                if kinds == {AbsoluteModel} and first.coordinates != second.coordinates:
                    continue
                check_same_coordinates(first, second)
                table[i, j] = score(second.decode(coordinates), y)
    return table


class _QueryBatchNorm(nn.Module):
    """Brings each coordinate to mean 0 and variance 1 over the rows of the batch, whatever the mode."""

    EPS: ClassVar[float] = 1e-5

    def __init__(self, width: int) -> None:
        super().__init__()
        self.width = width

    def forward(self, rows: torch.Tensor) -> torch.Tensor:
        if len(rows) < 2:
            raise InputError("x", got="a batch of one row", expected="two or more", remedy="take norm='layer'")
        return (rows - rows.mean(0)) / (rows.var(0, unbiased=False) + self.EPS).sqrt()


_NORMS: dict[str, Callable[[int], nn.Module]] = {
    "layer": nn.LayerNorm,
    "batch": nn.BatchNorm1d,
    "query_batch": _QueryBatchNorm,
    "none": nn.Identity,
}

_METRICS: dict[str, Score] = {
    "accuracy": lambda outputs, y: float((outputs.argmax(1) == y).double().mean()),
    "mse": lambda outputs, y: float((outputs - y).square().mean()),
}


@contextmanager
def _evaluating(models: Sequence[nn.Module]) -> Iterator[None]:
    with ExitStack() as stack:
        for model in models:
            stack.callback(model.train, model.training)
            model.eval()
        yield


def _sample_ids(samples: torch.Tensor) -> IntArray:
    rows = samples.detach().cpu().contiguous()
    digests = [hashlib.blake2b(row.numpy().tobytes(), digest_size=8).digest() for row in rows]
    return np.frombuffer(b"".join(digests), dtype="<i8").astype(np.int64)

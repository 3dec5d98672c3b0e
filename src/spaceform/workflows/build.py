"""Build a Space from a data set, a folder of pictures, a file of texts or vectors; train its encoder if need be."""

from __future__ import annotations

import shutil
import time
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np

from spaceform.checks import check_integer, check_real
from spaceform.data.layouts.source import Source
from spaceform.data.pictures import as_vectors, encode_png
from spaceform.errors import InputError
from spaceform.metrics.retrieval import map_at_r, recall_at_k
from spaceform.rng import as_generator, derive_seed
from spaceform.space import Space
from spaceform.types import BoolArray, FloatArray, IntArray, PathLike, Progress, no_progress
from spaceform.workflows.encoders import FOLDER, Encoder, named_encoder, open_encoder
from spaceform.workflows.places.folder import writable_folder
from spaceform.workflows.places.rows import read_rows

UNSEEN = 0.4
"""Share of the classes that training never sees, so that the report can say how it does on new ones."""

CHECKPOINT = "checkpoint"
"""Where a run that is not over is saved inside the folder of its Space."""

MIN_CLASSES = 10
"""With fewer classes none are kept back: the rest would be too few to learn from."""


@dataclass(frozen=True, kw_only=True)
class BuildResult:
    """What was built: the folder, its size, and what the encoder learned, in figures on classes it never saw.

    ``learned`` maps an encoder (``raw pixels``, ``untrained``, ``trained``) to ``recall_at_1`` and ``map_at_r``,
    both in [0, 1] and measured among the rows of unseen classes only; empty when nothing was trained.
    """

    path: str
    rows: int
    dim: int
    label: str | None
    encoder: str
    seen_classes: int = 0
    unseen_classes: int = 0
    learned: Mapping[str, Mapping[str, float]] = field(default_factory=dict)
    seconds: float = 0.0

    def to_dict(self) -> dict[str, Any]:
        """Return plain values for JSON."""
        return asdict(self)


def build(
    source: PathLike,
    out: PathLike,
    *,
    encoder: str | None = None,
    label: str | None = None,
    vector_column: str | None = None,
    text_column: str | None = None,
    size: int = 48,
    dim: int = 64,
    steps: int = 400,
    unseen: float = UNSEEN,
    seed: int = 0,
    progress: Progress = no_progress,
) -> BuildResult:
    """Read ``source``, embed its rows, and write a Space to the folder ``out``.

    Parameters: ``source`` is a data set's name (``emoji``), a folder of pictures (one sub-folder per class, or
    none), a ``.npy``/``.npz``/``.parquet``/``.csv`` file of vectors or texts. ``encoder`` is ``conv`` (trained here
    by FaceNet's triplet loss with semi-hard negatives; the default for pictures with classes), ``pixels`` (the
    pictures themselves; the default for pictures without), ``minilm`` (the default for texts),
    ``package.module:function``, or the folder of an encoder
    (:func:`~spaceform.workflows.encoders.named_encoder`). A folder that ``embed`` wrote is taken with its vectors and
    its encoder. ``label`` names the column with the classes, ``size`` the side of pictures in pixels, ``dim`` and
    ``steps`` belong to the trained encoder, ``unseen`` is the share of classes kept from it.

    A killed call goes on where it stood when it is repeated with the same arguments, and ends with the same
    weights. Raises ``InputError`` for sources and options that do not fit each other.
    """
    begun = time.monotonic()
    check_integer(size, "size", low=8, high=512)
    check_real(unseen, "unseen", low=0, high=0.9)
    rows = read_rows(
        source,
        label=label,
        vector_column=vector_column,
        text_column=text_column,
        size=size,
        names_only=encoder == "minilm",
        progress=progress,
    )
    folder = Path(out)
    chosen = encoder or _default_encoder(rows)
    with writable_folder(folder):
        if chosen == "conv":
            recipe = _Recipe(dim=dim, steps=steps, unseen=unseen, seed=seed)
            space, result = _trained(rows, folder, recipe, progress)
        else:
            space, result = _embedded(rows, folder, chosen, progress)
        space.save(folder)
    shutil.rmtree(folder / CHECKPOINT, ignore_errors=True)
    return replace(result, path=str(folder), seconds=round(time.monotonic() - begun, 1))


@dataclass(frozen=True, kw_only=True)
class _Recipe:
    """What training depends on besides the pictures."""

    dim: int
    steps: int
    unseen: float
    seed: int


def _default_encoder(rows: Source) -> str:
    if rows.kind == "texts":
        return "minilm"
    if rows.kind == "vectors":
        return "none"
    return "conv" if rows.label is not None else "pixels"


def _trained(rows: Source, folder: Path, recipe: _Recipe, progress: Progress) -> tuple[Space, BuildResult]:
    """Train an encoder on the seen classes, embed all rows, and measure it on the unseen ones."""
    from spaceform.methods.metric_learning.facenet import FaceNet

    if rows.images is None or rows.label is None:
        raise InputError("encoder", got="'conv'", expected="pictures with classes", remedy="use 'pixels' or 'minilm'")
    y, classes = _codes(rows.attributes[rows.label])
    seen = seen_rows(y, share=1 - recipe.unseen if len(classes) >= MIN_CLASSES else 1.0, seed=recipe.seed)
    untrained = FaceNet(embedding_dim=recipe.dim, random_state=recipe.seed, steps=0).fit(rows.images[seen], y[seen])
    encoder = FaceNet(embedding_dim=recipe.dim, random_state=recipe.seed, steps=recipe.steps)
    encoder.fit(rows.images[seen], y[seen], checkpoint=folder / CHECKPOINT, progress=progress)
    vectors = encoder.encode(rows.images, progress=progress)
    hidden = np.flatnonzero(~seen & (y >= 0))
    learned: dict[str, dict[str, float]] = {}
    if len(np.unique(y[hidden])) > 1:
        candidates = {
            "raw pixels": as_vectors(rows.images[hidden]),
            "untrained": untrained.encode(rows.images[hidden]),
            "trained": vectors[hidden],
        }
        learned = {name: _retrieval(X, y[hidden]) for name, X in candidates.items()}
    encoder.save(folder / FOLDER)
    history = {name: values[:: max(1, len(values) // 200)] for name, values in encoder.history_.figures.items()}
    info = {"learned": learned, "source": rows.path, "history": history}
    space = _space(rows, vectors, "sphere", encoder, info)
    result = BuildResult(
        path=str(folder),
        rows=len(space),
        dim=space.dim,
        label=space.label,
        encoder="conv",
        seen_classes=len(np.unique(y[seen & (y >= 0)])),
        unseen_classes=len(np.unique(y[hidden])),
        learned=learned,
    )
    return space.with_columns({"seen": seen}), result


def _embedded(rows: Source, folder: Path, chosen: str, progress: Progress) -> tuple[Space, BuildResult]:
    """Embed the rows with an encoder that needs no training, or take their vectors as they are."""
    encoder: Encoder | None = None
    geometry = "euclidean"
    if rows.kind == "vectors":
        if chosen != "none":
            raise InputError("encoder", got=repr(chosen), expected="no encoder: the source holds vectors")
        vectors = np.asarray(rows.vectors, dtype=np.float32)
        encoder = open_encoder(Path(rows.path))  # of a folder that ``embed`` wrote
    elif chosen == "pixels":
        vectors, geometry = as_vectors(_needed(rows.images, chosen, "pictures")), "sphere"
    else:
        encoder = named_encoder(chosen)
        items = rows.texts if rows.kind == "texts" else rows.images
        vectors = np.asarray(encoder.encode(items, progress=progress), dtype=np.float32)
    if encoder is not None:
        if np.allclose(np.linalg.norm(vectors, axis=1), 1, atol=1e-3):
            geometry = "sphere"
        if ":" not in chosen:
            encoder.save(folder / FOLDER)
    space = _space(rows, vectors, geometry, encoder, {"learned": {}, "source": rows.path})
    return space, BuildResult(path=str(folder), rows=len(space), dim=space.dim, label=space.label, encoder=chosen)


def _needed(images: np.ndarray | None, chosen: str, what: str) -> np.ndarray:
    if images is None:
        raise InputError(
            "encoder", got=repr(chosen), expected=f"an encoder that fits the source; {chosen} needs {what}"
        )
    return images


def _space(rows: Source, vectors: FloatArray, geometry: str, encoder: Encoder | None, info: Mapping[str, Any]) -> Space:
    attributes = dict(rows.attributes)
    if rows.kind == "texts" and rows.texts is not None and "text" not in attributes and rows.path != "emoji":
        attributes["text"] = list(rows.texts)
    record = None if encoder is None else {"kind": type(encoder).__name__, "fingerprint": encoder.fingerprint}
    return Space.create(
        vectors,
        attributes=attributes,
        ids=rows.ids,
        label=rows.label,
        geometry=geometry,
        encoder=record,
        pictures=None if rows.images is None else encode_png(rows.images),
        info=info,
    )


def seen_rows(y: IntArray, *, share: float, seed: int) -> BoolArray:
    """Return which rows belong to the ``share`` of classes that training may see; unlabelled rows (-1) are not.

    Whole classes go to one side. Classes of one row count as unseen: they give no pair to learn from.
    """
    codes, counts = np.unique(y[y >= 0], return_counts=True)
    paired = codes[counts > 1]
    order = as_generator(derive_seed(seed, "seen classes")).permutation(paired)
    return np.isin(y, order[: max(2, round(share * len(paired)))])


def _codes(values: Sequence[Any]) -> tuple[IntArray, list[str]]:
    names = sorted({str(value) for value in values if value is not None})
    code = {name: i for i, name in enumerate(names)}
    return np.array([-1 if value is None else code[str(value)] for value in values], dtype=np.int64), names


def _retrieval(X: FloatArray, y: IntArray) -> dict[str, float]:
    return {"recall_at_1": float(recall_at_k(X, y, ks=(1,))[1]), "map_at_r": float(map_at_r(X, y))}

"""Embed a data set of any size, on one machine or a cluster, and hand it on as a Space."""

from __future__ import annotations

import time
from dataclasses import replace
from pathlib import Path

from spaceform.types import PathLike, Progress, no_progress
from spaceform.workflows.build import build
from spaceform.workflows.embedding.dataset import EmbedResult, embed_dataset
from spaceform.workflows.embedding.encoder import BatchEncoder, NamedEncoder
from spaceform.workflows.embedding.job import Reading
from spaceform.workflows.encoders import FOLDER


def embed(
    source: PathLike,
    out: PathLike,
    encoder: BatchEncoder | str,
    *,
    engine: str = "local",
    workers: int = 1,
    address: str | None = None,
    batch_size: int = 64,
    resume: bool = True,
    reading: Reading | None = None,
    space: bool = True,
    progress: Progress = no_progress,
) -> EmbedResult:
    """Embed ``source`` into the folder ``out``, as :func:`~spaceform.workflows.embedding.dataset.embed_dataset` does.

    ``space`` makes the folder a Space besides, rows in the order of their ids and the encoder in it, so that ``audit``,
    ``search`` and all other verbs take it; that needs memory for all vectors. Without, the parts stay what they are,
    and ``build out -o space/`` makes one later.
    """
    begun = time.monotonic()
    result = embed_dataset(
        source,
        out,
        encoder,
        engine=engine,
        workers=workers,
        address=address,
        batch_size=batch_size,
        resume=resume,
        reading=reading,
        progress=progress,
    )
    if isinstance(encoder, str) and ":" not in encoder:
        NamedEncoder(encoder).inner.save(Path(out) / FOLDER)
    if space and result.rows:
        build(Path(out).absolute(), out, progress=progress)
    return replace(result, seconds=round(time.monotonic() - begun, 1))

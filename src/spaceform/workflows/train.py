"""Train a method on a Space: predictions become columns, new vectors a new Space."""

from __future__ import annotations

import shutil
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from sklearn.base import ClusterMixin, is_classifier

from spaceform.checks import check_integer, check_real
from spaceform.encoders.abstract import AbstractEncoder
from spaceform.errors import InputError
from spaceform.space import Space
from spaceform.types import PathLike, Progress, no_progress
from spaceform.workflows.learning.choice import choose
from spaceform.workflows.learning.encoding import CHECKPOINT, train_network
from spaceform.workflows.learning.job import Job, Trained
from spaceform.workflows.learning.kinds import train_classifier, train_encoder, train_over_labels, train_rows
from spaceform.workflows.learning.learned import Learned
from spaceform.workflows.learning.trainables import accepts

SPACE_FILE = "space.json"


@dataclass(frozen=True, kw_only=True)
class TrainResult:
    """What was trained, and what it left.

    ``path`` is the folder that was written (None: only ``space`` was made); ``columns`` the columns added; ``figures``
    maps what was compared to figures on held-out rows; ``next_classes`` are classes to label next, each with the
    number of labels that can be predicted once it is; ``space`` the resulting Space; ``learned`` what there is to tell
    about an encoder: curves, gains over its baselines with intervals, and the sentence that says it.
    """

    method: str
    rows: int
    labelled: int
    columns: tuple[str, ...]
    path: str | None
    dim: int
    figures: Mapping[str, Mapping[str, float]] = field(default_factory=dict)
    next_classes: tuple[tuple[str, int], ...] = ()
    notes: tuple[str, ...] = ()
    seconds: float = 0.0
    space: Space | None = field(default=None, repr=False)
    learned: Learned | None = field(default=None, repr=False)

    def to_dict(self) -> dict[str, Any]:
        """Return plain values for JSON, without the Space itself and vectors."""
        plain = {name: getattr(self, name) for name in self.__dataclass_fields__ if name != "space"}
        plain["learned"] = None if self.learned is None else self.learned.to_dict()
        return plain | {"figures": {name: dict(row) for name, row in self.figures.items()}}


def train(
    method: str,
    source: PathLike | Space,
    *,
    options: Mapping[str, Any] | None = None,
    out: PathLike | None = None,
    label: str | None = None,
    label_metric: PathLike | None = None,
    hierarchy: Sequence[str] = (),
    next_classes: int = 0,
    held_out: float = 0.2,
    size: int | None = None,
    seed: int = 0,
    progress: Progress = no_progress,
) -> TrainResult:
    """Fit ``method`` to the rows of a Space and write what it gives for every row.

    Classifiers and clusterers add the column ``<method>_class`` (and ``<method>_confidence`` in [0, 1] where they
    know it) to the Space; those that make vectors (transform, encode) give a new Space in ``out``.

    An encoder learns from part of the classes (of the rows, with fewer than ten classes). Retrieval on further ones
    ends training early and picks the weights; on the rest, which it never saw, it is measured against the raw rows, the
    network before training, and the same network trained as a linear softmax with the same budget. What is measured is
    what is kept: there is no further fit on all. A killed call goes on where it stood when it is repeated.

    Parameters: ``method`` a paper's slug, ``slug:Class``, or a loss by name (``proxy-anchor``), which trains an encoder
    over class-balanced batches; ``source`` a Space, its folder, or for encoders a folder of pictures, one sub-folder a
    class; ``options`` of the method's class or the loss, of the learner around it, and of
    :func:`spaceform.workflows.learning.choice.training_options`, text or values; ``out`` the folder to write (None:
    back into the Space's own); ``label`` the column with the classes (None: the Space's label). For methods over a
    label metric: ``label_metric`` a file, or ``hierarchy`` columns, coarse to fine; ``next_classes`` how many classes
    to suggest for labelling. ``held_out`` share of the labelled rows (and classes, over a label metric) kept back
    to measure, before the final fit on all; 0 measures nothing. ``size`` of pictures in pixels (None: 48, or what
    a pretrained network wants).

    Raises ``InputError`` for a method that can't be trained so, wrong options (the right ones are listed), a Space
    without labels where they are needed, and ``out`` missing where new vectors need it.
    """
    begun = time.monotonic()
    check_real(held_out, "held_out", low=0, high=0.9)
    check_integer(next_classes, "next_classes", low=0)
    chosen = choose(method, options or {}, seed=seed)
    slug, cls = chosen.slug, chosen.cls
    job = Job(
        slug=slug,
        cls=cls,
        options=chosen.arguments,
        training=chosen.training,
        source=_opened(source),
        label=label,
        out=None if out is None else Path(out),
        label_metric=None if label_metric is None else Path(label_metric),
        hierarchy=tuple(hierarchy),
        next_classes=next_classes,
        held_out=held_out,
        size=None if size is None else check_integer(size, "size", low=8, high=512),
        seed=seed,
        progress=progress,
    )
    over_labels = accepts(cls, "label_metric")
    if not over_labels and (label_metric is not None or hierarchy or next_classes):
        raise InputError("label_metric", got=f"one for {slug}", expected="a method over a label metric, such as loki")
    trained = _kind(job, over_labels=over_labels)(job)
    space = _noted(trained, job)
    folder = job.out if job.out is not None else None if isinstance(source, Space) else Path(source)
    if folder is not None:
        space.save(folder)
        shutil.rmtree(folder / CHECKPOINT, ignore_errors=True)
    return TrainResult(
        method=slug,
        rows=len(space),
        labelled=trained.labelled,
        columns=trained.columns,
        path=None if folder is None else str(folder),
        dim=space.dim,
        figures=trained.figures,
        next_classes=trained.next_classes,
        notes=trained.notes,
        seconds=round(time.monotonic() - begun, 1),
        space=space,
        learned=trained.learned,
    )


def _kind(job: Job, *, over_labels: bool) -> Callable[[Job], Trained]:
    """Return the way of training that fits what the class offers."""
    if issubclass(job.cls, ClusterMixin):
        return train_rows  # also of an encoder: rows without labels are what it is for
    if issubclass(job.cls, AbstractEncoder):
        return train_network
    if hasattr(job.cls, "encode"):
        return train_encoder
    if over_labels:
        return train_over_labels
    return train_classifier if is_classifier(job.make()) else train_rows


def _noted(trained: Trained, job: Job) -> Space:
    """Return the Space with a record of what was trained in its free metadata."""
    info = trained.space.info
    options = {name: str(value) for name, value in job.options.items()}
    record = {"options": options, "columns": list(trained.columns), "figures": trained.figures}
    return trained.space.with_info(info | {"trained": info.get("trained", {}) | {job.slug: record}})


def _opened(source: PathLike | Space) -> Space | Path:
    if isinstance(source, Space):
        return source
    place = Path(source)
    if not place.exists():
        raise InputError("source", got=str(place), expected="a Space, or a folder of pictures")
    return Space.open(place) if (place / SPACE_FILE).exists() else place

"""What is trained on what, and what comes out: the nouns that all ways of training share."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from spaceform.errors import InputError
from spaceform.space import Space
from spaceform.types import FloatArray, Progress
from spaceform.workflows.learning.choice import training_options
from spaceform.workflows.learning.learned import Learned
from spaceform.workflows.learning.trainables import accepts

SIZE = 48
"""Side of pictures in pixels when neither the user nor the network says another."""

UNIT_TOLERANCE = 1e-3


@dataclass(frozen=True, kw_only=True)
class Job:
    """What to train on what; see :func:`spaceform.workflows.train.train`."""

    slug: str
    cls: type
    options: Mapping[str, Any]
    source: Space | Path
    label: str | None
    out: Path | None
    label_metric: Path | None
    hierarchy: tuple[str, ...]
    next_classes: int
    held_out: float
    size: int | None
    seed: int
    progress: Progress
    training: Mapping[str, Any] = field(default_factory=training_options)

    @property
    def space(self) -> Space:
        """The Space; raises ``InputError`` when the source is a folder of something else."""
        if isinstance(self.source, Space):
            return self.source
        raise InputError("source", got=str(self.source), expected="a Space", remedy="make one with: spaceform build")

    @property
    def pictured(self) -> bool:
        """Whether an encoder takes pictures: where there are some, unless its network is one for vectors."""
        return not isinstance(self.source, Space) or (self.source.has_pictures and self.options.get("net") != "mlp")

    @property
    def column(self) -> str:
        """The stem of the columns that are written."""
        return self.slug.replace("-", "_")

    def make(self, **given: Any) -> Any:
        """Return a new object of the class with the user's options and the ``given`` arguments."""
        return self.cls(**self.options, **given)


@dataclass(frozen=True, kw_only=True)
class Trained:
    """The Space that came out and what there is to say about it."""

    space: Space
    labelled: int
    columns: tuple[str, ...] = ()
    figures: Mapping[str, Mapping[str, float]] = field(default_factory=dict)
    next_classes: tuple[tuple[str, int], ...] = ()
    notes: tuple[str, ...] = ()
    learned: Learned | None = None


def accepted(function: Any, arguments: Mapping[str, Any]) -> dict[str, Any]:
    """Return those of the arguments that the function has a parameter for."""
    return {name: value for name, value in arguments.items() if accepts(function, name)}


def renamed(progress: Progress, prefix: str) -> Progress:
    """Return a progress whose tasks have a prefix, as of a second network in the same call."""

    def tell(task: str, done: int, total: int, figures: Mapping[str, float] | None = None) -> None:
        progress(prefix + task, done, total, figures)

    return tell


def with_new_vectors(space: Space, vectors: FloatArray, encoder: Mapping[str, Any] | None = None) -> Space:
    """Return the Space with other vectors, on the sphere if they have unit length."""
    unit = bool(np.allclose(np.linalg.norm(vectors, axis=1), 1, atol=UNIT_TOLERANCE))
    return space.with_vectors(vectors, geometry="sphere" if unit else "euclidean", encoder=encoder)

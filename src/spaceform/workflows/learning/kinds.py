"""The ways in which methods are trained on a Space, one function for each kind of class."""

from __future__ import annotations

from typing import Any

import numpy as np
from sklearn.model_selection import train_test_split
from sklearn.neighbors import KNeighborsClassifier

from spaceform.data.pictures import decode, encode_png
from spaceform.encoders.abstract import AbstractEncoder
from spaceform.errors import InputError
from spaceform.geometry import LabelMetric
from spaceform.metrics.label_distance import mean_squared_label_distance
from spaceform.rng import as_generator, derive_seed
from spaceform.samplers.next_class import NextClassSelector
from spaceform.space import Space
from spaceform.types import FloatArray, IntArray, Progress
from spaceform.workflows.encoders import FOLDER
from spaceform.workflows.learning.job import SIZE, Job, Trained, accepted, with_new_vectors
from spaceform.workflows.learning.label_metrics import read_label_metric, tree_of_columns
from spaceform.workflows.places.rows import read_rows

NEIGHBOURS = 5
"""The base model over vectors is five nearest neighbours, as in Loki's text experiments."""

FEWEST_CLASSES = 5
"""With fewer classes none are hidden to measure answers for classes that were never trained."""


def train_classifier(job: Job) -> Trained:
    """Fit a classifier to the labelled rows; measure it on held-out ones against five nearest neighbours."""
    rows, names = _labelled(job)
    X = job.space.vectors
    figures: dict[str, dict[str, float]] = {}
    if job.held_out:
        kept, hidden = _divided(rows, names, job.held_out, job.seed)
        models = {job.slug: job.make(), f"{NEIGHBOURS} nearest neighbours": _neighbours(len(kept))}
        for title, model in models.items():
            predicted = _fit(model, X[rows[kept]], names[kept], job.progress).predict(X[rows[hidden]])
            figures[title] = {"accuracy": float((predicted == names[hidden]).mean())}
    model = _fit(job.make(), X[rows], names, job.progress)
    added: dict[str, Any] = {f"{job.column}_class": list(map(str, model.predict(X)))}
    if hasattr(model, "predict_proba"):
        added[f"{job.column}_confidence"] = np.asarray(model.predict_proba(X)).max(axis=1)
    space = job.space.with_columns(added)
    return Trained(space=space, labelled=len(rows), columns=tuple(added), figures=figures)


def train_rows(job: Job) -> Trained:
    """Fit a clusterer or transformer to all rows, -1 for the unlabelled; write clusters and, into ``out``, vectors."""
    y, classes = job.space.labels(job.label) if job.label or job.space.label else (None, [])
    X = job.space.vectors
    surroundings = {} if job.out is None else {"checkpoint": job.out / "checkpoint"}
    model = job.make()
    model.fit(X, y, **accepted(model.fit, {"progress": job.progress, **surroundings}))
    added: dict[str, Any] = {}
    if hasattr(model, "labels_") or hasattr(model, "predict"):
        found = np.asarray(model.labels_ if hasattr(model, "labels_") else model.predict(X))
        own = [classes[code] if code >= 0 else None for code in y.tolist()] if y is not None else [None] * len(X)
        known = set(model.classes_.tolist()) if hasattr(model, "cluster_names_") else set()  # rows may join old classes
        added[f"{job.column}_class"] = [
            name if cluster == -1 else classes[cluster] if cluster in known else f"cluster {cluster}"
            for cluster, name in zip(found.tolist(), own, strict=True)
        ]
    space = job.space.with_columns(added) if added else job.space
    notes: tuple[str, ...] = ()
    if hasattr(model, "transform"):
        if job.out is not None:
            record = None
            if isinstance(model, AbstractEncoder):
                model.save(job.out / FOLDER)
                record = {"kind": type(model).__name__, "fingerprint": model.fingerprint}
            space = with_new_vectors(space, np.asarray(model.transform(X)), record)
        elif not added:
            raise InputError("out", got="None", expected="a folder for the Space with the new vectors")
        else:
            notes = ("the vectors stay as they are; name a folder with -o for a Space with the new ones",)
    return Trained(space=space, labelled=0 if y is None else int((y >= 0).sum()), columns=tuple(added), notes=notes)


def train_encoder(job: Job) -> Trained:
    """Fit an encoder of a kind of its own to the labelled rows and embed all: a new Space in ``out`` with it.

    Its inputs are the pictures, or the vectors of a Space that has none.
    """
    if job.out is None:
        raise InputError("out", got="None", expected="a folder for the Space with the new vectors")
    inputs, base = _inputs(job)
    y = base.labels(job.label)[0]
    rows = np.flatnonzero(y >= 0)
    if (classes := len(np.unique(y[rows]))) < 2:
        raise InputError("label", got=f"{classes} class(es)", expected="rows of two or more classes")
    surroundings = {"progress": job.progress, "checkpoint": job.out / "checkpoint"}
    encoder = job.make()
    encoder.fit(inputs[rows], y[rows], **accepted(encoder.fit, surroundings))
    vectors = encoder.encode(inputs, **accepted(encoder.encode, surroundings))
    encoder.save(job.out / FOLDER)
    record = {"kind": type(encoder).__name__, "fingerprint": encoder.fingerprint}
    space = with_new_vectors(base, vectors, record).with_columns({"seen": y >= 0})
    return Trained(space=space, labelled=len(rows), columns=("seen",))


def train_over_labels(job: Job) -> Trained:
    """Fit a classifier that answers over all labels of a metric, and measure label distances against argmax.

    Besides rows, classes are held out: their rows tell how far off answers are for classes that were never trained.
    """
    rows, names = _labelled(job)
    X, metric = job.space.vectors, _metric(job)
    metric.index(names, "label")
    figures = _label_distances(job, metric, X[rows], names) if job.held_out else {}
    model = job.make(estimator=_neighbours(len(rows)), label_metric=metric).fit(X[rows], names)
    predicted = model.predict(X)
    observed = np.unique(names)
    added = {
        f"{job.column}_class": list(map(str, predicted)),
        f"{job.column}_observed": np.isin(predicted, observed),
        f"{job.column}_confidence": model.confidence(X),
    }
    suggested: tuple[tuple[str, int], ...] = ()
    if job.next_classes:
        path = NextClassSelector(metric=metric).path(metric.index(observed), job.next_classes)
        picks = zip(metric.labels[path.picks], path.locus_sizes[1:], strict=True)
        suggested = tuple((str(name), int(size)) for name, size in picks)
    new = int((~added[f"{job.column}_observed"]).sum())
    return Trained(
        space=job.space.with_columns(added),
        labelled=len(rows),
        columns=tuple(added),
        figures=figures,
        next_classes=suggested,
        notes=(f"{len(observed):,} of {len(metric):,} labels trained; {new:,} rows answered with one that was not",),
    )


def _label_distances(job: Job, metric: LabelMetric, X: FloatArray, names: np.ndarray) -> dict[str, dict[str, float]]:
    classes = np.unique(names)
    rng = as_generator(derive_seed(job.seed, "hidden classes"))
    count = round(job.held_out * len(classes)) if len(classes) >= FEWEST_CLASSES else 0
    hidden = np.isin(names, rng.permutation(classes)[:count])
    kept, held_out = _divided(np.flatnonzero(~hidden), names[~hidden], job.held_out, job.seed)
    known = np.flatnonzero(~hidden)
    train, groups = known[kept], {"trained classes": known[held_out], "hidden classes": np.flatnonzero(hidden)}
    model = job.make(estimator=_neighbours(len(train)), label_metric=metric).fit(X[train], names[train])
    answers = {"argmax": model.estimator_.predict, job.slug: model.predict}
    figures: dict[str, dict[str, float]] = {name: {} for name in answers}
    for group, test in groups.items():
        if len(test):
            for name, predict in answers.items():
                loss = mean_squared_label_distance(metric, names[test], predict(X[test]))
                figures[name][f"squared label distance, {group}"] = loss
    return figures


def _metric(job: Job) -> LabelMetric:
    if (job.label_metric is None) == (not job.hierarchy):
        raise InputError(
            "label_metric",
            got="neither a file nor hierarchy columns" if job.label_metric is None else "a file and hierarchy columns",
            expected="one of the two",
            remedy=f"such as --hierarchy with some of {', '.join(job.space.columns)}, coarse to fine",
        )
    if job.label_metric is not None:
        return read_label_metric(job.label_metric, job.space.labels(job.label)[1])
    return tree_of_columns(job.space, job.hierarchy, label=job.label)


def _labelled(job: Job) -> tuple[IntArray, np.ndarray]:
    """Return the labelled rows and their class names."""
    codes, classes = job.space.labels(job.label)
    rows = np.flatnonzero(codes >= 0)
    if len(rows) == 0:
        raise InputError("label", got="no labelled row", expected="rows with a class", remedy="name another column")
    return rows, np.array(classes)[codes[rows]]


def _divided(rows: IntArray, names: np.ndarray, share: float, seed: int) -> tuple[IntArray, IntArray]:
    """Return positions within ``rows`` to train on and to hold out, every class on both sides where it has rows."""
    counts = np.unique(names, return_counts=True)[1]
    if len(rows) < 2:
        raise InputError("held_out", got=f"{len(rows)} labelled row(s)", expected="more", remedy="pass held_out=0")
    even = counts.min() >= 2 and share * len(rows) >= len(counts) and (1 - share) * len(rows) >= len(counts)
    state = derive_seed(seed, "held out") % 2**31
    kept, held_out = train_test_split(
        np.arange(len(rows)), test_size=share, random_state=state, stratify=names if even else None
    )
    return np.sort(kept), np.sort(held_out)


def _neighbours(rows: int) -> KNeighborsClassifier:
    return KNeighborsClassifier(min(NEIGHBOURS, rows))


def _fit(model: Any, X: FloatArray, y: Any, progress: Progress) -> Any:
    return model.fit(X, y, **accepted(model.fit, {"progress": progress}))


def _inputs(job: Job) -> tuple[np.ndarray, Space]:
    """Return all pictures ``(n, size, size, 3)`` uint8, or vectors ``(n, d)``, and a Space of their rows."""
    if isinstance(job.source, Space):
        space = job.source
        if not space.has_pictures:
            return space.vectors, space
        encoded = [space.picture(row) for row in range(len(space))]
        missing = [row for row, picture in enumerate(encoded) if picture is None]
        if missing:
            got = f"no picture in row {missing[0]}"
            raise InputError("source", got=got, expected="a picture per row", remedy="build it from pictures")
        return decode([picture for picture in encoded if picture is not None], size=job.size or SIZE), space
    found = read_rows(job.source, label=job.label, size=job.size or SIZE, progress=job.progress)
    if found.images is None or found.label is None:
        raise InputError("source", got=f"{found.kind} without classes", expected="a Space or pictures in class folders")
    placeholder = np.zeros((len(found), 1), dtype=np.float32)
    pictures = encode_png(found.images)
    attributes = dict(found.attributes)
    return found.images, Space.create(
        placeholder, attributes=attributes, ids=found.ids, label=found.label, pictures=pictures
    )

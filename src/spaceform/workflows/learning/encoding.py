"""Train an encoder on a Space or a folder of pictures, and measure it on what it never saw against its baselines."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from spaceform.data.pictures import as_vectors
from spaceform.encoders.abstract import AbstractEncoder
from spaceform.encoders.early_stopping import EarlyStopping
from spaceform.encoders.learner import MetricLearner
from spaceform.errors import InputError
from spaceform.nets.named import is_net_name
from spaceform.nets.vision import picture_size
from spaceform.space import Space
from spaceform.training.launch import check_devices
from spaceform.training.loop import History
from spaceform.types import FloatArray, IntArray
from spaceform.workflows.encoders import FOLDER
from spaceform.workflows.learning.choice import PRETRAINED
from spaceform.workflows.learning.comparison import BASELINE, Gain, gain, measure_vectors, sentence
from spaceform.workflows.learning.job import SIZE, Job, Trained, accepted, renamed, with_new_vectors
from spaceform.workflows.learning.learned import Curves, Learned
from spaceform.workflows.learning.splits import Split, split_rows
from spaceform.workflows.places.folder import writable_folder
from spaceform.workflows.places.rows import as_space, pictures_of, read_rows
from spaceform.workflows.projection import drawn_rows

CHECKPOINT = "checkpoint"
"""Where a run that is not over is saved inside the folder of the new Space."""

SHOWN = 1_500
"""Rows whose vectors before and after are kept for the maps."""


def train_network(job: Job) -> Trained:
    """Fit an encoder to part of the classes and embed all rows: a new Space in ``out``, with the encoder in it.

    Raises ``InputError`` at the door: ``out`` missing or not writable, no or one class, no class with two rows, devices
    that are not there.
    """
    if job.out is None:
        raise InputError("out", got="None", expected="a folder for the Space with the new vectors")
    if isinstance(job.source, Path) and job.out.resolve() == job.source.resolve():
        raise InputError("out", got=str(job.out), expected="another folder than that of the pictures")
    check_devices(job.training["devices"])
    if job.training["devices"] > 1 and not accepted(job.make().fit, {"devices": 0}):
        raise InputError("devices", got=job.training["devices"], expected=f"1: {job.slug} is trained by one process")
    with writable_folder(job.out):
        items, raw, base = _items(job)
        y, names = base.labels(job.label)
        _check_classes(y, names)
        made = _train(job, items, raw, y, domains=_domains(job, base))
        space, learned, figures = _made(job, made, base, y)
    floor = next(iter(figures), "")
    notes = _notes(job, made)
    if figures and figures[floor]["recall@1"] > figures["trained"]["recall@1"]:
        notes += (
            f"the {floor} find more, recall@1 {figures[floor]['recall@1']:.0%}: more steps or another net may help",
        )
    return Trained(
        space=space,
        labelled=int((y >= 0).sum()),
        columns=("seen", "part"),
        figures=figures,
        notes=notes,
        learned=learned,
    )


@dataclass(frozen=True, kw_only=True)
class _Run:
    """A finished run: split, encoder, its vectors of all rows, and the vectors that it is compared with."""

    split: Split
    encoder: AbstractEncoder
    vectors: FloatArray
    untrained: FloatArray | None
    raw: FloatArray
    curves: Curves
    baseline: FloatArray | None
    baseline_curves: Curves | None


def _train(job: Job, items: np.ndarray, raw: FloatArray, y: IntArray, *, domains: IntArray | None) -> _Run:
    split = split_rows(y, share=job.held_out, seed=job.seed)
    encoder: AbstractEncoder = job.make()
    alike = _like(encoder)
    before = None
    if alike is not None:
        untrained = MetricLearner(**alike | {"steps": 0}).fit(items[split.train], y[split.train])
        before = untrained.encode(items, progress=renamed(job.progress, "before training: "))
    own = {} if domains is None else {"domains": domains[split.train]}
    curves = _fit(job, encoder, items, y, split, name="trained", own=own)
    vectors = encoder.encode(items, progress=job.progress)
    baseline, baseline_curves = None, None
    wanted = job.training["baseline"] and split.by and job.options.get("loss") != "linear_softmax"
    if wanted and alike is not None and alike["steps"]:
        rival = MetricLearner(**alike)
        baseline_curves = _fit(job, rival, items, y, split, name="baseline", own={})
        baseline = rival.encode(items, progress=renamed(job.progress, "baseline: "))
    return _Run(
        split=split,
        encoder=encoder,
        vectors=vectors,
        untrained=before,
        raw=raw,
        curves=curves,
        baseline=baseline,
        baseline_curves=baseline_curves,
    )


def _like(encoder: AbstractEncoder) -> dict[str, Any] | None:
    """Return the arguments of a linear softmax with the same network, batches and budget as ``encoder``.

    None for an encoder with a network of its own kind, which no other can train.
    """
    own = encoder.get_params(deep=False)
    net = own.get("net")
    if "steps" not in own or net is None or (isinstance(net, str) and not is_net_name(net)):
        return None
    learner = isinstance(encoder, MetricLearner)
    names = ("embedding_dim", "net", "steps", "classes_per_batch", "samples_per_class", "augment", "random_state")
    shared = {name: own[name] for name in (*names, *(("learning_rate", "decay") if learner else ())) if name in own}
    return {**shared, "loss": "linear_softmax", "loss_rate_factor": 1.0}


def _fit(
    job: Job,
    encoder: AbstractEncoder,
    items: np.ndarray,
    y: IntArray,
    split: Split,
    *,
    name: str,
    own: Mapping[str, Any],
) -> Curves:
    """Fit on the rows for training, stop by those for validation, and return the curves; ``own`` goes to the fit."""
    steps = int(getattr(encoder, "steps", 0) or 0)
    every = max(1, steps // job.training["looks"])
    looks = EarlyStopping(
        encoder, items[split.validation], y[split.validation], every=every, patience=job.training["patience"]
    )
    watched = steps > 0 and len(split.validation) > 0 and "callbacks" in accepted(encoder.fit, {"callbacks": 0})
    place = None if job.out is None else job.out / CHECKPOINT / name
    surroundings = {
        "progress": job.progress if name == "trained" else renamed(job.progress, f"{name}: "),
        "checkpoint": place,
        "every": min(50, every),
        "devices": job.training["devices"],
        "callbacks": [looks] if watched else [],
    }
    encoder.fit(items[split.train], y[split.train], **accepted(encoder.fit, surroundings), **own)
    if watched:
        looks.restore()
    history = getattr(encoder, "history_", History())
    return Curves(
        steps=list(history.steps),
        loss=list(history.figures.get("loss", [])),
        looks=looks.steps,
        recall_at_1=looks.recall_at_1,
        map_at_r=looks.map_at_r,
        best=looks.best_step,
        stopped=history.stopped,
    )


def _made(job: Job, run: _Run, base: Space, y: IntArray) -> tuple[Space, Learned, dict[str, dict[str, float]]]:
    """Return the new Space, what was learned and the figures; save the encoder."""
    split, test = run.split, run.split.test
    candidates = {"raw pixels" if job.pictured else "raw vectors": run.raw}
    if run.untrained is not None:
        candidates["untrained"] = run.untrained
    if run.baseline is not None:
        candidates[BASELINE] = run.baseline
    candidates["trained"] = run.vectors
    figures: dict[str, dict[str, float]] = {}
    gains: dict[str, Gain] = {}
    if len(test):
        job.progress("measuring", 0, 1)
        figures = {name: measure_vectors(X[test], y[test], seed=job.seed) for name, X in candidates.items()}
        gains = {
            name: gain(
                run.vectors[test], candidates[name][test], y[test], by_class=split.by == "classes", seed=job.seed
            )
            for name in ("untrained", BASELINE)
            if name in candidates
        }
        job.progress("measuring", 1, 1)
    parts = {name: _size(getattr(split, name), y) for name in ("train", "validation", "test")}
    rows = drawn_rows(test if len(test) else np.arange(len(y)), SHOWN, seed=job.seed)
    learned = Learned(
        by=split.by,
        parts=parts,
        trained=run.curves,
        baseline=run.baseline_curves,
        gains=gains,
        sentence=sentence(figures, gains, where=_where(split, parts)) if gains else "",
        rows=rows,
        before=(run.raw if run.untrained is None else run.untrained)[rows],
        after=run.vectors[rows],
    )
    assert job.out is not None  # noqa: S101  # train_encoder refused that
    run.encoder.save(job.out / FOLDER)
    record = {"kind": type(run.encoder).__name__, "fingerprint": run.encoder.fingerprint}
    part = np.full(len(y), None, dtype=object)
    for name in ("train", "validation", "test"):
        part[getattr(split, name)] = name
    seen = np.isin(part, ["train", "validation"])
    space = with_new_vectors(base, run.vectors, record).with_columns({"seen": seen, "part": part.tolist()})
    return _with_learned(space, figures, split), learned, figures


def _with_learned(space: Space, figures: Mapping[str, Mapping[str, float]], split: Split) -> Space:
    """Put the figures where the report of a Space finds them, if they are of classes that training never saw."""
    if split.by != "classes":
        return space
    told = {name: {"recall_at_1": row["recall@1"], "map_at_r": row["MAP@R"]} for name, row in figures.items()}
    return space.with_info(space.info | {"learned": told})


def _items(job: Job) -> tuple[np.ndarray, FloatArray, Space]:
    """Return what the encoder takes, that as plain vectors to compare with, and a Space of the rows."""
    size = job.size or _own_size(job) or SIZE
    if isinstance(job.source, Space):
        space = job.source
        if not job.pictured:
            return space.vectors, space.vectors, space
        pictures = pictures_of(space, size=size, argument="source")
        return pictures, as_vectors(pictures), space
    found = read_rows(job.source, label=job.label, size=size, progress=job.progress)
    if found.images is None or found.label is None:
        raise InputError("source", got=f"{found.kind} without classes", expected="a Space or pictures in class folders")
    return found.images, as_vectors(found.images), as_space(found)


def _domains(job: Job, base: Space) -> IntArray | None:
    """Return 1 for rows of the target domain and 0 for those of the source, None where no target is named."""
    target = job.training["target"]
    if target is None:
        return None
    if not accepted(job.make().fit, {"domains": 0}):
        raise InputError("target", got=repr(target), expected=f"nothing: {job.slug} knows no domains")
    column, _, value = target.partition("=")
    codes, values = base.labels(column)
    if value not in values:
        listed = ", ".join(values[:20])
        raise InputError("target", got=repr(target), expected=f"COLUMN=VALUE with a value of {column}: {listed}")
    return (codes == values.index(value)).astype(np.int64)


def _own_size(job: Job) -> int | None:
    """Return the side at which a pretrained network wants pictures."""
    net = str(job.options.get("net", ""))
    return picture_size(net.removeprefix(PRETRAINED)) if net.startswith(PRETRAINED) else None


def _check_classes(y: IntArray, names: list[str]) -> None:
    codes, counts = np.unique(y[y >= 0], return_counts=True)
    if len(codes) < 2:
        got = f"one class ({names[codes[0]]})" if len(codes) else "no labelled row"
        raise InputError("label", got=got, expected="rows of two or more classes", remedy="one sub-folder per class")
    if counts.max() < 2:
        raise InputError("label", got=f"{len(codes):,} classes of one row each", expected="a class with two rows")


def _where(split: Split, parts: Mapping[str, tuple[int, int]]) -> str:
    classes, rows = parts["test"]
    if split.by == "classes":
        return f"On {classes:,} classes that training never saw ({rows:,} rows)"
    return f"On {rows:,} held-out rows of the {classes:,} classes trained"


def _notes(job: Job, run: _Run) -> tuple[str, ...]:
    notes = []
    if not run.split.by and job.held_out:
        notes.append("too few rows and classes to hold some back: nothing was measured")
    if run.split.by == "rows":
        notes.append("with fewer than ten classes rows were held back, not classes: it says nothing about new classes")
    if run.split.by and not run.curves.looks and run.curves.steps:
        notes.append(f"{type(run.encoder).__name__} trains all its steps: it takes no early stopping")
    if run.curves.stopped:
        notes.append(f"stopped after step {run.curves.steps[-1]:,}: {run.curves.stopped}")
    return tuple(notes)


def _size(rows: IntArray, y: IntArray) -> tuple[int, int]:
    return len(np.unique(y[rows])), len(rows)

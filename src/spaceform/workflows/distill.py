"""Teach a small network what a large space knows: soft labels from a teacher's embeddings, measured beside labels."""

from __future__ import annotations

import shutil
import time
from collections.abc import Mapping
from contextlib import nullcontext
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from spaceform.checks import check_integer, check_real
from spaceform.data.protocols import draw_distillation
from spaceform.encoders.held_out_accuracy import HeldOutAccuracy
from spaceform.encoders.student import Lesson, StudentClassifier
from spaceform.errors import InputError
from spaceform.heads.linear.fitted import LinearHead, fit_linear_head
from spaceform.space import Space
from spaceform.types import IntArray, PathLike, Progress, no_progress
from spaceform.workflows.distilling.outcome import ALONE, TEACHER, StudentCurves, measured, paired_gain, sentence
from spaceform.workflows.distilling.recipes import Plan, Teaching, plan
from spaceform.workflows.distilling.sources import Material, gather
from spaceform.workflows.encoders import FOLDER
from spaceform.workflows.learning.comparison import Gain
from spaceform.workflows.learning.encoding import CHECKPOINT
from spaceform.workflows.learning.job import renamed, with_new_vectors
from spaceform.workflows.places.folder import writable_folder

FEWEST = 3
"""Rows of a class: one to learn from, one that picks the weights, one that measures."""

PARTS = ("train", "validation", "test")


@dataclass(frozen=True, kw_only=True)
class DistillResult:
    """What was taught, and how well it was learned.

    ``figures`` maps teacher, labels alone and the method to accuracy on held-out rows and its interval; ``gains``
    compare the student with the other two; ``parts`` maps train, validation and test to rows; ``curves`` those of the
    student and of labels alone; ``values`` the trained values of the student; ``space`` the rows with the student's
    vectors and answers; ``path`` its folder (None: not written).
    """

    method: str
    rows: int
    classes: tuple[str, ...]
    parts: Mapping[str, int]
    path: str | None
    dim: int
    teacher_dim: int
    values: int
    figures: Mapping[str, Mapping[str, float]]
    gains: Mapping[str, Gain]
    sentence: str
    curves: Mapping[str, StudentCurves]
    options: Mapping[str, str]
    notes: tuple[str, ...] = ()
    seconds: float = 0.0
    space: Space | None = field(default=None, repr=False)

    def to_dict(self) -> dict[str, Any]:
        """Return plain values for JSON, without the Space itself."""
        plain = {name: getattr(self, name) for name in self.__dataclass_fields__ if name != "space"}
        nested = {name: {key: asdict(one) for key, one in plain[name].items()} for name in ("gains", "curves")}
        return plain | nested | {"figures": {name: dict(row) for name, row in self.figures.items()}}


def distill(
    teacher: PathLike | Space,
    student: PathLike | None = None,
    *,
    inputs: PathLike | Space | None = None,
    method: str = "lelp",
    options: Mapping[str, Any] | None = None,
    label: str | None = None,
    held_out: float = 0.2,
    size: int | None = None,
    seed: int = 0,
    progress: Progress = no_progress,
) -> DistillResult:
    """Teach a small network the classes of a teacher's space, and measure it on held-out rows.

    The teacher is its vectors with a linear head fitted on the training rows, so that anything that makes vectors can
    teach. The student sees the pictures or vectors of ``inputs``; it is compared with the teacher, and with the same
    network trained as long on labels alone. Half as many rows as are held back pick the weights. A killed call goes on
    where it stood when it is repeated.

    Parameters: ``teacher`` a Space or its folder, or the folder of a saved encoder; ``student`` the folder to write
    (None: nothing is written); ``inputs`` a Space with the teacher's ids, or of its encoder's kind, or a folder of
    pictures (None: the pictures in the teacher's Space); ``method`` ``"lelp"``, ``"kd"``, ``"dkd"`` or ``"embedding"``;
    ``options`` of the method, of :class:`spaceform.encoders.student.StudentClassifier`, and of
    :func:`spaceform.workflows.distilling.recipes.looking`, text or values; ``label`` the column with the classes;
    ``held_out`` share of each class kept back to measure, 0 measures nothing; ``size`` of pictures in pixels.

    Unlabelled rows are taught too by methods that need no labels. Raises ``InputError`` for other classes in teacher
    and inputs, wrong options, fewer than two classes, and a class of fewer than three rows.
    """
    begun = time.monotonic()
    check_real(held_out, "held_out", low=0, high=0.6)
    side = None if size is None else check_integer(size, "size", low=8, high=512)
    chosen = plan(method, options or {}, seed=seed)
    out = None if student is None else Path(student)
    _check_folders(teacher, inputs, out)
    with nullcontext() if out is None else writable_folder(out):
        material = gather(
            teacher,
            inputs,
            label=label,
            vectors_only=chosen.student.get("net") == "mlp",
            size=side,
            progress=progress,
        )
        rows, notes = _rows(material, held_out, seed)
        run = _Run(material, chosen, rows, out, seed, progress)
        return run.result(begun, notes)


@dataclass(frozen=True)
class _Run:
    """One call: what there is to learn from, how, and where it goes."""

    material: Material
    plan: Plan
    rows: Mapping[str, IntArray]
    out: Path | None
    seed: int
    progress: Progress

    def result(self, begun: float, notes: tuple[str, ...]) -> DistillResult:
        material, method = self.material, self.plan.method
        train = self.rows["train"]
        head = fit_linear_head(material.vectors[train], material.y[train])
        taught = self._taught()
        H = material.vectors[taught].astype(np.float64)
        width = int(self.plan.student.get("embedding_dim", StudentClassifier().embedding_dim))
        lesson, k = self.plan.recipe.lesson(Teaching(H=H, y=material.y[taught], head=head, width=width, seed=self.seed))
        student, curves = self._fit("student", taught, lesson, k)
        found = {method: curves}
        rivals = {TEACHER: head.logits(material.vectors).argmax(1)}
        if self.plan.looking["labels_alone"] and len(self.rows["test"]):
            alone, found[ALONE] = self._fit(ALONE, train, None, 1)
            rivals[ALONE] = alone.predict(material.items)
        proba = student.predict_proba(material.items)
        figures, gains = self._compared(proba.argmax(1), rivals)
        space = self._space(student, proba, head, figures)
        if self.out is not None:
            student.save(self.out / FOLDER)
            space.save(self.out)
            shutil.rmtree(self.out / CHECKPOINT, ignore_errors=True)
        extra = len(taught) - len(train)
        told = (f"{extra:,} unlabelled rows were taught too",) if extra else ()
        stops = tuple(
            f"{name}: stopped after step {c.steps[-1]:,}, {c.stopped}" for name, c in found.items() if c.stopped
        )
        return DistillResult(
            method=method,
            rows=len(space),
            classes=tuple(material.names),
            parts={name: len(self.rows[name]) for name in PARTS},
            path=None if self.out is None else str(self.out),
            dim=space.dim,
            teacher_dim=material.vectors.shape[1],
            values=student.n_parameters,
            figures=figures,
            gains=gains,
            sentence=sentence(figures, gains, method=method, rows=len(self.rows["test"])) if figures else "",
            curves=found,
            options=self._options(k),
            notes=(*material.notes, *notes, *told, *stops, *_warned(figures)),
            seconds=round(time.monotonic() - begun, 1),
            space=space,
        )

    def _taught(self) -> IntArray:
        """Return the rows of the lesson: those to train on and, where no label is needed, the unlabelled ones."""
        if self.plan.recipe.needs_labels or getattr(self.plan.recipe, "alpha", 0) > 0:
            return self.rows["train"]
        return np.sort(np.concatenate([self.rows["train"], np.flatnonzero(self.material.y < 0)]))

    def _fit(self, name: str, rows: IntArray, lesson: Lesson | None, k: int) -> tuple[StudentClassifier, StudentCurves]:
        items, y, validation = self.material.items, self.material.y, self.rows["validation"]
        model = StudentClassifier(**self.plan.student, n_subclasses=k)
        every = max(1, model.steps // self.plan.looking["looks"])
        looks = HeldOutAccuracy(
            model, items[validation], y[validation], every=every, patience=self.plan.looking["patience"]
        )
        model.fit(
            items[rows],
            y[rows],
            lesson=lesson,
            checkpoint=None if self.out is None else self.out / CHECKPOINT / name.replace(" ", "-"),
            every=min(50, every),
            callbacks=[looks] if len(validation) else [],
            progress=self.progress if name == "student" else renamed(self.progress, f"{name}: "),
        )
        if len(validation):
            looks.restore()
        history = model.history_
        loss = list(history.figures.get("loss", []))
        return model, StudentCurves(
            list(history.steps), loss, looks.steps, looks.accuracy, looks.best_step, history.stopped
        )

    def _compared(
        self, guesses: IntArray, rivals: Mapping[str, IntArray]
    ) -> tuple[dict[str, dict[str, float]], dict[str, Gain]]:
        test, y = self.rows["test"], self.material.y
        if not len(test):
            return {}, {}
        right = {name: (rival == y)[test] for name, rival in rivals.items()}
        own = (guesses == y)[test]
        figures = {name: measured(one) for name, one in right.items()} | {self.plan.method: measured(own)}
        order = [name for name in (ALONE, TEACHER) if name in right]
        return figures, {name: paired_gain(own, right[name], seed=self.seed) for name in order}

    def _space(
        self,
        student: StudentClassifier,
        proba: np.ndarray,
        head: LinearHead,
        figures: Mapping[str, Mapping[str, float]],
    ) -> Space:
        material, names = self.material, np.array(self.material.names, dtype=object)
        vectors = student.encode(material.items, progress=self.progress)
        part = np.full(len(material.y), None, dtype=object)
        for name in PARTS:
            part[self.rows[name]] = name
        columns = {
            "student_class": names[proba.argmax(1)].tolist(),
            "student_confidence": proba.max(1),
            "teacher_class": names[head.logits(material.vectors).argmax(1)].tolist(),
            "part": part.tolist(),
        }
        record = {"kind": StudentClassifier.__name__, "fingerprint": student.fingerprint}
        space = with_new_vectors(material.space, vectors, record).with_columns(columns, label=material.label)
        return space.with_info(space.info | {"distilled": {"method": self.plan.method, "figures": figures}})

    def _options(self, k: int) -> dict[str, str]:
        recipe = {name: str(value) for name, value in vars(self.plan.recipe).items()}
        if "n_subclasses" in recipe:
            recipe["n_subclasses"] = str(k)
        student = {name: str(value) for name, value in self.plan.student.items() if name != "random_state"}
        return recipe | student


def _check_folders(teacher: PathLike | Space, inputs: PathLike | Space | None, out: Path | None) -> None:
    for name, given in (("teacher", teacher), ("inputs", inputs)):
        if given is None or isinstance(given, Space):
            continue
        if not Path(given).exists():
            raise InputError(name, got=str(given), expected="a folder that exists")
        if out is not None and out.resolve() == Path(given).resolve():
            raise InputError("student", got=str(out), expected=f"another folder than that of the {name}")


def _rows(material: Material, held_out: float, seed: int) -> tuple[dict[str, IntArray], tuple[str, ...]]:
    """Return the rows of each part: as the teacher was trained, where it held back rows of every class, or drawn."""
    y = material.y
    notes: tuple[str, ...] = ()
    codes, counts = np.unique(y[y >= 0], return_counts=True)
    if len(codes) < 2 or len(codes) < len(material.names):
        got = f"rows of {len(codes)} class(es), of {len(material.names)} named"
        raise InputError("label", got=got, expected="rows of two or more classes, and of each")
    if held_out and counts.min() < FEWEST:
        few = material.names[codes[counts.argmin()]]
        raise InputError("label", got=f"{counts.min()} row(s) of {few!r}", expected=f"{FEWEST} or more of each class")
    nothing = np.empty(0, dtype=np.int64)
    if not held_out:
        return {"train": np.flatnonzero(y >= 0), "validation": nothing, "test": nothing}, notes
    given = {name: np.flatnonzero((material.part == name) & (y >= 0)) for name in PARTS}
    if all(len(np.unique(y[rows])) == len(codes) for rows in given.values()):
        return given, ("the parts are those of the teacher's own training, so that it saw no test row either",)
    if (material.part != "").any():
        notes = ("the teacher's encoder was trained on some of the test rows: its own figure is too good",)
    drawn = draw_distillation(y, validation=held_out / 2, test=held_out, seed=seed)
    return {"train": drawn.transfer, "validation": drawn.validation, "test": drawn.test}, notes


def _warned(figures: Mapping[str, Mapping[str, float]]) -> tuple[str, ...]:
    """Say so when the teacher knows no more than the student finds out by itself."""
    if ALONE not in figures or figures[TEACHER]["accuracy"] > figures[ALONE]["accuracy"]:
        return ()
    return ("the same network on labels alone is right as often as the teacher: there is little to teach",)

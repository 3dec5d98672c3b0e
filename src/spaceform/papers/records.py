"""What the catalogue knows of one paper: plain frozen records and their vocabulary."""

from __future__ import annotations

import hashlib
import json
from dataclasses import asdict, dataclass

PURPOSES = {
    "metric_learning": "shape a space so that distance means likeness",
    "few_shot": "recognise a class from a few examples",
    "class_discovery": "find classes that nobody labelled",
    "transfer": "carry what one model knows over to another",
    "continual": "add classes without forgetting the old ones",
    "diagnostics": "measure what a space holds and how it learns",
    "text": "put documents and words in a space",
    "multimodal": "align pictures, text and other modalities",
    "scenes": "detect and segment objects, and how they relate",
    "embedding_tables": "compress embedding tables",
    "vector_search": "search vectors, with filters",
    "robustness": "attack and defend a space",
}
"""What papers are for, in the order of the catalogue, and in the words of somebody who needs it."""
KINDS = ("mechanism", "accuracy")
TESTS = ("superior", "noninferior", "equivalent")
DIRECTIONS = ("up", "down")
ROLES = ("baseline", "ablation", "control")
UNVERIFIED = "unverified"
MIN_SEEDS = 3
"""Fewer paired differences give no useful interval."""


@dataclass(frozen=True, slots=True)
class Published:
    """One figure as the paper prints it; ``where`` is its place, or ``"unverified"`` if nobody has seen it there."""

    figure: str
    value: str
    unit: str
    where: str

    @property
    def verified(self) -> bool:
        """Whether the figure was seen at a named place."""
        return self.where != UNVERIFIED


@dataclass(frozen=True, slots=True)
class Code:
    """The official code: its address (or ``"none"``), its licence, and the defects that must not be copied."""

    repository: str
    licence: str
    note: str


@dataclass(frozen=True, slots=True)
class Comparison:
    """One question to the experiment, fixed before the run.

    Over the seeds, is ``metric`` of arm ``method`` better than ``metric`` (or ``baseline_metric``) of arm
    ``baseline``, in ``direction``, by ``margin``? ``test`` says what "better" means: superior by the margin,
    not inferior by more than it, or equivalent within it.
    """

    name: str
    kind: str
    test: str
    metric: str
    direction: str
    method: str
    baseline: str
    margin: float
    role: str
    baseline_metric: str | None = None


@dataclass(frozen=True, slots=True)
class ClaimSpec:
    """What the experiment of a paper must show, on which data, with which seeds and in how many seconds."""

    statement: str
    data: str
    seeds: tuple[int, ...]
    budget_seconds: int
    comparisons: tuple[Comparison, ...] = ()
    notes: str = ""

    def digest(self) -> str:
        """Return 16 hexadecimal digits of SHA-256 over the canonical JSON of all that is fixed before a run.

        ``notes`` are left out, because they are written after a run; so are key order and line breaks.
        """
        table = asdict(self)
        del table["notes"]
        for comparison in table["comparisons"]:
            if comparison["baseline_metric"] is None:
                del comparison["baseline_metric"]
        canonical = json.dumps(table, sort_keys=True, separators=(",", ":"), ensure_ascii=True)
        return hashlib.sha256(canonical.encode()).hexdigest()[:16]


@dataclass(frozen=True, slots=True)
class Paper:
    """The record of one paper.

    ``classes`` names the Python classes that are the paper's own, the main one first; the module of the method
    holds or re-exports every one of them, and the package offers them under these names. Primitives that
    several papers share are not among them.
    """

    slug: str
    title: str
    method: str
    authors: tuple[str, ...]
    year: int
    venue: str
    purpose: str
    idea: str
    needs: str
    gives: str
    keywords: tuple[str, ...]
    limits: tuple[str, ...]
    classes: tuple[str, ...]
    code: Code
    published: tuple[Published, ...]
    claim: ClaimSpec
    arxiv: str = ""
    doi: str = ""
    cost: str = ""
    layouts: tuple[str, ...] = ()

    @property
    def module(self) -> str:
        """The slug as the name of a Python module."""
        return self.slug.replace("-", "_")

    @property
    def link(self) -> str:
        """Where the paper can be read."""
        return f"https://arxiv.org/abs/{self.arxiv}" if self.arxiv else f"https://doi.org/{self.doi}"

    @property
    def citation(self) -> str:
        """Authors, title, venue and year in one line."""
        names = ", ".join(self.authors) if len(self.authors) <= 3 else f"{self.authors[0]} et al."
        year = "" if str(self.year) in self.venue else f" ({self.year})"
        return f"{names}. {self.title}. {self.venue}{year}."

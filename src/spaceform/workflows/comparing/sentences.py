"""What a comparison says in words. Thresholds are named here, with where they come from."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from spaceform.workflows.comparing.controls import Control
from spaceform.workflows.comparing.measures import Agreement
from spaceform.workflows.comparing.reading import Reading

VERDICTS = {
    "equal": "the same vectors",
    "isometric": "the same up to an isometry",
    "noisy": "the same up to an isometry and noise",
    "kindred": "versions of one arrangement, as two trainings of one encoder are",
    "undecided": "related; so few rows do not tell how closely",
    "related": "different arrangements of the same rows, as two different encoders make",
    "unrelated": "no more alike than wrong pairs of rows",
}
"""From the same to unrelated."""

ADVICE = {
    "equal": "heads, indexes and thresholds of one go on with the other",
    "isometric": "heads and indexes of one go on with the other after one rotation",
    "noisy": "heads of one go on with the other after one rotation, with the noise in their answers",
    "kindred": "neighbours differ in detail: rebuild indexes, and read heads through a map or relative coordinates",
    "related": "heads and indexes have to be made anew",
}

EXACT = 1e-3
"""Share of the variance of distances that an isometry may leave: rounding to half precision leaves less than 1e-4."""

NOISY = 0.5
"""Below this share of explained variance "the same and noise" says nothing: noise would be most of it."""

KINDRED = 0.8
"""Share of what any linear map carries that a rigid one must carry for two versions of one arrangement.

0 is what wrong pairs give and 1 the best linear map, both on held-out rows. Measured: two seeds of one encoder 0.84
(emoji, FaceNet) and 0.89 to 0.93 (digits, two losses, two widths); an encoder against raw pixels 0.46 and 0.65, against
one trained for another question 0.60, pictures against words 0.35, two random networks 0.72.
"""

ALIKE = 0.25
"""Explained variance below which two spaces are not versions of one arrangement, whatever the share: a part of little.

Measured: two seeds 0.49 to 0.79, different encoders -0.1 to 0.57.
"""

SEEN = 0.85
"""Variance that maps must see of both spaces before the two are called alike: first components agree all too easily.

Measured: with 24 to 50 rows of digits, in 3 to 6 components, pixels and an encoder look like versions of one.
"""


@dataclass(frozen=True, kw_only=True)
class Evidence:
    """What the verdict stands on: figures and controls, whether vectors are equal, how many rows there are and moved.

    ``seen``: the share of variance that the maps see; ``scale``: the factor of the rigid map from A to B.
    """

    figures: Agreement
    controls: Mapping[str, Control]
    equal: bool
    seen: float
    scale: float
    rows: int
    moved: int


def judge(evidence: Evidence) -> str:
    """Return the verdict's name."""
    figures, controls = evidence.figures, evidence.controls
    if evidence.equal:
        return "equal"
    if figures.gap <= EXACT:
        return "isometric"
    chance = controls["shuffled"]
    if figures.rigid <= chance.rigid_high and figures.neighbours <= chance.neighbours_high:
        return "unrelated"
    if figures.rigid < ALIKE or figures.share_high < KINDRED:
        return "related"
    if evidence.seen < SEEN or figures.share_low < KINDRED:
        return "undecided"
    return "noisy" if figures.rigid >= NOISY and figures.share >= controls["noise"].share_low else "kindred"


def conclude(
    verdict: str, evidence: Evidence, *, readings: Sequence[Reading], examples: Sequence[str]
) -> Iterator[str]:
    """Yield the verdict and what it stands on, one sentence each; ``examples`` are keys of rows that moved."""
    yield _verdict(verdict, evidence)
    figures, controls = evidence.figures, evidence.controls
    if verdict not in {"equal", "isometric"}:
        yield (
            f"a rigid map fitted on one half of the rows explains {_percent(figures.rigid)} of the variance in the "
            f"other, any linear map {_percent(figures.linear)}, wrong pairs {_percent(controls['shuffled'].rigid_high)}"
        )
    told = [f"{controls['shuffled'].neighbours:.2g} for wrong pairs"]
    if "within classes" in controls:
        told.append(f"{controls['within classes'].neighbours:.2g} for wrong pairs of one class")
    if verdict not in {"equal", "isometric"}:
        told.append(f"{controls['noise'].neighbours:.2g} if B were A with noise of that size")
    yield f"the {figures.k} nearest rows overlap by {figures.neighbours:.2f} on average: {', '.join(told)}"
    for reading in readings:
        yield _read(reading)
    if evidence.moved:
        some = ", ".join(examples)
        rows = "1 row lies" if evidence.moved == 1 else f"{evidence.moved:,} rows lie"
        yield f"{rows} elsewhere than the others say: {some}"
    else:
        yield "no row stands out from the others as moved"
    if verdict in ADVICE:
        yield f"so {ADVICE[verdict]}"


def _verdict(verdict: str, evidence: Evidence) -> str:
    but = f", but for {evidence.moved:,} of {evidence.rows:,} rows" if evidence.moved else ""
    if verdict == "isometric" and abs(evidence.scale - 1) > 0.01:
        but = f" and a scale of {evidence.scale:.3g}{but}"
    words = f"A and B are {VERDICTS[verdict]}{but}"
    if verdict in {"noisy", "kindred", "related"}:
        words += f" (of what any linear map carries over, a rigid one carries {evidence.figures.share:.0%})"
    return words


def _read(reading: Reading) -> str:
    head, other = reading.head, reading.away
    absolute = "" if reading.absolute is None else f", {reading.absolute:.0%} as it is"
    return (
        f"{head}'s head reads {other}: {reading.rigid:.0%} right after a rotation{absolute}, {reading.relative:.0%} in "
        f"relative coordinates; {head} itself {reading.own:.0%}, wrong pairs {reading.shuffled:.0%}"
    )


def _percent(share: float) -> str:
    return "nothing" if share < 0.005 else f"{share:.0%}"

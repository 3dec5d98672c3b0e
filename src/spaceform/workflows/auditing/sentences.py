"""What an audit says in words: warnings on what stands out, and one-line conclusions. Thresholds are named here."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from spaceform.workflows.auditing.capacity import Capacity
from spaceform.workflows.auditing.labels import ColumnFigures
from spaceform.workflows.auditing.movement import Movement
from spaceform.workflows.auditing.result import AuditResult

HUB_SHARE = 0.05
"""Three rows among the neighbours of more than so many others are hubs..."""

HUB_FACTOR = 4
"""...if that is at least so many times what three ordinary rows reach."""

ANTIHUBS = 0.25
CONE = 0.5
"""Mean cosine above which vectors point into a narrow cone."""

FLAT_SHARE = 0.05
"""Participation ratio below such a share of the dimensions: most of them carry next to nothing."""

CONFUSED = 0.2
UNSEEN_DROP = 0.1
WORSE = 0.02
"""Loss of the kernel's alignment with the classes that is worth a sentence."""

RETURNED = 0.9
"""Share of queries answered exactly below which it is worth a sentence that the dimension would allow more."""

LEAK = 0.1
"""Corrected agreement of a column beyond the label that is worth a sentence."""


def warn(result: AuditResult) -> Iterator[str]:
    """Yield a sentence for each thing that stands out, the gravest parts first."""
    yield from _about_duplicates(result)
    yield from _about_columns(result.columns)
    yield from _about_labels(result)
    yield from _about_retrieval(result)
    yield from _about_shape(result)
    yield from _about_movement(result)
    yield from _about_capacity(result)


def conclude(result: AuditResult) -> Iterator[str]:
    """Yield a line for each part that has an answer."""
    if result.clusters is not None:
        c = result.clusters
        error = max(c.std, c.shuffled_std)
        clear = "clear" if c.separability > c.shuffled + 3 * error else "no clear"
        yield (
            f"without labels: {clear} clusters (separability {c.separability:.2f} ± {c.std:.2f}, "
            f"{c.shuffled:.2f} with shuffled columns; {c.sample_size} rows a sample)"
        )
    if result.separability is not None:
        s = result.separability
        yield (
            f"with labels: the nearest neighbour has the same {result.label} for {s.thornton_index:.0%} of rows "
            f"({_percent(s.chance)} by chance), silhouette {s.silhouette:.2f}"
        )
    for name in ("unseen", "seen", "all"):
        if result.retrieval and name in result.retrieval:
            figures = result.retrieval[name]
            yield (
                f"retrieval on {name} classes: recall@1 {figures.recall_at['1']:.1%}, MAP@R {figures.map_at_r:.1%} "
                f"({figures.n_classes:,} classes)"
            )
            break
    if result.dimension is not None and result.anisotropy is not None:
        yield (
            f"of {result.dim} dimensions about {result.dimension.levina_bickel:.0f} are used locally and "
            f"{result.anisotropy.participation_ratio:.0f} overall"
        )
    if result.movement is not None:
        yield _movement_line(result.movement)
    if result.capacity is not None:
        yield _capacity_line(result.capacity, result.dim)
    if result.confusions:
        worst = result.confusions[0]
        a, b = worst.classes
        yield f"most confused: {a} and {b} ({worst.share:.0%} of the rows nearest to one are of the other)"


def _movement_line(moved: Movement) -> str:
    m = moved.figures
    line = (
        f"since the earlier space: the kernel moved by {m.centred:.3f} (0 is none, 1.41 all), {m.neighbours:.0%} of "
        f"nearest neighbours are others"
    )
    if m.labels is None:
        return line
    return f"{line}, alignment with the classes went from {m.labels[0]:.2f} to {m.labels[1]:.2f}"


def _capacity_line(found: Capacity, dim: int) -> str:
    c = found
    drawn = f" (of {c.judged:,})" if c.judged > c.queries else ""
    asked = f"{_count(c.queries, 'query', 'queries')}{drawn} over {_count(c.documents, 'judged row')}"
    if c.needed is None:
        said = f"no optimised vectors of up to {dim} dimensions return all sets (best {c.best_accuracy:.1%})"
    else:
        last = c.tried[-1]
        gap = f", with a gap of {last.gap:.2g} in {last.d}" if last.accuracy == 1 else ""
        said = f"optimised vectors return all sets from {_count(c.needed, 'dimension')} on{gap}"
    proven = f"{c.rank_low}" if c.rank_low == c.rank_high else f"{c.rank_low} to {c.rank_high}"
    line = f"capacity: {asked}, up to {c.largest_set} relevant: {said}; proven to be needed at any gap: {proven}"
    if c.returned is not None:
        line += f"; these vectors of {dim} return {c.returned:.1%} exactly"
    return line


def _about_capacity(result: AuditResult) -> Iterator[str]:
    c = result.capacity
    if c is None:
        return
    if c.rank_low > result.dim:
        yield (
            f"capacity: {c.rank_low} dimensions are needed at any margin, and there are {result.dim}: "
            f"use several vectors per row"
        )
    elif c.needed is None:
        yield (
            f"capacity: even vectors optimised on the judgements return only {c.best_accuracy:.1%} of the sets exactly "
            f"in {result.dim} dimensions: more of them, several vectors per row, or a reranker"
        )
    elif c.returned is not None and c.returned < RETURNED:
        yield (
            f"capacity: {result.dim} dimensions could return every set and these vectors return {c.returned:.1%} "
            f"exactly: the encoder is the limit, not the dimension"
        )


def _about_movement(result: AuditResult) -> Iterator[str]:
    if result.movement is None:
        return
    figures = result.movement.figures
    if figures.frozen:
        yield f"frozen features: the kernel moved by {figures.centred:.3f} only; a linear read-out could do as much"
    if figures.labels is not None and figures.labels[1] < figures.labels[0] - WORSE:
        yield f"training moved away from the classes: alignment {figures.labels[0]:.2f}, now {figures.labels[1]:.2f}"


def _about_duplicates(result: AuditResult) -> Iterator[str]:
    found = result.duplicates
    if found is None:
        return
    if found.copies:
        yield f"copies: {_count(found.copies, 'row')} the same as an earlier one"
    if found.near and found.pairs:
        first = found.pairs[0]
        yield f"near-duplicates: {_count(found.near, 'row')}, such as {first.ids[0]} and {first.ids[1]}"
    if result.conflicting_pairs:
        pairs = f"{result.conflicting_pairs:,} of {_count(len(found.pairs), 'closest pair')}"
        yield f"labels: {pairs} with different labels: wrong labels, or classes that look alike"


def _about_columns(columns: list[ColumnFigures]) -> Iterator[str]:
    wanted = [column for column in columns if column.relation in {"label", "coarser"}]
    for column in columns:
        if column.relation != "free" or column.corrected < LEAK:
            continue
        weaker = [other for other in wanted if other.corrected < column.corrected]
        if weaker:
            other = min(weaker, key=lambda one: one.corrected)
            yield (
                f"domain leakage: {column.name} is more separable than {other.name} "
                f"(neighbours agree {column.corrected:.0%} and {other.corrected:.0%} beyond chance)"
            )
        elif column.beyond_label is not None and column.beyond_label > LEAK:
            yield (
                f"domain leakage: nearest neighbours of another class share {column.name} "
                f"{column.beyond_label:.0%} beyond chance"
            )


def _about_labels(result: AuditResult) -> Iterator[str]:
    found = result.separability
    if found is None:
        return
    if found.singletons:
        yield f"classes: {found.singletons:,} of {found.n_classes:,} have a single row, which nothing can find"
    if found.thornton_index < 2 * found.chance:
        figures = f"{found.thornton_index:.1%}; {_percent(found.chance)} by chance"
        yield f"labels: neighbours hardly know {result.label} ({figures})"
    for confusion in result.confusions[:3]:
        if confusion.share > CONFUSED:
            a, b = confusion.classes
            yield f"confusion: {confusion.share:.0%} of the rows nearest to {a} and {b} are of the other"


def _about_retrieval(result: AuditResult) -> Iterator[str]:
    figures = result.retrieval or {}
    if {"seen", "unseen"} <= figures.keys():
        seen, unseen = figures["seen"].recall_at["1"], figures["unseen"].recall_at["1"]
        if seen - unseen > UNSEEN_DROP:
            yield f"new classes: recall@1 is {seen:.1%} on classes seen in training and {unseen:.1%} on others"
    ours = figures.get("unseen", figures.get("all"))
    for name, floor in result.floors.items():
        if ours is not None and ours.map_at_r <= floor.map_at_r:
            yield f"floor: {name} retrieves as well as these vectors (MAP@R {floor.map_at_r:.1%}, {ours.map_at_r:.1%})"


def _about_shape(result: AuditResult) -> Iterator[str]:
    hubs, shape, clusters = result.hubness, result.anisotropy, result.clusters
    if hubs is not None:
        expected = len(hubs.hubs) * hubs.k / max(result.scope["queries"], 1)
        if hubs.top_share > max(HUB_SHARE, HUB_FACTOR * expected):
            names = ", ".join(result.hub_ids)
            yield (
                f"hubs: {len(hubs.hubs)} rows ({names}) appear among the {hubs.k} neighbours "
                f"of {hubs.top_share:.0%} of rows"
            )
        if hubs.antihubs > ANTIHUBS:
            yield f"antihubs: {hubs.antihubs:.0%} of rows are among nobody's {hubs.k} neighbours and are rarely found"
    if shape is not None:
        if shape.mean_cosine > CONE:
            yield f"narrow cone: the mean cosine of two rows is {shape.mean_cosine:.2f}; centre before comparing angles"
        if shape.participation_ratio < FLAT_SHARE * result.dim:
            yield f"flat: variance lies in about {shape.participation_ratio:.0f} of {result.dim} dimensions"
    if clusters is not None and clusters.guarded < 0.5 * clusters.separability:
        yield (
            f"outliers: a few far rows make the score without labels look better "
            f"({clusters.separability:.2f}, {clusters.guarded:.2f} without them)"
        )


def explain_scope(scope: Mapping[str, int]) -> str:
    """Return what was looked at in one line."""
    if scope["queries"] == scope["rows"]:
        return f"all {scope['rows']:,} rows were looked at"
    return (
        f"neighbours of {scope['queries']:,} rows drawn from {scope['rows']:,} "
        f"were searched among {scope['pool']:,}; copies are counted in all"
    )


def _percent(share: float) -> str:
    return f"{share:.1%}" if share >= 0.01 else f"{100 * share:.1g}%"


def _count(n: int, noun: str, plural: str | None = None) -> str:
    return f"{n:,} {noun if n == 1 else plural or noun + 's'}"

"""The sections of the page that an audit fills."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from spaceform.report.page import Block, Gallery, GalleryLine, Notes, Section, Table

SHOWN_PAIRS = 12
"""Confusions and near-duplicates shown as pictures; the JSON has more."""

PARTS = {"all": "all classes", "seen": "classes seen in training", "unseen": "classes never seen"}


WIDEST_GAP = 2
"""Cosines can't differ by more."""


def audit_sections(audit: Mapping[str, Any]) -> list[Section]:
    """Return the sections for the plain result of ``workflows.audit``; parts without an answer are left out."""
    made = [_standing_out(audit), _classes(audit), _columns(audit), _confusions(audit), _shape(audit), _pairs(audit)]
    made.append(_capacity(audit))
    return [section for section in made if section is not None]


def _standing_out(audit: Mapping[str, Any]) -> Section:
    blocks: list[Block] = [Notes(sentences=audit["conclusions"])]
    if audit["warnings"]:
        blocks.append(Notes(sentences=audit["warnings"], kind="notes warnings"))
    return Section(title="In a few sentences", intro="What the audit found, and what stands out.", blocks=blocks)


def _classes(audit: Mapping[str, Any]) -> Section | None:
    figures, found = audit["separability"], audit["retrieval"]
    blocks: list[Block] = []
    if found:
        rows = [
            (PARTS.get(name, name), part["n_classes"], part["rows"], *_shares(part)) for name, part in found.items()
        ]
        columns = ("rows of", "classes", "rows", *[f"recall@{k}" for k in _ranks(found)], "MAP@R")
        blocks.append(Table(columns=columns, rows=rows, bars=range(3, len(columns))))
    if figures:
        rows = [
            ("5-NN accuracy", figures["knn_accuracy"], "share of rows that their five nearest neighbours name rightly"),
            (
                "Thornton index",
                figures["thornton_index"],
                f"nearest neighbour agrees; {figures['chance']:.2g} by chance",
            ),
            ("silhouette", figures["silhouette"], "-1 to 1: nearer to the own class than to the next"),
            ("Fisher ratio", figures["fisher_ratio"], "spread between classes over spread within"),
        ]
        blocks.append(Table(columns=("with labels", "value", "what it says"), rows=rows))
    clusters = audit["clusters"]
    if clusters:
        text = f"{clusters['separability']:.3f} ± {clusters['std']:.3f}"
        rows = [
            ("topological separability", text, f"1 - mean normalised lifetime of {clusters['sample_size']} rows"),
            ("the same without clusters", f"{clusters['shuffled']:.3f}", "columns shuffled: what no structure gives"),
        ]
        blocks.append(Table(columns=("without labels", "value", "what it says"), rows=rows))
    if not blocks:
        return None
    intro = f"Label: {audit['label']}." if audit["label"] else "There is no label: these figures need none."
    return Section(title="Do the classes separate?", intro=intro, blocks=blocks)


def _columns(audit: Mapping[str, Any]) -> Section | None:
    rows = [
        (one["name"], one["relation"], one["n_classes"], one["corrected"], one["beyond_label"])
        for one in audit["columns"]
    ]
    if not rows:
        return None
    columns = ("column", "relation to the label", "values", "neighbours agree", "beyond the label")
    return Section(
        title="What the space is arranged by",
        intro=(
            "How often nearest neighbours agree in a column, beyond chance; the last figure looks only at neighbours "
            "of another class. A column that should not matter (a source, a camera, a vendor) should score near 0."
        ),
        blocks=[Table(columns=columns, rows=rows, bars=(3, 4))],
    )


def _confusions(audit: Mapping[str, Any]) -> Section | None:
    lines = [
        GalleryLine(
            title=" / ".join(one["classes"]),
            note=f"{one['share']:.0%} of their neighbours belong to the other",
            groups=[[pair["rows"][side] for pair in one["examples"]] for side in (0, 1)],
        )
        for one in audit["confusions"][:SHOWN_PAIRS]
    ]
    if not lines:
        return None
    intro = "The pairs of classes that the space confuses most, with rows that are each other's neighbours."
    return Section(title="Most confused", intro=intro, blocks=[Gallery(lines=lines)])


def _shape(audit: Mapping[str, Any]) -> Section | None:
    hubs, dimension, anisotropy = audit["hubness"], audit["dimension"], audit["anisotropy"]
    rows: list[tuple[str, Any, str]] = []
    if dimension:
        told = f"of {audit['dim']}; by two neighbours, and {dimension['levina_bickel']:.1f} by maximum likelihood"
        rows.append(("intrinsic dimension", dimension["two_nn"], told))
    if anisotropy:
        rows.append(("mean cosine", anisotropy["mean_cosine"], "of random pairs; far from 0 means a narrow cone"))
        rows.append(("effective rank", anisotropy["effective_rank"], f"directions in use, of {audit['dim']}"))
    if hubs:
        told = f"of how often a row is among others' {hubs['k']} nearest; above 1 there are hubs"
        rows.append(("hubness (skewness)", hubs["skewness"], told))
        rows.append(("antihubs", hubs["antihubs"], "share of rows that nobody has as a neighbour"))
    if not rows:
        return None
    blocks: list[Block] = [Table(columns=("figure", "value", "what it says"), rows=rows)]
    if hubs and hubs["hubs"]:
        note = f"among the neighbours of {hubs['top_share']:.1%} of all rows"
        blocks.append(
            Gallery(lines=[GalleryLine(title="The largest hubs", note=note, groups=[list(hubs["hubs"])[:12]])])
        )
    return Section(title="The shape of the cloud", blocks=blocks)


def _pairs(audit: Mapping[str, Any]) -> Section | None:
    found = audit["duplicates"]
    if not found or not found["pairs"]:
        return None
    groups = [list(pair["rows"]) for pair in found["pairs"][: 2 * SHOWN_PAIRS]]
    note = f"{found['copies']:,} exact copies, {found['near']:,} rows with a near copy"
    if audit["conflicting_pairs"]:
        note += f"; {audit['conflicting_pairs']} of the closest pairs differ in label"
    intro = "Rows much closer than neighbours usually are: copies, or pictures that only a label tells apart."
    gallery = Gallery(lines=[GalleryLine(title="Nearest pairs", note=note, groups=groups)])
    return Section(title="Near-duplicates", intro=intro, blocks=[gallery])


def _capacity(audit: Mapping[str, Any]) -> Section | None:
    found = audit.get("capacity")
    if not found:
        return None
    if found["needed"] is None:
        reached = f"not up to {audit['dim']}"
    else:
        reached = str(found["needed"])
    rows: list[tuple[str, Any, str]] = [
        (
            "queries",
            found["queries"],
            f"over {found['documents']:,} judged rows, up to {found['largest_set']} relevant",
        ),
        (
            "dimensions at any gap",
            f"{found['rank_low']} to {found['rank_high']}",
            "least and most that are proven to be needed, gaps may vanish",
        ),
        ("dimensions by optimising", reached, "vectors fitted on the judgements alone, the most favourable case"),
    ]
    if found["widest_gap"] < WIDEST_GAP:  # else counting says nothing
        told = f"of cosines in {audit['dim']} dimensions, by counting the different sets"
        rows.append(("widest gap possible", f"{found['widest_gap']:.3g}", told))
    if found["constructed_gap"] is not None:
        told = f"of vectors on a curve in {2 * found['largest_set']} dimensions, nothing optimised"
        rows.append(("gap of a construction", f"{found['constructed_gap']:.3g}", told))
    if found["returned"] is not None:
        rows.append(("returned exactly", found["returned"], "by these vectors, among all rows"))
        rows.append(("recall", found["recall"], "of as many rows as are relevant, among all rows"))
    tried = [(one["d"], one["accuracy"], f"{one['gap']:.3g}") for one in found["tried"]]
    return Section(
        title="Can single vectors return what is asked?",
        intro=(
            "Judgements ask for sets of rows. Vectors of too few dimensions can't return some of them, whatever the "
            "encoder; with enough dimensions what is missing is the encoder's fault. A gap is the cosine of the worst "
            "relevant row less that of the best irrelevant one, over the worst query."
        ),
        blocks=[
            Table(columns=("figure", "value", "what it says"), rows=rows),
            Table(columns=("dimensions", "sets returned by optimised vectors", "gap"), rows=tried, bars=(1,)),
        ],
    )


def _ranks(found: Mapping[str, Any]) -> Sequence[str]:
    return list(next(iter(found.values()))["recall_at"])


def _shares(part: Mapping[str, Any]) -> list[float]:
    return [*part["recall_at"].values(), part["map_at_r"]]

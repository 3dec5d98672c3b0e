"""The claim of LIMIT: what free vectors of d dimensions return, and where encoders fail that word matching does not.

(a) Capacity: the most documents of which free embeddings return every pair, by dimension, beside the published fit; the
control is a construction that returns all pairs of many more documents in four dimensions. (b) A stress test: "Who
likes X?" asks for nearly all pairs of 46 people. (c) Only the pattern of relevance is changed.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from spaceform.checks import check_choice
from spaceform.claims.context import Context
from spaceform.claims.record import Record
from spaceform.claims.vector_search import limit_texts
from spaceform.claims.vector_search.limit_trained import Budget, overfit, train_map
from spaceform.data.judged.patterns import PATTERNS
from spaceform.data.judged.texts import JudgedTexts
from spaceform.encoders.text_vectors import kept_vectors
from spaceform.methods.vector_search.limit import all_sets, capacity_curve, least_dimension
from spaceform.metrics.relevance.sets import relevance_recall, set_margins, truncation_curve
from spaceform.ops.capacity.bounds import margin_critical_n, published_critical_n
from spaceform.ops.capacity.moment_curve import moment_curve_embedding
from spaceform.ops.capacity.subsets import asked_documents, document_sets
from spaceform.search.scorers.bm25 import BM25
from spaceform.search.scorers.max_sim import max_sim
from spaceform.training.free_vectors.optimiser import FreeOptimiser
from spaceform.types import FloatArray

SLUG = "limit"

ARMS = {
    "free": "free embeddings optimised on the relevance itself: the largest n by dimension",
    "free_warm": "the same, each number of documents begun from the vectors of the largest that succeeded",
    "moment_curve": "control: documents on the moment curve in four dimensions, nothing optimised",
    "bm25": "words: BM25",
    "single_vector": "the encoder, one vector per text, cosine",
    "multi_vector": "the encoder, one vector per token, MaxSim; not trained for it",
    "lsa": "tf-idf words in as many singular directions as documents, and in four",
    "overfit": "control: the encoder's vectors under linear maps fitted on the test relevance",
    "trained_vector": "the encoder's vector under a linear map trained on people who like other things",
    "trained_tokens": "the encoder's token vectors under such a map, of the same size and training, by MaxSim",
    "dense": "nearly all pairs of few documents",
    "cycle": "ablation: the same texts and encoder, neighbours on a circle",
    "random": "ablation: random pairs",
    "disjoint": "ablation: pairs without a common document",
}

_FULL = {
    "restarts": 1,
    "sweep": [4, 5],
    "curve_sizes": [10, 46, 100, 300],
    "lsa_dims": [4, 8, 16, 32, 46],
    "full_ranks": [2, 10, 100],
    "train_attributes": 1850,
    "train": {"n_documents": 46, "n_queries": 1000, "k": 2, "min_items": 45},
}
SETTINGS: dict[str, dict[str, Any]] = {
    "smoke": {
        "dims": [3, 4, 5],
        "max_steps": 800,
        "restarts": 1,
        "sweep": [0, 1],
        "curve_sizes": [10, 46, 100],
        "lsa_dims": [4, 8, 17],
        "folder": None,
        "attributes": None,
        "stress": {"n_documents": 17, "n_queries": 120, "k": 2, "min_items": 16},
        "ranks": [2, 10],
        "encoder": "words",
        "width": 24,
        "max_tokens": 256,
        "truncations": [6, 12],
        "overfit_dim": 16,
        "overfit_steps": 150,
        "full": {"n_documents": 500, "n_queries": 120, "k": 2, "min_items": 16},
        "full_ranks": [2, 10, 100],
        "people": [17, 60],
        "train_attributes": 90,
        "train": {"n_documents": 12, "n_queries": 60, "k": 2, "min_items": 12},
        "map": {"dim": 16, "steps": 40, "batch": 20, "learning_rate": 0.01},
        "patterns": {"n_documents": 110, "n_queries": 55, "k": 2, "min_items": 10},
    },
    "laptop": {
        **_FULL,
        "dims": [2, 3, 4, 5, 6, 7, 8],
        "max_steps": 4000,
        "folder": None,
        "attributes": 1850,
        "stress": {"n_documents": 46, "n_queries": 1000, "k": 2, "min_items": 45},
        "ranks": [2, 10, 20],
        "encoder": "minilm",
        "width": 0,
        "max_tokens": 256,
        "truncations": [32, 64, 128, 256],
        "overfit_dim": 64,
        "overfit_steps": 400,
        "full": {"n_documents": 50_000, "n_queries": 1000, "k": 2, "min_items": 45},
        "people": [46, 200, 2000],
        "map": {"dim": 64, "steps": 300, "batch": 32, "learning_rate": 0.003},
        "patterns": {"n_documents": 200, "n_queries": 100, "k": 2, "min_items": 14},
    },
    "paper": {
        **_FULL,
        "dims": list(range(2, 46)),
        "max_steps": 100_000,
        "folder": "limit-small",
        "attributes": 1850,
        "stress": {},
        "ranks": [2, 10, 20],
        "encoder": "folder",
        "width": 0,
        "max_tokens": 2048,
        "truncations": [32, 64, 128, 256],
        "overfit_dim": 512,
        "overfit_steps": 2000,
        "full": {},
        "people": [46, 200, 2000, 10_000, 50_000],
        "map": {"dim": 128, "steps": 2000, "batch": 64, "learning_rate": 0.003},
        "patterns": {"n_documents": 50_000, "n_queries": 1000, "k": 2, "min_items": 50},
    },
}

ALLOWED_DEVIATION = 0.35
"""How far critical n may lie from the published fit, as a share of it, from d = 4 on."""

SUCCESS, FAILURE = 0.95, 0.3
"""Recall at 2 above which word matching succeeds, and below which a single vector fails."""

_GAMMA = 0.1


@dataclass(frozen=True)
class Bench:
    """One seed and what its arms share."""

    arm: str
    seed: int
    settings: Mapping[str, Any]
    context: Context

    @property
    def optimiser(self) -> FreeOptimiser:
        """The paper's, with this scale's number of steps."""
        return FreeOptimiser(max_steps=self.settings["max_steps"])

    @property
    def texts(self) -> JudgedTexts:
        """The stress test."""
        return self.context.shared("texts", lambda: limit_texts.stress_test(self.seed, self.settings, self.context))

    @property
    def encoder(self) -> limit_texts.Encoder:
        """The encoder of this scale."""
        return self.context.shared("encoder", lambda: limit_texts.encoder_of(self.settings, self.context))

    @property
    def vectors(self) -> tuple[FloatArray, FloatArray]:
        """Queries and documents of the stress test, one vector each."""

        def make() -> tuple[FloatArray, FloatArray]:
            return self.encoder.encode(self.texts.queries), self.encoder.encode(self.texts.documents)

        return self.context.shared("vectors", make)

    def recalls(self, scores: FloatArray) -> dict[str, float]:
        """Return recall at each rank of the stress test."""
        found = relevance_recall(scores, self.texts.relevance(), self.settings["ranks"])
        return {f"recall_at_{k}": value for k, value in found.items()}


def run(arm: str, seed: int, settings: Mapping[str, Any], context: Context) -> dict[str, float]:
    """Return critical n by dimension, exactness and margins of the construction, recalls, or a pattern's figures.

    ``needed_d``: the least dimension in which free embeddings return the pattern's sets.
    """
    check_choice(arm, "arm", list(ARMS))
    made: Callable[[Bench], dict[str, float]] = _pattern if arm in PATTERNS else _ARMS[arm]
    return made(Bench(arm, seed, settings, context))


def mechanism(record: Record) -> None:
    """Assert that capacity grows with d, that the construction is beyond it, and that the dense pattern takes most."""
    figures = record.figures()
    for seed, free in figures["free"].items():
        curve = [free[f"n_d{d}"] for d in record.settings["dims"]]
        assert curve == sorted(curve), f"seed {seed}: critical n {curve} over {record.settings['dims']}"
        most = figures["moment_curve"][seed]["exact_n"]
        assert most >= 100 > free["n_d4"], f"seed {seed}: construction {most}, free embeddings {free['n_d4']}"
        needed = {arm: figures[arm][seed]["needed_d"] for arm in PATTERNS}
        assert needed["dense"] > max(needed["cycle"], needed["disjoint"]), f"seed {seed}: dimensions {needed}"
        words, single = (figures[arm][seed]["recall_at_2"] for arm in ("bm25", "single_vector"))
        assert words > single + 0.1, f"seed {seed}: words {words:.3f}, single vector {single:.3f}"


def _free(bench: Bench) -> dict[str, float]:
    settings, dims = bench.settings, bench.settings["dims"]
    curve = capacity_curve(
        dims,
        sweep=tuple(settings["sweep"]),
        restarts=settings["restarts"],
        warm=bench.arm == "free_warm",
        optimiser=bench.optimiser,
        random_state=bench.seed,
        progress=bench.context.progress,
    )
    found = {one.d: one.n for one in curve}
    fitted = [d for d in dims if d >= 4]
    lines: dict[str, dict[int, float]] = {
        "critical n": {d: float(n) for d, n in found.items()},
        "published fit": {d: published_critical_n(d) for d in fitted},
        "margin bound": {d: margin_critical_n(d, 2, _GAMMA) for d in dims},
        "construction, at least": dict.fromkeys(fitted, float(max(settings["curve_sizes"]))),
    }
    for name, line in lines.items():
        bench.context.curve(bench.arm, name, list(line), list(line.values()))
    for one in curve:
        tried = one.accuracies
        bench.context.curve(bench.arm, f"accuracy by n at d = {one.d}", list(tried), list(tried.values()))
    third = max(1, len(dims) // 3)
    return {f"n_d{d}": float(n) for d, n in found.items()} | {
        "n_at_4": float(found[4]),
        "total_n": float(sum(found.values())),
        "steps": float(sum(one.steps for one in curve)),
        "least_step": float(min(np.diff(list(found.values())))),
        "no_step": 0.0,
        "early_growth": (found[dims[third]] - found[dims[0]]) / (dims[third] - dims[0]),
        "late_growth": (found[dims[-1]] - found[dims[-1 - third]]) / (dims[-1] - dims[-1 - third]),
        "deviation": max(abs(found[d] / published_critical_n(d) - 1) for d in fitted),
        "allowed_deviation": ALLOWED_DEVIATION,
    }


def _moment_curve(bench: Bench) -> dict[str, float]:
    sizes, margins = bench.settings["curve_sizes"], []
    for n in sizes:
        curve, table = moment_curve_embedding(n, 2), all_sets(n, 2)
        margins.append(float(set_margins(curve.queries(document_sets(n, 2)) @ curve.documents.T, table).min()))
    exact = [n for n, margin in zip(sizes, margins, strict=True) if margin > 0]
    bench.context.curve("moment_curve", "margin at d = 4", sizes, margins)
    slope = np.polyfit(np.log(exact[1:]), np.log([margins[sizes.index(n)] for n in exact[1:]]), 1)[0]
    return {
        "exact_n": float(max(exact)),
        "least_margin": min(margins),
        "margin_slope": float(slope),
        "derived_slope": -4.0,
    }


def _bm25(bench: Bench) -> dict[str, float]:
    scores = BM25(bench.texts.documents).scores(bench.texts.queries)
    full = limit_texts.full_test(bench.seed, bench.settings, bench.context)
    words = BM25(full.documents)
    found = limit_texts.blockwise_recall(
        lambda block: words.scores(full.queries[block]), full, bench.settings["full_ranks"]
    )
    wide = {f"full_recall_at_{k}": value for k, value in found.items()}
    return bench.recalls(scores) | wide | {"full_documents": float(len(full.documents)), "success": SUCCESS}


def _single_vector(bench: Bench) -> dict[str, float]:
    queries, documents = bench.vectors
    figures = bench.recalls(queries @ documents.T)
    dims, widest = [*bench.settings["truncations"], queries.shape[1]], bench.settings["ranks"][-1]
    table = bench.texts.relevance()
    curve = truncation_curve(queries, documents, table, dims=dims, k=widest)
    bench.context.curve("single_vector", f"recall at {widest} by dimension", dims, [curve[d] for d in dims])
    count = table.shape[1]
    return (
        figures
        | _by_people(bench)
        | {
            "wide_recall": curve[dims[-1]],
            "wide_recall_truncated": curve[dims[0]],
            "chance_at_2": 2 / count,
            "failure": FAILURE,
        }
    )


def _by_people(bench: Bench) -> dict[str, float]:
    """Return recall among growing numbers of people, whose vectors are kept from run to run."""
    texts, progress = limit_texts.many_people(bench.seed, bench.settings, bench.context), bench.context.progress
    queries = kept_vectors(bench.encoder, texts.queries, progress=progress)
    sets = limit_texts.nested(texts, bench.settings["people"])
    documents = kept_vectors(bench.encoder, [texts.documents[row] for row in sets[-1]], progress=progress)
    table = texts.relevance()
    figures: dict[str, float] = {}
    for rows in sets:
        within = np.searchsorted(sets[-1], rows)
        found = relevance_recall(queries @ documents[within].T, table[:, rows], bench.settings["ranks"])
        figures |= {f"recall_at_{k}_of_{len(rows)}": value for k, value in found.items()}
    sizes = [len(rows) for rows in sets]
    for k in bench.settings["ranks"]:
        values = [figures[f"recall_at_{k}_of_{size}"] for size in sizes]
        bench.context.curve("single_vector", f"recall at {k} by number of people", sizes, values)
    return figures


def _multi_vector(bench: Bench) -> dict[str, float]:
    return bench.recalls(limit_texts.token_scores(bench.encoder, bench.texts))


def _lsa(bench: Bench) -> dict[str, float]:
    documents, queries = limit_texts.tf_idf(bench.texts)
    dims = bench.settings["lsa_dims"]
    recalls = [bench.recalls(limit_texts.lsa_scores(documents, queries, d)) for d in dims]
    bench.context.curve("lsa", "recall at 2 by dimension", dims, [one["recall_at_2"] for one in recalls])
    return recalls[-1] | {f"recall_at_2_d{d}": one["recall_at_2"] for d, one in zip(dims, recalls, strict=True)}


def _trained(bench: Bench) -> dict[str, float]:
    """Return recall of the test, and ``train_recall_at_2`` on what the map was trained on."""
    train = bench.context.shared("train", lambda: limit_texts.train_set(bench.seed, bench.settings, bench.texts))
    tokens, encoder = bench.arm == "trained_tokens", bench.encoder

    def made(texts: Sequence[str]) -> list[FloatArray]:
        return encoder.encode_tokens(texts) if tokens else list(encoder.encode(texts)[:, None])

    asked, base = made(train.queries), made(train.documents)
    budget = Budget(**bench.settings["map"])
    apply = train_map(asked, base, train.relevance(), budget=budget, seed=bench.seed)
    learned = relevance_recall(max_sim(apply(asked), apply(base)), train.relevance(), [2])
    scores = max_sim(apply(made(bench.texts.queries)), apply(made(bench.texts.documents)))
    return bench.recalls(scores) | {"train_recall_at_2": learned[2], "failure": FAILURE}


def _overfit(bench: Bench) -> dict[str, float]:
    queries, documents = bench.vectors
    dim, steps = bench.settings["overfit_dim"], bench.settings["overfit_steps"]
    table = bench.texts.relevance()
    return bench.recalls(overfit(queries, documents, table, dim=dim, steps=steps, seed=bench.seed))


def _pattern(bench: Bench) -> dict[str, float]:
    texts = limit_texts.pattern_set(bench.arm, bench.seed, bench.settings)
    table = texts.relevance()
    least, _ = least_dimension(asked_documents(table), high=64, optimiser=bench.optimiser, random_state=bench.seed)
    scores = bench.encoder.encode(texts.queries) @ bench.encoder.encode(texts.documents).T
    found = relevance_recall(scores, table, [2, 10])
    return {
        "needed_d": float(least if least is not None else 65),
        "recall_at_2": found[2],
        "recall_at_10": found[10],
        "asked_documents": float(table.any(0).sum()),
    }


_ARMS: dict[str, Callable[[Bench], dict[str, float]]] = {
    "free": _free,
    "free_warm": _free,
    "moment_curve": _moment_curve,
    "bm25": _bm25,
    "single_vector": _single_vector,
    "multi_vector": _multi_vector,
    "lsa": _lsa,
    "overfit": _overfit,
    "trained_vector": _trained,
    "trained_tokens": _trained,
}

"""What the claim of LIMIT retrieves from, and with: texts, an encoder, scores."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, Protocol

import numpy as np
from scipy.sparse.linalg import svds

from spaceform.claims.context import Context
from spaceform.data.judged.jsonl import read_judged
from spaceform.data.judged.limit import make_limit
from spaceform.data.judged.texts import JudgedTexts
from spaceform.data.judged.words import PLAIN_NOUNS, wordnet_attributes
from spaceform.metrics.relevance.sets import relevance_recall
from spaceform.nets.text import TextEncoder
from spaceform.ops.pairs import l2_normalize
from spaceform.rng import derive_seed
from spaceform.search.scorers.bm25 import words_of
from spaceform.search.scorers.max_sim import max_sim
from spaceform.types import FloatArray, IntArray

CHUNK = 1024
"""Documents whose token vectors are in memory at a time."""


class Encoder(Protocol):
    """Texts as one vector each, or as one per token."""

    @property
    def fingerprint(self) -> str:
        """Text that names the encoder and its weights."""
        ...

    def encode(self, texts: Sequence[str]) -> FloatArray:
        """Return unit vectors ``(n, d)``."""
        ...

    def encode_tokens(self, texts: Sequence[str]) -> list[FloatArray]:
        """Return unit vectors ``(tokens, d)`` of each text."""
        ...


class RandomWords:
    """Words as fixed random unit vectors of ``dim``, texts as their mean: an encoder that knows nothing."""

    def __init__(self, dim: int) -> None:
        self.dim = dim
        self.fingerprint = f"random words {dim}"

    def encode(self, texts: Sequence[str]) -> FloatArray:
        """Return the mean of each text's word vectors, scaled."""
        return l2_normalize(np.stack([tokens.mean(0) for tokens in self.encode_tokens(texts)]))

    def encode_tokens(self, texts: Sequence[str]) -> list[FloatArray]:
        """Return the word vectors of each text."""
        return [np.stack([self._vector(word) for word in re.findall(r"\w+", text.lower())]) for text in texts]

    def _vector(self, word: str) -> FloatArray:
        return l2_normalize(np.random.default_rng(derive_seed(0, "word", word)).normal(size=(1, self.dim)))[0]


def encoder_of(settings: Mapping[str, Any], context: Context) -> Encoder:
    """Return the encoder of a scale: random words, MiniLM, or the transformer in ``root/encoder``."""
    if settings["encoder"] == "words":
        return RandomWords(settings["width"])
    if settings["encoder"] == "folder":
        folder = context.benchmark_root("limit/, limit-small/ (corpus, queries, qrels .jsonl) and encoder/")
        return TextEncoder(Path(folder) / "encoder", max_tokens=settings["max_tokens"])
    return TextEncoder(settings["encoder"], max_tokens=settings["max_tokens"])


def attributes_of(settings: Mapping[str, Any], seed: int) -> list[str]:
    """Return what may be liked at this scale: nouns that ship here, or those drawn from WordNet by the seed."""
    return (
        list(PLAIN_NOUNS[: len(PLAIN_NOUNS) - settings["train_attributes"]])
        if settings["attributes"] is None
        else wordnet_attributes(settings["attributes"], random_state=seed)
    )


def stress_test(seed: int, settings: Mapping[str, Any], context: Context) -> JudgedTexts:
    """Return the small set: generated, or the published one from the benchmark's folder."""
    if settings["folder"] is not None:
        return read_judged(
            context.benchmark_root("limit/ and limit-small/ (corpus, queries, qrels .jsonl)") / settings["folder"]
        )
    size = settings["stress"]
    return make_limit(attributes_of(settings, seed), **size, seed=seed)


def pattern_set(pattern: str, seed: int, settings: Mapping[str, Any]) -> JudgedTexts:
    """Return texts of one size whose relevance follows ``pattern``."""
    return make_limit(attributes_of(settings, seed), **settings["patterns"], pattern=pattern, seed=seed)


def token_scores(encoder: Encoder, texts: JudgedTexts) -> FloatArray:
    """Return MaxSim scores of all documents, a chunk of them at a time, as mean over the query's tokens."""
    asked = encoder.encode_tokens(texts.queries)
    starts = range(0, len(texts.documents), CHUNK)
    found = [max_sim(asked, encoder.encode_tokens(texts.documents[start : start + CHUNK])) for start in starts]
    return np.concatenate(found, axis=1)


def lsa_scores(weights: FloatArray, asked: FloatArray, d: int) -> FloatArray:
    """Return cosines after latent semantic analysis: documents ``(n, words)`` and queries in d singular directions."""
    if d >= min(weights.shape):
        right = np.linalg.svd(weights, full_matrices=False)[2]
    else:
        right = svds(weights, k=d, v0=np.ones(min(weights.shape)))[2]
    documents, queries = weights @ right.T, asked @ right.T
    norms = np.maximum(np.linalg.norm(queries, axis=1, keepdims=True), 1e-12)  # a query without a known word
    return np.asarray((queries / norms) @ l2_normalize(documents).T)


def tf_idf(texts: JudgedTexts) -> tuple[FloatArray, FloatArray]:
    """Return documents and queries as unit rows of word counts times inverse document frequency."""
    from sklearn.feature_extraction.text import TfidfVectorizer

    model = TfidfVectorizer(tokenizer=words_of, token_pattern=None, lowercase=False)
    documents = model.fit_transform(texts.documents).toarray()
    return documents, model.transform(texts.queries).toarray()


def train_set(seed: int, settings: Mapping[str, Any], test: JudgedTexts) -> JudgedTexts:
    """Return a stress test of the same kind whose people like other things: no word of ``test`` is an attribute."""
    own, more = attributes_of(settings, seed), settings["train_attributes"]
    words = PLAIN_NOUNS if settings["attributes"] is None else wordnet_attributes(len(own) + more, random_state=seed)
    known = set(own).union(*map(words_of, [*test.queries, *test.documents]))
    other = [word for word in words if word not in known][:more]
    return make_limit(other, **settings["train"], seed=derive_seed(seed, "train"))


def full_test(seed: int, settings: Mapping[str, Any], context: Context) -> JudgedTexts:
    """Return the full set: generated, or the published one from the benchmark's folder."""
    if settings["folder"] is not None:
        return read_judged(context.benchmark_root("limit/ (corpus, queries, qrels .jsonl)") / "limit")
    return make_limit(attributes_of(settings, seed), **settings["full"], seed=seed)


def many_people(seed: int, settings: Mapping[str, Any], context: Context) -> JudgedTexts:
    """Return the stress test among so many people as are asked for: the small one and others, or the published one."""
    if settings["folder"] is not None:
        return full_test(seed, settings, context)
    size = settings["stress"] | {"n_documents": max(settings["people"])}
    return make_limit(attributes_of(settings, seed), **size, seed=seed)


def nested(texts: JudgedTexts, sizes: Sequence[int]) -> list[IntArray]:
    """Return, for each size, the documents that somebody asks for and so many others, in their order.

    A size below the number of documents asked for, or above that of all, is left out.
    """
    asked = np.unique(texts.pairs[:, 1])
    others = np.setdiff1d(np.arange(len(texts.documents)), asked)
    fitting = [size for size in sizes if len(asked) <= size <= len(texts.documents)]
    return [np.sort(np.concatenate([asked, others[: size - len(asked)]])) for size in fitting]


def blockwise_recall(
    score: Callable[[slice], FloatArray], texts: JudgedTexts, ks: Sequence[int], *, rows: int = 100
) -> dict[int, float]:
    """Return recall of ``score(queries)``, asked ``rows`` queries at a time: of 50,000 people all scores are 400 MB."""
    sums = dict.fromkeys(ks, 0.0)
    count = len(texts.queries)
    for start in range(0, count, rows):
        block = slice(start, min(start + rows, count))
        table = np.zeros((block.stop - start, len(texts.documents)), dtype=bool)
        own = texts.pairs[(texts.pairs[:, 0] >= start) & (texts.pairs[:, 0] < block.stop)]
        table[own[:, 0] - start, own[:, 1]] = True
        for k, value in relevance_recall(score(block), table, ks).items():
            sums[k] += value * len(table)
    return {k: total / count for k, total in sums.items()}

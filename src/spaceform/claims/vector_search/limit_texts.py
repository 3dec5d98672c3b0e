"""What the claim of LIMIT retrieves from, and with: texts, an encoder, scores, and maps fitted on the answers."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Protocol

import numpy as np
import torch
from scipy.sparse.linalg import svds

from spaceform.claims.context import Context
from spaceform.data.judged.jsonl import read_judged
from spaceform.data.judged.limit import make_limit
from spaceform.data.judged.texts import JudgedTexts
from spaceform.data.judged.words import PLAIN_NOUNS, wordnet_attributes
from spaceform.nets.text import TextEncoder
from spaceform.ops.pairs import l2_normalize
from spaceform.rng import derive_seed, torch_generator
from spaceform.search.scorers.bm25 import words_of
from spaceform.search.scorers.max_sim import max_sim
from spaceform.types import BoolArray, FloatArray

CHUNK = 1024
"""Documents whose token vectors are in memory at a time."""


class Encoder(Protocol):
    """Texts as one vector each, or as one per token."""

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
    """Return what may be liked at this scale: the nouns that ship here, or those drawn from WordNet by the seed."""
    return (
        list(PLAIN_NOUNS)
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


def overfit(
    queries: FloatArray, documents: FloatArray, relevance: BoolArray, *, dim: int, steps: int, seed: int
) -> FloatArray:
    """Return scores after two linear maps to ``dim`` dimensions, fitted on the very relevance that is asked for."""
    generator = torch_generator(derive_seed(seed, "overfit"))
    inputs = [torch.from_numpy(np.asarray(rows, dtype=np.float32)) for rows in (queries, documents)]
    maps = [torch.randn(rows.shape[1], dim, generator=generator) / rows.shape[1] ** 0.5 for rows in inputs]
    for one in maps:
        one.requires_grad_(True)
    wanted = torch.from_numpy(relevance.astype(np.float32))
    optimizer = torch.optim.Adam(maps, lr=0.01)

    def closeness() -> torch.Tensor:
        a, b = (torch.nn.functional.normalize(rows @ one, dim=1) for rows, one in zip(inputs, maps, strict=True))
        return a @ b.T

    for _ in range(steps):
        optimizer.zero_grad()
        loss = -(wanted * torch.log_softmax(closeness() / 0.1, dim=1)).sum() / wanted.sum()
        loss.backward()
        optimizer.step()
    return closeness().detach().numpy().astype(np.float64)

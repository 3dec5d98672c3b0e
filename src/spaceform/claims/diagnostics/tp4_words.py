"""Word vectors of the glosses of WordNet at infinite and finite width, for the claim of Tensor Programs IV."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from spaceform.claims.context import Context
from spaceform.data.wordnet import load_nouns
from spaceform.errors import InputError
from spaceform.methods.diagnostics.tp4 import InfiniteWord2Vec
from spaceform.metrics.separability import majority_vote
from spaceform.ops.neighbors import nearest_neighbors
from spaceform.ops.pairs import l2_normalize
from spaceform.rng import derive_seed

VOTERS, FEWEST = 5, 10

Text = tuple[list[list[str]], dict[str, int]]
"""Sentences of words, and the class of those words that have one."""


def run_words(arm: str, seed: int, settings: Mapping[str, Any], context: Context) -> dict[str, float]:
    """Return ``agreement``: how often five nearest words name a noun's class; at paper scale analogies solved."""
    sentences, classes = context.shared("words", lambda: _text(settings, seed, context))
    options = settings["words"]
    model = InfiniteWord2Vec(**options, **settings["tables"][arm], random_state=derive_seed(seed, "words") % 2**31).fit(
        sentences, progress=context.progress
    )
    if settings["text"] == "text8":
        return {"agreement": _analogies(model, context)}
    return {"agreement": agreement(model, classes)}


def agreement(model: InfiniteWord2Vec, classes: Mapping[str, int]) -> float:
    """Return the share of words whose class five nearest words name, over classes of ten words and more."""
    codes = np.array([classes.get(word, -1) for word in model.words_])
    counts = np.bincount(codes[codes >= 0])
    kept = np.flatnonzero((codes >= 0) & (counts[codes] >= FEWEST))
    unit, y = l2_normalize(model.vectors_[kept]), codes[kept]
    _, found = nearest_neighbors(unit, unit, k=VOTERS + 1)
    own = found == np.arange(len(kept))[:, None]
    own[~own.any(1), -1] = True
    voters = found[~own].reshape(len(kept), VOTERS)
    return float((majority_vote(y[voters]) == y).mean())


def _text(settings: Mapping[str, Any], seed: int, context: Context) -> Text:
    name = settings["text"]
    if name == "drawn":
        return _drawn(derive_seed(seed, "text"))
    if name == "text8":
        path = context.benchmark_root("text8 and questions-words.txt") / "text8"
        try:
            words = path.read_text(encoding="utf-8").split()
        except OSError as error:
            raise InputError("root", got=f"{path} ({error})", expected="a folder with text8") from error
        return [words[start : start + 1000] for start in range(0, len(words), 1000)], {}
    nouns = load_nouns(progress=context.progress)
    sentences = [re.findall(r"[a-z]+", gloss.lower()) for gloss in nouns.glosses[:: settings["every"]]]
    found = {word for sentence in sentences for word in sentence}
    classes = {word: int(nouns.classes[senses[0]]) for word in found if (senses := nouns.senses(word))}
    return sentences, classes


def _drawn(seed: int) -> Text:
    """Return sentences about one of four topics each: ten words of their own, twenty that all share."""
    rng = np.random.default_rng(seed)
    sentences = []
    for _ in range(1200):
        topic = rng.integers(4)
        own = [f"w{topic}{number}" for number in rng.integers(10, size=4)]
        sentences.append([str(word) for word in rng.permutation([*own, *(f"s{n}" for n in rng.integers(20, size=3))])])
    return sentences, {f"w{topic}{number}": topic for topic in range(4) for number in range(10)}


def _analogies(model: InfiniteWord2Vec, context: Context) -> float:
    path = context.benchmark_root("text8 and questions-words.txt") / "questions-words.txt"
    known = set(model.words_)
    lines = [
        line.lower().split() for line in path.read_text(encoding="utf-8").splitlines() if line[:1] not in {":", ""}
    ]
    asked: Sequence[list[str]] = [line for line in lines if len(line) == 4 and known.issuperset(line)]
    if not asked:
        raise InputError("root", got=f"no question of {path} in the vocabulary", expected="four known words in some")
    return float(np.mean([model.analogy(a, b, c)[0][0] == d for a, b, c, d in asked]))

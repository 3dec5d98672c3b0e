"""Word2Vec (continuous bag of words, negative sampling) at any width and exactly at infinite width.

At infinite width under muP the rows of the input table U start orthonormal, the output table V starts at 0, and every
update lies in the span of U's rows: |V| coordinates with ``U = I`` are the whole computation (Yang and Hu, 2021,
section 6.1).
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import torch

from spaceform.errors import InputError
from spaceform.rng import derive_seed
from spaceform.types import IntArray


@dataclass(frozen=True)
class Tokens:
    """A text as numbers: ``ids (n,)`` of the known tokens, ``sentence (n,)``, ``counts (|V|,)`` and the ``words``."""

    ids: IntArray
    sentence: IntArray
    counts: IntArray
    words: list[str]


@dataclass(frozen=True)
class Batch:
    """``context (B, 2 w)`` word numbers, ``present`` where there is one; ``asked (B, 1 + k)``: target, then negatives.

    ``counted (B, 1 + k)`` is 0 for negatives that are the target.
    """

    context: torch.Tensor
    present: torch.Tensor
    asked: torch.Tensor
    counted: torch.Tensor


def read_tokens(corpus: Sequence[Sequence[int | str]], *, min_count: int, vocab_size: int | None) -> Tokens:
    """Number the words of a corpus by falling frequency (ties by name), without rare ones and those beyond the size.

    Raises ``InputError`` for a text instead of lists of tokens, and when fewer than two words remain.
    """
    if isinstance(corpus, str) or any(isinstance(sentence, str) for sentence in corpus):
        raise InputError("corpus", got="text", expected="a list of lists of tokens", remedy="split it, line.split()")
    tokens = [[str(word) for word in sentence] for sentence in corpus]
    found = Counter(word for sentence in tokens for word in sentence)
    ranked = sorted((word for word, count in found.items() if count >= min_count), key=lambda w: (-found[w], w))
    words = ranked[:vocab_size]
    if len(words) < 2:
        got = f"{len(words)} word(s) that occur {min_count} times"
        raise InputError("corpus", got=got, expected="at least 2", remedy="lower min_count or give more text")
    number = {word: place for place, word in enumerate(words)}
    known = [[number[word] for word in sentence if word in number] for sentence in tokens]
    lengths = [len(sentence) for sentence in known]
    ids = np.array([place for sentence in known for place in sentence], dtype=np.int64)
    counts = np.array([found[word] for word in words], dtype=np.int64)
    return Tokens(ids, np.repeat(np.arange(len(known)), lengths), counts, words)


def draw_batches(
    tokens: Tokens,
    *,
    window: int,
    negative: int,
    subsample: float | None,
    batch_size: int,
    epochs: int,
    seed: int,
) -> Iterator[tuple[float, Batch]]:
    """Yield the share of work done and a batch, for ``epochs`` passes over shuffled positions.

    Word2vec's draws: a window shrunk uniformly to 1..``window``, negatives by frequency to the power 3/4, and tokens
    kept with probability ``sqrt(t/f) + t/f`` for ``subsample`` t, anew each pass (contexts close over gaps).
    Raises ``InputError`` when no token has a neighbour.
    """
    share = tokens.counts / tokens.counts.sum()
    cumulated = np.cumsum(tokens.counts**0.75)
    reach = np.concatenate([np.arange(-window, 0), np.arange(1, window + 1)])
    for epoch in range(epochs):
        rng = np.random.default_rng(derive_seed(seed, "pass", epoch))
        kept = np.arange(len(tokens.ids))
        if subsample is not None:
            odds = np.sqrt(subsample / share) + subsample / share
            kept = np.flatnonzero(rng.random(len(kept)) < odds[tokens.ids])
        ids, sentence = tokens.ids[kept], tokens.sentence[kept]
        neighboured = np.zeros(len(ids), dtype=bool)
        same = sentence[1:] == sentence[:-1]
        neighboured[1:] |= same
        neighboured[:-1] |= same
        centres = rng.permutation(np.flatnonzero(neighboured))
        if len(centres) == 0:
            raise InputError("corpus", got="no two tokens side by side", expected="sentences of two known words")
        for start in range(0, len(centres), batch_size):
            at = centres[start : start + batch_size]
            places = at[:, None] + reach
            inside = (places >= 0) & (places < len(ids))
            places = places.clip(0, len(ids) - 1)
            near = np.abs(reach) <= rng.integers(1, window + 1, len(at))[:, None]
            present = inside & near & (sentence[places] == sentence[at][:, None])
            negatives = np.searchsorted(cumulated, rng.random((len(at), negative)) * cumulated[-1], side="right")
            asked = np.concatenate([ids[at][:, None], negatives], axis=1)
            counted = asked != asked[:, :1]
            counted[:, 0] = True
            done = (epoch + start / len(centres)) / epochs
            yield done, Batch(*map(torch.from_numpy, (ids[places], present, asked, counted)))


def start_tables(
    n_words: int, width: int | None, *, seed: int, dtype: torch.dtype = torch.float32
) -> tuple[torch.Tensor, torch.Tensor]:
    """Return U and V ``(|V|, n)``: U uniform in +-sqrt(3/n), or the identity for ``width`` None; V zero."""
    if width is None:
        return torch.eye(n_words, dtype=dtype), torch.zeros(n_words, n_words, dtype=dtype)
    generator = torch.Generator().manual_seed(seed)
    drawn = torch.rand(n_words, width, generator=generator, dtype=torch.float64)
    U = (2 * drawn - 1) * (3 / width) ** 0.5
    return U.to(dtype), torch.zeros(n_words, width, dtype=dtype)


def loss_of(U: torch.Tensor, V: torch.Tensor, batch: Batch) -> torch.Tensor:
    """Return the loss of a batch, summed: ``-log sigma(V_t h) - sum over negatives log sigma(-V_k h)``, h the mean."""
    scores = torch.einsum("bkn,bn->bk", V[batch.asked], _context(U, batch)[0])
    signs = -torch.ones_like(scores)
    signs[:, 0] = 1
    return -(torch.nn.functional.logsigmoid(signs * scores) * batch.counted).sum()


def sgd_step(
    U: torch.Tensor, V: torch.Tensor, batch: Batch, *, rate: float, decay: float = 0.0, moving: bool = True
) -> None:
    """Make one step of SGD on the summed loss in place, O(B (w + k) n).

    Each context row is given 1 / (size of the context) of the gradient of h, the derivative of the mean. ``decay``
    shrinks the rows that the batch touches by ``rate * decay``, once. Not ``moving``: U stays (the kernel limit).
    """
    h, share = _context(U, batch)
    rows = V[batch.asked]
    errors = torch.sigmoid(torch.einsum("bkn,bn->bk", rows, h))
    errors[:, 0] -= 1
    errors = errors * batch.counted
    pull = torch.einsum("bk,bkn->bn", errors, rows)
    if decay:
        V[batch.asked.unique()] *= 1 - rate * decay
        if moving:
            U[batch.context[batch.present].unique()] *= 1 - rate * decay
    flat = batch.asked.flatten()
    V.index_add_(0, flat, (errors[:, :, None] * h[:, None]).flatten(0, 1), alpha=-rate)
    if moving:
        where, column = batch.present.nonzero(as_tuple=True)
        U.index_add_(0, batch.context[where, column], (share * pull)[where], alpha=-rate)


def _context(U: torch.Tensor, batch: Batch) -> tuple[torch.Tensor, torch.Tensor]:
    """Return the mean rows of the contexts ``(B, n)`` and 1 / their sizes ``(B, 1)``."""
    weights = batch.present.to(U.dtype)
    share = 1 / weights.sum(1, keepdim=True)
    return torch.einsum("bw,bwn->bn", weights * share, U[batch.context]), share

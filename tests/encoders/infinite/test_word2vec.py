"""The steps of Word2Vec against autograd, and the limit against tables of finite width."""

import numpy as np
import pytest
import torch

from spaceform.encoders.infinite.word2vec import Batch, draw_batches, loss_of, read_tokens, sgd_step, start_tables
from spaceform.errors import InputError

REAL = torch.float64
WORDS = 12


def batch_of(seed, rows=6, window=2, negative=4):
    rng = np.random.default_rng(seed)
    asked = rng.integers(WORDS, size=(rows, 1 + negative))
    present = rng.random((rows, 2 * window)) < 0.7
    present[:, 0] = True
    counted = asked != asked[:, :1]
    counted[:, 0] = True
    return Batch(*map(torch.from_numpy, (rng.integers(WORDS, size=(rows, 2 * window)), present, asked, counted)))


def train(U, V, steps=20):
    for step in range(steps):
        sgd_step(U, V, batch_of(step), rate=0.2)
    return U @ V.T


def tables(n, seed=0):
    U, V = start_tables(WORDS, n, seed=seed, dtype=REAL)
    return U, V


def test_a_step_is_autograd_with_a_word_twice_in_one_context():
    generator = torch.Generator().manual_seed(0)
    U, V = (torch.randn(5, 3, generator=generator, dtype=REAL).requires_grad_() for _ in range(2))
    context = torch.tensor([[1, 1, 2], [3, 0, 0], [4, 2, 4]])
    present = torch.tensor([[True, True, True], [True, False, False], [True, True, True]])
    asked = torch.tensor([[0, 3, 0], [2, 2, 4], [1, 0, 3]])
    counted = torch.tensor([[True, True, False], [True, False, True], [True, True, True]])
    batch = Batch(context, present, asked, counted)
    by_hand = 0.0
    for row in range(3):
        h = U[context[row][present[row]]].mean(0)
        by_hand = by_hand - torch.log(torch.sigmoid(V[asked[row, 0]] @ h))
        for column in (1, 2):
            if counted[row, column]:
                by_hand = by_hand - torch.log(torch.sigmoid(-V[asked[row, column]] @ h))
    torch.testing.assert_close(loss_of(U, V, batch), by_hand)
    slopes = torch.autograd.grad(by_hand, (U, V))
    wanted = [(w - 0.3 * g).detach() for w, g in zip((U, V), slopes, strict=True)]
    ours = [w.detach().clone() for w in (U, V)]
    sgd_step(*ours, batch, rate=0.3)
    for mine, slow in zip(ours, wanted, strict=True):
        torch.testing.assert_close(mine, slow, rtol=0, atol=1e-12)


def test_orthonormal_rows_are_the_limit():
    draws = torch.randn(40, WORDS, dtype=REAL, generator=torch.Generator().manual_seed(1))
    U = torch.linalg.qr(draws)[0].T.contiguous()
    scores = train(U, torch.zeros(WORDS, 40, dtype=REAL))
    torch.testing.assert_close(scores, train(*tables(None)), rtol=0, atol=1e-10)
    assert scores.abs().max() > 0.5


def test_padding_stays_zero():
    U, V = tables(None)
    zeros = torch.zeros_like(U)
    wide_u, wide_v = torch.cat([U, zeros], 1), torch.cat([V, zeros], 1)
    torch.testing.assert_close(train(wide_u, wide_v), train(U, V), rtol=0, atol=1e-12)
    assert not wide_u[:, WORDS:].any()
    assert not wide_v[:, WORDS:].any()


def test_random_rows_come_near_like_one_over_the_root_of_the_width():
    limit = train(*tables(None))
    widths = [64, 256, 1024, 4096]
    errors = [np.mean([(train(*tables(n, seed)) - limit).std() for seed in range(6)]) for n in widths]
    slope = np.polyfit(np.log(widths), np.log(errors), 1)[0]
    assert -0.65 < slope < -0.35, errors


def test_decay_shrinks_the_touched_rows_once():
    U, V = torch.ones(4, 2, dtype=REAL), torch.zeros(4, 2, dtype=REAL)
    batch = Batch(
        torch.tensor([[1, 1]]), torch.tensor([[True, True]]), torch.tensor([[2, 3]]), torch.tensor([[True, True]])
    )
    sgd_step(U, V, batch, rate=0.5, decay=0.1)
    torch.testing.assert_close(U[:, 0], torch.tensor([1, 0.95, 1, 1], dtype=REAL))


def test_draws_are_words_of_one_sentence_within_the_window():
    rng = np.random.default_rng(0)
    sentences = [[f"{number}-{place}" for place in range(rng.integers(1, 9))] for number in range(30)]
    tokens = read_tokens(sentences, min_count=1, vocab_size=None)
    seen, shares = 0, []
    for done, batch in draw_batches(tokens, window=3, negative=5, subsample=None, batch_size=16, epochs=2, seed=1):
        shares.append(done)
        for row in range(len(batch.asked)):
            number, place = map(int, tokens.words[batch.asked[row, 0]].split("-"))
            near = [tokens.words[w].split("-") for w in batch.context[row][batch.present[row]].tolist()]
            assert near
            assert all(int(a) == number and 0 < abs(int(b) - place) <= 3 for a, b in near)
            assert not batch.counted[row, 1:][batch.asked[row, 1:] == batch.asked[row, 0]].any()
            seen += 1
    assert seen == 2 * sum(len(sentence) for sentence in sentences if len(sentence) > 1)
    assert shares == sorted(shares)
    assert shares[0] == 0
    assert shares[-1] < 1


def test_negatives_follow_frequency_to_the_power_three_quarters():
    tokens = read_tokens([["a"] * 81 + ["b"] * 16 + ["c"]] * 20, min_count=1, vocab_size=None)
    batches = draw_batches(tokens, window=1, negative=50, subsample=None, batch_size=512, epochs=1, seed=0)
    drawn = torch.cat([batch.asked[:, 1:].flatten() for _, batch in batches])
    shares = np.bincount(drawn.numpy(), minlength=3) / len(drawn)
    weights = np.array([81, 16, 1]) ** 0.75
    np.testing.assert_allclose(shares, weights / weights.sum(), atol=0.01)


def test_subsampling_drops_frequent_words():
    tokens = read_tokens([["the", "cat"] * 5 + ["the"] * 90] * 20, min_count=1, vocab_size=None)
    batches = draw_batches(tokens, window=1, negative=1, subsample=1e-2, batch_size=64, epochs=1, seed=0)
    targets = torch.cat([batch.asked[:, 0] for _, batch in batches])
    share = (targets == tokens.words.index("the")).double().mean().item()
    assert share < 0.8  # 0.95 of the text


@pytest.mark.parametrize(
    ("corpus", "match"),
    [("a text", "lists of tokens"), (["a text"], "lists of tokens"), ([["a"] * 9], "1 word"), ([[]], "0 word")],
)
def test_refused_texts(corpus, match):
    with pytest.raises(InputError, match=match):
        read_tokens(corpus, min_count=2, vocab_size=None)


def test_no_pairs_are_refused():
    tokens = read_tokens([["a"], ["b"], ["a"], ["b"]], min_count=1, vocab_size=None)
    with pytest.raises(InputError, match="side by side"):
        list(draw_batches(tokens, window=2, negative=1, subsample=None, batch_size=4, epochs=1, seed=0))

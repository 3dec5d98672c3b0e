"""The tasks of the claim: no tested identity is trained on, pairs are what they say, faces come from their layout."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from spaceform.claims.context import Context
from spaceform.claims.metric_learning.facenet import SETTINGS
from spaceform.claims.metric_learning.facenet_data import draw_glyphs, make_task, sample_pairs
from spaceform.data.dataset import Dataset
from spaceform.errors import InputError

SMOKE = SETTINGS["smoke"]


@given(seed=st.integers(0, 10**6), n=st.integers(2, 40))
@settings(deadline=None, max_examples=40)
def test_pairs_are_of_one_or_of_two_identities_and_never_of_one_row(seed, n):
    y = np.random.default_rng(seed).integers(0, 6, n)
    y = np.concatenate([y, [0, 0, 7]])
    first, second, same = sample_pairs(y, 60, seed=seed)
    assert np.array_equal(y[first] == y[second], same)
    assert (first != second).all()
    assert same.sum() == 30


def test_pairs_follow_the_seed_and_need_two_identities():
    y = np.arange(20) % 4
    assert np.array_equal(sample_pairs(y, 10, seed=1)[0], sample_pairs(y, 10, seed=1)[0])
    assert not np.array_equal(sample_pairs(y, 10, seed=1)[0], sample_pairs(y, 10, seed=2)[0])
    for labels in (np.zeros(5, int), np.arange(5)):
        with pytest.raises(InputError, match="identities"):
            sample_pairs(labels, 10, seed=0)


def test_drawn_glyphs_differ_between_fonts_and_characters():
    X, y = draw_glyphs(6, 5, seed=0)
    assert X.shape == (30, 20, 20)
    assert X.dtype == np.uint8
    assert np.array_equal(y, np.repeat(np.arange(6), 5))
    assert len(np.unique(X.reshape(30, -1), axis=0)) == 30
    assert 5 < X.mean() < 150


def glyphs(n_fonts=20, n_characters=4):
    y = np.repeat(np.arange(n_fonts), n_characters)
    X = np.broadcast_to(y[:, None, None], (len(y), 28, 28)).astype(np.uint8)
    return Dataset("glyphs", X, y.astype(np.int64), list(map(str, range(n_fonts))))


def test_tested_fonts_are_neither_trained_on_nor_used_for_tuning(monkeypatch):
    monkeypatch.setattr("spaceform.data.load", lambda *_, **__: glyphs())
    base = {**SETTINGS["laptop"], "pairs": 40}
    test = make_task({**base, "train_fonts": 12, "test_fonts": 5}, 0, Context(scale="laptop"))
    tuning = make_task({**base, "split": "validation", "train_fonts": 10, "test_fonts": 4}, 0, Context(scale="laptop"))
    fonts = {name: set(np.unique(part)) for name, part in (("test", test.pictures), ("tuning", tuning.pictures))}
    assert (len(fonts["test"]), len(fonts["tuning"])) == (5, 4)
    assert not fonts["test"] & (set(test.y) | set(tuning.y) | fonts["tuning"])
    assert not fonts["tuning"] & set(tuning.y)
    again = make_task({**base, "train_fonts": 12, "test_fonts": 5}, 1, Context(scale="laptop"))
    assert set(np.unique(again.pictures)) == fonts["test"]
    with pytest.raises(InputError, match="train_fonts"):
        make_task({**base, "train_fonts": 18, "test_fonts": 5}, 0, Context(scale="laptop"))


def test_faces_need_their_folder():
    with pytest.raises(InputError, match=r"pairs\.txt"):
        make_task(SETTINGS["paper"], 0, Context(scale="paper"))


def test_smoke_tasks_differ_between_seeds():
    first, second = (make_task(SMOKE, seed, Context(scale="smoke")) for seed in (0, 1))
    assert not np.array_equal(first.X, second.X)
    assert first.folds is None

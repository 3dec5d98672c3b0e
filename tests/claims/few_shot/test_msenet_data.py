"""The tasks of the claim: no class is in two parts, and tuning sees none that is reported."""

import numpy as np
import pytest

from spaceform import data
from spaceform.claims.context import Context
from spaceform.claims.few_shot.msenet import SETTINGS
from spaceform.claims.few_shot.msenet_data import draw_gratings, draw_strokes, make_task
from spaceform.data.dataset import Dataset
from spaceform.errors import InputError


def clothes():
    y = np.arange(400) % 10
    X = np.broadcast_to(np.arange(400)[:, None, None] // 2, (400, 28, 28)).astype(np.uint8)
    split = np.repeat(["train", "test"], 200)
    return Dataset("fashion-mnist", X, y.astype(np.int64), list(map(str, range(10))), {"split": split})


def letters():
    scripts = np.array(["Latin", "Cyrillic", "Greek", "Armenian", "Georgian"])
    y = np.repeat(np.arange(10), 4)
    X = np.broadcast_to(y[:, None, None], (40, 28, 28)).astype(np.uint8)
    return Dataset("dejavu", X, y.astype(np.int64), list(map(str, range(10))), {"script": scripts[y // 2]})


def test_scripts_are_kept_apart(monkeypatch):
    sets = {"dejavu": letters(), "fashion-mnist": clothes()}
    monkeypatch.setattr(data, "load", lambda name, **_: sets[name])
    settings = SETTINGS["laptop"] | {"far_rows": 50}
    test = make_task(settings, 0, Context(scale="laptop"))
    tuning = make_task(settings | {"split": "validation"}, 0, Context(scale="laptop"))
    assert set(test.train[1]) == set(tuning.train[1]) == {0, 1, 2, 3}
    assert set(tuning.unseen[1]) == {4, 5}
    assert set(test.unseen[1]) == {6, 7, 8, 9}
    assert len(test.far[1]) == len(tuning.far[1]) == 50
    assert test.far[0].shape == (50, 28, 28, 1)
    assert not np.array_equal(test.far[0], tuning.far[0])


def test_drawn_tasks_follow_the_seed():
    first, again, other = (make_task(SETTINGS["smoke"], seed, Context(scale="smoke")) for seed in (0, 0, 1))
    assert np.array_equal(first.train[0], again.train[0])
    assert not np.array_equal(first.train[0], other.train[0])
    assert not set(first.train[1]) & set(first.unseen[1])


def test_strokes_are_of_their_class_by_shape_and_gratings_by_wave():
    strokes, y = draw_strokes(5, 6, seed=0)
    flat = strokes.reshape(30, -1).astype(float)
    apart = np.linalg.norm(flat[:, None] - flat[None], axis=2)
    same = y[:, None] == y[None]
    assert apart[same & (apart > 0)].mean() < apart[~same].mean()
    gratings, y = draw_gratings(4, 8, seed=0)
    spectra = np.abs(np.fft.fft2(gratings[..., 0] - gratings.mean((1, 2))[:, None]))
    means = np.stack([spectra[y == c][::2].mean(0) for c in range(4)])
    nearest = ((spectra[:, None] - means[None]) ** 2).sum((2, 3)).argmin(1)
    assert (nearest == y).mean() > 0.8


def test_photographs_need_their_folders():
    with pytest.raises(InputError, match="mini-imagenet"):
        make_task(SETTINGS["paper"], 0, Context(scale="paper"))

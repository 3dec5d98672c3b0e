"""What an optimiser of free vectors refuses, and its defaults."""

import pytest

from spaceform.errors import InputError
from spaceform.training.free_vectors.losses import Objective
from spaceform.training.free_vectors.optimiser import PAPER, FreeOptimiser


def test_defaults_are_those_of_the_paper():
    assert PAPER.objective == Objective(loss="infonce", temperature=0.1, learning_rate=0.01)
    assert (PAPER.max_steps, PAPER.patience, PAPER.tolerance, PAPER.check_every) == (100_000, 1_000, 1e-5, 50)


@pytest.mark.parametrize(
    ("options", "part"),
    [
        ({"temperature": 0}, "temperature"),
        ({"temperature": -0.1}, "temperature"),
        ({"learning_rate": -1}, "learning_rate"),
        ({"max_steps": 0}, "max_steps"),
        ({"patience": 0}, "patience"),
        ({"check_every": 0}, "check_every"),
        ({"tolerance": -1}, "tolerance"),
        ({"loss": "triplet"}, "loss"),
        ({"backend": "jax"}, "backend"),
        ({"device": "cuda"}, "torch"),
    ],
)
def test_bad_input_is_refused(options, part):
    with pytest.raises(InputError, match=part):
        FreeOptimiser(**options)

"""Named scalings by the paper's table, the symmetry of the exponents, and what is refused."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from spaceform.errors import InputError
from spaceform.nets.scaling.exponents import ABC, REGIMES

TABLE = [
    ("mup", 1, True, 0.0, "feature"),
    ("mup", 3, True, 0.0, "feature"),
    ("ntk", 1, True, 0.5, "kernel"),
    ("ntk", 2, True, 0.5, "kernel"),
    ("standard", 2, False, -1.0, "unstable"),
    ("standard-stable", 2, True, 0.5, "kernel"),
    ("mean-field", 1, True, 0.0, "feature"),
]
exponent = st.sampled_from([-1.0, -0.5, 0.0, 0.5, 1.0])


@pytest.mark.parametrize(("name", "depth", "stable", "r", "regime"), TABLE)
def test_named_scalings(name, depth, stable, r, regime):
    scaling = ABC.named(name, depth)
    assert scaling.depth == depth
    assert scaling.is_stable() is stable
    assert scaling.r() == pytest.approx(r)
    assert scaling.regime() == regime


@given(
    st.integers(1, 4).flatmap(
        lambda depth: st.tuples(*[st.lists(exponent, min_size=depth + 1, max_size=depth + 1)] * 2)
    ),
    exponent,
    st.floats(-3, 3),
)
def test_a_shift_changes_no_answer(lists, c, theta):
    scaling = ABC(tuple(lists[0]), tuple(lists[1]), c)
    moved = scaling.shift(theta)
    assert moved.r() == pytest.approx(scaling.r(), abs=1e-9)
    assert (moved.is_stable(), moved.is_nontrivial(), moved.regime()) == (
        scaling.is_stable(),
        scaling.is_nontrivial(),
        scaling.regime(),
    )
    assert scaling.regime() in REGIMES


def test_a_rate_too_small_is_trivial():
    mup = ABC.named("mup", 2)
    assert ABC(mup.a, mup.b, 1.0).regime() == "trivial"


@pytest.mark.parametrize(
    "make",
    [
        lambda: ABC((0, 0), (0, 0, 0), 0),
        lambda: ABC((0,), (0,), 0),
        lambda: ABC((0, np.nan), (0, 0), 0),
        lambda: ABC((0, 0), (0, 0), np.inf),
        lambda: ABC.named("mean-field", 2),
        lambda: ABC.named("sp", 1),
        lambda: ABC.named("mup", 0),
    ],
)
def test_refused(make):
    with pytest.raises(InputError):
        make()

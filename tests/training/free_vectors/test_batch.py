"""Tables in one tensor give the numbers of the reference, one table at a time."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from spaceform.errors import InputError
from spaceform.training.free_vectors import batch
from spaceform.training.free_vectors.batch import BatchDescent
from spaceform.training.free_vectors.losses import LOSSES, Objective
from spaceform.training.free_vectors.single import SingleDescent


def starts(seed, sizes=((6, 4), (3, 7), (9, 5)), d=3):
    generator, made = np.random.default_rng(seed), []
    for m, n in sizes:
        table = generator.random((m, n)) < 0.4
        table[:, 0], table[:, -1] = True, False
        rows = [generator.normal(size=(count, d)) for count in (m, n)]
        made.append((*(one / np.linalg.norm(one, axis=1, keepdims=True) for one in rows), table))
    return made


def compare(whole, singles):
    for place, one in enumerate(singles):
        for ours, theirs in zip(whole.rows(place), one.rows(0), strict=True):
            np.testing.assert_allclose(ours, theirs, atol=1e-10)
        np.testing.assert_allclose(whole.margins()[place], one.margins()[0], atol=1e-10)


@pytest.mark.parametrize("loss", LOSSES)
@given(st.integers(0, 1000))
@settings(max_examples=8, deadline=None)
def test_steps_are_those_of_the_reference(loss, seed):
    objective, made = Objective(loss=loss), starts(seed)
    whole = BatchDescent(made, objective=objective)
    singles = [SingleDescent(*one, objective=objective) for one in made]
    for _ in range(15):
        np.testing.assert_allclose(whole.losses(), [one.losses()[0] for one in singles], rtol=1e-10)
        whole.update()
        for one in singles:
            one.update()
    compare(whole, singles)


def test_tables_that_leave_do_not_change_the_others():
    objective, made = Objective(loss="sigmoid"), starts(0)
    whole = BatchDescent(made, objective=objective)
    singles = [SingleDescent(*one, objective=objective) for one in made]
    for step in range(10):
        whole.losses()
        for one in singles:
            one.losses()
        if step == 4:  # between the losses and the step, as patience does it
            whole.keep([0, 2])
            del singles[1]
        whole.update()
        for one in singles:
            one.update()
    assert len(whole.margins()) == 2
    compare(whole, singles)


@pytest.mark.parametrize("loss", LOSSES)
def test_blocks_change_nothing(loss, monkeypatch):
    one, two = (BatchDescent(starts(1), objective=Objective(loss=loss)) for _ in range(2))
    whole = one.losses()
    monkeypatch.setattr(batch, "row_blocks", lambda n, m: (slice(i, min(i + 2, n)) for i in range(0, n, 2)))
    np.testing.assert_allclose(two.losses(), whole)
    one.update()
    two.update()
    np.testing.assert_allclose(two.rows(0)[0], one.rows(0)[0], atol=1e-12)


def test_padding_never_moves():
    descent = BatchDescent(starts(0), objective=Objective(loss="sigmoid"))
    before = descent._queries[1, 3:].clone()
    descent.losses()
    descent.update()
    np.testing.assert_array_equal(descent._queries[1, 3:], before)


@pytest.mark.parametrize("device", ["nowhere", "meta:x"])
def test_a_device_that_is_not_there_is_refused(device):
    with pytest.raises(InputError, match="device"):
        BatchDescent(starts(0), objective=Objective(), device=device)

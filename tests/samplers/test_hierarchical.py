import numpy as np
import pytest

from spaceform.errors import InputError, NoPairsError
from spaceform.samplers.hierarchical import HierarchicalSampler

SUPER = np.repeat([5, 2, 8], [12, 9, 3])
LABELS = np.concatenate([np.repeat([0, 1, 2, 3], 3), np.repeat([10, 11, 12], [4, 4, 1]), [20, 20, 20]])
SETTINGS = {"classes_per_superclass": 2, "samples_per_class": 2}


def test_a_batch_has_the_structure_that_was_asked_for():
    sampler = HierarchicalSampler(LABELS, SUPER, **SETTINGS)
    for step in range(20):
        rows = sampler(step)
        assert len(np.unique(rows)) == len(rows)
        groups = np.unique(SUPER[rows])
        assert len(groups) == (2 if step % sampler.steps_per_epoch == 0 else 1)
        for group in groups:
            classes, counts = np.unique(LABELS[rows][SUPER[rows] == group], return_counts=True)
            assert len(classes) == min(2, {5: 4, 2: 2, 8: 1}[group])
            assert (counts == 2).all()


def test_every_superclass_comes_once_an_epoch_and_meets_others_in_time():
    sampler = HierarchicalSampler(LABELS, SUPER, **SETTINGS)
    assert sampler.steps_per_epoch == 2
    met = set()
    for epoch in range(30):
        first, second = (frozenset(SUPER[sampler(2 * epoch + part)].tolist()) for part in range(2))
        assert first | second == {5, 2, 8}
        assert not first & second
        met.add(first)
    assert len(met) == 3


def test_lone_and_unlabelled_rows_are_never_drawn():
    labels = LABELS.copy()
    labels[:3] = -1
    sampler = HierarchicalSampler(labels, SUPER, **SETTINGS)
    drawn = {row for step in range(60) for row in sampler(step).tolist()}
    assert drawn == set(range(len(LABELS))) - {0, 1, 2, 20}


def test_a_batch_depends_on_seed_and_step_alone():
    one, same, other = (HierarchicalSampler(LABELS, SUPER, seed=seed, **SETTINGS) for seed in (0, 0, 1))
    one(9)
    assert all((one(step) == same(step)).all() for step in range(6))
    assert any(one(step).tolist() != other(step).tolist() for step in range(6))


def test_ranks_share_the_plan_of_one_process():
    whole = HierarchicalSampler(LABELS, SUPER, **SETTINGS)
    ranks = [HierarchicalSampler(LABELS, SUPER, rank=r, world_size=3, **SETTINGS) for r in range(3)]
    for step in range(5):
        assert np.concatenate([rank(step) for rank in ranks]).tolist() == whole(step).tolist()


def test_what_does_not_fit_is_refused():
    with pytest.raises(InputError, match="superclasses"):
        HierarchicalSampler([0, 0, 1, 1], [0, 1, 1, 1], **SETTINGS)
    with pytest.raises(InputError, match="superclasses"):
        HierarchicalSampler([0, 0, 1, 1], [0, 0, 1], **SETTINGS)
    with pytest.raises(NoPairsError):
        HierarchicalSampler([0, 0, 1, 2], [0, 0, 1, 1], **SETTINGS)
    with pytest.raises(InputError, match="samples_per_class"):
        HierarchicalSampler(LABELS, SUPER, classes_per_superclass=2, samples_per_class=1)

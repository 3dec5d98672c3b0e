"""Batches of a training run: functions of the step, augmented only where there are pictures."""

import numpy as np
import torch

from spaceform.encoders.batches import LabelledBatches, in_blocks

PICTURES = np.random.default_rng(0).integers(0, 256, (6, 8, 8, 1), dtype=np.uint8)


def first_two(step):
    return np.array([step, step + 1])


def test_a_batch_depends_on_seed_and_step_alone():
    batches = LabelledBatches(PICTURES, np.arange(6), first_two, augment=True, seed=3)
    other = LabelledBatches(PICTURES, np.arange(6), first_two, augment=True, seed=3)
    batches(4)
    again, same = batches(1), other(1)
    assert torch.equal(again.inputs, same.inputs)
    assert again.labels.tolist() == [1, 2]
    assert torch.rand(1, generator=again.generator) == torch.rand(1, generator=same.generator)


def test_augmentation_changes_pictures_and_never_vectors():
    plain, changed = (LabelledBatches(PICTURES, np.arange(6), first_two, augment=on, seed=0)(0) for on in (False, True))
    assert plain.inputs.shape == changed.inputs.shape == (2, 1, 8, 8)
    assert not torch.equal(plain.inputs, changed.inputs)
    vectors = np.eye(6, dtype=np.float32)
    assert torch.equal(
        LabelledBatches(vectors, np.arange(6), first_two, augment=True, seed=0)(0).inputs, torch.eye(6)[:2]
    )


def test_answers_in_blocks_are_answers():
    vectors = np.random.default_rng(0).normal(size=(40, 5)).astype(np.float32)
    np.testing.assert_array_equal(in_blocks(lambda batch: 2 * batch, vectors, size=7), 2 * vectors)

"""The claim of PRD: its mechanism at smoke scale, and what the validity of prototypes measures."""

import numpy as np
import pytest
import torch

from spaceform.claims.context import Context
from spaceform.claims.continual import prd
from spaceform.claims.continual.streams import make_tasks
from spaceform.claims.runner import reproduce

SMOKE = prd.SETTINGS["smoke"]


def test_the_mechanism_holds_at_smoke_scale():
    before = torch.get_rng_state()
    record = reproduce("prd", scale="smoke")
    prd.mechanism(record)
    assert torch.equal(torch.get_rng_state(), before)


def test_validity_is_the_cosine_of_old_vectors_with_the_means_of_their_classes():
    tasks = make_tasks(SMOKE, 0, Context(scale="smoke"))
    learner = prd.make_learner("prd", tasks.X.shape[1:], SMOKE, 0)
    order, old = tasks.stream.seen(tasks.stream.n_tasks - 1), tasks.stream.seen(tasks.stream.n_tasks - 2)
    means = []
    with torch.no_grad():
        for label in order:
            rows = np.concatenate([tasks.stream.test(task) for task in range(tasks.stream.n_tasks)])
            rows = rows[tasks.y[rows] == label]
            means.append(learner(torch.from_numpy(tasks.X[rows])[:, None].float() / 255).mean(0))
    learner.vectors.grow(torch.stack(means))
    assert prd.validity(learner, tasks, "test") == pytest.approx(1, abs=1e-5)
    learner.vectors.vectors.data[: len(old)] *= -1
    assert prd.validity(learner, tasks, "test") == pytest.approx(-1, abs=1e-5)


def test_the_papers_scale_is_twenty_tasks_of_five():
    paper = prd.SETTINGS["paper"]
    assert (paper["base"], paper["step"], paper["net"], paper["width"]) == (5, 5, "resnet18", 512)

"""The claim of Hydra: its mechanism at smoke scale, the control's gate, the paper's scale on a tiny CIFAR-10."""

import numpy as np
import pytest
import torch

from spaceform.claims.context import Context
from spaceform.claims.metric_learning import hydra
from spaceform.claims.runner import reproduce
from spaceform.losses.class_pairs.gates import ClassPairGate
from spaceform.rng import torch_generator


@pytest.fixture(scope="module")
def record():
    return reproduce("hydra", scale="smoke", seeds=[0, 1])


def test_the_mechanism_holds_at_smoke_scale(record):
    hydra.mechanism(record)
    assert "arbitrary_gate" in record.curves["mean opening of the gates"]


def test_the_ablation_breaks_the_mechanism(record):
    runs = [dict(run) for run in record.runs]
    opened = {run["seed"]: run["figures"] for run in runs if run["arm"] == "arbitrary_open"}
    for run in runs:
        if run["arm"] == "arbitrary_gate":
            run["figures"] = opened[run["seed"]]
    broken = type(record)(**(record.to_dict() | {"runs": runs}))
    with pytest.raises(AssertionError, match=r"auc_inside 0\."):
        hydra.mechanism(broken)


def test_the_mispaired_gate_is_random_in_training_and_asked_for_elsewhere():
    inner = ClassPairGate(n_classes=5, width=4, embed_dim=6, hidden=6)
    gate, first = hydra.MispairedGate(inner), torch.zeros(200, dtype=torch.int64)
    one, other = (gate(first, first + 1, generator=torch_generator(0)) for _ in range(2))
    assert torch.equal(one, other)
    assert len(one.detach().unique(dim=0)) == 5  # the row's class with any of the five
    gate.eval()
    assert torch.equal(gate(first[:1], first[:1] + 1), inner(first[:1], first[:1] + 1))


def test_rows_of_training_and_test_are_apart_and_the_same_for_every_arm():
    settings = hydra.SETTINGS["smoke"]
    one, same, other = (hydra._make_task(seed, settings, Context(scale="smoke")) for seed in (0, 0, 1))
    assert np.array_equal(one.X, same.X)
    assert not np.array_equal(one.X, other.X)
    trained = {row.tobytes() for row in one.X}
    assert sum(row.tobytes() in trained for row in one.test) <= 2  # two equal drawings may occur


def test_relations_are_those_of_the_mean_pictures():
    task = hydra._make_task(0, hydra.SETTINGS["smoke"], Context(scale="smoke"))
    flat = task.test.reshape(len(task.test), -1)
    means = np.stack([flat[task.truth == code].mean(0) for code in range(10)])
    own = np.corrcoef(means - means.mean(0))
    assert hydra._relations(own, task) > 0.95
    assert hydra._relations(-own, task) < -0.95
    assert hydra._relations(np.eye(10), task) == 0


@pytest.fixture
def cifar10(tmp_path):
    rng = np.random.default_rng(0)
    for name, n in [*((f"data_batch_{part}", 20) for part in range(1, 6)), ("test_batch", 60)]:
        records = rng.integers(0, 256, (n, 3073), dtype=np.uint8)
        records[:, 0] = np.arange(n) % 10
        records.tofile(tmp_path / f"{name}.bin")
    (tmp_path / "batches.meta.txt").write_text("".join(f"kind {code}\n" for code in range(10)))
    return tmp_path


def test_the_papers_scale_runs_on_its_layout(cifar10):
    tiny = {"net": "conv:0.25", "dim": 8, "hidden": 16, "table": 8, "epochs": 1, "batch_size": 50, "pairs": 3, "k": 3}
    context = Context(scale="paper", root=cifar10)
    for arm in hydra.ARMS:
        figures = hydra.run(arm, 0, {**hydra.SETTINGS["paper"], **tiny, "anchors": 2}, context)
        assert 0 <= figures["knn"] <= 1
        assert np.isfinite(list(figures.values())).all()
    task = context.shared("task", lambda: None)
    assert (task.X.shape, task.test.shape) == ((100, 32, 32, 3), (60, 32, 32, 3))

"""The claim of LELP: its mechanism at smoke scale, its controls, and the original layout as a tiny folder."""

import numpy as np
import pytest

from spaceform import papers
from spaceform.claims import runner
from spaceform.claims.context import Context
from spaceform.claims.transfer import lelp as claim
from spaceform.claims.transfer.lelp_students import Trial, answers
from spaceform.claims.transfer.lelp_tasks import centroid_subclasses, joint, make_task, oracle, soft
from spaceform.errors import InputError


@pytest.fixture(scope="module")
def record():
    return runner.reproduce("lelp", scale="smoke")


def test_the_mechanism_holds_at_smoke_scale(record):
    claim.mechanism(record)
    assert set(record.figures()) == set(claim.ARMS)
    assert len(record.comparisons) == len(papers.load(claim.SLUG).claim.comparisons)


def test_subclasses_of_other_rows_break_the_mechanism(record):
    runs = [dict(run) for run in record.runs]
    shuffled = {run["seed"]: run["figures"] for run in runs if run["arm"] == "shuffled"}
    for run in runs:
        if run["arm"] == "lelp":
            run["figures"] = shuffled[run["seed"]]
    with pytest.raises(AssertionError, match="other rows"):
        claim.mechanism(type(record)(**(record.to_dict() | {"runs": runs})))


@pytest.fixture(scope="module")
def task():
    return make_task(claim.SETTINGS["smoke"]["main"], 0, Context(scale="smoke"))


def test_every_arm_has_as_many_settings_and_the_same_head(task):
    options, targets = claim.SETTINGS["smoke"]["main"], {}
    for arm in claim.MAIN:
        trials = claim._trials(arm, task, options, 0)
        assert len(trials) == (1 if arm == "labels" else 4), arm
        targets[arm] = trials
    for arm in ("lelp", "kmeans", "agglomerative", "oracle", "wide_head", "shuffled", "random"):
        for trial in targets[arm]:
            assert trial.targets.shape == (len(task.rows.transfer), 10)
            np.testing.assert_allclose(trial.targets.sum(1), 1, atol=1e-5)
    for own, other in zip(targets["lelp"], targets["shuffled"], strict=True):
        sums = [one.targets.reshape(-1, 2, 5).sum(2) for one in (own, other)]
        np.testing.assert_allclose(*sums, atol=1e-5)
        assert np.abs(own.targets - other.targets).max() > 0.1


def test_the_oracle_is_certain_of_the_hidden_class(task):
    rows = task.rows.transfer
    q = oracle(soft(centroid_subclasses(task, "oracle", 5, seed=0)[rows], 1.0), task, rows)
    own = q[np.arange(len(rows)), task.y[rows]]
    assert (own.max(1) == 1).all()
    np.testing.assert_array_equal(2 * own.argmax(1) + task.y[rows], task.fine[rows])
    np.testing.assert_allclose(joint(np.full((len(rows), 2), 0.5), q).sum(1), 1, atol=1e-6)


def test_students_side_by_side_learn_as_they_would_alone(task):
    import torch

    y, rows = task.y, task.rows.transfer
    hard = np.eye(2, dtype=np.float32)[y[rows]]
    given = {"hidden": [8], "n_outputs": 2, "training": {"epochs": 2, "batch": 32, "rate": 1e-2}, "seed": 0}
    X = torch.from_numpy(task.X)
    trials = [Trial("a", {}, hard), Trial("b", {}, 1 - hard), Trial("c", {}, hard)]
    together = answers(trials, X, y, rows, **given)
    alone = answers(trials[1:2], X, y, rows, **given)
    assert (together[1] == alone[0]).mean() > 0.99
    np.testing.assert_array_equal(together[0], together[2])
    assert (together[0] == y).mean() > 0.7 > 0.3 > (together[1] == y).mean()


def test_the_original_layout_runs_as_a_tiny_folder(tmp_path):
    rng = np.random.default_rng(0)
    fine = np.arange(500) % 100
    table = np.hstack([np.stack([fine // 5, fine], 1), rng.integers(0, 256, (500, 3072))]).astype(np.uint8)
    (tmp_path / "train.bin").write_bytes(table[:400].tobytes())
    (tmp_path / "test.bin").write_bytes(table[400:].tobytes())
    for name, count in (("fine", 100), ("coarse", 20)):
        (tmp_path / f"{name}_label_names.txt").write_text("\n".join(f"{name}{i}" for i in range(count)))
    small = {"teacher": {"hidden": [4], "dim": 20, "epochs": 1, "batch": 64}, "hidden": [4], "subclasses": 3}
    options = claim.SETTINGS["paper"]["main"] | small
    options |= {
        "rows": {"transfer": 1.0, "validation": 0.2, "test": 0.3},
        "training": {"epochs": 1, "batch": 32, "rate": 1e-3},
    }
    settings = {"main": options, "pictures": options}
    context = Context(scale="paper", root=tmp_path)
    for arm in ("pictures_kd", "pictures_lelp", "teacher"):
        assert 0 <= claim.run(arm, 0, settings, context)["accuracy"] <= 1
    with pytest.raises(InputError, match="CIFAR"):
        claim.run("lelp", 0, settings, Context(scale="paper"))

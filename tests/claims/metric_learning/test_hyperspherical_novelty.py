"""The claim of hyperspherical novelty: its mechanism at smoke scale, its parts, the paper's layouts on tiny files."""

import numpy as np
import pytest

from contracts.claims import check_figures
from spaceform import papers
from spaceform.claims.context import Context
from spaceform.claims.metric_learning import hyperspherical_novelty as claim
from spaceform.claims.metric_learning.hyperspherical_novelty_data import Task, digit_tasks, make_task
from spaceform.claims.metric_learning.hyperspherical_novelty_training import KINDS, PlainLinear, fit
from spaceform.claims.runner import reproduce
from spaceform.errors import InputError

SMOKE = claim.SETTINGS["smoke"]


def test_the_mechanism_holds_at_smoke_scale():
    paper = papers.load(claim.SLUG)
    record = reproduce(claim.SLUG, scale="smoke")
    claim.mechanism(record)
    check_figures(claim, paper, record.figures())
    assert set(record.curves["harmonic mean by supports"]) == set(claim.ARMS)


def test_the_mechanism_names_the_figures_when_it_fails():
    class Collapsed:
        @staticmethod
        def figures():
            row = {"harmonic_5": 0.1, "pull_5": 0.5, "novel_5": 0.1, "length_ratio": 1.0}
            return {arm: {0: row} for arm in claim.ARMS}

    with pytest.raises(AssertionError, match=r"nsl 0\.100"):
        claim.mechanism(Collapsed())


@pytest.fixture(scope="module")
def task():
    return make_task(SMOKE, 0, Context(scale="smoke"))


@pytest.mark.parametrize("kind", KINDS)
def test_every_loss_trains_the_same_number_of_steps(task, kind):
    seen = []

    def count(name, done, total, figures=None):
        seen.append(total)

    options = {**SMOKE["backbone"], "epochs": 1}
    trained = fit(kind, task, options, seed=0, progress=count)
    assert set(seen) == {len(task.split.train) // options["batch"]}
    assert trained.embed(task.X[:5]).shape == (5, 32)
    rows = 0 if kind in {"triplet", "contrastive"} else 7
    assert len(trained.weight) == len(trained.bias) == rows
    unit = kind in {"nsl", "unit_scale", "raw_features"}
    if rows:
        assert bool(np.allclose(np.linalg.norm(trained.weight, axis=1), 1, atol=1e-6)) == unit
        assert bool(trained.bias.any()) == (kind == "softmax")


def test_the_constraints_taken_away_are_those_named():
    import torch

    rows = torch.randn(3, 4, generator=torch.Generator().manual_seed(0))
    options = {"unit_rows": False, "unit_weight": False, "bias": False, "scale": 2.0}
    head = PlainLinear(4, 5, **options)
    torch.testing.assert_close(head(rows), 2 * rows @ head.linear.weight.T)
    head.unit_rows = head.unit_weight = True
    assert head(1000 * rows).abs().max() <= 2 + 1e-5
    torch.testing.assert_close(head(1000 * rows), head(rows))


def test_raw_means_stay_raw(task):
    """The honest competitor is not normalised: its novel rows are plain means, 10 times as long here."""
    rows = np.arange(len(task.y) * 2, dtype=float).reshape(-1, 2) + 1
    support = task.split.support
    found = claim._novel_rows("softmax_imprint", task, rows[support], task.y[support])
    np.testing.assert_allclose(found[0], rows[support][task.y[support] == task.split.novel[0]].mean(0))
    lengths = np.linalg.norm(claim._novel_rows("nsl", task, rows[support], task.y[support]), axis=1)
    np.testing.assert_allclose(lengths, 1)
    assert (np.linalg.norm(claim._novel_rows("raw_weights", task, rows[support], task.y[support]), axis=1) < 1).all()


def test_runs_are_repeatable_and_arms_share_their_network():
    settings = {**SMOKE, "draws": 1, "backbone": {**SMOKE["backbone"], "epochs": 1}}
    timed = "seconds_per_epoch"
    context = Context(scale="smoke")
    first = claim.run("nsl", 3, settings, context)
    assert claim.run("nsl_means", 3, settings, context)["loss"] == first["loss"]
    again = claim.run("nsl", 3, settings, Context(scale="smoke"))
    assert {**again, timed: 0} == {**first, timed: 0}
    assert claim.run("nsl", 4, settings, Context(scale="smoke"))["loss"] != first["loss"]


def tiny(**changes):
    backbone = {**claim.SETTINGS["paper"]["backbone"], "net": "conv:0.25", "epochs": 1, "batch": 8, "samples": 2}
    small = {"shots": [1, 2], "draws": 1, "size": 16, "backbone": backbone, "digits": SMOKE["digits"]}
    return {**claim.SETTINGS["paper"], **small, **changes}


def idx(values):
    values = np.asarray(values, dtype=np.uint8)
    return bytes([0, 0, 8, values.ndim]) + np.array(values.shape, dtype=">u4").tobytes() + values.tobytes()


def mnist(root):
    rng = np.random.default_rng(0)
    for part, n in (("train", 50), ("t10k", 20)):
        y = np.arange(n) % 5
        X = np.clip(rng.integers(0, 60, (n, 28, 28)) + 30 * y[:, None, None], 0, 255)
        (root / f"{part}-images-idx3-ubyte").write_bytes(idx(X))
        (root / f"{part}-labels-idx1-ubyte").write_bytes(idx(y))


def folders(root):
    image = pytest.importorskip("PIL.Image")
    rng = np.random.default_rng(0)
    for part, n in (("train", 8), ("test", 3)):
        for label in range(5):
            place = root / part / f"class {label}"
            place.mkdir(parents=True)
            for row in range(n):
                pixels = np.clip(rng.normal(40 * label, 10, (20, 20, 3)), 0, 255).astype(np.uint8)
                image.fromarray(pixels).save(place / f"{row}.png")


def cifar(root):
    rng = np.random.default_rng(0)
    for part, n in (("train", 200), ("test", 100)):
        rows = rng.integers(0, 256, (n, 3074)).astype(np.uint8)
        rows[:, 1] = np.arange(n) % 100
        rows[:, 0] = rows[:, 1] // 5
        (root / f"{part}.bin").write_bytes(rows.tobytes())
    for kind, n in (("fine", 100), ("coarse", 20)):
        (root / f"{kind}_label_names.txt").write_text("\n".join(f"{kind}_{i}" for i in range(n)))


@pytest.mark.parametrize(
    ("layout", "arms"), [(mnist, ("nsl", "softmax_imprint", "triplet")), (folders, ("raw_weights",)), (cifar, ("nsl",))]
)
def test_paper_scale_runs_on_tiny_folders(layout, arms, tmp_path):
    layout(tmp_path)
    context = Context(scale="paper", root=tmp_path)
    for arm in arms:
        figures = claim.run(arm, 0, tiny(), context)
        assert np.isfinite(list(figures.values())).all()
        assert {"harmonic_1", "harmonic_2", "harmonic_all", "disjoint_all"} <= set(figures)


def test_paper_scale_asks_for_a_folder_and_for_the_same_classes_on_both_sides(tmp_path):
    with pytest.raises(InputError, match="--root"):
        make_task(claim.SETTINGS["paper"], 0, Context(scale="paper"))
    folders(tmp_path)
    (tmp_path / "test" / "class 4").rename(tmp_path / "test" / "class 5")
    with pytest.raises(InputError, match="other classes"):
        make_task(tiny(), 0, Context(scale="paper", root=tmp_path))


@pytest.mark.network
def test_glyphs_are_split_by_typeface_and_classes_by_seed():
    tasks = [make_task(claim.SETTINGS["laptop"], seed, Context(scale="laptop")) for seed in (0, 1)]
    first: Task = tasks[0]
    assert len(first.split.base) == 26
    assert len(first.split.novel) == 10
    assert first.split.base.tolist() != tasks[1].split.base.tolist()
    np.testing.assert_array_equal(first.split.joint, tasks[1].split.joint)


@pytest.mark.network
def test_five_seeds_see_every_pair_of_digits_and_the_tutorials_each_time():
    seen = set()
    for seed in range(5):
        tasks = digit_tasks("mnist-5k", seed, Context(scale="laptop"))
        assert [len(part) for part in (tasks[0].split.train, tasks[0].split.support, tasks[0].split.joint)] == [
            3200,
            800,
            1000,
        ]
        seen |= {tuple(task.y) for task in tasks}
    assert len(seen) == 45

"""The claim of latent label shift: its mechanism at smoke scale, its splits, and the paper's layouts on tiny files."""

import numpy as np
import pytest

from spaceform.claims.class_discovery import latent_label_shift as claim
from spaceform.claims.class_discovery.latent_label_shift_data import make_task
from spaceform.claims.context import Context
from spaceform.claims.runner import reproduce
from spaceform.errors import InputError

SMOKE = claim.SETTINGS["smoke"]


def test_mechanism_at_smoke_scale():
    record = reproduce("latent-label-shift", scale="smoke", seeds=[0, 1])
    claim.mechanism(record)
    assert "accuracy by clusters per class" in record.curves


def test_tasks_keep_test_rows_apart_and_share_the_table():
    first, again = (make_task(SMOKE, 3, Context(scale="smoke"), alpha=0, plain=False) for _ in range(2))
    np.testing.assert_array_equal(first.X, again.X)
    assert not set(map(bytes, first.X)) & set(map(bytes, first.test_rows))
    shares = np.array([np.bincount(first.test_y[first.test_domains == d], minlength=5) for d in range(10)])
    assert np.abs(shares / shares.sum(1, keepdims=True) - first.prior).mean() < 0.02
    assert make_task(SMOKE, 3, Context(scale="smoke"), alpha=0, plain=True).n_classes == 10


def test_scores_follow_one_matching():
    task = make_task(SMOKE, 0, Context(scale="smoke"), alpha=0, plain=False)
    turned = (task.test_y + 1) % 5
    figures = claim.score(task, turned, np.roll(task.prior, 1, axis=1))
    assert figures == {"accuracy": 1.0, "prior_error": 0.0}


def test_unknown_arms_and_empty_folders_are_refused(tmp_path):
    with pytest.raises(InputError, match="arm"):
        claim.run("magic", 0, SMOKE, Context(scale="smoke"))
    with pytest.raises(InputError, match="root"):
        claim.run("ddfa", 0, claim.SETTINGS["paper"], Context(scale="paper", root=tmp_path))


def write_cifar(folder):
    rng = np.random.default_rng(0)
    for split, each in (("train", 60), ("test", 30)):
        coarse = np.repeat(np.arange(20), each).astype(np.uint8)
        pixels = (12 * coarse[:, None] + rng.integers(0, 8, (len(coarse), 3072))).astype(np.uint8)
        np.hstack([coarse[:, None], (5 * coarse)[:, None], pixels]).astype(np.uint8).tofile(folder / f"{split}.bin")
    for kind, n in (("fine", 100), ("coarse", 20)):
        (folder / f"{kind}_label_names.txt").write_text("".join(f"{kind}_{i}\n" for i in range(n)))


def write_pictures(folder):
    from PIL import Image

    rng = np.random.default_rng(0)
    for part, each in (("train", 24), ("valid", 12)):
        for label, name in enumerate(("n01", "n02", "n03")):
            place = folder / part / name
            place.mkdir(parents=True)
            for i in range(each):
                pixels = (90 * label + rng.integers(0, 60, (16, 16, 3))).astype(np.uint8)
                Image.fromarray(pixels).save(place / f"{i}.png")
    (folder / "classes.txt").write_text("n01\nn03\n")


@pytest.mark.parametrize(("write", "classes", "arms"), [(write_cifar, 20, ["kmeans"]), (write_pictures, 2, claim.ARMS)])
def test_paper_scale_reads_its_layouts(tmp_path, write, classes, arms):
    write(tmp_path)
    context = Context(scale="paper", root=tmp_path)
    quick = claim.SETTINGS["paper"] | {"epochs": 1, "net": "conv:0.125", "multiples": [1], "conditions": [1e6] * 3}
    for arm in arms:
        figures = claim.run(arm, 0, quick, context)
        assert 0 < figures["accuracy"] <= 1
    task = make_task(quick, 0, context, alpha=0, plain=False)
    assert task.n_classes == classes
    assert task.X.dtype == np.uint8

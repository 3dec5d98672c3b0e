"""The claim of dynamic subspaces: smoke scale, its pictures, and the paper's scale on a tiny made-up tree."""

import numpy as np
import pytest
from safetensors.torch import save_file

from spaceform.claims.context import Context
from spaceform.claims.metric_learning import dynamic_subspaces as claim
from spaceform.claims.metric_learning.dynamic_subspaces_data import SIZE, draw, make_task
from spaceform.claims.runner import reproduce


def test_mechanism_at_smoke_scale():
    record = reproduce("dynamic-subspaces", scale="smoke")
    claim.mechanism(record)
    searched, single = record.figures()["searched"], record.figures()["single"]
    assert {row["chosen"] for row in searched.values()} <= {1.0, 2.0, 4.0}
    for seed, row in searched.items():
        if row["chosen"] == 1:
            assert row["nmi"] == single[seed]["nmi"]
    assert "validation NMI" in record.curves


def test_the_mechanism_names_the_figures_when_it_fails():
    class Stuck:
        scale, settings = "smoke", {"finetune_from": 5}

        @staticmethod
        def figures():
            row = {"learners": 1.0, "smallest": 16.0, "first_split": -1.0, "recall": 90.0}
            return {arm: {0: row} for arm in claim.ARMS}

    with pytest.raises(AssertionError, match="no split"):
        claim.mechanism(Stuck())


def test_drawn_pictures_show_four_shapes_of_many_looks_on_black():
    X, y = draw(400, seed=0)
    assert X.shape == (400, SIZE, SIZE)
    assert set(y) == {0, 1, 2, 3}
    area = (X > 0).mean((1, 2))
    assert 0.01 < area.min() < area.max() < 0.6
    again, _ = draw(400, seed=0)
    np.testing.assert_array_equal(X, again)


def test_parts_are_disjoint_and_depend_on_the_seed_alone():
    first, again, other = (make_task(claim.SETTINGS["smoke"], seed, Context(scale="smoke")) for seed in (0, 0, 1))
    parts = [first.train, first.validation, first.test]
    assert [len(part.y) for part in parts] == claim.SETTINGS["smoke"]["rows"]
    assert (first.train.X == again.train.X).all()
    assert not (first.train.X == other.train.X).all()
    flat = np.concatenate([part.X.numpy().reshape(len(part.y), -1) for part in parts])
    assert len(np.unique(flat, axis=0)) == len(flat)
    np.testing.assert_array_equal(first.test.masks, first.test.X[:, 0].numpy() > 0)


@pytest.fixture
def isic(tmp_path):
    """Lists and pictures of two classes, and weights of a whole ResNet-50."""
    image = pytest.importorskip("PIL.Image")
    import torch

    from spaceform.nets.resnets.resnet50 import ResNet50Trunk

    rng = np.random.default_rng(0)
    for part, count in (("train", 24), ("test", 12)):
        lines = ["image_id class_id path"]
        for number in range(count):
            kind = number % 2
            pixels = np.clip(rng.normal(60 + 120 * kind, 30, (40, 40, 3)), 0, 255).astype(np.uint8)
            name = f"ISIC_{part}_{number}.png"
            image.fromarray(pixels).save(tmp_path / name)
            lines.append(f"{number} {kind + 1} {name}")
        (tmp_path / f"ISIC_{part}.txt").write_text("\n".join(lines) + "\n")
    with torch.random.fork_rng():
        torch.manual_seed(0)
        save_file(ResNet50Trunk().state_dict(), tmp_path / "resnet50.safetensors")
    return tmp_path


def test_the_papers_scale_runs_on_its_layout(isic):
    tiny = {
        "size": 32,
        "dim": 12,
        "batch": [2, 2],
        "epochs": 2,
        "finetune_from": 1,
        "patience": 1,
        "rows": [0, 0.25, 0],
    }
    settings = {**claim.SETTINGS["paper"], **tiny}
    context = Context(scale="paper", root=isic)
    for arm in ("single", "dynamic"):
        figures = claim.run(arm, 0, settings, context)
        assert 0 <= figures["nmi"] <= 100
        assert np.isfinite(list(figures.values())).all()
        assert "dice" not in figures  # nobody knows the pixels of a lesion here
    task = make_task(settings, 0, context)
    assert [tuple(part.X.shape) for part in (task.train, task.validation, task.test)] == [
        (18, 3, 32, 32),
        (6, 3, 28, 28),
        (12, 3, 28, 28),
    ]

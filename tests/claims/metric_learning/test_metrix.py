"""The claim of Metrix: its mechanism at smoke scale, the ablations' labels, and the benchmarks' layouts."""

import numpy as np
import pytest
import torch

from spaceform import papers
from spaceform.claims.context import Context
from spaceform.claims.metric_learning import metrix
from spaceform.claims.runner import reproduce
from spaceform.losses.contrastive import ContrastiveLoss
from spaceform.losses.mixing.metrix_loss import MetrixLoss


@pytest.fixture(scope="module")
def record():
    return reproduce("metrix", scale="smoke")


def test_the_mechanism_holds_at_smoke_scale(record):
    metrix.mechanism(record)
    assert set(record.figures()) == set(metrix.ARMS)
    assert len(record.comparisons) == len(papers.load("metrix").claim.comparisons)


def test_without_labels_the_mechanism_breaks(record):
    runs = [dict(run) for run in record.runs]
    positive = {run["seed"]: run["figures"]["uniformity"] for run in runs if run["arm"] == "contrastive_positive"}
    for run in runs:
        if run["arm"] == "contrastive_metrix":
            run["figures"] = run["figures"] | {"uniformity": positive[run["seed"]]}
    broken = type(record)(**(record.to_dict() | {"runs": runs}))
    with pytest.raises(AssertionError, match="uniformity"):
        metrix.mechanism(broken)


def test_ablations_change_the_labels_of_mixtures_and_nothing_else():
    rows = torch.randn(8, 4, generator=torch.Generator().manual_seed(0))
    labels = torch.arange(8) % 3
    loss = ContrastiveLoss()

    def figures(inner, lam):
        return MetrixLoss(loss=inner, pairs="pos-neg", lam=lam).with_figures(rows, labels)[1]

    for lam, near in ((0.2, 0.0), (0.8, 1.0)):
        rounded = figures(metrix.Relabelled(loss, metrix.RULES["rounded"]), lam)
        assert rounded["clean"] == figures(loss, lam)["clean"]
        assert rounded["mixed"] == figures(metrix.Relabelled(loss, lambda y, near=near: near + 0 * y), lam)["mixed"]
        assert rounded["mixed"] != figures(loss, lam)["mixed"]
    positive = metrix.Relabelled(loss, metrix.RULES["positive"])
    assert figures(positive, 0.2)["mixed"] > 0


def test_classes_that_are_searched_are_never_trained():
    settings = metrix.SETTINGS["smoke"]
    first, second = (metrix.make_task(settings, seed, Context(scale="smoke")) for seed in (0, 1))
    for task in (first, second):
        assert not set(task.y) & set(task.q)
        assert len(set(task.y)) == len(set(task.q)) == 8
        assert np.bincount(task.y).max() == settings["rows_per_class"]
    assert set(first.y) != set(second.y)


def test_the_papers_scale_runs_on_tiny_folders(tmp_path):
    image = pytest.importorskip("PIL.Image")
    random = np.random.default_rng(0)
    lines = ["24", "image_name item_id evaluation_status"]
    (tmp_path / "img").mkdir()
    (tmp_path / "Eval").mkdir()
    for n in range(24):
        tint = 40 * (n // 4) + random.normal(0, 20, (40, 40, 3))
        image.fromarray(np.clip(tint, 0, 255).astype(np.uint8)).save(tmp_path / "img" / f"{n}.jpg")
        split = "train" if n < 12 else ("query", "gallery")[n % 2]
        lines.append(f"img/{n}.jpg id_{n // 4} {split}")
    (tmp_path / "Eval" / "list_eval_partition.txt").write_text("\n".join(lines) + "\n")
    tiny = {"size": 32, "net": "nn4", "dim": 8, "classes": 3, "samples": 2, "steps": 2}
    settings = {**metrix.SETTINGS["paper"], **tiny}
    context = Context(scale="paper", root=tmp_path)
    for arm in ("contrastive_features", "multi_similarity_metrix"):
        figures = metrix.run(arm, 0, settings, context)
        assert np.isfinite(list(figures.values())).all()
        assert 0 <= figures["recall"] <= 1

"""The claim of FaceNet: its mechanism at smoke scale, and the paper's scale on a small tree of faces."""

import numpy as np
import pytest

from spaceform.claims.context import Context
from spaceform.claims.metric_learning import facenet
from spaceform.claims.runner import reproduce


def test_the_mechanism_holds_at_smoke_scale():
    record = reproduce("facenet", scale="smoke", seeds=[0, 1])
    facenet.mechanism(record)
    curves = record.curves["mean distance of two identities"]
    assert set(curves) == {"semi_hard", "random", "hardest"}


def test_the_mechanism_names_the_figures_when_it_fails():
    class Collapsed:
        @staticmethod
        def figures():
            return {arm: {0: {"accuracy": 0.5, "val": 0.0, "active": 0.0}} for arm in facenet.ARMS}

    with pytest.raises(AssertionError, match=r"semi_hard 0\.500"):
        facenet.mechanism(Collapsed())


@pytest.fixture
def faces(tmp_path):
    """Folders as of the benchmarks: 8 identities to train on; 6 people with 4 faces each and 2 folds of 2 + 2 pairs."""
    image = pytest.importorskip("PIL.Image")
    rng = np.random.default_rng(0)
    for folder, people, pattern in (("train", 8, "{}.jpg"), ("lfw", 6, "Person_{p}_{n:04d}.jpg")):
        for p in range(people):
            place = tmp_path / folder / f"Person_{p}"
            place.mkdir(parents=True)
            for n in range(1, 5):
                pixels = np.clip(rng.normal(30 * p, 20, (40, 40, 3)), 0, 255).astype(np.uint8)
                image.fromarray(pixels).save(place / pattern.format(n, p=p, n=n))
    lines = ["2\t2"]
    for fold in range(2):
        lines += [f"Person_{3 * fold + i}\t1\t2" for i in range(2)]
        lines += [f"Person_{3 * fold + i}\t1\tPerson_{3 * fold + i + 1}\t3" for i in range(2)]
    (tmp_path / "lfw" / "pairs.txt").write_text("\n".join(lines) + "\n")
    return tmp_path


def test_the_papers_scale_runs_on_its_layout(faces):
    tiny = {
        "size": 64,
        "net": "nn4:plain",
        "old_net": "conv",
        "dim": 8,
        "classes": 3,
        "samples": 2,
        "steps": 2,
        "head_steps": 1,
        "full_steps": 1,
        "far": 0.5,
        "folds": 2,
    }
    settings = {**facenet.SETTINGS["paper"], **tiny}
    context = Context(scale="paper", root=faces)
    for arm in facenet.ARMS:
        figures = facenet.run(arm, 0, settings, context)
        assert 0 <= figures["accuracy"] <= 1
        assert np.isfinite(list(figures.values())).all()

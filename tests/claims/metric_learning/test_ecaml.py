"""The claim of ECAML: mechanism at smoke scale, tasks that hold classes apart, a benchmark at the paper's scale."""

import numpy as np
import pytest

from spaceform.claims.context import Context
from spaceform.claims.metric_learning import ecaml
from spaceform.claims.metric_learning.ecaml_data import make_task
from spaceform.claims.runner import reproduce


def test_the_mechanism_holds_at_smoke_scale():
    record = reproduce("ecaml", scale="smoke", seeds=[0, 1])
    ecaml.mechanism(record)
    assert {"guard", "ecaml", "noise"} <= set(record.curves["metric loss on seen classes"])


def test_the_mechanism_names_the_figures_when_it_fails():
    class Apart:
        @staticmethod
        def figures():
            return {arm: {0: {"between": 0.25, "damping": 0.0, "row_norm": 1.0}} for arm in ecaml.ARMS}

    with pytest.raises(AssertionError, match=r"between 0\.250"):
        ecaml.mechanism(Apart())


def test_classes_that_are_judged_train_nothing():
    task = make_task(ecaml.SETTINGS["smoke"], 0, Context(scale="smoke"))
    seen, unseen, known = set(task.y.tolist()), set(task.unseen_y.tolist()), set(task.known_y.tolist())
    assert set(task.seen_y.tolist()) <= seen
    assert not seen & unseen
    assert not (seen | unseen) & known
    pictures = {row.tobytes() for row in task.X}
    assert not any(row.tobytes() in pictures for row in task.seen)


@pytest.fixture
def folders(tmp_path):
    """Class folders of two parts: eight classes to be judged, four that the network knows beforehand."""
    image = pytest.importorskip("PIL.Image")
    rng = np.random.default_rng(0)
    for part, classes in (("CUB_200_2011/images", 8), ("known", 4)):
        for label in range(classes):
            place = tmp_path / part / f"{label:03d}.name"
            place.mkdir(parents=True)
            for number in range(6):
                pixels = np.clip(rng.normal(30 * label, 20, (40, 40, 3)), 0, 255).astype(np.uint8)
                image.fromarray(pixels).save(place / f"{number}.jpg")
    return tmp_path


def test_the_papers_scale_runs_on_its_layout(folders):
    tiny = {"size": 32, "net": "conv:0.25", "dim": 8, "classes": 4, "samples": 2, "steps": 2, "frozen_steps": 2}
    settings = {**ecaml.SETTINGS["paper"], **tiny, "sweep": [0.0, 0.13]}
    context = Context(scale="paper", root=folders)
    for arm in ecaml.ARMS:
        figures = ecaml.run(arm, 0, settings, context)
        assert 0 <= figures["recall"] <= 1
        assert np.isfinite(list(figures.values())).all()
    task = make_task(settings, 0, context)
    assert sorted(set(task.y.tolist())) == [0, 1, 2, 3]
    assert sorted(set(task.unseen_y.tolist())) == [4, 5, 6, 7]

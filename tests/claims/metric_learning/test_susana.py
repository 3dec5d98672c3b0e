"""The claim of the SuSana losses: mechanism at smoke scale, splits that keep letters together, class folders."""

import numpy as np
import pytest

from spaceform.claims.context import Context
from spaceform.claims.metric_learning import susana, susana_data
from spaceform.claims.runner import reproduce


def test_the_mechanism_holds_at_smoke_scale():
    record = reproduce("susana", scale="smoke", seeds=[0, 1])
    susana.mechanism(record)
    figures = record.figures()
    for seed in (0, 1):  # Adam does not feel a factor before the only term
        assert figures["third_ce"][seed]["five_shot"] == pytest.approx(figures["ce"][seed]["five_shot"], abs=0.02)
    assert set(record.curves["icnn_full by episode"]) == {"ce_icnn", "ce_pt_icnn", "no_intra", "no_inter"}


def test_the_mechanism_names_the_figures_when_it_fails():
    class Flat:
        @staticmethod
        def figures():
            return {arm: {0: {"five_shot": 0.2, "icnn": 0.5}} for arm in susana.ARMS}

    with pytest.raises(AssertionError, match=r"ce 0\.200"):
        susana.mechanism(Flat())


def test_groups_are_never_cut_and_fill_the_number():
    groups = [[2 * i, 2 * i + 1] for i in range(26)] + [[52 + i] for i in range(10)]
    test, rest = susana_data.take_groups(groups, 22, seed=0)
    train, others = susana_data.take_groups(rest, 34, seed=1)
    assert [sum(map(len, part)) for part in (test, train, others)] == [22, 34, 6]
    assert sorted(label for part in (test, train, others) for group in part for label in group) == list(range(62))


def test_tested_classes_are_the_same_for_every_seed_and_never_trained():
    settings = susana.SETTINGS["smoke"]
    tasks = [susana_data.make_task(settings, seed, Context(scale="smoke")) for seed in (0, 1)]
    held = susana_data.make_task({**settings, "split": "validation"}, 0, Context(scale="smoke"))
    tested = [set(task.unseen_y.tolist()) for task in tasks]
    assert tested[0] == tested[1]
    assert len(tested[0]) == settings["test_classes"]
    for task in (*tasks, held):
        assert not set(task.y.tolist()) & (set(task.unseen_y.tolist()) | tested[0])
    assert not set(held.unseen_y.tolist()) & tested[0]


@pytest.mark.parametrize("form", ["folders", "lists"])
def test_the_papers_scale_runs_on_its_layouts(tmp_path, form):
    image = pytest.importorskip("PIL.Image")
    rng = np.random.default_rng(0)
    for part, classes in (("train", 4), ("test", 5)):
        lines = ["filename,label"]
        for label in range(classes):
            place = tmp_path / part / f"{part}{label}" if form == "folders" else tmp_path / "images"
            place.mkdir(parents=True, exist_ok=True)
            for number in range(8):
                pixels = np.clip(rng.normal(40 * label, 20, (40, 40, 3)), 0, 255).astype(np.uint8)
                name = f"{part}{label}-{number}.jpg"
                image.fromarray(pixels).save(place / name)
                lines.append(f"{name},{part}{label}")
        if form == "lists":
            (tmp_path / "split").mkdir(exist_ok=True)
            (tmp_path / "split" / f"{part}.csv").write_text("\n".join(lines) + "\n")
    tiny = {"size": 32, "net": "conv:0.25", "dim": 8, "n_shot": 2, "n_query": 3, "steps": 2}
    tiny |= {"episodes": 12, "test_query": 3}
    context = Context(scale="paper", root=tmp_path)
    for arm in ("ce", "ce_pt_icnn"):
        figures = susana.run(arm, 0, {**susana.SETTINGS["paper"], **tiny}, context)
        assert 0 <= figures["five_shot"] <= 1
        assert np.isfinite(list(figures.values())).all()

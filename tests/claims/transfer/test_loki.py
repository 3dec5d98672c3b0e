"""Loki's claim at smoke scale through the runner, its mechanism, and the paper's own layouts as tiny folders."""

import json

import numpy as np
import pytest
from PIL import Image

from spaceform import papers
from spaceform.claims import runner
from spaceform.claims.context import Context
from spaceform.claims.transfer import loki


@pytest.fixture(scope="module")
def record():
    return runner.reproduce("loki", scale="smoke")


def test_the_mechanism_holds(record):
    loki.mechanism(record)


def test_every_comparison_finds_its_figures(record):
    assert len(record.comparisons) == len(papers.load("loki").claim.comparisons)
    assert set(record.figures()) == set(loki.ARMS)


def test_the_control_breaks_the_mechanism(record):
    runs = [dict(run) for run in record.runs]
    permuted = {run["seed"]: run["figures"] for run in runs if run["arm"] == "permuted"}
    for run in runs:
        if run["arm"] == "loki":
            run["figures"] = permuted[run["seed"]]
    broken = type(record)(**(record.to_dict() | {"runs": runs}))
    with pytest.raises(AssertionError, match="K = 10: loki"):
        loki.mechanism(broken)


def test_a_seed_gives_the_same_figures_whichever_arm_comes_first():
    settings = loki.SETTINGS["smoke"] | {"observed": [10]}
    alone = loki.run("restricted", 3, settings, Context(scale="smoke"))
    context = Context(scale="smoke")
    loki.run("loki", 3, settings, context)
    assert loki.run("restricted", 3, settings, context) == alone
    assert alone != loki.run("restricted", 4, settings, Context(scale="smoke"))


def pictures(folder, names, count):
    rng = np.random.default_rng(0)
    for number, name in enumerate(names):
        (folder / name).mkdir(parents=True)
        for i in range(count):
            pixels = np.clip(30 * number + rng.normal(0, 9, (8, 8, 3)), 0, 255).astype(np.uint8)
            Image.fromarray(pixels).save(folder / name / f"{i}.png")


def imagenet(root):
    leaves = [f"n1{i}" for i in range(6)]
    (root / "imagenet_mintree.txt").write_text("".join(f"n0{i // 2} {leaf}\n" for i, leaf in enumerate(leaves)))
    with (root / "imagenet_mintree.txt").open("a") as handle:
        handle.write("n0 n00\nn0 n01\nn0 n02\n")
    (root / "dir_label_name.json").write_text(json.dumps({str(i): [leaf, leaf] for i, leaf in enumerate(leaves)}))
    pictures(root / "train", leaves, 6)
    pictures(root / "val", leaves, 2)


def cifar(root):
    (root / "cifar_hierarchy.txt").write_text("a\ta0, a1\nb\tb0, b1\n")
    pictures(root, ["a0", "a1", "b0", "b1"], 10)


def lshtc(root):
    (root / "hierarchy.txt").write_text("1 2\n1 3\n3 4\n3 5\n")
    lines = [f"{2 + i % 4} {i % 4}:3 {9 + i % 7}:1" for i in range(60)]
    (root / "train.txt").write_text("\n".join(lines))


def pubmed(root):
    rows = "".join(f"title,word{i % 4} text shared,\"['Label {i % 4}']\"\n" for i in range(60))
    (root / "articles.csv").write_text("Title,abstractText,meshMajor\n" + rows)


@pytest.mark.parametrize("layout", [imagenet, cifar, lshtc, pubmed])
def test_paper_scale_runs_on_tiny_folders(layout, tmp_path):
    layout(tmp_path)
    settings = loki.SETTINGS["paper"] | {"label_encoder": "letters", "observed": [3, 100], "logistic_at": 3}
    context = Context(scale="paper", root=tmp_path)
    for arm in ("argmax", "loki", "restricted", "permuted", "constant", "logistic_calibrated"):
        figures = loki.run(arm, 0, settings, context)
        assert np.isfinite(list(figures.values())).all()
        assert figures["observed_logistic" if arm.startswith("logistic") else "observed_k3"] == 3
    assert loki.run("loki", 0, settings, context)["observed_k100"] < 100  # no more than there are


def test_paper_scale_asks_for_a_folder():
    from spaceform.errors import InputError

    with pytest.raises(InputError, match="--root"):
        loki.run("loki", 0, loki.SETTINGS["paper"], Context(scale="paper"))


@pytest.mark.network
def test_laptop_scale_has_the_animals_of_wordnet():
    task = loki._task(loki.SETTINGS["laptop"], Context(scale="laptop"))
    assert len(task.y) == 4017
    assert len(task.metric) == 133
    assert task.metric.distances(range(133)).max() == 15

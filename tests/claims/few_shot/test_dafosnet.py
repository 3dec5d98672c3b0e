"""The claim of DAFOS-Net: its mechanism at smoke scale, its worlds, and the paper's scale on a small tree."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from spaceform.claims.context import Context
from spaceform.claims.few_shot import dafosnet
from spaceform.claims.few_shot.dafosnet_data import SOURCE, TARGET, divide, make_world, outlines
from spaceform.claims.runner import reproduce
from spaceform.errors import InputError


def test_the_mechanism_holds_at_smoke_scale():
    record = reproduce("dafosnet", scale="smoke", seeds=[0, 1])
    dafosnet.mechanism(record)
    for row in record.runs:
        assert all(np.isfinite(list(row["figures"].values())))
    assert record.curves["outlier"].keys() == {"dafos", "no_dsbn", "no_triplet", "no_align", "gan"}


def test_the_mechanism_names_the_figures_when_it_fails():
    class Failed:
        settings = dafosnet.SETTINGS["smoke"]

        @staticmethod
        def figures():
            return {arm: {0: {"accuracy": 33.0, "auroc": 50.0}} for arm in dafosnet.ARMS}

    with pytest.raises(AssertionError, match=r"dafos 33\.0/50\.0"):
        dafosnet.mechanism(Failed())


KEPT = {"n_source": 6, "n_target": 4, "n_test": 5, "n_validation": 3, "per_target": 2, "fewest": 3}


@given(seed=st.integers(0, 10**6))
@settings(max_examples=30, deadline=None)
def test_no_class_is_in_two_parts_and_validation_is_apart_from_the_test(seed):
    y = np.concatenate([np.repeat(np.arange(20), 4), np.repeat(np.arange(18), 3)])
    domains = np.repeat([SOURCE, TARGET], [80, 54])
    X = np.arange(len(y))[:, None]
    test, validation = (divide(X, y, domains, {**KEPT, "split": split}, seed=seed) for split in ("test", "validation"))
    parts = [set(test.y[test.domains == d]) for d in (SOURCE, TARGET)] + [set(test.test_y), set(validation.test_y)]
    assert [len(part) for part in parts] == [6, 4, 5, 3]
    assert len(set.union(*parts)) == 18
    assert (domains[test.X[:, 0]] == test.domains).all()
    assert (domains[test.tests[:, 0]] == TARGET).all()
    assert np.bincount(test.y[test.domains == TARGET]).max() == 2
    assert np.array_equal(test.test_y, divide(X, y, domains, {**KEPT, "split": "test"}, seed=seed + 1).test_y)
    with pytest.raises(InputError, match="n_target"):
        divide(X, y, domains, {**KEPT, "n_target": 15}, seed=seed)


def test_outlines_are_dark_where_the_letter_has_its_edge():
    X = np.zeros((1, 12, 12), dtype=np.uint8)
    X[0, 3:9, 3:9] = 255
    flat = np.stack([outlines(X, seed=seed)[0] for seed in range(60)]).mean(0)
    assert flat[3, 6] < flat[6, 6] - 40
    assert abs(flat[6, 6] - flat[0, 0]) < 40
    assert np.array_equal(outlines(X, seed=1), outlines(X, seed=1))


@pytest.mark.network
def test_worlds_of_the_laptop_have_their_classes():
    kept = dafosnet.SETTINGS["laptop"]
    world = make_world("emoji", kept, 0, Context(scale="laptop"))
    assert world.X.shape[1:] == (32, 32, 3)
    assert len(set(world.test_y)) == kept["emoji"]["n_test"]
    assert not set(world.y) & set(world.test_y)


def test_the_papers_scale_runs_on_its_layouts(tmp_path):
    image = pytest.importorskip("PIL.Image")
    rng = np.random.default_rng(0)
    for layout, domains in {"office-home": ("Real World", "Clipart"), "domainnet": ("real", "clipart")}.items():
        for domain in domains:
            lines = []
            for c in range(12):
                place = tmp_path / layout / domain / f"class{c}"
                place.mkdir(parents=True)
                for n in range(4):
                    image.fromarray(rng.integers(0, 255, (20, 20, 3), dtype=np.uint8)).save(place / f"{n}.jpg")
                    lines.append(f"{domain}/class{c}/{n}.jpg {c}")
            for part, chosen in (("train", lines[::2]), ("test", lines[1::2])):
                (tmp_path / layout / f"{domain}_{part}.txt").write_text("\n".join(chosen) + "\n")
    tiny = {"n_way": 2, "shots": [1, 1], "queries": 1, "test_shots": 1, "test_queries": 2, "net": "conv:0.25"}
    tiny |= {"steps": 2, "episodes": 2, "dim": 8}
    few = {"size": 20, "n_source": 4, "n_target": 4, "n_test": 4, "fewest": 3}
    paper = dafosnet.SETTINGS["paper"]
    tiny |= {name: {**paper[name], **few} for name in paper["worlds"]}
    context = Context(scale="paper", root=tmp_path)
    for arm in ("dafos", "protonet_source", "wrong_norm", "second_protonet"):
        figures = dafosnet.run(arm, 0, {**paper, **tiny}, context)
        assert 0 <= figures["accuracy"] <= 100
    with pytest.raises(InputError, match="root"):
        dafosnet.run("dafos", 0, paper, Context(scale="paper"))

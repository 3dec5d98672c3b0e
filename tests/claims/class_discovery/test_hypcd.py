"""The claim of HypCD: its tasks, and the paper's layouts on tiny files."""

import numpy as np
import pytest
from PIL import Image

from spaceform.claims.class_discovery import hypcd as claim
from spaceform.claims.class_discovery.hypcd_data import make_task
from spaceform.claims.context import Context
from spaceform.claims.runner import reproduce
from spaceform.errors import InputError

SMOKE = claim.SETTINGS["smoke"]


def test_mechanism_at_smoke_scale():
    record = reproduce("hypcd", scale="smoke", seeds=[0, 1])
    claim.mechanism(record)


def test_tasks_are_pure_and_hide_labels():
    first, again = (make_task("tree", SMOKE, 3, Context(scale="smoke")) for _ in range(2))
    np.testing.assert_array_equal(first.X, again.X)
    np.testing.assert_array_equal(first.hidden, again.hidden)
    assert not np.isin(first.hidden, first.split.novel).any()
    assert (first.hidden >= 0).sum() == 14 * 10
    star = make_task("star", SMOKE, 3, Context(scale="smoke"))
    np.testing.assert_array_equal(star.distances, first.distances)
    assert len(np.unique(star.y)) == 27


def test_unknown_arms_and_missing_folders_are_refused():
    with pytest.raises(InputError, match="arm"):
        claim.run("magic", 0, SMOKE, Context(scale="smoke"))
    with pytest.raises(InputError, match="root"):
        claim.run("kmeans", 0, claim.SETTINGS["paper"], Context(scale="paper"))


def write_cifar(folder):
    rng = np.random.default_rng(0)
    fine = np.repeat(np.arange(100), 2).astype(np.uint8)
    pixels = (2 * fine[:, None] + rng.integers(0, 8, (200, 3072))).astype(np.uint8)
    table = np.hstack([(fine // 5)[:, None], fine[:, None], pixels])
    for split in ("train", "test"):
        table.tofile(folder / f"{split}.bin")
    for kind, n in (("fine", 100), ("coarse", 20)):
        (folder / f"{kind}_label_names.txt").write_text("".join(f"{kind}_{i}\n" for i in range(n)))


def write_folders(folder):
    lines = ["beast\tn00, n01, n02", "plant\tn03, n04, n05"]
    (folder / "superclasses.txt").write_text("\n".join(lines))
    for label in range(6):
        place = folder / f"n0{label}"
        place.mkdir()
        for i in range(6):
            Image.new("RGB", (8, 8), (40 * label, 10 * i, 0)).save(place / f"{i}.png")


@pytest.mark.filterwarnings("ignore:y. known classes with a single row")
@pytest.mark.parametrize(("write", "novel"), [(write_cifar, 20), (write_folders, 3)])
def test_paper_scale_reads_its_layouts(tmp_path, write, novel):
    write(tmp_path)
    context = Context(scale="paper", root=tmp_path)
    quick = claim.SETTINGS["paper"] | {"net": "conv:0.125", "head": [8, 4], "embedding_dim": 8}
    quick |= {"size": 16, "delta_rows": 20, "rows_per_class": 4, "epochs": dict.fromkeys(("tree", "real"), 1)}
    figures = claim.run("euclidean", 0, quick, context)
    assert 0 < figures["real_all"] <= 1
    assert -1 <= figures["real_tree_new"] <= 1
    task = make_task("folder", quick, 0, context)
    assert task.n_novel == novel

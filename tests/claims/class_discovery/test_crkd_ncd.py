"""The claim of Cr-KD: its tasks, its smoke run, and the layout of the paper on a tiny folder."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from spaceform.claims.class_discovery import crkd_ncd as claim
from spaceform.claims.class_discovery.crkd_ncd_data import TREES, make_task
from spaceform.claims.context import Context
from spaceform.errors import InputError
from spaceform.types import no_progress


@pytest.mark.parametrize("name", TREES)
def test_trees_have_few_novel_rows_and_views_of_training_rows(name: str) -> None:
    task, again, other = (make_task(name, seed, None, no_progress) for seed in (0, 0, 1))
    np.testing.assert_array_equal(task.train, again.train)
    assert not np.array_equal(task.train, other.train)
    assert not set(task.train) & set(task.test)
    counts = np.bincount(task.truth[task.train])
    assert set(counts[: task.n_known]) == {TREES[name]["rows"]}
    assert set(counts[task.n_known :]) == {TREES[name]["novel_rows"]}
    np.testing.assert_array_equal(np.bincount(task.truth[task.test]), 20)
    known = task.codes >= 0
    np.testing.assert_array_equal(task.codes[known], task.truth[task.train][known])
    assert (task.truth[task.train][~known] >= task.n_known).all()
    assert task.view_fn is not None
    view = np.asarray(task.view_fn(np.arange(5), np.random.default_rng(0)))
    assert view.shape == (5, 32)
    assert not np.allclose(view, task.X[task.train[:5]])


def test_unknown_arms_and_tables_are_refused() -> None:
    with pytest.raises(InputError, match="arm"):
        claim.run("magic", 0, claim.SETTINGS["smoke"], Context(scale="smoke"))
    with pytest.raises(InputError, match="tables"):
        make_task("nowhere", 0, None, no_progress)
    with pytest.raises(InputError, match="root"):
        make_task("cifar100-20", 0, None, no_progress)


def _cifar(folder: Path) -> None:
    """Write CIFAR-100 in its binary version with two training pictures and one test picture per class."""
    generator = np.random.default_rng(0)
    for name, per in (("train", 2), ("test", 1)):
        fine = np.repeat(np.arange(100), per)
        table = np.concatenate([fine[:, None] // 5, fine[:, None], generator.integers(0, 256, (len(fine), 3072))], 1)
        (folder / f"{name}.bin").write_bytes(table.astype(np.uint8).tobytes())
    for kind, n in (("fine", 100), ("coarse", 20)):
        (folder / f"{kind}_label_names.txt").write_text("".join(f"{kind}_{i}\n" for i in range(n)))


def test_the_layout_of_the_paper_is_read_and_trained_on(tmp_path: Path) -> None:
    _cifar(tmp_path)
    settings = claim.SETTINGS["paper"] | {
        "tables": ["cifar100-20"],
        "epochs": 1,
        "supervised_epochs": 1,
        "batch_size": 200,
        "n_heads": 1,
    }
    task = make_task("cifar100-50", 0, tmp_path, no_progress)
    assert (task.n_known, task.n_novel, len(task.train), len(task.test)) == (50, 50, 200, 100)
    task = make_task("cifar100-20", 0, tmp_path, no_progress)
    assert (task.n_known, task.n_novel) == (80, 20)
    assert (task.codes < 0).sum() == 40
    context = Context(scale="paper", root=tmp_path)
    bench = claim.Bench("cifar100-20", task, 0, settings, context)
    assert bench.net(0).encode(claim.torch.zeros(2, 3, 32, 32)).shape == (2, 512)

"""The claim of tabular NCD: its mechanism at smoke scale, its splits, and the layouts of the paper on tiny files."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from spaceform.claims.class_discovery import tabular_ncd as claim
from spaceform.claims.class_discovery.tabular_ncd_tables import TABLES, make_task, planted
from spaceform.claims.context import Context
from spaceform.claims.runner import reproduce
from spaceform.errors import InputError
from spaceform.types import no_progress


def test_mechanism_at_smoke_scale() -> None:
    record = reproduce("tabular-ncd", scale="smoke", seeds=[0, 1])
    claim.mechanism(record)
    tuned = record.figures()["tuned"]
    assert all(row["chosen_w"] in claim.SETTINGS["smoke"]["weights"] for row in tuned.values())
    assert "planted: accuracy on hidden classes by w" in record.curves


def test_unknown_arms_and_tables_are_refused() -> None:
    with pytest.raises(InputError, match="arm"):
        claim.run("magic", 0, claim.SETTINGS["smoke"], Context(scale="smoke"))
    with pytest.raises(InputError, match="tables"):
        make_task("nowhere", 0, None, no_progress)
    with pytest.raises(InputError, match="root"):
        make_task("uci-letter", 0, None, no_progress)


def test_splits_are_disjoint_and_depend_on_the_seed_alone() -> None:
    first, again, other = (make_task("planted", seed, None, no_progress) for seed in (0, 0, 1))
    assert len(set(first.train) | set(first.test)) == len(first.X) == len(first.train) + len(first.test)
    np.testing.assert_array_equal(first.train, again.train)
    assert not np.array_equal(first.train, other.train)
    assert set(first.truth[first.y < 0]) == {12, 13, 14, 15}
    np.testing.assert_array_equal(first.y[first.y >= 0], first.truth[first.y >= 0])
    np.testing.assert_allclose(first.X[first.train].mean(0), 0, atol=1e-9)
    assert first.n_novel == 4


def test_digits_drop_constant_columns() -> None:
    task = make_task("digits", 0, None, no_progress)
    assert task.X.shape[0] == 1797
    assert task.X.shape[1] < 64
    assert set(task.truth[task.y < 0]) == {0, 3, 4, 5, 6}


# the paper's own files, tiny


def _rows(rng: np.random.Generator, y: np.ndarray, width: int) -> np.ndarray:
    centers = rng.integers(0, 15, size=(y.max() + 1, width))
    return np.clip(centers[y] + rng.integers(-1, 2, size=(len(y), width)), 0, 15)


def write_letter(folder: Path, rng: np.random.Generator) -> None:
    y = np.repeat(np.arange(26), 30)
    lines = [f"{chr(65 + label)}," + ",".join(map(str, row)) for label, row in zip(y, _rows(rng, y, 16), strict=True)]
    (folder / "letter-recognition.data").write_text("\n".join(lines) + "\n")


def write_digits(folder: Path, rng: np.random.Generator, name: str, width: int) -> None:
    for ending in ("tra", "tes"):
        y = np.repeat(np.arange(10), 12)
        table = np.column_stack([_rows(np.random.default_rng(7), y, width) + rng.integers(0, 2, (120, width)), y])
        (folder / f"{name}.{ending}").write_text("\n".join(",".join(map(str, row)) for row in table) + "\n")


def write_mfeat(folder: Path, rng: np.random.Generator) -> None:
    rows = _rows(rng, np.repeat(np.arange(10), 200), 216)
    (folder / "mfeat-fac").write_text("\n".join(" ".join(map(str, row)) for row in rows) + "\n")


def write_cnae(folder: Path, rng: np.random.Generator) -> None:
    y = np.repeat(np.arange(1, 10), 30)
    words = (rng.random((len(y), 856)) < 0.02 + 0.3 * ((np.arange(856) % 9) == (y - 1)[:, None])).astype(int)
    table = np.column_stack([y, words])
    (folder / "CNAE-9.data").write_text("\n".join(",".join(map(str, row)) for row in table) + "\n")


def write_har(folder: Path, rng: np.random.Generator) -> None:
    centers = rng.uniform(-1, 1, size=(7, 561))
    for part in ("train", "test"):
        home = folder / "UCI HAR Dataset" / part
        home.mkdir(parents=True)
        y = np.repeat(np.arange(1, 7), 8)
        X = np.clip(centers[y] + rng.normal(0, 0.1, (len(y), 561)), -1, 1)
        (home / f"X_{part}.txt").write_text("\n".join(" ".join(f"{v:.5f}" for v in row) for row in X) + "\n")
        (home / f"y_{part}.txt").write_text("\n".join(map(str, y)) + "\n")
        (home / f"subject_{part}.txt").write_text("\n".join(str(1 + i % 5) for i in range(len(y))) + "\n")


def write_census(folder: Path, rng: np.random.Generator) -> None:
    y = np.repeat(np.arange(18), 30)
    rows = _rows(rng, y, 67)
    names = ["caseid", *(f"c{i}" for i in range(60)), "iYearsch", *(f"d{i}" for i in range(7))]
    table = np.column_stack([10000 + np.arange(len(y)), rows[:, :60], y, rows[:, 60:]])
    lines = [",".join(names), *(",".join(map(str, row)) for row in table)]
    (folder / "USCensus1990.data.txt").write_text("\n".join(lines) + "\n")


@pytest.fixture
def uci(tmp_path: Path) -> Path:
    """All seven layouts, two of them in a folder of their own."""
    rng = np.random.default_rng(0)
    write_letter(tmp_path, rng)
    (tmp_path / "optdigits").mkdir()
    write_digits(tmp_path / "optdigits", rng, "optdigits", 64)
    write_digits(tmp_path, rng, "pendigits", 16)
    write_mfeat(tmp_path, rng)
    write_cnae(tmp_path, rng)
    (tmp_path / "har").mkdir()
    write_har(tmp_path / "har", rng)
    write_census(tmp_path, rng)
    return tmp_path


def test_paper_scale_reads_all_seven_layouts_and_runs_every_arm(uci: Path) -> None:
    paper = claim.SETTINGS["paper"]
    assert sorted(paper["tables"]) == sorted(name for name in TABLES if name.startswith("uci-"))
    tasks = {name: make_task(name, 0, uci, no_progress) for name in paper["tables"]}
    assert {name: task.n_novel for name, task in tasks.items()} == {
        "uci-letter": 7,
        "uci-optdigits": 5,
        "uci-pendigits": 5,
        "uci-mfeat": 5,
        "uci-har": 3,
        "uci-cnae9": 5,
        "uci-uscensus": 6,
    }
    assert tasks["uci-har"].X.shape[1] == 562
    assert len(tasks["uci-har"].train) == 48
    assert tasks["uci-cnae9"].X.max() == 1  # counts as they are
    quick = paper | {"epochs": 1, "estimate_epochs": 1, "folds": 2, "weights": [0.5], "min_dists": [0.6], "n_init": 1}
    context = Context(scale="paper", root=uci)
    for arm in claim.ARMS:
        tables = paper["tables"] if arm in {"kmeans", "ncd_kmeans", "pbn"} else ["uci-pendigits"]
        figures = claim.run(arm, 0, quick | {"tables": tables}, context)
        single = [figures[f"{name}_accuracy"] for name in tables]
        assert figures["accuracy"] == pytest.approx(np.mean(single))
        assert 0 < figures["accuracy"] <= 1


def test_a_novel_class_without_rows_is_refused(uci: Path) -> None:
    (uci / "pendigits.tes").write_text("\n".join(",".join(map(str, [1] * 16 + [d])) for d in (1, 2, 4)) + "\n")
    with pytest.raises(InputError, match="uci-pendigits: got no row of"):
        make_task("uci-pendigits", 0, uci, no_progress)


def test_planted_columns_of_coin_tosses_say_nothing_about_classes() -> None:
    data = planted(3)
    means = np.stack([data.X[data.y == label].mean(0) for label in range(16)])
    assert means[:, :4].std(0).min() > 2 * means[:, 4:].std(0).max()

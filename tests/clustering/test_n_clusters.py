"""The number of clusters: every index finds well separated blobs, and ranges are cut where they end."""

from __future__ import annotations

import numpy as np
import pytest
from sklearn.metrics import silhouette_score

from spaceform.clustering.kmeans import kmeans
from spaceform.clustering.n_clusters import CRITERIA, INDICES, sweep_criteria, sweep_n_clusters
from spaceform.errors import InputError


def corners(per: int = 30, width: float = 0.2, seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    """Rows round the eight corners of a cube."""
    rng = np.random.default_rng(seed)
    places = np.array([[x, y, z] for x in (0, 4) for y in (0, 4) for z in (0, 4)], dtype=float)
    y = np.repeat(np.arange(8), per)
    return places[y] + rng.normal(scale=width, size=(8 * per, 3)), y


@pytest.mark.parametrize("index", INDICES)
def test_every_index_finds_separated_blobs(index: str) -> None:
    X, y = corners()
    novel = y < 5
    sweep = sweep_n_clusters(
        X[novel],
        k_range=(2, 9),
        index=index,
        known=X[~novel],
        known_labels=y[~novel],
        n_init=3,
        random_state=0,
    )
    # enough clusters find the known classes whatever comes on top, so this index only bounds from below
    assert sweep.best <= 5 if index == "known_accuracy" else sweep.best == 5
    assert sweep.ks == tuple(range(2, 10))
    assert all(len(runs) == 3 for runs in sweep.scores)


def test_scores_are_the_silhouettes_of_the_clusterings() -> None:
    X, _ = corners(per=10, width=1.5)
    sweep = sweep_n_clusters(X, k_range=(3, 3), n_runs=1, n_init=2, random_state=5)
    labels = kmeans(X, 3, n_init=2, random_state=5).labels
    assert sweep.scores[0][0] == pytest.approx(silhouette_score(X, labels))


def test_the_range_ends_below_the_number_of_distinct_rows() -> None:
    X = np.repeat(np.eye(5), 4, axis=0)
    assert sweep_n_clusters(X, n_runs=1, random_state=0).ks == (2, 3, 4)


def test_many_rows_are_thinned_out_and_runs_repeat() -> None:
    X, _ = corners(per=100)
    first, second = (sweep_n_clusters(X, k_range=(6, 9), max_rows=200, n_runs=1, random_state=1) for _ in range(2))
    assert first == second
    assert first.best == 8


def test_progress_and_plain_values() -> None:
    seen: list[tuple[int, int]] = []

    def note(task: str, done: int, total: int, figures: object = None) -> None:
        seen.append((done, total))

    X, _ = corners(per=5)
    sweep = sweep_n_clusters(
        X,
        k_range=(2, 4),
        n_runs=2,
        random_state=0,
        progress=lambda task, done, total, figures=None: seen.append((done, total)),
    )
    assert seen == [(1, 3), (2, 3), (3, 3)]
    plain = sweep.to_dict()
    assert plain["best"] == sweep.best
    assert plain["means"] == pytest.approx([np.mean(runs) for runs in sweep.scores])


@pytest.mark.parametrize(
    ("argument", "options"),
    [
        ("k_range", {"k_range": (1, 4)}),
        ("k_range", {"k_range": (5, 4)}),
        ("k_range", {"k_range": (10, 12)}),
        ("k_range", {"k_range": (2, 3), "index": "elbow"}),
        ("index", {"index": "gap"}),
        ("known", {"index": "known_accuracy"}),
        ("n_runs", {"n_runs": 0}),
    ],
)
def test_bad_input_is_refused(argument: str, options: dict) -> None:
    with pytest.raises(InputError) as caught:
        sweep_n_clusters(np.random.default_rng(0).normal(size=(8, 2)), **options)
    assert caught.value.argument == argument


def test_equal_rows_have_no_number_of_clusters() -> None:
    with pytest.raises(InputError, match="distinct rows"):
        sweep_n_clusters(np.ones((10, 2)))


def test_criteria_share_clusterings_and_find_blobs():
    rng = np.random.default_rng(0)
    X = 10 * rng.normal(size=(4, 5))[np.arange(80) % 4] + rng.normal(size=(80, 5))
    found = sweep_criteria(X, k_range=(2, 7), random_state=0)
    assert list(found) == list(CRITERIA)
    assert {found[name].best for name in ("silhouette", "davies_bouldin", "calinski_harabasz")} == {4}
    assert found["agreement"].means[2] == 1
    assert all(len(runs) == 3 for sweep in found.values() for runs in sweep.scores)
    alone = sweep_criteria(X, k_range=(2, 7), criteria=["silhouette"], random_state=0)
    assert alone["silhouette"] == found["silhouette"]
    with pytest.raises(InputError, match="criteria"):
        sweep_criteria(X, criteria=["known_accuracy"])
    with pytest.raises(InputError, match="n_runs"):
        sweep_criteria(X, n_runs=1)

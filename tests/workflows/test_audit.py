"""The audit against what was built into a Space: each fault must be found and said, and nothing else."""

import json

import numpy as np
import pytest
from sklearn.metrics import silhouette_score

from spaceform.errors import InputError
from spaceform.geometry.poincare import exp0
from spaceform.metrics.movement.kernel_movement import kernel_movement
from spaceform.metrics.retrieval import map_at_r, recall_at_k
from spaceform.metrics.separability import fisher_ratio, knn_accuracy, thornton_index
from spaceform.space import Space
from spaceform.workflows.audit import audit
from spaceform.workflows.auditing import ground

N, C, D = 400, 20, 16
PARTS = ("clusters", "separability", "retrieval", "hubness", "dimension", "anisotropy", "duplicates")


def rows_and_labels(seed=0, n=N, gap=2.0, spread=0.5):
    rng = np.random.default_rng(seed)
    y = np.arange(n) % C
    return (gap * rng.normal(size=(C, D))[y] + spread * rng.normal(size=(n, D))).astype(np.float32), y


def labelled(X, y, **columns):
    attributes = {"concept": [None if k < 0 else f"class {k:02d}" for k in y], **columns}
    return Space.create(X, attributes=attributes, label="concept")


def said(result, start):
    return [sentence for sentence in result.warnings if sentence.startswith(start)]


def test_figures_are_those_of_the_metrics():
    X, y = rows_and_labels(gap=0.6)
    seen = y < 12
    result = audit(labelled(X, y, seen=seen.tolist()))
    found = result.separability
    assert found.thornton_index == thornton_index(X, y)
    assert found.knn_accuracy == knn_accuracy(X, y, k=5)
    assert found.fisher_ratio == pytest.approx(fisher_ratio(X, y))
    assert found.silhouette == pytest.approx(silhouette_score(X, y), abs=1e-5)
    assert found.chance == pytest.approx((N / C - 1) / (N - 1))
    for name, mask in (("all", y >= 0), ("seen", seen), ("unseen", ~seen)):
        figures = result.retrieval[name]
        assert figures.recall_at == {str(k): v for k, v in recall_at_k(X[mask], y[mask]).items()}
        assert figures.map_at_r == map_at_r(X[mask], y[mask])
        assert figures.n_classes == len(set(y[mask]))
    assert result.scope == {"rows": N, "pool": N, "queries": N}
    assert result.missing == {}


def test_a_sound_space_is_not_warned_about():
    X, y = rows_and_labels()
    result = audit(labelled(X, y))
    assert result.warnings == []
    assert "clear clusters" in result.conclusions[0]
    assert result.clusters.separability > result.clusters.shuffled + 3 * result.clusters.shuffled_std


def test_the_result_is_plain_and_repeatable():
    X, y = rows_and_labels()
    one, other = (audit(labelled(X, y), seed=3).to_dict() for _ in range(2))
    assert json.loads(json.dumps(one)) is not None
    assert {**one, "seconds": 0} == {**other, "seconds": 0}


def test_copies_near_duplicates_and_wrong_labels_are_named():
    X, y = rows_and_labels()
    X[101] = X[1]  # class 01 both
    X[202] = X[3] + 1e-4  # classes 02 and 03
    result = audit(labelled(X, y))
    assert [pair.ids for pair in result.duplicates.pairs] == [("1", "101"), ("3", "202")]
    assert result.duplicates.copies == 1
    assert result.conflicting_pairs == 1
    assert said(result, "copies: 1 row ")
    assert said(result, "near-duplicates: 4 rows, such as 1 and 101")
    assert said(result, "labels: 1 of 2 closest pairs")


def test_hubs_are_named():
    X, y = rows_and_labels(gap=0.0, spread=1.0)
    X[:3] *= 0.01  # in the middle of a cloud of 16 dimensions: near to everything
    result = audit(labelled(X, y))
    assert set(result.hub_ids) == {"0", "1", "2"}
    assert said(result, "hubs: 3 rows")
    assert said(result, "labels: neighbours hardly know concept")


def test_domain_leakage_is_named():
    X, y = rows_and_labels(gap=0.5)
    vendor = np.random.default_rng(1).integers(0, 4, N)
    X += 4 * np.random.default_rng(2).normal(size=(4, D))[vendor].astype(np.float32)
    names = {"vendor": [f"v{k}" for k in vendor], "category": [f"cat {k // 5}" for k in y]}
    result = audit(labelled(X, y, **names))
    relations = {column.name: column.relation for column in result.columns}
    assert relations == {"concept": "label", "vendor": "free", "category": "coarser"}
    assert said(result, "domain leakage: vendor is more separable than")
    vendor_figures = next(column for column in result.columns if column.name == "vendor")
    assert vendor_figures.corrected > 0.95
    assert vendor_figures.beyond_label > 0.9


def test_a_leak_below_the_label_is_seen_among_neighbours_of_other_classes():
    X, y = rows_and_labels(gap=2.0)
    vendor = np.random.default_rng(1).integers(0, 2, N)
    X += 2 * np.random.default_rng(2).normal(size=(2, D))[vendor].astype(np.float32)
    X[:40] += np.random.default_rng(3).normal(size=(40, D)).astype(np.float32)  # the label is not perfect
    result = audit(labelled(X, y, vendor=[f"v{k}" for k in vendor]))
    assert said(result, "domain leakage")


def test_columns_that_name_no_groups_are_left_out():
    X, y = rows_and_labels()
    result = audit(
        labelled(
            X,
            y,
            name=[f"row {i}" for i in range(N)],
            weight=np.linspace(0, 1, N).tolist(),
            constant=["same"] * N,
            other_name=[f"K{k}" for k in y],
            tags=[("a", "b")] * N,
            year=(2000 + y % 3).tolist(),
            variant=[f"{k}-{i // C % 2}" for i, k in enumerate(y)],
        )
    )
    relations = {column.name: column.relation for column in result.columns}
    assert relations == {"concept": "label", "year": "coarser", "variant": "finer"}


def test_confused_classes_come_with_rows_that_are_each_others_neighbours():
    X, y = rows_and_labels()
    X[y == 7] += X[y == 4].mean(0) - X[y == 7].mean(0)
    result = audit(labelled(X, y))
    worst = result.confusions[0]
    assert worst.classes == ("class 04", "class 07")
    assert 0.3 < worst.share < 0.6
    assert len(worst.examples) == 3
    for pair in worst.examples:
        assert {y[row] for row in pair.rows} == {4, 7}
        assert pair.mutual
        assert pair.distance == pytest.approx(np.linalg.norm(X[pair.rows[0]] - X[pair.rows[1]]), rel=1e-5)
    assert len({row for pair in worst.examples for row in pair.rows}) == 6
    assert said(result, "confusion: ")
    assert "most confused: class 04 and class 07" in " ".join(result.conclusions)


def test_small_classes_can_be_confused_entirely():
    rng = np.random.default_rng(0)
    y = np.arange(120) // 3
    X = 5 * rng.normal(size=(40, D))[y]
    X[3:6] = X[0]  # classes 00 and 01 in one place
    result = audit(labelled(X + 0.01 * rng.normal(size=X.shape), y))
    assert result.confusions[0].classes == ("class 00", "class 01")
    assert 0.4 < result.confusions[0].share <= 0.8
    assert len(result.confusions) < 3 or result.confusions[1].share < 0.1


def test_unseen_classes_floors_and_their_sentences():
    X, y = rows_and_labels()
    seen = y < 10
    X[~seen] = np.random.default_rng(5).normal(size=(int((~seen).sum()), D))
    good, bad = np.eye(C)[y], np.random.default_rng(6).normal(size=(N, 3))
    result = audit(labelled(X, y, seen=seen.tolist()), floors={"one-hot": good, "noise": bad})
    assert result.floors["one-hot"].map_at_r == 1
    assert result.floors["one-hot"].n_classes == 10  # unseen classes only
    assert said(result, "new classes: recall@1")
    assert len(said(result, "floor: one-hot retrieves as well")) == 1
    whole = audit(labelled(X, y), floors={"noise": bad})
    assert whole.floors["noise"].n_classes == C


def test_narrow_cones_flat_clouds_outliers_and_singletons_are_said():
    X, y = rows_and_labels()
    assert said(audit(labelled(X + 100, y)), "narrow cone")
    line = np.outer(np.arange(1.0, N + 1), np.ones(D)) + 1e-3 * X
    far = np.random.default_rng(0).normal(size=(N, D)) * 0.01 + np.eye(D)[0]
    far[0] = -np.eye(D)[0]
    assert said(audit(labelled(np.hstack([line] * 2), y)), "flat")
    assert said(audit(labelled(far, y)), "outliers")
    y[0] = 99
    assert said(audit(labelled(X, y)), "classes: 1 of 21 have a single row")


def test_unlabelled_spaces_get_every_part_that_needs_no_label():
    X, _ = rows_and_labels()
    result = audit(Space.create(X, attributes={"vendor": [f"v{i % 3}" for i in range(N)]}))
    assert result.label is None
    assert (result.separability, result.retrieval, result.confusions, result.floors) == (None, None, [], {})
    assert set(result.missing) == {"separability", "retrieval", "confusions"}
    assert "name a column" in result.missing["separability"]
    assert [column.relation for column in result.columns] == ["free"]
    assert result.hubness is not None
    assert result.clusters is not None


def test_partly_labelled_spaces_measure_labelled_rows_among_themselves():
    X, y = rows_and_labels(gap=0.6)
    known = y.copy()
    known[::3] = -1
    result = audit(labelled(X, known))
    kept = known >= 0
    assert result.separability.thornton_index == thornton_index(X[kept], y[kept])
    assert result.separability.rows == kept.sum()
    assert result.retrieval["all"].map_at_r == map_at_r(X[kept], y[kept])


def test_large_spaces_are_sampled_and_say_so(monkeypatch):
    monkeypatch.setattr(ground, "POOL", 2)
    X, y = rows_and_labels(n=2000, gap=1.0)
    seen = y < 10
    whole, part = audit(labelled(X, y, seen=seen.tolist())), audit(labelled(X, y, seen=seen.tolist()), sample=400)
    assert part.scope == {"rows": 2000, "pool": 800, "queries": 400}
    assert "neighbours of 400 rows drawn from 2,000 were searched among 800" in part.conclusions[-1]
    assert part.separability.thornton_index == pytest.approx(whole.separability.thornton_index, abs=0.1)
    assert part.separability.silhouette == pytest.approx(whole.separability.silhouette, abs=0.05)
    assert part.retrieval["unseen"].queries <= 400
    assert part.retrieval["all"].recall_at["1"] == pytest.approx(whole.retrieval["all"].recall_at["1"], abs=0.1)
    assert part.hubness.antihubs == pytest.approx(whole.hubness.antihubs, abs=0.1)
    assert part.clusters.sample_size == 320
    again = audit(labelled(X, y, seen=seen.tolist()), sample=400)
    assert {**part.to_dict(), "seconds": 0} == {**again.to_dict(), "seconds": 0}
    other = audit(labelled(X, y, seen=seen.tolist()), sample=400, seed=1)
    assert other.separability != part.separability


def test_partly_labelled_spaces_are_sampled_too():
    X, y = rows_and_labels(n=2000, gap=1.0)
    y[::2] = -1
    part = audit(labelled(X, y), sample=300)
    assert part.separability.rows == 300
    assert part.retrieval["all"].rows == 1000


def test_a_folder_will_do_and_another_label_may_be_named(tmp_path):
    X, y = rows_and_labels()
    place = labelled(X, y, half=[f"h{k % 2}" for k in y]).save(tmp_path / "space")
    result = audit(place, label="half")
    assert result.label == "half"
    assert result.separability.n_classes == 2
    assert [column.relation for column in result.columns] == ["label", "finer"]


@pytest.mark.parametrize("geometry", ["sphere", "poincare"])
def test_other_geometries(geometry):
    X, y = rows_and_labels()
    Z = X / np.linalg.norm(X, axis=1, keepdims=True) if geometry == "sphere" else exp0(X / 20, 1.0)
    result = audit(Space.create(Z, geometry=geometry, attributes={"c": y.tolist()}, label="c"))
    assert result.geometry == geometry
    assert result.separability.thornton_index > 0.9
    if geometry == "poincare":
        assert result.separability.thornton_index == pytest.approx(thornton_index(X, y), abs=0.01)


def test_zero_vectors_are_left_out_where_a_direction_is_needed():
    X, y = rows_and_labels()
    X[:5] = 0
    result = audit(labelled(X, y))
    assert all(getattr(result, part) is not None for part in PARTS)
    assert result.duplicates.copies == 4


@pytest.mark.parametrize(
    ("y", "missing"),
    [(np.zeros(N, int), {"separability"}), (np.full(N, -1), {"separability", "retrieval"})],
)
def test_one_class_or_none(y, missing):
    result = audit(labelled(rows_and_labels()[0], y))
    assert set(result.missing) == missing
    assert "at least 2 classes" in result.missing["separability"]
    assert result.confusions == []


def test_all_classes_singletons():
    result = audit(labelled(rows_and_labels()[0], np.arange(N)))
    assert set(result.missing) == {"retrieval"}
    assert result.separability.singletons == N
    assert result.separability.fisher_ratio is None
    assert result.separability.silhouette == 0


def test_constant_vectors():
    result = audit(labelled(np.ones((N, D)), np.arange(N) % 2))
    assert {"clusters", "dimension", "anisotropy"} <= set(result.missing)
    assert result.duplicates.copies == N - 1
    assert json.dumps(result.to_dict())


@pytest.mark.parametrize("n", [3, 4, 12])
def test_fewer_rows_than_neighbours_are_listed(n):
    X, y = rows_and_labels(n=n)
    result = audit(labelled(X, y % 2))
    assert "clusters" in result.missing
    assert result.hubness.k == min(10, n - 1)
    assert json.dumps(result.to_dict())


@pytest.mark.parametrize(
    ("options", "part"),
    [
        ({"label": "vendor"}, "label|name: got 'vendor'"),
        ({"sample": 5}, "sample"),
        ({"floors": {"pixels": np.ones((3, 2))}}, "pixels.*3 rows"),
        ({"floors": {"pixels": np.full((N, 2), np.nan)}}, "NaN"),
    ],
)
def test_bad_options_are_refused(options, part):
    with pytest.raises(InputError, match=part):
        audit(labelled(*rows_and_labels()), **options)


def test_two_rows_are_too_few():
    with pytest.raises(InputError, match="at least 3"):
        audit(Space.create([[0.0], [1.0]]))


def test_progress_is_told():
    seen = []
    audit(labelled(*rows_and_labels()), progress=lambda task, done, total, figures=None: seen.append((done, total)))
    assert seen[0] == (0, 11)
    assert seen[-1][0] == 10


def test_movement_since_an_earlier_space_is_told_by_id():
    X, y = rows_and_labels(gap=0.3)
    now = X + 2 * np.eye(C, D, dtype=np.float32)[y]
    order = np.random.default_rng(1).permutation(N)
    space = Space.create(
        now, attributes={"concept": [f"c{k}" for k in y]}, ids=[f"r{i}" for i in range(N)], label="concept"
    )
    before = Space.create(X[order][:300], ids=[f"r{i}" for i in order[:300]])
    found = audit(space, before=before)
    rows = np.sort(order[:300])
    expected = kernel_movement(X[rows], now[rows], y[rows])
    assert found.movement.shared == found.movement.figures.rows == 300
    assert found.movement.figures.centred == pytest.approx(expected.centred, rel=1e-4)
    assert found.movement.figures.labels == pytest.approx(expected.labels, rel=1e-4)
    assert any(line.startswith("since the earlier space: the kernel moved by") for line in found.conclusions)
    assert not said(found, "frozen features")
    assert json.loads(json.dumps(found.to_dict()))["movement"]["shared"] == 300


def test_frozen_features_and_a_walk_away_from_the_classes_are_said(tmp_path):
    X, y = rows_and_labels()
    space = labelled(X, y)
    space.save(tmp_path / "before")
    assert said(audit(space, before=tmp_path / "before"), "frozen features")
    worse = labelled(X + 3 * np.random.default_rng(2).normal(size=X.shape).astype(np.float32), y)
    assert said(audit(worse, before=space), "training moved away from the classes")
    assert audit(space).movement is None


def test_an_earlier_space_of_other_rows_leaves_a_reason():
    X, y = rows_and_labels()
    other = Space.create(X, ids=[f"other {i}" for i in range(N)])
    found = audit(labelled(X, y), before=other)
    assert found.movement is None
    assert "ids" in found.missing["movement"]

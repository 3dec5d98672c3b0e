"""Two Spaces compared: the same turned, the same with noise, two seeds, two encoders, strangers; and who moved."""

import json

import numpy as np
import pytest
from sklearn.datasets import load_digits

from spaceform.encoders.learner import MetricLearner
from spaceform.errors import InputError
from spaceform.space import Space
from spaceform.workflows.compare import compare
from spaceform.workflows.comparing.measures import distance_gap, overlap, share

N, D = 300, 12


def turned(X, width, seed=1, scale=1.0):
    Q = np.linalg.qr(np.random.default_rng(seed).normal(size=(width, width)))[0][: X.shape[1]]
    return scale * X @ Q + 3


@pytest.fixture(scope="module")
def cloud():
    rng = np.random.default_rng(0)
    y = np.arange(N) % 4
    X = 1.5 * rng.normal(size=(4, D))[y] + rng.normal(size=(N, D)) * np.linspace(1, 0.3, D)
    return X, [f"kind {code}" for code in y]


def labelled(X, names):
    return Space.create(X, attributes={"kind": names}, label="kind")


@pytest.mark.parametrize("width", [D, D + 5])
def test_a_turned_copy_is_the_same_up_to_an_isometry(cloud, width):
    X, names = cloud
    found = compare(labelled(X, names), Space.create(turned(X, width, scale=2.5)))
    assert (found.verdict, found.moved) == ("isometric", 0)
    assert found.scale == pytest.approx(2.5, abs=1e-5)
    assert "scale of 2.5" in found.conclusions[0]
    assert found.figures.neighbours > 0.999
    assert found.figures.rigid == pytest.approx(1, abs=1e-6)
    assert compare(Space.create(turned(X, width)), labelled(X, names)).verdict == "isometric", "the other way round"


def test_the_same_vectors_are_equal_and_a_quantised_copy_is_isometric(cloud):
    X, names = cloud
    assert compare(labelled(X, names), labelled(X, names)).verdict == "equal"
    assert compare(labelled(X, names), labelled(X.astype(np.float16), names)).verdict == "isometric"


@pytest.mark.parametrize("count", [1, 9, 75])
def test_rows_that_moved_are_named_and_no_others(cloud, count):
    X, names = cloud
    B = turned(X, D)
    rows = np.random.default_rng(count).permutation(N)[:count]
    B[rows] = B[np.roll(rows, 1)] if count > 1 else B[rows] + 4
    found = compare(labelled(X, names), Space.create(B))
    assert (found.verdict, found.moved) == ("isometric", count)
    assert {row.item for row in found.rows if row.moved} == set(rows.tolist())
    assert f"but for {count} of 300 rows" in found.conclusions[0]


def test_noise_that_tells_nothing_is_called_noise(cloud):
    X, names = cloud
    rng = np.random.default_rng(5)
    found = compare(labelled(X, names), Space.create(turned(X, D) + 0.5 * rng.normal(size=(N, D))))
    assert found.verdict == "noisy"
    noise = found.controls["noise"]
    assert found.figures.neighbours == pytest.approx(noise.neighbours, abs=0.03)
    assert found.figures.share >= noise.share_low


@pytest.mark.parametrize(("n", "width"), [(300, 8), (40, 8), (30, 200)])
def test_strangers_are_no_more_alike_than_wrong_pairs(n, width):
    rng = np.random.default_rng(n)
    found = compare(Space.create(rng.normal(size=(n, 6))), Space.create(rng.normal(size=(n, width))))
    assert found.verdict == "unrelated"
    assert found.moved == 0
    assert "readings" in found.missing


def test_fewer_rows_than_dimensions():
    rng = np.random.default_rng(2)
    X = rng.normal(size=(24, 40))
    found = compare(Space.create(X), Space.create(turned(X, 50)))
    assert found.verdict == "isometric"
    assert "so few rows" in found.notes[-1]


def test_a_stretch_is_no_isometry(cloud):
    X, names = cloud
    found = compare(labelled(X, names), Space.create(X @ np.diag(np.geomspace(0.05, 8, D))))
    assert found.verdict == "related"
    assert found.figures.linear > 0.99
    assert found.figures.share < 0.8


def test_heads_read_what_is_turned_after_the_map_only(cloud):
    X, names = cloud
    found = compare(Space.create(turned(X, D)), labelled(X, names))
    assert found.labelled_by == "kind"
    assert [one.head for one in found.readings] == ["B", "A"]
    for one in found.readings:
        assert one.own > 0.9
        assert one.rigid == pytest.approx(one.own, abs=0.02)
        assert one.linear > 0.9
        assert one.shuffled < 0.5
        assert one.absolute < 0.6
        assert one.relative > 0.9
    wider = compare(labelled(X, names), Space.create(turned(X, D + 2)))
    assert [one.absolute for one in wider.readings] == [None, None]


def test_agreement_on_classes_alone_is_told_from_agreement_on_rows(cloud):
    X, names = cloud
    rng = np.random.default_rng(7)
    y = np.array([int(name[-1]) for name in names])
    B = 4 * rng.normal(size=(4, D))[y] + rng.normal(size=(N, D))
    found = compare(labelled(X, names), Space.create(B))
    inside = found.controls["within classes"]
    assert found.figures.neighbours == pytest.approx(inside.neighbours, abs=0.02)
    assert inside.neighbours > 2 * found.controls["shuffled"].neighbours


@pytest.fixture(scope="module")
def encoders():
    """Digits as pixels, as two seeds and another width of one small encoder, and as one of another question."""
    X, y = load_digits(return_X_y=True)
    X, y = (X[:700] / 16).astype(np.float32), y[:700]

    def embed(seed, labels=y, dim=16):
        learner = MetricLearner(loss="triplet", net="mlp", embedding_dim=dim, steps=80, random_state=seed)
        return learner.fit(X, labels).encode(X)

    made = {"pixels": X, "seed 0": embed(0), "seed 1": embed(1), "wider": embed(2, dim=24), "parity": embed(3, y % 2)}
    return {name: labelled(rows, [str(code) for code in y]) for name, rows in made.items()}


@pytest.mark.parametrize("pair", [("seed 0", "seed 1"), ("wider", "seed 0")])
def test_two_seeds_of_one_encoder_are_versions_of_one_arrangement(encoders, pair):
    found = compare(encoders[pair[0]], encoders[pair[1]])
    assert found.verdict == "kindred", found.figures
    for one in found.readings:
        assert one.rigid > 0.9
        assert one.absolute is None or one.absolute < 0.5


@pytest.mark.parametrize("pair", [("pixels", "seed 0"), ("seed 1", "pixels"), ("seed 0", "parity")])
def test_two_encoders_are_different_arrangements(encoders, pair):
    found = compare(encoders[pair[0]], encoders[pair[1]])
    assert found.verdict == "related", found.figures
    assert found.figures.neighbours > found.controls["shuffled"].neighbours_high


@pytest.mark.parametrize("n", [24, 50])
def test_few_rows_claim_nothing_sure(encoders, n):
    """In the few components that few rows allow, pixels and an encoder look like versions of one."""
    few = [encoders[name].select(np.arange(n)) for name in ("pixels", "seed 0")]
    assert compare(*few).verdict in {"undecided", "related"}


def test_the_result_is_plain_and_the_same_again(cloud):
    X, names = cloud
    B = Space.create(turned(X, D) + np.random.default_rng(1).normal(size=(N, D)))
    one, other = (compare(labelled(X, names), B, seed=4).to_dict() for _ in range(2))
    assert json.loads(json.dumps(one)).keys() == one.keys()
    assert not {"pairs", "ground", "spaces"} & one.keys()
    assert {**one, "seconds": 0} == {**other, "seconds": 0}


def test_keys_folders_and_samples(cloud, tmp_path):
    X, names = cloud
    ids = [f"row {i}" for i in range(N)]
    a = Space.create(X, ids=ids, attributes={"kind": names}).save(tmp_path / "old")
    order = np.random.default_rng(0).permutation(N)[:200]
    b = Space.create(turned(X, D)[order], attributes={"item": [ids[i] for i in order]}).save(tmp_path / "new")
    found = compare(a, b, key="id=item", label="kind", sample=150)
    assert (found.a.name, found.b.name, found.verdict) == ("old", "new", "isometric")
    assert (found.compared, found.counts["only_a"]) == (150, 100)
    assert any(note.startswith("150 of 200 items were drawn by seed ") for note in found.notes)
    assert found.labelled_by == "kind"


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        ({"key": "gone"}, "gone"),
        ({"label": "gone"}, "gone"),
        ({"sample": 3}, "sample"),
        ({"key": "kind=id"}, "rows that both have"),
    ],
)
def test_refusals(cloud, arguments, words):
    X, names = cloud
    with pytest.raises(InputError, match=words):
        compare(labelled(X, names), labelled(X, names), **arguments)


def test_equal_rows_are_refused(cloud):
    X, names = cloud
    with pytest.raises(InputError, match="all equal"):
        compare(labelled(X, names), Space.create(np.ones((N, 3))))


def test_figures_by_hand():
    near = np.array([[1, 2], [0, 2], [0, 1]]), np.array([[1, 2], [2, 3], [4, 5]])
    np.testing.assert_allclose(overlap(*near), [1, 1 / 3, 0])
    np.testing.assert_allclose(share(np.array([0.4, -1.0, 0.9]), np.array([0.8, -2.0, 0.3])), [0.5, 0, 1])
    a = np.array([1.0, 2.0, 3.0])
    assert distance_gap(a, 7 * a) == pytest.approx(0)
    assert distance_gap(a, np.array([3.0, 2.0, 1.0])) == pytest.approx((14 - 100 / 14) / 2)

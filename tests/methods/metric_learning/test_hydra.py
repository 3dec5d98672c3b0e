"""The projector of arbitrary pairs: contract, learning, gates read out, pictures, resumption, files, refusals."""

import numpy as np
import pytest
import torch
from sklearn.utils.estimator_checks import parametrize_with_checks

from contracts.cases import EstimatorCase, LossCase, full_labels
from spaceform.errors import InputError, SpaceFormatError
from spaceform.methods.metric_learning.hydra import ArbitraryPairProjector, ClassPairGate
from spaceform.metrics.separability import knn_accuracy

QUICK = {"embedding_dim": 6, "hidden": 16, "gate": "sigmoid:8", "epochs": 2, "batch_size": 16}


def _open_gate():
    return {"gate": ClassPairGate(n_classes=16, width=5, kind="open")}


CONTRACT_CASES = {
    "ArbitraryPairProjector": EstimatorCase(QUICK, full_labels),
    # with the own class and an open gate nothing is drawn, and class numbers mean nothing
    "ArbitraryPairLoss": LossCase({"n_classes": 16, "width": 5, "mode": "identical"}, make=_open_gate),
}


TWO_CLASSES = (
    "check_estimators_dtypes",
    "check_estimators_nan_inf",
    "check_estimators_pickle",
    "check_fit2d_1feature",
    "check_fit_check_is_fitted",
    "check_fit_idempotent",
    "check_n_features_in",
    "check_pipeline_consistency",
    "check_transformer_data_not_an_array",
    "check_transformer_general",
)


def expected_failures(estimator):
    return dict.fromkeys(TWO_CLASSES, "data of two classes are refused: there is no third to be pushed away") | {
        "check_dtype_object": "a dictionary among the values raises InputError, which is a ValueError",
        "check_methods_subset_invariance": "products in float32 differ in the last bit with the size of the batch",
    }


@parametrize_with_checks([ArbitraryPairProjector(**QUICK)], expected_failed_checks=expected_failures)
def test_scikit_learn_conventions(estimator, check):
    check(estimator)


def mixture(n=600, seed=0):
    """Ten classes in eight dimensions below louder noise; the classes 2k and 2k + 1 lie side by side."""
    rng = np.random.default_rng(seed)
    y = np.arange(n) % 10
    families = 2.0 * np.random.default_rng(9).normal(size=(5, 8))
    centres = families[np.arange(10) // 2] + 1.0 * np.random.default_rng(8).normal(size=(10, 8))
    noise = 4 * rng.normal(size=(n, 12))
    X = np.hstack([centres[y] + 0.7 * rng.normal(size=(n, 8)), noise])
    return (X @ np.random.default_rng(7).normal(size=(20, 20))).astype(np.float32), y


LEARNER = {"embedding_dim": 32, "hidden": 128, "gate": "sigmoid:32", "batch_size": 200, "epochs": 15}


@pytest.fixture(scope="module")
def learned():
    X, y = mixture()
    return ArbitraryPairProjector(**LEARNER).fit(X, y)


def test_vectors_of_a_class_come_together_in_rows_never_seen(learned):
    X, y = mixture(seed=1)
    untrained = ArbitraryPairProjector(**LEARNER | {"epochs": 0}).fit(*mixture())
    before, after = (knn_accuracy(model.transform(X), y) for model in (untrained, learned))
    assert after > before + 0.15, f"{before:.3f} -> {after:.3f}"


def test_without_the_gate_arbitrary_pairs_fail(learned):
    """They ask contradictory things of one space; if the open gate did not lose, the masks would be wrong."""
    X, y = mixture(seed=1)
    rows = mixture()
    opened = ArbitraryPairProjector(**LEARNER | {"gate": "open"}).fit(*rows)
    with_gate, without = (knn_accuracy(model.transform(X), y) for model in (learned, opened))
    assert with_gate > without + 0.1, f"{with_gate:.3f}, {without:.3f}"


def test_gates_are_read_out_by_the_users_classes():
    X, y = mixture()
    names = np.array([f"class {code:02d}" for code in y])
    projector = ArbitraryPairProjector(**LEARNER | {"epochs": 2}).fit(X, names)
    gate = projector.pair_gate("class 01", "class 07")
    assert gate.shape == (32,)
    assert 0 < gate.min() <= gate.max() < 1
    np.testing.assert_allclose(gate, projector.pair_gate("class 07", "class 01"), atol=1e-6)
    affinity = projector.class_affinity_
    np.testing.assert_allclose(affinity, affinity.T, atol=1e-6)
    np.testing.assert_allclose(np.diag(affinity), 1, atol=1e-6)
    with pytest.raises(InputError, match="second"):
        projector.pair_gate("class 01", "class 99")


def test_projections_are_the_vectors_of_vectors(learned):
    X, _ = mixture()
    np.testing.assert_allclose(learned.project(X[:300]), learned.transform(X[:300]), atol=1e-6)


def stripes(n=60, size=16):
    """Ten classes: the column of a dark stripe on white."""
    rng = np.random.default_rng(0)
    y = np.arange(n) % 10
    X = 255 - rng.integers(0, 120, size=(n, size, size, 3))
    for row, code in zip(X, y, strict=True):
        row[:, code + 3] -= 110
    return X.astype(np.uint8), y


def test_pictures_train_a_backbone_whose_features_are_given_out():
    X, y = stripes()
    encoder = ArbitraryPairProjector(**QUICK, net="conv:0.25").fit(X, y)
    start = ArbitraryPairProjector(**QUICK | {"epochs": 0}, net="conv:0.25").fit(X, y)
    assert encoder.transform(X).shape == (60, 6)
    assert encoder.fingerprint != start.fingerprint
    weights = [model.net_.backbone.trunk[0].weight for model in (encoder, start)]
    assert not torch.equal(*weights)
    assert np.abs(encoder.project(X) - encoder.transform(X)).max() > 0.01
    assert {"loss", "opening", "entropy", "used"} <= set(encoder.history_.figures)


def test_a_network_of_the_users_own():
    def flat(shape, dim):
        return torch.nn.Sequential(torch.nn.Flatten(), torch.nn.Linear(int(np.prod(shape)), dim))

    X, y = stripes()
    assert ArbitraryPairProjector(**QUICK, net=flat).fit(X, y).transform(X).shape == (60, 6)


@pytest.mark.parametrize("gate", ["gumbel:8", "stochastic:8", "sigmoid:product:8", "open"])
@pytest.mark.parametrize("mode", ["arbitrary", "distinct", "identical"])
def test_every_gate_and_mode_trains(gate, mode):
    X, y = mixture(80)
    model = ArbitraryPairProjector(**QUICK | {"gate": gate}, mode=mode, form="subspace").fit(X, y)
    assert np.isfinite(model.history_.figures["loss"]).all()
    assert model.net_.gate.kind == gate.split(":")[0]


def test_a_gate_of_the_users_own_is_copied():
    X, y = mixture(80)
    gate = ClassPairGate(n_classes=10, width=6, embed_dim=4, hidden=4)
    before = gate.table.weight.clone()
    model = ArbitraryPairProjector(**QUICK | {"gate": gate}).fit(X, y)
    assert torch.equal(gate.table.weight, before)
    assert not torch.equal(model.net_.gate.table.weight, before)


def test_many_classes_are_drawn_two_rows_at_a_time():
    """Of 40 classes a shuffled batch of 16 would leave most rows without a positive."""
    rng = np.random.default_rng(0)
    y = np.arange(160) % 40
    X = rng.normal(size=(160, 5)) + y[:, None]
    model = ArbitraryPairProjector(**QUICK).fit(X, y)
    assert len(model.history_.steps) == 20  # 160 rows by 16, twice
    assert min(model.history_.figures["used"]) > 0.9


def test_hidden_rows_are_not_used():
    X, y = mixture()
    hidden = np.where(y == 9, -1, y)
    model = ArbitraryPairProjector(**QUICK).fit(X, hidden)
    assert model.classes_.tolist() == list(range(9))
    same = ArbitraryPairProjector(**QUICK).fit(X[y != 9], y[y != 9])
    assert model.fingerprint == same.fingerprint


def test_a_killed_fit_goes_on_and_ends_the_same(tmp_path):
    X, y = mixture(80)
    whole = ArbitraryPairProjector(**QUICK).fit(X, y)

    def kill(task, done, total, figures=None):
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        ArbitraryPairProjector(**QUICK).fit(X, y, checkpoint=tmp_path, every=3, progress=kill)
    assert ArbitraryPairProjector(**QUICK).fit(X, y, checkpoint=tmp_path, every=3).fingerprint == whole.fingerprint


def test_saved_and_found_again_with_its_gates(learned, tmp_path):
    X, _ = mixture()
    learned.save(tmp_path)
    again = ArbitraryPairProjector.load(tmp_path)
    np.testing.assert_array_equal(again.transform(X), learned.transform(X))
    np.testing.assert_array_equal(again.class_affinity_, learned.class_affinity_)
    np.testing.assert_array_equal(again.pair_gate(2, 5), learned.pair_gate(2, 5))
    assert again.get_params() == learned.get_params()
    (tmp_path / "weights.safetensors").write_bytes(b"half")
    with pytest.raises(SpaceFormatError, match="can be read"):
        ArbitraryPairProjector.load(tmp_path)


@pytest.mark.parametrize(
    ("change", "named"),
    [
        ({"gate": "closed"}, "gate"),
        ({"gate": "sigmoid:8:9"}, "gate"),
        ({"gate": "sigmoid:sum"}, "gate"),
        ({"mode": "random"}, "mode"),
        ({"form": "local"}, "form"),
        ({"temperature": 0.0}, "temperature"),
        ({"epochs": -1}, "epochs"),
        ({"batch_size": 2}, "batch_size"),
        ({"learning_rate": 0.0}, "learning_rate"),
        ({"hidden": 0}, "hidden"),
        ({"net": "conv"}, "net"),
    ],
)
def test_settings_are_checked(change, named):
    with pytest.raises(InputError) as refused:
        ArbitraryPairProjector(**QUICK | change).fit(*mixture(80))
    assert refused.value.argument == named


def test_fewer_than_three_classes_are_refused():
    X, y = mixture(80)
    for few in (1, 2):
        with pytest.raises(InputError, match="third"):
            ArbitraryPairProjector(**QUICK).fit(X, y % few)

"""PBN: the loss by hand, what labels may and may not do, and the latent space in which novel classes are found."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.stats import uniform
from sklearn.datasets import load_digits
from sklearn.metrics import silhouette_score
from sklearn.utils.estimator_checks import parametrize_with_checks

from contracts.cases import EstimatorCase, partial_labels
from spaceform.clustering.kmeans import kmeans
from spaceform.clustering.n_clusters import INDICES
from spaceform.clustering.ncd import NCDKMeans
from spaceform.errors import InputError
from spaceform.methods.class_discovery.tabular_ncd import (
    PBN,
    HiddenClassSearchCV,
    HiddenClassSplit,
    PBNClassifierDiscovery,
    pbn_loss,
)
from spaceform.ops.assignment import agreement


def last_class_novel(y: np.ndarray) -> np.ndarray:
    return np.where(y == y.max(), -1, y)


def searched() -> dict:
    return {
        "estimator": NCDKMeans(n_novel=1, n_init=2, random_state=0),
        "param_distributions": {"init_power": [1.0, 2.0]},
    }


CONTRACT_CASES = {
    "PBNClassifierDiscovery": EstimatorCase(
        {"n_novel": 2, "n_init": 2, "epochs": 3, "random_state": 0}, partial_labels
    ),
    "HiddenClassSearchCV": EstimatorCase(
        {"n_iter": 2, "random_state": 0},
        last_class_novel,
        required=("estimator", "param_distributions"),
        make=searched,
    ),
}


def corners(per: int = 20, width: float = 0.5, seed: int = 0) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Rows round eight corners of a cube beside noise columns: (X, true classes, labels, of which 5 to 7 are novel)."""
    rng = np.random.default_rng(seed)
    places = np.array([[x, y, z] for x in (0, 4) for y in (0, 4) for z in (0, 4)], dtype=float)
    truth = rng.permutation(np.repeat(np.arange(8), per))
    X = np.concatenate([places[truth] + rng.normal(scale=width, size=(8 * per, 3)), rng.normal(size=(8 * per, 3))], 1)
    return X, truth, np.where(truth < 5, truth, -1)


def planted(seed: int = 0) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """16 classes in 5 columns, of which 12 are known, beside 20 columns of coin tosses that mislead k-means."""
    rng = np.random.default_rng(seed)
    truth = rng.permutation(np.repeat(np.arange(16), 30))
    signal = 1.5 * rng.normal(size=(16, 5))[truth] + 0.4 * rng.normal(size=(480, 5))
    tosses = 1.5 * rng.choice([-1, 1], size=(480, 20)) + 0.3 * rng.normal(size=(480, 20))
    return np.concatenate([signal, tosses], 1), truth, np.where(truth < 12, truth, -1)


def quick(**options: object) -> PBNClassifierDiscovery:
    return PBNClassifierDiscovery(**{"n_novel": 3, "epochs": 5, "n_init": 2, "random_state": 0, **options})


# scikit-learn's own checks; labels on all rows leave nothing to discover


class WithoutLabels(PBNClassifierDiscovery):
    """Feeds PBN the rows of a check without labels."""

    def fit(self, X: object, y: object = None) -> PBNClassifierDiscovery:
        return super().fit(X, None)

    def fit_predict(self, X: object, y: object = None) -> np.ndarray:
        return super().fit_predict(X, None)


class WithLastClassNovel(PBNClassifierDiscovery):
    """Feeds PBN the labels of a check, the last class without."""

    def fit(self, X: object, y: object = None) -> PBNClassifierDiscovery:
        return super().fit(X, None if y is None else last_class_novel(np.unique(np.asarray(y), return_inverse=True)[1]))


def expected_failures(estimator: PBNClassifierDiscovery) -> dict[str, str]:
    failures = {"check_dtype_object": "a dictionary among the values raises InputError, which is a ValueError"}
    if estimator.loss_weight > 0:
        failures["check_clustering"] = "fits without labels, which only loss_weight=0 can do"
        failures["check_fit2d_1sample"] = "the only class of the check is hidden, so no row is labelled"
    return failures


@parametrize_with_checks(
    [
        WithoutLabels(n_novel=3, loss_weight=0, epochs=2, n_init=1, random_state=0),
        WithLastClassNovel(n_novel=3, epochs=2, n_init=1, random_state=0),
    ],
    expected_failed_checks=expected_failures,
)
def test_scikit_learn_checks(estimator: object, check: object) -> None:
    check(estimator)


# the loss


def test_loss_by_hand() -> None:
    rows = torch.tensor([[1.0, 2.0, 3.0], [0.0, 0.0, 0.0]])
    reconstruction = torch.tensor([[1.0, 0.0, 3.0], [1.0, 1.0, 2.0]])
    logits = torch.tensor([[0.0, np.log(3.0)], [5.0, 5.0]])
    loss, parts = pbn_loss(logits, torch.tensor([1, -1]), reconstruction=reconstruction, rows=rows, loss_weight=0.25)
    # squared errors 4 and 6 over two rows: 5, where a mean over entries would be 10 / 6; known row: -ln(3 / 4)
    assert parts["reconstruction"] == pytest.approx(5)
    assert parts["cross entropy"] == pytest.approx(np.log(4 / 3))
    assert loss.item() == pytest.approx(0.25 * np.log(4 / 3) + 0.75 * 5)


@given(st.floats(0, 1), st.integers(0, 1000))
@settings(deadline=None)
def test_a_batch_without_known_rows_has_no_cross_entropy(weight: float, seed: int) -> None:
    generator = torch.Generator().manual_seed(seed)
    rows, back, logits = (torch.randn(4, 3, generator=generator, requires_grad=True) for _ in range(3))
    loss, parts = pbn_loss(logits, torch.full((4,), -1), reconstruction=back, rows=rows, loss_weight=weight)
    assert parts["cross entropy"] == 0
    assert loss.item() == pytest.approx((1 - weight) * parts["reconstruction"])
    loss.backward()
    assert torch.isfinite(logits.grad).all()
    assert (logits.grad == 0).all()


def test_unlabelled_rows_bring_no_cross_entropy() -> None:
    logits = torch.randn(5, 3, requires_grad=True, generator=torch.Generator().manual_seed(0))
    codes = torch.tensor([0, -1, 2, -1, 1])
    pbn_loss(logits, codes, reconstruction=logits, rows=logits, loss_weight=1.0)[0].backward()
    assert (logits.grad[codes < 0] == 0).all()
    assert (logits.grad[codes >= 0] != 0).any(1).all()


# the network


def test_widths_and_unit_length() -> None:
    net = PBN(n_features=17, n_classes=4, latent_dim=5, dropout=0.2).eval()
    linear = [layer for layer in net.encoder if isinstance(layer, torch.nn.Linear)]
    assert [layer.out_features for layer in linear] == [12, 8, 5]
    mirror = [layer.out_features for layer in net.decoder if isinstance(layer, torch.nn.Linear)]
    assert mirror == [8, 12, 17]
    x = torch.randn(6, 17)
    torch.testing.assert_close(net.project(x).norm(dim=1), torch.ones(6))
    torch.testing.assert_close(net.project(x), net.encode(x) / net.encode(x).norm(dim=1, keepdim=True))
    assert net.decode(net.project(x)).shape == (6, 17)
    assert net.classify(net.project(x)).shape == (6, 4)


def test_one_feature_is_enough() -> None:
    assert PBN(n_features=1, n_classes=0, latent_dim=1).eval().project(torch.randn(3, 1)).shape == (3, 1)


def test_a_latent_row_of_length_zero_stays_finite() -> None:
    net = PBN(n_features=4, n_classes=2, latent_dim=3).eval()
    with torch.no_grad():
        net.encoder[-1].weight.zero_()
        net.encoder[-1].bias.zero_()
    z = net.project(torch.randn(2, 4))
    assert (z == 0).all()
    z.sum().backward()
    assert torch.isfinite(net.encoder[-1].bias.grad).all()


# the estimator


def test_known_classes_shape_a_space_in_which_novel_ones_are_found() -> None:
    X, truth, y = planted()
    novel = y < 0
    options = {"n_novel": 4, "latent_dim": 8, "learning_rate": 5e-3, "dropout": 0.05, "batch_size": 64, "n_init": 10}
    model = quick(**options, loss_weight=0.9, epochs=40).fit(X, y)
    found = agreement(truth[novel], model.labels_[novel])
    np.testing.assert_array_equal(model.predict(X[novel]), model.labels_[novel])
    assert set(model.labels_[~novel]) == {-1}
    assert (model.predict_known(X[~novel]) == y[~novel]).mean() > 0.8
    scaled = (X - X.mean(0)) / X.std(0)
    blind = agreement(truth[novel], kmeans(scaled[novel], 4, random_state=0).labels)
    autoencoder = quick(**options, loss_weight=0, epochs=40).fit(X, y)
    shuffled = y.copy()
    shuffled[~novel] = np.random.default_rng(0).permutation(y[~novel])
    misled = quick(**options, loss_weight=0.9, epochs=40).fit(X, shuffled)
    assert found > 0.8
    for other in (blind, *(agreement(truth[novel], one.labels_[novel]) for one in (autoencoder, misled))):
        assert found - other > 0.1


def test_projection_is_in_evaluation_mode_row_by_row() -> None:
    X, _, y = corners()
    model = quick(dropout=0.5).fit(X, y)
    assert not model.model_.training
    whole = model.transform(X)
    np.testing.assert_allclose(np.concatenate([model.transform(row[None]) for row in X[:5]]), whole[:5], atol=1e-5)


def test_latent_rows_are_normalized_on_demand() -> None:
    X, _, y = corners()
    free, unit = quick().fit(X, y).transform(X), quick(latent_norm="l2").fit(X, y).transform(X)
    np.testing.assert_allclose(np.linalg.norm(unit, axis=1), 1, rtol=1e-5)
    assert np.linalg.norm(free, axis=1).std() > 1e-3
    np.testing.assert_allclose(free / np.linalg.norm(free, axis=1, keepdims=True), unit, atol=1e-4)
    assert free.shape[1] == round(0.7 * X.shape[1])


def test_number_is_estimated_by_the_silhouette_of_unit_latent_rows() -> None:
    X, _, y = corners()
    model = quick(n_novel=None, epochs=30, k_range=(2, 6), n_init=10).fit(X, y)
    assert model.n_novel_ == model.sweep_.best == len(set(model.labels_[y < 0]))
    sweep = model.estimate_n_novel(X[y < 0], n_runs=1)
    latent = model.transform(X[y < 0])
    unit = latent / np.linalg.norm(latent, axis=1, keepdims=True)
    best = [silhouette_score(unit, kmeans(unit, k, random_state=0).labels) for k in sweep.ks]
    np.testing.assert_allclose(sweep.means, best, atol=0.02)
    inputs = [silhouette_score(X[y < 0], kmeans(X[y < 0], k, random_state=0).labels) for k in sweep.ks]
    assert np.abs(np.array(sweep.means) - inputs).max() > 0.05


@pytest.mark.parametrize("index", INDICES)
def test_every_index_works_in_the_latent_space(index: str) -> None:
    X, _, y = corners(per=8)
    model = quick(k_range=(2, 4)).fit(X, y)
    sweep = model.estimate_n_novel(X[y < 0], index=index, n_runs=1, known=X[y >= 0], known_labels=y[y >= 0])
    assert sweep.ks == (2, 3, 4)
    assert sweep.best in sweep.ks


def test_with_full_weight_unlabelled_rows_do_not_train() -> None:
    X, _, y = corners()
    other = X.copy()
    other[y < 0] = np.random.default_rng(5).permutation(X[y < 0])  # the same rows, so that standardization agrees
    first, second = (quick(loss_weight=1, epochs=3).fit(rows, y).model_.state_dict() for rows in (X, other))
    assert all(torch.equal(first[name], second[name]) for name in first)
    mixed, shuffled = (quick(loss_weight=0.5, epochs=3).fit(rows, y).model_.state_dict() for rows in (X, other))
    assert not all(torch.equal(mixed[name], shuffled[name]) for name in mixed)


def test_with_no_weight_labels_do_not_train() -> None:
    X, _, y = corners()
    shuffled = y.copy()
    shuffled[y >= 0] = np.random.default_rng(0).permutation(y[y >= 0])
    first, second = (quick(loss_weight=0, epochs=3).fit(X, labels) for labels in (y, shuffled))
    np.testing.assert_array_equal(first.labels_, second.labels_)
    assert quick(loss_weight=0).fit(X).classes_.size == 0
    with pytest.raises(InputError, match="no labelled row"):
        quick(loss_weight=0).fit(X).predict_known(X)


def test_constant_columns_are_harmless() -> None:
    X, _, y = corners()
    X = np.concatenate([X, np.full((len(X), 1), 7.3), np.zeros((len(X), 1))], 1)
    model = quick().fit(X, y)
    assert np.isfinite(model.transform(X)).all()
    np.testing.assert_array_equal(model.scaler_.scale_[-2:], 1)


def test_a_last_batch_of_one_row_is_skipped() -> None:
    X, _, y = corners(per=2)  # 16 rows
    model = quick(batch_size=5, epochs=2).fit(X, y)
    assert model.history_.steps == list(range(1, 7))


def test_discover_clusters_other_rows_afresh() -> None:
    X, truth, y = corners()
    model = quick(epochs=60, learning_rate=5e-3).fit(X, y)
    some = (truth == 5) | (truth == 7)
    assert agreement(truth[some], model.discover(X[some], 2)) > 0.9


def test_the_paper_s_search_over_four_settings_runs() -> None:
    X, _, y = corners()
    search = HiddenClassSearchCV(
        estimator=quick(epochs=10, n_novel=None, k_range=(2, 5)),
        param_distributions={
            "learning_rate": [1e-3, 1e-2],
            "loss_weight": uniform(0, 1),
            "dropout": uniform(0, 0.3),
            "latent_dim": [2, 4],
        },
        n_iter=3,
        cv=HiddenClassSplit(n_hidden=2, n_splits=2, random_state=0),
        estimate_n=True,
        random_state=0,
    ).fit(X, y)
    assert search.best_params_ in search.cv_results_["params"]
    assert search.transform(X).shape == (len(X), search.best_params_["latent_dim"])
    assert search.best_estimator_.n_novel_ == search.best_estimator_.sweep_.best


def test_a_space_of_labels_alone_forgets_what_novel_digits_need() -> None:
    X, truth = load_digits(return_X_y=True)
    y = np.where(np.isin(truth, [1, 2, 7, 8, 9]), truth, -1)  # the paper's split of Optdigits
    novel = y < 0
    scores = {}
    for weight in (0.5, 1):
        model = quick(n_novel=5, latent_dim=20, loss_weight=weight, learning_rate=5e-3, epochs=20).fit(X, y)
        scores[weight] = agreement(truth[novel], model.labels_[novel])
    assert scores[0.5] > 0.8
    assert scores[0.5] - scores[1] > 0.2


# what is refused


@pytest.mark.parametrize(
    ("argument", "options"),
    [
        ("n_novel", {"n_novel": 0}),
        ("n_novel", {"n_novel": 61}),
        ("latent_dim", {"latent_dim": 0}),
        ("learning_rate", {"learning_rate": 0}),
        ("loss_weight", {"loss_weight": 1.1}),
        ("dropout", {"dropout": 1.0}),
        ("epochs", {"epochs": -1}),
        ("batch_size", {"batch_size": 1}),
        ("latent_norm", {"latent_norm": "l1"}),
        ("k_range", {"n_novel": None, "k_range": (1, 5)}),
    ],
)
def test_bad_parameters_are_refused(argument: str, options: dict) -> None:
    X, _, y = corners()
    with pytest.raises(InputError) as caught:
        quick(**options).fit(X, y)
    assert caught.value.argument == argument


@pytest.mark.parametrize("labels", [None, np.full(160, -1), np.zeros(160, int)])
def test_labels_on_no_row_or_on_all_rows_are_refused(labels: np.ndarray | None) -> None:
    with pytest.raises(InputError, match="y:"):
        quick().fit(corners()[0], labels)


def test_rows_with_holes_are_refused_and_lonely_classes_warned_of() -> None:
    X, _, y = corners()
    y[np.flatnonzero(y == 3)[1:]] = -1
    with pytest.warns(UserWarning, match="single row"):
        quick(epochs=1).fit(X, y)
    X[7, 2] = np.inf
    with pytest.raises(InputError, match="row 7"):
        quick().fit(X, y)


def test_a_single_row_can_not_be_trained_on() -> None:
    X, _, y = corners()
    y[np.flatnonzero(y >= 0)[1:]] = -1
    with pytest.warns(UserWarning, match="single row"), pytest.raises(InputError, match=r"1 sample\(s\)"):
        quick(loss_weight=1).fit(X, y)


def test_a_diverging_loss_is_no_result() -> None:
    X, _, y = corners()
    with pytest.raises(InputError, match="loss"):
        quick(learning_rate=1e30, epochs=20).fit(X * 1e3, y)

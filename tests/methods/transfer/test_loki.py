"""Loki's classifier: limits in which it is argmax, labels that were never trained, calibration, and bad input."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.base import clone
from sklearn.feature_extraction.text import TfidfVectorizer
from sklearn.linear_model import LogisticRegression
from sklearn.neighbors import KNeighborsClassifier
from sklearn.pipeline import make_pipeline
from sklearn.utils.estimator_checks import parametrize_with_checks

from spaceform.errors import InputError
from spaceform.geometry import EmbeddingMetric, GraphMetric, MatrixMetric, TreeMetric
from spaceform.methods.transfer import loki
from spaceform.methods.transfer.loki import LokiClassifier

NAMES = ["animal", "mammal", "cat", "dog", "bird", "owl"]
TREE = TreeMetric([-1, 0, 1, 1, 0, 4], labels=NAMES)


def blobs(labels, n=20, seed=0, spread=0.1):
    """Rows around one place per label: nearby labels have nearby places."""
    rng = np.random.default_rng(seed)
    places = np.array([[0, 0], [1, 0], [1.3, 0.5], [1.3, -0.5], [-1, 0], [-1.5, 0]])
    y = np.repeat(labels, n)
    return places[y] + spread * rng.normal(size=(len(y), 2)), np.array(NAMES)[y]


@pytest.mark.filterwarnings("ignore:one observed class")  # one check fits a single class, which is right to warn
@parametrize_with_checks([LokiClassifier()])
def test_scikit_learn_contract(estimator, check):
    check(estimator)


def test_every_name_of_the_record_is_here():
    from spaceform import papers

    for name in papers.load("loki").classes:
        assert hasattr(loki, name), name


def test_a_label_is_predicted_that_was_never_trained():
    X, y = blobs([2, 3, 5])
    model = LokiClassifier(label_metric=TREE, estimator=LogisticRegression()).fit(X, y)
    between = np.array([[1.3, 0.0]])  # as likely cat as dog
    assert model.predict(between).tolist() == ["mammal"]
    assert model.predict(X[:1]).tolist() == ["cat"]
    restricted = clone(model).set_params(candidates="observed").fit(X, y)
    assert set(restricted.predict(np.random.default_rng(0).normal(size=(200, 2)))) <= {"cat", "dog", "owl"}
    leaves = clone(model).set_params(candidates="leaves").fit(X, y)
    np.testing.assert_array_equal(leaves.candidates_, TREE.leaves())
    by_ids = clone(model).set_params(candidates=TREE.leaves()).fit(X, y)
    np.testing.assert_array_equal(by_ids.predict(X), leaves.predict(X))
    assert set(leaves.predict(np.random.default_rng(0).normal(size=(200, 2)))) <= {"cat", "dog", "owl"}


@given(seed=st.integers(0, 1000))
@settings(max_examples=15, deadline=None)
def test_the_discrete_metric_is_argmax(seed):
    X, y = blobs([0, 2, 3, 5], n=8, seed=seed, spread=1.0)
    queries = np.random.default_rng(seed).normal(size=(50, 2))
    plain = LogisticRegression().fit(X, y).predict(queries)
    given_metric = MatrixMetric(1 - np.eye(6), labels=NAMES)
    for metric in (None, given_metric):
        ours = LokiClassifier(estimator=LogisticRegression(), label_metric=metric).fit(X, y).predict(queries)
        np.testing.assert_array_equal(ours, plain)


def test_sure_probabilities_give_the_class_itself():
    X, y = blobs([1, 3, 4])
    model = LokiClassifier(label_metric=TREE, estimator=KNeighborsClassifier(1)).fit(X, y)
    np.testing.assert_array_equal(model.predict(X), y)
    np.testing.assert_array_equal(model.confidence(X), 1)
    np.testing.assert_array_equal(model.predict_from_proba(np.eye(3)), model.estimator_.classes_)


def test_unsure_probabilities_give_one_constant_class():
    X, y = blobs([2, 5])
    model = LokiClassifier(label_metric=TREE).fit(X, y)
    assert set(model.predict_from_proba(np.full((7, 2), 0.5))) == {"animal"}


@given(seed=st.integers(0, 1000))
@settings(max_examples=15, deadline=None)
def test_columns_and_observed_may_be_permuted_together(seed):
    rng = np.random.default_rng(seed)
    P, order = rng.dirichlet(np.ones(4), size=30), rng.permutation(4)
    observed = rng.permutation(6)[:4]

    class Fixed:
        def __init__(self, classes):
            self.classes_ = classes

        def predict_proba(self, X):
            return X

    def predictions(columns):
        model = LokiClassifier(estimator=Fixed(np.array(NAMES)[observed[columns]]), label_metric=TREE, prefit=True)
        return model.fit(P, np.array(NAMES)[observed][rng.integers(0, 4, 30)]).predict(P[:, columns])

    np.testing.assert_array_equal(predictions(order), predictions(np.arange(4)))


def test_a_fitted_estimator_with_positions_for_classes():
    X, y = blobs([5, 2])
    positions = KNeighborsClassifier().fit(X, (y == "cat").astype(int))  # column 0 is owl, column 1 is cat
    model = LokiClassifier(estimator=positions, label_metric=TREE, observed=[5, 2], prefit=True).fit(X, y)
    np.testing.assert_array_equal(model.predict(X), y)
    assert model.estimator_ is positions


def test_decision_function_orders_labels_as_predict_does():
    X, y = blobs([2, 3, 5], spread=0.5)
    model = LokiClassifier(label_metric=TREE, estimator=LogisticRegression()).fit(X, y)
    scores = model.decision_function(X)
    assert scores.shape == (60, 6)
    np.testing.assert_array_equal(model.classes_[scores.argmax(1)], model.predict(X))
    ids, spread = model.spread_from_proba(model.estimator_.predict_proba(X))
    np.testing.assert_allclose(-scores.max(1), spread, atol=1e-9)
    np.testing.assert_array_equal(TREE.labels[ids], model.predict(X))
    assert model.score(X, y) > 0.5


def test_tree_and_matrix_give_the_same_answers():
    X, y = blobs([2, 3, 5], spread=0.8)
    queries = np.random.default_rng(1).normal(size=(300, 2))
    matrix = MatrixMetric(TREE.distances(range(6)), labels=NAMES)
    ours = [LokiClassifier(label_metric=metric).fit(X, y).predict(queries) for metric in (TREE, matrix)]
    np.testing.assert_array_equal(*ours)


def test_an_overconfident_model_is_softened_by_a_fitted_temperature():
    X, y = blobs([2, 3], n=200, spread=0.6)
    sharp = LogisticRegression(C=1e4).fit(X[::4] * 9, y[::4])
    sharp.coef_ *= 5
    model = LokiClassifier(estimator=sharp, label_metric=TREE, temperature="fit", prefit=True).fit(X * 9, y)
    assert model.temperature_ > 2
    loss = []
    for temperature in (1.0, model.temperature_):
        tempered = LokiClassifier(estimator=sharp, label_metric=TREE, temperature=temperature, prefit=True)
        predicted = tempered.fit(X * 9, y).predict(X * 9)
        loss.append(np.square(TREE.distance(TREE.index(y), TREE.index(predicted))).mean())
    assert loss[1] < loss[0]


def test_fitting_a_temperature_holds_rows_out():
    X, y = blobs([2, 3, 5], n=30, spread=0.5)
    seen = []

    class Spy(KNeighborsClassifier):
        def fit(self, X, y):
            seen.append(len(X))
            return super().fit(X, y)

    settings_ = {"estimator": Spy(), "label_metric": TREE, "temperature": "fit", "validation_fraction": 0.3}
    model = LokiClassifier(**settings_, random_state=0).fit(X, y)
    assert seen == [63]
    assert model.temperature_ == LokiClassifier(**settings_, random_state=0).fit(X, y).temperature_
    assert LokiClassifier(label_metric=TREE).fit(X, y).temperature_ == 1


def test_texts_and_sparse_rows_pass_through_to_the_estimator():
    texts = ["meows at night", "a meow", "barks loud", "bark bark", "hoots", "a hoot"]
    y = ["cat", "cat", "dog", "dog", "owl", "owl"]
    for temperature in (1.0, "fit"):
        pipeline = make_pipeline(TfidfVectorizer(), KNeighborsClassifier(1))
        options = {"temperature": temperature, "validation_fraction": 0.5, "random_state": 0}
        model = LokiClassifier(estimator=pipeline, label_metric=TREE, **options).fit(texts * 4, y * 4)
        assert model.predict(["bark"]).tolist() == ["dog"]
    sparse = TfidfVectorizer().fit_transform(texts)
    assert LokiClassifier(label_metric=TREE).fit(sparse, y).predict(sparse).shape == (6,)


def test_a_graph_is_searched_once_and_answers_like_the_tree(monkeypatch):
    X, y = blobs([2, 3, 5], spread=0.8)
    queries = np.random.default_rng(1).normal(size=(300, 2))
    edges = [(NAMES[v], NAMES[p]) for v, p in enumerate(TREE.parent.tolist()) if p >= 0]
    graph = GraphMetric.from_edges(edges, labels=NAMES)
    tree_model = LokiClassifier(label_metric=TREE).fit(X, y)
    model = LokiClassifier(label_metric=graph).fit(X, y)
    monkeypatch.setattr(GraphMetric, "distances", None)
    np.testing.assert_array_equal(model.predict(queries), tree_model.predict(queries))
    np.testing.assert_allclose(model.decision_function(queries), tree_model.decision_function(queries), atol=1e-9)
    assert tree_model.sq_dist_ is None
    monkeypatch.undo()
    monkeypatch.setattr(loki, "DISTANCE_BYTES", 1)
    in_blocks = LokiClassifier(label_metric=graph).fit(X, y)
    assert in_blocks.sq_dist_ is None
    np.testing.assert_array_equal(in_blocks.predict(queries), model.predict(queries))


def test_any_label_metric_will_do():
    X, y = blobs([0, 2, 5])
    points = np.random.default_rng(0).normal(size=(6, 3))
    model = LokiClassifier(label_metric=EmbeddingMetric(points, labels=NAMES)).fit(X, y)
    assert set(model.predict(X)) <= set(NAMES)


def test_one_observed_class_warns():
    X, y = blobs([3])
    with pytest.warns(UserWarning, match="every prediction will be that class"):
        model = LokiClassifier(label_metric=TREE).fit(X, y)
    assert set(model.predict(X)) == {"dog"}


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"observed": [2, 2]}, "2 more than once"),
        ({"observed": [2, 9]}, "ids from 0 to 5"),
        ({"observed": [2, 3, 4]}, "2, one per class"),
        ({"observed": []}, "ids"),
        ({"candidates": "most"}, "'all', 'leaves', 'observed'"),
        ({"candidates": [77]}, "candidates"),
        ({"candidates": "leaves", "label_metric": MatrixMetric(1 - np.eye(6), labels=NAMES)}, "a TreeMetric"),
        ({"temperature": 0.0}, "temperature"),
        ({"temperature": "auto"}, "temperature"),
        ({"temperature": "fit", "validation_fraction": 1.0}, "validation_fraction"),
        ({"label_metric": np.eye(3)}, "a LabelMetric"),
        ({"estimator": object()}, "estimator"),
        ({"prefit": True}, "fitted classifier"),
        ({"label_metric": TreeMetric([-1, 0], labels=["cat", "cow"])}, "'dog', unknown to the label metric"),
    ],
)
def test_bad_options_are_refused(options, message):
    X, y = blobs([2, 3])
    with pytest.raises((InputError, TypeError), match=message):
        LokiClassifier(**{"label_metric": TREE} | options).fit(X, y)


@pytest.mark.parametrize(
    ("P", "message"),
    [
        ([[0.5, 0.5, 0.0]], "2 columns"),
        ([[0.5, -0.5]], "negative"),
        ([[np.nan, 1.0]], "NaN"),
        ([[0.0, 0.0]], "only zeros in row 0"),
    ],
)
def test_bad_probabilities_are_refused(P, message):
    model = LokiClassifier(label_metric=TREE).fit(*blobs([2, 3]))
    with pytest.raises(InputError, match=f"P: got .*{message}|P: .*{message}"):
        model.predict_from_proba(P)


def test_a_model_without_probabilities_is_refused():
    from sklearn.svm import LinearSVC

    with pytest.raises(InputError, match="predict_proba"):
        LokiClassifier(estimator=LinearSVC(), label_metric=TREE).fit(*blobs([2, 3]))
    fitted = KNeighborsClassifier().fit(*blobs([2, 3]))
    with pytest.raises(InputError, match="no row of an observed class"):
        LokiClassifier(estimator=fitted, label_metric=TREE, temperature="fit", prefit=True).fit(*blobs([5]))

"""The estimators of infinite width: few-shot tasks, word vectors, and what they refuse."""

import numpy as np
import pytest
import torch
from sklearn.utils.estimator_checks import parametrize_with_checks

from contracts.cases import EstimatorCase, full_labels
from spaceform.encoders.infinite.linear_maml import LinearNet
from spaceform.errors import InputError
from spaceform.methods.diagnostics.tp4 import InfiniteLinearMAML, InfiniteWord2Vec, kernel_movement
from spaceform.space import Space
from spaceform.workflows.train import train

CONTRACT_CASES = {
    "InfiniteLinearMAML": EstimatorCase({"steps": 3, "random_state": 0}, full_labels),
    "KernelSGD": EstimatorCase({"steps": 10}, full_labels),
}
CORPUS = [["a", "cat", "sat"], ["a", "dog", "sat"], ["a", "cat", "ran"], ["a", "dog", "ran"]] * 20


def expected_failures(_estimator):
    return {"check_dtype_object": "a dictionary among the values raises InputError, which is a ValueError"}


@parametrize_with_checks([InfiniteLinearMAML(steps=2)], expected_failed_checks=expected_failures)
def test_scikit_learn_checks(estimator, check):
    check(estimator)


def hidden_classes(seed=0, classes=60, each=10):
    """Classes that differ in 4 of 24 directions, among much noise in the rest."""
    rng = np.random.default_rng(seed)
    turn = np.linalg.qr(rng.normal(size=(24, 24)))[0]
    y = np.repeat(np.arange(classes), each)
    own = 1.5 * rng.normal(size=(classes, 4))[y] + 0.3 * rng.normal(size=(len(y), 4))
    return np.concatenate([own, rng.normal(size=(len(y), 20))], 1) @ turn, y


def accuracy(model, X, y, tasks=60):
    rng = np.random.default_rng(5)
    right = []
    for _ in range(tasks):
        chosen = rng.choice(np.unique(y), 5, replace=False)
        rows = np.array([rng.choice(np.flatnonzero(y == c), 2, replace=False) for c in chosen])
        task = model.adapt(X[rows[:, 0]], y[rows[:, 0]])
        right.append((task.predict(X[rows[:, 1]]) == y[rows[:, 1]]).mean())
    return np.mean(right)


@pytest.fixture(scope="module")
def learned():
    X, y = hidden_classes()
    seen = y < 40
    scores, moved = {}, {}
    for name, options in {
        "limit": {},
        "wide": {"width": 256},
        "ntk": {"width": 256, "scaling": "ntk"},
        "standard": {"width": 256, "scaling": "standard"},
        "frozen": {"scaling": "frozen"},
    }.items():
        model = InfiniteLinearMAML(steps=200, random_state=0, **options).fit(X[seen], y[seen])
        start = InfiniteLinearMAML(steps=0, random_state=0, **options).fit(X[seen], y[seen])
        scores[name] = accuracy(model, X[~seen], y[~seen])
        moved[name] = kernel_movement(start.transform(X), model.transform(X))
    return scores, moved


def test_the_limit_learns_features_and_kernels_do_not(learned):
    scores, moved = learned
    assert scores["limit"] > max(scores[name] for name in ("ntk", "standard", "frozen")) + 0.1, scores
    assert abs(scores["wide"] - scores["limit"]) < 0.06, scores
    assert moved["limit"].centred > 5 * moved["ntk"].centred > 5 * moved["standard"].centred
    assert moved["ntk"].frozen
    assert moved["frozen"].centred < 1e-6
    assert not moved["wide"].frozen


def test_a_sample_of_the_trained_limit():
    X, y = hidden_classes()
    model = InfiniteLinearMAML(steps=20, random_state=0).fit(X, y)
    net = model.sample(20_000, random_state=1)
    assert isinstance(net, LinearNet)
    assert net.U.shape == (20_000, 24)
    rows = torch.from_numpy(X[:30].astype(np.float32))
    logits = net.hidden(rows) @ net.V.T
    exact = torch.from_numpy(model.transform(X[:30])) @ model.net_.V.T
    assert (logits - exact).std() < 0.1
    with pytest.raises(InputError, match="only the limit"):
        InfiniteLinearMAML(steps=0, width=8).fit(X, y).sample(4)


def test_a_task_is_answered_in_its_own_labels_and_changes_nothing():
    X, y = hidden_classes()
    model = InfiniteLinearMAML(steps=5, random_state=0).fit(X, y)
    before = model.net_.U.clone(), model.net_.V.clone()
    rows = [0, 10, 20, 30, 40]
    names = np.array(["e", "d", "c", "b", "a"])
    task = model.adapt(X[rows], names, steps=60)
    assert task.predict(X[rows]).tolist() == names.tolist()
    assert task.decision_function(X[:7]).shape == (7, 5)
    np.testing.assert_allclose(task.decision_function(X[:7])[2:3], task.decision_function(X[2:3]), atol=1e-4)
    assert torch.equal(before[0], model.net_.U)
    assert torch.equal(before[1], model.net_.V)


@pytest.mark.parametrize(
    ("options", "match"),
    [
        ({"scaling": "ntk"}, "width"),
        ({"scaling": "sp"}, "scaling"),
        ({"width": 0}, "width"),
        ({"n_way": 61}, "labels"),
        ({"inner_rate": -1.0}, "inner_rate"),
        ({"meta_rate": -1.0}, "meta_rate"),
        ({"clip": 0.0}, "clip"),
        ({"sigma_u": -1.0}, "sigma_u"),
        ({"n_shot": 10}, "at least 2 such classes"),
    ],
)
def test_refused(options, match):
    with pytest.raises(InputError, match=match):
        InfiniteLinearMAML(steps=1, **options).fit(*hidden_classes())


def test_tasks_of_other_forms_are_refused():
    X, y = hidden_classes()
    model = InfiniteLinearMAML(steps=1).fit(X, y)
    with pytest.raises(InputError, match="3 classes, expected 5"):
        model.adapt(X[:30], y[:30])
    with pytest.raises(InputError, match="NaN"):
        model.adapt(np.where(np.arange(24) == 3, np.nan, X[::10][:5]), y[::10][:5])


def test_word_vectors_of_the_limit_and_of_a_width():
    for width in (None, 32):
        model = InfiniteWord2Vec(window=2, negative=2, learning_rate=0.2, epochs=20, width=width, random_state=0).fit(
            CORPUS
        )
        assert model.vectors_.shape == (5, width or 5)
        assert sorted(model.words_) == ["a", "cat", "dog", "ran", "sat"]
        assert model.closeness("cat", "dog") > model.closeness("cat", "a")
        assert model.closeness("sat", "ran") > model.closeness("sat", "a")


def test_the_kernel_limit_moves_no_vector():
    frozen = InfiniteWord2Vec(moving=False, epochs=2, random_state=0).fit(CORPUS)
    np.testing.assert_array_equal(frozen.vectors_, np.eye(5))
    assert frozen.outputs_.any()


def test_same_seed_same_vectors_and_numbers_are_tokens():
    numbers = [[{"a": 0, "cat": 1, "dog": 2, "sat": 3, "ran": 4}[word] for word in line] for line in CORPUS]
    first, again, other = (InfiniteWord2Vec(epochs=2, width=8, random_state=seed).fit(numbers) for seed in (1, 1, 2))
    np.testing.assert_array_equal(first.vectors_, again.vectors_)
    assert not np.array_equal(first.vectors_, other.vectors_)
    assert first.closeness(1, "1") == pytest.approx(1)


def test_analogies_by_hand():
    model = InfiniteWord2Vec(epochs=1, width=2, random_state=0).fit(CORPUS)
    model.words_ = ["man", "woman", "king", "queen", "tree"]
    model._places = {word: place for place, word in enumerate(model.words_)}
    model.vectors_ = np.array([[1, 0.1], [1, 1], [1, 0.3], [0.8, 1.2], [-1, 0]])
    assert model.analogy("man", "woman", "king")[0][0] == "queen"
    assert [word for word, _ in model.analogy("man", "woman", "king", k=2)] == ["queen", "tree"]


@pytest.mark.parametrize(
    "options", [{"window": 0}, {"negative": 0}, {"learning_rate": -0.1}, {"width": 0}, {"vocab_size": 1}, {"epochs": 0}]
)
def test_refused_word_options(options):
    with pytest.raises(InputError):
        InfiniteWord2Vec(**options).fit(CORPUS)


def test_too_large_a_vocabulary_and_unknown_words_are_refused():
    many = [[f"{number}" for number in range(24_000)]] * 5
    with pytest.raises(InputError, match="24,000 words"):
        InfiniteWord2Vec().fit(many)
    model = InfiniteWord2Vec(epochs=1).fit(CORPUS)
    with pytest.raises(InputError, match="'bird'"):
        model.closeness("cat", "bird")
    with pytest.raises(InputError, match="fit first"):
        InfiniteWord2Vec().analogy("a", "b", "c")


def test_trains_on_a_space(tmp_path):
    X, y = hidden_classes()
    space = Space.create(X.astype(np.float32), attributes={"kind": [f"k{c}" for c in y]}, label="kind")
    result = train("tp4", space, options={"steps": "20"}, out=tmp_path / "out")
    assert result.dim == 29
    assert len(Space.open(tmp_path / "out")) == len(X)

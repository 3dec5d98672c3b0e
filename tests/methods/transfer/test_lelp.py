"""LELP: what makes subclasses of embeddings right, and everything that breaks them silently."""

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.special import log_softmax, softmax
from sklearn.utils.estimator_checks import parametrize_with_checks

from contracts.cases import EstimatorCase, full_labels
from spaceform import papers
from spaceform.errors import InputError
from spaceform.methods.transfer import lelp
from spaceform.methods.transfer.lelp import LELPTargets, SubclassDistillationLoss, SubclassHead

CONTRACT_CASES = {"LELPTargets": EstimatorCase({"n_subclasses": 1, "null_space": None}, full_labels)}


def expected_failures(estimator):
    return {"check_dtype_object": "a dictionary among the values raises InputError, which is a ValueError"}


@parametrize_with_checks([LELPTargets(n_subclasses=1, null_space=None)], expected_failed_checks=expected_failures)
def test_scikit_learn_contract(estimator, check):
    check(estimator)


def test_every_name_of_the_record_is_here():
    for name in papers.load("lelp").classes:
        assert hasattr(lelp, name), name


@pytest.fixture(scope="module")
def world():
    """Embeddings of two classes far from 0, of unequal spread in 12 dimensions, and a head of two rows."""
    rng = np.random.default_rng(0)
    y = np.repeat([0, 1], 400)
    H = rng.normal(size=(800, 12)) * np.linspace(3, 0.5, 12) + 10 + np.outer(y, np.ones(12))
    return H, y, rng.normal(size=(2, 12))


def entropy_of_mean(z, beta=1.0):
    mean = softmax(z / beta, axis=1).mean(0)
    return -(mean * np.log(mean)).sum()


def test_without_the_class_mean_one_subclass_wins_for_all(world):
    H, y, W = world
    centred = LELPTargets(n_subclasses=6).fit(H, y, W)
    plain = LELPTargets(n_subclasses=6, center=False).fit(H, y, W)
    for code in (0, 1):
        assert entropy_of_mean(centred.subclass_logits(H[y == code])[:, code]) > 0.9 * np.log(6)
        assert entropy_of_mean(plain.subclass_logits(H[y == code])[:, code]) < 0.7 * np.log(6)


def test_sums_over_subclasses_are_the_teachers_probabilities(world):
    H, y, W = world
    model = LELPTargets(n_subclasses=5, temperature=3.0, beta=0.7).fit(H, y, W)
    logits = H @ W.T
    soft = model.transform(H, logits)
    np.testing.assert_allclose(soft.reshape(-1, 2, 5).sum(2), softmax(logits / 3, axis=1), atol=1e-6)
    np.testing.assert_allclose(soft.sum(1), 1, atol=1e-12)
    np.testing.assert_allclose(model.transform(H), soft)


def test_what_the_logits_say_changes_no_subclass(world):
    H, y, W = world
    model = LELPTargets(n_subclasses=4).fit(H, y, W)
    P = model.null_projector_
    assert np.abs(W @ P).max() < 1e-5
    assert round(np.trace(P)) == np.linalg.matrix_rank(P, tol=1e-6) == 10
    moved = H + 50 * W[0] - 20 * W[1]
    np.testing.assert_allclose(model.subclass_logits(moved), model.subclass_logits(H), atol=1e-9)
    differences = LELPTargets(n_subclasses=4, null_space="differences").fit(H, y, W)
    assert round(np.trace(differences.null_projector_)) == 11
    moved = H + 50 * (W[0] - W[1])
    np.testing.assert_allclose(differences.subclass_logits(moved), differences.subclass_logits(H), atol=1e-9)


def test_rotations_even_out_variances_and_keep_the_subspace(world):
    H, y, W = world
    fits = [LELPTargets(n_subclasses=3, scale=None, random_state=seed).fit(H, y, W) for seed in range(200)]
    plain = LELPTargets(n_subclasses=3, scale=None, rotate=False).fit(H, y, W)
    own = H[y == 0]
    variances = np.array([fit.subclass_logits(own)[:, 0].var(0) for fit in fits]).mean(0)
    expected = plain.subclass_logits(own)[:, 0].var(0)
    assert expected[0] > 1.3 * expected[2]
    np.testing.assert_allclose(variances, expected.mean(), rtol=0.15)
    V = plain.directions_[0]
    for fit in fits[:5]:
        np.testing.assert_allclose(fit.directions_[0] @ fit.directions_[0].T, V @ V.T, atol=1e-9)


def test_one_subclass_and_large_beta_are_plain_distillation(world):
    H, y, W = world
    p = softmax(H @ W.T / 4, axis=1)
    np.testing.assert_allclose(LELPTargets(n_subclasses=1).fit(H, y, W).transform(H), p, atol=1e-12)
    even = LELPTargets(n_subclasses=4, beta=1e12).fit(H, y, W).transform(H)
    np.testing.assert_allclose(even, np.repeat(p / 4, 4, axis=1), atol=1e-9)


def test_small_beta_gives_hard_subclasses_and_a_finite_loss(world):
    H, y, W = world
    model = LELPTargets(n_subclasses=4, beta=1e-9).fit(H, y, W)
    soft = model.transform(H).reshape(-1, 2, 4)
    np.testing.assert_array_equal(soft.argmax(2), model.subclass_logits(H).argmax(2))
    assert np.isclose(soft.max(2), soft.sum(2)).mean() > 0.999
    g = torch.randn(800, 8, requires_grad=True)
    loss = SubclassDistillationLoss()(g, torch.from_numpy(model.transform(H)).float())
    loss.backward()
    assert torch.isfinite(loss.detach())
    assert torch.isfinite(g.grad).all()


def test_hand_value():
    model = LELPTargets(
        n_subclasses=2, beta=1.0, temperature=1.0, scale=None, rotate=False, null_space=None, center=False
    )
    H = np.array([[1.0, -1.0], [-3.0, 1.0], [2.0, 0.0], [1.0, 1.0], [0.0, 1.0], [4.0, 1.0]])
    model.fit(H, [0, 0, 0, 1, 1, 1], W=np.ones((2, 2)))
    model.directions_ = np.stack([np.eye(2), np.eye(2)])
    found = model.transform([[1.0, -1.0]], logits=[np.log([0.7, 0.3])])[0]
    np.testing.assert_allclose(found[:2], [0.6166, 0.0834], atol=1e-4)
    np.testing.assert_allclose(softmax([1, -1]), [0.8808, 0.1192], atol=1e-4)


def test_answers_sum_over_subclasses():
    head = SubclassHead(3, n_classes=2, n_subclasses=2)
    outputs = torch.tensor([[0.35, 1e-9, 0.33, 0.32]]).log()
    assert int(outputs.argmax()) // 2 == 0
    assert head.predict(outputs).tolist() == [1]
    np.testing.assert_allclose(head.class_log_probs(outputs).exp().numpy(), [[0.35, 0.65]], atol=1e-5)
    with pytest.raises(InputError, match="outputs"):
        head.class_log_probs(outputs[:, :3])


def test_a_stream_gives_what_all_rows_at_once_give(world):
    H, y, W = world
    order = np.random.default_rng(1).permutation(len(H))
    blocks = [(H[part], y[part]) for part in np.array_split(order, 7)]
    whole, streamed = LELPTargets().fit(H, y, W), LELPTargets().fit_stream(blocks, n_classes=2, W=W)
    np.testing.assert_allclose(streamed.directions_, whole.directions_, atol=1e-8)
    np.testing.assert_allclose(streamed.transform(H), whole.transform(H), atol=1e-9)


def test_torch_comes_back_as_torch(world):
    H, y, W = world
    tensor = torch.from_numpy(H).float()
    model = LELPTargets().fit(tensor, torch.from_numpy(y), torch.from_numpy(W))
    soft = model.transform(tensor, tensor @ torch.from_numpy(W).float().T)
    assert isinstance(soft, torch.Tensor)
    assert soft.dtype == torch.float32
    np.testing.assert_allclose(soft.numpy(), LELPTargets().fit(H, y, W).transform(H), atol=1e-4)


def test_one_logit_is_that_of_the_second_of_two_classes(world):
    H, y, W = world
    one = LELPTargets(null_space="rows").fit(H, y, W=W[:1], b=[0.5])
    assert round(np.trace(one.null_projector_)) == 11
    logit = H @ W[0] + 0.5
    for given_logits in (logit, logit[:, None], np.stack([0 * logit, logit], 1), None):
        np.testing.assert_allclose(one.transform(H, given_logits), one.transform(H), atol=1e-12)
    np.testing.assert_allclose(one.transform(H)[:, 8:].sum(1), 1 / (1 + np.exp(-logit / 4)), atol=1e-9)


def test_classes_may_be_the_teachers_answers(world):
    H, y, W = world
    b = -W @ H.mean(0)
    answered = (H @ W.T + b).argmax(1)
    some = y.copy()
    some[5:395] = -1
    model = LELPTargets(n_subclasses=2, assign="teacher").fit(H, some, W, b)
    assert (answered != y).any()
    for code in (0, 1):
        np.testing.assert_allclose(model.means_[code], H[answered == code].mean(0))


def test_labels_of_any_kind_follow_the_sorted_classes(world):
    H, y, W = world
    named = LELPTargets().fit(H, np.array(["b", "z"])[y], W)
    assert named.classes_.tolist() == ["b", "z"]
    np.testing.assert_allclose(named.transform(H), LELPTargets().fit(H, 3 + 9 * y, W).transform(H))


def test_random_directions_are_orthonormal_and_inside_the_null_space(world):
    H, y, W = world
    model = LELPTargets(n_subclasses=4, directions="random").fit(H, y, W)
    for U in model.directions_:
        np.testing.assert_allclose(U.T @ U, np.eye(4), atol=1e-9)
        assert np.abs(W @ U).max() < 1e-9


def test_a_collapsed_teacher_warns_and_gives_even_subclasses():
    y = np.repeat([0, 1], 20)
    H = np.outer(y, np.ones(6)) + 1e-9 * np.random.default_rng(0).normal(size=(40, 6))
    with pytest.warns(UserWarning, match="collapsed"):
        model = LELPTargets(n_subclasses=2).fit(H, y, W=np.eye(2, 6))
    soft = model.transform(np.random.default_rng(1).normal(size=(5, 6)))
    np.testing.assert_allclose(soft[:, 0::2], soft[:, 1::2], atol=1e-12)


@pytest.mark.parametrize(
    ("options", "change", "match"),
    [
        ({"n_subclasses": 0}, {}, "n_subclasses"),
        ({"n_subclasses": 11}, {}, "at most 10"),
        ({"beta": 0}, {}, "beta"),
        ({"temperature": -1}, {}, "temperature"),
        ({"null_space": "columns"}, {}, "null_space"),
        ({"directions": "best"}, {}, "directions"),
        ({"assign": "guess"}, {}, "assign"),
        ({"scale": "each"}, {}, "scale"),
        ({}, {"W": np.ones((3, 12))}, "W"),
        ({}, {"W": np.ones((2, 11))}, "W"),
        ({}, {"b": np.ones(3)}, "b"),
        ({}, {"y": np.zeros(800, dtype=int)}, "two or more"),
        ({"n_subclasses": 4}, {"y": np.r_[np.zeros(796, dtype=int), np.ones(4, dtype=int)]}, "4 row.* of class 1"),
        ({}, {"H": np.full((800, 12), np.nan)}, "NaN"),
    ],
)
def test_bad_input_is_refused(world, options, change, match):
    H, y, W = world
    given_values = {"H": H, "y": y, "W": W} | change
    with pytest.raises(InputError, match=match):
        LELPTargets(**options).fit(**given_values)


def test_a_head_of_full_rank_leaves_nothing():
    H, y = np.random.default_rng(0).normal(size=(20, 2)), np.arange(20) % 2
    with pytest.raises(InputError, match="no direction is left"):
        LELPTargets(n_subclasses=1).fit(H, y, W=np.eye(2))


def test_logits_of_other_shapes_are_refused(world):
    H, y, W = world
    model = LELPTargets().fit(H, y, W)
    for logits in (np.ones((800, 3)), np.ones((799, 2))):
        with pytest.raises(InputError, match="logits"):
            model.transform(H, logits)


def test_the_loss_refuses_targets_that_are_no_distributions():
    loss = SubclassDistillationLoss(alpha=0.5, n_classes=2)
    g, even = torch.zeros(3, 6), torch.full((3, 6), 1 / 6)
    for targets in (2 * even, even[:, :5], even - 1, even[:2]):
        with pytest.raises(InputError, match="soft_targets"):
            loss(g, targets)
    with pytest.raises(InputError, match="labels"):
        loss(g, even)
    with pytest.raises(InputError, match="number the classes"):
        loss(g, even, torch.tensor([0, 1, 2]))
    with pytest.raises(InputError, match="n_classes"):
        SubclassDistillationLoss(alpha=0.5)


@settings(max_examples=25, deadline=None)
@given(st.integers(2, 4), st.integers(1, 5), st.floats(0, 1), st.integers(0, 10**6))
def test_the_loss_is_what_a_slow_loop_adds_up(classes, subclasses, alpha, seed):
    rng = np.random.default_rng(seed)
    g, q = rng.normal(size=(7, classes * subclasses)), softmax(rng.normal(size=(7, classes * subclasses)), axis=1)
    y = rng.integers(0, classes, 7)
    logs, total = log_softmax(g, axis=1), 0.0
    for row in range(7):
        own = np.exp(logs[row]).reshape(classes, subclasses)[y[row]].sum()
        total += -alpha * np.log(own) - (1 - alpha) * sum(q[row] * logs[row])
    loss = SubclassDistillationLoss(alpha=alpha, n_classes=classes)
    found = loss(torch.from_numpy(g), torch.from_numpy(q), torch.from_numpy(y))
    np.testing.assert_allclose(found.item(), total / 7, rtol=1e-9)


def test_it_is_what_the_train_verb_takes(world, tmp_path):
    from spaceform.space import Space
    from spaceform.workflows.train import train

    H, y, _ = world
    space = Space.create(H.astype(np.float32), attributes={"kind": np.array(["a", "b"])[y].tolist()}, label="kind")
    found = train("lelp", space, options={"n_subclasses": "3"}, out=tmp_path / "soft")
    assert found.space.vectors.shape == (800, 6)
    np.testing.assert_allclose(found.space.vectors.sum(1), 1, atol=1e-5)

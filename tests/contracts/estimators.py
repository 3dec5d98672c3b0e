"""The contract of an estimator: one function per promise, each raising ``AssertionError`` when it is broken."""

from __future__ import annotations

import copy
import dataclasses
import inspect
import pickle
import warnings
from collections.abc import Callable
from typing import Any

import numpy as np
import torch
from sklearn.base import BaseEstimator, clone
from sklearn.exceptions import NotFittedError

from contracts.cases import EstimatorCase, blobs
from spaceform.errors import InputError

ANSWERS = ("predict", "predict_proba", "transform", "score_samples", "decision_function", "predict_known", "confidence")
"""Methods that answer for rows and must not write."""

Make = Callable[[], BaseEstimator]


def build(kind: type[BaseEstimator], case: EstimatorCase) -> BaseEstimator:
    """Return a fresh instance with the settings of its case."""
    return kind(**case.settings, **case.make())


def fitted(make: Make, case: EstimatorCase, seed: int = 0, **shape: int) -> tuple[BaseEstimator, np.ndarray]:
    """Return an instance fitted on blobs, and the rows."""
    X, y = blobs(seed, **shape)
    return fit(make(), X, case.labels(y)), X


def fit(model: BaseEstimator, X: Any, y: Any) -> BaseEstimator:
    """Fit with labels where there are any."""
    return model.fit(X) if y is None else model.fit(X, y)


def answers(model: BaseEstimator, X: Any) -> dict[str, Any]:
    """Return what each answering method that the model offers says about ``X``."""
    return {name: getattr(model, name)(X) for name in ANSWERS if _offers(model, name)}


def check_signature(make: Make, case: EstimatorCase) -> None:
    """Hyper-parameters are keyword-only, named one by one, and have defaults unless the case says they can't."""
    parameters = list(inspect.signature(type(make()).__init__).parameters.values())[1:]
    for parameter in parameters:
        assert parameter.kind is inspect.Parameter.KEYWORD_ONLY, f"{parameter.name} can be given by position"
        has_default = parameter.default is not inspect.Parameter.empty
        assert has_default or parameter.name in case.required, f"{parameter.name} has no default"
    assert len(parameters) <= 12, f"{len(parameters)} parameters"


def check_stored_unchanged(make: Make, case: EstimatorCase) -> None:
    """``__init__`` stores each argument as it came, and nothing else; cloning and ``set_params`` lose nothing."""
    kind = type(make())
    given = {**case.settings, **case.make()}
    model = kind(**given)
    names = set(inspect.signature(kind.__init__).parameters) - {"self"}
    assert set(vars(model)) == names, "__init__ sets other attributes than its arguments"
    for name, value in given.items():
        assert getattr(model, name) is value, f"{name} was changed"
    defaults = {p.name: p.default for p in inspect.signature(kind.__init__).parameters.values() if p.name != "self"}
    for name in names - given.keys():
        assert getattr(model, name) is defaults[name], f"the default of {name} was changed"
    copied = clone(model)
    assert_same(vars(copied), vars(model), "clone")
    copied.set_params(**model.get_params(deep=False))
    assert_same(vars(copied), vars(model), "set_params")


def check_fit(make: Make, case: EstimatorCase) -> None:
    """``fit`` returns self, leaves the hyper-parameters alone, and names what it learned with a trailing underscore."""
    X, y = blobs()
    model = make()
    before = copy.deepcopy(model.get_params(deep=False))
    assert fit(model, X, case.labels(y)) is model, "fit does not return self"
    assert_same(model.get_params(deep=False), before, "hyper-parameters after fit")
    learned = [name for name in vars(model) if name not in before and not name.startswith("_")]
    assert learned, "fit learned nothing"
    odd = [name for name in learned if not name.endswith("_")]
    assert not odd, f"learned attributes without trailing underscore: {odd}"


def check_same_seed_same_result(make: Make, case: EstimatorCase) -> None:
    """Two fits with one ``random_state`` agree to the last bit, whatever the global generators do."""
    first, X = fitted(make, case)
    before = _stir_the_world()
    second, _ = fitted(make, case)
    after = _world()
    assert np.array_equal(before[0], after[0]), "fit used the global NumPy generator"
    assert torch.equal(before[1], after[1]), "fit used the global torch generator"
    assert_same(learned(first), learned(second), "two fits")
    assert_same(answers(first, X), answers(second, X), "answers after two fits")


def check_refit_forgets(make: Make, case: EstimatorCase) -> None:
    """A second ``fit`` on other data equals a first one on them."""
    X, y = blobs(1, classes=6, width=3)
    used = fit(fitted(make, case)[0], X, case.labels(y))
    fresh = fit(make(), X, case.labels(y))
    assert_same(learned(used), learned(fresh), "refit")
    assert_same(answers(used, X), answers(fresh, X), "answers after refit")


def check_input_untouched(make: Make, case: EstimatorCase) -> None:
    """Rows and labels are neither written to nor kept to be written to later; read-only arrays will do."""
    X, y = blobs()
    labels = case.labels(y)
    rows, kept = X.copy(), None if labels is None else labels.copy()
    model = fit(make(), X, labels)
    answers(model, X)
    assert np.array_equal(X, rows), "X was written to"
    assert labels is None or np.array_equal(labels, kept), "y was written to"
    X.flags.writeable = False
    answers(fit(make(), X, labels), X)


def check_answers_write_nothing(make: Make, case: EstimatorCase) -> None:
    """``predict`` and the like leave the object as it was and say the same thing twice."""
    model, X = fitted(make, case)
    before = copy.deepcopy(vars(model))
    first = answers(model, X)
    assert_same(vars(model), before, "the object after its answers")
    assert_same(answers(model, X), first, "a second answer")


def check_rows_are_independent(make: Make, case: EstimatorCase) -> None:
    """What is said about a row does not depend on the other rows of the query, unless the estimator is transductive."""
    if case.transductive:
        return
    model, X = fitted(make, case)
    whole = answers(model, X)
    part = answers(model, X[5:9])
    for name, values in part.items():
        assert_close(np.asarray(values), np.asarray(whole[name])[5:9], 1e-6, f"{name} of four rows")


def check_types_and_layouts(make: Make, case: EstimatorCase) -> None:
    """float32, Fortran order, strides and lists give what float64 gives."""
    X, y = blobs()
    labels = case.labels(y)
    wide = np.repeat(X, 2, axis=1)[:, ::2]
    expected = answers(fit(make(), X, labels), X)
    variants = {
        "float32": X.astype(np.float32),
        "Fortran order": np.asfortranarray(X),
        "strides": wide,
        "a list": X.tolist(),
    }
    for name, rows in variants.items():
        found = answers(fit(make(), rows, labels), rows)
        tolerance = case.tolerance if name == "float32" else 1e-9
        for method, values in expected.items():
            assert_close(np.asarray(found[method]), np.asarray(values), tolerance, f"{method} on {name}")


def check_refusals(make: Make, case: EstimatorCase) -> None:
    """What can't be meant is refused at the door, by name: NaN, infinities, no rows, wrong shapes, other lengths."""
    X, y = blobs()
    labels = case.labels(y)
    hole, endless = X.copy(), X.copy()
    hole[3, 1], endless[2, 0] = np.nan, np.inf
    bad = {
        "NaN": hole,
        "an infinity": endless,
        "no rows": X[:0],
        "no columns": X[:, :0],
        "one dimension": X[:, 0],
        "text": np.array([["a"] * X.shape[1]] * len(X)),
    }
    for what, rows in bad.items():
        kept = labels if labels is None or len(rows) == len(labels) else labels[: len(rows)]
        refuses(lambda rows=rows, kept=kept: fit(make(), rows, kept), f"fit on {what}")
    if labels is not None:
        refuses(lambda: fit(make(), X, labels[:-1]), "labels of another length", name="y")
    survives_or_refuses(lambda: fit(make(), X[:1], None if labels is None else labels[:1]), "fit on one row")
    model = fit(make(), X, labels)
    for method in ANSWERS:
        if _offers(model, method):
            answer = getattr(model, method)
            refuses(lambda answer=answer: answer(X[:, :-1]), f"{method} on another width")
            refuses(lambda answer=answer: answer(hole), f"{method} on NaN")


def check_unfitted(make: Make, case: EstimatorCase) -> None:
    """Answers before ``fit`` are refused with scikit-learn's ``NotFittedError``."""
    X, _ = blobs()
    kind = type(make())
    for method in ANSWERS:
        if hasattr(kind, method):
            try:
                getattr(make(), method)(X)
            except (NotFittedError, AttributeError):
                continue
            raise AssertionError(f"{method} answers before fit")


def check_survives_a_process_boundary(make: Make, case: EstimatorCase) -> None:
    """A fitted estimator works in another process of a parallel search, where it arrives pickled."""
    model, X = fitted(make, case)
    try:
        copied = pickle.loads(pickle.dumps(model))
    except Exception as error:
        raise AssertionError(f"can't be pickled: {error}") from error
    assert_same(answers(copied, X), answers(model, X), "answers after pickling")


def check_final(make: Make, case: EstimatorCase) -> None:
    """Concrete classes are final: composed, not overridden."""
    assert type(make()).__dict__.get("__final__", False), "mark the class with typing.final"


def learned(model: BaseEstimator) -> dict[str, Any]:
    """Return the attributes that ``fit`` set."""
    return {name: value for name, value in vars(model).items() if name.endswith("_")}


def refuses(work: Callable[[], Any], what: str, *, name: str = "X") -> None:
    """Demand an ``InputError`` (or scikit-learn's ``ValueError``) whose text names the argument."""
    try:
        work()
    except (ValueError, TypeError) as error:
        refusal = error
    else:
        raise AssertionError(f"{what} was not refused")
    words = (name, "sample", "feature", "NaN", "array", "label", "string")
    told = isinstance(refusal, InputError) or any(word in str(refusal) for word in words)
    assert told, f"{what}: the message does not say what is wrong: {refusal}"


def survives_or_refuses(work: Callable[[], Any], what: str) -> None:
    """Demand a result (with a warning or without) or a refusal, never a crash from within."""
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            work()
    except ValueError:
        pass
    except Exception as error:
        raise AssertionError(f"{what}: {type(error).__name__} from within: {error}") from error


def assert_close(found: np.ndarray, expected: np.ndarray, tolerance: float, what: str) -> None:
    """Compare arrays of numbers within a tolerance, all others exactly."""
    if expected.dtype.kind == "f":
        np.testing.assert_allclose(found, expected, rtol=tolerance, atol=tolerance, err_msg=what)
    else:
        np.testing.assert_array_equal(found, expected, err_msg=what)


def assert_same(first: Any, second: Any, what: str) -> None:
    """Compare two values of any of the kinds that estimators learn, to the last bit."""
    assert type(first) is type(second), f"{what}: {type(first).__name__} and {type(second).__name__}"
    if isinstance(first, np.ndarray):
        np.testing.assert_array_equal(first, second, err_msg=what)
    elif isinstance(first, torch.Tensor):
        assert torch.equal(first, second), what
    elif isinstance(first, torch.nn.Module):
        assert_same(dict(first.state_dict()), dict(second.state_dict()), what)
    elif isinstance(first, dict):
        assert first.keys() == second.keys(), f"{what}: {first.keys() ^ second.keys()}"
        for key, value in first.items():
            assert_same(value, second[key], f"{what}: {key}")
    elif isinstance(first, list | tuple):
        assert len(first) == len(second), what
        for index, value in enumerate(first):
            assert_same(value, second[index], f"{what}: {index}")
    elif isinstance(first, float):
        assert first == second or (np.isnan(first) and np.isnan(second)), f"{what}: {first} and {second}"
    elif dataclasses.is_dataclass(first) or isinstance(first, BaseEstimator):
        assert_same(vars(first), vars(second), what)
    elif type(first).__eq__ is not object.__eq__:
        assert first == second, f"{what}: {first} and {second}"


def _world() -> tuple[np.ndarray, torch.Tensor]:
    return np.random.get_state()[1].copy(), torch.get_rng_state()  # noqa: NPY002  # the state nobody may touch


def _stir_the_world() -> tuple[np.ndarray, torch.Tensor]:
    np.random.random()  # noqa: NPY002  # what a careless neighbour does
    torch.rand(1)
    return _world()


def _offers(model: BaseEstimator, name: str) -> bool:
    return callable(getattr(model, name, None))


CHECKS = [value for name, value in sorted(globals().items()) if name.startswith("check_")]

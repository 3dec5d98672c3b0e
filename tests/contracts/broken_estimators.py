"""Estimators that break one promise each, and one that keeps all: the test of the tests."""

from __future__ import annotations

from typing import Any, final

import numpy as np
from sklearn.base import BaseEstimator

from contracts import estimators as contract
from spaceform.checks import check_rows
from spaceform.rng import as_generator


@final
class Sound(BaseEstimator):
    """Projects rows onto a random direction."""

    def __init__(self, *, scale: float = 1.0, random_state: int | None = 0) -> None:
        self.scale = scale
        self.random_state = random_state

    def fit(self, X: Any, y: Any = None) -> Sound:
        rows = check_rows(self, X, fitting=True)
        self.direction_ = as_generator(self.random_state).normal(size=rows.shape[1])
        return self

    def transform(self, X: Any) -> np.ndarray:
        return self.scale * (check_rows(self, X, fitting=False) @ self.direction_)


class ByPosition(BaseEstimator):
    def __init__(self, scale=1.0):
        self.scale = scale


class WithoutDefault(BaseEstimator):
    def __init__(self, *, scale):
        self.scale = scale


def _without_default():
    return WithoutDefault(scale=1.0)


_without_default.__name__ = "WithoutDefault"


class Converts(BaseEstimator):
    def __init__(self, *, scale=1):
        self.scale = float(scale)


class Derives(BaseEstimator):
    def __init__(self, *, scale=1.0):
        self.scale = scale
        self.double = 2 * scale


class Base(BaseEstimator):
    def __init__(self, *, random_state=0):
        self.random_state = random_state

    def fit(self, X, y=None):
        rows = check_rows(self, X, fitting=True)
        self.mean_ = rows.mean(0)
        return self

    def transform(self, X):
        return check_rows(self, X, fitting=False) - self.mean_


class ReturnsNothing(Base):
    def fit(self, X, y=None):
        super().fit(X)


class NamesWithoutUnderscore(Base):
    def fit(self, X, y=None):
        self.found = 1
        return super().fit(X)


class ChangesItsParameters(Base):
    def fit(self, X, y=None):
        self.random_state = 1
        return super().fit(X)


class DrawsGlobally(Base):
    def fit(self, X, y=None):
        super().fit(X)
        self.mean_ = self.mean_ + np.random.random()  # noqa: NPY002  # the fault
        return self


class IgnoresItsSeed(Base):
    def fit(self, X, y=None):
        super().fit(X)
        self.mean_ = self.mean_ + np.random.default_rng().random()
        return self


class Remembers(Base):
    def fit(self, X, y=None):
        self.fits_ = getattr(self, "fits_", 0) + 1
        return super().fit(X)


class WritesToItsInput(Base):
    def fit(self, X, y=None):
        super().fit(X)
        X -= X.mean(0)
        return self


class WritesInPredict(Base):
    def transform(self, X):
        self.last_ = len(X)
        return super().transform(X)


class WritesIntoAnArrayInPredict(Base):
    def transform(self, X):
        self.mean_ += 1
        return super().transform(X)


class LooksAtOtherRows(Base):
    def transform(self, X):
        rows = super().transform(X)
        return rows - rows.mean(0)


class ForgetsTheLayout(Base):
    def transform(self, X):
        rows = np.asarray(X)
        return np.frombuffer(rows.tobytes(order="A"), rows.dtype).reshape(rows.shape) - self.mean_


class TakesNaN(Base):
    def fit(self, X, y=None):
        rows = np.asarray(X, dtype=float)
        self.mean_ = np.nan_to_num(rows).mean(0)
        return self


class CrashesOnOneRow(Base):
    def fit(self, X, y=None):
        super().fit(X)
        self.second_ = self.mean_ * list(np.asarray(X))[1]
        return self


class TakesAnyWidth(Base):
    def transform(self, X):
        return np.asarray(X)[:, :1] - self.mean_[:1]


class AnswersUnfitted(Base):
    def transform(self, X):
        return np.asarray(X)


class KeepsAFunction(Base):
    def fit(self, X, y=None):
        super().fit(X)
        self.centre_ = lambda rows: rows - self.mean_
        return self


class Open(Base):
    """Not final."""


BROKEN = [
    (ByPosition, contract.check_signature),
    (_without_default, contract.check_signature),
    (Converts, contract.check_stored_unchanged),
    (Derives, contract.check_stored_unchanged),
    (ReturnsNothing, contract.check_fit),
    (NamesWithoutUnderscore, contract.check_fit),
    (ChangesItsParameters, contract.check_fit),
    (DrawsGlobally, contract.check_same_seed_same_result),
    (IgnoresItsSeed, contract.check_same_seed_same_result),
    (Remembers, contract.check_refit_forgets),
    (WritesToItsInput, contract.check_input_untouched),
    (WritesInPredict, contract.check_answers_write_nothing),
    (WritesIntoAnArrayInPredict, contract.check_answers_write_nothing),
    (LooksAtOtherRows, contract.check_rows_are_independent),
    (ForgetsTheLayout, contract.check_types_and_layouts),
    (TakesNaN, contract.check_refusals),
    (CrashesOnOneRow, contract.check_refusals),
    (TakesAnyWidth, contract.check_refusals),
    (AnswersUnfitted, contract.check_unfitted),
    (KeepsAFunction, contract.check_survives_a_process_boundary),
    (Open, contract.check_final),
]

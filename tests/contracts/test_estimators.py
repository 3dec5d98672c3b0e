"""Every estimator that the package walk finds keeps every promise; and each check catches who breaks its own."""

from functools import partial

import pytest

from contracts import broken_estimators
from contracts.broken_estimators import BROKEN, Sound
from contracts.cases import ESTIMATORS, EstimatorCase
from contracts.discovery import estimators
from contracts.estimators import CHECKS, build

FOUND = {kind.__name__: kind for kind in estimators()}


def test_every_estimator_has_a_case_and_every_case_an_estimator():
    assert sorted(FOUND) == sorted(ESTIMATORS), "tests/contracts/cases.py names what the contract is tested on"


@pytest.mark.parametrize("check", CHECKS, ids=lambda check: check.__name__)
@pytest.mark.parametrize("name", sorted(FOUND.keys() & ESTIMATORS.keys()))
def test_estimators_keep_the_contract(name, check):
    case = ESTIMATORS[name]
    check(partial(build, FOUND[name], case), case)


@pytest.mark.parametrize("check", CHECKS, ids=lambda check: check.__name__)
def test_a_sound_estimator_passes(check):
    check(Sound, EstimatorCase())


@pytest.mark.parametrize(("kind", "check"), BROKEN, ids=lambda value: value.__name__)
def test_each_check_catches_a_broken_estimator(kind, check):
    with pytest.raises(AssertionError):
        check(kind, EstimatorCase())


def test_every_check_has_something_to_catch():
    assert {check for _, check in BROKEN} == set(CHECKS)
    assert broken_estimators.__doc__

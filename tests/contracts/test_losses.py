"""Every loss that the package walk finds keeps every promise; and each check catches who breaks its own."""

import pytest

from contracts.broken_losses import BROKEN, Sound
from contracts.cases import LOSSES, OTHER_CONTRACTS, LossCase
from contracts.discovery import losses
from contracts.losses import CHECKS

FOUND = {kind.__name__: kind for kind in losses()}


def test_every_loss_has_a_case_and_every_case_a_loss():
    assert sorted(FOUND) == sorted([*LOSSES, *OTHER_CONTRACTS]), "tests/contracts/cases.py names them all"


@pytest.mark.parametrize("check", CHECKS, ids=lambda check: check.__name__)
@pytest.mark.parametrize("name", sorted(FOUND.keys() & LOSSES.keys()))
def test_losses_keep_the_contract(name, check):
    case = LOSSES[name]
    check(lambda: FOUND[name](**case.settings, **case.make()), case)


@pytest.mark.parametrize("check", CHECKS, ids=lambda check: check.__name__)
def test_a_sound_loss_passes(check):
    check(Sound, LossCase())


@pytest.mark.parametrize(("kind", "check"), BROKEN, ids=lambda value: value.__name__)
def test_each_check_catches_a_broken_loss(kind, check):
    with pytest.raises(AssertionError):
        check(kind, LossCase())


def test_every_check_has_something_to_catch():
    assert {check for _, check in BROKEN} == set(CHECKS)

"""Every geometry of vectors, and nothing less, offers what the protocol names."""

import inspect

import pytest

from spaceform import geometry
from spaceform.geometry.protocol import Geometry

METHODS = {name: value for name, value in vars(Geometry).items() if inspect.isfunction(value) and name[0] != "_"}


@pytest.mark.parametrize("name", ["Euclidean", "Sphere", "PoincareBall"])
def test_signatures_are_those_of_the_protocol(name):
    made = getattr(geometry, name)
    for method, wanted in METHODS.items():
        assert list(inspect.signature(getattr(made, method)).parameters) == list(inspect.signature(wanted).parameters)


def test_the_protocol_has_all_that_the_laws_are_about():
    assert {"distance", "closeness", "project", "exp", "log", "mean", "check"} <= set(METHODS)

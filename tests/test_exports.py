"""What ``import spaceform`` offers is true, complete, lazy, and helps with a typo."""

import importlib
import subprocess
import sys

import pytest

import spaceform


@pytest.mark.parametrize("name", spaceform.__all__)
def test_every_exported_name_resolves(name):
    assert getattr(spaceform, name) is not None


def test_dir_and_all_are_one_list_without_repeats():
    assert dir(spaceform) == sorted(spaceform.__all__)
    assert len(set(spaceform.__all__)) == len(spaceform.__all__)


def test_star_import_gives_exactly_the_exports():
    namespace = {}
    exec("from spaceform import *", namespace)  # the one way to see what a star import does
    assert set(namespace) - {"__builtins__"} == set(spaceform.__all__)


def test_classes_of_papers_are_the_ones_of_their_modules():
    for name, place in spaceform._classes().items():
        assert getattr(spaceform, name) is getattr(importlib.import_module(place), name)


def test_a_package_is_never_shadowed_by_a_verb():
    assert not set(spaceform._packages()) & set(spaceform._verbs())


def test_an_unknown_name_is_refused_with_the_nearest():
    with pytest.raises(AttributeError, match=r"no attribute 'metrcs'; near: .*metrics"):
        spaceform.metrcs  # noqa: B018  # the access is what raises


def test_private_names_are_refused_without_reading_the_catalogue():
    with pytest.raises(AttributeError, match="no attribute '_private'"):
        spaceform._private  # noqa: B018  # the access is what raises


def test_listing_the_exports_loads_nothing_heavy():
    probe = "import spaceform, sys; dir(spaceform); print([n for n in ('torch', 'sklearn') if n in sys.modules])"
    done = subprocess.run([sys.executable, "-c", probe], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"

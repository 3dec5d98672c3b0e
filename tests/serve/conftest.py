"""The small Space on disk, and served in memory."""

import pytest

from serve.small import make_space
from spaceform.serve.limits import Limits
from spaceform.serve.served import Served


@pytest.fixture(scope="package")
def folder(tmp_path_factory):
    return make_space().save(tmp_path_factory.mktemp("served") / "space")


@pytest.fixture(scope="package")
def served(folder):
    found = Served(folder, limits=Limits(max_k=30, max_depth=5, max_body=64_000, max_pixels=10_000))
    found.draw_map().join()
    return found

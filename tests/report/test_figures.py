"""The house style changes nothing outside its block, and files are written whole."""

import pytest

from spaceform.errors import MissingExtraError
from spaceform.report.figures import PALETTE, VERDICT_COLOURS, figure, write


def test_global_style_is_left_alone():
    import matplotlib as mpl

    before = dict(mpl.rcParams)
    with figure(2, 2):
        assert mpl.rcParams["axes.spines.top"] is False
    assert dict(mpl.rcParams) == before


def test_a_failed_write_leaves_the_old_file(tmp_path):
    path = tmp_path / "a.png"
    path.write_bytes(b"old")
    with figure(1, 1) as drawn, pytest.raises(ValueError, match="supported"):
        write(drawn, tmp_path / "a.nonsense")
    assert path.read_bytes() == b"old"
    assert len(list(tmp_path.iterdir())) == 1


def test_colours_are_distinct():
    assert len(set(PALETTE)) == len(PALETTE) == 12
    assert set(VERDICT_COLOURS) == {"reproduced", "weaker", "not reproduced", "contradicted"}


def test_without_matplotlib_the_extra_is_named(monkeypatch):
    import sys

    monkeypatch.setitem(sys.modules, "matplotlib", None)
    with pytest.raises(MissingExtraError, match=r"spaceform\[report\]"), figure(1, 1):
        pass

"""The package index of Debian, from a small file of the archive's format."""

import pytest

from spaceform.data import debian
from spaceform.data.debian import load_debian, names, tags
from spaceform.errors import DataUnavailableError, InputError

PACKAGES = """Package: a-game
Version: 1
Installed-Size: 20
Maintainer: Games <g@x>
Architecture: all
Depends: libc6 (>= 2.3), b | c
Description: a game about: things
 The long text,
 on two lines.
Tag: game::strategy, role::program,
 use::{edit,view}
Section: non-free/games
Priority: optional
Size: 789

Package: b
Description: a library
Architecture: amd64
Section: libs

Package: b
Description: a newer library
Section: libs
"""


def test_fields_become_attributes(tmp_path, monkeypatch):
    monkeypatch.setenv("SPACEFORM_CACHE", str(tmp_path / "cache"))
    (tmp_path / "Packages").write_text(PACKAGES)
    found = load_debian(tmp_path)
    assert found.X.tolist() == ["a-game: a game about: things", "b: a newer library"]
    assert [found.classes[label] for label in found.y] == ["games", "libs"]
    assert found.attributes["tags"] == [("game::strategy", "role::program", "use::edit", "use::view"), ()]
    assert found.attributes["depends"] == [("libc6", "b"), ()]
    assert found.attributes["size"].tolist() == [789, -1]
    assert found.attributes["n_depends"].tolist() == [2, 0]
    assert len(load_debian(tmp_path / "Packages")) == 2


def test_what_is_no_index_is_refused(tmp_path, monkeypatch):
    monkeypatch.setenv("SPACEFORM_CACHE", str(tmp_path / "cache"))
    (tmp_path / "Packages").write_text("nothing here")
    with pytest.raises(InputError, match="no packages"):
        load_debian(tmp_path)
    with pytest.raises(InputError, match="Packages file"):
        load_debian(tmp_path / "no")
    monkeypatch.setattr(debian.shutil, "which", lambda name: None)
    with pytest.raises(DataUnavailableError, match="apt-cache"):
        load_debian()


def test_fields_of_lists():
    assert names("a (>= 1) | b, c:any, a") == ("a", "c")
    assert tags("a::{b,c}, d::e,, ") == ("a::b", "a::c", "d::e")

"""Fragments become a release; what is no fragment is refused by name."""

import pytest

import changelog


@pytest.fixture
def folder(tmp_path):
    """Return a folder with two fragments, and a changelog beside it."""
    made = tmp_path / "changelog.d"
    made.mkdir()
    (made / "loki.added.md").write_text("Loki predicts\nunseen labels.\n")
    (made / "space.fixed.md").write_text("A cut Space is refused.\n")
    (tmp_path / "CHANGELOG.md").write_text(f"# Changelog\n\n{changelog.MARK}\n## 0.1.0 (2026-01-01)\n")
    return made


def test_the_fragments_of_this_repository_are_sound():
    found = changelog.fragments(changelog.FOLDER)
    assert set(found) == set(changelog.KINDS)
    assert changelog.preview().startswith("# Changelog")


def test_a_release_stands_above_the_older_ones_and_uses_up_its_fragments(folder):
    target = folder.parent / "CHANGELOG.md"
    changelog.assemble("0.2.0", "2027-01-31", folder=folder, changelog=target)
    assert target.read_text() == (
        f"# Changelog\n\n{changelog.MARK}\n## 0.2.0 (2027-01-31)\n\n### Added\n\n- Loki predicts unseen labels.\n\n"
        "### Fixed\n\n- A cut Space is refused.\n\n## 0.1.0 (2026-01-01)\n"
    )
    assert list(folder.iterdir()) == []
    with pytest.raises(ValueError, match="nothing to release"):
        changelog.assemble("0.3.0", "2027-02-01", folder=folder, changelog=target)


@pytest.mark.parametrize(("version", "date"), [("0.2", "2027-01-31"), ("0.2.0", "31.1.2027")])
def test_odd_versions_and_dates_are_refused(folder, version, date):
    with pytest.raises(ValueError, match="expected a version"):
        changelog.assemble(version, date, folder=folder, changelog=folder.parent / "CHANGELOG.md")
    assert len(list(folder.iterdir())) == 2


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("loki.md", "A text."),
        ("loki.new.md", "A text."),
        ("loki.fixed.md", "no full stop"),
        ("loki.fixed.md", ""),
        ("loki.fixed.md", "a\nb\nc\nd."),
    ],
)
def test_what_is_no_fragment_is_refused_by_name(tmp_path, name, text):
    (tmp_path / name).write_text(text)
    with pytest.raises(ValueError, match=name):
        changelog.fragments(tmp_path)

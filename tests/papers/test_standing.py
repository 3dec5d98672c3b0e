"""Status: read from what exists and from result files, tolerant of more keys, never of nonsense."""

import json
import subprocess
import sys

import pytest

from spaceform.errors import InputError
from spaceform.papers import all_papers, claim_hash, read_outcome, standing, status


def write(folder, slug="loki", **changes):
    entries = {
        "slug": slug,
        "scale": "laptop",
        "claim_hash": claim_hash(slug),
        "verdict": "reproduced",
        "comparisons": [
            {"name": "a", "kind": "mechanism", "verdict": "reproduced", "difference": 1, "low": 0, "high": 2}
        ],
        "finished": True,
        "something new": [1, 2, 3],
    } | changes
    entries = {key: value for key, value in entries.items() if value is not ...}
    (folder / f"{slug}.json").write_text(json.dumps(entries))
    return folder


@pytest.fixture
def package(tmp_path, monkeypatch):
    """A package folder in place of ours, and the way to put modules into it."""
    root = tmp_path / "package"
    root.mkdir()

    class Spec:
        submodule_search_locations = (str(root),)

    monkeypatch.setattr(standing, "find_spec", lambda name: Spec)

    def add(path):
        target = root / path
        target.parent.mkdir(parents=True, exist_ok=True)
        for parent in (target.parent, *target.parent.parents):
            if parent == root:
                break
            (parent / "__init__.py").touch()
        target.write_text("raise RuntimeError('must not be imported')\n")

    return add


def test_a_paper_without_anything_is_planned(package):
    assert status("loki") == standing.Status(slug="loki", method=False, claim=False)
    assert status("loki").summary == "planned"


def test_modules_are_seen_and_not_imported(package):
    package("methods/transfer/loki.py")
    assert status("loki").summary == "no claim yet"
    package("claims/transfer/loki.py")
    found = status("loki")
    assert (found.method, found.claim, found.summary) == (True, True, "not run")


def test_slugs_become_module_names(package):
    package("methods/class_discovery/tabular_ncd.py")
    assert status("tabular-ncd").method
    assert not status("hypcd").method


def test_a_method_under_another_purpose_does_not_count(package):
    package("methods/text/loki.py")
    assert not status("loki").method


def test_tests_are_looked_for_where_they_mirror_the_package(package, tmp_path):
    assert status("loki").tests is None
    assert status("loki", tests_dir=tmp_path).tests is False
    (tmp_path / "methods/transfer").mkdir(parents=True)
    (tmp_path / "methods/transfer/test_loki.py").touch()
    assert status("loki", tests_dir=str(tmp_path)).tests is True


def test_the_verdict_of_a_finished_run(package, tmp_path):
    found = status("loki", results_dir=write(tmp_path))
    assert (found.verdict, found.scale, found.unfinished, found.stale) == ("reproduced", "laptop", False, False)
    assert found.summary == "reproduced"


def test_no_result_and_no_folder_mean_not_run(tmp_path):
    assert status("loki", results_dir=tmp_path).verdict is None
    assert status("loki", results_dir=tmp_path / "none").verdict is None
    assert not status("loki", results_dir=tmp_path).stale


def test_a_result_for_another_claim_is_stale(package, tmp_path):
    found = status("loki", results_dir=write(tmp_path, claim_hash="0" * 16, scale="smoke"))
    assert found.stale
    assert found.summary == "reproduced (smoke, claim changed since)"
    assert status("loki", results_dir=write(tmp_path, claim_hash=...)).stale


def test_a_run_that_was_not_ended_has_no_verdict(package, tmp_path):
    found = status("loki", results_dir=write(tmp_path, finished=False))
    assert (found.verdict, found.unfinished, found.summary) == (None, True, "unfinished")
    assert status("loki", results_dir=write(tmp_path, finished=False, verdict=None)).unfinished


def test_absent_keys_are_forgiven(tmp_path):
    (tmp_path / "loki.json").write_text('{"verdict": "weaker"}')
    outcome = read_outcome("loki", tmp_path)
    assert (outcome.verdict, outcome.finished, outcome.comparisons, outcome.claim_hash) == ("weaker", True, (), "")


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("{", "expected a JSON document"),
        ("", "expected a JSON document"),
        ("[1]", "got a list, expected a JSON object"),
        ('{"slug": "prd"}', "slug: got 'prd', expected 'loki'"),
        ('{"slug": 5}', "slug: got 5"),
        ('{"verdict": 1}', "verdict: got 1, expected a str"),
        ('{"finished": "yes"}', "finished: got 'yes', expected a bool"),
        ('{"comparisons": {}}', "comparisons: got {}, expected a list"),
        ('{"comparisons": [3]}', "comparisons: got 3"),
        ('{"comparisons": [{"kind": "x"}]}', "expected an object with a name"),
        ('{"claim_hash": []}', "claim_hash: got"),
    ],
)
def test_nonsense_is_refused_by_file_and_key(tmp_path, text, message):
    (tmp_path / "loki.json").write_text(text)
    with pytest.raises(InputError, match=message) as caught:
        status("loki", results_dir=tmp_path)
    assert str(tmp_path / "loki.json") in str(caught.value)
    assert "run the claim again" in str(caught.value)


def test_bytes_that_are_no_text_are_refused(tmp_path):
    (tmp_path / "loki.json").write_bytes(b"\xff\xfe\x00")
    with pytest.raises(InputError, match="expected a JSON document"):
        read_outcome("loki", tmp_path)


def test_an_unknown_slug_is_refused(tmp_path):
    with pytest.raises(InputError, match="slug"):
        status("nonesuch", results_dir=tmp_path)


def test_the_status_of_all_papers_loads_neither_torch_nor_scikit_learn():
    code = (
        "import sys; from spaceform import papers; [papers.status(p.slug) for p in papers.all_papers()];"
        "print([name for name in ('torch', 'sklearn', 'scipy', 'numpy') if name in sys.modules])"
    )
    printed = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout
    assert printed.strip() == "[]"


def test_every_shipped_paper_has_a_status():
    assert {status(paper.slug).slug for paper in all_papers()} == {paper.slug for paper in all_papers()}

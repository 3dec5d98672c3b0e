"""Papers, methods, claims, tests and results belong together: none of them without the others."""

import importlib
import inspect
import json
from pathlib import Path

import pytest

import spaceform
from spaceform import papers

PACKAGE = Path(spaceform.__file__).parent
ROOT = PACKAGE.parents[1]
PAPERS = {paper.slug: paper for paper in papers.all_papers()}
BUILT = sorted(slug for slug, paper in PAPERS.items() if spaceform._method_file(paper).is_file())


@pytest.mark.parametrize("slug", BUILT)
def test_a_method_offers_the_classes_of_its_record(slug):
    paper = PAPERS[slug]
    module = importlib.import_module(f"spaceform.methods.{paper.purpose}.{paper.module}")
    for name in paper.classes:
        assert inspect.isclass(getattr(module, name, None)), f"{module.__name__} has no class {name}"
        assert getattr(spaceform, name) is getattr(module, name)
    assert module.__doc__


@pytest.mark.parametrize("slug", BUILT)
def test_a_method_has_its_claim_and_its_tests(slug):
    paper = PAPERS[slug]
    assert (PACKAGE / "claims" / paper.purpose / f"{paper.module}.py").is_file(), "a method without a claim"
    assert list((ROOT / "tests" / "methods").rglob(f"test_{paper.module}.py")), "a method without tests"


def test_no_method_without_a_paper():
    places = {f"{paper.purpose}/{paper.module}" for paper in PAPERS.values()}
    methods = {f"{path.parent.name}/{path.stem}" for path in (PACKAGE / "methods").glob("*/*.py")}
    assert {place for place in methods if not place.endswith("__init__")} <= places


@pytest.mark.parametrize("path", sorted((ROOT / "results").glob("*.json")), ids=lambda path: path.name)
def test_results_belong_to_the_record_as_it_is(path):
    result = json.loads(path.read_text())
    assert path.name.split(".")[0] == result["slug"]
    assert result["claim_hash"] == papers.claim_hash(result["slug"]), "the record changed: run the claim again"
    assert result["finished"]
    if result["scale"] == "laptop":
        assert set(result["seeds"]) >= set(PAPERS[result["slug"]].claim.seeds), "seeds of the record are missing"
    asked = {comparison.name for comparison in PAPERS[result["slug"]].claim.comparisons}
    assert {comparison["name"] for comparison in result["comparisons"]} == asked

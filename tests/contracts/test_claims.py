"""Every claim keeps the contract, and its mechanism holds at smoke scale; each check catches who breaks it."""

import math
from dataclasses import replace
from pathlib import Path
from types import ModuleType

import pytest
import torch

from contracts import claims as contract
from contracts.discovery import claims
from spaceform import papers
from spaceform.claims import runner
from spaceform.papers.records import Comparison

ROOT = Path(__file__).resolve().parents[2]
CLAIMS = {module.SLUG: module for module in claims()}


def has_own_smoke_test(slug):
    """Return whether the claim's own tests run it at smoke scale and call its mechanism; then once is enough."""
    purpose, module = CLAIMS[slug].__name__.split(".")[-2:]
    path = ROOT / "tests" / "claims" / purpose / f"test_{module}.py"
    text = path.read_text(encoding="utf-8") if path.is_file() else ""
    return 'scale="smoke"' in text and "mechanism(" in text


ON_SMOKE = [slug for slug in sorted(CLAIMS) if not has_own_smoke_test(slug)]


@pytest.mark.parametrize("slug", sorted(CLAIMS))
def test_claims_keep_the_contract(slug):
    module, paper = CLAIMS[slug], papers.load(slug)
    contract.check_constants(module, paper)
    contract.check_interface(module)
    contract.check_comparisons(module, paper)


@pytest.mark.parametrize("slug", ON_SMOKE)
def test_the_mechanism_holds_at_smoke_scale(slug):
    before = torch.get_rng_state()
    record = runner.reproduce(slug, scale="smoke")
    contract.check_figures(CLAIMS[slug], papers.load(slug), record.figures())
    CLAIMS[slug].mechanism(record)
    assert len(record.comparisons) == len(papers.load(slug).claim.comparisons)
    assert torch.equal(torch.get_rng_state(), before), "the claim used the global generator"


def comparison(**changes):
    settings = {"name": "a beats b", "kind": "mechanism", "test": "superior", "metric": "accuracy", "direction": "up"}
    settings |= {"method": "a", "baseline": "b", "margin": 0.0, "role": "baseline"}
    return Comparison(**{**settings, **changes})


def sound_claim():
    """Return a claim that keeps the contract, with its paper."""
    module = ModuleType("spaceform.claims.metric_learning.facenet", "A claim.")
    module.SLUG = "facenet"
    module.ARMS = {"a": "the method", "b": "the baseline"}
    module.SETTINGS = {scale: {"steps": 2} for scale in ("smoke", "laptop", "paper")}

    def run(arm, seed, settings, context):
        """Run."""

    def mechanism(record):
        """Assert."""

    module.run, module.mechanism = run, mechanism
    paper = papers.load("facenet")
    asked = (comparison(), comparison(name="without the idea", role="ablation"))
    return module, replace(paper, claim=replace(paper.claim, comparisons=asked))


FIGURES = {"a": {0: {"accuracy": 0.9}}, "b": {0: {"accuracy": 0.8}}}


def test_a_sound_claim_passes():
    module, paper = sound_claim()
    contract.check_constants(module, paper)
    contract.check_interface(module)
    contract.check_comparisons(module, paper)
    contract.check_figures(module, paper, FIGURES)


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("SLUG", "loki"),
        ("__name__", "spaceform.claims.face_net"),
        ("ARMS", {"a": "the method"}),
        ("ARMS", {"a": "the method", "b": ""}),
        ("SETTINGS", {"smoke": {}, "laptop": {}}),
        ("SETTINGS", {scale: {"n": (1, 2)} for scale in ("smoke", "laptop", "paper")}),
    ],
)
def test_broken_constants_are_caught(name, value):
    module, paper = sound_claim()
    setattr(module, name, value)
    with pytest.raises(AssertionError):
        contract.check_constants(module, paper)


@pytest.mark.parametrize(
    ("name", "value"), [("run", lambda arm, seed: {}), ("mechanism", lambda: None), ("__doc__", "")]
)
def test_broken_interfaces_are_caught(name, value):
    module, _ = sound_claim()
    setattr(module, name, value)
    with pytest.raises(AssertionError):
        contract.check_interface(module)


@pytest.mark.parametrize(
    "asked",
    [
        (),
        (comparison(), comparison(name="2", role="ablation", baseline="c")),
        (comparison(baseline="a", baseline_metric="other"), comparison(name="2", role="control", baseline="a")),
        (comparison(), comparison(name="2")),
        (comparison(role="ablation"), comparison(name="2", role="control")),
        (comparison(kind="accuracy"), comparison(name="2", kind="accuracy", role="ablation")),
    ],
)
def test_broken_comparisons_are_caught(asked):
    module, paper = sound_claim()
    with pytest.raises(AssertionError):
        contract.check_comparisons(module, replace(paper, claim=replace(paper.claim, comparisons=asked)))


@pytest.mark.parametrize("values", [{"other": 0.5}, {"accuracy": math.nan}, {"accuracy": "0.5"}])
def test_broken_figures_are_caught(values):
    module, paper = sound_claim()
    with pytest.raises(AssertionError):
        contract.check_figures(module, paper, {**FIGURES, "b": {0: values}})

"""The contract of a claim: the constants, the arms of the comparisons, and a smoke run whose mechanism holds."""

from __future__ import annotations

import inspect
import json
import math
from types import ModuleType

from spaceform.papers import Paper

SCALES = {"smoke", "laptop", "paper"}


def check_constants(module: ModuleType, paper: Paper) -> None:
    """Slug, arms and the settings of three scales are there, and plain."""
    assert paper.slug == module.SLUG, f"SLUG is {module.SLUG!r}"
    assert module.__name__.rpartition(".")[2] == paper.module, f"the file is {module.__name__}"
    assert len(module.ARMS) >= 2, "one arm compares with nothing"
    assert all(isinstance(text, str) and text.strip() for text in module.ARMS.values()), "an arm without a description"
    assert set(module.SETTINGS) == SCALES, f"SETTINGS for {sorted(module.SETTINGS)}"
    for scale, settings in module.SETTINGS.items():
        assert json.loads(json.dumps(settings)) == dict(settings), f"settings of {scale} are not plain JSON"


def check_interface(module: ModuleType) -> None:
    """``run(arm, seed, settings, context)`` and ``mechanism(record)``, both documented."""
    assert list(inspect.signature(module.run).parameters) == ["arm", "seed", "settings", "context"]
    assert len(inspect.signature(module.mechanism).parameters) == 1
    for part in (module, module.run, module.mechanism):
        assert part.__doc__, f"{part.__name__} has no docstring"


def check_comparisons(module: ModuleType, paper: Paper) -> None:
    """The record compares arms that exist, leaves none out, and asks about mechanism, baseline and removal of the idea.

    An arm that no comparison uses would cost time and show nothing; a gain that survives the removal of the idea
    (ablation) or appears where it can't (control) is none.
    """
    comparisons = paper.claim.comparisons
    assert comparisons, "the record fixes no comparison"
    used = {arm for one in comparisons for arm in (one.method, one.baseline)}
    assert used <= set(module.ARMS), f"comparisons of arms that are not there: {sorted(used - set(module.ARMS))}"
    assert set(module.ARMS) <= used, f"arms that no comparison uses: {sorted(set(module.ARMS) - used)}"
    roles = {one.role for one in comparisons}
    assert "baseline" in roles, "no comparison with a baseline"
    assert roles & {"ablation", "control"}, "no comparison with the idea removed"
    assert any(one.kind == "mechanism" for one in comparisons), "no comparison of the mechanism"


def check_figures(module: ModuleType, paper: Paper, figures: dict[str, dict[int, dict[str, float]]]) -> None:
    """Every arm gives finite numbers for every seed, and those that the comparisons ask for."""
    for arm in module.ARMS:
        for seed, values in figures[arm].items():
            bad = [name for name, value in values.items() if not isinstance(value, float) or not math.isfinite(value)]
            assert not bad, f"{arm}, seed {seed}: no finite number for {bad}"
    for one in paper.claim.comparisons:
        for arm, metric in ((one.method, one.metric), (one.baseline, one.baseline_metric or one.metric)):
            missing = [seed for seed, values in figures[arm].items() if metric not in values]
            assert not missing, f"{one.name}: {arm} gives no {metric}"

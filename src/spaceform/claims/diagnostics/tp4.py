"""The claim of Tensor Programs IV: in the limit of great width muP learns features and kernels do not."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from spaceform.claims.context import Context
from spaceform.claims.diagnostics.tp4_few_shot import load_letters, run_few_shot
from spaceform.claims.diagnostics.tp4_widths import feature_slope, transfer
from spaceform.claims.diagnostics.tp4_words import run_words
from spaceform.claims.record import Record

SLUG = "tp4"

ARMS = {
    "limit": "few-shot learner of infinite width under muP, computed exactly",
    "width_512": "the same learner with 512 hidden units; muP in the checks of widths",
    "width_128": "with 128 units",
    "width_32": "with 32 units",
    "width_8": "with 8 units",
    "width_2": "with 2 units",
    "ntk": "512 units under NTK scaling, rates tuned on validation letters",
    "standard": "512 units under standard scaling at rate / width, rates tuned; in the checks of widths at one rate",
    "frozen": "infinite width, the first layer frozen, all else equal (ablation)",
    "linear_kernel": "infinite width, the first layer frozen, rates tuned: the kernel limit of this network",
    "relu_kernel": "random rectified features of a kernel limit, rates tuned",
    "pixels": "the nearest support, pixel by pixel",
    "words_limit": "Word2Vec of infinite width under muP",
    "words_64": "Word2Vec of width 64",
    "words_kernel": "Word2Vec whose input vectors do not move: the kernel limit",
}

_TABLES = {
    "words_limit": {"width": None},
    "words_64": {"width": 64},
    "words_kernel": {"width": 64, "moving": False},
}
_NETS = {
    "limit": {},
    "width_512": {"width": 512},
    "width_128": {"width": 128},
    "width_32": {"width": 32},
    "width_8": {"width": 8},
    "width_2": {"width": 2},
    "ntk": {"width": 512, "scaling": "ntk", "inner_rate": 0.1, "meta_rate": 0.02},
    "standard": {"width": 512, "scaling": "standard", "inner_rate": 0.1, "meta_rate": 0.02},
    "frozen": {"scaling": "frozen"},
    "linear_kernel": {"scaling": "frozen", "inner_rate": 0.1, "meta_rate": 0.02},
    "relu_kernel": {"scaling": "frozen", "inner_rate": 0.1, "meta_rate": 0.02},
}

SETTINGS = {
    "smoke": {
        "data": "drawn",
        "split": "test",
        "steps": 100,
        "tasks": 128,
        "features": 64,
        "nets": _NETS | {arm: {"width": 64, "scaling": arm} for arm in ("ntk", "standard")},
        "check_widths": [32, 256],
        "transfer_widths": [16, 128],
        "transfer_steps": 10,
        "named_letters": 10,
        "rates": [-9, -4],
        "text": "drawn",
        "every": 1,
        "words": {"min_count": 5, "window": 5, "negative": 5, "learning_rate": 0.2, "epochs": 2},
        "tables": _TABLES,
    },
    "laptop": {
        "data": "letters",
        "split": "test",
        "steps": 500,
        "tasks": 800,
        "features": 512,
        "nets": _NETS,
        "check_widths": [64, 256, 1024],
        "transfer_widths": [32, 512],
        "transfer_steps": 40,
        "named_letters": 50,
        "rates": [-10, -3],
        "text": "glosses",
        "every": 4,
        "words": {"vocab_size": 600, "negative": 10, "subsample": 1e-3, "learning_rate": 0.4, "epochs": 1},
        "tables": _TABLES,
    },
    "paper": {
        "data": "omniglot",
        "split": "test",
        "steps": 10_000,
        "tasks": 1280,
        "features": 4096,
        "nets": _NETS
        | {
            "width_128": {"width": 128, "sigma_v": 0.125},
            "width_32": {"width": 32, "sigma_v": 0.125, "bias_alpha": 0.5, "meta_rate": 0.4},
            "width_8": {"width": 8, "sigma_u": 0.5, "sigma_v": 0.25},
            "width_2": {"width": 2, "sigma_u": 0.5, "sigma_v": 0.5, "bias_alpha": 2.0, "meta_rate": 0.05},
        },
        "check_widths": [64, 256, 1024, 4096],
        "transfer_widths": [128, 2048],
        "transfer_steps": 500,
        "named_letters": 500,
        "rates": [-14, -5],
        "text": "text8",
        "every": 1,
        "words": {
            "vocab_size": 20_000,
            "window": 8,
            "negative": 25,
            "subsample": 1e-4,
            "weight_decay": 1e-3,
            "learning_rate": 0.05,
            "epochs": 15,
        },
        "tables": _TABLES,
    },
}

SCALINGS = {"width_512": "mup", "ntk": "ntk", "standard": "standard"}
ADAPTIVE = ("width_512", "standard")
"""Scalings with a rule for Adam, whose learning rates are tried on two widths."""


def run(arm: str, seed: int, settings: Mapping[str, Any], context: Context) -> dict[str, float]:
    """Return accuracy and movement of a few-shot learner, slope and regret of a scaling, or agreement of words."""
    if arm.startswith("words"):
        return run_words(arm, seed, settings, context)
    figures = run_few_shot(arm, seed, settings, context)
    if arm in SCALINGS:
        letters = context.shared("letters", lambda: load_letters(settings, seed, context))
        figures["slope"] = feature_slope(letters, SCALINGS[arm], settings, seed)
    if arm in ADAPTIVE:
        found = transfer(letters, SCALINGS[arm], settings, seed)
        figures |= {"regret": found.regret, "rate_drift": abs(found.drift), "loss": float(found.losses[-1].min())}
        for width, losses in zip(found.widths, found.losses, strict=True):
            context.curve(arm, f"loss by learning rate, width {width}", found.rates, losses.tolist())
    return figures


def mechanism(record: Record) -> None:
    """Assert that features move in muP, at any width, and that they do not in kernel scalings."""
    mean = {
        arm: {name: float(np.mean([row[name] for row in seeds.values()])) for name in next(iter(seeds.values()))}
        for arm, seeds in record.figures().items()
    }
    slopes = {arm: round(mean[arm]["slope"], 2) for arm in SCALINGS}
    assert abs(slopes["width_512"]) <= 0.15, f"slopes: {slopes}"
    assert -0.7 <= slopes["ntk"] <= slopes["width_512"] - 0.1, f"slopes: {slopes}"
    assert slopes["standard"] >= slopes["width_512"] + 0.1, f"slopes: {slopes}"
    moved = {arm: round(mean[arm]["movement"], 3) for arm in ("limit", "width_512", "ntk", "standard", "frozen")}
    assert moved["frozen"] < 1e-6 < moved["ntk"] < 0.5 * moved["limit"], f"movement: {moved}"
    accuracy = {arm: round(figures["accuracy"], 3) for arm, figures in mean.items() if "accuracy" in figures}
    assert accuracy["limit"] > accuracy["frozen"] + 0.05, f"accuracy: {accuracy}"
    words = {arm: round(figures["agreement"], 3) for arm, figures in mean.items() if "agreement" in figures}
    assert words["words_limit"] > words["words_kernel"] + 0.05, f"words: {words}"

"""What to train: the method of a paper or a loss by name, with options of both as people type them."""

from __future__ import annotations

import difflib
import importlib.util
import inspect
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from spaceform import papers
from spaceform.encoders.learner import MetricLearner
from spaceform.encoders.named_loss import SUPPLIED, find_loss, loss_classes, make_loss
from spaceform.errors import InputError
from spaceform.training.optimizers import LEARNING_RATES
from spaceform.workflows.learning.trainables import accepts, find_trainable, parse_options, with_default

PRETRAINED = "transformers:"
PRETRAINED_RATE = 1e-4
"""Learning rate of a pretrained network: at the rate of a fresh one it would forget what it knows."""


CLASS_RATE = 1e-2
"""Learning rate of class vectors, whatever that of the network: as Proxy Anchor sets it (Kim and others, CVPR 2020)."""


def training_options(
    *, devices: int = 1, patience: int = 10, looks: int = 20, baseline: bool = True, target: str | None = None
) -> dict[str, Any]:
    """Return how an encoder is trained, besides the options of its class.

    ``devices``: processes that share a batch. ``looks``: how often in all steps retrieval on held-out rows is looked
    at, and ``patience``: how many looks without a better one end training; the rate rises over the first third of the
    steps, where retrieval may fall for a while. ``baseline``: train the linear softmax too. ``target``, for methods
    that cross domains: ``COLUMN=VALUE`` of the rows of the target domain; all others are of the source.
    """
    return {"devices": devices, "patience": patience, "looks": looks, "baseline": baseline, "target": target}


@dataclass(frozen=True, kw_only=True)
class Choice:
    """The name for columns and records, the class, the arguments of its objects, and how it is trained."""

    slug: str
    cls: type
    arguments: Mapping[str, Any]
    training: Mapping[str, Any] = field(default_factory=training_options)


def choose(method: str, options: Mapping[str, Any], *, seed: int) -> Choice:
    """Return what ``method`` names, a paper (``slug`` or ``slug:Class``) or a loss, with its options read and checked.

    Options of a loss go to the loss, to the learner around it, or to :func:`training_options`. Raises ``InputError``
    for an unknown name, listing all, and for a wrong option, listing the right ones.
    """
    named = {name.replace("-", "_"): value for name, value in options.items()}
    plain = method.replace("-", "_").lower()
    if plain in loss_classes():
        return _choose_loss(plain, named, seed)
    try:
        slug, cls = find_trainable(method)
    except InputError as error:
        if error.argument == "slug":
            raise _unknown(method) from None
        raise
    trains = hasattr(cls, "encode")
    own = {
        name: value
        for name, value in named.items()
        if not trains or name not in inspect.signature(training_options).parameters
    }
    arguments = _seeded(cls, parse_options(cls, own), seed)
    rest = {name: value for name, value in named.items() if name not in own}
    return Choice(slug=slug, cls=cls, arguments=arguments, training=_training(rest))


def _choose_loss(name: str, options: Mapping[str, Any], seed: int) -> Choice:
    kind = find_loss(name)
    groups = {
        "of the loss": (kind, _known(kind, SUPPLIED)),
        "of the learner": (MetricLearner, _known(MetricLearner, ("loss", "loss_options", "random_state"))),
        "of training": (training_options, _known(training_options, ())),
    }
    for option in options:
        if not any(option in known for _, known in groups.values()):
            every = [one for _, known in groups.values() for one in known]
            near = difflib.get_close_matches(option, every, n=1)
            listed = "; ".join(
                f"{title}: {', '.join(map(with_default, known.values())) or 'none'}"
                for title, (_, known) in groups.items()
            )
            remedy = f"did you mean {near[0]}?" if near else ""
            raise InputError(option, got=f"an option of {name.replace('_', '-')}", expected=listed, remedy=remedy)
    own, learner, training = (
        {option: value for option, value in options.items() if option in known} for _, known in groups.values()
    )
    read = parse_options(kind, own)
    make_loss(name, read, n_classes=2, width=2, seed=0)  # a value out of range is refused before pictures are read
    arguments = _seeded(MetricLearner, parse_options(MetricLearner, learner), seed)
    if str(arguments.get("net", "")).startswith(PRETRAINED):
        arguments.setdefault("learning_rate", PRETRAINED_RATE)
    rate = arguments.get("learning_rate") or LEARNING_RATES["adam"]
    arguments.setdefault("loss_rate_factor", 1.0 if name == "linear_softmax" else max(1.0, CLASS_RATE / rate))
    return Choice(
        slug=name.replace("_", "-"),
        cls=MetricLearner,
        arguments=arguments | {"loss": name, "loss_options": read or None},
        training=_training(training),
    )


def _known(function: Any, left_out: tuple[str, ...]) -> dict[str, inspect.Parameter]:
    return {name: one for name, one in inspect.signature(function).parameters.items() if name not in left_out}


def _training(options: Mapping[str, Any]) -> dict[str, Any]:
    return training_options(**parse_options(training_options, options))


def _seeded(cls: type, arguments: dict[str, Any], seed: int) -> dict[str, Any]:
    if accepts(cls, "random_state"):
        arguments.setdefault("random_state", seed)
    return arguments


def _unknown(method: str) -> InputError:
    slugs, losses = _trainable_papers(), [name.replace("_", "-") for name in loss_classes()]
    near = difflib.get_close_matches(method.replace("_", "-").lower(), [*slugs, *losses], n=1)
    return InputError(
        "method",
        got=repr(method),
        expected=f"a paper ({', '.join(slugs)}) or a loss ({', '.join(losses)})",
        remedy=f"did you mean {near[0]}?" if near else "",
    )


def _trainable_papers() -> list[str]:
    found = []
    for paper in papers.all_papers():
        if importlib.util.find_spec(f"spaceform.methods.{paper.purpose}") is None:
            continue
        if importlib.util.find_spec(f"spaceform.methods.{paper.purpose}.{paper.module}") is None:
            continue
        try:
            found.append(find_trainable(paper.slug)[0])
        except InputError:  # its classes are parts, or fitted otherwise
            continue
    return found

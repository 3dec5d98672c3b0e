"""The contract of a loss: one function per promise, each raising ``AssertionError`` when it is broken."""

from __future__ import annotations

import inspect
from collections.abc import Callable
from typing import Any

import torch

from contracts.cases import LossCase
from spaceform.errors import InputError, NoPairsError

Make = Callable[[], torch.nn.Module]


def batch(seed: int = 0, *, classes: int = 4, rows: int = 4, width: int = 5) -> tuple[torch.Tensor, torch.Tensor]:
    """Return float64 embeddings ``(classes * rows, width)`` and their labels, shuffled; classes overlap."""
    generator = torch.Generator().manual_seed(seed)
    labels = torch.arange(classes).repeat(rows)
    centers = torch.randn(classes, width, generator=generator, dtype=torch.float64)
    noise = torch.randn(classes * rows, width, generator=generator, dtype=torch.float64)
    return centers[labels] + noise, labels


def check_signature(make: Make, case: LossCase) -> None:
    """``forward(embeddings, labels, *, reference=None, reference_labels=None)``, more only by name, with defaults."""
    parameters = list(inspect.signature(make().forward).parameters.values())
    assert [p.name for p in parameters[:2]] == ["embeddings", "labels"], "starts with embeddings, labels"
    for parameter in parameters[2:]:
        assert parameter.kind is inspect.Parameter.KEYWORD_ONLY, f"{parameter.name} can be given by position"
        assert parameter.default is None, f"the default of {parameter.name} is not None"
    names = {parameter.name for parameter in parameters}
    assert {"reference", "reference_labels"} <= names, "takes a reference set"
    settings = list(inspect.signature(type(make()).__init__).parameters.values())[1:]
    by_position = [p.name for p in settings if p.kind is not inspect.Parameter.KEYWORD_ONLY]
    assert not by_position, f"settings by position: {by_position}"


def check_scalar(make: Make, case: LossCase) -> None:
    """The value is one finite number in the type of the input, with a gradient, and the same twice."""
    embeddings, labels = batch()
    for dtype in (torch.float32, torch.float64):
        rows = embeddings.to(dtype).requires_grad_()
        value = make()(rows, labels)
        assert (value.shape, value.dtype) == ((), dtype), f"shape {tuple(value.shape)}, {value.dtype} for {dtype}"
        value.backward()
        assert rows.grad is not None, "no gradient"
        assert torch.isfinite(rows.grad).all(), "no finite gradient"
        assert rows.grad.abs().sum() > 0, "the gradient is zero"
        assert torch.equal(make()(rows, labels).detach(), value.detach()), "two calls differ"


def check_gradient(make: Make, case: LossCase) -> None:
    """The gradient is the derivative of the value (central differences in float64), in the reference too."""
    embeddings, labels = batch(1, classes=3, rows=2)
    loss = make()
    assert torch.autograd.gradcheck(lambda rows: loss(rows, labels), embeddings.requires_grad_(), raise_exception=False)
    if case.class_vectors:
        return
    others, other_labels = batch(2, classes=3, rows=2)
    whole = torch.autograd.gradcheck(
        lambda rows, kept: loss(rows, labels, reference=kept, reference_labels=other_labels),
        (embeddings, others.requires_grad_()),
        raise_exception=False,
    )
    assert whole, "wrong gradient with a reference"


def check_order_and_names(make: Make, case: LossCase) -> None:
    """Neither the order of the rows nor the numbers that stand for classes matter."""
    embeddings, labels = batch()
    value = make()(embeddings, labels)
    order = torch.randperm(len(labels), generator=torch.Generator().manual_seed(0))
    if not case.ordered:
        shuffled = make()(embeddings[order], labels[order])
        torch.testing.assert_close(shuffled, value, msg="depends on the order of the rows")
    if case.class_vectors:
        return
    renamed = torch.tensor([10, 3, 7, 5])[labels]
    torch.testing.assert_close(make()(embeddings, renamed), value, msg="depends on the numbers of the classes")


def check_direction(make: Make, case: LossCase) -> None:
    """Descent draws a class together relative to the others."""
    embeddings, labels = batch(3)
    loss, rows = make(), embeddings.clone().requires_grad_()
    before = spread(rows.detach(), labels)
    optimizer = torch.optim.SGD([rows], lr=0.5)
    for _ in range(30):
        optimizer.zero_grad()
        loss(rows, labels).backward()
        optimizer.step()
    after = spread(rows.detach(), labels)
    assert after < before, f"spread within over between rose from {before:.3f} to {after:.3f}"


def check_no_pairs(make: Make, case: LossCase) -> None:
    """A batch with nothing to compare raises ``NoPairsError`` instead of a quiet zero."""
    embeddings, labels = batch()
    if case.class_vectors:
        _refused(lambda: make()(embeddings, labels + 100), InputError, "a label out of range", "labels")
        return
    cases = {"every row its own class": torch.arange(len(labels)), "one class": torch.zeros_like(labels)}
    for what, alone in cases.items():
        _refused(lambda alone=alone: make()(embeddings, alone), NoPairsError, what)


def check_refusals(make: Make, case: LossCase) -> None:
    """NaN, labels of another length, and half a reference are refused by name."""
    embeddings, labels = batch()
    hole = embeddings.clone()
    hole[2, 1] = torch.nan
    _refused(lambda: make()(hole, labels), InputError, "NaN", "embeddings")
    _refused(lambda: make()(embeddings, labels[:-1]), InputError, "labels of another length", "labels")
    _refused(lambda: make()(embeddings[:, 0], labels), InputError, "one dimension", "embeddings")
    if case.class_vectors:
        second = {"reference": embeddings, "reference_labels": labels}
        _refused(lambda: make()(embeddings, labels, **second), InputError, "a second set", "reference")
        return
    _refused(lambda: make()(embeddings, labels, reference=embeddings), InputError, "no labels", "reference_labels")
    other = embeddings[:, :-1]
    _refused(
        lambda: make()(embeddings, labels, reference=other, reference_labels=labels), InputError, "width", "reference"
    )


def check_extremes(make: Make, case: LossCase) -> None:
    """Huge, tiny, equal and half-precision rows give a finite value and a finite gradient."""
    embeddings, labels = batch()
    equal = embeddings[:1].expand_as(embeddings)
    inputs = {
        "huge": embeddings * 1e6,
        "tiny": embeddings * 1e-6,
        "equal": equal,
        "half": embeddings.to(torch.bfloat16),
    }
    for what, values in inputs.items():
        rows = values.clone().requires_grad_()
        value = make()(rows, labels)
        value.backward()
        assert torch.isfinite(value), f"{what} rows give {float(value.detach())}"
        assert rows.grad is None or torch.isfinite(rows.grad).all(), f"{what} rows give an infinite gradient"


def check_input_untouched(make: Make, case: LossCase) -> None:
    """Neither embeddings nor labels are written to, and no global generator is used."""
    embeddings, labels = batch()
    rows, names, state = embeddings.clone(), labels.clone(), torch.get_rng_state()
    with torch.no_grad():
        make()(embeddings, labels)
    assert torch.equal(embeddings, rows), "the embeddings were written to"
    assert torch.equal(labels, names), "the labels were written to"
    assert torch.equal(torch.get_rng_state(), state), "the global generator was used"


def check_state(make: Make, case: LossCase) -> None:
    """What a loss learned is in its ``state_dict``: a copy that loads it says the same."""
    embeddings, labels = batch()
    first, second = make(), make()
    with torch.no_grad():
        for parameter in first.parameters():
            parameter.add_(0.1)
    second.load_state_dict(first.state_dict())
    torch.testing.assert_close(
        first(embeddings, labels), second(embeddings, labels), msg="state_dict is not everything"
    )


def spread(rows: torch.Tensor, labels: torch.Tensor) -> float:
    """Return the mean distance within classes over that between them, on unit vectors."""
    rows = torch.nn.functional.normalize(rows, dim=1)
    distances = torch.cdist(rows, rows)
    same = labels[:, None] == labels[None, :]
    apart = ~torch.eye(len(labels), dtype=torch.bool)
    return float(distances[same & apart].mean() / distances[~same].mean())


def _refused(work: Callable[[], Any], kind: type[Exception], what: str, argument: str = "") -> None:
    try:
        work()
    except kind as error:
        refusal: Exception = error
    except Exception as error:
        raise AssertionError(f"{what}: {type(error).__name__} instead of {kind.__name__}: {error}") from error
    else:
        raise AssertionError(f"{what} was not refused")
    named = getattr(refusal, "argument", "")
    assert not argument or named == argument, f"{what}: the error names {named!r}, not {argument!r}"


CHECKS = [value for name, value in sorted(globals().items()) if name.startswith("check_")]

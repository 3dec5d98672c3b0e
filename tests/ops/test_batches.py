"""Batches at the door of losses and miners."""

import pytest
import torch

from spaceform.errors import InputError
from spaceform.ops.batches import check_batch

X, Y = torch.tensor([[3.0, 4.0], [0.0, 2.0]]), torch.tensor([0, 1])


def test_rows_come_back_at_unit_length_or_as_they_are():
    unit, none = check_batch(X, Y, normalize=True)
    torch.testing.assert_close(unit, torch.tensor([[0.6, 0.8], [0.0, 1.0]]))
    assert none is None
    assert torch.equal(check_batch(X, Y, normalize=False)[0], X)


def test_half_precision_is_widened_and_the_reference_follows():
    rows, columns = check_batch(X.half(), Y, reference=X.double(), reference_labels=Y, normalize=False)
    assert (rows.dtype, columns.dtype) == (torch.float32, torch.float32)
    assert check_batch(X.double(), Y, normalize=False)[0].dtype == torch.float64


@pytest.mark.parametrize(
    ("argument", "given"),
    [
        ("embeddings", {"embeddings": X[0]}),
        ("embeddings", {"embeddings": X.long()}),
        ("embeddings", {"embeddings": X * torch.inf}),
        ("embeddings", {"embeddings": X * 0}),
        ("labels", {"labels": Y[:1]}),
        ("labels", {"labels": Y.float()}),
        ("reference_labels", {"reference": X}),
        ("reference", {"reference": X[:, :1], "reference_labels": Y}),
        ("reference_labels", {"reference": X, "reference_labels": Y[:1]}),
    ],
)
def test_what_does_not_fit_is_refused_by_name(argument, given):
    settings = {"embeddings": X, "labels": Y, **given}
    with pytest.raises(InputError) as refusal:
        check_batch(settings.pop("embeddings"), settings.pop("labels"), **settings, normalize=True)
    assert refusal.value.argument == argument

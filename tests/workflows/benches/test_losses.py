"""The benchmark runs and its rows say what they claim; nothing is timed in earnest here."""

import numpy as np
import pytest

from spaceform.encoders.named_loss import loss_classes
from spaceform.workflows.benches import losses
from spaceform.workflows.benching import loss_family


def test_rows_compare_ours_with_the_product(monkeypatch):
    monkeypatch.setattr(losses, "peers", lambda loss, batch, classes, width: {})
    rows = losses.run(batches=[80], losses=["circle", "semi-hard triplet"], repeats=1)
    assert [(row["loss"], row["class size"], row["method"]) for row in rows] == [
        (*case, method)
        for case in (("circle", 4), ("semi-hard triplet", 4), ("semi-hard triplet", 40))
        for method in ("spaceform", "product z z^T")
    ]
    for row in rows:
        assert row["ms"] > 0
        assert row["products"] == pytest.approx(1) or row["method"] == "spaceform"


@pytest.mark.parametrize("loss", loss_family.OURS)
def test_ours_and_the_peers_find_a_loss_on_the_same_batch(loss):
    embeddings, labels = losses._batch(80, 4)
    size = {"classes": 20, "width": losses.DIM}
    found = {}
    for name, step in {"ours": loss_family.ours(loss, **size), **loss_family.peers(loss, 80, **size)}.items():
        embeddings.grad = None
        value = step(embeddings, labels)
        value.backward()
        found[name] = value.item()
        assert found[name] > 0, name
        assert embeddings.grad.abs().sum() > 0, name
    assert loss_family.PML in found
    if loss not in {"semi-hard triplet", "batch-hard triplet", "proxy anchor", "normalized softmax"}:
        # the others draw nothing and average alike
        assert found["ours"] == pytest.approx(found[loss_family.PML], rel=1e-4)


def test_peers_are_not_asked_for_what_they_can_not_do():
    size = {"classes": 1024, "width": 128}
    assert loss_family.PML not in loss_family.peers("semi-hard triplet", 4096, **size)
    assert loss_family.PML not in loss_family.peers("NT-Xent", 1024, **size)
    assert loss_family.PML in loss_family.peers("circle", 4096, **size)


def test_the_family_is_made_of_losses_that_have_a_name():
    made = {type(make(4, 8)) for make in loss_family.OURS.values()}
    assert made <= set(loss_classes().values())


def test_the_product_has_the_gradient_of_two_products():
    embeddings, labels = losses._batch(24, 4)
    losses._product(embeddings, labels).backward()
    rows = embeddings.detach()
    assert ((rows @ rows.T + (rows @ rows.T).T) @ rows - embeddings.grad).abs().max() < 1e-4


def test_memory_is_read_from_a_process_of_its_own():
    held = np.ones((900, 1024, 1024), np.int8)  # 0.9 GB that are ours, not the child's
    found = losses._child("NT-Xent", 300, 4)
    assert 0 < found["before MB"] <= found["peak MB"] < held.nbytes / 1e6

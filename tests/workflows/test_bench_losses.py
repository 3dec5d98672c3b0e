"""The benchmark runs and its rows say what they claim; nothing is timed in earnest here."""

import pytest

from spaceform.workflows import bench_losses


def test_rows_compare_ours_with_the_product(monkeypatch):
    monkeypatch.setattr(bench_losses, "_peers", lambda batch: {})
    rows = bench_losses.run(batches=[80], repeats=1)
    assert [(row["class size"], row["method"]) for row in rows] == [
        (size, method) for size in (4, 40) for method in ("spaceform", "product z z^T")
    ]
    for row in rows:
        assert row["ms"] > 0
        assert row["products"] == pytest.approx(1) or row["method"] == "spaceform"


def test_peers_and_ours_find_a_loss_on_the_same_batch():
    embeddings, labels = bench_losses._batch(80, 4)
    for name, step in {"ours": bench_losses._ours(), **bench_losses._peers(80)}.items():
        embeddings.grad = None
        loss = step(embeddings, labels)
        loss.backward()
        assert loss.item() > 0, name
        assert embeddings.grad.abs().sum() > 0, name
    assert "pytorch-metric-learning" not in bench_losses._peers(4096)


def test_the_product_has_the_gradient_of_two_products():
    embeddings, labels = bench_losses._batch(24, 4)
    bench_losses._product(embeddings, labels).backward()
    rows = embeddings.detach()
    assert ((rows @ rows.T + (rows @ rows.T).T) @ rows - embeddings.grad).abs().max() < 1e-4


def test_memory_is_read_from_a_process_of_its_own():
    found = bench_losses._child(300, 4)
    assert 0 < found["before MB"] <= found["peak MB"]

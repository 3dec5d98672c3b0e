import pytest
import torch
from pytorch_metric_learning.miners import MultiSimilarityMiner

from oracles.batches import batch
from spaceform.errors import InputError, NoPairsError
from spaceform.miners import multi_similarity as module
from spaceform.miners.multi_similarity import multi_similarity


def as_sets(pairs):
    first, second, third, fourth = (part.tolist() for part in pairs)
    return set(zip(first, second, strict=True)), set(zip(third, fourth, strict=True))


@pytest.mark.parametrize("with_reference", [False, True])
@pytest.mark.parametrize("epsilon", [0.0, 0.1, 0.5])
def test_pairs_are_those_of_the_peer(epsilon, with_reference):
    data = batch(0, noise=0.7)
    second = {"reference": data.reference, "reference_labels": data.reference_labels} if with_reference else {}
    ours = multi_similarity(data.embeddings, data.labels, epsilon=epsilon, **second)
    theirs = MultiSimilarityMiner(epsilon)(data.embeddings, data.labels, *second.values())
    assert as_sets(ours) == as_sets(theirs)
    assert len(ours.positives) > 0
    assert len(ours.negatives) > 0


def test_blocks_do_not_matter(monkeypatch):
    data = batch(1)
    whole = multi_similarity(data.embeddings, data.labels)
    monkeypatch.setattr(module, "BLOCK", 60)
    for one, other in zip(multi_similarity(data.embeddings, data.labels), whole, strict=True):
        assert torch.equal(one, other)


def test_what_does_not_fit_is_refused():
    data = batch(2)
    with pytest.raises(NoPairsError):
        multi_similarity(data.embeddings, torch.arange(len(data.labels)))
    with pytest.raises(InputError, match="epsilon"):
        multi_similarity(data.embeddings, data.labels, epsilon=float("inf"))
    with pytest.raises(InputError, match="labels"):
        multi_similarity(data.embeddings, data.labels[1:])

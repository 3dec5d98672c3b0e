"""The loss of an episode: its parts against the losses alone, weights, names that are checked, every shape."""

import pytest
import torch

from spaceform.errors import InputError
from spaceform.losses.few_shot.episode import TERMS, EpisodeLoss
from spaceform.losses.few_shot.icnn import ICNNLoss
from spaceform.losses.few_shot.proto_triplet import ProtoTripletLoss


def episode(ways=4, shots=3, queries=5, width=6, seed=0):
    generator = torch.Generator().manual_seed(seed)
    centres = torch.randn(ways, 1, width, generator=generator, dtype=torch.float64)
    return tuple(
        centres + torch.randn(ways, size, width, generator=generator, dtype=torch.float64) for size in (shots, queries)
    )


def test_every_term_is_the_loss_of_that_name():
    support, query = episode()
    total, parts = EpisodeLoss(terms=TERMS)(support, query)
    ways, names = torch.arange(4), torch.arange(4).repeat_interleave(3)
    labels, asked, shown = ways.repeat_interleave(5), query.flatten(0, 1), support.flatten(0, 1)
    prototypes = support.mean(1)
    logits = -((asked[:, None] - prototypes[None]) ** 2).sum(2)
    together = torch.cat([shown, asked]), torch.cat([names, labels])
    expected = {
        "ce": torch.nn.functional.cross_entropy(logits, labels),
        "proto_triplet": ProtoTripletLoss()(asked, labels, reference=prototypes, reference_labels=ways),
        "icnn_support": ICNNLoss()(shown, names),
        "icnn_query": ICNNLoss()(asked, labels, reference=shown, reference_labels=names),
        "icnn_prototypes": ICNNLoss()(asked, labels, reference=prototypes, reference_labels=ways),
        "icnn_full": ICNNLoss(window=8)(*together),
    }
    for term, value in expected.items():
        assert parts[term] == pytest.approx(float(value), abs=1e-6), term
    assert float(total) == pytest.approx(sum(parts.values()) / len(TERMS))


def test_weights_and_temperature():
    support, query = episode()
    total, parts = EpisodeLoss(terms=("ce", "proto_triplet"), weights=(1 / 3, 2.0), temperature=4.0)(support, query)
    assert float(total) == pytest.approx(parts["ce"] / 3 + 2 * parts["proto_triplet"])
    halved = EpisodeLoss(terms=("ce",))(support / 2, query / 2)[1]["ce"]
    assert parts["ce"] == pytest.approx(halved)


@pytest.mark.parametrize(("ways", "shots", "queries"), [(3, 1, 1), (2, 2, 3), (5, 1, 15), (20, 1, 2)])
def test_small_and_one_shot_episodes_are_finite(ways, shots, queries):
    support, query = episode(ways, shots, queries)
    terms = [term for term in TERMS if ways > 2 or term != "icnn_prototypes"]
    support.requires_grad_()
    total, parts = EpisodeLoss(terms=terms)(support, query)
    total.backward()
    assert all(value == value and value >= 0 for value in parts.values())
    assert torch.isfinite(support.grad).all()


def test_one_shot_supports_have_no_own_class_neighbour_and_only_inter_acts():
    support, query = episode(shots=1)
    support.requires_grad_()
    found = EpisodeLoss(terms=("icnn_support",))(support, query)[0]
    alone = ICNNLoss(parts=("inter", "gamma"), empty="inter")(support[:, 0], torch.arange(4))
    (whole,), (inter,) = torch.autograd.grad(found, support), torch.autograd.grad(alone, support)
    assert torch.isfinite(whole).all()
    cosine = torch.nn.functional.cosine_similarity(whole.flatten(), inter.flatten(), dim=0)
    assert float(cosine) == pytest.approx(1)


def test_the_full_window_always_holds_a_foreign_row():
    support, query = episode()
    apart = torch.arange(4, dtype=torch.float64)[:, None, None] * 100
    whole = (support + apart).requires_grad_()
    EpisodeLoss(terms=("icnn_full",))(whole, query + apart)[0].backward()
    assert float(whole.grad.abs().max()) > 0


@pytest.mark.parametrize(
    ("options", "name"),
    [
        ({"terms": ("ce", "fullicn")}, "terms"),
        ({"terms": "ce"}, "terms"),
        ({"terms": ()}, "terms"),
        ({"terms": ("ce", "ce")}, "terms"),
        ({"weights": (1.0,)}, "weights"),
        ({"temperature": 0.0}, "temperature"),
        ({"margin": -1.0}, "margin"),
        ({"k": 0}, "k"),
    ],
)
def test_wrong_settings_are_refused(options, name):
    with pytest.raises(InputError, match=name):
        EpisodeLoss(**options)


def test_other_shapes_are_refused():
    support, query = episode()
    loss = EpisodeLoss()
    bad = {
        "one class": (support[:1], query[:1]),
        "other classes": (support, query[:3]),
        "another width": (support[..., :2], query),
        "no supports": (support[:, :0], query),
        "no queries": (support, query[:, :0]),
    }
    for first, second in bad.values():
        with pytest.raises(InputError, match="support"):
            loss(first, second)

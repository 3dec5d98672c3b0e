"""Losses by name: all that the library has, told what the data knows, with options that are checked."""

import pytest
import torch

from contracts.discovery import losses
from spaceform.encoders.learner import MetricLearner
from spaceform.encoders.named_loss import find_loss, loss_classes, make_loss, over_classes
from spaceform.errors import InputError
from spaceform.losses.combination import WeightedSum
from spaceform.losses.mixing.form_loss import FormLoss
from spaceform.losses.mixing.metrix_loss import MetrixLoss
from spaceform.losses.proxies import ProxyAnchorLoss
from spaceform.losses.triplet import TripletLoss


def test_every_loss_of_the_losses_folder_has_its_name():
    # no text says what a form is; Metrix has a learner of its own, which takes a loss by name
    classes = {kind for kind in losses() if kind.__name__.endswith("Loss")} - {FormLoss, MetrixLoss}
    assert set(loss_classes().values()) == classes
    assert {"triplet", "info_nce", "n_pair", "proxy_nca", "sup_con", "circle"} <= set(loss_classes())
    assert {"arbitrary_pair", "icnn", "proto_triplet", "margin"} <= set(loss_classes())


@pytest.mark.parametrize("name", sorted(loss_classes()))
def test_every_name_trains(name):
    X = torch.randn(24, 5, generator=torch.Generator().manual_seed(0)).numpy()
    learner = MetricLearner(loss=name, embedding_dim=4, classes_per_batch=3, samples_per_class=4, steps=2, net="mlp")
    learner.fit(X, [0, 1, 2] * 8)
    assert learner.history_.steps == [1, 2]


def test_a_wrong_name_lists_the_right_ones():
    with pytest.raises(InputError, match=r"did you mean triplet\?"):
        find_loss("tripet")
    assert find_loss("Multi-Similarity").__name__ == "MultiSimilarityLoss"


def test_class_losses_are_told_classes_and_width():
    made = make_loss("proxy_anchor", {"margin": 0.2}, n_classes=3, width=5, seed=1)
    assert isinstance(made, ProxyAnchorLoss)
    assert (made.margin, made.vectors.shape) == (0.2, (3, 5))
    assert over_classes(made)
    assert over_classes(WeightedSum(losses=[TripletLoss(), made]))
    assert not over_classes(TripletLoss())


def test_wrong_options_list_the_right_ones():
    with pytest.raises(InputError, match=r"margin=0\.2.*did you mean margin\?"):
        make_loss("triplet", {"margn": 1.0}, n_classes=2, width=2, seed=0)
    with pytest.raises(InputError, match="n_classes"):
        make_loss("proxy_nca", {"n_classes": 9}, n_classes=2, width=2, seed=0)
    with pytest.raises(InputError, match="loss_options"):
        make_loss(TripletLoss(), {"margin": 0.1}, n_classes=2, width=2, seed=0)


def test_a_module_is_copied_so_that_a_second_fit_starts_afresh():
    given = ProxyAnchorLoss(n_classes=2, width=2)
    made = make_loss(given, {}, n_classes=2, width=2, seed=0)
    made.vectors.data.zero_()
    assert not torch.equal(given.vectors, made.vectors)

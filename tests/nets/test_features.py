"""What enters a layer."""

import pytest
import torch
from torch import nn

from spaceform.errors import InputError
from spaceform.nets.features import collect_embeddings, iter_embeddings


def test_it_is_what_the_layer_gets_and_the_model_stays_as_it_was():
    net = nn.Sequential(nn.Linear(3, 4), nn.Dropout(0.5), nn.Linear(4, 2)).train()
    x = torch.randn(7, 3)
    H, logits = collect_embeddings(net, x.split(3), net[2])
    with torch.no_grad():
        torch.testing.assert_close(torch.from_numpy(H), net[0](x))
        torch.testing.assert_close(torch.from_numpy(logits), net[2](net[0](x)))
    assert net[1].training
    assert not net[2]._forward_pre_hooks


def test_maps_are_laid_flat():
    net = nn.Sequential(nn.Conv2d(1, 2, 3), nn.Flatten(), nn.Linear(8, 3))
    assert collect_embeddings(net, [torch.zeros(5, 1, 4, 4)], net[1])[0].shape == (5, 8)


def test_foreign_idle_and_repeated_layers_are_refused():
    layer = nn.Linear(3, 3)
    with pytest.raises(InputError, match="layer"):
        list(iter_embeddings(nn.Linear(3, 3), [torch.zeros(1, 3)], layer))
    with pytest.raises(InputError, match="2 times"):
        list(iter_embeddings(nn.Sequential(layer, layer), [torch.zeros(1, 3)], layer))
    with pytest.raises(InputError, match="batches"):
        collect_embeddings(layer, [], layer)

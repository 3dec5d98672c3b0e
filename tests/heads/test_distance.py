import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from spaceform.errors import InputError
from spaceform.heads.distance import DistanceHead


def head(n_way=4, **options):
    torch.manual_seed(0)
    return DistanceHead(n_way, **options)


@given(order=st.permutations(range(4)), seed=st.integers(0, 10**6))
@settings(max_examples=30, deadline=None)
def test_renumbered_classes_change_nothing_unless_that_is_asked_for(order, seed):
    distances = torch.rand(5, 4, generator=torch.Generator().manual_seed(seed))
    assert torch.equal(head()(distances), head()(distances[:, order]))
    if order != list(range(4)):
        assert not torch.equal(head(sort=False)(distances), head(sort=False)(distances[:, order]))


def test_it_is_tied_to_its_ways_unless_it_reads_the_nearest():
    with pytest.raises(InputError, match="nearest"):
        head()(torch.rand(2, 5))
    reads = head(nearest=2)
    distances = torch.tensor([[3.0, 1.0, 2.0, 9.0, 7.0]])
    assert torch.equal(reads(distances), reads(torch.tensor([[1.0, 2.0]])))
    with pytest.raises(InputError, match="at least 2"):
        reads(torch.rand(2, 1))


def test_widths_are_the_papers():
    widths = [layer.out_features for layer in head().layers if isinstance(layer, torch.nn.Linear)]
    assert widths == [128, 64, 32, 16, 8, 2]


@pytest.mark.parametrize("options", [{"n_way": 1}, {"n_out": 1}, {"nearest": 5}, {"nearest": 2, "sort": False}])
def test_settings_are_checked(options):
    with pytest.raises(InputError):
        head(**options)

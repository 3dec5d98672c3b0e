"""Models that meet in relative coordinates: fresh anchors without gradient, and what may be stitched to what."""

import copy

import numpy as np
import pytest
import torch
from torch import nn

from spaceform.errors import InputError
from spaceform.heads.relative import RelativeLayer
from spaceform.nets.stitching import AbsoluteModel, RelativeModel, check_same_coordinates, stitch, stitching_matrix


def linear(inputs, outputs, seed):
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        return nn.Linear(inputs, outputs)


def samples(n=9, d=6, seed=0):
    return torch.randn(n, d, generator=torch.Generator().manual_seed(seed))


def model(seed=0, dim=4, anchors=None, **options):
    anchors = samples() if anchors is None else anchors
    width = len(anchors) * options.get("layer", RelativeLayer()).copies
    return RelativeModel(linear(6, dim, seed), linear(width, 3, seed + 1), anchors, **options)


def test_anchors_follow_the_encoder_and_frozen_ones_do_not():
    live, stale = model(), model(refresh="frozen")
    for made in (live, stale):
        optimizer = torch.optim.SGD(made.parameters(), lr=1.0)
        made(samples(20, seed=1)).square().sum().backward()
        optimizer.step()
    torch.testing.assert_close(live.encode(live.anchors).diagonal(), torch.ones(9))
    assert (stale.encode(stale.anchors).diagonal() - 1).abs().max() > 1e-3
    torch.testing.assert_close(stale.freeze().encode(stale.anchors).diagonal(), torch.ones(9))


def test_no_gradient_flows_through_the_anchors():
    made, x = model(), samples(20, seed=1)
    made(x).square().sum().backward()
    found = made.encoder.weight.grad.clone()
    made.zero_grad()
    fixed = made.encoder(made.anchors).detach()
    made.decode(made.layer(made.encoder(x), fixed)).square().sum().backward()
    torch.testing.assert_close(found, made.encoder.weight.grad)
    made.zero_grad()
    made.decode(made.layer(made.encoder(x), made.encoder(made.anchors))).square().sum().backward()
    assert (found - made.encoder.weight.grad).abs().max() > 1e-4


def test_a_rotated_encoder_is_stitched_exactly():
    first, second = model(0), model(0)
    Q = torch.linalg.qr(samples(4, 4))[0]
    with torch.no_grad():
        second.encoder.weight.copy_(3 * Q @ second.encoder.weight)
        second.encoder.bias.copy_(3 * Q @ second.encoder.bias)
    x = samples(20, seed=1)
    torch.testing.assert_close(stitch(second, first)(x), first(x), atol=1e-5, rtol=0)
    absolute = [AbsoluteModel(one.encoder, linear(4, 3, 9), width=4) for one in (first, second)]
    assert (stitch(absolute[1], absolute[0])(x) - absolute[0](x)).abs().max() > 0.1


def test_encoders_of_other_widths_and_inputs_are_stitched_by_ids():
    first = model(0, anchor_ids=np.arange(9))
    other = RelativeModel(linear(8, 7, 3), linear(9, 3, 4), samples(9, 8), anchor_ids=np.arange(9))
    assert stitch(other, first)(samples(5, 8)).shape == (5, 3)


def test_what_does_not_mean_the_same_is_refused():
    anchors = samples()
    first = model()
    others = [
        model(anchors=anchors.flip(0)),
        model(anchors=samples(9, seed=5)),
        model(anchors=anchors[:5]),
        model(layer=RelativeLayer(closeness="euclidean")),
        model(layer=RelativeLayer(bin_width=0.5)),
        AbsoluteModel(linear(6, 4, 0), linear(4, 3, 0), width=4),
    ]
    for other in others:
        with pytest.raises(InputError, match="same anchors in the same order"):
            stitch(first, other)
    check_same_coordinates(first, model(seed=7))
    wide = AbsoluteModel(linear(6, 5, 0), linear(5, 3, 0), width=5)
    with pytest.raises(InputError, match="not defined"):
        stitch(others[-1], wide)


def test_the_matrix_is_what_stitching_one_by_one_gives():
    models, X, y = [model(seed) for seed in (0, 2, 4)], samples(50, seed=1), torch.arange(50) % 3
    models[0].train()
    table = stitching_matrix(models, X, y)
    for i, first in enumerate(models):
        for j, second in enumerate(models):
            expected = (stitch(first, second)(X).argmax(1) == y).double().mean()
            assert table[i, j] == pytest.approx(float(expected))
    assert models[0].training
    squares = stitching_matrix(models, [X, X, X], torch.zeros(50, 3), metric="mse")
    assert squares[1, 1] == pytest.approx(models[1](X).square().mean().item(), rel=1e-5)
    own = stitching_matrix(models, X, y, metric=lambda outputs, y: len(outputs))
    assert (own == 50).all()


def test_absolute_scores_of_different_widths_are_not_defined_and_nothing_is_padded():
    models = [AbsoluteModel(linear(6, d, d), linear(d, 3, 0), width=d) for d in (4, 4, 5)]
    table = stitching_matrix(models, samples(10), torch.zeros(10))
    np.testing.assert_array_equal(np.isnan(table), [[0, 0, 1], [0, 0, 1], [1, 1, 0]])


@pytest.mark.parametrize("norm", ["layer", "batch", "none"])
def test_predictions_do_not_depend_on_the_batch(norm):
    made, x = model(norm=norm), samples(20, seed=1)
    made(x)  # a step's worth of statistics
    made.eval()
    torch.testing.assert_close(made(x)[3:5], made(x[3:5]))


def test_the_released_heads_norm_depends_on_the_batch_and_refuses_one_row():
    made, x = model(norm="query_batch").eval(), samples(20, seed=1)
    assert (made(x)[3:5] - made(x[3:5])).abs().max() > 0.01
    with pytest.raises(InputError, match="one row"):
        made(x[:1])


def test_everything_is_in_the_state():
    first, second = model(0, refresh="frozen"), model(5, anchors=samples(9, seed=3), refresh="frozen")
    assert first.coordinates != second.coordinates
    second.load_state_dict(copy.deepcopy(first.state_dict()))
    assert first.coordinates == second.coordinates
    torch.testing.assert_close(first(samples(4)), second(samples(4)))


def test_bad_parts_are_refused():
    hole = samples()
    hole[2, 1] = np.nan
    for anchors, options, match in [
        (hole, {}, "anchors"),
        (samples()[:0], {}, "anchors"),
        (samples(), {"anchor_ids": [1, 2]}, "anchor_ids"),
        (samples(), {"norm": "instance"}, "norm"),
        (samples(), {"refresh": "never"}, "refresh"),
    ]:
        with pytest.raises(InputError, match=match):
            RelativeModel(nn.Identity(), nn.Identity(), anchors, **options)
    with pytest.raises(InputError, match="width"):
        AbsoluteModel(nn.Identity(), nn.Identity(), width=0)
    with pytest.raises(InputError, match="inputs"):
        stitching_matrix([model()], [samples(), samples()], torch.zeros(9))
    with pytest.raises(InputError, match="metric"):
        stitching_matrix([model()], samples(), torch.zeros(9), metric="f1")

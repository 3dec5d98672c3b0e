import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from spaceform.errors import InputError
from spaceform.nets.attention.self_attention import SpatialSelfAttention


def layer(channels=8, seed=0, **options):
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        return SpatialSelfAttention(channels, **{"gamma": 0.7, **options}).double()


def maps(*shape, seed=1):
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


def slow(attention, x):
    """One position after the other, in NumPy."""
    parts = {name: value.detach().numpy() for name, value in attention.state_dict().items()}

    def convolved(name, vector):
        return parts[f"{name}.weight"][:, :, 0, 0] @ vector + parts[f"{name}.bias"]

    y = x.numpy().copy()
    for b, picture in enumerate(x.numpy()):
        columns = picture.reshape(len(picture), -1).T
        for i, own in enumerate(columns):
            scores = np.array([convolved("query", own) @ convolved("key", other) for other in columns])
            weights = np.exp(scores - scores.max())
            weights /= weights.sum()
            attended = sum(w * convolved("value", other) for w, other in zip(weights, columns, strict=True))
            if "out.weight" in parts:
                attended = convolved("out", attended)
            row, column = divmod(i, x.shape[3])
            y[b, :, row, column] += parts["gamma"] * attended
    return y


@pytest.mark.parametrize("out_proj", [False, True])
def test_output_is_that_of_plain_loops(out_proj):
    attention, x = layer(out_proj=out_proj), maps(2, 8, 3, 4)
    np.testing.assert_allclose(attention(x).detach().numpy(), slow(attention, x), atol=1e-12)


def test_on_one_position_the_values_pass():
    attention, x = layer(), maps(4, 8, 1, 1)
    torch.testing.assert_close(attention(x), x + 0.7 * attention.value(x))


@given(seed=st.integers(0, 10**6), height=st.integers(1, 4), width=st.integers(1, 4))
@settings(max_examples=30, deadline=None)
def test_shuffled_positions_give_shuffled_outputs_and_one_mean(seed, height, width):
    attention, x = layer(seed=seed), maps(2, 8, height, width, seed=seed)
    order = torch.randperm(height * width, generator=torch.Generator().manual_seed(seed))

    def shuffle(t):
        return t.flatten(2)[:, :, order].unflatten(2, (height, width))

    torch.testing.assert_close(attention(shuffle(x)), shuffle(attention(x)))
    torch.testing.assert_close(attention(shuffle(x)).mean((2, 3)), attention(x).mean((2, 3)))


def test_at_gamma_zero_the_map_passes_bit_for_bit_and_only_gamma_learns():
    attention, x = layer(gamma=0.0), maps(2, 8, 3, 3)
    y = attention(x)
    assert torch.equal(y, x)
    y.square().sum().backward()
    assert attention.gamma.grad != 0
    others = [value for name, value in attention.named_parameters() if name != "gamma"]
    assert all((value.grad == 0).all() for value in others)


def test_all_weights_are_registered_and_learn():
    attention = layer()
    attention(maps(2, 8, 3, 3)).pow(3).sum().backward()
    gradients = {name: value.grad.abs().max() for name, value in attention.named_parameters()}
    assert set(gradients) == {"gamma"} | {f"{n}.{p}" for n in ("query", "key", "value") for p in ("weight", "bias")}
    idle = {name for name, size in gradients.items() if size < 1e-12}
    assert idle == {"key.bias"}, "softmax does not see what is added to all scores of a row"


def test_queries_and_keys_have_nothing_to_learn_from_one_position():
    attention = layer()
    attention(maps(2, 8, 1, 1)).pow(3).sum().backward()
    for name, value in attention.named_parameters():
        assert (value.grad.abs().max() == 0) == name.startswith(("query", "key")), name


def test_the_gradient_is_the_derivative():
    assert torch.autograd.gradcheck(layer(4), maps(1, 4, 2, 2).requires_grad_())


def test_blocks_of_images_give_values_and_gradients_of_the_whole():
    x = maps(5, 8, 3, 3).requires_grad_()
    results = []
    for size in (2**20, 1, 9 * 9 * 8 * 2):
        attention = layer(block_bytes=size)
        y = attention(x)
        y.pow(2).sum().backward()
        with torch.no_grad():
            torch.testing.assert_close(attention(x), y, rtol=0, atol=1e-12)
        results.append([y.detach(), x.grad.clone(), attention.query.weight.grad.clone()])
        x.grad = None
    for other in results[1:]:
        for found, expected in zip(other, results[0], strict=True):
            torch.testing.assert_close(found, expected, rtol=0, atol=1e-10)


@pytest.mark.parametrize(("channels", "reduction", "width"), [(8, 8, 1), (4, 8, 1), (64, 8, 8), (6, 2, 3)])
def test_queries_keep_at_least_one_channel(channels, reduction, width):
    assert SpatialSelfAttention(channels, reduction=reduction).query.out_channels == width


@pytest.mark.parametrize("shape", [(2, 7, 3, 3), (2, 8, 9), (8, 3, 3)])
def test_other_shapes_are_refused(shape):
    with pytest.raises(InputError, match="maps"):
        layer()(torch.zeros(shape, dtype=torch.float64))


@pytest.mark.parametrize("options", [{"channels": 0}, {"reduction": 0}, {"gamma": float("inf")}, {"block_bytes": 0}])
def test_settings_are_checked(options):
    with pytest.raises(InputError, match=next(iter(options))):
        SpatialSelfAttention(**{"channels": 8, **options})

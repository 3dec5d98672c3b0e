import torch
from hypothesis import given
from hypothesis import strategies as st

from spaceform.losses.fused.exponents import exponentiate, share


@given(st.lists(st.floats(-1e4, 1e4) | st.just(-torch.inf), min_size=1, max_size=6), st.floats(1e-3, 1e3))
def test_log_of_the_sum_is_torchs(scores, scale):
    row = torch.tensor([scores], dtype=torch.float64)
    kept = row.clone()
    total, logarithm = exponentiate(row, scale)
    expected = torch.logsumexp(scale * kept, 1, keepdim=True)
    torch.testing.assert_close(logarithm, expected, rtol=1e-12, atol=1e-9)
    shares = row * share(torch.ones_like(total), total)
    softmax = torch.where(torch.isfinite(expected), (scale * kept - expected).exp(), 0)
    torch.testing.assert_close(shares, softmax, rtol=1e-6, atol=1e-12)


def test_a_row_of_nothing_is_zeros():
    row = torch.full((2, 3), -torch.inf)
    row[1] = 0
    total, logarithm = exponentiate(row)
    assert total.flatten().tolist() == [0, 3]
    assert logarithm[0, 0] == -torch.inf
    torch.testing.assert_close(share(torch.ones(2, 1), total), torch.tensor([[0.0], [1 / 3]]))

"""The triplet loss: worked numbers, loops, gradients, collapse, references, the peer library, two processes' rows."""

import math

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from oracles.triplets import allowed, distances, every_triplet, hinge
from spaceform.errors import InputError, NoPairsError
from spaceform.losses.triplet import TripletLoss, triplet_loss
from spaceform.ops.triplets import Mining, Triplets

ALL = Mining(strategy="all")


def on_circle(*degrees):
    angles = torch.tensor(degrees, dtype=torch.float64).deg2rad()
    return torch.stack([angles.cos(), angles.sin()], 1)


def random_batch(seed, rows=12, classes=3, width=4, dtype=torch.float64):
    generator = torch.Generator().manual_seed(seed)
    labels = torch.randint(0, classes, (rows,), generator=generator)
    labels[:4] = torch.tensor([0, 0, 1, 1])
    return torch.randn(rows, width, generator=generator, dtype=dtype), labels


def single(a, p, n):
    return Triplets(*(torch.tensor([row]) for row in (a, p, n)))


@pytest.mark.parametrize(
    ("negative", "value", "is_semi_hard"), [(45.0, 0.0821, True), (50.0, 0.0, False), (30.0, 0.4, False)]
)
def test_worked_angles(negative, value, is_semi_hard):
    x, y = on_circle(0, 40, negative), torch.tensor([0, 0, 1])
    assert float(((x[0] - x[1]) ** 2).sum()) == pytest.approx(0.4679, abs=5e-5)
    given = TripletLoss(margin=0.2)(x, y, triplets=single(0, 1, 2))
    assert float(given) == pytest.approx(value, abs=5e-5)
    loss, figures = TripletLoss(margin=0.2, mining=Mining(choice="hardest")).with_figures(x[:3], y)
    # of the two ordered pairs only (0 degrees, 40 degrees) can have this negative within its margin
    assert (figures["frac_active"] > 0) == is_semi_hard
    assert float(loss) == pytest.approx(value if is_semi_hard else 0, abs=5e-5)


def test_the_gradient_is_that_of_section_3_before_the_normalisation():
    x, y = torch.randn(3, 5, dtype=torch.float64, generator=torch.Generator().manual_seed(0)), torch.tensor([0, 0, 1])
    for options in ({"triplets": single(0, 1, 2)}, {}):
        rows = x.clone().requires_grad_()
        loss = TripletLoss(margin=50, normalize=False, reduction="sum", mining=Mining(strategy="hard"))
        loss(rows, y, **options).backward()
        a, p, n = x
        one = torch.stack([2 * (n - p), 2 * (p - a), 2 * (a - n)])
        # batch hard also takes row 1 as an anchor with row 0 as its positive
        two = torch.stack([2 * (a - p), 2 * (n - a), 2 * (p - n)])
        torch.testing.assert_close(rows.grad, one if options else one + two)


@pytest.mark.parametrize("squared", [True, False])
@pytest.mark.parametrize("reduction", ["mean", "mean_active", "sum"])
@given(seed=st.integers(0, 10**6), apart=st.booleans(), margin=st.floats(0.05, 1.9))
@settings(deadline=None, max_examples=20)
def test_all_triplets_equal_the_loops(squared, reduction, seed, apart, margin):
    x, y = random_batch(seed)
    r, ry = random_batch(seed + 1, rows=9) if apart else (None, None)
    terms = hinge(distances(x, x if r is None else r, squared=squared), every_triplet(y, ry), margin=margin)
    divisor = {"mean": len(terms), "mean_active": sum(term > 0 for term in terms) or 1, "sum": 1}[reduction]
    loss = TripletLoss(margin=margin, mining=ALL, squared=squared, reduction=reduction)
    assert float(loss(x, y, reference=r, reference_labels=ry)) == pytest.approx(
        sum(terms) / divisor, rel=1e-5, abs=1e-9
    )


@pytest.mark.parametrize("rule", ["facenet", "vgg"])
@given(seed=st.integers(0, 10**6), margin=st.floats(0.1, 1.0))
@settings(deadline=None, max_examples=20)
def test_hardest_semi_hard_loss_equals_the_loops(rule, seed, margin):
    x, y = random_batch(seed)
    D = distances(x, x)
    table = allowed(D, every_triplet(y), rule=rule, margin=margin)
    chosen = [(a, p, min(negatives, key=lambda n, a=a: D[a, n])) for (a, p), negatives in table.items()]
    terms = hinge(D, chosen, margin=margin)
    loss, figures = TripletLoss(margin=margin, mining=Mining(rule=rule, choice="hardest")).with_figures(x, y)
    assert float(loss) == pytest.approx(sum(terms) / max(1, len(terms)), abs=1e-6)
    pairs = {(a, p) for a, p, _ in every_triplet(y)}
    assert figures["frac_active"] == pytest.approx(len(terms) / len(pairs), abs=0.02)


MINED = [Mining(choice="hardest"), Mining(rule="vgg", choice="hardest"), Mining(strategy="hard"), ALL]


@pytest.mark.parametrize("mining", [*MINED, Mining(strategy="hard_negative")], ids=lambda mining: mining.strategy)
@pytest.mark.parametrize("squared", [True, False])
@pytest.mark.parametrize("share", [0.0, 1.0])
def test_closed_form_gradient_equals_differences(mining, squared, share, monkeypatch):
    """The gradient of chosen triplets, as a sparse and as a dense product of coefficients."""
    monkeypatch.setattr("spaceform.losses.hinge.DENSE_SHARE", share)
    x, y = random_batch(5)
    r, ry = random_batch(6, rows=8)
    loss = TripletLoss(margin=0.7, mining=mining, squared=squared)
    assert torch.autograd.gradcheck(lambda rows: loss(rows, y), x.requires_grad_())
    assert torch.autograd.gradcheck(
        lambda rows, kept: loss(rows, y, reference=kept, reference_labels=ry), (x, r.requires_grad_())
    )


def test_closed_form_equals_autograd_over_the_same_triplets():
    from spaceform.miners.semi_hard import semi_hard

    x, y = random_batch(9, rows=40, classes=5, dtype=torch.float32)
    fused, given = x.clone().requires_grad_(), x.clone().requires_grad_()
    first = TripletLoss(mining=Mining(choice="hardest"))(fused, y)
    second = TripletLoss()(given, y, triplets=semi_hard(x, y, choice="hardest"))
    first.backward()
    second.backward()
    torch.testing.assert_close(first, second)
    torch.testing.assert_close(fused.grad, given.grad, atol=1e-6, rtol=1e-4)


def test_the_scale_of_the_backbone_does_not_matter():
    x, y = random_batch(2, rows=30)
    for mining in MINED:
        loss = TripletLoss(mining=mining)
        torch.testing.assert_close(loss(7 * x, y), loss(x, y))
    plain = TripletLoss(mining=ALL, normalize=False)
    assert float(plain(7 * x, y)) > 2 * float(plain(x, y))


def test_collapse_is_zero_with_a_graph_and_shows_in_the_figures():
    x = torch.ones(8, 4, requires_grad=True)
    y = torch.arange(8) // 2
    loss, figures = TripletLoss().with_figures(x, y)
    loss.backward()
    assert float(loss.detach()) == 0
    assert torch.equal(x.grad, torch.zeros(8, 4))
    assert figures == {"frac_active": 0.0, "mean_d_ap": 0.0, "mean_d_an": 0.0}
    hard, figures = TripletLoss(margin=0.2, mining=Mining(strategy="hard")).with_figures(x, y)
    assert float(hard.detach()) == pytest.approx(0.2)
    assert figures["frac_active"] == 1
    for squared in (True, False):
        for mining in (ALL, Mining(strategy="hard_negative")):
            x.grad = None
            TripletLoss(mining=mining, squared=squared)(x, y).backward()
            assert torch.isfinite(x.grad).all()


def test_figures_are_means_over_all_pairs():
    x, y = random_batch(3, rows=20)
    D = distances(x, x)
    same = y[:, None] == y[None]
    _, figures = TripletLoss().with_figures(x, y, generator=torch.Generator().manual_seed(0))
    assert figures["mean_d_ap"] == pytest.approx(float(D[same].sum() / (same.sum() - 20)), abs=1e-5)
    assert figures["mean_d_an"] == pytest.approx(float(D[~same].mean()), abs=1e-5)
    chosen = Triplets(torch.tensor([0, 1]), torch.tensor([1, 0]), torch.tensor([2, 3]))
    _, figures = TripletLoss().with_figures(x, y, triplets=chosen)
    assert figures["mean_d_ap"] == pytest.approx(float(D[0, 1]))


def test_random_choices_follow_the_generator_and_leave_the_global_one_alone():
    x, y = random_batch(4, rows=60, classes=6)
    loss, state = TripletLoss(), torch.get_rng_state()
    draws = [float(loss.with_figures(x, y, generator=torch.Generator().manual_seed(seed))[0]) for seed in (0, 0, 1)]
    assert draws[0] == draws[1] != draws[2]
    assert torch.equal(torch.get_rng_state(), state)


def test_descent_with_semi_hard_triplets_separates_what_random_triplets_leave():
    """The mechanism in small: from a spread start the semi-hard loss keeps a gradient."""
    x, y = random_batch(8, rows=48, classes=6, width=8, dtype=torch.float32)
    rows = torch.nn.Parameter(x)
    optimizer = torch.optim.Adam([rows], lr=0.05)
    generator = torch.Generator().manual_seed(0)
    for _ in range(120):
        optimizer.zero_grad()
        TripletLoss().with_figures(rows, y, generator=generator)[0].backward()
        optimizer.step()
    D = distances(rows.detach(), rows.detach())
    same = y[:, None] == y[None]
    assert float(D[same].mean()) < 0.35 * float(D[~same].mean())


def test_equals_the_peer_library_where_the_definitions_agree():
    from pytorch_metric_learning.distances import LpDistance
    from pytorch_metric_learning.losses import TripletMarginLoss
    from pytorch_metric_learning.miners import TripletMarginMiner

    x, y = random_batch(10, rows=40, classes=6, dtype=torch.float32)
    squared = LpDistance(power=2)
    peer = TripletMarginLoss(margin=0.2, distance=squared)
    ours = TripletLoss(margin=0.2, mining=ALL, reduction="mean_active")
    theirs_rows, our_rows = x.clone().requires_grad_(), x.clone().requires_grad_()
    theirs, mine = peer(theirs_rows, y), ours(our_rows, y)
    theirs.backward()
    mine.backward()
    torch.testing.assert_close(mine, theirs, rtol=1e-4, atol=1e-6)
    torch.testing.assert_close(our_rows.grad, theirs_rows.grad, rtol=1e-3, atol=1e-6)
    mined = TripletMarginMiner(margin=0.2, distance=squared, type_of_triplets="semihard")(x, y)
    given = TripletLoss(margin=0.2, reduction="mean_active")(x, y, triplets=mined)
    torch.testing.assert_close(given, peer(x, y, mined), rtol=1e-4, atol=1e-6)
    plain = TripletMarginLoss(margin=0.2)(x, y)
    torch.testing.assert_close(
        TripletLoss(margin=0.2, mining=ALL, squared=False, reduction="mean_active")(x, y), plain, rtol=1e-4, atol=1e-6
    )


def test_margin_loss_of_torch_is_the_special_case_of_given_plain_triplets():
    x, _ = random_batch(11, rows=9)
    rows = torch.nn.functional.normalize(x, dim=1)
    a, p, n = rows[:3], rows[3:6], rows[6:]
    theirs = torch.nn.functional.triplet_margin_loss(a, p, n, margin=0.5, eps=0)
    near, far = ((a - p) ** 2).sum(1).sqrt(), ((a - n) ** 2).sum(1).sqrt()
    torch.testing.assert_close(triplet_loss(near, far, margin=0.5), theirs)


def test_half_precision_and_autocast_keep_the_margin():
    x, y = random_batch(12, rows=64, classes=8, width=16, dtype=torch.float32)
    loss = TripletLoss(mining=ALL)
    expected = loss(x.to(torch.bfloat16).float(), y)
    torch.testing.assert_close(loss(x.to(torch.bfloat16), y), expected)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        torch.testing.assert_close(loss(x.to(torch.bfloat16), y), expected)


def test_without_pairs():
    x = torch.randn(4, 3, generator=torch.Generator().manual_seed(0), requires_grad=True)
    for labels in (torch.arange(4), torch.zeros(4, dtype=torch.int64)):
        with pytest.raises(NoPairsError, match="MPerClassSampler"):
            TripletLoss()(x, labels)
        value = TripletLoss(empty="zero")(x, labels)
        value.backward()
        assert float(value.detach()) == 0
    with pytest.raises(NoPairsError):
        TripletLoss()(x[:2], torch.tensor([0, 0]))
    other = torch.randn(3, 3, generator=torch.Generator().manual_seed(1))
    value = TripletLoss(empty="zero")(x, torch.arange(4), reference=other, reference_labels=torch.arange(7, 10))
    assert value.requires_grad
    assert float(value.detach()) == 0


def test_no_triplets_given_is_zero_with_a_graph():
    x, y = random_batch(0)
    none = Triplets(*(torch.zeros(0, dtype=torch.int64) for _ in range(3)))
    value = TripletLoss()(x.requires_grad_(), y, triplets=none)
    value.backward()
    assert float(value.detach()) == 0


@pytest.mark.parametrize(
    ("name", "change"),
    [
        ("embeddings", lambda x, y: (x.masked_fill(torch.eye(12, 4, dtype=torch.bool), math.nan), y)),
        ("embeddings", lambda x, y: (x.masked_fill(torch.eye(12, 4, dtype=torch.bool), math.inf), y)),
        ("embeddings", lambda x, y: (x * (torch.arange(12) > 0)[:, None], y)),
        ("embeddings", lambda x, y: (x.long(), y)),
        ("embeddings", lambda x, y: (x[0], y)),
        ("labels", lambda x, y: (x, y[:-1])),
        ("labels", lambda x, y: (x, y.float())),
    ],
)
def test_bad_batches_are_refused_by_name(name, change):
    x, y = change(*random_batch(0))
    with pytest.raises(InputError) as refusal:
        TripletLoss()(x, y)
    assert refusal.value.argument == name


def test_half_a_reference_is_refused():
    x, y = random_batch(0)
    with pytest.raises(InputError, match="both or neither"):
        TripletLoss()(x, y, reference=x)
    with pytest.raises(InputError, match="columns"):
        TripletLoss()(x, y, reference=x[:, :2], reference_labels=y)


@pytest.mark.parametrize(
    "settings",
    [
        {"margin": 0.0},
        {"margin": 4.0},
        {"margin": -1},
        {"margin": 2.0, "squared": False},
        {"reduction": "median"},
        {"empty": "warn"},
    ],
)
def test_bad_settings_are_refused(settings):
    with pytest.raises(InputError, match=next(iter(settings))):
        TripletLoss(**settings)


def test_settings_say_what_was_asked_for():
    loss = TripletLoss(margin=0.3, mining=Mining(choice="hardest"), squared=False)
    assert loss.settings()["choice"] == "hardest"
    assert "margin=0.3" in repr(loss)

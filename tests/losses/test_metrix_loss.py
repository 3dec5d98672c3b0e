"""Metrix over all losses: a slow oracle by coordinates, the plain loss as a special case, and who is refused."""

import math
from itertools import product

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from contracts.cases import LOSSES
from contracts.discovery import losses
from oracles.batches import batch, pairs, unit
from spaceform.errors import InputError, NoPairsError
from spaceform.geometry import Euclidean, PoincareBall, Sphere
from spaceform.losses.combination import CrossBatchMemory
from spaceform.losses.contrastive import ContrastiveLoss
from spaceform.losses.fused.class_loss import ClassLoss
from spaceform.losses.fused.pair_loss import PairLoss
from spaceform.losses.generic_pair import contrastive_form, multi_similarity_form, nca_form
from spaceform.losses.lifted import LiftedStructureLoss
from spaceform.losses.margin_softmax import NormalizedSoftmaxLoss
from spaceform.losses.mixing.choice import choose
from spaceform.losses.mixing.form_loss import FormLoss
from spaceform.losses.mixing.metrix_loss import MetrixLoss
from spaceform.losses.mixing.mixtures import mix_features
from spaceform.losses.multi_similarity import MultiSimilarityLoss
from spaceform.losses.proxies import ProxyAnchorLoss, SoftTripleLoss
from spaceform.losses.supcon import SupConLoss
from spaceform.ops.memory import MemoryBank

KINDS = {kind.__name__: kind for kind in losses()}
MIXABLE = sorted(name for name, kind in KINDS.items() if hasattr(kind, "fractional") and name != "FormLoss")
OTHERS = sorted(
    name
    for name, kind in KINDS.items()
    if not hasattr(kind, "fractional") and name in {*LOSSES, "CrossBatchMemory"} - {"MetrixLoss", "WeightedSum"}
)
CLOSENESS = {
    "dot": ("dot", True),
    "dot-free": ("dot", False),
    "distance": ("distance", True),
    "distance-free": ("distance", False),
    "squared": ("squared", True),
    "squared-free": ("squared", False),
    "sphere": (Sphere(), True),
    "flat": (Euclidean(), False),
    "ball": (PoincareBall(), False),
}


def small(seed=0):
    """Five classes of uneven sizes, within the unit ball."""
    generator = torch.Generator().manual_seed(seed)
    labels = torch.tensor([0, 0, 0, 1, 1, 2, 2, 2, 3, 0, 4])
    rows = torch.randn(len(labels), 4, generator=generator, dtype=torch.float64)
    return rows / (1 + rows.norm(dim=1, keepdim=True)), labels


def make(name, *, closeness=None):
    """Return a loss of this name; settings that suit labels 0 to 4 and rows of 4 columns."""
    case = LOSSES[name]
    settings = {**case.settings, **case.make()}
    if issubclass(KINDS[name], ClassLoss):
        settings |= {"n_classes": 5, "width": 4}
    if closeness is not None:
        settings |= dict(zip(("closeness", "normalize"), closeness, strict=True))
    return KINDS[name](**settings).double()


def takes_closeness(name):
    return "closeness" in KINDS[name].__init__.__kwdefaults__


COMPOSITIONS = [(name, "none") for name in MIXABLE if not takes_closeness(name)]
COMPOSITIONS += [(name, kind) for name, kind in product(MIXABLE, CLOSENESS) if takes_closeness(name)]


def composed(name, kind):
    return make(name, closeness=None if kind == "none" else CLOSENESS[kind])


def point(sets, first, second, share):
    """Return one mixed point by its coordinates."""
    if isinstance(sets.closeness, PoincareBall):
        ball = sets.closeness
        return ball.exp(first, (1 - share) * ball.log(first, second))
    mixed = share * first + (1 - share) * second
    is_unit = sets.unit or isinstance(sets.closeness, Sphere)
    return mixed / mixed.norm() if is_unit else mixed


def near(closeness, a, b):
    if not isinstance(closeness, str):
        return closeness.closeness(a, b)
    return {"dot": a @ b, "distance": -(a - b).norm(), "squared": -((a - b) ** 2).sum()}[closeness]


def slow_mixed(loss, rows, labels, share, *, with_anchor):
    """Return the mixed term, one mixture after the other."""
    sets = loss.pair_sets(rows, labels)
    same, others = sets.masks()
    lists = []
    for a, anchor in enumerate(sets.anchors):
        negatives = [n for n in range(len(sets.items)) if not same[a, n]]
        firsts = [p for p in range(len(sets.items)) if same[a, p] and others[a, p]]
        sources = [anchor] if with_anchor else [sets.items[p] for p in firsts]
        values = [
            (near(sets.closeness, anchor, point(sets, p, sets.items[n], share)), share)
            for p, n in product(sources, negatives)
        ]
        if loss.joint:
            matrix = sets.matrix()
            values += [(matrix[a, i], float(same[a, i])) for i in range(len(sets.items)) if others[a, i]]
        lists.append(values)
    width = max(map(len, lists))
    closeness, targets = torch.zeros(len(lists), width).double(), torch.zeros(len(lists), width).double()
    mask = torch.zeros(len(lists), width, dtype=torch.bool)
    for a, values in enumerate(lists):
        for v, (value, label) in enumerate(values):
            closeness[a, v], targets[a, v], mask[a, v] = value, label, True
    return loss.fractional(closeness, targets, mask)


@pytest.mark.parametrize("with_anchor", [False, True])
@pytest.mark.parametrize(("name", "kind"), COMPOSITIONS)
def test_every_loss_in_every_closeness_is_what_a_slow_loop_says(name, kind, with_anchor):
    rows, labels = small()
    loss = composed(name, kind)
    mixing = MetrixLoss(loss=loss, pairs="anchor-neg" if with_anchor else "pos-neg", lam=0.3, weight=0.7)
    value, figures = mixing.with_figures(rows, labels)
    expected = slow_mixed(loss, rows, labels, 0.3, with_anchor=with_anchor).item()
    assert figures["mixed"] == pytest.approx(expected, rel=1e-6, abs=1e-8)
    assert value.item() == pytest.approx(loss(rows, labels).item() + 0.7 * expected, rel=1e-6)


@pytest.mark.parametrize(("name", "kind"), COMPOSITIONS)
def test_fractional_labels_of_zero_and_one_are_the_loss(name, kind):
    rows, labels = small(1)
    rows.requires_grad_()
    loss = composed(name, kind)
    sets = loss.pair_sets(rows, labels)
    value = loss.fractional(sets.matrix(), *sets.masks())
    expected = loss(rows, labels)
    assert value.item() == pytest.approx(expected.item(), rel=1e-7)
    (gradient,), (known,) = torch.autograd.grad(value, rows), torch.autograd.grad(expected, rows)
    torch.testing.assert_close(gradient, known, rtol=1e-6, atol=1e-7)


@pytest.mark.parametrize(("name", "kind"), COMPOSITIONS)
def test_gradients_are_finite_and_the_derivative(name, kind):
    rows, labels = (part[:6] for part in small(2))
    loss = MetrixLoss(loss=composed(name, kind), pairs="pos-neg", lam=0.35)
    assert torch.autograd.gradcheck(lambda x: loss(x, labels), (rows.requires_grad_(),))


@pytest.mark.parametrize("name", MIXABLE)
def test_at_share_one_a_mixture_is_its_positive(name):
    rows, labels = small(3)
    loss = make(name)
    sets = loss.pair_sets(rows, labels)
    choice = choose(sets, with_anchor=False, max_pairs=1000)
    plain = sets.matrix().gather(1, choice.first)
    clean = loss.fractional(plain, torch.ones_like(plain), choice.mask)
    mixing = MetrixLoss(loss=loss, pairs="pos-neg", lam=1.0, with_clean=False)
    assert mixing.with_figures(rows, labels)[1]["mixed"] == pytest.approx(clean.item(), rel=1e-6, abs=1e-9)


@pytest.mark.parametrize("name", MIXABLE)
def test_weight_zero_is_the_loss_itself_and_draws_nothing(name):
    rows, labels = small(4)
    loss = make(name)
    state = torch.get_rng_state()
    assert torch.equal(MetrixLoss(loss=loss, weight=0.0)(rows, labels), loss(rows, labels))
    assert torch.equal(torch.get_rng_state(), state)


@pytest.mark.parametrize("name", OTHERS)
def test_losses_without_fractional_labels_are_refused_by_name(name):
    case = LOSSES.get(name)
    loss = CrossBatchMemory(loss=ContrastiveLoss(), bank=MemoryBank(rows=4, width=2))
    if name != "CrossBatchMemory":
        loss = KINDS[name](**case.settings, **case.make())
    with pytest.raises(InputError, match=name):
        MetrixLoss(loss=loss)
    with pytest.raises(InputError, match=name):
        MetrixLoss(loss=ContrastiveLoss() + loss)


def test_the_documentation_names_what_is_defined_and_what_is_not():
    missing = [name for name in MIXABLE if f"``{name}``" not in MetrixLoss.__doc__]
    assert not missing, f"MetrixLoss says nothing of {missing}"
    told = MetrixLoss.__doc__.partition("Not defined:")[2].partition("Parameters:")[0]
    assert all(f"``{name}``" not in told for name in MIXABLE)
    assert [name for name in KINDS if f"``{name}``" in told], "nothing is said of what is not defined"


def test_labels_belong_to_pairs_not_to_mixtures():
    labels = torch.tensor([0, 0, 1, 1])
    angles = torch.tensor([0.0, 0.2, 1.2, 1.5], dtype=torch.float64)
    rows = torch.stack([angles.cos(), angles.sin()], 1)
    seen = []

    class Spy(PairLoss):
        joint = False

        def __init__(self):
            super().__init__(closeness="dot", normalize=True, empty="raise")

        def _weigher(self, batch, sweep):
            raise AssertionError

        def forward(self, embeddings, labels, *, reference=None, reference_labels=None):
            return embeddings.sum() * 0

        def fractional(self, closeness, targets, mask):
            seen.append((targets, mask))
            return closeness.sum()

    MetrixLoss(loss=Spy(), pairs="pos-neg", lam=0.8)(rows, labels, features=rows, head=lambda x: x)
    targets, mask = seen[0]
    # mixtures: each row with its nearest of the other class; the one of rows 1 and 2 is nearer to 1 for anchor 0,
    # and, being a fifth of a positive, for anchor 3 as well
    mixture = 1
    assert (targets[0, mixture].item(), bool(mask[0, mixture])) == (0.8, True)
    assert (targets[3, mixture].item(), bool(mask[3, mixture])) == (pytest.approx(0.2), True)
    assert not mask[1, mixture]  # its own part
    assert targets.unique().numel() == 2


def test_features_and_embeddings_agree_where_the_head_does_nothing():
    rows, labels = small(5)
    rows = unit(rows)
    loss = ContrastiveLoss(closeness="dot", reduction="mean")
    settings = {"loss": loss, "pairs": "anchor-neg", "lam": 0.4, "negatives": 20}
    features = MetrixLoss(**settings).with_figures(rows, labels, features=rows, head=lambda x: x)[1]["mixed"]
    assert features == pytest.approx(MetrixLoss(**settings).with_figures(rows, labels)[1]["mixed"])


def test_input_mixing_goes_through_the_network_once_more():
    net = torch.nn.Sequential(torch.nn.Linear(4, 8), torch.nn.Tanh(), torch.nn.Linear(8, 3)).double()
    rows, labels = small(6)
    loss = MetrixLoss(loss=MultiSimilarityLoss(), pairs="anchor-neg", lam=0.25)
    value = loss(net(rows), labels, features=rows, head=net)
    vectors = unit(net(rows))
    gram = (vectors @ vectors.T).masked_fill(labels[:, None] == labels[None], -9)
    mixed = unit(net(mix_features(rows, torch.arange(len(rows)), gram.argmax(1), torch.tensor(0.25))))
    cosines = (vectors * mixed).sum(1, keepdim=True)
    form = multi_similarity_form(2.0, 50.0, 0.5)
    term = form(cosines, torch.full_like(cosines, 0.25), torch.ones_like(cosines, dtype=torch.bool)).mean()
    assert value.item() == pytest.approx((MultiSimilarityLoss()(net(rows), labels) + 0.4 * term).item())
    value.backward()
    assert net[0].weight.grad.abs().sum() > 0


@given(st.floats(0.01, 0.99), st.integers(0, 5))
def test_products_of_rows_tell_the_cosine_of_a_mixture(share, seed):
    rows = unit(torch.randn(3, 5, generator=torch.Generator().manual_seed(seed), dtype=torch.float64))
    g = rows @ rows.T
    mixed = share * rows[1] + (1 - share) * rows[2]
    length = math.sqrt(share**2 + (1 - share) ** 2 + 2 * share * (1 - share) * g[1, 2])
    assert float(rows[0] @ mixed / mixed.norm()) == pytest.approx(
        float(share * g[0, 1] + (1 - share) * g[0, 2]) / length, abs=1e-6
    )


def test_opposite_rows_at_equal_shares_have_no_mixture():
    rows = torch.tensor([[1.0, 0.0], [1.0, 0.0], [-1.0, 0.0], [0.0, 1.0]], requires_grad=True)
    labels = torch.tensor([0, 0, 1, 1])
    loss = MetrixLoss(loss=ContrastiveLoss(closeness="dot"), pairs="pos-neg", lam=0.5)
    loss(rows, labels).backward()
    assert torch.isfinite(rows.grad).all()
    with pytest.raises(NoPairsError, match="anything to mix"):
        loss(rows[:3].detach(), labels[:3])


def test_among_mixtures_of_one_share_a_ratio_has_no_gradient_so_clean_pairs_join():
    rows, labels = small(7)
    rows.requires_grad_()
    loss = FormLoss(form=nca_form(0.3))
    alone = MetrixLoss(loss=loss, pairs="pos-neg", lam=0.4, with_clean=False, weight=1.0)
    (gradient,) = torch.autograd.grad(alone(rows, labels) - loss(rows, labels), rows)
    assert gradient.abs().max() < 1e-12
    beside = MetrixLoss(loss=loss, pairs="pos-neg", lam=0.4, weight=1.0)
    (gradient,) = torch.autograd.grad(beside(rows, labels) - loss(rows, labels), rows)
    assert gradient.abs().max() > 1e-3
    each = MetrixLoss(loss=loss, pairs="pos-neg", lam_per="pair", with_clean=False, weight=1.0)
    with torch.random.fork_rng():
        (gradient,) = torch.autograd.grad(each(rows, labels) - loss(rows, labels), rows)
    assert gradient.abs().max() > 1e-3


def test_parts_of_a_sum_share_their_draws():
    rows, labels = small(8)
    generator = torch.Generator()
    one, two = ContrastiveLoss(), SupConLoss()

    def mixed(loss):
        return MetrixLoss(loss=loss).with_figures(rows, labels, generator=generator.manual_seed(3))[1]["mixed"]

    assert mixed(2.0 * one + 0.5 * two) == pytest.approx(2 * mixed(one) + 0.5 * mixed(two))


def test_the_two_kinds_of_pairs_come_in_turns():
    rows, labels = small(9)
    loss, generator = ContrastiveLoss(), torch.Generator().manual_seed(0)
    known = {
        kind: MetrixLoss(loss=loss, lam=0.5, pairs=kind)(rows, labels).item() for kind in ("pos-neg", "anchor-neg")
    }
    both = MetrixLoss(loss=loss, lam=0.5)
    drawn = [both.with_figures(rows, labels, generator=generator)[0].item() for _ in range(40)]
    counts = [sum(value == pytest.approx(one) for value in drawn) for one in known.values()]
    assert sum(counts) == 40
    assert min(counts) > 8


def test_anchors_without_positives_still_mix_with_their_negatives():
    rows, labels = small(10)
    loss = MultiSimilarityLoss(empty="zero")
    alone = torch.arange(len(labels))
    assert MetrixLoss(loss=loss, lam=0.5)(rows, alone) > 0
    assert MetrixLoss(loss=loss, pairs="pos-neg")(rows, alone) == 0
    assert MetrixLoss(loss=loss)(rows, torch.zeros_like(labels)) == 0


def test_a_batch_of_one_class_has_nothing_to_mix():
    rows, _ = small()
    loss = ProxyAnchorLoss(n_classes=2, width=4).double()
    with pytest.raises(NoPairsError, match="anything to mix"):
        MetrixLoss(loss=loss, pairs="pos-neg")(rows, torch.zeros(len(rows), dtype=torch.int64))
    with pytest.raises(NoPairsError):
        MetrixLoss(loss=ContrastiveLoss())(rows, torch.zeros(len(rows), dtype=torch.int64))


def test_a_memory_goes_outside():
    rows, labels = small(11)
    memory = CrossBatchMemory(
        loss=MetrixLoss(loss=ContrastiveLoss(), lam=0.5, pairs="pos-neg"), bank=MemoryBank(rows=22, width=4)
    )
    first = memory(rows, labels)
    assert memory(rows + 0.01, labels) > first


def test_mixtures_of_a_reference_are_those_of_its_rows():
    data = batch(0)
    loss = ContrastiveLoss(closeness="dot", reduction="mean")
    second = {"reference": data.reference, "reference_labels": data.reference_labels}
    found = MetrixLoss(loss=loss, pairs="pos-neg", lam=0.3).with_figures(data.embeddings, data.labels, **second)[1]
    rows, others = unit(data.embeddings), unit(data.reference)
    targets, _ = pairs(data.labels, data.reference_labels)
    cosines = []
    for a in range(len(rows)):
        for p, n in product(targets[a].nonzero()[:, 0], (~targets[a]).nonzero()[:, 0]):
            mixed = 0.3 * others[p] + 0.7 * others[n]
            cosines.append(rows[a] @ mixed / mixed.norm())
    c = torch.stack(cosines)
    assert found["mixed"] == pytest.approx((0.3 * (1 - c).mean() + 0.7 * (c - 0.5).clamp(min=0).mean()).item())


def test_large_batches_draw_pairs_evenly_and_stay_near_the_whole():
    data = batch(3, counts=(12,) * 8)
    loss = ContrastiveLoss(closeness="dot", reduction="mean")
    whole = MetrixLoss(loss=loss, pairs="pos-neg", lam=0.5).with_figures(data.embeddings, data.labels)[1]["mixed"]
    few = MetrixLoss(loss=loss, pairs="pos-neg", lam=0.5, max_pairs=96 * 60)
    generator = torch.Generator().manual_seed(0)
    drawn = [few.with_figures(data.embeddings, data.labels, generator=generator)[1]["mixed"] for _ in range(10)]
    assert sum(drawn) / 10 == pytest.approx(whole, rel=0.02)
    sets = loss.pair_sets(data.embeddings, data.labels)
    choice = choose(sets, with_anchor=False, max_pairs=96 * 60, generator=generator)
    assert choice.second.shape == (96, 60)
    same, others = sets.masks()
    assert same.gather(1, choice.first).all()
    assert others.gather(1, choice.first).all()
    assert not same.gather(1, choice.second).any()


def test_many_rows_need_no_square_of_mixtures():
    rows = torch.randn(5000, 8, generator=torch.Generator().manual_seed(0), requires_grad=True)
    labels = torch.arange(5000) // 5
    loss = MetrixLoss(loss=MultiSimilarityLoss(), max_pairs=2**12)
    value, _ = loss.with_figures(rows, labels, generator=torch.Generator().manual_seed(0))
    value.backward()
    assert torch.isfinite(rows.grad).all()


def test_steep_slopes_do_not_overflow():
    rows = torch.ones(6, 4, requires_grad=True)
    labels = torch.tensor([0, 0, 1, 1, 2, 2])
    loss = MetrixLoss(loss=MultiSimilarityLoss(alpha=18.0, beta=2000.0, base=0.0), lam=0.5)
    value = loss(rows, labels)
    value.backward()
    assert torch.isfinite(value)
    assert torch.isfinite(rows.grad).all()


@pytest.mark.parametrize(
    "bad",
    [
        {"alpha": 0.0},
        {"alpha": -1.0},
        {"weight": -0.1},
        {"lam": 1.2},
        {"pairs": "neg-neg"},
        {"lam_per": "row"},
        {"negatives": 0},
        {"max_pairs": 0},
    ],
)
def test_bad_settings_are_refused(bad):
    with pytest.raises(InputError, match=next(iter(bad))):
        MetrixLoss(loss=ContrastiveLoss(), **bad)


def test_features_that_do_not_fit_are_refused():
    rows, labels = small()
    loss = MetrixLoss(loss=ContrastiveLoss())
    cases = [
        {"features": rows},
        {"head": torch.nn.Identity()},
        {"features": rows[:3], "head": torch.nn.Identity()},
        {"features": rows, "head": torch.nn.Identity(), "reference": rows, "reference_labels": labels},
    ]
    for case in cases:
        with pytest.raises(InputError, match="features"):
            loss(rows, labels, **case)
    with pytest.raises(InputError, match="head"):
        loss(rows, labels, features=rows, head=lambda x: x[:, :2])
    soft = MetrixLoss(loss=NormalizedSoftmaxLoss(n_classes=5, width=4))
    with pytest.raises(InputError, match="class vectors"):
        soft(rows, labels, features=rows, head=torch.nn.Identity())


def test_rows_without_a_direction_are_refused():
    rows, labels = small()
    rows[2] = 0
    for loss in (ContrastiveLoss(), ProxyAnchorLoss(n_classes=5, width=4).double()):
        with pytest.raises(InputError, match="row 2"):
            MetrixLoss(loss=loss)(rows, labels)


def test_classes_as_sets_of_centres_and_pairs_of_pairs_have_no_mixture():
    for loss in (SoftTripleLoss(n_classes=2, width=4), LiftedStructureLoss()):
        with pytest.raises(InputError, match="fractional"):
            MetrixLoss(loss=loss)


def test_a_form_is_a_loss():
    rows, labels = small()
    loss = FormLoss(form=contrastive_form(0.5))
    cosines = unit(rows) @ unit(rows).T
    expected = contrastive_form(0.5)(cosines, *pairs(labels)).mean()
    assert loss(rows, labels).item() == pytest.approx(expected.item())
    assert MetrixLoss(loss=loss, lam=0.5)(rows, labels) != loss(rows, labels)
    with pytest.raises(NoPairsError):
        loss(rows, torch.arange(len(rows)))
    assert FormLoss(form=contrastive_form(), empty="zero")(rows, torch.arange(len(rows))) == 0

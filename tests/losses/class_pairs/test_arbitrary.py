"""The loss over arbitrary pairs against triple loops, its limits, and what it refuses or leaves out."""

import math
import warnings

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import nn

from spaceform.errors import InputError, NoPairsError
from spaceform.losses.class_pairs.arbitrary import ArbitraryPairLoss, pair_masks, partner_labels
from spaceform.losses.class_pairs.gates import ClassifierGate, ClassPairGate
from spaceform.losses.info_nce import InfoNCELoss
from spaceform.ops.pairs import row_blocks as blocks
from spaceform.rng import torch_generator


def open_gate(n_classes, width):
    return ClassPairGate(n_classes=n_classes, width=width, kind="open")


def gated(n_classes=4, width=6, **settings):
    return ClassPairGate(n_classes=n_classes, width=width, embed_dim=8, hidden=12, **settings)


def drawn(n=24, classes=4, width=6, seed=0):
    generator = torch_generator(seed)
    labels = torch.arange(n) % classes
    rows = torch.randn(n, width, generator=generator, dtype=torch.float64)
    return rows, labels, labels[torch.randperm(n, generator=generator)]


def brute(rows, labels, partners, opened, *, form, temperature, reduction="pairs", keep_self=False):
    """The loss as it is written down: three loops over rows, positives and negatives."""
    unit = nn.functional.normalize(rows, dim=1)
    per_row = []
    for i in range(len(rows)):
        scores = []
        for j in range(len(rows)):
            one, other = opened[i] * unit[i], opened[i] * unit[j]
            lengths = one.norm() * other.norm() if form == "subspace" else 1.0
            scores.append(float(one @ other / lengths) / temperature)
        others = [n for n in range(len(rows)) if int(labels[n]) not in {int(labels[i]), int(partners[i])}]
        terms = []
        for j in range(len(rows)):
            if labels[j] == partners[i] and others and (j != i or keep_self):
                total = math.exp(scores[j]) + sum(math.exp(scores[n]) for n in others)
                terms.append(math.log(total) - scores[j])
        per_row.append(terms)
    if reduction == "pairs":
        every = [term for terms in per_row for term in terms]
        return sum(every) / len(every)
    rows_used = [sum(terms) / len(terms) for terms in per_row if terms]
    return sum(rows_used) / len(rows_used)


def test_hand_case():
    labels, partners = torch.tensor([0, 0, 1, 2]), torch.tensor([1, 1, 1, 1])
    positives, negatives = pair_masks(labels, partners, labels)
    assert positives[0].tolist() == [False, False, True, False]
    assert negatives[0].tolist() == [False, False, False, True]
    # all logits 0: every term of anchor 0 is log 2
    loss = ArbitraryPairLoss(n_classes=3, width=4, gate=open_gate(3, 4))
    alone = torch.tensor([1, 2, 2, 2])  # anchors 1, 2, 3 with partners that leave their own term known
    value = loss(torch.eye(4), labels, partners=alone)
    expected = [math.log(2), math.log(2), math.log(3)]  # anchor 3 meets itself alone: left out
    assert float(value) == pytest.approx(sum(expected) / 3, abs=1e-6)
    assert loss.last_log["used"] == 0.75
    assert math.log(2) == pytest.approx(0.6931, abs=1e-4)


@given(seed=st.integers(0, 10**6), classes=st.integers(3, 6), n=st.integers(3, 20))
@settings(deadline=None, max_examples=40)
def test_masks_are_what_three_loops_say(seed, classes, n):
    generator = torch_generator(seed)
    labels, partners = (torch.randint(classes, (n,), generator=generator) for _ in range(2))
    keys = torch.randint(classes, (n + 2,), generator=generator)
    positives, negatives = pair_masks(labels, partners, keys)
    for i in range(n):
        for j in range(n + 2):
            same, partner = bool(labels[i] == keys[j]), bool(partners[i] == keys[j])
            assert bool(positives[i, j]) == partner
            assert bool(negatives[i, j]) == (not same and not partner)


def test_partners():
    labels = torch.arange(60) % 10
    arbitrary = partner_labels(labels, "arbitrary", n_classes=10, generator=torch_generator(0))
    assert torch.equal(arbitrary.sort()[0], labels.sort()[0])
    assert (arbitrary != labels).float().mean() > 0.7  # most rows meet another class
    distinct = partner_labels(labels, "distinct", n_classes=10, generator=torch_generator(0))
    assert (distinct != labels).all()
    assert len(set(distinct.tolist())) == 10
    assert torch.equal(partner_labels(labels, "identical", n_classes=10), labels)
    with pytest.raises(InputError, match="mode"):
        partner_labels(labels, "any", n_classes=10)


@pytest.mark.parametrize("form", ["global", "subspace"])
@pytest.mark.parametrize("reduction", ["pairs", "rows"])
@pytest.mark.parametrize("keep_self", [False, True])
def test_value_is_that_of_three_loops(form, reduction, keep_self):
    rows, labels, partners = drawn()
    gate = gated().eval()
    loss = ArbitraryPairLoss(
        n_classes=4, width=6, form=form, temperature=0.3, reduction=reduction, include_self=keep_self, gate=gate
    )
    expected = brute(
        rows,
        labels,
        partners,
        gate(labels, partners).double().detach(),
        form=form,
        temperature=0.3,
        reduction=reduction,
        keep_self=keep_self,
    )
    assert float(loss(rows, labels, partners=partners).detach()) == pytest.approx(expected, rel=1e-6)


def test_the_open_gate_with_the_own_class_is_info_nce():
    """One positive and the rows of other classes per term: the supervised contrastive loss, decoupled."""
    rows, labels, _ = drawn(classes=3)
    width = rows.shape[1]
    for form in ("global", "subspace"):
        loss = ArbitraryPairLoss(n_classes=3, width=width, mode="identical", form=form, gate=open_gate(3, width))
        known = InfoNCELoss(temperature=0.1)
        torch.testing.assert_close(loss(rows, labels), known(rows, labels).double(), rtol=1e-6, atol=1e-7)
        torch.testing.assert_close(
            loss(rows, labels, reference=rows + 0.1, reference_labels=labels),
            known(rows, labels, reference=rows + 0.1, reference_labels=labels).double(),
            rtol=1e-6,
            atol=1e-7,
        )


def test_the_peer_library_gives_the_same_in_the_limit():
    losses = pytest.importorskip("pytorch_metric_learning.losses")
    rows, labels, _ = drawn()
    peer = losses.NTXentLoss(temperature=0.2)(rows, labels)
    ours = ArbitraryPairLoss(n_classes=4, width=6, mode="identical", temperature=0.2, gate=open_gate(4, 6))
    torch.testing.assert_close(ours(rows, labels), peer, rtol=1e-5, atol=1e-6)


def test_the_row_itself_has_no_effect_unless_asked_for():
    rows, labels, _ = drawn()
    settings = {"n_classes": 4, "width": 6, "mode": "identical", "gate": open_gate(4, 6)}
    without, kept = ArbitraryPairLoss(**settings), ArbitraryPairLoss(**settings, include_self=True)
    positives, negatives = pair_masks(labels, labels, labels)
    scores = nn.functional.normalize(rows, dim=1) @ nn.functional.normalize(rows, dim=1).T / 0.1
    scores.fill_diagonal_(1e3)  # whatever the diagonal holds
    positives.fill_diagonal_(fill_value=False)
    rivals = scores.masked_fill(~negatives, -torch.inf).logsumexp(1, keepdim=True)
    expected = nn.functional.softplus(rivals - scores)[positives].mean()
    torch.testing.assert_close(without(rows, labels), expected)
    assert float(kept(rows, labels)) < float(expected)  # the easiest positive of all joins the mean


@pytest.mark.parametrize("kind", ["sigmoid", "gumbel", "stochastic"])
@pytest.mark.parametrize("form", ["global", "subspace"])
def test_the_gradient_is_the_derivative_through_the_gate_too(kind, form):
    rows, labels, partners = drawn(9, 3, 4)
    loss = ArbitraryPairLoss(
        n_classes=3,
        width=4,
        form=form,
        learn_temperature=True,
        repulsion=0.5,
        gate=gated(3, 4, kind=kind),
        seed=1,
    ).double()
    table, scale = loss.gate.table.weight, loss.log_scale

    def value(rows, vectors, log_scale):
        return torch.func.functional_call(
            loss,
            {"gate.table.weight": vectors, "log_scale": log_scale},
            (rows, labels),
            {"partners": partners, "generator": torch_generator(0)},
        )

    given = [rows.requires_grad_(), table.detach().clone().requires_grad_(), scale.detach().clone().requires_grad_()]
    assert torch.autograd.gradcheck(value, given, raise_exception=True, atol=1e-6)


def test_blocks_give_what_one_block_gives(monkeypatch):
    rows, labels, partners = drawn(60)
    for reduction in ("pairs", "rows"):
        found = []
        for budget in (2**26, 60 * 8 * 7):
            monkeypatch.setattr(
                "spaceform.losses.class_pairs.arbitrary.row_blocks",
                lambda n, m, itemsize, budget=budget: blocks(n, m, itemsize=itemsize, budget=budget),
            )
            loss = ArbitraryPairLoss(n_classes=4, width=6, form="subspace", reduction=reduction, gate=gated())
            leaf = rows.clone().requires_grad_()
            value = loss(leaf, labels, partners=partners)
            value.backward()
            found.append((value.detach(), leaf.grad, loss.gate.table.weight.grad))
        for one, other in zip(*found, strict=True):
            torch.testing.assert_close(one, other)


def test_rows_without_positives_cost_nothing():
    """Partner classes that the batch lacks: 0 for those rows, never NaN, and not counted in the mean."""
    rows, labels, partners = drawn(12, 4)
    partners = partners.clone()
    partners[:5] = 7  # a class without rows
    loss = ArbitraryPairLoss(n_classes=8, width=6, gate=open_gate(8, 6))
    leaf = rows.clone().requires_grad_()
    value = loss(leaf, labels, partners=partners)
    value.backward()
    assert torch.isfinite(value)
    assert torch.isfinite(leaf.grad).all()
    assert loss.last_log["used"] == pytest.approx(7 / 12)
    opened = torch.ones(12, 6, dtype=torch.float64)
    assert float(value.detach()) == pytest.approx(
        brute(rows, labels, partners, opened, form="global", temperature=0.1), rel=1e-5
    )


def test_rows_without_negatives_are_left_out_with_a_warning_when_they_are_most():
    rows = torch.randn(6, 4, generator=torch_generator(0), requires_grad=True)
    labels = torch.tensor([0, 0, 1, 1, 0, 1])
    partners = torch.tensor([1, 1, 0, 0, 1, 0])  # two classes only: there is no third
    loss = ArbitraryPairLoss(n_classes=3, width=4, gate=open_gate(3, 4), empty="zero")
    value = loss(rows, labels, partners=partners)
    value.backward()
    assert float(value.detach()) == 0
    assert float(rows.grad.abs().max()) == 0
    with pytest.raises(NoPairsError):
        ArbitraryPairLoss(n_classes=3, width=4, gate=open_gate(3, 4))(rows, labels, partners=partners)
    with pytest.warns(UserWarning, match="4 of 6 rows"):
        loss(rows, labels, partners=torch.tensor([0, 0, 0, 0, 1, 0]))
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        loss(rows, labels, partners=labels)


def test_partners_are_new_at_every_training_call_and_kept_with_the_state():
    rows, labels, _ = drawn()
    make = lambda: ArbitraryPairLoss(n_classes=4, width=6, gate=gated())  # noqa: E731
    unbroken = make()
    values = [float(unbroken(rows, labels).detach()) for _ in range(4)]
    assert len(set(values)) == 4
    first, second = make(), make()
    for _ in range(2):
        first(rows, labels)
    second.load_state_dict(first.state_dict())
    assert [float(second(rows, labels).detach()) for _ in range(2)] == values[2:]
    unbroken.eval()
    assert float(unbroken(rows, labels).detach()) == float(unbroken(rows, labels).detach())
    fixed = [float(unbroken(rows, labels, generator=torch_generator(s)).detach()) for s in (5, 5, 6)]
    assert fixed[0] == fixed[1] != fixed[2]


def test_cold_temperatures_and_half_precision_stay_finite():
    rows, labels, partners = drawn()
    for dtype in (torch.float16, torch.bfloat16, torch.float32):
        leaf = rows.to(dtype).requires_grad_()
        for form in ("global", "subspace"):
            loss = ArbitraryPairLoss(n_classes=4, width=6, temperature=0.001, form=form, gate=gated())
            value = loss(leaf, labels, partners=partners)
            (gradient,) = torch.autograd.grad(value, leaf)
            assert torch.isfinite(value)
            assert torch.isfinite(gradient).all()


def test_closed_gates_are_a_point_without_slope_and_show_in_the_figures():
    rows, labels, partners = drawn()
    loss = ArbitraryPairLoss(n_classes=4, width=6, gate=gated())
    assert loss(rows, labels, partners=partners).isfinite()
    assert 0.3 < loss.last_log["opening"] < 0.7
    assert loss.last_log["entropy"] <= math.log(2)
    with torch.no_grad():
        loss.gate.outer.bias.fill_(-200)
    leaf = rows.clone().requires_grad_()
    loss(leaf, labels, partners=partners).backward()
    assert loss.last_log["opening"] < 1e-6
    assert float(leaf.grad.abs().max()) < 1e-12


def test_repulsion_takes_the_plain_cosine_off_the_logits():
    rows, labels, partners = drawn()
    gate = gated().eval()
    loss = ArbitraryPairLoss(n_classes=4, width=6, repulsion=0.7, gate=gate)
    opened = gate(labels, partners).double()
    # l - a <z, k> is the loss under the gate sqrt(g^2 - a t), as the closeness is linear in g^2
    shifted = (opened**2 - 0.7 * 0.1).clamp(min=0).sqrt()
    if (opened**2 < 0.07).any():
        pytest.skip("the trick needs gates above sqrt(a t)")

    class Fixed(nn.Module):
        def forward(self, first, second, *, generator=None):
            return shifted

    plain = ArbitraryPairLoss(n_classes=4, width=6, gate=Fixed())
    torch.testing.assert_close(
        loss(rows, labels, partners=partners), plain(rows, labels, partners=partners), rtol=1e-6, atol=1e-7
    )
    loss(rows, labels, partners=partners).backward()
    assert loss.repulsion.grad is not None


def test_the_temperature_is_learned_where_asked_for():
    rows, labels, partners = drawn()
    fixed, learned = (
        ArbitraryPairLoss(n_classes=4, width=6, learn_temperature=learn, gate=open_gate(4, 6))
        for learn in (False, True)
    )
    assert not [value for value in fixed.parameters() if value.requires_grad]
    learned(rows, labels, partners=partners).backward()
    assert learned.log_scale.grad is not None
    assert learned.temperature == pytest.approx(0.1)


def test_the_stochastic_gate_adds_its_penalty():
    rows, labels, partners = drawn()
    gate = gated(kind="stochastic").eval()
    loss = ArbitraryPairLoss(n_classes=4, width=6, gate=gate)
    with_it = loss(rows, labels, partners=partners)
    penalty = gate.with_penalty(labels, partners)[1]
    gate.penalty_weight = 0.0
    torch.testing.assert_close(with_it - loss(rows, labels, partners=partners), penalty.double(), atol=1e-9, rtol=1e-4)


def test_a_classifiers_gate_teaches_the_rows_and_not_the_classifier():
    linear = nn.Linear(6, 4)
    rows, labels, partners = drawn()
    leaf = rows.clone().requires_grad_()
    loss = ArbitraryPairLoss(n_classes=4, width=6, form="subspace", gate=ClassifierGate(linear))
    loss(leaf, labels, partners=partners).backward()
    assert leaf.grad.abs().max() > 0
    assert linear.weight.grad is None


def test_keys_of_all_processes_are_a_reference():
    """Two halves against the whole, as two processes would do it, give the whole: the gate in evaluation mode."""
    rows, labels, partners = drawn()
    loss = ArbitraryPairLoss(n_classes=4, width=6, reduction="pairs", gate=gated().eval())
    other = rows.flip(1)
    whole = loss(rows, labels, reference=other, reference_labels=labels, partners=partners)
    halves = [
        loss(rows[part], labels[part], reference=other, reference_labels=labels, partners=partners[part])
        for part in (slice(0, 12), slice(12, 24))
    ]
    torch.testing.assert_close(whole, sum(halves) / 2)  # every class has 6 rows, so both halves hold as many pairs


@pytest.mark.parametrize(
    ("change", "named"),
    [
        ({"n_classes": 2}, "n_classes"),
        ({"temperature": 0.0}, "temperature"),
        ({"mode": "random"}, "mode"),
        ({"form": "local"}, "form"),
        ({"reduction": "sum"}, "reduction"),
        ({"repulsion": -1.0}, "repulsion"),
        ({"gate": ClassPairGate(n_classes=5, width=6, kind="open")}, "gate"),
        ({"gate": ClassPairGate(n_classes=4, width=5, kind="open")}, "gate"),
    ],
)
def test_settings_are_checked(change, named):
    with pytest.raises(InputError) as refused:
        ArbitraryPairLoss(**{"n_classes": 4, "width": 6, "gate": open_gate(4, 6)} | change)
    assert refused.value.argument == named


def bad_batches():
    rows, labels, partners = drawn()
    hole = rows.clone()
    hole[3, 2] = torch.nan
    yield "NaN", {"embeddings": hole, "labels": labels}, "embeddings"
    yield "another width", {"embeddings": rows[:, :5], "labels": labels}, "embeddings"
    yield "a label too high", {"embeddings": rows, "labels": labels + 1}, "labels"
    yield "floats", {"embeddings": rows, "labels": labels.double()}, "labels"
    yield "keys alone", {"embeddings": rows, "labels": labels, "reference": rows}, "reference_labels"
    short = {"reference": rows, "reference_labels": labels[:-1]}
    yield "keys of another length", {"embeddings": rows, "labels": labels} | short, "reference_labels"
    strange = {"reference": rows, "reference_labels": labels + 1}
    yield "keys of no class", {"embeddings": rows, "labels": labels} | strange, "reference_labels"
    yield "partners", {"embeddings": rows, "labels": labels, "partners": partners[:-1]}, "partners"
    yield "no third class", {"embeddings": rows[:2], "labels": labels[:2], "partners": labels[:2].flip(0)}, "labels"
    yield "one row", {"embeddings": rows[:1], "labels": labels[:1]}, "first"


@pytest.mark.parametrize(("given", "named"), [case[1:] for case in bad_batches()], ids=[c[0] for c in bad_batches()])
def test_bad_batches_are_refused(given, named):
    with pytest.raises(InputError) as refused:
        ArbitraryPairLoss(n_classes=4, width=6, gate=gated())(given.pop("embeddings"), given.pop("labels"), **given)
    assert refused.value.argument == named

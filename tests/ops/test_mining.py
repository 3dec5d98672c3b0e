"""Mining: the loops of the oracle, both engines, blocks, ties, items, and what may not be listed."""

from collections import Counter

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from oracles.triplets import allowed, distances, every_triplet
from spaceform.errors import InputError, NoPairsError
from spaceform.ops import mining, mining_compiled, mining_tensors, triplets
from spaceform.ops.mining import mine_block, mine_triplets, weigh_all, weigh_block
from spaceform.ops.triplets import Mining, distance_blocks, has_triplets, label_order

STRATEGIES = [
    Mining(rule="facenet", choice="random"),
    Mining(rule="facenet", choice="hardest"),
    Mining(rule="vgg", choice="random"),
    Mining(rule="vgg", choice="hardest"),
    Mining(strategy="hard"),
    Mining(strategy="hard_negative"),
    Mining(strategy="random"),
]


def unit_rows(seed, rows, width=3):
    generator = torch.Generator().manual_seed(seed)
    return torch.nn.functional.normalize(torch.randn(rows, width, generator=generator), dim=1)


def some_labels(seed, rows, classes):
    return torch.randint(0, classes, (rows,), generator=torch.Generator().manual_seed(seed + 1000))


def listed(found):
    return sorted(zip(*(part.tolist() for part in found), strict=True))


@pytest.mark.parametrize("choice", STRATEGIES, ids=str)
@given(seed=st.integers(0, 10**6), classes=st.integers(2, 4), margin=st.floats(0.05, 1.5), apart=st.booleans())
@settings(deadline=None, max_examples=25)
def test_every_triplet_is_one_that_the_loops_allow_and_no_pair_is_missed(choice, seed, classes, margin, apart):
    x, y = unit_rows(seed, 12), some_labels(seed, 12, classes)
    r, ry = (unit_rows(seed + 1, 9), some_labels(seed + 1, 9, classes)) if apart else (None, None)
    batch = label_order(x, y, reference=r, reference_labels=ry)
    if not has_triplets(batch, empty="zero"):
        return
    generator = torch.Generator().manual_seed(seed)
    found = listed(mine_triplets(batch, choice, margin=margin, generator=generator))
    D = distances(x, x if r is None else r)
    rule = choice.rule if choice.strategy == "semi_hard" else "any"
    table = allowed(D, every_triplet(y, ry), rule=rule, margin=margin)
    if choice.strategy == "hard":
        anchors = {a for a, _ in table}
        table = {
            (a, max((p for b, p in table if b == a), key=lambda p, a=a: D[a, p])): table[k]
            for k in table
            for a in [k[0]]
        }
        assert {a for a, _, _ in found} == anchors
    assert [(a, p) for a, p, _ in found] == sorted(table)
    for a, p, n in found:
        assert n in table[a, p]
        if not choice.draws:
            assert D[a, n] == pytest.approx(min(float(D[a, m]) for m in table[a, p]), abs=1e-6)


@pytest.mark.parametrize("choice", STRATEGIES, ids=str)
@pytest.mark.parametrize("squared", [True, False])
def test_both_engines_choose_the_same_triplets(choice, squared):
    x, y = unit_rows(3, 90, width=2), some_labels(3, 90, 5)
    # rows that occur twice make ties
    x[:30] = x[30:60]
    for reference, labels in ((None, None), (unit_rows(4, 40, width=2), some_labels(4, 40, 5))):
        batch = label_order(x, y, reference=reference, reference_labels=labels)
        (first, matrix), *rest = distance_blocks(batch, squared=squared)
        assert not rest
        draws = None
        if choice.draws:
            draws = torch.rand(batch.n_pairs, dtype=torch.float64, generator=torch.Generator().manual_seed(0))
        compiled = mining_compiled.mine(batch, first, matrix, mining=choice, margin=0.2, draws=draws)
        tensors = mining_tensors.mine(batch, first, matrix, mining=choice, margin=0.2, draws=draws)
        assert torch.equal(compiled.anchors, tensors.anchors)
        assert torch.equal(compiled.positives, tensors.positives)
        assert torch.equal(compiled.negatives, tensors.negatives)
        assert compiled.candidates == tensors.candidates
        assert compiled.pair_sum == pytest.approx(tensors.pair_sum, rel=1e-5)
        assert compiled.same_sum == pytest.approx(tensors.same_sum, rel=1e-5)


@pytest.mark.parametrize("squared", [True, False])
@pytest.mark.parametrize("keep", [False, True])
def test_both_engines_weigh_alike(squared, keep):
    batch = label_order(unit_rows(5, 60), some_labels(5, 60, 4))
    first, matrix = next(distance_blocks(batch, squared=squared))
    mined = mine_block(batch, first, matrix, mining=Mining(choice="hardest"), margin=0.3)
    mask = torch.arange(len(mined.anchors)) % 3 > 0 if keep else None
    pairs = [
        (
            engine.weigh(matrix, mined, mask, margin=0.3, squared=squared)
            for engine in (mining_compiled, mining_tensors)
        ),
        (
            engine.weigh_all(batch, first, matrix, margin=0.3, squared=squared).hinge
            for engine in (mining_compiled, mining_tensors)
        ),
    ]
    for compiled, tensors in pairs:
        assert (compiled.active, compiled.triplets) == (tensors.active, tensors.triplets)
        assert compiled.value == pytest.approx(tensors.value, rel=1e-5)
        torch.testing.assert_close(compiled.weights, tensors.weights)


def test_blocks_give_what_the_whole_gives(monkeypatch):
    batch = label_order(unit_rows(6, 70), some_labels(6, 70, 6))
    whole = listed(mine_triplets(batch, Mining(choice="hardest"), margin=0.2))
    monkeypatch.setattr(triplets, "CPU_BLOCK", 70 * 11)
    assert len(list(distance_blocks(batch, squared=True))) == 7
    assert listed(mine_triplets(batch, Mining(choice="hardest"), margin=0.2)) == whole


def test_random_choice_is_uniform_over_the_semi_hard_negatives():
    angles = torch.tensor([0.0, 40.0, 41.0, 42.0, 43.0, 90.0]).deg2rad()
    x, y = torch.stack([angles.cos(), angles.sin()], 1), torch.tensor([0, 0, 1, 2, 3, 4])
    batch = label_order(x, y)
    generator = torch.Generator().manual_seed(0)
    counts: Counter[int] = Counter()
    for _ in range(3000):
        found = listed(mine_triplets(batch, Mining(), margin=0.2, generator=generator))
        counts.update(n for a, _, n in found if a == 0)
    assert set(counts) == {2, 3, 4}
    assert max(abs(count - 1000) for count in counts.values()) < 120  # 4.6 standard deviations


def test_equal_rows_give_no_semi_hard_triplet_but_hard_ones():
    batch = label_order(unit_rows(0, 1).expand(6, 3), torch.tensor([0, 0, 1, 1, 2, 2]))
    assert len(mine_triplets(batch, Mining(), margin=0.2).anchors) == 0
    assert len(mine_triplets(batch, Mining(strategy="hard_negative"), margin=0.2).anchors) == 6


def test_rows_of_one_item_are_no_pair():
    x, y = unit_rows(7, 8), torch.tensor([0, 0, 1, 1] * 2)
    batch = label_order(x, y, items=torch.arange(4).repeat(2))
    found = listed(mine_triplets(batch, Mining(strategy="random"), margin=0.2, generator=torch.Generator()))
    assert batch.n_pairs == len(found) == 8 * 3 - 8
    assert all(a % 4 != p % 4 for a, p, _ in found)


def test_classes_with_all_pairs_both_ways():
    batch = label_order(unit_rows(8, 12), torch.arange(12) // 4)
    assert batch.n_pairs == 3 * 4 * 3
    assert batch.n_negative_pairs == 12 * 8


def test_float64_distances_are_kept_and_compared_in_float32():
    x, y = unit_rows(9, 40).double(), some_labels(9, 40, 4)
    single = mine_triplets(label_order(x.float(), y), Mining(choice="hardest"), margin=0.2)
    double = mine_triplets(label_order(x, y), Mining(choice="hardest"), margin=0.2)
    same = len(set(listed(single)) & set(listed(double)))
    assert same >= 0.98 * len(double.anchors)


def test_all_triplets_are_never_listed():
    batch = label_order(unit_rows(1, 6), torch.arange(6) % 2)
    with pytest.raises(InputError, match="'all'"):
        mine_triplets(batch, Mining(strategy="all"), margin=0.2)
    block = weigh_all(batch, *next(distance_blocks(batch, squared=True)), margin=0.2, squared=True)
    assert block.hinge.triplets == 6 * 2 * 3


def test_weights_of_a_block_sum_to_zero_per_anchor():
    batch = label_order(unit_rows(2, 30), torch.arange(30) % 5)
    first, matrix = next(distance_blocks(batch, squared=True))
    mined = mine_block(batch, first, matrix, mining=Mining(strategy="hard"), margin=0.2)
    weighed = weigh_block(matrix, mined, keep=None, margin=0.2, squared=True)
    assert weighed.triplets == 30
    torch.testing.assert_close(weighed.weights.sum(1), torch.zeros(30))


def test_without_pairs_there_is_nothing_to_mine():
    alone = label_order(unit_rows(0, 5), torch.arange(5))
    one_class = label_order(unit_rows(0, 5), torch.zeros(5, dtype=torch.int64))
    for batch, message in ((alone, "no two rows of one class"), (one_class, "rows of one class only")):
        assert not has_triplets(batch, empty="zero")
        with pytest.raises(NoPairsError, match=message):
            has_triplets(batch, empty="raise")


@pytest.mark.parametrize(("name", "value"), [("strategy", "best"), ("rule", "lfw"), ("choice", "soft")])
def test_unknown_names_are_refused(name, value):
    with pytest.raises(InputError, match=name):
        Mining(**{name: value})


def test_mining_as_text():
    assert Mining.parse("semi_hard") == Mining()
    assert Mining.parse("semi_hard:hardest:vgg") == Mining(rule="vgg", choice="hardest")
    assert Mining.parse("hard").strategy == "hard"
    for text in ("best", "semi_hard:soft", "semi_hard:vgg:facenet", ""):
        with pytest.raises(InputError, match="mining"):
            Mining.parse(text)


def test_other_devices_take_the_tensor_engine(monkeypatch):
    """Without an accelerator here, the choice of the engine is tested by pretending that the CPU is one."""
    batch = label_order(unit_rows(2, 20), torch.arange(20) % 4)
    expected = listed(mine_triplets(batch, Mining(choice="hardest"), margin=0.2))
    monkeypatch.setattr(mining, "is_compiled", lambda distances: False)
    monkeypatch.setattr(mining_compiled, "mine", None)
    assert listed(mine_triplets(batch, Mining(choice="hardest"), margin=0.2)) == expected

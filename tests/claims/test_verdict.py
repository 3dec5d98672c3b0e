"""The judge: hand-made differences with known verdicts."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats

from spaceform.claims.verdict import VERDICTS, judge, overall
from spaceform.errors import InputError
from spaceform.papers import Comparison


def compare(test="superior", margin=0.1, direction="up", baseline_metric=None):
    return Comparison(
        name="a beats b",
        kind="accuracy",
        test=test,
        metric="m",
        direction=direction,
        method="a",
        baseline="b",
        margin=margin,
        role="baseline",
        baseline_metric=baseline_metric,
    )


def figures(a, b):
    return {"a": {s: {"m": v} for s, v in enumerate(a)}, "b": {s: {"m": v, "n": 9.0} for s, v in enumerate(b)}}


@pytest.mark.parametrize(
    ("test", "differences", "verdict"),
    [
        ("superior", [0.2, 0.21, 0.19], "reproduced"),
        ("superior", [0.05, 0.051, 0.049], "weaker"),
        ("superior", [0.6, 0.0, 0.1], "weaker"),
        ("superior", [0.05, -0.04, 0.0], "not reproduced"),
        ("superior", [-0.2, -0.21, -0.19], "contradicted"),
        ("noninferior", [-0.05, -0.051, -0.049], "reproduced"),
        ("noninferior", [-0.2, 0.0, 0.1], "weaker"),
        ("noninferior", [-0.3, 0.0, -0.1], "not reproduced"),
        ("noninferior", [-0.2, -0.21, -0.19], "contradicted"),
        ("equivalent", [0.01, -0.01, 0.0], "reproduced"),
        ("equivalent", [0.2, -0.2, 0.0], "weaker"),
        ("equivalent", [0.3, 0.0, 0.1], "not reproduced"),
        ("equivalent", [0.2, 0.21, 0.19], "contradicted"),
    ],
)
def test_verdicts_by_hand(test, differences, verdict):
    judged = judge(compare(test), figures(np.array(differences) + 0.5, [0.5] * 3))
    assert judged.verdict == verdict


def test_interval_is_the_paired_t_interval():
    a, b = [0.9, 0.7, 0.8, 0.95], [0.6, 0.65, 0.5, 0.7]
    judged = judge(compare(), figures(a, b))
    low, high = stats.ttest_rel(a, b).confidence_interval(0.95)
    assert (judged.low, judged.high) == pytest.approx((low, high))
    assert judged.difference == pytest.approx(np.mean(a) - np.mean(b))


def test_direction_down_turns_the_sign():
    assert judge(compare(direction="down"), figures([0.1, 0.1], [0.5, 0.5])).verdict == "reproduced"
    assert judge(compare(direction="up"), figures([0.1, 0.1], [0.5, 0.5])).verdict == "contradicted"


def test_only_paired_seeds_count():
    table = figures([0.9, 0.9, 0.9], [0.5, 0.5, 0.5])
    table["a"][7] = {"m": -100.0}
    assert judge(compare(), table).differences == pytest.approx((0.4, 0.4, 0.4))


def test_baseline_metric_reads_the_other_column():
    assert judge(compare(baseline_metric="n"), figures([9.5, 9.5], [0.0, 0.0])).difference == pytest.approx(0.5)


@given(st.lists(st.floats(-1, 1), min_size=2, max_size=6), st.floats(0, 1))
def test_swapping_arms_never_leaves_both_reproduced(differences, margin):
    zero = [0.0] * len(differences)
    one = judge(compare(margin=margin), figures(differences, zero)).verdict
    other = judge(compare(margin=margin), figures(zero, differences)).verdict
    assert {one, other} != {"reproduced"}


def test_refusals_name_what_is_missing():
    with pytest.raises(InputError, match="'a'"):
        judge(compare(), {"b": {0: {"m": 1.0}}})
    with pytest.raises(InputError, match="metric"):
        judge(compare(baseline_metric="gone"), figures([1, 1], [1, 1]))
    with pytest.raises(InputError, match="seeds"):
        judge(compare(), figures([1.0], [1.0]))
    with pytest.raises(InputError, match="finite"):
        judge(compare(), figures([np.nan, 1.0], [1.0, 1.0]))


def test_overall_is_the_worst():
    good = judge(compare(), figures([1, 1], [0, 0]))
    bad = judge(compare(), figures([0, 0], [1, 1]))
    assert overall([good]) == VERDICTS[0]
    assert overall([good, bad]) == "contradicted"
    with pytest.raises(InputError):
        overall([])

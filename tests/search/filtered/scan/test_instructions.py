"""Sums in registers: to the bit those of NumPy in the same order, for rows of any length."""

import numpy as np
import pytest

from spaceform.compiled import compiled
from spaceform.search.filtered.scan.instructions import ones_in_common, prefetch, product_of, squares_of, weighed
from spaceform.search.filtered.scan.layout import LANES, lane_sum, norms_of
from spaceform.search.filtered.scan.queries import PLANES
from spaceform.search.filtered.scan.scoring import norm_of


@compiled()
def sums(query, rows, products, squares):
    for row in range(len(rows)):
        prefetch(rows, row, 0)
        products[row], squares[row] = product_of(query, rows, row), squares_of(query, rows, row)


@compiled()
def weighed_sum(codes, row, weights):
    return weighed(codes, row, weights)


@compiled()
def common(lines, row, planes):
    return ones_in_common(lines, row, planes)


@pytest.mark.parametrize("d", [1, 3, 24, LANES - 1, LANES, LANES + 1, 100, 256, 384, 1_000])
@pytest.mark.parametrize("spread", [0, 8])
def test_sums_are_those_of_numpy_to_the_bit(d, spread):
    generator = np.random.default_rng(d)
    rows = generator.normal(size=(50, d)) * 10.0 ** generator.uniform(-spread, spread, (50, d))
    query = rows[0].astype(np.float32).astype(np.float64)
    rows = rows.astype(np.float32)
    products, squares = np.empty(50), np.empty(50)
    sums(query, rows, products, squares)
    np.testing.assert_array_equal(products, lane_sum(rows * query))
    np.testing.assert_array_equal(squares, lane_sum((query - rows) ** 2))
    scale = np.abs(rows * query).sum(axis=1)
    assert (np.abs(products - rows.astype(np.float64) @ query) <= 1e-13 * scale).all()
    assert squares[0] == 0
    assert norm_of(query) == norms_of(rows[:1])[0]


def test_lanes_are_added_to_by_columns_and_then_by_halves():
    numbers = np.random.default_rng(0).normal(size=2 * LANES + 5)
    lanes = [sum(numbers[lane::LANES].tolist()) for lane in range(LANES)]
    while len(lanes) > 1:
        lanes = [a + b for a, b in zip(lanes[: len(lanes) // 2], lanes[len(lanes) // 2 :], strict=True)]
    assert lane_sum(numbers[None])[0] == lanes[0]


@pytest.mark.parametrize("d", [1, 31, 32, 65, 384])
def test_bytes_are_weighed_in_whole_numbers(d):
    generator = np.random.default_rng(d)
    codes = generator.integers(0, 256, (7, d)).astype(np.uint8)
    codes[0] = 255
    top = (2**31 - 1) // (255 * d)
    weights = generator.integers(-min(32_767, top), min(32_767, top) + 1, d).astype(np.int16)
    weights[-1] = -min(32_767, top)
    for row in range(7):
        assert weighed_sum(codes, row, weights) == codes[row].astype(np.int64) @ weights.astype(np.int64)


@pytest.mark.parametrize("words", [4, 8, 16, 32])
def test_ones_in_common_count_by_the_bit_they_stand_for(words):
    generator = np.random.default_rng(words)
    lines = generator.integers(0, 2**64, (5, words), dtype=np.uint64)
    planes = generator.integers(0, 2**64, (PLANES, words), dtype=np.uint64)
    for row in range(5):
        both = [(p, *pair) for p in range(PLANES) for pair in zip(lines[row], planes[p], strict=True)]
        expected = sum(int(word & other).bit_count() << p for p, word, other in both)
        assert common(lines, row, planes) == expected

"""Plots of a Space: what they show is there, and equal input gives equal files."""

import numpy as np

from spaceform.report.plots import draw_index, draw_learned, draw_map

LEARNED = {"raw pixels": {"recall_at_1": 0.3, "map_at_r": 0.2}, "trained": {"recall_at_1": 0.7, "map_at_r": 0.6}}


def test_map_in_both_formats(tmp_path):
    xy = np.random.default_rng(0).normal(size=(50, 2))
    classes = [f"class {i % 15}" if i % 7 else None for i in range(50)]
    paths = [tmp_path / "map.svg", tmp_path / "map.png"]
    draw_map(xy, classes, title="A <map>", paths=paths)
    first = [path.read_bytes() for path in paths]
    draw_map(xy, classes, title="A <map>", paths=paths)
    assert [path.read_bytes() for path in paths] == first
    assert first[1].startswith(b"\x89PNG")


def test_learned_is_an_svg_element(tmp_path):
    text = draw_learned(LEARNED, [tmp_path / "learned.png"])
    assert text.startswith("<svg")
    assert text.rstrip().endswith("</svg>")
    assert (tmp_path / "learned.png").exists()


def test_index_with_and_without_the_truth():
    curves = {"silhouette": [0.1, 0.4, 0.2]}
    with_truth = draw_index([2, 3, 4], curves, chosen=3, truth=4, paths=[])
    without = draw_index([2, 3, 4], curves, chosen=3, truth=None, paths=[])
    assert with_truth != without
    assert without == draw_index([2, 3, 4], curves, chosen=3, truth=None, paths=[])

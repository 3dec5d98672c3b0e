"""Recall against speed: which settings are drawn, and that every method and cell has its place."""

from spaceform.report import search_curves
from spaceform.report.search_curves import best_settings, draw_search_curves


def test_settings_that_another_beats_are_left_out():
    assert best_settings([(0.9, 10), (0.95, 20), (1.0, 5), (0.99, 4)]) == [(0.95, 20), (1.0, 5)]
    assert best_settings([]) == []


def test_every_cell_is_drawn_and_the_fastest_rival_named(tmp_path):
    curves = {
        "ours": [(0.9, 100.0), (1.0, 50.0)],
        "peer": [(0.7, 300.0), (0.96, 30.0)],
        "fast, but wrong": [(0.7, 900.0)],
        "silent": [],
        "paper": [(0.96, 20.0)],
    }
    cells = {f"EM {i}%": curves for i in range(5)} | {"R 1%": {"ours": curves["ours"]}}
    text = draw_search_curves(cells, ours="ours", references=["paper"], aim=0.95, paths=[tmp_path / "curves.svg"])
    assert (tmp_path / "curves.svg").read_text("utf-8")[-7:] == "</svg>\n"
    assert text.startswith("<svg")
    assert text.count("axes_") >= 6
    leaders = [search_curves._fastest(one, 0.95, "ours") for one in cells.values()]
    assert leaders == [["peer", "paper"]] * 5 + [[]]


def test_only_so_many_rivals_have_colours_and_references_are_dashed():
    many = {f"m{i}": [(1.0, float(i))] for i in range(1, 26)} | {"ours": [(1.0, 3.0)]}
    text = draw_search_curves({"R": many}, ours="ours", references=["m1", "m2"], aim=0.95, paths=[])
    assert search_curves._FAINT in text
    assert search_curves._look("m1", "ours", None, dashed=True)["linestyle"] == "--"
    assert search_curves._label("m1", "ours", (), ["m1"]) == "other methods of papers"
    assert search_curves._label("m3", "ours", (), ["m1"]) == "other peers"

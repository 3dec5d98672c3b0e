"""Recall against speed: which settings are drawn, and that every method and cell has its place."""

from spaceform.report.search_curves import best_settings, draw_search_curves


def test_settings_that_another_beats_are_left_out():
    assert best_settings([(0.9, 10), (0.95, 20), (1.0, 5), (0.99, 4)]) == [(0.95, 20), (1.0, 5)]
    assert best_settings([]) == []


def test_every_cell_and_method_is_drawn(tmp_path):
    cells = {f"EM {i}%": {"ours": [(0.9, 100.0), (1.0, 50.0)], "peer": [(0.7, 300.0)]} for i in range(5)}
    text = draw_search_curves(cells, ours="ours", aim=0.95, paths=[tmp_path / "curves.svg"])
    assert (tmp_path / "curves.svg").read_text("utf-8")[-7:] == "</svg>\n"
    assert text.startswith("<svg")
    assert text.count("axes_") >= 5

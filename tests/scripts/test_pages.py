"""Pages and tables made from records and results."""

import json
from dataclasses import replace

import pytest

import pages
from spaceform import papers

COMPARISON = {"name": "a beats b", "difference": 0.0312, "low": 0.02, "high": 0.0424, "verdict": "reproduced"}
COMPARISON |= {"method_mean": 0.91, "baseline_mean": 0.8788, "kind": "mechanism"}


@pytest.fixture
def facenet():
    """Return a record with one comparison, and its result."""
    asked = papers.Comparison(
        name="a beats b",
        kind="mechanism",
        test="superior",
        metric="accuracy",
        direction="up",
        method="a",
        baseline="b",
        margin=0.01,
        role="baseline",
    )
    paper = papers.load("facenet")
    paper = replace(paper, claim=replace(paper.claim, comparisons=(asked,), notes="Seen in one run."))
    return paper, {"slug": "facenet", "finished": True, "comparisons": [COMPARISON], "seconds": 61.0}


def test_a_result_becomes_a_row(facenet, monkeypatch):
    paper, result = facenet
    monkeypatch.setattr(pages, "built_papers", lambda: [paper])
    row = pages.claims_table({"facenet": result}).splitlines()[-1]
    assert row.startswith("| `facenet` | FaceNet | a beats b | +0.0312 (+0.02 to +0.0424) | 1 reproduced | - |")


def test_all_verdicts_are_counted_best_first():
    verdicts = ("weaker", "reproduced", "contradicted", "reproduced", "not reproduced")
    result = {"comparisons": [{"kind": "accuracy", "verdict": word} for word in verdicts]}
    assert pages.tally(result, "accuracy") == "2 reproduced, 1 weaker, 1 not reproduced, 1 contradicted"
    assert pages.tally(result, "mechanism") == "-"


def test_a_paper_without_result_says_so(facenet, monkeypatch):
    monkeypatch.setattr(pages, "built_papers", lambda: [facenet[0]])
    assert pages.claims_table({}).splitlines()[-1].endswith("| not run | not run |")


def test_a_page_shows_the_comparison_and_every_published_figure(facenet):
    paper, result = facenet
    page = pages.paper_page(paper, result)
    assert page.startswith("# FaceNet\n")
    assert "| a beats b | mechanism | superior by 0.01 accuracy | 0.91 / 0.8788 |" in page
    assert "took 61 s" in page
    assert "Seen in one run." in page
    assert all(figure.figure in page for figure in paper.published)
    assert "not verified" in page
    assert "not run" in pages.paper_page(paper, None)


def test_every_paper_has_a_page_and_a_line_in_the_index():
    index = pages.papers_index({})
    for paper in papers.all_papers():
        assert f"({paper.slug}.md)" in index
        assert pages.paper_page(paper, None).count("## ") >= 3


def test_results_that_are_unfinished_or_of_another_scale_are_left_out(tmp_path):
    for name, slug, finished in (("loki", "loki", True), ("facenet", "facenet", False), ("loki.smoke", "loki", True)):
        (tmp_path / f"{name}.json").write_text(json.dumps({"slug": slug, "finished": finished}))
    assert set(pages.read_results(tmp_path)) == {"loki"}
    assert pages.read_results(tmp_path / "gone") == {}


def test_cells_keep_the_table_whole():
    assert pages.table(["a"], [["x | y"]]) == "| a |\n| --- |\n| x \\| y |"


def test_api_pages_hold_each_module_once():
    made = pages.api_pages(["spaceform.ops.pairs", "spaceform.ops.neighbors", "spaceform.errors"])
    assert made["ops"].count(":::") == 2
    assert set(made) == {"ops", "errors"}


def test_search_is_shown_by_method_and_cell():
    def row(method, cell, qps, recall=1.0):
        return {"data": "toy", "cell": cell, "method": method, "qps": qps, "recall": recall}

    rows = [
        row("slow", "R 1%", 100.0), row("fast", "R 1%", 1_000.0), row("wrong", "R 1%", 10_000.0, recall=0.5),
        row("fast", "R 5%", 500.0), {"data": "toy", "cell": "R 5%", "method": "slow", "note": "not reached"},
        {"data": "toy", "cell": "", "method": "away", "note": "not installed"},
    ]  # fmt: skip
    head, matrix, folded = pages.search_matrix(rows, "| a |\n| --- |")
    assert head == "### toy: microseconds of a query, one by one, on one thread"
    assert matrix.splitlines()[2:] == [
        "| fast | **1,000** | **2,000** |",
        "| slow | 10,000 | – |",
        "| wrong | (100) | – |",
        "| away | – | – |",
    ]
    assert folded.startswith("??? note")
    assert folded.endswith("\n    | a |\n    | --- |")


def test_benchmarks_become_tables(tmp_path):
    assert pages.benchmarks_page("# Benchmarks\n", tmp_path / "gone.json") == "# Benchmarks\n"
    rows = {"loki": [{"what": "tree", "ratio": 12.3456}, {"what": "dense", "seconds": None}]}
    made = {"rows": rows, "machine": {"cores": 2}, "versions": {"torch": "2.13"}}
    (tmp_path / "bench.json").write_text(json.dumps(made))
    page = pages.benchmarks_page("# Benchmarks\n", tmp_path / "bench.json")
    assert "cores 2" in page
    assert "## Loki\n\n| what | ratio | seconds |\n| --- | --- | --- |\n| tree | 12.35 |  |\n| dense |  |  |" in page

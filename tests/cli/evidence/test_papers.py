"""The verb ``papers``: a list, a search, one paper in full; as a table, as lines, as JSON."""

import io
import json
import re
import sys

import pytest
import typer
from typer.testing import CliRunner

from spaceform.cli.console import output
from spaceform.cli.evidence import papers as verb
from spaceform.errors import InputError
from spaceform.papers import all_papers, claim_hash, load

APP = typer.Typer(rich_markup_mode=None, pretty_exceptions_enable=False)
APP.command()(verb.papers)


@pytest.fixture(autouse=True)
def elsewhere(tmp_path, monkeypatch):
    """Run where there are no results."""
    monkeypatch.chdir(tmp_path)
    return tmp_path


def run(*arguments):
    result = CliRunner().invoke(APP, list(arguments))
    assert result.exception is None, result.exception
    assert result.exit_code == 0
    return result.stdout


def run_json(*arguments):
    return json.loads(run("--json", *arguments))


def as_seen_on(monkeypatch, columns, *arguments):
    """Return what a terminal of so many columns shows."""

    class Terminal(io.StringIO):
        def isatty(self):
            return True

    screen = Terminal()
    monkeypatch.setenv("TERM", "xterm")
    monkeypatch.setenv("NO_COLOR", "1")
    monkeypatch.setenv("COLUMNS", str(columns))
    monkeypatch.setattr(sys, "stdout", screen)
    verb.papers(list(arguments))
    return re.sub(r"\x1b\[[0-9;]*m", "", screen.getvalue())


def save(folder, slug="loki", **changes):
    folder.mkdir(exist_ok=True)
    entries = {"slug": slug, "claim_hash": claim_hash(slug), "verdict": "weaker", "scale": "laptop", "finished": True}
    (folder / f"{slug}.json").write_text(json.dumps(entries | changes))
    return folder


def test_the_list_has_every_paper_on_one_line_each():
    lines = run().splitlines()
    assert lines[0] == "40 papers"
    for paper in all_papers():
        (line,) = [line for line in lines if line.startswith(f"{paper.slug} ")]
        assert paper.gives in line
        assert str(paper.year) in line


def test_a_query_searches():
    lines = run("unseen classes", "taxonomy").splitlines()
    assert "of 40 papers" in lines[0]
    assert lines[3].startswith("loki")


def test_a_query_that_finds_nothing_says_so():
    assert run("qqxzy") == "no paper matches 'qqxzy'; `spaceform papers` lists all\n"
    assert run_json("qqxzy") == []


@pytest.mark.parametrize("name", ["class_discovery", "class-discovery", "Class_Discovery"])
def test_a_purpose_narrows_the_list(name):
    found = {row["slug"] for row in run_json("--purpose", name)}
    assert found == {"crkd-ncd", "hypcd", "tabular-ncd", "latent-label-shift"}
    assert {row["slug"] for row in run_json("--purpose", name, "tree")} <= found


def test_a_filter_narrows_the_list_and_a_search():
    where = "purpose = 'class_discovery' and year >= 2020"
    listed = [row["slug"] for row in run_json("--where", where)]
    found = [row["slug"] for row in run_json("find classes nobody labelled", "--where", where, "-k", "2")]
    assert len(found) == 2
    assert set(found) < set(listed)
    assert run("--where", "year > 2100") == "no paper matches the filter 'year > 2100'; `spaceform papers` lists all\n"


@pytest.mark.parametrize(("arguments", "named"), [(("tree", "-k", "0"), "k"), (("--encoder", "minilm"), "encoder")])
def test_options_that_do_not_fit_are_refused(arguments, named):
    result = CliRunner().invoke(APP, list(arguments))
    assert isinstance(result.exception, InputError)
    assert result.exception.argument == named


def test_an_unknown_purpose_is_refused():
    result = CliRunner().invoke(APP, ["--purpose", "cooking"])
    assert isinstance(result.exception, InputError)
    assert "class_discovery" in str(result.exception)


@pytest.mark.parametrize("slug", ["facenet", "FaceNet", "tabular_ncd", "loki"])
def test_an_exact_slug_shows_the_paper_in_full(slug):
    paper = load(slug)
    shown = run(slug)
    for text in (
        paper.title,
        paper.link,
        paper.idea,
        paper.needs,
        paper.claim.statement,
        *paper.limits,
        *paper.classes,
    ):
        assert text in shown
    for figure in paper.published:
        assert figure.value in shown
        assert figure.where in shown
    assert "status: " in shown


def test_json_of_a_list_and_of_one_paper():
    rows = run_json()
    assert [row["slug"] for row in rows] == [paper.slug for paper in all_papers()]
    assert "score" not in rows[0]
    assert set(rows[0]["status"]) >= {"method", "claim", "tests", "verdict", "stale"}
    one = run_json("loki")
    assert one["claim"]["seeds"] == list(load("loki").claim.seeds)
    assert one["claim_hash"] == claim_hash("loki")
    scores = [row["score"] for row in run_json("hierarchy")]
    assert scores == sorted(scores, reverse=True)


def test_verdicts_come_from_the_folder_of_results(elsewhere):
    folder = save(elsewhere / "elsewhere")
    assert run_json("loki")["status"]["verdict"] is None
    assert run_json("loki", "--results", str(folder))["status"]["verdict"] == "weaker"
    save(elsewhere / "results")
    assert "status: weaker" in run("loki")
    save(elsewhere / "results", claim_hash="0" * 16)
    assert "claim changed since" in run("loki")


def test_a_folder_that_is_not_there_is_refused():
    result = CliRunner().invoke(APP, ["--results", "nowhere"])
    assert isinstance(result.exception, InputError)


def test_an_unreadable_result_is_named_and_the_list_goes_on(elsewhere):
    (elsewhere / "results").mkdir()
    (elsewhere / "results" / "loki.json").write_text("{")
    result = CliRunner().invoke(APP, [])
    assert result.exit_code == 0
    assert "loki.json" in result.stderr
    assert "result unreadable" in result.stdout
    assert "facenet" in result.stdout
    assert "result unreadable" in CliRunner().invoke(APP, ["loki"]).stdout


def test_comparisons_show_their_verdicts(elsewhere, monkeypatch):
    paper = load("loki")
    names = [comparison.name for comparison in paper.claim.comparisons]
    save(elsewhere / "results", comparisons=[{"name": name, "verdict": "contradicted"} for name in names])
    assert run("loki").count("): contradicted") == len(names)


@pytest.mark.parametrize("columns", [40, 63, 80, 109, 110, 160])
@pytest.mark.parametrize("arguments", [(), ("filter",), ("facenet",)])
def test_no_terminal_is_too_narrow(monkeypatch, columns, arguments):
    shown = as_seen_on(monkeypatch, columns, *arguments)
    assert max(map(len, shown.splitlines())) <= max(columns, 48)
    assert "facenet" in shown or "filtered-ann" in shown


def test_markup_in_a_record_is_not_interpreted(monkeypatch):
    assert "[wnid, name]" in as_seen_on(monkeypatch, 200, "loki").replace("\n", " ")


def test_output_helpers_are_those_of_every_verb():
    assert verb.print_table is output.print_table

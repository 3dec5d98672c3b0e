"""The forty records: complete, strict, and the same list as the purposes promise."""

import dataclasses

import pytest

from spaceform import papers
from spaceform.papers import UNVERIFIED, catalogue
from spaceform.papers.parsing import parse_record
from spaceform.papers.records import PURPOSES

SLUGS = {
    "metric_learning": "facenet hyperspherical-novelty metrix ecaml susana hydra dynamic-subspaces",
    "few_shot": "msenet dafosnet",
    "class_discovery": "crkd-ncd hypcd tabular-ncd latent-label-shift",
    "transfer": "loki relative-representations lelp",
    "continual": "napa-vq prd",
    "diagnostics": "class-separability tp4",
    "text": "sesa gfun lbl2transformervec",
    "multimodal": "priorclip astrom3 grounded-language neti pulse",
    "scenes": "penet dosod detpro osm doei cluster3d",
    "embedding_tables": "table-compression unified-embedding",
    "vector_search": "filtered-ann limit",
    "robustness": "blto quadattack",
}
EVERY = papers.all_papers()
each_paper = pytest.mark.parametrize("paper", EVERY, ids=lambda paper: paper.slug)


def test_the_catalogue_holds_the_forty_papers_under_their_purposes():
    found = {purpose: {paper.slug for paper in EVERY if paper.purpose == purpose} for purpose in PURPOSES}
    assert found == {purpose: set(slugs.split()) for purpose, slugs in SLUGS.items()}
    assert len(EVERY) == 40
    assert [list(PURPOSES).index(paper.purpose) for paper in EVERY] == sorted(
        list(PURPOSES).index(paper.purpose) for paper in EVERY
    )


@each_paper
def test_every_record_says_what_a_reader_needs(paper):
    assert paper.arxiv or paper.doi
    assert 2010 < paper.year < 2030
    assert 2 <= paper.idea.count(". ") + 1 <= 4
    assert len(paper.keywords) >= 8
    assert len(set(paper.keywords)) == len(paper.keywords)
    assert paper.classes
    assert paper.limits
    assert paper.published
    assert len(paper.gives) < 130
    assert len(paper.needs) < 130
    assert all(figure.where for figure in paper.published)
    assert len(paper.claim.statement.split()) >= 15
    assert len(paper.claim.seeds) >= 3


@each_paper
def test_texts_are_one_line_without_stray_blanks(paper):
    texts = [paper.idea, paper.needs, paper.gives, paper.title, paper.claim.statement, paper.code.note, *paper.limits]
    for text in texts:
        assert text == " ".join(text.split())
    for sentence in (paper.idea, paper.claim.statement, *paper.limits):
        assert sentence.endswith((".", ")"))


def test_what_nobody_has_seen_is_marked_unverified():
    unseen = [figure for paper in EVERY for figure in paper.published if figure.where == UNVERIFIED]
    assert unseen
    assert not any(figure.verified for figure in unseen)
    assert not any(figure.where.lower() in {"unknown", "n/a", "?", "-"} for p in EVERY for figure in p.published)


def test_known_facts():
    facenet = papers.load("facenet")
    assert (facenet.year, facenet.arxiv, facenet.classes[0]) == (2015, "1503.03832", "FaceNet")
    assert facenet.link == "https://arxiv.org/abs/1503.03832"
    assert "99.63 ± 0.09" in {figure.value for figure in facenet.published}
    assert facenet.citation.startswith("Florian Schroff, Dmitry Kalenichenko, James Philbin. FaceNet: A Unified")
    assert papers.load("loki").citation.endswith("NeurIPS 2023.")
    assert papers.load("loki").citation.startswith("Nicholas Roberts et al.")
    assert papers.load("table-compression").authors == ("Hailin Zhang et al.",)


def test_no_class_belongs_to_two_papers():
    names = [name for paper in EVERY for name in paper.classes]
    assert len(set(names)) == len(names)


def test_records_are_frozen():
    with pytest.raises(dataclasses.FrozenInstanceError):
        papers.load("facenet").year = 2016  # type: ignore[misc]


def test_every_record_is_read_once(monkeypatch):
    """However often it is asked for."""
    for cached in (catalogue._load_shipped, catalogue._load_all, catalogue._shelf):
        cached.cache_clear()
    read = []
    parse = catalogue.parse_record
    monkeypatch.setattr(catalogue, "parse_record", lambda *given: read.append(given[-1]) or parse(*given))
    first = catalogue.all_papers()
    assert catalogue.all_papers() == first
    assert catalogue.load("loki") in first
    assert len(read) == len(first) == 40


def test_dates_and_other_toml_types_are_refused_not_coerced():
    text = next(entry for entry in catalogue._shelf().values() if entry.name == "loki.toml").read_text("utf-8")
    with pytest.raises(papers.catalogue.InputError, match=r"loki\.toml: title"):
        parse_record(text.replace("title = 'Geometry-Aware", "title = 2023-01-01 #"), "loki.toml")

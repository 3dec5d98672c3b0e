"""Search: people's words find the paper they mean."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from spaceform.errors import InputError
from spaceform.papers import all_papers, search
from spaceform.papers.ranking import _stem

FIRST = {
    "hyperbolic": "hypcd",
    "Poincaré ball": "hypcd",
    "backdoor": "blto",
    "is my encoder compromised": "blto",
    "filter search": "filtered-ann",
    "vector database with where clause": "filtered-ann",
    "unseen classes taxonomy": "loki",
    "which class to label next": "loki",
    "semi-hard triplet": "facenet",
    "face verification": "facenet",
    "mixup": "metrix",
    "energy confusion": "ecaml",
    "number of clusters in a table": "tabular-ncd",
    "label shift between domains": "latent-label-shift",
    "swap one model for another stitching": "relative-representations",
    "distillation with few classes": "lelp",
    "when to stop training": "class-separability",
    "persistent homology": "class-separability",
    "infinite width muP": "tp4",
    "explain a score with concepts": "sesa",
    "multilingual text classification": "gfun",
    "classify documents without labels by keywords": "lbl2transformervec",
    "satellite images": "priorclip",
    "light curves of stars": "astrom3",
    "concreteness of words": "grounded-language",
    "textual inversion": "neti",
    "recommendation with rationales": "pulse",
    "scene graph": "penet",
    "open vocabulary detection at speed YOLO": "dosod",
    "prompt learning": "detpro",
    "class activation map": "doei",
    "point cloud": "cluster3d",
    "compress embedding table": "table-compression",
    "hash all features into one table": "unified-embedding",
    "how many dimensions do I need": "limit",
    "adversarial top-k attack": "quadattack",
    "reject unknown classes open set": "dafosnet",
    "multi-scale prototypes": "msenet",
    "1503.03832": "facenet",
    "Moschella": "relative-representations",
    "NextClassSelector": "loki",
}


@pytest.mark.parametrize(("query", "slug"), FIRST.items())
def test_the_paper_meant_comes_first(query, slug):
    assert search(query, k=1)[0][0].slug == slug


@pytest.mark.parametrize(
    ("query", "slugs"),
    [
        ("forgetting", {"napa-vq", "prd"}),
        ("novel class discovery", {"crkd-ncd", "tabular-ncd", "hypcd"}),
        ("few-shot prototypes", {"msenet", "susana", "dafosnet"}),
        ("embedding table", {"table-compression", "unified-embedding"}),
    ],
)
def test_a_subject_of_several_papers_finds_them_all(query, slugs):
    assert slugs <= {paper.slug for paper, _ in search(query, k=len(slugs) + 1)}


@pytest.mark.parametrize("query", ["hyperboli", "hyperbolics", "hyperbollic", "HYPERBOLIC"])
def test_beginnings_endings_and_slips_of_the_pen_are_forgiven(query):
    assert search(query)[0][0].slug == "hypcd"


def test_scores_are_positive_fall_and_respect_k():
    found = search("class", k=7)
    scores = [score for _, score in found]
    assert len(found) == 7
    assert scores == sorted(scores, reverse=True)
    assert min(scores) > 0
    assert len({paper.slug for paper, _ in found}) == 7


def test_words_that_nobody_uses_find_nothing():
    assert search("qqxzy") == []


@pytest.mark.parametrize("query", ["", "  ", "!?", None])
def test_a_query_needs_a_word(query):
    with pytest.raises(InputError, match="query"):
        search(query)


@pytest.mark.parametrize("k", [0, -1, 2.0, True])
def test_k_is_a_positive_integer(k):
    with pytest.raises(InputError, match="k: got"):
        search("hyperbolic", k=k)


@given(st.sampled_from(all_papers()))
def test_every_paper_is_found_by_its_own_title(paper):
    assert search(paper.title, k=1)[0][0].slug == paper.slug


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("classes", "class"),
        ("queries", "query"),
        ("quantized", "quantization"),
        ("training", "trained"),
        ("boxes", "box"),
    ],
)
def test_common_endings_share_a_stem(one, other):
    assert _stem(one) == _stem(other)

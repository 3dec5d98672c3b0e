"""Loading by slug, and the hash that ties a result to the claim it was run for."""

import subprocess
import sys
import zipfile
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from spaceform import papers
from spaceform.errors import InputError
from spaceform.papers import ClaimSpec, Comparison, catalogue, claim_hash, load

COMPARISON = Comparison(
    name="better",
    kind="mechanism",
    test="superior",
    metric="accuracy",
    direction="up",
    method="ours",
    baseline="theirs",
    margin=0.01,
    role="baseline",
)
CLAIM = ClaimSpec("It works.", "digits", (0, 1, 2), 60, (COMPARISON,))


def test_hyphens_underscores_and_capitals_are_the_same():
    assert load("tabular-ncd") is load("tabular_ncd") is load(" Tabular-NCD ")


@pytest.mark.parametrize(
    ("slug", "near"), [("lokki", "'loki'"), ("tabular", "'tabular-ncd'"), ("filterd-ann", "'filtered-ann'")]
)
def test_an_unknown_slug_names_its_neighbours(slug, near):
    with pytest.raises(InputError, match=f"slug: got '{slug}'.*did you mean.*{near}"):
        load(slug)


@pytest.mark.parametrize("slug", ["", "qqqqqqqq", None, 3])
def test_nonsense_for_a_slug_points_to_the_list(slug):
    with pytest.raises(InputError, match=r"`spaceform papers` lists all"):
        load(slug)


def test_loading_one_paper_reads_one_file():
    catalogue._load_shipped.cache_clear()
    load("loki")
    assert catalogue._load_shipped.cache_info().currsize == 1


def test_the_hash_is_of_the_claim_and_stable_between_processes():
    assert claim_hash("loki") == load("loki").claim.digest()
    assert len({paper.claim.digest() for paper in papers.all_papers()}) == 40
    code = "import sys; from spaceform.papers import claim_hash; print(claim_hash('loki'), 'torch' in sys.modules)"
    printed = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout
    assert printed.split() == [claim_hash("loki"), "False"]


def test_the_hash_has_a_known_value():
    # Every result that was ever written carries such a hash: a new way to compute it would orphan them all.
    assert CLAIM.digest() == "2245876e5624a2b3"


def test_notes_do_not_count_because_they_are_written_after_the_run():
    assert replace(CLAIM, notes="It did not, because ...").digest() == CLAIM.digest()


CHANGES = [
    {"statement": "It works!"},
    {"data": "letter"},
    {"seeds": (0, 1, 3)},
    {"seeds": (0, 2, 1)},
    {"budget_seconds": 61},
    {"comparisons": ()},
    {"comparisons": (COMPARISON, replace(COMPARISON, name="again"))},
    *({"comparisons": (replace(COMPARISON, **{key: "other"}),)} for key in ("name", "kind", "test", "metric", "role")),
    *({"comparisons": (replace(COMPARISON, **{key: "other"}),)} for key in ("direction", "method", "baseline")),
    {"comparisons": (replace(COMPARISON, margin=0.02),)},
    {"comparisons": (replace(COMPARISON, baseline_metric="before"),)},
]


def test_every_other_change_counts_and_no_two_agree():
    digests = [CLAIM.digest(), *(replace(CLAIM, **change).digest() for change in CHANGES)]
    assert len(set(digests)) == len(digests)


@given(st.text(max_size=20), st.text(max_size=20))
def test_equal_claims_and_only_these_have_equal_hashes(first, second):
    one, other = replace(CLAIM, statement=first), replace(CLAIM, statement=second)
    assert (one.digest() == other.digest()) == (first == second)


def test_records_and_status_are_found_inside_an_archive(tmp_path):
    package = Path(papers.__file__).parents[1]
    archive = tmp_path / "library.zip"
    with zipfile.ZipFile(archive, "w") as bundle:
        for path in [package / "__init__.py", package / "errors.py", *(package / "papers").iterdir()]:
            if path.is_file():
                bundle.write(path, path.relative_to(package.parent))
        bundle.writestr("spaceform/methods/transfer/loki.py", "raise RuntimeError\n")
        for folder in ("methods", "methods/transfer"):
            bundle.writestr(f"spaceform/{folder}/__init__.py", "")
    code = (
        f"import sys; sys.path.insert(0, {str(archive)!r}); import spaceform.papers as papers;"
        "print(len(papers.all_papers()), papers.status('loki').method, papers.status('hypcd').method, papers.__file__)"
    )
    printed = subprocess.run(
        [sys.executable, "-I", "-c", code], capture_output=True, text=True, check=True, cwd=tmp_path
    ).stdout.split()
    assert printed[:3] == ["40", "True", "False"]
    assert printed[3].startswith(str(archive))

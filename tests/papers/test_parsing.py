"""What the reader of records refuses, and that each refusal names the record and the key."""

import pytest

from spaceform.errors import InputError
from spaceform.papers import parse_record, read_catalogue

RECORD = """
slug = 'one-two'
title = 'A title'
method = 'OneTwo'
authors = ['A. Author', 'B. Author']
year = 2020
venue = 'A venue 2020'
arxiv = '2001.00001'
purpose = 'text'
idea = '''
First
  sentence. Second.
'''
needs = 'rows'
gives = 'labels'
keywords = ['word']
limits = ['one']
classes = ['OneTwo']

[code]
repository = 'none'
licence = 'none'

[[published]]
figure = 'accuracy'
value = '1.0'
unit = '%'
where = 'table 1'

[claim]
statement = 'It works.'
data = 'digits'
seeds = [0, 1, 2]
budget_seconds = 10

[[claim.comparisons]]
name = 'better'
kind = 'mechanism'
test = 'superior'
metric = 'accuracy'
direction = 'up'
method = 'ours'
baseline = 'theirs'
margin = 0.01
role = 'baseline'
"""


def read(old="", new=""):
    assert old in RECORD
    return parse_record(RECORD.replace(old, new), "one-two.toml")


def test_a_whole_record_is_read():
    paper = read()
    assert paper.idea == "First sentence. Second."
    assert paper.module == "one_two"
    assert paper.citation == "A. Author, B. Author. A title. A venue 2020."
    (comparison,) = paper.claim.comparisons
    assert (comparison.margin, comparison.baseline_metric) == (0.01, None)
    assert paper.cost == paper.doi == paper.claim.notes == ""
    assert paper.layouts == ()


def test_one_author_may_be_a_text_and_a_doi_gives_the_link():
    assert read("['A. Author', 'B. Author']", "'A. Author et al.'").authors == ("A. Author et al.",)
    assert read("arxiv = '2001.00001'", "doi = '10.1/x'").link == "https://doi.org/10.1/x"


def test_an_arm_may_be_compared_with_itself_on_another_metric():
    same = read("baseline = 'theirs'", "baseline = 'ours'\nbaseline_metric = 'before'").claim.comparisons[0]
    assert same.baseline_metric == "before"


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ("year = 2020", "yaer = 2020", r"one-two\.toml: year: got nothing"),
        (
            "needs = 'rows'",
            "needs = 'rows'\nneed = 'x'",
            r"one-two\.toml: need: got an unknown key.*did you mean 'needs'",
        ),
        ("year = 2020", "year = '2020'", r"one-two\.toml: year: got '2020' \(str\)"),
        ("year = 2020", "year = true", r"one-two\.toml: year: got True"),
        ("title = 'A title'", "title = ' '", r"title: got"),
        ("purpose = 'text'", "purpose = 'texts'", r"purpose: got 'texts', expected one of metric_learning"),
        ("where = 'table 1'", "", r"published\[0\]\.where: got nothing, expected its table.*'unverified'"),
        ("where = 'table 1'", "where = ''", r"published\[0\]\.where: got an empty text"),
        ("unit = '%'", "unit = 5", r"published\[0\]\.unit: got 5 \(int\)"),
        ("value = '1.0'", "value = 1.0", r"published\[0\]\.value: got 1\.0 \(float\)"),
        ("keywords = ['word']", "keywords = []", r"keywords: got \[\]"),
        ("keywords = ['word']", "keywords = 'word'", r"keywords: got 'word'"),
        ("keywords = ['word']", "keywords = ['word', 3]", r"keywords: got 3"),
        ("classes = ['OneTwo']", "classes = ['One Two']", r"classes: got 'One Two'"),
        ("arxiv = '2001.00001'", "", "neither arxiv nor doi"),
        ("arxiv = '2001.00001'", "arxiv = 'arXiv:2001.00001'", r"arxiv: got 'arXiv"),
        ("slug = 'one-two'", "slug = 'one_two'", r"slug: got 'one_two'"),
        ("slug = 'one-two'", "slug = 'three'", r"slug: got 'three', expected the name of its file"),
        ("repository = 'none'", "repository = 'github'", r"code\.repository: got 'github'"),
        ("[code]\nrepository = 'none'\nlicence = 'none'", "code = 'none'", r"one-two\.toml: code: got 'none' \(str\)"),
        ("seeds = [0, 1, 2]", "seeds = [0, 1]", r"claim\.seeds: got \[0, 1\], expected at least 3"),
        ("seeds = [0, 1, 2]", "seeds = [0, 1, 1]", r"claim\.seeds"),
        ("seeds = [0, 1, 2]", "seeds = [0, 1, -1]", r"claim\.seeds"),
        ("budget_seconds = 10", "budget_seconds = 0", r"claim\.budget_seconds: got 0"),
        ("kind = 'mechanism'", "kind = 'speed'", r"claim\.comparisons\[0\]\.kind: got 'speed'"),
        ("test = 'superior'", "test = 'better'", r"comparisons\[0\]\.test"),
        ("direction = 'up'", "direction = 'higher'", r"comparisons\[0\]\.direction"),
        ("role = 'baseline'", "role = 'rival'", r"comparisons\[0\]\.role"),
        ("margin = 0.01", "margin = nan", r"comparisons\[0\]\.margin"),
        ("margin = 0.01", "margin = -0.01", r"comparisons\[0\]\.margin"),
        ("margin = 0.01", "margin = '1'", r"comparisons\[0\]\.margin"),
        (
            "baseline = 'theirs'",
            "baseline = 'ours'",
            r"comparisons\[0\]\.baseline: got the arm and metric of the method",
        ),
        ("slug = 'one-two'", "slug = ", r"one-two\.toml: got .*expected a TOML document"),
    ],
)
def test_a_wrong_record_is_refused_by_name(old, new, message):
    # re.S is off on purpose: the whole message is one line
    with pytest.raises(InputError, match=message):
        read(old, new)


def test_two_comparisons_of_one_name_are_refused():
    twice = RECORD[RECORD.index("[[claim.comparisons]]") :]
    with pytest.raises(InputError, match="'better' twice"):
        parse_record(RECORD + twice, "one-two.toml")


def test_one_slug_in_two_records_is_refused(tmp_path):
    (tmp_path / "one-two.toml").write_text(RECORD)
    assert [paper.slug for paper in read_catalogue(tmp_path)] == ["one-two"]
    (tmp_path / "notes.txt").write_text("not a record")
    (tmp_path / "one-three.toml").write_text(RECORD)
    with pytest.raises(InputError, match=r"one-three\.toml: slug"):
        read_catalogue(tmp_path)

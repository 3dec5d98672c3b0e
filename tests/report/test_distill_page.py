"""The report of a distillation."""

import re
from dataclasses import replace

import numpy as np
import pytest

from spaceform.errors import InputError
from spaceform.report.distill_page import write_distill_report
from spaceform.space import Space
from spaceform.workflows.distill import distill


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    rng = np.random.default_rng(0)
    y = np.arange(120) % 2
    X = rng.normal(size=(120, 6)) + y[:, None]
    names = {"kind": np.array(["<odd>", "even"])[y].tolist()}
    space = Space.create(X, attributes=names, label="kind")
    out = tmp_path_factory.mktemp("page")
    result = distill(space, inputs=space, options={"steps": 10, "embedding_dim": 4, "looks": 2})
    return result, write_distill_report(result, out).read_text(encoding="utf-8")


def test_it_says_first_how_the_student_does(made):
    result, text = made
    assert re.search(r'<p class="lead">(.*?)</p>', text)[1] == result.sentence
    for title in ("How the student does", "What it gets wrong", "How training went", "How it was made"):
        assert f"<h2>{title}</h2>" in text
    for word in ("labels alone", "beyond chance", "n_subclasses", "LELP"):
        assert word in text


def test_it_is_whole_and_escaped(made):
    text = made[1]
    assert not re.search(r'(src|href)="(?!data:|#)', text)
    assert "<odd>" not in text


def test_without_held_out_rows_it_says_so(made, tmp_path):
    result, _ = made
    space = result.space.with_columns({"part": ["train"] * 120})
    bare = replace(result, figures={}, gains={}, sentence="", space=space)
    text = write_distill_report(bare, tmp_path).read_text(encoding="utf-8")
    assert "Nothing was held back" in text
    with pytest.raises(InputError, match="Space"):
        write_distill_report(replace(result, space=None), tmp_path)

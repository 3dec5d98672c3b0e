"""Opening the files of a benchmark, with errors that say which file and line."""

import numpy as np
import pytest

from spaceform.data.layouts.benchmarks.text_files import (
    bad_line,
    benchmark_file,
    read_numbers,
    text_lines,
    whole_labels,
)
from spaceform.errors import InputError


def test_the_first_name_that_is_there_is_taken_or_the_file_itself(tmp_path):
    (tmp_path / "in").mkdir()
    for name in ("in/a.txt", "b.txt"):
        (tmp_path / name).write_text("")
    assert benchmark_file(tmp_path, "a.txt", "in/a.txt", "b.txt") == tmp_path / "in" / "a.txt"
    assert benchmark_file(tmp_path / "b.txt", "a.txt", "b.txt") == tmp_path / "b.txt"
    with pytest.raises(InputError, match=r"lacks c\.txt and d\.txt"):
        benchmark_file(tmp_path, "c.txt", "d.txt")
    with pytest.raises(InputError, match=r"expected the file c\.txt"):
        benchmark_file(tmp_path / "b.txt", "c.txt")


def test_lines_are_numbered_and_empty_ones_left_out(tmp_path):
    (tmp_path / "a").write_bytes(b"x \r\n\n y\n")
    assert list(text_lines(tmp_path / "a")) == [(1, "x "), (3, " y")]
    (tmp_path / "a").write_bytes(b"\xff")
    with pytest.raises(InputError, match="UTF-8"):
        list(text_lines(tmp_path / "a"))


def test_numbers_are_read_with_their_separator(tmp_path):
    (tmp_path / "a").write_text("1, 2\n3,4e1\n")
    np.testing.assert_array_equal(read_numbers(tmp_path / "a", separator=",", columns=2), [[1, 2], [3, 40]])
    for content, message in (("", "no rows"), ("1,#2\n", "can't be read"), ("1,2,3\n", "3 columns, expected 2")):
        (tmp_path / "a").write_text(content)
        with pytest.raises(InputError, match=message):
            read_numbers(tmp_path / "a", separator=",", columns=2)


def test_labels_are_counted_from_zero_and_kept_in_range(tmp_path):
    assert whole_labels(np.array([1.0, 3.0]), tmp_path, low=1, high=3).tolist() == [0, 2]
    for wrong in (0.0, 4.0, 1.5, np.nan):
        with pytest.raises(InputError, match=r"row 1: got class .*, expected 1 to 3"):
            whole_labels(np.array([1.0, wrong]), tmp_path, low=1, high=3)


def test_a_bad_line_is_shortened(tmp_path):
    assert len(str(bad_line(tmp_path, 7, "x" * 500, expected="y"))) < 100 + len(str(tmp_path))

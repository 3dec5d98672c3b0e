"""Texts from lines and from tables."""

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from spaceform.data.layouts import read_texts
from spaceform.errors import InputError

lines = st.text(st.characters(exclude_characters="\r\n", exclude_categories=["Cs"]), min_size=1).filter(
    lambda line: line.strip() and not line.startswith("\ufeff")
)


@given(st.lists(lines, min_size=1, max_size=5))
@settings(deadline=None, max_examples=50)
def test_lines_come_back_as_they_were(tmp_path_factory, texts):
    path = tmp_path_factory.mktemp("t") / "a.txt"
    path.write_text("\n".join(texts) + "\n\n", encoding="utf-8", newline="\n")
    assert read_texts(path).texts == texts


@given(st.lists(lines, min_size=1, max_size=5))
@settings(deadline=None, max_examples=25)
def test_parquet_texts_come_back_as_they_were(tmp_path_factory, texts):
    path = tmp_path_factory.mktemp("t") / "a.parquet"
    pq.write_table(pa.table({"body": texts}), path)
    assert read_texts(path).texts == texts


def test_a_byte_order_mark_and_windows_lines_are_no_text(tmp_path):
    (tmp_path / "a.txt").write_bytes(b"\xef\xbb\xbfone\r\n\r\ntwo")
    assert read_texts(tmp_path / "a.txt").texts == ["one", "two"]


def write(tmp_path, content):
    path = tmp_path / "a.csv"
    path.write_text(content, encoding="utf-8")
    return path


def test_quoted_texts_with_commas_and_line_ends(tmp_path):
    source = read_texts(write(tmp_path, 'text,topic\n"a, b",x\n"two\nlines",y\n'), label="topic")
    assert source.texts == ["a, b", "two\nlines"]
    assert source.attributes["topic"].to_pylist() == ["x", "y"]


@pytest.mark.parametrize(
    ("content", "options", "texts"),
    [
        ("title,text\na,b\n", {}, ["b"]),
        ("title,text\na,b\n", {"text_column": "title"}, ["a"]),
        ("id,body,label\n1,b,x\n", {}, ["b"]),
    ],
)
def test_the_text_column_is_found_or_named(tmp_path, content, options, texts):
    assert read_texts(write(tmp_path, content), **options).texts == texts


def test_rows_without_text_are_refused_or_skipped(tmp_path):
    path = write(tmp_path, "id,text\na,one\nb,\nc,  \nd,two\n")
    with pytest.raises(InputError, match=r"2 of 4 rows.*row 1 \(no text\); row 2"):
        read_texts(path)
    source = read_texts(path, on_error="skip")
    assert (source.texts, source.ids) == (["one", "two"], ["a", "d"])
    assert [name for name, _ in source.skipped] == ["row 1", "row 2"]


@pytest.mark.parametrize(
    ("content", "options", "message"),
    [
        ("a,b\nx,y\n", {}, "2 columns that may be the text"),
        ("a,b\n1,2\n", {}, "0 columns that may be the text"),
        ("a,b\n1,2\n", {"text_column": "a"}, "a column of int64"),
        ("a,b\n1,2\n", {"text_column": "c"}, "text_column: got 'c'"),
        ("a,b\nx,y\n", {"on_error": "no"}, "on_error"),
    ],
)
def test_wrong_tables_are_refused(tmp_path, content, options, message):
    with pytest.raises(InputError, match=message):
        read_texts(write(tmp_path, content), **options)


@pytest.mark.parametrize(("content", "message"), [(b"", "no text"), (b"\n \n", "no text"), (b"caf\xe9", "no UTF-8")])
def test_wrong_text_files_are_refused(tmp_path, content, message):
    (tmp_path / "a.txt").write_bytes(content)
    with pytest.raises(InputError, match=message):
        read_texts(tmp_path / "a.txt")

"""One reader that finds out what a path is."""

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from PIL import Image

from spaceform.data import layouts
from spaceform.data.layouts import read_source
from spaceform.errors import InputError


@pytest.fixture
def sources(tmp_path):
    (tmp_path / "pictures").mkdir()
    Image.new("RGB", (5, 5)).save(tmp_path / "pictures" / "a.png")
    np.save(tmp_path / "a.npy", np.eye(2))
    np.savez(tmp_path / "a.npz", X=np.eye(2), kind=["x", "y"])
    pq.write_table(pa.table({"v": [[1.0]], "text": ["t"]}), tmp_path / "vectors.parquet")
    pq.write_table(pa.table({"text": ["t"], "kind": ["x"]}), tmp_path / "texts.parquet")
    (tmp_path / "wide.csv").write_text("e0,e1,kind\n1,2,x\n")
    (tmp_path / "numbers.csv").write_text("e0,e1\n1,2\n")
    (tmp_path / "a.txt").write_text("line\n")
    (tmp_path / "a.xyz").write_text("?")
    (tmp_path / "space").mkdir()
    (tmp_path / "space" / "space.json").write_text("{}")
    return tmp_path


@pytest.mark.parametrize(
    ("name", "options", "kind"),
    [
        ("pictures", {"size": 8}, "images"),
        ("a.npy", {}, "vectors"),
        ("a.npz", {"label": "kind"}, "vectors"),
        ("vectors.parquet", {}, "vectors"),
        ("vectors.parquet", {"text_column": "text"}, "texts"),
        ("texts.parquet", {}, "texts"),
        ("texts.parquet", {"label": "kind"}, "texts"),
        ("wide.csv", {"vector_columns": "e"}, "vectors"),
        ("wide.csv", {"text_column": "kind"}, "texts"),
        ("a.txt", {}, "texts"),
    ],
)
def test_each_kind_of_source_is_told_apart(sources, name, options, kind):
    source = read_source(sources / name, **options)
    assert source.kind == kind
    assert [getattr(source, other) is not None for other in ("vectors", "images", "texts")].count(True) == 1
    assert len(source) > 0


@pytest.mark.parametrize(
    ("name", "options", "message"),
    [
        ("pictures", {"label": "x"}, "label: got 'x', expected None: a folder of pictures"),
        ("a.npy", {"text_column": "x"}, "text_column"),
        ("a.txt", {"vector_columns": "x"}, "vector_columns"),
        ("texts.parquet", {"text_column": "text", "vector_column": "v"}, "vector_column"),
        ("numbers.csv", {}, "vector_columns='emb_"),
        ("a.xyz", {}, r"a\.xyz, expected a folder of pictures"),
        ("space", {}, "a Space"),
        ("missing", {}, "No such file"),
    ],
)
def test_what_does_not_fit_is_refused(sources, name, options, message):
    with pytest.raises(InputError, match=message):
        read_source(sources / name, **options)


def test_the_package_offers_each_reader():
    assert dir(layouts) == sorted(layouts.__all__)
    assert all(callable(getattr(layouts, name)) for name in layouts.__all__)
    with pytest.raises(AttributeError, match="no attribute 'read_pickle'"):
        layouts.read_pickle  # noqa: B018  # the access is what raises

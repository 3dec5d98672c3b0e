"""UCI text files: generated in the form of the real ones, read back, and refused when they are not."""

import numpy as np
import pytest

from spaceform import data
from spaceform.errors import InputError

RNG = np.random.default_rng(0)


def rows(table, separator=","):
    return "".join(separator.join(map(str, row)) + "\n" for row in table)


@pytest.mark.parametrize(("name", "width"), [("optdigits", 64), ("pendigits", 16)])
def test_digits_in_two_files_have_a_split(tmp_path, name, width):
    train, test = RNG.integers(0, 10, (5, width + 1)), RNG.integers(0, 10, (3, width + 1))
    (tmp_path / f"{name}.tra").write_text(rows(train, ", "))
    (tmp_path / f"{name}.tes").write_text(rows(test))
    for root in (tmp_path, tmp_path / f"{name}.tra"):
        found = data.load(f"uci-{name}", root=root)
        np.testing.assert_array_equal(found.X, np.vstack([train, test])[:, :-1])
        np.testing.assert_array_equal(found.y, np.concatenate([train, test])[:, -1])
        assert found.attributes["split"].tolist() == ["train"] * 5 + ["test"] * 3


def test_letters(tmp_path):
    (tmp_path / "letter-recognition.data").write_text("T," + ",".join("2" * 16) + "\nA," + ",".join("7" * 16) + "\n")
    found = data.load("uci-letter", root=tmp_path)
    assert found.X.shape == (2, 16)
    assert [found.classes[label] for label in found.y] == ["T", "A"]


def test_views_of_digits_are_ordered_by_class(tmp_path):
    table = RNG.integers(0, 9, (2000, 6))
    (tmp_path / "mfeat-mor").write_text(rows(table, "  "))
    found = data.load("uci-mfeat", root=tmp_path, view="mor")
    np.testing.assert_array_equal(found.X, table)
    np.testing.assert_array_equal(np.bincount(found.y), np.full(10, 200))
    with pytest.raises(InputError, match="view"):
        data.load("uci-mfeat", root=tmp_path, view="dsp")


def test_business_texts_count_classes_from_one(tmp_path):
    table = np.hstack([[[9], [1]], RNG.integers(0, 2, (2, 856))])
    (tmp_path / "CNAE-9.data").write_text(rows(table))
    found = data.load("uci-cnae9", root=tmp_path)
    assert found.y.tolist() == [8, 0]
    assert found.X.shape == (2, 856)


@pytest.mark.parametrize("inside", ["", "UCI HAR Dataset"])
def test_activities_in_a_folder_or_in_the_one_above(tmp_path, inside):
    for split, n in (("train", 3), ("test", 2)):
        folder = tmp_path / inside / split
        folder.mkdir(parents=True)
        np.savetxt(folder / f"X_{split}.txt", RNG.normal(size=(n, 561)), fmt=" %.7e")
        (folder / f"y_{split}.txt").write_text("6\n" * n)
        (folder / f"subject_{split}.txt").write_text("30\n" * n)
    found = data.load("uci-har", root=tmp_path)
    assert found.X.shape == (5, 561)
    assert found.classes[found.y[0]] == "LAYING"
    assert found.attributes["subject"].tolist() == [30] * 5
    assert found.attributes["split"].tolist() == ["train"] * 3 + ["test"] * 2


@pytest.fixture
def census(tmp_path):
    table = np.column_stack([np.arange(90), RNG.integers(0, 5, 90), np.arange(90) % 18, RNG.integers(0, 3, 90)])
    (tmp_path / "USCensus1990.data.txt").write_text("caseid,dAge,iYearsch,iSex\n" + rows(table))
    return tmp_path, table


def test_census_rows_with_and_without_a_limit_per_class(census):
    root, table = census
    found = data.load("uci-uscensus", root=root)
    np.testing.assert_array_equal(found.X, table[:, [1, 3]])
    np.testing.assert_array_equal(found.y, table[:, 2])
    assert found.X.dtype == np.int16
    few = data.load("uci-uscensus", root=root, max_per_class=2)
    np.testing.assert_array_equal(np.bincount(few.y), np.full(18, 2))
    np.testing.assert_array_equal(few.X, data.load("uci-uscensus", root=root, max_per_class=2).X)
    assert (few.y != data.load("uci-uscensus", root=root, max_per_class=2, random_state=1).y).any()


@pytest.mark.parametrize(
    ("name", "file", "content", "message"),
    [
        ("uci-letter", "letter-recognition.data", "T,1,2\n", "2 columns, expected 16"),
        ("uci-letter", "letter-recognition.data", "t,1\n", "line 1: got 't,1'"),
        ("uci-letter", "letter-recognition.data", "T,1\nA,x\n", "x"),
        ("uci-letter", "letter-recognition.data", "", "no rows"),
        ("uci-letter", "other.data", "T,1\n", "lacks letter-recognition.data"),
        ("uci-optdigits", "optdigits.tra", "1,2\n", "2 columns, expected 65"),
        ("uci-optdigits", "optdigits.tra", rows([[1] * 64 + [12]]), "row 0: got class 12, expected 0 to 9"),
        ("uci-optdigits", "optdigits.tra", rows([[1] * 64 + [2]]), r"lacks optdigits\.tes"),
        ("uci-mfeat", "mfeat-fac", rows([[1] * 216], " "), "1 rows, expected 2000"),
        ("uci-cnae9", "CNAE-9.data", rows([[0] * 857]), "class 0, expected 1 to 9"),
        ("uci-cnae9", "CNAE-9.data", "1,2\n1\n", "can't be read"),
        ("uci-har", "X_train.txt", "1\n", "lacks train/X_train.txt"),
        ("uci-uscensus", "USCensus1990.data.txt", "a,b\n1,2\n", "a header with iYearsch"),
        ("uci-uscensus", "USCensus1990.data.txt", "dAge,iYearsch\n1,x\n", "can't be read"),
        ("uci-uscensus", "USCensus1990.data.txt", "dAge,iYearsch\n1,99\n", "class 99"),
    ],
)
def test_files_of_another_form_are_refused_by_name_and_place(tmp_path, name, file, content, message):
    (tmp_path / file).write_text(content)
    with pytest.raises(InputError, match=message):
        data.load(name, root=tmp_path)


@pytest.mark.parametrize("name", ["uci-letter", "uci-optdigits", "uci-har", "uci-uscensus"])
def test_a_folder_that_is_not_there_is_refused(tmp_path, name):
    with pytest.raises(InputError, match=r"root: got .*nowhere"):
        data.load(name, root=tmp_path / "nowhere")
